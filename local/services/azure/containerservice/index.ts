import { randomUUID } from "node:crypto";
import { armResource, LOCATION, resourceId, TENANT } from "../../../kernel/azure/arm.js";
import { CLUSTER_ENDPOINT, issuerOf, localAccount, MANAGED_CLUSTER, serverOf } from "../../../kernel/azure/clusters.js";
import { issueToken } from "../../../kernel/azure/tokens.js";
import type { Cloud } from "../../../kernel/cloud.js";
import { CloudError, type Properties, type Resource, type Service } from "../../../kernel/service.js";
import { DEVICE_CODE, kubeconfig } from "./kubeconfig.js";

/** Recorded: they say what nodes, networks and upgrades are like, and there are none of these here. */
const WITHOUT_EFFECT = ["networkProfile", "autoUpgradeProfile", "autoScalerProfile", "nodeResourceGroup", "supportPlan", "storageProfile"];

/** Kubernetes versions of AKS in November 2026, and those that are about to come. */
const VERSIONS = ["1.34", "1.35", "1.36", "1.37"];

/** Azure Kubernetes Service: clusters, as declared. What is in them is the service "kubernetes". */
export default function containerService(): Service {
  return {
    name: "containerservice",
    resources: {
      [MANAGED_CLUSTER]: armResource({
        type: "Microsoft.ContainerService/managedClusters",
        apiVersion: "2025-09-01",
        inputs: [
          ...["resourceGroupName", "resourceName", "location", "tags", "dnsPrefix", "sku.name", "sku.tier", "identity.type"],
          ...["kubernetesVersion", "enableRBAC", "disableLocalAccounts", "agentPoolProfiles"],
          ...["aadProfile.managed", "aadProfile.enableAzureRBAC", "aadProfile.tenantID", "oidcIssuerProfile.enabled"],
          ...["securityProfile.workloadIdentity.enabled", "securityProfile.imageCleaner", "workloadAutoScalerProfile.keda.enabled"],
          ...["apiServerAccessProfile.authorizedIPRanges", "addonProfiles", "azureMonitorProfile", ...WITHOUT_EFFECT],
        ],
        named: { input: "resourceName", maxLength: 63, style: "plain" },
        replacedBy: ["dnsPrefix", "nodeResourceGroup"],
        location: "regional",
        systemData: true,
        check,
        outputs,
        async deleted({ outputs: { resourceUID: uid } }, cloud) {
          const as = { kind: "service", service: "containerservice" } as const;
          await cloud.call({ service: "kubernetes", operation: "RemoveCluster", input: { uid }, as });
        },
      }),
    },
    functions: {
      "azure-native:containerservice:listManagedClusterUserCredentials": async ({ resourceName, format }, cloud) => {
        const cluster = clusterNamed(resourceName, cloud);
        if (format !== undefined && !["azure", "exec"].includes(format)) {
          throw new CloudError("InvalidParameter", `format is "${format}": allowed are exec and azure.`);
        }
        const credential = cluster.inputs.aadProfile ? DEVICE_CODE : { token: await adminToken(cluster, cloud) };
        return { kubeconfigs: [await configOf(cluster, "clusterUser", credential, cloud)] };
      },
      "azure-native:containerservice:listManagedClusterAdminCredentials": async ({ resourceName }, cloud) => {
        const cluster = clusterNamed(resourceName, cloud);
        if (cluster.inputs.disableLocalAccounts === true) {
          throw new CloudError(
            "BadRequest",
            "Getting static credential is not allowed because this cluster is set to disable local accounts.",
          );
        }
        return { kubeconfigs: [await configOf(cluster, "clusterAdmin", { token: await adminToken(cluster, cloud) }, cloud)] };
      },
    },
  };
}

function clusterNamed(name: string, { resources }: Cloud): Resource {
  const found = resources.all(MANAGED_CLUSTER).find(({ outputs }) => outputs.name === name);
  if (!found) throw new CloudError("ResourceNotFound", `There is no managed cluster "${name}".`, 404);
  return found;
}

const adminToken = ({ outputs: { resourceUID: uid } }: Resource, cloud: Cloud): Promise<string> =>
  issueToken(cloud, { objectId: uid, clientId: uid, name: "masterclient", audience: localAccount(uid) });

async function configOf({ inputs, outputs }: Resource, user: string, credential: Properties, cloud: Cloud) {
  const { url, authority } = await cloud.secure(CLUSTER_ENDPOINT);
  const { name, resourceUID: uid } = outputs;
  return kubeconfig({ name, user, group: inputs.resourceGroupName, server: serverOf(url, uid), authority }, credential);
}

