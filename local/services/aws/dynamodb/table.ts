import type { Cloud } from "../../../kernel/cloud.js";
import { CloudError, type Properties, type ResourceType } from "../../../kernel/service.js";
import type { Engine } from "./engine.js";
import { expireItems } from "./expiry.js";

export const tableArn = ({ partition, region, account }: Cloud, name: string): string =>
  `arn:${partition}:dynamodb:${region}:${account}:table/${name}`;

/** A table that is paid by request, with global secondary indexes, time to live and deletion protection. */
export function tableType(engine: () => Engine): ResourceType {
  return {
    inputs: [
      ...["attributes", "billingMode", "deletionProtectionEnabled", "hashKey", "name", "pointInTimeRecovery", "rangeKey", "tags", "ttl"],
      "serverSideEncryption.enabled",
      ...["hashKey", "keySchemas", "name", "nonKeyAttributes", "projectionType", "rangeKey"].map(
        (input) => `globalSecondaryIndexes[].${input}`,
      ),
    ],
    replacedBy: ["name", "hashKey", "rangeKey"],
    named: { input: "name", maxLength: 255 },

    check(inputs) {
      const { billingMode = "PROVISIONED", hashKey, ttl } = inputs;
      if (billingMode !== "PAY_PER_REQUEST")
        throw invalid(
          `billingMode is ${JSON.stringify(billingMode)}: the embedded cloud has no provisioned throughput to enforce. Use "PAY_PER_REQUEST".`,
        );
      if (!hashKey) throw invalid('hashKey is missing: a table needs one, for example hashKey: "id".');
      if (ttl?.enabled && !ttl.attributeName)
        throw invalid("ttl.attributeName is missing: it names the attribute with the time to expire, in seconds.");
      checkAttributes(inputs);
      return inputs;
    },

    async create(inputs, cloud) {
      const { name } = inputs;
      await engine().createTable({
        TableName: name,
        BillingMode: "PAY_PER_REQUEST",
        AttributeDefinitions: attributesOf(inputs),
        KeySchema: keySchema(inputs.hashKey, inputs.rangeKey),
        ...((inputs.globalSecondaryIndexes?.length ?? 0) > 0 && { GlobalSecondaryIndexes: indexesOf(inputs) }),
      });
      return { id: name, outputs: outputs(inputs, cloud) };
    },

    async update(id, inputs, before, cloud) {
      const changed = (...members: string[]) =>
        members.some((member) => JSON.stringify(inputs[member]) !== JSON.stringify(before.inputs[member]));
      if (changed("globalSecondaryIndexes", "attributes")) {
        checkKeyTypes(inputs, before.inputs);
        await engine().reindex(id, indexesOf(inputs), attributesOf(inputs));
      }
      return outputs(inputs, cloud);
    },

    async delete({ id, inputs }) {
      if (inputs.deletionProtectionEnabled)
        throw invalid("Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.");
      await engine()
        .deleteTable(id)
        .catch((error) => {
          if (!(error instanceof CloudError && error.code === "ResourceNotFoundException")) throw error;
        });
    },

    async restore({ id, inputs }, cloud) {
      await engine().repair(id);
      if (inputs.ttl?.enabled) await expireItems(engine(), cloud, id, inputs.ttl.attributeName);
      return outputs(inputs, cloud);
    },
  };
}

function outputs(inputs: Properties, cloud: Cloud): Properties {
  const {
    name,
    globalSecondaryIndexes = [],
    deletionProtectionEnabled = false,
    pointInTimeRecovery,
    serverSideEncryption,
    tags,
    ttl,
  } = inputs;
  return {
    ...inputs,
    arn: tableArn(cloud, name),
    attributes: inputs.attributes ?? [],
    deletionProtectionEnabled,
    globalSecondaryIndexes,
    globalTableWitness: { regionName: "" },
    pointInTimeRecovery: { enabled: false, recoveryPeriodInDays: pointInTimeRecovery?.enabled ? 35 : 0, ...pointInTimeRecovery },
    readCapacity: 0,
    serverSideEncryption: { enabled: false, kmsKeyArn: "", ...serverSideEncryption },
    streamArn: "",
    streamLabel: "",
    streamViewType: "",
    tableClass: "STANDARD",
    tags: tags ?? {},
    ttl: { attributeName: "", enabled: false, ...ttl },
    warmThroughput: { readUnitsPerSecond: 12_000, writeUnitsPerSecond: 4_000 },
    writeCapacity: 0,
  };
}

