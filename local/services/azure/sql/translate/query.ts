import { type Catalog, findTable, findView, objectName, physical, quoted, same, type Table } from "../engine/catalog.js";
import { sqlError, unsupported } from "../errors.js";
import type { CommonTable, Expression, Name, OrderItem, Query, QueryBody, Select, SelectItem, Source } from "../tsql/ast.js";
import { parseExpression, parseQuery } from "../tsql/parser.js";
import { collation } from "../types/collation.js";
import { BIGINT, INT, isString, NVARCHAR_MAX, nvarchar, type SqlType } from "../types/sql-type.js";
import { cast, coerce, key, keySql, literal, text, unify } from "./coerce.js";
import { Expressions, type Place } from "./expression.js";
import { type BoundColumn, type BoundSource, type Emitted, Scope } from "./scope.js";
import { systemView } from "./system-views.js";

/** A column of a result. In SQLite the columns of a query are always `c1`, `c2`, …: names may be missing or doubled in T-SQL. */
export interface OutputColumn {
  name: string;
  type: SqlType;
  required?: boolean;
  identity?: boolean;
}

export interface TranslatedQuery {
  sql: string;
  columns: OutputColumn[];
  /** Where the query gives its values to variables instead of returning them. */
  assigns?: { variable: string; operator: string }[];
}

/** A query before it is known what types its columns are to have, and in which order. */
interface Body {
  columns: OutputColumn[];
  /** A core that may stand in a UNION. */
  render(types: readonly SqlType[]): string;
  /** The same with order and limit. */
  finish(types: readonly SqlType[], order: string, limit: string): string;
  orderItem(item: OrderItem): string;
  top?: string;
  single?: boolean;
  assigns?: { variable: string; operator: string }[];
}

const LOCKING = new Set(["HOLDLOCK", "UPDLOCK", "XLOCK", "TABLOCKX", "SERIALIZABLE", "REPEATABLEREAD"]);

/** Statements that read: FROM, SELECT, GROUP BY, set operators, WITH. */
export class Translator extends Expressions {
  /** Whether a hint asks for locks that are kept. */
  locks = false;
  private common: { name: string; alias: string; columns: OutputColumn[] }[] = [];

  get catalog(): Catalog {
    return this.environment.catalog;
  }

  query(query: Query, parent?: Scope, outermost = false): TranslatedQuery & { single: boolean } {
    const before = this.common;
    const prefix = this.commonTables(query.with);
    const body = this.body(query.body, parent);
    if (!outermost && query.order.length > 0 && !body.top && !query.offset) throw sqlError(1033);
    const order = query.order.map((item) => body.orderItem(item)).join(", ");
    let limit = body.top ? `LIMIT ${body.top}` : "";
    if (query.offset) {
      if (body.top) throw sqlError(10741);
      const place: Place = { scope: new Scope(), clause: "value" };
      const fetch = query.fetch ? this.limit(this.expression(query.fetch, place), "fetch") : "-1";
      limit = `LIMIT ${fetch} OFFSET ${this.limit(this.expression(query.offset, place), "offset")}`;
    }
    const types = body.columns.map(({ type }) => type);
    const sql = `${prefix}${body.finish(types, order, limit)}`;
    this.common = before;
    const { columns, assigns, single, top } = body;
    if (assigns && !outermost) throw sqlError(102, "=");
    return { sql, columns, single: single === true || top === "1", ...(assigns ? { assigns } : {}) };
  }

  /** The WITH clause, in front of a statement; what it names can be read until the next call. */
  commonTables(tables: readonly CommonTable[]): string {
    if (tables.length === 0) return "";
    const parts = tables.map(({ name, columns: names, query }) => {
      const alias = `w${++this.aliases}`;
      const { body } = query;
      if (body.kind === "set" && body.operator === "union all" && mentions(body.right, name)) {
        const anchor = this.body(body.left, undefined);
        const columns = named(anchor.columns, names, name);
        this.common = [...this.common, { name, alias, columns }];
        const types = columns.map(({ type }) => (type.untyped ? INT : type));
        const right = this.body(body.right, undefined);
        if (right.columns.length !== columns.length) throw sqlError(205);
        return `${alias}(${numbered(columns)}) AS (${anchor.render(types)} UNION ALL ${right.render(types)})`;
      }
      const { sql, columns } = this.query(query);
      const visible = named(columns, names, name);
      const part = `${alias}(${numbered(visible)}) AS (${sql})`;
      this.common = [...this.common, { name, alias, columns: visible }];
      return part;
    });
    return `WITH RECURSIVE ${parts.join(", ")} `;
  }

