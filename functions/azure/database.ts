import type { TokenCredential } from "@azure/identity";
import sql from "mssql";

/** Where the database is. */
export interface DatabaseAddress {
  server: string;
  port: number;
  database: string;
}

/** What passes by itself: the database moves, is busy, or has chosen this one of two who waited for each other. Logins: see `MOVING`. */
const TRANSIENT = new Set([
  ...[1204, 1205, 1222, 3960, 4060, 4221, 10053, 10054, 10060, 10928, 10929, 40143, 40197, 40501, 40540, 40613],
  ...[42108, 42109, 49918, 49919, 49920, 64, 233],
]);
/** Of the connection, not of the database. */
const BROKEN = new Set(["ESOCKET", "ECONNCLOSED", "ETIMEOUT", "ECONNRESET", "EINSTLOOKUP", "ENOTOPEN", "EABORT"]);

/**
 * A database that moves refuses logins (40613 and the like) for seconds up to half a minute. Only the driver can wait that out: to whoever asked
 * for the connection, it does not tell which error it was.
 */
const MOVING = { maxRetriesOnTransientErrors: 10, connectionRetryInterval: 3_000 };
/** Milliseconds that somebody waits for a connection: longer than a database moves. */
const PATIENCE = 60_000;

const ATTEMPTS = 5;
/** Milliseconds before the second attempt; each further one waits twice as long. */
const FIRST_DELAY = 200;

/** One pool of connections, opened when it is first used, as the app's own identity. */
export class Database {
  private pool: Promise<sql.ConnectionPool> | undefined;

  constructor(private readonly config: sql.config) {}

  /** A database of Azure SQL, where nobody has a password. */
  static at({ server, port, database }: DatabaseAddress, credential: TokenCredential): Database {
    return new Database({
      server,
      port,
      database,
      authentication: { type: "token-credential", options: { credential } },
      options: { encrypt: true, trustServerCertificate: false, useUTC: true, appName: "image-pipeline", ...MOVING },
      // Basic takes 30 workers in all, and every instance of the app has a pool of its own.
      pool: { max: 6, min: 0, idleTimeoutMillis: 30_000, acquireTimeoutMillis: PATIENCE, createTimeoutMillis: PATIENCE },
      connectionTimeout: 15_000,
      requestTimeout: 15_000,
      // biome-ignore lint/suspicious/noExplicitAny: the types do not know token credentials yet
    } as any);
  }

  async request(): Promise<sql.Request> {
    return (await this.connected()).request();
  }

  /**
   * Does work that may be done twice, again where what stopped it passes by itself.
   */
  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (attempt === ATTEMPTS || !isTransient(error)) throw this.explained(error);
        await new Promise((resolve) => setTimeout(resolve, FIRST_DELAY * 2 ** (attempt - 1) * (0.5 + Math.random())));
      }
    }
  }

  async close(): Promise<void> {
    const pool = this.pool;
    this.pool = undefined;
    await (await pool?.catch(() => undefined))?.close();
  }

  /** A refused login names nobody, and the driver drops its number: says what it is, and what to look for. */
  private explained(error: unknown): unknown {
    const { code, message } = error as { code?: string; message: string };
    if (code !== "ELOGIN" || !message.startsWith("Login failed for user")) return error;
    const { server, database } = this.config;
    const text = `${message} (18456) The identity has no user in the database ${database} of ${server}: deploying the program again makes it.`;
    return Object.assign(new sql.ConnectionError(text, code), { cause: error });
  }

  private connected(): Promise<sql.ConnectionPool> {
    if (this.pool) return this.pool;
    const pool = new sql.ConnectionPool(this.config);
    // A connection that breaks while nobody uses it is replaced.
    pool.on("error", () => {});
    const opening = pool.connect();
    this.pool = opening;
    opening.catch(() => {
      if (this.pool === opening) this.pool = undefined;
    });
    return opening;
  }
}

/** Does it pass by itself? */
export function isTransient(error: unknown): boolean {
  const { number, code, originalError } = error as { number?: number; code?: string; originalError?: unknown };
  if (number !== undefined && TRANSIENT.has(number)) return true;
  if (code !== undefined && BROKEN.has(code) && number === undefined) return true;
  return originalError instanceof Error && originalError !== error && isTransient(originalError);
}
