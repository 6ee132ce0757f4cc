import { sqlError } from "../errors.js";
import { comparisonKey } from "../types/collation.js";
import { convert, hex, type SqlValue } from "../types/convert.js";
import {
  collationOf,
  commonCollation,
  commonType,
  declaration,
  familyOf,
  isFixed,
  isString,
  isUnicode,
  precisionOf,
  type SqlType,
  scaleOf,
  typeName,
} from "../types/sql-type.js";
import type { Emitted } from "./scope.js";

export const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;

/** A value as SQLite writes it. */
export function literal(value: SqlValue, type: SqlType): Emitted {
  return { sql: literalSql(value, type), type, constant: value, required: value !== null };
}

function literalSql(value: SqlValue, type: SqlType): string {
  if (value === null) return "NULL";
  if (typeof value === "string") return text(value);
  if (value instanceof Uint8Array) return `x'${hex(value)}'`;
  if (familyOf(type) === "float" && Number.isInteger(value)) return `${Number(value).toExponential()}`;
  return String(value);
}

/** Is every value of one type, as it is kept, the same value of the other? */
function fitsUnchanged(from: SqlType, to: SqlType): boolean {
  const [source, target] = [familyOf(from), familyOf(to)];
  if (target === "float" && to.name === "float") return source === "integer" || source === "float";
  if (source !== target) return false;
  switch (target) {
    case "integer":
      return to.name === from.name || precisionOf(from) < precisionOf(to);
    case "decimal":
      return scaleOf(from) === scaleOf(to) && precisionOf(from) <= precisionOf(to);
    case "float":
      return from.name === to.name;
    case "string":
      if (isUnicode(from) && !isUnicode(to)) return false;
      return !isFixed(to) && (to.length === "max" || to.length === undefined || (from.length !== "max" && (from.length ?? 1) <= to.length));
    case "binary":
      return !isFixed(to) && (to.length === "max" || (from.length !== "max" && (from.length ?? 1) <= (to.length ?? 1)));
    case "moment":
      if (from.name === to.name) return scaleOf(from) <= scaleOf(to);
      return to.name === "datetime2" && (from.name === "datetime" || from.name === "smalldatetime") && scaleOf(to) === 7;
    case "guid":
      return true;
  }
}

const ALLOWED_NEVER: readonly (readonly [string, string])[] = [
  ["string", "binary"],
  ["moment", "integer"],
  ["moment", "decimal"],
  ["moment", "float"],
  ["moment", "binary"],
  ["guid", "integer"],
  ["integer", "guid"],
  ["float", "guid"],
  ["decimal", "guid"],
  ["moment", "guid"],
  ["guid", "moment"],
  ["float", "binary"],
];

/** Implicitly, as in an assignment or a comparison. @throws SqlError 206, 257 for types that do not meet without CAST */
export function coerce(given: Emitted, to: SqlType): Emitted {
  if (given.type.untyped) return { ...literal(null, to) };
  const [from, target] = [familyOf(given.type), familyOf(to)];
  if (ALLOWED_NEVER.some(([a, b]) => a === from && b === target)) {
    throw from === "string" || from === "moment"
      ? sqlError(257, typeName(given.type), typeName(to))
      : sqlError(206, typeName(given.type), typeName(to));
  }
  return cast(given, to);
}

/** Explicitly. What is constant is converted now where that succeeds. */
export function cast(given: Emitted, to: SqlType, style = 0, attempt = false): Emitted {
  if (given.type.untyped || given.constant === null) return literal(null, to);
  const required = given.required === true && !attempt;
  if (fitsUnchanged(given.type, to) && style === 0) return { ...given, type: { ...to, ...keptCollation(given.type, to) } };
  if (given.constant !== undefined) {
    try {
      return literal(convert(given.constant, given.type, to, { style }), to);
    } catch {
      // It fails when, and only if, it is computed.
    }
  }
  const call = `cv(${given.sql}, ${text(declaration(given.type))}, ${text(declaration(to))}, ${style}, ${attempt ? 1 : 0})`;
  return { sql: call, type: { ...to, ...keptCollation(given.type, to) }, required };
}

function keptCollation(from: SqlType, to: SqlType): Partial<SqlType> {
  if (!isString(to) || !isString(from) || to.collation) return {};
  return { ...(from.collation ? { collation: from.collation } : {}), ...(from.explicitCollation ? { explicitCollation: true } : {}) };
}

/** What stands for a value where equality and order are asked for. */
export function key(given: Emitted): string {
  if (!isString(given.type)) return given.sql;
  const collation = collationOf(given.type);
  if (typeof given.constant === "string") return text(comparisonKey(given.constant, collation));
  return keySql(given.sql, given.type);
}

export function keySql(sql: string, type: SqlType): string {
  if (!isString(type)) return sql;
  const { name, caseSensitive, accentSensitive } = collationOf(type);
  if (/_BIN2?$/i.test(name)) return `rtrim(${sql}, ' ')`;
  return `${caseSensitive ? "cs" : "ci"}_${accentSensitive ? "as" : "ai"}(${sql})`;
}

/** Two sides of a comparison, brought to where SQLite compares them as T-SQL would. */
export function comparable(left: Emitted, right: Emitted): [string, string] {
  if (isString(left.type) && isString(right.type)) {
    const collation = commonCollation(left.type, right.type);
    const under = (side: Emitted): string => key({ ...side, type: { ...withoutCollation(side.type), ...collation } });
    return [under(left), under(right)];
  }
  const type = commonType(left.type, right.type);
  return [key(coerceToCompare(left, type)), key(coerceToCompare(right, type))];
}

/** Numbers compare as they are unless a scale has to be moved. */
function coerceToCompare(side: Emitted, type: SqlType): Emitted {
  if (familyOf(side.type) === "integer" && familyOf(type) === "integer") return side;
  if (familyOf(side.type) === "decimal" && familyOf(type) === "decimal" && scaleOf(side.type) === scaleOf(type)) return side;
  if (familyOf(side.type) === "binary" && familyOf(type) === "binary") return side;
  return coerce(side, type);
}

export function withoutCollation(type: SqlType): SqlType {
  const { collation: _, explicitCollation: __, ...rest } = type;
  return rest;
}

/** What several branches (CASE, COALESCE, UNION) become together. */
export function unify(branches: readonly Emitted[]): SqlType {
  return branches.map(({ type }) => type).reduce(commonType);
}
