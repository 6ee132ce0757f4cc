import assert from "node:assert/strict";
import type { Ports } from "../../../functions/azure/ports.js";
import { sweepAndTell } from "../../../functions/azure/sweep.js";
import { type Result, work } from "../../../functions/container/work.js";
import type { Notification } from "../../../functions/core/stages/store-results.js";
import { statistics } from "../../../functions/core/taggers/statistics.js";
import * as photos from "../../photos.js";
import { memoryPorts } from "../core/memory-ports.js";
import { afterNext, settings } from "../core/stages/pipeline.js";

const PLACE = { account: "https://photos.blob.core.windows.net/", container: "rawfiles" };
const KEY = "uploads/cat.jpg";
const ATTEMPTS = 3;

/** A message as the queue holds it: what became of each of its deliveries. */
interface Message {
  id: string;
  body: unknown;
  attempt: number;
  state: "waiting" | "deleted";
  /** Seconds that it stays away each time that it is given back. */
  delays: number[];
}

describe("A message of the queue", () => {
  let memory: ReturnType<typeof memoryPorts>;
  let ports: Ports;
  let told: Notification[];
  let stages: string[];
  let picture: Buffer;
  let sent: number;

  beforeEach(async () => {
    picture = await photos.jpeg(60, 40);
    memory = memoryPorts();
    [told, stages, sent] = [[], [], 0];
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

  const message = (body: unknown): Message => ({ id: `message-${++sent}`, body, attempt: 0, state: "waiting", delays: [] });

  /** Delivers it once. @param held says how long the message stays this process's. */
  const deliver = async (to: Message, held: () => boolean = () => true): Promise<Result> => {
    to.attempt++;
    const delivery = {
      id: to.id,
      attempt: to.attempt,
      message: to.body,
      get held() {
        return held();
      },
      async complete() {
        if (held()) to.state = "deleted";
        return held();
      },
      async release(seconds: number) {
        to.delays.push(seconds);
        return held();
      },
    };
    const { result } = await work(delivery, {
      ...{ ports, attempts: ATTEMPTS, retryAfter: 5 },
      observer: { stage: (name) => void stages.push(name) },
    });
    return result;
  };
  const deliverNew = (body: unknown) => deliver(message(body));

  /** The process dies right after this: nothing that it does any more has an effect. */
  const killedAfter = async (port: object, name: string, to: Message) => {
    const death = new Promise<"killed">((resolve) => {
      const original = Reflect.get(port, name);
      Reflect.set(port, name, async (...args: unknown[]) => {
        await original.apply(port, args);
        Reflect.set(port, name, original);
        resolve("killed");
        return new Promise(() => {});
      });
    });
    return Promise.race([death, deliver(to)]);
  };

  const put = async (user?: string, key = KEY) => {
    await memory.uploads.write(key, picture, { contentType: "image/jpeg", overwrite: true, ...(user && { user }) });
    return (await memory.uploads.head(key)) ?? assert.fail();
  };
  const event = (etag: string, { sequencer = "0055", deleted = false, url = `${PLACE.account}${PLACE.container}/${KEY}` } = {}) => ({
    eventType: `Microsoft.Storage.Blob${deleted ? "Deleted" : "Created"}`,
    eventTime: memory.clock.now().toISOString(),
    data: { url, eTag: etag, contentLength: picture.length, sequencer },
  });
  const owner = (userId: string) => ({ blobUrl: `${PLACE.account}${PLACE.container}/${KEY}`, userId });
  const record = () => memory.records.get(KEY);

  it("takes an image through all stages, and is deleted after that", async () => {
    const { etag } = await put("ann");
    const one = message(event(etag));
    assert.equal(await deliver(one), "completed");
    assert.deepEqual(stages, ["Validate", "ExtractMetadata", "GenerateThumbnails", "DetectLabels", "StoreResults", "Notify"]);
    const found = await record();
    assert.deepEqual([found?.status, found?.user, found?.variants?.length, one.state, told.length], ["completed", "ann", 2, "deleted", 1]);
    assert.ok(memory.tags.rows.size > 0);
  });

  it("has its effect once, however many tell of the same", async () => {
    const { etag } = await put();
    assert.deepEqual(await Promise.all([event(etag), event(etag), event(etag)].map(deliverNew)).then((all) => all.sort()), [
      "completed",
      "superseded",
      "superseded",
    ]);
    assert.equal(await deliverNew(event(etag)), "superseded");
    assert.equal(told.length, 1);
  });

  describe("and another about whose the image is merge", () => {
    const orders: Record<string, (etag: string) => Promise<unknown>> = {
      "the event first": async (etag) => [await deliverNew(event(etag)), await deliverNew(owner("ann"))],
      "the message first": async (etag) => [await deliverNew(owner("ann")), await deliverNew(event(etag))],
      "both at once, and twice": (etag) => Promise.all([owner("ann"), event(etag), owner("ann"), event(etag)].map(deliverNew)),
    };
    for (const [order, send] of Object.entries(orders)) {
      it(order, async () => {
        const { etag } = await put();
        await send(etag);
        const found = await record();
        assert.deepEqual([found?.status, found?.user, told.length], ["completed", "ann", 1]);
        const runs = stages.filter((name) => name === "GenerateThumbnails").length;
        assert.equal(runs, order.includes("twice") ? 2 : 1, "for events, there are runs; for the messages beside them, none");
        const tag = found?.tags?.[0]?.name ?? assert.fail("no tags");
        assert.deepEqual((await memory.tags.find({ tag, user: "ann", limit: 9 })).items, [KEY]);
      });
    }

    it("and wait for each other: while the event's run goes on, the message starts none", async () => {
      const { etag } = await put();
      const mine = message(owner("ann"));
      assert.equal(await deliver(mine), "attributed");
      let second: Result | undefined;
      afterNext(memory.records, "begin", async () => {
        second = await deliver(mine);
      });
      assert.equal(await deliverNew(event(etag)), "completed");
      assert.deepEqual([second, mine.state, mine.delays], ["superseded", "deleted", [5]]);
      assert.deepEqual([stages.filter((name) => name === "GenerateThumbnails").length, told.length], [1, 1]);
      assert.equal((await record())?.user, "ann");
    });

    it("and where no event comes, the message starts the run, again after a crash", async () => {
      await put();
      const mine = message(owner("ann"));
      assert.equal(await deliver(mine), "attributed");
      assert.equal(await killedAfter(ports.records, "begin", mine), "killed");
      assert.equal(await deliver(mine), "completed");
      const found = await record();
      assert.deepEqual([found?.status, found?.user, told.length, mine.state], ["completed", "ann", 1, "deleted"]);
    });

    it("unless the image is gone", async () => {
      assert.equal(await deliverNew(owner("ann")), "superseded");
      assert.equal(await record(), undefined);
    });

    it("and a newer version is processed anew", async () => {
      await put();
      const mine = message(owner("ann"));
      assert.deepEqual([await deliver(mine), await deliver(mine)], ["attributed", "completed"]);
      picture = await photos.jpeg(70, 40);
      const { etag } = await put();
      assert.equal(await deliverNew(event(etag)), "completed");
      assert.deepEqual([(await record())?.width, told.length], [70, 2]);
    });
  });

  it("cleans up after a deletion, which late events do not undo", async () => {
    const { etag } = await put("ann");
    await deliverNew(event(etag));
    await memory.uploads.delete([KEY]);
    assert.equal(await deliverNew(event(etag, { sequencer: "0060", deleted: true })), "deleted");
    assert.deepEqual([await record(), memory.variants.keys, memory.tags.rows.size], [undefined, [], 0]);
    assert.equal(await deliverNew(event("another", { sequencer: "0058" })), "superseded");
  });

  it("about a file of another kind is a result", async () => {
    picture = photos.svg() as Buffer;
    const { etag } = await put();
    assert.equal(await deliverNew(event(etag)), "refused");
    assert.deepEqual(
      [(await record())?.failure?.code, told[0]?.status, memory.deadLetters.letters.length],
      ["UNSUPPORTED_FORMAT", "failed", 0],
    );
  });

  it("finds the object whose URL was not encoded", async () => {
    const key = "50%25 off.png";
    const { etag } = await put(undefined, key);
    assert.equal(await deliverNew(event(etag, { url: `${PLACE.account}${PLACE.container}/${key}` })), "completed");
    assert.equal((await memory.records.get(key))?.status, "completed");
    const [url, encoded] = [key, encodeURIComponent(key)].map((name) => `${PLACE.account}${PLACE.container}/${name}`);
    await deliverNew({ blobUrl: url, userId: "ann" });
    await deliverNew({ blobUrl: encoded, userId: "bob" });
    assert.deepEqual([(await memory.records.get(key))?.user, [...memory.records.entries.keys()]], ["ann", [key]]);
    const gone = message(event(etag, { url: url ?? "", deleted: true, sequencer: "0060" }));
    await memory.uploads.delete([key]);
    const remove = memory.tags.remove.bind(memory.tags);
    memory.tags.remove = () => Promise.reject(new Error("Server busy."));
    assert.equal(await deliver(gone), "retried");
    memory.tags.remove = remove;
    assert.equal(await deliver(gone), "deleted");
    assert.deepEqual([await memory.records.get(key), memory.variants.keys, memory.tags.rows.size], [undefined, [], 0]);
  });

  it("is parked as the object's whose URL was not encoded, so that it is found by its name", async () => {
    const key = "50%25 off.png";
    const { etag } = await put(undefined, key);
    memory.uploads.read = () => Promise.reject(new Error("Server busy."));
    const one = message(event(etag, { url: `${PLACE.account}${PLACE.container}/${key}` }));
    for (let n = 1; n < ATTEMPTS; n++) assert.equal(await deliver(one), "retried");
    assert.equal(await deliver(one), "parked");
    assert.deepEqual([(await memory.deadLetters.take(key)).length, [...memory.records.entries.keys()]], [1, [key]]);
  });

  it("of a redrive does it again, once for each", async () => {
    const { etag } = await put();
    await deliverNew(event(etag));
    const redrive = { ...event(etag), redrive: true, redriveId: "one" };
    assert.deepEqual([await deliverNew(redrive), await deliverNew(redrive)], ["completed", "superseded"]);
    assert.equal(await deliverNew({ ...redrive, redriveId: "two" }), "completed");
    assert.equal(told.length, 3);
  });

  describe("whose processor is killed", () => {
    const moments: Record<string, (ports: Ports) => [port: object, name: string]> = {
      "when the run has begun": ({ records }) => [records, "begin"],
      "when a variant is stored": ({ variants }) => [variants, "write"],
      "when the result is stored": ({ records }) => [records, "finish"],
      "when its tags are stored": ({ tags }) => [tags, "replace"],
    };
    for (const [moment, where] of Object.entries(moments)) {
      it(`${moment}, is done by the next one, and announced once`, async () => {
        const { etag } = await put("ann");
        const one = message(event(etag));
        assert.equal(await killedAfter(...where(ports), one), "killed");
        assert.deepEqual([one.state, told.length], ["waiting", 0]);
        assert.equal(await deliver(one), "completed");
        assert.deepEqual([(await record())?.status, one.state, told.length], ["completed", "deleted", 1]);
        assert.ok(memory.tags.rows.size > 0);
        assert.equal(await deliverNew(event(etag)), "superseded", "another event of the same is no news");
        assert.equal(told.length, 1);
      });
    }

    it("when it is announced, is announced again in the very same words", async () => {
      const { etag } = await put();
      const one = message(event(etag));
      assert.equal(await killedAfter(ports.notifiers[0] as object, "announce", one), "killed");
      assert.equal(await deliver(one), "completed");
      assert.equal(told.length, 2);
      assert.deepEqual(told[0], told[1]);
    });

    it("while it does a redrive, is not done a second time", async () => {
      const { etag } = await put();
      await deliverNew(event(etag));
      const one = message({ ...event(etag), redrive: true, redriveId: "one" });
      await killedAfter(ports.records, "finish", one);
      const before = (await record())?.processedAt;
      memory.clock.pass(60);
      assert.equal(await deliver(one), "completed");
      assert.deepEqual([(await record())?.processedAt, told.length], [before, 2]);
    });

    it("each time, is parked in the end without another try", async () => {
      const { etag } = await put();
      const one = message(event(etag));
      for (let n = 0; n < ATTEMPTS; n++) await killedAfter(ports.records, "begin", one);
      stages = [];
      assert.equal(await deliver(one), "parked");
      assert.deepEqual([stages, one.state, (await record())?.failure?.code, told[0]?.status], [[], "deleted", "INTERNAL", "failed"]);
      const [letter] = await memory.deadLetters.take(KEY);
      assert.deepEqual([letter?.error.code, letter?.event], ["UNDELIVERED", event(etag)]);
    });
  });

  describe("that others have received meanwhile", () => {
    it("is not announced by who has lost it, but by who has it", async () => {
      const { etag } = await put();
      const one = message(event(etag));
      let held = true;
      afterNext(memory.records, "finish", async () => {
        held = false;
      });
      assert.equal(await deliver(one, () => held), "lost");
      assert.deepEqual([told.length, one.state], [0, "waiting"]);
      assert.equal(await deliver(one), "completed");
      assert.equal(told.length, 1);
    });

    it("is not parked by who has lost it", async () => {
      const { etag } = await put();
      const one = message(event(etag));
      one.attempt = ATTEMPTS;
      assert.equal(await deliver(one, () => false), "lost");
      assert.deepEqual(await memory.deadLetters.list(9), []);
    });
  });

  describe("that the infrastructure fails", () => {
    const failing = (times: number) => {
      const read = memory.uploads.read.bind(memory.uploads);
      memory.uploads.read = async (...args) => {
        if (times-- > 0) throw Object.assign(new Error("Server busy."), { code: "ServerBusy" });
        return read(...args);
      };
      return () => {
        times = 0;
      };
    };

    it("comes again, later each time, until it is done", async () => {
      const { etag } = await put();
      failing(2);
      const one = message(event(etag));
      assert.deepEqual([await deliver(one), await deliver(one), await deliver(one)], ["retried", "retried", "completed"]);
      assert.deepEqual([one.delays, one.state, told.length], [[5, 10], "deleted", 1]);
    });

    it("is parked after so many attempts, with what was said last; a redrive completes it", async () => {
      const { etag } = await put();
      const recover = failing(99);
      const one = message(event(etag));
      assert.deepEqual([await deliver(one), await deliver(one), await deliver(one)], ["retried", "retried", "parked"]);
      assert.deepEqual([(await record())?.failure?.code, told.map(({ status }) => status), one.state], ["INTERNAL", ["failed"], "deleted"]);
      const [letter] = await memory.deadLetters.take(KEY);
      assert.deepEqual([letter?.error, letter?.event], [{ code: "ServerBusy", message: "Server busy." }, event(etag)]);
      recover();
      assert.equal(await deliverNew({ ...event(etag), redrive: true, redriveId: "one" }), "completed");
      assert.equal((await record())?.status, "completed");
    });

    it("in announcing, is announced by the next attempt, without all the rest", async () => {
      const { etag } = await put();
      const announce = ports.notifiers[0]?.announce ?? assert.fail();
      (ports.notifiers[0] as { announce: unknown }).announce = () => Promise.reject(new Error("No."));
      const one = message(event(etag));
      assert.equal(await deliver(one), "retried");
      (ports.notifiers[0] as { announce: unknown }).announce = announce;
      stages = [];
      assert.equal(await deliver(one), "completed");
      assert.deepEqual([stages, told.length], [["Notify"], 1]);
    });

    it("even in parking it, comes again", async () => {
      const one = message("junk");
      const park = memory.deadLetters.park.bind(memory.deadLetters);
      memory.deadLetters.park = () => Promise.reject(new Error("No."));
      assert.deepEqual([await deliver(one), one.delays, one.state], ["retried", [60], "waiting"]);
      memory.deadLetters.park = park;
      assert.equal(await deliver(one), "parked");
    });

    it("does not go on behind whoever tries again", async () => {
      const { etag } = await put();
      let headers = 0;
      const read = memory.uploads.read.bind(memory.uploads);
      memory.uploads.read = async (key, range) => {
        // The first look at the header is Validate's, the second one ExtractMetadata's: it fails while thumbnails are made.
        if (range?.start !== undefined && ++headers === 2) throw new Error("No.");
        return read(key, range);
      };
      assert.equal(await deliverNew(event(etag)), "retried");
      assert.equal(memory.variants.keys.length, 2, "by then they are made");
    });
  });

  it("that nobody can read is parked at once, as it is", async () => {
    for (const body of ["junk", { blobUrl: "https://evil.example/a.png", userId: "ann" }]) assert.equal(await deliverNew(body), "parked");
    assert.deepEqual(
      (await memory.deadLetters.list(9)).map(({ key, event, error }) => [key, event, error.code]),
      [
        ["", "junk", "UNREADABLE"],
        ["", { blobUrl: "https://evil.example/a.png", userId: "ann" }, "UNREADABLE"],
      ],
    );
  });

  it("that comes after the sweep has given the image up still completes it", async () => {
    const { etag } = await put();
    await memory.records.announce({ key: KEY, at: memory.clock.now().toISOString(), overwrite: false, lifetime: 900 });
    memory.clock.pass(601);
    await sweepAndTell(ports);
    assert.equal((await record())?.failure?.code, "INTERNAL");
    assert.equal(await deliverNew(event(etag)), "completed");
    assert.equal((await record())?.status, "completed");
  });
});
