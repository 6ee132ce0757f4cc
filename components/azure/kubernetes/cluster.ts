import * as authorization from "@pulumi/azure-native/authorization/index.js";
import * as containerservice from "@pulumi/azure-native/containerservice/index.js";
import * as monitor from "@pulumi/azure-native/monitor/index.js";
import { Provider, type ProviderArgs } from "@pulumi/kubernetes/provider.js";
import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";
import { Component, type Transform } from "../../core/component.js";
import { tagged } from "../../core/options.js";
import { Grants } from "../grants.js";
import type { Group } from "../group.js";
import { uniqueName } from "../names.js";
import { deployer, tokenFor } from "../records.js";
import { ClusterAccess, type ClusterAccessArgs, type ClusterApi } from "./cluster-api.js";
import type { Kubernetes } from "./options.js";

/** What AKS's API servers call themselves in Entra ID, in every tenant. */
const AKS_SERVER = "6dae42f8-4368-4678-94ff-3960e28e3630";

/** Options of {@link Cluster}. */
export interface ClusterArgs extends Group, Pick<Kubernetes, "nodes" | "version" | "tier" | "authorizedRanges" | "login"> {
  /** The workspace that logs go to, and the namespaces whose containers' are taken. */
  logs: { workspaceId: pulumi.Input<string>; namespaces: readonly string[] };
  /** Changes to the resources underneath. */
  transform?:
    | {
        cluster?: Transform<containerservice.ManagedClusterArgs>;
        logRule?: Transform<monitor.DataCollectionRuleArgs>;
        logs?: Transform<monitor.DataCollectionRuleAssociationArgs>;
        administer?: Transform<authorization.RoleAssignmentArgs>;
        access?: Transform<ClusterAccessArgs>;
        kubernetes?: Transform<ProviderArgs>;
      }
    | undefined;
}

const CHILDREN = ["cluster", "logRule", "logs", "administer", "access", "kubernetes"] as const;

/**
 * A cluster of AKS that knows people and applications by Entra ID only, gives identities to pods, scales its machines by itself, and has KEDA. What is
 * declared with its `provider` waits until the deployer may.
 */
export class Cluster extends Component<(typeof CHILDREN)[number]> {
  readonly id: pulumi.Output<string>;
  /** Who vouches for the accounts of its pods. */
  readonly issuer: pulumi.Output<string>;
  /** Object id of the identity that pulls images. */
  readonly kubelet: pulumi.Output<string>;
  /** Where its API is, and by what it lets the deployer in. */
  readonly api: ClusterApi;
  /** Declares what is in it. */
  readonly provider: Provider;

  /** The resources underneath. */
  readonly nodes: {
    cluster: containerservice.ManagedCluster;
    logRule: monitor.DataCollectionRule;
    logs: monitor.DataCollectionRuleAssociation;
    grants: Grants;
    access: ClusterAccess;
    kubernetes: Provider;
  };

  constructor(name: string, args: ClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super("azure:Cluster", name, { children: CHILDREN, transform: args.transform }, opts);
    const cluster = this.createCluster(args);
    const { objectId } = authorization.getClientConfigOutput({ parent: this });
    const token = tokenFor(AKS_SERVER, this);
    const { principalType } = deployer(token, this);
    const administer = { role: "Azure Kubernetes Service RBAC Cluster Admin", scope: cluster.id } as const;
    const grants = new Grants(
      `${name}-deployer-may`,
      {
        principal: objectId,
        // The server's administrator is told apart in the same way.
        principalType: principalType.apply((type) => (type === "Application" ? "ServicePrincipal" : "User")),
        may: { administer },
        transform: args.transform?.administer && { administer: args.transform.administer },
      },
      this.child(),
    );
    const logRule = this.createLogRule(args);
    const logs = this.create("logs", monitor.DataCollectionRuleAssociation, {
      resourceUri: cluster.id,
      // The name that the cluster's agent looks for.
      associationName: "ContainerInsightsExtension",
      dataCollectionRuleId: logRule.id,
    });
    const config = this.kubeconfig(args, cluster);
    this.api = {
      server: config.apply(({ server }) => server),
      certificateAuthority: config.apply(({ authority }) => authority),
      token,
    };
    const access = this.create(
      "access",
      ClusterAccess,
      { cluster: cluster.id, deployer: objectId, ...this.api },
      { dependsOn: grants.all },
    );
    const kubernetes = this.createProvider(args, cluster, config, access);
    this.nodes = { cluster, logRule, logs, grants, access, kubernetes };
    this.id = cluster.id;
    this.issuer = cluster.oidcIssuerProfile.apply((profile) => profile?.issuerURL ?? "");
    this.kubelet = cluster.identityProfile.apply((profile) => profile?.kubeletidentity?.objectId ?? "");
    this.provider = kubernetes;
    this.registerOutputs({ id: this.id });
  }

