import { readJson, writeJson } from "./files.js";

/** Numbers per millisecond. */
const PER_MS = 1n << 20n;
/** How far ahead of time numbers are reserved: written once a minute, not once an event. */
const RESERVED_MS = 60_000n;
const DIGITS = 18;

/**
 * Numbers what happens to objects, so that events that come in the wrong order can be told apart: 18 upper-case hexadecimal digits, each
 * greater than all before, also after a restart or when the clock is set back.
 */
export class Sequencer {
  #last: bigint;
  #reserved: bigint;

  constructor(
    private readonly file: string,
    private readonly now: () => Date,
  ) {
    this.#reserved = BigInt(readJson<{ reserved: string }>(file)?.reserved ?? 0);
    this.#last = this.#reserved;
  }

  next(): string {
    const byTime = BigInt(this.now().getTime()) * PER_MS;
    this.#last = byTime > this.#last ? byTime : this.#last + 1n;
    if (this.#last >= this.#reserved) {
      this.#reserved = this.#last + RESERVED_MS * PER_MS;
      writeJson(this.file, { reserved: this.#reserved.toString() });
    }
    return this.#last.toString(16).toUpperCase().padStart(DIGITS, "0");
  }
}