  protected subquery(
    query: Query,
    scope: Scope,
    purpose: "value" | "exists" | "list",
  ): { sql: string; column?: Emitted; single?: boolean } {
    const { sql, columns, single } = this.query(query, scope);
    const [column] = columns;
    if (purpose !== "exists" && columns.length !== 1) throw sqlError(116);
    return { sql, single, ...(column ? { column: { sql: "c1", type: column.type } } : {}) };
  }

  private limit(given: Emitted, clause: "top" | "fetch" | "offset"): string {
    const { constant } = given;
    if (typeof constant === "number" && constant > 0) return String(constant);
    return `rowlimit(${coerce(given, BIGINT).sql}, ${text(clause)})`;
  }

  private body(body: QueryBody, parent: Scope | undefined): Body {
    switch (body.kind) {
      case "select":
        return this.select(body, parent);
      case "nested": {
        const { sql, columns } = this.query(body.query, parent);
        const inner = `q${++this.aliases}`;
        return this.wrapped(columns, (types) => {
          const items = columns.map(
            (column, index) => `${coerce({ ...column, sql: `${inner}.c${index + 1}` }, types[index] ?? column.type).sql} AS c${index + 1}`,
          );
          return `SELECT ${items.join(", ")} FROM (${sql}) AS ${inner}`;
        });
      }
      case "set":
        return this.setOperation(body, parent);
    }
  }

  private setOperation({ operator, left: first, right: second }: Extract<QueryBody, { kind: "set" }>, parent: Scope | undefined): Body {
    const [left, right] = [this.body(first, parent), this.body(second, parent)];
    if (left.assigns || right.assigns) throw sqlError(10734);
    if (left.columns.length !== right.columns.length) throw sqlError(205);
    const columns = left.columns.map((column, index): OutputColumn => {
      const other = right.columns[index] as OutputColumn;
      const type = unify([
        { sql: "", type: column.type },
        { sql: "", type: other.type },
      ]);
      return { name: column.name, type, required: column.required === true && other.required === true };
    });
    const both = (types: readonly SqlType[]): [string, string] => [left.render(types), right.render(types)];
    return this.wrapped(columns, (types) => {
      const [a, b] = both(types);
      if (operator === "union all") return `${a} UNION ALL ${b}`;
      const [l, r] = [`q${++this.aliases}`, `q${++this.aliases}`];
      const keys = (alias: string): string[] => types.map((type, index) => keySql(`${alias}.c${index + 1}`, type));
      const list = types.map((_, index) => `${l}.c${index + 1} AS c${index + 1}`).join(", ");
      const groups = keys(l).join(", ");
      if (operator === "union") return `SELECT ${list} FROM (${a} UNION ALL ${b}) AS ${l} GROUP BY ${groups}`;
      const [ours, theirs] = [keys(l), keys(r)];
      const equal = ours.map((value, index) => `${value} IS ${theirs[index]}`).join(" AND ");
      const exists = `${operator === "except" ? "NOT " : ""}EXISTS (SELECT 1 FROM (${b}) AS ${r} WHERE ${equal})`;
      return `SELECT ${list} FROM (${a}) AS ${l} WHERE ${exists} GROUP BY ${groups}`;
    });
  }

  /** A body whose order can only be by its own columns. */
  private wrapped(columns: OutputColumn[], render: (types: readonly SqlType[]) => string): Body {
    return {
      columns,
      render,
      finish(types, order, limit) {
        if (!order && !limit) return render(types);
        const list = columns.map((_, index) => `c${index + 1}`).join(", ");
        return `SELECT ${list} FROM (${render(types)})${order ? ` ORDER BY ${order}` : ""}${limit ? ` ${limit}` : ""}`;
      },
      orderItem: ({ expression, descending }) => `${ordered(columns, expression, 104)}${descending ? " DESC" : ""}`,
    };
  }

