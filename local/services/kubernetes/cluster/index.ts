import { rm } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { CLUSTER_ENDPOINT, type Cluster, clusters } from "../../../kernel/azure/clusters.js";
import type { Cloud } from "../../../kernel/cloud.js";
import {
  CloudError,
  type Operation,
  type Permission,
  type Properties,
  type Resource,
  type ResourceType,
  type Service,
} from "../../../kernel/service.js";
import { accessOf, checkConfiguration, clusterOf, GUARD, may } from "./access.js";
import { PROTOCOL } from "./api-server.js";
import { LocalCluster } from "./cluster.js";
import { checkName, KINDS, type Kind, PATCHES, tokenOf } from "./kinds.js";
import { type KubernetesObject, selects } from "./objects.js";
import { Pace } from "./pace.js";

export interface KubernetesOptions {
  /**
   * How many times faster than declared it goes on: between probes, between looks at a queue, before restarts. What a process is given time
   * for is never shortened.
   * @default the environment variable EMBEDDED_CLOUD_KUBERNETES_PACE, else 1
   */
  pace?: number;
}

/**
 * What is in a Kubernetes cluster: objects as Pulumi declares them, pods as supervised processes of this machine, services that go round
 * them, and scaling by KEDA. Clusters themselves are declared elsewhere; a provider's kubeconfig says which one, and who goes there.
 */
