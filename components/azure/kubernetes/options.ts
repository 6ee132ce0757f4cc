import type { Input } from "@pulumi/pulumi";
import type { Settings } from "../../../functions/core/settings.js";
import type { TaggerArgs } from "../../contract.js";
import { InvalidArgument } from "../../core/errors.js";
import { checkKnown, oneOf, onlyOptions } from "../../core/validation.js";

/** How many of something there are. */
export interface Range {
  min?: number;
  max?: number;
}

/** How callers reach the uploader: see {@link KubernetesOptions.tls}. */
export type TlsArgs =
  | "self-signed"
  | "none"
  | { certificate: Input<string>; key: Input<string>; host: string; ingress?: never }
  | { ingress: string; certificate?: never; key?: never; host?: never };

/** What can be asked for together: keys and tokens do not travel in clear, and a tagger of one's own is built into the image. */
export type Compatible = ({ auth: "none" } | { azure?: { tls?: Exclude<TlsArgs, "none"> } }) &
  ({ tagger?: Exclude<TaggerArgs, `./${string}`> } | { azure?: { image?: never } });

/** What can be asked for where the pipeline runs on a cluster of its own. */
export interface KubernetesOptions {
  hosting: "kubernetes";

  /** Instances of a Function App: here there is none. */
  alwaysReady?: never;
  maximumInstances?: never;

  /**
   * Name of the container that processed images and renditions go to; not beside an adopted container, where it is one that is nobody else's.
   * @default "processed"
   */
  processed?: string;

  /**
   * An image that is there, by its digest: `"registry.example.org/pipeline@sha256:…"`. The cluster has to be able to pull it: it is public, or the
   * cluster's identity (`nodes.kubernetes.cluster.kubelet`) has AcrPull on its registry.
   * @default one that is built from this project in a registry of the pipeline's own
   */
  image?: Input<string>;

  /**
   * The Kubernetes namespace: what identities trust, so that it cannot be changed without new ones.
   * @default the pipeline's name
   */
  namespace?: string;

  /**
   * The uploader serves TLS by a certificate: one that the pipeline makes (callers have to be given it: output `certificate`), or yours, in PEM, for a
   * `host` whose DNS entry you point at the service. `{ ingress }`: the service stays within the cluster, and an ingress of yours serves TLS at this
   * address, `"https://media.example.org"`. `"none"`, plain HTTP, is allowed where `auth` is `"none"`.
   * @default "self-signed", but "none" where `auth` is "none"
   */
  tls?: TlsArgs;

  /** How many of each run, each between 1 and 100: the uploader by its CPU, the processor by the length of the queue. */
  replicas?: {
    /** @default { min: 2, max: 6 } */
    uploader?: Range;
    /** @default { min: 1, max: 10 } */
    processor?: Range;
  };

  /** The cluster's machines. */
  nodes?: Range & {
    /**
     * With 4 cores at least, and not of the B series, which AKS does not take for its own pods.
     * @default "Standard_D4as_v5"
     */
    size?: string;
    /**
     * At least 2.
     * @default 2
     */
    min?: number;
    /** @default 5 */
    max?: number;
  };

  /**
   * Kubernetes' minor version; its patches come by themselves.
   * @default "1.35"
   */
  version?: string;

  /**
   * What the cluster's control plane promises: "Free" costs nothing and promises nothing.
   * @default "Standard"
   */
  tier?: "Free" | "Standard";

  /**
   * From where the cluster's API can be reached, as CIDR: `["203.0.113.7/32"]`. Whoever deploys has to be in it.
   * @default from everywhere, by roles in Entra ID only
   */
  authorizedRanges?: readonly string[];

  /**
   * How deployments sign in to the cluster: by a token that each `pulumi up` gets (it lasts about an hour: later, use `pulumi destroy --run-program`), or by
   * `kubelogin`, which has to be installed, with the sign-in of the Azure CLI.
   * @default "token"
   */
  login?: "token" | "kubelogin";
}

/** How callers reach the uploader, checked. */
export type Tls =
  | { kind: "none" | "self-signed" }
  | { kind: "given"; certificate: Input<string>; key: Input<string>; host: string }
  | { kind: "ingress"; url: string };

/** {@link KubernetesOptions}, checked, with every default applied. */
export interface Kubernetes {
  hosting: "kubernetes";
  processed: string;
  image?: Input<string>;
  namespace: string;
  tls: Tls;
  replicas: { uploader: Required<Range>; processor: Required<Range> };
  nodes: Required<Range> & { size: string };
  version: string;
  tier: "Free" | "Standard";
  authorizedRanges: readonly string[];
  login: "token" | "kubelogin";
}

/** The options' names. */
export const KUBERNETES_OPTIONS = [
  "processed",
  "image",
  "namespace",
  "tls",
  "replicas",
  "nodes",
  "version",
  "tier",
  "authorizedRanges",
  "login",
] as const;

