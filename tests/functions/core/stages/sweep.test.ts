import assert from "node:assert/strict";
import type { Notification } from "../../../../functions/core/stages/store-results.js";
import { type SweepPorts, sweep } from "../../../../functions/core/stages/sweep.js";
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
  const told: string[] = [];
  const ears = { announce: async ({ message }: Notification) => void told.push(JSON.parse(message).key) };
  const swept = (more: Partial<SweepPorts> = {}) => sweep({ ...ports, settings, ...ears, ...more });
  return { ports, uploads, announce, swept, told };
}

const NOTHING = { withdrawn: [], failed: [], removed: [] };

describe("The sweep", () => {
  it("parks and fails a run that was lost, once", async () => {
    const { ports, uploads, swept, told } = fresh();
    const { created } = await uploads.put(KEY, photo);
    await validate(created, { ...ports, settings });
    ports.clock.pass(599);
    assert.deepEqual(await swept(), NOTHING);
    ports.clock.pass(2);
    const { failed } = await swept();
    assert.deepEqual(told, [KEY]);
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

  it("leaves a run alone that the host knows to be under way, or to come, however long that takes", async () => {
    for (const begun of [true, false]) {
      const { ports, uploads, announce, swept, told } = fresh();
      await announce();
      const { created } = await uploads.put(KEY, photo);
      if (begun) await validate({ ...created, execution: "run-1" }, { ...ports, settings });
      ports.clock.pass(3_600);
      const asked: unknown[] = [];
      const isUnderWay: SweepPorts["isUnderWay"] = async ({ execution }, { etag }) => asked.push([execution, etag]) > 0;
      assert.deepEqual(await swept({ isUnderWay }), NOTHING);
      assert.deepEqual([asked, told, ports.deadLetters.letters], [[[begun ? "run-1" : undefined, created.etag]], [], []]);
      assert.equal((await swept({ isUnderWay: async () => false })).failed.length, 1);
    }
  });

  it("ends the others, and tells of them, where the infrastructure stands in the way of one", async () => {
    const { ports, uploads, swept, told } = fresh();
    const keys = ["uploads/1.jpg", "uploads/2.jpg", "uploads/3.jpg"];
    for (const key of keys) await validate((await uploads.put(key, photo)).created, { ...ports, settings });
    ports.clock.pass(700);
    const head = ports.uploads.head.bind(ports.uploads);
    ports.uploads.head = async (key) => (key === keys[1] ? Promise.reject(new Error("Server busy.")) : head(key));
    await assert.rejects(swept(), /Server busy/);
    assert.deepEqual(
      [told, ports.deadLetters.letters.map(({ key }) => key)],
      [
        [keys[0], keys[2]],
        [keys[0], keys[2]],
      ],
    );
  });

  it("tells of what it could not park, and parks what it could not tell of", async () => {
    for (const fails of ["park", "announce"] as const) {
      const { ports, uploads, swept, told } = fresh();
      await validate((await uploads.put(KEY, photo)).created, { ...ports, settings });
      ports.clock.pass(700);
      const no = () => Promise.reject(new Error("No."));
      await assert.rejects(
        swept(fails === "park" ? { deadLetters: { ...ports.deadLetters, park: no } as never } : { announce: no }),
        /No\./,
      );
      assert.deepEqual([told.length, ports.deadLetters.letters.length], fails === "park" ? [1, 0] : [0, 1]);
    }
  });

  it("leaves what has a result alone", async () => {
    const { ports, uploads, swept } = fresh();
    await run((await uploads.put(KEY, photo)).created, ports);
    ports.clock.pass(100_000);
    assert.deepEqual(await swept(), NOTHING);
  });
});
