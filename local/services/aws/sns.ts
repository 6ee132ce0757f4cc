import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArn } from "../../kernel/aws/arn.js";
import { compileEventPattern } from "../../kernel/aws/event-pattern.js";
import { validatePolicy } from "../../kernel/aws/policy.js";
import { queryProtocol } from "../../kernel/aws/protocols/query.js";
import type { Call, Cloud } from "../../kernel/cloud.js";
import {
  CloudError,
  type Operation,
  type PolicyDocument,
  type Principal,
  type Properties,
  type Resource,
  type ResourceType,
  type Service,
} from "../../kernel/service.js";

const TOPIC = "aws:sns/topic:Topic";
const TOPIC_POLICY = "aws:sns/topicPolicy:TopicPolicy";
const SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription";
const LARGEST_MESSAGE = 262_144;
/** What SNS does for queues and functions: 100,015 retries over 23 days. */
const RETRY = { attempts: 100_015, maxAge: 23 * 86_400 };

interface Notification {
  id: string;
  topic: string;
  message: string;
  subject?: string;
  attributes: Record<string, { DataType: string; StringValue?: string; BinaryValue?: string }>;
  at: string;
}

/**
 * Simple Notification Service: standard topics with subscriptions of queues, functions and e-mail addresses.
 * An e-mail becomes a file of its own in the service's folder and a `message` in the trace; its address counts as confirmed at once.
 */
