import assert from "node:assert/strict";
import { GetCommand, PutCommand } from "@aws-sdk/lib-dynamodb";
import { DynamoRecordStore } from "../../../functions/aws/record-store.js";
import { type Completion, InvalidCursor, type Run } from "../../../functions/core/ports.js";
import { recordStoreContract } from "../contract/record-store.js";
import { startTables, type Tables } from "./tables.js";

const KEY = "uploads/ann/cat ä+1.png";
const NOON = "2026-11-21T12:00:00.000Z";
/** Noon, so many seconds later. */
const later = (seconds: number) => new Date(Date.parse(NOON) + seconds * 1_000).toISOString();

const run = (sequencer: string, more: Partial<Run> = {}): Run => ({
  key: KEY,
  sequencer,
  etag: `etag-${sequencer}`,
  redrive: false,
  ...more,
});

const COMPLETION: Completion = {
  format: "png",
  width: 640,
  height: 480,
  colorSpace: "srgb",
  hasAlpha: true,
  frames: 1,
  orientation: 1,
  exif: { Make: "Kodak", FNumber: 2.8 },
  sha256: "a".repeat(64),
  dominantColor: "#123456",
  thumbhash: "3OcRJYB4d3h/iIeHeEh3eIhw+j3A",
  size: 4_711,
  variants: [{ name: "small", key: "thumbnails/x/small.png", width: 100, height: 100, format: "png", size: 99 }],
  tags: [{ name: "Cat", confidence: 98.5 }],
};

describe("Records in DynamoDB", () => {
  let tables: Tables;
  let table: string;
  let store: DynamoRecordStore;
  let now: Date;

  before(async () => {
    tables = await startTables();
  });
  after(() => tables.stop());
  beforeEach(async () => {
    table = await tables.records();
    now = new Date(NOON);
    store = new DynamoRecordStore(tables.client, table, { now: () => now });
  });

  const item = async (key = KEY) => (await tables.client.send(new GetCommand({ TableName: table, Key: { ImageKey: key } }))).Item;
  const begun = (sequencer: string, user?: string, at = NOON) =>
    store.begin(run(sequencer), { ...(user && { user }), size: 4_711, uploadedAt: at });
  const completed = async (sequencer: string, user = "ann", more: Partial<Completion> = {}) => {
    await begun(sequencer, user);
    return store.finish(run(sequencer), { completion: { ...COMPLETION, ...more } }, later(2));
  };
  const stored = (answer: Awaited<ReturnType<typeof store.finish>>) => (answer === "stale" ? assert.fail("stale") : answer);

  recordStoreContract(async (clock) => ({
    store: new DynamoRecordStore(tables.client, table, clock),
    has: async (key) => (await item(key)) !== undefined,
  }));

  it("is written with the attribute names that people look for", async () => {
    await completed("0055");
    const { ImageKey, UserId, FileSize, UploadedOn, UploadedYear, Status, Width, Sha256, Tags, Variants, Exif, Sequencer } =
      (await item()) ?? {};
    assert.deepEqual(
      { ImageKey, UserId, FileSize, UploadedOn, UploadedYear, Status, Width, Sha256, Sequencer },
      {
        ImageKey: KEY,
        UserId: "ann",
        FileSize: 4_711,
        UploadedOn: NOON,
        UploadedYear: "2026",
        Status: "completed",
        Width: 640,
        Sha256: "a".repeat(64),
        Sequencer: "0055",
      },
    );
    assert.deepEqual(Tags, [{ Name: "Cat", Confidence: 98.5 }]);
    assert.equal(Variants[0].Key, "thumbnails/x/small.png");
    assert.deepEqual(Exif, { Make: "Kodak", FNumber: 2.8 });
  });

  it("loses no write whose acknowledgement was lost", async () => {
    await begun("0055", "ann");
    tables.loseAcknowledgement("PutItem");
    const { record } = stored(await store.finish(run("0055"), { completion: COMPLETION }, later(2)));
    assert.equal(record.status, "completed");
  });

  it("keeps apart what happens at the same moment: of two who write, the second looks again", async () => {
    await begun("0055");
    tables.intercept("PutItem", async () => {
      await new DynamoRecordStore(tables.client, table).begin(run("0056"), { uploadedAt: later(1) });
    });
    assert.equal(await store.finish(run("0055"), { completion: COMPLETION }, later(2)), "stale");
    assert.equal((await item())?.Sequencer, "0056");
  });

  it("forgets tombstones after 15 days", async () => {
    await completed("0055");
    await store.bury(KEY, { sequencer: "0060", at: NOON });
    assert.equal((await item())?.ExpiresAt, Date.parse("2026-12-06T12:00:00Z") / 1_000);
  });

  it("refuses cursors of other queries", async () => {
    for (const n of [1, 2, 3]) await store.begin(run("0055", { key: `${n}` }), { user: n === 2 ? "bob" : "ann", uploadedAt: later(n) });
    const { cursor = "" } = await store.list({ limit: 1, user: "ann" });
    const other = await store.list({ limit: 1 });
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const { index, position } = JSON.parse(Buffer.from(cursor, "base64url").toString());
    const forged = {
      "no JSON": "abc",
      empty: "",
      null: encode(null),
      "another index's": other.cursor ?? "",
      "another user's": encode({ index, position: { ...position, UserId: "bob" } }),
      "an attribute less": encode({ index, position: { UserId: "ann", UploadedOn: position.UploadedOn } }),
      "an attribute more": encode({ index, position: { ...position, Extra: "x" } }),
      "a member more": encode({ index, position, more: 1 }),
      "a number": encode({ index, position: { ...position, UploadedOn: 5 } }),
    };
    for (const [what, value] of Object.entries(forged)) {
      await assert.rejects(store.list({ limit: 1, user: "ann", cursor: value }), InvalidCursor, what);
    }
    await assert.rejects(store.list({ limit: 1, user: "ann", to: "2024-01-01T00:00:00Z", cursor }), InvalidCursor, "outside");
    assert.equal((await store.list({ limit: 1, user: "ann", cursor })).items.length, 1, "its own");
  });

  it("names the item that somebody else has written wrongly", async () => {
    await tables.client.send(new PutCommand({ TableName: table, Item: { ImageKey: KEY, Status: "done" } }));
    await assert.rejects(store.get(KEY), /"uploads\/ann\/cat ä\+1\.png" is not a record/);
  });
});
