import { CloudError } from "../../../kernel/service.js";

/** How many invocations may run at once: in the whole account, and in functions that reserved a part of it for themselves. */
export class Concurrency {
  readonly #reserved = new Map<string, number>();
  readonly #running = new Map<string, number>();
  readonly #waiting = new Set<() => void>();

  /** New accounts have 10; the usual quota is 1,000. */
  constructor(readonly limit: number) {}

  /** Sets aside a part of the account's limit; `undefined` gives it back. @throws CloudError when too little would be left for the others */
  reserve(name: string, executions: number | undefined): void {
    if (executions === undefined) return void this.#reserved.delete(name);
    const others = [...this.#reserved].reduce((sum, [other, value]) => sum + (other === name ? 0 : value), 0);
    const floor = Math.min(100, this.limit);
    if (this.limit - others - executions < floor)
      throw new CloudError(
        "InvalidParameterValueException",
        `Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [${floor}].` +
          ` The account's limit is ${this.limit}, of which ${others} are reserved by other functions: leave reservedConcurrentExecutions out.`,
      );
    this.#reserved.set(name, executions);
  }

  /** Takes a slot at once, to be given back by what it returns. @throws CloudError (TooManyRequestsException, 429) */
  acquire(name: string): () => void {
    const reserved = this.#reserved.get(name);
    const used = reserved === undefined ? this.#unreserved() : (this.#running.get(name) ?? 0);
    const limit = reserved ?? this.limit - [...this.#reserved.values()].reduce((sum, value) => sum + value, 0);
    if (used >= limit)
      throw new CloudError("TooManyRequestsException", "Rate Exceeded.", 429, {
        Type: "User",
        Reason: reserved === undefined ? "ConcurrentInvocationLimitExceeded" : "ReservedFunctionConcurrentInvocationLimitExceeded",
      });
    this.#running.set(name, (this.#running.get(name) ?? 0) + 1);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#running.set(name, (this.#running.get(name) ?? 1) - 1);
      for (const resume of this.#waiting) resume();
      this.#waiting.clear();
    };
  }

  /** The same, but waits for a slot, as events of asynchronous invocations do in their queue. */
  async take(name: string): Promise<() => void> {
    for (;;) {
      try {
        return this.acquire(name);
      } catch (error) {
        if (this.#reserved.get(name) === 0) throw error;
        await new Promise<void>((resolve) => this.#waiting.add(resolve));
      }
    }
  }

  #unreserved(): number {
    return [...this.#running].reduce((sum, [name, count]) => sum + (this.#reserved.has(name) ? 0 : count), 0);
  }
}
