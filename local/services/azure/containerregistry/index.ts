import { join } from "node:path";
import { armResource } from "../../../kernel/azure/arm.js";
import { tokenGuard } from "../../../kernel/azure/authority.js";
import { json, type Route, restProtocol } from "../../../kernel/azure/rest.js";
import { CloudError, type Operation, type Properties, type Service } from "../../../kernel/service.js";
import { ContainerRegistry, ENDPOINT, type Run } from "./registry.js";

const REGISTRY = "azure-native:containerregistry:Registry";
const TYPE = "Microsoft.ContainerRegistry/registries";
const AUDIENCE = "https://management.azure.com";
const API_VERSIONS = ["2019-06-01-preview", "2025-03-01-preview"];

/**
 * Container registries: each answers at its login server, where also the Resource Manager's calls for builds (ACR Tasks) of it are taken, and
 * keeps the images that were built from uploaded sources.
 */
export default function containerRegistry(): Service {
  const registries = new Map<string, ContainerRegistry>();
  let folder = "";

  const byId = (id: string) => {
    const found = [...registries.values()].find((registry) => registry.id.toLowerCase() === id.toLowerCase());
    if (!found) throw new CloudError("ResourceNotFound", `The Resource '${id}' was not found.`, 404);
    return found;
  };
  const byName = (name: string) => {
    const found = [...registries.values()].find((registry) => registry.name.toLowerCase() === name.toLowerCase());
    if (!found) throw new CloudError("ResourceNotFound", `There is no registry "${name}".`, 404);
    return found;
  };
  const byImage = (image: string) => {
    const { server, repository } = parseReference(image);
    const found = [...registries.values()].find(({ loginServer }) => loginServer === server);
    if (!found) {
      throw new CloudError(
        "ManifestUnknown",
        `${image}: the embedded cloud has no registry ${server || `with ${repository}`}. Nothing is pulled from elsewhere: build the image in a registry that the program declares.`,
        404,
      );
    }
    return found;
  };

  /** An operation of the Resource Manager on a registry. */
  const managed = (action: string, handle: (registry: ContainerRegistry, input: Properties) => Properties): Operation => ({
    needs: ({ registry }) => [{ action: `${TYPE}/${action}`, resource: registry }],
    async handle(input) {
      const version = input.query["api-version"];
      if (!API_VERSIONS.includes(version)) {
        throw new CloudError(
          "InvalidApiVersionParameter",
          `The api-version '${version}' is invalid: here it is ${API_VERSIONS.join(" or ")}.`,
        );
      }
      return handle(byId(input.registry), input);
    },
  });
  const open = (handle: (registry: ContainerRegistry, input: Properties) => Promise<Properties>): Operation => ({
    needs: () => [],
    handle: (input) => handle(byName(input.name), input),
  });

  return {
    name: "containerregistry",
    resources: {
      [REGISTRY]: armResource({
        type: TYPE,
        apiVersion: "2023-01-01-preview",
        inputs: [
          ...["resourceGroupName", "registryName", "location", "sku.name", "adminUserEnabled", "anonymousPullEnabled", "tags"],
          ...["publicNetworkAccess", "zoneRedundancy", "dataEndpointEnabled", "networkRuleBypassOptions"],
        ],
        named: { input: "registryName", maxLength: 50, style: "plain" },
        location: "regional",
        systemData: true,
        check,
        async outputs(inputs, { id, name, cloud, before }) {
          let registry = registries.get(id);
          if (!registry) {
            registry = await ContainerRegistry.start(id, name, join(folder, name), cloud);
            registries.set(id, registry);
          }
          const { sku, adminUserEnabled = false, anonymousPullEnabled = false, publicNetworkAccess = "Enabled" } = inputs;
          return {
            loginServer: registry.loginServer,
            creationDate: before?.outputs.creationDate ?? cloud.now().toISOString(),
            provisioningState: "Succeeded",
            sku: { name: sku.name, tier: sku.name },
            ...{ adminUserEnabled, anonymousPullEnabled, publicNetworkAccess },
            ...{ dataEndpointEnabled: inputs.dataEndpointEnabled ?? false, dataEndpointHostNames: [], privateEndpointConnections: [] },
            encryption: { status: "disabled" },
            networkRuleBypassOptions: inputs.networkRuleBypassOptions ?? "AzureServices",
            zoneRedundancy: inputs.zoneRedundancy ?? "Disabled",
          };
        },
        async deleted({ id }) {
          await registries.get(id)?.remove();
          registries.delete(id);
        },
      }),
    },
    functions: {
      "azure-native:containerregistry:listRegistryBuildSourceUploadUrl": async ({ registryName }) => byName(registryName).newSource(),
    },
    api: {
      endpoints: [ENDPOINT],
      protocol: restProtocol(ROUTES, `Bearer realm="${AUDIENCE}"`),
      guard: tokenGuard(AUDIENCE),
      operations: {
        GetBuildSourceUploadUrl: managed("listBuildSourceUploadUrl/action", (registry) => ({ ...registry.newSource() })),
        ScheduleRun: managed("scheduleRun/action", (registry, { body }) => described(registry, registry.schedule(parsed(body)))),
        GetRun: managed("runs/read", (registry, { run }) => described(registry, registry.run(run))),
        GetLogSasUrl: managed("runs/listLogSasUrl/action", (registry, { run }) => ({ logLink: registry.logLink(run) })),
        UploadSource: open(async (registry, { file, query, body }) => {
          await registry.upload(file, query.sig, body);
          return { response: { status: 201 } };
        }),
        GetLog: open(async (registry, { run, query }) => ({
          response: { status: 200, headers: { "content-type": "text/plain; charset=utf-8" }, body: registry.logOf(run, query.sig) },
        })),
        /** What a node does before it starts a container. Only within the cloud: there is no wire format for it here. */
        PullImage: {
          needs: ({ image }) => [{ action: `${TYPE}/pull/read`, resource: byImage(image).id }],
          async handle({ image }) {
            const { repository, tag, digest } = parseReference(image);
            const found = await byImage(image).images.image(repository, digest === undefined ? { tag: tag ?? "latest" } : { digest });
            return { ...found };
          },
        },
      },
    },
    async start(_cloud, own) {
      folder = own;
    },
    async stop() {
      await Promise.all([...registries.values()].map((registry) => registry.stop()));
      registries.clear();
    },
  };
}

