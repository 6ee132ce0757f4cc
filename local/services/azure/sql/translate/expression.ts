import { sqlError, unsupported } from "../errors.js";
import type { Condition, Expression, Name, OrderItem, Query } from "../tsql/ast.js";
import type { SqlValue } from "../types/convert.js";
import {
  BIGINT,
  commonType,
  decimal,
  FLOAT,
  familyOf,
  INT,
  isNumeric,
  isString,
  isUnicode,
  NULL_TYPE,
  NVARCHAR_MAX,
  nvarchar,
  precisionOf,
  type SqlType,
  scaleOf,
  typeName,
} from "../types/sql-type.js";
import { cast, coerce, comparable, key, keySql, literal, text, unify, withoutCollation } from "./coerce.js";
import type { Environment, Securable } from "./environment.js";
import { ABSENT, FUNCTIONS } from "./functions.js";
import { type Emitted, Scope } from "./scope.js";

/** Where an expression stands. */
export interface Place {
  scope: Scope;
  clause: "select" | "where" | "having" | "order" | "on" | "group" | "value";
  /** Of a grouped query: what each group has one of, as SQLite expressions. */
  groups?: ReadonlySet<string>;
  /** Within an aggregate, where any column may stand. */
  aggregated?: boolean;
  windowed?: boolean;
}

const AGGREGATES = new Set(["COUNT", "COUNT_BIG", "SUM", "AVG", "MIN", "MAX", "STRING_AGG"]);
const RANKINGS = new Set([
  "ROW_NUMBER",
  "RANK",
  "DENSE_RANK",
  "NTILE",
  "LAG",
  "LEAD",
  "FIRST_VALUE",
  "LAST_VALUE",
  "CUME_DIST",
  "PERCENT_RANK",
]);
const OPERATIONS: Readonly<Record<string, string>> = {
  "+": "add",
  "-": "subtract",
  "*": "multiply",
  "/": "divide",
  "%": "modulo",
  "&": "'&'",
  "|": "'|'",
  "^": "'^'",
};

/** Permission that a statement needs of an object. */
export interface Requirement {
  permission: string;
  object: Securable;
}

/** T-SQL expressions as SQLite expressions, with their types. The values of variables are bound when the statement is translated. */
export abstract class Expressions {
  readonly parameters: SqlValue[] = [];
  readonly requirements: Requirement[] = [];
  protected aliases = 0;
  private readonly bound = new Map<string, number>();

  constructor(readonly environment: Environment) {}

  protected abstract subquery(
    query: Query,
    scope: Scope,
    purpose: "value" | "exists" | "list",
  ): { sql: string; column?: Emitted; single?: boolean };

  /** A parameter of the SQLite statement. */
  parameter(value: SqlValue, type: SqlType): Emitted {
    if (value === null) return literal(null, type);
    if (typeof value === "number" && familyOf(type) !== "float") return literal(value, type);
    const name = typeof value === "string" && value.length < 256 ? `s${value}` : undefined;
    let position = name === undefined ? undefined : this.bound.get(name);
    if (position === undefined) {
      position = this.parameters.push(value);
      if (name !== undefined) this.bound.set(name, position);
    }
    const sql = familyOf(type) === "float" ? `(?${position} + 0.0)` : `?${position}`;
    return { sql, type, constant: value, required: true };
  }

  requires(permission: string, object: Securable): void {
    if (!this.requirements.some((entry) => entry.permission === permission && entry.object.id === object.id)) {
      this.requirements.push({ permission, object });
    }
  }