export default function kubernetes({ pace = paceOf(process.env.EMBEDDED_CLOUD_KUBERNETES_PACE) }: KubernetesOptions = {}): Service {
  const running = new Map<string, Promise<LocalCluster>>();
  let folder = "";
  let portTaken = false;

  const declared = (uid: string, cloud: Cloud): Cluster => {
    const found = clusters(cloud).find((one) => one.uid === uid);
    if (!found) throw new CloudError("NotFound", `There is no cluster ${uid} in this cloud.`, 404);
    return found;
  };
  const cluster = (uid: string, cloud: Cloud): Promise<LocalCluster> => {
    const first = declared(uid, cloud);
    let known = running.get(uid);
    if (!known) {
      known = LocalCluster.start({
        ...{ cloud, folder: join(folder, uid), pace: new Pace(pace) },
        // A cluster that is gone is as it was, for as long as something in it ends.
        declared: () => clusters(cloud).find((one) => one.uid === uid) ?? first,
        claimPort() {
          if (cloud.port === undefined || portTaken) return undefined;
          portTaken = true;
          return { port: cloud.port, insist: false };
        },
      });
      running.set(uid, known);
    }
    return known;
  };

  /** What it takes to do something with objects of a kind. */
  const permission = (verb: "read" | "write" | "delete", { uid, kind, namespace }: Properties, cloud: Cloud): Permission => {
    const { plural, apiVersion } = KINDS.find((one) => one.kind === kind) ?? { plural: `${String(kind).toLowerCase()}s`, apiVersion: "v1" };
    const group = apiVersion.includes("/") ? `${apiVersion.split("/")[0]}/` : "";
    const { id } = declared(uid, cloud);
    return {
      action: `Microsoft.ContainerService/managedClusters/${group}${plural}/${verb}`,
      resource: namespace === undefined ? id : `${id}/namespaces/${namespace}`,
    };
  };
  const operation = (
    verb: "read" | "write" | "delete",
    handle: (local: LocalCluster, input: Properties, cloud: Cloud) => Promise<Properties>,
  ): Operation => ({
    needs: (input, cloud) => [permission(verb, input, cloud)],
    handle: async (input, { cloud }) => handle(await cluster(input.uid, cloud), input, cloud),
  });
  const open = (handle: (local: LocalCluster, found: Cluster) => Promise<Properties>): Operation => ({
    needs: () => [],
    async handle({ uid, issuer }, { cloud }) {
      const found = uid === undefined ? clusters(cloud).find((one) => one.publishesKeys && one.issuer === issuer) : declared(uid, cloud);
      if (!found) throw new CloudError("NotFound", `${issuer} is the issuer of no cluster.`, 404);
      return handle(await cluster(found.uid, cloud), found);
    },
  });

  return {
    name: "kubernetes",
    resources: resourceTypes({}),
    configured: {
      package: "kubernetes",
      resources(config) {
        checkConfiguration(config);
        return resourceTypes(config);
      },
    },
    api: {
      endpoints: [CLUSTER_ENDPOINT],
      protocol: PROTOCOL,
      guard: GUARD,
      operations: {
        Create: operation("write", async (local, { object }) => {
          const added = local.objects.add(object);
          try {
            await local.apply(added);
          } catch (error) {
            // Pulumi would remember the object and try again; here, what did not come to be is not there.
            local.objects.remove(added.kind, added.metadata.namespace, added.metadata.name);
            await local.withdraw(added, 1);
            throw error;
          }
          return local.describe(added);
        }),
        Restore: operation("write", async (local, { object }) => {
          const added = local.objects.add(object);
          await local.revive(added);
          return local.describe(added);
        }),
        /** Not Kubernetes': that its cluster is gone. */
        RemoveCluster: {
          needs: () => [],
          async handle({ uid }, { principal }) {
            if (principal.kind !== "service") throw new CloudError("Forbidden", "Clusters are removed where they are declared.", 403);
            const local = await running.get(uid)?.catch(() => undefined);
            running.delete(uid);
            await local?.stop();
            await rm(join(folder, uid), { recursive: true, force: true });
            return {};
          },
        },
        Update: operation("write", async (local, { object }) => {
          const replaced = local.objects.replace(object);
          await local.apply(replaced);
          return local.describe(replaced);
        }),
        Patch: operation("write", async (local, { kind, namespace, name, patch }) => {
          const found = local.objects.get(kind, namespace, name);
          if (!found)
            throw new CloudError("NotFound", `${kind} "${name}" not found in ${namespace}: a patch is of what is there already`, 404);
          const patched = local.objects.replace(merged(found, patch));
          if (isOperator(patched)) await local.operatorChanged(!isDeepStrictEqual(found.spec?.template, patched.spec?.template));
          else await local.apply(patched);
          return local.describe(patched);
        }),
        Delete: operation("delete", async (local, { kind, namespace, name }) => {
          const removed = local.objects.remove(kind, namespace, name);
          if (removed) await local.withdraw(removed);
          return {};
        }),
        Get: operation("read", async (local, { kind, namespace, name }) => {
          const found =
            kind === "Pod"
              ? local.describePods(namespace).find(({ metadata }) => metadata.name === name)
              : local.objects.get(kind, namespace, name);
          if (!found) throw new CloudError("NotFound", `${kind} "${name}" not found`, 404);
          return kind === "Pod" ? found : local.describe(found);
        }),
        List: operation("read", async (local, { kind, namespace, labels }) => {
          const selector = Object.fromEntries(
            String(labels ?? "")
              .split(",")
              .filter(Boolean)
              .map((pair) => pair.split("=") as [string, string]),
          );
          const all: KubernetesObject[] =
            kind === "Pod" ? local.describePods(namespace) : local.objects.list(kind, namespace).map((one) => local.describe(one));
          const items = Object.keys(selector).length === 0 ? all : all.filter(({ metadata }) => selects(selector, metadata.labels));
          return { kind: `${kind}List`, apiVersion: KINDS.find((one) => one.kind === kind)?.apiVersion ?? "v1", metadata: {}, items };
        }),
        DeletePod: operation("delete", async (local, { namespace, name }) => {
          await local.deletePod(namespace, name);
          return { kind: "Status", apiVersion: "v1", status: "Success" };
        }),
        GetLog: operation("read", async (local, { namespace, name }) => {
          const lines = local
            .pods(namespace)
            .find((pod) => pod.name === name)
            ?.log();
          if (!lines) throw new CloudError("NotFound", `pods "${name}" not found`, 404);
          return { response: { status: 200, headers: { "content-type": "text/plain" }, body: lines.map((line) => `${line}\n`).join("") } };
        }),
        ReviewAccess: {
          needs: () => [],
          async handle({ uid, review }, { cloud, principal }) {
            if (principal.kind === "anonymous") throw new CloudError("Unauthorized", "Unauthorized", 401);
            const { verb = "", resource = "", namespace } = review.spec?.resourceAttributes ?? {};
            const kind = KINDS.find(({ plural }) => plural === resource)?.kind ?? resource;
            const action = ["get", "list", "watch"].includes(verb) ? "read" : verb === "delete" ? "delete" : "write";
            const allowed = may(principal, permission(action, { uid, kind, namespace: namespace || undefined }, cloud), cloud);
            return { kind: "SelfSubjectAccessReview", apiVersion: "authorization.k8s.io/v1", spec: review.spec, status: { allowed } };
          },
        },
        GetVersion: open(async () => ({ major: "1", minor: "35", gitVersion: "v1.35.1", platform: `${process.platform}/${process.arch}` })),
        GetHealth: open(async () => ({ response: { status: 200, headers: { "content-type": "text/plain" }, body: "ok" } })),
        GetOpenIdKeys: open((local) => local.tokens.keys()),
        GetOpenIdConfiguration: open(async (_local, { issuer }) => ({
          issuer,
          jwks_uri: `${issuer}openid/v1/jwks`,
          response_types_supported: ["id_token"],
          subject_types_supported: ["public"],
          id_token_signing_alg_values_supported: ["RS256"],
        })),
      },
    },
    async start(_cloud, own) {
      folder = own;
    },
    async stop() {
      const all = await Promise.allSettled(running.values());
      running.clear();
      await Promise.all(all.map((one) => (one.status === "fulfilled" ? one.value.stop() : undefined)));
    },
  };
}

/** The types of resources, as one provider makes them. */
function resourceTypes(config: Properties): Record<string, ResourceType> {
  const types = KINDS.map((kind) => [tokenOf(kind), resourceType(kind, config)] as const);
  const patches = PATCHES.map((patch) => [tokenOf(patch, "Patch"), patchType(patch, config)] as const);
  return Object.fromEntries([...types, ...patches]);
}

const MANIFEST = ["apiVersion", "kind", "metadata"];

