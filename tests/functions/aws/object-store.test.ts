import assert from "node:assert/strict";
import { CopyObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { s3 as client } from "../../../functions/aws/clients.js";
import { S3ObjectStore } from "../../../functions/aws/object-store.js";
import { ObjectChanged, ObjectExists, ObjectMissing, type TicketRequest } from "../../../functions/core/ports.js";
import { type BucketCloud, bucketCloud, s3Client } from "../../local/services/aws/s3/buckets.js";

const KEY = "uploads/ann/Größe + 100%25.png";
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe("A bucket as an object store", () => {
  let cloud: BucketCloud;
  let store: S3ObjectStore;
  /** The handlers' own client, sent to the embedded cloud. */
  let s3: S3Client;

  before(async () => {
    cloud = await bucketCloud();
    await cloud.bucket("photos");
    // As a handler's environment would.
    const { requestChecksumCalculation, responseChecksumValidation } = client().config;
    s3 = s3Client(cloud.client(), { requestChecksumCalculation, responseChecksumValidation });
    store = new S3ObjectStore(s3, "photos");
  });
  after(() => cloud.stop());
  beforeEach(() => store.delete([KEY, "empty", "a", "b"]));

  const put = (content = "0123456789", more: { user?: string; overwrite?: boolean } = {}) =>
    store.write(KEY, bytes(content), { contentType: "image/png", overwrite: true, ...more });

  it("tells of an object what the uploader said", async () => {
    await put("0123456789", { user: "Änne|1" });
    const head = await store.head(KEY);
    assert.deepEqual(
      { ...head, etag: undefined, modifiedAt: undefined },
      { key: KEY, size: 10, contentType: "image/png", user: "Änne|1", etag: undefined, modifiedAt: undefined },
    );
    assert.match(head?.etag ?? "", /^[0-9a-f]{32}$/, "without quotes");
    assert.ok(Math.abs(Date.parse(head?.modifiedAt ?? "") - Date.now()) < 60_000);
  });

  it("knows no object of a name that is longer than S3's may be", async () => {
    assert.equal(await store.head("ü".repeat(513)), undefined);
  });

  it("takes a user that others have written for what it is, and what cannot be one for none", async () => {
    await put();
    const source = { Bucket: "photos", CopySource: `photos/${encodeURIComponent(KEY)}` };
    for (const [written, user] of [
      ["50%", "50%"],
      ["u".repeat(255), "u".repeat(255)],
      ["u".repeat(256), undefined],
    ] as const) {
      await s3.send(new CopyObjectCommand({ ...source, Key: "a", Metadata: { user: written }, MetadataDirective: "REPLACE" }));
      assert.equal((await store.head("a"))?.user, user);
    }
  });

  it("knows nothing of what is not there", async () => {
    assert.equal(await store.head("none"), undefined);
    await assert.rejects(store.read("none"), ObjectMissing);
    await store.delete(["none", "nor this"]);
    await store.delete([]);
  });

  it("reads from, to, or all, and less of what is shorter", async () => {
    await put();
    const read = async (range?: { start?: number; end?: number }) => text(await store.read(KEY, range));
    assert.equal(await read(), "0123456789");
    assert.equal(await read({ start: 2, end: 5 }), "234");
    assert.equal(await read({ end: 3 }), "012");
    assert.equal(await read({ start: 8 }), "89");
    assert.equal(await read({ start: 8, end: 100 }), "89");
    assert.equal(await read({ start: 10, end: 20 }), "");
    assert.equal(await read({ start: 5, end: 5 }), "");
    await store.write("empty", new Uint8Array(), { contentType: "image/png", overwrite: true });
    assert.equal((await store.read("empty", { end: 100 })).length, 0);
  });

  it("reads the version that the caller has seen, or none", async () => {
    await put();
    const etag = (await store.head(KEY))?.etag ?? "";
    assert.equal(text(await store.read(KEY, { end: 2, etag })), "01");
    await put("another");
    await assert.rejects(store.read(KEY, { end: 2, etag }), ObjectChanged);
  });

  it("overwrites only when it is asked to", async () => {
    await put("first", { overwrite: false });
    await assert.rejects(put("second", { overwrite: false }), ObjectExists);
    assert.equal(text(await store.read(KEY)), "first");
    await put("second");
    assert.equal(text(await store.read(KEY)), "second");
  });

  it("deletes many at once", async () => {
    const keys = Array.from({ length: 1_001 }, (_, i) => `many/${i}`);
    for (const key of ["many/0", "many/1000"]) await store.write(key, bytes("x"), { contentType: "image/png", overwrite: true });
    await store.delete(keys);
    assert.deepEqual(await Promise.all(["many/0", "many/1000"].map((key) => store.head(key))), [undefined, undefined]);
  });

  describe("refused by a policy", () => {
    it("says in words who may not do what, even for questions that S3 refuses without a word", async () => {
      await put();
      const stranger = new S3ObjectStore(await cloud.s3As("stranger"), "photos");
      const said = { name: "AccessDenied", message: /stranger.* is not authorized to perform: s3:GetObject on resource: .*photos/ };
      await assert.rejects(stranger.head(KEY), said);
      await assert.rejects(stranger.read(KEY), said);
      await assert.rejects(stranger.delete([KEY]), /s3:DeleteObject/);
      await assert.rejects(stranger.write(KEY, bytes("x"), { contentType: "a/b", overwrite: true }), /s3:PutObject/);
    });

    it("can tell the missing from the forbidden only with leave to list", async () => {
      const arn = "arn:aws:s3:::photos";
      const reader = new S3ObjectStore(await cloud.s3As("reader", { Action: "s3:GetObject", Resource: `${arn}/*` }), "photos");
      await assert.rejects(reader.head("none"), { name: "AccessDenied" });
      const lister = await cloud.s3As(
        "lister",
        { Action: "s3:GetObject", Resource: `${arn}/*` },
        { Action: "s3:ListBucket", Resource: arn },
      );
      assert.equal(await new S3ObjectStore(lister, "photos").head("none"), undefined);
    });
  });

  describe("gives a ticket", () => {
    const ticket = (more: Partial<TicketRequest> = {}) =>
      store.ticket({ key: KEY, contentType: "image/png", size: 10, overwrite: false, lifetime: 600, ...more });
    const use = async (
      { url, method, headers }: Awaited<ReturnType<typeof ticket>>,
      body = "0123456789",
      more: Record<string, string> = {},
    ) => {
      const response = await fetch(url, { method, headers: { ...headers, ...more }, body });
      return { status: response.status, body: await response.text() };
    };

    it("that a browser can use with the headers that stand in it", async () => {
      const given = await ticket({ user: "Änne" });
      assert.deepEqual(given.headers, { "content-type": "image/png", "if-none-match": "*", "x-amz-meta-user": "%C3%84nne" });
      assert.equal(given.method, "PUT");
      assert.deepEqual(await use(given), { status: 200, body: "" });
      const head = await store.head(KEY);
      assert.deepEqual([head?.size, head?.contentType, head?.user], [10, "image/png", "Änne"]);
    });

    it("for exactly this size, type, user and key", async () => {
      const given = await ticket({ user: "ann" });
      const wrong = {
        size: use(given, "01234567890"),
        type: use(given, undefined, { "content-type": "text/html" }),
        user: use(given, undefined, { "x-amz-meta-user": "bob" }),
        overwrite: use({ ...given, headers: { "content-type": "image/png", "x-amz-meta-user": "ann" } }),
        key: use({ ...given, url: given.url.replace("/ann/", "/bob/") }),
      };
      for (const [what, response] of Object.entries(wrong)) assert.equal((await response).status, 403, what);
      assert.equal(await store.head(KEY), undefined);
    });

    it("that refuses a key that is taken, and one that replaces what is there", async () => {
      await put("old");
      assert.equal((await use(await ticket())).status, 412);
      const given = await ticket({ overwrite: true });
      assert.deepEqual(given.headers, { "content-type": "image/png" });
      assert.equal((await use(given)).status, 200);
      assert.equal(text(await store.read(KEY)), "0123456789");
      assert.equal((await use(given, "tampered!!!")).status, 403, "its size is signed, too");
    });

    it("that ends when it says, and never later than the session that signs it can", async () => {
      const lives = async (lifetime: number) => {
        const { url, expiresAt } = await ticket({ lifetime });
        return [Number(new URL(url).searchParams.get("X-Amz-Expires")), Math.round((Date.parse(expiresAt) - Date.now()) / 1_000)];
      };
      assert.deepEqual(await lives(60), [60, 60]);
      assert.deepEqual(await lives(3_600), [900, 900]);
    });

    it("without the checksum of an empty body, with which every upload would fail", async () => {
      assert.doesNotMatch((await ticket()).url, /checksum|crc32/i);
    });
  });

  describe("gives a link", () => {
    it("to read an object, for a while", async () => {
      await put();
      const url = await store.link(KEY, { lifetime: 60 });
      assert.equal(await (await fetch(url)).text(), "0123456789");
      assert.equal((await fetch(url.replace("ann", "bob"))).status, 403);
      assert.equal(new URL(await store.link(KEY, { lifetime: 9_999 })).searchParams.get("X-Amz-Expires"), "900");
    });

    it("to save it under its name, whatever characters that has", async () => {
      await put();
      const url = await store.link(KEY, { lifetime: 60, download: `Grö"ße (1)'s; 100%.png` });
      assert.equal(
        (await fetch(url)).headers.get("content-disposition"),
        `attachment; filename="Gr__e (1)'s; 100_.png"; filename*=UTF-8''Gr%C3%B6%22%C3%9Fe%20%281%29%27s%3B%20100%25.png`.replace(
          "Gr__e",
          "Gr___e",
        ),
      );
    });
  });

  it("says where its tickets and links point to", async () => {
    assert.equal(await store.origin(), cloud.cloud.url);
    const credentials = { accessKeyId: "x", secretAccessKey: "y" };
    const real = new S3ObjectStore(s3Client({ endpoint: undefined as never, region: "eu-west-1", credentials }), "photos");
    assert.equal(await real.origin(), "https://photos.s3.eu-west-1.amazonaws.com");
  });
});
