import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { createHash } from "node:crypto";
import { FAILURES } from "../../../../functions/core/failures.js";
import { render } from "../../../../functions/core/image/render.js";
import { recordFailure, type Stored } from "../../../../functions/core/stages/store-results.js";
import { memoryPorts } from "../memory-ports.js";
import { encoder, scene } from "../pictures.js";
import { deliver, type Ports, run, type StoreEvent, settings, Uploads } from "./pipeline.js";

const KEY = "uploads/it";
const SEEDS = 300;

/** The worker was killed at a call to a port. */
class Killed extends Error {}

// One for all schedules: on Node 20 every storage that was ever entered is copied with each promise, for as long as the process lives.
const runOf = new AsyncLocalStorage<symbol>();

/** Lets concurrent runs take turns at each call to a port, in an order that a seed fixes, and kills some. */
class Interleaving {
  private readonly random: () => number;
  private readonly live = new Set<symbol>();
  private waiting: { run: symbol; go: (killed: boolean) => void }[] = [];
  private last: symbol | undefined;
  private readonly immortal = new Set<symbol>();

  constructor(
    seed: number,
    /** How likely a call kills its run. */
    private readonly killing: number,
  ) {
    let state = seed * 2_654_435_761;
    this.random = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
    };
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.random() * items.length)] as Item;
  }

  chance(of: number): boolean {
    return this.random() < of;
  }

  shuffled<Item>(items: readonly Item[]): Item[] {
    return items
      .map((item) => [this.random(), item] as const)
      .sort(([a], [b]) => a - b)
      .map(([, item]) => item);
  }

  /** Ports whose every call waits for its turn. */
  ports(ports: Ports): Ports {
    const turns = <Port extends object>(port: Port): Port =>
      new Proxy(port, {
        get: (target, name) => {
          const member = Reflect.get(target, name);
          if (typeof member !== "function") return member;
          return async (...args: unknown[]) => {
            await this.turn();
            try {
              return await member.apply(target, args);
            } finally {
              this.proceed();
            }
          };
        },
      });
    const { clock, uploads, variants, records, tags, deadLetters, workflow } = ports;
    return {
      clock,
      uploads: turns(uploads),
      variants: turns(variants),
      records: turns(records),
      tags: turns(tags),
      deadLetters: turns(deadLetters),
      workflow: turns(workflow),
    };
  }

  async start<Result>(work: () => Promise<Result>, { killed = true } = {}): Promise<Result> {
    const id = Symbol();
    this.live.add(id);
    if (!killed) this.immortal.add(id);
    try {
      return await runOf.run(id, work);
    } finally {
      this.live.delete(id);
      this.proceed();
    }
  }

  /** Lets others go on for some steps. */
  async pause(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) await this.turn();
  }

  private turn(): Promise<void> {
    const run = runOf.getStore();
    if (!run) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.waiting.push({ run, go: (killed) => (killed ? reject(new Killed()) : resolve()) });
      this.proceed();
    });
  }

  /** One goes on when every run that is not waiting has ended: so the order does not depend on time. */
  private proceed(): void {
    setImmediate(() => {
      const stopped = new Set(this.waiting.map(({ run }) => run));
      if (this.waiting.length === 0 || [...this.live].some((run) => !stopped.has(run))) return;
      // In bursts, so that one run may overtake another by far.
      const again = this.waiting.filter(({ run }) => run === this.last);
      const next = this.pick(again.length > 0 && this.chance(0.8) ? again : this.waiting);
      this.waiting = this.waiting.filter((one) => one !== next);
      this.last = next.run;
      next.go(this.chance(this.killing) && !this.immortal.has(next.run));
    });
  }
}

const contents = {
  photo: await encoder(scene(48, 36)).jpeg().toBuffer(),
  other: await encoder(scene(30, 50)).jpeg().toBuffer(),
  // Its variants are of another format, and lie elsewhere.
  transparent: await encoder(scene(40, 40, 4))
    .png()
    .toBuffer(),
  broken: Buffer.from("I am no picture."),
};

