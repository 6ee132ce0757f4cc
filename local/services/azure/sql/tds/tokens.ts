import type { SqlError } from "../errors.js";
import type { Typed } from "../translate/environment.js";
import { VERSION } from "../translate/metadata.js";
import type { OutputColumn } from "../translate/query.js";
import type { SqlValue } from "../types/convert.js";
import { INT } from "../types/sql-type.js";
import { ByteWriter } from "./bytes.js";
import { COLLATION, writeType, writeValue } from "./types.js";

/** Bits of the status of DONE, DONEINPROC and DONEPROC. */
export const DONE = { final: 0, more: 1, error: 2, transaction: 4, count: 0x10, attention: 0x20 } as const;
export type DoneKind = "done" | "inProcedure" | "procedure";
const DONE_TOKENS: Readonly<Record<DoneKind, number>> = { done: 0xfd, procedure: 0xfe, inProcedure: 0xff };
const SELECT = 0xc1;

export function done(kind: DoneKind, status: number, count = 0, select = false): Buffer {
  return new ByteWriter()
    .u8(DONE_TOKENS[kind])
    .u16(status)
    .u16(select ? SELECT : 0)
    .u64(BigInt(count))
    .take();
}

const sized = (token: number, body: Buffer): Buffer => new ByteWriter().u8(token).u16(body.length).bytes(body).take();

export function errorToken({ number, state, severity, message, procedure, line }: SqlError, server: string): Buffer {
  return sized(
    0xaa,
    new ByteWriter()
      .i32(number)
      .u8(state, severity)
      .text(message)
      .shortText(server)
      .shortText(procedure)
      .u32(line || 1)
      .take(),
  );
}

export function infoToken(message: string, number: number, severity: number, state: number, line: number, server: string): Buffer {
  return sized(0xab, new ByteWriter().i32(number).u8(state, severity).text(message).shortText(server).shortText("").u32(line).take());
}

export function columnsToken(columns: readonly OutputColumn[]): Buffer {
  const out = new ByteWriter().u8(0x81).u16(columns.length);
  for (const { name, type, required, identity } of columns) {
    out.u32(0).u16((required ? 0 : 1) | 8 | (identity ? 0x10 : 0));
    writeType(out, type.untyped ? INT : type);
    out.shortText(name);
  }
  return out.take();
}

export function rowToken(out: ByteWriter, columns: readonly OutputColumn[], values: readonly SqlValue[]): void {
  out.u8(0xd1);
  columns.forEach(({ type }, index) => {
    writeValue(out, type.untyped ? INT : type, values[index] ?? null);
  });
}

export const returnStatus = (value: number): Buffer => new ByteWriter().u8(0x79).i32(value).take();

export function returnValue(name: string, ordinal: number, { type, value }: Typed): Buffer {
  const out = new ByteWriter().u8(0xac).u16(ordinal).shortText(name).u8(1).u32(0).u16(0);
  writeType(out, type.untyped ? INT : type);
  writeValue(out, type.untyped ? INT : type, value);
  return out.take();
}

const text = (value: string): Buffer => new ByteWriter().shortText(value).take();
const environment = (kind: number, now: Buffer, before: Buffer): Buffer => sized(0xe3, Buffer.concat([Buffer.from([kind]), now, before]));
const binary = (value: Buffer): Buffer => Buffer.concat([Buffer.from([value.length]), value]);
const NOTHING = Buffer.from([0]);

export const databaseChanged = (now: string, before: string): Buffer => environment(1, text(now), text(before));
export const languageChanged = (): Buffer => environment(2, text("us_english"), text(""));
export const packetSizeChanged = (now: number): Buffer => environment(4, text(String(now)), text("4096"));
export const collationChanged = (): Buffer => environment(7, binary(COLLATION), NOTHING);
export const connectionReset = (): Buffer => environment(18, NOTHING, NOTHING);

export function transactionChanged(event: "begin" | "commit" | "rollback", descriptor: Buffer): Buffer {
  if (event === "begin") return environment(8, binary(descriptor), NOTHING);
  return environment(event === "commit" ? 9 : 10, NOTHING, binary(descriptor));
}

/** Tells the client that it is in, of which protocol (7.4), and by what. */
export function loginAcknowledged(): Buffer {
  const [major = 12, minor = 0, build = 0] = VERSION.split(".").map(Number);
  const version = [major, minor, build >> 8, build & 255];
  return sized(
    0xad,
    new ByteWriter()
      .u8(1, 0x74, 0, 0, 4)
      .shortText("Embedded SQL")
      .u8(...version)
      .take(),
  );
}

export const federationAcknowledged = (): Buffer => new ByteWriter().u8(0xae, 2).u32(0).u8(0xff).take();

/** Where to get a token, and for which resource. */
export function federationInfo(authority: string, resource: string): Buffer {
  const [sts, spn] = [Buffer.from(authority, "utf16le"), Buffer.from(resource, "utf16le")];
  const first = 4 + 2 * 9;
  const body = new ByteWriter()
    .u32(2)
    .u8(1)
    .u32(sts.length)
    .u32(first)
    .u8(2)
    .u32(spn.length)
    .u32(first + sts.length)
    .bytes(sts)
    .bytes(spn)
    .take();
  return new ByteWriter().u8(0xee).u32(body.length).bytes(body).take();
}
