import { randomUUID } from "node:crypto";
import { ConditionalCheckFailedException } from "@aws-sdk/client-dynamodb";
import { BatchGetCommand, DeleteCommand, type DynamoDBDocumentClient, GetCommand, PutCommand, paginateQuery } from "@aws-sdk/lib-dynamodb";
import { decodeCursor, encodeCursor, type Position } from "../core/cursor.js";
import { ALWAYS, between, instant, type Range } from "../core/instants.js";
import { LONGEST_KEY } from "../core/keys.js";
import type { Clock, Page, RecordStore, Stuck } from "../core/ports.js";
import type { ImageRecord, Status } from "../core/record.js";
import * as lifecycle from "../core/record-lifecycle.js";
import { fromItem, type Item, recordOf, toItem } from "./record-item.js";

/** The table's indexes: each sorts by `UploadedOn` within its own attribute. */
const INDEXES = { byUser: "UserId", byStatus: "Status", byTime: "UploadedYear" } as const;
type Index = keyof typeof INDEXES;

/** Nothing was ever uploaded to S3 before the year it opened. */
const FIRST_YEAR = 2006;

/** Concurrent changes of one record that one change waits out. */
const ATTEMPTS = 10;

/**
 * Records in DynamoDB. Every change is: read the item, decide (see record-lifecycle.ts), and write on the condition that nobody has written since;
 * otherwise all over again.
 */
export class DynamoRecordStore implements RecordStore {
  constructor(
    private readonly client: DynamoDBDocumentClient,
    private readonly table: string,
    private readonly clock: Clock = { now: () => new Date() },
  ) {}

  async get(key: string): Promise<ImageRecord | undefined> {
    // The bucket has no such names, and DynamoDB refuses to be asked for the longest.
    if (Buffer.byteLength(key) > LONGEST_KEY) return undefined;
    return (await this.read(key)).entry?.record;
  }

  announce: RecordStore["announce"] = (image) =>
    this.change(image.key, (entry) => lifecycle.announce(entry, { ...image, at: instant(image.at) }));

  attribute: RecordStore["attribute"] = (image) =>
    this.change(image.key, (entry) => lifecycle.attribute(entry, { ...image, at: instant(image.at) }));

  withdraw: RecordStore["withdraw"] = (key) => this.change(key, lifecycle.withdraw);

  begin: RecordStore["begin"] = (run, image) =>
    this.change(run.key, (entry) =>
      lifecycle.begin(entry, run, { ...image, uploadedAt: instant(image.uploadedAt) }, this.clock.now().toISOString()),
    );

  finish: RecordStore["finish"] = (run, result, at) => this.change(run.key, (entry) => lifecycle.finish(entry, run, result, instant(at)));

  bury: RecordStore["bury"] = (key, tombstone) => this.change(key, (entry) => lifecycle.bury(entry, key, tombstone));

  async list({ user, status, from, to, limit, cursor }: Parameters<RecordStore["list"]>[0]): Promise<Page<ImageRecord>> {
    const range = between(from, to);
    const [index, partitions]: [Index, string[]] =
      user !== undefined ? ["byUser", [user]] : status !== undefined ? ["byStatus", [status]] : ["byTime", this.years(range)];
    const hash = INDEXES[index];
    const after =
      cursor === undefined
        ? undefined
        : decodeCursor(cursor, index, ["ImageKey", hash, "UploadedOn"], ({ [hash]: partition, UploadedOn }) => {
            return partitions.includes(partition) && range.from <= UploadedOn && UploadedOn <= range.to;
          });

    const items: Item[] = [];
    for (const partition of after ? partitions.slice(partitions.indexOf(after[hash])) : partitions) {
      const options = {
        status: user === undefined ? undefined : status,
        pageSize: limit + 1 - items.length,
        after: after?.[hash] === partition ? after : undefined,
      };
      for await (const item of this.query(index, partition, range, options)) if (items.push(item) > limit) break;
      if (items.length > limit) break;
    }
    const page = items.slice(0, limit);
    const last = items.length > limit ? page.at(-1) : undefined;
    return { items: page.map(recordOf), ...(last && { cursor: encodeCursor(index, positionOf(last, index)) }) };
  }

