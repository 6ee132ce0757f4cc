import assert from "node:assert/strict";
import { HttpRequest, type HttpResponseInit, InvocationContext } from "@azure/functions";
import { Hono } from "hono";
import { behindFunctions } from "../../../functions/azure/http.js";

describe("The API behind an HTTP trigger", () => {
  const app = new Hono();
  app.all("/echo/*", async (c) => {
    const body = Buffer.from(await c.req.arrayBuffer()).toString("hex");
    return c.json({ method: c.req.method, url: c.req.url, type: c.req.header("content-type") ?? null, body });
  });
  app.post("/form", async (c) => {
    const { file } = await c.req.parseBody();
    return c.json({ name: (file as File).name, bytes: Buffer.from(await (file as File).arrayBuffer()).toString("hex") });
  });
  app.get("/bytes", (c) => c.body(new Uint8Array([0, 255, 128]), 200, { "content-type": "image/png" }));
  app.get("/none", (c) => c.body(null, 204));
  const handler = behindFunctions(app);

  const call = async (method: string, path: string, more: { headers?: Record<string, string>; body?: Uint8Array } = {}) => {
    const request = new HttpRequest({
      method,
      url: `https://photos.azurewebsites.net${path}`,
      headers: more.headers ?? {},
      ...(more.body && { body: { bytes: more.body } }),
    });
    const answer = (await handler(request, new InvocationContext())) as HttpResponseInit & { body?: Uint8Array };
    return { ...answer, json: () => JSON.parse(Buffer.from(answer.body ?? []).toString()) };
  };

  it("is given paths as the client wrote them, so that it decodes them once", async () => {
    const { json } = await call("GET", "/echo/a%252Fb%20c%3F?x=%26");
    assert.equal(json().url, "https://photos.azurewebsites.net/echo/a%252Fb%20c%3F?x=%26");
  });

  it("believes the front end, where the host has decoded a path and encoded it again", async () => {
    const headers = { "x-waws-unencoded-url": "/echo/100%25.png?x=1" };
    assert.equal((await call("GET", "/echo/100%.png?x=1", { headers })).json().url, "https://photos.azurewebsites.net/echo/100%25.png?x=1");
    const elsewhere = { "x-waws-unencoded-url": "https://evil.example/" };
    assert.equal((await call("GET", "/echo/a", { headers: elsewhere })).json().url, "https://photos.azurewebsites.net/echo/a");
  });

  it("takes bytes for bytes, and gives them", async () => {
    const sent = await call("POST", "/echo/", { headers: { "content-type": "image/png" }, body: new Uint8Array([0, 255, 13, 10, 128]) });
    assert.deepEqual([sent.json().body, sent.json().type], ["00ff0d0a80", "image/png"]);
    const { status, body, headers } = await call("GET", "/bytes");
    assert.deepEqual([status, [...(body ?? [])]], [200, [0, 255, 128]]);
    assert.equal(new Headers(headers).get("content-type"), "image/png");
  });

  it("takes files of a form", async () => {
    const form = new FormData();
    form.set("file", new File([new Uint8Array([0, 255, 10])], "Größe.png", { type: "image/png" }));
    const encoded = new Response(form);
    const headers = { "content-type": encoded.headers.get("content-type") ?? "" };
    const { json } = await call("POST", "/form", { headers, body: new Uint8Array(await encoded.arrayBuffer()) });
    assert.deepEqual(json(), { name: "Größe.png", bytes: "00ff0a" });
  });

  it("answers without a body, and to questions for the headers only", async () => {
    const none = await call("GET", "/none");
    assert.deepEqual([none.status, none.body], [204, undefined]);
    const head = await call("HEAD", "/bytes");
    assert.deepEqual([head.status, head.body], [200, undefined]);
    assert.equal((await call("GET", "/nowhere")).status, 404);
  });
});