/** @throws InvalidArgument */
export function kubernetesOptions(name: string, given: Omit<KubernetesOptions, "hosting">, { auth, tagger }: Settings): Kubernetes {
  const of = (option: string) => `${name}: azure.${option}`;
  const { processed = "processed", image, namespace = name, replicas = {}, nodes = {}, version = "1.35", authorizedRanges = [] } = given;
  checkKnown(of("image"), image, /^[^\s@]+@sha256:[0-9a-f]{64}$/, 'an image by its digest, "registry.example.org/pipeline@sha256:…"');
  if (image !== undefined && tagger === "module")
    throw new InvalidArgument(of("image"), image, "left out where the tagger is a module of your own, which is built into the image");
  if (!/^(?!kube-|default$)[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(namespace))
    throw new InvalidArgument(of("namespace"), namespace, '1 to 63 lower-case letters, digits and hyphens, neither "default" nor "kube-…"');
  onlyOptions(of("replicas"), replicas, ["uploader", "processor"], "azure.replicas.");
  onlyOptions(of("nodes"), nodes, ["size", "min", "max"], "azure.nodes.");
  const { size = "Standard_D4as_v5" } = nodes;
  if (!/^Standard_(?!B)[A-Z][A-Za-z0-9]+(_[A-Za-z0-9]+)*$/.test(size))
    throw new InvalidArgument(of("nodes.size"), size, 'a size of virtual machines, not of the B series: "Standard_D4as_v5"');
  if (!/^1\.[1-9]\d$/.test(version)) throw new InvalidArgument(of("version"), version, 'a minor version of Kubernetes: "1.35"');
  if (!Array.isArray(authorizedRanges)) throw new InvalidArgument(of("authorizedRanges"), authorizedRanges, 'a list: ["203.0.113.7/32"]');
  for (const [index, each] of authorizedRanges.entries()) checkCidr(of(`authorizedRanges[${index}]`), each);
  return {
    hosting: "kubernetes",
    processed,
    ...(image !== undefined && { image }),
    namespace,
    tls: tlsOf(name, given.tls ?? (auth.kind === "none" ? "none" : "self-signed"), auth),
    replicas: {
      uploader: rangeOf(name, "replicas.uploader", replicas.uploader ?? {}, { min: 2, max: 6 }, [1, 100]),
      processor: rangeOf(name, "replicas.processor", replicas.processor ?? {}, { min: 1, max: 10 }, [1, 100]),
    },
    nodes: { size, ...rangeOf(name, "nodes", nodes, { min: 2, max: 5 }, [2, 1_000]) },
    version,
    tier: oneOf(of("tier"), given.tier ?? "Standard", ["Free", "Standard"]),
    authorizedRanges,
    login: oneOf(of("login"), given.login ?? "token", ["token", "kubelogin"]),
  };
}

function tlsOf(name: string, given: TlsArgs, auth: Settings["auth"]): Tls {
  const of = `${name}: azure.tls`;
  if (typeof given !== "object" || given === null) {
    const kind = oneOf(of, given, ["self-signed", "none"], ", or { certificate, key, host }, or { ingress }");
    if (kind === "none" && auth.kind !== "none")
      throw new InvalidArgument(of, kind, '"none" only where auth is "none"', "Keys and tokens would travel in clear.");
    return { kind };
  }
  if ("ingress" in given) {
    onlyOptions(of, given, ["ingress"], "azure.tls.");
    const url = String(given.ingress);
    const allowed = URL.canParse(url) && new URL(url).origin === url && (url.startsWith("https:") || auth.kind === "none");
    if (!allowed) throw new InvalidArgument(`${of}.ingress`, given.ingress, 'an address without a path: "https://media.example.org"');
    return { kind: "ingress", url };
  }
  onlyOptions(of, given, ["certificate", "key", "host"], "azure.tls.");
  const { certificate, key, host } = given;
  const required = { required: true, secret: true };
  checkKnown(`${of}.certificate`, certificate, /-----BEGIN CERTIFICATE-----/, "a certificate, or a chain of them, in PEM", required);
  checkKnown(`${of}.key`, key, /-----BEGIN ([A-Z]+ )?PRIVATE KEY-----/, "the certificate's private key in PEM", required);
  if (!/^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/.test(String(host)))
    throw new InvalidArgument(`${of}.host`, host, 'the name that the certificate is for: "media.example.org"');
  return { kind: "given", certificate, key, host };
}

function rangeOf(
  name: string,
  option: string,
  given: Range & { size?: string },
  defaults: Required<Range>,
  [lowest, highest]: [number, number],
): Required<Range> {
  onlyOptions(`${name}: azure.${option}`, given, option === "nodes" ? ["size", "min", "max"] : ["min", "max"], `azure.${option}.`);
  const { min, max } = given;
  const range = { min: min ?? Math.min(defaults.min, max ?? defaults.min), max: max ?? Math.max(defaults.max, min ?? defaults.max) };
  for (const end of ["min", "max"] as const) {
    const value = range[end];
    if (!Number.isInteger(value) || value < lowest || value > highest)
      throw new InvalidArgument(`${name}: azure.${option}.${end}`, value, `between ${lowest} and ${highest}`);
  }
  if (range.min > range.max) throw new InvalidArgument(`${name}: azure.${option}.min`, range.min, `at most ${option}.max, ${range.max}`);
  return range;
}

function checkCidr(of: string, given: string): void {
  const [address = "", bits = ""] = String(given).split("/");
  const octets = address.split(".");
  const valid = octets.length === 4 && octets.every((octet) => /^\d{1,3}$/.test(octet) && Number(octet) <= 255);
  if (!valid || !/^\d{1,2}$/.test(bits) || Number(bits) > 32)
    throw new InvalidArgument(of, given, 'a range of IPv4 addresses: "203.0.113.7/32"');
}
