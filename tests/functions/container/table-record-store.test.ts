import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { TableClient } from "@azure/data-tables";
import { TableRecordStore } from "../../../functions/container/table-record-store.js";
import type { Clock } from "../../../functions/core/ports.js";
import { recordStoreContract } from "../contract/record-store.js";
import { type TestAzurite, testAzurite } from "./azurite.js";

const NOON = "2026-11-21T12:00:00.000Z";

describe("Records in Table Storage", () => {
  let azurite: TestAzurite;
  let table: TableClient;

  before(async () => {
    azurite = await testAzurite();
  });
  after(() => azurite.stop());

  const make = async (clock: Clock) => {
    table = azurite.table(`t${randomUUID().replaceAll("-", "")}`);
    await table.createTable();
    return new TableRecordStore(table, clock);
  };
  const entities = async () => {
    const found: object[] = [];
    for await (const entity of table.listEntities()) found.push(entity);
    return found;
  };

  recordStoreContract(async (clock) => {
    const store = await make(clock);
    return { store, has: async () => (await entities()).length > 0 };
  });

  it("are changed by one after the other, however many come at once", async () => {
    const store = await make({ now: () => new Date(NOON) });
    await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        store.begin({ key: "a", sequencer: `00${n}`, etag: `${n}`, redrive: false }, { uploadedAt: NOON }),
      ),
    );
    const finished = await store.finish(
      { key: "a", sequencer: "007", etag: "7", redrive: false },
      { failure: { code: "CORRUPT", message: "no" } },
      NOON,
    );
    assert.notEqual(finished, "stale", "the newest is known, whoever came last");
  });

  it("of deleted images are forgotten when nothing late can come any more", async () => {
    let now = new Date(NOON);
    const store = await make({ now: () => now });
    await store.begin({ key: "a", sequencer: "0055", redrive: false }, { uploadedAt: NOON });
    await store.bury("a", { sequencer: "0060", at: NOON });
    await store.forget();
    assert.equal((await entities()).length, 1);
    now = new Date("2026-12-06T12:00:00.001Z");
    await store.forget();
    assert.deepEqual(await entities(), []);
  });

  it("may be longer than one property", async () => {
    const store = await make({ now: () => new Date(NOON) });
    const run = { key: "a", sequencer: "0055", redrive: false };
    await store.begin(run, { uploadedAt: NOON });
    const message = "ä".repeat(70_000);
    await store.finish(run, { failure: { code: "CORRUPT", message } }, NOON);
    assert.ok((await store.get("a"))?.failure?.message === message);
  });

  it("tell what one execution has stored", async () => {
    const store = await make({ now: () => new Date(NOON) });
    const run = { key: "a", sequencer: "0055", redrive: false, execution: "one" };
    await store.begin(run, { uploadedAt: NOON });
    const finished = await store.finish(run, { failure: { code: "CORRUPT", message: "no" } }, NOON);
    assert.deepEqual(await store.storedBy("a", "one"), finished);
    assert.equal(await store.storedBy("a", "two"), undefined);
  });
});
