import assert from "node:assert/strict";
import { ImageRecord } from "../../../../functions/core/record.js";
import { recordFailure, resumeResults, storeResults } from "../../../../functions/core/stages/store-results.js";
import { memoryPorts } from "../memory-ports.js";
import { encoder, scene } from "../pictures.js";
import { afterNext, deliver, type Ports, run, settings, Uploads } from "./pipeline.js";

const KEY = "uploads/it.jpg";
const photo = await encoder(scene(60, 40)).jpeg().toBuffer();
const transparent = await encoder(scene(50, 50, 4))
  .png()
  .toBuffer();
const failure = { code: "CORRUPT", message: "It is broken." } as const;

function fresh() {
  const ports = memoryPorts();
  return { ports, uploads: new Uploads(ports) };
}

/** A completion that another version could have: its variants lie where the photo's do. */
const completion = {
  format: "jpeg",
  width: 60,
  height: 40,
  colorSpace: "srgb",
  hasAlpha: false,
  frames: 1,
  orientation: 1,
  exif: {},
  sha256: "b".repeat(64),
  dominantColor: "#000000",
  thumbhash: "",
  size: 5,
  variants: [{ name: "small", key: `thumbnails/${KEY}/small.jpg`, width: 10, height: 10, format: "jpeg", size: 1 }],
  tags: [{ name: "cat", confidence: 50 }],
};

const rows = (ports: Ports) => [...ports.tags.rows.values()].map(({ tag, uploadedAt }) => `${tag} ${uploadedAt}`);

