import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mock } from "node:test";
import {
  ConditionalCheckFailedException,
  DescribeTableCommand,
  DynamoDBClient,
  ListTablesCommand,
  TransactWriteItemsCommand,
} from "@aws-sdk/client-dynamodb";
import {
  BatchGetCommand,
  BatchWriteCommand,
  DeleteCommand,
  DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  QueryCommand,
  ScanCommand,
  UpdateCommand,
} from "@aws-sdk/lib-dynamodb";
import db from "dynalite/db/index.js";
import type { Properties, Resource } from "../../../../../local/kernel/service.js";
import dynamodb from "../../../../../local/services/aws/dynamodb/index.js";
import iam from "../../../../../local/services/aws/iam.js";
import { type ClientConfig, type TestCloud, testCloud } from "../../../cloud.js";

const TABLE = "aws:dynamodb/table:Table";
const IMAGES = {
  billingMode: "PAY_PER_REQUEST",
  hashKey: "ImageKey",
  attributes: [
    { name: "ImageKey", type: "S" },
    { name: "UserId", type: "S" },
    { name: "UploadedOn", type: "S" },
  ],
  globalSecondaryIndexes: [
    {
      name: "byUser",
      projectionType: "ALL",
      keySchemas: [
        { attributeName: "UserId", keyType: "HASH" },
        { attributeName: "UploadedOn", keyType: "RANGE" },
      ],
    },
  ],
};
const TAGS = {
  billingMode: "PAY_PER_REQUEST",
  hashKey: "Tag",
  rangeKey: "Position",
  attributes: [
    { name: "Tag", type: "S" },
    { name: "Position", type: "S" },
  ],
};

const documents = (config: ClientConfig) => DynamoDBDocumentClient.from(new DynamoDBClient({ ...config, maxAttempts: 1 }));

