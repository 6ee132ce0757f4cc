import assert from "node:assert/strict";
import { api } from "./fixture.js";

const UNKNOWN = { message: "Image details not found for the given image identifier." };

describe("GET /images/{key}/status", () => {
  it("is the record", async () => {
    const { call, completed } = api();
    const record = await completed("ada/cat.png", { user: "ada", tags: [{ name: "Cat", confidence: 99 }] });
    const { status, body } = await call("GET", "/images/uploads/ada/cat.png/status");
    assert.equal(status, 200);
    assert.deepEqual(body, record);
  });

  it("is exactly this for an image that nobody knows", async () => {
    const { call } = api();
    for (const key of ["uploads/nobody.png", "uploads", "uploads/%E4.png", "uploads/%.png", "x".repeat(2000)]) {
      const { status, body } = await call("GET", `/images/${key}/status`);
      assert.deepEqual([status, body], [404, UNKNOWN], key);
    }
  });

  it("takes names of 1,024 characters, of however many bytes", async () => {
    const { call, completed } = api();
    const { key } = await completed("ü".repeat(1_024 - "uploads/".length));
    assert.equal((await call("GET", `/images/${encodeURIComponent(key)}/status`)).body.key, key);
  });

  it("decodes its key exactly once", async () => {
    const { call, completed } = api();
    // Put straight into the store, a name may hold what an upload's may not.
    for (const name of ["100%25.png", "a%2Fb.png", "a+b.png", "a?b#c.png", "a//b.png", "ä/ö.png"]) {
      const { key } = await completed(name);
      for (const path of [key.split("/").map(encodeURIComponent).join("/"), encodeURIComponent(key)]) {
        assert.equal((await call("GET", `/images/${path}/status`)).body.key, key);
        assert.equal((await call("GET", `/images/${path}`)).body.key, key);
      }
    }
    assert.equal((await call("GET", "/images/uploads/a%252Fb.png/status")).status, 200, "this is the name a%2Fb.png");
    assert.equal((await call("GET", "/images/uploads/a%25252Fb.png/status")).status, 404);
    assert.equal((await call("GET", "/images/uploads/a/b.png/status")).status, 404);
  });
});

describe("GET /images/{key}", () => {
  it("is the record with links: the original under its file name, each variant by its name", async () => {
    const { call, completed } = api();
    const record = await completed("ada/cat.png", { user: "ada" });
    const { status, body } = await call("GET", "/images/uploads/ada/cat.png");
    assert.equal(status, 200);
    assert.deepEqual(body, {
      ...record,
      urls: {
        original: "https://store.example/uploads/ada/cat.png?lifetime=900&download=cat.png",
        variants: { small: "https://store.example/thumbnails/uploads/ada/cat.png/small.jpg?lifetime=900" },
      },
    });
  });

  it("has no variants while the image is being processed", async () => {
    const { call, records, clock } = api();
    await records.announce({ key: "uploads/new.png", at: clock.now().toISOString(), overwrite: false, lifetime: 900 });
    const { status, body } = await call("GET", "/images/uploads/new.png");
    assert.deepEqual([status, body.status, body.urls.variants], [200, "processing", {}]);
  });

  it("reaches an image called status, with its slash encoded", async () => {
    const { call, completed } = api();
    const { key } = await completed("status");
    assert.equal((await call("GET", "/images/uploads%2Fstatus")).body.key, key);
    assert.equal((await call("GET", "/images/uploads/status/status")).body.key, key);
  });

  it("is 404 with a code for an unknown image", async () => {
    const { status, body } = await api().call("GET", "/images/uploads/nobody.png");
    assert.deepEqual([status, body], [404, { ...UNKNOWN, code: "NOT_FOUND" }]);
  });
});

