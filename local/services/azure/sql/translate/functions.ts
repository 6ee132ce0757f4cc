import { sqlError } from "../errors.js";
import {
  BIGINT,
  commonCollation,
  DATETIME,
  DATETIME2,
  decimal,
  FLOAT,
  familyOf,
  GUID,
  INT,
  isNumeric,
  isString,
  isUnicode,
  NVARCHAR_MAX,
  nvarchar,
  precisionOf,
  type SqlType,
  SYSNAME,
  scaleOf,
  typeName,
  varbinary,
  varchar,
} from "../types/sql-type.js";
import { cast, coerce, comparable, keySql, literal, text, unify, withoutCollation } from "./coerce.js";
import type { Environment } from "./environment.js";
import { METADATA } from "./metadata.js";
import type { Emitted } from "./scope.js";

interface ScalarFunction {
  least: number;
  most: number;
  emit(given: Emitted[], environment: Environment, name: string): Emitted;
}

const wide = (type: SqlType): SqlType => ({ name: isUnicode(type) ? "nvarchar" : "varchar", length: type.length ?? 1, ...kept(type) });
const kept = ({ collation }: SqlType): Partial<SqlType> => (collation ? { collation } : {});
const strings = (given: Emitted): Emitted => (isString(given.type) ? given : coerce(given, nvarchar(4000)));
const sized = (type: SqlType, length: number | "max"): SqlType => ({ ...wide(type), length });
const grown = (type: SqlType): SqlType => sized(type, type.length === "max" ? "max" : isUnicode(type) ? 4000 : 8000);
const at = (given: readonly Emitted[], index: number): Emitted => given[index] as Emitted;

/** A function that only computes: `sql` of its converted arguments. */
function computed(
  types: readonly (SqlType | "string" | "any")[],
  result: SqlType | ((given: Emitted[]) => SqlType),
  call: string,
  least = types.length,
): ScalarFunction {
  return {
    least,
    most: types.length,
    emit(given) {
      const converted = given.map((value, index) => {
        const type = types[index] ?? "any";
        return type === "any" ? value : type === "string" ? strings(value) : coerce(value, type);
      });
      const padded = types.map((_, index) => converted[index]?.sql ?? "NULL");
      return { sql: `${call}(${padded.join(", ")})`, type: typeof result === "function" ? result(converted) : result };
    },
  };
}

const fixed = (sql: (environment: Environment) => string, type: SqlType): ScalarFunction => ({
  least: 0,
  most: 0,
  emit: (_, environment) => ({ sql: sql(environment), type, required: true }),
});

const system = (): ScalarFunction => ({
  least: 0,
  most: 0,
  emit: (_, environment, name) => {
    const { type, value } = environment.system(name) ?? { type: INT, value: null };
    return literal(value, type);
  },
});

const moment = (type: SqlType): ScalarFunction =>
  fixed(
    ({ now }) =>
      `cv(${text(now)}, 'datetime2(7)', ${text(type.name === "datetime" ? "datetime" : type.name === "datetimeoffset" ? "datetimeoffset(7)" : "datetime2(7)")}, 0, 0)`,
    type,
  );

/** Of the numeric types that a function keeps; all others become float. */
const numericResult = ([given]: Emitted[]): SqlType => (given && isNumeric(given.type) ? promoted(given.type) : FLOAT);
const promoted = (type: SqlType): SqlType =>
  familyOf(type) === "integer" && type.name !== "bigint" ? INT : type.name === "real" ? FLOAT : type;

function numeric(call: string): ScalarFunction {
  return {
    least: 1,
    most: 1,
    emit([value]) {
      const type = numericResult([value as Emitted]);
      const operand = coerce(value as Emitted, type);
      const result =
        familyOf(type) === "decimal" && (call === "floor_" || call === "ceiling_") && type.name === "decimal"
          ? decimal(precisionOf(type), 0)
          : type;
      return { sql: `${call}(${operand.sql}, ${scaleOf(type)}, ${scaleOf(result)})`, type: result };
    },
  };
}

const floating = (call: string): ScalarFunction => computed([FLOAT], FLOAT, call);

function datePart(given: Emitted[], index = 0): string {
  const part = given[index]?.constant;
  return text(DATE_PARTS[String(part)] ?? raise(sqlError(155, part)));
}

