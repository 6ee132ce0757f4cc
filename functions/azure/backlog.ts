import type { QueueClient } from "@azure/storage-queue";
import type { Clock } from "../core/ports.js";

/** Seconds that a message may lie in front before what it tells of looks lost; the sweep waits for 600. */
const BEHIND = 300;

/**
 * Are those who take messages from the queue behind with their work? Then what has not begun is not lost: its message still waits.
 */
export async function isBehind(jobs: Pick<QueueClient, "peekMessages">, clock: Clock): Promise<boolean> {
  const [first] = (await jobs.peekMessages({ numberOfMessages: 1 })).peekedMessageItems;
  return first !== undefined && clock.now().getTime() - first.insertedOn.getTime() > BEHIND * 1_000;
}