  private select(select: Select, parent: Scope | undefined): Body {
    const scope = new Scope(parent);
    const from = select.from ? ` FROM ${this.from(select.from, scope)}` : "";
    const where = select.where ? ` WHERE ${this.condition(select.where, { scope, clause: "where" })}` : "";
    const grouping = select.groupBy.map((expression) => this.expression(expression, { scope, clause: "group" }));
    if (grouping.some(({ constant }) => constant !== undefined)) throw sqlError(164);
    const aggregating = select.groupBy.length > 0 || select.having !== undefined || select.items.some(aggregates);
    const groups = aggregating ? { groups: new Set(grouping.map(({ sql }) => sql)) } : {};
    const place: Place = { scope, clause: "select", ...groups };
    const items = select.items.flatMap((item) => this.selectItem(item, place));
    const assigning = items.filter(({ assign }) => assign);
    if (assigning.length > 0 && assigning.length < items.length) throw sqlError(141);
    const having = select.having ? ` HAVING ${this.condition(select.having, { ...place, clause: "having" })}` : "";
    const groupBy = grouping.length > 0 ? ` GROUP BY ${grouping.map(key).join(", ")}` : "";
    const rest = `${from}${where}${groupBy}${having}`;
    const columns = items.map(
      ({ name, emitted: { type, required, identity } }): OutputColumn => ({
        name,
        type,
        ...(required ? { required } : {}),
        ...(identity ? { identity } : {}),
      }),
    );
    const top = select.top ? this.limit(this.expression(select.top, { scope: new Scope(), clause: "value" }), "top") : undefined;
    const list = (types: readonly SqlType[]): string =>
      items.map(({ emitted }, index) => `${coerce(emitted, types[index] ?? emitted.type).sql} AS c${index + 1}`).join(", ");
    const core = (types: readonly SqlType[]): string => {
      if (!select.distinct) return `SELECT ${list(types)}${rest}`;
      if (!types.some(isString)) return `SELECT DISTINCT ${list(types)}${rest}`;
      const keys = types.map((type, index) => keySql(`c${index + 1}`, type)).join(", ");
      return `SELECT ${columns.map((_, index) => `c${index + 1}`).join(", ")} FROM (SELECT ${list(types)}${rest}) GROUP BY ${keys}`;
    };
    const finish = (types: readonly SqlType[], order: string, limit: string): string =>
      `${core(types)}${order ? ` ORDER BY ${order}` : ""}${limit ? ` ${limit}` : ""}`;
    return {
      columns,
      render: (types) => (top ? `SELECT * FROM (${finish(types, "", `LIMIT ${top}`)})` : core(types)),
      finish,
      orderItem: (item) => this.orderItem(item, items, place, select.distinct),
      single: aggregating && select.groupBy.length === 0,
      ...(top ? { top } : {}),
      ...(assigning.length > 0 ? { assigns: assigning.map(({ assign }) => assign as { variable: string; operator: string }) } : {}),
    };
  }

  private orderItem({ expression, descending }: OrderItem, items: readonly SelectedItem[], place: Place, distinct: boolean): string {
    const direction = descending ? " DESC" : "";
    if (expression.kind === "literal" && typeof expression.value === "number") {
      const item = items[expression.value - 1];
      if (!item) throw sqlError(108, expression.value);
      return `${distinct ? keySql(`c${expression.value}`, item.emitted.type) : key(item.emitted)}${direction}`;
    }
    const [only] = expression.kind === "column" ? expression.name : [];
    const byAlias =
      expression.kind === "column" && expression.name.length === 1
        ? items.findIndex(({ name, aliased }) => aliased && same(name, only as string))
        : -1;
    const emitted = byAlias >= 0 ? (items[byAlias] as SelectedItem).emitted : this.expression(expression, { ...place, clause: "order" });
    if (!distinct) return `${key(emitted)}${direction}`;
    const index = byAlias >= 0 ? byAlias : items.findIndex((item) => item.emitted.sql === emitted.sql);
    if (index < 0) throw sqlError(145);
    return `${keySql(`c${index + 1}`, emitted.type)}${direction}`;
  }

