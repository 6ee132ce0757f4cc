import { type SqlError, sqlError } from "../errors.js";
import { coerce, comparable, keySql } from "../translate/coerce.js";
import type { Environment } from "../translate/environment.js";
import { Translator } from "../translate/query.js";
import { Scope } from "../translate/scope.js";
import { parseCondition, parseExpression } from "../tsql/parser.js";
import { convert, hex, type SqlValue, TooLong } from "../types/convert.js";
import { familyOf, isString, nvarchar, type SqlType } from "../types/sql-type.js";
import { type Column, type ForeignKey, fullName, type Index, physical, quoted, same, type Table } from "./catalog.js";
import type { Database } from "./database.js";
import { isDuplicate } from "./store.js";

export interface StoredRow {
  rowid: number;
  /** By {@link storedColumns}. */
  values: SqlValue[];
}

export interface ChangedRow extends StoredRow {
  before: SqlValue[];
}

export const storedColumns = (table: Table): Column[] => table.columns.filter(({ computed }) => computed === undefined);

/** What an index tells rows apart by, of each of its columns; a unique one takes NULL for a value like any other. */
export function indexKeys(
  table: Table,
  index: Index,
  translator: Translator,
  alias?: string,
): { column: Column; key: string; value: string }[] {
  const source = translator.bind(table, table.name, false, alias);
  return index.columns.map(({ name }) => {
    const column = table.columns.find((candidate) => same(candidate.name, name));
    const bound = source.columns.find((candidate) => same(candidate.name, name));
    if (!column || !bound) throw sqlError(1911, name);
    const own = keySql(bound.sql, bound.type);
    const key = index.unique && column.nullable ? `coalesce(${own}, ${familyOf(column.type) === "binary" ? "''" : "x'00'"})` : own;
    return { column, key, value: bound.sql };
  });
}

/**
 * Writes rows so that they keep what their table promises: types and lengths, NOT NULL, keys, checks and references. What concerns the statement
 * as a whole is looked at in {@link finish}, as SQL Server does: a statement may pass through states that its end must not have.
 */
export class RowWriter {
  readonly #touched = new Map<Table, Set<number>>();
  readonly #gone: { table: Table; before: SqlValue[]; after?: SqlValue[] }[] = [];

  constructor(
    private readonly database: Database,
    private readonly environment: Environment,
    /** As messages name it. */
    private readonly statement: "INSERT" | "UPDATE" | "DELETE" | "MERGE",
  ) {}

  /** A value as its column takes it. @throws SqlError 515, 2628, and what converting throws */
  fitting(table: Table, column: Column, value: SqlValue, from: SqlType): SqlValue {
    if (value === null) {
      if (column.nullable) return null;
      throw sqlError(515, column.name, this.#longName(table), this.statement === "MERGE" ? "UPDATE" : this.statement);
    }
    coerce({ sql: "", type: from }, column.type);
    try {
      return convert(value, from, column.type, { assign: true });
    } catch (error) {
      if (error instanceof TooLong) throw sqlError(2628, this.#longName(table), column.name, error.kept);
      throw error;
    }
  }

  #longName(table: Table): string {
    return `${this.database.name}.${fullName(table)}`;
  }

  insert(table: Table, values: readonly SqlValue[]): number {
    const columns = storedColumns(table);
    const names = columns.map(({ name }) => quoted(name));
    const places = columns.map((_, index) => `?${index + 1}`);
    try {
      const { rowid } = this.database.store.run(
        `INSERT INTO ${physical(table)} (${names.join(", ")}) VALUES (${places.join(", ")})`,
        values,
      );
      this.#touch(table, rowid);
      return rowid;
    } catch (error) {
      throw isDuplicate(error) ? this.#duplicate(table, values, undefined) : error;
    }
  }

  update(table: Table, rows: readonly ChangedRow[]): void {
    const columns = storedColumns(table);
    const set = columns.map(({ name }, index) => `${quoted(name)} = ?${index + 2}`).join(", ");
    const sql = `UPDATE ${physical(table)} SET ${set} WHERE _rowid_ = ?1`;
    this.database.savepoint("embedded_update");
    try {
      for (const { rowid, values } of rows) this.database.store.run(sql, [rowid, ...values]);
      this.database.release("embedded_update");
    } catch (error) {
      this.database.rollbackTo("embedded_update");
      this.database.release("embedded_update");
      if (!isDuplicate(error)) throw error;
      this.#replace(table, rows);
    }
    for (const { rowid, values, before } of rows) {
      this.#touch(table, rowid);
      this.#gone.push({ table, before, after: values });
    }
  }

  /** Keys may change places within one statement: all rows go, then all come back. */
  #replace(table: Table, rows: readonly ChangedRow[]): void {
    const columns = storedColumns(table);
    const names = ["_rowid_", ...columns.map(({ name }) => quoted(name))];
    const places = names.map((_, index) => `?${index + 1}`);
    for (const { rowid } of rows) this.database.store.run(`DELETE FROM ${physical(table)} WHERE _rowid_ = ?1`, [rowid]);
    for (const { rowid, values } of rows) {
      try {
        this.database.store.run(`INSERT INTO ${physical(table)} (${names.join(", ")}) VALUES (${places.join(", ")})`, [rowid, ...values]);
      } catch (error) {
        throw isDuplicate(error) ? this.#duplicate(table, values, rowid) : error;
      }
    }
  }

