import assert from "node:assert/strict";
import { createRequire } from "node:module";
import requireFromString from "require-from-string";
import { SqlSchema } from "../../../components/azure/sql-schema.js";
import { Database } from "../../../functions/azure/database.js";
import { SqlError } from "../../../local/services/azure/sql/errors.js";
import { recorded } from "../../declared.js";
import { type TestServer, testServer } from "../../local/services/azure/sql/test-server.js";

const sql = createRequire(import.meta.url)("mssql");

const APP = {
  objectId: "11112222-3333-4444-5555-666677778888",
  clientId: "00112233-4455-6677-8899-aabbccddeeff",
  name: "app",
  audience: "https://database.windows.net/",
};
const MOVING = "Database 'library' on server 'library-server' is not currently available.";

/** The driver, not a picture of it: what it does with a login that is refused for a while, it does within itself. */
describe("A database that moves", () => {
  let test: TestServer;
  /** Logins that are still refused, and how many there were. */
  let refusals: number;
  let logins: number;
  /** Milliseconds that somebody waited between two logins. */
  let waited: number[];
  const original = { pool: sql.ConnectionPool, setTimeout: globalThis.setTimeout };

  before(async () => {
    test = await testServer();
    test.tokens.set("app", APP);
    test.server.administrator = { login: "app", sid: APP.clientId };
    const admit = test.server.admit.bind(test.server);
    test.server.admit = async (...login) => {
      logins += 1;
      if (refusals-- > 0) throw new SqlError(40613, MOVING, 20);
      return admit(...login);
    };
  });
  after(() => test.stop());
  beforeEach(() => {
    [refusals, logins, waited] = [0, 0, []];
    globalThis.setTimeout = ((work: (...args: unknown[]) => void, time = 0, ...args: unknown[]) => {
      const isWait = time === 3_000 || (time === 5_000 && refusals >= 0);
      if (isWait) waited.push(time);
      return original.setTimeout(() => work(...args), isWait ? 0 : time);
    }) as typeof setTimeout;
  });
  afterEach(() => {
    globalThis.setTimeout = original.setTimeout;
    sql.ConnectionPool = original.pool;
  });

  const database = () => {
    const credential = { getToken: async () => ({ token: "app", expiresOnTimestamp: Date.now() + 3_600_000 }) };
    const opened = Database.at({ server: "127.0.0.1", port: test.server.port, database: "library" }, credential);
    // The test server's certificate is its own.
    (opened as unknown as { config: { options: { trustServerCertificate: boolean } } }).config.options.trustServerCertificate = true;
    return opened;
  };
  const one = (opened: Database) => opened.run(async () => (await opened.request()).query("SELECT 1 AS One"));

  it("is waited for for half a minute", async () => {
    refusals = 10;
    const opened = database();
    assert.deepEqual((await one(opened)).recordset, [{ One: 1 }]);
    assert.deepEqual(waited, Array(10).fill(3_000));
    await opened.close();
  });

  it("is told of when it takes longer, in the server's words and without a number, as the driver has none; later it is asked anew", async () => {
    refusals = 11;
    const opened = database();
    const error = await one(opened).then(
      () => assert.fail("It was let in."),
      (error) => error,
    );
    assert.deepEqual([error.code, error.number, error.message, logins], ["ELOGIN", undefined, MOVING, 11]);
    await one(opened);
    await opened.close();
  });

  it("is waited for for five minutes when the schema is applied", async () => {
    sql.ConnectionPool = class extends original.pool {
      constructor(config: any) {
        super({ ...config, options: { ...config.options, trustServerCertificate: true } });
      }
    };
    const inputs = {
      ...{ server: "127.0.0.1", port: test.server.port, database: "library", token: "app", users: [], table: "dbo.A" },
      steps: ["CREATE TABLE dbo.A (B INT)"],
      manager: { endpoint: "https://management.example", serverId: "/server", token: "arm" },
    };
    const [resource] = await recorded(() => new SqlSchema("schema", inputs));
    const provider = requireFromString(resource?.inputs.__provider).handler();
    refusals = 60;
    await provider.create({ ...inputs, version: "v" });
    assert.deepEqual(waited, Array(60).fill(5_000));
  });
});
