import type { Failure } from "../failures.js";
import { variantKeys } from "../keys.js";
import type { Clock, Completion, ObjectStore, RecordStore, ResumableRecords, Run, TagIndex, Workflow } from "../ports.js";
import type { ImageRecord, Variant } from "../record.js";
import type { Settings } from "../settings.js";

export interface ResultPorts {
  records: RecordStore;
  tags: TagIndex;
  variants: ObjectStore;
  clock: Clock;
  /** Given, a failure also removes what a stale run of an earlier version may have written without a trace. */
  settings?: Pick<Settings, "variants">;
  /** Given together, an image is processed again when this run may have deleted variants of a newer one's. */
  uploads?: ObjectStore;
  workflow?: Workflow;
}

/** What subscribers are told. */
export interface Notification {
  status: "completed" | "failed";
  /** Fixed text per status, under 100 characters. */
  subject: string;
  /** The record as JSON. */
  message: string;
}

/** `stored: false`: the run is stale, and nobody is to be told. */
export type Stored = { stored: false } | { stored: true; record: ImageRecord; notification: Notification };

/** How often a result gives way to a newer one that comes just then. */
const ATTEMPTS = 5;

const SUBJECTS = { completed: "Image processed", failed: "Image could not be processed" } as const;

/** Stores what a run found out, once: of deliveries of the same event only the first stores, and after a newer event or a deletion none does. */
export async function storeResults(run: Run, completion: Completion, ports: ResultPorts): Promise<Stored> {
  return finish(run, { completion }, completion.variants, ports);
}

/**
 * Stores that a run failed. Whatever an earlier version had left (variants, tags) goes; only of INTERNAL the variants stay, since a redrive will
 * replace them. `size`: bytes, where known.
 */
export async function recordFailure(run: Run, failure: Failure, ports: ResultPorts, size?: number): Promise<Stored> {
  return finish(run, { failure, ...(size !== undefined && { size }) }, [], ports);
}

/**
 * Goes on where an execution died after its result was stored: what comes after is done, again perhaps, and whoever is to be told is told.
 *
 * @returns `undefined` when this execution has stored nothing that is still there.
 */
export async function resumeResults(
  { key, execution }: { key: string; execution: string },
  ports: ResultPorts & { records: Pick<ResumableRecords, "storedBy"> },
): Promise<Extract<Stored, { stored: true }> | undefined> {
  const found = await ports.records.storedBy(key, execution);
  return found && settle(found, ports);
}

async function finish(
  run: Run,
  result: Parameters<RecordStore["finish"]>[1],
  written: readonly Variant[],
  ports: ResultPorts,
): Promise<Stored> {
  const finished = await ports.records.finish(run, result, ports.clock.now().toISOString());
  if (finished !== "stale") return settle(finished, ports);
  await leaveNothing(run.key, written, ports);
  return { stored: false };
}

/** What follows a result that is stored. Doing it twice is no error. */
async function settle(
  { record, replaced }: { record: ImageRecord; replaced?: ImageRecord },
  ports: ResultPorts,
): Promise<Extract<Stored, { stored: true }>> {
  const { tags } = ports;
  await Promise.all([tags.replace(identity(record), record.tags ?? [], replaced), deleteUnused(record, replaced, ports)]);
  await yieldToNewer(record, ports);
  const status = record.status as Notification["status"];
  return { stored: true, record, notification: { status, subject: SUBJECTS[status], message: JSON.stringify(record) } };
}

/**
 * Deletes what other versions left: the variants of the result before, and those of this result's names in another format, which a run that was
 * overtaken may have written without a trace.
 */
async function deleteUnused(record: ImageRecord, replaced: ImageRecord | undefined, { variants, settings }: ResultPorts): Promise<void> {
  // Another delivery, or a redrive, may yet complete it, with variants in the very same places.
  if (record.failure?.code === "INTERNAL") return;
  const names = new Set([...Object.keys(settings?.variants ?? {}), ...(record.variants ?? []).map(({ name }) => name)]);
  await deleteBut(variants, [...variantKeys(record.key, names), ...(replaced?.variants ?? []).map(({ key }) => key)], record.variants);
}

/**
 * Looks at the record once more, after the writing. As long as it is this result's, whoever replaces it also writes later. Otherwise what was just
 * written about tags and variants may have come over the newer result's: its tags are written again, and its variants made again.
 */
async function yieldToNewer(record: ImageRecord, { records, tags, ...ports }: ResultPorts): Promise<void> {
  let now = await records.get(record.key);
  if (isSame(now, record)) return;
  for (let [written, attempt] = [record, 0]; attempt < ATTEMPTS && now?.status !== "processing" && !isSame(now, written); attempt++) {
    if (!now) return tags.remove(written);
    await tags.replace(identity(now), now.tags ?? [], written);
    written = now;
    now = await records.get(record.key);
  }
  await makeAgain(record.key, ports);
}

/**
 * A stale run has written variants, which may be the newer result's own (then they stay), or nobody's.
 * While a newer run is under way nobody knows: it cleans up when it ends.
 */
async function leaveNothing(key: string, written: readonly Variant[], { records, ...ports }: ResultPorts): Promise<void> {
  const current = await records.get(key);
  if (current?.status === "processing" || written.length === 0) return;
  const keys = written.map((variant) => variant.key);
  await deleteBut(ports.variants, keys, current?.variants);
  if (!isSame(await records.get(key), current)) await makeAgain(key, ports);
}

async function makeAgain(key: string, { uploads, workflow }: Pick<ResultPorts, "uploads" | "workflow">): Promise<void> {
  const object = workflow && (await uploads?.head(key));
  if (object) await workflow.redrive(object);
}

/** Is it the same result of the same version? */
function isSame(a: ImageRecord | undefined, b: ImageRecord | undefined): boolean {
  return a?.status === b?.status && a?.uploadedAt === b?.uploadedAt && a?.processedAt === b?.processedAt && a?.sha256 === b?.sha256;
}

/** Deletes objects, but not those in use. */
async function deleteBut(store: ObjectStore, keys: readonly string[], inUse: readonly Variant[] = []): Promise<void> {
  const used = new Set(inUse.map(({ key }) => key));
  const unused = [...new Set(keys)].filter((key) => !used.has(key));
  if (unused.length > 0) await store.delete(unused);
}

function identity({ key, user, uploadedAt }: ImageRecord): { key: string; user?: string; uploadedAt: string } {
  return { key, uploadedAt, ...(user !== undefined && { user }) };
}