  expression(expression: Expression, place: Place): Emitted {
    if (place.groups && !place.aggregated && expression.kind !== "literal" && expression.kind !== "variable") {
      const grouped = this.groupedWhole(expression, place);
      if (grouped) return grouped;
    }
    switch (expression.kind) {
      case "literal":
        return typeof expression.value === "string" && expression.value.length > 256
          ? this.parameter(expression.value, expression.type)
          : literal(expression.value, expression.type);
      case "ready":
        return { sql: expression.sql, type: expression.type };
      case "variable":
        return this.variable(expression.name);
      case "column":
        return this.column(expression.name, place);
      case "negate":
        return this.negate(this.expression(expression.operand, place));
      case "plus":
        return this.expression(expression.operand, place);
      case "invert": {
        const operand = this.expression(expression.operand, place);
        if (familyOf(operand.type) !== "integer") throw sqlError(8117, typeName(operand.type), "'~'");
        return operand.type.name === "bit"
          ? { sql: `(1 - ${operand.sql})`, type: operand.type }
          : { sql: `(~ ${operand.sql})`, type: operand.type };
      }
      case "arithmetic":
        return this.arithmetic(expression.operator, this.expression(expression.left, place), this.expression(expression.right, place));
      case "iif":
        return this.branches(
          [[this.condition(expression.condition, place), this.expression(expression.result, place)]],
          this.expression(expression.otherwise, place),
        );
      case "case":
        return this.caseOf(expression, place);
      case "cast": {
        const operand = this.expression(expression.operand, place);
        const style = expression.style ? this.expression(expression.style, place) : undefined;
        if (style && typeof style.constant !== "number") throw unsupported("CONVERT", "a style that is not constant");
        return cast(operand, expression.type, Number(style?.constant ?? 0), expression.attempt);
      }
      case "collate": {
        const operand = this.expression(expression.operand, place);
        if (!isString(operand.type)) throw sqlError(447, typeName(operand.type));
        return { ...operand, type: { ...operand.type, collation: expression.collation, explicitCollation: true } };
      }
      case "subquery": {
        const { sql, column, single } = this.subquery(expression.query, place.scope, "value");
        const type = column?.type ?? INT;
        return { sql: single ? `(${sql})` : `one((${sql}), (SELECT count(*) FROM (SELECT 1 FROM (${sql}) LIMIT 2)))`, type };
      }
      case "call":
        return this.call(expression, place);
    }
  }

  /** An expression that is, as a whole, one of those that the query groups by. */
  private groupedWhole(expression: Expression, place: Place): Emitted | undefined {
    const { groups, ...plain } = place;
    if (expression.kind === "call" && (AGGREGATES.has(expression.name) || expression.over)) return undefined;
    if (expression.kind === "subquery") return undefined;
    if (expression.kind !== "column" && ![...(groups ?? [])].some((group) => !/^\w+\."(?:[^"]|"")*"$/.test(group))) return undefined;
    try {
      const whole = this.expression(expression, { ...plain, clause: "group" });
      return groups?.has(whole.sql) ? whole : undefined;
    } catch {
      return undefined;
    }
  }

  private variable(name: string): Emitted {
    if (name.startsWith("@@")) {
      const found = this.environment.system(name.toUpperCase());
      if (!found) throw sqlError(137, name);
      return literal(found.value, found.type);
    }
    const found = this.environment.variable(name);
    if (!found) throw sqlError(137, name);
    return this.parameter(found.value, found.type);
  }

  private column(name: Name, place: Place): Emitted {
    const { column, scope, source } = place.scope.resolve(name);
    if (source.table) this.requires("SELECT", source.table);
    if (place.groups && !place.aggregated && scope === place.scope && !place.groups.has(column.sql)) {
      const written = `${source.schema ? `${source.schema}.` : ""}${source.name}.${column.name}`;
      throw sqlError(place.clause === "having" ? 8121 : place.clause === "order" ? 8127 : 8120, written);
    }
    const { sql, type, required, identity } = column;
    return { sql, type, ...(required ? { required } : {}), ...(identity ? { identity } : {}) };
  }

  private negate(operand: Emitted): Emitted {
    const { type, sql } = operand;
    if (isString(type)) return this.negate(coerce(operand, INT));
    if (!isNumeric(type) || type.name === "bit") throw sqlError(8117, typeName(type), "minus");
    if (familyOf(type) === "integer")
      return {
        sql: `rng(-(${sql}), '${type.name === "tinyint" ? "smallint" : type.name}')`,
        type: type.name === "tinyint" ? { name: "smallint" } : type,
      };
    return { sql: `(-(${sql}))`, type };
  }

