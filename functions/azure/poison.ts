import type { DeadLetters } from "../core/ports.js";
import { jobOf, UnreadableMessage, type Uploads } from "./arrival.js";

/**
 * Parks a message that the starter has given up on, so that it is seen among the failures: one that could be done may be redriven, one that nobody
 * can read lies there to be looked at.
 */
export async function parkPoison(message: unknown, { deadLetters, place }: { deadLetters: DeadLetters; place: Uploads }): Promise<void> {
  await deadLetters.park({ ...reasonOf(message, place), event: message, at: new Date().toISOString() });
}

function reasonOf(message: unknown, place: Uploads): { key: string; error: { code: string; message: string } } {
  try {
    const job = jobOf(message, place);
    const key = job.kind === "created" ? job.arrival.key : job.key;
    return { key, error: { code: "UNDELIVERED", message: "The message could not be handed to the workflow: the app's log says why." } };
  } catch (error) {
    if (!(error instanceof UnreadableMessage)) throw error;
    return { key: "", error: { code: "UNREADABLE", message: error.message } };
  }
}
