import { z } from "zod";
import { LONGEST_USER } from "../core/object-metadata.js";
import type { ObjectStore } from "../core/ports.js";
import type { Arrival } from "../core/stages/validate.js";

/** Where images arrive: the container's address, without a slash at its end. */
export interface Uploads {
  account: string;
  container: string;
}

/** A message that says nothing which could be done: it is no use to try it again. */
export class UnreadableMessage extends Error {
  override readonly name = "UnreadableMessage";
}

/** Longest name of a blob, in characters. */
const LONGEST_NAME = 1_024;

const User = z.string().min(1).max(LONGEST_USER);

/** Event Grid's event for a blob, in its own schema. */
const BlobEvent = z.looseObject({
  eventType: z.enum(["Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobDeleted"]),
  eventTime: z.iso.datetime({ offset: true }),
  data: z.looseObject({
    url: z.string(),
    /** Of accounts with a hierarchical namespace, whose `url` is another service's. */
    blobUrl: z.string().optional(),
    eTag: z.string().optional(),
    contentLength: z.number().int().nonnegative().optional(),
    sequencer: z.string().optional(),
  }),
  /** Ours, not Event Grid's: somebody wants it done again, and this tells one wish from another. */
  redrive: z.boolean().default(false),
  redriveId: z
    .string()
    .regex(/^[\w-]{1,64}$/)
    .optional(),
  /** Ours: whose image it is, by a message that was parked. */
  user: User.optional(),
});

/** Requirement 002's message, from whoever uploads: whose image it is. */
const OwnerMessage = z.looseObject({ blobUrl: z.string(), userId: User });

/** What a message of the queue asks for. `otherKey`: how else its URL can be read. */
export type Job = { otherKey?: string } & (
  | /** A blob has been written. */ { kind: "created"; arrival: Arrival; redriveId?: string }
  | /** A blob has gone. */ { kind: "deleted"; key: string; sequencer: string; at: string }
  | /** A blob is somebody's. */ { kind: "owned"; key: string; user: string }
);

/** @throws UnreadableMessage saying what of the message nobody can work with. */
export function jobOf(message: unknown, uploads: Uploads): Job {
  if (isObject(message) && "blobUrl" in message && !("eventType" in message)) {
    const { blobUrl, userId } = parsed(OwnerMessage, message, "a message about a blob, { blobUrl, userId }");
    return { kind: "owned", ...keyIn(blobUrl, uploads), user: userId };
  }
  const { eventType, eventTime, data, redrive, redriveId, user } = parsed(BlobEvent, message, "an event of Event Grid for a blob");
  const { key, ...other } = keyIn(data.blobUrl ?? data.url, uploads);
  const { sequencer, eTag, contentLength } = data;
  if (!sequencer && !redrive)
    throw new UnreadableMessage(`The event for ${key} has no sequencer, without which it cannot be told from a late one.`);
  if (eventType === "Microsoft.Storage.BlobDeleted") return { kind: "deleted", key, ...other, sequencer: sequencer ?? "", at: eventTime };
  const arrival: Arrival = {
    key,
    sequencer: sequencer ?? "",
    ...(eTag !== undefined && { etag: eTag.replace(/^"(.*)"$/, "$1") }),
    ...(contentLength !== undefined && { size: contentLength }),
    ...(redrive && user !== undefined && { user }),
    at: eventTime,
    redrive,
  };
  return { kind: "created", arrival, ...other, ...(redriveId !== undefined && { redriveId }) };
}

/** The image that a job is about, by the first reading of its URL. */
export function keyOf(job: Job): string {
  return job.kind === "created" ? job.arrival.key : job.key;
}

/**
 * The job about the blob that there is: where only the other reading of its URL names one, that is the key of all that follows, of the run, its
 * record and its dead letter. Of a blob that has gone, this cannot be asked: see `cleanUp`.
 */
export async function underItsOwnKey(job: Job, uploads: Pick<ObjectStore, "head">): Promise<Job> {
  const { otherKey, ...first } = job;
  if (otherKey === undefined || first.kind === "deleted") return job;
  if ((await uploads.head(keyOf(first))) || !(await uploads.head(otherKey))) return first;
  return first.kind === "created" ? { ...first, arrival: { ...first.arrival, key: otherKey } } : { ...first, key: otherKey };
}

/** A blob's name in its URL: decoded once, as it stands in a URL; and, where that differs, as it is, in case that the URL was not encoded. */
function keyIn(address: string, { account, container }: Uploads): { key: string; otherKey?: string } {
  const place = new URL(`${account.replace(/\/$/, "")}/${container}/`);
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw new UnreadableMessage(`${shown(address)} is no URL.`);
  }
  if (url.origin !== place.origin || !url.pathname.startsWith(place.pathname))
    throw new UnreadableMessage(`${shown(address)} is not in the container that images arrive in, ${place}.`);
  // What the URL makes of its dots, others do not: it has to be the same for all.
  const [path = ""] = address
    .slice(address.indexOf("//") + 2)
    .replace(/^[^/]*/, "")
    .split("?");
  const raw = path.slice(place.pathname.length);
  const key = attempt(() => decodeURIComponent(raw)) ?? raw;
  const broken = !path.startsWith(place.pathname) || [raw, key].some((name) => name === "" || /(^|[/\\])\.\.?([/\\]|$)|\0/.test(name));
  if (broken || key.length > LONGEST_NAME) throw new UnreadableMessage(`${shown(address)} names no blob.`);
  return { key, ...(raw !== key && { otherKey: raw }) };
}

function parsed<Schema extends z.ZodType>(schema: Schema, message: unknown, what: string): z.infer<Schema> {
  const { success, data, error } = schema.safeParse(message);
  if (!success) throw new UnreadableMessage(`The message is not ${what}: ${z.prettifyError(error)}\n${shown(message)}`);
  return data;
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 300);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
