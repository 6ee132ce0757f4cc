import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { HttpRequest, HttpResponse } from "./http.js";

/** Largest request body that is read, in bytes. */
export const LARGEST_BODY = 200 * 1024 * 1024;

class BodyTooLarge extends Error {}

/**
 * Listens on the loopback interface.
 *
 * @param port that is wanted; another free one is taken when it is occupied, unless `insist`.
 * @param tls key and certificate (PEM), for HTTPS.
 */
export async function listen(
  serve: (request: HttpRequest) => Promise<HttpResponse>,
  port = 0,
  { insist = false, tls }: { insist?: boolean; tls?: { key: string; cert: string } } = {},
): Promise<{ server: Server; port: number }> {
  const listener = (incoming: IncomingMessage, outgoing: ServerResponse) => void answer(incoming, outgoing, serve);
  const server: Server = tls ? (createSecureServer(tls, listener) as Server) : createServer(listener);
  // A client may hold its connection while it waits for messages, or while a handler thinks.
  server.requestTimeout = 0;
  server.keepAliveTimeout = 30_000;
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
    const taken = ["EADDRINUSE", "EACCES"].includes((error as NodeJS.ErrnoException).code ?? "");
    if (port === 0 || insist || !taken) throw error;
    await bind(0);
  }
  return { server, port: (server.address() as AddressInfo).port };
}

/** Stops listening and hangs up on everybody. */
export async function close(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function answer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  serve: (request: HttpRequest) => Promise<HttpResponse>,
): Promise<void> {
  try {
    const { status, headers, body } = await serve(await read(incoming));
    const bytes = body === undefined ? undefined : Buffer.from(body);
    const length = headers && Object.keys(headers).some((name) => name.toLowerCase() === "content-length");
    outgoing.writeHead(status, {
      ...headers,
      ...(length || status === 204 || status === 304 ? {} : { "content-length": bytes?.length ?? 0 }),
    });
    outgoing.end(incoming.method === "HEAD" ? undefined : bytes);
  } catch (error) {
    if (outgoing.headersSent || outgoing.destroyed) return void outgoing.destroy();
    const tooLarge = error instanceof BodyTooLarge;
    outgoing.writeHead(tooLarge ? 413 : 500, { "content-type": "text/plain", connection: "close" });
    outgoing.end(tooLarge ? error.message : "The embedded cloud could not read the request.");
  }
}

async function read(incoming: IncomingMessage): Promise<HttpRequest> {
  const tooLarge = () => new BodyTooLarge(`The embedded cloud reads bodies of at most ${LARGEST_BODY} bytes.`);
  if (Number(incoming.headers["content-length"]) > LARGEST_BODY) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LARGEST_BODY) throw tooLarge();
    chunks.push(chunk);
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(incoming.headersDistinct)) headers[name] = (value ?? []).join(",");
  const target = incoming.url ?? "/";
  const peer = incoming.socket.remoteAddress;
  return {
    method: incoming.method ?? "GET",
    target,
    url: new URL(target.startsWith("/") ? `http://${headers.host ?? "127.0.0.1"}${target}` : target),
    headers,
    body: Buffer.concat(chunks, size),
    ...(peer ? { peer } : {}),
  };
}
