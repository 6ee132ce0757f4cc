import assert from "node:assert/strict";
import { BlobObjectStore, DelegationKeys } from "../../../functions/azure/object-store.js";
import type { Ticket, TicketRequest } from "../../../functions/core/ports.js";
import { objectStoreContract } from "../contract/object-store.js";
import { type TestStorage, testStorage } from "./storage.js";

const KEY = "uploads/ann/Größe + 100%25.png";
const bytes = (text: string) => new TextEncoder().encode(text);

describe("A container as an object store", function () {
  this.timeout(30_000);
  let storage: TestStorage;
  let store: BlobObjectStore;

  before(async () => {
    storage = await testStorage();
    store = await storage.container("images-input");
  });
  after(() => storage.stop());
  beforeEach(() => store.delete([KEY]));

  objectStoreContract(() => store);

  const put = (content = "0123456789") => store.write(KEY, bytes(content), { contentType: "image/png", overwrite: true });
  const text = async () => Buffer.from(await store.read(KEY)).toString();

  it("takes a user that others have written for what it is, and what cannot be one for none", async () => {
    const blob = storage.blobs().getContainerClient("images-input").getBlockBlobClient(KEY);
    for (const [written, user] of [
      ["50%", "50%"],
      ["u".repeat(255), "u".repeat(255)],
      ["u".repeat(256), undefined],
    ] as const) {
      await blob.upload("x", 1, { metadata: { user: written } });
      assert.equal((await store.head(KEY))?.user, user);
    }
  });

  it("does not take a container that is not there for one without the blob", async () => {
    const missing = new BlobObjectStore(new DelegationKeys(storage.blobs()), storage.blobs(), "missing");
    await assert.rejects(missing.read("cat.png"), { code: "ContainerNotFound" });
  });

  it("says what is missing to those who may not", async () => {
    await put();
    const strangers = await storage.container("images-input", storage.stranger);
    const said = { code: "AuthorizationPermissionMismatch" };
    await assert.rejects(strangers.read(KEY), said);
    await assert.rejects(strangers.write(KEY, bytes("x"), { contentType: "a/b", overwrite: true }), said);
    await assert.rejects(strangers.delete([KEY]), said);
    await assert.rejects(strangers.head(KEY), { statusCode: 403 });
  });

  describe("gives a ticket", () => {
    const ticket = (more: Partial<TicketRequest> = {}) =>
      store.ticket({ key: KEY, contentType: "image/png", size: 10, overwrite: false, lifetime: 600, ...more });
    const use = async ({ url, method, headers }: Ticket, body = "0123456789") => (await storage.send(url, method, headers, body)).status;

    it("that anybody can use with the headers that stand in it", async () => {
      const given = await ticket({ user: "Änne" });
      assert.equal(given.method, "PUT");
      assert.equal(await use(given), 201);
      const head = await store.head(KEY);
      assert.deepEqual([head?.size, head?.contentType, head?.user], [10, "image/png", "Änne"]);
    });

    it("for this blob only, and nothing but to create it", async () => {
      const given = await ticket();
      assert.equal(await use({ ...given, url: given.url.replace("/ann/", "/bob/") }), 403);
      await put();
      assert.equal((await storage.send(given.url)).status, 403, "it reads nothing");
      assert.equal((await storage.send(given.url, "DELETE")).status, 403, "it deletes nothing");
    });

    it("that refuses a key that is taken, with its headers and without", async () => {
      await put("old");
      const given = await ticket();
      assert.equal(await use(given), 403);
      const { "if-none-match": _, ...headers } = given.headers ?? {};
      assert.equal(await use({ ...given, headers }), 403);
      assert.equal(await text(), "old");
    });

    it("that replaces what is there, where that is asked for", async () => {
      await put("old");
      assert.equal(await use(await ticket({ overwrite: true })), 201);
      assert.equal(await text(), "0123456789");
    });

    it("that ends when it says", async () => {
      const { url, expiresAt } = await ticket({ lifetime: 60 });
      assert.equal(new Date(new URL(url).searchParams.get("se") ?? "").toISOString(), expiresAt);
      assert.ok(Math.abs(Date.parse(expiresAt) - Date.now() - 60_000) <= 1_000);
      assert.equal(await use(await ticket({ lifetime: -5 })), 403);
    });
  });

  describe("gives a link", () => {
    it("to read a blob, for a while, and nothing else", async () => {
      await put();
      const url = await store.link(KEY, { lifetime: 60 });
      assert.equal((await storage.send(url)).body, "0123456789");
      assert.equal((await storage.send(url.replace("ann", "bob"))).status, 403);
      assert.equal((await storage.send(url, "PUT", { "x-ms-blob-type": "BlockBlob" }, "x")).status, 403);
    });

    it("to save it under its name, whatever characters that has", async () => {
      await put();
      const { headers } = await storage.send(await store.link(KEY, { lifetime: 60, download: `Grö"ße (1)'s; 100%.png` }));
      assert.equal(
        (headers as Record<string, string>)["content-disposition"],
        `attachment; filename="Gr___e (1)'s; 100_.png"; filename*=UTF-8''Gr%C3%B6%22%C3%9Fe%20%281%29%27s%3B%20100%25.png`,
      );
    });
  });

  it("says where its tickets and links point to", async () => {
    assert.equal(await store.origin(), new URL(storage.url).origin);
    assert.ok((await store.link(KEY, { lifetime: 1 })).startsWith(`${await store.origin()}/`));
  });
});

describe("Delegation keys", () => {
  const HOUR = 3_600_000;
  const at = (hours: number) => new Date(Date.now() + hours * HOUR);

  it("are asked for once as long as they last, whoever asks", async () => {
    let asked = 0;
    const keys = new DelegationKeys({ getUserDelegationKey: async () => ({ value: String(++asked) }) as never });
    await Promise.all([keys.until(at(0.1)), keys.until(at(1))]);
    await keys.until(at(5.9));
    assert.equal(asked, 1);
    await keys.until(at(6.1));
    assert.equal(asked, 2);
  });

  it("that could not be had are asked for again", async () => {
    let asked = 0;
    const keys = new DelegationKeys({
      getUserDelegationKey: async () => (++asked === 1 ? Promise.reject(new Error("busy")) : ({ value: "x" } as never)),
    });
    await assert.rejects(keys.until(at(1)), /busy/);
    assert.equal((await keys.until(at(1))).value, "x");
  });
});
