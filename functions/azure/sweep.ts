import { type SweepPorts, sweep } from "../core/stages/sweep.js";
import { activities } from "./activities.js";
import type { Ports } from "./ports.js";

/**
 * Ends what has been `processing` for too long, announces what failed by that, and forgets tombstones and labels whose time is
 * over.
 *
 * @param isUnderWay Knows of runs that are not lost, where the host does.
 */
export async function sweepAndTell(ports: Ports, isUnderWay?: SweepPorts["isUnderWay"]): Promise<void> {
  const { Notify } = activities(ports);
  const done = await Promise.allSettled([
    sweep({ ...ports, announce: Notify, ...(isUnderWay && { isUnderWay }) }),
    // Whatever becomes of the images.
    ports.records.forget(),
    ports.tags.forget(),
  ]);
  for (const each of done) if (each.status === "rejected") throw each.reason;
}
