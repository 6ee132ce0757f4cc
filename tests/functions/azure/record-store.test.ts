import assert from "node:assert/strict";
import sql from "mssql";
import { STEPS } from "../../../components/azure/schema.js";
import { Database, isTransient } from "../../../functions/azure/database.js";
import { COLUMNS } from "../../../functions/azure/record-row.js";
import { SqlRecordStore } from "../../../functions/azure/record-store.js";
import { InvalidCursor, type Run } from "../../../functions/core/ports.js";
import { recordStoreContract } from "../contract/record-store.js";
import { SqliteDatabase } from "./database.js";

const KEY = "uploads/ann/cat ä+1.png";
const NOON = "2026-11-21T12:00:00.000Z";
const later = (seconds: number) => new Date(Date.parse(NOON) + seconds * 1_000).toISOString();
const run = (sequencer: string, key = KEY): Run => ({ key, sequencer, etag: `etag-${sequencer}`, redrive: false });

describe("Records in SQL", () => {
  let database: SqliteDatabase;
  let store: SqlRecordStore;
  let now: Date;

  beforeEach(() => {
    database = new SqliteDatabase();
    now = new Date(NOON);
    store = new SqlRecordStore(database as unknown as Database, { now: () => now });
  });
  afterEach(() => database.close());

  const row = async (key = KEY) => {
    const { recordset } = await (await database.request())
      .input("Key", sql.NVarChar(), key)
      .query("SELECT * FROM ImageMetadata WHERE ImageKey = @Key");
    return recordset[0] as Record<string, unknown> | undefined;
  };

  recordStoreContract(async (clock) => ({
    store: new SqlRecordStore(database as unknown as Database, clock),
    has: async (key) => (await row(key)) !== undefined,
  }));

  it("have the columns that requirement 000 names", async () => {
    await store.begin(run("0055"), { user: "ann", size: 4_711, uploadedAt: NOON });
    const { FileName, FileSizeKB, FileSizeBytes, UserId, Status, UploadedOn } = (await row()) ?? {};
    assert.deepEqual([FileName, FileSizeKB, FileSizeBytes, UserId, Status], ["cat ä+1.png", 5, "4711", "ann", "processing"]);
    assert.deepEqual(UploadedOn, new Date(NOON));
  });

  it("have the columns that the program declares, and no others", () => {
    const declared = [...(STEPS[0] ?? "").matchAll(/^ {2}(\w+) [A-Z]/gm)].map(([, name]) => name);
    assert.deepEqual(declared.toSorted(), ["Id", ...Object.keys(COLUMNS)].toSorted());
  });

  it("lose no write whose acknowledgement was lost", async () => {
    for (const [statement, sequencer] of [
      ["INSERT", "0055"],
      ["UPDATE", "0056"],
    ] as const) {
      database.lost = statement;
      assert.notEqual(await store.begin(run(sequencer), { uploadedAt: NOON }), "stale", statement);
      assert.equal(database.lost, undefined);
    }
    await store.announce({ key: "new", at: NOON, overwrite: false, lifetime: 900 });
    database.lost = "DELETE";
    await store.withdraw("new");
    assert.equal(await row("new"), undefined);
  });

  it("keep apart what happens at the same moment: of two who write, the second looks again", async () => {
    const other = new SqlRecordStore(database as unknown as Database);
    database.before = { statement: "INSERT", act: () => other.begin(run("0056"), { uploadedAt: NOON }) };
    assert.equal(await store.begin(run("0055"), { uploadedAt: NOON }), "stale");
    database.before = { statement: "UPDATE", act: () => other.begin(run("0058"), { uploadedAt: NOON }) };
    assert.equal(await store.begin(run("0057"), { uploadedAt: NOON }), "stale");
    assert.equal((await row())?.Sequencer, "0058");
  });

  it("of deleted images are forgotten when nothing late can come any more", async () => {
    await store.begin(run("0055"), { uploadedAt: NOON });
    await store.begin(run("0055", "other"), { uploadedAt: NOON });
    await store.bury(KEY, { sequencer: "0060", at: NOON });
    now = new Date("2026-12-06T12:00:00.000Z");
    await store.forget();
    assert.ok(await row());
    now = new Date("2026-12-06T12:00:00.001Z");
    await store.forget();
    assert.deepEqual([await row(), (await row("other"))?.Status], [undefined, "processing"]);
  });

  it("of one moment are paged without gaps or repetition", async () => {
    for (let n = 1; n <= 5; n++) await store.begin(run("0055", `${n}`), { uploadedAt: NOON });
    const first = await store.list({ limit: 2 });
    const second = await store.list({ limit: 9, cursor: first.cursor ?? "" });
    assert.deepEqual(
      [...first.items, ...second.items].map(({ key }) => key),
      ["5", "4", "3", "2", "1"],
    );
  });

  it("are paged by cursors of the same query only", async () => {
    for (const n of [1, 2, 3]) await store.begin(run("0055", `${n}`), { user: n === 2 ? "bob" : "ann", uploadedAt: later(n) });
    const { cursor = "" } = await store.list({ limit: 1, user: "ann" });
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const { index, position } = JSON.parse(Buffer.from(cursor, "base64url").toString());
    const forged = {
      "another user's": encode({ index, position: { ...position, UserId: "bob" } }),
      "another index's": encode({ index: "byTime", position }),
      "an attribute less": encode({ index, position: { UserId: "ann", UploadedOn: position.UploadedOn } }),
      "an attribute more": encode({ index, position: { ...position, Extra: "x" } }),
      "no number": encode({ index, position: { ...position, Id: "1; DROP TABLE" } }),
      "too large a number": encode({ index, position: { ...position, Id: "9999999999" } }),
      "no time": encode({ index, position: { ...position, UploadedOn: "2026-13-01T00:00:00.000Z" } }),
    };
    for (const [what, value] of Object.entries(forged))
      await assert.rejects(store.list({ limit: 1, user: "ann", cursor: value }), InvalidCursor, what);
    await assert.rejects(store.list({ limit: 1, user: "ann", to: NOON, cursor }), InvalidCursor, "outside");
    assert.deepEqual(
      (await store.list({ limit: 1, user: "ann", cursor })).items.map(({ key }) => key),
      ["1"],
    );
  });

  it("take every value for a value, never for a statement", async () => {
    const key = "uploads/'; DROP TABLE dbo.ImageMetadata; --.png";
    await store.announce({ key, user: "' OR 1=1 --", at: NOON, overwrite: false, lifetime: 900 });
    assert.deepEqual(
      (await store.list({ user: "' OR 1=1 --", limit: 9 })).items.map((record) => record.key),
      [key],
    );
    assert.deepEqual((await store.list({ user: "ann", limit: 9 })).items, []);
  });

  it("that somebody else has written wrongly are named", async () => {
    await store.begin(run("0055"), { uploadedAt: NOON });
    await (await database.request()).query("UPDATE ImageMetadata SET Status = 'done'");
    await assert.rejects(store.get(KEY), /"uploads\/ann\/cat ä\+1\.png" is not a record/);
  });
});

