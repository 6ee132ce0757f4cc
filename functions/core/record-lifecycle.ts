import type { Failure } from "./failures.js";
import type { Completion, Run, Stuck } from "./ports.js";
import type { ImageRecord } from "./record.js";

/**
 * All that is kept under one key: the record, and what it takes to tell late, repeated and reordered events from new ones.
 * The functions below decide what an event makes of it; they know no database.
 */
export interface Entry {
  key: string;
  /** Absent in a tombstone: the image was deleted, and events up to `sequencer` are late. */
  record?: ImageRecord;
  /** The newest event that has been seen. */
  sequencer?: string;
  /** The version of the object that the newest run is about. */
  etag?: string;
  /** When the newest run began, ISO 8601. A record that is `processing` without it is an announcement. */
  startedAt?: string;
  /** The execution that stored the result, or, as long as there is none, the one that has begun. */
  execution?: string;
  /**
   * The result that was there before: of the version that is being replaced, or of the image that was deleted. It stays until the next
   * change, so that whoever has to clean up after it can ask again.
   */
  previous?: ImageRecord;
  /** When a tombstone goes, ISO 8601. An announcement keeps it when there is a tombstone beneath. */
  expiresAt?: string;
}

/** What comes of an event: the entry to keep (`"none"`: drop it; absent: leave it alone), and the answer. */
export interface Transition<Answer> {
  keep?: Entry | "none";
  answer: Answer;
}

/** The latest that an event can be: EventBridge tries for one day, a dead letter waits for 14. */
export const TOMBSTONE_DAYS = 15;

/** Negative, zero or positive as `a` is older than, the same as, or newer than `b`. S3's sequencers differ in length: pad the shorter with zeros. */
export function compareSequencers(a: string, b: string): number {
  const length = Math.max(a.length, b.length);
  const [left, right] = [a.padEnd(length, "0"), b.padEnd(length, "0")];
  return left < right ? -1 : left > right ? 1 : 0;
}

export interface Announcement {
  key: string;
  user?: string;
  at: string;
  overwrite: boolean;
  lifetime: number;
}

/** See RecordStore.announce. */
export function announce(entry: Entry | undefined, { key, user, at, overwrite, lifetime }: Announcement): Transition<boolean> {
  const image = entry && imageOf(entry);
  if (image && (!overwrite || image.user !== user)) return { answer: false };
  if (entry && isAnnounced(entry) && entry.record?.user !== user) {
    const age = Date.parse(at) - Date.parse(entry.record?.uploadedAt ?? at);
    if (age < lifetime * 1_000) return { answer: false };
  }
  // The run that is under way keeps its record; the upload's own event takes over when it comes.
  if (entry && isBegun(entry)) return { answer: true };
  const record: ImageRecord = { key, ...(user !== undefined && { user }), status: "processing", uploadedAt: at };
  const { startedAt: _, ...rest } = { ...entry, key };
  return { keep: { ...rest, record, ...(isEnded(entry) && { previous: entry.record }) }, answer: true };
}

/** See RecordStore.attribute. */
export function attribute(entry: Entry | undefined, { key, user, at }: { key: string; user: string; at: string }): Transition<ImageRecord> {
  if (!entry?.record) {
    const record: ImageRecord = { key, user, status: "processing", uploadedAt: at };
    return { keep: { ...entry, key, record }, answer: record };
  }
  if (entry.record.user !== undefined) return { answer: entry.record };
  const record = { ...entry.record, user };
  return { keep: { ...entry, record }, answer: record };
}

/** See RecordStore.withdraw. */
export function withdraw(entry: Entry | undefined): Transition<void> {
  if (!entry || !isAnnounced(entry)) return { answer: undefined };
  const { record: _, previous, ...rest } = entry;
  if (rest.expiresAt) return { keep: { ...rest, ...(previous && { previous }) }, answer: undefined };
  return { keep: previous ? { ...rest, record: previous } : "none", answer: undefined };
}