function raise(error: Error): never {
  throw error;
}

const DATE_PARTS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries({
    year: ["yy", "yyyy"],
    quarter: ["qq", "q"],
    month: ["mm", "m"],
    dayofyear: ["dy", "y"],
    day: ["dd", "d"],
    week: ["wk", "ww"],
    weekday: ["dw", "w"],
    hour: ["hh"],
    minute: ["mi", "n"],
    second: ["ss", "s"],
    millisecond: ["ms"],
    microsecond: ["mcs"],
    nanosecond: ["ns"],
    iso_week: ["isowk", "isoww"],
    tzoffset: ["tz"],
  }).flatMap(([part, short]) => [part, ...short].map((name) => [name, part])),
);

/** A date or what becomes one: strings are read as datetime2. */
const momentOf = (value: Emitted): Emitted =>
  familyOf(value.type) === "moment" ? value : isString(value.type) ? coerce(value, DATETIME2) : coerce(value, DATETIME);
const momentKind = ({ type }: Emitted): string =>
  text(type.name === "datetime2" || type.name === "datetimeoffset" || type.name === "time" ? `${type.name}(${scaleOf(type)})` : type.name);

function coalesce(given: Emitted[]): Emitted {
  const type = unify(given);
  return {
    sql: `coalesce(${given.map((value) => coerce(value, type).sql).join(", ")})`,
    type,
    required: given.some(({ required }) => required),
  };
}

function extreme(pick: "max" | "min"): ScalarFunction {
  return {
    least: 1,
    most: 254,
    emit(given) {
      const type = unify(given);
      const operands = given.filter(({ type: own }) => !own.untyped).map((value) => coerce(value, type).sql);
      if (isString(type)) throw sqlError(8116, typeName(type), 1, pick);
      const comparison = pick === "max" ? ">=" : "<=";
      const sql = operands.reduce(
        (left, right) =>
          `CASE WHEN (${left}) IS NULL OR (${right}) ${comparison} (${left}) THEN coalesce(${right}, ${left}) ELSE ${left} END`,
      );
      return { sql, type };
    },
  };
}

function concat(given: Emitted[], separator?: Emitted): Emitted {
  const parts = given.map((value) => (isString(value.type) ? value : cast(value, nvarchar(4000))));
  const length = parts.some(({ type }) => type.length === "max")
    ? "max"
    : Math.min(
        4000,
        parts.reduce((sum, { type }) => sum + Number(type.length ?? 1), 0),
      );
  const unicode = parts.some(({ type }) => isUnicode(type)) || given.some(({ type }) => !isString(type));
  const type: SqlType = { name: unicode ? "nvarchar" : "varchar", length };
  const sql = separator
    ? `concat_ws(${[separator, ...parts].map((part) => part.sql).join(", ")})`
    : `concat(${parts.map((part) => part.sql).join(", ")})`;
  return { sql, type, required: true };
}

