import assert from "node:assert/strict";
import { sweep } from "../../../../functions/core/stages/sweep.js";
import { validate } from "../../../../functions/core/stages/validate.js";
import { memoryPorts } from "../memory-ports.js";
import { encoder, scene } from "../pictures.js";
import { run, settings, Uploads } from "./pipeline.js";

const KEY = "uploads/it.jpg";
const photo = await encoder(scene(60, 40)).jpeg().toBuffer();
const other = await encoder(scene(40, 60)).jpeg().toBuffer();

function fresh() {
  const ports = memoryPorts();
  const uploads = new Uploads(ports);
  const announce = (overwrite = false) =>
    ports.records.announce({ key: KEY, at: ports.clock.now().toISOString(), overwrite, lifetime: 900 });
  return { ports, uploads, announce, swept: () => sweep({ ...ports, settings }) };
}

const NOTHING = { withdrawn: [], failed: [], removed: [] };

describe("The sweep", () => {
  it("parks and fails a run that was lost, once", async () => {
    const { ports, uploads, swept } = fresh();
    const { created } = await uploads.put(KEY, photo);
    await validate(created, { ...ports, settings });
    ports.clock.pass(599);
    assert.deepEqual(await swept(), NOTHING);
    ports.clock.pass(2);
    const { failed } = await swept();
    assert.deepEqual(
      failed.map(({ record, notification }) => [record.status, record.failure?.code, record.size, notification.status]),
      [["failed", "INTERNAL", photo.length, "failed"]],
    );
    assert.deepEqual(await swept(), NOTHING);
    assert.deepEqual(
      ports.deadLetters.letters.map(({ key, event, error }) => [key, event, error.code]),
      [[KEY, null, "INTERNAL"]],
    );
  });

  it("two sweeps at once park once", async () => {
    const { ports, uploads, swept } = fresh();
    await validate((await uploads.put(KEY, photo)).created, { ...ports, settings });
    ports.clock.pass(601);
    const results = await Promise.all([swept(), swept()]);
    assert.equal(results.flatMap(({ failed }) => failed).length, 1);
    assert.equal(ports.deadLetters.letters.length, 1);
  });

  it("what it failed can be redriven, and a late delivery still completes it", async () => {
    for (const redrive of [true, false]) {
      const { ports, uploads, swept } = fresh();
      const { created } = await uploads.put(KEY, photo);
      const image = await validate(created, { ...ports, settings });
      assert.ok(!image.stale);
      ports.clock.pass(601);
      await swept();
      await run({ ...created, redrive }, ports);
      assert.equal((await ports.records.get(KEY))?.status, redrive ? "completed" : "failed");
    }
  });

  it("withdraws an announcement whose upload never came, once its ticket has ended", async () => {
    const { ports, announce, swept } = fresh();
    await announce();
    ports.clock.pass(700);
    assert.deepEqual(await swept(), NOTHING);
    ports.clock.pass(300);
    assert.deepEqual(await swept(), { ...NOTHING, withdrawn: [KEY] });
    assert.equal(await ports.records.get(KEY), undefined);
    assert.deepEqual(ports.deadLetters.letters, []);
  });

  it("parks and fails an upload whose event never came", async () => {
    const { ports, uploads, announce, swept } = fresh();
    await announce();
    const { created } = await uploads.put(KEY, photo);
    ports.clock.pass(700);
    const { failed } = await swept();
    assert.deepEqual(
      failed.map(({ record }) => [record.status, record.failure?.message]),
      [["failed", "The event that tells of this upload was lost."]],
    );
    assert.equal(ports.deadLetters.letters.length, 1);
    assert.deepEqual(await swept(), NOTHING);
    // It was only late.
    await run(created, ports);
    assert.equal((await ports.records.get(KEY))?.status, "completed");
  });

  it("an upload that was to overwrite, but never came, leaves the image as it is", async () => {
    const { ports, uploads, announce, swept } = fresh();
    await run((await uploads.put(KEY, photo)).created, ports);
    const before = await ports.records.get(KEY);
    ports.clock.pass(3_600);
    assert.equal(await announce(true), true);
    assert.equal((await ports.records.get(KEY))?.status, "processing");
    ports.clock.pass(1_000);
    assert.deepEqual(await swept(), { ...NOTHING, withdrawn: [KEY] });
    assert.deepEqual(await ports.records.get(KEY), before);
  });

  it("an upload that did overwrite, but whose event never came, is failed", async () => {
    for (const content of [other, photo]) {
      const { ports, uploads, announce, swept } = fresh();
      await run((await uploads.put(KEY, photo)).created, ports);
      ports.clock.pass(3_600);
      await announce(true);
      await uploads.put(KEY, content);
      ports.clock.pass(1_000);
      assert.equal((await swept()).failed.length, 1);
      assert.equal((await ports.records.get(KEY))?.failure?.code, "INTERNAL");
      assert.deepEqual(await swept(), NOTHING);
    }
  });

  it("cleans away an image whose run and deletion were lost", async () => {
    const { ports, uploads, swept } = fresh();
    await run((await uploads.put(KEY, photo)).created, ports);
    await validate((await uploads.put(KEY, other)).created, { ...ports, settings });
    await uploads.delete(KEY);
    ports.clock.pass(601);
    assert.deepEqual(await swept(), { ...NOTHING, removed: [KEY] });
    assert.deepEqual([await ports.records.get(KEY), ports.variants.keys, ports.tags.rows.size], [undefined, [], 0]);
  });

  it("leaves what has a result alone", async () => {
    const { ports, uploads, swept } = fresh();
    await run((await uploads.put(KEY, photo)).created, ports);
    ports.clock.pass(100_000);
    assert.deepEqual(await swept(), NOTHING);
  });
});
