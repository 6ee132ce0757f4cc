import { randomUUID } from "node:crypto";
import { armResource, nameIn, resourceId, sameId, TENANT } from "../../../kernel/azure/arm.js";
import { identity, tokenGuard } from "../../../kernel/azure/authority.js";
import { json, restProtocol, SHARED_ENDPOINT } from "../../../kernel/azure/rest.js";
import type { Call, Cloud, CloudEvent } from "../../../kernel/cloud.js";
import { CloudError, type Properties, type Resource, type ResourceType, type Service } from "../../../kernel/service.js";
import { checkFilter, type Filtered, passes } from "./filter.js";

const SYSTEM_TOPIC = "azure-native:eventgrid:SystemTopic";
const SYSTEM_SUBSCRIPTION = "azure-native:eventgrid:SystemTopicEventSubscription";
const TOPIC = "azure-native:eventgrid:Topic";
const SUBSCRIPTION = "azure-native:eventgrid:EventSubscription";
const API = "2025-02-15";
const AUDIENCE = "https://eventgrid.azure.net";
const CLOUD_EVENTS = "CloudEventSchemaV1_0";
/** Bytes of one request. */
const LARGEST = 1024 * 1024;

/**
 * Event Grid: system topics of storage accounts, topics of one's own, and subscriptions that deliver to storage queues as their topic's
 * identity, with dead letters as blobs. What a queue refuses for want of a role is not tried again here: roles take effect at once.
 */
export default function eventGrid(): Service {
  return {
    name: "eventgrid",
    async start(cloud) {
      cloud.subscribe((event) => {
        const topics = cloud.resources.all(SYSTEM_TOPIC).filter(({ outputs }) => event.resources.some((id) => sameId(id, outputs.source)));
        for (const topic of topics) {
          if (event.source === "Microsoft.Storage" && event.detail.data)
            distribute(topic, SYSTEM_SUBSCRIPTION, storageEvent(event, topic, cloud), cloud);
        }
      });
    },
    resources: { [SYSTEM_TOPIC]: systemTopic, [TOPIC]: topic, [SYSTEM_SUBSCRIPTION]: systemSubscription, [SUBSCRIPTION]: subscription },
    functions: {
      "azure-native:eventgrid:getSystemTopic": async ({ systemTopicName }, cloud) => {
        const { id, outputs } = topicNamed(SYSTEM_TOPIC, systemTopicName, cloud);
        return { id, ...outputs };
      },
    },
    api: {
      endpoints: [SHARED_ENDPOINT],
      guard: tokenGuard(AUDIENCE),
      protocol: restProtocol([{ operation: "PublishEvents", method: "POST", path: /^\/topics\/(?<topic>[^/]+)\/api\/events$/ }]),
      operations: {
        PublishEvents: {
          needs: ({ topic: name }, cloud) => [
            { action: "Microsoft.EventGrid/events/send/action", resource: topicNamed(TOPIC, name, cloud).id },
          ],
          async handle({ topic: name, body }, { cloud }) {
            const of = topicNamed(TOPIC, name, cloud);
            for (const event of readEvents(body, of.outputs.inputSchema)) {
              const { type, subject } = event;
              cloud.trace.add({ kind: "message", subject: name, text: `${name}: ${type} ${subject}`, detail: { topic: of.id, ...event } });
              distribute(of, SUBSCRIPTION, event, cloud);
            }
            return { response: json(200, {}) };
          },
        },
      },
    },
  };
}

function topicNamed(type: string, name: string, { resources }: Cloud): Resource {
  const found = resources.all(type).find(({ outputs }) => outputs.name === name);
  if (!found) throw new CloudError("ResourceNotFound", `There is no ${type === TOPIC ? "topic" : "system topic"} "${name}".`, 404);
  return found;
}

const IDENTITY_INPUTS = ["identity.type"];

/** The identity of a topic: of its own, made once. */
function ownIdentity({ identity: given }: Properties, before: Resource | undefined): Properties | undefined {
  if (given === undefined) return undefined;
  if (given.type !== "SystemAssigned") {
    throw new CloudError(
      "FeatureNotSupported",
      `identity.type is "${given.type}": topics of the embedded cloud have "SystemAssigned" identities.`,
    );
  }
  return { type: given.type, principalId: before?.outputs.identity?.principalId ?? randomUUID(), tenantId: TENANT };
}

