import { type SqlError, sqlError } from "../errors.js";
import { demand, permits, rolesOf, sees } from "../security/permissions.js";
import type { Environment, Securable, Typed } from "../translate/environment.js";
import { VERSION_TEXT } from "../translate/metadata.js";
import type { Translator } from "../translate/query.js";
import type { SqlValue } from "../types/convert.js";
import { now } from "../types/convert.js";
import { BIGINT, decimal, INT, NVARCHAR_MAX, nvarchar, type SqlType, SYSNAME, varbinary } from "../types/sql-type.js";
import { type Catalog, findPrincipal, same } from "./catalog.js";
import type { Database } from "./database.js";

/** Who logged in, and as which user of the database. */
export interface Login {
  /** SUSER_SNAME(): a login's name, or `id@tenant` of an identity. */
  name: string;
  /** Name of the database user; `dbo` is the server's administrator. */
  user: string;
  sid?: string;
}

export interface SessionSettings {
  server: string;
  application: string;
  host: string;
  databases(): { id: number; name: string; created: string }[];
  clock(): Date;
}

/** The part of the session that `SET` changes, and that a reset takes back. */
interface Options {
  abortTransactions: boolean;
  /** Milliseconds; -1 waits for ever. */
  lockTimeout: number;
  isolation: string;
  countless: boolean;
  implicitTransactions: boolean;
}

const DEFAULTS: Options = {
  abortTransactions: false,
  lockTimeout: -1,
  isolation: "READ COMMITTED",
  countless: false,
  implicitTransactions: false,
};

/** A connection's state: its transaction, its options, and what `@@…` say. */
export class Session {
  options: Options = { ...DEFAULTS };
  /** @@TRANCOUNT */
  depth = 0;
  /** An error made the transaction one that can only be rolled back. */
  doomed = false;
  rowCount = 0;
  errorNumber = 0;
  identity: SqlValue = null;
  identityInsert: number | undefined;
  /** What ERROR_NUMBER() and its like tell, innermost CATCH last. */
  readonly caught: SqlError[] = [];
  readonly context = new Map<string, string>();
  #holding = false;
  #savepoints: string[] = [];
  #cancel = new AbortController();

  constructor(
    readonly id: number,
    readonly database: Database,
    readonly login: Login,
    readonly settings: SessionSettings,
  ) {}

  get signal(): AbortSignal {
    return this.#cancel.signal;
  }

  /** Ends the request that is running. */
  cancel(reason: Error): void {
    this.#cancel.abort(reason);
  }

  /** Before each request. */
  renew(): void {
    if (this.#cancel.signal.aborted) this.#cancel = new AbortController();
  }

  /** Whether this session's transaction has written, and with that keeps all others from writing. */
  get holding(): boolean {
    return this.#holding;
  }

  get catalog(): Catalog {
    return this.database.catalog(this.#holding);
  }

  get source(): "reader" | "writer" {
    return this.#holding ? "writer" : "reader";
  }

  /** Isolation above READ COMMITTED is kept by letting nobody else write from the first read on. */
  get readsLock(): boolean {
    return this.depth > 0 && ["REPEATABLE READ", "SERIALIZABLE", "SNAPSHOT"].includes(this.options.isolation);
  }

  async hold(): Promise<void> {
    if (this.#holding) return;
    await this.database.lock.acquire(this, this.options.lockTimeout, this.signal);
    this.#holding = true;
    this.database.begin();
    this.#savepoints.forEach((_, index) => {
      this.database.savepoint(`saved_${index}`);
    });
  }

  /** One statement that writes: all of it, or nothing. Outside of a transaction it is one of its own. */
  async write<T>(work: () => T): Promise<T> {
    if (this.doomed) throw sqlError(3930);
    await this.hold();
    this.database.savepoint("embedded_statement");
    let result: T;
    try {
      result = work();
    } catch (error) {
      this.database.rollbackTo("embedded_statement");
      this.database.release("embedded_statement");
      if (this.depth === 0) this.#end(false);
      throw error;
    }
    this.database.release("embedded_statement");
    if (this.depth === 0) this.#end(true);
    return result;
  }

  #end(commit: boolean): void {
    if (this.#holding) {
      try {
        if (commit) this.database.commit();
        else this.database.rollback();
      } finally {
        this.#holding = false;
        this.database.lock.release(this);
      }
    }
    this.#savepoints = [];
    this.doomed = false;
  }

  begin(): void {
    this.depth += 1;
  }

  /** @returns whether that ended the transaction @throws SqlError 3902, 3930 */
  commit(): boolean {
    if (this.depth === 0) throw sqlError(3902);
    if (this.doomed) throw sqlError(3930);
    this.depth -= 1;
    if (this.depth > 0) return false;
    this.#end(true);
    return true;
  }

