import { createHash, randomUUID } from "node:crypto";
import { sqlError } from "../errors.js";
import type { Environment } from "../translate/environment.js";
import { METADATA } from "../translate/metadata.js";
import { bytesOf } from "../types/codepage.js";
import { type Collation, comparisonKey } from "../types/collation.js";
import { checkedDecimal, convert, rescale, type SqlValue, small } from "../types/convert.js";
import { jsonAt, jsonScalar, openJson, parseJson } from "../types/json.js";
import { likePattern } from "../types/like.js";
import {
  addTicks,
  civil,
  dayOf,
  daysIn,
  load,
  type Moment,
  parseMoment,
  store,
  TICKS_PER_DAY,
  TICKS_PER_SECOND,
  toPrecision,
  within,
} from "../types/moment.js";
import { decimal, declaredType, type SqlType } from "../types/sql-type.js";

type Value = SqlValue;
type Implementation = (...given: Value[]) => Value;

/** Types by how they are declared: `nvarchar(50)`. */
const types = new Map<string, SqlType>();
export function typeByDeclaration(written: string): SqlType {
  let found = types.get(written);
  if (!found) {
    const [, name = "", list] = /^(\w+)(?:\(([^)]*)\))?$/.exec(written) ?? [];
    const given = list?.split(",").map((part) => (part === "max" ? ("max" as const) : Number(part))) ?? [];
    found = declaredType(name, given);
    types.set(written, found);
  }
  return found;
}

const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  tinyint: [0, 255],
  smallint: [-32_768, 32_767],
  int: [-2_147_483_648, 2_147_483_647],
};

const big = (value: Value): bigint => BigInt(value as number | bigint);
const num = (value: Value): number => Number(value);
const str = (value: Value): string => value as string;
const units = (part: string): bigint | undefined => UNITS[part];
const UNITS: Readonly<Record<string, bigint>> = {
  week: 604_800n * 10_000_000n,
  weekday: 86_400n * 10_000_000n,
  day: 86_400n * 10_000_000n,
  dayofyear: 86_400n * 10_000_000n,
  hour: 3_600n * 10_000_000n,
  minute: 60n * 10_000_000n,
  second: 10_000_000n,
  millisecond: 10_000n,
  microsecond: 10n,
};

/** Ways to compare, by the function that makes the key. */
const COLLATIONS: Readonly<Record<string, Collation>> = {
  ci_as: { name: "", caseSensitive: false, accentSensitive: true },
  ci_ai: { name: "", caseSensitive: false, accentSensitive: false },
  cs_as: { name: "", caseSensitive: true, accentSensitive: true },
  cs_ai: { name: "", caseSensitive: true, accentSensitive: false },
};
const plain = (text: string): string => text.normalize("NFD").replace(/\p{M}+/gu, "");
/** For searches within strings, where every character keeps its place. */
function fold(text: Value, how: Value): string {
  const { caseSensitive = true, accentSensitive = true } = COLLATIONS[str(how)] ?? {};
  const cased = caseSensitive ? str(text) : str(text).toLowerCase();
  return accentSensitive ? cased : plain(cased);
}
const isExact = (how: Value): boolean => COLLATIONS[str(how)]?.caseSensitive ?? true;
const trimmed = (text: string): string => (text.endsWith(" ") ? text.replace(/ +$/, "") : text);

const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

