import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";

/** The command line as a process of its own. */
export class Command {
  readonly child: ChildProcessWithoutNullStreams;
  stdout = "";
  stderr = "";
  readonly #exit: Promise<[number | null, NodeJS.Signals | null]>;
  readonly #said = new Set<() => void>();

  constructor(...args: string[]) {
    this.child = spawn(process.execPath, ["cli/start.mjs", ...args]);
    this.child.stdin.end();
    // Whatever becomes of the test, nothing outlives the run.
    process.once("exit", () => this.child.kill("SIGKILL"));
    this.child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
      for (const look of this.#said) look();
    });
    this.child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
      for (const look of this.#said) look();
    });
    this.#exit = once(this.child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  }

  /** The exit code. */
  async ended(): Promise<number | null> {
    return (await this.#exit)[0];
  }

  /** Resolves when stderr matches. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const match = pattern.exec(this.stderr);
        if (match) {
          this.#said.delete(look);
          resolve(match);
        }
      };
      this.#said.add(look);
      look();
      void this.#exit.then(([code]) => reject(new Error(`ended with ${code} before it said ${pattern}:\n${this.stderr}`)));
    });
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.child.kill(signal);
    await this.#exit;
  }
}
