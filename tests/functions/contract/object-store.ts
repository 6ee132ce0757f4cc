import assert from "node:assert/strict";
import { ObjectChanged, ObjectExists, ObjectMissing, type ObjectStore } from "../../../functions/core/ports.js";

const KEY = "uploads/ann/Größe + 100%25.png";
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** What every store of objects does, whichever cloud it is in. */
export function objectStoreContract(of: () => ObjectStore): void {
  beforeEach(() => of().delete([KEY, "empty"]));

  const put = (content = "0123456789", more: { user?: string; overwrite?: boolean } = {}) =>
    of().write(KEY, bytes(content), { contentType: "image/png", overwrite: true, ...more });

  it("tells of an object what the uploader said", async () => {
    await put("0123456789", { user: "Änne|1" });
    const { etag, modifiedAt, ...head } = (await of().head(KEY)) ?? assert.fail();
    assert.deepEqual(head, { key: KEY, size: 10, contentType: "image/png", user: "Änne|1" });
    assert.match(etag, /^[^"]+$/, "without quotes");
    assert.match(modifiedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it("knows nothing of what is not there", async () => {
    assert.equal(await of().head("none"), undefined);
    await assert.rejects(of().read("none"), ObjectMissing);
    await of().delete(["none", "nor this"]);
    await of().delete([]);
  });

  it("reads from, to, or all, and less of what is shorter", async () => {
    await put();
    const read = async (range?: { start?: number; end?: number }) => text(await of().read(KEY, range));
    assert.equal(await read(), "0123456789");
    assert.equal(await read({ start: 2, end: 5 }), "234");
    assert.equal(await read({ end: 3 }), "012");
    assert.equal(await read({ start: 8 }), "89");
    assert.equal(await read({ start: 8, end: 100 }), "89");
    assert.equal(await read({ start: 10, end: 20 }), "");
    assert.equal(await read({ start: 5, end: 5 }), "");
    await of().write("empty", new Uint8Array(), { contentType: "image/png", overwrite: true });
    assert.equal((await of().read("empty", { end: 100 })).length, 0);
  });

  it("reads the version that the caller has seen, or none", async () => {
    await put();
    const etag = (await of().head(KEY))?.etag ?? "";
    assert.equal(text(await of().read(KEY, { end: 2, etag })), "01");
    await put("another");
    await assert.rejects(of().read(KEY, { end: 2, etag }), ObjectChanged);
  });

  it("overwrites only when it is asked to", async () => {
    await put("first", { overwrite: false });
    await assert.rejects(put("second", { overwrite: false }), ObjectExists);
    assert.equal(text(await of().read(KEY)), "first");
    await put("second");
    assert.equal(text(await of().read(KEY)), "second");
  });

  it("keeps one of two who write at the same time, where neither may overwrite", async () => {
    const writes = await Promise.allSettled([put("one", { overwrite: false }), put("two", { overwrite: false })]);
    assert.deepEqual(writes.map(({ status }) => status).toSorted(), ["fulfilled", "rejected"]);
  });

  it("deletes many at once", async () => {
    const keys = Array.from({ length: 40 }, (_, i) => `many/${i}`);
    await Promise.all(keys.map((key) => of().write(key, bytes("x"), { contentType: "image/png", overwrite: true })));
    await of().delete(keys);
    assert.deepEqual(await Promise.all(["many/0", "many/39"].map((key) => of().head(key))), [undefined, undefined]);
  });
}
