import { contentType, type ImageFormat } from "../image/identify.js";
import { admit } from "../image/inspect.js";
import { objectSource } from "../image/source.js";
import type { ObjectStore, RecordStore, Run } from "../ports.js";
import type { Settings } from "../settings.js";

/** An object has come into the uploads: what an event, a queue message or a redrive tells of it. */
export interface Arrival extends Run {
  /** Bytes, as the event tells. */
  size?: number;
  /** The user that the event tells of. The record knows better, the object's metadata is asked last. */
  user?: string;
  /** When the object was written, ISO 8601. */
  at: string;
}

/** One version of an image that a run is about. What the stages hand to each other. */
export interface ValidImage {
  run: Run;
  /** Bytes. */
  size: number;
  etag: string;
  /** By content, whatever the store says. */
  contentType: string;
  format: ImageFormat;
  user?: string;
  /** ISO 8601. */
  uploadedAt: string;
}

export type Validated = { stale: true } | ({ stale: false } & ValidImage);

/**
 * Starts a run: is this event about the newest version, and may that version be processed? Reads the header only.
 *
 * `stale` when there is nothing to do: the object is gone or has changed (then another event tells of that), or this event has its result.
 *
 * @throws ImageRefused once the run has begun, so that the refusal can be recorded.
 * @throws ObjectChanged, ObjectMissing when that happens just now: stale, too.
 */
export async function validate(
  arrival: Arrival,
  { uploads, records, settings }: { uploads: ObjectStore; records: RecordStore; settings: Pick<Settings, "limits"> },
): Promise<Validated> {
  const object = await uploads.head(arrival.key);
  if (!object || (arrival.etag !== undefined && arrival.etag !== object.etag)) return { stale: true };
  const { key, sequencer, redrive, execution } = arrival;
  const run: Run = { key, sequencer, etag: object.etag, redrive, ...(execution !== undefined && { execution }) };
  const user = arrival.user ?? object.user;
  const begun = await records.begin(run, { ...(user !== undefined && { user }), size: object.size, uploadedAt: arrival.at });
  if (begun === "stale") return { stale: true };
  const { format } = await admit(objectSource(uploads, object), settings.limits);
  return {
    stale: false,
    run,
    size: object.size,
    etag: object.etag,
    contentType: contentType(format),
    format,
    ...(begun.record.user !== undefined && { user: begun.record.user }),
    uploadedAt: begun.record.uploadedAt,
  };
}
