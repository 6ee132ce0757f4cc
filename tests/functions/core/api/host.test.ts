import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { api, file, KEY } from "./fixture.js";

describe("Mounted on a real server", () => {
  let cloud: ReturnType<typeof api>;
  let server: Server;
  let port: number;

  beforeEach(async () => {
    cloud = api({ bodyLimit: 100_000 });
    server = serve({ fetch: cloud.app.fetch, hostname: "127.0.0.1", port: 0 }) as Server;
    await once(server, "listening");
    port = (server.address() as AddressInfo).port;
  });

  afterEach(() => {
    server.close();
    server.closeAllConnections();
  });

  /** By node:http, which sends the path as it is given. */
  async function raw(method: string, path: string): Promise<{ status: number | undefined; body: string }> {
    const sent = request({ port, method, path, headers: { authorization: `Bearer ${KEY}` } }).end();
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    return { status: response.statusCode, body: Buffer.concat(await response.toArray()).toString() };
  }

  it("takes an upload", async () => {
    const body = new FormData();
    body.append("file", file("Größe.png"));
    const response = await fetch(`http://127.0.0.1:${port}/upload`, { method: "POST", body, headers: { authorization: `Bearer ${KEY}` } });
    assert.equal(response.status, 202);
    const { key, statusUrl } = (await response.json()) as { key: string; statusUrl: string };
    assert.equal(key, "uploads/Größe.png");
    assert.equal((await raw("GET", statusUrl)).status, 200);
  });

  for (const [kind, headers] of [
    ["a length", {}],
    ["chunks", { duplex: "half" }],
  ] as const) {
    it(`answers 413 to a body that is too large, sent with ${kind}, and lives on`, async () => {
      const form = new FormData();
      form.append("file", file("big.png", Buffer.alloc(8_000_000)));
      const encoded = new Response(form);
      const type = encoded.headers.get("content-type") as string;
      const body = kind === "chunks" ? encoded.body : await encoded.arrayBuffer();
      const response = await fetch(`http://127.0.0.1:${port}/upload`, {
        method: "POST",
        headers: { authorization: `Bearer ${KEY}`, "content-type": type },
        body,
        ...headers,
      } as RequestInit);
      assert.equal(response.status, 413);
      assert.equal(((await response.json()) as { code: string }).code, "TOO_LARGE");
      assert.equal((await raw("GET", "/health")).status, 200);
    });
  }

  it("decodes keys exactly once, as they come over the wire", async () => {
    const { key } = await cloud.completed("a%2Fb +ö.png");
    const { status, body } = await raw("GET", `/images/${encodeURIComponent(key)}/status`);
    assert.deepEqual([status, JSON.parse(body).key], [200, key]);
    for (const path of ["/images/uploads/%/status", "/images/uploads/%FF/status", "/images/%2e%2e/status", "/images/../health/x"]) {
      assert.equal((await raw("GET", path)).status, 404, path);
    }
  });
});