  /** What an item of a select list, or of OUTPUT, comes to. */
  selectItem(item: SelectItem, place: Place): SelectedItem[] {
    if (item.kind === "star") {
      const sources = item.qualifier ? [place.scope.find(item.qualifier)] : place.scope.sources;
      if (item.qualifier && !sources[0]) throw sqlError(107, item.qualifier.join("."));
      if (sources.length === 0) throw sqlError(263);
      return sources.flatMap((source) =>
        (source as BoundSource).columns.map((column) => ({
          name: column.name,
          emitted: this.expression(
            { kind: "column", name: [(source as BoundSource).name, column.name] },
            { ...place, scope: only(place.scope, source as BoundSource) },
          ),
        })),
      );
    }
    const emitted = this.expression(item.expression, place);
    if (item.kind === "assign") return [{ name: "", emitted, assign: { variable: item.variable, operator: item.operator } }];
    const own = item.expression.kind === "column" ? (item.expression.name[item.expression.name.length - 1] as string) : "";
    return [{ name: item.alias ?? own, emitted, aliased: item.alias !== undefined }];
  }

  /** A FROM clause, whose sources the scope then has. */
  from(source: Source, scope: Scope): string {
    switch (source.kind) {
      case "table":
        return this.table(source.name, source.alias, scope, source.hints);
      case "derived": {
        const { sql, columns } = this.query(source.query, scope.parent);
        return this.derived(`(${sql})`, named(columns, source.columns, source.alias), source.alias, scope);
      }
      case "values":
        return this.values(source, scope);
      case "openjson":
        return this.openJson(source, scope);
      case "split": {
        const alias = `s${++this.aliases}`;
        const place: Place = { scope, clause: "on" };
        const [subject, separator] = [source.text, source.separator].map((each) => cast(this.expression(each, place), NVARCHAR_MAX).sql);
        scope.add({ name: source.alias ?? "STRING_SPLIT", alias, columns: [{ name: "value", sql: `${alias}.value`, type: NVARCHAR_MAX }] });
        return `json_each(split_(${subject}, ${separator})) AS ${alias}`;
      }
      case "join":
        return this.join(source, scope);
    }
  }

  private join(source: Extract<Source, { kind: "join" }>, scope: Scope): string {
    const before = scope.sources.length;
    const left = this.from(source.left, scope);
    const middle = scope.sources.length;
    const right = this.from(source.right, scope);
    const grouped = source.right.kind === "join" ? `(${right})` : right;
    const on = source.on ? ` ON ${this.condition(source.on, { scope, clause: "on" })}` : "";
    const optional = (from: number, to: number): void => {
      for (const { columns } of scope.sources.slice(from, to)) for (const column of columns) column.required = false;
    };
    if (source.type === "left" || source.type === "full") optional(middle, scope.sources.length);
    if (source.type === "right" || source.type === "full") optional(before, middle);
    return `${left} ${source.type.toUpperCase()} JOIN ${grouped}${on}`;
  }

