import { type Activities, activities } from "../azure/activities.js";
import type { Outcome } from "../azure/outcomes.js";
import type { Ports } from "../azure/ports.js";
import { type Notification, resumeResults } from "../core/stages/store-results.js";
import type { Arrival, ValidImage } from "../core/stages/validate.js";

/** How a run ended: with a result; refused, which is a result too; or overtaken by a newer event, a deletion or another delivery. */
export type Ending = "completed" | "refused" | "superseded";

/** What a run starts with. */
export interface Input {
  arrival: Arrival & { execution: string };
  /** The execution has been begun before, and died. */
  again: boolean;
}

/** What a run needs to know of whoever runs it. */
export interface Execution {
  /** Is the work still this process's? Whoever has it by now announces the result. */
  held(): boolean;
  /** Does one stage, and takes its time. */
  stage<Result>(name: keyof Activities, work: () => Promise<Result>): Promise<Result>;
}

/**
 * The workflow in one go: Validate → (GenerateThumbnails ∥ ExtractMetadata) → DetectLabels → StoreResults → Notify.
 *
 * A refused image is a result, and a success of the workflow: RecordFailure → Notify. What the infrastructure could not do is thrown. Then, as
 * after a crash, the same execution may be run again from the start: what it has stored is stored once, and what it has announced has the same id.
 */
export async function processImage({ arrival, again }: Input, ports: Ports, { held, stage }: Execution): Promise<Ending> {
  const stages = activities(ports);
  const stored = (again || arrival.redrive) && (await resumed());
  if (stored) return again ? announce(stored) : "superseded";

  const valid = await stage("Validate", () => stages.Validate({ arrival }));
  if (valid.kind !== "found") return unfound(valid);
  const image = valid.found;
  const [thumbnails, metadata] = await both(
    stage("GenerateThumbnails", () => stages.GenerateThumbnails(image)),
    stage("ExtractMetadata", () => stages.ExtractMetadata(image)),
  );
  // What the header says of a bad image counts before what the decoder says.
  if (metadata.kind === "refused") return unfound(metadata);
  if (thumbnails.kind !== "found") return unfound(thumbnails);
  if (metadata.kind !== "found") return unfound(metadata);
  const findings = { image, metadata: metadata.found, thumbnails: thumbnails.found };
  const labels = await stage("DetectLabels", () => stages.DetectLabels(findings));
  const result = await stage("StoreResults", () => stages.StoreResults({ ...findings, labels }));
  return result.stored ? announce(result.notification) : "superseded";

  async function resumed(): Promise<Notification | undefined> {
    return (await resumeResults(arrival, ports))?.notification;
  }

  async function unfound(outcome: Exclude<Outcome<ValidImage>, { kind: "found" }>): Promise<Ending> {
    if (outcome.kind === "stale") return "superseded";
    const result = await stage("RecordFailure", () => stages.RecordFailure({ arrival, failure: outcome.failure }));
    return result.stored ? announce(result.notification) : "superseded";
  }

  async function announce(notification: Notification): Promise<Ending> {
    if (!held()) return "superseded";
    await stage("Notify", () => stages.Notify(notification));
    return notification.status === "completed" ? "completed" : "refused";
  }
}

/** Both results, or the first one's trouble; but not before both have ended, so that nothing goes on behind whoever tries again. */
async function both<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([a, b]);
  return [await a, await b];
}