/** See RecordStore.begin. */
export function begin(
  entry: Entry | undefined,
  run: Run,
  image: { user?: string; size?: number; uploadedAt: string },
  now: string,
): Transition<{ record: ImageRecord } | "stale"> {
  const order = orderOf(run, entry);
  const repeated = entry && (isBegun(entry) || isGivenUp(entry) || (run.redrive && imageOf(entry) !== undefined));
  if (order === "older" || (order === "same" && !repeated)) return { answer: "stale" };
  // What tells no more than whose an image is leaves the version to the execution that has begun with it: that one comes again by itself.
  const isToldAnyway = run.sequencer === "" && !run.redrive && order === "same" && entry && isBegun(entry);
  if (isToldAnyway && entry.execution !== undefined && entry.execution !== run.execution) return { answer: "stale" };
  const user = entry?.record?.user ?? image.user;
  const record: ImageRecord = {
    key: run.key,
    ...(user !== undefined && { user }),
    status: "processing",
    ...(image.size !== undefined && { size: image.size }),
    uploadedAt: uploadedAt(entry, image.uploadedAt),
  };
  // A failure of the infrastructure is no result: what was there before it is still to be replaced.
  const previous = isEnded(entry) && entry.record.failure?.code !== "INTERNAL" ? entry.record : entry?.previous;
  const keep: Entry = {
    key: run.key,
    record,
    ...version(run, entry),
    startedAt: now,
    ...(run.execution !== undefined && { execution: run.execution }),
    ...(previous && { previous }),
  };
  return { keep, answer: { record } };
}

/** See RecordStore.finish. */
export function finish(
  entry: Entry | undefined,
  run: Run,
  result: { completion: Completion } | { failure: Failure; size?: number },
  at: string,
): Transition<{ record: ImageRecord; replaced?: ImageRecord } | "stale"> {
  const order = orderOf(run, entry);
  if (order === "older" || (order === "unknown" && entry && !isAnnounced(entry))) return { answer: "stale" };
  if (entry && order === "same") {
    if (isEnded(entry) && run.execution !== undefined && entry.execution === run.execution) {
      return { answer: { record: entry.record, ...(entry.previous && { replaced: entry.previous }) } };
    }
    // Another delivery of the event may do what one could not because of the infrastructure.
    const improved = isEnded(entry) && entry.record.failure?.code === "INTERNAL" && "completion" in result;
    if (!isBegun(entry) && !improved) return { answer: "stale" };
  }
  const before = entry?.record;
  // Of a version that no run has begun for, nothing is known but that it is there.
  const known = order === "same" || (entry && isAnnounced(entry)) ? before : undefined;
  const size = "failure" in result ? (result.size ?? known?.size) : result.completion.size;
  const record: ImageRecord = {
    key: run.key,
    ...(before?.user !== undefined && { user: before.user }),
    ...("completion" in result ? { status: "completed", ...result.completion } : { status: "failed", failure: result.failure }),
    ...(size !== undefined && { size }),
    uploadedAt: known?.uploadedAt ?? at,
    processedAt: at,
  };
  const replaced = order === "newer" && isEnded(entry) ? entry.record : entry?.previous;
  const keep: Entry = {
    key: run.key,
    record,
    ...version(run, entry),
    ...(run.execution !== undefined && { execution: run.execution }),
    ...(replaced && { previous: remains(replaced) }),
  };
  return { keep, answer: { record, ...(replaced && { replaced }) } };
}

/** See RecordStore.stuck: what of an entry is said there. */
export function stuck({ record, startedAt, sequencer, execution }: Entry): Stuck[] {
  if (record?.status !== "processing") return [];
  const begun = startedAt !== undefined;
  return [{ record, begun, ...(sequencer !== undefined && { sequencer }), ...(begun && execution !== undefined && { execution }) }];
}

/** See ResumableRecords.storedBy. */
export function storedBy(entry: Entry | undefined, execution: string): { record: ImageRecord; replaced?: ImageRecord } | undefined {
  if (!isEnded(entry) || entry.execution !== execution) return undefined;
  return { record: entry.record, ...(entry.previous && { replaced: entry.previous }) };
}

