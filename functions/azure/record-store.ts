import { randomUUID } from "node:crypto";
import sql from "mssql";
import { decodeCursor, encodeCursor } from "../core/cursor.js";
import { ALWAYS, between, instant, type Range } from "../core/instants.js";
import type { Clock, Page, RecordStore, ResumableRecords } from "../core/ports.js";
import type { ImageRecord } from "../core/record.js";
import * as lifecycle from "../core/record-lifecycle.js";
import type { Database } from "./database.js";
import { COLUMNS, type Column, fromRow, keyHash, type Row, recordOf, toRow } from "./record-row.js";

/** What a listing is narrowed down to first: its index and that index's own column. */
const INDEXES = { byUser: "UserId", byStatus: "Status", byTime: undefined } as const;
type Index = keyof typeof INDEXES;

const TABLE = "dbo.ImageMetadata";

const NAMES = Object.keys(COLUMNS) as Column[];
const SELECTED = NAMES.join(", ");

const READ = `SELECT ${SELECTED} FROM ${TABLE} WHERE KeyHash = @KeyHash`;
const INSERT = `INSERT INTO ${TABLE} (${SELECTED}) VALUES (${NAMES.map((name) => `@${name}`).join(", ")})`;
const UPDATE = `UPDATE ${TABLE} SET ${NAMES.map((name) => `${name} = @${name}`).join(", ")} WHERE KeyHash = @KeyHash AND Revision = @Seen`;
const DELETE = `DELETE FROM ${TABLE} WHERE KeyHash = @KeyHash AND Revision = @Seen`;

/** Where a listing goes on: newest first, and of one instant the latest row first. */
const BEHIND = "(UploadedOn < @AfterOn OR (UploadedOn = @AfterOn AND Id < @AfterId))";

/** A row of that key is there: by the constraint, or by the unique index. */
const DUPLICATE = [2627, 2601];

/** Concurrent changes of one record that one change waits out. */
const ATTEMPTS = 10;

const PER_QUERY = 100;

type Listed = Row & { Id: number };

/**
 * Records in Azure SQL. Every change is: read the row, decide (see record-lifecycle.ts), and write on the condition that nobody has written since;
 * otherwise all over again.
 */
