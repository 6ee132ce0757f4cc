import { setTimeout as pause } from "node:timers/promises";
import type { QueueClient } from "@azure/storage-queue";
import { Delivery } from "./delivery.js";
import { log, shown } from "./log.js";

export interface ReceiverOptions {
  queue: Pick<QueueClient, "receiveMessages" | "updateMessage" | "deleteMessage">;
  /** Deliveries that are worked on at a time, at most 32. */
  concurrency: number;
  /** Seconds that a message is out of others' sight; renewed while it is worked on. */
  visibility: number;
  /** Seconds that one delivery may take. One that takes longer is given back, and the process is to be started anew: what hangs keeps its place. */
  deadline: number;
  /** Settles the delivery. What it throws is logged, and the message comes again. */
  handle(delivery: Delivery): Promise<void>;
}

/** Milliseconds between two looks into an empty queue: the first, and the most. */
const IDLE = { first: 100, most: 1_000 };
/** Milliseconds after which the loop turns at the latest, so that it can be seen to live. */
const BEAT = 5_000;
/** Seconds after which somebody else may try what has taken too long here. */
const AFTER_DEADLINE = 60;

/** Receives messages of a queue in batches, as many as there is room for, and works on them at the same time. */
export class Receiver {
  private readonly working = new Map<Delivery, Promise<void>>();
  /** Of these, those that have not ended in time. */
  private readonly late = new Set<Delivery>();
  private loop: Promise<void> | undefined;
  private stopping = false;
  private wake = () => {};
  /** When the loop has last turned, in milliseconds of the epoch: one that does not turn any more is broken. */
  turnedAt = Date.now();

  constructor(private readonly options: ReceiverOptions) {}

  /** Deliveries that are worked on. */
  get inFlight(): number {
    return this.working.size;
  }

  /** Deliveries that have taken too long, and are still not done. */
  get overdue(): number {
    return this.late.size;
  }

  start(): void {
    this.loop ??= this.run();
  }

  /**
   * Receives nothing more, waits for what is under way, and gives back what is not done by then: others see it at once.
   *
   * @param grace Milliseconds.
   */
  async stop(grace: number): Promise<void> {
    const end = Date.now() + grace;
    this.stopping = true;
    this.wake();
    await this.loop;
    const patience = new AbortController();
    await Promise.race([
      Promise.allSettled([...this.working].filter(([delivery]) => !this.late.has(delivery)).map(([, work]) => work)),
      pause(Math.max(0, end - Date.now()), undefined, { signal: patience.signal }).catch(() => {}),
    ]);
    patience.abort();
    const unfinished = [...this.working.keys()].filter((delivery) => !this.late.has(delivery));
    if (unfinished.length > 0) log("warn", "giving back what is not done in time", { messages: unfinished.map(({ id }) => id) });
    await Promise.allSettled(unfinished.map((delivery) => delivery.release(0)));
  }

  private async run(): Promise<void> {
    for (let idle = IDLE.first; !this.stopping; ) {
      this.turnedAt = Date.now();
      const room = this.options.concurrency - this.working.size;
      const received = room === 0 ? undefined : await this.receive(room);
      if (received === undefined) {
        await this.sleep(room === 0 ? BEAT : IDLE.most);
      } else if (received === 0) {
        await this.sleep(idle);
        idle = Math.min(idle * 2, IDLE.most);
      } else {
        idle = IDLE.first;
      }
    }
  }

  /** @returns how many have come; `undefined` when the queue did not answer. */
  private async receive(room: number): Promise<number | undefined> {
    const { queue, visibility } = this.options;
    const since = Date.now();
    try {
      const { receivedMessageItems } = await queue.receiveMessages({ numberOfMessages: room, visibilityTimeout: visibility });
      const deliveries = receivedMessageItems.map((item) => new Delivery(queue, item, visibility, since));
      if (this.stopping) await Promise.allSettled(deliveries.map((delivery) => delivery.release(0)));
      else for (const delivery of deliveries) this.work(delivery);
      return deliveries.length;
    } catch (error) {
      log("error", "the queue could not be read", { error: shown(error) });
      return undefined;
    }
  }

  private work(delivery: Delivery): void {
    const { deadline, handle } = this.options;
    const timer = setTimeout(() => void this.giveBack(delivery), deadline * 1_000).unref();
    const work = handle(delivery)
      .catch((error) => log("error", "a message could not be settled", { id: delivery.id, error: shown(error) }))
      .finally(() => {
        clearTimeout(timer);
        delivery.abandon();
        this.working.delete(delivery);
        this.late.delete(delivery);
        this.wake();
      });
    this.working.set(delivery, work);
  }

  /** What it does from now on is nobody's: whoever receives the message next does it again. */
  private async giveBack(delivery: Delivery): Promise<void> {
    this.late.add(delivery);
    const { id, attempt } = delivery;
    log("error", "a message takes too long: another try is left to others", { id, attempt, seconds: this.options.deadline });
    await delivery
      .release(AFTER_DEADLINE)
      .catch((error) => log("warn", "a message could not be given back", { id, error: shown(error) }))
      .finally(() => delivery.abandon());
  }

  /** Until there is room again, the receiver is stopped, or the time is over. */
  private sleep(milliseconds: number): Promise<void> {
    if (this.stopping) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
