import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as s3 from "@pulumi/aws/s3/index.js";
import * as authorization from "@pulumi/azure-native/authorization/index.js";
import * as eventgrid from "@pulumi/azure-native/eventgrid/index.js";
import * as resources from "@pulumi/azure-native/resources/index.js";
import * as storage from "@pulumi/azure-native/storage/index.js";
import * as pulumi from "@pulumi/pulumi";
import { ImagePipeline as PipelineOnAws } from "../../components/aws/image-pipeline.js";
import { ImagePipeline as PipelineOnAzure } from "../../components/azure/image-pipeline.js";
import { type CloudName, startStack } from "../../local/index.js";

/** What both clouds are asked for, where a branch of the declaration depends on it. */
const OPTIONS = {
  notify: { email: "ops@example.org" },
  removal: "retain" as const,
  recovery: { days: 14 },
  logs: { retention: "1000 days" as const },
  origins: ["https://app.example.org"],
  tags: { team: "photos" },
};

/** Somebody's container, and the system topic of its account. */
function companysContainer() {
  const location = "northeurope";
  const { name: resourceGroupName } = new resources.ResourceGroup("company", { location });
  const account = new storage.StorageAccount("companyfiles", {
    resourceGroupName,
    location,
    kind: "StorageV2",
    sku: { name: "Standard_LRS" },
    allowBlobPublicAccess: false,
    allowSharedKeyAccess: false,
    minimumTlsVersion: "TLS1_2",
  });
  const container = new storage.BlobContainer("uploads", { resourceGroupName, accountName: account.name, containerName: "uploads" });
  const topic = new eventgrid.SystemTopic("company-topic", {
    resourceGroupName,
    location,
    source: account.id,
    topicType: "Microsoft.Storage.StorageAccounts",
    identity: { type: "SystemAssigned" },
  });
  const existing = pulumi.interpolate`${account.name}/${container.name}`;
  return { source: { existing }, azure: { source: { resourceGroup: resourceGroupName, systemTopic: topic.name } } };
}

/** Programs that declare what the stacks do not, as they take the defaults. */
const VARIANTS: Readonly<Record<string, { clouds: CloudName[]; config: Record<string, string>; program: () => unknown }>> = {
  "aws-options": {
    clouds: ["aws"],
    config: { "aws:region": "eu-west-1" },
    program: () => new PipelineOnAws("photos", { ...OPTIONS, apiKey: "a-key-of-our-own-choosing", aws: { workflow: "standard" } }),
  },
  "aws-adopted": {
    clouds: ["aws"],
    config: { "aws:region": "eu-west-1" },
    program: () => {
      const { bucket } = new s3.Bucket("company-uploads");
      const events = new s3.BucketNotification("events", { bucket, eventbridge: true });
      const existing = events.id.apply(() => bucket);
      return new PipelineOnAws("photos", { source: { existing }, tagger: "./examples/taggers/shape.ts", auth: "none" });
    },
  },
  "azure-options": {
    clouds: ["azure"],
    config: { "azure-native:location": "westeurope" },
    program: () => {
      // Whoever deploys, as only they can apply the schema.
      const sqlAdministrator = { login: "dba", sid: authorization.getClientConfigOutput().clientId, principalType: "Application" } as const;
      const azure = { container: "photos-in", alwaysReady: 0, maximumInstances: 10, sqlAdministrator };
      return new PipelineOnAzure("photos", { ...OPTIONS, apiKey: "a-key-of-our-own-choosing", azure });
    },
  },
  "azure-kubernetes-options": {
    clouds: ["azure", "kubernetes"],
    config: { "azure-native:location": "westeurope" },
    program: () =>
      new PipelineOnAzure("media", {
        ...OPTIONS,
        tagger: "none",
        azure: {
          hosting: "kubernetes",
          container: "raw",
          processed: "done",
          namespace: "pictures",
          tls: { ingress: "https://media.example.org" },
          replicas: { uploader: { min: 1, max: 1 }, processor: { min: 1, max: 40 } },
          nodes: { size: "Standard_D8as_v5", min: 3, max: 12 },
          tier: "Free",
          authorizedRanges: ["203.0.113.0/24"],
        },
      }),
  },
  "azure-adopted": {
    clouds: ["azure"],
    config: { "azure-native:location": "westeurope" },
    program: () => new PipelineOnAzure("photos", { ...companysContainer(), tagger: "./examples/taggers/shape.ts", auth: "none" }),
  },
  "azure-kubernetes-adopted": {
    clouds: ["azure", "kubernetes"],
    config: { "azure-native:location": "westeurope" },
    program: () => {
      const { source, azure } = companysContainer();
      return new PipelineOnAzure("media", { source, tagger: "statistics", auth: "none", azure: { ...azure, hosting: "kubernetes" } });
    },
  },
};

/** Runs each variant on the embedded cloud, and writes what it declares to `{variant}.json` in a folder, as `--graph` does. */
async function main([folder]: string[]): Promise<void> {
  if (folder === undefined) throw new Error("usage: graphs.ts FOLDER");
  await mkdir(folder, { recursive: true });
  for (const [variant, { clouds, config, program }] of Object.entries(VARIANTS)) {
    const run = async () => void program();
    const stack = await startStack({ project: "image-pipeline", stack: variant, config, clouds, program: run });
    await writeFile(join(folder, `${variant}.json`), JSON.stringify(stack.graph()));
    await stack.stop();
  }
}

await main(process.argv.slice(2));
process.exit();
