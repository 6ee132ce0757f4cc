import type { Environment } from "../translate/environment.js";
import type { SqlValue } from "../types/convert.js";
import { type Catalog, physical, type Table } from "./catalog.js";
import { WriteLock } from "./lock.js";
import { Store } from "./store.js";

/** One database of a server: its rows, its catalog as committed and as the open transaction changed it, and who may write. */
export class Database {
  readonly lock = new WriteLock();
  readonly store: Store;
  #committed: Catalog;
  #working: Catalog | undefined;
  /** The last value of every identity column. A rolled-back transaction does not give its values back. */
  readonly #identities = new Map<number, bigint>();

  constructor(
    readonly id: number,
    readonly name: string,
    folder: string,
    kept: boolean,
    readonly created: string,
  ) {
    this.store = Store.open(folder, kept);
    this.#committed = this.store.catalog(created);
    for (const [table, last] of this.store.all("SELECT id, last FROM embedded_identity", [], "writer")) {
      this.#identities.set(Number(table), BigInt(last as number));
    }
  }

  close(): void {
    this.store.close();
  }

  /** As whoever holds the lock sees it, or everybody else. */
  catalog(writing: boolean): Catalog {
    return writing ? (this.#working ?? this.#committed) : this.#committed;
  }

  /** Changes the catalog within the transaction of whoever holds the lock. */
  define<T>(change: (catalog: Catalog) => T): T {
    const catalog = structuredClone(this.catalog(true));
    this.store.forget();
    const result = change(catalog);
    catalog.version += 1;
    this.store.saveCatalog(catalog);
    this.#working = catalog;
    return result;
  }

  begin(): void {
    this.store.exec("BEGIN IMMEDIATE");
  }

  commit(): void {
    for (const [table, last] of this.#identities)
      this.store.run("INSERT INTO embedded_identity (id, last) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET last = ?2", [table, last]);
    this.store.exec("COMMIT");
    this.#committed = this.catalog(true);
    this.#working = undefined;
  }

  rollback(): void {
    this.store.forget();
    this.store.exec("ROLLBACK");
    this.#working = undefined;
  }

  savepoint(name: string): void {
    this.store.exec(`SAVEPOINT ${name}`);
  }

  release(name: string): void {
    this.store.exec(`RELEASE ${name}`);
  }

  rollbackTo(name: string): void {
    this.store.forget();
    this.store.exec(`ROLLBACK TO ${name}`);
    if (this.#working) this.#working = this.store.catalog(this.created);
  }

  nextIdentity(table: Table): bigint {
    const identity = table.columns.find((column) => column.identity)?.identity ?? { seed: 1, increment: 1 };
    const last = this.#identities.get(table.id);
    const next = last === undefined ? BigInt(identity.seed) : last + BigInt(identity.increment);
    this.#identities.set(table.id, next);
    return next;
  }

  /** An explicit value moves the counter, where it is further. */
  noteIdentity(table: Table, value: bigint): void {
    const last = this.#identities.get(table.id);
    const { increment } = table.columns.find((column) => column.identity)?.identity ?? { increment: 1 };
    if (last === undefined || (increment > 0 ? value > last : value < last)) this.#identities.set(table.id, value);
  }

  lastIdentity(table: { id: number }): SqlValue {
    const last = this.#identities.get(table.id);
    return last === undefined ? null : Number(last);
  }

  resetIdentity(table: Table): void {
    this.#identities.delete(table.id);
    this.store.run("DELETE FROM embedded_identity WHERE id = ?1", [table.id]);
  }

  rowCount(table: { schema: string; name: string }, writing: boolean, environment?: Environment): number {
    const [row] = this.store.all(`SELECT count(*) AS n FROM ${physical(table)}`, [], writing ? "writer" : "reader", environment);
    return Number(row?.[0] ?? 0);
  }
}
