import { sqlError, unsupported } from "../errors.js";
import { coerce, literal, unify } from "../translate/coerce.js";
import type { Environment } from "../translate/environment.js";
import type { Place } from "../translate/expression.js";
import { Translator } from "../translate/query.js";
import { type BoundSource, type Emitted, Scope } from "../translate/scope.js";
import type { Assignment, Expression, InsertRows, MergeClause, Name, Statement } from "../tsql/ast.js";
import { parseExpression } from "../tsql/parser.js";
import { type SqlValue, small } from "../types/convert.js";
import { BIGINT, NULL_TYPE, type SqlType } from "../types/sql-type.js";
import { type Column, findColumn, findTable, findView, fullName, objectName, physical, quoted, same, type Table } from "./catalog.js";
import type { Database } from "./database.js";
import { type Affected, outputRows, type Rowset } from "./output.js";
import { type ChangedRow, RowWriter, type StoredRow, storedColumns } from "./rows.js";

export interface Modified {
  count: number;
  output?: Rowset;
  /** What `SET @x = …` within an UPDATE gave, of the last row. */
  assigned: { variable: string; operator: string; value: SqlValue; type: SqlType }[];
}

/** What changing rows needs of the session. */
export interface Changing {
  database: Database;
  environment: Environment;
  /** Id of the table whose IDENTITY_INSERT is on. */
  identityInsert: number | undefined;
  /** For SCOPE_IDENTITY(). */
  noteIdentity(value: SqlValue): void;
  demand(translator: Translator): void;
}

type Of<K extends Statement["kind"]> = Extract<Statement, { kind: K }>;

/** A table that a statement changes. @throws SqlError 208 */
export function target(name: Name, environment: Environment): Table {
  const { database, defaultSchema, catalog } = environment;
  const written = name[name.length - 1] as string;
  if (written.startsWith("#")) throw unsupported(written, "temporary tables");
  const { schema, name: object } = objectName(name, database, defaultSchema);
  const table = findTable(catalog, schema, object) ?? (name.length === 1 ? findTable(catalog, "dbo", object) : undefined);
  if (table) return table;
  if (findView(catalog, schema, object)) throw unsupported(written, "changing rows through a view");
  throw sqlError(208, name.join("."));
}

function defaultOf(column: Column, translator: Translator): Emitted {
  return column.default ? translator.value(parseExpression(column.default.text)) : literal(null, NULL_TYPE);
}

/** Columns that an INSERT gives values to, in its order. */
function insertColumns(table: Table, names: readonly string[] | undefined, changing: Changing): Column[] {
  const explicit = changing.identityInsert === table.id;
  if (!names) {
    if (explicit) throw sqlError(8101, fullName(table));
    return storedColumns(table).filter(({ identity }) => !identity);
  }
  const columns = names.map((name) => {
    const column = findColumn(table, name);
    if (!column) throw sqlError(207, name);
    if (column.computed !== undefined) throw sqlError(271, column.name);
    return column;
  });
  columns.forEach((column, index) => {
    if (columns.indexOf(column) !== index) throw sqlError(264, column.name);
  });
  const identity = table.columns.find((column) => column.identity);
  if (identity && columns.includes(identity) && !explicit) throw sqlError(544, table.name);
  if (identity && !columns.includes(identity) && explicit) throw sqlError(545, table.name);
  return columns;
}

interface Incoming {
  values: SqlValue[];
  types: SqlType[];
}

