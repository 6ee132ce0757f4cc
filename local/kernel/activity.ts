/** Counts what is under way, so that others can wait until nothing is. */
export class Activity {
  #open = 0;
  #waiting: (() => void)[] = [];

  /** Counts `work` until it settles. */
  async track<T>(work: Promise<T>): Promise<T> {
    this.#open++;
    try {
      return await work;
    } finally {
      this.#open--;
      this.#wake();
    }
  }

  /** Resolves when nothing is under way, nor begins in the same turn as the last thing ended. */
  async settled(): Promise<void> {
    do {
      if (this.#open > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      await new Promise<void>((resolve) => setImmediate(resolve));
    } while (this.#open > 0);
  }

  #wake(): void {
    if (this.#open > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }
}
