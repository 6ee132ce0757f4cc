import assert from "node:assert/strict";
import { type Clock, type Completion, InvalidCursor, type RecordStore, type Run } from "../../../functions/core/ports.js";
import type { ImageRecord } from "../../../functions/core/record.js";

const KEY = "uploads/ann/cat ä+1.png";
const NOON = "2026-11-21T12:00:00.000Z";
/** Noon, so many seconds later. */
const later = (seconds: number) => new Date(Date.parse(NOON) + seconds * 1_000).toISOString();

const run = (sequencer: string, more: Partial<Run> = {}): Run => ({
  key: KEY,
  sequencer,
  etag: `etag-${sequencer}`,
  redrive: false,
  ...more,
});

const COMPLETION: Completion = {
  format: "png",
  width: 640,
  height: 480,
  colorSpace: "srgb",
  hasAlpha: true,
  frames: 1,
  orientation: 1,
  exif: { Make: "Kodak", FNumber: 2.8 },
  sha256: "a".repeat(64),
  dominantColor: "#123456",
  thumbhash: "3OcRJYB4d3h/iIeHeEh3eIhw+j3A",
  size: 4_711,
  variants: [{ name: "small", key: "thumbnails/x/small.png", width: 100, height: 100, format: "png", size: 99 }],
  tags: [{ name: "Cat", confidence: 98.5 }],
};

/** A store under test, empty. */
export interface RecordsUnderTest {
  store: RecordStore;
  /** Whether anything at all is kept under this key, be it a tombstone. */
  has(key: string): Promise<boolean>;
}