function resourceType({ kind, namespaced, inputs, replacedBy = [], check }: Kind, config: Properties): ResourceType {
  const call = async (operation: string, manifest: Properties, cloud: Cloud) => {
    const { cluster, principal } = await accessOf(config, cloud);
    const { namespace, name } = manifest.metadata;
    return cloud.call({
      service: "kubernetes",
      operation,
      input: { uid: cluster.uid, kind, namespace, name, object: manifest },
      as: principal,
    });
  };
  const idOf = ({ metadata }: Properties): string => (namespaced ? `${metadata.namespace}/${metadata.name}` : metadata.name);
  const type: ResourceType = {
    elsewhere: (resource, cloud) => isElsewhere(kind, resource, config, cloud),
    inputs: [...MANIFEST, ...inputs],
    replacedBy: ["metadata.name", "metadata.namespace", ...replacedBy],
    deleteBeforeReplace: true,
    check(given) {
      checkName(given);
      const namespace = given.metadata.namespace ?? config.namespace ?? "default";
      const object = namespaced ? { ...given, metadata: { ...given.metadata, namespace } } : given;
      check?.(object);
      return object;
    },
    async create(manifest, cloud) {
      return { id: idOf(manifest), outputs: await call("Create", manifest, cloud) };
    },
    update: (_id, manifest, _before, cloud) => call("Update", manifest, cloud),
    async delete({ inputs: manifest }, cloud) {
      await call("Delete", manifest, cloud);
    },
    async restore({ inputs: manifest }, cloud) {
      return restored("Restore", { kind, ...manifest.metadata, object: manifest }, config, cloud);
    },
  };
  return type;
}

/** A patch adds to what is there, and stays with it. */
function patchType({ kind, inputs }: (typeof PATCHES)[number], config: Properties): ResourceType {
  const apply = async (patch: Properties, cloud: Cloud): Promise<Properties> => {
    const { cluster, principal } = await accessOf(config, cloud);
    const { namespace, name } = patch.metadata;
    return cloud.call({
      service: "kubernetes",
      operation: "Patch",
      input: { uid: cluster.uid, kind, namespace, name, patch },
      as: principal,
    });
  };
  return {
    elsewhere: (resource, cloud) => isElsewhere(kind, resource, config, cloud),
    inputs: [...MANIFEST, ...inputs],
    replacedBy: ["metadata.name", "metadata.namespace"],
    deleteBeforeReplace: true,
    check(given) {
      checkName(given);
      return { ...given, metadata: { ...given.metadata, namespace: given.metadata.namespace ?? config.namespace ?? "default" } };
    },
    create: async (patch, cloud) => ({ id: `${patch.metadata.namespace}/${patch.metadata.name}`, outputs: await apply(patch, cloud) }),
    update: (_id, patch, _before, cloud) => apply(patch, cloud),
    async delete(_resource: Resource) {},
    restore: ({ inputs: patch }, cloud) => restored("Patch", { kind, ...patch.metadata, patch }, config, cloud),
  };
}

/** Whether an object is not in the provider's cluster, as the cluster has been made anew since. */
async function isElsewhere(kind: string, { outputs }: Resource, config: Properties, cloud: Cloud): Promise<boolean> {
  const { namespace, name, uid } = outputs.metadata ?? {};
  const input = { uid: clusterOf(config, cloud).uid, kind, namespace, name };
  const as = { kind: "account", arn: "the cluster's store" } as const;
  const found = await cloud.call({ service: "kubernetes", operation: "Get", input, as }).catch((error: CloudError) => {
    if (error.code !== "NotFound") throw error;
    return undefined;
  });
  return found?.metadata.uid !== uid;
}

/** What was let in when it was declared is in again: the token of then may have expired. */
function restored(operation: string, input: Properties, config: Properties, cloud: Cloud): Promise<Properties> {
  const { uid } = clusterOf(config, cloud);
  return cloud.call({ service: "kubernetes", operation, input: { ...input, uid }, as: { kind: "account", arn: "the cluster's store" } });
}

const isOperator = ({ metadata }: KubernetesObject): boolean => metadata.namespace === "kube-system" && metadata.name === "keda-operator";

/** Deeply; lists are replaced, and `null` takes away. Pulumi's own annotations say how, and are not part of it. */
function merged(object: Properties, patch: Properties): Properties {
  const merge = (into: unknown, from: unknown): unknown => {
    if (!isRecord(into) || !isRecord(from)) return from;
    const both = Object.entries(from).map(([key, value]) => [key, merge(into[key], value)] as const);
    const all = { ...into, ...Object.fromEntries(both.filter(([key]) => !key.startsWith("pulumi.com/"))) };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null));
  };
  return merge(object, patch) as Properties;
}

const isRecord = (value: unknown): value is Properties => typeof value === "object" && value !== null && !Array.isArray(value);

function paceOf(given = "1"): number {
  const pace = Number(given);
  if (!(pace >= 1 && pace <= 1_000)) throw new Error(`EMBEDDED_CLOUD_KUBERNETES_PACE is "${given}": it must be a number from 1 to 1000.`);
  return pace;
}
