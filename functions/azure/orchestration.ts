import { type OrchestrationContext, RetryOptions, type Task } from "durable-functions";
import { FAILURES, type Failure } from "../core/failures.js";
import type { Metadata, Tag } from "../core/record.js";
import type { Thumbnails } from "../core/stages/generate-thumbnails.js";
import type { Arrival, ValidImage } from "../core/stages/validate.js";
import type { Activities, Announced } from "./activities.js";
import { type Outcome, type Trouble, troubleOf } from "./outcomes.js";

/** What an orchestration starts with. */
export interface Input {
  arrival: Arrival;
  /** The event or message that started it, whole, so that it can be redriven. */
  event: unknown;
}

/** How an orchestration ended: with a result; refused, which is a result too; or overtaken by a newer event, a deletion or another delivery. */
export type Ending = "completed" | "refused" | "superseded";

/** Attempts at one activity: for two minutes, which is longer than a database moves or a service is away for. The SDKs within try for seconds. */
const ATTEMPTS = 8;
/** At finding labels: for seven minutes, as AI Vision takes 20 pictures a second, of however many arrive at once. */
const ATTEMPTS_AT_LABELS = 13;
/** Milliseconds before the second attempt; each further one waits twice as long, up to the most. */
const AGAIN = { first: 1_000, most: 60_000 };

/**
 * The workflow: Validate → (GenerateThumbnails ∥ ExtractMetadata) → DetectLabels → StoreResults → Notify.
 *
 * A refused image is a result, and a success of the workflow: RecordFailure → Notify. What the infrastructure could not do goes to the dead letters,
 * whole, and is recorded and announced, and the orchestration fails.
 *
 * It is replayed from its history: nothing here may depend on anything but its input and what activities gave.
 */
export function* processImage(context: OrchestrationContext): Generator<Task, Ending, unknown> {
  const { df } = context;
  const { arrival: told, event } = df.getInput<Input>();
  const arrival: Arrival = { ...told, execution: df.instanceId };
  const startedAt = df.currentUtcDateTime.toISOString();
  let isStored = false;
  try {
    return yield* process();
  } catch (error) {
    const trouble = troubleOf(error);
    yield* park(trouble);
    throw new Error(`${trouble.code}: ${trouble.message}`);
  }

  function* process(): Generator<Task, Ending, unknown> {
    const valid = (yield call("Validate", { arrival })) as Outcome<ValidImage>;
    if (valid.kind !== "found") return yield* notFound(valid);
    const image = valid.found;
    const [thumbnails, metadata] = (yield df.Task.all([call("GenerateThumbnails", image), call("ExtractMetadata", image)])) as [
      Outcome<Thumbnails>,
      Outcome<Metadata>,
    ];
    // What the header says of a bad image counts before what the decoder says.
    if (metadata.kind === "refused") return yield* notFound(metadata);
    if (thumbnails.kind !== "found") return yield* notFound(thumbnails);
    if (metadata.kind !== "found") return yield* notFound(metadata);
    const findings = { image, metadata: metadata.found, thumbnails: thumbnails.found };
    const labels = (yield call("DetectLabels", findings)) as Tag[];
    const stored = (yield call("StoreResults", { ...findings, labels })) as Announced;
    return yield* announce(stored, "completed");
  }

  function* notFound(outcome: Exclude<Outcome<never>, { kind: "found" }>): Generator<Task, Ending, unknown> {
    if (outcome.kind === "stale") return "superseded";
    return yield* announce(yield* recordFailure(outcome.failure), "refused");
  }

  function* recordFailure(failure: Failure): Generator<Task, Announced, unknown> {
    return (yield call("RecordFailure", { arrival, failure })) as Announced;
  }

  function* announce(stored: Announced, ending: Ending): Generator<Task, Ending, unknown> {
    if (!stored.stored) return "superseded";
    isStored = true;
    yield call("Notify", stored.notification);
    return ending;
  }

  /** Each step is tried, whatever becomes of the others: what is left of it then is the record, the letter, or the failed orchestration. */
  function* park(trouble: Trouble): Generator<Task, void, unknown> {
    const steps = [
      () => only("ParkInDeadLetters", { key: arrival.key, event, error: trouble, at: startedAt }),
      function* () {
        // What could not be announced has its result, which stays.
        if (isStored) return;
        const stored = yield* recordFailure({ code: "INTERNAL", message: FAILURES.INTERNAL });
        if (stored.stored) yield call("Notify", stored.notification);
      },
    ];
    for (const step of steps) {
      try {
        yield* step();
      } catch (error) {
        context.error(`Parking ${arrival.key} failed: ${troubleOf(error).message}`);
      }
    }
  }

  function* only(name: keyof Activities, input: unknown): Generator<Task, void, unknown> {
    yield call(name, input);
  }

  function call(name: keyof Activities, input: unknown): Task {
    df.setCustomStatus({ stage: name });
    return df.callActivityWithRetry(name, retries(name), input);
  }
}

function retries(name: keyof Activities): RetryOptions {
  const options = new RetryOptions(AGAIN.first, name === "DetectLabels" ? ATTEMPTS_AT_LABELS : ATTEMPTS);
  options.backoffCoefficient = 2;
  options.maxRetryIntervalInMilliseconds = AGAIN.most;
  return options;
}