/** Rows as their query or their list of values gives them, filled up with defaults: one entry for each column of `all`. */
function incoming(
  source: InsertRows,
  given: readonly Column[],
  all: readonly Column[],
  prefix: string,
  translator: Translator,
  changing: Changing,
  top?: Expression,
): Incoming[] {
  const rest = all.filter((column) => !given.includes(column) && !column.identity);
  const defaults = rest.map((column) => defaultOf(column, translator));
  const arranged = (row: readonly SqlValue[], types: readonly SqlType[]): Incoming => {
    const at = (column: Column): number => (given.includes(column) ? given.indexOf(column) : given.length + rest.indexOf(column));
    return {
      values: all.map((column) => (column.identity && !given.includes(column) ? null : (row[at(column)] ?? null))),
      types: all.map((column) => (column.identity && !given.includes(column) ? BIGINT : (types[at(column)] ?? NULL_TYPE))),
    };
  };
  const defaultTypes = defaults.map(({ type }) => type);
  const run = (sql: string): SqlValue[][] => changing.database.store.all(sql, translator.parameters, "writer", changing.environment);
  const limit = top ? ` LIMIT ${coerce(translator.value(top), BIGINT).sql}` : "";
  const defaultList = defaults.map(({ sql }, index) => `, (${sql}) AS d${index + 1}`).join("");
  if (source.query) {
    const { sql, columns } = translator.query(source.query, undefined, true);
    if (columns.length !== given.length) throw sqlError(source.columns ? (columns.length < given.length ? 120 : 121) : 213);
    changing.demand(translator);
    const list = columns.map((_, index) => `q.c${index + 1}`).join(", ");
    return run(`${prefix}SELECT ${list}${defaultList} FROM (${sql}) AS q${limit}`).map((row) =>
      arranged(row, [...columns.map(({ type }) => type), ...defaultTypes]),
    );
  }
  const rows = source.rows ?? [given.map(() => undefined)];
  const cells = rows.map((row) => {
    if (row.length !== given.length) throw sqlError(source.columns ? (row.length < given.length ? 109 : 110) : 213);
    return row.map((expression, index) => (expression ? translator.value(expression) : defaultOf(given[index] as Column, translator)));
  });
  changing.demand(translator);
  const types = given.map((_, index) =>
    cells.length === 1 ? ((cells[0] as Emitted[])[index] as Emitted).type : unify(cells.map((row) => row[index] as Emitted)),
  );
  return cells.flatMap((row): Incoming[] => {
    const values = [...(cells.length === 1 ? row : row.map((cell, index) => coerce(cell, types[index] as SqlType))), ...defaults];
    const known = values.map(({ constant }) => constant);
    const ready = known.every((value): value is SqlValue => value !== undefined);
    const computed =
      ready && !limit ? [known] : run(`SELECT ${values.map(({ sql }, index) => `${sql} AS c${index + 1}`).join(", ")}${limit}`);
    return computed.map((each) => arranged(each, [...types, ...defaultTypes]));
  });
}

export function insert(statement: Of<"insert">, changing: Changing): Modified {
  const { environment, database } = changing;
  const translator = new Translator(environment);
  const prefix = translator.commonTables(statement.with);
  const table = target(statement.table, environment);
  translator.requires("INSERT", table);
  const given = insertColumns(table, statement.source.columns, changing);
  const useless = !statement.source.rows && !statement.source.query;
  const columns = storedColumns(table);
  const rows = incoming(statement.source, useless ? [] : given, columns, prefix, translator, changing, statement.top);
  const writer = new RowWriter(database, environment, "INSERT");
  const affected: Affected[] = rows.map((row) => ({ inserted: insertRow(table, row, given, writer, changing) }));
  writer.finish();
  return finished(statement.output, table, affected, changing);
}

/** Writes one row, with the identity that it gets. */
function insertRow(table: Table, { values, types }: Incoming, given: readonly Column[], writer: RowWriter, changing: Changing): SqlValue[] {
  const row = storedColumns(table).map((column, index): SqlValue => {
    if (!column.identity) return writer.fitting(table, column, values[index] ?? null, types[index] ?? NULL_TYPE);
    if (given.includes(column)) {
      const explicit = writer.fitting(table, column, values[index] ?? null, types[index] ?? NULL_TYPE);
      changing.database.noteIdentity(table, BigInt(explicit as number | bigint));
      changing.noteIdentity(explicit);
      return explicit;
    }
    const next = small(changing.database.nextIdentity(table));
    const fitting = writer.fitting(table, column, next, BIGINT);
    changing.noteIdentity(fitting);
    return fitting;
  });
  writer.insert(table, row);
  return row;
}

function finished(
  output: Of<"insert">["output"],
  table: Table,
  affected: readonly Affected[],
  changing: Changing,
  assigned: Modified["assigned"] = [],
): Modified {
  if (!output) return { count: affected.length, assigned };
  return { count: affected.length, assigned, output: outputRows(output, table, affected, changing.database, changing.environment) };
}

