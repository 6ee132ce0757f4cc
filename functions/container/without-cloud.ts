import { AzureNamedKeyCredential, TableClient } from "@azure/data-tables";
import type { TokenCredential } from "@azure/identity";
import {
  type BlobSASSignatureValues,
  BlobServiceClient,
  generateBlobSASQueryParameters,
  type SASQueryParameters,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";
import { StorageSharedKeyCredential as QueueKeyCredential, QueueServiceClient } from "@azure/storage-queue";
import { type Account, retryOptions, tableRetryOptions } from "../azure/account.js";
import { environment } from "../azure/environment.js";
import type { Signing } from "../azure/object-store.js";
import { options } from "./environment.js";
import { TableRecordStore } from "./table-record-store.js";

/*
 * For compose.yaml: the same containers on Azurite, which has no identities, beside no database and no program that declares anything. In the cloud
 * none of this is used: the program declares no key, and accounts of its own have none that opens them.
 */

/** Is the account reached by its key? */
export function isByKey(): boolean {
  return options("STORAGE_ACCOUNT_KEY").STORAGE_ACCOUNT_KEY !== undefined;
}

/** Whoever reaches the account by its key is nobody to other services. */
export const NOBODY: TokenCredential = {
  getToken: () =>
    Promise.reject(new Error("There is no identity here: the account is reached by its key, and nothing else can be reached.")),
};

/** The declared account, reached by its key. */
export function keyedAccount(): Account {
  const { STORAGE_ACCOUNT_NAME: name, STORAGE_ACCOUNT_KEY: key } = options("STORAGE_ACCOUNT_NAME", "STORAGE_ACCOUNT_KEY");
  if (name === undefined || key === undefined) throw new Error("STORAGE_ACCOUNT_NAME is not set: the key is that account's.");
  const { STORAGE_BLOB_URL, STORAGE_QUEUE_URL, STORAGE_TABLE_URL } = environment(
    "STORAGE_BLOB_URL",
    "STORAGE_QUEUE_URL",
    "STORAGE_TABLE_URL",
  );
  const credential = new StorageSharedKeyCredential(name, key);
  const queues = new QueueServiceClient(STORAGE_QUEUE_URL, new QueueKeyCredential(name, key), { retryOptions });
  return {
    blobs: new BlobServiceClient(STORAGE_BLOB_URL, credential, { retryOptions }),
    signing: new AccountKey(credential),
    queue: (queue) => queues.getQueueClient(queue),
    table: (table) =>
      new TableClient(STORAGE_TABLE_URL, table, new AzureNamedKeyCredential(name, key), {
        allowInsecureConnection: STORAGE_TABLE_URL.startsWith("http:"),
        retryOptions: tableRetryOptions,
      }),
  };
}

/** Records in the account's tables. */
export function tableRecords(account: Account): TableRecordStore {
  return new TableRecordStore(account.table(recordsTable()));
}

/** Makes what a program would have declared, and lets pages of any origin upload with their tickets. Doing it twice is no error. */
export async function prepareAccount(): Promise<void> {
  const { blobs, queue, table } = keyedAccount();
  const names = environment("UPLOADS_CONTAINER", "PROCESSED_CONTAINER", "JOB_QUEUE", "DEAD_LETTER_QUEUE", "TAGS_TABLE");
  await Promise.all([
    ...[names.UPLOADS_CONTAINER, names.PROCESSED_CONTAINER].map((name) => blobs.getContainerClient(name).createIfNotExists()),
    ...[names.JOB_QUEUE, names.DEAD_LETTER_QUEUE].map((name) => queue(name).createIfNotExists()),
    ...[names.TAGS_TABLE, recordsTable()].map((name) => table(name).createTable()),
    blobs.setProperties({
      cors: [{ allowedOrigins: "*", allowedMethods: "PUT", allowedHeaders: "*", exposedHeaders: "ETag", maxAgeInSeconds: 3_600 }],
    }),
  ]);
}

function recordsTable(): string {
  const { RECORDS_TABLE } = options("RECORDS_TABLE");
  if (RECORDS_TABLE === undefined)
    throw new Error("RECORDS_TABLE is not set: where the account is reached by its key, records are in its tables.");
  return RECORDS_TABLE;
}

class AccountKey implements Signing {
  constructor(private readonly credential: StorageSharedKeyCredential) {}

  async sign(values: BlobSASSignatureValues): Promise<SASQueryParameters> {
    return generateBlobSASQueryParameters(values, this.credential);
  }
}
