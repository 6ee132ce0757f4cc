import type { AddressInfo } from "node:net";
import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

/** Where connections may go to, now: ports of this machine. */
export type Endpoints = () => readonly number[];

/** One port of a Service: each new connection goes to the next of the pods that are ready. */
export class LoadBalancer {
  readonly #open = new Set<Socket>();
  #next = 0;

  private constructor(
    private readonly server: Server,
    /** Of this machine. */
    readonly port: number,
  ) {}

  /**
   * @param port that is wanted; another free one is taken when it is occupied, unless `insist`
   * @param tls whether pods speak TLS, which outside nobody does here: who connects speaks plainly
   */
  static async listen(
    endpoints: Endpoints,
    { port = 0, insist = false, tls = false }: { port?: number; insist?: boolean; tls?: boolean },
  ): Promise<LoadBalancer> {
    const server = createServer({ noDelay: true }, (client) => balancer.#forward(client, endpoints(), tls));
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

  /** Without a pod that is ready, or that answers, the connection is closed. */
  #forward(client: Socket, endpoints: readonly number[], tls: boolean): void {
    this.#open.add(client);
    client.once("close", () => this.#open.delete(client));
    client.on("error", () => client.destroy());
    const first = this.#next++;
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