/** Binds what an UPDATE or DELETE changes: a table, or an alias of its FROM clause. */
function bindTarget(
  name: Name,
  from: Of<"update">["from"],
  scope: Scope,
  translator: Translator,
  environment: Environment,
): { source: BoundSource; sql: string } {
  if (!from) {
    const table = target(name, environment);
    const source = translator.bind(table, table.name, true);
    scope.add(source);
    return { source, sql: `${physical(table)} AS ${source.alias}` };
  }
  const sql = translator.from(from, scope);
  const source =
    scope.find(name) ??
    (name.length > 1 ? scope.sources.find(({ table }) => table && same(table.name, name[name.length - 1] as string)) : undefined);
  if (source) {
    if (!source.table) throw unsupported(name.join("."), "changing rows through a derived table");
    return { source, sql };
  }
  const table = target(name, environment);
  const found = scope.sources.filter((candidate) => candidate.table?.id === table.id);
  if (found[0] && found.length === 1) return { source: found[0], sql };
  const own = translator.bind(table, table.name, true);
  scope.add(own);
  return { source: own, sql: `${physical(table)} AS ${own.alias}, ${sql}` };
}

const storedList = (table: Table, alias: string): string[] =>
  storedColumns(table).map(({ name }, index) => `${alias}.${quoted(name)} AS c${index + 1}`);

interface SetList {
  columns: { column: Column; emitted: Emitted }[];
  variables: { variable: string; operator: string; emitted: Emitted }[];
}

/** The SET clause: what goes into which column, and into which variable. */
function setList(assignments: readonly Assignment[], source: BoundSource, place: Place, translator: Translator): SetList {
  const table = source.table as Table;
  const list: SetList = { columns: [], variables: [] };
  for (const { column: name, variable, operator, expression } of assignments) {
    const before = translator.requirements.length;
    const column = name && findColumn(table, name[name.length - 1] as string);
    if (name && !column) throw sqlError(207, name[name.length - 1]);
    if (column?.identity) throw sqlError(8102, column.name);
    if (column?.computed !== undefined) throw sqlError(271, column.name);
    if (column && list.columns.some((entry) => entry.column === column)) throw sqlError(264, column.name);
    let emitted = expression ? translator.expression(expression, place) : column ? defaultOf(column, translator) : literal(null, NULL_TYPE);
    if (column && operator !== "=") {
      const old = source.columns.find((candidate) => candidate.name === column.name) as Emitted;
      translator.requires("SELECT", table);
      emitted = translator.arithmetic(operator[0] as "+", old, emitted);
    }
    if (column) list.columns.push({ column, emitted });
    if (variable !== undefined) list.variables.push({ variable, operator: column ? "=" : operator, emitted });
    if (!expression) translator.requirements.length = before;
  }
  return list;
}

/** A row of `SELECT rowid, stored columns, expressions …` */
interface Selected {
  rowid: number;
  before: SqlValue[];
  extra: SqlValue[];
}

function select(sql: string, table: Table, translator: Translator, changing: Changing): Selected[] {
  changing.demand(translator);
  const width = storedColumns(table).length;
  const seen = new Set<number>();
  return changing.database.store
    .all(sql, translator.parameters, "writer", changing.environment)
    .map(([rowid, ...rest]) => ({ rowid: Number(rowid), before: rest.slice(0, width), extra: rest.slice(width) }))
    .filter(({ rowid }) => !seen.has(rowid) && seen.add(rowid));
}

function changedRow({ rowid, before, extra }: Selected, set: SetList["columns"], table: Table, writer: RowWriter, from = 0): ChangedRow {
  const values = [...before];
  const columns = storedColumns(table);
  set.forEach(({ column, emitted }, index) => {
    values[columns.indexOf(column)] = writer.fitting(table, column, extra[from + index] ?? null, emitted.type);
  });
  return { rowid, before, values };
}

