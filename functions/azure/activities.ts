import type { Failure } from "../core/failures.js";
import type { DeadLetter } from "../core/ports.js";
import type { Metadata, Tag } from "../core/record.js";
import { detectLabels } from "../core/stages/detect-labels.js";
import { extractMetadata } from "../core/stages/extract-metadata.js";
import { generateThumbnails, type Thumbnails } from "../core/stages/generate-thumbnails.js";
import { type Notification, recordFailure, type Stored, storeResults } from "../core/stages/store-results.js";
import { type Arrival, type ValidImage, validate } from "../core/stages/validate.js";
import { type Outcome, outcome } from "./outcomes.js";
import type { Ports } from "./ports.js";
import { SMALLEST } from "./vision.js";

/** What the workflow has gathered of an image once the stages have looked at it. */
export interface Findings {
  image: ValidImage;
  metadata: Metadata;
  thumbnails: Thumbnails;
}

/** Whom a result is to be told: nobody, when another was first. */
export type Announced = { stored: false } | { stored: true; notification: Notification };

/** The stages as activities: what each takes and gives is JSON, which the orchestration keeps in its history. */
export function activities(ports: Ports) {
  const { settings, variants, tags } = ports;
  return {
    async Validate({ arrival }: { arrival: Arrival }): Promise<Outcome<ValidImage>> {
      const result = await outcome(() => validate(arrival, ports));
      if (result.kind !== "found") return result;
      const { stale, ...image } = result.found as { stale: boolean } & ValidImage;
      return stale ? { kind: "stale" } : { kind: "found", found: image };
    },

    GenerateThumbnails: (image: ValidImage): Promise<Outcome<Thumbnails>> => outcome(() => generateThumbnails(image, ports)),

    ExtractMetadata: (image: ValidImage): Promise<Outcome<Metadata>> => outcome(() => extractMetadata(image, ports)),

    async DetectLabels({ image, metadata, thumbnails }: Findings): Promise<Tag[]> {
      if (settings.tagger === "cloud" && !isLargeEnough(thumbnails)) return [];
      return detectLabels({ key: image.run.key, metadata, thumbnails }, { tags, variants, tagger: ports.tagger });
    },

    async StoreResults({ image, metadata, thumbnails, labels }: Findings & { labels: Tag[] }): Promise<Announced> {
      const { fingerprint, variants } = thumbnails;
      return announced(await storeResults(image.run, { ...metadata, ...fingerprint, size: image.size, variants, tags: labels }, ports));
    },

    /** An image that was refused fails with the refusal's code. Of the infrastructure's trouble, the record says only that it was so. */
    async RecordFailure({ arrival, failure }: { arrival: Arrival; failure: Failure }): Promise<Announced> {
      const { size, at: _, user: __, ...run } = arrival;
      return announced(await recordFailure(run, failure, ports, size));
    },

    async Notify(notification: Notification): Promise<void> {
      // One after the other: who comes after one that fails is told once that one is, and not each time that this is tried again.
      for (const notifier of ports.notifiers) await notifier.announce(notification);
    },

    ParkInDeadLetters: (letter: DeadLetter): Promise<void> => ports.deadLetters.park(letter),
  };
}

export type Activities = ReturnType<typeof activities>;

function isLargeEnough({ labelsImage }: Thumbnails): boolean {
  return labelsImage !== undefined && Math.min(labelsImage.width, labelsImage.height) >= SMALLEST;
}

/** The record is in the message; twice would only take room in the history. */
function announced(stored: Stored): Announced {
  return stored.stored ? { stored: true, notification: stored.notification } : stored;
}
