import assert from "node:assert/strict";
import { Hono } from "hono";
import { behindGateway, type GatewayEvent } from "../../../functions/aws/gateway.js";

/** An event as API Gateway makes it of a request: the path decoded, the query not, bodies of some types in base64. */
function event(
  method: string,
  rawPath: string,
  { query = "", body, headers = {} }: { query?: string; body?: Uint8Array; headers?: Record<string, string> } = {},
) {
  return {
    version: "2.0",
    routeKey: "$default",
    rawPath,
    rawQueryString: query,
    headers: { host: "api.example.org", "x-forwarded-proto": "https", ...headers },
    isBase64Encoded: body !== undefined,
    ...(body && { body: Buffer.from(body).toString("base64") }),
    requestContext: { domainName: "api.example.org", http: { method, path: rawPath }, stage: "$default" },
  } as unknown as GatewayEvent;
}

describe("Behind an HTTP API", () => {
  const app = new Hono();
  app.get("/images/:key{.+}/status", (c) =>
    c.json({ pathname: new URL(c.req.url).pathname, key: c.req.param("key"), tag: c.req.query("tag") }),
  );
  app.post("/upload", async (c) => {
    const file = (await c.req.parseBody()).file as File;
    return c.json({ name: file.name, bytes: [...new Uint8Array(await file.arrayBuffer())] });
  });
  app.get("/picture", (c) => c.body(new Uint8Array([0, 255, 128]), 200, { "content-type": "image/png" }));
  const handler = behindGateway(app);

  for (const key of [
    "uploads/cat.png",
    "uploads/Größe 1+1.png",
    "uploads/what?.png",
    "uploads/#1.png",
    "uploads/100%.png",
    "uploads/a%20b.png",
  ]) {
    it(`the path of ${key} arrives as the key, although the gateway has decoded it`, async () => {
      const { body } = await handler(event("GET", `/images/${key}/status`, { query: "tag=a%20b" }));
      const { pathname, ...answer } = JSON.parse(body);
      assert.deepEqual(answer, { key, tag: "a b" });
      assert.equal(decodeURIComponent(pathname), `/images/${key}/status`);
    });
  }

  it("a form's file arrives with each of its bytes", async () => {
    const form = new FormData();
    form.append("file", new File([new Uint8Array([0, 13, 10, 255, 254])], "ü.png"));
    const request = new Request("https://x/upload", { method: "POST", body: form });
    const body = new Uint8Array(await request.arrayBuffer());
    const headers = { "content-type": request.headers.get("content-type") ?? "" };
    assert.deepEqual(JSON.parse((await handler(event("POST", "/upload", { body, headers }))).body), {
      name: "ü.png",
      bytes: [0, 13, 10, 255, 254],
    });
  });

  it("bytes go out in base64", async () => {
    const { body, isBase64Encoded, statusCode } = await handler(event("GET", "/picture"));
    assert.deepEqual([statusCode, isBase64Encoded, [...Buffer.from(body, "base64")]], [200, true, [0, 255, 128]]);
  });
});
