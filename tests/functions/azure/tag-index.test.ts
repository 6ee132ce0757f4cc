import assert from "node:assert/strict";
import type { TableClient } from "@azure/data-tables";
import { TableTagIndex } from "../../../functions/azure/tag-index.js";
import { InvalidCursor } from "../../../functions/core/ports.js";
import { tagIndexContract } from "../contract/tag-index.js";
import { type TestStorage, testStorage } from "./storage.js";

describe("Tags in Table Storage", function () {
  this.timeout(30_000);
  let storage: TestStorage;
  let table: TableClient;
  let index: TableTagIndex;
  let now: Date;
  let count = 0;

  before(async () => {
    storage = await testStorage();
  });
  after(() => storage.stop());
  beforeEach(async () => {
    table = await storage.table(`ImageTags${++count}`);
    now = new Date("2026-11-01T00:00:00Z");
    index = new TableTagIndex(table, "cloud", { now: () => now });
  });

  tagIndexContract(() => index);

  const rows = async () => {
    const found: Record<string, unknown>[] = [];
    for await (const row of table.listEntities()) found.push(row);
    return found;
  };
  const base64url = (text: string) => Buffer.from(text).toString("base64url");

  it("are kept per user and image, where requirement 002 looks for them", async () => {
    const image = { key: "uploads/ann/cat.png", user: "ann", uploadedAt: "2026-11-01T00:00:00.000Z" };
    await index.replace(image, [{ name: "Cat", confidence: 98 }]);
    const row = await table.getEntity(base64url("ann"), base64url("uploads/ann/cat.png"));
    assert.deepEqual([row.Tags, row.ImageKey], ['[{"name":"Cat","confidence":98}]', "uploads/ann/cat.png"]);
    await index.replace(image, [], { ...image, status: "completed", tags: [{ name: "Cat", confidence: 98 }] });
    assert.deepEqual(await rows(), [], "an image without tags leaves none");
  });

  it("are paged by cursors of the same query only", async () => {
    const day = (n: number) => `2026-11-0${n}T00:00:00.000Z`;
    for (let n = 1; n <= 4; n++) await index.replace({ key: `${n}`, user: "ann", uploadedAt: day(n) }, [{ name: "Cat", confidence: 9 }]);
    const { cursor = "" } = await index.find({ tag: "Cat", limit: 2 });
    for (const query of [{ tag: "Dog" }, { tag: "Cat", user: "ann" }, { tag: "Cat", to: day(2) }, { tag: "Cat", from: day(4) }])
      await assert.rejects(index.find({ limit: 2, ...query, cursor }), InvalidCursor, JSON.stringify(query));
    assert.deepEqual((await index.find({ tag: "Cat", limit: 2, cursor })).items, ["2", "1"]);
  });

  it("of another tagger, and those that are too old, are not recalled", async () => {
    const sha256 = "ab".repeat(32);
    await new TableTagIndex(table, "statistics").remember(sha256, []);
    assert.equal(await index.recall(sha256), undefined);
    await index.remember(sha256, []);
    now = new Date("2027-01-29T23:59:59Z");
    assert.deepEqual(await index.recall(sha256), []);
    now = new Date("2027-01-30T00:00:00Z");
    assert.equal(await index.recall(sha256), undefined);
  });

  describe("that are too old", () => {
    const digest = (part: string) => part.repeat(32);
    const turn = (n: number) => new Date(Math.ceil(Date.parse("2027-02-01") / 76_800_000) * 76_800_000 + n * 300_000);

    it("are forgotten within a day of sweeps, a part of them by each; all else stays", async () => {
      for (const part of ["00", "01", "ff"]) await index.remember(digest(part), []);
      await index.replace({ key: "cat.png", user: "ann", uploadedAt: "2026-11-01T00:00:00.000Z" }, [{ name: "Cat", confidence: 98 }]);
      now = turn(0);
      await index.remember(digest("0f"), []);
      const labels = async () => (await rows()).flatMap(({ partitionKey }) => /^sha256:(..)/.exec(String(partitionKey))?.[1] ?? []);
      for (const [n, left] of [
        [0, ["01", "0f", "ff"]],
        [2, ["01", "0f", "ff"]],
        [1, ["0f", "ff"]],
        [15, ["0f", "ff"]],
        [255, ["0f"]],
      ] as const) {
        now = turn(n);
        await index.forget();
        assert.deepEqual(await labels(), left, `turn ${n}`);
      }
      assert.equal((await rows()).length, 4);
    });

    it("but have been found anew meanwhile are not", async () => {
      await index.remember(digest("00"), []);
      now = turn(0);
      const deleteEntity = table.deleteEntity.bind(table);
      table.deleteEntity = async (...row) => {
        await index.remember(digest("00"), [{ name: "Cat", confidence: 98 }]);
        return deleteEntity(...row);
      };
      await index.forget();
      assert.deepEqual(await index.recall(digest("00")), [{ name: "Cat", confidence: 98 }]);
    });
  });

  it("in a table that is not there are an error, not nothing", async () => {
    await table.deleteTable();
    await assert.rejects(index.recall("ab"), /TableNotFound/);
  });
});
