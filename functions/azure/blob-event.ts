import type { Uploads } from "./arrival.js";

/**
 * The event that Event Grid would have sent for a blob where images arrive, in its own schema: what `jobOf` reads.
 *
 * @param at When it happened, ISO 8601.
 * @param data What is known beside the blob's URL.
 */
export function blobEvent(
  type: "BlobCreated" | "BlobDeleted",
  { key, at }: { key: string; at: string },
  { account, container }: Uploads,
  data: object,
): object {
  const path = key.split("/").map(encodeURIComponent).join("/");
  return {
    subject: `/blobServices/default/containers/${container}/blobs/${key}`,
    eventType: `Microsoft.Storage.${type}`,
    eventTime: at,
    data: { ...data, url: `${account.replace(/\/$/, "")}/${container}/${path}` },
  };
}
