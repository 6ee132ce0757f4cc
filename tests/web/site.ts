import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { createApi } from "../../functions/core/api/app.js";
import { ImageRefused } from "../../functions/core/failures.js";
import type { Clock, Ticket, TicketRequest } from "../../functions/core/ports.js";
import type { AuthSettings, Settings } from "../../functions/core/settings.js";
import { detectLabels } from "../../functions/core/stages/detect-labels.js";
import { extractMetadata } from "../../functions/core/stages/extract-metadata.js";
import { generateThumbnails } from "../../functions/core/stages/generate-thumbnails.js";
import { recordFailure, storeResults } from "../../functions/core/stages/store-results.js";
import { validate } from "../../functions/core/stages/validate.js";
import { statistics } from "../../functions/core/taggers/statistics.js";
import { buildPage } from "../../web/build.js";
import { MemoryObjectStore, memoryPorts } from "../functions/core/memory-ports.js";

export const KEY = "the-key-of-the-album";

const SETTINGS: Settings = {
  variants: {
    small: { width: 100, height: 100, fit: "cover", format: "auto", quality: 80 },
    large: { width: 640, height: 480, fit: "cover", format: "auto", quality: 80 },
  },
  limits: { bytes: 5_000_000, pixels: 50_000_000 },
  gps: false,
  auth: { kind: "key" },
  tagger: "statistics",
  linkLifetime: 900,
};

const wallClock: Clock = { now: () => new Date() };

/** How a store takes uploads: the bytes with headers, as Azure does, or a form, as S3 does. */
export type TicketKind = "headers" | "fields";

/** The whole product in one process: API and page over ports in memory, a store that is uploaded to over HTTP, and the stages. */
export class Site {
  readonly ports = memoryPorts();
  readonly uploads: HttpStore;
  readonly variants: HttpStore;
  /** Where the page is. */
  url = "";
  /** Until this is resolved, images stay `processing`. */
  hold: Promise<void> = Promise.resolve();
  readonly #settings: Settings;
  readonly #running = new Set<Promise<void>>();
  #sequence = 0;
  #app?: ReturnType<typeof serve>;

  constructor({ auth = { kind: "key" }, tickets = "headers" }: { auth?: AuthSettings; tickets?: TicketKind } = {}) {
    this.#settings = { ...SETTINGS, auth };
    this.uploads = new HttpStore(tickets, (key) => this.process(key));
    this.variants = new HttpStore(tickets, () => {});
  }

  async start(): Promise<this> {
    await Promise.all([this.uploads.start(), this.variants.start()]);
    const app = createApi({
      ...this.ports,
      uploads: this.uploads,
      variants: this.variants,
      workflow: { redrive: async ({ key }) => this.process(key), deletionIn: () => undefined },
      clock: wallClock,
      apiKey: async () => KEY,
      settings: this.#settings,
      page: await buildPage(),
      version: "1.0.0",
      prefix: "uploads/",
      bodyLimit: 4_000_000,
    });
    this.#app = serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 });
    await once(this.#app, "listening");
    this.url = `http://127.0.0.1:${(this.#app.address() as AddressInfo).port}`;
    return this;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running);
    const app = this.#app as Server | undefined;
    app?.close();
    app?.closeAllConnections();
    this.uploads.stop();
    this.variants.stop();
  }

