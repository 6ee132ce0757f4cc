import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { CreateTableCommand, DescribeTableCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import dynalite from "dynalite";

const INDEXES = { byUser: "UserId", byStatus: "Status", byTime: "UploadedYear" };

export interface Tables {
  client: DynamoDBDocumentClient;
  /** Creates an empty table of records, and returns its name. */
  records(): Promise<string>;
  /** Creates an empty table of tags, and returns its name. */
  tags(): Promise<string>;
  /** Calls `before` ahead of every request whose operation is this ("PutItem"): to let others come first. */
  intercept(operation: string, before: () => Promise<void>): void;
  /** Sends the next request of this operation ("PutItem"), but reports that it failed, as when the acknowledgement is lost. */
  loseAcknowledgement(operation: string): void;
  stop(): Promise<void>;
}

/** Tables as components/aws/records.ts and tags.ts declare them, in a database of their own. */
export async function startTables(): Promise<Tables> {
  const server = dynalite({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const database = new DynamoDBClient({ endpoint, region: "us-east-1", credentials: { accessKeyId: "x", secretAccessKey: "y" } });
  const client = DynamoDBDocumentClient.from(database, { marshallOptions: { removeUndefinedValues: true } });

  const before = new Map<string, () => Promise<void>>();
  const lost = new Set<string>();
  // Within the client's own retries, where a network would lose it.
  client.middlewareStack.add(
    (next, { commandName = "" }) =>
      async (args) => {
        const operation = commandName.replace(/Command$/, "");
        const act = before.get(operation);
        before.delete(operation);
        await act?.();
        const answer = await next(args);
        if (lost.delete(operation)) throw Object.assign(new Error("socket hang up"), { name: "TimeoutError", code: "ECONNRESET" });
        return answer;
      },
    { step: "finalizeRequest", priority: "low" },
  );

  let count = 0;
  const create = async (prefix: string, keys: [hash: string, range?: string], indexes: Record<string, string> = {}): Promise<string> => {
    const TableName = `${prefix}-${++count}`;
    const attributes = new Set([
      ...keys.filter((key) => key !== undefined),
      ...Object.values(indexes),
      ...(prefix === "records" ? ["UploadedOn"] : []),
    ]);
    const schema = (hash: string, range?: string) => [
      { AttributeName: hash, KeyType: "HASH" as const },
      ...(range ? [{ AttributeName: range, KeyType: "RANGE" as const }] : []),
    ];
    await client.send(
      new CreateTableCommand({
        TableName,
        BillingMode: "PAY_PER_REQUEST",
        AttributeDefinitions: [...attributes].map((AttributeName) => ({ AttributeName, AttributeType: "S" })),
        KeySchema: schema(...keys),
        ...(prefix === "records" && {
          GlobalSecondaryIndexes: Object.entries(indexes).map(([IndexName, hash]) => ({
            IndexName,
            KeySchema: schema(hash, "UploadedOn"),
            Projection: { ProjectionType: "ALL" },
          })),
        }),
      }),
    );
    // It is there a turn of the event loop later, and on a busy machine that is after the first request.
    const isActive = async () => (await client.send(new DescribeTableCommand({ TableName }))).Table?.TableStatus === "ACTIVE";
    while (!(await isActive())) await new Promise((resolve) => setImmediate(resolve));
    return TableName;
  };

  return {
    client,
    records: () => create("records", ["ImageKey"], INDEXES),
    tags: () => create("tags", ["Tag", "Position"]),
    intercept: (operation, act) => void before.set(operation, act),
    loseAcknowledgement: (operation) => void lost.add(operation),
    stop: async () => {
      client.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
