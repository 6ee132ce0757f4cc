import { createServer as createHttpServer, type IncomingMessage, type OutgoingHttpHeaders, request, type ServerResponse } from "node:http";
import { request as requestTls } from "node:https";
import type { AddressInfo } from "node:net";
import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import { connect as connectTls } from "node:tls";
import type { HttpResponse } from "../../../kernel/http.js";

/** Where connections may go to, now: ports of this machine. */
export type Endpoints = () => readonly number[];

/** What is made of an answer for callers from outside. */
type Outward = (response: HttpResponse) => HttpResponse;

interface Relay {
  tls: boolean;
  outward: Outward;
}

/** One port of a Service: each new connection goes to the next of the pods that are ready. */
export class LoadBalancer {
  readonly #open = new Set<Socket>();
  /** Which turn a connection has. */
  readonly #turns = new WeakMap<Socket, number>();
  #next = 0;

  private constructor(
    private readonly server: Server,
    /** Of this machine. */
    readonly port: number,
  ) {}

  /**
   * @param port that is wanted; another free one is taken when it is occupied, unless `insist`
   * @param tls whether pods speak TLS, which outside nobody does here: who connects speaks plainly
   * @param outward what is made of an answer for callers from outside, where pods speak HTTP
   */
  static async listen(
    endpoints: Endpoints,
    { port = 0, insist = false, tls = false, outward }: { port?: number; insist?: boolean; tls?: boolean; outward?: Outward },
  ): Promise<LoadBalancer> {
    const server: Server = outward
      ? createHttpServer((incoming, outgoing) => balancer.#relay(incoming, outgoing, endpoints(), { tls, outward }))
      : createServer({ noDelay: true }, (client) => balancer.#forward(client, endpoints(), tls));
    if (outward) server.on("connection", (client: Socket) => balancer.#admit(client));
    const bind = (wanted: number) =>
      new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(wanted, "127.0.0.1", () => {
          server.off("error", reject);
          resolve();
        });
      });
    try {
      await bind(port);
    } catch (error) {
      if (port === 0 || insist || (error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
      await bind(0);
    }
    const balancer = new LoadBalancer(server, (server.address() as AddressInfo).port);
    return balancer;
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
      for (const socket of this.#open) socket.destroy();
    });
  }

  #admit(client: Socket): number {
    this.#open.add(client);
    client.once("close", () => this.#open.delete(client));
    client.on("error", () => client.destroy());
    const turn = this.#next++;
    this.#turns.set(client, turn);
    return turn;
  }

  /** One request, to the pod that its connection goes to. */
  #relay(incoming: IncomingMessage, outgoing: ServerResponse, endpoints: readonly number[], { tls, outward }: Relay): void {
    const first = this.#turns.get(incoming.socket) ?? 0;
    const { connection: _, "keep-alive": __, expect: ___, ...headers } = incoming.headers;
    const attempt = (tried: number) => {
      const port = endpoints[(first + tried) % endpoints.length];
      if (port === undefined || tried >= endpoints.length) return void incoming.socket.destroy();
      const { method, url: path } = incoming;
      const options = { host: "127.0.0.1", port, method, path, headers, agent: false, rejectUnauthorized: false };
      const upstream = (tls ? requestTls : request)(options, (answer) => void answered(answer, outgoing, outward, method));
      const refused = () => attempt(tried + 1);
      upstream.once("error", refused);
      upstream.once("socket", (socket) =>
        socket.once(tls ? "secureConnect" : "connect", () => {
          upstream.off("error", refused);
          upstream.on("error", () => outgoing.destroy());
          incoming.pipe(upstream);
        }),
      );
      outgoing.once("close", () => upstream.destroy());
    };
    attempt(0);
  }

  /** Without a pod that is ready, or that answers, the connection is closed. */
  #forward(client: Socket, endpoints: readonly number[], tls: boolean): void {
    const first = this.#admit(client);
    const attempt = (tried: number) => {
      const port = endpoints[(first + tried) % endpoints.length];
      if (port === undefined || tried >= endpoints.length) return void client.destroy();
      const upstream: Socket = tls
        ? connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false })
        : connectTcp({ host: "127.0.0.1", port, noDelay: true });
      const refused = () => {
        upstream.destroy();
        attempt(tried + 1);
      };
      upstream.once("error", refused);
      upstream.once(tls ? "secureConnect" : "connect", () => {
        upstream.off("error", refused);
        if (client.destroyed) return void upstream.destroy();
        this.#open.add(upstream);
        upstream.on("error", () => client.destroy());
        upstream.once("close", () => {
          this.#open.delete(upstream);
          client.destroy();
        });
        client.once("close", () => upstream.destroy());
        client.pipe(upstream).pipe(client);
      });
    };
    attempt(0);
  }
}

/** Passes an answer on: a picture as it comes, a document once it is whole. */
async function answered(answer: IncomingMessage, outgoing: ServerResponse, outward: Outward, method?: string): Promise<void> {
  const { connection: _, "keep-alive": __, "transfer-encoding": ___, ...headers } = answer.headers;
  const status = answer.statusCode ?? 502;
  const bodiless = method === "HEAD" || answer.headers["content-length"] === "0" || status === 204 || status === 304;
  try {
    if (bodiless || !/json|text|javascript/.test(answer.headers["content-type"] ?? "")) {
      outgoing.writeHead(status, outward({ status, headers: headers as Record<string, string> }).headers as OutgoingHttpHeaders);
      answer.pipe(outgoing);
      answer.once("error", () => outgoing.destroy());
      return;
    }
    const body = await buffer(answer);
    const said = outward({ status, headers: headers as Record<string, string>, body });
    outgoing.writeHead(status, said.headers as OutgoingHttpHeaders).end(body.length === 0 ? undefined : said.body);
  } catch {
    // The pod hung up in the middle: so do we.
    outgoing.destroy();
  }
}