/** What every store of records does, whichever cloud it is in. */
export function recordStoreContract(make: (clock: Clock) => Promise<RecordsUnderTest>): void {
  let store: RecordStore;
  let has: RecordsUnderTest["has"];
  let now: Date;

  beforeEach(async () => {
    now = new Date(NOON);
    ({ store, has } = await make({ now: () => now }));
  });

  const begun = (sequencer: string, user?: string, at = NOON) =>
    store.begin(run(sequencer), { ...(user && { user }), size: 4_711, uploadedAt: at });
  const announced = (more: Partial<Parameters<typeof store.announce>[0]> = {}) =>
    store.announce({ key: KEY, user: "ann", at: NOON, overwrite: false, lifetime: 900, ...more });
  const completed = async (sequencer: string, user = "ann", more: Partial<Completion> = {}) => {
    await begun(sequencer, user);
    return store.finish(run(sequencer), { completion: { ...COMPLETION, ...more } }, later(2));
  };
  const stored = (answer: Awaited<ReturnType<typeof store.finish>>) => (answer === "stale" ? assert.fail("stale") : answer);

  describe("a run", () => {
    it("takes an image from processing to completed, and its record is JSON again as it was", async () => {
      assert.deepEqual(await begun("0055", "ann"), {
        record: { key: KEY, user: "ann", status: "processing", size: 4_711, uploadedAt: NOON },
      });
      const expected: ImageRecord = { key: KEY, user: "ann", status: "completed", ...COMPLETION, uploadedAt: NOON, processedAt: later(2) };
      assert.deepEqual(await store.finish(run("0055"), { completion: COMPLETION }, later(2)), { record: expected });
      assert.deepEqual(await store.get(KEY), expected);
    });

    it("may fail, and says why", async () => {
      await begun("0055", "ann");
      const failure = { code: "CORRUPT" as const, message: "Row 3 is damaged." };
      const { record } = stored(await store.finish(run("0055"), { failure }, later(1)));
      assert.deepEqual(record, { key: KEY, user: "ann", status: "failed", size: 4_711, uploadedAt: NOON, processedAt: later(1), failure });
    });

    it("may fail before it has begun, and the image is known by that", async () => {
      const failure = { code: "INTERNAL" as const, message: "No." };
      const { record } = stored(await store.finish(run("0055"), { failure, size: 9 }, later(1)));
      assert.deepEqual(record, { key: KEY, status: "failed", size: 9, uploadedAt: later(1), processedAt: later(1), failure });
    });

    it("gets the user of the record, not the one of the object, where both say", async () => {
      await announced({ user: "ann" });
      const answer = await begun("0055", "mallory");
      assert.equal(answer !== "stale" && answer.record.user, "ann");
    });
  });

  describe("events that come again", () => {
    it("run again while nothing is stored, and the first result counts", async () => {
      await begun("0055");
      assert.notEqual(await begun("0055"), "stale");
      assert.notEqual(await store.finish(run("0055", { execution: "one" }), { completion: COMPLETION }, later(2)), "stale");
      assert.equal(await store.finish(run("0055", { execution: "two" }), { completion: COMPLETION }, later(3)), "stale");
    });

    it("are stale once they have their result, but for a redrive", async () => {
      await completed("0055");
      assert.equal(await begun("0055"), "stale");
      assert.notEqual(await store.begin(run("0055", { redrive: true }), { uploadedAt: NOON }), "stale");
      assert.equal((await store.get(KEY))?.status, "processing");
    });

    it("get their own result again when the answer was lost on the way", async () => {
      await begun("0055", "ann");
      const first = await store.finish(run("0055", { execution: "one" }), { completion: COMPLETION }, later(2));
      assert.deepEqual(await store.finish(run("0055", { execution: "one" }), { completion: COMPLETION }, later(9)), first);
    });

    it("may complete what another delivery could not for want of infrastructure, but not change a verdict on the image", async () => {
      for (const [code, improved] of [
        ["INTERNAL", true],
        ["CORRUPT", false],
      ] as const) {
        const key = `uploads/${code}.png`;
        await store.begin(run("0055", { key }), { uploadedAt: NOON });
        await store.finish(run("0055", { key }), { failure: { code, message: "" } }, later(1));
        assert.equal((await store.finish(run("0055", { key }), { completion: COMPLETION }, later(2))) !== "stale", improved, code);
      }
    });
  });

  describe("events in the wrong order", () => {
    it("leave the newer result when the older one comes late", async () => {
      await completed("0056");
      assert.equal(await begun("0055"), "stale");
      assert.equal(await store.finish(run("0055"), { completion: COMPLETION }, later(9)), "stale");
    });

    it("let a newer version take over from one that is under way", async () => {
      await begun("0055");
      await begun("0056");
      assert.equal(await store.finish(run("0055"), { completion: COMPLETION }, later(2)), "stale");
      assert.notEqual(await store.finish(run("0056"), { completion: COMPLETION }, later(3)), "stale");
    });

    it("are told by sequencers of different lengths as if those were padded with zeros", async () => {
      await completed("00555");
      assert.equal(await begun("0055500"), "stale", "the same");
      assert.equal(await begun("0055"), "stale", "older");
      assert.notEqual(await begun("00556"), "stale", "newer");
    });
  });

  describe("a version that replaces another", () => {
    it("tells what it replaced, as that was, so that its variants and tags can go", async () => {
      const old = stored(await completed("0055", "ann", { tags: [{ name: "Dog", confidence: 70 }] })).record;
      await begun("0056", "ann", later(100));
      const { record, replaced } = stored(await store.finish(run("0056"), { completion: COMPLETION }, later(102)));
      assert.equal(record.uploadedAt, later(100));
      assert.deepEqual([replaced?.uploadedAt, replaced?.tags, replaced?.variants], [NOON, old.tags, old.variants]);
    });

    it("shows nothing of the old one while it is processed", async () => {
      await completed("0055");
      await begun("0056", "ann", later(100));
      assert.deepEqual(await store.get(KEY), { key: KEY, user: "ann", status: "processing", size: 4_711, uploadedAt: later(100) });
    });

    it("tells it also when it fails, and the retry tells it again", async () => {
      await completed("0055");
      await begun("0056");
      const fail = () => store.finish(run("0056", { execution: "one" }), { failure: { code: "CORRUPT", message: "" } }, later(9));
      assert.deepEqual(stored(await fail()).replaced?.variants, COMPLETION.variants);
      assert.deepEqual(stored(await fail()).replaced?.variants, COMPLETION.variants);
    });
  });

  describe("a failure of the infrastructure", () => {
    it("does not make what was there before it forgotten: the redrive replaces that", async () => {
      await completed("0055");
      await begun("0056");
      await store.finish(run("0056"), { failure: { code: "INTERNAL", message: "" } }, later(5));
      await store.begin(run("0056", { redrive: true }), { uploadedAt: later(1) });
      const { replaced } = stored(await store.finish(run("0056"), { completion: COMPLETION }, later(9)));
      assert.deepEqual(replaced?.variants, COMPLETION.variants);
    });
  });

  describe("a deletion", () => {
    it("leaves a tombstone that nobody sees, and returns what was there", async () => {
      const { record } = stored(await completed("0055"));
      assert.deepEqual(await store.bury(KEY, { sequencer: "0060", at: later(60) }), record);
      assert.equal(await store.get(KEY), undefined);
      assert.deepEqual(await store.getMany([KEY]), []);
      for (const query of [{}, { user: "ann" }, { status: "completed" as const }])
        assert.deepEqual((await store.list({ ...query, limit: 9 })).items, []);
    });

    it("beats events from before it, and gives way to those from after it", async () => {
      await completed("0055");
      await store.bury(KEY, { sequencer: "0060", at: later(60) });
      assert.equal(await begun("0055"), "stale", "again");
      assert.equal(await begun("0059"), "stale", "late");
      assert.equal(await store.begin(run("0055", { redrive: true }), { uploadedAt: NOON }), "stale", "redriven");
      assert.notEqual(await begun("0061"), "stale", "new");
    });

    it("beats a run that is under way", async () => {
      await begun("0055");
      await store.bury(KEY, { at: later(1) });
      assert.equal(await store.finish(run("0055"), { completion: COMPLETION }, later(2)), "stale");
      assert.equal(await begun("0055"), "stale");
      assert.equal(await store.begin(run("0055", { redrive: true }), { uploadedAt: NOON }), "stale", "not even redriven");
    });

    it("that comes before the creation it belongs to beats that too", async () => {
      assert.equal(await store.bury(KEY, { sequencer: "0060", at: later(60) }), undefined);
      assert.equal(await begun("0055"), "stale");
    });

    it("that comes late leaves the newer image alone", async () => {
      await completed("0061");
      assert.equal(await store.bury(KEY, { sequencer: "0060", at: later(60) }), undefined);
      assert.equal((await store.get(KEY))?.status, "completed");
    });

    it("returns it again when it is asked again, as whoever cleaned up may have died half-way", async () => {
      await completed("0055");
      await store.bury(KEY, { sequencer: "0060", at: later(60) });
      const again = await store.bury(KEY, { sequencer: "0060", at: later(60) });
      assert.deepEqual([again?.variants, again?.tags, again?.user], [COMPLETION.variants, COMPLETION.tags, "ann"]);
    });

    it("of what nobody knows leaves nothing", async () => {
      assert.equal(await store.bury(KEY, { at: NOON }), undefined);
      assert.equal(await has(KEY), false);
    });

    it("leaves the next upload's announcement, and says which image has gone", async () => {
      await completed("0055");
      await announced({ overwrite: true });
      const gone = await store.bury(KEY, { sequencer: "0060", at: later(60) });
      assert.deepEqual(gone?.variants, COMPLETION.variants);
      assert.equal((await store.get(KEY))?.status, "processing");
      assert.equal(await begun("0059"), "stale");
      await store.withdraw(KEY);
      assert.equal(await store.get(KEY), undefined);
      assert.equal(await begun("0059"), "stale", "the tombstone beneath is there");
    });
  });

  describe("an announcement", () => {
    it("is a record before there is an image", async () => {
      assert.equal(await announced(), true);
      assert.deepEqual(await store.get(KEY), { key: KEY, user: "ann", status: "processing", uploadedAt: NOON });
    });

    it("can be made again by its user, and by others once its time is over", async () => {
      await announced();
      assert.equal(await announced({ at: later(1) }), true);
      assert.equal(await announced({ user: "bob", at: later(900) }), false);
      assert.equal(await announced({ user: "bob", at: later(902) }), true);
      assert.equal((await store.get(KEY))?.user, "bob");
    });

    it("is refused where an image is, of whatever user, unless its own user overwrites it", async () => {
      for (const state of ["processing", "completed"]) {
        const key = `uploads/${state}.png`;
        await store.begin(run("0055", { key }), { user: "ann", uploadedAt: NOON });
        if (state === "completed") await store.finish(run("0055", { key }), { completion: COMPLETION }, later(1));
        assert.equal(await announced({ key }), false, `${state}: ann`);
        assert.equal(await announced({ key, user: "bob", overwrite: true }), false, `${state}: bob overwrites`);
        assert.equal(await announced({ key, overwrite: true }), true, `${state}: ann overwrites`);
      }
    });

    it("keeps others from overwriting what is only announced", async () => {
      await announced();
      assert.equal(await announced({ user: "bob", overwrite: true, at: later(1) }), false);
    });

    it("that came to nothing is taken back; what has begun stays", async () => {
      await announced();
      await store.withdraw(KEY);
      assert.equal(await has(KEY), false);
      await begun("0055");
      await store.withdraw(KEY);
      assert.equal((await store.get(KEY))?.status, "processing");
    });

    it("that came to nothing gives back the image that it was to overwrite", async () => {
      const { record } = stored(await completed("0055"));
      await announced({ overwrite: true, at: later(50) });
      assert.equal((await store.get(KEY))?.status, "processing");
      assert.equal(await begun("0055"), "stale", "the old image's event, again");
      await store.withdraw(KEY);
      assert.deepEqual(await store.get(KEY), record);
    });

    it("can be made where an image was deleted, and the deletion still beats late events", async () => {
      await completed("0055");
      await store.bury(KEY, { sequencer: "0060", at: later(60) });
      assert.equal(await announced({ user: "bob", at: later(70) }), true);
      assert.equal(await announced({ user: "bob", at: later(71) }), true, "and again");
      assert.equal(await begun("0059"), "stale");
      assert.notEqual(await begun("0061"), "stale");
      assert.equal((await store.get(KEY))?.user, "bob");
    });
  });

  describe("whose an image is", () => {
    const attributed = (user: string) => store.attribute({ key: KEY, user, at: NOON });

    it("may be told before anything else, and announces it", async () => {
      assert.deepEqual(await attributed("ann"), { key: KEY, user: "ann", status: "processing", uploadedAt: NOON });
      const answer = await begun("0055", "mallory");
      assert.equal(answer !== "stale" && answer.record.user, "ann");
    });

    it("may be told while it is processed, or after", async () => {
      await begun("0055");
      assert.equal((await attributed("ann")).status, "processing");
      const { record } = stored(await store.finish(run("0055"), { completion: COMPLETION }, later(2)));
      assert.equal(record.user, "ann");
      await begun("0056");
      assert.equal((await attributed("bob")).user, "ann", "what is known stays");
    });

    it("can be told of a result without changing anything else of it", async () => {
      await begun("0055");
      const { record } = stored(await store.finish(run("0055"), { completion: COMPLETION }, later(2)));
      assert.deepEqual(await attributed("ann"), { ...record, user: "ann" });
      assert.deepEqual(await store.get(KEY), { ...record, user: "ann" });
      assert.deepEqual((await store.list({ user: "ann", limit: 9 })).items, [{ ...record, user: "ann" }]);
    });
  });

  describe("a run without an event, by whoever tells whose an image is", () => {
    const by = (execution: string, sequencer = "") => run(sequencer, { etag: "e", execution });
    const begin = (told: Run) => store.begin(told, { uploadedAt: NOON });

    it("leaves the version to the run that has begun with it, by its event or by another one", async () => {
      await begin(by("event", "0055"));
      assert.equal(await begin(by("owner")), "stale");
      assert.notEqual(await begin(by("event", "0055")), "stale", "that one may begin again");
    });

    it("begins where there is none, and again when it has died", async () => {
      assert.notEqual(await begin(by("owner")), "stale");
      assert.notEqual(await begin(by("owner")), "stale");
      assert.equal(await begin(by("another")), "stale");
      assert.notEqual(await begin(by("event", "0055")), "stale", "what the event tells counts more");
    });
  });

  describe("a redrive whose event was lost", () => {
    const lost = (etag: string) => run("", { etag, redrive: true });

    it("runs for the version that is there, and stores its result once", async () => {
      await completed("0055");
      assert.notEqual(await store.begin(lost("etag-0055"), { uploadedAt: NOON }), "stale");
      assert.notEqual(await store.finish(lost("etag-0055"), { completion: COMPLETION }, later(2)), "stale");
      assert.equal(await store.finish(lost("etag-0055"), { completion: COMPLETION }, later(3)), "stale");
      assert.equal(await begun("0054"), "stale", "late events are still known");
    });

    it("gives way to a version that has come meanwhile", async () => {
      await store.begin(lost("etag-0055"), { uploadedAt: NOON });
      await begun("0056");
      assert.equal(await store.finish(lost("etag-0055"), { completion: COMPLETION }, later(2)), "stale");
    });

    it("is the version that its event tells of, which comes after all", async () => {
      const told = run("0055", { etag: "e" });
      await store.begin(lost("e"), { uploadedAt: NOON });
      assert.notEqual(await store.begin(told, { uploadedAt: NOON }), "stale", "while it is under way");
      assert.notEqual(await store.finish(lost("e"), { completion: COMPLETION }, later(2)), "stale");
      assert.equal(await store.begin(told, { uploadedAt: NOON }), "stale");
      assert.equal(await store.finish(told, { completion: COMPLETION }, later(3)), "stale");
    });

    it("leaves it to the event to do what has been given up", async () => {
      await store.begin(lost("e"), { uploadedAt: NOON });
      await store.finish(lost("e"), { failure: { code: "INTERNAL", message: "lost" } }, later(1));
      const told = run("0055", { etag: "e" });
      assert.notEqual(await store.begin(told, { uploadedAt: NOON }), "stale");
      assert.notEqual(await store.finish(told, { completion: COMPLETION }, later(2)), "stale");
    });

    it("runs for an announced upload whose event never came", async () => {
      await announced();
      assert.notEqual(await store.begin(lost("e"), { uploadedAt: NOON }), "stale");
      assert.notEqual(await store.finish(lost("e"), { completion: COMPLETION }, later(2)), "stale");
    });
  });

  describe("what is stuck", () => {
    it("is what has been processing since before, oldest first, begun or only announced", async () => {
      const begin = (key: string, at: string, execution?: string) => {
        now = new Date(at);
        return store.begin(run("0055", { key, ...(execution && { execution }) }), { uploadedAt: at });
      };
      await begin("uploads/2", later(20), "run-2");
      await begin("uploads/1", later(10));
      await begin("uploads/young", later(900));
      await announced({ key: "uploads/3", at: later(30) });
      await begin("uploads/done", later(5));
      await store.finish(run("0055", { key: "uploads/done" }), { completion: COMPLETION }, later(6));
      const stuck = await store.stuck(later(600), 10);
      assert.deepEqual(
        stuck.map(({ record, ...more }) => [record.key, more]),
        [
          ["uploads/1", { begun: true, sequencer: "0055" }],
          ["uploads/2", { begun: true, sequencer: "0055", execution: "run-2" }],
          ["uploads/3", { begun: false }],
        ],
      );
      assert.equal((await store.stuck(later(600), 2)).length, 2);
    });

    it("is not a redrive that has only just begun, however old its image", async () => {
      await completed("0055");
      now = new Date(later(5_000));
      await store.begin(run("0055", { redrive: true }), { uploadedAt: NOON });
      assert.deepEqual(await store.stuck(later(4_400), 10), []);
      assert.equal((await store.stuck(later(5_001), 10)).length, 1);
    });
  });

  describe("listing", () => {
    const keys = async (query: Partial<Parameters<typeof store.list>[0]>) => {
      const found: string[][] = [];
      let cursor: string | undefined;
      do {
        const page = await store.list({ limit: 100, ...query, ...(cursor && { cursor }) });
        found.push(page.items.map(({ key }) => key));
        cursor = page.cursor;
      } while (cursor);
      return found;
    };

    /** Nine images over three years; those of ann are odd, every third has failed. */
    beforeEach(async () => {
      for (let n = 1; n <= 9; n++) {
        const key = `uploads/${n}`;
        const at = `${2024 + Math.floor((n - 1) / 3)}-06-0${n}T00:00:00Z`;
        await store.begin(run("0055", { key }), { user: n % 2 ? "ann" : "bob", uploadedAt: at });
        if (n % 3) await store.finish(run("0055", { key }), { completion: COMPLETION }, at);
        else await store.finish(run("0055", { key }), { failure: { code: "EMPTY", message: "" } }, at);
      }
    });
    const uploads = (...numbers: number[]) => numbers.map((n) => `uploads/${n}`);

    it("is newest first, over the years", async () => {
      assert.deepEqual(await keys({}), [uploads(9, 8, 7, 6, 5, 4, 3, 2, 1)]);
    });

    it("pages without gaps or repetition, and the last page says so", async () => {
      assert.deepEqual(await keys({ limit: 4 }), [uploads(9, 8, 7, 6), uploads(5, 4, 3, 2), uploads(1)]);
      assert.deepEqual(await keys({ limit: 3 }), [uploads(9, 8, 7), uploads(6, 5, 4), uploads(3, 2, 1)]);
      assert.deepEqual(await keys({ limit: 9 }), [uploads(9, 8, 7, 6, 5, 4, 3, 2, 1)]);
    });

    it("by user, by status and by both fills its pages", async () => {
      assert.deepEqual(await keys({ user: "ann", limit: 3 }), [uploads(9, 7, 5), uploads(3, 1)]);
      assert.deepEqual(await keys({ status: "failed" }), [uploads(9, 6, 3)]);
      assert.deepEqual(await keys({ user: "ann", status: "completed", limit: 2 }), [uploads(7, 5), uploads(1)]);
      assert.deepEqual(await keys({ user: "nobody" }), [[]]);
    });

    it("takes times from, included, to, not included, in whatever spelling", async () => {
      const range = { from: "2024-06-03T00:00:00Z", to: "2026-06-08T00:00:00.000Z" };
      assert.deepEqual(await keys(range), [uploads(7, 6, 5, 4, 3)]);
      assert.deepEqual(await keys({ ...range, limit: 2 }), [uploads(7, 6), uploads(5, 4), uploads(3)]);
      assert.deepEqual(await keys({ ...range, user: "bob" }), [uploads(6, 4)]);
      assert.deepEqual(await keys({ ...range, status: "failed" }), [uploads(6, 3)]);
      assert.deepEqual(await keys({ from: range.to, to: range.from }), [[]]);
      assert.deepEqual(await keys({ to: "2024-06-02T00:00:00Z" }), [uploads(1)]);
      assert.deepEqual(await keys({ from: "2026-06-09T00:00:00Z" }), [uploads(9)]);
    });

    it("refuses cursors that it never gave out", async () => {
      for (const forged of ["", "abc", Buffer.from("null").toString("base64url"), Buffer.from("[]").toString("base64url")])
        await assert.rejects(store.list({ limit: 2, cursor: forged }), InvalidCursor, forged);
    });

    it("goes on from a cursor whose image has been deleted since", async () => {
      const { cursor = "" } = await store.list({ limit: 2 });
      await store.bury("uploads/8", { sequencer: "0060", at: NOON });
      assert.deepEqual(
        (await store.list({ limit: 2, cursor })).items.map(({ key }) => key),
        uploads(7, 6),
      );
    });
  });

  it("finds many at once, in the order asked for, without those that are not there", async () => {
    const keys = Array.from({ length: 120 }, (_, i) => `uploads/${i}`);
    await Promise.all(keys.map((key) => store.announce({ key, at: NOON, overwrite: false, lifetime: 1 })));
    const found = await store.getMany([...keys.toReversed(), "uploads/none"]);
    assert.deepEqual(
      found.map(({ key }) => key),
      keys.toReversed(),
    );
  });
}