describe("GET /images", () => {
  /** Six images a minute apart: two users, tags, one failure; the newest last. */
  async function album() {
    const cloud = api();
    for (const [name, user, tags] of [
      ["1.png", "ada", ["Cat"]],
      ["2.png", "grace", ["Cat", "Dog"]],
      ["3.png", "ada", ["Dog"]],
      ["4.png", "ada", ["Cat"]],
      ["5.png", undefined, ["Cat"]],
    ] as const) {
      await cloud.completed(name, { ...(user && { user }), tags: tags.map((tag) => ({ name: tag, confidence: 90 })) });
      cloud.clock.pass(60);
    }
    await cloud.failed("6.png", { user: "ada" });
    const list = async (query: string) => {
      const { status, body } = await cloud.call("GET", `/images${query}`);
      assert.equal(status, 200, JSON.stringify(body));
      return body as { items: { key: string }[]; cursor?: string };
    };
    const names = async (query: string) =>
      (await list(query)).items.map(({ key }) => key.slice("uploads/".length, -".png".length)).join(" ");
    return { ...cloud, list, names };
  }

  it("lists newest first", async () => {
    assert.equal(await (await album()).names(""), "6 5 4 3 2 1");
  });

  it("filters by user, tag, status and time, in all combinations", async () => {
    const { names } = await album();
    for (const [query, expected] of [
      ["?user=ada", "6 4 3 1"],
      ["?tag=Cat", "5 4 2 1"],
      ["?status=failed", "6"],
      ["?status=completed", "5 4 3 2 1"],
      ["?from=2026-11-01T12:02:00Z", "6 5 4 3"],
      ["?to=2026-11-01T12:02:00Z", "2 1"],
      ["?from=2026-11-01T13:01:00%2B01:00&to=2026-11-01T12:03:00Z", "3 2"],
      ["?from=2026-11-01", "6 5 4 3 2 1"],
      ["?to=2026-11-01", ""],
      ["?user=ada&tag=Cat", "4 1"],
      ["?user=ada&tag=Cat&status=completed&from=2026-11-01T12:01:00Z", "4"],
      ["?tag=Cat&status=failed", ""],
      ["?tag=Dog&to=2026-11-01T12:02:00Z", "2"],
      ["?user=nobody", ""],
      ["?tag=nothing", ""],
    ] as const) {
      assert.equal(await names(query), expected, query);
    }
  });

  it("goes through pages of any size without losing or repeating one", async () => {
    const { list } = await album();
    for (const filter of ["", "&user=ada", "&tag=Cat", "&tag=Cat&user=ada"]) {
      const all = (await list(`?limit=100${filter}`)).items;
      for (const limit of [1, 2, 3, all.length, all.length + 1]) {
        const paged = [];
        let cursor: string | undefined;
        do {
          const page = await list(`?limit=${limit}${filter}${cursor ? `&cursor=${cursor}` : ""}`);
          assert.ok(page.items.length === limit || !page.cursor, "only the last page is not full");
          paged.push(...page.items);
          cursor = page.cursor;
        } while (cursor);
        assert.deepEqual(paged, all, `${limit} a page, ${filter}`);
      }
    }
  });

  it("fills a page of a tag up when the records do not match", async () => {
    const { completed, clock, list, records } = await album();
    for (let index = 0; index < 10; index++) {
      const { key } = await completed(`again-${index}.png`, { tags: [{ name: "Cat", confidence: 50 }] });
      await records.begin({ key, sequencer: "2", redrive: false }, { uploadedAt: clock.now().toISOString() });
      clock.pass(1);
    }
    const { items, cursor } = await list("?tag=Cat&status=completed&limit=3");
    assert.deepEqual(
      items.map(({ key }) => key),
      ["uploads/5.png", "uploads/4.png", "uploads/2.png"],
    );
    assert.ok(cursor);
  });

  it("gives 20 unless asked for another number up to 100", async () => {
    const { call, completed, clock } = api();
    for (let index = 0; index < 25; index++) {
      await completed(`${index}.png`);
      clock.pass(1);
    }
    for (const [query, count] of [
      ["", 20],
      ["?limit=1", 1],
      ["?limit=100", 25],
    ] as const) {
      const { body } = await call("GET", `/images${query}`);
      assert.deepEqual([body.items.length, "cursor" in body], [count, count < 25]);
    }
  });

  it("names a wrong parameter, its value, and what is allowed", async () => {
    const { call } = api();
    for (const [query, parameter, value, allowed] of [
      ["limit=0", "limit", "0", "a whole number from 1 to 100"],
      ["limit=101", "limit", "101", "a whole number from 1 to 100"],
      ["limit=2.5", "limit", "2.5", "a whole number from 1 to 100"],
      ["limit=lots", "limit", "lots", "a whole number from 1 to 100"],
      ["limit=", "limit", "", "a whole number from 1 to 100"],
      ["status=done", "status", "done", "one of processing, completed, failed"],
      ["status=failed&status=completed", "status", ["failed", "completed"], "one of processing, completed, failed"],
      ["user=", "user", "", "a string of 1 to 255 characters"],
      ["tag=", "tag", "", "a tag's name, of 1 to 255 characters"],
      ["from=yesterday", "from", "yesterday", /ISO 8601/],
      ["to=2026-13-01", "to", "2026-13-01", /ISO 8601/],
      ["from=2026-05-02&to=2026-05-01", "to", "2026-05-01T00:00:00.000Z", /after from/],
    ] as const) {
      const { status, body } = await call("GET", `/images?${query}`);
      assert.deepEqual([status, body.code, body.parameter, body.value], [400, "INVALID_QUERY", parameter, value], query);
      if (typeof allowed === "string") assert.equal(body.allowed, allowed);
      else assert.match(body.allowed, allowed);
      assert.ok(body.message.includes(parameter) && body.message.includes(JSON.stringify(value)), body.message);
    }
    const unknown = await call("GET", "/images?stauts=failed");
    assert.deepEqual([unknown.status, unknown.body.parameter], [400, "stauts"]);
  });

  it("refuses a cursor that it never gave out, that was changed, or that belongs to another query", async () => {
    const { call, list } = await album();
    const { cursor = "" } = await list("?user=ada&limit=1");
    assert.ok(cursor);
    const forged = Buffer.from(JSON.stringify(["x", "y"])).toString("base64url");
    const [digest] = JSON.parse(Buffer.from(cursor, "base64url").toString());
    const inner = Buffer.from(JSON.stringify([digest, "bm90IGEgcGFnZQ"])).toString("base64url");
    for (const query of [
      "cursor=nonsense",
      "cursor=",
      `user=ada&cursor=${forged}`,
      `user=ada&cursor=${inner}`,
      `user=ada&cursor=${cursor.slice(0, -4)}`,
      `user=grace&cursor=${cursor}`,
      `cursor=${cursor}`,
      `user=ada&tag=Cat&cursor=${cursor}`,
      `user=ada&status=failed&cursor=${cursor}`,
    ]) {
      const { status, body } = await call("GET", `/images?${query}`);
      assert.deepEqual([status, body.parameter], [400, "cursor"], query);
      assert.match(body.code, /^INVALID_(CURSOR|QUERY)$/);
    }
  });
});

