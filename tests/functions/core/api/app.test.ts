import assert from "node:assert/strict";
import { api, file, logged } from "./fixture.js";

describe("Any route", () => {
  it("is 404 with a code when there is none", async () => {
    const { call } = api();
    for (const [method, path] of [
      ["GET", "/nothing/here"],
      ["POST", "/health/x"],
      ["GET", "/assets/old-ABC.js"],
      ["GET", "//"],
    ] as const) {
      const { status, body } = await call(method, path, { key: false });
      assert.deepEqual([status, body.code], [404, "NOT_FOUND"], path);
    }
    assert.equal((await call("GET", "/images/")).status, 404);
  });

  it("is 405 for a wrong method, and lists the right ones in Allow", async () => {
    const { call } = api();
    for (const [method, path, allow] of [
      ["PUT", "/images", "GET, HEAD"],
      ["GET", "/upload", "POST"],
      ["DELETE", "/uploads", "POST"],
      ["PUT", "/images/uploads/a.png", "GET, HEAD, DELETE"],
      ["POST", "/health", "GET, HEAD"],
      ["OPTIONS", "/", "GET, HEAD"],
    ] as const) {
      const { status, headers, body } = await call(method, path);
      assert.deepEqual([status, body.code, headers.get("allow")], [405, "METHOD_NOT_ALLOWED", allow], `${method} ${path}`);
    }
  });

  it("answers HEAD as GET, without a body", async () => {
    const { call, completed } = api();
    await completed("cat.png");
    const { status, body } = await call("HEAD", "/images/uploads/cat.png/status");
    assert.deepEqual([status, body], [200, ""]);
  });

  it("tells nobody what failed inside, but the log, under the request's id", async () => {
    const { call, records } = api();
    records.list = () => Promise.reject(new TypeError("photos-7f3a is gone"));
    const { answer, lines } = await logged(() => call("GET", "/images?user=ada"));
    assert.equal(answer.status, 500);
    assert.deepEqual(Object.keys(answer.body).sort(), ["code", "message", "requestId"]);
    assert.equal(answer.body.code, "INTERNAL");
    assert.ok(!JSON.stringify(answer.body).includes("photos-7f3a"));
    assert.equal(answer.headers.get("x-request-id"), answer.body.requestId);
    assert.equal(lines.length, 1);
    const { requestId, method, path, error } = lines[0] as {
      requestId: string;
      method: string;
      path: string;
      error: Record<string, string>;
    };
    assert.deepEqual(
      [requestId, method, path, error.name, error.message],
      [answer.body.requestId, "GET", "/images", "TypeError", "photos-7f3a is gone"],
    );
    assert.match(error.stack ?? "", /TypeError/);
  });

  it("keeps a request id that a host in front gave, unless it is no id", async () => {
    const { call } = api();
    assert.equal((await call("GET", "/health", { headers: { "x-request-id": "Root=1-67" } })).headers.get("x-request-id"), "Root=1-67");
    assert.notEqual((await call("GET", "/health", { headers: { "x-request-id": 'a"b' } })).headers.get("x-request-id"), 'a"b');
  });

  it("carries headers that keep browsers in bounds", async () => {
    const { call, completed } = api();
    await completed("cat.png");
    for (const path of ["/images", "/images/uploads/cat.png", "/images/nothing", "/health", "/openapi.json", "/nothing"]) {
      const { headers } = await call("GET", path);
      assert.deepEqual(
        ["x-content-type-options", "cache-control", "referrer-policy", "x-frame-options", "content-security-policy"].map((name) =>
          headers.get(name),
        ),
        ["nosniff", "no-store", "no-referrer", "DENY", "default-src 'none'; frame-ancestors 'none'"],
        path,
      );
      assert.equal(headers.get("access-control-allow-origin"), null, "same origin only");
      assert.equal(headers.get("strict-transport-security"), null, "not over http");
    }
  });

  it("asks for https to stay, over https only", async () => {
    const { app, call } = api();
    assert.match((await app.request("https://photos.example/health")).headers.get("strict-transport-security") ?? "", /^max-age=\d{8}/);
    assert.match(
      (await call("GET", "/health", { headers: { "x-forwarded-proto": "https" } })).headers.get("strict-transport-security") ?? "",
      /^max-age=/,
    );
    assert.equal(
      (await app.request("https://photos.example/health", { headers: { "x-forwarded-proto": "http" } })).headers.get(
        "strict-transport-security",
      ),
      null,
    );
  });

  it("puts keys where the host wants them", async () => {
    const { call } = api({ prefix: "" });
    const { body } = await call("POST", "/upload", { form: { file: file("cat.png") } });
    assert.deepEqual(body, { key: "cat.png", statusUrl: "/images/cat.png/status" });
    assert.equal((await call("GET", body.statusUrl)).status, 200);
  });
});

describe("The page", () => {
  it("may use nothing but its own files and the stores that tickets and links point to", async () => {
    const { call, variants } = api();
    variants.origin = async () => "https://variants.example";
    const { headers } = await call("GET", "/", { key: false });
    assert.deepEqual(headers.get("content-security-policy")?.split("; "), [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "img-src 'self' blob: data: https://store.example https://variants.example",
      "connect-src 'self' https://store.example https://variants.example",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ]);
    assert.equal(headers.get("referrer-policy"), "no-referrer");
    assert.equal(headers.get("x-content-type-options"), "nosniff");
  });

  it("is sent once: who has it gets 304", async () => {
    const { call } = api();
    const first = await call("GET", "/", { key: false });
    assert.deepEqual([first.status, first.body, first.headers.get("cache-control")], [200, "<!doctype html>", "no-cache"]);
    const tag = first.headers.get("etag") as string;
    for (const known of [tag, `W/${tag}`, `"other", ${tag}`]) {
      const again = await call("GET", "/", { key: false, headers: { "if-none-match": known } });
      assert.deepEqual([again.status, again.body, again.headers.get("etag")], [304, "", tag]);
    }
    assert.equal((await call("GET", "/", { key: false, headers: { "if-none-match": '"other"' } })).status, 200);
  });
});

describe("GET /health", () => {
  it("says that it is up, and which version", async () => {
    assert.deepEqual((await api().call("GET", "/health", { key: false })).body, { status: "ok", version: "1.2.3" });
  });
});
