import { readFile } from "node:fs/promises";
import path from "node:path";
import { armResource, SUBSCRIPTION, sameId } from "../../../kernel/azure/arm.js";
import { serverCertificate } from "../../../kernel/azure/certificates.js";
import { identityEnvironment, USER_ASSIGNED_IDENTITY } from "../../../kernel/azure/managed-identity.js";
import { issueToken, TOKEN_LIFETIME } from "../../../kernel/azure/tokens.js";
import type { Cloud } from "../../../kernel/cloud.js";
import { CloudError, type Properties, type Resource, type Service } from "../../../kernel/service.js";
import { checkPlan, checkWebApp, memoryOf, NEVER_ON_FLEX, settingsOf } from "./declared.js";
import type { FunctionAppConfig } from "./function-app.js";
import type { Platform } from "./platform.js";
import { Site } from "./site.js";

const PLAN = "azure-native:web:AppServicePlan";
const WEB_APP = "azure-native:web:WebApp";
const STORAGE_ACCOUNT = "azure-native:storage:StorageAccount";

export interface WebOptions {
  /**
   * How long retries take, of activities and of messages, compared with what is declared: 0.01 makes a second ten milliseconds.
   * @default the environment variable EMBEDDED_CLOUD_PACE, else 1
   */
  pace?: number;
}

/** Azure Functions on the Flex Consumption plan: function apps in Node.js from a published zip, each with a host and a worker process. */
export default function web({ pace = Number(process.env.EMBEDDED_CLOUD_PACE ?? 1) }: WebOptions = {}): Service {
  if (!(pace >= 0))
    throw new Error(`EMBEDDED_CLOUD_PACE is "${process.env.EMBEDDED_CLOUD_PACE}": it must be a number that is not negative.`);
  const sites = new Map<string, Site>();
  let folder = "";
  let portTaken = false;

  const siteOf = (id: string) => [...sites.values()].find((site) => sameId(site.id, id));

  /** The site, started where it is not there; a later call with other inputs starts its app anew. */
  const live = async (id: string, name: string, inputs: Properties, cloud: Cloud): Promise<Site> => {
    const config = { ...(await configOf(name, inputs, cloud)), pace };
    const existing = siteOf(id);
    if (existing) {
      await existing.reconfigure(config, await platformOf(name, inputs, cloud));
      return existing;
    }
    const first = portTaken ? undefined : cloud.port;
    portTaken = true;
    const site = await Site.start(
      ...([
        id,
        path.join(folder, name),
        { ...config, ...(first !== undefined && { port: first }) },
        cloud,
        await platformOf(name, inputs, cloud),
      ] as const),
    );
    sites.set(id, site);
    return site;
  };

  return {
    name: "web",
    resources: {
      [PLAN]: armResource({
        type: "Microsoft.Web/serverfarms",
        apiVersion: "2024-11-01",
        inputs: ["resourceGroupName", "name", "location", "kind", "reserved", "sku.name", "sku.tier", "zoneRedundant", "tags"],
        named: { input: "name", maxLength: 60, style: "plain" },
        replacedBy: ["reserved", "sku.name"],
        location: "regional",
        systemData: true,
        check: checkPlan,
        outputs: ({ resourceGroupName, kind, location, reserved, sku, zoneRedundant = false }) => ({
          ...{ resourceGroup: resourceGroupName, subscription: SUBSCRIPTION },
          ...{ kind, reserved, sku, zoneRedundant, status: "Ready", numberOfSites: 0, maximumNumberOfWorkers: 0, numberOfWorkers: 0 },
          ...{ elasticScaleEnabled: false, geoRegion: location, provisioningState: "Succeeded" },
        }),
      }),
      [WEB_APP]: armResource({
        type: "Microsoft.Web/sites",
        apiVersion: "2024-11-01",
        inputs: [
          ...["resourceGroupName", "name", "location", "kind", "serverFarmId", "httpsOnly", "reserved", "clientAffinityEnabled", "tags"],
          ...["identity.type", "identity.userAssignedIdentities", "functionAppConfig", "siteConfig", "publicNetworkAccess"],
          ...["keyVaultReferenceIdentity", "enabled", ...NEVER_ON_FLEX],
        ],
        named: { input: "name", maxLength: 60, style: "plain" },
        location: "regional",
        systemData: true,
        check: checkWebApp,
        async outputs(inputs, { id, name, cloud }) {
          const { hosts } = await live(id, name, inputs, cloud);
          return outputsOf(name, inputs, hosts, cloud);
        },
        async deleted({ id }) {
          await siteOf(id)?.remove();
          sites.delete(id);
        },
      }),
    },
    functions: {
      async "azure-native:web:listWebAppHostKeys"({ name }) {
        const site = [...sites.values()].find(({ app }) => app.config.name === name);
        if (!site) throw new CloudError("ResourceNotFound", `There is no function app "${name}".`, 404);
        const { master, default: all, durable } = site.keys;
        return { masterKey: master, functionKeys: { default: all }, systemKeys: { durabletask_extension: durable } };
      },
    },
    async start(_cloud, own) {
      folder = own;
    },
    async stop() {
      await Promise.all([...sites.values()].map((site) => site.stop()));
      sites.clear();
    },
  };
}