describe("DynamoDB", () => {
  let cloud: TestCloud;
  let images: Resource;
  let tags: Resource;
  let client: DynamoDBDocumentClient;
  let TableName: string;

  beforeEach(async () => {
    cloud = await testCloud([iam(), dynamodb()]);
    images = await cloud.declare(TABLE, "images", IMAGES);
    tags = await cloud.declare(TABLE, "tags", TAGS);
    TableName = images.id;
    client = documents(cloud.client());
  });
  afterEach(async () => {
    mock.timers.reset();
    await cloud.stop();
  });

  const put = (Item: Properties, more = {}) => client.send(new PutCommand({ TableName, Item, ...more }));
  const get = async (ImageKey: string) => (await client.send(new GetCommand({ TableName, Key: { ImageKey } }))).Item;
  const byUser = async (UserId: string, more = {}) =>
    client.send(
      new QueryCommand({
        TableName,
        IndexName: "byUser",
        KeyConditionExpression: "UserId = :user",
        ExpressionAttributeValues: { ":user": UserId },
        ...more,
      }),
    );
  const keys = ({ Items = [] }: { Items?: Properties[] | undefined }) => Items.map(({ ImageKey }) => ImageKey);

  it("tells a program all that it says of a table", () => {
    assert.equal(images.outputs.arn, `arn:aws:dynamodb:us-east-1:000000000000:table/${TableName}`);
    assert.match(TableName, /^images-[0-9a-f]{7}$/);
    for (const output of [
      "attributes",
      "globalSecondaryIndexes",
      "pointInTimeRecovery",
      "readCapacity",
      "serverSideEncryption",
      "streamArn",
      "ttl",
      "warmThroughput",
    ])
      assert.notEqual(images.outputs[output], undefined, output);
  });

  it("keeps items, changes and deletes them", async () => {
    await put({ ImageKey: "a", Count: 1, List: ["x"], Map: { deep: true }, Bytes: new Uint8Array([1, 2]) });
    assert.deepEqual(await get("a"), { ImageKey: "a", Count: 1, List: ["x"], Map: { deep: true }, Bytes: new Uint8Array([1, 2]) });
    const { Attributes } = await client.send(
      new UpdateCommand({
        TableName,
        Key: { ImageKey: "a" },
        UpdateExpression: "SET #c = #c + :one, #l = list_append(#l, :more), Fresh = if_not_exists(Fresh, :one) REMOVE Bytes",
        ExpressionAttributeNames: { "#c": "Count", "#l": "List" },
        ExpressionAttributeValues: { ":one": 1, ":more": ["y"] },
        ReturnValues: "ALL_NEW",
      }),
    );
    assert.deepEqual(Attributes, { ImageKey: "a", Count: 2, List: ["x", "y"], Map: { deep: true }, Fresh: 1 });
    const { Attributes: old } = await client.send(new DeleteCommand({ TableName, Key: { ImageKey: "a" }, ReturnValues: "ALL_OLD" }));
    assert.equal(old?.Count, 2);
    assert.equal(await get("a"), undefined);
  });

  describe("a condition that does not hold", () => {
    const failure = async (work: Promise<unknown>): Promise<ConditionalCheckFailedException> => {
      const error = await work.then(
        () => assert.fail("It was not refused"),
        (refused) => refused,
      );
      assert.ok(error instanceof ConditionalCheckFailedException, String(error));
      return error;
    };
    const fresh = { ConditionExpression: "attribute_not_exists(ImageKey)" };

    beforeEach(() => put({ ImageKey: "a", Status: "completed" }));

    it("refuses the write", async () => {
      const { message, Item } = await failure(put({ ImageKey: "a", Status: "new" }, fresh));
      assert.equal(message, "The conditional request failed");
      assert.equal(Item, undefined);
      assert.equal((await get("a"))?.Status, "completed");
    });

    it("shows the item that is in the way, when asked to", async () => {
      const asked = { ReturnValuesOnConditionCheckFailure: "ALL_OLD" } as const;
      const existing = { ImageKey: { S: "a" }, Status: { S: "completed" } };
      assert.deepEqual((await failure(put({ ImageKey: "a" }, { ...fresh, ...asked }))).Item, existing);
      const update = {
        TableName,
        Key: { ImageKey: "a" },
        UpdateExpression: "SET N = :n",
        ExpressionAttributeValues: { ":n": 1 },
        ...fresh,
        ...asked,
      };
      assert.deepEqual((await failure(client.send(new UpdateCommand(update)))).Item, existing);
      const remove = { TableName, Key: { ImageKey: "none" }, ConditionExpression: "attribute_exists(ImageKey)", ...asked };
      assert.equal((await failure(client.send(new DeleteCommand(remove)))).Item, undefined);
    });

    it("lets exactly one of those who race in, and shows the others what it wrote", async () => {
      const racers = Array.from({ length: 10 }, (_, Racer) =>
        put({ ImageKey: "race", Racer }, { ...fresh, ReturnValuesOnConditionCheckFailure: "ALL_OLD" }),
      );
      const results = await Promise.allSettled(racers);
      const winners = results.flatMap((result, index) => (result.status === "fulfilled" ? [index] : []));
      assert.equal(winners.length, 1);
      for (const result of results)
        if (result.status === "rejected")
          assert.deepEqual(result.reason.Item, { ImageKey: { S: "race" }, Racer: { N: String(winners[0]) } });
    });
  });

  it("shows the item that was in the way, even when it is deleted at the same moment", async () => {
    const call = (operation: string, input: Properties) =>
      cloud.cloud.call({ service: "dynamodb", operation, input: { TableName, ...input }, as: cloud.owner });
    const item = { ImageKey: { S: "a" } };
    const onlyNew = { ConditionExpression: "attribute_not_exists(ImageKey)", ReturnValuesOnConditionCheckFailure: "ALL_OLD" };
    let refused = 0;
    for (let round = 0; round < 50; round++) {
      await call("PutItem", { Item: item });
      const [put] = await Promise.allSettled([call("PutItem", { Item: item, ...onlyNew }), call("DeleteItem", { Key: item })]);
      if (put.status === "fulfilled") continue;
      assert.deepEqual(put.reason.details.Item, item);
      refused++;
    }
    assert.ok(refused > 0);
  });

  it("answers queries on an index in order, page by page", async () => {
    for (let day = 1; day <= 7; day++) await put({ ImageKey: `k${day}`, UserId: "ann", UploadedOn: `2026-01-0${day}` });
    await put({ ImageKey: "other", UserId: "bob", UploadedOn: "2026-01-01" });
    await put({ ImageKey: "tombstone", UploadedOn: "2026-01-01" });
    assert.deepEqual(keys(await byUser("ann", { ScanIndexForward: false, Limit: 2 })), ["k7", "k6"]);
    const found: string[] = [];
    let ExclusiveStartKey: Properties | undefined;
    do {
      const page = await byUser("ann", { Limit: 3, ...(ExclusiveStartKey && { ExclusiveStartKey }) });
      found.push(...keys(page));
      ExclusiveStartKey = page.LastEvaluatedKey;
    } while (ExclusiveStartKey);
    assert.deepEqual(found, ["k1", "k2", "k3", "k4", "k5", "k6", "k7"]);
    assert.equal((await client.send(new ScanCommand({ TableName }))).Count, 9);
  });

  it("follows an item from one index entry to the next", async () => {
    await put({ ImageKey: "a", UserId: "ann", UploadedOn: "1" });
    await put({ ImageKey: "a", UserId: "bob", UploadedOn: "1" });
    assert.deepEqual([keys(await byUser("ann")), keys(await byUser("bob"))], [[], ["a"]]);
  });

  it("answers ranges of a table's own keys", async () => {
    for (const Position of ["2026-01#a", "2026-02#b", "2026-03#c"])
      await client.send(new PutCommand({ TableName: tags.id, Item: { Tag: "cat", Position } }));
    const { Items } = await client.send(
      new QueryCommand({
        TableName: tags.id,
        KeyConditionExpression: "#tag = :tag AND #position BETWEEN :from AND :to",
        ExpressionAttributeNames: { "#tag": "Tag", "#position": "Position" },
        ExpressionAttributeValues: { ":tag": "cat", ":from": "2026-01-15", ":to": "2026-02-28" },
      }),
    );
    assert.deepEqual(
      Items?.map(({ Position }) => Position),
      ["2026-02#b"],
    );
  });

  it("reads and writes in batches over tables", async () => {
    await client.send(
      new BatchWriteCommand({
        RequestItems: {
          [TableName]: [{ PutRequest: { Item: { ImageKey: "a" } } }, { PutRequest: { Item: { ImageKey: "b" } } }],
          [tags.id]: [{ PutRequest: { Item: { Tag: "cat", Position: "1" } } }],
        },
      }),
    );
    await client.send(new BatchWriteCommand({ RequestItems: { [TableName]: [{ DeleteRequest: { Key: { ImageKey: "b" } } }] } }));
    const { Responses } = await client.send(
      new BatchGetCommand({
        RequestItems: {
          [TableName]: { Keys: [{ ImageKey: "a" }, { ImageKey: "b" }] },
          [tags.id]: { Keys: [{ Tag: "cat", Position: "1" }] },
        },
      }),
    );
    assert.deepEqual(Responses, { [TableName]: [{ ImageKey: "a" }], [tags.id]: [{ Tag: "cat", Position: "1" }] });
  });

  it("tells what a call has consumed", async () => {
    const { ConsumedCapacity } = await put({ ImageKey: "a", Text: "x".repeat(1500) }, { ReturnConsumedCapacity: "TOTAL" });
    assert.deepEqual([ConsumedCapacity?.TableName, ConsumedCapacity?.CapacityUnits], [TableName, 2]);
  });

  it("is called by other services with attribute values, and by ARN", async () => {
    const call = (operation: string, input: Properties) => cloud.cloud.call({ service: "dynamodb", operation, input, as: cloud.owner });
    await call("UpdateItem", {
      TableName: images.outputs.arn,
      Key: { ImageKey: { S: "a" } },
      UpdateExpression: "SET #n = :n",
      ExpressionAttributeNames: { "#n": "Count" },
      ExpressionAttributeValues: { ":n": { N: "5" } },
    });
    assert.deepEqual((await call("GetItem", { TableName, Key: { ImageKey: { S: "a" } } })).Item, {
      ImageKey: { S: "a" },
      Count: { N: "5" },
    });
    await assert.rejects(call("GetItem", { TableName: "nowhere", Key: { ImageKey: { S: "a" } } }), { code: "ResourceNotFoundException" });
  });

  it("refuses what it has not got, by name", async () => {
    const transaction = new TransactWriteItemsCommand({ TransactItems: [{ Put: { TableName, Item: { ImageKey: { S: "a" } } } }] });
    await assert.rejects(client.send(transaction), { name: "UnknownOperationException", message: /TransactWriteItems/ });
  });

  it("refuses what DynamoDB would refuse", async () => {
    await assert.rejects(put({ WrongKey: "a" }), { name: "ValidationException" });
    await assert.rejects(put({ ImageKey: 5 }), { name: "ValidationException" });
    await assert.rejects(put({ ImageKey: "" }), { name: "ValidationException" });
    await assert.rejects(client.send(new GetCommand({ TableName: "nowhere", Key: { a: "b" } })), { name: "ResourceNotFoundException" });
  });

  describe("permissions", () => {
    const as = async (name: string, ...statements: Properties[]) => {
      const trust = {
        Version: "2012-10-17",
        Statement: [{ Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" }],
      };
      const role = await cloud.declare("aws:iam/role:Role", name, { assumeRolePolicy: JSON.stringify(trust) });
      const policy = { Version: "2012-10-17", Statement: statements.map((statement) => ({ Effect: "Allow", ...statement })) };
      await cloud.declare("aws:iam/rolePolicy:RolePolicy", name, { role: role.id, policy: JSON.stringify(policy) });
      return documents(cloud.clientFor(role));
    };
    const denied = { name: "AccessDeniedException" };
    const query = () =>
      new QueryCommand({
        TableName,
        IndexName: "byUser",
        KeyConditionExpression: "UserId = :u",
        ExpressionAttributeValues: { ":u": "ann" },
      });

    it("hold per table and per action", async () => {
      const reader = await as("reader", { Action: "dynamodb:GetItem", Resource: images.outputs.arn });
      await reader.send(new GetCommand({ TableName, Key: { ImageKey: "a" } }));
      await assert.rejects(reader.send(new PutCommand({ TableName, Item: { ImageKey: "a" } })), denied);
      await assert.rejects(reader.send(new GetCommand({ TableName: tags.id, Key: { Tag: "a", Position: "b" } })), denied);
    });

    it("of a table are none of its indexes", async () => {
      const onTable = await as("on-table", { Action: "dynamodb:Query", Resource: images.outputs.arn });
      await assert.rejects(onTable.send(query()), denied);
      const onIndex = await as("on-index", { Action: "dynamodb:Query", Resource: `${images.outputs.arn}/index/byUser` });
      await onIndex.send(query());
    });

    it("are needed for every table of a batch", async () => {
      const writer = await as("writer", { Action: "dynamodb:BatchWriteItem", Resource: images.outputs.arn });
      const RequestItems = { [TableName]: [{ PutRequest: { Item: { ImageKey: "a" } } }] };
      await writer.send(new BatchWriteCommand({ RequestItems }));
      const both = { ...RequestItems, [tags.id]: [{ PutRequest: { Item: { Tag: "cat", Position: "1" } } }] };
      await assert.rejects(writer.send(new BatchWriteCommand({ RequestItems: both })), denied);
    });

    it("may be for some keys only", async () => {
      const Condition = { "ForAllValues:StringEquals": { "dynamodb:LeadingKeys": ["ann"] } };
      const ann = await as("ann", {
        Action: ["dynamodb:GetItem", "dynamodb:Query"],
        Resource: [images.outputs.arn, `${images.outputs.arn}/index/*`],
        Condition,
      });
      await ann.send(new GetCommand({ TableName, Key: { ImageKey: "ann" } }));
      await assert.rejects(ann.send(new GetCommand({ TableName, Key: { ImageKey: "bob" } })), denied);
      await ann.send(query());
      const bobs = new QueryCommand({
        TableName,
        IndexName: "byUser",
        KeyConditionExpression: "UserId = :u",
        ExpressionAttributeValues: { ":u": "bob" },
      });
      await assert.rejects(ann.send(bobs), denied);
    });
  });

  describe("a table", () => {
    it("takes the older form of index keys too", async () => {
      const { globalSecondaryIndexes: _, ...rest } = IMAGES;
      const older = await cloud.declare(TABLE, "older", {
        ...rest,
        globalSecondaryIndexes: [{ name: "byUser", hashKey: "UserId", rangeKey: "UploadedOn", projectionType: "KEYS_ONLY" }],
      });
      TableName = older.id;
      await put({ ImageKey: "a", UserId: "ann", UploadedOn: "1", Hidden: true });
      assert.deepEqual((await byUser("ann")).Items, [{ ImageKey: "a", UserId: "ann", UploadedOn: "1" }]);
    });

    it("gets a new index that holds what was there before, and loses an old one", async () => {
      await put({ ImageKey: "a", UserId: "ann", UploadedOn: "1", Status: "failed" });
      await put({ ImageKey: "b", UserId: "ann", UploadedOn: "2", Status: 5 });
      await cloud.change(images, {
        ...images.inputs,
        attributes: [
          { name: "ImageKey", type: "S" },
          { name: "Status", type: "S" },
        ],
        globalSecondaryIndexes: [{ name: "byStatus", projectionType: "ALL", keySchemas: [{ attributeName: "Status", keyType: "HASH" }] }],
      });
      const query = { TableName, IndexName: "byStatus", KeyConditionExpression: "#s = :s", ExpressionAttributeNames: { "#s": "Status" } };
      assert.deepEqual(keys(await client.send(new QueryCommand({ ...query, ExpressionAttributeValues: { ":s": "failed" } }))), ["a"]);
      await put({ ImageKey: "c", Status: "failed" });
      assert.deepEqual(keys(await client.send(new QueryCommand({ ...query, ExpressionAttributeValues: { ":s": "failed" } }))).sort(), [
        "a",
        "c",
      ]);
      await assert.rejects(byUser("ann"), { name: "ValidationException", message: /does not have the specified index/ });
      const { Table } = await client.send(new DescribeTableCommand({ TableName }));
      assert.deepEqual(
        Table?.GlobalSecondaryIndexes?.map(({ IndexName, IndexStatus }) => [IndexName, IndexStatus]),
        [["byStatus", "ACTIVE"]],
      );
    });

    it("under deletion protection is not deleted", async () => {
      const kept = await cloud.declare(TABLE, "kept", { ...TAGS, deletionProtectionEnabled: true });
      await assert.rejects(cloud.remove(kept), { code: "ValidationException", message: /protected against deletion/ });
      const free = await cloud.change(kept, { ...kept.inputs, deletionProtectionEnabled: false });
      await cloud.remove(free);
      assert.deepEqual((await client.send(new ListTablesCommand({}))).TableNames?.sort(), [TableName, tags.id].sort());
    });

    it("is refused when it could not be", async () => {
      const refused = (inputs: Properties, message: RegExp) =>
        assert.rejects(async () => cloud.declare(TABLE, "refused", inputs), { code: "ValidationException", message });
      await refused({ ...TAGS, billingMode: "PROVISIONED" }, /PAY_PER_REQUEST/);
      await refused({ ...TAGS, attributes: [...TAGS.attributes, { name: "Loose", type: "S" }] }, /Unused attributes: \["Loose"\]/);
      await refused({ ...TAGS, attributes: [{ name: "Tag", type: "S" }] }, /lacks the types of these keys: Position/);
      await refused({ ...TAGS, ttl: { enabled: true } }, /attributeName/);
      await refused({ ...TAGS, globalSecondaryIndexes: [{ name: "i", projectionType: "ALL" }] }, /has no key/);
    });

    it("goes with its items", async () => {
      await put({ ImageKey: "a" });
      await cloud.remove(images);
      images = await cloud.declare(TABLE, "images", IMAGES);
      assert.equal(await get("a"), undefined);
    });
  });

  describe("items with a time to live", () => {
    const seconds = (inSeconds: number) => Math.floor(Date.now() / 1000) + inSeconds;

    it("are deleted some time after it is over", async () => {
      await cloud.stop();
      mock.timers.enable({ apis: ["setInterval"] });
      cloud = await testCloud([iam(), dynamodb()]);
      images = await cloud.declare(TABLE, "images", { ...IMAGES, ttl: { enabled: true, attributeName: "ExpiresAt" } });
      client = documents(cloud.client());
      await put({ ImageKey: "over", ExpiresAt: seconds(-5) });
      await put({ ImageKey: "ages-ago", ExpiresAt: 1_000 });
      await put({ ImageKey: "text", ExpiresAt: "1000" });
      await put({ ImageKey: "alive", ExpiresAt: seconds(500) });
      assert.equal((await get("over"))?.ImageKey, "over");
      const expired = new Promise<void>((resolve) => cloud.cloud.trace.listen(({ text }) => text.includes("have expired") && resolve()));
      mock.timers.tick(60_000);
      await expired;
      assert.deepEqual(keys(await client.send(new ScanCommand({ TableName }))).sort(), ["ages-ago", "alive", "text"]);
    });
  });

  describe("with kept data", () => {
    let folder: string;

    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), "dynamodb-"));
      await cloud.stop();
      cloud = await testCloud([iam(), dynamodb()], { folder, kept: true });
      images = await cloud.declare(TABLE, "images", { ...IMAGES, ttl: { enabled: true, attributeName: "ExpiresAt" } });
      client = documents(cloud.client());
    });
    afterEach(() => rm(folder, { recursive: true, force: true }));

    /** What the engine does with resources of an earlier run. */
    const restored = async (resource: Resource) => {
      const service = dynamodb();
      cloud = await testCloud([iam(), service], { folder, kept: true });
      const outputs = await service.resources?.[TABLE]?.restore?.(resource, cloud.cloud);
      cloud.cloud.resources.add({ ...resource, outputs: outputs as Properties });
      client = documents(cloud.client());
    };

    it("finds everything again, except for what has expired meanwhile", async () => {
      await put({ ImageKey: "a", UserId: "ann", UploadedOn: "1" });
      await put({ ImageKey: "over", UserId: "ann", UploadedOn: "2", ExpiresAt: Math.floor(Date.now() / 1000) - 5 });
      await cloud.stop();
      await restored(images);
      assert.deepEqual(keys(await byUser("ann")), ["a"]);
      assert.equal((await get("a"))?.UserId, "ann");
      assert.equal(await get("over"), undefined);
    });

    it("has indexes that agree with the items, wherever a kill has left them", async () => {
      await put({ ImageKey: "a", UserId: "ann", UploadedOn: "1" });
      await put({ ImageKey: "b", UserId: "ann", UploadedOn: "2" });
      await cloud.stop();
      // dynalite writes the index first: a kill before the item leaves an entry for nothing; before the index, an item without its entry.
      const store = db.create({ path: join(folder, "dynamodb", "tables"), createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 });
      const index = store.getIndexDb("global", TableName, "byUser");
      const entries: Properties[] = [];
      for await (const entry of index.createValueStream({})) entries.push(entry);
      assert.equal(entries.length, 2);
      await store.db.clear({ gte: `index-global~${TableName}~byUser~`, lt: `index-global~${TableName}~byUser~~` });
      const [orphan] = db.getIndexActions(
        [
          {
            IndexName: "byUser",
            KeySchema: [{ AttributeName: "UserId" }, { AttributeName: "UploadedOn" }],
            Projection: { ProjectionType: "ALL" },
          },
        ],
        null,
        { ImageKey: { S: "never" }, UserId: { S: "ann" }, UploadedOn: { S: "3" } },
        {
          KeySchema: [{ AttributeName: "ImageKey" }],
          AttributeDefinitions: ["ImageKey", "UserId", "UploadedOn"].map((AttributeName) => ({ AttributeName, AttributeType: "S" })),
        },
      ).puts;
      assert.ok(orphan);
      await new Promise((done) => index.put(orphan.key, orphan.item, done));
      await store.db.close();
      await restored(images);
      assert.deepEqual(keys(await byUser("ann")), ["a", "b"]);
    });
  });
});
