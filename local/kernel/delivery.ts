import type { Call, Delivery } from "./cloud.js";
import type { Faults } from "./faults.js";
import { CloudError, type Properties } from "./service.js";
import type { Trace } from "./trace.js";

/** Waiting before a retry: full jitter below `base × 2^n`, at most `cap`. Milliseconds. */
export interface Backoff {
  base: number;
  cap: number;
}

/** What deliveries need of the cloud. */
export interface DeliveryContext {
  call(call: Call): Promise<Properties>;
  readonly faults: Faults;
  readonly backoff: Backoff;
  readonly trace: Trace;
  now(): Date;
  random(): number;
}

type Outcome = { done: true } | { done: false; error: CloudError; attempts: number };

/**
 * The one way of everything asynchronous: tries, tries again with backoff what can succeed later, and gives up what cannot.
 * Pending deliveries live in memory: a stopped cloud forgets them, and says so in its trace.
 */
export class Deliveries {
  readonly #context: DeliveryContext;
  readonly #timers = new Map<NodeJS.Timeout, () => void>();
  #stopped = false;

  constructor(context: DeliveryContext) {
    this.#context = context;
  }

  /** Resolves when the delivery was acknowledged, or its dead letter was. Never rejects. */
  async deliver(delivery: Delivery): Promise<void> {
    const outcome = await this.#attempt(delivery);
    if (outcome.done || this.#stopped) return;
    const { error, attempts } = outcome;
    const parked = delivery.undeliverable?.({ code: error.code, message: error.message, attempts });
    this.#note(delivery, `gave up after ${attempts} ${attempts === 1 ? "attempt" : "attempts"}: ${error.code}`, { error: error.message });
    if (!parked) return;
    try {
      await this.#context.call(parked);
    } catch (failure) {
      this.#note(delivery, `could not be parked either: ${(failure as CloudError).code}`, { error: (failure as Error).message });
    }
  }

  /** Ends all waiting; what was pending is forgotten. */
  stop(): void {
    this.#stopped = true;
    for (const [timer, resume] of this.#timers) {
      clearTimeout(timer);
      resume();
    }
    this.#timers.clear();
  }

  async #attempt(delivery: Delivery): Promise<Outcome> {
    const { faults, backoff, random } = this.#context;
    const deadline = this.#context.now().getTime() + delivery.retry.maxAge * 1_000;
    for (let attempts = 1; ; attempts++) {
      const fate = faults.delivery(delivery);
      if (fate.delay > 0) this.#fault(delivery, `delayed by ${fate.delay} ms`);
      await this.#sleep(fate.delay);
      if (this.#stopped) return { done: true };
      const error = await this.#handOver(delivery, fate.duplicate, fate.lostAcknowledgement);
      if (this.#stopped || !error) return { done: true };
      const wait = random() * Math.min(backoff.cap, backoff.base * 2 ** Math.min(attempts - 1, 30));
      const retries = error.retryable && attempts <= delivery.retry.attempts && this.#context.now().getTime() + wait <= deadline;
      if (!retries) return { done: false, error, attempts };
      this.#note(delivery, `attempt ${attempts} failed (${error.code}), again in ${Math.round(wait)} ms`, { error: error.message });
      await this.#sleep(wait);
      if (this.#stopped) return { done: true };
    }
  }

  async #handOver(delivery: Delivery, duplicate: boolean, lostAcknowledgement: boolean): Promise<CloudError | undefined> {
    try {
      await this.#context.call(delivery.call);
      if (duplicate) {
        this.#fault(delivery, "delivered twice");
        await this.#context.call(delivery.call).catch((error: CloudError) => this.#note(delivery, `second copy refused: ${error.code}`));
      }
      if (lostAcknowledgement) {
        this.#fault(delivery, "its acknowledgement got lost");
        return new CloudError("InternalFailure", "The acknowledgement got lost (an injected fault)", 500);
      }
      this.#note(delivery, "delivered");
      return undefined;
    } catch (error) {
      return error as CloudError;
    }
  }

  #sleep(milliseconds: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resume) => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        resume();
      }, milliseconds);
      this.#timers.set(timer, resume);
    });
  }

  #note({ id, from, call }: Delivery, what: string, detail: Properties = {}): void {
    const text = `${from} → ${call.service}:${call.operation} ${what}`;
    this.#context.trace.add({
      kind: "delivery",
      subject: from,
      text,
      detail: { id, service: call.service, operation: call.operation, ...detail },
    });
  }

  #fault({ id, from, call }: Delivery, what: string): void {
    this.#context.trace.add({ kind: "fault", subject: from, text: `${from} → ${call.service}:${call.operation} ${what}`, detail: { id } });
  }
}
