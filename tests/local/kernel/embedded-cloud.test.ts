import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { ListQueuesCommand, SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { jsonProtocol } from "../../../local/kernel/aws/protocols/json.js";
import { CloudError, type PolicyDocument, type Service } from "../../../local/kernel/service.js";
import iam from "../../../local/services/aws/iam.js";
import { type TestCloud, testCloud } from "../cloud.js";

const LAMBDA_TRUST = {
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" }],
};
const QUEUE = "arn:aws:sqs:us-east-1:000000000000:letters";

/** A service that answers SendMessage, so that the path can be seen without a real one. */
function postOffice(policy?: PolicyDocument): Service & { sent: unknown[] } {
  const sent: unknown[] = [];
  return {
    name: "sqs",
    sent,
    api: {
      protocol: jsonProtocol({ signing: "sqs", target: "AmazonSQS", version: "1.0", queryErrors: { Odd: "AWS.Odd" } }),
      policyOf: () => policy,
      operations: {
        SendMessage: {
          needs: () => [{ action: "sqs:SendMessage", resource: QUEUE }],
          handle: async (input) => {
            if (input.MessageBody === "odd") throw new CloudError("Odd", "That is odd.", 409);
            if (input.MessageBody === "bug") throw new TypeError("x is not a function");
            sent.push(input.MessageBody);
            return { MessageId: "1", MD5OfMessageBody: createHash("md5").update(input.MessageBody).digest("hex") };
          },
        },
      },
    },
  };
}

describe("The embedded cloud", () => {
  let test: TestCloud;
  afterEach(() => test?.stop());

  const send = (sqs: SQSClient, MessageBody: string) => sqs.send(new SendMessageCommand({ QueueUrl: "http://x", MessageBody }));

  it("lets the account do what no policy denies", async () => {
    const office = postOffice();
    test = await testCloud([office]);
    await send(new SQSClient(test.client()), "hello");
    assert.deepEqual(office.sent, ["hello"]);
  });

  it("refuses a role what its policies do not allow, in AWS's words", async () => {
    const office = postOffice();
    test = await testCloud([office, iam()]);
    const role = await test.declare("aws:iam/role:Role", "clerk", { assumeRolePolicy: LAMBDA_TRUST });
    await assert.rejects(send(new SQSClient(test.clientFor(role)), "hello"), {
      name: "AccessDeniedException",
      message: `User: arn:aws:sts::000000000000:assumed-role/${role.id}/test is not authorized to perform: sqs:SendMessage on resource: ${QUEUE} because no identity-based policy allows the sqs:SendMessage action`,
    });
    assert.deepEqual(office.sent, []);
  });

  it("lets a role do what one of its policies allows, from the moment that it does", async () => {
    const office = postOffice();
    test = await testCloud([office, iam()]);
    const role = await test.declare("aws:iam/role:Role", "clerk", { assumeRolePolicy: LAMBDA_TRUST });
    const sqs = new SQSClient(test.clientFor(role));
    const policy = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "sqs:SendMessage", Resource: QUEUE }] };
    const grant = await test.declare("aws:iam/rolePolicy:RolePolicy", "may-send", { role: role.id, policy });
    await send(sqs, "hello");
    await test.remove(grant);
    await assert.rejects(send(sqs, "again"), { name: "AccessDeniedException" });
    assert.deepEqual(office.sent, ["hello"]);
  });

  it("heeds a deny on the resource even of the account", async () => {
    test = await testCloud([postOffice({ Statement: { Effect: "Deny", Principal: "*", Action: "sqs:*", Resource: QUEUE } })]);
    await assert.rejects(send(new SQSClient(test.client()), "hello"), { message: /with an explicit deny in a resource-based policy$/ });
  });

  it("names the call that it does not implement", async () => {
    test = await testCloud([postOffice()]);
    await assert.rejects(new SQSClient(test.client()).send(new ListQueuesCommand({})), {
      message: "The embedded cloud does not implement sqs:ListQueues",
    });
  });

  it("names the service that it does not have", async () => {
    test = await testCloud([]);
    const sqs = new SQSClient({ ...test.client(), maxAttempts: 1 });
    await assert.rejects(send(sqs, "hello"), { message: 'The embedded cloud has no service "sqs" that answers POST /' });
  });

  it("answers with the service's error, under the name that the query protocol gave it", async () => {
    test = await testCloud([postOffice()]);
    await assert.rejects(send(new SQSClient(test.client()), "odd"), { name: "AWS.Odd", message: "That is odd." });
  });

  it("tells a mistake in a service from the service's errors, and keeps its stack", async () => {
    test = await testCloud([postOffice()]);
    const sqs = new SQSClient({ ...test.client(), maxAttempts: 1 });
    await assert.rejects(send(sqs, "bug"), { name: "InternalFailure", message: "x is not a function" });
    const [note] = test.cloud.trace.entries("note");
    assert.match(String(note?.detail?.stack), /embedded-cloud\.test/);
  });

  it("asks an unsigned caller for a signature", async () => {
    test = await testCloud([postOffice()]);
    const response = await fetch(test.cloud.url, { method: "POST", headers: { "x-amz-target": "AmazonSQS.SendMessage" }, body: "{}" });
    assert.equal(response.status, 403);
    assert.equal(((await response.json()) as { __type: string }).__type, "MissingAuthenticationTokenException");
  });
});
