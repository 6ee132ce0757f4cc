import type { Typed } from "../translate/environment.js";
import { ByteReader } from "./bytes.js";
import { readType, readTyped } from "./types.js";

/** After the headers that say which transaction a request belongs to: a connection has only one here. */
export function afterHeaders(data: Buffer): ByteReader {
  return new ByteReader(data, data.readUInt32LE(0));
}

export interface Parameter extends Typed {
  name: string;
  output: boolean;
}

export interface ProcedureCall {
  name: string;
  parameters: Parameter[];
}

const PROCEDURES: Readonly<Record<number, string>> = {
  1: "sp_cursor",
  2: "sp_cursoropen",
  3: "sp_cursorprepare",
  4: "sp_cursorexecute",
  5: "sp_cursorprepexec",
  6: "sp_cursorunprepare",
  7: "sp_cursorfetch",
  8: "sp_cursoroption",
  9: "sp_cursorclose",
  10: "sp_executesql",
  11: "sp_prepare",
  12: "sp_execute",
  13: "sp_prepexec",
  14: "sp_prepexecrpc",
  15: "sp_unprepare",
};

/** Further calls in one request are set apart by these. */
const SEPARATORS = [0x80, 0xff];

/** @throws SqlError for types of parameters that are not here */
export function readCalls(data: Buffer): ProcedureCall[] {
  const reader = afterHeaders(data);
  const calls: ProcedureCall[] = [];
  while (!reader.done) {
    const length = reader.u16();
    const name = length === 0xffff ? (PROCEDURES[reader.u16()] ?? "?") : reader.take(length * 2).toString("utf16le");
    reader.u16();
    const parameters: Parameter[] = [];
    while (!reader.done && !SEPARATORS.includes(reader.buffer[reader.at] as number)) {
      const name = reader.shortText();
      const output = (reader.u8() & 1) === 1;
      parameters.push({ name, output, ...readTyped(reader) });
    }
    calls.push({ name, parameters });
    if (!reader.done) reader.u8();
  }
  return calls;
}

export interface TransactionRequest {
  action: "begin" | "commit" | "rollback" | "save" | "other";
  name?: string;
  isolation?: string;
  /** After COMMIT or ROLLBACK another transaction begins at once. */
  beginsNext?: boolean;
}

const ISOLATION: Readonly<Record<number, string>> = {
  1: "READ UNCOMMITTED",
  2: "READ COMMITTED",
  3: "REPEATABLE READ",
  4: "SERIALIZABLE",
  5: "SNAPSHOT",
};

export function readTransactionRequest(data: Buffer): TransactionRequest {
  const reader = afterHeaders(data);
  const kind = reader.u16();
  const name = (): { name?: string } => {
    const text = reader.done ? "" : reader.take(reader.u8()).toString("utf16le");
    return text ? { name: text } : {};
  };
  switch (kind) {
    case 5: {
      const isolation = ISOLATION[reader.u8()];
      return { action: "begin", ...(isolation ? { isolation } : {}), ...name() };
    }
    case 7:
    case 8: {
      const named = name();
      const beginsNext = !reader.done && (reader.u8() & 1) === 1;
      return { action: kind === 7 ? "commit" : "rollback", ...named, beginsNext };
    }
    case 9:
      return { action: "save", ...name() };
    default:
      return { action: "other" };
  }
}

/** COLMETADATA and ROW tokens of a bulk load, without the column names that INSERT BULK has given. */
export function readBulk(data: Buffer): Typed[][] {
  const reader = new ByteReader(data);
  const rows: Typed[][] = [];
  if (reader.done || reader.u8() !== 0x81) return rows;
  const count = reader.u16();
  const columns = Array.from({ length: count }, () => {
    reader.u32();
    reader.u16();
    const column = readType(reader);
    reader.shortText();
    return column;
  });
  while (!reader.done && reader.buffer[reader.at] === 0xd1) {
    reader.u8();
    rows.push(columns.map(({ type, read }) => ({ type, value: read(reader) })));
  }
  return rows;
}
