import { sqlError, unsupported } from "../errors.js";
import { cast } from "../translate/coerce.js";
import type { Environment } from "../translate/environment.js";
import { objects } from "../translate/metadata.js";
import { Translator } from "../translate/query.js";
import { Scope } from "../translate/scope.js";
import type { ColumnDefinition, Name, Statement, TableConstraint } from "../tsql/ast.js";
import { parseCondition, parseExpression, parseQuery } from "../tsql/parser.js";
import { familyOf, type SqlType } from "../types/sql-type.js";
import {
  type Catalog,
  type Column,
  findColumn,
  findTable,
  findView,
  fullName,
  type Index,
  objectName,
  physical,
  physicalIndex,
  quoted,
  same,
  type Table,
} from "./catalog.js";
import type { Database } from "./database.js";
import { display, indexKeys, RowWriter, storedColumns } from "./rows.js";
import { isDuplicate } from "./store.js";

type Of<K extends Statement["kind"]> = Extract<Statement, { kind: K }>;

/** Changes of tables, indexes and views within the open transaction. */
export class Definitions {
  constructor(
    private readonly database: Database,
    private readonly environment: Environment,
    private readonly now: string,
  ) {}

  get #catalog(): Catalog {
    return this.database.catalog(true);
  }

  createTable({ name, columns, constraints }: Of<"create table">): void {
    const { schema, name: own } = this.#newObject(name, "CREATE TABLE");
    if (own.startsWith("#")) throw unsupported(own, "temporary tables");
    this.database.define((catalog) => {
      const id = catalog.nextId++;
      const table: Table = {
        id,
        schema,
        name: own,
        created: this.now,
        modified: this.now,
        nextColumn: 1,
        columns: [],
        indexes: [],
        checks: [],
        foreignKeys: [],
      };
      for (const definition of columns) this.#addColumn(catalog, table, definition);
      if (table.columns.length === 0) throw sqlError(102, ")");
      const list = storedColumns(table).map((column) => quoted(column.name));
      this.database.store.exec(`CREATE TABLE ${physical(table)} (${list.join(", ")})`);
      catalog.tables.push(table);
      const all = [
        ...columns.flatMap((column) => column.constraints.map((constraint) => ({ constraint, column: column.name }))),
        ...constraints.map((constraint) => ({ constraint, column: undefined })),
      ];
      // Keys before what refers to them.
      const ordered = [
        ...all.filter(({ constraint }) => constraint.kind === "key"),
        ...all.filter(({ constraint }) => constraint.kind !== "key"),
      ];
      for (const { constraint, column } of ordered) this.#addConstraint(catalog, table, constraint, column);
    });
    this.#verifyTexts(name);
  }

  /** Expressions that are kept as text must make sense now. */
  #verifyTexts(name: Name): void {
    const { schema, name: own } = objectName(name, this.environment.database, this.environment.defaultSchema);
    const table = findTable(this.#catalog, schema, own) as Table;
    const translator = new Translator(this.#environmentNow());
    const scope = new Scope();
    scope.add(translator.bind(table, table.name, true));
    for (const { text } of table.checks) translator.condition(parseCondition(text), { scope, clause: "where" });
    for (const column of table.columns) if (column.default) translator.value(parseExpression(column.default.text));
  }

  /** The session's view of the catalog as it stands within the statement. */
  #environmentNow(): Environment {
    const catalog = this.#catalog;
    return Object.create(this.environment, { catalog: { value: catalog } }) as Environment;
  }

  #newObject(name: Name, permission: string): { schema: string; name: string } {
    const { database, defaultSchema, catalog } = this.environment;
    const target = objectName(name, database, defaultSchema);
    const schema = catalog.schemas.find((candidate) => same(candidate.name, target.schema));
    if (!this.environment.permits(permission, undefined)) throw sqlError(262, permission, database);
    if (!schema || schema.name === "sys" || schema.name === "INFORMATION_SCHEMA") throw sqlError(2760, target.schema);
    if (!this.environment.permits("ALTER", { id: 0, schema: schema.name, name: "" })) throw sqlError(2760, target.schema);
    if (objects(this.#catalog).some((object) => same(object.schema, schema.name) && same(object.name, target.name)))
      throw sqlError(2714, target.name);
    return { schema: schema.name, name: target.name };
  }

  #addColumn(catalog: Catalog, table: Table, definition: ColumnDefinition): Column {
    const { name, identity } = definition;
    if (findColumn(table, name)) throw sqlError(2705, name, table.name);
    const id = table.nextColumn++;
    if (definition.computed) {
      const probe = new Translator(this.#environmentNow());
      const scope = new Scope();
      scope.add(probe.bind({ ...table, columns: table.columns.filter(({ computed }) => !computed) }, table.name, true));
      const { type } = probe.expression(parseExpression(definition.computed.text), { scope, clause: "where" });
      const column: Column = { id, name, type, nullable: true, computed: definition.computed.text };
      table.columns.push(column);
      return column;
    }
    const type = definition.type as SqlType;
    const primary = definition.constraints.some((constraint) => constraint.kind === "key" && constraint.primary);
    const nullable = definition.nullable ?? !(identity || primary);
    if (identity) {
      if (table.columns.some((column) => column.identity)) throw sqlError(2744, table.name);
      if (familyOf(type) !== "integer" || type.name === "bit") {
        if (!(type.name === "decimal" && (type.scale ?? 0) === 0)) throw sqlError(2749, name);
      }
      if (definition.nullable) throw sqlError(8147, name, table.name);
    }
    const column: Column = { id, name, type, nullable, ...(identity ? { identity } : {}) };
    if (definition.default) this.#setDefault(catalog, table, column, definition.default.name, definition.default.text);
    table.columns.push(column);
    return column;
  }

  #setDefault(catalog: Catalog, table: Table, column: Column, name: string | undefined, text: string): void {
    if (column.default) throw sqlError(1781);
    if (column.identity) throw sqlError(1754, column.name, table.name);
    const own = this.#constraintName(catalog, table, "DF", name, column.name);
    column.default = { id: catalog.nextId++, name: own, text, systemNamed: name === undefined };
  }

  #constraintName(catalog: Catalog, table: Table, prefix: string, name: string | undefined, part = ""): string {
    if (name !== undefined) {
      if (objects(catalog).some((object) => same(object.schema, table.schema) && same(object.name, name))) throw sqlError(2714, name);
      return name;
    }
    const hash = ((catalog.nextId * 2_654_435_761) % 4_294_967_296).toString(16).toUpperCase().padStart(8, "0");
    return `${prefix}__${table.name.slice(0, 9)}__${part ? `${part.slice(0, 5)}__` : ""}${hash}`;
  }

  #addConstraint(catalog: Catalog, table: Table, constraint: TableConstraint, column: string | undefined): void {
    switch (constraint.kind) {
      case "key": {
        if (constraint.primary) {
          if (table.indexes.some(({ kind }) => kind === "primary")) throw sqlError(1779, table.name);
          for (const { name } of constraint.columns) {
            const found = findColumn(table, name);
            if (!found) throw sqlError(1911, name);
            const fresh = found.nullable && table.created === this.now && table.modified === this.now;
            if (fresh) found.nullable = false;
            else if (found.nullable) throw sqlError(8111, table.name);
          }
        }
        const name = this.#constraintName(catalog, table, constraint.primary ? "PK" : "UQ", constraint.name);
        const clustered = constraint.clustered === true && !table.indexes.some((index) => index.clustered);
        this.#addIndex(catalog, table, {
          id: catalog.nextId++,
          name,
          kind: constraint.primary ? "primary" : "unique",
          unique: true,
          clustered,
          columns: constraint.columns,
          include: [],
          systemNamed: constraint.name === undefined,
        });
        return;
      }
      case "check": {
        const name = this.#constraintName(catalog, table, "CK", constraint.name, column);
        table.checks.push({ id: catalog.nextId++, name, text: constraint.text, ...(column ? { column } : {}) });
        return;
      }
      case "default": {
        const target = findColumn(table, constraint.column);
        if (!target) throw sqlError(1752, constraint.column, table.name);
        this.#setDefault(catalog, table, target, constraint.name, constraint.text);
        return;
      }
      case "foreign":
        this.#addForeignKey(catalog, table, constraint);
    }
  }

  #addForeignKey(catalog: Catalog, table: Table, constraint: Extract<TableConstraint, { kind: "foreign" }>): void {
    const name = this.#constraintName(catalog, table, "FK", constraint.name, constraint.columns[0]);
    const target = objectName(constraint.table, this.environment.database, table.schema);
    const parent = findTable(catalog, target.schema, target.name);
    if (!parent) throw sqlError(1767, name, constraint.table.join("."));
    const primary = parent.indexes.find(({ kind }) => kind === "primary");
    const references = constraint.references.length > 0 ? constraint.references : (primary?.columns.map((column) => column.name) ?? []);
    for (const column of constraint.columns) if (!findColumn(table, column)) throw sqlError(1769, name, column, table.name);
    for (const column of references) if (!findColumn(parent, column)) throw sqlError(1770, name, column, parent.name);
    const matches = (index: Index): boolean =>
      index.unique &&
      !index.filter &&
      index.columns.length === references.length &&
      references.every((column) => index.columns.some((key) => same(key.name, column)));
    if (references.length !== constraint.columns.length || !parent.indexes.some(matches)) throw sqlError(1776, fullName(parent), name);
    const { columns, onDelete, onUpdate } = constraint;
    table.foreignKeys.push({ id: catalog.nextId++, name, columns, table: parent.id, references, onDelete, onUpdate });
  }

  #addIndex(catalog: Catalog, table: Table, index: Index): void {
    if (table.indexes.some(({ name }) => same(name, index.name))) throw sqlError(1913, index.name, fullName(table));
    for (const name of [...index.columns.map((column) => column.name), ...index.include])
      if (!findColumn(table, name)) throw sqlError(1911, name);
    for (const { name } of index.columns) {
      const column = findColumn(table, name) as Column;
      if (column.type.length === "max") throw sqlError(1919, column.name, table.name);
    }
    const translator = new Translator(Object.create(this.environment, { catalog: { value: catalog } }) as Environment);
    const own = physical(table);
    // Within CREATE INDEX columns have no prefix.
    const bare = (sql: string): string => sql.replaceAll(`${own}.`, "");
    const keys = indexKeys(table, index, translator, own);
    const parts = keys.map(({ key }, at) => `${bare(key)}${index.columns[at]?.descending ? " DESC" : ""}`);
    let filter = "";
    if (index.filter) {
      const scope = new Scope();
      scope.add(translator.bind(table, table.name, true, own));
      filter = ` WHERE ${bare(translator.condition(parseCondition(index.filter), { scope, clause: "where" }))}`;
    }
    if (translator.parameters.length > 0) throw unsupported("INDEX", "this long a constant in an index");
    const create = `CREATE ${index.unique ? "UNIQUE " : ""}INDEX ${physicalIndex(index)} ON ${physical(table)} (${parts.join(", ")})${filter}`;
    try {
      this.database.store.exec(create);
    } catch (error) {
      throw isDuplicate(error) ? this.#existingDuplicate(table, index, filter) : error;
    }
    table.indexes.push(index);
  }

  /** Rows that are already there keep a unique index from being made. */
  #existingDuplicate(table: Table, index: Index, filter: string): Error {
    const own = physical(table);
    const keys = indexKeys(table, index, new Translator(this.#environmentNow()), own);
    const list = keys.map(({ value }, at) => `${value} AS c${at + 1}`).join(", ");
    const groups = keys.map(({ key }) => key).join(", ");
    const [row] = this.database.store.all(
      `SELECT ${list} FROM ${own}${filter} GROUP BY ${groups} HAVING count(*) > 1 LIMIT 1`,
      [],
      "writer",
      this.environment,
    );
    const shown = keys.map(({ column }, at) => display(row?.[at] ?? null, column.type)).join(", ");
    return sqlError(1505, fullName(table), index.name, `(${shown})`);
  }

  createIndex({ name, table: tableName, unique, clustered, columns, include, filter }: Of<"create index">): void {
    const table = this.#existingTable(tableName);
    this.database.define((catalog) => {
      const own = findTable(catalog, table.schema, table.name) as Table;
      this.#addIndex(catalog, own, {
        id: catalog.nextId++,
        name,
        kind: "index",
        unique,
        clustered: clustered && !own.indexes.some((index) => index.clustered),
        columns,
        include,
        ...(filter ? { filter } : {}),
      });
    });
  }

  dropIndex({ name, table: tableName, ifExists }: Of<"drop index">): void {
    const { database, defaultSchema } = this.environment;
    const target = objectName(tableName, database, defaultSchema);
    const found = findTable(this.#catalog, target.schema, target.name);
    const index = found?.indexes.find((candidate) => same(candidate.name, name) && candidate.kind === "index");
    if (!found || !index) {
      if (ifExists) return;
      throw sqlError(3701, "drop", "index", `${tableName.join(".")}.${name}`);
    }
    this.#existingTable(tableName);
    this.database.define((catalog) => {
      this.database.store.exec(`DROP INDEX ${physicalIndex(index)}`);
      const table = findTable(catalog, found.schema, found.name) as Table;
      table.indexes = table.indexes.filter(({ id }) => id !== index.id);
    });
  }

  /** A table that may be altered. @throws SqlError 1088, 4902 */
  #existingTable(name: Name, missing = 1088): Table {
    const { database, defaultSchema } = this.environment;
    const target = objectName(name, database, defaultSchema);
    const table = findTable(this.#catalog, target.schema, target.name);
    if (!table || !this.environment.permits("ALTER", table)) throw sqlError(missing, name.join("."));
    return table;
  }

  alterTable({ name, alteration }: Of<"alter table">): void {
    const { schema, name: own } = this.#existingTable(name, 4902);
    const change = (work: (catalog: Catalog, table: Table) => void): void =>
      this.database.define((catalog) => {
        const table = findTable(catalog, schema, own) as Table;
        work(catalog, table);
        table.modified = this.now;
      });
    switch (alteration.kind) {
      case "check":
        return;
      case "add": {
        const added: { checks: string[]; keys: string[] } = { checks: [], keys: [] };
        change((catalog, table) => {
          const [checks, keys] = [table.checks.length, table.foreignKeys.length];
          for (const definition of alteration.columns) this.#addColumnTo(catalog, table, definition);
          for (const definition of alteration.columns)
            for (const constraint of definition.constraints) this.#addConstraint(catalog, table, constraint, definition.name);
          for (const constraint of alteration.constraints) this.#addConstraint(catalog, table, constraint, undefined);
          added.checks = table.checks.slice(checks).map((check) => check.name);
          added.keys = table.foreignKeys.slice(keys).map((key) => key.name);
        });
        this.#verifyTexts(name);
        if (alteration.check && (added.checks.length > 0 || added.keys.length > 0)) this.#checkAll(schema, own, added);
        return;
      }
      case "alter column":
        change((_, table) => this.#alterColumn(table, alteration));
        return;
      case "drop":
        change((catalog, table) => {
          for (const { kind, name: item, ifExists } of alteration.items) {
            if (kind === "column") this.#dropColumn(table, item, ifExists);
            else this.#dropConstraint(catalog, table, item, ifExists);
          }
        });
    }
  }

  #checkAll(schema: string, name: string, { checks, keys }: { checks: string[]; keys: string[] }): void {
    const table = findTable(this.#catalog, schema, name) as Table;
    const writer = new RowWriter(this.database, this.#environmentNow(), "INSERT");
    try {
      writer.check(table, undefined, { checks, foreignKeys: table.foreignKeys.filter((key) => keys.includes(key.name)) });
    } catch (error) {
      // ALTER TABLE is the statement that conflicted.
      throw error instanceof Error
        ? Object.assign(error, { message: error.message.replace("The INSERT statement", "The ALTER TABLE statement") })
        : error;
    }
  }

  #addColumnTo(catalog: Catalog, table: Table, definition: ColumnDefinition): void {
    const filled = this.database.rowCount(table, true, this.environment) > 0;
    const column = this.#addColumn(catalog, table, definition);
    if (column.computed !== undefined) return;
    if (filled && !column.nullable && !column.default && !column.identity) throw sqlError(4901, column.name, table.name);
    this.database.store.exec(`ALTER TABLE ${physical(table)} ADD COLUMN ${quoted(column.name)}`);
    if (!filled) return;
    if (column.identity) {
      for (const [rowid] of this.database.store.all(`SELECT _rowid_ AS c1 FROM ${physical(table)} ORDER BY 1`, [], "writer")) {
        this.database.store.run(`UPDATE ${physical(table)} SET ${quoted(column.name)} = ?1 WHERE _rowid_ = ?2`, [
          Number(this.database.nextIdentity(table)),
          rowid ?? null,
        ]);
      }
    } else if (column.default && (!column.nullable || definition.withValues)) {
      const translator = new Translator(this.#environmentNow());
      const value = cast(translator.value(parseExpression(column.default.text)), column.type);
      const sql = `UPDATE ${physical(table)} SET ${quoted(column.name)} = ${value.sql}`;
      this.database.store.all(sql, translator.parameters, "writer", this.environment);
    }
  }

  #dependents(table: Table, column: Column): [kind: string, name: string][] {
    const mentionsColumn = (text: string): boolean =>
      new RegExp(`(^|[^\\p{L}\\p{N}_@#$])${column.name.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")}($|[^\\p{L}\\p{N}_@#$])`, "iu").test(text);
    return [
      ...table.indexes
        .filter(
          ({ columns, include }) => columns.some(({ name }) => same(name, column.name)) || include.some((name) => same(name, column.name)),
        )
        .map(({ kind, name }): [string, string] => [kind === "index" ? "index" : "object", name]),
      ...table.checks.filter(({ text }) => mentionsColumn(text)).map(({ name }): [string, string] => ["object", name]),
      ...table.foreignKeys
        .filter(({ columns }) => columns.some((name) => same(name, column.name)))
        .map(({ name }): [string, string] => ["object", name]),
      ...table.columns
        .filter(({ computed }) => computed !== undefined && mentionsColumn(computed))
        .map(({ name }): [string, string] => ["column", name]),
    ];
  }

  #dropColumn(table: Table, name: string, ifExists: boolean): void {
    const column = findColumn(table, name);
    if (!column) {
      if (ifExists) return;
      throw sqlError(4924, "ALTER TABLE DROP COLUMN", name, table.name);
    }
    const [dependent] = this.#dependents(table, column);
    if (dependent) throw sqlError(5074, dependent[0], dependent[1], column.name);
    if (column.default) throw sqlError(5074, "object", column.default.name, column.name);
    table.columns = table.columns.filter((candidate) => candidate !== column);
    if (column.computed === undefined) this.database.store.exec(`ALTER TABLE ${physical(table)} DROP COLUMN ${quoted(column.name)}`);
  }

  #alterColumn(table: Table, { name, type, nullable }: { name: string; type: SqlType; nullable?: boolean }): void {
    const column = findColumn(table, name);
    if (!column) throw sqlError(4924, "ALTER TABLE ALTER COLUMN", name, table.name);
    if (column.computed !== undefined) throw sqlError(4928, column.name, "COMPUTED");
    const widened =
      column.type.name === type.name &&
      (type.length === "max" || (column.type.length !== "max" && Number(column.type.length ?? 0) <= Number(type.length ?? 0)));
    const [dependent] = widened ? [] : this.#dependents(table, column);
    if (dependent) throw sqlError(5074, dependent[0], dependent[1], column.name);
    const before = column.type;
    const collation = before.collation && !type.collation && type.name === before.name ? { collation: before.collation } : {};
    column.type = { ...type, ...collation };
    column.nullable = nullable ?? true;
    const writer = new RowWriter(this.database, this.environment, "UPDATE");
    for (const [rowid, value] of this.database.store.all(
      `SELECT _rowid_ AS c1, ${quoted(column.name)} AS c2 FROM ${physical(table)}`,
      [],
      "writer",
    )) {
      const next = writer.fitting(table, column, value ?? null, before);
      this.database.store.run(`UPDATE ${physical(table)} SET ${quoted(column.name)} = ?1 WHERE _rowid_ = ?2`, [next, rowid ?? null]);
    }
  }

  #dropConstraint(catalog: Catalog, table: Table, name: string, ifExists: boolean): void {
    const index = table.indexes.find((candidate) => candidate.kind !== "index" && same(candidate.name, name));
    if (index) {
      const columns = index.columns.map((column) => column.name);
      const user = catalog.tables.find(({ foreignKeys }) =>
        foreignKeys.some((key) => key.table === table.id && key.references.every((column) => columns.some((own) => same(own, column)))),
      );
      if (user) throw sqlError(3725, index.name, user.name);
      this.database.store.exec(`DROP INDEX ${physicalIndex(index)}`);
      table.indexes = table.indexes.filter((candidate) => candidate !== index);
      return;
    }
    const count = table.checks.length + table.foreignKeys.length;
    table.checks = table.checks.filter((check) => !same(check.name, name));
    table.foreignKeys = table.foreignKeys.filter((key) => !same(key.name, name));
    const column = table.columns.find((candidate) => candidate.default && same(candidate.default.name, name));
    if (column) delete column.default;
    else if (table.checks.length + table.foreignKeys.length === count && !ifExists) throw sqlError(3728, name);
  }

  dropTable(name: Name, ifExists: boolean): void {
    const { database, defaultSchema } = this.environment;
    const target = objectName(name, database, defaultSchema);
    const table = findTable(this.#catalog, target.schema, target.name);
    if (!table || !this.environment.permits("ALTER", table)) {
      if (!table && ifExists) return;
      throw sqlError(3701, "drop", "table", name.join("."));
    }
    if (this.#catalog.tables.some(({ id, foreignKeys }) => id !== table.id && foreignKeys.some((key) => key.table === table.id))) {
      throw sqlError(3726, name.join("."));
    }
    this.database.define((catalog) => {
      this.database.store.exec(`DROP TABLE ${physical(table)}`);
      catalog.tables = catalog.tables.filter(({ id }) => id !== table.id);
      catalog.permissions = catalog.permissions.filter(({ on }) => on.kind !== "OBJECT" || on.id !== table.id);
      this.database.resetIdentity(table);
    });
  }

  createView({ name, columns, text, replace }: Of<"create view">): void {
    const { database, defaultSchema } = this.environment;
    const target = objectName(name, database, defaultSchema);
    const before = findView(this.#catalog, target.schema, target.name);
    if (replace === "alter" && !before) throw sqlError(208, name.join("."));
    const { schema, name: own } = before && replace !== "create" ? before : this.#newObject(name, "CREATE VIEW");
    new Translator(this.#environmentNow()).query(parseQuery(text));
    this.database.define((catalog) => {
      catalog.views = catalog.views.filter(({ id }) => id !== before?.id);
      catalog.views.push({
        id: before?.id ?? catalog.nextId++,
        schema,
        name: own,
        text,
        created: before?.created ?? this.now,
        ...(columns ? { columns } : {}),
      });
    });
  }

  dropView(name: Name, ifExists: boolean): void {
    const { database, defaultSchema } = this.environment;
    const target = objectName(name, database, defaultSchema);
    const view = findView(this.#catalog, target.schema, target.name);
    if (!view || !this.environment.permits("ALTER", view)) {
      if (!view && ifExists) return;
      throw sqlError(3701, "drop", "view", name.join("."));
    }
    this.database.define((catalog) => {
      catalog.views = catalog.views.filter(({ id }) => id !== view.id);
    });
  }

  /** sp_rename of a table, a column (`table.column`) or an index. */
  rename(written: readonly string[], to: string, kind: string): void {
    const { database, defaultSchema } = this.environment;
    if (/^(column|index)$/i.test(kind)) {
      const part = written[written.length - 1] as string;
      const table = this.#existingTable(written.slice(0, -1), 15248);
      this.database.define((catalog) => {
        const own = findTable(catalog, table.schema, table.name) as Table;
        if (/^index$/i.test(kind)) {
          const index = own.indexes.find((candidate) => same(candidate.name, part));
          if (!index) throw sqlError(15225, written.join("."), database);
          index.name = to;
          return;
        }
        const column = findColumn(own, part);
        if (!column) throw sqlError(15225, written.join("."), database);
        if (findColumn(own, to)) throw sqlError(15335, to, "COLUMN");
        if (this.#dependents(own, column).some(([dependent]) => dependent !== "index"))
          throw unsupported("sp_rename", "renaming a column that a constraint or computed column uses");
        this.database.store.exec(`ALTER TABLE ${physical(own)} RENAME COLUMN ${quoted(column.name)} TO ${quoted(to)}`);
        for (const index of own.indexes) {
          for (const entry of index.columns) if (same(entry.name, column.name)) entry.name = to;
          index.include = index.include.map((name) => (same(name, column.name) ? to : name));
        }
        column.name = to;
      });
      return;
    }
    const target = objectName(written, database, defaultSchema);
    if (objects(this.#catalog).some((object) => same(object.schema, target.schema) && same(object.name, to)))
      throw sqlError(15335, to, "OBJECT");
    const table = this.#existingTable(written, 15225);
    this.database.define((catalog) => {
      const own = findTable(catalog, table.schema, table.name) as Table;
      const renamed = { ...own, name: to };
      this.database.store.exec(`ALTER TABLE ${physical(own)} RENAME TO ${physical(renamed)}`);
      own.name = to;
    });
  }
}
