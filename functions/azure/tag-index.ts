import { createHash } from "node:crypto";
import { odata, RestError, type TableClient } from "@azure/data-tables";
import { z } from "zod";
import { decodeCursor, encodeCursor } from "../core/cursor.js";
import { ALWAYS, between, instant } from "../core/instants.js";
import type { Clock, Page, TagIndex } from "../core/ports.js";
import { type ImageRecord, Tag } from "../core/record.js";

/**
 * One row of the tag table. Rows are of four kinds:
 *
 * | partition | row | |
 * |---|---|---|
 * | user | key | a user's image, with all its tags as JSON |
 * | `tag:` tag | time and key | an image that carries the tag |
 * | `tag:` tag `:user:` user | time and key | a user's image that carries the tag |
 * | `sha256:` hex | `labels` | what was found in a picture of these bytes |
 *
 * User, tag and key stand in base64url, as keys of the table may not have / \ # ?, and times count down, as rows are sorted upwards.
 */
interface Row {
  partitionKey: string;
  rowKey: string;
  [property: string]: unknown;
}

type Tagged = Pick<ImageRecord, "key" | "user" | "uploadedAt" | "tags">;

/** After these, labels are found anew: the models get better. */
const LABELS_DAYS = 90;

/** Milliseconds that `forget` looks at one part in 256 of the labels: at all of them within a day, so that no look is long. */
const TURN = 300_000;

/** Requests of one change that are under way at a time. */
const AT_ONCE = 16;

/** Longest part of a key, in characters: a key as a whole may have 512. */
const LONGEST = { alone: 500, amongOthers: 200 };

/** The latest instant that counts down to zero. */
const END = 9_999_999_999_999;

/** Tags in Table Storage, found by tag, or by user and tag, newest first; and labels by the content they were found in. */
export class TableTagIndex implements TagIndex {
  constructor(
    private readonly table: TableClient,
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
    // Newest first: the latest instant is the least row. `~` sorts behind every key.
    const bounds = {
      from: range.to === ALWAYS.to ? "0" : countdown(range.to),
      to: range.from === ALWAYS.from ? "~" : `${countdown(range.from)}~`,
    };
    const after =
      cursor === undefined
        ? undefined
        : decodeCursor(cursor, "byTag", ["PartitionKey", "RowKey"], ({ PartitionKey, RowKey }) => {
            return PartitionKey === partition && bounds.from <= RowKey && RowKey <= bounds.to;
          }).RowKey;
    const filter =
      after === undefined
        ? odata`PartitionKey eq ${partition} and RowKey ge ${bounds.from} and RowKey le ${bounds.to}`
        : odata`PartitionKey eq ${partition} and RowKey gt ${after} and RowKey le ${bounds.to}`;
    const rows: Row[] = [];
    const pages = this.table
      .listEntities<{ ImageKey: string }>({ queryOptions: { filter } })
      .byPage({ maxPageSize: Math.min(limit + 1, 1_000) });
    for await (const page of pages) {
      rows.push(...(page as unknown as Row[]));
      if (rows.length > limit) break;
    }
    const page = rows.slice(0, limit);
    const last = rows.length > limit ? page.at(-1) : undefined;
    return {
      items: page.map(({ ImageKey }) => String(ImageKey)),
      ...(last && { cursor: encodeCursor("byTag", { PartitionKey: partition, RowKey: last.rowKey }) }),
    };
  }

