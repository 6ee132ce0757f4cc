import { sqlError, unsupported } from "../errors.js";
import type { Typed } from "../translate/environment.js";
import { bytesOf, textOf } from "../types/codepage.js";
import { guidBytes, guidText, type SqlValue, small } from "../types/convert.js";
import { addTicks, DAY_1900, load, type Moment, store, TICKS_PER_SECOND } from "../types/moment.js";
import { decimal, INT, isUnicode, NULL_TYPE, precisionOf, type SqlType, scaleOf } from "../types/sql-type.js";
import type { ByteReader, ByteWriter } from "./bytes.js";

/** SQL_Latin1_General_CP1_CI_AS, as every string says that it is in: the client only needs the code page. */
export const COLLATION = Buffer.from([0x09, 0x04, 0xd0, 0x00, 0x34]);
const MAX = 0xffff;
const INTEGER_SIZES: Readonly<Record<string, number>> = { tinyint: 1, smallint: 2, int: 4, bigint: 8 };

const decimalSize = (type: SqlType): number => {
  const precision = precisionOf(type);
  return precision <= 9 ? 5 : precision <= 19 ? 9 : precision <= 28 ? 13 : 17;
};
const timeSize = (scale: number): number => (scale <= 2 ? 3 : scale <= 4 ? 4 : 5);

/** TYPE_INFO of MS-TDS 2.2.5.4, always in the form that allows NULL. */
export function writeType(out: ByteWriter, type: SqlType): void {
  const length = type.length === "max" ? MAX : Number(type.length ?? 1);
  switch (type.name) {
    case "bit":
      out.u8(0x68, 1);
      return;
    case "tinyint":
    case "smallint":
    case "int":
    case "bigint":
      out.u8(0x26, INTEGER_SIZES[type.name] as number);
      return;
    case "real":
      out.u8(0x6d, 4);
      return;
    case "float":
      out.u8(0x6d, 8);
      return;
    case "money":
      out.u8(0x6e, 8);
      return;
    case "smallmoney":
      out.u8(0x6e, 4);
      return;
    case "decimal":
      out.u8(0x6a, decimalSize(type), precisionOf(type), scaleOf(type));
      return;
    case "datetime":
      out.u8(0x6f, 8);
      return;
    case "smalldatetime":
      out.u8(0x6f, 4);
      return;
    case "date":
      out.u8(0x28);
      return;
    case "time":
      out.u8(0x29, scaleOf(type));
      return;
    case "datetime2":
      out.u8(0x2a, scaleOf(type));
      return;
    case "datetimeoffset":
      out.u8(0x2b, scaleOf(type));
      return;
    case "uniqueidentifier":
      out.u8(0x24, 16);
      return;
    case "varbinary":
      out.u8(0xa5).u16(length);
      return;
    case "binary":
      out.u8(0xad).u16(length);
      return;
    case "varchar":
      out.u8(0xa7).u16(length).bytes(COLLATION);
      return;
    case "char":
      out.u8(0xaf).u16(length).bytes(COLLATION);
      return;
    case "nvarchar":
      out
        .u8(0xe7)
        .u16(length === MAX ? MAX : length * 2)
        .bytes(COLLATION);
      return;
    case "nchar":
      out
        .u8(0xef)
        .u16(length * 2)
        .bytes(COLLATION);
  }
}

/** A value behind its TYPE_INFO. */
export function writeValue(out: ByteWriter, type: SqlType, value: SqlValue): void {
  switch (type.name) {
    case "nvarchar":
    case "nchar":
    case "varchar":
    case "char":
      writeBytes(out, type, value === null ? null : bytesOf(value as string, isUnicode(type)));
      return;
    case "varbinary":
    case "binary":
      writeBytes(out, type, value as Uint8Array | null);
      return;
  }
  if (value === null) {
    out.u8(0);
    return;
  }
  switch (type.name) {
    case "bit":
      out.u8(1, Number(value));
      return;
    case "tinyint":
      out.u8(1, Number(value));
      return;
    case "smallint": {
      const bytes = Buffer.alloc(2);
      bytes.writeInt16LE(Number(value));
      out.u8(2).bytes(bytes);
      return;
    }
    case "int":
      out.u8(4).i32(Number(value));
      return;
    case "bigint":
      out.u8(8).u64(BigInt.asUintN(64, BigInt(value as number | bigint)));
      return;
    case "real": {
      const bytes = Buffer.alloc(4);
      bytes.writeFloatLE(Number(value));
      out.u8(4).bytes(bytes);
      return;
    }
    case "float": {
      const bytes = Buffer.alloc(8);
      bytes.writeDoubleLE(Number(value));
      out.u8(8).bytes(bytes);
      return;
    }
    case "money": {
      const scaled = BigInt.asUintN(64, BigInt(value as number | bigint));
      out
        .u8(8)
        .u32(Number(scaled >> 32n))
        .u32(Number(scaled & 0xffffffffn));
      return;
    }
    case "smallmoney":
      out.u8(4).i32(Number(value));
      return;
    case "decimal": {
      const size = decimalSize(type);
      const scaled = BigInt(value as number | bigint);
      const bytes = Buffer.alloc(size);
      bytes[0] = scaled < 0n ? 0 : 1;
      let rest = scaled < 0n ? -scaled : scaled;
      for (let index = 1; index < size; index += 1) {
        bytes[index] = Number(rest & 255n);
        rest >>= 8n;
      }
      out.u8(size).bytes(bytes);
      return;
    }
    case "uniqueidentifier":
      out.u8(16).bytes(guidBytes(value as string));
      return;
    default:
      writeMoment(out, type, load(value as string));
  }
}

