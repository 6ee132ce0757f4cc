import { createHash } from "node:crypto";
import { between } from "../../../functions/core/instants.js";
import {
  type Clock,
  type DeadLetter,
  type DeadLetters,
  InvalidCursor,
  ObjectChanged,
  ObjectExists,
  type ObjectInfo,
  ObjectMissing,
  type ObjectStore,
  type Page,
  type RecordStore,
  type ResumableRecords,
  type TagIndex,
  type Ticket,
  type TicketRequest,
  type Workflow,
} from "../../../functions/core/ports.js";
import type { ImageRecord, Tag } from "../../../functions/core/record.js";
import * as lifecycle from "../../../functions/core/record-lifecycle.js";

/** All ports in memory, with one clock. They keep the conditions that ports.ts promises, so that races can be played through. */
export function memoryPorts() {
  const clock = new MemoryClock();
  return {
    clock,
    uploads: new MemoryObjectStore(clock),
    variants: new MemoryObjectStore(clock),
    records: new MemoryRecordStore(clock),
    tags: new MemoryTagIndex(),
    deadLetters: new MemoryDeadLetters(),
    workflow: new MemoryWorkflow(),
  };
}

/** Time that passes only when a test says so. */
export class MemoryClock implements Clock {
  constructor(private time = Date.parse("2026-11-01T12:00:00.000Z")) {}

  now(): Date {
    return new Date(this.time);
  }

  pass(seconds: number): void {
    this.time += seconds * 1000;
  }
}

interface Stored {
  bytes: Buffer;
  info: ObjectInfo;
}

export class MemoryObjectStore implements ObjectStore {
  readonly objects = new Map<string, Stored>();
  /** Every call, as `"head uploads/cat.jpg"`, and `"read uploads/cat.jpg 0-65536"`. */
  readonly calls: string[] = [];

  constructor(private readonly clock: Clock = new MemoryClock()) {}

  /** Keys, sorted. */
  get keys(): string[] {
    return [...this.objects.keys()].sort();
  }

  /** The bytes under a key. */
  bytes(key: string): Buffer | undefined {
    return this.objects.get(key)?.bytes;
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    this.calls.push(`head ${key}`);
    return this.objects.get(key)?.info;
  }

  async read(key: string, { start = 0, end, etag }: { start?: number; end?: number; etag?: string } = {}): Promise<Uint8Array> {
    this.calls.push(`read ${key} ${start}-${end ?? ""}`);
    const stored = this.objects.get(key);
    if (!stored) throw new ObjectMissing(`There is no ${key}.`);
    if (etag !== undefined && etag !== stored.info.etag) throw new ObjectChanged(`${key} has changed.`);
    return Buffer.from(stored.bytes.subarray(start, end));
  }

  async write(
    key: string,
    bytes: Uint8Array,
    { contentType, user, overwrite }: { contentType: string; user?: string; overwrite: boolean },
  ): Promise<void> {
    this.calls.push(`write ${key}`);
    if (!overwrite && this.objects.has(key)) throw new ObjectExists(`${key} is there already.`);
    const info = {
      key,
      size: bytes.length,
      etag: createHash("md5").update(bytes).digest("hex"),
      contentType,
      ...(user !== undefined && { user }),
      modifiedAt: this.clock.now().toISOString(),
    };
    this.objects.set(key, { bytes: Buffer.from(bytes), info });
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      this.calls.push(`delete ${key}`);
      this.objects.delete(key);
    }
  }

  async ticket({ key, contentType, lifetime }: TicketRequest): Promise<Ticket> {
    return {
      method: "PUT",
      url: `${await this.origin()}/${encodeURI(key)}?ticket`,
      headers: { "content-type": contentType },
      expiresAt: new Date(this.clock.now().getTime() + lifetime * 1000).toISOString(),
    };
  }

  async link(key: string, { lifetime, download }: { lifetime: number; download?: string }): Promise<string> {
    const query = new URLSearchParams({ lifetime: String(lifetime), ...(download !== undefined && { download }) });
    return `${await this.origin()}/${encodeURI(key)}?${query}`;
  }

  async origin(): Promise<string> {
    return "https://store.example";
  }
}

/** Decides as every store of records does (record-lifecycle.ts), and keeps the entries in a map. */
export class MemoryRecordStore implements ResumableRecords {
  readonly entries = new Map<string, lifecycle.Entry>();

  constructor(private readonly clock: Clock = new MemoryClock()) {}

  async get(key: string): Promise<ImageRecord | undefined> {
    return structuredClone(this.entries.get(key)?.record);
  }

  announce: RecordStore["announce"] = async (image) => this.change(image.key, (entry) => lifecycle.announce(entry, image));

  attribute: RecordStore["attribute"] = async (image) => this.change(image.key, (entry) => lifecycle.attribute(entry, image));

  withdraw: RecordStore["withdraw"] = async (key) => this.change(key, lifecycle.withdraw);

  begin: RecordStore["begin"] = async (run, image) =>
    this.change(run.key, (entry) => lifecycle.begin(entry, run, image, this.clock.now().toISOString()));

  finish: RecordStore["finish"] = async (run, result, at) => this.change(run.key, (entry) => lifecycle.finish(entry, run, result, at));

  storedBy: ResumableRecords["storedBy"] = async (key, execution) => structuredClone(lifecycle.storedBy(this.entries.get(key), execution));