  arithmetic(operator: Extract<Expression, { kind: "arithmetic" }>["operator"], left: Emitted, right: Emitted): Emitted {
    const families = [familyOf(left.type), familyOf(right.type)];
    const required = left.required === true && right.required === true;
    if (operator === "+" && isStringLike(left.type) && isStringLike(right.type)) return { ...concatenated(left, right), required };
    if (operator === "+" && families[0] === "binary" && families[1] === "binary") {
      return { sql: `bcat(${left.sql}, ${right.sql})`, type: { name: "varbinary", length: total(left.type, right.type, 8000) } };
    }
    if (families.includes("moment")) return this.momentArithmetic(operator, left, right);
    if (families[0] === "string" && families[1] === "string")
      throw sqlError(operator === "+" ? 402 : 8117, typeName(left.type), OPERATIONS[operator]);
    const type = commonType(left.type, right.type);
    if (!isNumeric(type)) throw sqlError(8117, typeName(type), OPERATIONS[operator]);
    if (["&", "|", "^"].includes(operator)) {
      if (familyOf(type) !== "integer") throw sqlError(402, typeName(left.type), typeName(right.type), OPERATIONS[operator]);
      const [a, b] = [coerce(left, type).sql, coerce(right, type).sql];
      return { sql: operator === "^" ? `((${a} | ${b}) - (${a} & ${b}))` : `(${a} ${operator} ${b})`, type, required };
    }
    switch (familyOf(type)) {
      case "float": {
        const [a, b] = [coerce(left, FLOAT).sql, coerce(right, FLOAT).sql];
        return {
          sql: operator === "/" ? `fdiv(${a}, ${b})` : operator === "%" ? `fmod_(${a}, ${b})` : `(${a} ${operator} ${b})`,
          type: FLOAT,
          required,
        };
      }
      case "decimal":
        return { ...this.decimalArithmetic(operator, left, right, type), required };
      default: {
        const result = type.name === "bit" ? INT : type;
        const [a, b] = [coerce(left, result).sql, coerce(right, result).sql];
        if (operator === "/" || operator === "%")
          return { sql: `${operator === "/" ? "idiv" : "imod"}(${a}, ${b})`, type: result, required };
        return { sql: `rng(${a} ${operator} ${b}, '${result.name}')`, type: result, required };
      }
    }
  }

  /** Precision and scale by SQL Server's rules, but for results of over 18 digits, whose scale shrinks to what 64 bits hold. */
  private decimalArithmetic(operator: string, left: Emitted, right: Emitted, common: SqlType): Emitted {
    const exact = (side: Emitted): Emitted => {
      if (familyOf(side.type) === "decimal") return side;
      if (familyOf(side.type) !== "integer") return coerce(side, common);
      const digits = side.constant === undefined ? precisionOf(side.type) : String(side.constant).replace("-", "").length;
      return coerce(side, decimal(digits, 0));
    };
    const [a, b] = [exact(left), exact(right)];
    const [p1, s1, p2, s2] = [precisionOf(a.type), scaleOf(a.type), precisionOf(b.type), scaleOf(b.type)];
    let scale: number;
    let precision: number;
    switch (operator) {
      case "*":
        [precision, scale] = [p1 + p2 + 1, s1 + s2];
        break;
      case "/":
        scale = Math.max(6, s1 + p2 + 1);
        precision = p1 - s1 + s2 + scale;
        break;
      case "%":
        scale = Math.max(s1, s2);
        precision = Math.min(p1 - s1, p2 - s2) + scale;
        break;
      default:
        scale = Math.max(s1, s2);
        precision = Math.max(p1 - s1, p2 - s2) + scale + 1;
    }
    if (precision > 18) {
      const whole = precision - scale;
      scale = operator === "/" || operator === "*" ? Math.max(Math.min(scale, 6), Math.min(scale, 18 - whole)) : scale;
      precision = Math.min(38, whole + scale);
    }
    const type = common.name === "decimal" ? decimal(precision, scale) : common;
    return { sql: `dec(${text(operator)}, ${a.sql}, ${s1}, ${b.sql}, ${s2}, ${precisionOf(type)}, ${scaleOf(type)})`, type };
  }