  delete(table: Table, rows: readonly StoredRow[]): void {
    for (const { rowid, values } of rows) {
      this.database.store.run(`DELETE FROM ${physical(table)} WHERE _rowid_ = ?1`, [rowid]);
      this.#touched.get(table)?.delete(rowid);
      this.#gone.push({ table, before: values });
    }
  }

  #touch(table: Table, rowid: number): void {
    const rows = this.#touched.get(table) ?? new Set();
    rows.add(rowid);
    this.#touched.set(table, rows);
  }

  /** @throws SqlError 547 */
  finish(): void {
    for (let index = 0; index < this.#gone.length; index += 1) {
      const entry = this.#gone[index];
      if (entry) this.#followReferences(entry);
    }
    for (const [table, rows] of this.#touched) if (rows.size > 0) this.check(table, [...rows]);
  }

  /** Looks whether rows (all of them, without `rows`) keep the table's checks and point to rows that are there. @throws SqlError 547 */
  check(table: Table, rows?: readonly number[], only?: { checks?: readonly string[]; foreignKeys?: readonly ForeignKey[] }): void {
    for (const check of table.checks) {
      if (only && !only.checks?.includes(check.name)) continue;
      const translator = new Translator(this.environment);
      const source = translator.bind(table, table.name, true);
      const scope = new Scope();
      scope.add(source);
      const condition = translator.condition(parseCondition(check.text), { scope, clause: "where" });
      const among = this.#among(translator, source.alias, rows);
      const found = this.#query(
        `SELECT 1 AS n FROM ${physical(table)} AS ${source.alias} WHERE ${among}NOT ${condition} LIMIT 1`,
        translator.parameters,
      );
      if (found.length > 0) throw this.#conflict("CHECK", check.name, table, check.column);
    }
    for (const key of table.foreignKeys) {
      if (only && !only.foreignKeys?.includes(key)) continue;
      const target = this.environment.catalog.tables.find(({ id }) => id === key.table);
      if (!target) continue;
      const translator = new Translator(this.environment);
      const [child, parent] = [translator.bind(table, "child", false), translator.bind(target, "parent", false)];
      const pairs = key.columns.map((name, index) => {
        const [ours, theirs] = [
          child.columns.find((column) => same(column.name, name)),
          parent.columns.find((column) => same(column.name, key.references[index] ?? "")),
        ];
        if (!ours || !theirs) throw sqlError(207, name);
        return { ours, equal: comparable(theirs, ours).join(" = ") };
      });
      const given = pairs.map(({ ours }) => `${ours.sql} IS NOT NULL`).join(" AND ");
      const missing = `NOT EXISTS (SELECT 1 FROM ${physical(target)} AS ${parent.alias} WHERE ${pairs.map(({ equal }) => equal).join(" AND ")})`;
      const among = this.#among(translator, child.alias, rows);
      const found = this.#query(
        `SELECT 1 AS n FROM ${physical(table)} AS ${child.alias} WHERE ${among}${given} AND ${missing} LIMIT 1`,
        translator.parameters,
      );
      if (found.length > 0) {
        const [column] = key.references.length === 1 ? key.references : [];
        const kind = target.id === table.id ? "FOREIGN KEY SAME TABLE" : "FOREIGN KEY";
        throw this.#conflict(kind, key.name, target, column);
      }
    }
  }

  #among(translator: Translator, alias: string, rows: readonly number[] | undefined): string {
    if (!rows) return "";
    if (rows.length === 1) return `${alias}._rowid_ = ${rows[0]} AND `;
    const position = translator.parameters.push(JSON.stringify(rows));
    return `${alias}._rowid_ IN (SELECT value FROM json_each(?${position})) AND `;
  }

  #query(sql: string, parameters: readonly SqlValue[]): SqlValue[][] {
    return this.database.store.all(sql, parameters, "writer", this.environment);
  }

  #conflict(kind: string, constraint: string, table: Table, column: string | undefined): SqlError {
    const named = column === undefined ? "" : `, column '${column}'`;
    return sqlError(547, this.statement, kind, constraint, this.database.name, fullName(table), named);
  }

  /** What pointed to a row that is no more, or has another key. */
  #followReferences({ table, before, after }: { table: Table; before: SqlValue[]; after?: SqlValue[] }): void {
    const columns = storedColumns(table);
    for (const child of this.environment.catalog.tables) {
      for (const key of child.foreignKeys) {
        if (key.table !== table.id) continue;
        const positions = key.references.map((name) => columns.findIndex((column) => same(column.name, name)));
        const old = positions.map((position) => before[position] ?? null);
        if (old.includes(null)) continue;
        const types = positions.map((position) => (columns[position] as Column).type);
        const unchanged = after && positions.every((position, index) => keyValue(after[position] ?? null) === keyValue(old[index] ?? null));
        if (unchanged || this.#exists(table, key.references, old, types)) continue;
        this.#applyAction(child, key, old, types, after && positions.map((position) => after[position] ?? null));
      }
    }
  }

  #exists(table: Table, names: readonly string[], values: readonly SqlValue[], types: readonly SqlType[]): boolean {
    return this.#rowsWith(table, names, values, types, 1).length > 0;
  }

  #rowsWith(table: Table, names: readonly string[], values: readonly SqlValue[], types: readonly SqlType[], limit = -1): StoredRow[] {
    const translator = new Translator(this.environment);
    const source = translator.bind(table, table.name, false);
    const equal = names.map((name, index) => {
      const column = source.columns.find((candidate) => same(candidate.name, name));
      if (!column) throw sqlError(207, name);
      return comparable(column, translator.parameter(values[index] ?? null, types[index] ?? column.type)).join(" = ");
    });
    const stored = storedColumns(table).map(({ name }, index) => `${source.alias}.${quoted(name)} AS c${index + 1}`);
    const sql = `SELECT ${[`${source.alias}._rowid_ AS c0`, ...stored].join(", ")} FROM ${physical(table)} AS ${source.alias} WHERE ${equal.join(" AND ")} LIMIT ${limit}`;
    return this.#query(sql, translator.parameters).map(([rowid, ...rest]) => ({ rowid: Number(rowid), values: rest }));
  }

  #applyAction(
    child: Table,
    key: ForeignKey,
    old: readonly SqlValue[],
    types: readonly SqlType[],
    updated: readonly SqlValue[] | undefined,
  ): void {
    const rows = this.#rowsWith(child, key.columns, old, types);
    if (rows.length === 0) return;
    const action = updated ? key.onUpdate : key.onDelete;
    if (action === "NO ACTION") {
      const [column] = key.columns.length === 1 ? key.columns : [];
      throw this.#conflict(key.table === child.id ? "SAME TABLE REFERENCE" : "REFERENCE", key.name, child, column);
    }
    if (action === "CASCADE" && !updated) {
      this.delete(child, rows);
      return;
    }
    const columns = storedColumns(child);
    const changed = rows.map(({ rowid, values }): ChangedRow => {
      const next = [...values];
      key.columns.forEach((name, index) => {
        const position = columns.findIndex((column) => same(column.name, name));
        const column = columns[position] as Column;
        const value = action === "CASCADE" ? (updated?.[index] ?? null) : action === "SET DEFAULT" ? this.#defaultOf(column) : null;
        next[position] = this.fitting(child, column, value, column.type);
      });
      return { rowid, values: next, before: values };
    });
    this.update(child, changed);
  }

  #defaultOf(column: Column): SqlValue {
    if (!column.default) return null;
    const translator = new Translator(this.environment);
    const { sql } = coerce(translator.value(parseExpression(column.default.text)), column.type);
    return this.#query(`SELECT ${sql} AS c1`, translator.parameters)[0]?.[0] ?? null;
  }

  /** Which key a refused row doubles. */
  #duplicate(table: Table, values: readonly SqlValue[], rowid: number | undefined): SqlError {
    const columns = storedColumns(table);
    const names = columns.map(({ name }, index) => `?${index + 1} AS ${quoted(name)}`).join(", ");
    for (const index of table.indexes.filter(({ unique }) => unique)) {
      const translator = new Translator(this.environment);
      const [mine, others] = [indexKeys(table, index, translator, "mine"), indexKeys(table, index, translator, "others")];
      const equal = mine.map(({ key }, at) => `${key} = ${others[at]?.key}`);
      if (rowid !== undefined) equal.push(`others._rowid_ <> ${rowid}`);
      const shown = mine.map(({ value }, at) => `${value} AS c${at + 1}`).join(", ");
      const sql = `SELECT ${shown} FROM (SELECT ${names}) AS mine JOIN ${physical(table)} AS others ON ${equal.join(" AND ")} LIMIT 1`;
      const [row] = this.#query(sql, values);
      if (row)
        return duplicateError(
          table,
          index,
          mine.map(({ column }, at) => ({ column, value: row[at] ?? null })),
        );
    }
    return sqlError(2601, fullName(table), "?", "?");
  }
}

export function duplicateError(table: Table, index: Index, parts: readonly { column: Column; value: SqlValue }[]): SqlError {
  const shown = parts.map(({ column, value }) => display(value, column.type)).join(", ");
  if (index.kind === "index") return sqlError(2601, fullName(table), index.name, shown);
  return sqlError(2627, index.kind === "primary" ? "PRIMARY KEY" : "UNIQUE KEY", index.name, fullName(table), shown);
}

/** A value of a key, as messages show it. */
export function display(value: SqlValue, type: SqlType): string {
  if (value === null) return "<NULL>";
  if (value instanceof Uint8Array) return `0x${hex(value).toLowerCase()}`;
  return isString(type) ? String(value) : String(convert(value, type, nvarchar(4000)));
}

const keyValue = (value: SqlValue): string => (value instanceof Uint8Array ? `x${hex(value)}` : `${typeof value}${String(value)}`);
