import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { ListQueuesCommand, SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { jsonProtocol } from "../../../local/kernel/aws/protocols/json.js";
import { NO_FAULTS } from "../../../local/kernel/faults.js";
import { LARGEST_BODY } from "../../../local/kernel/http-server.js";
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

  it("is settled when nothing is under way, however long the chain", async () => {
    test = await testCloud([]);
    const done: number[] = [];
    const step = (left: number): Promise<void> =>
      test.cloud.busy(new Promise<void>((resolve) => setTimeout(resolve, 2))).then(() => {
        done.push(left);
        return left > 0 ? step(left - 1) : undefined;
      });
    void step(3);
    await test.cloud.settled();
    assert.deepEqual(done, [3, 2, 1, 0]);
  });

  it("asks for a signature even for what needs no permission, unless the protocol lets strangers in", async () => {
    const office = postOffice();
    const { protocol } = office.api!;
    const open = { SendMessage: { needs: () => [], handle: async () => ({}) } };
    const send = () => fetch(test.cloud.url, { method: "POST", headers: { "x-amz-target": "AmazonSQS.SendMessage" }, body: "{}" });
    test = await testCloud([{ ...office, api: { protocol, operations: open } }]);
    assert.equal((await send()).status, 403);
    await test.stop();
    test = await testCloud([
      { ...office, api: { protocol: { ...protocol, identify: async () => ({ kind: "anonymous" }) }, operations: open } },
    ]);
    assert.equal((await send()).status, 200);
  });

  it("tells subscribers of events, and lets no subscriber stop another", async () => {
    test = await testCloud([]);
    const seen: string[] = [];
    test.cloud.subscribe(() => {
      throw new Error("a subscriber's mistake");
    });
    test.cloud.subscribe(({ type }) => seen.push(type));
    test.cloud.publish({ source: "aws.s3", type: "Object Created", resources: [], detail: {} });
    assert.deepEqual(seen, ["Object Created"]);
    assert.match(test.cloud.trace.entries("note")[0]!.text, /a subscriber's mistake/);
  });

  it("throttles and fails calls when it is told to", async () => {
    const fault = new CloudError("ThrottlingException", "Rate exceeded", 400);
    const office = postOffice();
    let faults = 1;
    test = await testCloud([office], { faults: { ...NO_FAULTS, call: () => (faults-- > 0 ? fault : undefined) } });
    await send(new SQSClient(test.client()), "hello");
    assert.deepEqual(office.sent, ["hello"], "the SDK tried again");
    assert.equal(test.cloud.trace.entries("fault").length, 1);
  });

  it("traces every call: what, by whom, how it ended", async () => {
    test = await testCloud([postOffice()]);
    await send(new SQSClient(test.client()), "odd").catch(() => {});
    const [{ text, detail } = {}] = test.cloud.trace.entries("call");
    assert.equal(text, "sqs:SendMessage Odd by arn:aws:iam::000000000000:root");
    assert.equal(detail?.code, "Odd");
  });

  it("is where it was when its folder is kept, with the same key", async () => {
    const folder = await mkdtemp(join(tmpdir(), "embedded-cloud-"));
    try {
      test = await testCloud([], { folder, kept: true });
      const { url, accountCredentials } = test.cloud;
      await test.stop();
      test = await testCloud([], { folder, kept: true });
      assert.equal(test.cloud.url, url);
      assert.deepEqual(test.cloud.accountCredentials, accountCredentials);
    } finally {
      await test.stop();
      await rm(folder, { recursive: true });
    }
  });

  it("goes elsewhere when somebody else is where it was", async () => {
    const folder = await mkdtemp(join(tmpdir(), "embedded-cloud-"));
    const first = await testCloud([], { folder, kept: true });
    test = await testCloud([], { folder, kept: true });
    try {
      assert.notEqual(test.cloud.url, first.cloud.url);
    } finally {
      await first.stop();
    }
    await rm(folder, { recursive: true });
  });

  it("starts services before it is handed over, and stops them in the opposite order", async () => {
    const log: string[] = [];
    const service = (name: string): Service => ({
      name,
      start: async (cloud, folder) => void log.push(`${name} starts with ${basename(folder)} at ${cloud.url.slice(0, 17)}`),
      stop: async () => void log.push(`${name} stops`),
    });
    test = await testCloud([service("a"), service("b")]);
    await test.cloud.stop();
    assert.deepEqual(log, ["a starts with a at http://127.0.0.1:", "b starts with b at http://127.0.0.1:", "b stops", "a stops"]);
  });

  it("has one service of a name", async () => {
    await assert.rejects(testCloud([postOffice(), postOffice()]), /Two services are called sqs/);
  });

  it("hangs up on bodies that are larger than it reads", async () => {
    test = await testCloud([postOffice()]);
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { "content-length": LARGEST_BODY + 1 };
      const sending = request(test.cloud.url, { method: "POST", headers }, (response) => resolve(response.resume().statusCode));
      sending.on("error", reject).flushHeaders();
    });
    assert.equal(status, 413);
  });
});
