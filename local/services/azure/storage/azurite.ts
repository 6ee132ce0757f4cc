import { createHmac } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { Agent, type Server, request as send } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { HttpResponse } from "../../../kernel/http.js";
import { CloudError } from "../../../kernel/service.js";

export const STORES = ["blob", "queue", "table"] as const;
export type Store = (typeof STORES)[number];

/** As far as this uses Azurite's servers, which have no types of their own. */
interface AzuriteServer {
  readonly httpServer: Server;
  readonly accountDataStore: { getAccount(name: string): { name: string; key1: Buffer } };
  start(): Promise<void>;
  close(): Promise<void>;
}

/** What is sent on: method, target (path and query) and headers, but for credentials. */
export interface Forwarded {
  method: string;
  target: string;
  headers?: Record<string, string>;
  body?: Buffer;
  /** The request carries a valid signature of its own, which Azurite is to see. */
  asSigned?: boolean;
}

const SIGNATURE_VERSION = "2021-10-04";

/**
 * Azurite in this process: blobs, queues and tables of every account, in files of one folder. It listens on loopback with keys that nobody
 * else knows; whoever passed the guard is sent on with an account SAS.
 */
export class Azurite {
  readonly #folder: string;
  readonly #keyOf: (account: string) => Buffer;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  #servers: Promise<Record<Store, AzuriteServer>> | undefined;
  #stopped = false;

  constructor(folder: string, keyOf: (account: string) => Buffer) {
    this.#folder = folder;
    this.#keyOf = keyOf;
  }

  /** Passes a request on, to servers that start with the first one. */
  async forward(store: Store, account: string, { method, target, headers = {}, body, asSigned = false }: Forwarded): Promise<HttpResponse> {
    // Whoever still polls while everything ends must not start it again: nobody would stop it then.
    if (this.#stopped) throw new CloudError("ServerBusy", "The storage is being shut down.", 503);
    this.#servers ??= this.#start();
    const { port } = (await this.#servers)[store].httpServer.address() as AddressInfo;
    const path = asSigned ? target : `${target}${target.includes("?") ? "&" : "?"}${this.#accountSas(account)}`;
    const { "transfer-encoding": _, connection: __, ...passed } = headers;
    return new Promise((resolve, reject) => {
      const outgoing = send(
        { host: "127.0.0.1", port, method, path, agent: this.#agent, headers: { ...passed, "content-length": String(body?.length ?? 0) } },
        (incoming) => {
          const chunks: Buffer[] = [];
          incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
          incoming.on("error", reject);
          incoming.on("end", () => {
            const { connection: _connection, "keep-alive": _keepAlive, "transfer-encoding": _encoding, ...received } = incoming.headers;
            resolve({
              status: incoming.statusCode ?? 500,
              headers: received as Record<string, string | string[]>,
              body: Buffer.concat(chunks),
            });
          });
        },
      );
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  }

  /** Ends it for good. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#agent.destroy();
    const servers = await this.#servers?.catch(() => undefined);
    if (servers) await Promise.all(STORES.map((store) => servers[store].close()));
  }

  async #start(): Promise<Record<Store, AzuriteServer>> {
    await mkdir(this.#folder, { recursive: true });
    // CommonJS, loaded only here: half a second that only stacks with storage accounts pay.
    const require = createRequire(import.meta.url);
    const load = (module: string) => require(`azurite/dist/src/${module}.js`).default as new (...args: unknown[]) => AzuriteServer;
    const at = (name: string) => join(this.#folder, name);
    // Host, port, seconds that connections are kept.
    const listening = ["127.0.0.1", 0, 30];
    // No access log, no debug log; loose about what clients need not send; any API version; no TLS here, no OAuth, no account in host names.
    const unlogged = [false, undefined, false, undefined];
    const behaviour = [false, true, "", "", "", undefined, true, false];
    const extents = (store: string) => [{ locationId: "Default", locationPath: at(`${store}-extents`), maxConcurrency: 50 }];
    const files = (store: string) => [at(`${store}.json`), at(`${store}-extents.json`), extents(store)];
    const configured = (store: string, name: string, ...given: unknown[]) =>
      new (load(`${store}/${name}Server`))(new (load(`${store}/${name}Configuration`))(...listening, ...given, ...behaviour));
    const servers = {
      blob: configured("blob", "Blob", ...files("blob"), ...unlogged),
      queue: configured("queue", "Queue", ...files("queue"), ...unlogged),
      table: configured("table", "Table", at("table.json"), false, false, undefined, undefined),
    };
    await Promise.all(
      STORES.map((store) => {
        servers[store].accountDataStore.getAccount = (name) => ({ name, key1: this.#keyOf(name) });
        return servers[store].start();
      }),
    );
    return servers;
  }

  #accountSas(account: string): string {
    const expiry = new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+Z$/, "Z");
    const given = { sp: "rwdxylacuptfi", ss: "bqt", srt: "sco", st: "", se: expiry, sip: "", spr: "https,http", sv: SIGNATURE_VERSION };
    const text = [account, given.sp, given.ss, given.srt, given.st, given.se, given.sip, given.spr, given.sv, "", ""].join("\n");
    const sig = createHmac("sha256", this.#keyOf(account)).update(text).digest("base64");
    const query = Object.entries({ ...given, sig }).filter(([, value]) => value !== "");
    return query.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
  }
}
