import * as pulumi from "@pulumi/pulumi";

/** A resource as `pulumi stack export` and the embedded engine both know it. */
export interface KnownResource {
  urn: string;
  type: string;
  custom: boolean;
  id?: string;
  parent?: string;
  external?: boolean;
  /** `URN::ID` of its provider; by the embedded engine empty where that is the package's default. */
  provider?: string;
  protect?: boolean;
  retainOnDelete?: boolean;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
  dependencies?: string[];
  propertyDependencies?: Record<string, string[] | null>;
  additionalSecretOutputs?: string[];
}

/** A resource without whatever is different from run to run. */
export interface RecordedResource {
  urn: string;
  /** URNs; the stack has none. */
  parent?: string;
  id?: string;
  /** URN of the provider, where the program declares one. */
  provider?: string;
  protect?: true;
  retainOnDelete?: true;
  inputs: unknown;
  outputs: unknown;
  /** URNs, sorted. */
  dependencies: string[];
  /** URNs by input, sorted, without those that depend on nothing. */
  propertyDependencies: Record<string, string[]>;
  additionalSecretOutputs?: string[];
}

/** What is different from run to run, and what stands for it. */
const VOLATILE: readonly [RegExp, string][] = [
  [/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, "(uuid)"],
  [/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+0000|\+00:00)/g, "(time)"],
  [/(?<=(127\.0\.0\.1|localhost)[:,])\d+/g, "(port)"],
  // Physical names: AWS's provider gives them 7 digits, and a secret's ARN has an end of its own; Azure's 8, and the pipeline 13 where there is
  // little space.
  [/(?<=:secret:[\w-]+-)[0-9a-f]{7}-\w{6}\b/g, "(random)"],
  [/(?<=[a-z]-)[0-9a-f]{7}(?![\w])/g, "(random)"],
  [/(?<=(?<![a-z])photos[a-z-]*)([0-9a-f]{8}|[0-9a-f]{13})(?![0-9a-z])/g, "(random)"],
  [/\b[0-9a-f]{32}\b/g, "(random)"],
  // Certificates, as base64 of PEM.
  [/\bLS0tLS1CRUdJTi[\w+/=]+/g, "(certificate)"],
  // Hashes of code.
  [/\b([0-9a-f]{64}|[0-9a-f]{16})\b/g, "(hash)"],
  [/\b(AROA|AIDA|AKIA)\w+/g, "$1(random)"],
];

/** Properties that tell of the handlers' code, or of this deployment alone. */
const VOLATILE_PROPERTIES =
  /^(codeSha256|sourceCodeHash|sourceCodeSize|lastModified|createDate|creationDate|deploymentId|created|updated|port|etag|resourceVersion|certificate)$/;

/** Types whose ids mean nothing by themselves; they are found in what refers to them. */
const OPAQUE = /^aws:apigatewayv2\//;

/** The resources of a stack in the order of their URNs, comparable with those of another run, by whatever engine. */
export function recorded(resources: readonly KnownResource[]): RecordedResource[] {
  const own = resources.filter(({ urn }) => !isDefaultProvider(urn));
  const opaque = own.filter(({ type, id = "" }) => OPAQUE.test(type) && /^[a-z0-9]+$/.test(id));
  const names = new Map(opaque.map(({ id = "", urn }) => [id, `(id of ${urn.split("::").at(-1)})`]));
  return own.map((resource) => record(resource, (value) => settled(value, names))).sort((a, b) => (a.urn < b.urn ? -1 : 1));
}

function record(resource: KnownResource, settled: (value: unknown) => unknown): RecordedResource {
  const { urn, type, parent, id, protect, retainOnDelete, dependencies = [], propertyDependencies = {} } = resource;
  const [inputs, outputs] = [resource.inputs ?? {}, resource.outputs ?? {}].map((values) =>
    isProvider(type) ? configured(values) : values,
  );
  const provider = resource.provider?.slice(0, resource.provider.lastIndexOf("::")) ?? "";
  const { additionalSecretOutputs = [] } = resource;
  const onSomething = Object.entries(propertyDependencies).filter(([, urns]) => (urns ?? []).length > 0);
  return {
    urn,
    ...(parent && { parent }),
    ...(id && { id: settled(id) as string }),
    ...(provider && !isDefaultProvider(provider) && { provider }),
    ...(protect && { protect }),
    ...(retainOnDelete && { retainOnDelete }),
    inputs: settled(inputs),
    outputs: settled(outputs),
    dependencies: [...dependencies].sort(),
    propertyDependencies: sortedByKey(Object.fromEntries(onSomething.map(([input, urns]) => [input, [...(urns ?? [])].sort()]))),
    ...(additionalSecretOutputs.length > 0 && { additionalSecretOutputs: [...additionalSecretOutputs].sort() }),
  };
}

const isProvider = (type: string): boolean => type.startsWith("pulumi:providers:");

/** What a provider is configured with, without what the CLI notes beside it: which version of its plugin that is. */
const configured = ({ __internal, version, ...values }: Record<string, unknown>): Record<string, unknown> => values;

/** The CLI has a resource for the provider that it fills in itself, and calls it by its version. */
const isDefaultProvider = (urn: string): boolean => /[:$]pulumi:providers:[\w-]+::default(_|$)/.test(urn);

const { specialSigKey, specialSecretSig, specialAssetSig, specialArchiveSig } = pulumi.runtime;

/** A value with what stands for whatever is different from run to run, and `names` for ids. */
function settled(value: unknown, names: ReadonlyMap<string, string>, property = ""): unknown {
  if (VOLATILE_PROPERTIES.test(property)) return `(${typeof value})`;
  if (typeof value === "string") return settledText(value, names);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => settled(item, names));
  const signature = (value as Record<string, unknown>)[specialSigKey];
  if (signature === specialSecretSig) return "(secret)";
  if (signature === specialAssetSig) return "(asset)";
  if (signature === specialArchiveSig) return "(archive)";
  const { name } = value as { name?: unknown };
  const entries = Object.entries(value).map(([key, item]) => {
    // A dynamic resource's provider, as text; and a setting such as `{ name: "SQL_PORT", value: "1433" }`.
    if (key === "__provider") return [key, "(provider)"] as const;
    if (key === "value" && /(^|_)PORT$/.test(String(name))) return [key, "(port)"] as const;
    return [settledText(key, names), settled(item, names, key)] as const;
  });
  return sortedByKey(Object.fromEntries(entries));
}

function settledText(text: string, names: ReadonlyMap<string, string>): string {
  const named = [...names].reduce((so, [id, name]) => so.replaceAll(id, name), text);
  return VOLATILE.reduce((so, [pattern, stands]) => so.replace(pattern, stands), named);
}

function sortedByKey<T>(value: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
