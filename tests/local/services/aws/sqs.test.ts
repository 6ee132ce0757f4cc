import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageBatchCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  PurgeQueueCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import type { Resource } from "../../../../local/kernel/service.js";
import iam from "../../../../local/services/aws/iam.js";
import sqs from "../../../../local/services/aws/sqs/index.js";
import { type TestCloud, testCloud } from "../../cloud.js";

const QUEUE = "aws:sqs/queue:Queue";

describe("SQS", () => {
  let test: TestCloud;
  let now: number;
  let client: SQSClient;
  let queue: Resource;
  let QueueUrl: string;

  const start = async (inputs = {}, options = {}) => {
    now = Date.now();
    test = await testCloud([sqs(), iam()], { clock: () => new Date(now), ...options });
    queue = await test.declare(QUEUE, "letters", inputs);
    QueueUrl = queue.outputs.url;
    client = new SQSClient({ ...test.client(), maxAttempts: 1 });
  };
  afterEach(async () => {
    client?.destroy();
    await test?.stop();
  });

  const send = (MessageBody: string, more = {}) => client.send(new SendMessageCommand({ QueueUrl, MessageBody, ...more }));
  const receive = async (more = {}) => (await client.send(new ReceiveMessageCommand({ QueueUrl, ...more }))).Messages ?? [];
  const attributes = async (AttributeNames: string[]) =>
    (await client.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: AttributeNames as never }))).Attributes;

  it("gives back what it was given, attributes and all, with digests that the SDK accepts", async () => {
    await start();
    const MessageAttributes = {
      status: { DataType: "String", StringValue: "füll" },
      count: { DataType: "Number", StringValue: "3" },
      raw: { DataType: "Binary", BinaryValue: Uint8Array.from([0, 255, 7]) },
    };
    const { MessageId } = await send('{"key":"ü"}', { MessageAttributes });
    const [message] = await receive({ MessageAttributeNames: ["All"], MessageSystemAttributeNames: ["All"] });
    assert.equal(message?.MessageId, MessageId);
    assert.equal(message?.Body, '{"key":"ü"}');
    assert.deepEqual(message?.MessageAttributes?.status, MessageAttributes.status);
    assert.deepEqual([...(message?.MessageAttributes?.raw?.BinaryValue ?? [])], [0, 255, 7]);
    assert.equal(message?.Attributes?.ApproximateReceiveCount, "1");
    assert.equal(message?.Attributes?.SentTimestamp, String(now));
  });

  it("hides a received message for its visibility timeout, and counts its receives", async () => {
    await start({ visibilityTimeoutSeconds: 30 });
    await send("once");
    assert.equal((await receive()).length, 1);
    assert.equal((await receive()).length, 0);
    now += 30_001;
    const [again] = await receive({ MessageSystemAttributeNames: ["ApproximateReceiveCount"] });
    assert.equal(again?.Attributes?.ApproximateReceiveCount, "2");
  });

  it("forgets a deleted message, also by the handle of an earlier receive", async () => {
    await start();
    await send("once");
    const [first] = await receive();
    now += 30_001;
    await receive();
    await client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: first?.ReceiptHandle }));
    now += 30_001;
    assert.deepEqual(await receive(), []);
  });

  it("shows a message again when its receiver says so, and only while it is in flight", async () => {
    await start();
    await send("once");
    const [first] = await receive();
    const show = new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle: first?.ReceiptHandle, VisibilityTimeout: 0 });
    await client.send(show);
    await assert.rejects(client.send(show), { name: "MessageNotInflight" });
    assert.equal((await receive()).length, 1);
  });

  it("changes visibility by the handle of the latest receive only", async () => {
    await start();
    await send("once");
    const [first] = await receive();
    now += 30_001;
    const [second] = await receive();
    const show = (ReceiptHandle: string | undefined) =>
      client.send(new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout: 0 }));
    await assert.rejects(show(first?.ReceiptHandle), { name: "MessageNotInflight" });
    await show(second?.ReceiptHandle);
  });

  it("digests attributes by name, type and value, each with its length", async () => {
    await start();
    const MessageAttributes = {
      b: { DataType: "Binary", BinaryValue: Uint8Array.from([7]) },
      a: { DataType: "String", StringValue: "xy" },
    };
    const text = "\0\0\0\x01a\0\0\0\x06String\x01\0\0\0\x02xy\0\0\0\x01b\0\0\0\x06Binary\x02\0\0\0\x01\x07";
    const { MD5OfMessageAttributes } = await send("x", { MessageAttributes });
    assert.equal(MD5OfMessageAttributes, createHash("md5").update(text, "latin1").digest("hex"));
  });

  it("wakes whoever waits for a message when one comes", async () => {
    await start();
    const waiting = receive({ WaitTimeSeconds: 20 });
    await new Promise((resolve) => setTimeout(resolve, 20));
    const sent = Date.now();
    await send("come");
    assert.equal((await waiting)[0]?.Body, "come");
    assert(Date.now() - sent < 1_000);
  });

  it("wakes whoever waits when a hidden message shows again", async () => {
    test = await testCloud([sqs()]);
    queue = await test.declare(QUEUE, "letters");
    QueueUrl = queue.outputs.url;
    client = new SQSClient(test.client());
    await send("again");
    await receive({ VisibilityTimeout: 1 });
    assert.equal((await receive({ WaitTimeSeconds: 5 })).length, 1);
  });

  it("moves a message to the dead-letter queue when it was received too often", async () => {
    await start();
    const parked = await test.declare(QUEUE, "parked");
    const redrivePolicy = JSON.stringify({ deadLetterTargetArn: parked.outputs.arn, maxReceiveCount: 2 });
    await test.change(queue, { ...queue.inputs, redrivePolicy });
    const { MessageId } = await send("poison");
    for (let receives = 0; receives < 2; receives++) {
      assert.equal((await receive({ VisibilityTimeout: 0 })).length, 1);
    }
    assert.deepEqual(await receive(), []);
    QueueUrl = parked.outputs.url;
    const [letter] = await receive({ MessageSystemAttributeNames: ["All"] });
    assert.equal(letter?.MessageId, MessageId);
    assert.equal(letter?.Attributes?.DeadLetterQueueSourceArn, queue.outputs.arn);
    assert.equal(letter?.Attributes?.ApproximateReceiveCount, "1");
  });

  it("does batches, each entry for itself", async () => {
    await start({ maxMessageSize: 1_024 });
    const sent = await client.send(
      new SendMessageBatchCommand({
        QueueUrl,
        Entries: [
          { Id: "a", MessageBody: "a" },
          { Id: "b", MessageBody: "b".repeat(1_025) },
          { Id: "c", MessageBody: "c" },
        ],
      }),
    );
    assert.deepEqual(
      sent.Successful?.map(({ Id }) => Id),
      ["a", "c"],
    );
    assert.deepEqual(
      sent.Failed?.map(({ Id, Code }) => [Id, Code]),
      [["b", "InvalidParameterValue"]],
    );
    const messages = await receive({ MaxNumberOfMessages: 10 });
    const Entries = messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
    assert.equal((await client.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }))).Successful?.length, 2);
    const twice = new SendMessageBatchCommand({
      QueueUrl,
      Entries: [
        { Id: "a", MessageBody: "a" },
        { Id: "a", MessageBody: "a" },
      ],
    });
    await assert.rejects(client.send(twice), { name: "BatchEntryIdsNotDistinct" });
  });

  it("counts what is visible, in flight and delayed", async () => {
    await start();
    await send("visible");
    await send("in flight");
    await send("delayed", { DelaySeconds: 60 });
    await receive();
    assert.deepEqual(
      await attributes(["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]),
      {
        ApproximateNumberOfMessages: "1",
        ApproximateNumberOfMessagesNotVisible: "1",
        ApproximateNumberOfMessagesDelayed: "1",
      },
    );
    now += 60_001;
    assert.equal((await attributes(["ApproximateNumberOfMessagesDelayed"]))?.ApproximateNumberOfMessagesDelayed, "0");
  });

  it("drops messages after their retention, and all when purged", async () => {
    await start({ messageRetentionSeconds: 60 });
    await send("old");
    now += 60_001;
    assert.deepEqual(await receive(), []);
    await send("new");
    await client.send(new PurgeQueueCommand({ QueueUrl }));
    assert.deepEqual(await receive(), []);
  });

  it("is found by name", async () => {
    await start();
    assert.equal((await client.send(new GetQueueUrlCommand({ QueueName: queue.outputs.name }))).QueueUrl, QueueUrl);
    await assert.rejects(client.send(new GetQueueUrlCommand({ QueueName: "nobody" })), { name: "QueueDoesNotExist" });
  });

  it("refuses bodies that SQS refuses", async () => {
    await start();
    await assert.rejects(send(""), { name: "MissingParameter" });
    await assert.rejects(send("\u0000"), { name: "InvalidMessageContents" });
    await assert.rejects(send("x".repeat(262_145)), { name: "InvalidParameterValue" });
    await assert.rejects(receive({ MaxNumberOfMessages: 11 }), { name: "InvalidParameterValue" });
  });

  it("refuses settings that SQS refuses, before creating anything", async () => {
    await start();
    await assert.rejects(test.declare(QUEUE, "odd", { visibilityTimeoutSeconds: 43_201 }), {
      code: "InvalidAttributeValue",
      message: /from 0 to 43200/,
    });
    await assert.rejects(test.declare(QUEUE, "odd", { name: "a.fifo" }), { message: /FIFO queues are not emulated/ });
    await assert.rejects(test.declare("aws:sqs/queuePolicy:QueuePolicy", "odd", { queueUrl: QueueUrl, policy: "{" }), {
      message: /not JSON/,
    });
  });

  it("lets services in by the queue's policy only, on behalf of whom it names", async () => {
    await start();
    const as = (source: string) => ({ kind: "service", service: "events.amazonaws.com", source }) as const;
    const put = (source: string) =>
      test.cloud.call({ service: "sqs", operation: "SendMessage", input: { QueueUrl, MessageBody: "x" }, as: as(source) });
    await assert.rejects(put("arn:aws:events:us-east-1:000000000000:rule/a"), {
      code: "AccessDeniedException",
      message: /because no resource-based policy allows/,
    });
    const Condition = { ArnEquals: { "aws:SourceArn": "arn:aws:events:us-east-1:000000000000:rule/a" } };
    const Statement = {
      Effect: "Allow",
      Principal: { Service: "events.amazonaws.com" },
      Action: "sqs:SendMessage",
      Resource: queue.outputs.arn,
      Condition,
    };
    await test.declare("aws:sqs/queuePolicy:QueuePolicy", "rules", { queueUrl: QueueUrl, policy: { Version: "2012-10-17", Statement } });
    await put("arn:aws:events:us-east-1:000000000000:rule/a");
    await assert.rejects(put("arn:aws:events:us-east-1:000000000000:rule/b"), { code: "AccessDeniedException" });
  });

  it("keeps its messages from run to run", async () => {
    const folder = await mkdtemp(join(tmpdir(), "queues-"));
    try {
      await start({}, { folder, kept: true });
      await send("kept");
      await test.stop();
      const before = queue;
      test = await testCloud([sqs()], { folder, kept: true });
      const outputs = await test.restore(before);
      client = new SQSClient(test.client());
      QueueUrl = outputs.outputs.url;
      assert.equal((await receive())[0]?.Body, "kept");
    } finally {
      await test.stop();
      await rm(folder, { recursive: true });
    }
  });
});
