import { createHash, randomBytes } from "node:crypto";
import type * as pulumi from "@pulumi/pulumi";
import { differences, same } from "../engine/difference.js";
import { containsUnknown, isUnknown, type Opened, open, plain, seal, UNKNOWN } from "../engine/envelopes.js";
import type { Provider } from "../engine/providers.js";
import { parseUrn } from "../engine/urn.js";
import type { Cloud } from "./cloud.js";
import { CloudError, type Properties, type Resource, type ResourceType, type Service } from "./service.js";

/** What a provider is configured with, as far as the embedded cloud honours it. */
export interface ProviderConfig {
  /** Tags of every resource that can carry them. */
  defaultTags?: Record<string, string>;
  /** The program's folder, which the paths of its files are relative to. @default this process's */
  folder?: string;
  /** What the program configured a provider of its own with, for services that look at it. */
  explicit?: { package: string; config: Properties };
}

/** Modules of AWS whose resources are in no region. */
const GLOBAL = new Set(["account", "budgets", "cloudfront", "iam", "organizations", "route53", "shield", "waf"]);

/** What comes after the logical name, by style. */
const SUFFIX = { dashed: /-[0-9a-f]{7}$/, plain: /[0-9a-f]{8}$/ };

/**
 * The services of an embedded cloud as one Pulumi provider: the same class serves the embedded engine and, attached by
 * `PULUMI_DEBUG_PROVIDERS`, the real CLI. Values come and go in Pulumi's envelopes; services see plain JSON.
 */
export class ServiceProvider implements Provider {
  readonly #cloud: Cloud;
  readonly #config: ProviderConfig;
  readonly #types = new Map<string, ResourceType>();
  readonly #functions = new Map<string, NonNullable<Service["functions"]>[string]>();

  /** @param version that of the provider's SDK in use: the real CLI compares them. */
  constructor(
    cloud: Cloud,
    services: Iterable<Service>,
    config: ProviderConfig = {},
    readonly version = "0.0.0",
  ) {
    this.#cloud = cloud;
    this.#config = config;
    for (const service of services) {
      const { explicit } = config;
      const configured = explicit !== undefined && service.configured?.package === explicit.package;
      const resources = configured ? service.configured?.resources(explicit.config, cloud) : service.resources;
      for (const [type, resource] of Object.entries(resources ?? {})) this.#claim(this.#types, type, resource, service);
      for (const [token, answer] of Object.entries(service.functions ?? {})) this.#claim(this.#functions, token, answer, service);
    }
  }

