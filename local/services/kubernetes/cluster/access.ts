import { parse } from "yaml";
import { DEPLOYER } from "../../../kernel/azure/arm.js";
import { allowed, bearerToken, identity } from "../../../kernel/azure/authority.js";
import { AKS_SERVER, type Cluster, clusters, localAccount } from "../../../kernel/azure/clusters.js";
import { verifyToken } from "../../../kernel/azure/tokens.js";
import type { Cloud } from "../../../kernel/cloud.js";
import { CloudError, type Guard, type Permission, type Principal, type Properties } from "../../../kernel/service.js";

/** Configuration of a provider that is not looked at: how the official one goes about it. */
const WITHOUT_EFFECT = new Set([
  ...["clusterIdentifier", "enableServerSideApply", "enablePatchForce", "enableConfigMapMutable", "enableSecretMutable", "version"],
  ...["suppressDeprecationWarnings", "suppressHelmHookWarnings", "deleteUnreachable", "skipUpdateUnreachable", "kubeClientSettings"],
  ...["helmReleaseSettings", "upsertExistingObjects", "alwaysRender"],
]);

/** Which cluster a provider is for, and as whom it goes there. */
export interface Access {
  cluster: Cluster;
  principal: Principal;
}

/** @throws Error for configuration that is not honoured */
export function checkConfiguration(config: Properties): void {
  const honoured = ["kubeconfig", "context", "cluster", "namespace"];
  const unknown = Object.keys(config).find((name) => config[name] !== undefined && !honoured.includes(name) && !WITHOUT_EFFECT.has(name));
  if (unknown) throw new Error(`The embedded cloud does not honour this configuration of a kubernetes provider: ${unknown}.`);
}

const unreachable = (why: string): CloudError =>
  new CloudError(
    "ClusterUnreachable",
    `configured Kubernetes cluster is unreachable: unable to load Kubernetes client configuration from kubeconfig: ${why}`,
    400,
  );

/** The cluster that a kubeconfig leads to, whoever it opens it for. @throws CloudError when it leads to none of this cloud */
export function clusterOf(config: Properties, cloud: Cloud): Cluster {
  const { server } = readKubeconfig(config);
  const found = clusters(cloud).find(({ uid }) => uid === new URL(server).pathname.slice(1));
  if (!found) throw unreachable(`${server} is the address of none of this cloud's clusters`);
  return found;
}

/** Who a provider's kubeconfig is, and where it leads. @throws CloudError when it does not lead to a cluster of this cloud, or opens none */
export async function accessOf(config: Properties, cloud: Cloud): Promise<Access> {
  const cluster = clusterOf(config, cloud);
  const { token, exec } = readKubeconfig(config).user;
  if (typeof token === "string") return { cluster, principal: await holderOf(token, cluster, cloud) };
  if (exec && isKubelogin(exec)) {
    const login: string | undefined = exec.args[exec.args.indexOf("--login") + 1];
    if (!["azurecli", "azd", "spn", "workloadidentity", "msi"].includes(login ?? "")) {
      throw unreachable(
        `its user runs kubelogin --login ${login ?? "devicecode"}, which waits for a person: put in a token, or --login azurecli`,
      );
    }
    // Whoever deploys is logged in.
    return { cluster, principal: identity(DEPLOYER.objectId, DEPLOYER.name) };
  }
  throw unreachable("its user has neither a token nor kubelogin as exec");
}

const isKubelogin = ({ command, args }: Properties): boolean =>
  command === "kubelogin" && Array.isArray(args) && args[0] === "get-token" && args[args.indexOf("--server-id") + 1] === AKS_SERVER;

function readKubeconfig({ kubeconfig, context, cluster }: Properties): { server: string; user: Properties } {
  if (kubeconfig === undefined || kubeconfig === "") {
    throw unreachable(
      "there is none. Make a provider with the cluster's kubeconfig, and give it to the resource: new kubernetes.Provider(…, { kubeconfig })",
    );
  }
  let config: Properties;
  try {
    config = typeof kubeconfig === "string" ? parse(kubeconfig) : kubeconfig;
  } catch (error) {
    throw unreachable(`it is neither YAML nor JSON: ${(error as Error).message}`);
  }
  const named = (list: Properties[] | undefined, name: string) => list?.find((one) => one.name === name);
  const chosen = named(config?.contexts, context ?? config?.["current-context"])?.context;
  const server = named(config?.clusters, cluster ?? chosen?.cluster)?.cluster?.server;
  const user = named(config?.users, chosen?.user)?.user;
  if (typeof server !== "string" || !URL.canParse(server)) throw unreachable("its context names no cluster with a server");
  if (!user) throw unreachable("its context names no user");
  return { server, user };
}

/** Whose a bearer token is, for a cluster. @throws CloudError (401) when it opens nothing here */
export async function holderOf(token: string, cluster: Cluster, cloud: Cloud): Promise<Principal> {
  const inDirectory = await verifyToken(cloud, token, AKS_SERVER);
  if (inDirectory) return identity(inDirectory.objectId, inDirectory.name);
  if (cluster.localAccounts && (await verifyToken(cloud, token, localAccount(cluster.uid))))
    return { kind: "account", arn: `the administrator of ${cluster.name}` };
  throw new CloudError(
    "Unauthorized",
    `Unauthorized: the token is not one of this cloud for ${AKS_SERVER} (Azure Kubernetes Service), or it has expired`,
    401,
  );
}

/** Whether somebody may do something in a cluster. */
export function may(principal: Principal, { action, resource }: Permission, cloud: Pick<Cloud, "resources">): boolean {
  if (principal.kind === "account") return true;
  // The cloud's own services read what is public.
  return principal.kind === "identity" && allowed(cloud, principal.objectId, action, resource);
}

/** By bearer tokens and role assignments. Requests say in their path which cluster they are for. */
export const GUARD: Guard = {
  async identify({ url, headers }, cloud) {
    const token = bearerToken(headers);
    if (token === undefined) return { kind: "anonymous" };
    const cluster = clusters(cloud).find(({ uid }) => uid === url.pathname.split("/")[1]);
    return cluster ? holderOf(token, cluster, cloud) : { kind: "anonymous" };
  },
  authorize(principal, needs, cloud) {
    for (const need of needs) {
      if (may(principal, need, cloud as Cloud)) continue;
      if (principal.kind === "anonymous") throw new CloudError("Unauthorized", "Unauthorized", 401);
      const who = principal.kind === "service" ? principal.service : principal.arn;
      throw new CloudError(
        "Forbidden",
        `User ${who} is forbidden: it is not granted ${need.action} at ${need.resource}. Such as by the role "Azure Kubernetes Service RBAC Cluster Admin".`,
        403,
        { principal: who, action: need.action, scope: need.resource },
      );
    }
  },
};