describe("DELETE /images/{key}", () => {
  it("removes original, variants, record and tags at once", async () => {
    const { call, completed, uploads, variants, records, tags } = api();
    const { key } = await completed("cat.png", { tags: [{ name: "Cat", confidence: 99 }] });
    await completed("other.png", { tags: [{ name: "Cat", confidence: 99 }] });
    const { status, body } = await call("DELETE", "/images/uploads/cat.png");
    assert.deepEqual([status, body], [204, ""]);
    assert.deepEqual(uploads.keys, ["uploads/other.png"]);
    assert.deepEqual(variants.keys, ["thumbnails/uploads/other.png/small.jpg"]);
    assert.equal(await records.get(key), undefined);
    assert.deepEqual((await tags.find({ tag: "Cat", limit: 10 })).items, ["uploads/other.png"]);
    assert.equal((await call("DELETE", "/images/uploads/cat.png")).status, 404, "twice is unknown");
    assert.deepEqual((await call("GET", "/images?tag=Cat")).body.items.length, 1);
  });

  it("deletes the original first: should the rest fail, its event cleans up", async () => {
    const { call, completed, uploads, records } = api();
    const { key } = await completed("cat.png");
    const bury = records.bury;
    const there: boolean[] = [];
    records.bury = async (...buried) => {
      there.push(uploads.objects.has(key));
      return bury(...buried);
    };
    await call("DELETE", "/images/uploads/cat.png");
    assert.deepEqual(there, [false]);
  });

  it("removes a file that has no record yet", async () => {
    const { call, uploads } = api();
    await uploads.write("uploads/bare.png", Buffer.from("x"), { contentType: "image/png", overwrite: true });
    assert.equal((await call("DELETE", "/images/uploads/bare.png")).status, 204);
    assert.deepEqual(uploads.keys, []);
  });

  it("is 404 for an unknown image", async () => {
    const { status, body } = await api().call("DELETE", "/images/uploads/nobody.png");
    assert.deepEqual([status, body], [404, { ...UNKNOWN, code: "NOT_FOUND" }]);
  });
});
