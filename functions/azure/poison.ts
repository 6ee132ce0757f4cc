import type { DeadLetters, ObjectStore } from "../core/ports.js";
import { jobOf, keyOf, UnreadableMessage, type Uploads, underItsOwnKey } from "./arrival.js";

/**
 * Parks a message that the starter has given up on, so that it is seen among the failures: one that could be done may be redriven, one that nobody
 * can read lies there to be looked at.
 */
export async function parkPoison(message: unknown, { deadLetters, ...ports }: Readers & { deadLetters: DeadLetters }): Promise<void> {
  await deadLetters.park({ ...(await reasonOf(message, ports)), event: message, at: new Date().toISOString() });
}

interface Readers {
  place: Uploads;
  uploads: Pick<ObjectStore, "head">;
}

async function reasonOf(message: unknown, { place, uploads }: Readers): Promise<{ key: string; error: { code: string; message: string } }> {
  try {
    const job = jobOf(message, place);
    // The store may be what is in the way.
    const key = keyOf(await underItsOwnKey(job, uploads).catch(() => job));
    return { key, error: { code: "UNDELIVERED", message: "The message could not be handed to the workflow: the app's log says why." } };
  } catch (error) {
    if (!(error instanceof UnreadableMessage)) throw error;
    return { key: "", error: { code: "UNREADABLE", message: error.message } };
  }
}
