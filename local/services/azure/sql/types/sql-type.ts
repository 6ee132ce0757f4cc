import { sqlError, unsupported } from "../errors.js";
import { type Collation, DEFAULT_COLLATION } from "./collation.js";

/** Names of the scalar types, the ones with more precedence first. */
export const TYPE_NAMES = [
  "datetimeoffset",
  "datetime2",
  "datetime",
  "smalldatetime",
  "date",
  "time",
  "float",
  "real",
  "decimal",
  "money",
  "smallmoney",
  "bigint",
  "int",
  "smallint",
  "tinyint",
  "bit",
  "uniqueidentifier",
  "nvarchar",
  "nchar",
  "varchar",
  "char",
  "varbinary",
  "binary",
] as const;

export type TypeName = (typeof TYPE_NAMES)[number];
export type Family = "integer" | "decimal" | "float" | "string" | "binary" | "moment" | "guid";

/** A declared type. Of a decimal `length` is nothing; of strings it counts UTF-16 units, of binaries bytes. */
export interface SqlType {
  readonly name: TypeName;
  readonly length?: number | "max";
  readonly precision?: number;
  readonly scale?: number;
  readonly collation?: Collation;
  /** The collation was asked for by COLLATE, and wins over those of columns. */
  readonly explicitCollation?: boolean;
  /** The type of the literal NULL, which takes that of whatever it meets. */
  readonly untyped?: boolean;
}

const FAMILIES: Readonly<Record<TypeName, Family>> = {
  datetimeoffset: "moment",
  datetime2: "moment",
  datetime: "moment",
  smalldatetime: "moment",
  date: "moment",
  time: "moment",
  float: "float",
  real: "float",
  decimal: "decimal",
  money: "decimal",
  smallmoney: "decimal",
  bigint: "integer",
  int: "integer",
  smallint: "integer",
  tinyint: "integer",
  bit: "integer",
  uniqueidentifier: "guid",
  nvarchar: "string",
  nchar: "string",
  varchar: "string",
  char: "string",
  varbinary: "binary",
  binary: "binary",
};

export const BIT: SqlType = { name: "bit" };
export const TINYINT: SqlType = { name: "tinyint" };
export const SMALLINT: SqlType = { name: "smallint" };
export const INT: SqlType = { name: "int" };
export const BIGINT: SqlType = { name: "bigint" };
export const FLOAT: SqlType = { name: "float" };
export const DATE: SqlType = { name: "date" };
export const DATETIME: SqlType = { name: "datetime" };
export const DATETIME2: SqlType = { name: "datetime2", scale: 7 };
export const GUID: SqlType = { name: "uniqueidentifier" };
export const SYSNAME: SqlType = { name: "nvarchar", length: 128 };
export const NVARCHAR_MAX: SqlType = { name: "nvarchar", length: "max" };
export const NULL_TYPE: SqlType = { name: "int", untyped: true };
export const nvarchar = (length: number | "max"): SqlType => ({ name: "nvarchar", length });
export const varchar = (length: number | "max"): SqlType => ({ name: "varchar", length });
export const varbinary = (length: number | "max"): SqlType => ({ name: "varbinary", length });
export const decimal = (precision: number, scale: number): SqlType => ({ name: "decimal", precision, scale });

export const familyOf = ({ name }: SqlType): Family => FAMILIES[name];
export const isString = (type: SqlType): boolean => FAMILIES[type.name] === "string";
export const isNumeric = (type: SqlType): boolean => ["integer", "decimal", "float"].includes(FAMILIES[type.name]);
export const isMoment = (type: SqlType): boolean => FAMILIES[type.name] === "moment";
export const isUnicode = ({ name }: SqlType): boolean => name === "nvarchar" || name === "nchar";
export const isFixed = ({ name }: SqlType): boolean => name === "char" || name === "nchar" || name === "binary";
export const collationOf = ({ collation }: SqlType): Collation => collation ?? DEFAULT_COLLATION;

/** Digits after the point. */
export function scaleOf({ name, scale }: SqlType): number {
  if (name === "money" || name === "smallmoney") return 4;
  if (name === "datetime2" || name === "datetimeoffset" || name === "time") return scale ?? 7;
  if (name === "datetime") return 3;
  return scale ?? 0;
}

export function precisionOf(type: SqlType): number {
  switch (type.name) {
    case "bit":
      return 1;
    case "tinyint":
      return 3;
    case "smallint":
      return 5;
    case "int":
    case "smallmoney":
      return 10;
    case "bigint":
    case "money":
      return 19;
    case "real":
      return 24;
    case "float":
      return 53;
    default:
      return type.precision ?? 18;
  }
}

/** As messages and `sys.types` call it. */
export function typeName({ name, precision }: SqlType): string {
  return name === "decimal" && precision !== undefined ? "decimal" : name;
}

/** How a person would declare it: `nvarchar(50)`, `decimal(10,2)`. */
export function declaration(type: SqlType): string {
  const { name, length, precision, scale } = type;
  if (length !== undefined) return `${name}(${length})`;
  if (name === "decimal") return `${name}(${precision ?? 18},${scale ?? 0})`;
  if (scale !== undefined) return `${name}(${scale})`;
  return name;
}

