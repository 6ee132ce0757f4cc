import type { DequeuedMessageItem, QueueClient } from "@azure/storage-queue";
import { z } from "zod";
import type { DeadLetter, DeadLetters } from "../core/ports.js";
import { decoded, encoded, LONGEST_MESSAGE } from "./queue-message.js";

/** Seconds that a message is out of others' sight at most while one reader walks the queue; what a reader forgets comes back after them. */
const OUT_OF_SIGHT = 30;
/** Milliseconds that one walk may take, within `OUT_OF_SIGHT` and an API call. */
const WALK = 20_000;
/** Messages that can be looked at, or received, at once; and that are put back at once. */
const PER_REQUEST = 32;
/** Characters of what an error said that are kept where room is short. */
const LONGEST_TEXT = 8_000;

const Parked = z.object({
  key: z.string(),
  event: z.unknown(),
  error: z.object({ code: z.string(), message: z.string() }),
  at: z.string(),
});

/** Dead letters in a storage queue. They lie there until somebody takes them: no time to live. */
export class QueueDeadLetters implements DeadLetters {
  constructor(private readonly queue: QueueClient) {}

  /** The oldest 32 at most: a queue cannot be looked further into without taking messages out of others' sight. */
  async list(limit: number): Promise<DeadLetter[]> {
    const { peekedMessageItems } = await this.queue.peekMessages({ numberOfMessages: Math.min(Math.max(limit, 1), PER_REQUEST) });
    return peekedMessageItems.slice(0, limit).map(letterOf);
  }

  async take(key: string): Promise<DeadLetter[]> {
    const [wanted, held]: [DequeuedMessageItem[], DequeuedMessageItem[]] = [[], []];
    const taken: DequeuedMessageItem[] = [];
    const seen = new Set<string>();
    const { approximateMessagesCount: most = Number.POSITIVE_INFINITY } = await this.queue.getProperties();
    try {
      for await (const messages of this.walk()) {
        const others = messages.filter((message) => letterOf(message).key !== key);
        wanted.push(...messages.filter((message) => !others.includes(message)));
        // Back at once, which is behind all the others. What comes a second time in spite of that is held, so that the walk gets past it.
        held.push(...others.filter(({ messageId }) => seen.has(messageId)));
        await this.putBack(others.filter(({ messageId }) => !seen.has(messageId)));
        for (const { messageId } of messages) seen.add(messageId);
        // The count is never too small.
        if (seen.size >= most) break;
      }
      for (const message of wanted) {
        await this.queue.deleteMessage(message.messageId, message.popReceipt);
        taken.push(message);
      }
    } catch (error) {
      // What has been taken by now is the caller's alone.
      if (taken.length === 0) throw error;
    } finally {
      held.push(...wanted.filter((message) => !taken.includes(message)));
      for (let from = 0; from < held.length; from += PER_REQUEST) await this.putBack(held.slice(from, from + PER_REQUEST));
    }
    return taken.map(letterOf);
  }

  async park(letter: DeadLetter): Promise<void> {
    await this.queue.sendMessage(fitting(letter), { messageTimeToLive: -1 });
  }

  private async *walk(): AsyncGenerator<DequeuedMessageItem[]> {
    for (const end = Date.now() + WALK; Date.now() < end; ) {
      const { receivedMessageItems } = await this.queue.receiveMessages({ numberOfMessages: PER_REQUEST, visibilityTimeout: OUT_OF_SIGHT });
      if (receivedMessageItems.length === 0) return;
      yield receivedMessageItems;
    }
  }

  private async putBack(messages: readonly DequeuedMessageItem[]): Promise<void> {
    // One that fails comes back by itself, a little later. Without a text, it keeps the one that it has.
    await Promise.allSettled(messages.map(({ messageId, popReceipt }) => this.queue.updateMessage(messageId, popReceipt, undefined, 0)));
  }
}

/** The letter as a message; one that is too long loses what it can best do without: an event is looked up in the store when it is redriven. */
function fitting(letter: DeadLetter): string {
  const whole = encoded(letter);
  if (whole.length <= LONGEST_MESSAGE) return whole;
  const shorter = { ...letter, error: { ...letter.error, message: letter.error.message.slice(0, LONGEST_TEXT) } };
  const half = encoded(shorter);
  if (half.length <= LONGEST_MESSAGE) return half;
  return encoded({ ...shorter, event: JSON.stringify(letter.event).slice(0, LONGEST_TEXT) });
}

function letterOf({ messageText, insertedOn }: Pick<DequeuedMessageItem, "messageText" | "insertedOn">): DeadLetter {
  const body = decoded(messageText);
  const { success, data } = Parked.safeParse(body);
  if (success) return { key: data.key, event: data.event, error: data.error, at: data.at };
  const message = "The message says nothing of why it is here.";
  return { key: "", event: body, error: { code: "UNREADABLE", message }, at: insertedOn.toISOString() };
}
