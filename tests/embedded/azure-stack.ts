import { TableClient } from "@azure/data-tables";
import { ContainerClient } from "@azure/storage-blob";
import { QueueClient } from "@azure/storage-queue";
import type { ResourceTransform } from "@pulumi/pulumi";
import sql from "mssql";
import { ImagePipeline, type ImagePipelineArgs } from "../../components/azure/image-pipeline.js";
import { type DeveloperAccess, developerAccess, type EmbeddedStack, type StackOptions, startStack } from "../../local/index.js";
import { Client } from "../conformance/client.js";

/** A pipeline on the embedded Azure, in this process: what a test looks at beside URL and key, with the clients that a person would use. */
export interface EmbeddedAzure {
  stack: EmbeddedStack;
  client: Client;
  access: DeveloperAccess;
  /** By a SAS. */
  container(name: string): ContainerClient;
  /** By the developer's roles, as are tables. */
  queue(name: string): QueueClient;
  table(name: string): TableClient;
  /** Runs a query with an ordinary client. */
  rows(query: string): Promise<Record<string, unknown>[]>;
  /** Ends the clients, then the stack. */
  stop(): Promise<void>;
}

/** Runs `new ImagePipeline("photos", args)` on an embedded Azure. */
export async function startPipeline(
  args: ImagePipelineArgs = {},
  { transforms = [], ...options }: { transforms?: ResourceTransform[] } & Partial<StackOptions> = {},
): Promise<EmbeddedAzure> {
  const stack = await startStack({
    project: "tests",
    stack: "azure",
    config: { "azure-native:location": "westeurope" },
    clouds: ["azure"],
    program: async () => {
      const photos = new ImagePipeline("photos", args, { transforms });
      const { url, apiKey, uploads, thumbnails, topic, workflow, records, deadLetters } = photos;
      return { url, apiKey, uploads, thumbnails, topic, workflow, records, deadLetters };
    },
    ...options,
  });
  const { outputs } = stack;
  const access = await developerAccess(stack.cloud);
  const credential = { getToken: async () => ({ token: access.storageToken, expiresOnTimestamp: Date.now() + 3_600_000 }) };
  const one = <Each extends { name: string }>(among: Each[], name: string): Each => {
    const found = among.find((each) => each.name === name);
    if (!found) throw new Error(`There is no ${name}: ${among.map(({ name }) => name).join(", ")}`);
    return found;
  };
  let pool: Promise<sql.ConnectionPool> | undefined;
  return {
    stack,
    client: new Client({ url: outputs.url, key: outputs.apiKey }),
    access,
    container: (name) => new ContainerClient(one(access.containers, name).url),
    queue: (name) => new QueueClient(one(access.queues, name).url, credential),
    table: (name) => new TableClient(one(access.tables, name).url, name, credential),
    async rows(query) {
      pool ??= new sql.ConnectionPool(access.databases[0]?.connectionString as string).connect();
      return (await (await pool).request().query(query)).recordset;
    },
    async stop() {
      await (await pool?.catch(() => undefined))?.close();
      await stack.stop();
    },
  };
}