export class SqlRecordStore implements ResumableRecords {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock = { now: () => new Date() },
  ) {}

  async get(key: string): Promise<ImageRecord | undefined> {
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

  async storedBy(key: string, execution: string): ReturnType<ResumableRecords["storedBy"]> {
    return lifecycle.storedBy((await this.read(key)).entry, execution);
  }

  bury: RecordStore["bury"] = (key, tombstone) => this.change(key, (entry) => lifecycle.bury(entry, key, tombstone));

  async list({ user, status, from, to, limit, cursor }: Parameters<RecordStore["list"]>[0]): Promise<Page<ImageRecord>> {
    const range = between(from, to);
    const index: Index = user !== undefined ? "byUser" : status !== undefined ? "byStatus" : "byTime";
    const after = cursor === undefined ? undefined : positionIn(cursor, index, user ?? status, range);
    if (range.from > range.to) return { items: [] };
    const conditions: [text: string, name: string, type: sql.ISqlType, value: string | number | Date][] = [
      ...(user === undefined ? [] : [["UserId = @UserId", "UserId", COLUMNS.UserId, user] as const]),
      ...(status === undefined ? [] : [["Status = @Status", "Status", COLUMNS.Status, status] as const]),
      ...(range.from === ALWAYS.from ? [] : [["UploadedOn >= @From", "From", COLUMNS.UploadedOn, new Date(range.from)] as const]),
      ...(range.to === ALWAYS.to ? [] : [["UploadedOn <= @To", "To", COLUMNS.UploadedOn, new Date(range.to)] as const]),
    ].map((condition) => [...condition]);
    const where = ["Status IS NOT NULL", ...conditions.map(([text]) => text), ...(after ? [BEHIND] : [])].join(" AND ");
    const { recordset } = await this.database.run(async () => {
      const request = (await this.database.request()).input("Limit", sql.Int(), limit + 1);
      for (const [, name, type, value] of conditions) request.input(name, type, value);
      if (after) request.input("AfterOn", COLUMNS.UploadedOn, after.on).input("AfterId", sql.Int(), after.id);
      return request.query<Listed>(`SELECT TOP (@Limit) Id, ${SELECTED} FROM ${TABLE} WHERE ${where} ORDER BY UploadedOn DESC, Id DESC`);
    });
    const page = recordset.slice(0, limit);
    const last = recordset.length > limit ? page.at(-1) : undefined;
    return { items: page.map(recordOf), ...(last && { cursor: cursorAt(last, index) }) };
  }

  async getMany(keys: readonly string[]): Promise<ImageRecord[]> {
    const found = new Map<string, ImageRecord>();
    const wanted = [...new Set(keys)];
    for (let from = 0; from < wanted.length; from += PER_QUERY) {
      const some = wanted.slice(from, from + PER_QUERY);
      const { recordset } = await this.database.run(async () => {
        const request = await this.database.request();
        for (const [i, key] of some.entries()) request.input(`Key${i}`, COLUMNS.KeyHash, keyHash(key));
        return request.query<Row>(`SELECT ${SELECTED} FROM ${TABLE} WHERE KeyHash IN (${some.map((_, i) => `@Key${i}`).join(", ")})`);
      });
      for (const { key, record } of recordset.map(fromRow)) if (record) found.set(key, record);
    }
    return keys.flatMap((key) => found.get(key) ?? []);
  }

  async stuck(before: string, limit: number): ReturnType<RecordStore["stuck"]> {
    const { recordset } = await this.database.run(async () =>
      (await this.database.request())
        .input("Limit", sql.Int(), limit)
        .input("Status", COLUMNS.Status, "processing")
        .input("Before", COLUMNS.UploadedOn, new Date(before))
        .query<Row>(
          `SELECT TOP (@Limit) ${SELECTED} FROM ${TABLE} WHERE Status = @Status AND UploadedOn < @Before ` +
            // A redrive begins anew with an image that was uploaded long ago.
            "AND (StartedOn IS NULL OR StartedOn < @Before) ORDER BY UploadedOn, Id",
        ),
    );
    return recordset.map(fromRow).flatMap(lifecycle.stuck);
  }

  /** Removes tombstones whose time is over; the database does not do that by itself. */
  async forget(): Promise<void> {
    await this.database.run(async () =>
      (await this.database.request())
        .input("Now", COLUMNS.ExpiresOn, this.clock.now())
        .query(`DELETE FROM ${TABLE} WHERE Status IS NULL AND ExpiresOn < @Now`),
    );
  }

  private async read(key: string): Promise<{ entry?: lifecycle.Entry; revision?: string }> {
    const { recordset } = await this.database.run(async () =>
      (await this.database.request()).input("KeyHash", COLUMNS.KeyHash, keyHash(key)).query<Row>(READ),
    );
    const [row] = recordset;
    return row ? { entry: fromRow(row), revision: String(row.Revision) } : {};
  }

  private async change<Answer>(key: string, decide: (entry?: lifecycle.Entry) => lifecycle.Transition<Answer>): Promise<Answer> {
    let written: { revision: string; answer: Answer } | undefined;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { entry, revision } = await this.read(key);
      // The write came through, only its acknowledgement did not, and the retry met the result.
      if (written && revision === written.revision) return written.answer;
      const { keep, answer } = decide(entry);
      if (keep === undefined) return answer;
      written = { revision: randomUUID(), answer };
      if (await this.write(key, keep, written.revision, revision)) return answer;
    }
    throw Object.assign(new Error(`The record of ${key} has changed under ${ATTEMPTS} attempts to change it: try again.`), {
      name: "RecordContended",
    });
  }

  /** Writes, if the row's revision is still `seen`; without `seen`, if there is no row. @returns whether it has. */
  private async write(key: string, keep: lifecycle.Entry | "none", revision: string, seen: string | undefined): Promise<boolean> {
    try {
      const { rowsAffected } = await this.database.run(async () => {
        const request = await this.database.request();
        if (seen !== undefined) request.input("Seen", COLUMNS.Revision, seen);
        if (keep === "none") return request.input("KeyHash", COLUMNS.KeyHash, keyHash(key)).query(DELETE);
        const row = toRow(keep, revision);
        for (const name of NAMES) request.input(name, COLUMNS[name], row[name]);
        return request.query(seen === undefined ? INSERT : UPDATE);
      });
      return rowsAffected[0] === 1;
    } catch (error) {
      if (error instanceof sql.RequestError && DUPLICATE.includes(error.number ?? 0)) return false;
      throw error;
    }
  }
}

function cursorAt(row: Listed, index: Index): string {
  const column = INDEXES[index];
  const position = { Id: String(row.Id), UploadedOn: (row.UploadedOn as Date).toISOString() };
  return encodeCursor(index, column ? { ...position, [column]: String(row[column]) } : position);
}

function positionIn(cursor: string, index: Index, partition: string | undefined, { from, to }: Range): { on: Date; id: number } {
  const column = INDEXES[index];
  const names = ["Id", "UploadedOn", ...(column ? [column] : [])];
  const position = decodeCursor(cursor, index, names, ({ Id = "", UploadedOn = "", ...rest }) => {
    const isPlace = /^\d{1,10}$/.test(Id) && Number(Id) < 2 ** 31 && isInstant(UploadedOn) && from <= UploadedOn && UploadedOn <= to;
    return isPlace && (column === undefined || rest[column] === partition);
  });
  return { on: new Date(position.UploadedOn as string), id: Number(position.Id) };
}

function isInstant(text: string): boolean {
  return /^\d{4}-/.test(text) && !Number.isNaN(Date.parse(text)) && new Date(text).toISOString() === text;
}
