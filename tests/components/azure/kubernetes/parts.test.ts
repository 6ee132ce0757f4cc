import assert from "node:assert/strict";
import { ImagePipeline, type ImagePipelineArgs } from "../../../../components/azure/image-pipeline.js";
import { type Declared, recorded } from "../../../declared.js";
import { SUBSCRIPTION, TOKEN } from "../../../declared-azure.js";
import { reviewedTypes } from "../../reviewed.js";

const GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/photos-group/providers`;
const CLUSTER = `${GROUP}/Microsoft.ContainerService/managedClusters/photos-cluster-cluster`;
const WORKSPACE = `${GROUP}/Microsoft.OperationalInsights/workspaces/photos-monitoring-workspace`;
const IN = { resourceGroupName: "photos-group" };
const AT = { ...IN, location: "westeurope" };
const TAGS = { team: "photos" };

/** Where the cluster's API is, and by what the deployer goes there. */
const API = { server: "https://photos-cluster.hcp.westeurope.azmk8s.io:443", certificateAuthority: "Q0E=", token: TOKEN };

/** Types that are asserted here, each with all of its inputs. */
const seen = new Set<string>();

/** Of an object in the cluster. */
const metadata = (name: string) => ({
  name,
  namespace: "photos",
  labels: {
    "app.kubernetes.io/name": name,
    "app.kubernetes.io/instance": "photos",
    "app.kubernetes.io/part-of": "image-pipeline",
    "app.kubernetes.io/managed-by": "pulumi",
  },
});
const selector = (app: string) => ({ "app.kubernetes.io/name": app, "app.kubernetes.io/instance": "photos" });

describe("A part of the pipeline on Kubernetes is declared exactly:", () => {
  let resources: Declared[];
  before(async () => {
    const args = { tags: TAGS, azure: { hosting: "kubernetes" } } satisfies ImagePipelineArgs;
    resources = await recorded(() => new ImagePipeline("photos", args));
  });

  /** Logical name → every input, of those with such a name; hashes as `#`. */
  const exact = (of: RegExp): Record<string, any> => {
    const found = resources.filter(({ name }) => of.test(name));
    for (const { type } of found) seen.add(type);
    const plain = (inputs: object) =>
      JSON.parse(JSON.stringify(inputs).replaceAll(/(?<=photos-|photosregistry|photos-registry-|nodes-)[0-9a-f]{13,16}(?=[".])/g, "#"));
    return Object.fromEntries(found.map(({ name, inputs: { __provider, ...inputs } }) => [name, plain(inputs)]));
  };

  it("a registry is private, has no key of its own, and builds the image of its context", () => {
    const { "photos-registry-image": image, ...others } = exact(/^photos-registry-/);
    const { sha256, tag, ...build } = image;
    assert.deepEqual(others, {
      "photos-registry-registry": {
        ...AT,
        registryName: "photosregistry#",
        sku: { name: "Basic" },
        adminUserEnabled: false,
        // What the SDK fills in.
        anonymousPullEnabled: false,
        networkRuleBypassOptions: "AzureServices",
        publicNetworkAccess: "Enabled",
        zoneRedundancy: "Disabled",
        tags: TAGS,
      },
    });
    assert.deepEqual(build, {
      manager: "https://management.azure.com",
      registryId: `${GROUP}/Microsoft.ContainerRegistry/registries/photosregistry#`,
      loginServer: "photosregistry#.azurecr.io",
      repository: "pipeline",
      path: ".build/images/photos-registry-#.tar.gz",
      token: TOKEN,
    });
    assert.match(sha256, /^[0-9a-f]{64}$/);
    assert.equal(tag, sha256.slice(0, 16));
  });

  it("a cluster's log has what the pipeline's own containers say, and its deployer is waited for", () => {
    const streams = ["Microsoft-ContainerLogV2"];
    const { "photos-cluster-kubernetes": provider, ...others } = exact(/^photos-cluster-(?!cluster$|.*may-)/);
    assert.deepEqual(others, {
      "photos-cluster-log-rule": {
        ...AT,
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
                  namespaces: ["photos"],
                  enableContainerLogV2: true,
                },
              },
            },
          ],
        },
        destinations: { logAnalytics: [{ name: "workspace", workspaceResourceId: WORKSPACE }] },
        dataFlows: [{ streams, destinations: ["workspace"] }],
        tags: TAGS,
      },
      "photos-cluster-logs": {
        resourceUri: CLUSTER,
        associationName: "ContainerInsightsExtension",
        dataCollectionRuleId: `${GROUP}/Microsoft.Insights/dataCollectionRules/photos-cluster-log-rule`,
      },
      "photos-cluster-access": { ...API, cluster: CLUSTER, deployer: "aaaaaaaa-0000-4000-8000-000000000002" },
    });
    const { kubeconfig, ...config } = provider;
    assert.deepEqual(config, { clusterIdentifier: CLUSTER });
    assert.deepEqual(JSON.parse(kubeconfig), {
      apiVersion: "v1",
      kind: "Config",
      clusters: [
        { name: "photos-cluster-cluster", cluster: { server: API.server, "certificate-authority-data": API.certificateAuthority } },
      ],
      users: [{ name: "deployer", user: { token: TOKEN } }],
      contexts: [{ name: "photos-cluster-cluster", context: { cluster: "photos-cluster-cluster", user: "deployer" } }],
      "current-context": "photos-cluster-cluster",
    });
  });

  it("each that works has an identity of its own", () => {
    const identity = { ...AT, tags: TAGS };
    assert.deepEqual(exact(/^photos-identities-[a-z]+$/), {
      "photos-identities-processor": identity,
      "photos-identities-scaler": identity,
      "photos-identities-uploader": identity,
    });
  });

  it("the namespace refuses what could become root, and lets nobody in by itself", () => {
    assert.deepEqual(exact(/^photos-(namespace|isolation)$/), {
      "photos-namespace": {
        apiVersion: "v1",
        kind: "Namespace",
        metadata: {
          name: "photos",
          labels: {
            "app.kubernetes.io/part-of": "image-pipeline",
            "app.kubernetes.io/managed-by": "pulumi",
            "pod-security.kubernetes.io/enforce": "restricted",
          },
        },
      },
      "photos-isolation": {
        apiVersion: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        metadata: { name: "nobody", namespace: "photos" },
        spec: { podSelector: {}, policyTypes: ["Ingress"] },
      },
    });
  });

  it("the uploader has an address, a certificate and as many pods as it needs", () => {
    assert.deepEqual(exact(/^photos-uploader-(certificate|secret|service|autoscaler)$/), {
      "photos-uploader-certificate": { host: "photos-#.westeurope.cloudapp.azure.com" },
      "photos-uploader-secret": {
        apiVersion: "v1",
        kind: "Secret",
        metadata: metadata("uploader-tls"),
        type: "kubernetes.io/tls",
        stringData: { "tls.crt": "a certificate", "tls.key": "its key" },
      },
      "photos-uploader-service": {
        apiVersion: "v1",
        kind: "Service",
        metadata: {
          ...metadata("uploader"),
          annotations: {
            "service.beta.kubernetes.io/azure-dns-label-name": "photos-#",
            "service.beta.kubernetes.io/azure-load-balancer-health-probe-request-path": "/health",
          },
        },
        spec: {
          type: "LoadBalancer",
          selector: selector("uploader"),
          ports: [{ name: "web", port: 443, targetPort: "http", protocol: "TCP", appProtocol: "https" }],
        },
      },
      "photos-uploader-autoscaler": {
        apiVersion: "autoscaling/v2",
        kind: "HorizontalPodAutoscaler",
        metadata: metadata("uploader"),
        spec: {
          scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "uploader" },
          minReplicas: 2,
          maxReplicas: 6,
          metrics: [{ type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 70 } } }],
        },
      },
    });
  });

  it("requests reach the uploader alone, and whoever collects metrics both", () => {
    const port = (number: number) => ({ port: number, protocol: "TCP" });
    const policy = (app: string, ...requests: object[]) => ({
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: metadata(app),
      spec: {
        podSelector: { matchLabels: selector(app) },
        policyTypes: ["Ingress"],
        ingress: [...requests, { from: [{ namespaceSelector: {} }], ports: [port(8_081)] }],
      },
    });
    assert.deepEqual(exact(/-network-policy$/), {
      "photos-processor-network-policy": policy("processor"),
      "photos-uploader-network-policy": policy("uploader", { ports: [port(8_080)] }),
    });
  });

  it("KEDA's operator is told its identity by the cluster's own API", () => {
    assert.deepEqual(exact(/^photos-processor-operator$/), {
      "photos-processor-operator": { ...API, clientId: "cccccccc-0000-4000-8000-000000000032" },
    });
  });

  after(async () => {
    // Those whose every input is asserted with the pipeline, in image-pipeline.test.ts.
    for (const type of ["apps/v1:Deployment", "policy/v1:PodDisruptionBudget", "core/v1:ServiceAccount"]) seen.add(`kubernetes:${type}`);
    for (const kind of ["ScaledObject", "TriggerAuthentication"]) seen.add(`kubernetes:keda.sh/v1alpha1:${kind}`);
    for (const type of ["managedidentity:FederatedIdentityCredential", "containerservice:ManagedCluster"]) seen.add(`azure-native:${type}`);
    const types = (list: string) => reviewedTypes(new URL(list, import.meta.url));
    // What there is on a Function App too is looked at there.
    const shared = await types("../image-pipeline.resources.txt");
    assert.deepEqual(
      [...(await types("image-pipeline.resources.txt"))].filter((type) => !seen.has(type) && !shared.has(type)),
      [],
      "types whose inputs nobody has looked at",
    );
  });
});
