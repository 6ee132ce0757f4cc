import { createHash } from "node:crypto";
import type { DurableClient } from "durable-functions";
import { attribute } from "../core/stages/attribute.js";
import { cleanUp } from "../core/stages/clean-up.js";
import type { Arrival } from "../core/stages/validate.js";
import { jobOf, underItsOwnKey } from "./arrival.js";
import type { Input } from "./orchestration.js";
import type { Ports } from "./ports.js";

/** What of the durable client starting needs. */
export type Orchestrations = Pick<DurableClient, "getStatus" | "startNew">;

/** The name that the orchestration is registered by. */
export const ORCHESTRATION = "ProcessImage";

/** States of an orchestration that has its effect, or will have. */
const ENOUGH = ["Pending", "Running", "Suspended", "ContinuedAsNew", "Completed"];

/**
 * Does what a message of the queue asks for: starts the orchestration of a version of an image, once, however often and by whichever way it is told
 * of; writes down whose image it is; cleans up after one that has gone.
 *
 * @throws UnreadableMessage, so that the message ends in the poison queue.
 */
export async function startJob(message: unknown, client: Orchestrations, ports: Ports): Promise<void> {
  const job = await underItsOwnKey(jobOf(message, ports.place), ports.uploads);
  if (job.kind === "deleted") {
    await cleanUp(job, ports);
    return;
  }
  if (job.kind === "created") {
    const { arrival, redriveId } = job;
    const id = arrival.redrive ? `redrive-${redriveId ?? digest(message)}` : instanceId(arrival);
    return startOnce(id, { arrival, event: message }, client);
  }
  const { key, user } = job;
  const object = await ports.uploads.head(key);
  // It came and went: whoever uploads again tells again.
  if (!object) return;
  await attribute({ key, user, at: object.modifiedAt }, ports);
  // Event Grid's event for this blob may be there, may still come, or may never: whichever is first starts it.
  const arrival: Arrival = { key, sequencer: "", etag: object.etag, size: object.size, user, at: object.modifiedAt, redrive: false };
  await startOnce(instanceId(arrival), { arrival, event: message }, client);
}

/** One version of one image is one orchestration, whoever tells of it. */
export function instanceId({ key, sequencer, etag }: Pick<Arrival, "key" | "sequencer" | "etag">): string {
  return `image-${digest([key, etag ?? sequencer])}`;
}

async function startOnce(instanceId: string, input: Input, client: Orchestrations): Promise<void> {
  // An orchestration that has ended could be started again under the same id: so, look first.
  const state = await statusOf(client, instanceId);
  if (state !== undefined && ENOUGH.includes(state)) return;
  try {
    await client.startNew(ORCHESTRATION, { instanceId, input });
  } catch (error) {
    // Another delivery was faster.
    const now = await statusOf(client, instanceId);
    if (now === undefined || !ENOUGH.includes(now)) throw error;
  }
}

/** `undefined` when there is no such orchestration. */
export async function statusOf(client: Pick<Orchestrations, "getStatus">, instanceId: string): Promise<string | undefined> {
  try {
    return (await client.getStatus(instanceId))?.runtimeStatus;
  } catch (error) {
    // So the SDK tells of an orchestration that nobody knows.
    if (/HTTP 404 response/.test(error instanceof Error ? error.message : String(error))) return undefined;
    throw error;
  }
}

function digest(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 40);
}