function check(inputs: Properties): Properties {
  const invalid = (message: string) => new CloudError("InvalidParameter", message);
  const { resourceName: name, sku, identity, kubernetesVersion: version, agentPoolProfiles: pools, aadProfile, dnsPrefix } = inputs;
  if (typeof name === "string" && !/^[A-Za-z0-9]([\w-]{0,61}[A-Za-z0-9])?$/.test(name)) {
    throw invalid(`The resource name '${name}' is invalid: 1 to 63 letters, digits, - and _, a letter or digit first and last.`);
  }
  if (typeof dnsPrefix === "string" && !/^[A-Za-z0-9]([A-Za-z0-9-]{0,52}[A-Za-z0-9])?$/.test(dnsPrefix)) {
    throw invalid(`dnsPrefix is "${dnsPrefix}": 1 to 54 letters, digits and hyphens, a letter or digit first and last.`);
  }
  if (sku?.name !== undefined && sku.name !== "Base") {
    throw new CloudError("FeatureNotSupported", `sku.name is "${sku.name}": the embedded cloud emulates clusters of the sku "Base".`);
  }
  if (sku?.tier !== undefined && !["Free", "Standard", "Premium"].includes(sku.tier)) {
    throw invalid(`sku.tier is "${sku.tier}": allowed are Free, Standard, Premium.`);
  }
  if (identity?.type !== "SystemAssigned") {
    throw new CloudError("FeatureNotSupported", `identity.type is "${identity?.type}": the embedded cloud emulates "SystemAssigned".`);
  }
  if (typeof version === "string" && !VERSIONS.includes(version.split(".").slice(0, 2).join("."))) {
    throw new CloudError("K8sVersionNotSupported", `Version ${version} is not supported in this region: ${VERSIONS.join(", ")} are.`);
  }
  if (inputs.enableRBAC === false) throw invalid("enableRBAC is false: a new cluster without it cannot be made.");
  if (aadProfile && (aadProfile.managed !== true || aadProfile.enableAzureRBAC !== true)) {
    throw new CloudError(
      "FeatureNotSupported",
      "aadProfile: the embedded cloud's clusters are opened by role assignments, so managed and enableAzureRBAC must be true (or aadProfile left out, for local accounts).",
    );
  }
  if (!aadProfile && inputs.disableLocalAccounts === true) {
    throw invalid("disableLocalAccounts is true, and there is no aadProfile: nobody could reach the cluster.");
  }
  if (inputs.securityProfile?.workloadIdentity?.enabled && inputs.oidcIssuerProfile?.enabled !== true) {
    throw new CloudError("OIDCIssuerFeatureIsNotEnabled", "securityProfile.workloadIdentity needs oidcIssuerProfile.enabled.");
  }
  checkPools(pools);
  return inputs;
}

/** @throws CloudError for pools that AKS would not make */
function checkPools(pools: unknown): void {
  const invalid = (message: string) => new CloudError("InvalidParameter", message);
  if (!Array.isArray(pools) || !pools.some(({ mode }) => mode === "System")) {
    throw invalid('agentPoolProfiles must have a pool whose mode is "System".');
  }
  for (const { name, count, minCount, maxCount, enableAutoScaling, vmSize, mode } of pools as Properties[]) {
    if (typeof name === "string" && !/^[a-z][a-z0-9]{0,11}$/.test(name)) {
      throw invalid(`The agent pool name '${name}' is invalid: 1 to 12 lower-case letters and digits, a letter first.`);
    }
    if (enableAutoScaling !== true && (minCount !== undefined || maxCount !== undefined)) {
      throw invalid(`The pool ${name} has minCount or maxCount, and not enableAutoScaling.`);
    }
    const numbers = [minCount, count, maxCount].filter((number) => typeof number === "number");
    if (
      enableAutoScaling === true &&
      (numbers.length < 2 || numbers.some((number, index) => index > 0 && number < (numbers[index - 1] as number)))
    ) {
      throw invalid(
        `The pool ${name} has minCount ${minCount}, count ${count} and maxCount ${maxCount}: they must be there and in this order.`,
      );
    }
    if (mode === "System" && typeof vmSize === "string" && /^Standard_(B|A[01]_)/i.test(vmSize)) {
      throw invalid(`The pool ${name} has the size ${vmSize}: a system pool takes no B-series, and at least 2 cores and 4 GB.`);
    }
  }
}

async function outputs(inputs: Properties, { name, cloud, before }: { name: string; cloud: Cloud; before?: Resource | undefined }) {
  const { url } = await cloud.secure(CLUSTER_ENDPOINT);
  const uid: string = before?.outputs.resourceUID ?? randomUUID();
  const { resourceGroupName: group, location = LOCATION, kubernetesVersion = VERSIONS[1], oidcIssuerProfile, identity } = inputs;
  const nodes = `MC_${group}_${name}_${location.replaceAll(" ", "").toLowerCase()}`.slice(0, 80);
  const agentPool = before?.outputs.identityProfile.kubeletidentity ?? {
    resourceId: resourceId(nodes, "Microsoft.ManagedIdentity/userAssignedIdentities", `${name}-agentpool`),
    clientId: randomUUID(),
    objectId: randomUUID(),
  };
  const { resourceGroupName: _group, resourceName: _name, tags: _tags, location: _location, ...declared } = inputs;
  return {
    ...declared,
    resourceUID: uid,
    kubernetesVersion,
    currentKubernetesVersion: /\.\d+\./.test(kubernetesVersion) ? kubernetesVersion : `${kubernetesVersion}.1`,
    fqdn: new URL(url).host,
    azurePortalFQDN: new URL(url).host,
    identity: { ...identity, principalId: before?.outputs.identity.principalId ?? randomUUID(), tenantId: TENANT },
    identityProfile: { kubeletidentity: agentPool },
    nodeResourceGroup: inputs.nodeResourceGroup ?? nodes,
    oidcIssuerProfile: oidcIssuerProfile?.enabled ? { enabled: true, issuerURL: issuerOf(url, uid) } : { enabled: false },
    powerState: { code: "Running" },
    provisioningState: "Succeeded",
    maxAgentPools: 100,
    eTag: randomUUID(),
  };
}
