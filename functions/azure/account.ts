import { TableClient } from "@azure/data-tables";
import type { TokenCredential } from "@azure/identity";
import { BlobServiceClient } from "@azure/storage-blob";
import { type QueueClient, QueueServiceClient } from "@azure/storage-queue";
import { environment } from "./environment.js";
import { DelegationKeys, type Signing } from "./object-store.js";

/** The storage account's services, as whoever the app is. */
export interface Account {
  blobs: BlobServiceClient;
  /** What tickets and links are signed with. */
  signing: Signing;
  queue(name: string): QueueClient;
  table(name: string): TableClient;
}

export const retryOptions = { maxTries: 4, retryDelayInMs: 200, maxRetryDelayInMs: 4_000 };
export const tableRetryOptions = { maxRetries: retryOptions.maxTries - 1, retryDelayInMs: 200, maxRetryDelayInMs: 4_000 };

/** The declared account, reached by an identity. */
export function accountOf(credential: TokenCredential): Account {
  const { STORAGE_BLOB_URL, STORAGE_QUEUE_URL, STORAGE_TABLE_URL } = environment(
    "STORAGE_BLOB_URL",
    "STORAGE_QUEUE_URL",
    "STORAGE_TABLE_URL",
  );
  const blobs = new BlobServiceClient(STORAGE_BLOB_URL, credential, { retryOptions });
  const queues = new QueueServiceClient(STORAGE_QUEUE_URL, credential, { retryOptions });
  return {
    blobs,
    signing: new DelegationKeys(blobs),
    queue: (name) => queues.getQueueClient(name),
    table: (name) => new TableClient(STORAGE_TABLE_URL, name, credential, { retryOptions: tableRetryOptions }),
  };
}
