import { randomUUID } from "node:crypto";
import type { QueueClient } from "@azure/storage-queue";
import type { ObjectInfo, Workflow } from "../core/ports.js";
import { jobOf, type Uploads } from "./arrival.js";
import { encoded } from "./queue-message.js";

/** The orchestration, started the way it always is: by a message in the queue. */
export class QueueWorkflow implements Workflow {
  constructor(
    private readonly jobs: QueueClient,
    private readonly uploads: Uploads,
  ) {}

  async redrive(object: ObjectInfo, event?: unknown): Promise<void> {
    const message = {
      ...(isAbout(event, object, this.uploads) ? event : createdEvent(object, this.uploads)),
      redrive: true,
      redriveId: randomUUID(),
    };
    await this.jobs.sendMessage(encoded(message), { messageTimeToLive: -1 });
  }
}

/** Is this the event of the version that is there? A parked one may be of an older version, or of a deletion. */
function isAbout(event: unknown, object: ObjectInfo, uploads: Uploads): event is object {
  try {
    const job = jobOf(event, uploads);
    return job.kind === "created" && job.arrival.key === object.key && job.arrival.etag === object.etag;
  } catch {
    return false;
  }
}

/** The event that Event Grid would have sent, but for the sequencer, which only the store knows. */
function createdEvent({ key, size, etag, contentType, modifiedAt }: ObjectInfo, { account, container }: Uploads): object {
  const path = key.split("/").map(encodeURIComponent).join("/");
  return {
    id: randomUUID(),
    subject: `/blobServices/default/containers/${container}/blobs/${key}`,
    eventType: "Microsoft.Storage.BlobCreated",
    eventTime: modifiedAt,
    data: {
      api: "Redrive",
      url: `${account.replace(/\/$/, "")}/${container}/${path}`,
      eTag: etag,
      contentType,
      contentLength: size,
      blobType: "BlockBlob",
    },
    dataVersion: "",
    metadataVersion: "1",
  };
}
