import type { Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { options } from "./environment.js";

export interface Listening {
  /** `http://127.0.0.1:8080` */
  address: string;
  /** Takes no more connections, lets requests end that are under way, and hangs up on whoever is left after so many milliseconds. */
  close(grace: number): Promise<void>;
}

type Fetch = (request: Request) => Response | Promise<Response>;

/**
 * Listens where the program says, with TLS where it gives a certificate.
 *
 * @throws Error naming the variable that is wrong.
 */
export async function listen(fetch: Fetch): Promise<Listening> {
  const { PORT, HOST, TLS_CERTIFICATE, TLS_KEY } = options("PORT", "HOST", "TLS_CERTIFICATE", "TLS_KEY");
  if ((TLS_CERTIFICATE === undefined) !== (TLS_KEY === undefined))
    throw new Error(`${TLS_KEY === undefined ? "TLS_KEY" : "TLS_CERTIFICATE"} is not set: TLS needs the certificate and its key.`);
  const tls = TLS_CERTIFICATE === undefined ? undefined : { cert: TLS_CERTIFICATE, key: TLS_KEY, minVersion: "TLSv1.2" };
  return listenAt({ host: HOST, port: PORT }, fetch, tls);
}

/** Listens for probes and whoever collects metrics, by plain HTTP; not where the program gives no port for them. */
export async function listenForProbes(fetch: Fetch): Promise<Listening | undefined> {
  const { PROBES_PORT, HOST } = options("PROBES_PORT", "HOST");
  return PROBES_PORT === undefined ? undefined : listenAt({ host: HOST, port: PROBES_PORT }, fetch);
}

async function listenAt({ host, port: wanted }: { host: string; port: number }, fetch: Fetch, tls?: object): Promise<Listening> {
  const server = createAdaptorServer({ fetch, ...(tls && { createServer: createSecureServer, serverOptions: tls }) }) as Server;
  // Longer than load balancers keep theirs, so that they never send into a connection that ends.
  server.keepAliveTimeout = 75_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(wanted, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const { port } = server.address() as AddressInfo;
  return {
    address: `${tls ? "https" : "http"}://${host}:${port}`,
    close: (grace) =>
      new Promise((resolve) => {
        const late = setTimeout(() => server.closeAllConnections(), grace);
        server.close(() => {
          clearTimeout(late);
          resolve();
        });
      }),
  };
}
