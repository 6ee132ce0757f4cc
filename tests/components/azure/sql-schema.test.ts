import assert from "node:assert/strict";
import { createRequire } from "node:module";
import requireFromString from "require-from-string";
import { addressOf } from "../../../components/azure/records.js";
import { STEPS, TABLE } from "../../../components/azure/schema.js";
import { SqlSchema } from "../../../components/azure/sql-schema.js";
import { COLUMNS } from "../../../functions/azure/record-row.js";
import { recorded } from "../../declared.js";

const sql = createRequire(import.meta.url)("mssql");

const inputs = {
  server: "server.database.windows.net",
  port: 1433,
  database: "imagemetadata",
  token: "a-token",
  steps: ["CREATE TABLE a (b INT)", "CREATE INDEX c ON a (b)"],
  version: "v",
  users: [{ name: "app]1", clientId: "00112233-4455-6677-8899-aabbccddeeff" }],
  table: "dbo.ImageMetadata",
  manager: { endpoint: "https://management.example", serverId: "/subscriptions/s/servers/server", token: "arm-token" },
};
const SID = "0x33221100554477668899AABBCCDDEEFF";

describe("The schema of the database", () => {
  /** The provider as Pulumi keeps and runs it: from its text, with nothing of this program around it. */
  let provider: any;
  let declared: any;
  /** What the server's firewall was asked for. */
  let calls: string[];
  const RULE = "https://management.example/subscriptions/s/servers/server/firewallRules/schema?api-version=2023-08-01";

  /** A database that notes what is done. */
  class Pool {
    static done: string[];
    static steps: number[];
    static user: Buffer | undefined;
    static refusals: Error[];
    static config: any;
    static closing: Error | undefined;
    constructor(config: unknown) {
      Pool.config = config;
    }
    async connect() {
      const refusal = Pool.refusals.shift();
      if (refusal) throw refusal;
      return this;
    }
    async close() {
      Pool.done.push("close");
      if (Pool.closing) throw Pool.closing;
    }
    request(): any {
      const run = async (text: string) => {
        if (/^SELECT Step/.test(text)) return { recordset: Pool.steps.map((Step) => ({ Step })) };
        if (/^SELECT sid/.test(text)) return { recordset: Pool.user ? [{ sid: Pool.user }] : [] };
        if (/broken/.test(text)) throw new Error("it is broken");
        Pool.done.push(text);
        return { recordset: [] };
      };
      const request = { input: () => request, query: run, batch: run };
      return request;
    }
    transaction() {
      const note = (what: string) => async () => void Pool.done.push(what);
      return { begin: note("begin"), commit: note("commit"), rollback: note("rollback"), request: () => this.request() };
    }
  }

  const original = { pool: sql.ConnectionPool, fetch: globalThis.fetch, setTimeout: globalThis.setTimeout };
  before(async () => {
    const { version: _, ...args } = inputs;
    const [resource] = await recorded(() => new SqlSchema("schema", args));
    declared = resource;
    provider = requireFromString(resource?.inputs.__provider).handler();
  });
  beforeEach(() => {
    Object.assign(Pool, { done: [], steps: [], user: undefined, refusals: [], closing: undefined });
    sql.ConnectionPool = Pool;
    calls = [];
    globalThis.fetch = async (url, init) => {
      calls.push(`${init?.method} ${url} ${init?.body ?? ""}`);
      return new Response("{}");
    };
  });
  afterEach(() => {
    sql.ConnectionPool = original.pool;
    globalThis.fetch = original.fetch;
    globalThis.setTimeout = original.setTimeout;
  });

  it("keeps its tokens secret, and is another one when its steps are", () => {
    assert.ok(declared.secretInputs.includes("token"));
    assert.match(declared.inputs.version, /^[0-9a-f]{64}$/);
  });

  it("has every column that records are written to", () => {
    for (const column of Object.keys(COLUMNS)) assert.match(STEPS.join("\n"), new RegExp(`^  ${column} `, "m"), column);
    assert.match(STEPS[0] ?? "", new RegExp(`^CREATE TABLE ${TABLE} `));
  });

  it("applies each step once, in a transaction, and makes the user with its SID and no more permissions than it needs", async () => {
    Pool.steps = [1];
    const { id, outs } = await provider.create(inputs);
    assert.equal(id, "server.database.windows.net/imagemetadata");
    assert.equal(JSON.stringify(outs).includes("token"), false);
    assert.deepEqual(Pool.done.slice(1), [
      "begin",
      "CREATE INDEX c ON a (b)",
      "INSERT INTO dbo.SchemaStep (Step, AppliedOn) VALUES (@Step, SYSUTCDATETIME())",
      "commit",
      `CREATE USER [app]]1] WITH SID = ${SID}, TYPE = E`,
      "GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.ImageMetadata TO [app]]1]",
      "close",
    ]);
    assert.deepEqual(Pool.config.authentication, { type: "azure-active-directory-access-token", options: { token: "a-token" } });
    assert.equal(Pool.config.options.encrypt, true);
  });

  it("leaves the user that is there, and replaces one of an earlier identity", async () => {
    Pool.steps = [1, 2];
    Pool.user = Buffer.from(SID.slice(2), "hex");
    await provider.update("id", {}, inputs);
    assert.equal(Pool.done.filter((text) => / USER /.test(text)).length, 0);
    Pool.user = Buffer.alloc(16);
    await provider.update("id", {}, inputs);
    assert.deepEqual(
      Pool.done.filter((text) => / USER /.test(text)),
      ["DROP USER [app]]1]", `CREATE USER [app]]1] WITH SID = ${SID}, TYPE = E`],
    );
  });

  it("lets every identity in that works on the records, and those no more that did", async () => {
    Pool.steps = [1, 2];
    const users = [...inputs.users, { name: "other", clientId: "00112233-4455-6677-8899-aabbccddeeff" }];
    await provider.update("id", { users: [{ name: "former]1", clientId: "x" }] }, { ...inputs, users });
    assert.deepEqual(
      Pool.done.filter((text) => / USER | TO /.test(text)).map((text) => text.split(" WITH ")[0]),
      [
        "CREATE USER [app]]1]",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.ImageMetadata TO [app]]1]",
        "CREATE USER [other]",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.ImageMetadata TO [other]",
        "DROP USER IF EXISTS [former]]1]",
      ],
    );
  });

  it("takes back a step that fails, and says which", async () => {
    await assert.rejects(provider.create({ ...inputs, steps: ["broken"] }), {
      message: "Step 1 of the schema of imagemetadata: it is broken",
    });
    assert.deepEqual(Pool.done.slice(-2), ["rollback", "close"]);
  });

  describe("is let through the firewall for as long as it works", () => {
    const refused = new Error("Cannot open server 'server'. Client with IP address '203.0.113.7' is not allowed to access the server.");
    const put = `PUT ${RULE} {"properties":{"startIpAddress":"203.0.113.7","endIpAddress":"203.0.113.7"}}`;
    beforeEach(() => {
      globalThis.setTimeout = ((work: () => void) => original.setTimeout(work, 0)) as typeof setTimeout;
    });

    it("by a rule that is set once, and removed at the end", async () => {
      Pool.refusals = [refused, refused];
      await provider.create(inputs);
      assert.deepEqual(calls, [put, `DELETE ${RULE} `]);
    });

    it("by one rule, which also a later run removes that it lets in: an interrupted one leaves nothing behind", async () => {
      await provider.create(inputs);
      assert.deepEqual(calls, [`DELETE ${RULE} `]);
    });

    it("and not longer where the connection does not end well, or setting the rule was never acknowledged", async () => {
      Pool.refusals = [refused];
      Pool.closing = new Error("aborted");
      await provider.create(inputs);
      assert.deepEqual(calls, [put, `DELETE ${RULE} `]);
      calls = [];
      Pool.refusals = [refused];
      const answering = globalThis.fetch;
      globalThis.fetch = async (url, init) => {
        const answer = await answering(url, init);
        if (init?.method === "PUT") throw new Error("the answer was lost");
        return answer;
      };
      await assert.rejects(provider.create(inputs), /the answer was lost/);
      assert.deepEqual(calls, [put, `DELETE ${RULE} `]);
    });

    it("says when the rule could not be removed, unless the work itself has failed", async () => {
      globalThis.fetch = async () => new Response("locked", { status: 409 });
      await assert.rejects(provider.create(inputs), { message: 'The firewall rule "schema" could not be removed: locked' });
      await assert.rejects(provider.create({ ...inputs, steps: ["broken"] }), /it is broken/);
    });

    it("and needs no rule on the embedded cloud, which is on this machine", async () => {
      await provider.create({ ...inputs, server: "127.0.0.1" });
      assert.deepEqual(calls, []);
    });
  });

  it("changes with its steps, its user and its place, and not with the tokens", async () => {
    const olds = { server: inputs.server, port: 1433, database: inputs.database, version: "v", users: inputs.users, table: inputs.table };
    assert.deepEqual(await provider.diff("id", olds, { ...inputs, token: "another" }), { changes: false, replaces: [] });
    const others = [{ version: "w" }, { users: [] }, { server: "other" }, { port: 1 }, { database: "d" }];
    for (const other of others) assert.equal((await provider.diff("id", olds, { ...inputs, ...other })).changes, true);
    await provider.delete("id", olds);
    assert.deepEqual(Pool.done, []);
  });

  it("finds the server's port where it is not SQL Server's own", () => {
    assert.deepEqual(addressOf("a.database.windows.net"), { host: "a.database.windows.net", port: 1433 });
    assert.deepEqual(addressOf("127.0.0.1,50123"), { host: "127.0.0.1", port: 50123 });
  });
});
