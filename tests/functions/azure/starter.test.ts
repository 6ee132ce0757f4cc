import assert from "node:assert/strict";
import { activities } from "../../../functions/azure/activities.js";
import { UnreadableMessage } from "../../../functions/azure/arrival.js";
import { isUnderWay, purge } from "../../../functions/azure/history.js";
import { type Input, processImage } from "../../../functions/azure/orchestration.js";
import { parkPoison } from "../../../functions/azure/poison.js";
import type { Ports } from "../../../functions/azure/ports.js";
import { type Orchestrations, startJob } from "../../../functions/azure/starter.js";
import { sweepAndTell } from "../../../functions/azure/sweep.js";
import type { Notification } from "../../../functions/core/stages/store-results.js";
import { statistics } from "../../../functions/core/taggers/statistics.js";
import * as photos from "../../photos.js";
import { memoryPorts } from "../core/memory-ports.js";
import { settings } from "../core/stages/pipeline.js";
import { orchestrate } from "./durable.js";

const PLACE = { account: "https://photos.blob.core.windows.net", container: "images-input" };
const KEY = "cat.png";

describe("The starter", () => {
  let memory: ReturnType<typeof memoryPorts>;
  let ports: Ports;
  let told: Notification[];
  let hub: Hub;
  let picture: Buffer;

  beforeEach(async () => {
    picture = await photos.jpeg(60, 40);
    memory = memoryPorts();
    told = [];
    hub = new Hub();
    ports = {
      ...memory,
      records: Object.assign(memory.records, { forget: async () => {} }),
      tags: Object.assign(memory.tags, { forget: async () => {} }),
      settings,
      tagger: statistics,
      notifiers: [{ announce: async (notification) => void told.push(notification) }],
      place: PLACE,
    };
  });

  /** A task hub: what is started runs when it is told to. */
  class Hub implements Orchestrations {
    readonly instances = new Map<string, { input: Input; state: string }>();
    lookups = 0;

    async getStatus(id: string) {
      this.lookups++;
      const instance = this.instances.get(id);
      if (!instance)
        throw new Error("DurableClient error: Durable Functions extension replied with HTTP 404 response. This usually means …");
      return { runtimeStatus: instance.state } as never;
    }

    async startNew(_name: string, { instanceId, input }: { instanceId: string; input: Input }) {
      const state = this.instances.get(instanceId)?.state;
      if (state === "Pending" || state === "Running") throw new Error("An Orchestration instance with the status Pending already exists.");
      this.instances.set(instanceId, { input, state: "Pending" });
      return instanceId;
    }

    /** Runs what has been started, and returns how it ended. */
    async run(): Promise<unknown[]> {
      const endings: unknown[] = [];
      for (const [id, instance] of this.instances) {
        if (instance.state !== "Pending") continue;
        const { status, output } = await orchestrate(processImage, instance.input, activities(ports) as never, id);
        instance.state = status;
        endings.push(output);
      }
      return endings;
    }
  }

  const put = async (user?: string) => {
    await memory.uploads.write(KEY, picture, { contentType: "image/png", overwrite: true, ...(user && { user }) });
    const object = await memory.uploads.head(KEY);
    return object ?? assert.fail();
  };
  const event = (etag: string, { sequencer = "0055", deleted = false } = {}) => ({
    eventType: `Microsoft.Storage.Blob${deleted ? "Deleted" : "Created"}`,
    eventTime: memory.clock.now().toISOString(),
    data: { url: `${PLACE.account}/${PLACE.container}/${KEY}`, eTag: etag, contentLength: picture.length, sequencer },
  });
  const owner = (userId: string) => ({ blobUrl: `${PLACE.account}/${PLACE.container}/${KEY}`, userId });
  const start = (message: unknown) => startJob(message, hub, ports);

  it("takes an image from its event to its record, its variants, its tags and its announcement", async () => {
    const { etag } = await put("ann");
    await start(event(etag));
    assert.deepEqual(await hub.run(), ["completed"]);
    const record = await memory.records.get(KEY);
    assert.deepEqual([record?.status, record?.user, record?.width, record?.variants?.length], ["completed", "ann", 60, 2]);
    assert.equal(told.length, 1);
    assert.ok(memory.tags.rows.size > 0);
  });

  it("starts one orchestration however often the event comes, before and after its end", async () => {
    const { etag } = await put();
    await Promise.all([start(event(etag)), start(event(etag))]);
    await start(event(etag));
    await hub.run();
    await start(event(etag));
    assert.deepEqual(await hub.run(), []);
    assert.deepEqual([hub.instances.size, told.length], [1, 1]);
  });

  it("starts again what the infrastructure could not finish", async () => {
    const { etag } = await put();
    await start(event(etag));
    const [instance] = hub.instances.values();
    if (instance) instance.state = "Failed";
    await start(event(etag));
    assert.deepEqual(await hub.run(), ["completed"]);
  });

  describe("merges an event and a message about the same blob", () => {
    const orders: Record<string, (etag: string) => Promise<void>> = {
      "the event first": async (etag) => {
        await start(event(etag));
        await start(owner("ann"));
        await hub.run();
      },
      "the message first": async (etag) => {
        await start(owner("ann"));
        await start(event(etag));
        await hub.run();
      },
      "the message after the result": async (etag) => {
        await start(event(etag));
        await hub.run();
        await start(owner("ann"));
      },
      "the event after the result": async (etag) => {
        await start(owner("ann"));
        await hub.run();
        await start(event(etag));
      },
      "both at once, and twice": async (etag) => {
        await Promise.all([start(owner("ann")), start(event(etag)), start(owner("ann")), start(event(etag))]);
        await hub.run();
      },
    };
    for (const [order, deliver] of Object.entries(orders)) {
      it(order, async () => {
        const { etag } = await put();
        await deliver(etag);
        assert.deepEqual(await hub.run(), [], "nothing is left to do");
        const record = await memory.records.get(KEY);
        assert.deepEqual([record?.status, record?.user, hub.instances.size, told.length], ["completed", "ann", 1, 1]);
        const tag = record?.tags?.[0]?.name ?? assert.fail("no tags");
        assert.deepEqual((await memory.tags.find({ tag, user: "ann", limit: 9 })).items, [KEY]);
      });
    }

    it("and believes the record before the message", async () => {
      await memory.records.announce({ key: KEY, user: "ann", at: memory.clock.now().toISOString(), overwrite: false, lifetime: 900 });
      const { etag } = await put("carl");
      await start(owner("bob"));
      await start(event(etag));
      await hub.run();
      assert.equal((await memory.records.get(KEY))?.user, "ann");
    });

    it("and the message before the object", async () => {
      const { etag } = await put("carl");
      await start(owner("bob"));
      await start(event(etag));
      await hub.run();
      assert.equal((await memory.records.get(KEY))?.user, "bob");
    });
  });

  it("leaves a message about a blob that is not there", async () => {
    await start(owner("ann"));
    assert.deepEqual([hub.instances.size, await memory.records.get(KEY)], [0, undefined]);
  });

  it("cleans up after a deletion", async () => {
    const { etag } = await put("ann");
    await start(event(etag));
    await hub.run();
    await memory.uploads.delete([KEY]);
    await start(event(etag, { sequencer: "0060", deleted: true }));
    assert.deepEqual([await memory.records.get(KEY), memory.variants.keys, memory.tags.rows.size], [undefined, [], 0]);
    await start(event("another", { sequencer: "0058" }));
    assert.deepEqual(await hub.run(), ["superseded"]);
  });

  it("starts each redrive as one of its own, however often its message comes", async () => {
    const { etag } = await put();
    await start(event(etag));
    await hub.run();
    const redrive = { ...event(etag), redrive: true, redriveId: "one" };
    await start(redrive);
    await start(redrive);
    assert.deepEqual(await hub.run(), ["completed"]);
    await start({ ...redrive, redriveId: "two" });
    assert.deepEqual([await hub.run(), told.length], [["completed"], 3]);
  });

  it("records a file of another kind as a failed image", async () => {
    picture = Buffer.from("<svg/>");
    const { etag } = await put();
    await start(event(etag));
    assert.deepEqual(await hub.run(), ["refused"]);
    assert.equal((await memory.records.get(KEY))?.failure?.code, "UNSUPPORTED_FORMAT");
    assert.equal(told[0]?.status, "failed");
  });

  it("finds the object whose URL was not encoded in its event", async () => {
    const key = "50%25 off.png";
    await memory.uploads.write(key, await photos.jpeg(60, 40), { contentType: "image/jpeg", overwrite: true });
    const { etag } = (await memory.uploads.head(key)) ?? assert.fail();
    const told = event(etag);
    const url = `${PLACE.account}/${PLACE.container}/${key}`;
    await start({ ...told, data: { ...told.data, url } });
    await start({ blobUrl: url, userId: "ann" });
    await start({ blobUrl: `${PLACE.account}/${PLACE.container}/${encodeURIComponent(key)}`, userId: "bob" });
    assert.deepEqual(await hub.run(), ["completed"]);
    assert.deepEqual([(await memory.records.get(key))?.user, hub.instances.size], ["ann", 1]);
    assert.deepEqual([...memory.records.entries.keys()], [key]);
    await memory.uploads.delete([key]);
    await start({ ...told, eventType: "Microsoft.Storage.BlobDeleted", data: { ...told.data, url, sequencer: "0060" } });
    assert.deepEqual([await memory.records.get(key), memory.variants.keys], [undefined, []]);
  });

  it("'s failures are those of the object that there is, so that they are found by its name", async () => {
    const key = "50%25 off.png";
    await memory.uploads.write(key, await photos.jpeg(60, 40), { contentType: "image/jpeg", overwrite: true });
    const { etag } = (await memory.uploads.head(key)) ?? assert.fail();
    const url = `${PLACE.account}/${PLACE.container}/${key}`;
    const message = { ...event(etag), data: { ...event(etag).data, url } };
    const { write } = memory.variants;
    memory.variants.write = () => Promise.reject(new Error("Server busy."));
    await start(message);
    await hub.run();
    assert.equal((await memory.records.get(key))?.failure?.code, "INTERNAL");
    assert.deepEqual(
      told.map(({ message }) => JSON.parse(message).key),
      [key],
    );
    await parkPoison(message, ports);
    assert.equal((await memory.deadLetters.take(key)).length, 2);
    memory.variants.write = write;
    memory.uploads.head = () => Promise.reject(new Error("Server busy."));
    await parkPoison(message, ports);
    assert.deepEqual(
      memory.deadLetters.letters.map(({ key }) => key),
      ["50% off.png"],
      "by the first reading, when the store cannot be asked",
    );
  });

  it("throws what nobody can read, so that it ends among the poison, and from there among the failures", async () => {
    for (const message of ["junk", { blobUrl: "https://evil.example/a.png", userId: "ann" }]) {
      await assert.rejects(start(message), UnreadableMessage);
      await parkPoison(message, ports);
    }
    assert.deepEqual(
      (await memory.deadLetters.list(9)).map(({ key, event, error }) => [key, event, error.code]),
      [
        ["", "junk", "UNREADABLE"],
        ["", { blobUrl: "https://evil.example/a.png", userId: "ann" }, "UNREADABLE"],
      ],
    );
  });

  it("parks a readable message that it could not do, under its image", async () => {
    await parkPoison(event("0x1"), ports);
    const [letter] = await memory.deadLetters.take(KEY);
    assert.deepEqual([letter?.error.code, letter?.event], ["UNDELIVERED", event("0x1")]);
  });

  it("fails when the task hub does, so that the message comes again", async () => {
    const { etag } = await put();
    hub.startNew = async () => Promise.reject(new Error("HTTP 500"));
    await assert.rejects(start(event(etag)), /HTTP 500/);
    hub.getStatus = async () => Promise.reject(new Error("HTTP 503"));
    await assert.rejects(start(event(etag)), /HTTP 503/);
  });

  describe("'s orchestrations that take long", () => {
    const swept = () => sweepAndTell(ports, (stuck, object) => isUnderWay(stuck, object, hub));
    const states = (state: string) => {
      for (const instance of hub.instances.values()) instance.state = state;
    };
    const ways: Record<string, () => Promise<void>> = {
      "before they begin": async () => {
        await memory.records.announce({ key: KEY, at: memory.clock.now().toISOString(), overwrite: false, lifetime: 900 });
        await start(event((await put()).etag));
      },
      "when they have begun": async () => {
        const { etag } = await put();
        await start(event(etag));
        const [execution, { input }] = [...hub.instances][0] ?? assert.fail();
        await memory.records.begin({ ...input.arrival, execution }, { uploadedAt: input.arrival.at });
      },
      "when a redrive has begun": async () => {
        const { etag } = await put();
        await start(event(etag));
        await hub.run();
        await start({ ...event(etag), redrive: true, redriveId: "one" });
        await memory.records.begin(
          { key: KEY, sequencer: "0055", etag, redrive: true, execution: "redrive-one" },
          { uploadedAt: memory.clock.now().toISOString() },
        );
      },
    };
    for (const [way, begin] of Object.entries(ways)) {
      it(`${way}, are not taken for lost, but when they have ended without a word`, async () => {
        await begin();
        memory.clock.pass(3_600);
        const before = [told.length, (await memory.records.get(KEY))?.status];
        for (const state of ["Pending", "Running", "Suspended"]) {
          states(state);
          await swept();
          assert.deepEqual([told.length, (await memory.records.get(KEY))?.status], before, state);
        }
        states("Terminated");
        await swept();
        assert.deepEqual([(await memory.records.get(KEY))?.failure?.code, memory.deadLetters.letters.length], ["INTERNAL", 1]);
      });
    }
  });

  it("'s task hub forgets what has ended before the tombstones of that time went", async () => {
    const asked: unknown[] = [];
    const client = { purgeInstanceHistoryBy: async (filter: unknown) => ({ instancesDeleted: asked.push(filter) }) };
    await purge(client, { now: () => new Date("2026-11-21T12:00:00Z") });
    assert.deepEqual(asked, [
      {
        createdTimeFrom: new Date("2000-01-01"),
        createdTimeTo: new Date("2026-11-06T12:00:00Z"),
        runtimeStatus: ["Completed", "Failed", "Terminated"],
      },
    ]);
    await assert.rejects(purge({ purgeInstanceHistoryBy: () => Promise.reject(new Error("HTTP 500")) }, memory.clock), /HTTP 500/);
  });

  it("'s orchestrations that get lost are ended, parked and announced by the sweep", async () => {
    const { etag } = await put();
    await memory.records.begin({ key: KEY, sequencer: "0055", etag, redrive: false }, { uploadedAt: memory.clock.now().toISOString() });
    memory.clock.pass(601);
    await sweepAndTell(ports);
    assert.deepEqual([(await memory.records.get(KEY))?.failure?.code, told[0]?.status], ["INTERNAL", "failed"]);
    assert.equal((await memory.deadLetters.take(KEY)).length, 1);
  });
});