describe("StoreResults", () => {
  it("stores a record that is complete, and tells it", async () => {
    const { ports, uploads } = fresh();
    const { created } = await uploads.put(KEY, photo, "ada");
    const stored = await run(created, ports);
    assert.ok(stored.stored);
    const record = await ports.records.get(KEY);
    assert.deepEqual(stored.record, record);
    assert.deepEqual(ImageRecord.parse(record), record);
    assert.equal(record?.user, "ada");
    assert.deepEqual(stored.notification, { status: "completed", subject: "Image processed", message: JSON.stringify(record) });
    assert.deepEqual(
      rows(ports),
      record?.tags?.map(({ name }) => `${name} ${created.at}`),
    );
  });

  it("a failure is a result, and told", async () => {
    const { ports, uploads } = fresh();
    const { created } = await uploads.put(KEY, Buffer.from("text"));
    const stored = await run(created, ports);
    assert.ok(stored.stored);
    assert.equal(stored.notification.status, "failed");
    assert.equal(stored.notification.subject, "Image could not be processed");
    const record = await ports.records.get(KEY);
    assert.deepEqual(ImageRecord.parse(record), record);
    assert.deepEqual([record?.status, record?.size, record?.failure?.code], ["failed", 4, "UNSUPPORTED_FORMAT"]);
  });

  it("stores one of two deliveries", async () => {
    const { ports, uploads } = fresh();
    const { created } = await uploads.put(KEY, photo);
    assert.deepEqual([(await run(created, ports)).stored, (await run(created, ports)).stored], [true, false]);
  });

  it("lets the same execution try again when its answer was lost", async () => {
    const { ports, uploads } = fresh();
    const { created } = await uploads.put(KEY, photo);
    const begun = { ...created, execution: "one" };
    const first = await run(begun, ports);
    assert.ok(first.stored);
    ports.clock.pass(5);
    const again = await storeResults(begun, completion, ports);
    assert.ok(again.stored);
    assert.deepEqual(again.notification, first.notification);
    assert.equal((await storeResults({ ...begun, execution: "two" }, completion, ports)).stored, false);
  });

  it("replaces an earlier version's tags and variants, also those of names that are made no more", async () => {
    const { ports, uploads } = fresh();
    await run((await uploads.put(KEY, photo)).created, ports);
    const { created } = await uploads.put(KEY, transparent);
    const { small } = settings.variants;
    await run(created, ports, { ...settings, variants: { tiny: small as NonNullable<typeof small> } });
    assert.deepEqual(ports.variants.keys, [`thumbnails/${KEY}/tiny.png`]);
    assert.ok(rows(ports).every((row) => row.endsWith(created.at)) && rows(ports).length > 0);
  });

  it("a failure leaves neither tags nor variants of an earlier version", async () => {
    const { ports, uploads } = fresh();
    await run((await uploads.put(KEY, photo)).created, ports);
    await run((await uploads.put(KEY, Buffer.from("text"))).created, ports);
    assert.deepEqual([ports.variants.keys, rows(ports)], [[], []]);
  });

  it("a failure of the infrastructure leaves the variants to its redrive", async () => {
    const { ports, uploads } = fresh();
    const { created } = await uploads.put(KEY, photo);
    await run(created, ports);
    const next = await uploads.put(KEY, photo);
    await recordFailure(next.created, { code: "INTERNAL", message: "Lost." }, { ...ports, settings });
    assert.equal(ports.variants.keys.length, 2);
    await run({ ...next.created, redrive: true }, ports);
    assert.equal((await ports.records.get(KEY))?.status, "completed");
    assert.equal(ports.variants.keys.length, 2);
  });

  it("after a deletion it stores nothing, and takes its variants back", async () => {
    const { ports, uploads } = fresh();
    const { created } = await uploads.put(KEY, photo);
    await ports.records.begin(created, { uploadedAt: created.at });
    await deliver(await uploads.delete(KEY), ports);
    await ports.variants.write(completion.variants[0]?.key as string, Buffer.from("x"), { contentType: "image/jpeg", overwrite: true });
    assert.deepEqual(await storeResults(created, completion, ports), { stored: false });
    assert.deepEqual([await ports.records.get(KEY), ports.variants.keys, rows(ports)], [undefined, [], []]);
  });

  it("after a newer result it takes back what that does not use, and no more", async () => {
    const { ports, uploads } = fresh();
    const old = (await uploads.put(KEY, photo)).created;
    await run((await uploads.put(KEY, transparent)).created, ports);
    await ports.variants.write(completion.variants[0]?.key as string, Buffer.from("x"), { contentType: "image/jpeg", overwrite: true });
    assert.deepEqual(await storeResults(old, completion, ports), { stored: false });
    assert.deepEqual(ports.variants.keys, [`thumbnails/${KEY}/large.png`, `thumbnails/${KEY}/small.png`]);
    assert.equal((await ports.records.get(KEY))?.format, "png");
  });

  it("gives way to a result that comes while it is stored", async () => {
    const { ports, uploads } = fresh();
    const { created } = await uploads.put(KEY, photo);
    let newer = created;
    afterNext(ports.records, "finish", async () => {
      newer = (await uploads.put(KEY, transparent)).created;
      await run(newer, ports);
    });
    await run(created, ports);
    assert.ok(rows(ports).length > 0 && rows(ports).every((row) => row.endsWith(newer.at)), rows(ports).join());
    assert.deepEqual(
      ports.workflow.started.map(({ object }) => object.etag),
      [newer.etag],
      "its variants are made again",
    );
  });

  it("gives way to a deletion that comes while it is stored", async () => {
    const { ports, uploads } = fresh();
    const { created } = await uploads.put(KEY, photo);
    afterNext(ports.records, "finish", async () => deliver(await uploads.delete(KEY), ports));
    await run(created, ports);
    assert.deepEqual([await ports.records.get(KEY), rows(ports), ports.workflow.started], [undefined, [], []]);
  });

  it("a stale run that takes its variants back while the image returns has it processed again", async () => {
    const { ports, uploads } = fresh();
    const { created } = await uploads.put(KEY, photo);
    await deliver(await uploads.delete(KEY), ports);
    afterNext(ports.records, "get", async () => run((await uploads.put(KEY, photo)).created, ports));
    await storeResults(created, completion, ports);
    assert.deepEqual(ports.variants.keys, [`thumbnails/${KEY}/large.jpg`], "one was taken back");
    assert.equal(ports.workflow.started.length, 1);
  });

  describe("after a crash", () => {
    const crashed = async () => {
      const { ports, uploads } = fresh();
      const { created } = await uploads.put(KEY, photo, "ada");
      const stored = await run({ ...created, execution: "one" }, ports);
      ports.tags.rows.clear();
      return { ports, uploads, stored };
    };

    it("goes on with what it has stored, and tells the same", async () => {
      const { ports, stored } = await crashed();
      assert.deepEqual(await resumeResults({ key: KEY, execution: "one" }, ports), stored);
      assert.ok(rows(ports).length > 0, "its tags are written");
    });

    it("leaves alone what another has stored, begun or deleted", async () => {
      const { ports, uploads } = await crashed();
      assert.equal(await resumeResults({ key: KEY, execution: "two" }, ports), undefined);
      const { created } = await uploads.put(KEY, transparent);
      await ports.records.begin(created, { uploadedAt: created.at });
      assert.equal(await resumeResults({ key: KEY, execution: "one" }, ports), undefined);
      await deliver(await uploads.delete(KEY), ports);
      assert.equal(await resumeResults({ key: KEY, execution: "one" }, ports), undefined);
      assert.deepEqual(rows(ports), []);
    });
  });

  it("a failure knows the size where nothing else does", async () => {
    const { ports, uploads } = fresh();
    const { created } = await uploads.put(KEY, photo);
    const stored = await recordFailure(created, failure, ports, 77);
    assert.deepEqual(stored.stored && [stored.record.size, stored.record.failure], [77, failure]);
  });
});