  #claim<T>(claimed: Map<string, T>, token: string, by: T, service: Service): void {
    if (claimed.has(token)) throw new Error(`Two services claim ${token}; one of them is "${service.name}".`);
    claimed.set(token, by);
  }

  /** A schema of Pulumi's with the names of what the services claim, and no more. */
  get schema(): string {
    const named = (tokens: Iterable<string>) => Object.fromEntries([...tokens].sort().map((token) => [token, {}]));
    return JSON.stringify({ version: this.version, resources: named(this.#types.keys()), functions: named(this.#functions.keys()) });
  }

  async check(urn: string, olds: Properties, news: Properties, seed?: Uint8Array): Promise<pulumi.provider.CheckResult> {
    const { type, name, resourceType } = this.#resolve(urn);
    const { value, ...marks } = this.#open(news);
    const given = withoutDefaults(value) as Properties;
    const unclaimed = [...unclaimedInputs(given, claims(resourceType))];
    const failures = unclaimed.map((property) => ({ property, reason: `No service of the embedded cloud honours this input of ${type}` }));
    if (given.region !== undefined && given.region !== this.#cloud.region && !isUnknown(given.region)) {
      failures.push({
        property: "region",
        reason: `It is "${given.region}", and the embedded cloud has one region: ${this.#cloud.region}`,
      });
    }
    if (failures.length > 0) return { failures };
    const named = physicallyNamed(given, plain(olds ?? {}), name, resourceType, seed);
    const check = async () => resourceType.check?.(named, this.#cloud) ?? named;
    return { inputs: seal(containsUnknown(named) ? await asFarAsKnown(check, named) : await reported(check), marks) };
  }

  async diff(id: string, urn: string, olds: Properties, news: Properties, oldInputs?: Properties): Promise<pulumi.provider.DiffResult> {
    const { type, name, resourceType } = this.#resolve(urn);
    const after = plain(news);
    const before = oldInputs ? plain(oldInputs) : (this.#cloud.resources.get(type, id)?.inputs ?? only(plain(olds), Object.keys(after)));
    const changed = [...differences(before, after)].map((path) => path.join("."));
    const registered = this.#cloud.resources.get(type, id);
    if (registered && (await resourceType.elsewhere?.(registered, this.#cloud))) {
      return {
        changes: true,
        replaces: [(resourceType.replacedBy ?? []).find((input) => at(after, input) !== undefined) ?? "id"],
        deleteBeforeReplace: true,
      };
    }
    if (changed.length === 0) return { changes: false };
    const replaces = (resourceType.replacedBy ?? []).filter((input) => !same(at(before, input), at(after, input)));
    if (!resourceType.update && replaces.length === 0) replaces.push(...new Set(changed.map((path) => path.split(".")[0] as string)));
    const deleteBeforeReplace =
      !resourceType.update || (resourceType.deleteBeforeReplace ?? keepsItsName(after, name, replaces, resourceType));
    return { changes: true, replaces, deleteBeforeReplace };
  }

  async create(urn: string, inputs: Properties): Promise<pulumi.provider.CreateResult> {
    const { type, name, resourceType } = this.#resolve(urn);
    const opened = this.#open(inputs);
    const { id, outputs } = await reported(() => resourceType.create(opened.value, this.#cloud));
    const resource = { urn, type, name, id, inputs: opened.value, outputs: this.#outputs(type, resourceType, opened.value, outputs) };
    this.#cloud.resources.add(resource);
    return { id, outs: seal(resource.outputs, opened) };
  }

  async update(id: string, urn: string, olds: Properties, news: Properties): Promise<pulumi.provider.UpdateResult> {
    const { type, name, resourceType } = this.#resolve(urn);
    const { update } = resourceType;
    if (!update) throw new Error(`${type} cannot be updated in place.`);
    const opened = this.#open(news);
    const before = this.#existing(id, urn, olds);
    const returned = await reported(() => update.call(resourceType, id, opened.value, before, this.#cloud));
    const echoed = type.startsWith("azure-native:") ? {} : opened.value;
    const outputs = this.#outputs(type, resourceType, opened.value, { ...computed(before), ...echoed, ...returned });
    this.#cloud.resources.add({ urn, type, name, id, inputs: opened.value, outputs });
    return { outs: seal(outputs, opened) };
  }

  /** What is not there any more is as good as deleted. */
  async delete(id: string, urn: string, props: Properties): Promise<void> {
    const { resourceType } = this.#resolve(urn);
    const resource = this.#existing(id, urn, props);
    await reported(() => resourceType.delete(resource, this.#cloud));
    this.#cloud.resources.remove(resource);
  }

  /**
   * What of a resource's outputs can be known before it is made or, where there is one already, changed: its inputs, and what the cloud computed
   * before. What is left out is not known.
   */
  async preview(urn: string, news: Properties, before?: { id: string; outputs: Properties }): Promise<Properties> {
    const { type, resourceType } = this.#resolve(urn);
    const opened = this.#open(news);
    const existing = before && this.#existing(before.id, urn, before.outputs);
    const kept = existing ? computed(existing) : {};
    if (!type.startsWith("azure-native:"))
      return seal(this.#outputs(type, resourceType, opened.value, { ...kept, ...opened.value }), opened);
    // Azure answers with more than it was given, so only what is no structure comes back as it went.
    const simple = Object.entries(opened.value).filter(([input, value]) => typeof value !== "object" || input === "tags");
    const unchanged = Object.entries(existing?.outputs ?? {}).filter(([name]) => same(existing?.inputs[name], opened.value[name]));
    return seal({ ...kept, ...Object.fromEntries([...simple, ...unchanged]) }, opened);
  }

  /**
   * A resource as it is now: one that was declared, or somebody else's, for `Bucket.get("…", "name")`. An empty id says that there is none.
   * What is secret among the given outputs and inputs is secret in what is returned, and files are those that were given.
   */
  async read(id: string, urn: string, props: Properties = {}, inputs: Properties = {}): Promise<pulumi.provider.ReadResult> {
    const { type } = this.#resolve(urn);
    const resource = this.#cloud.resources.get(type, id);
    return resource ? { id, props: seal(resource.outputs, open(props)), inputs: seal(resource.inputs, open(inputs)) } : { id: "" };
  }

  async invoke(token: string, inputs: Properties): Promise<pulumi.provider.InvokeResult> {
    const answer = this.#functions.get(token);
    if (!answer) throw new Error(`No service of the embedded cloud answers ${token}.`);
    const outputs = await reported(() => answer(plain(inputs), this.#cloud));
    return { outputs: seal(outputs, UNMARKED) };
  }

  /**
   * Makes a resource live that was kept since an earlier run, and returns its outputs as they are now. Not part of Pulumi's protocol: the
   * embedded engine calls it, in the order of creation, before the program runs.
   */
  async restore(id: string, urn: string, inputs: Properties, outputs: Properties): Promise<Properties> {
    const { type, name, resourceType } = this.#resolve(urn);
    const opened = this.#open(inputs);
    const resource: Resource = { urn, type, name, id, inputs: opened.value, outputs: plain(outputs) };
    const returned = await reported(async () => resourceType.restore?.(resource, this.#cloud) ?? {});
    const restored = { ...resource, outputs: this.#outputs(type, resourceType, opened.value, { ...resource.outputs, ...returned }) };
    this.#cloud.resources.add(restored);
    return seal(restored.outputs, opened);
  }

  #open(wire: Properties): Opened {
    return open(wire, { folder: this.#config.folder });
  }

  #resolve(urn: string): { type: string; name: string; resourceType: ResourceType } {
    const { type, name } = parseUrn(urn);
    const resourceType = this.#types.get(type);
    if (!resourceType) throw new Error(`No service of the embedded cloud claims ${type} (resource "${name}").`);
    return { type, name, resourceType };
  }

  #existing(id: string, urn: string, outputs: Properties): Resource {
    const { type, name } = parseUrn(urn);
    const values = plain(outputs);
    return this.#cloud.resources.get(type, id) ?? { urn, type, name, id, inputs: values, outputs: values };
  }

  /** What every resource of AWS has, the inputs, and what the service returned. Azure's resources answer in a shape of their own. */
  #outputs(type: string, { inputs: claimed }: ResourceType, inputs: Properties, returned: Properties): Properties {
    const [cloud, module] = type.split(/[:/]/);
    if (cloud === "azure-native") return returned;
    const common: Properties = {};
    if (cloud === "aws" && !GLOBAL.has(module ?? "")) common.region = this.#cloud.region;
    if (cloud === "aws" && claimed.includes("tags")) common.tagsAll = { ...this.#config.defaultTags, ...inputs.tags };
    return { ...inputs, ...common, ...returned };
  }
}

/** Who deploys, and how the official provider goes about it: nothing that the embedded cloud could honour or ignore wrongly. */
const WITHOUT_EFFECT =
  /^(accessKey|allowedAccountIds|assumeRoles?|assumeRoleWithWebIdentity|forbiddenAccountIds|maxRetries|profile|retryMode|secretKey|shared\w+|skip\w+|token|version)$/;

/** Where a provider is used from. */
export interface ProviderHost {
  /** The program's folder. @default this process's */
  folder?: string | undefined;
  /** Of the provider's SDK. */
  version?: string;
}

/** Providers of one cloud: the same services, whatever they are configured with. Throws for a configuration that it does not honour. */
export function providerFactory(
  cloud: Cloud,
  services: readonly Service[],
): (pkg: string, config: Properties, host?: ProviderHost) => ServiceProvider {
  return (pkg, { region, defaultTags, ...rest }, { folder, version } = {}) => {
    if (region !== undefined && region !== cloud.region) {
      throw new Error(`A provider of ${pkg} is for the region "${region}", and the embedded cloud has one region: ${cloud.region}.`);
    }
    const unknown = Object.keys(rest).filter((name) => pkg === "aws" && !WITHOUT_EFFECT.test(name));
    if (unknown.length > 0) throw new Error(`The embedded cloud does not honour this configuration of ${pkg}: ${unknown.join(", ")}.`);
    const config: ProviderConfig = {
      ...(folder !== undefined && { folder }),
      ...(defaultTags?.tags !== undefined && { defaultTags: defaultTags.tags }),
      ...(Object.keys(rest).length > 0 && { explicit: { package: pkg, config: rest } }),
    };
    return new ServiceProvider(cloud, services, config, version);
  };
}

const UNMARKED: Pick<Opened, "secrets" | "assets"> = { secrets: [], assets: [] };

/** What the cloud computed stays, unless the service says otherwise; what only echoed an input goes with that input. */
function computed({ inputs, outputs }: Resource): Properties {
  return Object.fromEntries(Object.entries(outputs).filter(([output]) => !(output in inputs) && output !== "tagsAll"));
}

/**
 * Inputs with defaults, where some are not known yet: what a service says against them may be about those, and is said again, if it holds, when
 * they are known. Whatever it made of something unknown is not known either.
 */
async function asFarAsKnown(check: () => Promise<Properties>, given: Properties): Promise<Properties> {
  try {
    return withUnknowns(await check()) as Properties;
  } catch {
    return given;
  }
}

function withUnknowns(value: unknown): unknown {
  if (typeof value === "string") return !isUnknown(value) && value.includes(UNKNOWN) ? UNKNOWN : value;
  if (Array.isArray(value)) return value.map(withUnknowns);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withUnknowns(item)]));
}

/** Errors as people should read them, with the cloud's own code. */
async function reported<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CloudError) throw new Error(`${error.code}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** `__defaults` is how the official providers remember what they filled in themselves. */
function withoutDefaults(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDefaults);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => key !== "__defaults");
  return Object.fromEntries(kept.map(([key, item]) => [key, withoutDefaults(item)]));
}

const claims = ({ inputs }: ResourceType): ReadonlySet<string> => new Set(["region", ...inputs]);

/** Paths of given inputs that nobody claims, such as `loggingConfig.logFormat` or `rules[].status`. */
function* unclaimedInputs(value: unknown, claimed: ReadonlySet<string>, path = ""): Generator<string> {
  if (value === undefined || value === null || claimed.has(path) || isUnknown(value)) return;
  const hasClaimsBeneath = path === "" || [...claimed].some((claim) => claim.startsWith(`${path}.`) || claim.startsWith(`${path}[]`));
  if (!hasClaimsBeneath || typeof value !== "object") yield path;
  else if (Array.isArray(value)) yield* new Set(value.flatMap((item) => [...unclaimedInputs(item, claimed, `${path}[]`)]));
  else for (const [key, item] of Object.entries(value)) yield* unclaimedInputs(item, claimed, path === "" ? key : `${path}.${key}`);
}

/** With the physical name that the provider gives where the program does not: the same as before, if it gave that one too. */
function physicallyNamed(
  inputs: Properties,
  before: Properties,
  name: string,
  { named }: ResourceType,
  seed: Uint8Array = randomBytes(32),
): Properties {
  if (!named || (inputs[named.input] ?? undefined) !== undefined) return inputs;
  // Also where it begins with another logical name: an alias is to keep what there is.
  if (looksGiven(before[named.input], named)) return { ...inputs, [named.input]: before[named.input] };
  const digits = createHash("sha256").update(seed).digest("hex");
  if (named.style === "uuid") return { ...inputs, [named.input]: uuidOf(digits.slice(0, 32)) };
  const given = named.style === "plain" ? `${name}${digits.slice(0, 8)}` : `${name}-${digits.slice(0, 7)}`;
  if (named.maxLength !== undefined && given.length > named.maxLength) {
    throw new Error(
      `${named.input}: the name "${name}" with 8 random characters is longer than ${named.maxLength}. Give it a shorter name, or set ${named.input}.`,
    );
  }
  return { ...inputs, [named.input]: given };
}

/** A GUID of version 4 from 32 hexadecimal digits. */
const uuidOf = (digits: string): string => digits.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, "$1-$2-4$3-a$4-$5");

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function looksGiven(physical: unknown, { style = "dashed" }: NonNullable<ResourceType["named"]>): physical is string {
  return typeof physical === "string" && (style === "uuid" ? UUID : SUFFIX[style]).test(physical);
}

function givenByProvider(physical: unknown, name: string, named: NonNullable<ResourceType["named"]>): boolean {
  const { style = "dashed" } = named;
  return looksGiven(physical, named) && (style === "uuid" || physical.replace(SUFFIX[style], "") === name);
}

/** Whether the replacement has the name of what it replaces, so that both cannot exist at once. */
function keepsItsName(inputs: Properties, name: string, replaces: string[], { named }: ResourceType): boolean {
  return (
    named !== undefined && replaces.length > 0 && !replaces.includes(named.input) && !givenByProvider(inputs[named.input], name, named)
  );
}

const at = (value: Properties, path: string): unknown =>
  path.split(".").reduce<Properties | undefined>((holder, key) => holder?.[key], value);

const only = (value: Properties, keys: readonly string[]): Properties => Object.fromEntries(keys.map((key) => [key, value[key]]));