const attributesOf = ({ attributes = [] }: Properties): Properties[] =>
  attributes.map(({ name, type }: Properties) => ({ AttributeName: name, AttributeType: type }));

const keySchema = (hashKey: string, rangeKey?: string): Properties[] => [
  { AttributeName: hashKey, KeyType: "HASH" },
  ...(rangeKey ? [{ AttributeName: rangeKey, KeyType: "RANGE" }] : []),
];

const indexesOf = ({ globalSecondaryIndexes = [] }: Properties): Properties[] =>
  globalSecondaryIndexes.map((index: Properties) => ({
    IndexName: index.name,
    KeySchema: indexKeys(index),
    Projection: {
      ProjectionType: index.projectionType,
      ...((index.nonKeyAttributes?.length ?? 0) > 0 && { NonKeyAttributes: index.nonKeyAttributes }),
    },
  }));

/** Keys of an index in either of the forms that the provider takes: `keySchemas`, or the deprecated `hashKey` and `rangeKey`. */
function indexKeys({ name, keySchemas, hashKey, rangeKey }: Properties): Properties[] {
  if (!keySchemas?.length) {
    if (!hashKey) throw invalid(`The index "${name}" has no key: give it keySchemas: [{ attributeName, keyType: "HASH" }].`);
    return keySchema(hashKey, rangeKey);
  }
  if (hashKey || rangeKey) throw invalid(`The index "${name}" has keySchemas as well as hashKey or rangeKey: keep keySchemas.`);
  const named = (type: string): string[] =>
    keySchemas.filter(({ keyType }: Properties) => keyType === type).map(({ attributeName }: Properties) => attributeName);
  const [hashes, ranges] = [named("HASH"), named("RANGE")];
  if (hashes.length + ranges.length !== keySchemas.length) throw invalid(`The index "${name}" has a keyType other than HASH and RANGE.`);
  if (hashes.length !== 1 || ranges.length > 1)
    throw invalid(
      `The index "${name}" has ${hashes.length} HASH and ${ranges.length} RANGE keys: the embedded cloud has one HASH and at most one RANGE.`,
    );
  return keySchema(hashes[0] as string, ranges[0]);
}

/** As the provider: every attribute is a key of something, and every key is an attribute. */
function checkAttributes(inputs: Properties): void {
  const defined: string[] = (inputs.attributes ?? []).map(({ name }: Properties) => name);
  const keys = [...keySchema(inputs.hashKey, inputs.rangeKey), ...indexesOf(inputs).flatMap(({ KeySchema }) => KeySchema)];
  const used = new Set<string>(keys.map(({ AttributeName }) => AttributeName));
  const unused = defined.filter((name) => !used.has(name));
  if (unused.length > 0) throw invalid(`all attributes must be indexed. Unused attributes: ${JSON.stringify(unused)}`);
  const undefinedKeys = [...used].filter((name) => !defined.includes(name));
  if (undefinedKeys.length > 0) throw invalid(`attributes lacks the types of these keys: ${undefinedKeys.join(", ")}.`);
}

function checkKeyTypes(inputs: Properties, before: Properties): void {
  const typeIn = ({ attributes = [] }: Properties, key: string) => attributes.find(({ name }: Properties) => name === key)?.type;
  for (const key of [inputs.hashKey, inputs.rangeKey].filter(Boolean))
    if (typeIn(inputs, key) !== typeIn(before, key))
      throw invalid(
        `The type of the key ${key} changes from ${typeIn(before, key)} to ${typeIn(inputs, key)}, which a table cannot follow: make a new one.`,
      );
}

const invalid = (message: string): CloudError => new CloudError("ValidationException", message);