const systemTopic = armResource({
  type: "Microsoft.EventGrid/systemTopics",
  apiVersion: API,
  inputs: ["resourceGroupName", "systemTopicName", "location", "tags", "source", "topicType", ...IDENTITY_INPUTS],
  named: { input: "systemTopicName", maxLength: 50, style: "plain" },
  replacedBy: ["source", "topicType"],
  location: "regional",
  systemData: true,
  check(inputs) {
    if (inputs.topicType !== undefined && !/^microsoft\.storage\.storageaccounts$/i.test(inputs.topicType)) {
      throw new CloudError(
        "InvalidRequest",
        `topicType is "${inputs.topicType}": the embedded cloud has system topics of Microsoft.Storage.StorageAccounts.`,
      );
    }
    return inputs;
  },
  outputs(inputs, { id, cloud, before }) {
    const other = cloud.resources.all(SYSTEM_TOPIC).find((topic) => topic.id !== id && sameId(topic.outputs.source, inputs.source));
    if (other) {
      throw new CloudError(
        "InvalidRequest",
        `Only one system topic is allowed per source: ${other.outputs.name} is that of ${inputs.source}.`,
      );
    }
    return {
      source: inputs.source,
      topicType: inputs.topicType,
      identity: ownIdentity(inputs, before),
      metricResourceId: before?.outputs.metricResourceId ?? randomUUID(),
      provisioningState: "Succeeded",
    };
  },
});

const topic = armResource({
  type: "Microsoft.EventGrid/topics",
  apiVersion: API,
  inputs: [
    "resourceGroupName",
    "topicName",
    "location",
    "tags",
    "inputSchema",
    "disableLocalAuth",
    "publicNetworkAccess",
    "minimumTlsVersionAllowed",
    ...IDENTITY_INPUTS,
  ],
  named: { input: "topicName", maxLength: 50, style: "plain" },
  replacedBy: ["inputSchema"],
  location: "regional",
  systemData: true,
  check(inputs) {
    if (![undefined, "EventGridSchema", CLOUD_EVENTS].includes(inputs.inputSchema)) {
      throw new CloudError(
        "FeatureNotSupported",
        `inputSchema is "${inputs.inputSchema}": the embedded cloud has EventGridSchema and ${CLOUD_EVENTS}.`,
      );
    }
    return inputs;
  },
  outputs: async (inputs, { name, cloud, before }) => ({
    inputSchema: inputs.inputSchema ?? "EventGridSchema",
    disableLocalAuth: inputs.disableLocalAuth ?? false,
    publicNetworkAccess: inputs.publicNetworkAccess ?? "Enabled",
    minimumTlsVersionAllowed: inputs.minimumTlsVersionAllowed,
    identity: ownIdentity(inputs, before),
    endpoint: `${(await cloud.secure(SHARED_ENDPOINT)).url}/topics/${name}/api/events`,
    metricResourceId: before?.outputs.metricResourceId ?? randomUUID(),
    privateEndpointConnections: [],
    provisioningState: "Succeeded",
  }),
});

const SUBSCRIPTION_INPUTS = [
  "eventSubscriptionName",
  "eventDeliverySchema",
  "deliveryWithResourceIdentity.identity.type",
  ...["endpointType", "resourceId", "queueName", "queueMessageTimeToLiveInSeconds"].map(
    (name) => `deliveryWithResourceIdentity.destination.${name}`,
  ),
  "deadLetterWithResourceIdentity.identity.type",
  ...["endpointType", "resourceId", "blobContainerName"].map((name) => `deadLetterWithResourceIdentity.deadLetterDestination.${name}`),
  "retryPolicy.maxDeliveryAttempts",
  "retryPolicy.eventTimeToLiveInMinutes",
  ...["includedEventTypes", "subjectBeginsWith", "subjectEndsWith", "isSubjectCaseSensitive", "advancedFilters"].map(
    (name) => `filter.${name}`,
  ),
  "labels",
];

