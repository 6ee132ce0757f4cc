import type { Cloud } from "../../../kernel/cloud.js";
import type { HttpResponse } from "../../../kernel/http.js";
import type { Resource } from "../../../kernel/service.js";

/** What is known of a blob when it came or went. */
export interface Change {
  /** Of the operation, in the event's words: `"PutBlob"`, `"PutBlockList"`, `"CopyBlob"`, `"DeleteBlob"`. */
  api: string;
  account: Resource;
  container: string;
  blob: string;
  /** Answer to `Get Blob Properties`, after it came or before it went. */
  properties: HttpResponse;
  clientRequestId: string | undefined;
  requestId: string;
}

/** Sequencers of one process: they grow, also over restarts. 32 hexadecimal digits. */
export class Sequencers {
  #last = 0n;

  next(now: Date): string {
    const byClock = BigInt(now.getTime()) << 16n;
    this.#last = byClock > this.#last ? byClock : this.#last + 1n;
    return this.#last.toString(16).toUpperCase().padStart(32, "0");
  }
}

/** Publishes what Event Grid delivers as `Microsoft.Storage.BlobCreated` and `BlobDeleted`. */
export function publishChange(cloud: Cloud, sequencer: string, change: Change): void {
  const { api, account, container, blob, properties, clientRequestId, requestId } = change;
  const headers = properties.headers as Record<string, string | undefined>;
  const url = `${account.outputs.primaryEndpoints.blob}${container}/${blob.split("/").map(encodeURIComponent).join("/")}`;
  cloud.publish({
    source: "Microsoft.Storage",
    type: api === "DeleteBlob" ? "Microsoft.Storage.BlobDeleted" : "Microsoft.Storage.BlobCreated",
    resources: [account.id],
    detail: {
      subject: `/blobServices/default/containers/${container}/blobs/${blob}`,
      data: {
        api,
        ...(clientRequestId !== undefined && { clientRequestId }),
        requestId,
        ...(headers.etag !== undefined && { eTag: headers.etag.replaceAll('"', "") }),
        contentType: headers["content-type"] ?? "application/octet-stream",
        contentLength: Number(headers["content-length"] ?? 0),
        blobType: headers["x-ms-blob-type"] ?? "BlockBlob",
        url,
        sequencer,
        storageDiagnostics: { batchId: requestId },
      },
    },
  });
}
