import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sql from "mssql";
import { DEPLOYER, TENANT } from "../../../../../local/kernel/azure/arm.js";
import { issueToken } from "../../../../../local/kernel/azure/tokens.js";
import type { Properties, Resource } from "../../../../../local/kernel/service.js";
import sqlService from "../../../../../local/services/azure/sql/index.js";
import { sidOf } from "../../../../../local/services/azure/sql/security/sid.js";
import { type TestAzure, testAzure } from "../azure-cloud.js";
import { outputProblems } from "../declared-outputs.js";

const ADMINISTRATORS = {
  administratorType: "ActiveDirectory",
  azureADOnlyAuthentication: true,
  principalType: "Application",
  login: DEPLOYER.name,
  sid: DEPLOYER.clientId,
  tenantId: TENANT,
};

describe("Azure SQL in the embedded cloud", function () {
  this.timeout(20_000);
  let folder: string;
  let azure: TestAzure;
  const pools: sql.ConnectionPool[] = [];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "embedded-sql-service-"));
    azure = await testAzure([sqlService()], { folder, kept: true });
  });
  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.close()));
  });
  after(async () => {
    await azure.test.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const serverOf = (name: string, inputs: Properties = { administrators: ADMINISTRATORS }): Promise<Resource> =>
    azure.declare("azure-native:sql:Server", name, { serverName: name, version: "12.0", minimalTlsVersion: "1.2", ...inputs });
  const databaseOf = (serverName: string, databaseName: string): Promise<Resource> =>
    azure.declare("azure-native:sql:Database", `${serverName}-${databaseName}`, {
      serverName,
      databaseName,
      sku: { name: "Basic", tier: "Basic", capacity: 5 },
    });
  const ruleOf = (serverName: string): Promise<Resource> =>
    azure.declare("azure-native:sql:FirewallRule", `${serverName}-rule`, {
      serverName,
      firewallRuleName: "AllowAzureServices",
      startIpAddress: "0.0.0.0",
      endIpAddress: "0.0.0.0",
    });

  /** As a program does: the address is the server's output, the token from the cloud's own directory. */
  const connect = async (
    server: Resource,
    database: string,
    { objectId, clientId }: { objectId: string; clientId: string } = DEPLOYER,
  ): Promise<sql.ConnectionPool> => {
    const [host = "", port] = String(server.outputs.fullyQualifiedDomainName).split(",");
    const token = await issueToken(azure.test.cloud, { objectId, clientId, audience: "https://database.windows.net" });
    const pool = new sql.ConnectionPool({
      server: host,
      port: Number(port ?? 1433),
      database,
      options: { encrypt: true, trustServerCertificate: false },
      authentication: { type: "azure-active-directory-access-token", options: { token } },
    });
    pools.push(pool);
    return pool.connect();
  };

  it("has servers whose address is an output, databases, and users that are managed identities", async () => {
    const server = await serverOf("first");
    const database = await databaseOf("first", "photos");
    assert.match(server.outputs.fullyQualifiedDomainName, /^localhost,\d+$/);
    assert.match(database.id, /\/providers\/Microsoft\.Sql\/servers\/first\/databases\/photos$/);
    await assert.rejects(connect(server, "photos"), /Client with IP address '127\.0\.0\.1' is not allowed/);
    const rule = await ruleOf("first");
    const owner = await connect(server, "photos");
    await owner.request().batch("CREATE TABLE dbo.T (A INT); INSERT INTO dbo.T VALUES (1)");

    const app = await azure.identity("sql-app");
    const ids = { objectId: app.outputs.principalId, clientId: app.outputs.clientId };
    await assert.rejects(connect(server, "photos", ids), /Login failed for user '<token-identified principal>'\./);
    await owner.request().batch(`CREATE USER [sql-app] WITH SID = 0x${sidOf(ids.clientId)}, TYPE = E`);
    await assert.rejects(
      (await connect(server, "photos", ids)).request().query("SELECT * FROM dbo.T"),
      /The SELECT permission was denied on the object 'T', database 'photos'/,
    );
    await owner.request().batch("GRANT SELECT ON dbo.T TO [sql-app]");
    assert.deepEqual((await (await connect(server, "photos", ids)).request().query("SELECT A FROM dbo.T")).recordset, [{ A: 1 }]);
    await owner.request().batch("DROP USER [sql-app]; CREATE USER [sql-app] FROM EXTERNAL PROVIDER");
    await connect(server, "photos", ids);

    await azure.test.remove(rule);
    await assert.rejects(connect(server, "photos"), /is not allowed to access the server/);
  });

  it("gives every output that the SDK promises, and no other", async () => {
    await serverOf("outputs");
    await databaseOf("outputs", "some");
    await ruleOf("outputs");
    await azure.declare("azure-native:sql:ServerAzureADAdministrator", "administrator", {
      serverName: "outputs",
      login: "other",
      sid: DEPLOYER.objectId,
    });
    await azure.declare("azure-native:sql:ServerAzureADOnlyAuthentication", "only", {
      serverName: "outputs",
      azureADOnlyAuthentication: true,
    });
    assert.deepEqual(await outputProblems(azure.test.cloud), []);
  });

  it("keeps servers apart", async () => {
    const [one, two] = [await serverOf("one"), await serverOf("two")];
    assert.notEqual(one.outputs.fullyQualifiedDomainName, two.outputs.fullyQualifiedDomainName);
    for (const name of ["one", "two"]) {
      await databaseOf(name, "same");
      await ruleOf(name);
    }
    await (await connect(one, "same")).request().batch("CREATE TABLE dbo.OnlyHere (A INT)");
    await assert.rejects((await connect(two, "same")).request().query("SELECT * FROM dbo.OnlyHere"), /Invalid object name/);
  });

  it("refuses what Azure refuses, before anything is made", async () => {
    const refusals: [string, Properties, RegExp][] = [
      ["azure-native:sql:Server", { serverName: "Upper", administrators: ADMINISTRATORS }, /The server name 'Upper' is invalid/],
      ["azure-native:sql:Server", { serverName: "none" }, /needs an administrator/],
      [
        "azure-native:sql:Server",
        { serverName: "both", administrators: ADMINISTRATORS, administratorLogin: "sa", administratorLoginPassword: "Long-Enough-1" },
        /administratorLoginPassword cannot be given/,
      ],
      [
        "azure-native:sql:Server",
        { serverName: "old", administrators: ADMINISTRATORS, minimalTlsVersion: "1.0" },
        /minimalTlsVersion '1.0' is not supported/,
      ],
      ["azure-native:sql:Database", { serverName: "absent", databaseName: "d" }, /Parent resource 'absent' not found/],
      [
        "azure-native:sql:Database",
        { serverName: "one", databaseName: "d", collation: "Czech_CI_AS" },
        /The collation 'Czech_CI_AS' is not in the embedded cloud/,
      ],
      [
        "azure-native:sql:FirewallRule",
        { serverName: "one", firewallRuleName: "r", startIpAddress: "::1", endIpAddress: "::1" },
        /'::1' is no IPv4 address/,
      ],
    ];
    for (const [type, inputs, message] of refusals)
      await assert.rejects(azure.declare(type, `refused-${message.source.length}`, inputs), message);
  });

  it("is where it was, with what was committed, when its folder is kept", async () => {
    const server = await serverOf("lasting");
    const [database, rule] = [await databaseOf("lasting", "kept"), await ruleOf("lasting")];
    const before = await connect(server, "kept");
    await before
      .request()
      .batch(
        "CREATE TABLE dbo.K (Id INT IDENTITY(1,1) PRIMARY KEY, V NVARCHAR(10)); INSERT INTO dbo.K (V) VALUES (N'x'), (N'y'); DELETE FROM dbo.K WHERE Id = 2",
      );
    await before.request().batch("BEGIN TRAN; INSERT INTO dbo.K (V) VALUES (N'never'); WAITFOR DELAY '00:00:00'");
    await Promise.all(pools.splice(0).map((pool) => pool.close()));
    await azure.test.stop();

    azure = await testAzure([sqlService()], { folder, kept: true });
    const restored = await azure.test.restore(server);
    for (const resource of [database, rule]) await azure.test.restore(resource);
    assert.equal(restored.outputs.fullyQualifiedDomainName, server.outputs.fullyQualifiedDomainName);
    const after = await connect(restored, "kept");
    const { recordset } = await after.request().query("INSERT INTO dbo.K (V) VALUES (N'z'); SELECT V FROM dbo.K ORDER BY Id");
    assert.deepEqual(recordset, [{ V: "x" }, { V: "z" }]);
    assert.ok((await after.request().query("SELECT MAX(Id) AS m FROM dbo.K")).recordset[0].m > 2, "the deleted row's number comes again");
  });
});
