import { setTimeout as pause } from "node:timers/promises";
import type { Target } from "./target.js";

/** An answer of the API: JSON where it is JSON. */
export interface Answer {
  status: number;
  headers: Headers;
  body: any;
}

type RequestBody = NonNullable<RequestInit["body"]>;

export interface Ticket {
  key: string;
  statusUrl: string;
  method: string;
  url: string;
  headers?: Record<string, string>;
  fields?: Record<string, string>;
  expiresAt: string;
}

/** By deployment: every `METHOD /route status` that any client has seen of it, with the routes as the OpenAPI document writes them. */
const seenOf = new Map<string, Set<string>>();

/** A user of a deployment: calls the API with its key, and the store with tickets. */
export class Client {
  /** Distinguishes this run's images from whatever else is there. */
  readonly run = `${Date.now().toString(36)}${Math.random().toString(36).slice(2, 6)}`;

  /** Every `METHOD /route status` that any client has seen of this deployment. */
  readonly seen: Set<string>;

  constructor(readonly target: Target) {
    this.seen = seenOf.get(target.url) ?? new Set();
    seenOf.set(target.url, this.seen);
  }

  /** A file name that this run alone uses. */
  name(name: string): string {
    return `${this.run}-${name}`;
  }

  async call(
    method: string,
    path: string,
    init: { json?: unknown; form?: FormData; headers?: Record<string, string>; key?: string | false; body?: RequestBody } = {},
  ): Promise<Answer> {
    const key = init.key ?? this.target.key;
    const response = await fetch(new URL(path, this.target.url), {
      method,
      redirect: "manual",
      headers: {
        ...(key ? { authorization: `Bearer ${key}` } : {}),
        ...(init.json === undefined ? {} : { "content-type": "application/json" }),
        ...init.headers,
      },
      ...(init.json === undefined ? {} : { body: JSON.stringify(init.json) }),
      ...(init.form ? { body: init.form } : {}),
      ...(init.body === undefined ? {} : { body: init.body }),
    });
    this.seen.add(`${method} ${route(new URL(path, this.target.url).pathname)} ${response.status}`);
    const text = await response.text();
    const json = response.headers.get("content-type")?.includes("json");
    return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : text };
  }

  upload(name: string, bytes: Uint8Array, fields: Record<string, string> = {}, type = "application/octet-stream"): Promise<Answer> {
    const form = new FormData();
    for (const [field, value] of Object.entries(fields)) form.append(field, value);
    form.append("file", new Blob([new Uint8Array(bytes)], { type }), name);
    return this.call("POST", "/upload", { form });
  }

  ticket(filename: string, size: number, more: Record<string, unknown> = {}): Promise<Answer> {
    return this.call("POST", "/uploads", { json: { filename, contentType: "image/jpeg", size, ...more } });
  }

  /** Uses a ticket as its owner would. */
  async redeem(
    ticket: Ticket,
    bytes: Uint8Array,
    change: { url?: string; headers?: Record<string, string>; fields?: Record<string, string> } = {},
  ): Promise<Response> {
    const url = change.url ?? ticket.url;
    if (!ticket.fields)
      return fetch(url, { method: ticket.method, headers: { ...ticket.headers, ...change.headers }, body: bytes as RequestBody });
    const form = new FormData();
    for (const [name, value] of Object.entries({ ...ticket.fields, ...change.fields })) form.append(name, value);
    form.append("file", new Blob([new Uint8Array(bytes)]));
    return fetch(url, { method: ticket.method, body: form });
  }

  image(key: string, rest = ""): string {
    return `/images/${key.split("/").map(encodeURIComponent).join("/")}${rest}`;
  }

  status(key: string): Promise<Answer> {
    return this.call("GET", this.image(key, "/status"));
  }

  /** The record, once the image is no longer being processed. */
  result(key: string, seconds = 60): Promise<Answer["body"]> {
    return this.eventually(
      async () => {
        const { status, body } = await this.status(key);
        return status === 200 && body.status !== "processing" ? body : undefined;
      },
      `${key} has a result`,
      seconds,
    );
  }

  /** Puts a file into the store by a ticket, whatever it claims to be, and returns its result. */
  async put(name: string, bytes: Uint8Array, more: Record<string, unknown> = {}): Promise<Answer["body"]> {
    const { status, body: ticket } = await this.ticket(name, bytes.length, more);
    if (status !== 201) throw new Error(`no ticket for ${name}: ${status} ${JSON.stringify(ticket)}`);
    const stored = await this.redeem(ticket, bytes);
    if (!stored.ok) throw new Error(`the store refused ${name}: ${stored.status} ${await stored.text()}`);
    return this.result(ticket.key);
  }

  /** A deployment can only be asked; so ask until it is so. */
  async eventually<T>(ask: () => Promise<T | undefined | false>, what: string, seconds = 60): Promise<T> {
    const deadline = Date.now() + seconds * 1_000;
    for (let wait = 50; ; wait = Math.min(wait * 1.5, 1_000)) {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
      if (Date.now() > deadline) throw new Error(`after ${seconds} s it still does not hold that ${what}`);
      await pause(wait);
    }
  }
}

/** A path as the OpenAPI document writes it. */
function route(path: string): string {
  const [, key, rest] = /^\/images\/(.+?)(\/status|\/redrive)?$/.exec(path) ?? [];
  return key ? `/images/{key}${rest ?? ""}` : path;
}