  bury: RecordStore["bury"] = async (key, tombstone) => this.change(key, (entry) => lifecycle.bury(entry, key, tombstone));

  async list({ user, status, from, to, limit, cursor }: Parameters<RecordStore["list"]>[0]): Promise<Page<ImageRecord>> {
    const range = between(from, to);
    const found = [...this.live()]
      .filter((record) => (user === undefined || record.user === user) && (status === undefined || record.status === status))
      .filter(({ uploadedAt }) => range.from <= uploadedAt && uploadedAt <= range.to);
    return page(found, ({ uploadedAt, key }) => `${uploadedAt}#${key}`, limit, cursor);
  }

  async getMany(keys: readonly string[]): Promise<ImageRecord[]> {
    const records = await Promise.all(keys.map((key) => this.get(key)));
    return records.filter((record) => record !== undefined);
  }

  async stuck(before: string, limit: number): ReturnType<RecordStore["stuck"]> {
    return [...this.entries.values()]
      .filter(({ record, startedAt }) => record?.status === "processing" && (startedAt ?? record.uploadedAt) < before)
      .flatMap((entry) => lifecycle.stuck(structuredClone(entry)))
      .sort((a, b) => order(a.record.uploadedAt, b.record.uploadedAt))
      .slice(0, limit);
  }

  private *live(): Generator<ImageRecord> {
    for (const { record } of this.entries.values()) if (record) yield structuredClone(record);
  }

  private change<Answer>(key: string, decide: (entry?: lifecycle.Entry) => lifecycle.Transition<Answer>): Answer {
    const { keep, answer } = decide(structuredClone(this.entries.get(key)));
    if (keep === "none") this.entries.delete(key);
    else if (keep) this.entries.set(key, structuredClone(keep));
    return structuredClone(answer);
  }
}

interface TagRow {
  key: string;
  user: string | undefined;
  uploadedAt: string;
  tag: string;
  confidence: number;
}

/** Rows are known by tag, time and key, as in a table that is sorted by time. */
export class MemoryTagIndex implements TagIndex {
  readonly rows = new Map<string, TagRow>();
  readonly labels = new Map<string, Tag[]>();

  async replace(image: { key: string; user?: string; uploadedAt: string }, tags: readonly Tag[], before?: ImageRecord): Promise<void> {
    if (before) await this.remove(before);
    for (const { name, confidence } of tags) {
      this.rows.set(rowId(image, name), { key: image.key, user: image.user, uploadedAt: image.uploadedAt, tag: name, confidence });
    }
  }

  async remove(record: ImageRecord): Promise<void> {
    for (const { name } of record.tags ?? []) this.rows.delete(rowId(record, name));
  }

  async find({ tag, user, from, to, limit, cursor }: Parameters<TagIndex["find"]>[0]): Promise<Page<string>> {
    const range = between(from, to);
    const found = [...this.rows.values()].filter(
      (row) => row.tag === tag && (user === undefined || row.user === user) && range.from <= row.uploadedAt && row.uploadedAt <= range.to,
    );
    const { items, ...rest } = page(found, ({ uploadedAt, key }) => `${uploadedAt}#${key}`, limit, cursor);
    return { items: items.map(({ key }) => key), ...rest };
  }

  async recall(sha256: string): Promise<Tag[] | undefined> {
    return structuredClone(this.labels.get(sha256));
  }

  async remember(sha256: string, tags: readonly Tag[]): Promise<void> {
    this.labels.set(sha256, structuredClone([...tags]));
  }
}

export class MemoryDeadLetters implements DeadLetters {
  letters: DeadLetter[] = [];

  async list(limit: number): Promise<DeadLetter[]> {
    return this.letters.slice(0, limit);
  }

  async take(key: string): Promise<DeadLetter[]> {
    const taken = this.letters.filter((letter) => letter.key === key);
    this.letters = this.letters.filter((letter) => letter.key !== key);
    return taken;
  }

  async park(letter: DeadLetter): Promise<void> {
    this.letters.push(structuredClone(letter));
  }
}

/** Remembers what it was asked to run. */
export class MemoryWorkflow implements Workflow {
  readonly started: { object: ObjectInfo; events: readonly unknown[] }[] = [];

  async redrive(object: ObjectInfo, events: readonly unknown[] = []): Promise<void> {
    this.started.push({ object, events });
  }

  deletionIn(event: unknown): string | undefined {
    return (event as { deleted?: { sequencer: string } } | null)?.deleted?.sequencer;
  }
}

const rowId = ({ key, uploadedAt }: { key: string; uploadedAt: string }, tag: string) => `${tag}\0${uploadedAt}\0${key}`;

const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Newest first. A cursor is the position that the page ended at. */
function page<Item>(found: Item[], position: (item: Item) => string, limit: number, cursor: string | undefined): Page<Item> {
  const after = cursor === undefined ? undefined : Buffer.from(cursor, "base64url").toString("utf8");
  if (after !== undefined && !/^\d{4}-.*#/.test(after)) throw new InvalidCursor(`There is no page at ${JSON.stringify(cursor)}.`);
  const rest = found.sort((a, b) => order(position(b), position(a))).filter((item) => after === undefined || position(item) < after);
  const items = rest.slice(0, limit);
  const last = rest.length > limit ? items.at(-1) : undefined;
  return { items, ...(last && { cursor: Buffer.from(position(last)).toString("base64url") }) };
}