  async getMany(keys: readonly string[]): Promise<ImageRecord[]> {
    const found = new Map<string, ImageRecord>();
    let wanted = [...new Set(keys)];
    while (wanted.length > 0) {
      const Keys = wanted.slice(0, 100).map((ImageKey) => ({ ImageKey }));
      const answer = await this.client.send(new BatchGetCommand({ RequestItems: { [this.table]: { Keys, ConsistentRead: true } } }));
      for (const entry of (answer.Responses?.[this.table] ?? []).map(fromItem)) if (entry.record) found.set(entry.key, entry.record);
      const again = answer.UnprocessedKeys?.[this.table]?.Keys ?? [];
      wanted = [...wanted.slice(100), ...again.map(({ ImageKey }) => String(ImageKey))];
    }
    return keys.flatMap((key) => found.get(key) ?? []);
  }

  async stuck(before: string, limit: number): ReturnType<RecordStore["stuck"]> {
    const range = between(undefined, before);
    const stuck: Stuck[] = [];
    for await (const item of this.query("byStatus", "processing", range, { oldestFirst: true, pageSize: 100 })) {
      const entry = fromItem(item);
      // A redrive begins anew with an image that was uploaded long ago.
      if (entry.startedAt !== undefined && entry.startedAt > range.to) continue;
      stuck.push(...lifecycle.stuck(entry));
      if (stuck.length === limit) break;
    }
    return stuck;
  }

  private async read(key: string): Promise<{ entry?: lifecycle.Entry; revision?: string }> {
    const { Item } = await this.client.send(new GetCommand({ TableName: this.table, Key: { ImageKey: key }, ConsistentRead: true }));
    return Item ? { entry: fromItem(Item), revision: String(Item.Revision) } : {};
  }

  private async change<Answer>(key: string, decide: (entry?: lifecycle.Entry) => lifecycle.Transition<Answer>): Promise<Answer> {
    let written: { revision: string; answer: Answer } | undefined;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { entry, revision } = await this.read(key);
      // The write came through, only its acknowledgement did not, and the client's own retry met the result.
      if (written && revision === written.revision) return written.answer;
      const { keep, answer } = decide(entry);
      if (keep === undefined) return answer;
      written = { revision: randomUUID(), answer };
      const condition = {
        TableName: this.table,
        ConditionExpression: entry ? "Revision = :seen" : "attribute_not_exists(ImageKey)",
        ...(entry && { ExpressionAttributeValues: { ":seen": revision } }),
      };
      try {
        if (keep === "none") await this.client.send(new DeleteCommand({ ...condition, Key: { ImageKey: key } }));
        else await this.client.send(new PutCommand({ ...condition, Item: toItem(keep, written.revision) }));
        return answer;
      } catch (error) {
        if (!(error instanceof ConditionalCheckFailedException)) throw error;
      }
    }
    throw new Error(`The record of ${key} has changed under ${ATTEMPTS} attempts to change it: try again.`);
  }

  /** Items of one partition of an index, newest first unless asked otherwise, only as far as the reader reads. */
  private async *query(
    index: Index,
    partition: string,
    { from, to }: Range,
    {
      status,
      after,
      oldestFirst = false,
      pageSize,
    }: { status?: Status | undefined; after?: Position | undefined; oldestFirst?: boolean; pageSize: number },
  ): AsyncGenerator<Item> {
    if (from > to) return;
    const pages = paginateQuery(
      // A filter applies to what has been read: with one, read more at a time.
      { client: this.client, pageSize: status ? Math.max(pageSize, 100) : pageSize, startingToken: after },
      {
        TableName: this.table,
        IndexName: index,
        KeyConditionExpression: "#partition = :partition AND UploadedOn BETWEEN :from AND :to",
        ...(status && { FilterExpression: "#status = :status" }),
        ExpressionAttributeNames: { "#partition": INDEXES[index], ...(status && { "#status": "Status" }) },
        ExpressionAttributeValues: { ":partition": partition, ":from": from, ":to": to, ...(status && { ":status": status }) },
        ScanIndexForward: oldestFirst,
      },
    );
    for await (const page of pages) yield* page.Items ?? [];
  }

  /** The partitions of `byTime` in a range, newest first. */
  private years({ from, to }: Range): string[] {
    // Clocks differ, at New Year too.
    const newest = new Date(this.clock.now().getTime() + 86_400_000).getUTCFullYear();
    const last = to === ALWAYS.to ? newest : Math.min(Number(to.slice(0, 4)), newest);
    const first = from === ALWAYS.from ? FIRST_YEAR : Math.max(Number(from.slice(0, 4)), FIRST_YEAR);
    return Array.from({ length: Math.max(last - first + 1, 0) }, (_, i) => String(last - i));
  }
}

function positionOf(item: Item, index: Index): Position {
  return Object.fromEntries(["ImageKey", INDEXES[index], "UploadedOn"].map((name) => [name, String(item[name])]));
}
