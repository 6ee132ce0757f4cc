import assert from "node:assert/strict";
import sql from "mssql";
import { DATABASE, SCHEMA, STATEMENTS, type StatementCase } from "./statements.js";
import { type TestServer, testServer } from "./test-server.js";

/** Every statement of the table in a transaction of its own, which is taken back. */
function run(pool: () => sql.ConnectionPool): void {
  for (const statement of STATEMENTS) {
    it(statement.sql.replace(/\s+/g, " ").slice(0, 150), async () => {
      await pool().request().batch("BEGIN TRAN");
      try {
        await check(pool(), statement);
      } finally {
        await pool().request().batch("IF @@TRANCOUNT > 0 ROLLBACK");
      }
    });
  }
}

async function check(pool: sql.ConnectionPool, { sql: text, rows, affected, error }: StatementCase): Promise<void> {
  const request = pool.request();
  request.arrayRowMode = true;
  if (error) {
    await assert.rejects(request.batch(text), (raised: sql.RequestError & { precedingErrors?: sql.RequestError[] }) => {
      // Further errors follow from the first one.
      const first = raised.precedingErrors?.[0] ?? raised;
      assert.equal(first.number, error.number, first.message);
      if (error.message !== undefined)
        typeof error.message === "string" ? assert.equal(first.message, error.message) : assert.match(first.message, error.message);
      return true;
    });
    return;
  }
  const result = await request.batch(text);
  const recordsets = result.recordsets as unknown as unknown[][][];
  const name = pool.request();
  const { recordset } = await name.query<{ name: string }>("SELECT DB_NAME() AS name");
  if (rows) {
    const expected = rows.map((row) => row.map((value) => (value === DATABASE ? recordset[0]?.name : value)));
    assert.deepEqual(recordsets[recordsets.length - 1], expected);
  }
  if (affected !== undefined) assert.equal(result.rowsAffected[0], affected);
}

describe("T-SQL", () => {
  describe("on the embedded SQL", () => {
    let test: TestServer;
    let pool: sql.ConnectionPool;
    before(async () => {
      test = await testServer();
      pool = await test.connect();
      for (const batch of SCHEMA) await pool.request().batch(batch);
    });
    after(() => test.stop());
    run(() => pool);
  });

  describe("on a real SQL Server, with the same answers", () => {
    const url = process.env.MSSQL_URL;
    const scratch = `embedded_sql_${process.pid}`;
    let admin: sql.ConnectionPool;
    let pool: sql.ConnectionPool;
    before(async function () {
      if (!url) return this.skip();
      this.timeout(120_000);
      admin = await new sql.ConnectionPool(url).connect();
      await admin.request().batch(`CREATE DATABASE ${scratch} COLLATE SQL_Latin1_General_CP1_CI_AS`);
      const config = sql.ConnectionPool.parseConnectionString(url);
      pool = await new sql.ConnectionPool({ ...config, database: scratch, pool: { max: 1, min: 0 } } as sql.config).connect();
      for (const batch of SCHEMA) await pool.request().batch(batch);
    });
    after(async () => {
      await pool?.close();
      await admin?.request().batch(`DROP DATABASE ${scratch}`);
      await admin?.close();
    });
    if (url) run(() => pool);
    else it("is not tried: MSSQL_URL names no server");
  });
});
