import assert from "node:assert/strict";
import type sql from "mssql";
import { STEPS, TABLE } from "../../../../../components/azure/schema.js";
import type { Database } from "../../../../../functions/azure/database.js";
import { SqlRecordStore } from "../../../../../functions/azure/record-store.js";
import { recordStoreContract } from "../../../../functions/contract/record-store.js";
import { type TestServer, testServer } from "./test-server.js";

describe("The records of images in the embedded SQL", () => {
  let test: TestServer;
  let pool: sql.ConnectionPool;
  let database: Database;
  before(async () => {
    test = await testServer();
    pool = await test.connect({ pool: { max: 6, min: 0 } });
    for (const step of STEPS) await pool.request().batch(step);
    database = { request: async () => pool.request(), run: <Result>(work: () => Promise<Result>) => work() } as Database;
  });
  beforeEach(() => pool.request().batch(`DELETE FROM ${TABLE}`));
  after(() => test.stop());

  recordStoreContract(async (clock) => ({
    store: new SqlRecordStore(database, clock),
    async has(key) {
      const { recordset } = await pool
        .request()
        .input("key", key)
        .query<{ n: number }>(`SELECT COUNT(*) AS n FROM ${TABLE} WHERE ImageKey = @key`);
      return recordset[0]?.n === 1;
    },
  }));

  it("are listed newest first by an ordinary client", async () => {
    const store = new SqlRecordStore(database);
    for (const day of ["01", "03", "02"]) {
      await store.begin(
        { key: `uploads/${day}.png`, sequencer: "1", etag: "e", redrive: false },
        { user: "ann", size: 2_049, uploadedAt: `2026-11-${day}T10:00:00.000Z` },
      );
    }
    const { recordset } = await pool.request().query("SELECT FileName, FileSizeKB, UploadedOn FROM ImageMetadata ORDER BY UploadedOn DESC");
    assert.deepEqual(
      recordset.map(({ FileName, FileSizeKB }) => [FileName, FileSizeKB]),
      [
        ["03.png", 3],
        ["02.png", 3],
        ["01.png", 3],
      ],
    );
    assert.deepEqual(recordset[0].UploadedOn, new Date("2026-11-03T10:00:00.000Z"));
  });
});
