import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";

interface Inputs {
  /** Host name of the server. */
  server: string;
  port: number;
  database: string;
  /** For the database: of an administrator. */
  token: string;
  /** Applied once each, in order. */
  steps: string[];
  /** SHA-256 over the steps, hex. */
  version: string;
  /** Who may work on the table, and the table. */
  users: { name: string; clientId: string }[];
  table: string;
  /** Resource Manager's endpoint, its token, and the server's id in it, to let this machine through the firewall for as long as it takes. */
  manager: { endpoint: string; serverId: string; token: string };
}

type Outputs = Pick<Inputs, "server" | "port" | "database" | "version" | "users" | "table">;

/*
 * Pulumi keeps a dynamic provider as text and runs it elsewhere: these functions import within, refer only to each other, and define no named
 * functions within (tsx would have them refer to a helper of its own).
 */

/** A client id as the database knows it: in the byte order of .NET, whose first three groups are little-endian. */
function sid(clientId: string): string {
  const bytes = Buffer.from(clientId.replaceAll("-", ""), "hex");
  const ordered = [bytes.subarray(0, 4).reverse(), bytes.subarray(4, 6).reverse(), bytes.subarray(6, 8).reverse(), bytes.subarray(8)];
  return `0x${Buffer.concat(ordered).toString("hex").toUpperCase()}`;
}

/** Sets or removes the one rule that lets this machine in: always of the same name, so that none is left behind which nobody knows. */
async function manage({ endpoint, token, serverId }: Inputs["manager"], method: "PUT" | "DELETE", address: string) {
  const response = await fetch(`${endpoint}${serverId}/firewallRules/schema?api-version=2023-08-01`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(method === "PUT" && { body: JSON.stringify({ properties: { startIpAddress: address, endIpAddress: address } }) }),
  });
  if (!response.ok && response.status !== 404) {
    throw new Error(
      `The firewall rule "schema" could not be ${method === "PUT" ? `set for ${address}` : "removed"}: ${await response.text()}`,
    );
  }
}

