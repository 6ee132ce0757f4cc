import type { Cloud } from "../../../kernel/cloud.js";
import { CloudError } from "../../../kernel/service.js";
import type { Engine } from "./engine.js";

/** Items that expired longer ago are left alone, as DynamoDB does. */
const FIVE_YEARS = 5 * 365 * 86_400;

/** Deletes the items of a table whose time to live is over. Until then they can be read: DynamoDB takes days at times. */
export async function expireItems(engine: Engine, cloud: Cloud, table: string, attribute: string): Promise<number> {
  const now = Math.floor(cloud.now().getTime() / 1000);
  const { Table } = await engine.run("DescribeTable", { TableName: table });
  const keys: string[] = Table.KeySchema.map(({ AttributeName }: { AttributeName: string }) => AttributeName);
  let expired = 0;
  for await (const item of engine.items(table)) {
    const at = Number(item[attribute]?.N ?? Number.NaN);
    if (!(at <= now && at > now - FIVE_YEARS)) continue;
    const deleted = await engine
      .run("DeleteItem", {
        TableName: table,
        Key: Object.fromEntries(keys.map((key) => [key, item[key]])),
        // It may have been given more time since it was read.
        ConditionExpression: "#at <= :now",
        ExpressionAttributeNames: { "#at": attribute },
        ExpressionAttributeValues: { ":now": { N: String(now) } },
      })
      .then(
        () => true,
        (error) => {
          if (error instanceof CloudError && error.code === "ConditionalCheckFailedException") return false;
          throw error;
        },
      );
    if (deleted) expired++;
  }
  if (expired > 0) cloud.trace.add({ kind: "note", subject: table, text: `${expired} items of ${table} have expired` });
  return expired;
}
