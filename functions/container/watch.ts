import type { BlobItem, BlobServiceClient } from "@azure/storage-blob";
import type { QueueClient } from "@azure/storage-queue";
import type { Uploads } from "../azure/arrival.js";
import { blobEvent } from "../azure/blob-event.js";
import { encoded } from "../azure/queue-message.js";
import { repeatedly } from "./repeatedly.js";

/** A blob as it was seen last. */
interface Seen {
  /** Empty when it was gone. */
  etag: string;
  sequencer: string;
}

/** What is looked into, and who is told. */
export interface Watched {
  account: { blobs: Pick<BlobServiceClient, "getContainerClient"> };
  jobs: Pick<QueueClient, "sendMessage">;
  place: Uploads;
}

/**
 * Stands in for Event Grid, which Azurite does not have: looks into the container every so many seconds, and puts an event into the queue for every
 * blob that is new, changed or gone. After a start every blob is told of again; what is processed already is known by its event's sequencer.
 *
 * @returns ends it.
 */
export function watch(seconds: number, { account, jobs, place }: Watched): () => Promise<void> {
  const container = account.blobs.getContainerClient(place.container);
  const known = new Map<string, Seen>();
  const tell = (event: object) => jobs.sendMessage(encoded(event));
  return repeatedly(seconds, "the look for uploads", async () => {
    const there = new Set<string>();
    for await (const blob of container.listBlobsFlat()) {
      there.add(blob.name);
      const before = known.get(blob.name);
      const { etag = "" } = blob.properties;
      if (before?.etag === etag) continue;
      const sequencer = sequencerOf(blob, before);
      const { contentLength, lastModified } = blob.properties;
      const written = { key: blob.name, at: lastModified.toISOString() };
      await tell(blobEvent("BlobCreated", written, place, { eTag: etag, contentLength, sequencer }));
      known.set(blob.name, { etag, sequencer });
    }
    for (const [name, seen] of known) {
      if (there.has(name) || seen.etag === "") continue;
      const sequencer = later(seen.sequencer, Date.now());
      await tell(blobEvent("BlobDeleted", { key: name, at: new Date().toISOString() }, place, { sequencer }));
      known.set(name, { etag: "", sequencer });
    }
  });
}

/** The same for the same version, also after a start; greater for a later one, also within the second that the store's clock tells. */
function sequencerOf({ properties }: BlobItem, before: Seen | undefined): string {
  const at = properties.lastModified.getTime();
  return before === undefined ? padded(at, 0) : later(before.sequencer, at);
}

function later(sequencer: string, at: number): string {
  const [time = 0, count = 0] = sequencer.split(".").map((part) => Number.parseInt(part, 16));
  return at > time ? padded(at, 0) : padded(time, count + 1);
}

const padded = (time: number, count: number) => `${time.toString(16).padStart(12, "0")}.${count.toString(16).padStart(6, "0")}`;
