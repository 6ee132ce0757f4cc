/** A token bucket: `rate` requests a second in the long run, `burst` at once. */
export class Throttle {
  #tokens: number;
  #at: number;

  constructor(
    private readonly rate: number,
    private readonly burst: number,
    now: Date,
  ) {
    this.#tokens = burst;
    this.#at = now.getTime();
  }

  /** Whether one more request may pass now. */
  admit(now: Date): boolean {
    this.#tokens = Math.min(this.burst, this.#tokens + (Math.max(0, now.getTime() - this.#at) / 1000) * this.rate);
    this.#at = now.getTime();
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
