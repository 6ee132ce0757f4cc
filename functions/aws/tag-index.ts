import { BatchWriteCommand, type DynamoDBDocumentClient, GetCommand, PutCommand, paginateQuery } from "@aws-sdk/lib-dynamodb";
import { z } from "zod";
import { decodeCursor, encodeCursor } from "../core/cursor.js";
import { ALWAYS, between, instant } from "../core/instants.js";
import type { Clock, Page, TagIndex } from "../core/ports.js";
import { type ImageRecord, Tag } from "../core/record.js";

/** One row of the tag table. Of a user's image there are two per tag: one among everybody's, one among the user's own. */
interface Row {
  /** Hash key: see {@link everybodys} and {@link usersOwn}. */
  Tag: string;
  /** Range key: `UploadedOn#ImageKey`. */
  Position: string;
  ImageKey: string;
  UserId: string | undefined;
  UploadedOn: string;
  /** 0–100. */
  Confidence: number;
}

type Tagged = Pick<ImageRecord, "key" | "user" | "uploadedAt" | "tags">;

/** Where remembered labels lie; the state machine reads them there by itself (components/aws/workflow-definition.ts). */
const LABELS = "labels";
/** After these, labels are found anew: the models get better. */
const LABELS_DAYS = 90;

const PER_BATCH = 25;

/** Tags in DynamoDB, found by tag, or by user and tag, newest first; and labels by the content they were found in. */
export class DynamoTagIndex implements TagIndex {
  constructor(
    private readonly client: DynamoDBDocumentClient,
    private readonly table: string,
    /** Who finds the labels that are remembered here: another tagger's are not recalled. */
    private readonly tagger: string,
    private readonly clock: Clock = { now: () => new Date() },
  ) {}

  async replace(image: { key: string; user?: string; uploadedAt: string }, tags: readonly Tag[], before?: ImageRecord): Promise<void> {
    const rows = rowsOf({ ...image, tags: [...tags] });
    const wanted = new Set(rows.map(identity));
    const obsolete = (before ? rowsOf(before) : []).filter((row) => !wanted.has(identity(row)));
    await this.write(rows, obsolete);
  }

  async remove(record: ImageRecord): Promise<void> {
    await this.write([], rowsOf(record));
  }

  async find({ tag, user, from, to, limit, cursor }: Parameters<TagIndex["find"]>[0]): Promise<Page<string>> {
    const partition = user === undefined ? everybodys(tag) : usersOwn(user, tag);
    const range = between(from, to);
    if (range.from > range.to) return { items: [] };
    // A position goes on behind its instant: what sorts behind all of those is the bound.
    const bounds = { from: range.from, to: range.to === ALWAYS.to ? range.to : `${range.to}~` };
    const after =
      cursor === undefined
        ? undefined
        : decodeCursor(cursor, "byTag", ["Tag", "Position"], ({ Tag, Position }) => {
            return Tag === partition && bounds.from <= Position && Position <= bounds.to;
          });
    const rows: Row[] = [];
    const pages = paginateQuery(
      { client: this.client, pageSize: limit + 1, startingToken: after },
      {
        TableName: this.table,
        KeyConditionExpression: "Tag = :tag AND #position BETWEEN :from AND :to",
        ExpressionAttributeNames: { "#position": "Position" },
        ExpressionAttributeValues: { ":tag": partition, ":from": bounds.from, ":to": bounds.to },
        ScanIndexForward: false,
      },
    );
    for await (const { Items = [] } of pages) {
      rows.push(...(Items as Row[]));
      if (rows.length > limit) break;
    }
    const page = rows.slice(0, limit);
    const last = rows.length > limit ? page.at(-1) : undefined;
    return {
      items: page.map(({ ImageKey }) => ImageKey),
      ...(last && { cursor: encodeCursor("byTag", { Tag: last.Tag, Position: last.Position }) }),
    };
  }

  async recall(sha256: string): Promise<Tag[] | undefined> {
    const { Item } = await this.client.send(new GetCommand({ TableName: this.table, Key: { Tag: `sha256#${sha256}`, Position: LABELS } }));
    return Item && Item.Tagger === this.tagger ? z.array(Tag).parse(JSON.parse(String(Item.Labels))) : undefined;
  }

  async remember(sha256: string, tags: readonly Tag[]): Promise<void> {
    const ExpiresAt = Math.floor(this.clock.now().getTime() / 1_000) + LABELS_DAYS * 86_400;
    await this.client.send(
      new PutCommand({
        TableName: this.table,
        // As text, because JSONPath in the state machine can hand on a string, but not rebuild a list from attribute values.
        Item: { Tag: `sha256#${sha256}`, Position: LABELS, Labels: JSON.stringify(tags), Tagger: this.tagger, ExpiresAt },
      }),
    );
  }

  private async write(rows: readonly Row[], obsolete: readonly Row[]): Promise<void> {
    let requests: Record<string, unknown>[] = [
      ...rows.map((Item) => ({ PutRequest: { Item } })),
      ...obsolete.map(({ Tag, Position }) => ({ DeleteRequest: { Key: { Tag, Position } } })),
    ];
    for (let delay = 25; requests.length > 0; ) {
      const RequestItems = { [this.table]: requests.slice(0, PER_BATCH) };
      const { UnprocessedItems } = await this.client.send(new BatchWriteCommand({ RequestItems }));
      const again = UnprocessedItems?.[this.table] ?? [];
      requests = [...requests.slice(PER_BATCH), ...again];
      if (again.length === 0) continue;
      await new Promise((resolve) => setTimeout(resolve, delay));
      delay = Math.min(delay * 2, 1_000);
    }
  }
}

function rowsOf({ key, user, uploadedAt, tags = [] }: Tagged): Row[] {
  const UploadedOn = instant(uploadedAt);
  const surest = new Map<string, number>();
  for (const { name, confidence } of tags) surest.set(name, Math.max(confidence, surest.get(name) ?? 0));
  return [...surest].flatMap(([name, Confidence]) =>
    [everybodys(name), ...(user === undefined ? [] : [usersOwn(user, name)])].map((partition) => ({
      Tag: partition,
      Position: `${UploadedOn}#${key}`,
      ImageKey: key,
      UserId: user,
      UploadedOn,
      Confidence,
    })),
  );
}

const identity = ({ Tag, Position }: Row) => `${Tag} ${Position}`;

/** The tag as it is; only `#` stands for something else here. */
const everybodys = (tag: string) => plain(tag);

const usersOwn = (user: string, tag: string) => `user#${plain(user)}#${plain(tag)}`;

const plain = (text: string) => text.replace(/[#%]/g, encodeURIComponent);
