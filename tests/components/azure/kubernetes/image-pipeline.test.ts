import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import * as pulumi from "@pulumi/pulumi";
import { ImagePipeline, type ImagePipelineArgs } from "../../../../components/azure/image-pipeline.js";
import { type Declared, type DeclareOptions, recorded } from "../../../declared.js";
import { SUBSCRIPTION, TOKEN } from "../../../declared-azure.js";
import { called } from "../../called.js";
import { difference } from "../../difference.js";
import { each, reached } from "../../reached.js";

const GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/photos-group/providers`;
const CLUSTER = `${GROUP}/Microsoft.ContainerService/managedClusters/photos-cluster-cluster`;
const IMAGE = `registry.example.org/pipeline@sha256:${"a".repeat(64)}`;
const PEM = {
  certificate: "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n",
  key: "-----BEGIN PRIVATE KEY-----\nB\n-----END PRIVATE KEY-----\n",
};

/** Options as JavaScript would give them. */
const onKubernetes = (azure: object = {}, others: object = {}) =>
  ({ ...others, azure: { hosting: "kubernetes", ...azure } }) as ImagePipelineArgs;
const declare = (args: ImagePipelineArgs, options?: DeclareOptions) => recorded(() => new ImagePipeline("photos", args), options);

const labels = (name: string) => ({
  "app.kubernetes.io/name": name,
  "app.kubernetes.io/instance": "photos",
  "app.kubernetes.io/part-of": "image-pipeline",
  "app.kubernetes.io/managed-by": "pulumi",
});
const selector = (app: string) => ({ "app.kubernetes.io/name": app, "app.kubernetes.io/instance": "photos" });

/** What does not depend on hashes. */
const plain = (value: unknown) =>
  JSON.parse(
    JSON.stringify(value).replace(/(?<=photos-|photosimage|photosstate|photosregistry|photos-vision-|photos-api-)[0-9a-f]{13}\b/g, "#"),
  );

const container = (resources: Declared[], app: string) =>
  called(resources, `photos-${app}-deployment`).inputs.spec.template.spec.containers[0];
const environment = (resources: Declared[], app: string): Record<string, string> =>
  Object.fromEntries(container(resources, app).env.map(({ name, value, valueFrom }: any) => [name, value ?? JSON.stringify(valueFrom)]));

/** What an identity may do: grant → role and what it is on. */
const granted = (resources: Declared[], of: string) =>
  Object.fromEntries(
    resources
      .filter(({ name, type }) => type === "azure-native:authorization:RoleAssignment" && name.startsWith(of))
      .map(({ name, inputs: { roleDefinitionId, scope, principalId, principalType } }) => [
        name.slice(of.length),
        plain(`${roleDefinitionId.split("/").at(-1)} ${scope.replace(GROUP, "")} ${principalType} ${principalId}`),
      ]),
  );

describe("ImagePipeline on Kubernetes", () => {
  let resources: Declared[];
  before(async () => {
    resources = await declare(onKubernetes({}, { notify: { email: "ops@example.org" }, tags: { team: "photos" } }));
  });

  it("has these resources, whose names people rely on", async () => {
    const reviewed = await readFile(new URL("image-pipeline.resources.txt", import.meta.url), "utf8");
    assert.equal(`${resources.map(({ name, type }) => `${name}  ${type}`).join("\n")}\n`, reviewed);
  });

  it("gives the outputs of the contract, and what callers have to trust", async () => {
    let outputs: Record<string, string> = {};
    await recorded(async () => {
      const photos = new ImagePipeline("photos", { azure: { hosting: "kubernetes", image: IMAGE } });
      const { url, apiKey, uploads, thumbnails, topic, workflow, records, deadLetters, certificate } = photos;
      assert.equal(await pulumi.isSecret(apiKey), true);
      const all = pulumi.all({ url, apiKey, uploads, thumbnails, topic, workflow, records, deadLetters, certificate });
      outputs = await new Promise((resolve) => all.apply(resolve));
    });
    assert.deepEqual(plain(outputs), {
      url: "https://photos-#.westeurope.cloudapp.azure.com",
      apiKey: "a-key-that-was-generated",
      uploads: "rawfiles",
      thumbnails: "processed",
      topic: "https://photos-results-topic.westeurope-1.eventgrid.azure.net/api/events",
      workflow: "photos/processor",
      records: "dbo.ImageMetadata",
      deadLetters: "https://photosstate#.queue.core.windows.net/parked",
      certificate: "a certificate",
    });
  });

  it("has a cluster that knows nobody but by Entra ID, gives identities to pods, and has KEDA", () => {
    const { nodeResourceGroup, ...inputs } = called(resources, "photos-cluster-cluster").inputs;
    assert.match(nodeResourceGroup, /^photos-cluster-nodes-[0-9a-f]{13}$/);
    assert.deepEqual(inputs, {
      resourceGroupName: "photos-group",
      location: "westeurope",
      dnsPrefix: "photos-cluster",
      sku: { name: "Base", tier: "Standard" },
      identity: { type: "SystemAssigned" },
      kubernetesVersion: "1.35",
      enableRBAC: true,
      aadProfile: { managed: true, enableAzureRBAC: true },
      disableLocalAccounts: true,
      oidcIssuerProfile: { enabled: true },
      securityProfile: { workloadIdentity: { enabled: true } },
      workloadAutoScalerProfile: { keda: { enabled: true } },
      addonProfiles: {
        omsagent: {
          enabled: true,
          config: {
            logAnalyticsWorkspaceResourceID: `${GROUP}/Microsoft.OperationalInsights/workspaces/photos-monitoring-workspace`,
            useAADAuth: "true",
          },
        },
      },
      networkProfile: {
        networkPlugin: "azure",
        networkPluginMode: "overlay",
        networkDataplane: "cilium",
        networkPolicy: "cilium",
        loadBalancerSku: "standard",
        // The SDK's own defaults.
        dnsServiceIP: "10.0.0.10",
        outboundType: "loadBalancer",
        podCidr: "10.244.0.0/16",
        serviceCidr: "10.0.0.0/16",
      },
      autoUpgradeProfile: { upgradeChannel: "patch", nodeOSUpgradeChannel: "NodeImage" },
      agentPoolProfiles: [
        {
          name: "system",
          mode: "System",
          type: "VirtualMachineScaleSets",
          vmSize: "Standard_D4as_v5",
          osType: "Linux",
          osSKU: "AzureLinux",
          enableAutoScaling: true,
          count: 2,
          minCount: 2,
          maxCount: 5,
          tags: { team: "photos" },
        },
      ],
      tags: { team: "photos" },
    });
  });

  it("declares by the deployer's own token, as soon as its role holds, and by a device code never", () => {
    const { inputs, secretInputs, after } = called(resources, "photos-cluster-kubernetes");
    assert.equal(inputs.clusterIdentifier, CLUSTER);
    assert.deepEqual(secretInputs, ["kubeconfig"]);
    const { clusters, users, contexts, "current-context": current } = JSON.parse(inputs.kubeconfig);
    assert.deepEqual(clusters, [
      {
        name: "photos-cluster-cluster",
        cluster: { server: "https://photos-cluster.hcp.westeurope.azmk8s.io:443", "certificate-authority-data": "Q0E=" },
      },
    ]);
    assert.deepEqual(users, [{ name: "deployer", user: { token: TOKEN } }]);
    assert.deepEqual(contexts, [{ name: current, context: { cluster: current, user: "deployer" } }]);
    assert.ok(after.includes("photos-cluster-access"), "the provider waits for the role");
    assert.ok(called(resources, "photos-cluster-access").after.includes("photos-cluster-deployer-may-administer"));
    assert.ok(called(resources, "photos-cluster-access").secretInputs.includes("token"));
    for (const { type, name, after } of resources.filter(({ type }) => type.startsWith("kubernetes:")))
      assert.ok(name === "photos-namespace" || after.includes("photos-namespace"), `${name} ${type} lies in the namespace`);
  });

  it("can sign in by kubelogin instead", async () => {
    const { inputs } = called(await declare(onKubernetes({ image: IMAGE, login: "kubelogin" })), "photos-cluster-kubernetes");
    assert.deepEqual(JSON.parse(inputs.kubeconfig).users[0].user, {
      exec: {
        apiVersion: "client.authentication.k8s.io/v1beta1",
        command: "kubelogin",
        args: ["get-token", "--server-id", "6dae42f8-4368-4678-94ff-3960e28e3630", "--login", "azurecli"],
        interactiveMode: "Never",
      },
    });
  });

  it("builds its image in a registry of its own, from a context by its hash, and runs it by its digest", () => {
    const { registryName, ...registry } = called(resources, "photos-registry-registry").inputs;
    assert.match(registryName, /^photosregistry[0-9a-f]{13}$/);
    assert.deepEqual([registry.sku, registry.adminUserEnabled, registry.anonymousPullEnabled], [{ name: "Basic" }, false, false]);
    const { inputs, secretInputs } = called(resources, "photos-registry-image");
    assert.deepEqual(secretInputs, ["token"]);
    assert.match(inputs.path, /^\.build\/images\/photos-registry-[0-9a-f]{16}\.tar\.gz$/);
    assert.match(inputs.sha256, /^[0-9a-f]{64}$/);
    assert.equal(inputs.tag, inputs.sha256.slice(0, 16));
    assert.deepEqual(
      [inputs.manager, inputs.loginServer, inputs.repository, inputs.registryId],
      [
        "https://management.azure.com",
        `${registryName}.azurecr.io`,
        "pipeline",
        `${GROUP}/Microsoft.ContainerRegistry/registries/${registryName}`,
      ],
    );
    for (const app of ["uploader", "processor"]) {
      assert.equal(container(resources, app).image, `${registryName}.azurecr.io/pipeline@sha256:${"d".repeat(64)}`);
      const { after } = called(resources, `photos-${app}-deployment`);
      for (const before of ["photos-registry-image", "photos-cluster-may-pull", "photos-records-schema", `photos-identities-${app}-trust`])
        assert.ok(after.includes(before), `${app} comes after ${before}`);
      for (const { name } of resources.filter(({ name }) => name.startsWith(`photos-${app}-may-`))) assert.ok(after.includes(name), name);
    }
  });

  it("runs an image that is given, and then has no registry", async () => {
    const given = await declare(onKubernetes({ image: IMAGE }));
    for (const app of ["uploader", "processor"]) assert.equal(container(given, app).image, IMAGE);
    for (const { name } of given) assert.doesNotMatch(name, /registry|may-pull/);
  });

  it("trusts exactly the accounts of its own pods, and KEDA's operator", () => {
    const trusts = resources.filter(({ type }) => type === "azure-native:managedidentity:FederatedIdentityCredential");
    assert.deepEqual(
      trusts.map(({ inputs: { resourceGroupName: _, ...inputs } }) => inputs),
      [
        ["processor", "photos:processor"],
        ["scaler", "kube-system:keda-operator"],
        ["uploader", "photos:uploader"],
      ].map(([worker, account]) => ({
        resourceName: `photos-identities-${worker}`,
        federatedIdentityCredentialResourceName: worker,
        issuer: "https://westeurope.oic.prod-aks.azure.com/photos/",
        subject: `system:serviceaccount:${account}`,
        audiences: ["api://AzureADTokenExchange"],
      })),
    );
    for (const [app, clientId] of [
      ["uploader", "cccccccc-0000-4000-8000-000000000012"],
      ["processor", "cccccccc-0000-4000-8000-000000000022"],
    ] as const) {
      assert.deepEqual(called(resources, `photos-${app}-account`).inputs, {
        apiVersion: "v1",
        kind: "ServiceAccount",
        metadata: { name: app, namespace: "photos", labels: labels(app), annotations: { "azure.workload.identity/client-id": clientId } },
        automountServiceAccountToken: false,
      });
    }
  });

  it("lets each do exactly what it does", () => {
    const on = {
      raw: "/Microsoft.Storage/storageAccounts/photosimage#/blobServices/default/containers/rawfiles",
      processed: "/Microsoft.Storage/storageAccounts/photosimage#/blobServices/default/containers/processed",
      jobs: "/Microsoft.Storage/storageAccounts/photosstate#/queueServices/default/queues/jobqueue",
      parked: "/Microsoft.Storage/storageAccounts/photosstate#/queueServices/default/queues/parked",
      tags: "/Microsoft.Storage/storageAccounts/photosstate#/tableServices/default/tables/ImageTags",
    };
    const blobContributor = "ba92f5b4-2d11-453d-a403-e96b0029c9fe";
    const queueContributor = "974c5e8b-45b9-4653-ba55-5f855dd0fb88";
    const queueSender = "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a";
    const tableContributor = "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3";
    const by = (principal: string, may: Record<string, string>) =>
      Object.fromEntries(Object.entries(may).map(([name, what]) => [name, `${what} ServicePrincipal ${principal}`]));
    assert.deepEqual(
      granted(resources, "photos-uploader-may-"),
      by("cccccccc-0000-4000-8000-000000000011", {
        uploads: `${blobContributor} ${on.raw}`,
        processed: `${blobContributor} ${on.processed}`,
        sign: "db58b8e5-c6ad-4a2a-8342-4190687cbf4a /Microsoft.Storage/storageAccounts/photosimage#",
        redrive: `${queueSender} ${on.jobs}`,
        parked: `${queueContributor} ${on.parked}`,
        tags: `${tableContributor} ${on.tags}`,
        "read-key": "4633458b-17de-408a-b874-0445c86b69e6 /Microsoft.KeyVault/vaults/photos-api-#/secrets/api-key",
      }),
    );
    assert.deepEqual(
      granted(resources, "photos-processor-may-"),
      by("cccccccc-0000-4000-8000-000000000021", {
        uploads: `2a2b9908-6ea1-4ae2-8e65-a410df84e7d1 ${on.raw}`,
        processed: `${blobContributor} ${on.processed}`,
        jobs: `${queueContributor} ${on.jobs}`,
        park: `${queueSender} ${on.parked}`,
        tags: `${tableContributor} ${on.tags}`,
        announce: "d5a91429-5739-47e2-a06b-3470a27159e7 /Microsoft.EventGrid/topics/photos-results-topic",
        look: "a97b65f3-24c7-4388-baec-2e87135dc908 /Microsoft.CognitiveServices/accounts/photos-vision-account",
        mail: "09976791-48a7-449e-bb21-39d1a415f350 /Microsoft.Communication/communicationServices/photos-email-communication",
      }),
    );
    assert.deepEqual(
      granted(resources, "photos-scaler-may-"),
      by("cccccccc-0000-4000-8000-000000000031", { count: `19e7f393-937e-4f77-808e-94535e297925 ${on.jobs}` }),
    );
    assert.deepEqual(
      granted(resources, "photos-cluster-may-"),
      by("bbbbbbbb-0000-4000-8000-000000000005", {
        pull: "7f951dda-4ed3-4680-a7ca-43fe172d538d /Microsoft.ContainerRegistry/registries/photosregistry#",
      }),
    );
    assert.deepEqual(granted(resources, "photos-cluster-deployer-may-"), {
      administer: `b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b ${CLUSTER.replace(GROUP, "")} ServicePrincipal aaaaaaaa-0000-4000-8000-000000000002`,
    });
    const { users } = called(resources, "photos-records-schema").inputs;
    assert.deepEqual(users, [
      { name: "photos-identities-uploader", clientId: "cccccccc-0000-4000-8000-000000000012" },
      { name: "photos-identities-processor", clientId: "cccccccc-0000-4000-8000-000000000022" },
    ]);
  });

  it("refuses in its namespace what could become root", () => {
    assert.deepEqual(called(resources, "photos-namespace").inputs.metadata, {
      name: "photos",
      labels: {
        "app.kubernetes.io/part-of": "image-pipeline",
        "app.kubernetes.io/managed-by": "pulumi",
        "pod-security.kubernetes.io/enforce": "restricted",
      },
    });
  });

  const requests = { name: "http", containerPort: 8080, protocol: "TCP" };
  const probes = { name: "probes", containerPort: 8081, protocol: "TCP" };
  for (const [app, ports, resourcesOf, grace] of [
    ["uploader", [requests, probes], { requests: { cpu: "250m", memory: "256Mi" }, limits: { cpu: "1", memory: "574Mi" } }, 45],
    ["processor", [probes], { requests: { cpu: "1", memory: "512Mi" }, limits: { cpu: "2", memory: "1131Mi" } }, 60],
  ] as const) {
    it(`runs the ${app} as nobody, on a file system that it cannot write to, replaced one by one when it answers`, () => {
      const { metadata, spec } = called(resources, `photos-${app}-deployment`).inputs;
      assert.deepEqual(metadata, { name: app, namespace: "photos", labels: labels(app) });
      const { template, ...deployment } = spec;
      // No replicas: what an autoscaler says, a declaration must not take back.
      assert.deepEqual(deployment, {
        selector: { matchLabels: selector(app) },
        revisionHistoryLimit: 3,
        minReadySeconds: 5,
        progressDeadlineSeconds: 900,
        strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      });
      const { "image-pipeline/revision": revision, ...annotations } = template.metadata.annotations;
      assert.deepEqual(template.metadata.labels, { ...labels(app), "azure.workload.identity/use": "true" });
      assert.deepEqual(annotations, {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "8081",
        "prometheus.io/path": "/metrics",
        "prometheus.io/scheme": "http",
      });
      assert.equal(revision !== undefined, app === "uploader", "a new certificate starts new pods");
      const { containers, ...pod } = template.spec;
      assert.deepEqual(pod, {
        serviceAccountName: app,
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        terminationGracePeriodSeconds: grace,
        nodeSelector: { "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64" },
        securityContext: {
          runAsNonRoot: true,
          runAsUser: 65532,
          runAsGroup: 65532,
          fsGroup: 65532,
          seccompProfile: { type: "RuntimeDefault" },
        },
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: "kubernetes.io/hostname",
            whenUnsatisfiable: "ScheduleAnyway",
            labelSelector: { matchLabels: selector(app) },
          },
        ],
        volumes: [{ name: "tmp", emptyDir: { sizeLimit: "256Mi" } }],
      });
      assert.equal(containers.length, 1);
      const { env: _, image: __, ...only } = containers[0];
      const httpGet = (path: string) => ({ path, port: "probes", scheme: "HTTP" });
      assert.deepEqual(only, {
        name: app,
        args: [`${app}.mjs`],
        ports,
        resources: resourcesOf,
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          runAsNonRoot: true,
          capabilities: { drop: ["ALL"] },
        },
        startupProbe: { httpGet: httpGet("/healthz"), periodSeconds: 2, failureThreshold: 30, timeoutSeconds: 3 },
        livenessProbe: { httpGet: httpGet("/healthz"), periodSeconds: 10, failureThreshold: 3, timeoutSeconds: 3 },
        readinessProbe: { httpGet: httpGet("/readyz"), periodSeconds: 5, failureThreshold: 2, timeoutSeconds: 3 },
        volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
      });
      assert.deepEqual(called(resources, `photos-${app}-disruption-budget`).inputs, {
        apiVersion: "policy/v1",
        kind: "PodDisruptionBudget",
        metadata: { name: app, namespace: "photos", labels: labels(app) },
        spec: { maxUnavailable: 1, selector: { matchLabels: selector(app) } },
      });
    });
  }

  it("lets everybody at requests, the cluster's own pods at probes and metrics, and nobody at anything else", () => {
    const metadata = (name: string) => ({ name, namespace: "photos", labels: labels(name) });
    const ports = (port: number) => [{ protocol: "TCP", port }];
    const observed = { from: [{ namespaceSelector: {} }], ports: ports(8081) };
    const policies = resources.filter(({ type }) => type === "kubernetes:networking.k8s.io/v1:NetworkPolicy");
    assert.deepEqual(Object.fromEntries(policies.map(({ name, inputs: { metadata, spec } }) => [name, { metadata, spec }])), {
      "photos-isolation": { metadata: { name: "nobody", namespace: "photos" }, spec: { podSelector: {}, policyTypes: ["Ingress"] } },
      "photos-processor-network-policy": {
        metadata: metadata("processor"),
        spec: { podSelector: { matchLabels: selector("processor") }, policyTypes: ["Ingress"], ingress: [observed] },
      },
      "photos-uploader-network-policy": {
        metadata: metadata("uploader"),
        spec: { podSelector: { matchLabels: selector("uploader") }, policyTypes: ["Ingress"], ingress: [{ ports: ports(8080) }, observed] },
      },
    });
    for (const app of ["uploader", "processor"])
      for (const policy of ["photos-isolation", `photos-${app}-network-policy`])
        assert.ok(called(resources, `photos-${app}-deployment`).after.includes(policy), `${app} is not started before ${policy}`);
  });

  it("has memory for the largest pictures that it is to take", async () => {
    const large = await declare(onKubernetes({ image: IMAGE }, { limits: { bytes: "100 MB" } }));
    const memory = (app: string) => container(large, app).resources.limits.memory;
    assert.deepEqual([memory("uploader"), memory("processor")], ["574Mi", "1274Mi"]);
  });

  it("tells both what they work on, each what it alone needs, and no secret but the certificate's key", () => {
    const both = {
      STORAGE_BLOB_URL: "https://photosimage#.blob.core.windows.net/",
      STORAGE_QUEUE_URL: "https://photosstate#.queue.core.windows.net/",
      STORAGE_TABLE_URL: "https://photosstate#.table.core.windows.net/",
      UPLOADS_CONTAINER: "rawfiles",
      PROCESSED_CONTAINER: "processed",
      JOB_QUEUE: "jobqueue",
      DEAD_LETTER_QUEUE: "parked",
      TAGS_TABLE: "ImageTags",
      SQL_SERVER: "photos-records-server.database.windows.net",
      SQL_PORT: "1433",
      SQL_DATABASE: "imagemetadata",
    };
    const { PIPELINE_SETTINGS: settings, ...uploader } = plain(environment(resources, "uploader"));
    const { PIPELINE_SETTINGS: same, ...processor } = plain(environment(resources, "processor"));
    assert.equal(settings, same);
    assert.deepEqual(JSON.parse(settings).variants, {
      processed: { width: 2560, height: 2560, fit: "inside", format: "auto", quality: 85 },
      small: { width: 100, height: 100, fit: "cover", format: "auto", quality: 80 },
      large: { width: 640, height: 480, fit: "cover", format: "auto", quality: 80 },
    });
    assert.deepEqual(uploader, {
      ...both,
      PORT: "8080",
      PROBES_PORT: "8081",
      API_KEY_SECRET_URI: "https://photos-api-#.vault.azure.net/secrets/api-key",
      TLS_CERTIFICATE: '{"secretKeyRef":{"key":"tls.crt","name":"uploader-tls"}}',
      TLS_KEY: '{"secretKeyRef":{"key":"tls.key","name":"uploader-tls"}}',
    });
    assert.deepEqual(processor, {
      ...both,
      PORT: "8081",
      CONCURRENCY: "2",
      TOPIC_ENDPOINT: "https://photos-results-topic.westeurope-1.eventgrid.azure.net/api/events",
      VISION_ENDPOINT: "https://photos-vision-#.cognitiveservices.azure.com/",
      EMAIL_ENDPOINT: "https://photos-email-communication.europe.communication.azure.com",
      EMAIL_SENDER: "DoNotReply@0a1b2c3d.azurecomm.net",
      EMAIL_RECIPIENT: "ops@example.org",
    });
  });

  it("keeps the processed image as a team wants it, where it says so", async () => {
    const own = { processed: { width: 800, height: 800, fit: "inside" } };
    const { PIPELINE_SETTINGS } = environment(await declare(onKubernetes({ image: IMAGE }, { thumbnails: own })), "processor");
    assert.deepEqual(JSON.parse(PIPELINE_SETTINGS ?? "").variants, {
      processed: { width: 800, height: 800, fit: "inside", format: "auto", quality: 80 },
    });
  });

  it("counts the queue's messages to say how many processors there are, by an identity that may do no more", () => {
    assert.deepEqual(called(resources, "photos-processor-authentication").inputs, {
      apiVersion: "keda.sh/v1alpha1",
      kind: "TriggerAuthentication",
      metadata: { name: "processor", namespace: "photos", labels: labels("processor") },
      spec: { podIdentity: { provider: "azure-workload", identityId: "cccccccc-0000-4000-8000-000000000032" } },
    });
    const { inputs, after } = called(resources, "photos-processor-scaled-object");
    assert.deepEqual(plain(inputs), {
      apiVersion: "keda.sh/v1alpha1",
      kind: "ScaledObject",
      metadata: { name: "processor", namespace: "photos", labels: labels("processor") },
      spec: {
        scaleTargetRef: { name: "processor" },
        minReplicaCount: 1,
        maxReplicaCount: 10,
        pollingInterval: 15,
        advanced: { horizontalPodAutoscalerConfig: { behavior: { scaleDown: { stabilizationWindowSeconds: 120 } } } },
        triggers: [
          {
            type: "azure-queue",
            metadata: { queueName: "jobqueue", accountName: "photosstate#", queueLength: "5", activationQueueLength: "0" },
            authenticationRef: { name: "processor" },
          },
        ],
      },
    });
    assert.ok(after.includes("photos-processor-operator"));
    const operator = called(resources, "photos-processor-operator");
    assert.equal(operator.inputs.clientId, "cccccccc-0000-4000-8000-000000000032");
    for (const before of ["photos-identities-scaler-trust", "photos-scaler-may-count"]) assert.ok(operator.after.includes(before), before);
  });

  it("takes as many of each, of machines and of Kubernetes as it is told", async () => {
    const told = await declare(
      onKubernetes({
        image: IMAGE,
        replicas: { uploader: { min: 3 }, processor: { min: 0 + 1, max: 40 } },
        nodes: { size: "Standard_D8as_v5", min: 3, max: 12 },
        version: "1.36",
        tier: "Free",
        authorizedRanges: ["203.0.113.7/32"],
        namespace: "media",
      }),
    );
    const { minReplicas, maxReplicas } = called(told, "photos-uploader-autoscaler").inputs.spec;
    assert.deepEqual([minReplicas, maxReplicas], [3, 6]);
    const { minReplicaCount, maxReplicaCount } = called(told, "photos-processor-scaled-object").inputs.spec;
    assert.deepEqual([minReplicaCount, maxReplicaCount], [1, 40]);
    const { agentPoolProfiles, kubernetesVersion, sku, apiServerAccessProfile } = called(told, "photos-cluster-cluster").inputs;
    const [{ vmSize, count, minCount, maxCount }] = agentPoolProfiles;
    assert.deepEqual([vmSize, count, minCount, maxCount], ["Standard_D8as_v5", 3, 3, 12]);
    assert.deepEqual([kubernetesVersion, sku.tier], ["1.36", "Free"]);
    assert.deepEqual(apiServerAccessProfile, { authorizedIPRanges: ["203.0.113.7/32"] });
    assert.equal(called(told, "photos-namespace").inputs.metadata.name, "media");
    assert.equal(called(told, "photos-identities-uploader-trust").inputs.subject, "system:serviceaccount:media:uploader");
    assert.match(called(told, "photos-alarm-failed").inputs.criteria.allOf[0].query, /PodNamespace == "media"/);
  });

  it("grows the uploader by its work", () => {
    assert.deepEqual(called(resources, "photos-uploader-autoscaler").inputs.spec, {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "uploader" },
      minReplicas: 2,
      maxReplicas: 6,
      metrics: [{ type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 70 } } }],
    });
  });

  describe("is reached", () => {
    const url = async (args: ImagePipelineArgs): Promise<{ url: string; resources: Declared[] }> => {
      let url = "";
      const resources = await recorded(async () => {
        const photos = new ImagePipeline("photos", args);
        url = await new Promise((resolve) => photos.url.apply(resolve));
      });
      return { url: plain(url), resources };
    };
    const service = (resources: Declared[]) => plain(called(resources, "photos-uploader-service").inputs);

    it("by TLS with a certificate of its own making, at a name of its own", async () => {
      const declared = service(resources);
      assert.deepEqual(declared.metadata.annotations, {
        "service.beta.kubernetes.io/azure-dns-label-name": "photos-#",
        "service.beta.kubernetes.io/azure-load-balancer-health-probe-request-path": "/health",
      });
      assert.deepEqual(declared.spec, {
        type: "LoadBalancer",
        selector: selector("uploader"),
        ports: [{ name: "web", port: 443, targetPort: "http", protocol: "TCP", appProtocol: "https" }],
      });
      assert.equal(plain(called(resources, "photos-uploader-certificate").inputs.host), "photos-#.westeurope.cloudapp.azure.com");
      const { inputs, secretInputs } = called(resources, "photos-uploader-secret");
      assert.deepEqual([inputs.type, inputs.stringData], ["kubernetes.io/tls", { "tls.crt": "a certificate", "tls.key": "its key" }]);
      assert.deepEqual(secretInputs, ["stringData"]);
    });

    it("by TLS with a certificate that is given, at the name that it is for", async () => {
      const given = await url(onKubernetes({ image: IMAGE, tls: { ...PEM, host: "media.example.org" } }));
      assert.equal(given.url, "https://media.example.org");
      assert.deepEqual(called(given.resources, "photos-uploader-secret").inputs.stringData, {
        "tls.crt": PEM.certificate,
        "tls.key": PEM.key,
      });
      assert.equal(
        given.resources.some(({ name }) => name === "photos-uploader-certificate"),
        false,
      );
      const revision = (resources: Declared[]) =>
        called(resources, "photos-uploader-deployment").inputs.spec.template.metadata.annotations["image-pipeline/revision"];
      const renewed = await declare(
        onKubernetes({ image: IMAGE, tls: { ...PEM, certificate: `${PEM.certificate}2`, host: "media.example.org" } }),
      );
      assert.notEqual(revision(given.resources), revision(renewed));
    });

    it("through an ingress of one's own, and then from nowhere else", async () => {
      const behind = await url(onKubernetes({ image: IMAGE, tls: { ingress: "https://media.example.org" } }));
      assert.equal(behind.url, "https://media.example.org");
      const { metadata, spec } = service(behind.resources);
      assert.equal(metadata.annotations, undefined);
      assert.deepEqual([spec.type, spec.ports[0].port, spec.ports[0].appProtocol], ["ClusterIP", 80, "http"]);
      assert.equal(environment(behind.resources, "uploader").TLS_KEY, undefined);
      assert.deepEqual(called(behind.resources, "photos-images-blobs").inputs.cors.corsRules[0].allowedOrigins, [
        "https://media.example.org",
      ]);
    });

    it("by plain HTTP where everybody may call", async () => {
      const open = await url(onKubernetes({ image: IMAGE }, { auth: "none" }));
      assert.equal(open.url, "http://photos-#.westeurope.cloudapp.azure.com");
      const { ports } = service(open.resources).spec;
      assert.deepEqual([ports[0].port, ports[0].appProtocol], [80, "http"]);
      for (const { name } of open.resources) assert.doesNotMatch(name, /certificate|uploader-secret|api-key|read-key/);
    });

    it("with tickets from its own page", () => {
      const { allowedOrigins } = called(resources, "photos-images-blobs").inputs.cors.corsRules[0];
      assert.deepEqual(plain(allowedOrigins), ["https://photos-#.westeurope.cloudapp.azure.com"]);
    });
  });

  it("keeps what its containers say, and rings for errors among it", async () => {
    const { dataSources, destinations, dataFlows } = called(resources, "photos-cluster-log-rule").inputs;
    const streams = ["Microsoft-ContainerLogV2"];
    assert.deepEqual(dataSources.extensions, [
      {
        name: "ContainerInsightsExtension",
        extensionName: "ContainerInsights",
        streams,
        extensionSettings: {
          dataCollectionSettings: { interval: "1m", namespaceFilteringMode: "Include", namespaces: ["photos"], enableContainerLogV2: true },
        },
      },
    ]);
    assert.equal(
      destinations.logAnalytics[0].workspaceResourceId,
      `${GROUP}/Microsoft.OperationalInsights/workspaces/photos-monitoring-workspace`,
    );
    assert.deepEqual(dataFlows, [{ streams, destinations: [destinations.logAnalytics[0].name] }]);
    const { resourceUri, associationName, dataCollectionRuleId } = called(resources, "photos-cluster-logs").inputs;
    assert.deepEqual(
      [resourceUri, associationName, dataCollectionRuleId],
      [CLUSTER, "ContainerInsightsExtension", `${GROUP}/Microsoft.Insights/dataCollectionRules/photos-cluster-log-rule`],
    );
    assert.equal(
      called(resources, "photos-alarm-failed").inputs.criteria.allOf[0].query,
      'ContainerLogV2 | where PodNamespace == "photos" and LogLevel has "error"',
    );
    assert.match(called(resources, "photos-alarm-parked").inputs.criteria.allOf[0].query, /has_any \("\/parked\/messages"\)$/);
    const long = await declare(onKubernetes({ image: IMAGE }, { logs: { retention: "1000 days" } }));
    assert.deepEqual(
      long.filter(({ type }) => type === "azure-native:operationalinsights:Table").map(({ inputs }) => inputs.tableName),
      ["ContainerLogV2", "StorageQueueLogs"],
    );
  });

  it("calls its containers what they are asked to be called, and forgets pictures for labels after a day", async () => {
    const named = await declare(onKubernetes({ image: IMAGE, container: "raw", processed: "done" }));
    assert.deepEqual(
      ["uploads", "thumbnails"].map((child) => called(named, `photos-images-${child}`).inputs.containerName),
      ["raw", "done"],
    );
    assert.deepEqual(
      [environment(named, "uploader").UPLOADS_CONTAINER, environment(named, "uploader").PROCESSED_CONTAINER],
      ["raw", "done"],
    );
    const [rule] = called(named, "photos-images-lifecycle").inputs.policy.rules;
    assert.deepEqual(rule.definition.filters.prefixMatch, ["done/labels/"]);
    assert.match(called(named, "photos-arrivals-subscription").inputs.filter.subjectBeginsWith, /\/raw\/blobs\/$/);
  });

  it("has a tagger of the team's own built into its image", async () => {
    const own = await declare(onKubernetes({}, { tagger: "./examples/taggers/shape.ts" }));
    const { path } = called(own, "photos-registry-image").inputs;
    assert.notEqual(path, called(resources, "photos-registry-image").inputs.path);
    assert.equal(JSON.parse(environment(own, "processor").PIPELINE_SETTINGS ?? "").tagger, "module");
  });

  it("lets a transform reach every resource", async () => {
    const { children, touched, resources } = await reached(
      (touch) =>
        new ImagePipeline("photos", {
          notify: { email: "ops@example.org" },
          logs: { retention: "1000 days" },
          azure: { hosting: "kubernetes" },
          transform: {
            group: touch,
            images: each(touch, "account", "blobs", "lifecycle", "uploads", "thumbnails", "deadLetters"),
            state: each(touch, "account", "jobs", "parked", "tags"),
            monitoring: each(touch, "workspace", "storageQueueLogs", "containerLogs"),
            records: each(touch, "server", "firewall", "database", "schema"),
            topic: each(touch, "topic"),
            email: each(touch, "service", "domain", "communication"),
            vision: each(touch, "account"),
            apiKey: each(touch, "vault", "secret", "generated"),
            arrivals: each(touch, "topic", "subscription", "send", "park"),
            alarms: each(touch, "group", "queueLogs", "eventsParked", "eventsLost", "parked", "failed"),
            identities: each(touch, "uploader", "processor", "scaler", "uploaderTrust", "processorTrust", "scalerTrust"),
            cluster: each(touch, "cluster", "logRule", "logs", "administer", "access", "kubernetes"),
            clusterMay: each(touch, "pull"),
            registry: each(touch, "registry", "image"),
            namespace: touch,
            isolation: touch,
            uploader: each(
              touch,
              "account",
              "deployment",
              "disruptionBudget",
              "networkPolicy",
              "service",
              "autoscaler",
              "secret",
              "certificate",
            ),
            uploaderMay: each(touch, "uploads", "processed", "sign", "redrive", "parked", "tags", "readKey"),
            processor: each(
              touch,
              "account",
              "deployment",
              "disruptionBudget",
              "networkPolicy",
              "operator",
              "authentication",
              "scaledObject",
            ),
            processorMay: each(touch, "uploads", "processed", "jobs", "park", "tags", "announce", "look", "mail"),
            scalerMay: each(touch, "count"),
          },
        }),
    );
    assert.deepEqual(touched, children);
    assert.equal(children.length, resources.length);
  });

  it("merges a transform deeply", async () => {
    const transform = {
      cluster: { cluster: { networkProfile: { podCidr: "10.8.0.0/16" }, securityProfile: { imageCleaner: { enabled: true } } } },
      uploader: { deployment: { spec: { revisionHistoryLimit: 1, template: { spec: { priorityClassName: "important" } } } } },
    };
    const changed = difference(await declare(onKubernetes({ image: IMAGE })), await declare(onKubernetes({ image: IMAGE }, { transform })));
    assert.deepEqual(changed, {
      added: [],
      removed: [],
      changed: {
        "photos-cluster-cluster networkProfile.podCidr": "10.8.0.0/16",
        "photos-cluster-cluster securityProfile.imageCleaner.enabled": true,
        "photos-uploader-deployment spec.revisionHistoryLimit": 1,
        "photos-uploader-deployment spec.template.spec.priorityClassName": "important",
      },
    });
  });

  it("has no transform for what a Function App has", async () => {
    const transform = { app: { plan: { zoneRedundant: true } } };
    await assert.rejects(declare(onKubernetes({ image: IMAGE }, { transform })), {
      code: "UNKNOWN_CHILD",
      message: /transform\.app names no child/,
    });
    const cluster = { cluster: { dnsPrefix: "mine" } };
    await assert.rejects(declare({ transform: { cluster } }), { code: "UNKNOWN_CHILD", message: /transform\.cluster names no child/ });
  });

  const refused: [string, object, object, RegExp][] = [
    ["instances of an app", { alwaysReady: 1 }, {}, /an option is "azure\.alwaysReady"/],
    ["an option that is none", { nodePool: {} }, {}, /an option is "azure\.nodePool"/],
    ["one container for both", { container: "one", processed: "one" }, {}, /azure\.container is "one"/],
    ["a container that is the pipeline's", { processed: "deadletter" }, {}, /azure\.processed is "deadletter"/],
    ["a container that Azure would refuse", { processed: "Done" }, {}, /azure\.processed is "Done"/],
    ["an image by its tag", { image: "pipeline:latest" }, {}, /azure\.image is "pipeline:latest": it must be an image by its digest/],
    [
      "an image beside a tagger of one's own",
      { image: IMAGE },
      { tagger: "./examples/taggers/shape.ts" },
      /azure\.image .* left out where the tagger/,
    ],
    ["a namespace of Kubernetes' own", { namespace: "kube-system" }, {}, /azure\.namespace is "kube-system"/],
    ["plain HTTP for a key", { tls: "none" }, {}, /azure\.tls is "none": it must be "none" only where auth is "none"\. Keys and tokens/],
    ["a word that is no TLS", { tls: "tls" }, {}, /azure\.tls is "tls": it must be "self-signed" or "none", or \{/],
    ["a certificate that is none", { tls: { ...PEM, certificate: "x", host: "a.example" } }, {}, /tls\.certificate is "\(1 characters\)"/],
    ["a key that is none, without showing it", { tls: { ...PEM, key: "hush", host: "a.example" } }, {}, /tls\.key is "\(4 characters\)"/],
    ["a certificate without its host", { tls: PEM }, {}, /azure\.tls\.host is undefined/],
    ["an ingress by plain HTTP for a key", { tls: { ingress: "http://a.example" } }, {}, /azure\.tls\.ingress is "http:\/\/a\.example"/],
    ["an ingress with a path", { tls: { ingress: "https://a.example/x" } }, {}, /azure\.tls\.ingress/],
    ["a certificate and an ingress", { tls: { ingress: "https://a.example", ...PEM } }, {}, /an option is "azure\.tls\.certificate"/],
    ["no processor", { replicas: { processor: { min: 0 } } }, {}, /azure\.replicas\.processor\.min is 0: it must be between 1 and 100/],
    [
      "more at least than at most",
      { replicas: { uploader: { min: 5, max: 4 } } },
      {},
      /azure\.replicas\.uploader\.min is 5: it must be at most/,
    ],
    ["replicas of what there is not", { replicas: { sweeper: {} } }, {}, /an option is "azure\.replicas\.sweeper"/],
    ["a single machine", { nodes: { min: 1 } }, {}, /azure\.nodes\.min is 1: it must be between 2 and 1000/],
    [
      "machines that AKS does not take",
      { nodes: { size: "Standard_B4ms" } },
      {},
      /azure\.nodes\.size is "Standard_B4ms".*not of the B series/,
    ],
    ["a patch of Kubernetes", { version: "1.35.2" }, {}, /azure\.version is "1\.35\.2": it must be a minor version/],
    ["a tier that is none", { tier: "Premium" }, {}, /azure\.tier is "Premium": it must be "Free" or "Standard"/],
    ["a range that is none", { authorizedRanges: ["203.0.113.7"] }, {}, /azure\.authorizedRanges\[0\] is "203\.0\.113\.7"/],
    ["a login that is none", { login: "admin" }, {}, /azure\.login is "admin"/],
  ];
  for (const [what, azure, others, message] of refused) {
    it(`refuses ${what}, before anything is declared`, async () => {
      await assert.rejects(declare(onKubernetes(azure, others)), { code: "INVALID_ARGUMENT", message });
    });
  }

  it("does not compile where options contradict each other", () => {
    const check = (_: ImagePipelineArgs) => {};
    // @ts-expect-error a cluster has no instances of an app
    check({ azure: { hosting: "kubernetes", alwaysReady: 1 } });
    // @ts-expect-error a Function App has no machines
    check({ azure: { nodes: { min: 2 } } });
    // @ts-expect-error a certificate is for a host
    check({ azure: { hosting: "kubernetes", tls: PEM } });
    // @ts-expect-error an ingress has its own certificate
    check({ azure: { hosting: "kubernetes", tls: { ingress: "https://a.example", ...PEM, host: "a.example" } } });
  });
});