const ALIASES: Readonly<Record<string, string>> = {
  integer: "int",
  dec: "decimal",
  numeric: "decimal",
  character: "char",
  rowversion: "timestamp",
  "char varying": "varchar",
  "character varying": "varchar",
  "national char": "nchar",
  "national char varying": "nvarchar",
  "national character varying": "nvarchar",
  "double precision": "float",
};

/** A type by what was written: its name in any case, and what stood in parentheses. @throws SqlError 2715, 2717, 2750 */
export function declaredType(written: string, given: readonly (number | "max")[], context: "column" | "cast" = "column"): SqlType {
  const lower = written.toLowerCase();
  const name = ALIASES[lower] ?? lower;
  const [first, second] = given;
  if (name === "sysname") return SYSNAME;
  if (
    ["text", "ntext", "image", "xml", "sql_variant", "timestamp", "hierarchyid", "geography", "geometry", "vector", "json"].includes(name)
  ) {
    throw unsupported(written, `the type ${name.toUpperCase()}`);
  }
  if (!(TYPE_NAMES as readonly string[]).includes(name)) throw sqlError(2715, 1, written);
  const typed = name as TypeName;
  switch (typed) {
    case "nvarchar":
    case "nchar":
    case "varchar":
    case "char":
    case "varbinary":
    case "binary": {
      if (first === "max" && isFixed({ name: typed })) throw sqlError(102, "max");
      const length = first ?? (context === "cast" ? 30 : 1);
      const most = typed.startsWith("n") ? 4000 : 8000;
      if (length !== "max" && (length < 1 || length > most)) throw sqlError(2717, length, "type", written, most);
      return { name: typed, length };
    }
    case "decimal": {
      const precision = first === undefined ? 18 : Number(first);
      const scale = second === undefined ? 0 : Number(second);
      if (!(precision >= 1 && precision <= 38)) throw sqlError(2750, 1, precision, 38);
      if (scale > precision) throw sqlError(2750, 1, scale, precision);
      return decimal(precision, scale);
    }
    case "float":
      return first !== undefined && Number(first) <= 24 ? { name: "real" } : FLOAT;
    case "datetime2":
    case "datetimeoffset":
    case "time": {
      const scale = first === undefined ? 7 : Number(first);
      if (!(scale >= 0 && scale <= 7)) throw sqlError(1002, scale);
      return { name: typed, scale };
    }
    default:
      if (first !== undefined) throw sqlError(2716, 1, written);
      return { name: typed };
  }
}

/** The type that two meet in: that of more precedence, wide enough for both. @throws SqlError 206, 468 */
export function commonType(a: SqlType, b: SqlType): SqlType {
  if (a.untyped) return b;
  if (b.untyped) return a;
  const [high, low] = TYPE_NAMES.indexOf(a.name) <= TYPE_NAMES.indexOf(b.name) ? [a, b] : [b, a];
  const families = [familyOf(high), familyOf(low)];
  if (families[0] === "string" && families[1] === "string") {
    const length = widest(a, b);
    const name = isFixed(a) && isFixed(b) ? high.name : isUnicode(high) ? "nvarchar" : "varchar";
    const collation = commonCollation(a, b);
    return { name, length: length === "max" ? "max" : Math.min(length, isUnicode(high) ? 4000 : 8000), ...collation };
  }
  if (families[0] === "binary" && families[1] === "binary")
    return { name: isFixed(a) && isFixed(b) ? "binary" : "varbinary", length: widest(a, b) };
  if (high.name === "decimal" || (familyOf(high) === "decimal" && familyOf(low) === "decimal")) {
    if (familyOf(low) === "decimal" || familyOf(low) === "integer") {
      const scale = Math.max(scaleOf(a), scaleOf(b));
      const whole = Math.max(precisionOf(a) - scaleOf(a), precisionOf(b) - scaleOf(b));
      return high.name === "decimal" ? decimal(Math.min(38, whole + scale), scale) : high;
    }
  }
  if (familyOf(high) === "moment" && familyOf(low) === "moment" && !["date", "datetime", "smalldatetime"].includes(high.name)) {
    return { name: high.name, scale: Math.max(scaleOf(high), scaleOf(low)) };
  }
  if ((families[0] === "moment" || families[0] === "guid") && (families[1] === "float" || families[1] === "decimal")) {
    throw sqlError(206, typeName(low), typeName(high));
  }
  return high;
}

function widest(a: SqlType, b: SqlType): number | "max" {
  if (a.length === "max" || b.length === "max") return "max";
  return Math.max(a.length ?? 1, b.length ?? 1);
}

/** Which collation two strings are compared by. @throws SqlError 468 */
export function commonCollation(a: SqlType, b: SqlType): Pick<SqlType, "collation" | "explicitCollation"> {
  if (a.explicitCollation || b.explicitCollation) {
    const { collation } = a.explicitCollation ? a : b;
    return collation ? { collation, explicitCollation: true } : {};
  }
  if (a.collation && b.collation && a.collation.name !== b.collation.name) throw sqlError(468, a.collation.name, b.collation.name);
  const collation = a.collation ?? b.collation;
  return collation ? { collation } : {};
}