  private table(name: Name, alias: string | undefined, scope: Scope, hints: readonly string[]): string {
    if (hints.some((hint) => LOCKING.has(hint))) this.locks = true;
    if (name.length === 1) {
      const common = this.common.findLast((candidate) => same(candidate.name, name[0] as string));
      if (common) return this.derived(common.alias, common.columns, alias ?? common.name, scope);
    }
    const { database, defaultSchema } = this.environment;
    if (name[name.length - 1]?.startsWith("#")) throw unsupported(name[name.length - 1] as string, "temporary tables");
    const target = objectName(name, database, defaultSchema);
    const table =
      findTable(this.catalog, target.schema, target.name) ?? (name.length === 1 ? findTable(this.catalog, "dbo", target.name) : undefined);
    if (table) {
      this.requires("SELECT", table);
      const source = this.bind(table, alias ?? table.name, alias === undefined);
      scope.add(source);
      return `${physical(table)} AS ${source.alias}`;
    }
    const view =
      findView(this.catalog, target.schema, target.name) ?? (name.length === 1 ? findView(this.catalog, "dbo", target.name) : undefined);
    if (view) {
      this.requires("SELECT", view);
      // A view reads what it reads by its owner's permissions.
      const { requirements } = this;
      const kept = [...requirements];
      const common = this.common;
      this.common = [];
      const { sql, columns } = this.query(parseQuery(view.text));
      this.common = common;
      requirements.splice(0, requirements.length, ...kept);
      return this.derived(`(${sql})`, named(columns, view.columns, view.name), alias ?? view.name, scope, view.schema);
    }
    const found = systemView(this.environment, name.length === 1 ? "" : target.schema, target.name);
    if (!found) throw sqlError(208, name.join("."));
    const columns = found.columns.map(([column, type]): OutputColumn => ({ name: column, type }));
    const width = columns.length;
    const rows = found.rows.map((row) => `(${row.map((value, index) => literal(value, columns[index]?.type ?? INT).sql).join(", ")})`);
    const nothing = `SELECT ${Array.from({ length: width }, (_, index) => `NULL AS c${index + 1}`).join(", ")} WHERE 0`;
    const renamed = Array.from({ length: width }, (_, index) => `column${index + 1} AS c${index + 1}`).join(", ");
    const sql = rows.length > 0 ? `(SELECT ${renamed} FROM (VALUES ${rows.join(", ")}))` : `(${nothing})`;
    return this.derived(sql, columns, alias ?? found.name, scope, target.schema);
  }

  /** A table's columns under an alias of its own. */
  bind(table: Table, name: string, withSchema: boolean, alias = `s${++this.aliases}`): BoundSource {
    const source: BoundSource = { name, alias, table, columns: [], ...(withSchema ? { schema: table.schema } : {}) };
    for (const column of table.columns) {
      if (column.computed !== undefined) continue;
      const sql = `${alias}.${quoted(column.name)}`;
      const required = column.nullable ? {} : { required: true };
      source.columns.push({ name: column.name, sql, type: column.type, ...required, ...(column.identity ? { identity: true } : {}) });
    }
    const stored = new Scope();
    stored.add({ ...source, columns: [...source.columns] });
    const place: Place = { scope: stored, clause: "where" };
    source.columns = table.columns.map((column): BoundColumn => {
      const found = source.columns.find((candidate) => candidate.name === column.name);
      if (found) return found;
      const { sql, type } = this.expression(parseExpression(column.computed ?? "NULL"), place);
      return { name: column.name, sql: `(${sql})`, type };
    });
    return source;
  }

  private derived(sql: string, columns: OutputColumn[], name: string, scope: Scope, schema?: string): string {
    const alias = `s${++this.aliases}`;
    const bound = columns.map(
      ({ name: column, type, required }, index): BoundColumn => ({
        name: column,
        sql: `${alias}.c${index + 1}`,
        type: type.untyped ? INT : type,
        ...(required ? { required } : {}),
      }),
    );
    scope.add({ name, alias, columns: bound, ...(schema ? { schema } : {}) });
    return `${sql} AS ${alias}`;
  }

  private values({ rows, alias, columns: names }: Extract<Source, { kind: "values" }>, scope: Scope): string {
    const place: Place = { scope: new Scope(scope.parent), clause: "value" };
    const emitted = rows.map((row) => row.map((expression) => this.expression(expression, place)));
    if (emitted.some((row) => row.length !== names.length)) {
      const width = emitted[0]?.length ?? 0;
      throw emitted.some((row) => row.length !== width) ? sqlError(10709) : sqlError(width > names.length ? 8158 : 8159, alias);
    }
    const types = names.map((_, index) => unify(emitted.map((row) => row[index] as Emitted)));
    const lines = emitted.map((row) => `(${row.map((value, index) => coerce(value, types[index] ?? INT).sql).join(", ")})`);
    const renamed = names.map((_, index) => `column${index + 1} AS c${index + 1}`).join(", ");
    const columns = names.map(
      (name, index): OutputColumn => ({
        name,
        type: types[index] ?? INT,
        required: emitted.every((row) => row[index]?.required === true),
      }),
    );
    return this.derived(`(SELECT ${renamed} FROM (VALUES ${lines.join(", ")}))`, columns, alias, scope);
  }

