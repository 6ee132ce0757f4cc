import assert from "node:assert/strict";
import * as photos from "../photos.js";
import { conformance } from "./describe.js";

const NOT_FOUND = { message: "Image details not found for the given image identifier." };

conformance("Asking", (client) => {
  it("answers exactly this for an image that nobody knows", async () => {
    const { status, body } = await client().status(`uploads/${client().name("nobody.jpg")}`);
    assert.equal(status, 404);
    assert.deepEqual(body, NOT_FOUND);
    for (const [method, path] of [
      ["GET", ""],
      ["DELETE", ""],
      ["POST", "/redrive"],
    ] as const) {
      const answer = await client().call(method, client().image("uploads/nobody.jpg", path));
      assert.equal(answer.status, 404);
      assert.equal(answer.body.code, "NOT_FOUND");
    }
  });

  it("wants the key, and the right one", async () => {
    for (const key of [false, "wrong", `${client().target.key}x`] as const) {
      for (const [method, path] of [
        ["GET", "/images"],
        ["GET", "/failures"],
        ["GET", "/images/uploads/a.jpg/status"],
        ["GET", "/images/uploads/a.jpg"],
        ["DELETE", "/images/uploads/a.jpg"],
        ["POST", "/images/uploads/a.jpg/redrive"],
        ["POST", "/uploads"],
        ["POST", "/upload"],
      ] as const) {
        const { status, headers, body } = await client().call(method, path, { key });
        assert.equal(status, 401, `${method} ${path}`);
        assert.match(headers.get("www-authenticate") ?? "", /^Bearer/);
        assert.equal(body.code, "UNAUTHORIZED");
      }
    }
  });

  it("needs no key for the page, the health and the document", async () => {
    const page = await client().call("GET", "/", { key: false });
    assert.equal(page.status, 200);
    assert.match(page.headers.get("content-type") ?? "", /^text\/html/);
    assert.match(page.headers.get("content-security-policy") ?? "", /default-src 'none'/);
    const health = await client().call("GET", "/health", { key: false });
    assert.deepEqual([health.status, health.body.status, typeof health.body.version], [200, "ok", "string"]);
    const document = await client().call("GET", "/openapi.json", { key: false });
    assert.equal(document.status, 200);
    assert.match(document.body.openapi, /^3\.1/);
  });

  it("lists newest first, by user, by tag, by status and by time, in pages", async () => {
    const user = client().name("lister");
    const keys: string[] = [];
    for (let index = 0; index < 5; index++) {
      const record = await client().put(client().name(`list-${index}.jpg`), await photos.jpeg(200 + index, 150, index + 10), { user });
      keys.unshift(record.key);
    }
    const list = async (query: string) => {
      const { status, body } = await client().call("GET", `/images?${query}`);
      assert.equal(status, 200, JSON.stringify(body));
      return body as { items: { key: string; tags: { name: string }[]; uploadedAt: string }[]; cursor?: string };
    };
    const all = await list(`user=${user}`);
    assert.deepEqual(
      all.items.map(({ key }) => key),
      keys,
    );
    assert.equal(all.cursor, undefined);

    const paged: string[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const page = await list(`user=${user}&limit=2${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
      paged.push(...page.items.map(({ key }) => key));
      cursor = page.cursor;
      pages++;
    } while (cursor && pages < 10);
    assert.deepEqual(paged, keys);

    assert.deepEqual((await list(`user=${user}&status=completed`)).items.length, 5);
    assert.deepEqual((await list(`user=${user}&status=failed`)).items, []);
    const middle = all.items[2]?.uploadedAt ?? "";
    assert.deepEqual(
      (await list(`user=${user}&from=${middle}`)).items.map(({ key }) => key),
      keys.slice(0, 3),
    );
    assert.deepEqual(
      (await list(`user=${user}&to=${middle}`)).items.map(({ key }) => key),
      keys.slice(3),
    );
    const tag = all.items[0]?.tags[0]?.name;
    assert.ok(tag, "the tagger said something");
    const tagged = await list(`user=${user}&tag=${encodeURIComponent(tag)}`);
    assert.deepEqual(
      tagged.items.map(({ key }) => key),
      all.items.filter((item) => item.tags.some(({ name }) => name === tag)).map(({ key }) => key),
    );
    assert.ok(
      (await list("limit=100")).items.some(({ key }) => key === keys[0]),
      "and among everybody's",
    );
  });

  it("names what is wrong with a question", async () => {
    for (const [query, named] of [
      ["limit=0", /limit/],
      ["limit=lots", /limit/],
      ["status=done", /status/],
      ["from=yesterday", /from/],
      ["cursor=nonsense", /cursor/],
    ] as const) {
      const { status, body } = await client().call("GET", `/images?${query}`);
      assert.equal(status, 400, query);
      assert.match(JSON.stringify(body), named);
    }
  });

  it("lists failures, and redrives one", async () => {
    const record = await client().put(client().name("broken.jpg"), (await photos.jpeg()).subarray(0, 9_000));
    assert.equal(record.status, "failed");
    const { status, body } = await client().call("GET", "/failures?limit=100");
    assert.equal(status, 200);
    assert.ok(Array.isArray(body.deadLetters));
    assert.ok(body.images.some((image: { key: string }) => image.key === record.key));
    const redriven = await client().call("POST", client().image(record.key, "/redrive"));
    assert.equal(redriven.status, 202);
    const again = await client().eventually(async () => {
      const newer = await client().result(record.key);
      return newer.processedAt > record.processedAt && newer;
    }, "it is processed again");
    assert.equal(again.failure.code, record.failure.code);
    assert.equal((await client().call("GET", "/failures?limit=nonsense")).status, 400);
  });

  it("answers what it does not know with 404 and 405", async () => {
    assert.equal((await client().call("GET", "/nothing/here")).status, 404);
    const wrong = await client().call("PUT", "/images");
    assert.equal(wrong.status, 405);
    assert.match(wrong.headers.get("allow") ?? "", /GET/);
  });
});
