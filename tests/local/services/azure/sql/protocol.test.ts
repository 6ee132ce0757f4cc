import assert from "node:assert/strict";
import { once } from "node:events";
import { createSecureContext, rootCertificates } from "node:tls";
import sql from "mssql";
import { LOGIN, type TestServer, testServer } from "./test-server.js";

describe("SQL's wire", () => {
  let test: TestServer;
  let pool: sql.ConnectionPool;
  before(async () => {
    test = await testServer();
    pool = await test.connect({ pool: { max: 8, min: 0 } });
    await pool.request().batch("CREATE TABLE dbo.Note (Id INT IDENTITY(1,1) PRIMARY KEY, Body NVARCHAR(MAX) NULL, Rank INT NULL)");
  });
  after(() => test.stop());

  const rejection = async (
    work: Promise<unknown>,
  ): Promise<sql.RequestError & { number: number; state: number; class: number; lineNumber: number }> => {
    try {
      await work;
    } catch (error) {
      return error as never;
    }
    return assert.fail("It was not refused.");
  };

  describe("types", () => {
    const round = async (type: sql.ISqlType | (() => sql.ISqlType), value: unknown): Promise<unknown> =>
      (await pool.request().input("v", type, value).query("SELECT @v AS v")).recordset[0].v;

    it("come back as they went", async () => {
      const date = new Date("2024-02-29T23:59:59.997Z");
      const same: [sql.ISqlType, unknown][] = [
        [sql.Int(), -5],
        [sql.BigInt(), "9007199254740993"],
        [sql.BigInt(), "-9223372036854775808"],
        [sql.SmallInt(), -32768],
        [sql.TinyInt(), 255],
        [sql.Bit(), true],
        [sql.Float(), 1e300],
        [sql.Float(), 0.1],
        [sql.Real(), 0.5],
        [sql.Decimal(10, 3), -1234567.125],
        [sql.Money(), 922.3372],
        [sql.NVarChar(20), "Žluťoučký 🐎"],
        [sql.NVarChar(20), ""],
        [sql.VarChar(20), "naïve €"],
        [sql.Char(3), "abc"],
        [sql.NVarChar(sql.MAX), "x".repeat(70_000)],
        [sql.VarBinary(5), Buffer.from([0, 1, 255])],
        [sql.VarBinary(sql.MAX), Buffer.alloc(100_000, 7)],
        [sql.UniqueIdentifier(), "00112233-4455-6677-8899-AABBCCDDEEFF"],
        [sql.DateTime(), date],
        [sql.DateTime2(3), new Date("0001-01-01T00:00:00.001Z")],
        [sql.DateTime2(7), new Date("9999-12-31T23:59:59.999Z")],
        [sql.DateTimeOffset(7), date],
        [sql.Date(), new Date("1969-07-20T00:00:00.000Z")],
        [sql.SmallDateTime(), new Date("2024-02-29T10:30:00.000Z")],
      ];
      for (const [type, value] of same) assert.deepEqual(await round(type, value), value);
      for (const [type] of same) assert.equal(await round(type, null), null);
    });

    it("are told of columns exactly", async () => {
      await pool
        .request()
        .batch(
          `CREATE TABLE dbo.Wide (A NVARCHAR(50) NOT NULL, B VARCHAR(MAX), C DECIMAL(12,4), D DATETIME2(3), E BINARY(16), F BIGINT IDENTITY, G BIT)`,
        );
      const { recordset } = await pool.request().query("SELECT * FROM dbo.Wide");
      const told = Object.values(recordset.columns).map(({ name, type, length, precision, scale, nullable, identity }) => [
        name,
        (type as unknown as { name?: string }).name ?? String(type),
        length,
        precision,
        scale,
        nullable,
        identity,
      ]);
      const names = told.map(([name]) => name);
      assert.deepEqual(names, ["A", "B", "C", "D", "E", "F", "G"]);
      const byName = Object.fromEntries(Object.values(recordset.columns).map((column) => [column.name, column]));
      assert.deepEqual([byName.A?.type, byName.A?.length, byName.A?.nullable], [sql.NVarChar, 100, false]);
      assert.deepEqual([byName.C?.type, byName.C?.precision, byName.C?.scale], [sql.Decimal, 12, 4]);
      assert.deepEqual([byName.D?.type, byName.D?.scale], [sql.DateTime2, 3]);
      assert.deepEqual([byName.E?.type, byName.E?.length], [sql.Binary, 16]);
      assert.deepEqual([byName.F?.type, byName.F?.identity], [sql.BigInt, true]);
      assert.deepEqual([byName.G?.type, byName.G?.nullable], [sql.Bit, true]);
    });

    it("carry a megabyte of text and more", async () => {
      const body = `${"é".repeat(600_000)}end`;
      const { recordset } = await pool
        .request()
        .input("b", sql.NVarChar(sql.MAX), body)
        .query("INSERT INTO dbo.Note (Body) OUTPUT inserted.Id VALUES (@b)");
      const { recordset: read } = await pool
        .request()
        .input("id", sql.Int, recordset[0].Id)
        .query("SELECT Body, LEN(Body) AS n FROM dbo.Note WHERE Id = @id");
      assert.equal(read[0].n, body.length);
      assert.equal(read[0].Body === body, true);
    });
  });

  describe("requests", () => {
    it("return several result sets, and how many rows each statement touched", async () => {
      const { recordsets, rowsAffected } = await pool
        .request()
        .query("SELECT 1 AS a UNION ALL SELECT 2; UPDATE dbo.Note SET Rank = 1 WHERE 1 = 0; SELECT 'x' AS b");
      assert.deepEqual(recordsets, [[{ a: 1 }, { a: 2 }], [{ b: "x" }]]);
      assert.deepEqual(rowsAffected, [2, 0, 1]);
    });

    it("are quiet about counts under NOCOUNT", async () => {
      const { rowsAffected } = await pool.request().batch("SET NOCOUNT ON; UPDATE dbo.Note SET Rank = 1 WHERE 1 = 0; SET NOCOUNT OFF");
      assert.deepEqual(rowsAffected, []);
    });

    it("give back what OUTPUT parameters have become", async () => {
      const { output } = await pool
        .request()
        .input("n", sql.Int, 20)
        .output("twice", sql.Int)
        .output("text", sql.NVarChar(10))
        .query("SET @twice = @n * 2; SET @text = N'done'");
      assert.deepEqual(output, { twice: 40, text: "done" });
    });

    it("stream many rows without losing one", async () => {
      const request = pool.request();
      request.stream = true;
      let [count, sum] = [0, 0];
      request.on("row", (row: { i: number; t: string }) => {
        count += 1;
        sum += row.i;
        if (count === 500) {
          request.pause();
          setImmediate(() => request.resume());
        }
      });
      const done = once(request, "done");
      request.query(
        "WITH n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i, REPLICATE('t', 100) AS t FROM n OPTION (MAXRECURSION 0)",
      );
      await done;
      assert.deepEqual([count, sum], [20_000, 200_010_000]);
    });

    it("are prepared once and run with many values", async () => {
      const statement = new sql.PreparedStatement(pool);
      statement.input("a", sql.Int).input("b", sql.NVarChar(10));
      await statement.prepare("SELECT @a * 2 AS n, @b + N'!' AS t");
      for (const a of [1, 2, 3]) assert.deepEqual((await statement.execute({ a, b: `v${a}` })).recordset, [{ n: a * 2, t: `v${a}!` }]);
      await statement.unprepare();
    });

    it("that cannot be prepared say why", async () => {
      const statement = new sql.PreparedStatement(pool);
      const error = await rejection(statement.prepare("SELEC 1 FROM"));
      assert.match(error.message, /^Could not find stored procedure|^Incorrect syntax near/);
    });

    it("tell what PRINT says", async () => {
      const request = pool.request();
      const messages: string[] = [];
      request.on("info", ({ message }: { message: string }) => messages.push(message));
      await request.batch("PRINT 'hello'; RAISERROR('careful', 10, 1)");
      assert.deepEqual(messages, ["hello", "careful"]);
    });

    it("fill a table by bulk load", async () => {
      await pool.request().batch("CREATE TABLE dbo.Loaded (Id INT NOT NULL, Name NVARCHAR(20) NULL, At DATETIME2(3) NULL)");
      const table = new sql.Table("dbo.Loaded");
      table.columns.add("Id", sql.Int, { nullable: false });
      table.columns.add("Name", sql.NVarChar(20), { nullable: true });
      table.columns.add("At", sql.DateTime2(3), { nullable: true });
      const at = new Date("2024-05-01T00:00:00.123Z");
      for (let id = 0; id < 300; id += 1) table.rows.add(id, id % 2 ? `n${id}` : null, at);
      assert.equal((await pool.request().bulk(table)).rowsAffected, 300);
      const { recordset } = await pool.request().query("SELECT COUNT(*) AS n, COUNT(Name) AS named, MAX(At) AS at FROM dbo.Loaded");
      assert.deepEqual(recordset, [{ n: 300, named: 150, at }]);
    });
  });

  describe("errors", () => {
    it("have number, state, class, line and the server's name", async () => {
      const error = await rejection(pool.request().batch("SELECT 1;\n\nSELECT * FROM dbo.Absent"));
      assert.deepEqual([error.number, error.class, error.lineNumber], [208, 16, 3]);
      assert.equal((error as unknown as { serverName: string }).serverName, "library-server");
    });

    it("end a statement or the batch, as their kind is", async () => {
      const request = pool.request();
      const error = await rejection(
        request.batch("DELETE FROM dbo.Note; INSERT INTO dbo.Note (Id) VALUES (1); INSERT INTO dbo.Note (Rank) VALUES (7)"),
      );
      assert.equal(error.number, 544);
      assert.equal((await pool.request().query("SELECT Rank FROM dbo.Note")).recordset[0].Rank, 7);
      assert.equal((await rejection(pool.request().batch("SELECT * FROM dbo.Absent; DELETE FROM dbo.Note"))).number, 208);
      assert.equal((await pool.request().query("SELECT COUNT(*) AS n FROM dbo.Note")).recordset[0].n, 1);
    });

    it("name T-SQL that is not here, and run nothing of its batch", async () => {
      const unsupported: [string, RegExp][] = [
        [
          "DELETE FROM dbo.Note; SELECT * FROM dbo.Note CROSS APPLY dbo.f(Id)",
          /near 'dbo'\. \(The embedded SQL does not support table-valued functions\.\)$/,
        ],
        ["DELETE FROM dbo.Note; SELECT * FROM dbo.Note OUTER APPLY (SELECT 1 AS a) x", /does not support OUTER APPLY/],
        ["DELETE FROM dbo.Note; SELECT * FROM dbo.Note FOR JSON PATH", /does not support FOR JSON/],
        ["DELETE FROM dbo.Note; DECLARE c CURSOR FOR SELECT 1", /does not support cursors/],
        ["DELETE FROM dbo.Note; CREATE PROCEDURE p AS SELECT 1", /does not support CREATE PROCEDURE/],
        ["DELETE FROM dbo.Note; CREATE TABLE x (a XML)", /does not support the type XML/],
        ["DELETE FROM dbo.Note; SELECT TOP 10 PERCENT * FROM dbo.Note", /does not support TOP … PERCENT/],
        ["DELETE FROM dbo.Note; DECLARE @t TABLE (a INT)", /does not support table variables/],
        ["DELETE FROM dbo.Note; CREATE TRIGGER t ON dbo.Note AFTER INSERT AS SELECT 1", /does not support CREATE TRIGGER/],
      ];
      for (const [text, message] of unsupported) {
        const error = await rejection(pool.request().batch(text));
        assert.deepEqual([error.number, message.test(error.message)], [102, true], error.message);
      }
      assert.equal((await pool.request().query("SELECT COUNT(*) AS n FROM dbo.Note")).recordset[0].n, 1);
    });

    it("of parameters that are not given say which", async () => {
      assert.equal((await rejection(pool.request().query("SELECT @gone"))).number, 137);
    });
  });

  describe("cancelling", () => {
    it("ends what waits, and leaves the connection usable", async () => {
      const single = await test.connect();
      const request = single.request();
      const running = rejection(request.batch("WAITFOR DELAY '00:01:00'"));
      setTimeout(() => request.cancel(), 50);
      assert.equal((await running).code, "ECANCEL");
      assert.deepEqual((await single.request().query("SELECT 1 AS ok")).recordset, [{ ok: 1 }]);
    });

    it("ends a loop", async () => {
      const single = await test.connect();
      const request = single.request();
      const running = rejection(request.batch("DECLARE @i INT = 0; WHILE 1 = 1 SET @i = @i + 1 - 1"));
      setTimeout(() => request.cancel(), 50);
      assert.equal((await running).code, "ECANCEL");
      assert.deepEqual((await single.request().query("SELECT 2 AS ok")).recordset, [{ ok: 2 }]);
    });

    it("comes by the client's own time limit too", async () => {
      const single = await test.connect({ requestTimeout: 100 });
      assert.equal((await rejection(single.request().batch("WAITFOR DELAY '00:01:00'"))).code, "ETIMEOUT");
      assert.deepEqual((await single.request().query("SELECT 3 AS ok")).recordset, [{ ok: 3 }]);
    });
  });

  describe("transactions", () => {
    const count = async (on: sql.ConnectionPool | sql.Transaction): Promise<number> =>
      (await on.request().query<{ n: number }>("SELECT COUNT(*) AS n FROM dbo.Note WHERE Rank = 77")).recordset[0]?.n ?? -1;
    const add = (on: sql.ConnectionPool | sql.Transaction): Promise<unknown> =>
      on.request().query("INSERT INTO dbo.Note (Rank) VALUES (77)");

    afterEach(() => pool.request().batch("DELETE FROM dbo.Note WHERE Rank = 77"));

    it("of one connection are not seen by another before they are committed", async () => {
      const transaction = pool.transaction();
      await transaction.begin();
      await add(transaction);
      assert.deepEqual([await count(transaction), await count(pool)], [1, 0]);
      await transaction.commit();
      assert.equal(await count(pool), 1);
    });

    it("that are rolled back leave nothing but a gap in the identities", async () => {
      const next = async (): Promise<number> =>
        (await pool.request().query("INSERT INTO dbo.Note (Rank) OUTPUT inserted.Id VALUES (77)")).recordset[0].Id;
      const before = await next();
      const transaction = pool.transaction();
      await transaction.begin();
      await add(transaction);
      await transaction.rollback();
      assert.equal(await count(pool), 1);
      assert.equal(await next(), before + 2);
    });

    it("wait for each other to write, in order, and never mix", async () => {
      const [first, second] = [pool.transaction(), pool.transaction()];
      await first.begin();
      await second.begin();
      await add(first);
      const events: string[] = [];
      const waiting = add(second).then(() => events.push("second wrote"));
      assert.equal(await count(pool), 0);
      events.push("first commits");
      await first.commit();
      await waiting;
      assert.deepEqual(events, ["first commits", "second wrote"]);
      assert.deepEqual([await count(second), await count(pool)], [2, 1]);
      await second.rollback();
      assert.equal(await count(pool), 1);
    });

    it("that wait longer than LOCK_TIMEOUT are told so by 1222", async () => {
      const transaction = pool.transaction();
      await transaction.begin();
      await add(transaction);
      const other = await test.connect();
      assert.equal((await rejection(other.request().batch("SET LOCK_TIMEOUT 50; DELETE FROM dbo.Note"))).number, 1222);
      assert.equal((await rejection(other.request().batch("SET LOCK_TIMEOUT 0; DELETE FROM dbo.Note"))).number, 1222);
      await transaction.commit();
      assert.equal(await count(pool), 1);
    });

    it("end when their connection does", async () => {
      const other = await test.connect();
      await other.request().batch("BEGIN TRAN; INSERT INTO dbo.Note (Rank) VALUES (77)");
      await other.close();
      await add(pool);
      assert.equal(await count(pool), 1);
    });

    it("that only read keep what they read, when they are serializable", async () => {
      const transaction = pool.transaction();
      await transaction.begin(sql.ISOLATION_LEVEL.SERIALIZABLE);
      assert.equal(await count(transaction), 0);
      const waiting = add(pool);
      assert.equal(await count(transaction), 0);
      await transaction.commit();
      await waiting;
      assert.equal(await count(pool), 1);
    });

    it("fail as a whole under XACT_ABORT", async () => {
      const error = await rejection(
        pool
          .request()
          .batch(
            "SET XACT_ABORT ON; BEGIN TRAN; INSERT INTO dbo.Note (Rank) VALUES (77); INSERT INTO dbo.Note (Id) VALUES (1); COMMIT; SET XACT_ABORT OFF",
          ),
      );
      assert.equal(error.number, 544);
      assert.equal(await count(pool), 0);
    });

    it("that conversion errors have ended are over", async () => {
      const one = await test.connect();
      const error = await rejection(
        one.request().batch("BEGIN TRAN; INSERT INTO dbo.Note (Rank) VALUES (77); SELECT CAST('x' AS INT); COMMIT"),
      );
      assert.equal(error.number, 245);
      assert.deepEqual((await one.request().query("SELECT @@TRANCOUNT AS n")).recordset, [{ n: 0 }]);
      assert.equal(await count(pool), 0);
    });

    it("can be caught, but not committed, once they are doomed", async () => {
      const batch = `SET XACT_ABORT ON; BEGIN TRAN; BEGIN TRY INSERT INTO dbo.Note (Rank) VALUES (77); SELECT 1 / 0; END TRY
        BEGIN CATCH SELECT XACT_STATE() AS state; IF XACT_STATE() = -1 ROLLBACK; END CATCH; SET XACT_ABORT OFF`;
      const { recordsets } = await pool.request().batch(batch);
      const sets = recordsets as unknown as unknown[][];
      assert.deepEqual(sets[sets.length - 1], [{ state: -1 }]);
      assert.equal(await count(pool), 0);
    });

    it("change tables and rows alike", async () => {
      const transaction = pool.transaction();
      await transaction.begin();
      await transaction.request().batch("CREATE TABLE dbo.Passing (A INT); INSERT INTO dbo.Passing VALUES (1)");
      assert.equal((await rejection(pool.request().query("SELECT * FROM dbo.Passing"))).number, 208);
      assert.deepEqual((await transaction.request().query("SELECT A FROM dbo.Passing")).recordset, [{ A: 1 }]);
      await transaction.rollback();
      assert.equal((await rejection(pool.request().query("SELECT * FROM dbo.Passing"))).number, 208);
    });

    it("by twenty writers at once lose nothing", async () => {
      await pool.request().batch("CREATE TABLE dbo.Counter (N INT NOT NULL); INSERT INTO dbo.Counter VALUES (0)");
      const bump = async (): Promise<void> => {
        const transaction = pool.transaction();
        await transaction.begin();
        const { recordset } = await transaction.request().query("SELECT N FROM dbo.Counter WITH (UPDLOCK)");
        await transaction
          .request()
          .input("n", sql.Int, recordset[0].N + 1)
          .query("UPDATE dbo.Counter SET N = @n");
        await transaction.commit();
      };
      await Promise.all(Array.from({ length: 20 }, bump));
      assert.deepEqual((await pool.request().query("SELECT N FROM dbo.Counter")).recordset, [{ N: 20 }]);
    });
  });

  describe("encryption", () => {
    const trusting = { cryptoCredentialsDetails: { ca: [] as string[] } };
    before(() => {
      trusting.cryptoCredentialsDetails.ca = [...rootCertificates, test.authority];
      assert.ok(createSecureContext({ ca: test.authority }));
    });

    it("is TLS within TDS, with a certificate for the address", async () => {
      const secure = await test.connect({
        options: { encrypt: true, trustServerCertificate: false, ...trusting } as sql.config["options"] & object,
      });
      assert.deepEqual((await secure.request().query("SELECT REPLICATE('s', 8000) AS s")).recordset[0].s.length, 8000);
    });

    it("is refused by a client that does not know the authority", async () => {
      await assert.rejects(
        test.connect({ options: { encrypt: true, trustServerCertificate: false } }),
        /self-signed|unable to (get|verify)/,
      );
    });

    it("may come before everything, as TDS 8.0 has it", async () => {
      const strict = await test.connect({
        options: { encrypt: "strict" as unknown as boolean, trustServerCertificate: false, ...trusting } as sql.config["options"] & object,
      });
      assert.deepEqual((await strict.request().query("SELECT 8 AS n")).recordset, [{ n: 8 }]);
    });
  });

  describe("logins", () => {
    const refusal = (config: Partial<sql.config>): Promise<{ message: string; originalError?: { number?: number; message: string } }> =>
      rejection(test.connect(config)) as never;

    it("say who they are", async () => {
      const { recordset } = await pool
        .request()
        .query("SELECT SUSER_SNAME() AS login, USER_NAME() AS [user], DB_NAME() AS db, @@SERVERNAME AS server, @@VERSION AS version");
      const { version, ...rest } = recordset[0];
      assert.deepEqual(rest, { login: LOGIN.user, user: "dbo", db: "library", server: "library-server" });
      assert.match(version, /^Embedded SQL \(T-SQL subset\)/);
    });

    it("with a wrong password or name are refused alike", async () => {
      assert.equal((await refusal({ password: "wrong" })).message, "Login failed for user 'boss'.");
      assert.equal((await refusal({ user: "nobody" })).message, "Login failed for user 'nobody'.");
    });

    it("to a database that is not there are told so", async () => {
      assert.match((await refusal({ database: "absent" })).message, /Cannot open database "absent"|Login failed/);
    });

    it("from an address that no rule admits are refused by 40615 with the address", async () => {
      test.server.firewall.delete("azure");
      test.server.firewall.set("office", { from: "10.0.0.1", to: "10.0.0.9" });
      const { message } = await refusal({});
      assert.match(
        message,
        /^Cannot open server 'library-server' requested by the login\. Client with IP address '127\.0\.0\.1' is not allowed/,
      );
      test.server.firewall.set("here", { from: "127.0.0.0", to: "127.0.0.255" });
      await test.connect();
      test.server.firewall.set("azure", { from: "0.0.0.0", to: "0.0.0.0" });
    });
  });
});
