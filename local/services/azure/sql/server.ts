import { timingSafeEqual } from "node:crypto";
import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import { findPrincipal, same } from "./engine/catalog.js";
import { Database } from "./engine/database.js";
import type { Login, SessionSettings } from "./engine/session.js";
import { SqlError, sqlError } from "./errors.js";
import { passwordFits } from "./security/principals.js";
import { sidOf } from "./security/sid.js";
import { type DirectoryLookup, isForSql, SQL_RESOURCE, type TokenVerifier } from "./security/tokens.js";
import { Connection, type Host, LoginRefused } from "./tds/connection.js";
import type { LoginRequest } from "./tds/login.js";
import { now } from "./types/convert.js";

/** Who administers a server by Entra ID: `sid` is the object id of a user or group, the client id of an application. */
export interface Administrator {
  login: string;
  sid: string;
}

export interface SqlServerOptions {
  /** The server's name, as messages and @@SERVERNAME have it. */
  name: string;
  folder: string;
  /** Is the folder kept from run to run? Then what was committed survives the end of the process. */
  kept: boolean;
  /** Of TLS, PEM. */
  certificate: { key: string; cert: string };
  verify: TokenVerifier;
  /** @default nobody is found */
  directory?: DirectoryLookup;
  /** Where clients are sent for tokens: `https://login.microsoftonline.com/TENANT`. */
  authority: string;
  /** @default the system's clock */
  clock?: () => Date;
}

interface FirewallRule {
  from: string;
  to: string;
}

/** A logical server: a port, its databases, its firewall, and who may log in. */
export class SqlServer implements Host {
  readonly name: string;
  readonly secure: Host["secure"];
  readonly authority: Host["authority"];
  readonly directory: DirectoryLookup;
  /** By Entra ID. */
  administrator: Administrator | undefined;
  /** The login and password of the server itself; nobody where only Entra ID is taken. */
  sqlAdministrator: { login: string; password: string } | undefined;
  entraOnly = false;
  /** Without it only private endpoints are let in, and there are none. */
  isPublic = true;
  /** By rule name. */
  readonly firewall = new Map<string, FirewallRule>();
  port = 0;

  readonly #databases = new Map<string, Database>();
  readonly #sockets = new Set<Socket>();
  readonly #options: SqlServerOptions;
  readonly #listener: Server;
  #process = 50;