function folded(given: Emitted, other: Emitted): [string, string, string] {
  const collation = commonCollation(given.type, other.type);
  const fold = keySql("x", { ...withoutCollation(given.type), ...collation });
  return [given.sql, other.sql, text(fold.replace(/\(.*$/, ""))];
}

export const FUNCTIONS: Readonly<Record<string, ScalarFunction>> = {
  ISNULL: {
    least: 2,
    most: 2,
    emit([value, other]) {
      const first = value as Emitted;
      const type = first.type.untyped ? (other as Emitted).type : first.type;
      return {
        sql: `coalesce(${coerce(first, type).sql}, ${coerce(other as Emitted, type).sql})`,
        type,
        required: first.required === true || (other as Emitted).required === true,
      };
    },
  },
  COALESCE: { least: 2, most: 254, emit: coalesce },
  NULLIF: {
    least: 2,
    most: 2,
    emit([left, right]) {
      const [a, b] = comparable(left as Emitted, right as Emitted);
      return { sql: `CASE WHEN ${a} = ${b} THEN NULL ELSE ${(left as Emitted).sql} END`, type: (left as Emitted).type };
    },
  },
  CHOOSE: {
    least: 2,
    most: 254,
    emit([index, ...values]) {
      const type = unify(values);
      const branches = values.map((value, position) => `WHEN ${position + 1} THEN ${coerce(value, type).sql}`);
      return { sql: `CASE ${coerce(index as Emitted, INT).sql} ${branches.join(" ")} END`, type };
    },
  },
  GREATEST: extreme("max"),
  LEAST: extreme("min"),

  LEN: computed(["string"], INT, "len_"),
  DATALENGTH: {
    least: 1,
    most: 1,
    emit: ([value]) => ({
      sql: `datalength_((${at([value as Emitted], 0).sql}), ${text((value as Emitted).type.name)}, ${precisionOf((value as Emitted).type)})`,
      type: INT,
    }),
  },
  LEFT: computed(["string", INT], ([value]) => wide((value as Emitted).type), "left_"),
  RIGHT: computed(["string", INT], ([value]) => wide((value as Emitted).type), "right_"),
  SUBSTRING: {
    least: 3,
    most: 3,
    emit([value, start, length]) {
      const given = value as Emitted;
      const operand = familyOf(given.type) === "binary" ? given : strings(given);
      const type: SqlType =
        familyOf(operand.type) === "binary" ? { name: "varbinary", length: operand.type.length ?? 1 } : wide(operand.type);
      return { sql: `substring_(${operand.sql}, ${coerce(start as Emitted, INT).sql}, ${coerce(length as Emitted, BIGINT).sql})`, type };
    },
  },
  CHARINDEX: {
    least: 2,
    most: 3,
    emit([find, within, start]) {
      const [needle, haystack, fold] = folded(strings(find as Emitted), strings(within as Emitted));
      return { sql: `charindex_(${needle}, ${haystack}, ${start ? coerce(start, INT).sql : "1"}, ${fold})`, type: INT };
    },
  },
  PATINDEX: {
    least: 2,
    most: 2,
    emit([pattern, within]) {
      const [needle, haystack, fold] = folded(strings(pattern as Emitted), strings(within as Emitted));
      return { sql: `patindex_(${needle}, ${haystack}, ${fold})`, type: INT };
    },
  },
  REPLACE: {
    least: 3,
    most: 3,
    emit([value, find, replacement]) {
      const subject = strings(value as Emitted);
      const [haystack, needle, fold] = folded(subject, strings(find as Emitted));
      return { sql: `replace_(${haystack}, ${needle}, ${strings(replacement as Emitted).sql}, ${fold})`, type: grown(subject.type) };
    },
  },
  STUFF: computed(["string", INT, INT, "string"], ([value]) => grown((value as Emitted).type), "stuff_"),
  REVERSE: computed(["string"], ([value]) => wide((value as Emitted).type), "reverse_"),
  REPLICATE: computed(["string", INT], ([value]) => grown((value as Emitted).type), "replicate_"),
  SPACE: computed([INT], varchar(8000), "space_"),
  UPPER: computed(["string"], ([value]) => wide((value as Emitted).type), "upper_"),
  LOWER: computed(["string"], ([value]) => wide((value as Emitted).type), "lower_"),
  LTRIM: computed(["string", "string"], ([value]) => wide((value as Emitted).type), "ltrim_", 1),
  RTRIM: computed(["string", "string"], ([value]) => wide((value as Emitted).type), "rtrim_", 1),
  TRIM: computed(["string", "string"], ([value]) => wide((value as Emitted).type), "trim_", 1),
  CONCAT: { least: 2, most: 254, emit: (given) => concat(given) },
  CONCAT_WS: { least: 3, most: 254, emit: ([separator, ...given]) => concat(given, strings(separator as Emitted)) },
  ASCII: computed(["string"], INT, "ascii_"),
  UNICODE: computed(["string"], INT, "unicode_"),
  CHAR: computed([INT], { name: "char", length: 1 }, "char_"),
  NCHAR: computed([INT], { name: "nchar", length: 1 }, "nchar_"),
  QUOTENAME: computed([SYSNAME, nvarchar(1)], nvarchar(258), "quotename_", 1),
  TRANSLATE: computed(["string", "string", "string"], ([value]) => wide((value as Emitted).type), "translate_"),
  STR: computed([FLOAT, INT, INT], varchar(8000), "str_", 1),
  STRING_ESCAPE: computed(["string", "string"], NVARCHAR_MAX, "string_escape_"),

  ABS: numeric("abs_"),
  SIGN: numeric("sign_"),
  FLOOR: numeric("floor_"),
  CEILING: numeric("ceiling_"),
  ROUND: {
    least: 2,
    most: 3,
    emit([value, digits, truncate]) {
      const type = numericResult([value as Emitted]);
      const operand = coerce(value as Emitted, type);
      const how = truncate ? coerce(truncate, INT).sql : "0";
      return {
        sql: `round_(${operand.sql}, ${coerce(digits as Emitted, INT).sql}, ${how}, ${scaleOf(type)}, ${text(familyOf(type))})`,
        type,
      };
    },
  },
  POWER: {
    least: 2,
    most: 2,
    emit([value, power]) {
      const type = numericResult([value as Emitted]);
      const result: Emitted = {
        sql: `power_(${coerce(value as Emitted, FLOAT).sql}, ${coerce(power as Emitted, FLOAT).sql})`,
        type: FLOAT,
      };
      return type.name === "float" ? result : cast(result, type);
    },
  },
  SQRT: floating("sqrt_"),
  SQUARE: floating("square_"),
  EXP: floating("exp_"),
  LOG: computed([FLOAT, FLOAT], FLOAT, "log_", 1),
  LOG10: floating("log10_"),
  SIN: floating("sin_"),
  COS: floating("cos_"),
  TAN: floating("tan_"),
  ASIN: floating("asin_"),
  ACOS: floating("acos_"),
  ATAN: floating("atan_"),
  ATN2: computed([FLOAT, FLOAT], FLOAT, "atan2_"),
  RADIANS: floating("radians_"),
  DEGREES: floating("degrees_"),
  PI: fixed(() => String(Math.PI), FLOAT),
  RAND: { least: 0, most: 1, emit: () => ({ sql: "rand_()", type: FLOAT, required: true }) },
  ISNUMERIC: computed([nvarchar(4000)], INT, "isnumeric_"),

  SYSUTCDATETIME: moment(DATETIME2),
  SYSDATETIME: moment(DATETIME2),
  SYSDATETIMEOFFSET: moment({ name: "datetimeoffset", scale: 7 }),
  GETUTCDATE: moment(DATETIME),
  GETDATE: moment(DATETIME),
  CURRENT_TIMESTAMP: moment(DATETIME),
  CURRENT_DATE: fixed(({ now }) => text(now.slice(0, 10)), { name: "date" }),
  DATEADD: {
    least: 3,
    most: 3,
    emit(given) {
      const value = momentOf(at(given, 2));
      const type = isString(at(given, 2).type) ? DATETIME : value.type;
      const operand = coerce(value, type);
      return { sql: `dateadd_(${datePart(given)}, ${coerce(at(given, 1), BIGINT).sql}, ${operand.sql}, ${momentKind(operand)})`, type };
    },
  },
  DATEDIFF: {
    least: 3,
    most: 3,
    emit: (given) => ({ sql: `datediff_(${datePart(given)}, ${momentOf(at(given, 1)).sql}, ${momentOf(at(given, 2)).sql}, 0)`, type: INT }),
  },
  DATEDIFF_BIG: {
    least: 3,
    most: 3,
    emit: (given) => ({
      sql: `datediff_(${datePart(given)}, ${momentOf(at(given, 1)).sql}, ${momentOf(at(given, 2)).sql}, 1)`,
      type: BIGINT,
    }),
  },
  DATEPART: { least: 2, most: 2, emit: (given) => ({ sql: `datepart_(${datePart(given)}, ${momentOf(at(given, 1)).sql})`, type: INT }) },
  DATENAME: {
    least: 2,
    most: 2,
    emit: (given) => ({ sql: `datename_(${datePart(given)}, ${momentOf(at(given, 1)).sql})`, type: nvarchar(30) }),
  },
  DATETRUNC: {
    least: 2,
    most: 2,
    emit(given) {
      const value = momentOf(at(given, 1));
      return { sql: `datetrunc_(${datePart(given)}, ${value.sql}, ${momentKind(value)})`, type: value.type };
    },
  },
  YEAR: { least: 1, most: 1, emit: ([value]) => ({ sql: `datepart_('year', ${momentOf(value as Emitted).sql})`, type: INT }) },
  MONTH: { least: 1, most: 1, emit: ([value]) => ({ sql: `datepart_('month', ${momentOf(value as Emitted).sql})`, type: INT }) },
  DAY: { least: 1, most: 1, emit: ([value]) => ({ sql: `datepart_('day', ${momentOf(value as Emitted).sql})`, type: INT }) },
  EOMONTH: {
    least: 1,
    most: 2,
    emit: ([value, months]) => ({
      sql: `eomonth_(${momentOf(value as Emitted).sql}, ${months ? coerce(months, INT).sql : "0"})`,
      type: { name: "date" },
    }),
  },
  DATEFROMPARTS: computed([INT, INT, INT], { name: "date" }, "datefromparts_"),
  ISDATE: computed([nvarchar(4000)], INT, "isdate_"),

  HASHBYTES: {
    least: 2,
    most: 2,
    emit([algorithm, value]) {
      const given = value as Emitted;
      if (!isString(given.type) && familyOf(given.type) !== "binary") throw sqlError(8116, typeName(given.type), 2, "hashbytes");
      return { sql: `hashbytes_(${(algorithm as Emitted).sql}, ${given.sql}, ${isUnicode(given.type) ? 1 : 0})`, type: varbinary(8000) };
    },
  },
  NEWID: fixed(() => "newid_()", GUID),
  JSON_VALUE: computed(["string", "string"], nvarchar(4000), "json_value_"),
  JSON_QUERY: computed(["string", "string"], NVARCHAR_MAX, "json_query_", 1),
  ISJSON: computed(["string"], INT, "isjson_"),

  SUSER_SNAME: system(),
  SUSER_NAME: system(),
  ORIGINAL_LOGIN: system(),
  SYSTEM_USER: system(),
  CURRENT_USER: system(),
  SESSION_USER: system(),
  USER: system(),
  APP_NAME: system(),
  HOST_NAME: system(),
  SCOPE_IDENTITY: system(),
  ROWCOUNT_BIG: system(),
  XACT_STATE: system(),
  ERROR_NUMBER: system(),
  ERROR_MESSAGE: system(),
  ERROR_SEVERITY: system(),
  ERROR_STATE: system(),
  ERROR_LINE: system(),
  ERROR_PROCEDURE: system(),
  SUSER_SID: system(),

  ...Object.fromEntries(
    Object.entries(METADATA).map(([name, [least, most, type, answer]]): [string, ScalarFunction] => [
      name,
      {
        least,
        most,
        emit(given, environment) {
          const [a, b, c] = [0, 1, 2].map((index) => given[index] ?? literal(null, INT)) as [Emitted, Emitted, Emitted];
          if (a.constant !== undefined && b.constant !== undefined && c.constant !== undefined) {
            return literal(answer(environment, a.constant, b.constant, c.constant), type);
          }
          return { sql: `metadata_('${name}', ${a.sql}, ${b.sql}, ${c.sql})`, type };
        },
      },
    ]),
  ),
};

/** Functions that exist, that are known not to be here. */
export const ABSENT = new Set(
  `FORMAT JSON_MODIFY JSON_OBJECT JSON_ARRAY JSON_PATH_EXISTS SOUNDEX DIFFERENCE CHECKSUM BINARY_CHECKSUM CHECKSUM_AGG STDEV STDEVP VAR VARP GROUPING GROUPING_ID
  APPROX_COUNT_DISTINCT PERCENTILE_CONT PERCENTILE_DISC NEWSEQUENTIALID COMPRESS DECOMPRESS SWITCHOFFSET TODATETIMEOFFSET DATETIMEFROMPARTS
  DATETIME2FROMPARTS SMALLDATETIMEFROMPARTS DATETIMEOFFSETFROMPARTS TIMEFROMPARTS DATE_BUCKET PARSENAME STATS_DATE FORMATMESSAGE CRYPT_GEN_RANDOM
  ENCRYPTBYKEY DECRYPTBYKEY GENERATE_SERIES CONTEXT_INFO MIN_ACTIVE_ROWVERSION PWDCOMPARE PWDENCRYPT COT EVENTDATA CURSOR_STATUS`.split(
    /\s+/,
  ),
);