  private momentArithmetic(operator: string, left: Emitted, right: Emitted): Emitted {
    const [moment, days] = familyOf(left.type) === "moment" ? [left, right] : [right, left];
    if (
      moment.type.name !== "datetime" ||
      familyOf(days.type) === "moment" ||
      isString(days.type) ||
      (operator === "-" && moment !== left)
    ) {
      if (isString(days.type) && operator === "+") throw sqlError(402, typeName(left.type), typeName(right.type), "add");
      const type = commonType(left.type, right.type);
      if (familyOf(days.type) !== "moment" && !isString(days.type)) throw sqlError(206, typeName(days.type), typeName(moment.type));
      throw sqlError(8117, typeName(type), OPERATIONS[operator]);
    }
    const shift = coerce(days, FLOAT).sql;
    return { sql: `dayadd(${moment.sql}, ${operator === "-" ? `-(${shift})` : shift})`, type: moment.type };
  }

  private caseOf(expression: Extract<Expression, { kind: "case" }>, place: Place): Emitted {
    const { operand, when, otherwise } = expression;
    const cases = when.map(({ condition, result }): [string, Emitted] => [
      operand
        ? this.condition({ kind: "compare", operator: "=", left: operand, right: condition as Expression }, place)
        : this.condition(condition as Condition, place),
      this.expression(result, place),
    ]);
    return this.branches(cases, otherwise ? this.expression(otherwise, place) : literal(null, NULL_TYPE));
  }

  private branches(cases: [string, Emitted][], otherwise: Emitted): Emitted {
    const values = [...cases.map(([, value]) => value), otherwise];
    const type = unify(values);
    const branches = cases.map(([condition, value]) => `WHEN ${condition} THEN ${coerce(value, type).sql}`);
    return {
      sql: `CASE ${branches.join(" ")} ELSE ${coerce(otherwise, type).sql} END`,
      type,
      required: values.every(({ required }) => required),
    };
  }

  private call(call: Extract<Expression, { kind: "call" }>, place: Place): Emitted {
    const { name } = call;
    if (AGGREGATES.has(name)) return this.aggregate(call, place);
    if (RANKINGS.has(name)) return this.ranking(call, place);
    const known = FUNCTIONS[name];
    if (!known) {
      if (ABSENT.has(name)) throw unsupported(name, `the function ${name}`);
      throw sqlError(195, name);
    }
    const { least, most, emit } = known;
    const given = call.arguments.map((argument) => this.expression(argument, place));
    if (call.star || given.length < least || given.length > most) {
      throw least === most ? sqlError(174, name.toLowerCase(), least) : sqlError(189, name.toLowerCase(), `${least} to ${most}`);
    }
    return emit(given, this.environment, name);
  }

  private aggregate(call: Extract<Expression, { kind: "call" }>, place: Place): Emitted {
    if (!call.over && (place.clause === "where" || place.clause === "on" || place.clause === "group")) throw sqlError(147);
    if (place.aggregated && !call.over) throw sqlError(130);
    const inner: Place = { ...place, aggregated: !call.over };
    const over = call.over ? this.over(call, place) : "";
    const [argument, second] = call.arguments.map((each) => this.expression(each, inner));
    const distinct = call.distinct ? "DISTINCT " : "";
    if (call.star || (call.name.startsWith("COUNT") && argument)) {
      const type = call.name === "COUNT" ? INT : BIGINT;
      if (call.star) return { sql: `count(*)${over}`, type, required: true };
      return {
        sql: `count(${distinct}${call.distinct ? key(argument as Emitted) : (argument as Emitted).sql})${over}`,
        type,
        required: true,
      };
    }
    if (!argument) throw sqlError(174, call.name, 1);
    switch (call.name) {
      case "SUM":
      case "AVG":
        return this.total(call.name, argument, distinct, over);
      case "STRING_AGG": {
        if (!second) throw sqlError(174, "STRING_AGG", 2);
        const order = call.within?.length ? ` ORDER BY ${this.orderList(call.within, inner)}` : "";
        const operand = isString(argument.type) ? argument : cast(argument, nvarchar(4000));
        const length = operand.type.length === "max" ? "max" : isUnicode(operand.type) ? 4000 : 8000;
        return {
          sql: `group_concat(${operand.sql}, ${coerce(second, NVARCHAR_MAX).sql}${order})${over}`,
          type: { ...withoutCollation(operand.type), length },
        };
      }
      default: {
        const which = call.name.toLowerCase();
        if (argument.type.name === "bit") throw sqlError(8117, "bit", which);
        if (!isString(argument.type)) return { sql: `${which}(${argument.sql})${over}`, type: argument.type };
        // The least or greatest by what strings are compared by, and out of that what was there.
        return { sql: `tail(${which}(${keySql(argument.sql, argument.type)} || char(1) || ${argument.sql})${over})`, type: argument.type };
      }
    }
  }

