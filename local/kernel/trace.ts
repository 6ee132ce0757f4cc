/** What happened, in order: every request, delivery, fault, log line and message to the outside. */
export interface TraceEntry {
  /** Milliseconds since the epoch. */
  at: number;
  kind: "call" | "delivery" | "fault" | "log" | "alarm" | "message" | "execution" | "note";
  /** Service or resource that it is about. */
  subject: string;
  /** One line for a person. */
  text: string;
  /** Everything that a test or a page may want. */
  detail?: Record<string, unknown>;
}

export class Trace {
  readonly #entries: TraceEntry[] = [];
  readonly #listeners = new Set<(entry: TraceEntry) => void>();

  /** Entries are dropped, oldest first, beyond this many. */
  constructor(private readonly capacity = 20_000) {}

  add(entry: Omit<TraceEntry, "at">, at = Date.now()): void {
    const complete = { at, ...entry };
    this.#entries.push(complete);
    if (this.#entries.length > this.capacity) this.#entries.shift();
    for (const listener of this.#listeners) listener(complete);
  }

  entries(kind?: TraceEntry["kind"]): readonly TraceEntry[] {
    return kind ? this.#entries.filter((entry) => entry.kind === kind) : this.#entries;
  }

  /** Calls the listener for each new entry; returns how to stop it. */
  listen(listener: (entry: TraceEntry) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
