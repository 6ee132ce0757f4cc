import assert from "node:assert/strict";
import type sql from "mssql";
import { sidOf } from "../../../../../local/services/azure/sql/security/sid.js";
import { LOGIN, type TestServer, testServer } from "./test-server.js";

const AUDIENCE = "https://database.windows.net/";
const APP = {
  objectId: "11112222-3333-4444-5555-666677778888",
  clientId: "00112233-4455-6677-8899-aabbccddeeff",
  name: "reader-app",
  audience: AUDIENCE,
};
const PERSON = { objectId: "99990000-1111-2222-3333-444455556666", name: "Pat", audience: AUDIENCE };

describe("Who may do what in SQL", () => {
  let test: TestServer;
  let owner: sql.ConnectionPool;
  before(async () => {
    test = await testServer();
    for (const [token, identity] of Object.entries({
      app: APP,
      pat: PERSON,
      stranger: { ...APP, objectId: PERSON.objectId, clientId: PERSON.objectId, name: "stranger" },
    })) {
      test.tokens.set(token, identity);
    }
    test.tokens.set("elsewhere", { ...APP, audience: "https://storage.azure.com" });
    owner = await test.connect();
    await owner
      .request()
      .batch(
        "CREATE TABLE dbo.ImageMetadata (Id INT IDENTITY(1,1) PRIMARY KEY, Name NVARCHAR(20) NOT NULL); INSERT INTO dbo.ImageMetadata (Name) VALUES (N'a')",
      );
    await owner.request().batch("CREATE TABLE dbo.Other (Id INT)");
  });
  after(() => test.stop());

  const withToken = (token: string, config: Partial<sql.config> = {}): Promise<sql.ConnectionPool> =>
    test.connect({ ...config, authentication: { type: "azure-active-directory-access-token", options: { token } } } as Partial<sql.config>);
  const error = async (work: Promise<unknown>): Promise<sql.RequestError> => {
    try {
      await work;
    } catch (raised) {
      return raised as sql.RequestError;
    }
    return assert.fail("It was let through.");
  };
  const REFUSED = "Login failed for user '<token-identified principal>'.";

  it("knows an identity by the SID in .NET's byte order", () => {
    assert.equal(sidOf(APP.clientId), "33221100554477668899AABBCCDDEEFF");
  });

  it("refuses identities that the database has no user for, and tokens that are not for SQL, or of nobody", async () => {
    for (const token of ["app", "stranger", "elsewhere", "made up"]) assert.equal((await error(withToken(token))).message, REFUSED);
  });

  it("lets the user of an identity in, to what it is granted and no further", async () => {
    await owner.request().batch(`CREATE USER [reader-app] WITH SID = 0x${sidOf(APP.clientId)}, TYPE = E`);
    const app = await withToken("app");
    const who = await app
      .request()
      .query("SELECT USER_NAME() AS name, OBJECT_ID('dbo.ImageMetadata') AS id, (SELECT COUNT(*) FROM sys.tables) AS tables");
    assert.deepEqual(who.recordset, [{ name: "reader-app", id: null, tables: 0 }]);
    const denied = async (text: string): Promise<[number | undefined, string]> => {
      const { number, message } = await error(app.request().batch(text));
      return [number, message];
    };
    const on = (permission: string): [number, string] => [
      229,
      `The ${permission} permission was denied on the object 'ImageMetadata', database 'library', schema 'dbo'.`,
    ];
    assert.deepEqual(await denied("SELECT * FROM dbo.ImageMetadata"), on("SELECT"));
    assert.deepEqual(await denied("INSERT INTO dbo.ImageMetadata (Name) VALUES (N'b')"), on("INSERT"));
    await owner.request().batch("GRANT SELECT, INSERT ON OBJECT::dbo.ImageMetadata TO [reader-app]");
    assert.deepEqual((await app.request().query("SELECT Name FROM dbo.ImageMetadata")).recordset, [{ Name: "a" }]);
    await app.request().batch("INSERT INTO dbo.ImageMetadata (Name) VALUES (N'b')");
    assert.deepEqual(await denied("UPDATE dbo.ImageMetadata SET Name = N'c'"), on("UPDATE"));
    assert.deepEqual(await denied("DELETE FROM dbo.ImageMetadata"), on("DELETE"));
    assert.deepEqual(
      await denied("MERGE dbo.ImageMetadata AS t USING (SELECT 1 AS i) AS s ON t.Id = s.i WHEN MATCHED THEN DELETE;"),
      on("DELETE"),
    );
    assert.equal((await error(app.request().batch("SELECT * FROM dbo.Other"))).number, 229);
    assert.equal((await owner.request().query("SELECT COUNT(*) AS n FROM dbo.ImageMetadata")).recordset[0].n, 2);
  });

  it("needs SELECT to change rows by what is in them", async () => {
    await owner
      .request()
      .batch("REVOKE SELECT ON dbo.ImageMetadata FROM [reader-app]; GRANT UPDATE, DELETE ON dbo.ImageMetadata TO [reader-app]");
    const app = await withToken("app");
    assert.match(
      (await error(app.request().batch("UPDATE dbo.ImageMetadata SET Name = N'x' WHERE Id = 1"))).message,
      /^The SELECT permission was denied/,
    );
    assert.equal((await app.request().batch("UPDATE dbo.ImageMetadata SET Name = N'x'")).rowsAffected[0], 2);
    await owner.request().batch("GRANT SELECT ON dbo.ImageMetadata TO [reader-app]");
  });

  it("puts DENY before every GRANT, and takes roles for their members", async () => {
    const app = await withToken("app");
    const reads = async (): Promise<boolean> =>
      (await app
        .request()
        .query("SELECT COUNT(*) AS n FROM dbo.Other")
        .catch(() => undefined)) !== undefined;
    assert.equal(await reads(), false);
    await owner.request().batch("ALTER ROLE db_datareader ADD MEMBER [reader-app]");
    assert.equal(await reads(), true);
    await owner.request().batch("DENY SELECT ON dbo.Other TO [reader-app]");
    assert.equal(await reads(), false);
    await owner.request().batch("REVOKE SELECT ON dbo.Other TO [reader-app]; ALTER ROLE db_datareader DROP MEMBER [reader-app]");
    assert.equal(await reads(), false);
    await owner.request().batch("CREATE ROLE readers; GRANT SELECT ON SCHEMA::dbo TO readers; ALTER ROLE readers ADD MEMBER [reader-app]");
    assert.equal(await reads(), true);
    assert.deepEqual(
      (await app.request().query("SELECT IS_ROLEMEMBER('readers') AS r, HAS_PERMS_BY_NAME('dbo.Other', 'OBJECT', 'INSERT') AS i"))
        .recordset,
      [{ r: 1, i: 0 }],
    );
    await owner.request().batch("ALTER ROLE readers DROP MEMBER [reader-app]; DROP ROLE readers");
  });

  it("lets users define nothing, and grant nothing", async () => {
    const app = await withToken("app");
    const numbers: [string, number][] = [
      ["CREATE TABLE dbo.Mine (A INT)", 262],
      ["DROP TABLE dbo.ImageMetadata", 3701],
      ["ALTER TABLE dbo.ImageMetadata ADD X INT", 4902],
      ["CREATE INDEX i ON dbo.ImageMetadata (Name)", 1088],
      ["TRUNCATE TABLE dbo.ImageMetadata", 1088],
      ["CREATE USER [x] WITH PASSWORD = 'Long-Enough-1'", 15247],
      ["GRANT SELECT ON dbo.Other TO [reader-app]", 15151],
      ["ALTER ROLE db_owner ADD MEMBER [reader-app]", 15247],
    ];
    for (const [text, number] of numbers) assert.equal((await error(app.request().batch(text))).number, number, text);
  });

  it("reads through views by their owner's permissions", async () => {
    await owner.request().batch("CREATE VIEW dbo.Names AS SELECT Name FROM dbo.ImageMetadata; ");
    await owner.request().batch("REVOKE SELECT ON dbo.ImageMetadata TO [reader-app]; GRANT SELECT ON dbo.Names TO [reader-app]");
    const app = await withToken("app");
    assert.equal((await app.request().query("SELECT * FROM dbo.Names")).recordset.length, 2);
    assert.equal((await error(app.request().query("SELECT * FROM dbo.ImageMetadata"))).number, 229);
  });

  it("forgets a user with its permissions; one of another identity by the same name is another", async () => {
    await owner.request().batch("DROP USER [reader-app]");
    assert.equal((await error(withToken("app"))).message, REFUSED);
    await owner.request().batch("CREATE USER [reader-app] FROM EXTERNAL PROVIDER");
    const { recordset } = await owner
      .request()
      .query("SELECT sid, type, authentication_type_desc AS method FROM sys.database_principals WHERE name = 'READER-APP'");
    assert.deepEqual(recordset, [{ sid: Buffer.from(sidOf(APP.clientId), "hex"), type: "E", method: "EXTERNAL" }]);
    const app = await withToken("app");
    assert.equal((await error(app.request().query("SELECT * FROM dbo.Names"))).number, 229);
    assert.equal((await error(owner.request().batch("CREATE USER [nobody-knows] FROM EXTERNAL PROVIDER"))).number, 33130);
    assert.equal((await error(owner.request().batch(`CREATE USER [twin] WITH SID = 0x${sidOf(APP.clientId)}, TYPE = E`))).number, 15063);
    assert.equal((await error(owner.request().batch("CREATE USER [reader-app] WITH PASSWORD = 'Long-Enough-1'"))).number, 15023);
  });

  it("takes a token that a client fetches when it is told where", async () => {
    const asked: string[] = [];
    const credential = {
      async getToken(scopes: string | string[]) {
        asked.push(...[scopes].flat());
        return { token: "app", expiresOnTimestamp: Date.now() + 3_600_000 };
      },
    };
    const app = await test.connect({ authentication: { type: "token-credential", options: { credential } } } as Partial<sql.config>);
    assert.deepEqual((await app.request().query("SELECT USER_NAME() AS u")).recordset, [{ u: "reader-app" }]);
    assert.deepEqual([...new Set(asked)], ["https://database.windows.net/.default"]);
  });

  it("has an administrator by Entra ID: a person's object id, an application's client id", async () => {
    test.server.administrator = { login: "Pat", sid: PERSON.objectId };
    const pat = await withToken("pat");
    assert.deepEqual((await pat.request().query("SELECT USER_NAME() AS u, SUSER_SNAME() AS l")).recordset, [{ u: "dbo", l: "Pat" }]);
    test.server.administrator = { login: "deployment", sid: APP.clientId.toUpperCase() };
    const app = await withToken("app");
    assert.deepEqual((await app.request().query("SELECT USER_NAME() AS u")).recordset, [{ u: "dbo" }]);
    test.server.administrator = undefined;
  });

  it("takes no passwords where only Entra ID is taken", async () => {
    test.server.entraOnly = true;
    assert.match(
      (await error(test.connect())).message,
      /^Login failed for user 'boss'\. Reason: Azure Active Directory only authentication is enabled/,
    );
    test.server.entraOnly = false;
  });

  it("knows users with passwords in their database alone", async () => {
    await owner.request().batch("CREATE USER clerk WITH PASSWORD = 'Long-Enough-1'");
    const clerk = { user: "clerk", password: "Long-Enough-1" };
    assert.deepEqual((await (await test.connect(clerk)).request().query("SELECT USER_NAME() AS u")).recordset, [{ u: "clerk" }]);
    assert.equal((await error(test.connect({ ...clerk, password: "wrong" }))).message, "Login failed for user 'clerk'.");
    assert.equal((await error(test.connect({ ...clerk, database: "master" }))).message, "Login failed for user 'clerk'.");
    assert.notEqual(clerk.user, LOGIN.user);
  });

  it("does not switch databases", async () => {
    assert.equal((await error(owner.request().batch("USE master"))).number, 40508);
    assert.equal((await error(owner.request().batch("USE nowhere"))).number, 911);
    await owner.request().batch("USE library");
    assert.equal((await error(owner.request().batch("SELECT * FROM master.dbo.x"))).number, 40515);
  });
});