  private createCluster(args: ClusterArgs): containerservice.ManagedCluster {
    const { nodes, version, tier, authorizedRanges, logs } = args;
    return this.create(
      "cluster",
      containerservice.ManagedCluster,
      {
        resourceGroupName: args.resourceGroupName,
        location: args.location,
        dnsPrefix: this.name,
        // Made of both names and the region, it could be longer than Azure takes.
        nodeResourceGroup: uniqueName(`${this.name}-nodes`, 80, args.groupId),
        sku: { name: "Base", tier },
        identity: { type: "SystemAssigned" },
        kubernetesVersion: version,
        enableRBAC: true,
        aadProfile: { managed: true, enableAzureRBAC: true },
        disableLocalAccounts: true,
        oidcIssuerProfile: { enabled: true },
        securityProfile: { workloadIdentity: { enabled: true } },
        // What containers say is taken by an identity, not by a key of the workspace.
        addonProfiles: {
          omsagent: { enabled: true, config: { logAnalyticsWorkspaceResourceID: logs.workspaceId, useAADAuth: "true" } },
        },
        workloadAutoScalerProfile: { keda: { enabled: true } },
        networkProfile: {
          networkPlugin: "azure",
          networkPluginMode: "overlay",
          networkDataplane: "cilium",
          networkPolicy: "cilium",
          loadBalancerSku: "standard",
        },
        autoUpgradeProfile: { upgradeChannel: "patch", nodeOSUpgradeChannel: "NodeImage" },
        ...(authorizedRanges.length > 0 && { apiServerAccessProfile: { authorizedIPRanges: [...authorizedRanges] } }),
        agentPoolProfiles: [
          {
            name: "system",
            mode: "System",
            type: "VirtualMachineScaleSets",
            vmSize: nodes.size,
            osType: "Linux",
            osSKU: "AzureLinux",
            enableAutoScaling: true,
            count: nodes.min,
            minCount: nodes.min,
            maxCount: nodes.max,
            // Machines do not take over the cluster's.
            ...tagged(args),
          },
        ],
        ...tagged(args),
      },
      // Names stay, and the number of machines is the autoscaler's.
      { ignoreChanges: ["dnsPrefix", "nodeResourceGroup", "agentPoolProfiles[0].count"] },
    );
  }

  /** What the pipeline's own containers say, and no metrics. */
  private createLogRule(args: ClusterArgs): monitor.DataCollectionRule {
    const streams = ["Microsoft-ContainerLogV2"];
    return this.create("logRule", monitor.DataCollectionRule, {
      resourceGroupName: args.resourceGroupName,
      location: args.location,
      kind: "Linux",
      dataSources: {
        extensions: [
          {
            name: "ContainerInsightsExtension",
            extensionName: "ContainerInsights",
            streams,
            extensionSettings: {
              dataCollectionSettings: {
                interval: "1m",
                namespaceFilteringMode: "Include",
                namespaces: [...args.logs.namespaces],
                enableContainerLogV2: true,
              },
            },
          },
        ],
      },
      destinations: { logAnalytics: [{ name: "workspace", workspaceResourceId: args.logs.workspaceId }] },
      dataFlows: [{ streams, destinations: ["workspace"] }],
      ...tagged(args),
    });
  }

  /** What Azure says of the cluster's API. Its user is not used: it would ask for a device code, and nobody to enter it. */
  private kubeconfig({ resourceGroupName }: ClusterArgs, cluster: containerservice.ManagedCluster): pulumi.Output<Connection> {
    const { kubeconfigs } = containerservice.listManagedClusterUserCredentialsOutput(
      { resourceGroupName, resourceName: cluster.name, format: "exec" },
      { parent: this },
    );
    return kubeconfigs.apply(([first]) => connection(first?.value ?? ""));
  }

  private createProvider(
    { login }: ClusterArgs,
    cluster: containerservice.ManagedCluster,
    config: pulumi.Output<Connection>,
    access: ClusterAccess,
  ): Provider {
    const kubeconfig = pulumi.all([config, this.api.token, cluster.name, access.id]).apply(([{ server, authority }, token, name]) =>
      JSON.stringify({
        apiVersion: "v1",
        kind: "Config",
        clusters: [{ name, cluster: { server, ...(authority && { "certificate-authority-data": authority }) } }],
        users: [{ name: "deployer", user: login === "token" ? { token } : { exec: KUBELOGIN } }],
        contexts: [{ name, context: { cluster: name, user: "deployer" } }],
        "current-context": name,
      }),
    );
    // By the id, as the token is another one each time, and all that is declared by another provider would be made anew.
    return this.create("kubernetes", Provider, { kubeconfig: pulumi.secret(kubeconfig), clusterIdentifier: cluster.id });
  }
}

/** Signs in as whoever is signed in to the Azure CLI. */
const KUBELOGIN = {
  apiVersion: "client.authentication.k8s.io/v1beta1",
  command: "kubelogin",
  args: ["get-token", "--server-id", AKS_SERVER, "--login", "azurecli"],
  interactiveMode: "Never",
};

interface Connection {
  server: string;
  /** PEM in base64, or empty. */
  authority: string;
}

/** @param encoded a kubeconfig of one cluster, in base64 */
function connection(encoded: string): Connection {
  const { clusters } = parse(Buffer.from(encoded, "base64").toString()) as {
    clusters?: { cluster: { server: string; "certificate-authority-data"?: string } }[];
  };
  const cluster = clusters?.[0]?.cluster;
  if (!cluster) throw new Error("Azure has said nothing of where the cluster's API is.");
  return { server: cluster.server, authority: cluster["certificate-authority-data"] ?? "" };
}
