import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { type Job, jobOf } from "../../../functions/azure/arrival.js";
import { decoded } from "../../../functions/azure/queue-message.js";
import { type Watched, watch } from "../../../functions/container/watch.js";

const PLACE = { account: "http://127.0.0.1:10000/devstoreaccount1", container: "rawfiles" };
/** Stores tell whole seconds. */
const SECOND = new Date("2026-11-21T12:00:00.000Z");

interface Blob {
  name: string;
  etag: string;
  at?: Date;
}

describe("Where nobody sends events, the look into the container", () => {
  /** What is told when the container is first like this, then like this, …; each look sees the next. */
  const told = async (...looks: Blob[][]): Promise<Job[]> => {
    const jobs: Job[] = [];
    let looked = 0;
    const seen = {
      async *listBlobsFlat() {
        for (const { name, etag, at = SECOND } of looks[Math.min(looked++, looks.length - 1)] ?? []) {
          yield { name, properties: { etag, lastModified: at, contentLength: 3 } };
        }
      },
    };
    const end = watch(0.005, {
      account: { blobs: { getContainerClient: () => seen } },
      jobs: { sendMessage: async (text: string) => void jobs.push(jobOf(decoded(text), PLACE)) },
      place: PLACE,
    } as unknown as Watched);
    while (looked <= looks.length) await pause(2);
    await end();
    return jobs;
  };
  const sequencers = (jobs: readonly Job[]) =>
    jobs.map((job) => (job.kind === "created" ? job.arrival.sequencer : job.kind === "deleted" ? job.sequencer : assert.fail()));

  it("tells of every blob once, as Event Grid would", async () => {
    const [job, ...others] = await told([{ name: "a ä/100%.png", etag: "1" }]);
    assert.deepEqual(others, []);
    assert.ok(job?.kind === "created");
    const { sequencer, ...arrival } = job.arrival;
    assert.deepEqual(arrival, { key: "a ä/100%.png", etag: "1", size: 3, at: SECOND.toISOString(), redrive: false });
    assert.ok(sequencer);
  });

  it("tells of what has changed, been deleted and come again, in that order, be it within one second", async () => {
    const jobs = await told(
      [{ name: "a", etag: "1" }],
      [{ name: "a", etag: "2" }],
      [],
      [{ name: "a", etag: "3" }],
      [{ name: "a", etag: "4" }],
    );
    assert.deepEqual(
      jobs.map((job) => (job.kind === "created" ? job.arrival.etag : job.kind)),
      ["1", "2", "deleted", "3", "4"],
    );
    const order = sequencers(jobs);
    assert.deepEqual(order, [...order].sort());
    assert.equal(new Set(order).size, 5);
  });

  it("knows a later version from an earlier one after a start, too, and the same one for the same", async () => {
    const [first] = sequencers(await told([{ name: "a", etag: "1" }]));
    const [same] = sequencers(await told([{ name: "a", etag: "1" }]));
    const [later] = sequencers(await told([{ name: "a", etag: "2", at: new Date(SECOND.getTime() + 1_000) }]));
    assert.equal(same, first);
    assert.ok(later && first && later > first);
  });
});