  private total(name: "SUM" | "AVG", argument: Emitted, distinct: string, over: string): Emitted {
    const { type, sql } = isString(argument.type) ? coerce(argument, FLOAT) : argument;
    const lower = name.toLowerCase();
    if (!isNumeric(type) || type.name === "bit") throw sqlError(8117, typeName(type), lower);
    const sum = `sum(${distinct}${sql})${over}`;
    const count = `count(${distinct}${sql})${over}`;
    switch (familyOf(type)) {
      case "float":
        return name === "SUM" ? { sql: sum, type: FLOAT } : { sql: `avg(${distinct}${sql})${over}`, type: FLOAT };
      case "decimal": {
        const money = type.name !== "decimal";
        if (name === "SUM") return { sql: sum, type: money ? { name: "money" } : decimal(38, scaleOf(type)) };
        const scale = money ? 4 : Math.max(6, scaleOf(type));
        const result: SqlType = money ? { name: "money" } : decimal(38, scale);
        return { sql: `dec('/', ${sum}, ${scaleOf(type)}, ${count}, 0, 38, ${scale})`, type: result };
      }
      default: {
        const result = type.name === "bigint" ? BIGINT : INT;
        if (name === "SUM") return { sql: `rng(${sum}, '${result.name}')`, type: result };
        return { sql: `(${sum} / ${count})`, type: result };
      }
    }
  }

  private ranking(call: Extract<Expression, { kind: "call" }>, place: Place): Emitted {
    if (!call.over) throw sqlError(10753, call.name);
    if (!call.over.order.length) throw sqlError(4112, call.name);
    const over = this.over(call, place);
    const [argument, second, third] = call.arguments.map((each) => this.expression(each, { ...place, windowed: true }));
    switch (call.name) {
      case "LAG":
      case "LEAD": {
        if (!argument) throw sqlError(174, call.name, 1);
        const offset = second ? coerce(second, BIGINT).sql : "1";
        const fallback = third ? `, ${coerce(third, argument.type).sql}` : "";
        return { sql: `${call.name.toLowerCase()}(${argument.sql}, ${offset}${fallback})${over}`, type: argument.type };
      }
      case "FIRST_VALUE":
      case "LAST_VALUE":
        if (!argument) throw sqlError(174, call.name, 1);
        return { sql: `${call.name.toLowerCase()}(${argument.sql})${over}`, type: argument.type };
      case "NTILE":
        return { sql: `ntile(${coerce(argument ?? literal(1, INT), BIGINT).sql})${over}`, type: BIGINT, required: true };
      default:
        return { sql: `${call.name.toLowerCase()}()${over}`, type: /^(CUME|PERCENT)/.test(call.name) ? FLOAT : BIGINT, required: true };
    }
  }

  private over(call: Extract<Expression, { kind: "call" }>, place: Place): string {
    const { over } = call;
    if (!over) return "";
    if (place.windowed || place.aggregated) throw sqlError(4109);
    if (place.clause !== "select" && place.clause !== "order") throw sqlError(4108);
    const inner: Place = { ...place, windowed: true };
    const partition = over.partition.map((expression) => key(this.expression(expression, inner)));
    // The order by a constant, which a subquery is, orders nothing.
    const order = over.order.filter(({ expression }) => expression.kind !== "subquery");
    return ` OVER (${partition.length ? `PARTITION BY ${partition.join(", ")} ` : ""}${order.length ? `ORDER BY ${this.orderList(order, inner)} ` : ""}${over.frame ?? ""})`;
  }

  orderList(items: readonly OrderItem[], place: Place): string {
    return items.map(({ expression, descending }) => `${key(this.expression(expression, place))}${descending ? " DESC" : ""}`).join(", ");
  }