  private constructor(options: SqlServerOptions) {
    this.#options = options;
    this.name = options.name;
    const { key, cert } = options.certificate;
    this.secure = {
      // TLS 1.3 goes on with its handshake after the client believes it over, which TLS within TDS has no place for.
      within: createSecureContext({ key, cert, minVersion: "TLSv1.2", maxVersion: "TLSv1.2" }),
      around: createSecureContext({ key, cert, minVersion: "TLSv1.2" }),
    };
    this.authority = { url: options.authority, resource: SQL_RESOURCE };
    this.directory = options.directory ?? (() => undefined);
    this.#listener = createServer((socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      new Connection(socket, this);
    });
  }

  /** Listens on 127.0.0.1; a kept server on the port that it had. */
  static async start(options: SqlServerOptions, port = 0): Promise<SqlServer> {
    const server = new SqlServer(options);
    server.createDatabase("master");
    await new Promise<void>((resolve, reject) => {
      server.#listener.once("error", reject);
      server.#listener.listen(port, "127.0.0.1", resolve);
    });
    server.port = (server.#listener.address() as { port: number }).port;
    return server;
  }

  /** Ends connections, closes databases. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#listener.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    for (const database of this.#databases.values()) database.close();
    this.#databases.clear();
  }

  database(name: string): Database | undefined {
    return this.#databases.get(name.toLowerCase());
  }

  createDatabase(name: string): Database {
    const known = this.database(name);
    if (known) return known;
    const folder = join(this.#options.folder, Buffer.from(name.toLowerCase()).toString("hex"));
    const ids = [...this.#databases.values()].map(({ id }) => id);
    const id = name === "master" ? 1 : Math.max(4, ...ids) + 1;
    const database = new Database(id, name, folder, this.#options.kept, now(this.#clock));
    this.#databases.set(name.toLowerCase(), database);
    return database;
  }

  dropDatabase(name: string): void {
    const database = this.database(name);
    if (!database) return;
    this.#databases.delete(name.toLowerCase());
    database.close();
    rmSync(join(this.#options.folder, Buffer.from(name.toLowerCase()).toString("hex")), { recursive: true, force: true });
  }

  readonly #clock = (): Date => (this.#options.clock ?? (() => new Date()))();

  nextProcess(): number {
    this.#process = this.#process >= 32_000 ? 51 : this.#process + 1;
    return this.#process;
  }

  settings({ application, host }: LoginRequest): SessionSettings {
    return {
      server: this.name,
      application,
      host,
      clock: this.#clock,
      databases: () => [...this.#databases.values()].map(({ id, name, created }) => ({ id, name, created })),
    };
  }

  /** @throws SqlError 40615, 47073 */
  #admitAddress(address: string): void {
    if (!this.isPublic) throw sqlError(47073);
    const admitted = [...this.firewall.values()].some(({ from, to }) => {
      // 0.0.0.0 is Azure's own callers: here, those of this machine.
      if (from === "0.0.0.0" && to === "0.0.0.0") return /^127\./.test(address);
      return numeric(from) <= numeric(address) && numeric(address) <= numeric(to);
    });
    if (!admitted) throw sqlError(40615, this.name, address);
  }

  async admit(request: LoginRequest, token: string | undefined, address: string): Promise<{ database: Database; login: Login }> {
    this.#admitAddress(address);
    const name = request.database || "master";
    return token === undefined ? this.#admitPassword(request, name) : this.#admitToken(token, name);
  }

  async #admitToken(token: string, name: string): Promise<{ database: Database; login: Login }> {
    const refused = sqlError(18456, "<token-identified principal>");
    const identity = await this.#options.verify(token);
    if (!identity || !isForSql(identity.audience)) throw refused;
    const ids = [identity.clientId, identity.objectId].filter((id) => id !== undefined);
    const sids = ids.map(sidOf);
    const administrator = this.administrator;
    const database = this.database(name);
    if (administrator && ids.some((id) => same(id, administrator.sid))) {
      if (!database) throw new LoginRefused([sqlError(4060, name), refused]);
      return { database, login: { name: administrator.login, user: "dbo", ...(sids[0] ? { sid: sids[0] } : {}) } };
    }
    const user = database
      ?.catalog(false)
      .principals.find(({ sid, type }) => (type === "E" || type === "X") && sid !== undefined && sids.includes(sid));
    if (!database || !user) throw refused;
    return { database, login: { name: `${ids[0]}@${identity.name}`, user: user.name, ...(user.sid ? { sid: user.sid } : {}) } };
  }

  #admitPassword({ user: login, password }: LoginRequest, name: string): { database: Database; login: Login } {
    if (this.entraOnly) throw entraOnly(login);
    const refused = sqlError(18456, login);
    const database = this.database(name);
    if (this.sqlAdministrator && same(this.sqlAdministrator.login, login)) {
      if (!equal(this.sqlAdministrator.password, password)) throw refused;
      if (!database) throw new LoginRefused([sqlError(4060, name), refused]);
      return { database, login: { name: login, user: "dbo" } };
    }
    const user = database && findPrincipal(database.catalog(false), login);
    if (!database || !user || !passwordFits(user, password)) throw refused;
    return { database, login: { name: user.name, user: user.name, ...(user.sid ? { sid: user.sid } : {}) } };
  }
}

function entraOnly(login: string): SqlError {
  const reason = "Reason: Azure Active Directory only authentication is enabled. Please contact your system administrator.";
  return new SqlError(18456, `Login failed for user '${login}'. ${reason}`, 14);
}

function equal(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** An IPv4 address as a number. */
const numeric = (address: string): number => address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
