import type { Failure } from "../failures.js";
import type { DeadLetters, ObjectInfo, ObjectStore, RecordStore, Run } from "../ports.js";
import type { Settings } from "../settings.js";
import { cleanUp } from "./clean-up.js";
import { type ResultPorts, recordFailure, type Stored } from "./store-results.js";

export interface SweepPorts extends ResultPorts {
  uploads: ObjectStore;
  deadLetters: DeadLetters;
  settings: Pick<Settings, "linkLifetime" | "variants">;
}

/** What a sweep did. */
export interface Swept {
  /** Keys of announcements whose upload never came. */
  withdrawn: string[];
  /** Results of images whose run got lost, each to be notified. */
  failed: Extract<Stored, { stored: true }>[];
  /** Keys of images whose run and deletion got lost. */
  removed: string[];
}

/** After this many seconds without a result, a run counts as lost: no workflow takes longer than 5 minutes. */
const LOST_AFTER = 600;
/** Images per sweep; the next one goes on. */
const MOST = 100;
/** Clocks of stores and of workers may differ by this many seconds. */
const CLOCK_SKEW = 60;

type Stuck = Awaited<ReturnType<RecordStore["stuck"]>>[number];

/**
 * Ends what has been `processing` for more than 10 minutes. Announcements whose upload never came are withdrawn once their ticket has ended.
 * Images that are there, but whose event or run was lost, are recorded as failed INTERNAL, once, and parked in the dead letters, from where they
 * can be redriven. Images that are gone are cleaned away.
 */
export async function sweep(ports: SweepPorts): Promise<Swept> {
  const now = ports.clock.now().getTime();
  const swept: Swept = { withdrawn: [], failed: [], removed: [] };
  for (const stuck of await ports.records.stuck(new Date(now - LOST_AFTER * 1000).toISOString(), MOST)) {
    const { key } = stuck.record;
    const object = await ports.uploads.head(key);
    if (stuck.begun && !object) {
      await cleanUp({ key, at: new Date(now).toISOString() }, ports);
      swept.removed.push(key);
    } else if (object && (stuck.begun || isAnnounced(object, stuck))) {
      const failed = await fail(stuck, object, ports);
      if (failed.stored) swept.failed.push(failed);
    } else if (now - Date.parse(stuck.record.uploadedAt) > (ports.settings.linkLifetime + CLOCK_SKEW) * 1000) {
      await ports.records.withdraw(key);
      swept.withdrawn.push(key);
    }
  }
  return swept;
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
    // Its event is not known here: a redrive makes one of the object.
    await ports.deadLetters.park({
      key: record.key,
      event: null,
      error: { code: failure.code, message: failure.message },
      at: ports.clock.now().toISOString(),
    });
  }
  return stored;
}
