import { type SqlError, sqlError } from "../errors.js";
import { bytesOf, textOf } from "./codepage.js";
import { DAY_1900, formatMoment, fromDate, load, parseMoment, store, TICKS_PER_DAY, toPrecision } from "./moment.js";
import { familyOf, isFixed, isUnicode, precisionOf, type SqlType, scaleOf, typeName } from "./sql-type.js";

/**
 * A value as it is kept and computed with: integers and bits as such, decimals and money as integers scaled by 10^scale, strings and GUIDs
 * (in capitals) as text, points in time as the text of {@link store}, binaries as bytes.
 */
export type SqlValue = number | bigint | string | Uint8Array | null;

export interface Conversion {
  /** Of CONVERT. */
  style?: number;
  /** A cast cuts what is too long; an assignment does not, and says so by {@link tooLong}. */
  assign?: boolean;
}

/** A string or binary that does not fit where it is assigned. Whoever knows table and column makes 2628 of it. */
export class TooLong extends Error {
  constructor(readonly kept: string) {
    super("String or binary data would be truncated.");
  }
}

/** @throws SqlError as SQL Server does for what cannot be converted; {@link TooLong} */
export function convert(value: SqlValue, from: SqlType, to: SqlType, options: Conversion = {}): SqlValue {
  if (value === null) return null;
  switch (familyOf(to)) {
    case "integer":
      return toInteger(value, from, to);
    case "decimal":
      return toDecimal(value, from, to);
    case "float":
      return toFloat(value, from, to);
    case "string":
      return toText(value, from, to, options);
    case "binary":
      return toBinary(value, from, to, options);
    case "moment":
      return toMoment(value, from, to);
    case "guid":
      return toGuid(value, from, to);
  }
}

const notAllowed = (from: SqlType, to: SqlType): SqlError => sqlError(529, typeName(from), typeName(to));

const RANGES: Readonly<Record<string, readonly [bigint, bigint]>> = {
  tinyint: [0n, 255n],
  smallint: [-32_768n, 32_767n],
  int: [-2_147_483_648n, 2_147_483_647n],
  bigint: [-(2n ** 63n), 2n ** 63n - 1n],
};

/** Small where it is safe. */
export function small(value: bigint): number | bigint {
  return value >= -9_007_199_254_740_991n && value <= 9_007_199_254_740_991n ? Number(value) : value;
}

function toInteger(value: SqlValue, from: SqlType, to: SqlType): SqlValue {
  let whole: bigint;
  switch (familyOf(from)) {
    case "integer":
      whole = BigInt(value as number | bigint);
      break;
    case "decimal":
      whole = BigInt(value as number | bigint) / 10n ** BigInt(scaleOf(from));
      break;
    case "float": {
      const number = Math.trunc(Number(value));
      if (!Number.isFinite(number)) throw sqlError(8115, typeName(from), to.name);
      whole = BigInt(number);
      break;
    }
    case "string": {
      const text = (value as string).trim();
      if (to.name === "bit") {
        if (/^true$/i.test(text)) return 1;
        if (/^false$/i.test(text) || text === "") return 0;
      }
      if (text === "") return 0;
      if (!/^[+-]?\d+$/.test(text)) {
        if (to.name === "bigint") throw sqlError(8114, typeName(from), to.name);
        throw sqlError(245, typeName(from), value, to.name);
      }
      whole = BigInt(text.replace(/^\+/, ""));
      if (to.name !== "bit" && outside(whole, to)) {
        if (to.name === "int") throw sqlError(248, typeName(from), value);
        if (to.name === "bigint") throw sqlError(8115, "expression", "bigint");
        throw sqlError(244, typeName(from), value, to.name === "tinyint" ? "INT1" : "INT2");
      }
      break;
    }
    case "binary": {
      const bytes = value as Uint8Array;
      whole = bytes.length === 0 ? 0n : BigInt(`0x${hex(bytes.slice(-8))}`);
      if (to.name === "bigint") whole = BigInt.asIntN(64, whole);
      else if (to.name === "int") whole = BigInt.asIntN(32, whole);
      break;
    }
    case "moment": {
      if (from.name !== "datetime" && from.name !== "smalldatetime") throw notAllowed(from, to);
      const { day, tick } = load(value as string);
      whole = BigInt(day - DAY_1900 + (tick >= TICKS_PER_DAY / 2 ? 1 : 0));
      break;
    }
    default:
      throw notAllowed(from, to);
  }
  if (to.name === "bit") return whole === 0n ? 0 : 1;
  if (outside(whole, to)) {
    if (to.name === "tinyint" || to.name === "smallint") throw sqlError(220, to.name, whole);
    throw sqlError(8115, familyOf(from) === "decimal" ? "numeric" : "expression", to.name);
  }
  return small(whole);
}