  async recall(sha256: string): Promise<Tag[] | undefined> {
    try {
      const { Tagger, Labels, ExpiresOn } = await this.table.getEntity(...labelsAt(sha256));
      const isFresh = ExpiresOn instanceof Date && this.clock.now() < ExpiresOn;
      return isFresh && Tagger === this.tagger ? z.array(Tag).parse(JSON.parse(String(Labels))) : undefined;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async remember(sha256: string, tags: readonly Tag[]): Promise<void> {
    const [partitionKey, rowKey] = labelsAt(sha256);
    const ExpiresOn = new Date(this.clock.now().getTime() + LABELS_DAYS * 86_400_000);
    await this.table.upsertEntity({ partitionKey, rowKey, Labels: JSON.stringify(tags), Tagger: this.tagger, ExpiresOn }, "Replace");
  }

  /**
   * Removes labels that are too old to be recalled; the table does not do that by itself. One call looks at a part of them, the next one five minutes
   * later at the next part.
   */
  async forget(): Promise<void> {
    const now = this.clock.now();
    const part = (Math.floor(now.getTime() / TURN) % 256).toString(16).padStart(2, "0");
    const [from] = labelsAt(part);
    const filter = odata`PartitionKey ge ${from} and PartitionKey lt ${`${from}~`} and ExpiresOn le ${now}`;
    const pages = this.table.listEntities({ queryOptions: { filter, select: ["PartitionKey", "RowKey"] } }).byPage({ maxPageSize: 1_000 });
    for await (const page of pages) await this.write([], page as unknown as Row[]);
  }

  private async write(rows: readonly Row[], obsolete: readonly Row[]): Promise<void> {
    const requests = [
      ...rows.map((row) => () => this.table.upsertEntity(row, "Replace")),
      ...obsolete.map((row) => () => this.discard(row)),
    ];
    for (let from = 0; from < requests.length; from += AT_ONCE) {
      await Promise.all(requests.slice(from, from + AT_ONCE).map((request) => request()));
    }
  }

  /** A row that was read is removed as it was: not one that has been written since. */
  private async discard({ partitionKey, rowKey, etag = "*" }: Row): Promise<void> {
    try {
      await this.table.deleteEntity(partitionKey, rowKey, { etag: String(etag) });
    } catch (error) {
      if (!isMissing(error) && !(error instanceof RestError && error.statusCode === 412)) throw error;
    }
  }
}

function rowsOf({ key, user, uploadedAt, tags = [] }: Tagged): Row[] {
  if (tags.length === 0) return [];
  const UploadedOn = new Date(uploadedAt);
  const surest = new Map<string, number>();
  for (const { name, confidence } of tags) surest.set(name, Math.max(confidence, surest.get(name) ?? 0));
  const image = { ImageKey: key, UploadedOn, ...(user !== undefined && { UserId: user }) };
  const all = [...surest].map(([name, confidence]) => ({ name, confidence }));
  const rowKey = `${countdown(instant(uploadedAt))}:${segment(key, LONGEST.amongOthers)}`;
  return [
    ...(user === undefined
      ? []
      : [{ partitionKey: segment(user, LONGEST.alone), rowKey: segment(key, LONGEST.alone), ...image, Tags: JSON.stringify(all) }]),
    ...all.flatMap(({ name, confidence }) =>
      [everybodys(name), ...(user === undefined ? [] : [usersOwn(user, name)])].map((partitionKey) => ({
        partitionKey,
        rowKey,
        ...image,
        Tag: name,
        Confidence: confidence,
      })),
    ),
  ];
}

const identity = ({ partitionKey, rowKey }: Row) => `${partitionKey} ${rowKey}`;

const everybodys = (tag: string) => `tag:${segment(tag, LONGEST.amongOthers)}`;

const usersOwn = (user: string, tag: string) => `${everybodys(tag)}:user:${segment(user, LONGEST.amongOthers)}`;

const labelsAt = (sha256: string): [partitionKey: string, rowKey: string] => [`sha256:${sha256}`, "labels"];

/** Milliseconds until the end of time, so that what is newer sorts before what is older. */
function countdown(iso: string): string {
  return String(END - Date.parse(iso)).padStart(13, "0");
}

/** Text as a part of a key; of what is too long, a digest. */
function segment(text: string, longest: number): string {
  const encoded = Buffer.from(text).toString("base64url");
  return encoded.length <= longest ? encoded : `~${createHash("sha256").update(text).digest("hex")}`;
}

function isMissing(error: unknown): boolean {
  return error instanceof RestError && error.statusCode === 404 && errorCode(error) !== "TableNotFound";
}

/** The SDK leaves Table Storage's code in the body. */
function errorCode(error: RestError): string | undefined {
  const details = error.details as { odataError?: { code?: string } } | undefined;
  return details?.odataError?.code ?? error.code;
}
