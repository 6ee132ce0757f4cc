import { join } from "node:path";
import { parseArn } from "../../../kernel/aws/arn.js";
import { validatePolicy } from "../../../kernel/aws/policy.js";
import { jsonProtocol } from "../../../kernel/aws/protocols/json.js";
import type { Cloud } from "../../../kernel/cloud.js";
import {
  CloudError,
  type Operation,
  type PolicyDocument,
  type Principal,
  type Properties,
  type ResourceType,
  type Service,
} from "../../../kernel/service.js";
import { checkMessage, type Message, md5, md5OfAttributes } from "./message.js";
import { MessageQueue, type QueueSettings } from "./message-queue.js";

const QUEUE = "aws:sqs/queue:Queue";
const QUEUE_POLICY = "aws:sqs/queuePolicy:QueuePolicy";
const SECONDS_BETWEEN_METRICS = 60;

/** Error codes of the query protocol, which SDKs still report as the error's name. */
const QUERY_ERRORS = {
  QueueDoesNotExist: "AWS.SimpleQueueService.NonExistentQueue",
  QueueNameExists: "QueueAlreadyExists",
  PurgeQueueInProgress: "AWS.SimpleQueueService.PurgeQueueInProgress",
  EmptyBatchRequest: "AWS.SimpleQueueService.EmptyBatchRequest",
  TooManyEntriesInBatchRequest: "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
  BatchEntryIdsNotDistinct: "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
  InvalidBatchEntryId: "AWS.SimpleQueueService.InvalidBatchEntryId",
  BatchRequestTooLong: "AWS.SimpleQueueService.BatchRequestTooLong",
  MessageNotInflight: "AWS.SimpleQueueService.MessageNotInflight",
  UnsupportedOperation: "AWS.SimpleQueueService.UnsupportedOperation",
  AccessDeniedException: "AccessDenied",
};

