/**
 * How fast waiting goes that waits for nothing in particular: between two probes, two looks at a queue, before a restart. Time that a
 * process is given (to answer a probe, to end) is never shortened.
 */
export class Pace {
  /** @param factor how many times faster than declared */
  constructor(readonly factor = 1) {}

  /** Resolves after so many declared seconds: `true`, or `false` as soon as the signal says so. */
  async sleep(seconds: number, signal: AbortSignal): Promise<boolean> {
    return pause((seconds * 1_000) / this.factor, signal);
  }

  /** Declared seconds that have passed since then. */
  since(moment: number): number {
    return ((performance.now() - moment) * this.factor) / 1_000;
  }
}

/** @param milliseconds real ones */
export function pause(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const abort = () => {
      clearTimeout(timer);
      resolve(false);
    };
    const timer = setTimeout(
      () => {
        signal.removeEventListener("abort", abort);
        resolve(true);
      },
      Math.min(milliseconds, 2 ** 31 - 1),
    );
    signal.addEventListener("abort", abort, { once: true });
  });
}