function outside(value: bigint, { name }: SqlType): boolean {
  const [least, most] = RANGES[name] as readonly [bigint, bigint];
  return value < least || value > most;
}

/** Scaled integers from one scale to another, rounding half away from zero. */
export function rescale(value: bigint, from: number, to: number): bigint {
  if (to >= from) return value * 10n ** BigInt(to - from);
  const unit = 10n ** BigInt(from - to);
  const half = unit / 2n;
  return (value < 0n ? value - half : value + half) / unit;
}

const MONEY_MOST: Readonly<Record<string, bigint>> = { money: 2n ** 63n - 1n, smallmoney: 2n ** 31n - 1n };

function toDecimal(value: SqlValue, from: SqlType, to: SqlType): SqlValue {
  const scale = scaleOf(to);
  let scaled: bigint;
  switch (familyOf(from)) {
    case "integer":
      scaled = rescale(BigInt(value as number | bigint), 0, scale);
      break;
    case "decimal":
      scaled = rescale(BigInt(value as number | bigint), scaleOf(from), scale);
      break;
    case "float": {
      const number = Number(value);
      if (!Number.isFinite(number) || Math.abs(number) >= 1e38) throw sqlError(8115, "float", "numeric");
      scaled = parseDecimal(number.toFixed(Math.min(scale, 17)), scale) ?? 0n;
      break;
    }
    case "string": {
      const text = (value as string).trim();
      const parsed = parseDecimal(to.name === "decimal" ? text : text.replace(/[$,]/g, ""), scale);
      if (parsed === undefined) throw to.name === "decimal" ? sqlError(8114, typeName(from), "numeric") : sqlError(293);
      scaled = parsed;
      break;
    }
    default:
      throw notAllowed(from, to);
  }
  return checkedDecimal(scaled, to, from);
}

/** Whether a scaled integer fits a decimal type, and the 64 bits that there are for it. @throws SqlError 8115 */
export function checkedDecimal(scaled: bigint, to: SqlType, from: SqlType = to): SqlValue {
  const most = MONEY_MOST[to.name] ?? 10n ** BigInt(precisionOf(to)) - 1n;
  const magnitude = scaled < 0n ? -scaled : scaled;
  if (magnitude > most || magnitude > 2n ** 63n - 1n) {
    const source = familyOf(from) === "integer" ? typeName(from) : familyOf(from) === "decimal" ? "numeric" : typeName(from);
    throw sqlError(8115, source, to.name === "decimal" ? "numeric" : to.name);
  }
  return small(scaled);
}

function parseDecimal(text: string, scale: number): bigint | undefined {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d+))?$/i.exec(text);
  if (!match || (!match[2] && !match[3])) return undefined;
  const [, sign, whole = "", fraction = "", exponent] = match;
  if (exponent !== undefined) return undefined;
  const scaled = rescale(BigInt(`${whole}${fraction}` || "0"), fraction.length, scale);
  return sign === "-" ? -scaled : scaled;
}

