import { createHash } from "node:crypto";
import sql from "mssql";
import { fileName } from "../core/keys.js";
import { ImageRecord } from "../core/record.js";
import type { Entry } from "../core/record-lifecycle.js";

/** A row of ImageMetadata, by column. */
export type Row = Record<Column, Value>;
type Value = string | number | boolean | Date | Buffer | null;

/**
 * The table's columns, but for `Id INT IDENTITY` (primary key), in the order of its declaration in components/azure/sql-schema.ts.
 * `KeyHash` is unique. Only `KeyHash`, `ImageKey`, `FileName` and `Revision` are never NULL: a tombstone has nothing else of an image's.
 */
export const COLUMNS = {
  /** BINARY(32), SHA-256 of the key: a name of 1,024 characters is longer than what an index may hold. */
  KeyHash: sql.Binary(),
  /** Compared by its bytes (a BIN2 collation), as the store does. */
  ImageKey: sql.NVarChar(1024),
  FileName: sql.NVarChar(1024),
  UserId: sql.NVarChar(256),
  /** `processing`, `completed`, `failed`; NULL in a tombstone. */
  Status: sql.VarChar(16),
  FileSizeKB: sql.Int(),
  FileSizeBytes: sql.BigInt(),
  Width: sql.Int(),
  Height: sql.Int(),
  Format: sql.NVarChar(16),
  ColorSpace: sql.NVarChar(32),
  HasAlpha: sql.Bit(),
  Frames: sql.Int(),
  Orientation: sql.Int(),
  /** JSON. */
  Exif: sql.NVarChar(sql.MAX),
  Sha256: sql.Char(64),
  DominantColor: sql.Char(7),
  Thumbhash: sql.VarChar(64),
  /** JSON. */
  Variants: sql.NVarChar(sql.MAX),
  /** JSON. */
  Tags: sql.NVarChar(sql.MAX),
  UploadedOn: sql.DateTime2(3),
  ProcessedOn: sql.DateTime2(3),
  FailureCode: sql.VarChar(32),
  FailureMessage: sql.NVarChar(sql.MAX),
  /** The newest event that has been seen. */
  Sequencer: sql.VarChar(256),
  /** The version of the object that the newest run is about. */
  ETag: sql.NVarChar(256),
  /** When the newest run began. */
  StartedOn: sql.DateTime2(3),
  /** The execution that stored the result. */
  Execution: sql.NVarChar(256),
  /** JSON: the result that was there before, for whoever has to clean up after it. */
  Previous: sql.NVarChar(sql.MAX),
  /** When a tombstone goes. */
  ExpiresOn: sql.DateTime2(3),
  /** Another with every change. */
  Revision: sql.Char(36),
} satisfies Record<string, sql.ISqlType>;

export type Column = keyof typeof COLUMNS;

/** What a key is found by. */
export function keyHash(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

export function toRow({ key, record, sequencer, etag, startedAt, execution, previous, expiresAt }: Entry, revision: string): Row {
  const { size, failure } = record ?? {};
  return {
    KeyHash: keyHash(key),
    ImageKey: key,
    FileName: fileName(key),
    UserId: record?.user ?? null,
    Status: record?.status ?? null,
    FileSizeKB: size === undefined ? null : Math.ceil(size / 1024),
    FileSizeBytes: size ?? null,
    Width: record?.width ?? null,
    Height: record?.height ?? null,
    Format: record?.format ?? null,
    ColorSpace: record?.colorSpace ?? null,
    HasAlpha: record?.hasAlpha ?? null,
    Frames: record?.frames ?? null,
    Orientation: record?.orientation ?? null,
    Exif: json(record?.exif),
    Sha256: record?.sha256 ?? null,
    DominantColor: record?.dominantColor ?? null,
    Thumbhash: record?.thumbhash ?? null,
    Variants: json(record?.variants),
    Tags: json(record?.tags),
    UploadedOn: date(record?.uploadedAt),
    ProcessedOn: date(record?.processedAt),
    FailureCode: failure?.code ?? null,
    FailureMessage: failure?.message ?? null,
    Sequencer: sequencer ?? null,
    ETag: etag ?? null,
    StartedOn: date(startedAt),
    Execution: execution ?? null,
    Previous: json(previous),
    ExpiresOn: date(expiresAt),
    Revision: revision,
  };
}

export function fromRow(row: Row): Entry {
  const { ImageKey, Status, Sequencer, ETag, StartedOn, Execution, Previous, ExpiresOn } = row;
  return {
    key: String(ImageKey),
    ...(Status !== null && { record: recordOf(row) }),
    ...(Sequencer !== null && { sequencer: String(Sequencer) }),
    ...(ETag !== null && { etag: String(ETag) }),
    ...(StartedOn !== null && { startedAt: time(StartedOn) }),
    ...(Execution !== null && { execution: String(Execution) }),
    ...(Previous !== null && { previous: checked(JSON.parse(String(Previous)), ImageKey) }),
    ...(ExpiresOn !== null && { expiresAt: time(ExpiresOn) }),
  };
}

/**
 * The record in a row.
 *
 * @throws Error naming the key and what is wrong, when somebody else has written into the table.
 */
export function recordOf(row: Row): ImageRecord {
  const { FailureCode, FailureMessage, UploadedOn, ProcessedOn, FileSizeBytes } = row;
  const columns = {
    key: row.ImageKey,
    user: row.UserId,
    status: row.Status,
    // BIGINT comes as text, since not every one is a number of JavaScript's; no file is that large.
    size: FileSizeBytes === null ? null : Number(FileSizeBytes),
    width: row.Width,
    height: row.Height,
    format: row.Format,
    colorSpace: row.ColorSpace,
    hasAlpha: row.HasAlpha,
    frames: row.Frames,
    orientation: row.Orientation,
    exif: parsed(row.Exif),
    sha256: row.Sha256,
    dominantColor: row.DominantColor,
    thumbhash: row.Thumbhash,
    variants: parsed(row.Variants),
    tags: parsed(row.Tags),
    uploadedAt: UploadedOn && time(UploadedOn),
    processedAt: ProcessedOn && time(ProcessedOn),
    failure: FailureCode === null ? null : { code: FailureCode, message: FailureMessage },
  };
  return checked(Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== null)), row.ImageKey);
}

function checked(json: unknown, key: Value): ImageRecord {
  const { success, data, error } = ImageRecord.safeParse(json);
  if (!success) throw new Error(`The row of ${JSON.stringify(key)} is not a record: ${error.message}`);
  return data;
}

const json = (value: object | undefined) => (value === undefined ? null : JSON.stringify(value));

const parsed = (text: Value) => (text === null ? null : (JSON.parse(String(text)) as unknown));

const date = (iso: string | undefined) => (iso === undefined ? null : new Date(iso));

const time = (value: Value) => (value as Date).toISOString();
