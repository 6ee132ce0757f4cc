import { ImageRecord } from "../core/record.js";
import type { Entry } from "../core/record-lifecycle.js";

/** An item of the table, as the document client speaks of it. */
export type Item = Record<string, unknown>;

/** JSON name → attribute. All others are the same words in PascalCase. */
const RENAMED: Readonly<Record<string, string>> = { key: "ImageKey", user: "UserId", size: "FileSize", uploadedAt: "UploadedOn" };
const RENAMED_BACK = Object.fromEntries(Object.entries(RENAMED).map(([json, attribute]) => [attribute, json]));

/** What is inside of these has PascalCase names too; EXIF keeps its own. */
const STRUCTURED = ["variants", "tags", "failure"];

/**
 * An entry as an item. The attributes of the record lie on top, where indexes and people find them; a tombstone has none of those that indexes
 * need, and so is in none.
 */
export function toItem({ key, record, sequencer, etag, startedAt, execution, previous, expiresAt }: Entry, revision: string): Item {
  return {
    ...(record && { ...recordAttributes(record), UploadedYear: record.uploadedAt.slice(0, 4) }),
    ImageKey: key,
    Revision: revision,
    Sequencer: sequencer,
    ETag: etag,
    StartedOn: startedAt,
    Execution: execution,
    Previous: previous && recordAttributes(previous),
    ExpiresAt: expiresAt === undefined ? undefined : Math.floor(Date.parse(expiresAt) / 1_000),
  };
}

export function fromItem(item: Item): Entry {
  const { Sequencer, ETag, StartedOn, Execution, Previous, ExpiresAt } = item;
  return {
    key: String(item.ImageKey),
    ...(item.Status !== undefined && { record: recordOf(item) }),
    ...(Sequencer !== undefined && { sequencer: String(Sequencer) }),
    ...(ETag !== undefined && { etag: String(ETag) }),
    ...(StartedOn !== undefined && { startedAt: String(StartedOn) }),
    ...(Execution !== undefined && { execution: String(Execution) }),
    ...(Previous !== undefined && { previous: recordOf(Previous as Item) }),
    ...(ExpiresAt !== undefined && { expiresAt: new Date(Number(ExpiresAt) * 1_000).toISOString() }),
  };
}

/**
 * The record in an item's attributes.
 *
 * @throws Error naming the key and what is wrong, when somebody else has written into the table.
 */
export function recordOf(item: Item): ImageRecord {
  const json = Object.fromEntries(
    Object.entries(item).map(([attribute, value]) => {
      const name = RENAMED_BACK[attribute] ?? lower(attribute);
      return [name, STRUCTURED.includes(name) ? renamed(value, lower) : value];
    }),
  );
  const { success, data, error } = ImageRecord.safeParse(json);
  if (!success) throw new Error(`The item ${JSON.stringify(item.ImageKey)} is not a record: ${error.message}`);
  return data;
}

function recordAttributes(record: ImageRecord): Item {
  return Object.fromEntries(
    Object.entries(record).map(([name, value]) => [
      RENAMED[name] ?? upper(name),
      STRUCTURED.includes(name) ? renamed(value, upper) : value,
    ]),
  );
}

function renamed(value: unknown, rename: (name: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => renamed(item, rename));
  return Object.fromEntries(Object.entries(value as object).map(([name, item]) => [rename(name), item]));
}

const upper = (name: string) => name.charAt(0).toUpperCase() + name.slice(1);
const lower = (name: string) => name.charAt(0).toLowerCase() + name.slice(1);