describe("A database's trouble", () => {
  const failing = (errors: unknown[]) => async () => {
    const error = errors.shift();
    if (error) throw error;
    return "done";
  };
  const numbered = (number: number) => new sql.RequestError(Object.assign(new Error("No."), { info: { number }, number }), "EREQUEST");

  it("that passes by itself is waited out", async () => {
    const database = new Database({ server: "unused" });
    assert.equal(await database.run(failing([numbered(1205), numbered(40613)])), "done");
  });

  it("that does not is told at once", async () => {
    const database = new Database({ server: "unused" });
    const errors = [numbered(547), numbered(547)];
    await assert.rejects(database.run(failing(errors)), { number: 547 });
    assert.equal(errors.length, 1);
  });

  it("is known by its number, or by its connection", () => {
    for (const number of [1205, 10928, 40501, 40613, 49918]) assert.ok(isTransient(numbered(number)), String(number));
    for (const number of [102, 229, 2627, 18456, 40615]) assert.ok(!isTransient(numbered(number)), String(number));
    for (const code of ["ESOCKET", "ETIMEOUT"] as const) assert.ok(isTransient(new sql.ConnectionError("No.", code)), code);
    assert.ok(!isTransient(new sql.ConnectionError("No.", "ELOGIN")));
  });
});
