import type { DequeuedMessageItem, QueueClient } from "@azure/storage-queue";
import type { HostSettings } from "./host-json.js";
import { explained } from "./storage.js";
import type { RpcValue } from "./worker.js";

export interface QueueTriggerOptions {
  queue: QueueClient;
  /** Where messages go that cannot be done. A poison queue has none of its own. */
  poison: QueueClient | undefined;
  settings: HostSettings["extensions"]["queues"];
  /** Runs the function. Rejects when it failed. */
  run(input: RpcValue, metadata: Record<string, RpcValue>): Promise<void>;
  report(level: "warning" | "error", text: string): void;
  busy<T>(work: Promise<T>): Promise<T>;
}

/** Seconds that a message is hidden while its function runs; renewed at half of it. */
const LEASE = 600;
/** Milliseconds between looks when nothing says that there is something. */
const LONGEST_PAUSE = 1_000;

/**
 * Runs a function for every message of a storage queue: batches, at-least-once; a message whose function failed comes back, until it moves
 * to the poison queue after `maxDequeueCount` attempts. One that is not encoded as it has to be goes there at once.
 */
export class QueueTrigger {
  #stopped = false;
  #running = 0;
  #wakeUp: (() => void) | undefined;
  #woken = false;
  #problem: string | undefined;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #done: Promise<void>;

  constructor(private readonly options: QueueTriggerOptions) {
    this.#done = this.#poll();
  }

  /** There may be something. */
  wake(): void {
    this.#woken = true;
    this.#wakeUp?.();
  }

  /** Takes no more messages. What runs goes on; its message comes back when its lease ends. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.wake();
    for (const timer of this.#timers) clearTimeout(timer);
    await this.#done;
  }

  async #poll(): Promise<void> {
    const { queue, settings } = this.options;
    const { batchSize, newBatchThreshold = Math.floor(batchSize / 2), maxPollingInterval } = settings;
    for (let idle = 0; !this.#stopped; ) {
      this.#woken = false;
      let found = 0;
      if (this.#running <= newBatchThreshold) {
        try {
          const { receivedMessageItems } = await queue.receiveMessages({ numberOfMessages: batchSize, visibilityTimeout: LEASE });
          this.#problem = undefined;
          found = receivedMessageItems.length;
          for (const message of receivedMessageItems) void this.options.busy(this.#process(message));
        } catch (error) {
          this.#refused(error);
        }
      }
      idle = found > 0 ? 0 : idle + 1;
      if (found === 0 || this.#running > newBatchThreshold)
        await this.#pause(Math.min(100 * 2 ** Math.min(idle, 10), LONGEST_PAUSE, maxPollingInterval));
    }
  }

  async #process(message: DequeuedMessageItem): Promise<void> {
    const { queue, poison, settings, run, report } = this.options;
    const value = input(message.messageText, settings.messageEncoding);
    this.#running++;
    let { popReceipt } = message;
    const renewal = setInterval(() => {
      queue.updateMessage(message.messageId, popReceipt, message.messageText, LEASE).then(
        (renewed) => (popReceipt = renewed.popReceipt ?? popReceipt),
        (error) => report("warning", `The lease of a message could not be renewed: ${explained(error)}`),
      );
    }, LEASE * 500);
    try {
      let failed = false;
      if (value) await run(value, metadata(message)).catch(() => (failed = true));
      else report("warning", `Message decoding has failed! Check MessageEncoding settings. MessageId=${message.messageId}.`);
      clearInterval(renewal);
      if (value && !failed) await queue.deleteMessage(message.messageId, popReceipt);
      // Without a poison queue it stays out of sight until its lease ends, so that it is not tried again and again.
      else if (!poison) return;
      else if (!value || message.dequeueCount >= settings.maxDequeueCount) await this.#park(message, popReceipt, poison);
      else {
        const seconds = Math.ceil(settings.visibilityTimeout / 1000);
        await queue.updateMessage(message.messageId, popReceipt, message.messageText, seconds);
        this.#wakeIn(seconds * 1000);
      }
    } catch (error) {
      if (!this.#stopped)
        report("error", `A message of the queue '${queue.name}' could not be settled, and comes back: ${explained(error)}`);
    } finally {
      clearInterval(renewal);
      this.#running--;
      this.wake();
    }
  }

  async #park(message: DequeuedMessageItem, popReceipt: string, poison: QueueClient): Promise<void> {
    const { queue, settings, report } = this.options;
    report("error", `Message has reached MaxDequeueCount of ${settings.maxDequeueCount}. Moving message to queue '${poison.name}'.`);
    await poison.createIfNotExists();
    await poison.sendMessage(message.messageText);
    await queue.deleteMessage(message.messageId, popReceipt);
  }

  /** Says once what is wrong, until it changes. */
  #refused(error: unknown): void {
    const problem = explained(error);
    if (problem === this.#problem || this.#stopped) return;
    this.#problem = problem;
    this.options.report("error", `The queue '${this.options.queue.name}' cannot be read: ${problem}`);
  }

  #wakeIn(milliseconds: number): void {
    if (this.#stopped) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.wake();
    }, milliseconds);
    this.#timers.add(timer);
  }

  async #pause(milliseconds: number): Promise<void> {
    if (this.#woken || this.#stopped) return;
    await new Promise<void>((resume) => {
      const timer = setTimeout(resume, milliseconds);
      this.#wakeUp = () => {
        clearTimeout(timer);
        resume();
      };
    });
    this.#wakeUp = undefined;
  }
}

/** `undefined` for what is not base64, where it has to be. */
function input(text: string, encoding: "base64" | "none"): RpcValue | undefined {
  if (encoding === "none") return { string: text };
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64");
  const decoded = bytes.toString();
  return Buffer.from(decoded).equals(bytes) ? { string: decoded } : { bytes };
}

function metadata(message: DequeuedMessageItem): Record<string, RpcValue> {
  const time = (date: Date) => ({ json: JSON.stringify(date) });
  return {
    Id: { string: message.messageId },
    PopReceipt: { string: message.popReceipt },
    DequeueCount: { string: String(message.dequeueCount) },
    InsertionTime: time(message.insertedOn),
    ExpirationTime: time(message.expiresOn),
    NextVisibleTime: time(message.nextVisibleOn),
  };
}