function writeBytes(out: ByteWriter, { length }: SqlType, bytes: Uint8Array | null): void {
  if (length !== "max") {
    if (bytes === null) out.u16(MAX);
    else out.u16(bytes.length).bytes(bytes);
    return;
  }
  if (bytes === null) {
    out.u64(0xffffffffffffffffn);
    return;
  }
  out.u64(BigInt(bytes.length));
  if (bytes.length > 0) out.u32(bytes.length).bytes(bytes);
  out.u32(0);
}

function writeMoment(out: ByteWriter, type: SqlType, moment: Moment): void {
  const scale = scaleOf(type);
  const size = timeSize(scale);
  const time = Buffer.alloc(5);
  time.writeUIntLE(Math.floor(moment.tick / 10 ** (7 - scale)), 0, 5);
  const day = Buffer.alloc(3);
  day.writeUIntLE(moment.day, 0, 3);
  switch (type.name) {
    case "date":
      out.u8(3).bytes(day);
      return;
    case "time":
      out.u8(size).bytes(time.subarray(0, size));
      return;
    case "datetime2":
      out
        .u8(size + 3)
        .bytes(time.subarray(0, size))
        .bytes(day);
      return;
    case "datetimeoffset": {
      const offset = Buffer.alloc(2);
      offset.writeInt16LE(moment.offset ?? 0);
      out
        .u8(size + 5)
        .bytes(time.subarray(0, size))
        .bytes(day)
        .bytes(offset);
      return;
    }
    case "smalldatetime":
      out
        .u8(4)
        .u16(moment.day - DAY_1900)
        .u16(Math.floor(moment.tick / TICKS_PER_SECOND / 60));
      return;
    default:
      out
        .u8(8)
        .i32(moment.day - DAY_1900)
        .u32(Math.round((moment.tick * 300) / TICKS_PER_SECOND));
  }
}

/** What a parameter or a column of a bulk load is of. @throws SqlError for types that are not here */
export interface WireType {
  type: SqlType;
  read(from: ByteReader): SqlValue;
}

export function readType(from: ByteReader): WireType {
  const token = from.u8();
  switch (token) {
    case 0x1f:
      return { type: NULL_TYPE, read: () => null };
    case 0x30:
      return fixed({ name: "tinyint" }, 1, integer);
    case 0x32:
      return fixed({ name: "bit" }, 1, integer);
    case 0x34:
      return fixed({ name: "smallint" }, 2, integer);
    case 0x38:
      return fixed(INT, 4, integer);
    case 0x7f:
      return fixed({ name: "bigint" }, 8, integer);
    case 0x3b:
      return fixed({ name: "real" }, 4, float);
    case 0x3e:
      return fixed({ name: "float" }, 8, float);
    case 0x3c:
      return fixed({ name: "money" }, 8, money);
    case 0x7a:
      return fixed({ name: "smallmoney" }, 4, money);
    case 0x3d:
      return fixed({ name: "datetime" }, 8, datetime);
    case 0x3a:
      return fixed({ name: "smalldatetime" }, 4, datetime);
    case 0x26: {
      const name = ({ 1: "tinyint", 2: "smallint", 4: "int", 8: "bigint" } as const)[from.u8()] ?? "int";
      return sized({ name }, integer);
    }
    case 0x68:
      from.u8();
      return sized({ name: "bit" }, (bytes) => (bytes[0] ? 1 : 0));
    case 0x6d:
      return sized({ name: from.u8() === 4 ? "real" : "float" }, float);
    case 0x6e:
      return sized({ name: from.u8() === 4 ? "smallmoney" : "money" }, money);
    case 0x6f:
      return sized({ name: from.u8() === 4 ? "smalldatetime" : "datetime" }, datetime);
    case 0x6a:
    case 0x6c: {
      from.u8();
      const type = decimal(from.u8(), from.u8());
      return sized(type, (bytes) => {
        let scaled = 0n;
        for (let index = bytes.length - 1; index > 0; index -= 1) scaled = (scaled << 8n) | BigInt(bytes[index] as number);
        if (scaled > 2n ** 63n - 1n) throw sqlError(8115, "numeric", "numeric");
        return small(bytes[0] === 0 ? -scaled : scaled);
      });
    }
    case 0x24:
      from.u8();
      return sized({ name: "uniqueidentifier" }, guidText);
    case 0x28:
      return sized({ name: "date" }, (bytes) => store({ day: bytes.readUIntLE(0, 3), tick: 0 }, { name: "date" }));
    case 0x29:
    case 0x2a:
    case 0x2b: {
      const name = ({ 41: "time", 42: "datetime2", 43: "datetimeoffset" } as const)[token];
      const type: SqlType = { name, scale: from.u8() };
      return sized(type, (bytes) => momentOf(bytes, type));
    }
    case 0xa5:
    case 0xad: {
      const length = from.u16();
      const type: SqlType = { name: token === 0xad ? "binary" : "varbinary", length: length === MAX ? "max" : Math.max(1, length) };
      return { type, read: (reader) => readBytes(reader, type) };
    }
    case 0xa7:
    case 0xaf:
    case 0xe7:
    case 0xef: {
      const length = from.u16();
      from.take(5);
      const unicode = token >= 0xe0;
      const name = ({ 167: "varchar", 175: "char", 231: "nvarchar", 239: "nchar" } as const)[token];
      const type: SqlType = { name, length: length === MAX ? "max" : Math.max(1, unicode ? length / 2 : length) };
      return { type, read: (reader) => stringOf(readBytes(reader, type), unicode) };
    }
    case 0x23:
    case 0x63: {
      from.u32();
      from.take(5);
      const unicode = token === 0x63;
      const read = (reader: ByteReader): SqlValue => {
        const length = reader.i32();
        return length < 0 ? null : stringOf(reader.take(length), unicode);
      };
      return { type: { name: unicode ? "nvarchar" : "varchar", length: "max" }, read };
    }
    case 0xf3:
      throw unsupported("@", "table-valued parameters");
    case 0x62:
      throw unsupported("@", "parameters of type SQL_VARIANT");
    default:
      throw unsupported("@", `parameters of TDS type 0x${token.toString(16)}`);
  }
}

