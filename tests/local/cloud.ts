import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Session } from "../../local/kernel/cloud.js";
import { EmbeddedCloud, type EmbeddedCloudOptions } from "../../local/kernel/embedded-cloud.js";
import type { Principal, Properties, Resource, ResourceType, Service } from "../../local/kernel/service.js";

/** What every AWS SDK client takes. */
export interface ClientConfig {
  endpoint: string;
  region: string;
  credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
}

export interface TestCloud {
  cloud: EmbeddedCloud;
  folder: string;
  /** Makes a resource as the engine does: physical name, check, create, register. */
  declare(type: string, name: string, inputs?: Properties): Promise<Resource>;
  /** Changes a resource in place. */
  change(resource: Resource, inputs: Properties): Promise<Resource>;
  remove(resource: Resource): Promise<void>;
  /** Brings back a resource of an earlier run over the same folder. */
  restore(resource: Resource): Promise<Resource>;
  /** Configuration of an SDK client for the account itself. */
  client(): ClientConfig;
  /** Configuration of an SDK client for a session of a role, as `service` (default: Lambda) takes it. */
  clientFor(role: Resource, service?: string): ClientConfig;
  /** A session of a role, for calls within the cloud. */
  session(role: Resource, service?: string): Session;
  /** Who the account is, for calls within the cloud. */
  owner: Principal;
  stop(): Promise<void>;
}

export interface TestCloudOptions extends Partial<Omit<EmbeddedCloudOptions, "services">> {
  /** Declared before the cloud is handed over, in this order: type, name, inputs. */
  resources?: readonly (readonly [type: string, name: string, inputs?: Properties])[];
}

/** An embedded cloud of these services in a folder of its own, which goes when it stops (unless the test brought the folder). */
export async function testCloud(services: Service[], { resources = [], folder, ...options }: TestCloudOptions = {}): Promise<TestCloud> {
  const home = folder ?? (await mkdtemp(join(tmpdir(), "embedded-cloud-")));
  const cloud = await EmbeddedCloud.start({ services, folder: home, kept: false, seed: 1, backoff: { base: 1, cap: 5 }, ...options });
  const typeOf = (token: string): ResourceType => {
    const type = services.map((service) => service.resources?.[token]).find(Boolean);
    if (!type) throw new Error(`No service of this cloud claims ${token}`);
    return type;
  };

  const test: TestCloud = {
    cloud,
    folder: home,
    owner: cloud.owner,

    async declare(token, name, given = {}) {
      const type = typeOf(token);
      const inputs = checked(type, token, named(type, name, given), cloud);
      const { id, outputs } = await type.create(inputs, cloud);
      const resource = { urn: `urn:pulumi:test::test::${token}::${name}`, type: token, name, id, inputs, outputs };
      cloud.resources.add(resource);
      return resource;
    },

    async change(before, given) {
      const type = typeOf(before.type);
      if (!type.update) throw new Error(`${before.type} cannot be changed in place`);
      const inputs = checked(type, before.type, named(type, before.name, given), cloud);
      const outputs = await type.update(before.id, inputs, before, cloud);
      const resource = { ...before, inputs, outputs };
      cloud.resources.add(resource);
      return resource;
    },

    async remove(resource) {
      await typeOf(resource.type).delete(resource, cloud);
      cloud.resources.remove(resource);
    },

    async restore(before) {
      const outputs = (await typeOf(before.type).restore?.(before, cloud)) ?? before.outputs;
      const resource = { ...before, outputs };
      cloud.resources.add(resource);
      return resource;
    },

    client: () => ({ endpoint: cloud.url, region: cloud.region, credentials: cloud.accountCredentials }),

    clientFor(role, service) {
      const { accessKeyId, secretAccessKey, sessionToken } = test.session(role, service);
      return { endpoint: cloud.url, region: cloud.region, credentials: { accessKeyId, secretAccessKey, sessionToken } };
    },

    session: (role, service = "lambda.amazonaws.com") => cloud.assume(role.outputs.arn, "test", service),

    async stop() {
      await cloud.stop();
      if (!folder) await rm(home, { recursive: true, force: true });
    },
  };

  try {
    for (const [type, name, inputs] of resources) await test.declare(type, name, inputs);
  } catch (error) {
    await test.stop();
    throw error;
  }
  return test;
}

/** The physical name that the provider would fill in; here it depends on the logical name only. */
function named({ named }: ResourceType, name: string, inputs: Properties): Properties {
  if (!named || inputs[named.input] !== undefined) return inputs;
  const suffix = createHash("sha256").update(name).digest("hex").slice(0, 7);
  return { ...inputs, [named.input]: `${name.slice(0, (named.maxLength ?? 64) - 8)}-${suffix}` };
}

function checked(type: ResourceType, token: string, inputs: Properties, cloud: EmbeddedCloud): Properties {
  const claimed = new Set(type.inputs.map((path) => path.split(/[.[]/)[0]!));
  const unclaimed = Object.keys(inputs).find((name) => inputs[name] !== undefined && !claimed.has(name));
  if (unclaimed) throw new Error(`${token} does not honour the input ${unclaimed}`);
  return type.check?.(inputs, cloud) ?? inputs;
}
