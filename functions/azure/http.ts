import type { HttpHandler, HttpRequest, HttpResponseInit } from "@azure/functions";
import type { Hono } from "hono";

/** The app as the handler of an HTTP trigger for every route. */
// biome-ignore lint/suspicious/noExplicitAny: whatever the app's own environment is
export function behindFunctions(app: Hono<any>): HttpHandler {
  return async (request) => {
    const body = request.method === "GET" || request.method === "HEAD" ? undefined : await request.arrayBuffer();
    const headers = Object.fromEntries(request.headers.entries());
    const response = await app.fetch(
      new Request(addressOf(request), { method: request.method, headers, ...(body && body.byteLength > 0 && { body }) }),
    );
    const bytes = new Uint8Array(await response.arrayBuffer());
    return {
      status: response.status,
      headers: [...response.headers.entries()],
      ...(bytes.length > 0 && { body: bytes }),
    } as HttpResponseInit;
  };
}

/**
 * The URL as the client wrote it. The host's own has been decoded and encoded again, by which a `%25` in a key may be lost; App Service's front end
 * keeps the original in a header.
 */
function addressOf({ url, headers }: HttpRequest): URL {
  const original = headers.get("x-waws-unencoded-url");
  return original?.startsWith("/") ? new URL(new URL(url).origin + original) : new URL(url);
}