/** The steps that are missing, and the users with exactly these permissions; `gone` are the names of those who have none any more. */
async function apply(inputs: Inputs, gone: string[]): Promise<{ id: string; outs: Outputs }> {
  const { server, port, database, token, steps, version, users, table, manager } = inputs;
  const { default: sql } = await import("mssql");
  const until = Date.now() + 300_000;
  let address = "";
  let failed = false;
  let pool: InstanceType<typeof sql.ConnectionPool> | undefined;
  try {
    while (pool === undefined) {
      const opening = new sql.ConnectionPool({
        server,
        port,
        database,
        authentication: { type: "azure-active-directory-access-token", options: { token } },
        // A database that moves (40613 and the like) is asked again by the driver, which keeps to itself which error it was: up to five minutes.
        options: { encrypt: true, appName: "image-pipeline schema", maxRetriesOnTransientErrors: 60, connectionRetryInterval: 5_000 },
        pool: { max: 1, min: 0 },
        connectionTimeout: 30_000,
        requestTimeout: 120_000,
      });
      try {
        pool = await opening.connect();
      } catch (error) {
        // 40615: this machine's address is not let in. A rule takes up to five minutes to be known everywhere.
        const refused = /IP address '([0-9a-fA-F.:]+)' is not allowed/.exec((error as Error).message)?.[1] ?? "";
        if (refused === "" || Date.now() > until) throw error;
        if (refused !== address) await manage(manager, "PUT", refused);
        address = refused;
        await new Promise((resolve) => setTimeout(resolve, 5_000));
      }
    }

    await pool
      .request()
      .batch(
        "IF OBJECT_ID(N'dbo.SchemaStep', N'U') IS NULL CREATE TABLE dbo.SchemaStep (Step INT NOT NULL PRIMARY KEY, AppliedOn DATETIME2(3) NOT NULL)",
      );
    const applied = await pool.request().query<{ Step: number }>("SELECT Step FROM dbo.SchemaStep");
    const done = applied.recordset.map((row) => row.Step);
    for (const [index, step] of steps.entries()) {
      if (done.includes(index + 1)) continue;
      const transaction = pool.transaction();
      await transaction.begin();
      try {
        await transaction.request().batch(step);
        await transaction
          .request()
          .input("Step", sql.Int, index + 1)
          .query("INSERT INTO dbo.SchemaStep (Step, AppliedOn) VALUES (@Step, SYSUTCDATETIME())");
        await transaction.commit();
      } catch (error) {
        await transaction.rollback().catch(() => undefined);
        throw new Error(`Step ${index + 1} of the schema of ${database}: ${(error as Error).message}`, { cause: error });
      }
    }

    for (const user of users) {
      // An identity that was made anew has another SID under the same name.
      const name = `[${user.name.replaceAll("]", "]]")}]`;
      const wanted = sid(user.clientId);
      const there = await pool
        .request()
        .input("Name", sql.NVarChar(128), user.name)
        .query<{ sid: Buffer }>("SELECT sid FROM sys.database_principals WHERE name = @Name");
      const known = there.recordset[0] ? `0x${Buffer.from(there.recordset[0].sid).toString("hex").toUpperCase()}` : "";
      if (known !== "" && known !== wanted) await pool.request().batch(`DROP USER ${name}`);
      if (known !== wanted) await pool.request().batch(`CREATE USER ${name} WITH SID = ${wanted}, TYPE = E`);
      await pool.request().batch(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${table} TO ${name}`);
    }
    for (const user of gone) await pool.request().batch(`DROP USER IF EXISTS [${user.replaceAll("]", "]]")}]`);
  } catch (error) {
    failed = true;
    throw error;
  } finally {
    // What has been done counts, not how the connection ends.
    await pool?.close().catch(() => undefined);
    // Also one that a run left behind which was interrupted: it lets this machine in, so nothing tells of it. The embedded cloud has none.
    if (!/^(127\.0\.0\.1|localhost)$/.test(server)) {
      const removed = manage(manager, "DELETE", address);
      // Why the work itself failed says more.
      await (failed ? removed.catch(() => undefined) : removed);
    }
  }
  return { id: `${server}/${database}`, outs: { server, port, database, version, users, table } };
}

const provider: pulumi.dynamic.ResourceProvider<Inputs, Outputs> = {
  async check(_olds, news) {
    const known = (news.users ?? []).map(({ clientId }) => clientId).filter((clientId) => typeof clientId === "string");
    const wrong = known.filter((clientId) => !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(clientId));
    return {
      inputs: news,
      failures: wrong.map((clientId) => ({ property: "users", reason: `a user's clientId is ${clientId}: it must be a UUID.` })),
    };
  },
  async create(inputs) {
    return await apply(inputs, []);
  },
  async read(id, props) {
    return { id, props: props as Inputs };
  },
  async diff(_id, olds, news) {
    // Tokens are other ones each time.
    const moved = olds.server !== news.server || olds.port !== news.port || olds.database !== news.database;
    const other = JSON.stringify(olds.users) !== JSON.stringify(news.users) || olds.table !== news.table;
    return { changes: moved || other || olds.version !== news.version, replaces: [] };
  },
  async update(_id, olds, news) {
    const names = news.users.map(({ name }) => name);
    const gone = (olds.users ?? []).map(({ name }) => name).filter((name) => !names.includes(name));
    return { outs: (await apply(news, gone)).outs };
  },
  /** It goes with the database, or stays with it. */
  async delete() {},
};

/** Options of {@link SqlSchema}. */
export interface SqlSchemaArgs {
  server: pulumi.Input<string>;
  port: pulumi.Input<number>;
  database: pulumi.Input<string>;
  /** A token for `https://database.windows.net` of an administrator. */
  token: pulumi.Input<string>;
  /** Batches of T-SQL, applied once each, in order; released ones never change. */
  steps: readonly string[];
  /** The managed identities that may read and write the table: name and client id. */
  users: readonly { name: pulumi.Input<string>; clientId: pulumi.Input<string> }[];
  /** `"dbo.ImageMetadata"` */
  table: string;
  /** Where the server's firewall is configured. */
  manager: { endpoint: string; serverId: pulumi.Input<string>; token: pulumi.Input<string> };
}

/**
 * The tables of a database in Azure SQL, and the users of identities in it. It can be applied any number of times, and what it has made stays
 * when it is removed. Where the server's firewall refuses this machine, a rule for its address is there for as long as it works.
 */
export class SqlSchema extends pulumi.dynamic.Resource {
  declare readonly version: pulumi.Output<string>;

  constructor(name: string, { token, manager, steps, ...args }: SqlSchemaArgs, opts?: pulumi.CustomResourceOptions) {
    const version = createHash("sha256").update(JSON.stringify(steps)).digest("hex");
    const inputs = { ...args, steps, version, token: pulumi.secret(token), manager: { ...manager, token: pulumi.secret(manager.token) } };
    super(provider, name, inputs, opts, "azure", "SqlSchema");
  }
}
