import type { ImageRecord } from "../functions/core/record.js";

export type { ImageRecord };

export interface ImageDetails extends ImageRecord {
  urls: { original: string; variants: Record<string, string> };
}

export interface Ticket {
  key: string;
  method: string;
  url: string;
  headers?: Record<string, string>;
  fields?: Record<string, string>;
}

export interface Filters {
  tag?: string;
  user?: string;
  status?: string;
}

/** The API said no. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** Where the key is kept: for this tab, until it is closed. */
const STORED = "image-pipeline.key";

/** The HTTP API that served this page. */
export class Api {
  #key = sessionStorage.getItem(STORED);

  /** Called when the key is missing, or no longer taken. */
  onUnauthorized: () => void = () => {};

  get key(): string | null {
    return this.#key;
  }

  set key(key: string | null) {
    this.#key = key;
    if (key === null) sessionStorage.removeItem(STORED);
    else sessionStorage.setItem(STORED, key);
  }

  list(filters: Filters, limit: number, cursor?: string): Promise<{ items: ImageRecord[]; cursor?: string }> {
    const query = new URLSearchParams({ ...filters, limit: String(limit), ...(cursor && { cursor }) });
    return this.#call("GET", `/images?${query}`);
  }

  image(key: string): Promise<ImageDetails> {
    return this.#call("GET", path(key));
  }

  delete(key: string): Promise<void> {
    return this.#call("DELETE", path(key));
  }

  redrive(key: string): Promise<void> {
    return this.#call("POST", `${path(key)}/redrive`);
  }

  ticket(request: { filename: string; contentType: string; size: number; user?: string; overwrite: boolean }): Promise<Ticket> {
    return this.#call("POST", "/uploads", request);
  }

  async #call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(path, {
      method,
      headers: {
        ...(this.#key && { authorization: `Bearer ${this.#key}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (response.ok) return response.status === 204 ? (undefined as T) : await response.json();
    const { code = "UNKNOWN", message = `The server answered ${response.status}.` } = await response.json().catch(() => ({}));
    if (response.status === 401) this.onUnauthorized();
    throw new Refused(response.status, code, message);
  }
}

/** A slash that is encoded cannot be taken for one of the route's own. */
function path(key: string): string {
  return `/images/${encodeURIComponent(key)}`;
}