export function update(statement: Of<"update">, changing: Changing): Modified {
  const { environment, database } = changing;
  const translator = new Translator(environment);
  const prefix = translator.commonTables(statement.with);
  const scope = new Scope();
  const { source, sql } = bindTarget(statement.table, statement.from, scope, translator, environment);
  const table = source.table as Table;
  translator.requires("UPDATE", table);
  const place: Place = { scope, clause: "where" };
  const set = setList(statement.set, source, place, translator);
  const where = statement.where ? ` WHERE ${translator.condition(statement.where, place)}` : "";
  const limit = statement.top ? ` LIMIT ${coerce(translator.value(statement.top), BIGINT).sql}` : "";
  const extra = [...set.columns, ...set.variables].map(({ emitted }, index) => `${emitted.sql} AS e${index + 1}`);
  const list = [`${source.alias}._rowid_ AS c0`, ...storedList(table, source.alias), ...extra].join(", ");
  const rows = select(`${prefix}SELECT ${list} FROM ${sql}${where}${limit}`, table, translator, changing);
  const writer = new RowWriter(database, environment, "UPDATE");
  const changed = rows.map((row) => changedRow(row, set.columns, table, writer));
  writer.update(table, changed);
  writer.finish();
  const last = rows[rows.length - 1];
  const assigned = last
    ? set.variables.map(({ variable, operator, emitted }, index) => ({
        variable,
        operator,
        value: last.extra[set.columns.length + index] ?? null,
        type: emitted.type,
      }))
    : [];
  return finished(
    statement.output,
    table,
    changed.map(({ values, before }) => ({ inserted: values, deleted: before })),
    changing,
    assigned,
  );
}

export function remove(statement: Of<"delete">, changing: Changing): Modified {
  const { environment, database } = changing;
  const translator = new Translator(environment);
  const prefix = translator.commonTables(statement.with);
  const scope = new Scope();
  const { source, sql } = bindTarget(statement.table, statement.from, scope, translator, environment);
  const table = source.table as Table;
  translator.requires("DELETE", table);
  const where = statement.where ? ` WHERE ${translator.condition(statement.where, { scope, clause: "where" })}` : "";
  const limit = statement.top ? ` LIMIT ${coerce(translator.value(statement.top), BIGINT).sql}` : "";
  const list = [`${source.alias}._rowid_ AS c0`, ...storedList(table, source.alias)].join(", ");
  const rows = select(`${prefix}SELECT ${list} FROM ${sql}${where}${limit}`, table, translator, changing);
  const writer = new RowWriter(database, environment, "DELETE");
  writer.delete(
    table,
    rows.map(({ rowid, before }): StoredRow => ({ rowid, values: before })),
  );
  writer.finish();
  return finished(
    statement.output,
    table,
    rows.map(({ before }) => ({ deleted: before })),
    changing,
  );
}

type MergeAction = "INSERT" | "UPDATE" | "DELETE";

/** Everything is read before anything is written, as the statement sees one state of its tables. */
export function merge(statement: Of<"merge">, changing: Changing): Modified {
  const { environment, database } = changing;
  const table = target(statement.table, environment);
  const writer = new RowWriter(database, environment, "MERGE");
  const updates: { row: ChangedRow }[] = [];
  const deletes: StoredRow[] = [];
  const inserts: { row: Incoming; given: Column[] }[] = [];
  const affected: (Affected & { action: MergeAction })[] = [];

  /** Target and source side by side, joined as `kind` says; `from` lets the caller put its list in front. */
  const joined = (
    kind: "matched" | "target" | "source",
  ): { translator: Translator; place: Place; source: BoundSource; prefix: string; from: string } => {
    const translator = new Translator(environment);
    const prefix = translator.commonTables(statement.with);
    const scope = new Scope();
    const using = translator.from(statement.source, scope);
    const source = translator.bind(table, statement.alias ?? table.name, statement.alias === undefined);
    scope.add(source);
    const place: Place = { scope, clause: "on" };
    const on = translator.condition(statement.on, place);
    const own = `${physical(table)} AS ${source.alias}`;
    const from =
      kind === "matched"
        ? `${own} JOIN ${using} ON ${on}`
        : kind === "target"
          ? `${using} WHERE NOT EXISTS (SELECT 1 FROM ${own} WHERE ${on})`
          : `${own} WHERE NOT EXISTS (SELECT 1 FROM ${using} WHERE ${on})`;
    translator.requires("SELECT", table);
    return { translator, place, source, prefix, from };
  };

  /** For rows that are there: the first clause whose condition holds. */
  const existing = (kind: "matched" | "source"): void => {
    const clauses = statement.clauses.filter(({ matched }) => matched === kind);
    if (clauses.length === 0) return;
    const { translator, place, source, prefix, from } = joined(kind);
    const choices = clauses.map((clause) => {
      translator.requires(clause.action.kind === "update" ? "UPDATE" : "DELETE", table);
      const set = clause.action.kind === "update" ? setList(clause.action.set, source, place, translator) : { columns: [], variables: [] };
      if (set.variables.length > 0) throw unsupported("SET", "variables in the SET of MERGE");
      return { clause, set: set.columns, condition: clause.condition ? translator.condition(clause.condition, place) : "1" };
    });
    changing.demand(translator);
    const which = `CASE ${choices.map(({ condition }, index) => `WHEN ${condition} THEN ${index}`).join(" ")} END AS w`;
    // What a clause sets is computed only where that clause is the one.
    const extra = choices
      .flatMap(({ set, condition }) => set.map(({ emitted }) => `CASE WHEN ${condition} THEN ${emitted.sql} END`))
      .map((sql, index) => `${sql} AS e${index + 1}`);
    const list = [`${source.alias}._rowid_ AS c0`, ...storedList(table, source.alias), which, ...extra].join(", ");
    const width = storedColumns(table).length;
    const seen = new Set<number>();
    for (const [rowid, ...rest] of database.store.all(
      `${prefix}SELECT ${list} FROM ${from}`,
      translator.parameters,
      "writer",
      environment,
    )) {
      const choice = rest[width];
      if (choice === null || choice === undefined) continue;
      if (seen.has(Number(rowid))) throw sqlError(8672);
      seen.add(Number(rowid));
      const before = rest.slice(0, width);
      const { clause, set } = choices[Number(choice)] as (typeof choices)[number];
      if (clause.action.kind === "delete") {
        deletes.push({ rowid: Number(rowid), values: before });
        affected.push({ deleted: before, action: "DELETE" });
        continue;
      }
      const skipped = choices.slice(0, Number(choice)).reduce((sum, each) => sum + each.set.length, 0);
      const row = changedRow({ rowid: Number(rowid), before, extra: rest.slice(width + 1) }, set, table, writer, skipped);
      updates.push({ row });
      affected.push({ inserted: row.values, deleted: before, action: "UPDATE" });
    }
  };

  existing("matched");
  existing("source");
  mergeInserts(statement.clauses, table, joined, inserts, changing);

  if (deletes.length > 0) writer.delete(table, deletes);
  if (updates.length > 0)
    writer.update(
      table,
      updates.map(({ row }) => row),
    );
  for (const { row, given } of inserts) affected.push({ inserted: insertRow(table, row, given, writer, changing), action: "INSERT" });
  writer.finish();
  return finished(statement.output, table, affected, changing);
}

