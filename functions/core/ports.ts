import type { Failure } from "./failures.js";
import type { Fingerprint, ImageRecord, Metadata, Status, Tag, Variant } from "./record.js";

/** What a store says of one object without its bytes. */
export interface ObjectInfo {
  key: string;
  /** Bytes. */
  size: number;
  /** The store's own fingerprint of this content, without quotes. */
  etag: string;
  contentType: string;
  /** The user that the uploader wrote into the object's metadata. */
  user?: string;
  /** When the object was written, ISO 8601. */
  modifiedAt: string;
}

/** The object was there, but is not what the caller has seen: it has been written again since. */
export class ObjectChanged extends Error {
  override readonly name = "ObjectChanged";
}

/** The object is not there (any more). */
export class ObjectMissing extends Error {
  override readonly name = "ObjectMissing";
}

/** An object of that name is there already, and overwriting was not asked for. */
export class ObjectExists extends Error {
  override readonly name = "ObjectExists";
}

export interface TicketRequest {
  key: string;
  contentType: string;
  /** Exact size in bytes. */
  size: number;
  user?: string;
  overwrite: boolean;
  /** Seconds. */
  lifetime: number;
}

/** Leave to upload one file straight to the store: with `fields` send multipart (fields first, then `file`), otherwise the bytes with `headers`. */
export interface Ticket {
  method: "PUT" | "POST";
  url: string;
  headers?: Record<string, string>;
  fields?: Record<string, string>;
  /** ISO 8601. */
  expiresAt: string;
}

/** One place for objects: the uploads, or the variants. */
export interface ObjectStore {
  /** `undefined` when there is no such object. */
  head(key: string): Promise<ObjectInfo | undefined>;
  /**
   * Bytes `start` to `end` (exclusive; both optional) of an object. Fewer when the object is shorter.
   *
   * @throws ObjectMissing, or ObjectChanged when `etag` is given and no longer right.
   */
  read(key: string, range?: { start?: number; end?: number; etag?: string }): Promise<Uint8Array>;
  /** @throws ObjectExists when `overwrite` is false and the object is there. */
  write(key: string, bytes: Uint8Array, options: { contentType: string; user?: string; overwrite: boolean }): Promise<void>;
  /** Deleting what is not there is no error. */
  delete(keys: readonly string[]): Promise<void>;
  /** Only for stores that are uploaded to from outside. */
  ticket(request: TicketRequest): Promise<Ticket>;
  /** A time-limited URL to read an object; with `download`, as an attachment of that file name. */
  link(key: string, options: { lifetime: number; download?: string }): Promise<string>;
  /** Where tickets and links point to (`https://host`), for the page's content security policy. */
  origin(): Promise<string>;
}

/** One run of the workflow over one version of one object. */
export interface Run {
  key: string;
  /** Orders the events of one key: compare as text, the greater is the newer. */
  sequencer: string;
  /** The version's content, as the event tells it. */
  etag?: string;
  /** A redrive: runs even when this very version already has a result. */
  redrive: boolean;
  /**
   * Names the execution, where the host has one. With it, `finish` lets the same execution store its result again: a step whose answer was lost
   * is tried again, and still has to notify. Another delivery of the same event stays stale.
   */
  execution?: string;
}

/** What a workflow found out about an image. */
export interface Completion extends Metadata, Fingerprint {
  size: number;
  variants: Variant[];
  tags: Tag[];
}

export interface ListQuery {
  user?: string;
  tag?: string;
  status?: Status;
  /** ISO 8601, inclusive. */
  from?: string;
  /** ISO 8601, exclusive. */
  to?: string;
  /** At most this many items. */
  limit: number;
  /** Where the previous page ended; opaque. */
  cursor?: string;
}

export interface Page<Item> {
  items: Item[];
  /** Absent on the last page. */
  cursor?: string;
}

/** A cursor that this store never gave out. */
export class InvalidCursor extends Error {
  override readonly name = "InvalidCursor";
}

