import { type Activities, activities } from "../azure/activities.js";
import { type Job, jobOf, keyOf, UnreadableMessage, underItsOwnKey } from "../azure/arrival.js";
import { type Trouble, troubleIn } from "../azure/outcomes.js";
import type { Ports } from "../azure/ports.js";
import { FAILURES } from "../core/failures.js";
import { attribute } from "../core/stages/attribute.js";
import { cleanUp } from "../core/stages/clean-up.js";
import type { Arrival } from "../core/stages/validate.js";
import type { Delivery } from "./delivery.js";
import { log, shown } from "./log.js";
import { type Ending, type Execution, processImage } from "./process-image.js";

/**
 * What became of a delivery: how its run ended; what else it asked for was done; it waits for the image's own event; it will be tried again; it was
 * parked; it is somebody else's.
 */
export type Result = Ending | "deleted" | "attributed" | "retried" | "parked" | "lost";

/** Who is told of what happens. */
export interface Observer {
  stage(name: keyof Activities, seconds: number, succeeded: boolean): void;
}

export interface WorkOptions {
  ports: Ports;
  /** Deliveries of a message after which it is parked. */
  attempts: number;
  /** Seconds before a message comes again that has failed once: twice as many after each attempt, up to 60. */
  retryAfter: number;
  observer: Observer;
}

/** Seconds before a message comes again, at most. */
const LONGEST_WAIT = 60;

type Held = Pick<Delivery, "id" | "attempt" | "message" | "held" | "complete" | "release">;

/**
 * Does what one message asks for, and settles it: it is deleted when all is stored and announced, or parked among the dead letters; it comes again
 * when the infrastructure failed, until its attempts are used up. The last attempts may have ended the whole process: then it is parked untried.
 *
 * @returns what became of it, and which image it is about, where it can be read.
 */
export async function work(delivery: Held, options: WorkOptions): Promise<{ result: Result; key?: string }> {
  let job: Job;
  try {
    job = jobOf(delivery.message, options.ports.place);
  } catch (error) {
    if (!(error instanceof UnreadableMessage)) throw error;
    return { result: await give(delivery, { code: "UNREADABLE", message: error.message }, undefined, options.ports) };
  }
  return { result: await settle(job, delivery, options), key: keyOf(job) };
}

async function settle(told: Job, delivery: Held, { ports, attempts, retryAfter, observer }: WorkOptions): Promise<Result> {
  const { id, attempt } = delivery;
  if (attempt > attempts) {
    const message = `Processing has been tried ${attempts} times, and ended without a word each time: the processor's log may say why.`;
    return give(delivery, { code: "UNDELIVERED", message }, told, ports);
  }
  // Whole seconds: the queue takes no others.
  const wait = Math.ceil(Math.min(retryAfter * 2 ** (attempt - 1), LONGEST_WAIT));
  let job = told;
  try {
    job = await underItsOwnKey(told, ports.uploads);
    // The event for the same blob is about to come, or has: two runs of one version would do all the work twice.
    if (job.kind === "owned" && attempt === 1 && attempts > 1 && (await arrivalOf(job, ports)))
      return (await delivery.release(wait)) ? "attributed" : "lost";
    const result = await perform(job, delivery, ports, observer);
    return (await delivery.complete()) ? result : "lost";
  } catch (error) {
    const level = attempt < attempts ? "warn" : "error";
    log(level, "a message could not be worked on", { id, attempt, key: keyOf(job), error: shown(error) });
    if (attempt >= attempts) return give(delivery, troubleIn(error), job, ports);
    return (await delivery.release(wait)) ? "retried" : "lost";
  }
}

async function perform(job: Job, delivery: Held, ports: Ports, observer: Observer): Promise<Result> {
  if (job.kind === "deleted") {
    await cleanUp(job, ports);
    return "deleted";
  }
  const arrival = await arrivalOf(job, ports);
  // It came and went: whoever uploads again tells again.
  if (!arrival) return "superseded";
  const execution: Execution = { held: () => delivery.held, stage: (name, work) => timed(name, work, observer) };
  return processImage({ arrival: { ...arrival, execution: executionOf(job, delivery.id) }, again: delivery.attempt > 1 }, ports, execution);
}

/** Which version of which image a message is about; whose it is, is written down first where that is what it tells. */
async function arrivalOf(job: Exclude<Job, { kind: "deleted" }>, ports: Ports): Promise<Arrival | undefined> {
  if (job.kind === "created") return job.arrival;
  const { key, user } = job;
  const object = await ports.uploads.head(key);
  if (!object) return undefined;
  await attribute({ key, user, at: object.modifiedAt }, ports);
  // Event Grid's event for this blob may never come: then this starts the run.
  return { key, sequencer: "", etag: object.etag, size: object.size, user, at: object.modifiedAt, redrive: false };
}

/** The same for every delivery of a message, and for every message about one redrive. */
function executionOf(job: Job, id: string): string {
  return job.kind === "created" && job.redriveId !== undefined ? `redrive-${job.redriveId}` : `message-${id}`;
}

/**
 * Gives a message up: parks it, whole, so that it can be redriven, and records and announces the failure. Each step is tried, whatever becomes of
 * the others; only what could not be parked comes again.
 */
async function give(delivery: Held, trouble: Trouble, told: Job | undefined, ports: Ports): Promise<Result> {
  if (!delivery.held) return "lost";
  // The store may be what is in the way.
  const job = told && (await underItsOwnKey(told, ports.uploads).catch(() => told));
  const key = job === undefined ? "" : keyOf(job);
  try {
    await ports.deadLetters.park({ key, event: delivery.message, error: trouble, at: ports.clock.now().toISOString() });
  } catch (error) {
    log("error", "a message could not be parked", { id: delivery.id, key, error: shown(error) });
    return (await delivery.release(LONGEST_WAIT)) ? "retried" : "lost";
  }
  if (job && job.kind !== "deleted") {
    await recordFailure(job, delivery, ports).catch((error) =>
      log("error", "a failure could not be recorded", { key, error: shown(error) }),
    );
  }
  return (await delivery.complete()) ? "parked" : "lost";
}

async function recordFailure(job: Exclude<Job, { kind: "deleted" }>, delivery: Held, ports: Ports): Promise<void> {
  const arrival = await arrivalOf(job, ports);
  if (!arrival) return;
  const { RecordFailure, Notify } = activities(ports);
  const failure = { code: "INTERNAL", message: FAILURES.INTERNAL } as const;
  const result = await RecordFailure({ arrival: { ...arrival, execution: executionOf(job, delivery.id) }, failure });
  if (result.stored) await Notify(result.notification);
}

async function timed<Answer>(name: keyof Activities, work: () => Promise<Answer>, observer: Observer): Promise<Answer> {
  const since = performance.now();
  let succeeded = false;
  try {
    const answer = await work();
    succeeded = true;
    return answer;
  } finally {
    observer.stage(name, (performance.now() - since) / 1_000, succeeded);
  }
}
