import type { Registry } from "../cloud.js";
import type { Resource } from "../service.js";
import { TENANT } from "./arm.js";

export const MANAGED_CLUSTER = "azure-native:containerservice:ManagedCluster";

/** The application that API servers of AKS are in Microsoft Entra: tokens for clusters have it as their audience. */
export const AKS_SERVER = "6dae42f8-4368-4678-94ff-3960e28e3630";

/** Name of the HTTPS endpoint of API servers, which lie at `/{uid}`, and of the issuers of their service accounts' tokens. */
export const CLUSTER_ENDPOINT = "kubernetes";

/** A declared cluster, as whatever runs in it sees it. */
export interface Cluster {
  /** Of the ManagedCluster. */
  id: string;
  name: string;
  /** `resourceUID`. */
  uid: string;
  /** Issuer of service accounts' tokens. */
  issuer: string;
  /** Whether other clouds may read the issuer's keys. */
  publishesKeys: boolean;
  workloadIdentity: boolean;
  keda: boolean;
  /** Whether its nodes have an agent that collects what containers say. */
  collectsLogs: boolean;
  /** As whom its nodes pull images. */
  kubelet: { objectId: string; clientId: string };
  /** Whether role assignments say who may what in it, and not only who has its administrator's token. */
  azureRbac: boolean;
  /** Whether it has an administrator that is not in the directory. */
  localAccounts: boolean;
}

export const issuerOf = (origin: string, uid: string): string => `${origin}/${TENANT}/${uid}/`;

export const serverOf = (origin: string, uid: string): string => `${origin}/${uid}`;

/** Audience of the token of a cluster's local administrator, who is not in the directory. */
export const localAccount = (uid: string): string => `urn:cluster:${uid}:local-account`;

export const clusters = ({ resources }: { resources: Pick<Registry, "all"> }): Cluster[] => resources.all(MANAGED_CLUSTER).map(clusterOf);

function clusterOf({ id, inputs, outputs }: Resource): Cluster {
  const uid: string = outputs.resourceUID;
  return {
    id,
    name: outputs.name,
    uid,
    issuer: outputs.oidcIssuerProfile?.issuerURL ?? "https://kubernetes.default.svc.cluster.local",
    publishesKeys: outputs.oidcIssuerProfile?.enabled === true,
    workloadIdentity: inputs.securityProfile?.workloadIdentity?.enabled === true,
    keda: inputs.workloadAutoScalerProfile?.keda?.enabled === true,
    collectsLogs: inputs.addonProfiles?.omsagent?.enabled === true,
    kubelet: outputs.identityProfile.kubeletidentity,
    azureRbac: inputs.aadProfile?.enableAzureRBAC === true,
    localAccounts: inputs.disableLocalAccounts !== true,
  };
}