export default function sns(): Service {
  let outbox = "";
  let letters = 0;

  const topicOf = (arn: unknown, cloud: Cloud): Resource => {
    const topic = typeof arn === "string" ? cloud.resources.byArn(arn) : undefined;
    if (topic?.type !== TOPIC) throw new CloudError("NotFound", "Topic does not exist", 404);
    return topic;
  };

  const publish = (input: Properties, cloud: Cloud): Properties => {
    const topic = topicOf(input.TopicArn ?? input.TargetArn, cloud).outputs.arn;
    const notification = notificationOf(input, topic, cloud);
    for (const subscription of cloud.resources.all(SUBSCRIPTION)) {
      if (subscription.outputs.topic !== topic || !accepts(subscription, notification)) continue;
      const as: Principal = { kind: "service", service: "sns.amazonaws.com", source: topic };
      const parked = deadLetterQueueOf(subscription);
      cloud.deliver({
        id: `${notification.id} ${subscription.outputs.arn}`,
        from: topic,
        call: callFor(subscription, notification, as, cloud),
        retry: RETRY,
        undeliverable: () =>
          parked === undefined
            ? undefined
            : {
                service: "sqs",
                operation: "SendMessage",
                input: { QueueUrl: queueUrl(parked, cloud), MessageBody: envelope(notification) },
                as,
              },
      });
    }
    return { MessageId: notification.id };
  };

  const onTopic =
    (action: string): Operation["needs"] =>
    ({ TopicArn, TargetArn }) => [{ action: `sns:${action}`, resource: String(TopicArn ?? TargetArn ?? "*") }];

  const operations: Record<string, Operation> = {
    Publish: { needs: onTopic("Publish"), handle: async (input, { cloud }) => publish(input, cloud) },

    PublishBatch: {
      needs: onTopic("Publish"),
      async handle({ TopicArn, PublishBatchRequestEntries: entries = [] }, { cloud }) {
        if (entries.length === 0) throw new CloudError("EmptyBatchRequest", "The batch request doesn't contain any entries.", 400);
        if (entries.length > 10)
          throw new CloudError("TooManyEntriesInBatchRequest", "The batch request contains more entries than permissible.", 400);
        const Successful: Properties[] = [];
        const Failed: Properties[] = [];
        for (const entry of entries) {
          try {
            Successful.push({ Id: entry.Id, ...publish({ ...entry, TopicArn }, cloud) });
          } catch (error) {
            if (!(error instanceof CloudError)) throw error;
            Failed.push({ Id: entry.Id, Code: error.code, Message: error.message, SenderFault: true });
          }
        }
        return { Successful, Failed };
      },
    },

    GetTopicAttributes: {
      needs: onTopic("GetTopicAttributes"),
      async handle({ TopicArn }, { cloud }) {
        const { outputs } = topicOf(TopicArn, cloud);
        const subscriptions = cloud.resources.all(SUBSCRIPTION).filter(({ outputs: { topic } }) => topic === TopicArn).length;
        return {
          Attributes: new Map([
            ["TopicArn", outputs.arn],
            ["Owner", outputs.owner],
            ["DisplayName", outputs.displayName ?? ""],
            ["Policy", JSON.stringify(policyOf(TopicArn, cloud))],
            ["SubscriptionsConfirmed", String(subscriptions)],
            ["SubscriptionsPending", "0"],
          ]),
        };
      },
    },

    ListSubscriptionsByTopic: {
      needs: onTopic("ListSubscriptionsByTopic"),
      async handle({ TopicArn }, { cloud }) {
        topicOf(TopicArn, cloud);
        const found = cloud.resources.all(SUBSCRIPTION).filter(({ outputs }) => outputs.topic === TopicArn);
        return {
          Subscriptions: found.map(({ outputs }) => ({
            SubscriptionArn: outputs.arn,
            Owner: outputs.ownerId,
            Protocol: outputs.protocol,
            Endpoint: outputs.endpoint,
            TopicArn,
          })),
        };
      },
    },

    /** Not SNS's: how a delivery reaches an address. For SNS itself only. */
    DeliverEmail: {
      needs: () => [],
      async handle({ to, subject, body, topic, attributes }, { cloud, principal }) {
        if (principal.kind !== "service")
          throw new CloudError("InvalidAction", "The embedded cloud does not implement sns:DeliverEmail", 400);
        const file = join(outbox, `${String(++letters).padStart(4, "0")}-${randomUUID().slice(0, 8)}.eml`);
        const headers = [
          `Date: ${cloud.now().toUTCString()}`,
          "From: AWS Notifications <no-reply@sns.amazonaws.com>",
          `To: ${to}`,
          `Subject: ${subject}`,
        ];
        const letter = [...headers, "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "", body, ""].join("\r\n");
        await writeFile(file, letter);
        cloud.trace.add({
          kind: "message",
          subject: to,
          text: `E-mail to ${to}: ${subject}`,
          detail: { to, subject, body, topic, attributes, file },
        });
        return {};
      },
    },
  };

  return {
    name: "sns",
    resources: { [TOPIC]: topic, [TOPIC_POLICY]: topicPolicy, [SUBSCRIPTION]: subscription },
    api: {
      protocol: queryProtocol({ signing: "sns", version: "2010-03-31", namespace: "http://sns.amazonaws.com/doc/2010-03-31/" }),
      operations,
      policyOf,
    },
    async start(_cloud, folder) {
      outbox = folder;
    },
  };
}

const topic: ResourceType = {
  inputs: ["name", "displayName", "policy", "tags"],
  replacedBy: ["name"],
  named: { input: "name", maxLength: 256 },

  check(inputs) {
    if (!/^[\w-]{1,256}$/.test(inputs.name))
      throw refuse("topic's name", inputs.name, "have 1 to 256 letters, digits, _ and - (FIFO topics are not emulated)");
    if (inputs.policy) validatePolicy(inputs.policy, "resource", "InvalidParameter");
    return inputs;
  },

  async create(inputs, cloud) {
    const arn = arnOf(inputs.name, cloud);
    if (cloud.resources.byArn(arn)) throw refuse("topic's name", inputs.name, "not be that of another topic");
    return { id: arn, outputs: topicOutputs(inputs, cloud) };
  },

  update: async (_id, inputs, _before, cloud) => topicOutputs(inputs, cloud),
  delete: async () => {},
};

function topicOutputs(inputs: Properties, cloud: Cloud): Properties {
  const arn = arnOf(inputs.name, cloud);
  return {
    ...inputs,
    arn,
    beginningArchiveTime: "",
    fifoThroughputScope: "",
    fifoTopic: false,
    contentBasedDeduplication: false,
    namePrefix: "",
    owner: cloud.account,
    policy: text(inputs.policy ?? defaultPolicy(arn, cloud)),
    region: cloud.region,
    signatureVersion: 0,
    tagsAll: inputs.tags ?? {},
    tracingConfig: "",
  };
}

const topicPolicy: ResourceType = {
  inputs: ["arn", "policy"],
  replacedBy: ["arn"],

  check(inputs) {
    validatePolicy(inputs.policy, "resource", "InvalidParameter");
    return inputs;
  },

  async create(inputs, cloud) {
    if (cloud.resources.byArn(inputs.arn)?.type !== TOPIC) throw new CloudError("NotFound", "Topic does not exist", 404);
    return { id: inputs.arn, outputs: { ...inputs, policy: text(inputs.policy), owner: cloud.account, region: cloud.region } };
  },

  update: async (_id, inputs, { outputs }) => ({ ...outputs, ...inputs, policy: text(inputs.policy) }),
  delete: async () => {},
};

const PROTOCOLS = ["email", "sqs", "lambda"];

const subscription: ResourceType = {
  inputs: ["topic", "protocol", "endpoint", "filterPolicy", "filterPolicyScope", "rawMessageDelivery", "redrivePolicy"],
  replacedBy: ["topic", "protocol", "endpoint"],

  check(inputs) {
    const { protocol, endpoint, filterPolicy, filterPolicyScope, rawMessageDelivery = false, redrivePolicy } = inputs;
    if (!PROTOCOLS.includes(protocol))
      throw refuse("subscription's protocol", protocol, `be one of ${PROTOCOLS.join(", ")}; others are not emulated`);
    const service = parseArn(endpoint)?.service;
    if (protocol === "email" ? !/^[^\s@<>]+@[^\s@<>]+$/.test(endpoint) : service !== protocol) {
      throw refuse(
        "subscription's endpoint",
        endpoint,
        protocol === "email" ? "be an e-mail address" : `be the ARN of a ${protocol === "sqs" ? "queue" : "function"}`,
      );
    }
    if (filterPolicyScope !== undefined && !["MessageAttributes", "MessageBody"].includes(filterPolicyScope)) {
      throw refuse("filterPolicyScope", filterPolicyScope, "be MessageAttributes or MessageBody");
    }
    if (filterPolicy) compileEventPattern(filterPolicy, "InvalidParameter");
    if (rawMessageDelivery && protocol !== "sqs")
      throw refuse("rawMessageDelivery", true, "be left out: only queues get raw messages here");
    if (redrivePolicy && parseArn(asObject(redrivePolicy).deadLetterTargetArn ?? "")?.service !== "sqs") {
      throw refuse("redrivePolicy", redrivePolicy, "have the deadLetterTargetArn of a queue");
    }
    return inputs;
  },

  async create(inputs, cloud) {
    if (cloud.resources.byArn(inputs.topic)?.type !== TOPIC) throw new CloudError("NotFound", "Topic does not exist", 404);
    const arn = `${inputs.topic}:${randomUUID()}`;
    return { id: arn, outputs: subscriptionOutputs(inputs, arn, cloud) };
  },

  update: async (id, inputs, _before, cloud) => subscriptionOutputs(inputs, id, cloud),
  delete: async () => {},
};

function subscriptionOutputs(inputs: Properties, arn: string, cloud: Cloud): Properties {
  return {
    confirmationTimeoutInMinutes: 1,
    endpointAutoConfirms: false,
    rawMessageDelivery: false,
    ...inputs,
    arn,
    confirmationWasAuthenticated: true,
    filterPolicy: inputs.filterPolicy ? text(inputs.filterPolicy) : "",
    filterPolicyScope: inputs.filterPolicyScope ?? (inputs.filterPolicy ? "MessageAttributes" : ""),
    ownerId: cloud.account,
    pendingConfirmation: false,
    region: cloud.region,
    redrivePolicy: inputs.redrivePolicy ? text(inputs.redrivePolicy) : "",
  };
}

function notificationOf(
  { Message, Subject, MessageAttributes = {}, MessageStructure }: Properties,
  topicArn: string,
  cloud: Cloud,
): Notification {
  if (typeof Message !== "string" || Message === "") throw new CloudError("InvalidParameter", "Invalid parameter: Empty message", 400);
  if (Buffer.byteLength(Message) > LARGEST_MESSAGE) throw new CloudError("InvalidParameter", "Invalid parameter: Message too long", 400);
  if (MessageStructure !== undefined) throw new CloudError("InvalidParameter", "Invalid parameter: MessageStructure is not emulated", 400);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const printable = /^[^\u0000-\u001f\u007f]{1,99}$/;
  if (Subject !== undefined && (typeof Subject !== "string" || !printable.test(Subject))) {
    throw new CloudError("InvalidParameter", "Invalid parameter: Subject", 400);
  }
  for (const [name, { DataType, StringValue, BinaryValue }] of Object.entries(MessageAttributes as Notification["attributes"])) {
    const value = DataType?.startsWith("Binary") ? BinaryValue : StringValue;
    if (!/^(String|Number|Binary|String\.Array)$/.test(DataType ?? "") || typeof value !== "string" || value === "") {
      throw new CloudError(
        "InvalidParameterValue",
        `The message attribute '${name}' must have a DataType (String, String.Array, Number or Binary) and a value that is not empty.`,
        400,
      );
    }
  }
  return {
    id: randomUUID(),
    topic: topicArn,
    message: Message,
    ...(Subject === undefined ? {} : { subject: Subject }),
    attributes: MessageAttributes,
    at: cloud.now().toISOString(),
  };
}

function accepts({ outputs }: Resource, { attributes, message }: Notification): boolean {
  if (!outputs.filterPolicy) return true;
  const matches = compileEventPattern(outputs.filterPolicy, "InvalidParameter");
  if (outputs.filterPolicyScope === "MessageBody") {
    try {
      return matches(JSON.parse(message));
    } catch {
      return false;
    }
  }
  const values = Object.entries(attributes).map(([name, { DataType, StringValue, BinaryValue }]) => {
    if (DataType === "Number") return [name, Number(StringValue)];
    if (DataType === "String.Array") return [name, JSON.parse(StringValue ?? "[]")];
    return [name, StringValue ?? BinaryValue];
  });
  return matches(Object.fromEntries(values));
}

function callFor(subscription: Resource, notification: Notification, as: Principal, cloud: Cloud): Call {
  const { protocol, endpoint, rawMessageDelivery } = subscription.outputs;
  if (protocol === "email") {
    const { subject = "AWS Notification Message", message: body, topic } = notification;
    return {
      service: "sns",
      operation: "DeliverEmail",
      input: { to: endpoint, subject, body, topic, attributes: notification.attributes },
      as,
    };
  }
  if (protocol === "lambda") {
    const Payload = JSON.stringify({
      Records: [{ EventSource: "aws:sns", EventVersion: "1.0", EventSubscriptionArn: subscription.outputs.arn, Sns: record(notification) }],
    });
    return { service: "lambda", operation: "Invoke", input: { FunctionName: endpoint, InvocationType: "Event", Payload }, as };
  }
  const raw = rawMessageDelivery ? { MessageBody: notification.message, MessageAttributes: notification.attributes } : undefined;
  const input = { QueueUrl: queueUrl(endpoint, cloud), ...(raw ?? { MessageBody: envelope(notification) }) };
  return { service: "sqs", operation: "SendMessage", input, as };
}

/** What queues get. Unlike AWS's it is not signed: nobody could check a signature of the embedded cloud. */
function envelope(notification: Notification): string {
  return JSON.stringify(record(notification));
}

function record({ id, topic, subject, message, at, attributes }: Notification): Properties {
  const listed = Object.entries(attributes).map(([name, { DataType, StringValue, BinaryValue }]) => [
    name,
    { Type: DataType, Value: StringValue ?? BinaryValue },
  ]);
  return {
    Type: "Notification",
    MessageId: id,
    TopicArn: topic,
    ...(subject === undefined ? {} : { Subject: subject }),
    Message: message,
    Timestamp: at,
    ...(listed.length > 0 ? { MessageAttributes: Object.fromEntries(listed) } : {}),
  };
}

function policyOf(resource: string, cloud: Cloud): PolicyDocument | undefined {
  const declared = cloud.resources.get(TOPIC_POLICY, resource)?.outputs.policy ?? cloud.resources.byArn(resource)?.inputs.policy;
  if (declared) return asObject(declared) as PolicyDocument;
  return cloud.resources.byArn(resource)?.type === TOPIC ? defaultPolicy(resource, cloud) : undefined;
}

/** What lies on a topic that nobody gave a policy. */
function defaultPolicy(arn: string, { account }: Cloud): PolicyDocument {
  return {
    Version: "2008-10-17",
    Id: "__default_policy_ID",
    Statement: [
      {
        Sid: "__default_statement_ID",
        Effect: "Allow",
        Principal: { AWS: "*" },
        Action: [
          "GetTopicAttributes",
          "SetTopicAttributes",
          "AddPermission",
          "RemovePermission",
          "DeleteTopic",
          "Subscribe",
          "ListSubscriptionsByTopic",
          "Publish",
        ].map((name) => `SNS:${name}`),
        Resource: arn,
        Condition: { StringEquals: { "AWS:SourceOwner": account } },
      },
    ],
  };
}

function deadLetterQueueOf({ outputs }: Resource): string | undefined {
  return outputs.redrivePolicy ? asObject(outputs.redrivePolicy).deadLetterTargetArn : undefined;
}

function refuse(what: string, value: unknown, must: string): CloudError {
  return new CloudError("InvalidParameter", `Invalid parameter: the ${what} is ${JSON.stringify(value)}; it must ${must}.`, 400);
}

const arnOf = (name: string, { partition, region, account }: Cloud) => `arn:${partition}:sns:${region}:${account}:${name}`;
const queueUrl = (arn: string, { url, account }: Cloud) => `${url}/${account}/${parseArn(arn)?.resource}`;
const text = (document: string | object): string => (typeof document === "string" ? document : JSON.stringify(document));
const asObject = (document: string | Properties): Properties => (typeof document === "string" ? JSON.parse(document) : document);
