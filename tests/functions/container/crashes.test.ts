import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import sharp from "sharp";
import { encoded } from "../../../functions/azure/queue-message.js";
import { TableRecordStore } from "../../../functions/container/table-record-store.js";
import { seededRandom } from "../../../local/kernel/random.js";
import { type TestAzurite, testAzurite } from "./azurite.js";
import { type Container, composed, type Environment, type Programs, programs } from "./containers.js";
import { testTopic } from "./topic.js";

const [PHOTOS, PROCESSORS, KILLS] = [200, 3, 5];
/** Another one by `SEED=…`. */
const SEED = Number(process.env.SEED ?? 20_261_121);
/** Small ones: this is not about pictures. */
const VARIANTS = {
  small: { width: 8, height: 8, fit: "cover", format: "auto", quality: 80 },
  processed: { width: 2560, height: 2560, fit: "inside", format: "auto", quality: 85 },
};

describe("Three processors with 200 photos, of which one at random is killed five times", function () {
  this.timeout(240_000);
  const random = seededRandom(SEED);
  const below = (limit: number) => Math.floor(random() * limit);
  const keys = Array.from({ length: PHOTOS }, (_, n) => `album ${n % 7}/photo-${n}.png`);
  /** Whose photos somebody tells of, too. */
  const owned = new Set(keys.filter(() => random() < 0.3));
  let azurite: TestAzurite;
  let image: Programs;
  let topic: Awaited<ReturnType<typeof testTopic>>;
  let environment: Environment;
  const all: Container[] = [];
  let running: Container[] = [];

  before(async () => {
    [azurite, image, topic] = await Promise.all([testAzurite(), programs(), testTopic()]);
    const { WATCH_SECONDS: _, ...told } = await composed("processor", azurite);
    const settings = { ...JSON.parse(told.PIPELINE_SETTINGS ?? ""), variants: VARIANTS, tagger: "none" };
    environment = {
      ...told,
      ...topic.environment,
      PIPELINE_SETTINGS: JSON.stringify(settings),
      CONCURRENCY: "4",
      VISIBILITY_SECONDS: "3",
      RETRY_SECONDS: "1",
    };
    for (const name of ["rawfiles", "processed"]) await azurite.blobs.getContainerClient(name).create();
    for (const name of ["jobqueue", "parked"]) await azurite.queues.getQueueClient(name).create();
    await upload();
  });
  after(async () => {
    await Promise.all(running.map((container) => container.end("SIGKILL")));
    await azurite?.stop();
    await topic?.stop();
    await image?.remove();
  });

  /** Every photo with its event, every fourth event twice, and messages about whose some are, all shuffled. */
  async function upload(): Promise<void> {
    const container = azurite.blobs.getContainerClient("rawfiles");
    const messages: object[] = [];
    await Promise.all(
      keys.map(async (key, n) => {
        const [width, height] = [16 + (n % 20), 12 + Math.floor(n / 20)];
        const create = { width, height, channels: 3, background: { r: n, g: 255 - n, b: (n * 7) % 256 } } as const;
        const blob = container.getBlockBlobClient(key);
        const { etag = "" } = await blob.uploadData(await sharp({ create }).png().toBuffer());
        const data = { url: blob.url, eTag: etag, sequencer: `00${n}` };
        const event = { eventType: "Microsoft.Storage.BlobCreated", eventTime: new Date().toISOString(), data };
        messages.push(event, ...(n % 4 === 0 ? [event] : []), ...(owned.has(key) ? [{ blobUrl: blob.url, userId: "ann" }] : []));
      }),
    );
    const queue = azurite.queues.getQueueClient("jobqueue");
    const shuffled = messages.map((message) => ({ message, place: random() })).sort((a, b) => a.place - b.place);
    for (const { message } of shuffled) await queue.sendMessage(encoded(message));
  }

  const begin = () => {
    const container = image.run("processor.mjs", environment);
    all.push(container);
    running.push(container);
  };

  it(`lose nothing and do nothing twice (SEED=${SEED})`, async () => {
    for (let n = 0; n < PROCESSORS; n++) begin();
    await Promise.all(running.map((container) => container.says("ready")));

    const moments = Array.from({ length: KILLS }, () => 10 + below(PHOTOS - 30)).sort((a, b) => a - b);
    for (const moment of moments) {
      await until(async () => topic.announced.length >= moment, `${moment} announcements`);
      const victim = running[below(running.length)] ?? assert.fail();
      running = running.filter((container) => container !== victim);
      await victim.end("SIGKILL");
      begin();
    }
    const queue = azurite.queues.getQueueClient("jobqueue");
    await until(async () => (await queue.getProperties()).approximateMessagesCount === 0, "an empty queue");
    assert.deepEqual(await Promise.all(running.map((container) => container.end())), [0, 0, 0], "they end in order");
    running = [];

    const records = new TableRecordStore(azurite.table("ImageMetadata"));
    for (const [n, key] of keys.entries()) {
      const record = await records.get(key);
      assert.deepEqual([record?.status, record?.width, record?.height], ["completed", 16 + (n % 20), 12 + Math.floor(n / 20)], key);
      assert.equal(record?.user, owned.has(key) ? "ann" : undefined, key);
    }
    const ids = new Map<string, Set<string>>();
    for (const { id, data } of topic.announced) ids.set(data.key, (ids.get(data.key) ?? new Set()).add(id));
    assert.deepEqual([...ids.keys()].sort(), [...keys].sort(), "each is announced");
    assert.deepEqual(
      [...ids].filter(([, each]) => each.size > 1),
      [],
      "with one result, however often it is sent",
    );
    const blobs: string[] = [];
    for await (const { name } of azurite.blobs.getContainerClient("processed").listBlobsFlat()) blobs.push(name);
    const expected = keys.flatMap((key) => Object.keys(VARIANTS).map((variant) => `thumbnails/${key}/${variant}.jpg`));
    assert.deepEqual(blobs.sort(), expected.sort());
    assert.equal((await azurite.queues.getQueueClient("parked").getProperties()).approximateMessagesCount, 0);

    // What was killed had been at work, and others have done it: otherwise all of this would say nothing.
    const told = all.flatMap(({ lines }) => lines.filter(({ message }) => message === "message"));
    // Once, whoever tells of an owner waits for the event.
    const waited = new Set(told.filter(({ result }) => result === "attributed").map(({ id }) => id));
    const again = told.filter(({ attempt, id }) => attempt > (waited.has(id) ? 2 : 1));
    assert.ok(again.length >= KILLS, `${again.length} messages were delivered again`);
    assert.ok(topic.announced.length <= PHOTOS + again.length, "only what was delivered again may be sent again");
  });
});

async function until(reached: () => Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + 120_000; !(await reached()); await pause(20)) assert.ok(Date.now() < end, `There is no ${what}.`);
}