/** Simple Queue Service: standard queues. (FIFO queues are not emulated, and refused.) */
export default function sqs(): Service {
  const queues = new Map<string, MessageQueue>();
  let folder = "";
  let gauge: NodeJS.Timeout | undefined;

  const open = async (inputs: Properties, cloud: Cloud): Promise<void> => {
    const { name } = inputs;
    const queue = new MessageQueue({
      name,
      arn: arnOf(name, cloud),
      file: join(folder, `${name}.json`),
      settings: settingsOf(inputs),
      now: () => cloud.now().getTime(),
      changed: () => report(queue, cloud),
    });
    await queue.load();
    queues.set(name, queue);
    report(queue, cloud);
  };

  /** Reports a queue's length as it changes; a cloud reports once a minute, but nobody wants to wait for that here. */
  const reported = new Map<string, number>();
  const report = (queue: MessageQueue, cloud: Cloud, always = false) => {
    const { visible } = queue.counts();
    if (!always && reported.get(queue.name) === visible) return;
    reported.set(queue.name, visible);
    const MetricData = [
      {
        MetricName: "ApproximateNumberOfMessagesVisible",
        Dimensions: [{ Name: "QueueName", Value: queue.name }],
        Value: visible,
        Unit: "Count",
      },
    ];
    const as = { kind: "service", service: "sqs.amazonaws.com", source: queue.arn } as const;
    // A cloud without CloudWatch has queues all the same.
    const call = cloud.call({ service: "monitoring", operation: "PutMetricData", input: { Namespace: "AWS/SQS", MetricData }, as });
    void cloud.busy(call.catch(() => {}));
  };

  const queueOf = (input: Properties): MessageQueue => {
    const queue = queues.get(nameIn(input));
    if (!queue) throw new CloudError("QueueDoesNotExist", "The specified queue does not exist.", 400);
    return queue;
  };

  const queue: ResourceType = {
    inputs: [
      "name",
      "visibilityTimeoutSeconds",
      "messageRetentionSeconds",
      "delaySeconds",
      "receiveWaitTimeSeconds",
      "maxMessageSize",
      "redrivePolicy",
      "policy",
      "sqsManagedSseEnabled",
      "tags",
    ],
    replacedBy: ["name"],
    named: { input: "name", maxLength: 80 },

    check(inputs) {
      if (!/^[\w-]{1,80}$/.test(inputs.name))
        throw refuse("name", inputs.name, "have 1 to 80 letters, digits, _ and - (FIFO queues are not emulated)");
      const complete = { ...DEFAULTS, ...inputs };
      for (const [name, [low, high]] of Object.entries(BOUNDS)) {
        const value = complete[name as keyof typeof DEFAULTS] as unknown;
        if (!Number.isInteger(value) || (value as number) < low || (value as number) > high)
          throw refuse(name, value, `be an integer from ${low} to ${high}`);
      }
      if (inputs.policy) validatePolicy(inputs.policy, "resource", "InvalidAttributeValue");
      if (inputs.redrivePolicy) redriveOf(inputs.redrivePolicy);
      return complete;
    },

    async create(inputs, cloud) {
      if (queues.has(inputs.name)) throw new CloudError("QueueNameExists", `A queue with the name ${inputs.name} already exists.`, 400);
      await open(inputs, cloud);
      return { id: urlOf(inputs.name, cloud), outputs: outputsOf(inputs, cloud) };
    },

    async update(_id, inputs, _before, cloud) {
      queues.get(inputs.name)!.settings = settingsOf(inputs);
      return outputsOf(inputs, cloud);
    },

    async delete({ inputs }) {
      await queues.get(inputs.name)?.remove();
      queues.delete(inputs.name);
      reported.delete(inputs.name);
    },

    async restore({ inputs }, cloud) {
      await open(inputs, cloud);
      return outputsOf(inputs, cloud);
    },
  };

  const queuePolicy: ResourceType = {
    inputs: ["queueUrl", "policy"],
    replacedBy: ["queueUrl"],

    check(inputs) {
      validatePolicy(inputs.policy, "resource", "InvalidAttributeValue");
      return inputs;
    },

    async create(inputs, cloud) {
      queueOf({ QueueUrl: inputs.queueUrl });
      return { id: inputs.queueUrl, outputs: { ...inputs, policy: text(inputs.policy), region: cloud.region } };
    },

    update: async (_id, inputs, _before, cloud) => ({ ...inputs, policy: text(inputs.policy), region: cloud.region }),
    delete: async () => {},
  };

  const policyOf = (resource: string, cloud: Cloud): PolicyDocument | undefined => {
    const name = parseArn(resource)?.resource;
    const attached = cloud.resources.all(QUEUE_POLICY).find(({ outputs }) => nameIn({ QueueUrl: outputs.queueUrl }) === name);
    const policy = attached?.outputs.policy ?? cloud.resources.byArn(resource)?.inputs.policy;
    return policy ? (typeof policy === "string" ? JSON.parse(policy) : policy) : undefined;
  };

  const needs =
    (action: string): Operation["needs"] =>
    (input, cloud) => [{ action: `sqs:${action}`, resource: arnOf(nameIn(input), cloud) }];

  const send = (target: MessageQueue, input: Properties, principal: Principal): Properties => {
    const content = checkMessage(input, target.settings.maxMessageSize);
    const { DelaySeconds: delay } = input;
    if (delay !== undefined) within("DelaySeconds", delay, 0, 900);
    const message = target.send(content, { senderId: senderOf(principal), ...(delay === undefined ? {} : { delay }) });
    const attributes = md5OfAttributes(content.attributes);
    return { MessageId: message.id, MD5OfMessageBody: md5(content.body), ...(attributes ? { MD5OfMessageAttributes: attributes } : {}) };
  };

  const operations: Record<string, Operation> = {
    GetQueueUrl: {
      needs: needs("GetQueueUrl"),
      handle: async (input, { cloud }) => ({ QueueUrl: urlOf(queueOf(input).name, cloud) }),
    },

    ListQueues: {
      needs: (_input, { partition, region, account }) => [
        { action: "sqs:ListQueues", resource: `arn:${partition}:sqs:${region}:${account}:*` },
      ],
      handle: async ({ QueueNamePrefix = "" }, { cloud }) => ({
        QueueUrls: [...queues.keys()].filter((name) => name.startsWith(QueueNamePrefix)).map((name) => urlOf(name, cloud)),
      }),
    },

    GetQueueAttributes: {
      needs: needs("GetQueueAttributes"),
      async handle(input, { cloud }) {
        const all = attributesOf(queueOf(input), cloud);
        const wanted: string[] = input.AttributeNames ?? [];
        const unknown = wanted.find((name) => name !== "All" && !KNOWN_ATTRIBUTES.has(name));
        if (unknown) throw new CloudError("InvalidAttributeName", `Unknown Attribute ${unknown}.`, 400);
        const chosen = Object.entries(all).filter(
          ([name, value]) => value !== undefined && (wanted.includes("All") || wanted.includes(name)),
        );
        return chosen.length > 0 ? { Attributes: Object.fromEntries(chosen) } : {};
      },
    },

    SendMessage: {
      needs: needs("SendMessage"),
      handle: async (input, { principal }) => send(queueOf(input), input, principal),
    },

    SendMessageBatch: {
      needs: needs("SendMessage"),
      async handle(input, { principal }) {
        const target = queueOf(input);
        return batch(input.Entries, (entry) => send(target, entry, principal));
      },
    },

    ReceiveMessage: {
      needs: needs("ReceiveMessage"),
      async handle(input, { cloud }) {
        const source = queueOf(input);
        const { settings } = source;
        const {
          MaxNumberOfMessages: count = 1,
          WaitTimeSeconds: wait = settings.receiveWait,
          VisibilityTimeout: visibility = settings.visibilityTimeout,
        } = input;
        within("MaxNumberOfMessages", count, 1, 10);
        within("WaitTimeSeconds", wait, 0, 20);
        within("VisibilityTimeout", visibility, 0, 43_200);
        const park = (message: Message) => {
          const deadLetters = queues.get(parseArn(source.settings.redrive?.deadLetterTargetArn ?? "")?.resource ?? "");
          if (!deadLetters) return false;
          deadLetters.take(message, source.arn);
          cloud.trace.add({
            kind: "note",
            subject: source.name,
            text: `A message of ${source.name} was received too often and moved to ${deadLetters.name}`,
            detail: { id: message.id },
          });
          return true;
        };
        const received = await source.receive({ count, wait, visibility }, park);
        return received.length > 0 ? { Messages: received.map((message) => describe(message, input)) } : {};
      },
    },

    DeleteMessage: {
      needs: needs("DeleteMessage"),
      async handle(input) {
        queueOf(input).delete(input.ReceiptHandle);
        return {};
      },
    },

    DeleteMessageBatch: {
      needs: needs("DeleteMessage"),
      async handle(input) {
        const source = queueOf(input);
        return batch(input.Entries, ({ ReceiptHandle }) => {
          source.delete(ReceiptHandle);
          return {};
        });
      },
    },

    ChangeMessageVisibility: {
      needs: needs("ChangeMessageVisibility"),
      async handle(input) {
        within("VisibilityTimeout", input.VisibilityTimeout, 0, 43_200);
        queueOf(input).changeVisibility(input.ReceiptHandle, input.VisibilityTimeout);
        return {};
      },
    },

    ChangeMessageVisibilityBatch: {
      needs: needs("ChangeMessageVisibility"),
      async handle(input) {
        const source = queueOf(input);
        return batch(input.Entries, ({ ReceiptHandle, VisibilityTimeout }) => {
          within("VisibilityTimeout", VisibilityTimeout, 0, 43_200);
          source.changeVisibility(ReceiptHandle, VisibilityTimeout);
          return {};
        });
      },
    },

    PurgeQueue: {
      needs: needs("PurgeQueue"),
      async handle(input) {
        queueOf(input).purge();
        return {};
      },
    },
  };

  return {
    name: "sqs",
    resources: { [QUEUE]: queue, [QUEUE_POLICY]: queuePolicy },
    api: {
      protocol: jsonProtocol({
        signing: "sqs",
        target: "AmazonSQS",
        version: "1.0",
        namespace: "com.amazonaws.sqs",
        queryErrors: QUERY_ERRORS,
      }),
      operations,
      policyOf,
    },

    async start(cloud, own) {
      folder = own;
      gauge = setInterval(() => {
        for (const each of queues.values()) if (each.counts().visible > 0) report(each, cloud, true);
      }, SECONDS_BETWEEN_METRICS * 1_000).unref();
    },

    async stop() {
      clearInterval(gauge);
      await Promise.all([...queues.values()].map((each) => each.close()));
    },
  };
}