/** See RecordStore.bury. */
export function bury(
  entry: Entry | undefined,
  key: string,
  { sequencer, at }: { sequencer?: string; at: string },
): Transition<ImageRecord | undefined> {
  if (!entry && sequencer === undefined) return { answer: undefined };
  const newest = sequencer ?? entry?.sequencer;
  if (entry?.sequencer !== undefined && newest !== undefined && compareSequencers(newest, entry.sequencer) < 0)
    return { answer: undefined };
  const expiresAt = new Date(Date.parse(at) + TOMBSTONE_DAYS * 86_400_000).toISOString();
  const stone: Entry = { key, ...(newest !== undefined && { sequencer: newest }), expiresAt };
  const buried = entry && (isEnded(entry) ? entry.record : (entry.previous ?? entry.record));
  const previous = buried && remains(buried);
  // Deleted in the store while the next upload is announced: that one is still to come.
  if (entry && isAnnounced(entry) && sequencer !== undefined && entry.record) {
    return {
      keep: { ...stone, record: entry.record, ...(entry.previous && { previous: remains(entry.previous) }) },
      answer: entry.previous,
    };
  }
  return { keep: { ...stone, ...(previous && { previous }) }, answer: buried };
}

/** Stores tell whole seconds: an announcement of the same second knows better, so that images are listed in the order in which they came. */
function uploadedAt(entry: Entry | undefined, told: string): string {
  const announced = entry && isAnnounced(entry) ? entry.record?.uploadedAt : undefined;
  return announced !== undefined && announced.slice(0, 19) === told.slice(0, 19) && announced > told ? announced : told;
}

const isBegun = (entry: Entry) => entry.record?.status === "processing" && entry.startedAt !== undefined;

const isAnnounced = (entry: Entry) => entry.record?.status === "processing" && entry.startedAt === undefined;

const isEnded = (entry: Entry | undefined): entry is Entry & { record: ImageRecord } =>
  entry?.record !== undefined && entry.record.status !== "processing";

/** Failed because no event of it was seen for too long: one that comes after all is not late. */
const isGivenUp = (entry: Entry) => entry.record?.failure?.code === "INTERNAL" && entry.sequencer === undefined;

/** The image that is there, as far as is known: not one that is only announced, nor one that is deleted. */
function imageOf(entry: Entry): ImageRecord | undefined {
  if (!isAnnounced(entry)) return entry.record;
  return entry.expiresAt ? undefined : entry.previous;
}

/**
 * The run's event, compared with the newest that was seen. A redrive that has lost its event carries no sequencer, nor does a message about whose
 * image it is: they are known by the version of the object that they are about.
 */
function orderOf(run: Run, entry: Entry | undefined): "older" | "same" | "newer" | "unknown" {
  if (!entry) return "newer";
  const isSameVersion = entry.etag !== undefined && entry.etag === run.etag;
  if (run.sequencer === "") return isSameVersion ? "same" : "unknown";
  if (entry.sequencer === undefined) return isSameVersion && !isAnnounced(entry) ? "same" : "unknown";
  const order = compareSequencers(run.sequencer, entry.sequencer);
  return order < 0 ? "older" : order > 0 ? "newer" : "same";
}

function version(run: Run, entry: Entry | undefined): Pick<Entry, "sequencer" | "etag"> {
  const sequencer = run.sequencer || entry?.sequencer;
  return { ...(sequencer !== undefined && { sequencer }), ...(run.etag !== undefined && { etag: run.etag }) };
}

/** What is needed of a result to clean up after it. */
function remains({ key, user, status, uploadedAt, variants, tags }: ImageRecord): ImageRecord {
  return {
    key,
    ...(user !== undefined && { user }),
    status,
    uploadedAt,
    ...(variants && { variants }),
    ...(tags && { tags }),
  };
}
