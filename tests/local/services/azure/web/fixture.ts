import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { strToU8, zipSync } from "fflate";
import { DEPLOYER } from "../../../../../local/kernel/azure/arm.js";
import { issueToken } from "../../../../../local/kernel/azure/tokens.js";
import type { Properties, Resource } from "../../../../../local/kernel/service.js";
import storage from "../../../../../local/services/azure/storage/index.js";
import web from "../../../../../local/services/azure/web/index.js";
import type { TestCloudOptions } from "../../../cloud.js";
import { type ROLES, storageAccount, type TestAzure, testAzure } from "../azure-cloud.js";

export const HOST_JSON = {
  version: "2.0",
  extensions: {
    http: { routePrefix: "" },
    queues: { maxDequeueCount: 3, visibilityTimeout: "00:00:00" },
    durableTask: { hubName: "TestHub" },
  },
};

let bundled: Promise<string> | undefined;

/** The test's app as a zip: bundled as for the cloud, only the module that the worker makes is external. */
export async function packageOf(files: Record<string, string> = {}, host: object = HOST_JSON): Promise<Buffer> {
  bundled ??= build({
    entryPoints: [join(import.meta.dirname, "app", "index.ts")],
    ...{ bundle: true, platform: "node", format: "cjs", target: "node20", write: false, logLevel: "error" },
    external: ["@azure/functions-core"],
  }).then(({ outputFiles }) => outputFiles?.[0]?.text as string);
  const all = { "index.js": await bundled, "package.json": '{"main":"index.js"}', "host.json": JSON.stringify(host), ...files };
  return Buffer.from(zipSync(Object.fromEntries(Object.entries(all).map(([name, text]) => [name, strToU8(text)]))));
}

export interface TestApp {
  azure: TestAzure;
  account: Resource;
  identity: Resource;
  site: Resource;
  /** `http://127.0.0.1:PORT` */
  url: string;
  /** What the app's functions noted, in order. */
  notes(): string[];
  publish(zip: Buffer, token?: string): Promise<{ status: number; text: string }>;
  stop(): Promise<void>;
}

export const siteInputs = ({
  account,
  identity,
  plan,
  notes,
  settings = {},
  memory = 2048,
}: {
  account: Resource;
  identity: Resource;
  plan: Resource;
  notes: string;
  settings?: Record<string, string>;
  memory?: number;
}): Properties => ({
  name: "photosapp",
  kind: "functionapp,linux",
  serverFarmId: plan.id,
  httpsOnly: true,
  identity: { type: "UserAssigned", userAssignedIdentities: [identity.id] },
  functionAppConfig: {
    runtime: { name: "node", version: "22" },
    scaleAndConcurrency: { instanceMemoryMB: memory, maximumInstanceCount: 40 },
  },
  siteConfig: {
    appSettings: Object.entries({
      AzureWebJobsStorage__accountName: account.outputs.name,
      AzureWebJobsStorage__credential: "managedidentity",
      AzureWebJobsStorage__clientId: identity.outputs.clientId,
      AzureWebJobsDisableHomepage: "true",
      JOBS: "jobs",
      NOTES: notes,
      ...settings,
    }).map(([name, value]) => ({ name, value })),
  },
});

/** An embedded Azure with a storage account, a queue, an identity that may all the host needs (but `without`), and the function app, without code. */
export async function testApp({
  without = [],
  memory,
  ...options
}: TestCloudOptions & { without?: (keyof typeof ROLES)[]; memory?: number } = {}): Promise<TestApp> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), "function-app-")));
  const azure = await testAzure([storage(), web()], { ...options, folder });
  const account = await storageAccount(azure);
  await azure.declare("azure-native:storage:Queue", "jobs", { accountName: account.outputs.name, queueName: "jobs" });
  const identity = await azure.identity("worker");
  for (const role of ["queueContributor", "tableContributor", "blobContributor"] as const)
    if (!without.includes(role)) await azure.grant(identity, role, account.id);
  const plan = await azure.declare("azure-native:web:AppServicePlan", "plan", {
    ...{ name: "plan", kind: "functionapp", reserved: true, sku: { name: "FC1", tier: "FlexConsumption" } },
  });
  const notes = join(azure.test.folder, "notes.txt");
  const site = await azure.declare(
    "azure-native:web:WebApp",
    "app",
    siteInputs({ account, identity, plan, notes, ...(memory && { memory }) }),
  );
  return connected({ azure, account, identity, site }, notes);
}

export function connected(parts: Pick<TestApp, "azure" | "account" | "identity" | "site">, notes: string): TestApp {
  const { azure, site } = parts;
  return {
    ...parts,
    url: `http://${site.outputs.defaultHostName}`,
    notes: () => (existsSync(notes) ? readFileSync(notes, "utf8").trim().split("\n") : []),
    async stop() {
      await azure.test.stop();
      // Azurite may still be writing its last state.
      await rm(azure.test.folder, { recursive: true, force: true, maxRetries: 10 });
    },
    async publish(zip, token) {
      const bearer = token ?? (await issueToken(azure.test.cloud, { ...DEPLOYER, audience: "https://management.azure.com" }));
      const headers = { authorization: `Bearer ${bearer}` };
      const scm = `http://${site.outputs.hostNameSslStates.find(({ hostType }: { hostType: string }) => hostType === "Repository").name}`;
      const posted = await fetch(`${scm}/api/publish`, {
        method: "POST",
        headers: { ...headers, "content-type": "application/zip" },
        body: new Uint8Array(zip),
      });
      const said = await posted.text();
      if (posted.status !== 202) return { status: posted.status, text: said };
      for (;;) {
        const response = await fetch(`${scm}/api/deployments/${JSON.parse(said)}`, { headers });
        const { status, message } = (await response.json()) as { status: number; message: string };
        if (status !== 1) return { status, text: message };
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
  };
}

/** Waits until it is so, looking again after whatever the cloud does. */
export async function until<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  what: string,
  limit = 20_000,
): Promise<T> {
  for (const end = Date.now() + limit; Date.now() < end; ) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`It did not come to that within ${limit} ms: ${what}`);
}
