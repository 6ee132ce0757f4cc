import { type DurableClient, OrchestrationRuntimeStatus } from "durable-functions";
import type { Clock, ObjectInfo, Stuck } from "../core/ports.js";
import { TOMBSTONE_DAYS } from "../core/record-lifecycle.js";
import { instanceId, type Orchestrations, statusOf } from "./starter.js";

/** States of an orchestration that will have its effect yet. */
const UNDER_WAY = ["Pending", "Running", "Suspended", "ContinuedAsNew"];

/** Milliseconds that a purge is waited for: the host goes on with it, but ends an app whose function takes 5 minutes. */
const PATIENCE = 240_000;

/**
 * Is the orchestration of an image that has been `processing` for long still at work, or waiting for its turn? What is known of an image that no run
 * has begun with is its version, by which the starter named the orchestration.
 */
export async function isUnderWay({ record, execution }: Stuck, { etag }: ObjectInfo, client: Orchestrations): Promise<boolean> {
  const state = await statusOf(client, execution ?? instanceId({ key: record.key, sequencer: "", etag }));
  return state !== undefined && UNDER_WAY.includes(state);
}

/**
 * Removes the history of orchestrations that have ended long ago: with their inputs and results it keeps what was known of an image, of one that has
 * been deleted, too. Until then it tells late events from new ones, as tombstones do.
 */
export async function purge(client: Pick<DurableClient, "purgeInstanceHistoryBy">, clock: Clock): Promise<void> {
  const { Completed, Failed, Terminated } = OrchestrationRuntimeStatus;
  const work = client.purgeInstanceHistoryBy({
    // The host asks for a beginning.
    createdTimeFrom: new Date("2000-01-01"),
    createdTimeTo: new Date(clock.now().getTime() - TOMBSTONE_DAYS * 86_400_000),
    runtimeStatus: [Completed, Failed, Terminated],
  });
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, PATIENCE);
  });
  await Promise.race([work, patience]).finally(() => clearTimeout(timer));
}