  /** To a savepoint, or altogether. @returns whether that ended the transaction @throws SqlError 3903, 6401 */
  rollback(name?: string): boolean {
    if (this.depth === 0) throw sqlError(3903);
    if (name !== undefined) {
      const index = this.#savepoints.findLastIndex((saved) => same(saved, name));
      if (index >= 0) {
        if (this.doomed) throw sqlError(3931);
        if (this.#holding) this.database.rollbackTo(`saved_${index}`);
        this.#savepoints.length = index + 1;
        return false;
      }
      if (!same(name, this.transactionName ?? "")) throw sqlError(6401, name);
    }
    this.depth = 0;
    this.#end(false);
    return true;
  }

  transactionName: string | undefined;

  /** @throws SqlError 628 */
  save(name: string): void {
    if (this.depth === 0) throw sqlError(628);
    if (this.#holding) this.database.savepoint(`saved_${this.#savepoints.length}`);
    this.#savepoints.push(name);
  }

  /** The connection is used for something else, or closed. */
  reset(): void {
    if (this.depth > 0 || this.#holding) {
      this.depth = 0;
      this.#end(false);
    }
    this.options = { ...DEFAULTS };
    this.identityInsert = undefined;
    this.caught.length = 0;
    this.context.clear();
    this.rowCount = 0;
    this.errorNumber = 0;
    this.identity = null;
  }

  /** @throws SqlError 229 for what a translated statement may not touch */
  demand(translator: Translator): void {
    for (const { permission, object } of translator.requirements)
      demand(this.catalog, this.login.user, permission, object, this.database.name);
  }

  /** What a statement sees, with the variables of the batch that it stands in. */
  environment(variables: ReadonlyMap<string, Typed>): Environment {
    const session = this;
    const { user } = this.login;
    const moment = now(this.settings.clock);
    return {
      database: this.database.name,
      defaultSchema: findPrincipal(this.catalog, user)?.schema || "dbo",
      get catalog() {
        return session.catalog;
      },
      now: moment,
      variable: (name) => variables.get(name.toLowerCase()),
      system: (name) => this.#system(name),
      sees: (object: Securable) => sees(this.catalog, user, object),
      permits: (permission, object) => permits(this.catalog, user, permission, object),
      hasRole: (role) => this.#hasRole(role),
      rowCount: ({ id }) => {
        const table = this.catalog.tables.find((candidate) => candidate.id === id);
        return table ? this.database.rowCount(table, this.#holding) : 0;
      },
      lastIdentity: (table) => this.database.lastIdentity(table),
      databases: () => this.settings.databases(),
    };
  }

  #hasRole(name: string): boolean | undefined {
    const role = findPrincipal(this.catalog, name);
    if (role?.kind !== "role") return undefined;
    const { user } = this.login;
    return rolesOf(this.catalog, user).has(role.name) || (same(user, "dbo") && role.fixed === true && !role.name.startsWith("db_deny"));
  }

  #system(name: string): Typed | undefined {
    const typed = (type: SqlType, value: SqlValue): Typed => ({ type, value });
    const caught = this.caught[this.caught.length - 1];
    switch (name) {
      case "@@ROWCOUNT":
        return typed(INT, this.rowCount);
      case "ROWCOUNT_BIG":
        return typed(BIGINT, this.rowCount);
      case "@@ERROR":
        return typed(INT, this.errorNumber);
      case "@@TRANCOUNT":
        return typed(INT, this.depth);
      case "@@IDENTITY":
      case "SCOPE_IDENTITY":
        return typed(decimal(38, 0), this.identity);
      case "@@VERSION":
        return typed(nvarchar(300), VERSION_TEXT);
      case "@@SERVERNAME":
        return typed(SYSNAME, this.settings.server);
      case "@@SERVICENAME":
        return typed(SYSNAME, "EMBEDDED");
      case "@@SPID":
        return typed({ name: "smallint" }, this.id);
      case "@@LANGUAGE":
        return typed(SYSNAME, "us_english");
      case "@@DATEFIRST":
        return typed({ name: "tinyint" }, 7);
      case "@@LOCK_TIMEOUT":
        return typed(INT, this.options.lockTimeout);
      case "@@MAX_PRECISION":
        return typed({ name: "tinyint" }, 38);
      case "@@NESTLEVEL":
      case "@@FETCH_STATUS":
      case "@@CURSOR_ROWS":
        return typed(INT, 0);
      case "@@OPTIONS":
        return typed(INT, 5432 | (this.options.countless ? 512 : 0) | (this.options.abortTransactions ? 16_384 : 0));
      case "@@TEXTSIZE":
        return typed(INT, 2_147_483_647);
      case "@@MICROSOFTVERSION":
        return typed(INT, 201_328_592);
      case "XACT_STATE":
        return typed({ name: "smallint" }, this.depth === 0 ? 0 : this.doomed ? -1 : 1);
      case "USER_NAME":
      case "CURRENT_USER":
      case "SESSION_USER":
      case "USER":
        return typed(SYSNAME, this.login.user);
      case "SUSER_SNAME":
      case "SUSER_NAME":
      case "ORIGINAL_LOGIN":
      case "SYSTEM_USER":
        return typed(SYSNAME, this.login.name);
      case "SUSER_SID":
        return typed(varbinary(85), this.login.sid ? Buffer.from(this.login.sid, "hex") : null);
      case "APP_NAME":
        return typed(SYSNAME, this.settings.application);
      case "HOST_NAME":
        return typed(SYSNAME, this.settings.host);
      case "ERROR_NUMBER":
        return typed(INT, caught?.number ?? null);
      case "ERROR_MESSAGE":
        return typed(nvarchar(4000), caught?.message ?? null);
      case "ERROR_SEVERITY":
        return typed(INT, caught?.severity ?? null);
      case "ERROR_STATE":
        return typed(INT, caught?.state ?? null);
      case "ERROR_LINE":
        return typed(INT, caught?.line ?? null);
      case "ERROR_PROCEDURE":
        return typed(SYSNAME, caught?.procedure || null);
      default:
        return name.startsWith("SESSION_CONTEXT:") ? typed(NVARCHAR_MAX, this.context.get(name.slice(16)) ?? null) : undefined;
    }
  }
}
