import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import {
  GetTopicAttributesCommand,
  ListSubscriptionsByTopicCommand,
  PublishBatchCommand,
  PublishCommand,
  SNSClient,
} from "@aws-sdk/client-sns";
import { jsonProtocol } from "../../../../local/kernel/aws/protocols/json.js";
import type { Principal, Properties, Resource, Service } from "../../../../local/kernel/service.js";
import iam from "../../../../local/services/aws/iam.js";
import sns from "../../../../local/services/aws/sns.js";
import sqs from "../../../../local/services/aws/sqs/index.js";
import { type TestCloud, testCloud } from "../../cloud.js";

const TOPIC = "aws:sns/topic:Topic";
const SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription";

/** Takes the place of Lambda: remembers what it is invoked with. */
function functions(): Service & { invoked: Properties[] } {
  const invoked: Properties[] = [];
  return {
    name: "lambda",
    invoked,
    api: {
      protocol: jsonProtocol({ signing: "lambda", target: "None", version: "1.1" }),
      operations: {
        Invoke: {
          needs: () => [],
          async handle(input) {
            invoked.push(input);
            return {};
          },
        },
      },
    },
  };
}

describe("SNS", () => {
  let test: TestCloud;
  let client: SNSClient;
  let topic: Resource;
  let lambda: ReturnType<typeof functions>;
  beforeEach(async () => {
    lambda = functions();
    test = await testCloud([sns(), sqs(), iam(), lambda]);
    topic = await test.declare(TOPIC, "results", { name: "results" });
    client = new SNSClient(test.client());
  });
  afterEach(() => test.stop());

  const publish = async (Message: string, more: Properties = {}) => {
    const { MessageId } = await client.send(new PublishCommand({ TopicArn: topic.id, Message, ...more }));
    await test.cloud.settled();
    return MessageId;
  };
  const status = (StringValue: string) => ({ MessageAttributes: { status: { DataType: "String", StringValue } } });
  const emails = () =>
    test.cloud.trace.entries("message").map(({ detail }) => detail as { to: string; subject: string; body: string; file: string });

  /** A queue that the topic may send to, subscribed with these settings. */
  const subscribedQueue = async (more: Properties = {}) => {
    const queue = await test.declare("aws:sqs/queue:Queue", "letters");
    const Statement = {
      Effect: "Allow",
      Principal: { Service: "sns.amazonaws.com" },
      Action: "sqs:SendMessage",
      Resource: "*",
      Condition: { ArnEquals: { "aws:SourceArn": topic.id } },
    };
    await test.declare("aws:sqs/queuePolicy:QueuePolicy", "letters", {
      queueUrl: queue.outputs.url,
      policy: { Version: "2012-10-17", Statement },
    });
    await test.declare(SUBSCRIPTION, "queue", { topic: topic.id, protocol: "sqs", endpoint: queue.outputs.arn, ...more });
    return queue;
  };
  const received = async (queue: Resource): Promise<Properties[]> => {
    const input = { QueueUrl: queue.outputs.url, MaxNumberOfMessages: 10, MessageAttributeNames: ["All"] };
    return (await test.cloud.call({ service: "sqs", operation: "ReceiveMessage", input, as: test.owner })).Messages ?? [];
  };

  it("sends e-mail: a file, and a line in the trace", async () => {
    await test.declare(SUBSCRIPTION, "ops", { topic: topic.id, protocol: "email", endpoint: "ops@example.org" });
    await publish("All is well.", { Subject: "Done" });
    const [mail] = emails();
    assert.deepEqual([mail?.to, mail?.subject, mail?.body], ["ops@example.org", "Done", "All is well."]);
    const letter = await readFile(mail!.file, "utf8");
    assert.match(letter, /^To: ops@example.org\r$/m);
    assert.match(letter, /\r\n\r\nAll is well\.\r\n$/);
  });

  it("sends only what a filter on attributes lets through", async () => {
    await test.declare(SUBSCRIPTION, "ops", {
      topic: topic.id,
      protocol: "email",
      endpoint: "ops@example.org",
      filterPolicy: '{"status":["failed"]}',
      filterPolicyScope: "MessageAttributes",
    });
    await publish("good", status("completed"));
    await publish("no status");
    await publish("bad", status("failed"));
    assert.deepEqual(
      emails().map(({ body }) => body),
      ["bad"],
    );
  });

  it("sends only what a filter on the body lets through", async () => {
    await test.declare(SUBSCRIPTION, "ops", {
      topic: topic.id,
      protocol: "email",
      endpoint: "ops@example.org",
      filterPolicy: '{"size":[{"numeric":[">",5]}]}',
      filterPolicyScope: "MessageBody",
    });
    await publish('{"size":9}');
    await publish('{"size":1}');
    await publish("no JSON");
    assert.deepEqual(
      emails().map(({ body }) => body),
      ['{"size":9}'],
    );
  });

  it("puts an envelope into queues", async () => {
    const queue = await subscribedQueue();
    const MessageId = await publish("hello <&>", { Subject: "Hi", ...status("completed") });
    const [message] = await received(queue);
    const envelope = JSON.parse(message?.Body);
    assert.deepEqual(
      [envelope.Type, envelope.MessageId, envelope.TopicArn, envelope.Subject, envelope.Message],
      ["Notification", MessageId, topic.id, "Hi", "hello <&>"],
    );
    assert.deepEqual(envelope.MessageAttributes, { status: { Type: "String", Value: "completed" } });
  });

  it("puts the message itself into queues that want it raw", async () => {
    const queue = await subscribedQueue({ rawMessageDelivery: true });
    await publish("hello", status("completed"));
    const [message] = await received(queue);
    assert.equal(message?.Body, "hello");
    assert.deepEqual(message?.MessageAttributes?.status, { DataType: "String", StringValue: "completed" });
  });

  it("parks what a queue refuses, when the subscription says where", async () => {
    const [closed, parked] = [await test.declare("aws:sqs/queue:Queue", "closed"), await test.declare("aws:sqs/queue:Queue", "parked")];
    const Statement = {
      Effect: "Allow",
      Principal: { Service: "sns.amazonaws.com" },
      Action: "sqs:SendMessage",
      Resource: parked.outputs.arn,
    };
    await test.declare("aws:sqs/queuePolicy:QueuePolicy", "parked", {
      queueUrl: parked.outputs.url,
      policy: { Version: "2012-10-17", Statement },
    });
    const redrivePolicy = { deadLetterTargetArn: parked.outputs.arn };
    await test.declare(SUBSCRIPTION, "closed", { topic: topic.id, protocol: "sqs", endpoint: closed.outputs.arn, redrivePolicy });
    await publish("lost?");
    assert.deepEqual(await received(closed), []);
    assert.equal(JSON.parse((await received(parked))[0]?.Body).Message, "lost?");
  });

  it("invokes functions with a record", async () => {
    const endpoint = "arn:aws:lambda:us-east-1:000000000000:function:notify";
    await test.declare(SUBSCRIPTION, "function", { topic: topic.id, protocol: "lambda", endpoint });
    await publish("hello");
    const [{ FunctionName, InvocationType, Payload } = {}] = lambda.invoked;
    assert.deepEqual([FunctionName, InvocationType], [endpoint, "Event"]);
    const [record] = JSON.parse(Payload).Records;
    assert.deepEqual([record.EventSource, record.Sns.Message, record.Sns.TopicArn], ["aws:sns", "hello", topic.id]);
  });

  it("publishes batches, and tells of topics and subscriptions", async () => {
    await test.declare(SUBSCRIPTION, "ops", { topic: topic.id, protocol: "email", endpoint: "ops@example.org" });
    const PublishBatchRequestEntries = [
      { Id: "a", Message: "1" },
      { Id: "b", Message: "2", Subject: "line\nbreak" },
    ];
    const { Successful, Failed } = await client.send(new PublishBatchCommand({ TopicArn: topic.id, PublishBatchRequestEntries }));
    assert.deepEqual([Successful?.map(({ Id }) => Id), Failed?.map(({ Id }) => Id)], [["a"], ["b"]]);
    const { Attributes } = await client.send(new GetTopicAttributesCommand({ TopicArn: topic.id }));
    assert.equal(Attributes?.SubscriptionsConfirmed, "1");
    const { Subscriptions } = await client.send(new ListSubscriptionsByTopicCommand({ TopicArn: topic.id }));
    assert.deepEqual(
      Subscriptions?.map(({ Protocol, Endpoint }) => [Protocol, Endpoint]),
      [["email", "ops@example.org"]],
    );
    await test.cloud.settled();
  });

  it("refuses what SNS refuses, by SNS's names", async () => {
    await assert.rejects(publish("x", { Subject: "s".repeat(100) }), { name: "InvalidParameterException" });
    await assert.rejects(publish("x", { Subject: "a\nb" }), { name: "InvalidParameterException" });
    await assert.rejects(publish("x", { TopicArn: `${topic.id}x` }), { name: "NotFoundException" });
    await assert.rejects(test.declare(SUBSCRIPTION, "odd", { topic: topic.id, protocol: "sms", endpoint: "+1" }), {
      message: /be one of email, sqs, lambda/,
    });
    await assert.rejects(test.declare(SUBSCRIPTION, "odd", { topic: topic.id, protocol: "email", endpoint: "nobody" }), {
      message: /be an e-mail address/,
    });
    await assert.rejects(
      test.declare(SUBSCRIPTION, "odd", { topic: topic.id, protocol: "email", endpoint: "a@b.c", filterPolicy: '{"a":"b"}' }),
      { code: "InvalidParameter" },
    );
  });

  it("lets roles publish that may, and nobody else", async () => {
    const assumeRolePolicy = {
      Version: "2012-10-17",
      Statement: { Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" },
    };
    const role = await test.declare("aws:iam/role:Role", "role", { assumeRolePolicy });
    const asRole = new SNSClient(test.clientFor(role));
    const send = () => asRole.send(new PublishCommand({ TopicArn: topic.id, Message: "x" }));
    await assert.rejects(send(), { name: "AuthorizationErrorException", message: /is not authorized to perform: sns:Publish/ });
    await test.declare("aws:iam/rolePolicy:RolePolicy", "grant", {
      role: role.id,
      policy: { Version: "2012-10-17", Statement: { Effect: "Allow", Action: "sns:Publish", Resource: topic.id } },
    });
    await send();
  });

  it("lets alarms publish by its default policy, and rules only by one that names them", async () => {
    const put = (service: string) =>
      test.cloud.call({
        service: "sns",
        operation: "Publish",
        input: { TopicArn: topic.id, Message: "x" },
        as: { kind: "service", service } satisfies Principal,
      });
    await put("cloudwatch.amazonaws.com");
    await assert.rejects(put("events.amazonaws.com"), { code: "AuthorizationError" });
    const Statement = { Effect: "Allow", Principal: { Service: "events.amazonaws.com" }, Action: "sns:Publish", Resource: topic.id };
    await test.declare("aws:sns/topicPolicy:TopicPolicy", "policy", { arn: topic.id, policy: { Version: "2012-10-17", Statement } });
    await put("events.amazonaws.com");
    await assert.rejects(put("cloudwatch.amazonaws.com"), { code: "AuthorizationError" });
  });
});