const DEFAULTS = {
  visibilityTimeoutSeconds: 30,
  messageRetentionSeconds: 345_600,
  delaySeconds: 0,
  receiveWaitTimeSeconds: 0,
  maxMessageSize: 262_144,
  sqsManagedSseEnabled: true,
};

const BOUNDS = {
  visibilityTimeoutSeconds: [0, 43_200],
  messageRetentionSeconds: [60, 1_209_600],
  delaySeconds: [0, 900],
  receiveWaitTimeSeconds: [0, 20],
  maxMessageSize: [1_024, 1_048_576],
} as const satisfies Partial<Record<keyof typeof DEFAULTS, readonly [number, number]>>;

function settingsOf(inputs: Properties): QueueSettings {
  const redrive = inputs.redrivePolicy ? redriveOf(inputs.redrivePolicy) : undefined;
  return {
    visibilityTimeout: inputs.visibilityTimeoutSeconds,
    delay: inputs.delaySeconds,
    receiveWait: inputs.receiveWaitTimeSeconds,
    retention: inputs.messageRetentionSeconds,
    maxMessageSize: inputs.maxMessageSize,
    ...(redrive ? { redrive } : {}),
  };
}

function redriveOf(policy: string | Properties): NonNullable<QueueSettings["redrive"]> {
  const { deadLetterTargetArn, maxReceiveCount } = typeof policy === "string" ? JSON.parse(policy) : policy;
  if (parseArn(deadLetterTargetArn ?? "")?.service !== "sqs")
    throw refuse("redrivePolicy.deadLetterTargetArn", deadLetterTargetArn, "be the ARN of a queue");
  const count = Number(maxReceiveCount);
  if (!Number.isInteger(count) || count < 1 || count > 1_000)
    throw refuse("redrivePolicy.maxReceiveCount", maxReceiveCount, "be an integer from 1 to 1000");
  return { deadLetterTargetArn, maxReceiveCount: count };
}