function stringOf(bytes: Buffer | null, unicode: boolean): SqlValue {
  if (bytes === null) return null;
  const text = textOf(bytes, unicode);
  if (text.includes("\0")) throw unsupported("\\0", "strings that contain U+0000");
  return text;
}

function fixed(type: SqlType, length: number, read: (bytes: Buffer) => SqlValue): WireType {
  return { type, read: (from) => read(from.take(length)) };
}

function sized(type: SqlType, read: (bytes: Buffer) => SqlValue): WireType {
  return {
    type,
    read(from) {
      const length = from.u8();
      return length === 0 ? null : read(from.take(length));
    },
  };
}

const integer = (bytes: Buffer): SqlValue => {
  switch (bytes.length) {
    case 1:
      return bytes.readUInt8();
    case 2:
      return bytes.readInt16LE();
    case 4:
      return bytes.readInt32LE();
    default:
      return small(bytes.readBigInt64LE());
  }
};

const float = (bytes: Buffer): SqlValue => (bytes.length === 4 ? bytes.readFloatLE() : bytes.readDoubleLE());

const money = (bytes: Buffer): SqlValue =>
  bytes.length === 4 ? bytes.readInt32LE() : small((BigInt(bytes.readInt32LE(0)) << 32n) | BigInt(bytes.readUInt32LE(4)));

function datetime(bytes: Buffer): SqlValue {
  if (bytes.length === 4) {
    return store({ day: DAY_1900 + bytes.readUInt16LE(0), tick: bytes.readUInt16LE(2) * 60 * TICKS_PER_SECOND }, { name: "smalldatetime" });
  }
  const tick = Math.round((bytes.readUInt32LE(4) * 1000) / 300) * 10_000;
  return store(addTicks({ day: DAY_1900 + bytes.readInt32LE(0), tick: 0 }, tick), { name: "datetime" });
}

function momentOf(bytes: Buffer, type: SqlType): SqlValue {
  const size = timeSize(scaleOf(type));
  const tick = bytes.readUIntLE(0, size) * 10 ** (7 - scaleOf(type));
  if (type.name === "time") return store({ day: DAY_1900, tick }, type);
  const day = bytes.readUIntLE(size, 3);
  return store({ day, tick, ...(type.name === "datetimeoffset" ? { offset: bytes.readInt16LE(size + 3) } : {}) }, type);
}

function readBytes(from: ByteReader, { length }: SqlType): Buffer | null {
  if (length !== "max") {
    const size = from.u16();
    return size === MAX ? null : from.take(size);
  }
  if (from.u64() === 0xffffffffffffffffn) return null;
  const parts: Buffer[] = [];
  for (let size = from.u32(); size !== 0; size = from.u32()) parts.push(from.take(size));
  return Buffer.concat(parts);
}

export function readTyped(from: ByteReader): Typed {
  const { type, read } = readType(from);
  return { type, value: read(from) };
}
