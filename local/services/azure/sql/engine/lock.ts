import { sqlError } from "../errors.js";

interface Waiter {
  owner: object;
  resolve(): void;
  reject(error: Error): void;
}

/**
 * Who may write to a database: one transaction at a time, in the order in which they asked. Coarser than the rows and pages that a real server
 * locks, so that transactions wait where they would not there, but never mix. With one lock there is no deadlock.
 */
export class WriteLock {
  #owner: object | undefined;
  readonly #waiting: Waiter[] = [];

  get owner(): object | undefined {
    return this.#owner;
  }

  /** @param timeout milliseconds; -1 waits for ever @throws SqlError 1222, or the signal's reason */
  async acquire(owner: object, timeout: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#owner === undefined) {
      this.#owner = owner;
      return;
    }
    if (timeout === 0) throw sqlError(1222);
    await new Promise<void>((resolve, reject) => {
      const timer = timeout > 0 ? setTimeout(() => leave(sqlError(1222)), timeout) : undefined;
      const settle = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", cancelled);
      };
      const waiter: Waiter = {
        owner,
        resolve: () => {
          settle();
          resolve();
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      const leave = (error: Error): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        waiter.reject(error);
      };
      const cancelled = (): void => leave(signal.reason as Error);
      signal.addEventListener("abort", cancelled);
      this.#waiting.push(waiter);
    });
  }

  release(owner: object): void {
    if (this.#owner !== owner) return;
    const next = this.#waiting.shift();
    this.#owner = next?.owner;
    next?.resolve();
  }
}
