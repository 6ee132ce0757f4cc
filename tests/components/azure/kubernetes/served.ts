import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import requireFromString from "require-from-string";
import { recorded } from "../../../declared.js";

/** A request as it came. */
export interface Asked {
  /** `"POST /path?query"` */
  call: string;
  headers: IncomingMessage["headers"];
  body: Buffer;
}

export type Answer = [status: number, body?: unknown];

/** A server of an API that answers as it is told, and remembers what it was asked. */
export async function served(answer: (asked: Asked) => Answer): Promise<{ url: string; asked: Asked[]; server: Server }> {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const one = { call: `${request.method} ${request.url}`, headers: request.headers, body: Buffer.concat(chunks) };
    asked.push(one);
    const [status, body] = answer(one);
    response.writeHead(status).end(body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, server };
}

/** A dynamic resource's provider as Pulumi keeps and runs it: from its text, with nothing of this program around it. */
export async function providerOf(declare: () => unknown): Promise<{ provider: any; declared: any }> {
  const [declared] = await recorded(declare);
  return { provider: requireFromString(declared?.inputs.__provider).handler(), declared };
}
