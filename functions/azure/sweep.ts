import { sweep } from "../core/stages/sweep.js";
import { activities } from "./activities.js";
import type { Ports } from "./ports.js";

/** Ends what has been `processing` for too long, announces what failed by that, and forgets tombstones whose time is over. */
export async function sweepAndTell(ports: Ports): Promise<void> {
  const { failed } = await sweep(ports);
  const { Notify } = activities(ports);
  // Each is announced, whatever becomes of the others: they will not be found again.
  const announced = await Promise.allSettled(failed.map(({ notification }) => Notify(notification)));
  await ports.records.forget();
  const refused = announced.find((result) => result.status === "rejected");
  if (refused) throw refused.reason;
}
