import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sql from "mssql";
import { serverCertificate } from "../../../../../local/kernel/azure/certificates.js";
import type { TokenIdentity } from "../../../../../local/services/azure/sql/security/tokens.js";
import { SqlServer } from "../../../../../local/services/azure/sql/server.js";

export const LOGIN = { user: "boss", password: "Correct-Horse-9" } as const;

export interface TestServer {
  server: SqlServer;
  /** Of the certificate authority, PEM. */
  authority: string;
  /** Tokens, and whose they are. */
  tokens: Map<string, TokenIdentity>;
  /** A pool of one connection unless more are asked for, of the administrator unless another is. */
  connect(config?: Partial<sql.config>): Promise<sql.ConnectionPool>;
  /** Ends it, and starts it again on the same folder. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** A server with the database `library`, which lets this machine in. */
export async function testServer({ kept = false } = {}): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), "embedded-sql-"));
  const { readFile } = await import("node:fs/promises");
  const certificate = await serverCertificate(folder);
  const tokens = new Map<string, TokenIdentity>();
  const pools = new Set<sql.ConnectionPool>();
  const start = async (): Promise<SqlServer> => {
    const server = await SqlServer.start({
      name: "library-server",
      folder: join(folder, "data"),
      kept,
      certificate,
      authority: "https://login.microsoftonline.com/tenant",
      verify: (token) => tokens.get(token),
      directory: (name) => [...tokens.values()].find((identity) => identity.name === name),
    });
    server.sqlAdministrator = { login: LOGIN.user, password: LOGIN.password };
    server.firewall.set("azure", { from: "0.0.0.0", to: "0.0.0.0" });
    server.createDatabase("library");
    return server;
  };
  const closePools = async (): Promise<void> => {
    await Promise.all([...pools].map((pool) => pool.close()));
    pools.clear();
  };
  const test: TestServer = {
    server: await start(),
    authority: await readFile(certificate.authority, "utf8"),
    tokens,
    async connect(config = {}) {
      const credentials = config.authentication ? {} : LOGIN;
      const pool = new sql.ConnectionPool({
        server: "127.0.0.1",
        port: test.server.port,
        database: "library",
        ...credentials,
        pool: { max: 1, min: 0 },
        ...config,
        options: { encrypt: false, ...config.options },
      });
      await pool.connect();
      pools.add(pool);
      return pool;
    },
    async restart() {
      await closePools();
      await test.server.stop();
      test.server = await start();
    },
    async stop() {
      await closePools();
      await test.server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return test;
}
