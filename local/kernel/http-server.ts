import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { HttpRequest, HttpResponse } from "./http.js";

/** Largest request body that is read, in bytes. */
export const LARGEST_BODY = 200 * 1024 * 1024;

class BodyTooLarge extends Error {}

/**
 * Listens on the loopback interface.
 *
 * @param port that is wanted; another free one is taken when it is occupied, unless `insist`.
 * @param tls key and certificate (PEM), for HTTPS. Plain HTTP is answered at the same port, and such requests say so.
 */
export async function listen(
  serve: (request: HttpRequest) => Promise<HttpResponse>,
  port = 0,
  { insist = false, tls }: { insist?: boolean; tls?: { key: string; cert: string } } = {},
): Promise<{ server: Server; port: number }> {
  const patient = <Kind extends Server>(server: Kind): Kind => {
    // A client may hold its connection while it waits for messages, or while a handler thinks.
    server.requestTimeout = 0;
    server.keepAliveTimeout = 30_000;
    return server;
  };
  const answered = (of: (request: HttpRequest) => HttpRequest) => (incoming: IncomingMessage, outgoing: ServerResponse) =>
    void answer(incoming, outgoing, (request) => serve(of(request)));
  const server = patient(createServer(answered(tls ? (request) => ({ ...request, plain: true }) : (request) => request)));
  if (tls)
    takeTls(
      server,
      patient(
        createSecureServer(
          tls,
          answered((request) => request),
        ) as Server,
      ),
    );
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

/** Connections of servers that answer both: those with TLS are unknown to the server that listens. */
const connections = new WeakMap<Server, Set<Socket>>();

/** First byte of a TLS handshake; no HTTP method begins with it. */
const HANDSHAKE = 0x16;

/** Connections of `plain` that begin with a handshake go to `secure`, which does not listen itself. */
function takeTls(plain: Server, secure: Server): void {
  const sockets = new Set<Socket>();
  connections.set(plain, sockets);
  const [http] = plain.listeners("connection");
  plain.removeAllListeners("connection");
  const sort = (socket: Socket) => {
    const first = socket.read(1) as Buffer | null;
    if (first === null) {
      socket.once("readable", () => sort(socket));
      return;
    }
    socket.off("error", ignored);
    socket.unshift(first);
    if (first[0] === HANDSHAKE) secure.emit("connection", socket);
    else http?.call(plain, socket);
  };
  plain.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", ignored);
    sort(socket);
  });
}

/** Who hangs up before a first byte has nothing to be told. */
const ignored = () => {};

/** Stops listening and hangs up on everybody. */
export async function close(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
    for (const socket of connections.get(server) ?? []) socket.destroy();
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
