import type { Delivery } from "./cloud.js";
import { seededRandom } from "./random.js";
import { CloudError } from "./service.js";

/** How one attempt to deliver goes. */
export interface DeliveryFate {
  /** Milliseconds before it is tried: enough of it lets later events overtake. */
  delay: number;
  /** Handed over a second time, as at-least-once delivery may. */
  duplicate: boolean;
  /** The target does its work, but whoever delivers never hears of it and tries again. */
  lostAcknowledgement: boolean;
}

/** What goes wrong in a cloud. The kernel asks before every call and every attempt to deliver. */
export interface Faults {
  /** What a call is answered with instead of being handled, if anything. */
  call(call: { service: string; operation: string }): CloudError | undefined;
  delivery(delivery: Delivery): DeliveryFate;
}

/** A cloud in which nothing goes wrong. */
export const NO_FAULTS: Faults = {
  call: () => undefined,
  delivery: () => ({ delay: 0, duplicate: false, lostAcknowledgement: false }),
};

/** How often each fault happens (0 to 1), and how long the longest delay is. */
export interface FaultRates {
  /** Calls that are throttled. */
  throttled: number;
  /** Calls that the service fails itself. */
  failed: number;
  delayed: number;
  /** Milliseconds. */
  longestDelay: number;
  duplicated: number;
  acknowledgementLost: number;
}

const DEFAULT_RATES: FaultRates = {
  throttled: 0.01,
  failed: 0.01,
  delayed: 0.3,
  longestDelay: 1_500,
  duplicated: 0.2,
  acknowledgementLost: 0.1,
};

/** Faults drawn from a seed: the same seed and the same order of events give the same faults. */
export class SeededFaults implements Faults {
  readonly #random: () => number;
  readonly #rates: FaultRates;

  constructor(seed: number, rates: Partial<FaultRates> = {}) {
    this.#random = seededRandom(seed);
    this.#rates = { ...DEFAULT_RATES, ...rates };
  }

  call({ service }: { service: string }): CloudError | undefined {
    const drawn = this.#random();
    if (drawn < this.#rates.throttled) {
      return service === "s3"
        ? new CloudError("SlowDown", "Please reduce your request rate (an injected fault)", 503)
        : new CloudError("ThrottlingException", "Rate exceeded (an injected fault)", 400);
    }
    if (drawn < this.#rates.throttled + this.#rates.failed) return new CloudError("InternalFailure", "An injected fault", 500);
    return undefined;
  }

  delivery(): DeliveryFate {
    // Always the same number of draws, so that one rate does not shift the others' decisions.
    const [delayed, length, duplicated, lost] = [this.#random(), this.#random(), this.#random(), this.#random()];
    return {
      delay: delayed < this.#rates.delayed ? Math.round(length * this.#rates.longestDelay) : 0,
      duplicate: duplicated < this.#rates.duplicated,
      lostAcknowledgement: lost < this.#rates.acknowledgementLost,
    };
  }
}
