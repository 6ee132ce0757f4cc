import { mkdtemp, rm } from "node:fs/promises";
import type { Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { AzureNamedKeyCredential, TableClient } from "@azure/data-tables";
import { BlobServiceClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { StorageSharedKeyCredential as QueueKeyCredential, QueueServiceClient } from "@azure/storage-queue";

/** Azurite's own account, which everybody knows. */
const NAME = "devstoreaccount1";
const KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

export interface TestAzurite {
  /** What containers are told of it. */
  environment: Record<
    "STORAGE_BLOB_URL" | "STORAGE_QUEUE_URL" | "STORAGE_TABLE_URL" | "STORAGE_ACCOUNT_NAME" | "STORAGE_ACCOUNT_KEY",
    string
  >;
  blobs: BlobServiceClient;
  queues: QueueServiceClient;
  table(name: string): TableClient;
  stop(): Promise<void>;
}

interface AzuriteServer {
  readonly httpServer: Server;
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Azurite in this process, by plain HTTP, with its own account and key, empty. */
export async function testAzurite(): Promise<TestAzurite> {
  const folder = await mkdtemp(path.join(tmpdir(), "azurite-"));
  const require = createRequire(import.meta.url);
  const load = (module: string) => require(`azurite/dist/src/${module}.js`).default as new (...args: unknown[]) => AzuriteServer;
  const at = (name: string) => path.join(folder, name);
  const extents = (store: string) => [{ locationId: "Default", locationPath: at(`${store}-extents`), maxConcurrency: 50 }];
  const files = (store: string) => [at(`${store}.json`), at(`${store}-extents.json`), extents(store)];
  // No access log, no debug log; loose, any API version.
  const rest = { files: [false, undefined, false, undefined], table: [false, false, undefined, undefined] };
  const behaviour = [true, true, "", "", "", undefined, true, false];
  const configured = (store: string, name: string, ...given: unknown[]) =>
    new (load(`${store}/${name}Server`))(new (load(`${store}/${name}Configuration`))("127.0.0.1", 0, 30, ...given, ...behaviour));
  const servers = {
    blob: configured("blob", "Blob", ...files("blob"), ...rest.files),
    queue: configured("queue", "Queue", ...files("queue"), ...rest.files),
    table: configured("table", "Table", at("table.json"), ...rest.table),
  };
  await Promise.all(Object.values(servers).map((server) => server.start()));
  const url = (store: keyof typeof servers) => `http://127.0.0.1:${(servers[store].httpServer.address() as AddressInfo).port}/${NAME}`;
  const options = { retryOptions: { maxTries: 1 } };
  return {
    environment: {
      STORAGE_BLOB_URL: url("blob"),
      STORAGE_QUEUE_URL: url("queue"),
      STORAGE_TABLE_URL: url("table"),
      STORAGE_ACCOUNT_NAME: NAME,
      STORAGE_ACCOUNT_KEY: KEY,
    },
    blobs: new BlobServiceClient(url("blob"), new StorageSharedKeyCredential(NAME, KEY), options),
    queues: new QueueServiceClient(url("queue"), new QueueKeyCredential(NAME, KEY), options),
    table: (name) => new TableClient(url("table"), name, new AzureNamedKeyCredential(NAME, KEY), { allowInsecureConnection: true }),
    async stop() {
      for (const { httpServer } of Object.values(servers)) httpServer.closeAllConnections();
      await Promise.all(Object.values(servers).map((server) => server.close()));
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