  private openJson(source: Extract<Source, { kind: "openjson" }>, scope: Scope): string {
    const alias = `s${++this.aliases}`;
    const place: Place = { scope, clause: "on" };
    const json = cast(this.expression(source.json, place), NVARCHAR_MAX).sql;
    const path = source.path ? cast(this.expression(source.path, place), NVARCHAR_MAX).sql : "'$'";
    const value = `json_extract(${alias}.value, '$.v')`;
    const columns = source.with
      ? source.with.map(({ name, type, path: written, asJson }): BoundColumn => {
          const at = text(written ?? `$.${/^\w+$/.test(name) ? name : JSON.stringify(name)}`);
          const found = { sql: `${asJson ? "json_query_" : "json_value_"}(${value}, ${at})`, type: NVARCHAR_MAX };
          return { name, sql: cast(found, type).sql, type };
        })
      : [
          {
            name: "key",
            sql: `json_extract(${alias}.value, '$.k')`,
            type: { ...nvarchar(4000), collation: collation("Latin1_General_BIN2") },
          },
          { name: "value", sql: value, type: NVARCHAR_MAX },
          { name: "type", sql: `json_extract(${alias}.value, '$.t')`, type: { name: "tinyint" as const } },
        ];
    scope.add({ name: source.alias ?? "OPENJSON", alias, columns });
    return `json_each(openjson_(${json}, ${path}, ${source.with ? 1 : 0})) AS ${alias}`;
  }
}

export interface SelectedItem {
  name: string;
  emitted: Emitted;
  aliased?: boolean;
  assign?: { variable: string; operator: string };
}

/** The same scope as far as groups are concerned, with one source to be named. */
function only(scope: Scope, source: BoundSource): Scope {
  return Object.assign(Object.create(scope) as Scope, { sources: [source] });
}

const numbered = (columns: readonly unknown[]): string => columns.map((_, index) => `c${index + 1}`).join(", ");

/** Columns under the names that stand behind an alias, each of which must be there once. */
function named(columns: readonly OutputColumn[], names: readonly string[] | undefined, owner: string): OutputColumn[] {
  if (names && names.length !== columns.length) throw sqlError(names.length < columns.length ? 8158 : 8159, owner);
  const visible = columns.map((column, index) => ({ ...column, name: names?.[index] ?? column.name }));
  visible.forEach(({ name }, index) => {
    if (name === "") throw sqlError(8155, index + 1, owner);
    if (visible.some((other, at) => at < index && same(other.name, name))) throw sqlError(8156, name, owner);
  });
  return visible;
}

function ordered(columns: readonly OutputColumn[], expression: Expression, otherwise: number): string {
  let index = -1;
  if (expression.kind === "literal" && typeof expression.value === "number") {
    index = expression.value - 1;
    if (!columns[index]) throw sqlError(108, expression.value);
  } else if (expression.kind === "column") {
    const name = expression.name[expression.name.length - 1] as string;
    index = columns.findIndex((column) => same(column.name, name));
    if (index < 0) throw sqlError(207, name);
  }
  const column = columns[index];
  if (!column) throw sqlError(otherwise);
  return keySql(`c${index + 1}`, column.type);
}

/** Does a part of the tree, leaving out subqueries, aggregate? */
function aggregates(node: unknown): boolean {
  if (Array.isArray(node)) return node.some(aggregates);
  if (typeof node !== "object" || node === null || node instanceof Uint8Array) return false;
  const { kind, name, over } = node as { kind?: string; name?: unknown; over?: unknown };
  if (kind === "subquery" || kind === "exists") return false;
  if (kind === "call" && !over && /^(COUNT|COUNT_BIG|SUM|AVG|MIN|MAX|STRING_AGG)$/.test(String(name))) return true;
  return Object.entries(node).some(([field, value]) => field !== "query" && aggregates(value));
}

/** Is a table of this bare name read anywhere below? */
function mentions(node: unknown, name: string): boolean {
  if (Array.isArray(node)) return node.some((each) => mentions(each, name));
  if (typeof node !== "object" || node === null || node instanceof Uint8Array) return false;
  const { kind, name: own } = node as { kind?: string; name?: unknown };
  if (kind === "table" && Array.isArray(own) && own.length === 1 && same(String(own[0]), name)) return true;
  return Object.values(node).some((value) => mentions(value, name));
}
