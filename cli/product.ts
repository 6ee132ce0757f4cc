import { openAsBlob } from "node:fs";
import { basename, extname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { ImageRecord } from "../functions/core/record.js";

/** Why a file is not processed: a code of the pipeline's, or of the store's. */
interface Refusal {
  code: string;
  message: string;
}

interface Ticket {
  key: string;
  method: string;
  url: string;
  headers?: Record<string, string>;
  fields?: Record<string, string>;
}

/** The record of an image that is no longer being processed. */
type Ended = ImageRecord & { status: "completed" | "failed" };

const hasEnded = (record: ImageRecord): record is Ended => record.status !== "processing";

/** What became of one file. */
export interface Outcome {
  /** The file's name, without its folder. */
  file: string;
  status: "completed" | "failed" | "refused" | "unknown";
  /** The record, where the pipeline took the file. */
  record?: ImageRecord;
  /** Why it did not complete. */
  failure?: Refusal;
  /** From the first request to the result, milliseconds. */
  took: number;
}

const TYPES: Record<string, string> = {
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".png": "image/png",
  ".gif": "image/gif",
  ".webp": "image/webp",
};

/** How long one photo may take before we stop waiting for it. */
const PATIENCE_MS = 120_000;

/** The product as its users have it: a URL and a key. Knows nothing of where it runs. */
export class Product {
  constructor(
    private readonly url: string,
    private readonly key: string,
    private readonly signal?: AbortSignal,
  ) {}

  /** Uploads a file by a ticket, and waits for its result. */
  async process(path: string, options: { overwrite?: boolean } = {}): Promise<Outcome> {
    const begun = performance.now();
    const file = basename(path);
    const ended = (outcome: Omit<Outcome, "file" | "took">): Outcome => ({ file, ...outcome, took: Math.round(performance.now() - begun) });
    const bytes = await openAsBlob(path);
    // What has no known ending goes by the commonest type: the pipeline decides by content, and says so where it is something else.
    const contentType = TYPES[extname(file).toLowerCase()] ?? "image/jpeg";
    const asked = await this.#call<Ticket & Refusal>("POST", "/uploads", {
      filename: file,
      contentType,
      size: bytes.size,
      overwrite: options.overwrite ?? false,
    });
    if (asked.status !== 201) return ended({ status: "refused", failure: { code: asked.body.code, message: asked.body.message } });
    const ticket = asked.body;
    const sent = await this.#send(ticket, bytes);
    if (!sent.ok) {
      return ended({ status: "refused", failure: { code: `STORE_${sent.status}`, message: (await sent.text()).slice(0, 300) } });
    }
    const record = await this.#result(ticket.key);
    if (!record)
      return ended({
        status: "unknown",
        failure: { code: "NO_RESULT", message: `None came within ${PATIENCE_MS / 1_000} seconds; GET /failures may tell why.` },
      });
    return ended({ status: record.status, record, ...(record.failure ? { failure: record.failure } : {}) });
  }

  async #send(ticket: Ticket, bytes: Blob): Promise<Response> {
    if (!ticket.fields) return fetch(ticket.url, { method: ticket.method, headers: ticket.headers ?? {}, body: bytes, ...this.#abort() });
    const form = new FormData();
    for (const [name, value] of Object.entries(ticket.fields)) form.append(name, value);
    form.append("file", bytes);
    return fetch(ticket.url, { method: ticket.method, body: form, ...this.#abort() });
  }

  /** `undefined` when none came in time. @throws Error when the API answers with neither a record nor "not (yet) known". */
  async #result(key: string): Promise<Ended | undefined> {
    const deadline = Date.now() + PATIENCE_MS;
    for (let wait = 50; ; wait = Math.min(wait * 1.5, 1_000)) {
      const { status, body } = await this.#call<ImageRecord>("GET", `/images/${key.split("/").map(encodeURIComponent).join("/")}/status`);
      if (status === 200 && hasEnded(body)) return body;
      if (status !== 200 && status !== 404) throw new Error(`The status of ${key} is answered with ${status}: ${JSON.stringify(body)}`);
      if (Date.now() > deadline) return undefined;
      await pause(wait, undefined, this.#abort());
    }
  }

  async #call<Body>(method: string, path: string, json?: unknown): Promise<{ status: number; body: Body }> {
    const response = await fetch(new URL(path, this.url), {
      method,
      headers: {
        ...(this.key ? { authorization: `Bearer ${this.key}` } : {}),
        ...(json === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
      ...this.#abort(),
    });
    return { status: response.status, body: (await response.json()) as Body };
  }

  #abort(): { signal?: AbortSignal } {
    return this.signal ? { signal: this.signal } : {};
  }
}
