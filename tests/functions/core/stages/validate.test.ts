import assert from "node:assert/strict";
import { ImageRefused } from "../../../../functions/core/failures.js";
import { type Arrival, validate } from "../../../../functions/core/stages/validate.js";
import { memoryPorts } from "../memory-ports.js";
import { encoder, scene } from "../pictures.js";
import { run, settings, Uploads } from "./pipeline.js";

const KEY = "uploads/it.jpg";
const picture = await encoder(scene(60, 40)).png().toBuffer();

async function arrived(bytes: Uint8Array = picture, user?: string) {
  const ports = memoryPorts();
  const uploads = new Uploads(ports);
  const { created } = await uploads.put(KEY, bytes, user);
  return { ports, uploads, created, validated: (over: Partial<Arrival> = {}) => validate({ ...created, ...over }, { ...ports, settings }) };
}

describe("Validate", () => {
  it("begins a run, and hands on what the other stages need", async () => {
    const { ports, created, validated } = await arrived();
    assert.deepEqual(await validated({ execution: "one" }), {
      stale: false,
      run: { key: KEY, sequencer: created.sequencer, etag: created.etag, redrive: false, execution: "one" },
      size: picture.length,
      etag: created.etag,
      contentType: "image/png",
      format: "png",
      uploadedAt: created.at,
    });
    assert.deepEqual(await ports.records.get(KEY), { key: KEY, status: "processing", size: picture.length, uploadedAt: created.at });
  });

  it("takes the format from the content, whatever the name and the store say", async () => {
    const { ports, validated } = await arrived();
    assert.equal((await ports.uploads.head(KEY))?.contentType, "application/octet-stream");
    const result = await validated();
    assert.equal(!result.stale && result.format, "png");
  });

  it("knows the user from the record, else the event, else the object's metadata", async () => {
    const users = await Promise.all(
      [
        [undefined, undefined],
        [undefined, "of the event"],
        ["of the record", "of the event"],
      ].map(async ([announced, event]) => {
        const { ports, validated } = await arrived(picture, "of the object");
        if (announced)
          await ports.records.announce({ key: KEY, user: announced, at: "2026-11-01T11:59:00.000Z", overwrite: false, lifetime: 900 });
        const result = await validated(event ? { user: event } : {});
        return !result.stale && result.user;
      }),
    );
    assert.deepEqual(users, ["of the object", "of the event", "of the record"]);
  });

  it("is stale when the object is gone: its deletion has an event of its own", async () => {
    const { ports, uploads, validated } = await arrived();
    await uploads.delete(KEY);
    assert.deepEqual(await validated(), { stale: true });
    assert.equal(await ports.records.get(KEY), undefined);
  });

  it("is stale when the object has changed: a newer event is on its way", async () => {
    const { ports, uploads, validated } = await arrived();
    await uploads.put(KEY, Buffer.from("something else"));
    assert.deepEqual(await validated(), { stale: true });
    assert.equal(await ports.records.get(KEY), undefined);
  });

  it("is stale when the event has its result already, unless it is redriven", async () => {
    const { ports, created, validated } = await arrived();
    await run(created, ports);
    assert.deepEqual(await validated(), { stale: true });
    assert.equal((await validated({ redrive: true })).stale, false);
  });

  it("refuses what is no picture once the run has begun, so that it can be recorded", async () => {
    for (const [bytes, code] of [
      [Buffer.alloc(0), "EMPTY"],
      [Buffer.from("text"), "UNSUPPORTED_FORMAT"],
      [picture.subarray(0, 20), "TRUNCATED"],
      [Buffer.alloc(settings.limits.bytes + 1), "SIZE_LIMIT"],
    ] as const) {
      const { ports, validated } = await arrived(bytes);
      await assert.rejects(validated(), (error) => error instanceof ImageRefused && error.code === code);
      assert.equal((await ports.records.get(KEY))?.status, "processing");
    }
  });

  it("reads no more than the beginning of the very version", async () => {
    const { ports, validated } = await arrived(Buffer.concat([picture, Buffer.alloc(500_000)]));
    await validated();
    assert.deepEqual(
      ports.uploads.calls.filter((call) => call.startsWith("read")),
      [`read ${KEY} 0-65536`],
    );
  });
});
