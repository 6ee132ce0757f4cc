import { request } from "node:https";
import { TableClient } from "@azure/data-tables";
import { BlobServiceClient } from "@azure/storage-blob";
import { type QueueClient, QueueServiceClient } from "@azure/storage-queue";
import { BlobObjectStore, DelegationKeys } from "../../../functions/azure/object-store.js";
import type { Resource } from "../../../local/kernel/service.js";
import storage from "../../../local/services/azure/storage/index.js";
import { storageAccount, testAzure } from "../../local/services/azure/azure-cloud.js";

export interface TestStorage {
  /** A container as an object store, of an identity that may do all that the app may. */
  container(name: string, as?: Resource): Promise<BlobObjectStore>;
  blobs(as?: Resource): BlobServiceClient;
  queue(name: string, as?: Resource): Promise<QueueClient>;
  table(name: string): Promise<TableClient>;
  /** Somebody to whom nothing is granted. */
  stranger: Resource;
  /** What of the blobs' addresses comes before the container. */
  url: string;
  /** A request with nothing but what is given. */
  send(
    url: string,
    method?: string,
    headers?: Record<string, string>,
    body?: string,
  ): Promise<{ status: number; headers: object; body: string }>;
  stop(): Promise<void>;
}

/** A storage account on the embedded cloud, with the roles that the program gives its Function App. */
export async function testStorage(): Promise<TestStorage> {
  const azure = await testAzure([storage()]);
  const account = await storageAccount(azure);
  const [app, stranger] = [await azure.identity("app"), await azure.identity("stranger")];
  for (const role of ["blobContributor", "blobDelegator", "queueContributor", "tableContributor"] as const)
    await azure.grant(app, role, account.id);
  const options = await azure.options();
  const { blob: url, queue: queues, table: tables } = account.outputs.primaryEndpoints;
  const accountName = account.outputs.name;
  const blobs = (as = app) => new BlobServiceClient(url, azure.credential(as), options);
  return {
    blobs,
    stranger,
    url,
    async container(containerName, as) {
      if (!as) await azure.declare("azure-native:storage:BlobContainer", containerName, { accountName, containerName });
      return new BlobObjectStore(new DelegationKeys(blobs(as)), blobs(as), containerName);
    },
    async queue(queueName, as = app) {
      if (as === app) await azure.declare("azure-native:storage:Queue", queueName, { accountName, queueName });
      return new QueueServiceClient(queues, azure.credential(as), options).getQueueClient(queueName);
    },
    async table(tableName) {
      await azure.declare("azure-native:storage:Table", tableName, { accountName, tableName });
      return new TableClient(tables, tableName, azure.credential(app), options);
    },
    send: (address, method = "GET", headers = {}, body = "") =>
      new Promise((resolve, reject) => {
        const length = { "content-length": String(Buffer.byteLength(body)) };
        const outgoing = request(
          address,
          { method, headers: { ...length, ...headers }, ca: options.tlsOptions.ca, agent: false },
          (answer) => {
            const chunks: Buffer[] = [];
            answer.on("data", (chunk: Buffer) => chunks.push(chunk));
            answer.on("end", () =>
              resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks).toString() }),
            );
          },
        );
        outgoing.on("error", reject);
        outgoing.end(body);
      }),
    stop: () => azure.test.stop(),
  };
}
