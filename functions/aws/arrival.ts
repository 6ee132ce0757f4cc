import { z } from "zod";
import type { ObjectStore } from "../core/ports.js";
import { underOtherKey } from "../core/stages/other-key.js";
import type { Arrival } from "../core/stages/validate.js";

const BucketEvent = z.looseObject({
  "detail-type": z.string(),
  time: z.iso.datetime({ offset: true }),
  /** Ours, not EventBridge's: somebody wants it done again. */
  redrive: z.boolean().default(false),
  detail: z.looseObject({
    object: z.looseObject({
      key: z.string().min(1),
      size: z.int().nonnegative().optional(),
      etag: z.string().optional(),
      sequencer: z.string().optional(),
    }),
  }),
});

/** An object has gone. */
export interface Departure {
  key: string;
  sequencer: string;
  at: string;
}

/** @throws Error saying what of the event is not as S3 sends it. */
export function arrivalOf(event: unknown): Arrival {
  const { detail, redrive, time } = parsed(event, "Object Created");
  const { key, sequencer, etag, size } = detail.object;
  if (!sequencer && !redrive) throw new Error(`The event for ${key} has no sequencer, without which it cannot be told from a late one.`);
  return {
    key,
    sequencer: sequencer ?? "",
    ...(etag !== undefined && { etag }),
    ...(size !== undefined && { size }),
    at: time,
    redrive,
  };
}

/** @throws Error saying what of the event is not as S3 sends it. */
export function departureOf(event: unknown): Departure {
  const { detail, time } = parsed(event, "Object Deleted");
  const { key, sequencer } = detail.object;
  if (!sequencer) throw new Error(`The event for ${key} has no sequencer, without which it cannot be told from a late one.`);
  return { key, sequencer, at: time };
}

/**
 * The same arrival under the key that the object really has. EventBridge gives keys as they are; other notifications of S3 form-encode them, and
 * AWS does not say which it will be tomorrow. Only asked when there is no object of the event's key.
 */
export async function underItsOwnKey(arrival: Arrival, uploads: ObjectStore): Promise<Arrival | undefined> {
  return underOtherKey(arrival, formDecoded(arrival.key), uploads);
}

function parsed(event: unknown, type: string): z.infer<typeof BucketEvent> {
  const { success, data, error } = BucketEvent.safeParse(event);
  if (!success) throw new Error(`The event is not one of S3's by way of EventBridge:\n${z.prettifyError(error)}`);
  if (data["detail-type"] !== type)
    throw new Error(`The event is ${JSON.stringify(data["detail-type"])}: this handler is for ${JSON.stringify(type)}.`);
  return data;
}

function formDecoded(key: string): string | undefined {
  try {
    return decodeURIComponent(key.replaceAll("+", " "));
  } catch {
    return undefined;
  }
}
