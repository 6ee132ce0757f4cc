import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type CloudName, findServices } from "./discovery.js";
import { ProviderServer } from "./engine/provider-server.js";
import { serverCertificate } from "./kernel/azure/certificates.js";
import { EmbeddedCloud, type EmbeddedCloudOptions } from "./kernel/embedded-cloud.js";
import { providerFactory } from "./kernel/provider.js";
import type { Service } from "./kernel/service.js";

export interface AttachableOptions extends Pick<EmbeddedCloudOptions, "port" | "seed" | "faults" | "backoff" | "clock" | "account"> {
  /** The region of AWS that this cloud is. */
  region: string;
  /** Whose services run. @default all that there are */
  clouds?: readonly CloudName[];
  /** Further services, or others instead with `clouds: []`. */
  services?: readonly Service[];
}

/** A cloud that stacks of Pulumi's own CLI can be deployed onto. */
export interface AttachableCloud {
  readonly cloud: EmbeddedCloud;
  /** What the CLI, and SDKs and command lines of the clouds, are to find in their environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Ends everything; the cloud and the state of its stacks are gone. */
  stop(): Promise<void>;
}

/** The state of stacks on the embedded cloud is as secret as that cloud; but the CLI insists, and writes what proves it into a stack's file. */
const PASSPHRASE = "embedded-cloud";

/**
 * Starts a cloud whose services Pulumi's CLI uses as providers: the same that a program uses that runs embedded. It lives, with the state of
 * its stacks, until it is stopped.
 */
export async function startAttachable({ clouds, services: further = [], ...options }: AttachableOptions): Promise<AttachableCloud> {
  const folder = await mkdtemp(join(tmpdir(), "embedded-cloud-"));
  const servers: ProviderServer[] = [];
  let cloud: EmbeddedCloud | undefined;
  const stop = async () => {
    for (const server of servers) server.stop();
    await cloud?.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const services = [...(await findServices(clouds)), ...further];
    cloud = await EmbeddedCloud.start({ ...options, services, folder: join(folder, "cloud"), kept: false });
    const factory = providerFactory(cloud, services);
    const attached: string[] = [];
    for (const pkg of packagesOf(services)) {
      const version = versionOf(pkg);
      const server = new ProviderServer({
        pkg,
        version,
        provider: (config, program) => factory(pkg, config, { folder: program, version }),
      });
      servers.push(server);
      attached.push(`${pkg}:${await server.start()}`);
    }
    const states = join(folder, "stacks");
    await mkdir(states);
    const environment = { ...pulumiEnvironment(states, attached), ...(await cloudEnvironment(cloud)) };
    let stopped: Promise<void> | undefined;
    return {
      cloud,
      environment,
      stop: () => {
        stopped ??= stop();
        return stopped;
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function pulumiEnvironment(states: string, attached: readonly string[]): Record<string, string> {
  return {
    PULUMI_BACKEND_URL: pathToFileURL(states).href,
    PULUMI_CONFIG_PASSPHRASE: PASSPHRASE,
    PULUMI_DEBUG_PROVIDERS: attached.join(","),
    // Nothing is to be downloaded: the providers are here.
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    PULUMI_SKIP_UPDATE_CHECK: "true",
  };
}

/** For whoever looks into the cloud, and for dynamic resources, which run beside the program. */
async function cloudEnvironment(cloud: EmbeddedCloud): Promise<Record<string, string>> {
  const { accessKeyId, secretAccessKey } = cloud.accountCredentials;
  const { authority } = await serverCertificate(cloud.folder);
  return {
    AWS_ENDPOINT_URL: cloud.url,
    AWS_REGION: cloud.region,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    NODE_EXTRA_CA_CERTS: authority,
  };
}

/** Pulumi's packages that the services claim types or functions of: `"aws"`, `"azure-native"`. */
function packagesOf(services: readonly Service[]): string[] {
  const tokens = services.flatMap(({ resources = {}, functions = {} }) => [...Object.keys(resources), ...Object.keys(functions)]);
  const configured = services.flatMap((service) => service.configured?.package ?? []);
  return [...new Set([...tokens.map((token) => token.split(":")[0] as string), ...configured])].sort();
}

/** The version of a package's SDK, which the CLI wants its provider to be of. */
function versionOf(pkg: string): string {
  const { version } = createRequire(import.meta.url)(`@pulumi/${pkg}/package.json`) as { version: string };
  return version;
}