function outputsOf(inputs: Properties, cloud: Cloud): Properties {
  return {
    ...inputs,
    arn: arnOf(inputs.name, cloud),
    url: urlOf(inputs.name, cloud),
    contentBasedDeduplication: false,
    deduplicationScope: "",
    fifoQueue: false,
    fifoThroughputLimit: "",
    kmsDataKeyReusePeriodSeconds: 300,
    namePrefix: "",
    policy: inputs.policy ? text(inputs.policy) : "",
    redriveAllowPolicy: "",
    redrivePolicy: inputs.redrivePolicy ? text(inputs.redrivePolicy) : "",
    region: cloud.region,
    tagsAll: inputs.tags ?? {},
  };
}

const KNOWN_ATTRIBUTES = new Set([
  "QueueArn",
  "ApproximateNumberOfMessages",
  "ApproximateNumberOfMessagesNotVisible",
  "ApproximateNumberOfMessagesDelayed",
  "CreatedTimestamp",
  "LastModifiedTimestamp",
  "VisibilityTimeout",
  "MaximumMessageSize",
  "MessageRetentionPeriod",
  "DelaySeconds",
  "ReceiveMessageWaitTimeSeconds",
  "RedrivePolicy",
  "Policy",
  "SqsManagedSseEnabled",
]);

function attributesOf(queue: MessageQueue, cloud: Cloud): Record<string, string | undefined> {
  const { settings } = queue;
  const { visible, inFlight, delayed } = queue.counts();
  const declared = cloud.resources.byArn(queue.arn);
  const created = String(Math.floor(queue.createdAt / 1_000));
  return {
    QueueArn: queue.arn,
    ApproximateNumberOfMessages: String(visible),
    ApproximateNumberOfMessagesNotVisible: String(inFlight),
    ApproximateNumberOfMessagesDelayed: String(delayed),
    CreatedTimestamp: created,
    LastModifiedTimestamp: created,
    VisibilityTimeout: String(settings.visibilityTimeout),
    MaximumMessageSize: String(settings.maxMessageSize),
    MessageRetentionPeriod: String(settings.retention),
    DelaySeconds: String(settings.delay),
    ReceiveMessageWaitTimeSeconds: String(settings.receiveWait),
    RedrivePolicy: settings.redrive ? JSON.stringify(settings.redrive) : undefined,
    SqsManagedSseEnabled: String(declared?.inputs.sqsManagedSseEnabled ?? true),
  };
}

