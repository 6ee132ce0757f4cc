import type { Failure } from "../failures.js";
import type { DeadLetters, ObjectInfo, ObjectStore, Run, Stuck } from "../ports.js";
import type { Settings } from "../settings.js";
import { cleanUp } from "./clean-up.js";
import { type Notification, type ResultPorts, recordFailure, type Stored } from "./store-results.js";

export interface SweepPorts extends ResultPorts {
  uploads: ObjectStore;
  deadLetters: DeadLetters;
  settings: Pick<Settings, "linkLifetime" | "variants">;
  /** Tells of an image that failed, as soon as that is stored: no later sweep finds it again. */
  announce(notification: Notification): Promise<void>;
  /**
   * Is the run of an image that is there still under way, or yet to begin? Asked where a host's runs may take, or wait, longer than the sweep does.
   * @default no run is
   */
  isUnderWay?(stuck: Stuck, object: ObjectInfo): Promise<boolean>;
}

/** What a sweep did. */
export interface Swept {
  /** Keys of announcements whose upload never came. */
  withdrawn: string[];
  /** Results of images whose run got lost. */
  failed: Extract<Stored, { stored: true }>[];
  /** Keys of images whose run and deletion got lost. */
  removed: string[];
}

/** After this many seconds without a result, a run counts as lost, unless the host knows better: see `isUnderWay`. */
const LOST_AFTER = 600;
/** Images per sweep; the next one goes on. */
const MOST = 100;
/** Images in whose way the infrastructure may stand before a sweep ends: it is not this image, then. */
const MOST_TROUBLES = 10;
/** Clocks of stores and of workers may differ by this many seconds. */
const CLOCK_SKEW = 60;

/**
 * Ends what has been `processing` for more than 10 minutes. Announcements whose upload never came are withdrawn once their ticket has ended.
 * Images that are there, but whose event or run was lost, are recorded as failed INTERNAL, once, and parked in the dead letters, from where they
 * can be redriven, and announced. Images that are gone are cleaned away.
 *
 * @throws what stood in the way of an image, once the others are done.
 */
export async function sweep(ports: SweepPorts): Promise<Swept> {
  const now = ports.clock.now().getTime();
  const swept: Swept = { withdrawn: [], failed: [], removed: [] };
  const troubles: unknown[] = [];
  for (const stuck of await ports.records.stuck(new Date(now - LOST_AFTER * 1000).toISOString(), MOST)) {
    await end(stuck, now, ports, swept).catch((error: unknown) => troubles.push(error));
    if (troubles.length >= MOST_TROUBLES) break;
  }
  if (troubles.length > 0) throw troubles[0];
  return swept;
}

async function end(stuck: Stuck, now: number, ports: SweepPorts, swept: Swept): Promise<void> {
  const { key } = stuck.record;
  const object = await ports.uploads.head(key);
  if (stuck.begun && !object) {
    await cleanUp({ key, at: new Date(now).toISOString() }, ports);
    swept.removed.push(key);
  } else if (object && (stuck.begun || isAnnounced(object, stuck))) {
    if (await ports.isUnderWay?.(stuck, object)) return;
    const failed = await fail(stuck, object, ports);
    if (failed.stored) swept.failed.push(failed);
  } else if (now - Date.parse(stuck.record.uploadedAt) > (ports.settings.linkLifetime + CLOCK_SKEW) * 1000) {
    await ports.records.withdraw(key);
    swept.withdrawn.push(key);
  }
}

/** Is this object the upload that was announced, not the one that was to be overwritten? */
function isAnnounced(object: ObjectInfo, { record }: Stuck): boolean {
  return Date.parse(object.modifiedAt) >= Date.parse(record.uploadedAt) - CLOCK_SKEW * 1000;
}

/** Recording comes first, because it happens only once: of two sweeps only one parks. */
async function fail({ record, begun, sequencer }: Stuck, object: ObjectInfo, ports: SweepPorts): Promise<Stored> {
  const run: Run = { key: record.key, sequencer: (begun && sequencer) || "", etag: object.etag, redrive: true };
  const { user, uploadedAt } = record;
  // Only what has begun can end.
  if (!begun && (await ports.records.begin(run, { ...(user !== undefined && { user }), size: object.size, uploadedAt })) === "stale")
    return { stored: false };
  const failure: Failure = {
    code: "INTERNAL",
    message: begun ? "The run that processed this image was lost." : "The event that tells of this upload was lost.",
  };
  const stored = await recordFailure(run, failure, ports, object.size);
  if (stored.stored) {
    const { code, message } = failure;
    // Its event is not known here: a redrive makes one of the object.
    const letter = { key: record.key, event: null, error: { code, message }, at: ports.clock.now().toISOString() };
    // Each is tried, whatever becomes of the other.
    const done = await Promise.allSettled([ports.deadLetters.park(letter), ports.announce(stored.notification)]);
    for (const each of done) if (each.status === "rejected") throw each.reason;
  }
  return stored;
}
