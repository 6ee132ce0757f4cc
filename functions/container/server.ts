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

/**
 * Listens where the program says, with TLS where it gives a certificate.
 *
 * @throws Error naming the variable that is wrong.
 */
export async function listen(fetch: (request: Request) => Response | Promise<Response>): Promise<Listening> {
  const { PORT, HOST, TLS_CERTIFICATE, TLS_KEY } = options("PORT", "HOST", "TLS_CERTIFICATE", "TLS_KEY");
  if ((TLS_CERTIFICATE === undefined) !== (TLS_KEY === undefined))
    throw new Error(`${TLS_KEY === undefined ? "TLS_KEY" : "TLS_CERTIFICATE"} is not set: TLS needs the certificate and its key.`);
  const isSecure = TLS_CERTIFICATE !== undefined;
  const server = createAdaptorServer({
    fetch,
    ...(isSecure && { createServer: createSecureServer, serverOptions: { cert: TLS_CERTIFICATE, key: TLS_KEY, minVersion: "TLSv1.2" } }),
  }) as Server;
  // Longer than load balancers keep theirs, so that they never send into a connection that ends.
  server.keepAliveTimeout = 75_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(PORT, HOST, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const { port } = server.address() as AddressInfo;
  return {
    address: `${isSecure ? "https" : "http"}://${HOST}:${port}`,
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