function mergeInserts(
  clauses: readonly MergeClause[],
  table: Table,
  joined: (kind: "target") => { translator: Translator; place: Place; prefix: string; from: string },
  inserts: { row: Incoming; given: Column[] }[],
  changing: Changing,
): void {
  const [clause, another] = clauses.filter(({ matched }) => matched === "target");
  if (clause?.action.kind !== "insert") return;
  if (another) throw sqlError(10711);
  const { translator, place, prefix, from } = joined("target");
  translator.requires("INSERT", table);
  const { columns: names, values } = clause.action;
  const given = values ? insertColumns(table, names, changing) : [];
  if (values && values.length !== given.length) throw sqlError(values.length < given.length ? 109 : 110);
  const cells = (values ?? []).map((expression, index) =>
    expression ? translator.expression(expression, place) : defaultOf(given[index] as Column, translator),
  );
  const condition = clause.condition ? ` AND ${translator.condition(clause.condition, place)}` : "";
  const all = storedColumns(table);
  const filled = all.map((column): Emitted => {
    const index = given.indexOf(column);
    return index >= 0 ? (cells[index] as Emitted) : column.identity ? literal(null, BIGINT) : defaultOf(column, translator);
  });
  changing.demand(translator);
  const list = filled.map(({ sql }, index) => `${sql} AS c${index + 1}`).join(", ");
  const rows = changing.database.store.all(
    `${prefix}SELECT ${list} FROM ${from}${condition}`,
    translator.parameters,
    "writer",
    changing.environment,
  );
  for (const row of rows) inserts.push({ row: { values: row, types: filled.map(({ type }) => type) }, given });
}

export function truncate(name: Name, changing: Changing): void {
  const { environment, database } = changing;
  const table = target(name, environment);
  const referencing = environment.catalog.tables.some(
    ({ id, foreignKeys }) => id !== table.id && foreignKeys.some((key) => key.table === table.id),
  );
  if (!environment.permits("ALTER", table)) throw sqlError(1088, table.name);
  if (referencing) throw sqlError(4712, fullName(table));
  database.store.run(`DELETE FROM ${physical(table)}`);
  database.resetIdentity(table);
}