const ID = "(?<registry>/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\\.ContainerRegistry/registries/[^/]+)";

const route = (operation: string, method: string, path: string): Route => ({ operation, method, path: new RegExp(`^${path}$`, "i") });

const ROUTES: readonly Route[] = [
  route("GetBuildSourceUploadUrl", "POST", `${ID}/listBuildSourceUploadUrl`),
  route("ScheduleRun", "POST", `${ID}/scheduleRun`),
  route("GetRun", "GET", `${ID}/runs/(?<run>\\w+)`),
  route("GetLogSasUrl", "POST", `${ID}/runs/(?<run>\\w+)/listLogSasUrl`),
  route("UploadSource", "PUT", "/(?<name>\\w+)/source/(?<file>[\\w.-]+)"),
  route("GetLog", "GET", "/(?<name>\\w+)/logs/(?<run>\\w+)"),
];

function check(inputs: Properties): Properties {
  const { registryName: name, sku, adminUserEnabled, anonymousPullEnabled, publicNetworkAccess } = inputs;
  if (typeof name === "string" && !/^[A-Za-z0-9]{5,50}$/.test(name)) {
    throw new CloudError("InvalidRegistryName", `The registry name '${name}' is invalid: 5 to 50 letters and digits.`);
  }
  if (!["Basic", "Standard", "Premium"].includes(sku?.name)) {
    throw new CloudError("InvalidSku", `sku.name is "${sku?.name}": allowed are Basic, Standard, Premium.`);
  }
  if (anonymousPullEnabled && sku.name === "Basic") {
    throw new CloudError("AnonymousPullNotSupported", "Anonymous pull is not supported by the sku Basic: leave anonymousPullEnabled out.");
  }
  if (adminUserEnabled || anonymousPullEnabled) {
    throw new CloudError(
      "FeatureNotSupported",
      "The embedded cloud's registries are opened by roles only: no admin user, no anonymous pull.",
    );
  }
  if (publicNetworkAccess === "Disabled") {
    throw new CloudError("FeatureNotSupported", 'publicNetworkAccess is "Disabled": the embedded cloud has no private endpoints.');
  }
  return inputs;
}

/** `server/repository:tag` or `server/repository@sha256:…` */
function parseReference(image: string): { server: string; repository: string; tag?: string; digest?: string } {
  const [, server = "", repository, tag, digest] =
    /^(?:([^/]+[.:][^/]*|localhost)\/)?([a-z0-9]+(?:[._/-]+[a-z0-9]+)*)(?::([\w][\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(image) ??
    [];
  if (!repository)
    throw new CloudError(
      "InvalidImageName",
      `Failed to apply default image tag "${image}": couldn't parse image name: invalid reference format`,
    );
  return { server, repository, ...(tag && { tag }), ...(digest && { digest }) };
}

function parsed(body: Buffer): Properties {
  try {
    const value: unknown = JSON.parse(body.toString());
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Properties;
  } catch {
    // Said below.
  }
  throw new CloudError("InvalidRequestContent", "The request content was invalid: a JSON object is expected.");
}

function described({ id }: ContainerRegistry, { id: runId, status, created, finished, outputs, error }: Run): Properties {
  const body = {
    id: `${id}/runs/${runId}`,
    name: runId,
    type: `${TYPE}/runs`,
    properties: {
      ...{ runId, status, runType: "QuickBuild", isArchiveEnabled: false, platform: { os: "linux", architecture: "amd64" } },
      provisioningState: status === "Queued" || status === "Running" ? "Creating" : status === "Failed" ? "Failed" : "Succeeded",
      createTime: created.toISOString(),
      startTime: created.toISOString(),
      ...(finished && { finishTime: finished.toISOString() }),
      ...(outputs.length > 0 && { outputImages: outputs }),
      ...(error !== undefined && { runErrorMessage: error }),
    },
  };
  return { response: json(200, body) };
}