/** What there must be in the end, and nothing else. */
async function assertShows(ports: Ports, bytes: Buffer | undefined): Promise<void> {
  const record = await ports.records.get(KEY);
  const variants = ports.variants.keys;
  const rows = [...ports.tags.rows.values()].map(({ key, uploadedAt, tag }) => `${key} ${uploadedAt} ${tag}`).sort();
  if (!bytes) return assert.deepEqual({ record, variants, rows }, { record: undefined, variants: [], rows: [] });
  assert.ok(record);
  assert.deepEqual(rows, (record.tags ?? []).map(({ name }) => `${KEY} ${record.uploadedAt} ${name}`).sort());
  if (bytes === contents.broken) {
    return assert.deepEqual([record.status, record.failure?.code, variants], ["failed", "UNSUPPORTED_FORMAT", []]);
  }
  assert.deepEqual([record.status, record.sha256], ["completed", createHash("sha256").update(bytes).digest("hex")]);
  assert.deepEqual(variants, (record.variants ?? []).map(({ key }) => key).sort());
  const { renditions } = await render(bytes, { ...settings, labelsImage: false });
  for (const [index, variant] of (record.variants ?? []).entries())
    assert.deepEqual(ports.variants.bytes(variant.key), renditions[index]?.bytes);
}

/** Changes of one key, whose events come as they like. */
async function play(seed: number, { killing }: { killing: number }): Promise<void> {
  const order = new Interleaving(seed, killing);
  const ports = memoryPorts();
  const uploads = new Uploads(ports);
  const taken = order.ports(ports);
  const told: Stored[] = [];
  const failed: StoreEvent[] = [];
  const running: Promise<void>[] = [];
  let deliveries = 0;
  let last: Buffer | undefined;

  const tell = (stored: Stored | undefined) => {
    if (stored?.stored) told.push(stored);
  };
  /** Of a run that is killed, its workflow catches the failure, and records it. A deletion is tried again. */
  const work = async (event: StoreEvent): Promise<void> => {
    const execution = `delivery ${++deliveries}`;
    const delivered = "created" in event ? { created: { ...event.created, execution } } : event;
    try {
      tell(await order.start(() => deliver(delivered, taken)));
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      failed.push(event);
      if (!("created" in delivered)) return order.start(() => deliver(delivered, taken), { killed: false }).then(tell);
      const failure = { code: "INTERNAL", message: FAILURES.INTERNAL } as const;
      tell(
        await order.start(() => recordFailure(delivered.created, failure, { ...taken, settings }, delivered.created.size), {
          killed: false,
        }),
      );
    }
  };

  await order.start(
    async () => {
      const pending: StoreEvent[] = [];
      for (let changes = 2 + (seed % 4); changes > 0; changes--) {
        if (order.chance(0.3)) {
          last = undefined;
          pending.push(await uploads.delete(KEY));
        } else {
          last = order.pick(Object.values(contents));
          pending.push(await uploads.put(KEY, last));
        }
        if (order.chance(0.4)) pending.push(pending.at(-1) as StoreEvent);
        // Some are delivered now, and are under way while the next change is made.
        for (const event of order.shuffled(pending)) {
          if (order.chance(0.4)) continue;
          pending.splice(pending.indexOf(event), 1);
          running.push(work(event));
        }
        await order.pause(order.pick([0, 1, 3, 8]));
      }
      for (const event of order.shuffled(pending)) running.push(work(event));
    },
    { killed: false },
  );
  await Promise.all(running);

  // What failed because of the infrastructure is redriven by somebody; so is what came back while it was cleaned away.
  const current = await ports.uploads.head(KEY);
  const internal = (await ports.records.get(KEY))?.failure?.code === "INTERNAL";
  if (current && (internal || ports.workflow.started.length > 0)) {
    tell(await run({ key: KEY, sequencer: "", etag: current.etag, size: current.size, at: current.modifiedAt, redrive: true }, ports));
  }

  await assertShows(ports, last);
  if (failed.length > 0 || !last || ports.workflow.started.length > 0) return;
  const final = await ports.records.get(KEY);
  assert.equal(told.filter((stored) => stored.stored && stored.record.uploadedAt === final?.uploadedAt).length, 1, "told once");
}

describe("Whatever happens to events, the effect is that of the last change", () => {
  it(`when they come twice, late, and in any order (${SEEDS} schedules)`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) await play(seed, { killing: 0 }).catch((error) => explain(seed, error));
  });

  it(`when workers are killed at any step, too (${SEEDS} schedules)`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) await play(seed, { killing: 0.04 }).catch((error) => explain(seed, error));
  });
});

function explain(seed: number, error: Error): never {
  throw new Error(`With seed ${seed}: ${error.message}`, { cause: error });
}
