import { linkSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import sqlite from "node-sqlite3-wasm";
import type { Environment } from "../translate/environment.js";
import type { SqlValue } from "../types/convert.js";
import { type Catalog, emptyCatalog } from "./catalog.js";
import { sqliteFunctions } from "./functions.js";

type Connection = InstanceType<typeof sqlite.Database>;

/**
 * The SQLite file of one database, opened twice: what a transaction has written stays with the writer until it commits, while readers see what
 * was committed last. SQLite runs to the end of each call, and writes to the file only when it commits (`cache_spill` is off), so a reader never
 * meets half of a transaction.
 */
export class Store {
  readonly #writer: Connection;
  readonly #reader: Connection;
  /** What a function threw: SQLite itself hands on its message only. */
  #thrown: unknown;
  #environment: Environment | undefined;
  /** Of the statements that the writer runs again and again. */
  readonly #prepared = new Map<string, InstanceType<typeof sqlite.Statement>>();

  private constructor(folder: string, kept: boolean) {
    mkdirSync(folder, { recursive: true });
    const file = join(folder, "data.sqlite");
    // This build of SQLite locks by a directory next to the file, which a killed process leaves behind, and which knows no shared locks:
    // the reader opens the same file by another name, so that it has a lock of its own.
    const readable = join(folder, "data-read.sqlite");
    for (const path of [`${file}.lock`, `${readable}.lock`, readable]) rmSync(path, { recursive: true, force: true });
    this.#writer = new sqlite.Database(file);
    this.#writer.exec(
      `PRAGMA foreign_keys = OFF; PRAGMA cache_spill = OFF; PRAGMA journal_mode = ${kept ? "DELETE" : "MEMORY"}; PRAGMA synchronous = ${kept ? "NORMAL" : "OFF"};`,
    );
    this.#register(this.#writer);
    this.#writer.exec(
      "CREATE TABLE IF NOT EXISTS embedded_catalog (id INTEGER PRIMARY KEY, json TEXT); CREATE TABLE IF NOT EXISTS embedded_identity (id INTEGER PRIMARY KEY, last INTEGER);",
    );
    linkSync(file, readable);
    this.#reader = new sqlite.Database(readable);
    this.#register(this.#reader);
  }

  static open(folder: string, kept: boolean): Store {
    return new Store(folder, kept);
  }

  close(): void {
    this.forget();
    this.#reader.close();
    this.#writer.close();
  }

  #register(connection: Connection): void {
    const environment = (): Environment => this.#environment as Environment;
    for (const { name, deterministic, implementation } of sqliteFunctions(environment)) {
      const guarded = (...given: SqlValue[]): SqlValue => {
        try {
          return implementation(...given);
        } catch (error) {
          this.#thrown = error;
          throw error;
        }
      };
      connection.function(name, Object.defineProperty(guarded, "length", { value: implementation.length }), { deterministic });
    }
  }

  /** Rows as lists. @throws SqlError that a function threw */
  all(sql: string, parameters: readonly SqlValue[], from: "reader" | "writer", environment?: Environment): SqlValue[][] {
    const connection = from === "writer" ? this.#writer : this.#reader;
    return this.#guarded(environment, () => connection.all(sql, used(sql, parameters)).map((row) => Object.values(row) as SqlValue[]));
  }

  /** Changes something, in the writer. */
  run(sql: string, parameters: readonly SqlValue[] = []): { changes: number; rowid: number } {
    return this.#guarded(undefined, () => {
      let statement = this.#prepared.get(sql);
      if (!statement) {
        if (this.#prepared.size >= 64) this.forget();
        statement = this.#writer.prepare(sql);
        this.#prepared.set(sql, statement);
      }
      try {
        const { changes, lastInsertRowid } = statement.run([...parameters]);
        return { changes, rowid: Number(lastInsertRowid) };
      } catch (error) {
        this.#prepared.delete(sql);
        discard(statement);
        throw error;
      }
    });
  }

  exec(sql: string): void {
    this.#guarded(undefined, () => this.#writer.exec(sql));
  }

  /** Prepared statements stand in the way of DDL. */
  forget(): void {
    for (const statement of this.#prepared.values()) discard(statement);
    this.#prepared.clear();
  }

  catalog(created: string): Catalog {
    const [row] = this.all("SELECT json FROM embedded_catalog WHERE id = 1", [], "writer");
    return row ? (JSON.parse(row[0] as string) as Catalog) : emptyCatalog(created);
  }

  saveCatalog(catalog: Catalog): void {
    this.run("INSERT INTO embedded_catalog (id, json) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET json = ?1", [JSON.stringify(catalog)]);
  }

  #guarded<T>(environment: Environment | undefined, work: () => T): T {
    this.#thrown = undefined;
    const before = this.#environment;
    if (environment) this.#environment = environment;
    try {
      return work();
    } catch (error) {
      const thrown = this.#thrown;
      if (thrown instanceof Error) throw thrown;
      throw error;
    } finally {
      this.#environment = before;
    }
  }
}

/** A value that was converted when its statement was translated is not in it any more; SQLite takes only those up to the last that is. */
function used(sql: string, parameters: readonly SqlValue[]): SqlValue[] {
  if (parameters.length === 0) return [];
  let last = 0;
  for (const [, position] of sql.matchAll(/'(?:[^']|'')*'|"(?:[^"]|"")*"|\?(\d+)/g)) last = Math.max(last, Number(position ?? 0));
  return parameters.slice(0, last);
}

/** After a failure SQLite tells of it once more when its statement goes. */
function discard(statement: InstanceType<typeof sqlite.Statement>): void {
  try {
    statement.finalize();
  } catch {
    // It is known already.
  }
}

/** Did SQLite refuse a row for a unique index? */
export function isDuplicate(error: unknown): boolean {
  return error instanceof Error && /^UNIQUE constraint failed/.test(error.message);
}
