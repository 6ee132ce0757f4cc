import assert from "node:assert/strict";
import { cleanUp } from "../../../../functions/core/stages/clean-up.js";
import { memoryPorts } from "../memory-ports.js";
import { encoder, scene } from "../pictures.js";
import { deliver, run, settings, Uploads } from "./pipeline.js";

const KEY = "uploads/it.jpg";
const photo = await encoder(scene(60, 40)).jpeg().toBuffer();
const at = "2026-11-02T00:00:00.000Z";

async function processed() {
  const ports = memoryPorts();
  const uploads = new Uploads(ports);
  const { created } = await uploads.put(KEY, photo);
  await run(created, ports);
  return { ports, uploads, created };
}

describe("Cleaning up after a deletion", () => {
  it("removes record, variants and tags, and tells what was there", async () => {
    const { ports } = await processed();
    await ports.uploads.delete([KEY]);
    const record = await ports.records.get(KEY);
    const removed = await cleanUp({ key: KEY, at }, ports);
    assert.deepEqual(removed?.variants, record?.variants);
    assert.deepEqual([await ports.records.get(KEY), ports.variants.keys, ports.tags.rows.size], [undefined, [], 0]);
  });

  it("can be done twice, and for what never was", async () => {
    const { ports, uploads } = await processed();
    const deletion = await uploads.delete(KEY);
    await deliver(deletion, ports);
    await deliver(deletion, ports);
    assert.equal(await cleanUp({ key: "uploads/never", at }, ports), undefined);
    assert.deepEqual(ports.variants.keys, []);
  });

  it("finds the image by how else its event's key can be read, where the first reading knows none", async () => {
    const { ports } = await processed();
    await ports.uploads.delete([KEY]);
    assert.ok(await cleanUp({ key: "uploads/other", otherKey: KEY, sequencer: "000009", at }, ports));
    assert.deepEqual([await ports.records.get(KEY), ports.variants.keys, ports.tags.rows.size], [undefined, [], 0]);
    await ports.records.announce({ key: KEY, at, overwrite: false, lifetime: 900 });
    await cleanUp({ key: "uploads/other", otherKey: KEY, sequencer: "000009", at }, ports);
    assert.equal((await ports.records.get(KEY))?.status, "processing", "what is announced is still to come");
  });

  it("leaves an image alone that is called as the key could be read, too", async () => {
    const { ports, uploads } = await processed();
    const other = "uploads/other.jpg";
    await run((await uploads.put(other, photo)).created, ports);
    await ports.uploads.delete([KEY]);
    await cleanUp({ key: KEY, otherKey: other, at }, ports);
    await cleanUp({ key: KEY, otherKey: other, at }, ports);
    assert.deepEqual([await ports.records.get(KEY), (await ports.records.get(other))?.status], [undefined, "completed"]);
  });

  it("leaves an object that exists again alone", async () => {
    const { ports, uploads } = await processed();
    const deletion = await uploads.delete(KEY);
    await uploads.put(KEY, photo);
    await deliver(deletion, ports);
    assert.equal((await ports.records.get(KEY))?.status, "completed");
    assert.equal(ports.variants.keys.length, 2);
  });

  it("beats a late event of the version that was deleted", async () => {
    const { ports, uploads, created } = await processed();
    await deliver(await uploads.delete(KEY), ports);
    // The object is gone for good, but a store may still show it to whoever asks late.
    await ports.uploads.write(KEY, photo, { contentType: "image/jpeg", overwrite: true });
    assert.equal((await run(created, ports)).stored, false);
    assert.equal(await ports.records.get(KEY), undefined);
  });

  it("an older deletion does not remove a newer image", async () => {
    const { ports, uploads } = await processed();
    const deletion = await uploads.delete(KEY);
    await run((await uploads.put(KEY, photo)).created, ports);
    if (!("deleted" in deletion)) throw new Error("no deletion");
    const { uploads: _, ...blind } = ports;
    assert.equal(await cleanUp(deletion.deleted, blind), undefined);
    assert.equal(ports.variants.keys.length, 2);
  });

  it("removes what a failed run may have written, when it knows the names", async () => {
    const ports = memoryPorts();
    const uploads = new Uploads(ports);
    const { created } = await uploads.put(KEY, photo);
    await ports.records.begin(created, { uploadedAt: created.at });
    await ports.records.finish(created, { failure: { code: "INTERNAL", message: "Lost." } }, at);
    await ports.variants.write(`thumbnails/${KEY}/small.jpg`, photo, { contentType: "image/jpeg", overwrite: true });
    await ports.uploads.delete([KEY]);
    await cleanUp({ key: KEY, at }, { ...ports, settings });
    assert.deepEqual(ports.variants.keys, []);
  });

  it("has an image that came back meanwhile processed again, since those were its variants", async () => {
    const { ports, uploads } = await processed();
    const deletion = await uploads.delete(KEY);
    const bury = ports.records.bury.bind(ports.records);
    ports.records.bury = async (...args) => {
      const buried = await bury(...args);
      await run((await uploads.put(KEY, photo)).created, ports);
      return buried;
    };
    await deliver(deletion, ports);
    assert.equal((await ports.records.get(KEY))?.status, "completed");
    assert.deepEqual(
      ports.workflow.started.map(({ object }) => object.key),
      [KEY],
    );
  });
});