/** Where records live. Every write is conditional, so that events may come twice, late or in the wrong order. */
export interface RecordStore {
  /** `undefined` for the unknown and for the deleted. */
  get(key: string): Promise<ImageRecord | undefined>;
  /**
   * Writes `{key, user, status: "processing"}` before the upload's event arrives.
   * `false` when a live record is in the way: one that has begun or ended, or another user's announcement that is younger than `lifetime`
   * seconds. With `overwrite`, only another user's image is in the way.
   */
  announce(image: { key: string; user?: string; at: string; overwrite: boolean; lifetime: number }): Promise<boolean>;
  /**
   * Tells whose image it is, when nothing has told that before: an upload and the message about it come by different ways, in any order.
   * Where nothing is known of the image yet, that announces it.
   *
   * @returns its record, whosever it is.
   */
  attribute(image: { key: string; user: string; at: string }): Promise<ImageRecord>;
  /** Takes back an announcement that came to nothing. What has begun stays. */
  withdraw(key: string): Promise<void>;
  /**
   * Starts a run. `user` is used when the record has none. `stale` when a newer event has been seen, or this one has its
   * result (unless `redrive`).
   */
  begin(run: Run, image: { user?: string; size?: number; uploadedAt: string }): Promise<{ record: ImageRecord } | "stale">;
  /** Stores the result of a run. `stale` when a newer event or a deletion has been seen, or when another delivery of the same event has stored it (the same `execution` gets its own result again). */
  finish(
    run: Run,
    result: { completion: Completion } | { failure: Failure; size?: number },
    at: string,
  ): Promise<{ record: ImageRecord; replaced?: ImageRecord } | "stale">;
  /** Leaves a tombstone that beats late events, and returns what was there. Without a sequencer, the tombstone keeps the record's own. */
  bury(key: string, tombstone: { sequencer?: string; at: string }): Promise<ImageRecord | undefined>;
  /** Newest first. @throws InvalidCursor */
  list(query: Omit<ListQuery, "tag">): Promise<Page<ImageRecord>>;
  /** Those that exist, in the order of `keys`. */
  getMany(keys: readonly string[]): Promise<ImageRecord[]>;
  /** Records that have been `processing` since before `before`, oldest first. */
  stuck(before: string, limit: number): Promise<Stuck[]>;
}

/** A record that has been `processing` for long. */
export interface Stuck {
  record: ImageRecord;
  /** False for an announcement whose upload never came. */
  begun: boolean;
  sequencer?: string;
  /** The execution that has begun it, where the host names them. */
  execution?: string;
}

/** Records of a host that does all steps of an execution in one go, and has to find out after a crash how far it came. */
export interface ResumableRecords extends RecordStore {
  /** What `finish` answered this execution, as long as nobody has changed the record since. */
  storedBy(key: string, execution: string): Promise<{ record: ImageRecord; replaced?: ImageRecord } | undefined>;
}

/** Where tags are found per user and per image, and where labels are remembered by content. */
export interface TagIndex {
  /** Makes `tags` the image's tags, removing what `before` had more. */
  replace(image: { key: string; user?: string; uploadedAt: string }, tags: readonly Tag[], before?: ImageRecord): Promise<void>;
  /** Removes all rows of an image, found by its last record. */
  remove(record: ImageRecord): Promise<void>;
  /** Keys of the images that carry a tag, newest first. @throws InvalidCursor */
  find(query: Pick<ListQuery, "user" | "from" | "to" | "limit" | "cursor"> & { tag: string }): Promise<Page<string>>;
  /** Labels that were found for the very same bytes before, by the same tagger. */
  recall(sha256: string): Promise<Tag[] | undefined>;
  remember(sha256: string, tags: readonly Tag[]): Promise<void>;
}

/** Work that the infrastructure could not do. */
export interface DeadLetter {
  key: string;
  /** The event that started it, whole, so that it can be redriven. */
  event: unknown;
  error: { code: string; message: string };
  at: string;
}

/** Where work goes that could not be done. */
export interface DeadLetters {
  /** What lies there now, at most `limit`, without taking it away. */
  list(limit: number): Promise<DeadLetter[]>;
  /** Takes the dead letters of one image away and returns them. */
  take(key: string): Promise<DeadLetter[]>;
  park(letter: DeadLetter): Promise<void>;
}

/** The workflow that images go through. */
export interface Workflow {
  /** Starts a run for an object that is in the store. `events` are what is parked of it, newest first. */
  redrive(object: ObjectInfo, events?: readonly unknown[]): Promise<void>;
  /** The sequencer of a parked event that tells of a deletion; `undefined` of any other. */
  deletionIn(event: unknown): string | undefined;
}

/** What a tagger is given: the picture and all that is known of it. */
export interface TaggerInput {
  key: string;
  metadata: Metadata;
  fingerprint: Fingerprint;
  statistics: PixelStatistics;
  /** A JPEG of the whole picture, at most 1024 pixels a side. */
  jpeg(): Promise<Uint8Array>;
}

/** Looks at a picture and says what it sees. A team's own tagger is a module whose default export is one. */
export type Tagger = (image: TaggerInput) => Promise<Tag[]> | Tag[];

/** Measured on the decoded picture, each between 0 and 1. */
export interface PixelStatistics {
  /** Mean luma. */
  brightness: number;
  /** Standard deviation of luma, relative to its largest possible value. */
  contrast: number;
  /** Mean HSV saturation. */
  saturation: number;
  /** Share of the pixels by hue family, of those that have a hue. */
  hues: Record<"red" | "orange" | "yellow" | "green" | "cyan" | "blue" | "purple" | "pink", number>;
  /** Edge energy: near 0 is a blur. */
  sharpness: number;
  /** Share of pixels that are not opaque. */
  transparency: number;
}

/** Time, so that tests own it. */
export interface Clock {
  now(): Date;
}