  condition(condition: Condition, place: Place): string {
    switch (condition.kind) {
      case "and":
      case "or":
        return `(${this.condition(condition.left, place)} ${condition.kind.toUpperCase()} ${this.condition(condition.right, place)})`;
      case "not":
        return `(NOT ${this.condition(condition.operand, place)})`;
      case "compare": {
        const [left, right] = comparable(this.expression(condition.left, place), this.expression(condition.right, place));
        return `(${left} ${condition.operator} ${right})`;
      }
      case "null":
        return `(${this.expression(condition.operand, place).sql} IS ${condition.negated ? "NOT " : ""}NULL)`;
      case "between": {
        const operand = this.expression(condition.operand, place);
        const [a, low] = comparable(operand, this.expression(condition.low, place));
        const [b, high] = comparable(operand, this.expression(condition.high, place));
        const within = `(${a} >= ${low} AND ${b} <= ${high})`;
        return condition.negated ? `(NOT ${within})` : within;
      }
      case "in":
        return this.membership(condition, place);
      case "like":
        return this.like(condition, place);
      case "exists":
        return `EXISTS (${this.subquery(condition.query, place.scope, "exists").sql})`;
    }
  }

  private membership({ operand: written, list, negated }: Extract<Condition, { kind: "in" }>, place: Place): string {
    const operand = this.expression(written, place);
    const not = negated ? "NOT " : "";
    if (Array.isArray(list)) {
      const members = list.map((member) => this.expression(member, place));
      const pairs = members.map((member) => comparable(operand, member));
      const [first] = pairs;
      if (first && pairs.every(([left]) => left === first[0]))
        return `(${first[0]} ${not}IN (${pairs.map(([, right]) => right).join(", ")}))`;
      const any = `(${pairs.map(([left, right]) => `${left} = ${right}`).join(" OR ")})`;
      return negated ? `(NOT ${any})` : any;
    }
    const { sql, column } = this.subquery(list, place.scope, "list");
    const alias = `q${++this.aliases}`;
    const [left, right] = comparable(operand, { sql: `${alias}.c1`, type: column?.type ?? INT });
    return `(${left} ${not}IN (SELECT ${right} FROM (${sql}) AS ${alias}))`;
  }

  private like({ operand, pattern, escape: written, negated }: Extract<Condition, { kind: "like" }>, place: Place): string {
    const [value, mask] = [this.expression(operand, place), this.expression(pattern, place)].map((side) =>
      isString(side.type) ? side : cast(side, nvarchar(4000)),
    ) as [Emitted, Emitted];
    const mark = written ? this.expression(written, place) : undefined;
    if (mark && typeof mark.constant === "string" && mark.constant.length !== 1) throw sqlError(506, mark.constant);
    const fold = keySql("x", { ...withoutCollation(value.type), ...collationBetween(value, mask) }).replace(/\(.*$/, "");
    return `(${negated ? "NOT " : ""}like_(${value.sql}, ${mask.sql}, ${mark?.sql ?? "NULL"}, ${text(fold)}))`;
  }

  /** A value that no column goes into: a default, an argument, the right side of SET. */
  value(expression: Expression, scope = new Scope()): Emitted {
    return this.expression(expression, { scope, clause: "value" });
  }
}

const isStringLike = (type: SqlType): boolean => isString(type) || type.untyped === true;

function collationBetween(a: Emitted, b: Emitted): Partial<SqlType> {
  const type = commonType({ ...a.type, length: 1 }, { ...b.type, length: 1 });
  return type.collation ? { collation: type.collation } : {};
}

function concatenated(left: Emitted, right: Emitted): Emitted {
  if (left.type.untyped && right.type.untyped) return literal(null, NULL_TYPE);
  const unicode = isUnicode(left.type) || isUnicode(right.type);
  const { collation } = commonType(left.type.untyped ? right.type : left.type, right.type.untyped ? left.type : right.type);
  const type: SqlType = {
    name: unicode ? "nvarchar" : "varchar",
    length: total(left.type, right.type, unicode ? 4000 : 8000),
    ...(collation ? { collation } : {}),
  };
  return { sql: `(${left.sql} || ${right.sql})`, type };
}

function total(a: SqlType, b: SqlType, most: number): number | "max" {
  if (a.length === "max" || b.length === "max") return "max";
  return Math.min(most, Number(a.length ?? 1) + Number(b.length ?? 1));
}