function outputsOf(name: string, inputs: Properties, hosts: { app: string; scm: string }, cloud: Cloud): Properties {
  const { resourceGroupName, kind, serverFarmId, httpsOnly = false, functionAppConfig, identity, reserved = true } = inputs;
  const host = (address: string, hostType: string) => ({ name: address, hostType, sslState: "Disabled" });
  const assigned: string[] = identity?.userAssignedIdentities ?? [];
  const about = (id: string) => identityWith(id, cloud)?.outputs ?? {};
  return {
    ...{ kind, serverFarmId, httpsOnly, functionAppConfig, reserved, enabled: true, state: "Running" },
    ...(identity && {
      identity: {
        type: identity.type,
        userAssignedIdentities: Object.fromEntries(
          assigned.map((id) => [id, { principalId: about(id).principalId, clientId: about(id).clientId }]),
        ),
      },
    }),
    defaultHostName: hosts.app,
    hostNames: [hosts.app],
    enabledHostNames: [hosts.app, hosts.scm],
    hostNameSslStates: [host(hosts.app, "Standard"), host(hosts.scm, "Repository")],
    repositorySiteName: name,
    resourceGroup: resourceGroupName,
    lastModifiedTimeUtc: cloud.now().toISOString(),
    outboundIpAddresses: "127.0.0.1",
    possibleOutboundIpAddresses: "127.0.0.1",
    usageState: "Normal",
    availabilityState: "Normal",
    sku: "FlexConsumption",
  };
}

const identityWith = (id: string, { resources }: Cloud): Resource | undefined =>
  resources.all(USER_ASSIGNED_IDENTITY).find((resource) => sameId(resource.id, id));

async function configOf(name: string, inputs: Properties, cloud: Cloud): Promise<Omit<FunctionAppConfig, "keys">> {
  const userAssigned: string[] = inputs.identity?.userAssignedIdentities ?? [];
  const missing = userAssigned.find((id) => !identityWith(id, cloud));
  if (missing) throw new CloudError("FailedIdentityOperation", `${name}: the identity ${missing} does not exist.`, 400);
  const { authority } = await serverCertificate(cloud.folder);
  return {
    name,
    settings: settingsOf(inputs),
    memory: memoryOf(inputs),
    environment: {
      ...(userAssigned.length > 0 ? identityEnvironment(cloud, { userAssigned }) : {}),
      NODE_EXTRA_CA_CERTS: authority,
      WEBSITE_SITE_NAME: name,
      WEBSITE_SKU: "FlexConsumption",
      FUNCTIONS_EXTENSION_VERSION: "~4",
      AZURE_FUNCTIONS_ENVIRONMENT: "Production",
      TZ: "UTC",
      ...ofSystem(),
    },
  };
}

/** What a process of Node.js needs of the system that it runs on. */
function ofSystem(): Record<string, string> {
  if (process.platform !== "win32") return { PATH: "/usr/local/bin:/usr/bin:/bin", LANG: "en_US.UTF-8" };
  return Object.fromEntries(["SystemRoot", "PATH", "TEMP"].flatMap((key) => (process.env[key] ? [[key, process.env[key]]] : [])));
}

async function platformOf(name: string, inputs: Properties, cloud: Cloud): Promise<Platform> {
  const { authority } = await serverCertificate(cloud.folder);
  const assigned: string[] = inputs.identity?.userAssignedIdentities ?? [];
  return {
    async token(clientId, audience) {
      const held = assigned.flatMap((id) => identityWith(id, cloud) ?? []);
      const one =
        clientId === undefined ? (held.length === 1 ? held[0] : undefined) : held.find(({ outputs }) => outputs.clientId === clientId);
      if (!one)
        throw new Error(
          `${name} has no identity ${clientId === undefined ? "of its own: say which by __clientId" : `with the client id ${clientId}`}.`,
        );
      const { principalId: objectId, clientId: application } = one.outputs;
      const token = await issueToken(cloud, { objectId, clientId: application, name: one.outputs.name, audience });
      return { token, expiresAt: new Date(cloud.now().getTime() + TOKEN_LIFETIME * 1_000) };
    },
    endpointsOf(account) {
      const found = cloud.resources.all(STORAGE_ACCOUNT).find(({ outputs }) => outputs.name === account);
      if (!found) throw new Error(`There is no storage account "${account}".`);
      const { queue, table } = found.outputs.primaryEndpoints as Record<string, string>;
      return { queue: String(queue).replace(/\/+$/, ""), table: String(table).replace(/\/+$/, "") };
    },
    authority: await readFile(authority, "utf8"),
    onQueueMessage: (listener) =>
      cloud.trace.listen(({ kind, subject, detail }) => {
        if (kind === "call" && subject === "storage" && detail?.operation === "PutMessage" && detail.status === "done") listener("");
      }),
    outward: (response) => cloud.outward(response),
    trace: (entry) => cloud.trace.add(entry),
    log: ({ level, message, functionName, invocationId, category }) =>
      cloud.trace.add({
        kind: "log",
        subject: name,
        text: functionName ? `[${functionName}] ${message}` : message,
        detail: { level, category, functionName, invocationId },
      }),
    busy: (work) => cloud.busy(work),
  };
}