export function decimalText(value: bigint | number, scale: number): string {
  const scaled = BigInt(value);
  const digits = (scaled < 0n ? -scaled : scaled).toString().padStart(scale + 1, "0");
  const sign = scaled < 0n ? "-" : "";
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

function toFloat(value: SqlValue, from: SqlType, to: SqlType): SqlValue {
  let number: number;
  switch (familyOf(from)) {
    case "integer":
    case "float":
      number = Number(value);
      break;
    case "decimal":
      number = Number(decimalText(value as number | bigint, scaleOf(from)));
      break;
    case "string": {
      const text = (value as string).trim();
      number = text === "" ? 0 : Number(text);
      if (!/^[+-]?(\d+\.?\d*|\.\d+)?(e[+-]?\d+)?$/i.test(text) || !Number.isFinite(number)) throw sqlError(8114, typeName(from), to.name);
      break;
    }
    case "moment": {
      if (from.name !== "datetime") throw notAllowed(from, to);
      const { day, tick } = load(value as string);
      number = day - DAY_1900 + tick / TICKS_PER_DAY;
      break;
    }
    default:
      throw notAllowed(from, to);
  }
  return to.name === "real" ? Math.fround(number) : number;
}

function toText(value: SqlValue, from: SqlType, to: SqlType, { style = 0, assign = false }: Conversion): SqlValue {
  let text: string;
  const family = familyOf(from);
  switch (family) {
    case "string":
      text = value as string;
      break;
    case "integer":
      text = String(value);
      break;
    case "decimal": {
      const money = from.name !== "decimal";
      text = decimalText(
        money ? rescale(BigInt(value as number | bigint), 4, style === 2 ? 4 : 2) : (value as number | bigint),
        money ? (style === 2 ? 4 : 2) : scaleOf(from),
      );
      if (money && style === 1) text = text.replace(/\B(?=(\d{3})+(?=\.))/g, ",");
      break;
    }
    case "float":
      text = floatText(Number(value), from, style);
      break;
    case "guid":
      text = value as string;
      if (typeof to.length === "number" && to.length < 36) throw sqlError(8170);
      break;
    case "binary": {
      const bytes = value as Uint8Array;
      text = style === 1 ? `0x${hex(bytes)}` : style === 2 ? hex(bytes) : textOf(bytes, isUnicode(to));
      break;
    }
    case "moment":
      text = formatMoment(load(value as string), from, style);
      break;
  }
  if (!isUnicode(to) && family === "string" && isUnicode(from)) text = textOf(bytesOf(text, false), false);
  const { length } = to;
  if (length === "max" || length === undefined) return text;
  if (text.length > length) {
    const kept = text.slice(0, length);
    if (family === "integer") {
      if (isUnicode(to) || assign) throw sqlError(8115, "expression", to.name);
      text = "*".slice(0, length);
    } else if (family === "decimal" || family === "float") throw sqlError(8115, family === "decimal" ? "numeric" : typeName(from), to.name);
    else if (assign && text.slice(length).trimEnd() !== "") throw new TooLong(kept);
    else text = kept;
  }
  return isFixed(to) ? text.padEnd(length, " ") : text;
}

function floatText(value: number, { name }: SqlType, style: number): string {
  if (style === 3 || style === 2) return String(value);
  const digits = style === 1 ? 8 : 6;
  if (value === 0) return "0";
  const exponent = Math.floor(Math.log10(Math.abs(value)));
  if (style === 1 || exponent >= digits || exponent < -4) {
    const [mantissa = "0", power = "0"] = value.toExponential(digits - 1).split("e");
    const trimmed = style === 1 || !mantissa.includes(".") ? mantissa : mantissa.replace(/\.?0+$/, "");
    return `${trimmed}e${power.startsWith("-") ? "-" : "+"}${power.replace(/[+-]/, "").padStart(3, "0")}`;
  }
  return String(Number(value.toPrecision(name === "real" ? 6 : digits)));
}

export const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex").toUpperCase();

function toBinary(value: SqlValue, from: SqlType, to: SqlType, { style = 0, assign = false }: Conversion): SqlValue {
  let bytes: Uint8Array;
  switch (familyOf(from)) {
    case "binary":
      bytes = value as Uint8Array;
      break;
    case "string": {
      const text = value as string;
      if (style === 1 || style === 2) {
        const digits = style === 1 ? text.replace(/^0x/i, "") : text;
        if ((style === 1 && !/^0x/i.test(text)) || digits.length % 2 || !/^[0-9a-f]*$/i.test(digits))
          throw sqlError(8114, typeName(from), to.name);
        bytes = Buffer.from(digits, "hex");
      } else if (assign) throw sqlError(257, typeName(from), to.name);
      else bytes = bytesOf(text, isUnicode(from));
      break;
    }
    case "integer": {
      const size = { bit: 1, tinyint: 1, smallint: 2, int: 4, bigint: 8 }[from.name as string] ?? 4;
      const buffer = Buffer.alloc(8);
      buffer.writeBigInt64BE(BigInt(value as number | bigint));
      bytes = buffer.subarray(8 - size);
      if (typeof to.length === "number" && bytes.length > to.length) bytes = bytes.subarray(bytes.length - to.length);
      else if (to.name === "binary" && typeof to.length === "number")
        bytes = Buffer.concat([Buffer.alloc(to.length - bytes.length), bytes]);
      break;
    }
    case "guid":
      bytes = guidBytes(value as string);
      break;
    default:
      throw notAllowed(from, to);
  }
  const { length } = to;
  if (length === "max" || length === undefined) return bytes;
  if (bytes.length > length) {
    if (assign) throw new TooLong("");
    return bytes.slice(0, length);
  }
  return isFixed(to) && bytes.length < length ? Buffer.concat([bytes, Buffer.alloc(length - bytes.length)]) : bytes;
}

function toMoment(value: SqlValue, from: SqlType, to: SqlType): SqlValue {
  switch (familyOf(from)) {
    case "string": {
      const parsed = parseMoment(value as string);
      if (parsed.offset !== undefined && to.name !== "datetimeoffset") {
        if (to.name === "datetime" || to.name === "smalldatetime") {
          if (!/Z$/i.test((value as string).trim())) throw sqlError(241);
          return store(toPrecision(parsed, typeName(from), to), to);
        }
        const { day, tick } = load(store({ ...parsed }, { name: "datetime2" }));
        const local = parsed.offset * 600_000_000 + tick;
        const days = Math.floor(local / TICKS_PER_DAY);
        return store(toPrecision({ day: day + days, tick: local - days * TICKS_PER_DAY }, typeName(from), to), to);
      }
      return store(toPrecision(parsed, typeName(from), to), to);
    }
    case "moment": {
      if ((from.name === "date" && to.name === "time") || (from.name === "time" && to.name === "date")) throw notAllowed(from, to);
      const moment = load(value as string);
      if (moment.offset !== undefined && to.name !== "datetimeoffset") {
        const local = moment.tick + moment.offset * 600_000_000;
        const days = Math.floor(local / TICKS_PER_DAY);
        return store(toPrecision({ day: moment.day + days, tick: local - days * TICKS_PER_DAY }, typeName(from), to), to);
      }
      return store(toPrecision(moment, typeName(from), to), to);
    }
    case "integer":
    case "float":
    case "decimal": {
      if (to.name !== "datetime" && to.name !== "smalldatetime") throw sqlError(206, typeName(from), typeName(to));
      const days = familyOf(from) === "decimal" ? Number(decimalText(value as number | bigint, scaleOf(from))) : Number(value);
      const whole = Math.floor(days);
      const moment = { day: DAY_1900 + whole, tick: Math.round((days - whole) * TICKS_PER_DAY) };
      if (moment.day < 639_905 || moment.day > 3_652_058) throw sqlError(8115, "expression", to.name);
      return store(toPrecision(moment, typeName(from), to), to);
    }
    default:
      throw notAllowed(from, to);
  }
}

function toGuid(value: SqlValue, from: SqlType, to: SqlType): SqlValue {
  switch (familyOf(from)) {
    case "guid":
      return value;
    case "string": {
      const text = (value as string)
        .trim()
        .replace(/^\{(.*)\}$/, "$1")
        .slice(0, 36);
      if (!/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text)) throw sqlError(8169);
      return text.toUpperCase();
    }
    case "binary": {
      const bytes = value as Uint8Array;
      if (bytes.length < 16) throw sqlError(8169);
      return guidText(bytes);
    }
    default:
      throw notAllowed(from, to);
  }
}

/** The 16 bytes in .NET's order: the first three groups with the least byte first. */
export function guidBytes(text: string): Buffer {
  const raw = Buffer.from(text.replaceAll("-", ""), "hex");
  return Buffer.concat([raw.subarray(0, 4).reverse(), raw.subarray(4, 6).reverse(), raw.subarray(6, 8).reverse(), raw.subarray(8, 16)]);
}

export function guidText(bytes: Uint8Array): string {
  const raw = Buffer.from(bytes);
  const parts = [
    raw.subarray(0, 4).reverse(),
    raw.subarray(4, 6).reverse(),
    raw.subarray(6, 8).reverse(),
    raw.subarray(8, 10),
    raw.subarray(10, 16),
  ];
  return parts.map((part) => part.toString("hex").toUpperCase()).join("-");
}

export const now = (clock: () => Date): string => store(fromDate(clock()), { name: "datetime2" });
