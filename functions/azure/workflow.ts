import { randomUUID } from "node:crypto";
import type { QueueClient } from "@azure/storage-queue";
import type { ObjectInfo, Workflow } from "../core/ports.js";
import { type Job, jobOf, keyOf, type Uploads } from "./arrival.js";
import { blobEvent } from "./blob-event.js";
import { encoded } from "./queue-message.js";

/** The orchestration, started the way it always is: by a message in the queue. */
export class QueueWorkflow implements Workflow {
  constructor(
    private readonly jobs: QueueClient,
    private readonly uploads: Uploads,
  ) {}

  async redrive(object: ObjectInfo, events: readonly unknown[] = []): Promise<void> {
    const parked = events
      .flatMap((event) => this.read(event))
      .filter(({ job }) => keyOf(job) === object.key || job.otherKey === object.key);
    const created = parked.find(({ job }) => isAbout(job, object))?.event;
    const [user] = parked.flatMap(({ job }) => userIn(job) ?? []);
    const message = {
      ...(created ?? createdEvent(object, this.uploads)),
      ...(user !== undefined && { user }),
      redrive: true,
      redriveId: randomUUID(),
    };
    await this.jobs.sendMessage(encoded(message), { messageTimeToLive: -1 });
  }

  deletionIn(event: unknown): string | undefined {
    const [job] = this.read(event).map(({ job }) => job);
    return job?.kind === "deleted" && job.sequencer !== "" ? job.sequencer : undefined;
  }

  /** What a parked event asks for; nothing, if nobody can read it. */
  private read(event: unknown): { event: object; job: Job }[] {
    try {
      return [{ event: event as object, job: jobOf(event, this.uploads) }];
    } catch {
      return [];
    }
  }
}

/** Is this about the version that is there? What is parked may be of an older one, or of a deletion. */
function isAbout(job: Job, { etag }: ObjectInfo): boolean {
  return job.kind === "created" && job.arrival.etag === etag;
}

/** Whose image it is: as a message of its uploader says, or what was redriven because of one. */
function userIn(job: Job): string | undefined {
  return job.kind === "owned" ? job.user : job.kind === "created" ? job.arrival.user : undefined;
}

/** The event of this version, but for the sequencer, which only the store knows. */
function createdEvent({ key, size, etag, contentType, modifiedAt }: ObjectInfo, uploads: Uploads): object {
  const data = { api: "Redrive", eTag: etag, contentType, contentLength: size, blobType: "BlockBlob" };
  return { id: randomUUID(), ...blobEvent("BlobCreated", { key, at: modifiedAt }, uploads, data), dataVersion: "", metadataVersion: "1" };
}