/** Functions of the data alone. NULL in, NULL out, but for those in {@link WITH_NULL}. */
const PURE: Readonly<Record<string, Implementation>> = {
  ci_as: (text) => comparisonKey(str(text), COLLATIONS.ci_as as Collation),
  ci_ai: (text) => comparisonKey(str(text), COLLATIONS.ci_ai as Collation),
  cs_as: (text) => comparisonKey(str(text), COLLATIONS.cs_as as Collation),
  cs_ai: (text) => comparisonKey(str(text), COLLATIONS.cs_ai as Collation),
  cv(value, from, to, style, attempt) {
    const [source, target] = [typeByDeclaration(str(from)), typeByDeclaration(str(to))];
    try {
      return convert(value, source, target, { style: num(style) });
    } catch (error) {
      if (attempt) return null;
      throw error;
    }
  },
  rng(value, type) {
    const range = RANGES[str(type)];
    if (
      typeof value === "bigint"
        ? range !== undefined
        : !Number.isSafeInteger(value) || (range && (num(value) < range[0] || num(value) > range[1]))
    ) {
      throw type === "tinyint" || type === "smallint" ? sqlError(220, type, value) : sqlError(8115, "expression", type);
    }
    return value;
  },
  idiv(a, b) {
    if (num(b) === 0) throw sqlError(8134);
    return small(big(a) / big(b));
  },
  imod(a, b) {
    if (num(b) === 0) throw sqlError(8134);
    return small(big(a) % big(b));
  },
  fdiv(a, b) {
    if (num(b) === 0) throw sqlError(8134);
    return num(a) / num(b);
  },
  fmod_(a, b) {
    if (num(b) === 0) throw sqlError(8134);
    return num(a) % num(b);
  },
  dec(operator, left, leftScale, right, rightScale, precision, scale) {
    const [a, sa, b, sb] = [big(left), num(leftScale), big(right), num(rightScale)];
    const [p, s] = [num(precision), num(scale)];
    const most = Math.max(sa, sb);
    let result: bigint;
    switch (operator) {
      case "+":
        result = rescale(rescale(a, sa, most) + rescale(b, sb, most), most, s);
        break;
      case "-":
        result = rescale(rescale(a, sa, most) - rescale(b, sb, most), most, s);
        break;
      case "*":
        result = rescale(a * b, sa + sb, s);
        break;
      case "/": {
        if (b === 0n) throw sqlError(8134);
        // Truncated at the result's scale.
        const shift = s - sa + sb;
        result = shift >= 0 ? (a * 10n ** BigInt(shift)) / b : a / (b * 10n ** BigInt(-shift));
        break;
      }
      default: {
        if (b === 0n) throw sqlError(8134);
        result = rescale(rescale(a, sa, most) % rescale(b, sb, most), most, s);
      }
    }
    return checkedDecimal(result, decimal(p, s));
  },
  bcat: (a, b) => Buffer.concat([a as Uint8Array, b as Uint8Array]),
  one(value, count) {
    if (num(count) > 1) throw sqlError(512);
    return value;
  },
  tail: (text) => str(text).slice(str(text).indexOf("\u0001") + 1),
  rowlimit(count, clause) {
    if (count === null || num(count) < 0)
      throw clause === "offset" ? sqlError(10742) : clause === "fetch" ? sqlError(10744) : sqlError(127);
    if (clause === "fetch" && num(count) === 0) throw sqlError(10744);
    return count;
  },
  like_(text, pattern, mark, how) {
    if (text === null || pattern === null) return null;
    const accents = str(how).endsWith("_ai") ? plain : (given: string): string => given;
    return likePattern(accents(str(pattern)), mark as string | null, isExact(how)).test(accents(str(text))) ? 1 : 0;
  },

  len_: (text) => trimmed(str(text)).length,
  datalength_(value, type, precision) {
    if (value instanceof Uint8Array) return value.length;
    switch (type) {
      case "nvarchar":
      case "nchar":
        return str(value).length * 2;
      case "varchar":
      case "char":
        return str(value).length;
      case "bit":
      case "tinyint":
        return 1;
      case "smallint":
        return 2;
      case "int":
      case "real":
      case "smalldatetime":
      case "smallmoney":
        return 4;
      case "date":
        return 3;
      case "time":
        return 5;
      case "uniqueidentifier":
        return 16;
      case "decimal":
        return num(precision) <= 9 ? 5 : num(precision) <= 19 ? 9 : 17;
      case "datetimeoffset":
        return 10;
      default:
        return 8;
    }
  },
  left_(text, count) {
    if (num(count) < 0) throw sqlError(536, "left");
    return str(text).slice(0, num(count));
  },
  right_(text, count) {
    if (num(count) < 0) throw sqlError(536, "right");
    return num(count) === 0 ? "" : str(text).slice(-num(count));
  },
  substring_(value, start, length) {
    const [from, count] = [num(start) - 1, num(length)];
    if (count < 0) throw sqlError(537);
    const [begin, end] = [Math.max(0, from), Math.max(0, from + count)];
    return value instanceof Uint8Array ? value.slice(begin, end) : str(value).slice(begin, end);
  },
  charindex_(needle, haystack, start, how) {
    if (needle === "") return 0;
    return fold(haystack, how).indexOf(fold(needle, how), Math.max(0, num(start) - 1)) + 1;
  },
  patindex_(pattern, text, how) {
    const [subject, mask] = [str(text), str(pattern)];
    const exact = isExact(how);
    if (!mask.startsWith("%")) return likePattern(mask, null, exact).test(subject) ? 1 : 0;
    const rest = mask.replace(/^%+/, "");
    for (let index = 0; index <= subject.length; index += 1)
      if (likePattern(rest, null, exact).test(subject.slice(index))) return index + 1;
    return 0;
  },
  replace_(text, find, replacement, how) {
    if (find === "") return text;
    const [subject, needle] = [fold(text, how), fold(find, how)];
    let [result, at] = ["", 0];
    for (;;) {
      const next = subject.indexOf(needle, at);
      if (next < 0) return result + str(text).slice(at);
      result += str(text).slice(at, next) + str(replacement);
      at = next + needle.length;
    }
  },
  reverse_: (text) => [...str(text)].reverse().join(""),
  replicate_: (text, count) => (num(count) < 0 ? null : str(text).repeat(num(count))),
  space_: (count) => (num(count) < 0 ? null : " ".repeat(num(count))),
  upper_: (text) => str(text).toUpperCase(),
  lower_: (text) => str(text).toLowerCase(),
  ltrim_: (text, characters) => stripped(str(text), characters as string | null, true, false),
  rtrim_: (text, characters) => stripped(str(text), characters as string | null, false, true),
  trim_: (text, characters) => stripped(str(text), characters as string | null, true, true),
  ascii_: (text) => (text === "" ? null : (bytesOf(str(text), false)[0] ?? null)),
  unicode_: (text) => str(text).codePointAt(0) ?? null,
  char_: (code) => (num(code) >= 1 && num(code) <= 255 ? String.fromCharCode(num(code)) : null),
  nchar_: (code) => (num(code) >= 1 && num(code) <= 65_535 ? String.fromCharCode(num(code)) : null),
  quotename_(text, mark) {
    const open = (mark as string | null) ?? "[";
    const close = { "[": "]", "(": ")", "<": ">", "{": "}" }[open] ?? open;
    return `${open}${str(text).replaceAll(close, close + close)}${close}`;
  },
  translate_(text, from, to) {
    const [sources, targets] = [[...str(from)], [...str(to)]];
    return [...str(text)].map((character) => targets[sources.indexOf(character)] ?? character).join("");
  },
  str_(value, length, decimals) {
    const width = length === null ? 10 : num(length);
    const written = num(value).toFixed(decimals === null ? 0 : num(decimals));
    return written.length > width ? "*".repeat(width) : written.padStart(width);
  },
  string_escape_: (text, _kind) => JSON.stringify(str(text)).slice(1, -1).replaceAll("/", "\\/"),

  abs_: (value, _scale, _to) => (typeof value === "number" ? Math.abs(value) : small(big(value) < 0n ? -big(value) : big(value))),
  sign_(value, scale, _to) {
    const sign = num(value) > 0 ? 1n : num(value) < 0 ? -1n : 0n;
    return small(sign * 10n ** BigInt(num(scale)));
  },
  floor_: (value, scale, to) => whole(value, num(scale), num(to), "down"),
  ceiling_: (value, scale, to) => whole(value, num(scale), num(to), "up"),
  round_(value, digits, truncate, scale, family) {
    const places = num(digits);
    if (family === "float") {
      const unit = 10 ** places;
      const scaled = num(value) * unit;
      return (truncate ? Math.trunc(scaled) : Math.sign(scaled) * Math.round(Math.abs(scaled))) / unit;
    }
    const keep = num(scale);
    if (places >= keep) return value;
    const unit = 10n ** BigInt(keep - places);
    const given = big(value);
    const half = truncate ? 0n : unit / 2n;
    return small(((given < 0n ? given - half : given + half) / unit) * unit);
  },
  power_: (value, power) => finite(num(value) ** num(power)),
  sqrt_: (value) => finite(Math.sqrt(num(value))),
  square_: (value) => num(value) ** 2,
  exp_: (value) => finite(Math.exp(num(value))),
  log_: (value, base) => finite(Math.log(num(value)) / (base === null ? 1 : Math.log(num(base)))),
  log10_: (value) => finite(Math.log10(num(value))),
  sin_: (value) => Math.sin(num(value)),
  cos_: (value) => Math.cos(num(value)),
  tan_: (value) => Math.tan(num(value)),
  asin_: (value) => finite(Math.asin(num(value))),
  acos_: (value) => finite(Math.acos(num(value))),
  atan_: (value) => Math.atan(num(value)),
  atan2_: (a, b) => Math.atan2(num(a), num(b)),
  radians_: (value) => (num(value) * Math.PI) / 180,
  degrees_: (value) => (num(value) * 180) / Math.PI,
  isnumeric_: (text) => (text !== null && /^\s*[+-]?[$]?(\d[\d,]*\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(str(text)) ? 1 : 0),

  dateadd_(part, amount, value, kind) {
    const type = typeByDeclaration(str(kind));
    const moment = load(str(value));
    const count = big(amount);
    const months = { year: 12n, quarter: 3n, month: 1n }[str(part)];
    let moved: Moment;
    if (months) moved = addMonths(moment, Number(months * count), type.name);
    else {
      const unit = units(str(part));
      const ticks =
        part === "nanosecond" ? count / 100n : unit === undefined ? raise(sqlError(9810, part, "dateadd", type.name)) : unit * count;
      const total = BigInt(moment.tick) + ticks;
      const perDay = BigInt(TICKS_PER_DAY);
      const days = total >= 0n ? total / perDay : -((-total + perDay - 1n) / perDay);
      moved = within({ ...moment, day: moment.day + Number(days), tick: Number(total - days * perDay) }, type.name);
    }
    return store(toPrecision(moved, type.name, type), type);
  },
  dayadd(value, days) {
    const whole = Math.floor(num(days));
    const moment = load(str(value));
    const moved = addTicks({ ...moment, day: moment.day + whole }, Math.round((num(days) - whole) * TICKS_PER_DAY), "datetime");
    return store(toPrecision(moved, "datetime", { name: "datetime" }), { name: "datetime" });
  },
  datediff_(part, from, to, wide) {
    const [a, b] = [load(str(from)), load(str(to))];
    const result = difference(str(part), a, b);
    if (!wide && (result > 2_147_483_647n || result < -2_147_483_648n)) throw sqlError(535, "datediff", "datediff");
    return small(result);
  },
  datepart_: (part, value) => partOf(str(part), load(str(value))),
  datename_(part, value) {
    const moment = load(str(value));
    if (part === "month") return MONTHS[civil(moment.day).month - 1] ?? null;
    if (part === "weekday") return WEEKDAYS[partOf("weekday", moment) - 1] ?? null;
    return String(partOf(str(part), moment));
  },
  datetrunc_(part, value, kind) {
    const moment = load(str(value));
    const { year, month } = civil(moment.day);
    const first = (at: number): Moment => ({ ...moment, day: dayOf(year, at, 1) ?? moment.day, tick: 0 });
    const unit = units(str(part));
    const cut =
      part === "year"
        ? first(1)
        : part === "quarter"
          ? first(month - ((month - 1) % 3))
          : part === "month"
            ? first(month)
            : part === "week"
              ? { ...moment, day: moment.day - (partOf("weekday", moment) - 1), tick: 0 }
              : unit === undefined
                ? raise(sqlError(9810, part, "datetrunc", "datetime2"))
                : { ...moment, tick: Math.floor(moment.tick / Number(unit)) * Number(unit) };
    return store(cut, typeByDeclaration(str(kind)));
  },
  eomonth_(value, months) {
    const moved = addMonths({ ...load(str(value)), tick: 0 }, num(months), "date");
    const { year, month } = civil(moved.day);
    return store({ day: dayOf(year, month, daysIn(year, month)) ?? moved.day, tick: 0 }, { name: "date" });
  },
  datefromparts_(year, month, day) {
    const found = dayOf(num(year), num(month), num(day));
    if (found === undefined) throw sqlError(289, "date");
    return store({ day: found, tick: 0 }, { name: "date" });
  },
  isdate_(text) {
    try {
      return text !== null && str(text).trim() !== "" && parseMoment(str(text)).day >= 639_905 ? 1 : 0;
    } catch {
      return 0;
    }
  },

  hashbytes_(algorithm, value, unicode) {
    const name = { SHA2_256: "sha256", SHA2_512: "sha512", SHA: "sha1", SHA1: "sha1", MD5: "md5" }[str(algorithm).toUpperCase()];
    if (!name) return null;
    return createHash(name)
      .update(value instanceof Uint8Array ? value : bytesOf(str(value), Boolean(unicode)))
      .digest();
  },
  json_value_: (json, path) => jsonScalar(jsonAt(parseJson(str(json)), str(path))),
  json_query_(json, path) {
    const found = jsonAt(parseJson(str(json)), (path as string | null) ?? "$");
    return typeof found === "object" && found !== null ? JSON.stringify(found) : null;
  },
  isjson_(json) {
    try {
      const found = parseJson(str(json));
      return typeof found === "object" && found !== null ? 1 : 0;
    } catch {
      return 0;
    }
  },
  openjson_: (json, path, schema) => openJson(str(json), str(path), Boolean(schema)),
  split_(text, separator) {
    if ([...str(separator)].length !== 1) throw sqlError(214);
    return JSON.stringify(str(text).split(str(separator)));
  },
  stuff_(text, start, length, insertion) {
    const [subject, from, count] = [str(text), num(start), num(length)];
    if (from < 1 || from > subject.length || count < 0) return null;
    return subject.slice(0, from - 1) + ((insertion as string | null) ?? "") + subject.slice(from - 1 + count);
  },
};

/** Functions that are given NULL too. */
const WITH_NULL = new Set([
  "like_",
  "one",
  "rowlimit",
  "stuff_",
  "isnumeric_",
  "isdate_",
  "quotename_",
  "ltrim_",
  "rtrim_",
  "trim_",
  "str_",
  "log_",
  "json_query_",
  "hashbytes_",
]);
/** Of those, the ones that are NULL when their first argument is. */
const FIRST_DECIDES = new Set(["stuff_", "quotename_", "ltrim_", "rtrim_", "trim_", "str_", "log_", "json_query_"]);

/** With the number of arguments, which `...given` hides. */
export interface SqliteFunction {
  name: string;
  deterministic: boolean;
  implementation: Implementation;
}

/** Everything that translated statements call. `environment` is that of the statement which is running. */
export function sqliteFunctions(environment: () => Environment): SqliteFunction[] {
  const pure = Object.entries(PURE).map(([name, implementation]): SqliteFunction => {
    const guarded: Implementation = (...given) => {
      if (WITH_NULL.has(name)) return FIRST_DECIDES.has(name) && given[0] === null ? null : implementation(...given);
      return given.includes(null) ? null : implementation(...given);
    };
    return { name, deterministic: true, implementation: withLength(guarded, implementation.length) };
  });
  return [
    ...pure,
    { name: "newid_", deterministic: false, implementation: () => randomUUID().toUpperCase() },
    { name: "rand_", deterministic: false, implementation: () => Math.random() },
    {
      name: "metadata_",
      deterministic: false,
      implementation: withLength((name, a, b, c) => METADATA[str(name)]?.[3](environment(), a, b, c) ?? null, 4),
    },
  ];
}

/** node-sqlite3-wasm takes the number of arguments from the function. */
function withLength(implementation: Implementation, length: number): Implementation {
  return Object.defineProperty((...given: Value[]) => implementation(...given), "length", { value: length });
}

function raise(error: Error): never {
  throw error;
}

function finite(value: number): number {
  if (!Number.isFinite(value)) throw sqlError(3623);
  return value;
}

function whole(value: Value, scale: number, to: number, direction: "up" | "down"): Value {
  if (scale === 0) return typeof value === "bigint" ? value : direction === "up" ? Math.ceil(num(value)) : Math.floor(num(value));
  const unit = 10n ** BigInt(scale);
  const given = big(value);
  let result = given / unit;
  if (given % unit !== 0n && given > 0n === (direction === "up")) result += direction === "up" ? 1n : -1n;
  return small(result * 10n ** BigInt(to));
}

function stripped(text: string, characters: string | null, front: boolean, back: boolean): string {
  const set = characters ?? " ";
  let [from, to] = [0, text.length];
  while (front && from < to && set.includes(text[from] as string)) from += 1;
  while (back && to > from && set.includes(text[to - 1] as string)) to -= 1;
  return text.slice(from, to);
}

function addMonths(moment: Moment, months: number, type: string): Moment {
  const { year, month, day } = civil(moment.day);
  const total = year * 12 + month - 1 + months;
  const [toYear, toMonth] = [Math.floor(total / 12), (((total % 12) + 12) % 12) + 1];
  if (toYear < 1 || toYear > 9999) throw sqlError(517, type);
  return { ...moment, day: dayOf(toYear, toMonth, Math.min(day, daysIn(toYear, toMonth))) as number };
}

/** How many boundaries of `part` lie between two moments. */
function difference(part: string, a: Moment, b: Moment): bigint {
  const [from, to] = [civil(a.day), civil(b.day)];
  switch (part) {
    case "year":
      return BigInt(to.year - from.year);
    case "quarter":
      return BigInt((to.year - from.year) * 4 + Math.floor((to.month - 1) / 3) - Math.floor((from.month - 1) / 3));
    case "month":
      return BigInt((to.year - from.year) * 12 + to.month - from.month);
    case "day":
    case "dayofyear":
    case "weekday":
      return BigInt(b.day - a.day);
    case "week":
      // Weeks begin on Sundays; 0001-01-01 was a Monday.
      return BigInt(Math.floor((b.day + 1) / 7) - Math.floor((a.day + 1) / 7));
  }
  if (part === "nanosecond") return ticks(b) * 100n - ticks(a) * 100n;
  const unit = units(part);
  if (unit === undefined) throw sqlError(9810, part, "datediff", "datetime2");
  return ticks(b) / unit - ticks(a) / unit;
}

const ticks = ({ day, tick }: Moment): bigint => BigInt(day) * BigInt(TICKS_PER_DAY) + BigInt(tick);

function partOf(part: string, given: Moment): number {
  const moment = given.offset ? addTicks(given, given.offset * 60 * TICKS_PER_SECOND) : given;
  const { year, month, day } = civil(moment.day);
  const seconds = Math.floor(moment.tick / TICKS_PER_SECOND);
  const fraction = moment.tick % TICKS_PER_SECOND;
  const dayOfYear = moment.day - (dayOf(year, 1, 1) as number) + 1;
  switch (part) {
    case "year":
      return year;
    case "quarter":
      return Math.floor((month - 1) / 3) + 1;
    case "month":
      return month;
    case "day":
      return day;
    case "dayofyear":
      return dayOfYear;
    case "weekday":
      return ((moment.day + 1) % 7) + 1;
    case "week":
      return Math.floor((dayOfYear - 1 + (((dayOf(year, 1, 1) as number) + 1) % 7)) / 7) + 1;
    case "iso_week": {
      const thursday = moment.day - (moment.day % 7) + 3;
      return Math.floor((thursday - (dayOf(civil(thursday).year, 1, 1) as number)) / 7) + 1;
    }
    case "hour":
      return Math.floor(seconds / 3600);
    case "minute":
      return Math.floor(seconds / 60) % 60;
    case "second":
      return seconds % 60;
    case "millisecond":
      return Math.floor(fraction / 10_000);
    case "microsecond":
      return Math.floor(fraction / 10);
    case "nanosecond":
      return fraction * 100;
    case "tzoffset":
      return given.offset ?? 0;
    default:
      throw sqlError(155, part);
  }
}
