import { createHash } from "node:crypto";
import { odata, RestError, type TableClient } from "@azure/data-tables";
import { decodeCursor, encodeCursor } from "../core/cursor.js";
import { ALWAYS, between, instant } from "../core/instants.js";
import type { Clock, Page, RecordStore, ResumableRecords } from "../core/ports.js";
import type { ImageRecord } from "../core/record.js";
import * as lifecycle from "../core/record-lifecycle.js";

/** All entities lie in one partition: there are as many as fit on a developer's machine. */
const PARTITION = "images";

/** Characters of one property; a table's may have 32,768. */
const CHUNK = 30_000;

/** Concurrent changes of one record that one change waits out. */
const ATTEMPTS = 20;

interface Entity {
  partitionKey: string;
  rowKey: string;
  /** What is asked for by queries; of a tombstone, only the last. Instants are text. */
  Status?: string;
  UserId?: string;
  UploadedOn?: string;
  StartedOn?: string;
  ExpiresOn?: string;
  /** The entry as JSON, in as many properties as it takes: Entry0, Entry1, … */
  [chunk: `Entry${number}`]: string;
}

/**
 * Records in Table Storage, for machines without a database: each change is read, decided (see record-lifecycle.ts) and written on the condition
 * that nobody has written since. Listings read all that matches: in the cloud, records are in Azure SQL.
 */
export class TableRecordStore implements ResumableRecords {
  constructor(
    private readonly table: TableClient,
    private readonly clock: Clock = { now: () => new Date() },
  ) {}

  async get(key: string): Promise<ImageRecord | undefined> {
    return (await this.read(key))?.entry.record;
  }

  async storedBy(key: string, execution: string): ReturnType<ResumableRecords["storedBy"]> {
    return lifecycle.storedBy((await this.read(key))?.entry, execution);
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
    const index = `${user === undefined ? "" : `user ${user}`} ${status ?? ""}`;
    const last = cursor === undefined ? undefined : decodeCursor(cursor, index, ["place"], ({ place }) => inside(place, range)).place;
    if (range.from > range.to) return { items: [] };
    const conditions = [
      odata`Status ne ${""}`,
      ...(user === undefined ? [] : [odata`UserId eq ${user}`]),
      ...(status === undefined ? [] : [odata`Status eq ${status}`]),
      ...(range.from === ALWAYS.from ? [] : [odata`UploadedOn ge ${range.from}`]),
      ...(range.to === ALWAYS.to ? [] : [odata`UploadedOn le ${range.to}`]),
    ];
    const found = (await this.query(conditions.join(" and ")))
      .flatMap(({ record }) => (record ? [{ record, place: placeOf(record) }] : []))
      .filter(({ place }) => last === undefined || place < last)
      .sort((a, b) => (a.place < b.place ? 1 : -1));
    const page = found.slice(0, limit);
    const end = found.length > limit ? page.at(-1) : undefined;
    return { items: page.map(({ record }) => record), ...(end && { cursor: encodeCursor(index, { place: end.place }) }) };
  }

  async getMany(keys: readonly string[]): Promise<ImageRecord[]> {
    const found = await Promise.all(keys.map((key) => this.get(key)));
    return found.filter((record) => record !== undefined);
  }

  async stuck(before: string, limit: number): ReturnType<RecordStore["stuck"]> {
    return (await this.query(odata`Status eq ${"processing"} and UploadedOn lt ${instant(before)}`))
      .filter(({ startedAt }) => startedAt === undefined || startedAt < before)
      .flatMap(lifecycle.stuck)
      .sort((a, b) => (a.record.uploadedAt < b.record.uploadedAt ? -1 : 1))
      .slice(0, limit);
  }

  /** Removes tombstones whose time is over; the table does not do that by itself. */
  async forget(): Promise<void> {
    const over = await this.query(odata`ExpiresOn lt ${this.clock.now().toISOString()}`);
    for (const { key } of over)
      await this.change(key, (entry) => (entry && !entry.record ? { keep: "none", answer: undefined } : { answer: undefined }));
  }

  private async read(key: string): Promise<{ entry: lifecycle.Entry; etag: string } | undefined> {
    try {
      const entity = await this.table.getEntity<Entity>(PARTITION, rowKey(key));
      return { entry: entryOf(entity as Entity), etag: entity.etag };
    } catch (error) {
      if (codeOf(error) === "ResourceNotFound") return undefined;
      throw error;
    }
  }

  private async query(filter: string): Promise<lifecycle.Entry[]> {
    const entries: lifecycle.Entry[] = [];
    for await (const entity of this.table.listEntities<Entity>({ queryOptions: { filter } })) entries.push(entryOf(entity as Entity));
    return entries;
  }

  private async change<Answer>(key: string, decide: (entry?: lifecycle.Entry) => lifecycle.Transition<Answer>): Promise<Answer> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const found = await this.read(key);
      const { keep, answer } = decide(found?.entry);
      if (keep === undefined || (keep === "none" && !found)) return answer;
      try {
        if (keep === "none") await this.table.deleteEntity(PARTITION, rowKey(key), { etag: found?.etag ?? "*" });
        else if (found) await this.table.updateEntity(entityOf(keep), "Replace", { etag: found.etag });
        else await this.table.createEntity(entityOf(keep));
        return answer;
      } catch (error) {
        // Somebody has written since.
        if (!["UpdateConditionNotSatisfied", "EntityAlreadyExists", "ResourceNotFound"].includes(codeOf(error) ?? "")) throw error;
      }
    }
    throw new Error(`The record of ${key} has changed under ${ATTEMPTS} attempts to change it: try again.`);
  }
}

function entityOf(entry: lifecycle.Entry): Entity {
  const { key, record, startedAt, expiresAt } = entry;
  const entity: Entity = {
    partitionKey: PARTITION,
    rowKey: rowKey(key),
    ...(record && { Status: record.status, UploadedOn: record.uploadedAt }),
    ...(record?.user !== undefined && { UserId: record.user }),
    ...(startedAt !== undefined && { StartedOn: startedAt }),
    ...(expiresAt !== undefined && !record && { ExpiresOn: expiresAt }),
  };
  // In ASCII: Azurite breaks characters of more bytes where a body comes in pieces.
  const json = JSON.stringify(entry).replaceAll(/[\u0080-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
  for (let chunk = 0; chunk * CHUNK < json.length; chunk++) entity[`Entry${chunk}`] = json.slice(chunk * CHUNK, (chunk + 1) * CHUNK);
  return entity;
}

function entryOf(entity: Entity): lifecycle.Entry {
  let json = "";
  for (let chunk = 0; entity[`Entry${chunk}`] !== undefined; chunk++) json += entity[`Entry${chunk}`];
  return JSON.parse(json) as lifecycle.Entry;
}

const rowKey = (key: string) => createHash("sha256").update(key).digest("hex");

/** Sorts as time does, and of one instant by key. */
const placeOf = ({ uploadedAt, key }: ImageRecord) => `${uploadedAt}#${key}`;

function inside(place: string, { from, to }: { from: string; to: string }): boolean {
  const [time = ""] = place.split("#");
  return /^\d{4}-/.test(time) && !Number.isNaN(Date.parse(time)) && from <= time && time <= to;
}

/** The SDK leaves Table Storage's code in the body. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof RestError)) return undefined;
  return (error.details as { odataError?: { code?: string } } | undefined)?.odataError?.code ?? error.code;
}