/** A message as its receiver asked to see it. */
function describe(message: Message, { AttributeNames, MessageSystemAttributeNames, MessageAttributeNames = [] }: Properties): Properties {
  const system: Record<string, string | undefined> = {
    SenderId: message.senderId,
    SentTimestamp: String(message.sentAt),
    ApproximateReceiveCount: String(message.receiveCount),
    ApproximateFirstReceiveTimestamp: String(message.firstReceivedAt),
    DeadLetterQueueSourceArn: message.deadLetterOf,
  };
  const wanted: string[] = [...(AttributeNames ?? []), ...(MessageSystemAttributeNames ?? [])];
  const Attributes = Object.entries(system).filter(
    ([name, value]) => value !== undefined && (wanted.includes("All") || wanted.includes(name)),
  );
  const asked = (name: string) =>
    MessageAttributeNames.some(
      (pattern: string) => ["All", ".*", name].includes(pattern) || (pattern.endsWith(".*") && name.startsWith(pattern.slice(0, -1))),
    );
  const attributes = Object.fromEntries(Object.entries(message.attributes).filter(([name]) => asked(name)));
  const digest = md5OfAttributes(attributes);
  return {
    MessageId: message.id,
    ReceiptHandle: message.receipt,
    Body: message.body,
    MD5OfBody: md5(message.body),
    ...(Attributes.length > 0 ? { Attributes: Object.fromEntries(Attributes) } : {}),
    ...(digest ? { MessageAttributes: attributes, MD5OfMessageAttributes: digest } : {}),
  };
}

/** Does each entry for itself: one that fails does not stop the others. */
function batch(entries: unknown, one: (entry: Properties) => Properties): Properties {
  if (!Array.isArray(entries) || entries.length === 0)
    throw new CloudError("EmptyBatchRequest", "There should be at least one entry in the request.", 400);
  if (entries.length > 10)
    throw new CloudError(
      "TooManyEntriesInBatchRequest",
      `Maximum number of entries per request are 10. You have sent ${entries.length}.`,
      400,
    );
  const ids = entries.map(({ Id }) => Id);
  const odd = ids.find((id) => typeof id !== "string" || !/^[\w-]{1,80}$/.test(id));
  if (odd !== undefined)
    throw new CloudError(
      "InvalidBatchEntryId",
      "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
      400,
    );
  if (new Set(ids).size < ids.length)
    throw new CloudError("BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.", 400);
  const Successful: Properties[] = [];
  const Failed: Properties[] = [];
  for (const entry of entries) {
    try {
      Successful.push({ Id: entry.Id, ...one(entry) });
    } catch (error) {
      if (!(error instanceof CloudError)) throw error;
      Failed.push({ Id: entry.Id, SenderFault: error.status < 500, Code: error.code, Message: error.message });
    }
  }
  return { Successful, ...(Failed.length > 0 ? { Failed } : {}) };
}

function within(name: string, value: unknown, low: number, high: number): void {
  if (Number.isInteger(value) && (value as number) >= low && (value as number) <= high) return;
  throw new CloudError(
    "InvalidParameterValue",
    `Value ${value} for parameter ${name} is invalid. Reason: Must be between ${low} and ${high}, if provided.`,
    400,
  );
}

/** A queue's URL ends in its name, whatever host the caller knows it by. */
function nameIn({ QueueUrl, QueueName }: Properties): string {
  return String(QueueName ?? QueueUrl ?? "").replace(/^.*\//, "");
}

function senderOf(principal: Principal): string {
  if (principal.kind === "service") return principal.service;
  return principal.kind === "anonymous" ? "anonymous" : principal.arn.split(":").slice(4).join(":");
}

function refuse(input: string, value: unknown, must: string): CloudError {
  return new CloudError("InvalidAttributeValue", `The queue's ${input} is ${JSON.stringify(value)}: it must ${must}.`, 400);
}

const arnOf = (name: string, { partition, region, account }: Cloud) => `arn:${partition}:sqs:${region}:${account}:${name}`;
const urlOf = (name: string, { url, account }: Cloud) => `${url}/${account}/${name}`;
const text = (document: string | object): string => (typeof document === "string" ? document : JSON.stringify(document));