function checkSubscription(inputs: Properties): Properties {
  const { deliveryWithResourceIdentity: delivery, deadLetterWithResourceIdentity: dead, retryPolicy = {}, filter = {} } = inputs;
  const refuse = (input: string, value: unknown, allowed: string) =>
    new CloudError("InvalidRequest", `${input} is ${JSON.stringify(value)}: ${allowed}.`);
  if (delivery?.destination?.endpointType !== "StorageQueue") {
    const path = "deliveryWithResourceIdentity.destination.endpointType";
    throw refuse(path, delivery?.destination?.endpointType, "the embedded cloud delivers to storage queues, as the topic's identity");
  }
  if (dead && dead.deadLetterDestination?.endpointType !== "StorageBlob") {
    throw refuse("deadLetterDestination.endpointType", dead.deadLetterDestination?.endpointType, 'it must be "StorageBlob"');
  }
  for (const [path, of] of [
    ["deliveryWithResourceIdentity", delivery],
    ["deadLetterWithResourceIdentity", dead],
  ] as const) {
    if (of && of.identity?.type !== "SystemAssigned")
      throw refuse(`${path}.identity.type`, of.identity?.type, 'it must be "SystemAssigned"');
  }
  const { maxDeliveryAttempts: attempts = 30, eventTimeToLiveInMinutes: minutes = 1_440 } = retryPolicy;
  if (!(attempts >= 1 && attempts <= 30)) throw refuse("retryPolicy.maxDeliveryAttempts", attempts, "it must be 1 to 30");
  if (!(minutes >= 1 && minutes <= 1_440)) throw refuse("retryPolicy.eventTimeToLiveInMinutes", minutes, "it must be 1 to 1440");
  checkFilter(filter);
  return inputs;
}

function subscriptionOutputs(inputs: Properties, topic: Resource, schema: string): Properties {
  if (!topic.outputs.identity) throw new CloudError("InvalidRequest", `${topic.outputs.name} has no identity to deliver as.`);
  const delivered = inputs.eventDeliverySchema ?? schema;
  if (delivered !== schema) {
    throw new CloudError(
      "FeatureNotSupported",
      `eventDeliverySchema is "${delivered}": the embedded cloud delivers events in the schema they came in, ${schema}.`,
    );
  }
  return {
    topic: topic.id,
    eventDeliverySchema: delivered,
    deliveryWithResourceIdentity: inputs.deliveryWithResourceIdentity,
    deadLetterWithResourceIdentity: inputs.deadLetterWithResourceIdentity,
    filter: inputs.filter ?? {},
    labels: inputs.labels,
    retryPolicy: { maxDeliveryAttempts: 30, eventTimeToLiveInMinutes: 1_440, ...inputs.retryPolicy },
    provisioningState: "Succeeded",
  };
}

const systemSubscription: ResourceType = armResource({
  type: "Microsoft.EventGrid/systemTopics/eventSubscriptions",
  apiVersion: API,
  inputs: ["resourceGroupName", "systemTopicName", ...SUBSCRIPTION_INPUTS],
  named: { input: "eventSubscriptionName", maxLength: 64, style: "plain" },
  replacedBy: ["systemTopicName"],
  systemData: true,
  id: ({ resourceGroupName, systemTopicName, eventSubscriptionName }) =>
    resourceId(resourceGroupName, "Microsoft.EventGrid/systemTopics/eventSubscriptions", systemTopicName, eventSubscriptionName),
  check: checkSubscription,
  outputs: (inputs, { cloud }) => subscriptionOutputs(inputs, topicNamed(SYSTEM_TOPIC, inputs.systemTopicName, cloud), "EventGridSchema"),
});

const subscription: ResourceType = armResource({
  type: "Microsoft.EventGrid/eventSubscriptions",
  apiVersion: API,
  inputs: ["scope", ...SUBSCRIPTION_INPUTS],
  named: { input: "eventSubscriptionName", maxLength: 64, style: "plain" },
  replacedBy: ["scope"],
  systemData: true,
  id: ({ scope, eventSubscriptionName }) => `${scope}/providers/Microsoft.EventGrid/eventSubscriptions/${eventSubscriptionName}`,
  check: checkSubscription,
  outputs(inputs, { cloud }) {
    const of = cloud.resources.all(TOPIC).find(({ id }) => sameId(id, inputs.scope));
    if (!of)
      throw new CloudError("ResourceNotFound", `scope is ${inputs.scope}: the embedded cloud has subscriptions of its own topics.`, 404);
    return subscriptionOutputs(inputs, of, of.outputs.inputSchema);
  },
});

