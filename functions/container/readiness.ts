import { setTimeout as pause } from "node:timers/promises";
import { log } from "./log.js";

/** Milliseconds between two tries. */
const AGAIN = 2_000;

/**
 * Whether a process may be sent work: once everything that it needs has answered once, and not any more when it is to end.
 *
 * What fails later does not make it unready: every replica needs the same, and without any there is nobody to say what is wrong.
 */
export class Readiness {
  /** What has not answered yet, with what it said last. */
  private readonly missing: Map<string, string>;
  private ending = false;
  private known: (() => void) | undefined;
  /** All has answered. */
  readonly reached: Promise<void>;

  /** @param needs What is needed, by name: tried until it does not throw. */
  constructor(needs: Readonly<Record<string, () => Promise<unknown>>>) {
    this.missing = new Map(Object.keys(needs).map((name) => [name, "It has not answered yet."]));
    this.reached = new Promise((resolve) => {
      this.known = resolve;
    });
    for (const [name, need] of Object.entries(needs)) void this.await(name, need);
  }

  /** From now on, it is not to be sent any more work. */
  end(): void {
    this.ending = true;
  }

  /** Why it is not ready, by name; `undefined` when it is. */
  get reasons(): Record<string, string> | undefined {
    if (this.ending) return { process: "It is ending." };
    return this.missing.size > 0 ? Object.fromEntries(this.missing) : undefined;
  }

  get isEnding(): boolean {
    return this.ending;
  }

  private async await(name: string, need: () => Promise<unknown>): Promise<void> {
    // A role that was granted a moment ago may take minutes until it holds.
    while (!this.ending) {
      try {
        await need();
        this.missing.delete(name);
        if (this.missing.size === 0) this.known?.();
        return;
      } catch (error) {
        const said = error instanceof Error ? error.message : String(error);
        if (this.missing.get(name) !== said) log("warn", `${name} does not answer yet`, { error: said });
        this.missing.set(name, said);
      }
      await pause(AGAIN, undefined, { ref: false });
    }
  }
}
