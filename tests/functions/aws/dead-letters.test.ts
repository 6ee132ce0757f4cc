import assert from "node:assert/strict";
import { GetQueueAttributesCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { SqsDeadLetters } from "../../../functions/aws/dead-letters.js";
import type { DeadLetter } from "../../../functions/core/ports.js";
import iam from "../../../local/services/aws/iam.js";
import sqs from "../../../local/services/aws/sqs/index.js";
import { type TestCloud, testCloud } from "../../local/cloud.js";

describe("Dead letters in a queue", () => {
  let cloud: TestCloud;
  let client: SQSClient;
  let url: string;
  let letters: SqsDeadLetters;
  let count = 0;

  before(async () => {
    cloud = await testCloud([iam(), sqs()]);
    client = new SQSClient({ ...cloud.client(), useQueueUrlAsEndpoint: false });
  });
  after(async () => {
    client.destroy();
    await cloud.stop();
  });
  beforeEach(async () => {
    url = (await cloud.declare("aws:sqs/queue:Queue", `parked-${++count}`)).outputs.url;
    letters = new SqsDeadLetters(client, url);
  });

  const letter = (n: number, key = `uploads/${n}`): DeadLetter => ({
    key,
    event: { detail: { object: { key } }, n },
    error: { code: "AccessDenied", message: "No." },
    at: "2026-11-21T12:00:00.000Z",
  });
  const park = (...all: DeadLetter[]) => Promise.all(all.map((each) => letters.park(each)));
  const send = (body: unknown, attributes: Record<string, string> = {}) =>
    client.send(
      new SendMessageCommand({
        QueueUrl: url,
        MessageBody: typeof body === "string" ? body : JSON.stringify(body),
        MessageAttributes: Object.fromEntries(
          Object.entries(attributes).map(([name, StringValue]) => [name, { DataType: "String", StringValue }]),
        ),
      }),
    );
  const visible = async () => {
    const AttributeNames = ["ApproximateNumberOfMessages" as const];
    const { Attributes } = await client.send(new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames }));
    return Number(Attributes?.ApproximateNumberOfMessages);
  };
  const keys = (found: DeadLetter[]) => found.map(({ key }) => key).toSorted();

  it("are listed, and lie there as before", async () => {
    await park(...Array.from({ length: 23 }, (_, n) => letter(n)));
    for (let times = 0; times < 2; times++) {
      const found = await letters.list(100);
      assert.equal(new Set(keys(found)).size, 23);
      assert.deepEqual(
        found.find(({ key }) => key === "uploads/7"),
        letter(7),
      );
      assert.equal(await visible(), 23);
    }
    assert.equal((await letters.list(5)).length, 5);
    assert.equal(await visible(), 23);
  });

  it("of one image are taken, and the others stay", async () => {
    await park(letter(1), letter(2), letter(3, "uploads/2"), ...Array.from({ length: 12 }, (_, n) => letter(n + 10)));
    assert.deepEqual(keys(await letters.take("uploads/2")), ["uploads/2", "uploads/2"]);
    assert.equal(await visible(), 13);
    assert.deepEqual(await letters.take("uploads/2"), []);
    assert.equal((await letters.list(100)).length, 13);
  });

  it("are not lost to a reader that may not delete", async () => {
    const trust = { Statement: [{ Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" }] };
    const role = await cloud.declare("aws:iam/role:Role", "reader", {
      assumeRolePolicy: JSON.stringify({ Version: "2012-10-17", ...trust }),
    });
    const policy = { Statement: [{ Effect: "Allow", Action: ["sqs:ReceiveMessage", "sqs:ChangeMessageVisibility"], Resource: "*" }] };
    await cloud.declare("aws:iam/rolePolicy:RolePolicy", "reader", {
      role: role.id,
      policy: JSON.stringify({ Version: "2012-10-17", ...policy }),
    });
    await park(letter(1));
    const reader = new SQSClient({ ...cloud.clientFor(role), useQueueUrlAsEndpoint: false });
    await assert.rejects(new SqsDeadLetters(reader, url).take("uploads/1"), /sqs:DeleteMessage/);
    reader.destroy();
    assert.equal(await visible(), 1, "it is back at once");
  });

  it("of the workflow carry what the cloud said, without Lambda's envelope", async () => {
    const said = "User: arn:role is not authorized to perform: s3:GetObject on resource: arn:bucket";
    const cause = JSON.stringify({ errorType: "AccessDenied", errorMessage: said, trace: ["AccessDenied: …"] });
    await send({ ...letter(1), error: { code: "AccessDenied", message: cause } });
    assert.deepEqual((await letters.list(1))[0]?.error, { code: "AccessDenied", message: said });
  });

  it("may be events that EventBridge could not deliver", async () => {
    const event = { "detail-type": "Object Created", time: "2026-11-21T12:00:00Z", detail: { object: { key: "uploads/cat.png" } } };
    await send(event, {
      ERROR_CODE: "SDK_CLIENT_ERROR",
      ERROR_MESSAGE: "not authorized to perform: states:StartExecution",
      RULE_ARN: "arn",
    });
    const [taken] = await letters.take("uploads/cat.png");
    assert.deepEqual(
      { ...taken, at: undefined },
      {
        key: "uploads/cat.png",
        event,
        error: { code: "SDK_CLIENT_ERROR", message: "not authorized to perform: states:StartExecution" },
        at: undefined,
      },
    );
    assert.ok(Math.abs(Date.parse(taken?.at ?? "") - Date.now()) < 60_000);
  });

  it("may be what nobody can read, and are shown all the same", async () => {
    await send("no JSON");
    const [shown] = await letters.list(10);
    assert.deepEqual([shown?.key, shown?.event, shown?.error.code], ["", "no JSON", "UNREADABLE"]);
  });

  it("that are being looked at by one are out of others' sight for that moment only", async () => {
    await park(letter(1));
    const { Messages = [] } = await client.send(new ReceiveMessageCommand({ QueueUrl: url, VisibilityTimeout: 1 }));
    assert.equal(Messages.length, 1);
    // The walk waits a second for more, in which the message reappears.
    assert.deepEqual(keys(await letters.list(10)), ["uploads/1"]);
  });
});