  /** Puts a file into the store, and waits for its result. */
  async add(name: string, bytes: Uint8Array, user?: string): Promise<void> {
    await this.uploads.write(`uploads/${name}`, bytes, { contentType: "image/jpeg", overwrite: true, ...(user !== undefined && { user }) });
    this.process(`uploads/${name}`);
    await Promise.all(this.#running);
  }

  /** Runs an image through the stages, as a host's workflow does. */
  process(key: string): void {
    const running = this.#process(key).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #process(key: string): Promise<void> {
    await this.hold;
    const ports = {
      ...this.ports,
      uploads: this.uploads,
      variants: this.variants,
      clock: wallClock,
      settings: this.#settings,
      tagger: statistics,
    };
    const run = { key, sequencer: String(++this.#sequence).padStart(8, "0"), redrive: true };
    try {
      const image = await validate({ ...run, at: new Date().toISOString() }, ports);
      if (image.stale) return;
      const [thumbnails, metadata] = await Promise.all([generateThumbnails(image, ports), extractMetadata(image, ports)]);
      const tags = await detectLabels({ key, metadata, thumbnails }, ports);
      await storeResults(
        image.run,
        { ...metadata, ...thumbnails.fingerprint, size: image.size, variants: thumbnails.variants, tags },
        ports,
      );
    } catch (error) {
      if (!(error instanceof ImageRefused)) throw error;
      await recordFailure(run, error.failure, ports);
    }
  }
}

/** A store with an HTTP face: takes what a ticket allows, gives what a link names, and lets other origins' pages do so. */
class HttpStore extends MemoryObjectStore {
  readonly #tickets = new Map<string, TicketRequest>();
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  #origin = "";

  constructor(
    private readonly kind: TicketKind,
    private readonly created: (key: string) => void,
  ) {
    super(wallClock);
  }

  async start(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.#origin = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  override async origin(): Promise<string> {
    return this.#origin;
  }

  override async link(key: string, { download }: { lifetime: number; download?: string }): Promise<string> {
    return `${this.#origin}/${encodeURIComponent(key)}${download === undefined ? "" : `?download=${encodeURIComponent(download)}`}`;
  }

  override async ticket(request: TicketRequest): Promise<Ticket> {
    const id = crypto.randomUUID();
    this.#tickets.set(id, request);
    const expiresAt = new Date(Date.now() + request.lifetime * 1000).toISOString();
    if (this.kind === "headers") {
      return {
        method: "PUT",
        url: `${this.#origin}/${encodeURIComponent(request.key)}`,
        headers: { "content-type": request.contentType, "x-ticket": id },
        expiresAt,
      };
    }
    return { method: "POST", url: this.#origin, fields: { key: request.key, "Content-Type": request.contentType, ticket: id }, expiresAt };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("Access-Control-Allow-Headers", "content-type, x-ticket");
    response.setHeader("Access-Control-Allow-Methods", "GET, PUT, POST");
    if (request.method === "OPTIONS") return void response.end();
    const url = new URL(request.url ?? "/", this.#origin);
    if (request.method === "GET") return this.#give(decodeURIComponent(url.pathname.slice(1)), url.searchParams.get("download"), response);
    const bytes = Buffer.concat(await request.toArray());
    const { id, file } = await this.#parts(request, bytes);
    const ticket = this.#tickets.get(id);
    this.#tickets.delete(id);
    if (!ticket || file.length !== ticket.size) return void response.writeHead(403).end("<Error><Code>AccessDenied</Code></Error>");
    await this.write(ticket.key, file, ticket);
    response.writeHead(201).end();
    this.created(ticket.key);
  }

  async #parts(request: IncomingMessage, bytes: Buffer<ArrayBuffer>): Promise<{ id: string; file: Buffer }> {
    if (this.kind === "headers") return { id: String(request.headers["x-ticket"]), file: bytes };
    const form = await new Response(bytes, { headers: { "content-type": String(request.headers["content-type"]) } }).formData();
    // S3 ignores what comes after the file.
    if ([...form.keys()].at(-1) !== "file") return { id: "", file: bytes };
    return { id: String(form.get("ticket")), file: Buffer.from(await (form.get("file") as File).arrayBuffer()) };
  }

  #give(key: string, download: string | null, response: ServerResponse): void {
    const bytes = this.bytes(key);
    if (!bytes) return void response.writeHead(404).end();
    const disposition = download === null ? {} : { "content-disposition": `attachment; filename*=UTF-8''${encodeURIComponent(download)}` };
    response.writeHead(200, { "content-type": this.objects.get(key)?.info.contentType ?? "", ...disposition }).end(bytes);
  }
}
