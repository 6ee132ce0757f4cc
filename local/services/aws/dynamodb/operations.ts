import type { Cloud } from "../../../kernel/cloud.js";
import type { Operation, Permission, Properties } from "../../../kernel/service.js";
import { Engine } from "./engine.js";
import { tableArn } from "./table.js";

/** The data plane. `TableName` may be a table's ARN, as in the real API. */
export function operations(engine: () => Engine): Record<string, Operation> {
  const run = (operation: string) => async (input: Properties) => engine().run(operation, named(input));

  const call = (operation: string, valuesOf: (input: Properties, hashKey: string) => unknown[] = () => []): Operation => ({
    needs: (input, cloud) => [onTable(operation, input, cloud, (hashKey) => valuesOf(input, hashKey))],
    handle: run(operation),
  });
  const batch = (operation: string, keysOf: (requests: Properties) => Properties[]): Operation => ({
    needs: ({ RequestItems = {} }, cloud) =>
      Object.entries(RequestItems as Properties).map(([TableName, requests]) =>
        onTable(operation, { TableName }, cloud, (hashKey) => keysOf(requests).map((key) => key?.[hashKey])),
      ),
    async handle({ RequestItems = {}, ...rest }) {
      const byName = Object.fromEntries(Object.entries(RequestItems).map(([table, requests]) => [nameOf(table), requests]));
      return engine().run(operation, { ...rest, RequestItems: byName });
    },
  });

  const ofKey = ({ Key }: Properties, hashKey: string) => [Key?.[hashKey]];
  return {
    GetItem: call("GetItem", ofKey),
    PutItem: call("PutItem", ({ Item }, hashKey) => [Item?.[hashKey]]),
    UpdateItem: call("UpdateItem", ofKey),
    DeleteItem: call("DeleteItem", ofKey),
    Query: call("Query", (input, hashKey) => Engine.keyConditions(named(input))?.[hashKey]?.AttributeValueList ?? []),
    Scan: call("Scan"),
    BatchGetItem: batch("BatchGetItem", ({ Keys = [] }) => Keys),
    BatchWriteItem: batch("BatchWriteItem", (requests) =>
      (requests as Properties[]).map(({ PutRequest, DeleteRequest }) => PutRequest?.Item ?? DeleteRequest?.Key),
    ),
    DescribeTable: call("DescribeTable"),
    ListTables: {
      needs: () => [{ action: "dynamodb:ListTables", resource: "*" }],
      handle: run("ListTables"),
    },
  };
}

/** Leave for a call on a table or on one of its indexes. `valuesOf` are the hash key's values that it is about, for policies that ask. */
function onTable(action: string, input: Properties, cloud: Cloud, valuesOf: (hashKey: string) => unknown[]): Permission {
  const { TableName, IndexName, Select, ReturnValues } = input;
  const name = nameOf(TableName);
  const arn = tableArn(cloud, name);
  const hashKey = hashKeyOf(cloud.resources.byArn(arn)?.inputs ?? {}, IndexName);
  const leading =
    typeof hashKey === "string"
      ? valuesOf(hashKey)
          .map(plain)
          .filter((value) => value !== undefined)
      : [];
  return {
    action: `dynamodb:${action}`,
    resource: IndexName === undefined ? arn : `${arn}/index/${IndexName}`,
    context: {
      ...(leading.length > 0 && { "dynamodb:LeadingKeys": leading }),
      ...(Select !== undefined && { "dynamodb:Select": String(Select) }),
      ...(ReturnValues !== undefined && { "dynamodb:ReturnValues": String(ReturnValues) }),
    },
  };
}

function hashKeyOf({ hashKey, globalSecondaryIndexes = [] }: Properties, index: unknown): unknown {
  if (index === undefined) return hashKey;
  const found = globalSecondaryIndexes.find(({ name }: Properties) => name === index);
  return found?.hashKey ?? found?.keySchemas?.find(({ keyType }: Properties) => keyType === "HASH")?.attributeName;
}

/** The text of an AttributeValue that is a key. */
const plain = (value: unknown): string | undefined => {
  const { S, N, B } = (value ?? {}) as { S?: string; N?: string; B?: string };
  return S ?? N ?? B;
};

const nameOf = (table: unknown): string => String(table).replace(/^arn:.*:table\//, "");

const named = (input: Properties): Properties => (input.TableName === undefined ? input : { ...input, TableName: nameOf(input.TableName) });
