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
/** How often a request is sent again that the product could not answer now (429, 5xx). */
const RETRIES = 5;

/** The product gave an answer that nobody can go on with. */
class Unanswered extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** The product as its users have it: a URL and a key. Knows nothing of where it runs. */
export class Product {
  constructor(
    private readonly url: string,
    private readonly key: string,
    private readonly signal?: AbortSignal,
  ) {}

  /** Uploads a file by a ticket, and waits for its result. What cannot be told is `unknown`, with the reason: one file never ends the rest. */
  async process(path: string, options: { overwrite?: boolean } = {}): Promise<Outcome> {
    const begun = performance.now();
    const file = basename(path);
    const ended = (outcome: Omit<Outcome, "file" | "took">): Outcome => ({ file, ...outcome, took: Math.round(performance.now() - begun) });
    try {
      return ended(await this.#process(path, file, options));
    } catch (error) {
      if (error instanceof Unanswered) return ended({ status: "unknown", failure: { code: error.code, message: error.message } });
      // What `fetch` throws when there is no answer at all.
      if (error instanceof TypeError && error.cause instanceof Error)
        return ended({ status: "unknown", failure: { code: "UNREACHABLE", message: error.cause.message } });
      throw error;
    }
  }

  async #process(path: string, file: string, options: { overwrite?: boolean }): Promise<Omit<Outcome, "file" | "took">> {
    const bytes = await openAsBlob(path);
    // What has no known ending goes by the commonest type: the pipeline decides by content, and says so where it is something else.
    const contentType = TYPES[extname(file).toLowerCase()] ?? "image/jpeg";
    const asked = await this.#call<Ticket & Refusal>("POST", "/uploads", {
      filename: file,
      contentType,
      size: bytes.size,
      overwrite: options.overwrite ?? false,
    });
    if (asked.status !== 201) return { status: "refused", failure: { code: asked.body.code, message: asked.body.message } };
    const ticket = asked.body;
    const sent = await this.#send(ticket, bytes);
    if (!sent.ok) {
      return { status: "refused", failure: { code: `STORE_${sent.status}`, message: (await sent.text()).slice(0, 300) } };
    }
    const record = await this.#result(ticket.key);
    if (!record)
      return {
        status: "unknown",
        failure: { code: "NO_RESULT", message: `None came within ${PATIENCE_MS / 1_000} seconds; GET /failures may tell why.` },
      };
    return { status: record.status, record, ...(record.failure ? { failure: record.failure } : {}) };
  }

  async #send(ticket: Ticket, bytes: Blob): Promise<Response> {
    if (!ticket.fields) return fetch(ticket.url, { method: ticket.method, headers: ticket.headers ?? {}, body: bytes, ...this.#abort() });
    const form = new FormData();
    for (const [name, value] of Object.entries(ticket.fields)) form.append(name, value);
    form.append("file", bytes);
    return fetch(ticket.url, { method: ticket.method, body: form, ...this.#abort() });
  }

  /** `undefined` when none came in time. @throws Unanswered when the API answers with neither a record nor "not (yet) known". */
  async #result(key: string): Promise<Ended | undefined> {
    const deadline = Date.now() + PATIENCE_MS;
    for (let wait = 50; ; wait = Math.min(wait * 1.5, 1_000)) {
      const { status, body } = await this.#call<ImageRecord>("GET", `/images/${key.split("/").map(encodeURIComponent).join("/")}/status`);
      if (status === 200 && hasEnded(body)) return body;
      if (status !== 200 && status !== 404)
        throw new Unanswered(`HTTP_${status}`, `The status of ${key} is answered with ${status}: ${JSON.stringify(body)}`);
      if (Date.now() > deadline) return undefined;
      await pause(wait, undefined, this.#abort());
    }
  }

  /** The answer, asked for again while there is none to be had. @throws Unanswered */
  async #call<Body>(method: string, path: string, json?: unknown): Promise<{ status: number; body: Body }> {
    for (let attempt = 0; ; attempt++) {
      const response = await fetch(new URL(path, this.url), {
        method,
        headers: {
          ...(this.key ? { authorization: `Bearer ${this.key}` } : {}),
          ...(json === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(json === undefined ? {} : { body: JSON.stringify(json) }),
        ...this.#abort(),
      });
      const text = await response.text();
      const later = response.status === 429 || response.status >= 500;
      if (!later && response.headers.get("content-type")?.includes("json"))
        return { status: response.status, body: JSON.parse(text) as Body };
      if (!later || attempt === RETRIES)
        throw new Unanswered(`HTTP_${response.status}`, `${method} ${path} is answered with ${response.status}: ${text.slice(0, 300)}`);
      await pause(200 * 2 ** attempt, undefined, this.#abort());
    }
  }

  #abort(): { signal?: AbortSignal } {
    return this.signal ? { signal: this.signal } : {};
  }
}