/** Hands an event to every subscription of a topic whose filter it passes. */
function distribute(topic: Resource, type: string, event: Filtered, cloud: Cloud): void {
  const subscriptions = cloud.resources.all(type).filter(({ outputs }) => sameId(outputs.topic, topic.id) && passes(event, outputs.filter));
  for (const { id, name: _name, outputs } of subscriptions) {
    const as = identity(topic.outputs.identity.principalId, topic.outputs.name);
    const { destination } = outputs.deliveryWithResourceIdentity;
    const { maxDeliveryAttempts, eventTimeToLiveInMinutes } = outputs.retryPolicy;
    const text = JSON.stringify(event.event);
    const published = cloud.now().toISOString();
    cloud.deliver({
      id: `${event.event.id} ${id}`,
      from: id,
      call: {
        service: "storage",
        operation: "PutMessage",
        input: {
          account: nameIn(destination.resourceId, "storageAccounts"),
          queue: destination.queueName,
          message: Buffer.from(text).toString("base64"),
          timeToLive: destination.queueMessageTimeToLiveInSeconds ?? 604_800,
        },
        as,
      },
      retry: { attempts: maxDeliveryAttempts - 1, maxAge: eventTimeToLiveInMinutes * 60 },
      undeliverable(error): Call | undefined {
        const dead = outputs.deadLetterWithResourceIdentity?.deadLetterDestination;
        const metric = dead ? "DeadLetteredCount" : "DroppedEventCount";
        cloud.publish({ source: "Microsoft.EventGrid", type: "Metric", resources: [topic.id], detail: { metric, value: 1 } });
        if (!dead) return undefined;
        const letter = {
          ...event.event,
          deadLetterReason: error.attempts >= maxDeliveryAttempts ? "MaxDeliveryAttemptsExceeded" : "UndeliverableDueToClientError",
          deliveryAttempts: error.attempts,
          lastDeliveryOutcome: error.code,
          publishTime: published,
          lastDeliveryAttemptTime: cloud.now().toISOString(),
        };
        const hour = cloud.now().toISOString().slice(0, 13).replace(/[-T]/g, "/");
        const blob = `${topic.outputs.name.toUpperCase()}/${outputs.name.toUpperCase()}/${hour}/${randomUUID()}.json`;
        const input = {
          account: nameIn(dead.resourceId, "storageAccounts"),
          container: dead.blobContainerName,
          blob,
          body: JSON.stringify([letter]),
          contentType: "application/json",
        };
        return { service: "storage", operation: "PutBlob", input, as };
      },
    });
  }
}

/** What storage tells, in Event Grid's own schema. */
function storageEvent({ type, detail }: CloudEvent, topic: Resource, cloud: Cloud): Filtered {
  const { subject, data } = detail;
  return {
    type,
    subject,
    event: {
      topic: topic.outputs.source,
      subject,
      eventType: type,
      id: randomUUID(),
      data,
      dataVersion: "",
      metadataVersion: "1",
      eventTime: cloud.now().toISOString(),
    },
  };
}

/** Events of a request, in the schema that the topic takes. @throws CloudError (400) */
function readEvents(body: Buffer, schema: string): Filtered[] {
  if (body.length > LARGEST)
    throw new CloudError("PayloadTooLarge", `A request has at most ${LARGEST} bytes; this has ${body.length}.`, 413);
  const wrong = (why: string) => new CloudError("BadRequest", `The events do not follow the topic's schema, ${schema}: ${why}.`, 400);
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString());
  } catch {
    throw wrong("the body is not JSON");
  }
  const inClouds = schema === CLOUD_EVENTS;
  const required = inClouds ? ["specversion", "id", "source", "type"] : ["id", "subject", "eventType", "eventTime", "dataVersion"];
  return [parsed].flat().map((event) => {
    if (typeof event !== "object" || event === null) throw wrong("an event is not an object");
    const given = event as Properties;
    const missing = required.filter((member) => typeof given[member] !== "string");
    if (missing.length > 0) throw wrong(`missing are ${missing.join(", ")}`);
    if (inClouds && given.specversion !== "1.0") throw wrong(`specversion is "${given.specversion}", not "1.0"`);
    return { type: inClouds ? given.type : given.eventType, subject: given.subject ?? "", event: given };
  });
}
