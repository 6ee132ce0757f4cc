import assert from "node:assert/strict";
import { ImagePipeline, type ImagePipelineArgs } from "../../../../components/azure/image-pipeline.js";
import type { KubernetesOptions } from "../../../../components/azure/kubernetes/options.js";
import { type Declared, recorded } from "../../../declared.js";
import { SUBSCRIPTION } from "../../../declared-azure.js";
import { type Difference, difference, on } from "../../difference.js";
import { ARGUMENTS } from "../../reviewed.js";
import { taggable } from "../../taggable.js";

/** Options as JavaScript would give them. */
const declare = (azure: object = {}, others: object = {}) =>
  recorded(() => new ImagePipeline("photos", { ...others, azure: { hosting: "kubernetes", ...azure } } as ImagePipelineArgs));

const inContainer = (app: string, path: string, value: unknown) =>
  on([`photos-${app}-deployment`], `spec.template.spec.containers.${app}.${path}`, value);
const told = (app: string, variable: string, value: unknown) => inContainer(app, `env.${variable}`, value);
const both = (variable: string, value: unknown) => ({ ...told("uploader", variable, value), ...told("processor", variable, value) });
const inSettings = (path: string, value: unknown) => both(`PIPELINE_SETTINGS.${path}`, value);
const none = (...names: string[]) => Object.fromEntries(names.map((name) => [name, undefined]));

const KEY = ["photos-api-key-generated", "photos-api-key-secret", "photos-api-key-vault", "photos-uploader-may-read-key"];
const OWN_ADDRESS = "https://photos-270ae08cc27e3.westeurope.cloudapp.azure.com";
const IMAGE = `registry.example.org/pipeline@sha256:${"a".repeat(64)}`;
const PEM = {
  certificate: "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n",
  key: "-----BEGIN PRIVATE KEY-----\nB\n-----END PRIVATE KEY-----\n",
};
const ACCOUNT =
  `/subscriptions/${SUBSCRIPTION}/resourceGroups/photos-group/providers/Microsoft.Storage/storageAccounts/photosimage74359302cc39f` +
  "/blobServices/default/containers";

const withoutVision = (tagger: string): Partial<Difference> => ({
  removed: ["photos-processor-may-look", "photos-vision-account"],
  changed: { ...inSettings("tagger", tagger), ...told("processor", "VISION_ENDPOINT", undefined) },
});

/** Browsers that may upload with tickets. */
const from = (...origins: string[]) => ({
  "photos-images-blobs cors.corsRules": [
    {
      allowedMethods: ["PUT"],
      allowedOrigins: origins,
      allowedHeaders: ["content-type", "if-none-match", "x-ms-blob-type", "x-ms-meta-*"],
      exposedHeaders: ["ETag"],
      maxAgeInSeconds: 3_600,
    },
  ],
});

/** The uploader's port without TLS. */
const IN_CLEAR = {
  "photos-uploader-deployment spec.template.metadata.annotations.image-pipeline/revision": undefined,
  ...told("uploader", "TLS_CERTIFICATE.secretKeyRef", none("name", "key")),
  ...told("uploader", "TLS_KEY.secretKeyRef", none("name", "key")),
  "photos-uploader-service spec.ports": [{ name: "web", port: 80, targetPort: "http", protocol: "TCP", appProtocol: "http" }],
};

describe("An option on Kubernetes changes this, and nothing else:", () => {
  let defaults: Declared[];
  before(async () => {
    defaults = await declare();
  });

  const options: Record<string, [azure: object, others: object, Partial<Difference>]> = {
    thumbnails: [
      {},
      { thumbnails: { card: { width: 320, height: 200, fit: "inside", format: "webp", quality: 60 } } },
      {
        changed: {
          ...inSettings("variants.card", { width: 320, height: 200, fit: "inside", format: "webp", quality: 60 }),
          ...inSettings("variants.small", none("width", "height", "fit", "format", "quality")),
          ...inSettings("variants.large", none("width", "height", "fit", "format", "quality")),
        },
      },
    ],
    "limits.bytes": [
      {},
      { limits: { bytes: "1 MB" } },
      // What it holds of a file is part of what it needs.
      { changed: { ...inSettings("limits.bytes", 1_000_000), ...inContainer("processor", "resources.limits.memory", "1085Mi") } },
    ],
    "limits.pixels": [{}, { limits: { pixels: "1 MP" } }, { changed: inSettings("limits.pixels", 1_000_000) }],
    "metadata.gps": [{}, { metadata: { gps: true } }, { changed: inSettings("gps", true) }],
    "tagger: none": [{}, { tagger: "none" }, withoutVision("none")],
    "tagger: statistics": [{}, { tagger: "statistics" }, withoutVision("statistics")],
    // Its image is another one, too: asserted below.
    "tagger: a module": [{}, { tagger: "./examples/taggers/shape.ts" }, withoutVision("module")],
    "notify.email": [
      {},
      { notify: { email: "ops@example.org" } },
      {
        added: ["photos-email-communication", "photos-email-domain", "photos-email-service", "photos-processor-may-mail"],
        changed: {
          "photos-alarm-group emailReceivers": [{ emailAddress: "ops@example.org", name: "email", useCommonAlertSchema: true }],
          ...told("processor", "EMAIL_ENDPOINT", "https://photos-email-communication.europe.communication.azure.com"),
          ...told("processor", "EMAIL_SENDER", "DoNotReply@0a1b2c3d.azurecomm.net"),
          ...told("processor", "EMAIL_RECIPIENT", "ops@example.org"),
        },
      },
    ],
    "auth: none": [
      {},
      { auth: "none" },
      {
        removed: [...KEY, "photos-uploader-certificate", "photos-uploader-secret"].sort(),
        changed: {
          ...IN_CLEAR,
          ...inSettings("auth.kind", "none"),
          ...told("uploader", "API_KEY_SECRET_URI", undefined),
          ...from(OWN_ADDRESS.replace("https:", "http:")),
        },
      },
    ],
    "auth: jwt": [
      {},
      { auth: { jwt: { issuer: "https://id.example.org", audience: "photos" } } },
      {
        removed: KEY,
        changed: {
          ...inSettings("auth", {
            kind: "jwt",
            issuer: "https://id.example.org",
            audience: "photos",
            jwksUri: "https://id.example.org/.well-known/jwks.json",
          }),
          ...told("uploader", "API_KEY_SECRET_URI", undefined),
        },
      },
    ],
    apiKey: [
      {},
      { apiKey: "0123456789abcdef" },
      { removed: ["photos-api-key-generated"], changed: { "photos-api-key-secret properties.value": "0123456789abcdef" } },
    ],
    origins: [{}, { origins: ["https://app.example.org"] }, { changed: from(OWN_ADDRESS, "https://app.example.org") }],
    removal: [
      {},
      { removal: "retain" },
      {
        changed: on(
          [
            "photos-group",
            ...["secret", "vault"].map((child) => `photos-api-key-${child}`),
            ...["account", "blobs", "dead-letters", "lifecycle", "thumbnails", "uploads"].map((child) => `photos-images-${child}`),
            ...["database", "firewall", "server"].map((child) => `photos-records-${child}`),
            ...["account", "jobs", "parked", "tags"].map((child) => `photos-state-${child}`),
          ],
          "retainOnDelete",
          true,
        ),
      },
    ],
    recovery: [
      {},
      { recovery: { days: 14 } },
      {
        changed: {
          "photos-api-key-vault properties.enablePurgeProtection": true,
          "photos-api-key-vault properties.softDeleteRetentionInDays": 14,
          ...on(["photos-images-blobs"], "deleteRetentionPolicy", { enabled: true, days: 14 }),
          ...on(["photos-images-blobs"], "containerDeleteRetentionPolicy", { enabled: true, days: 14 }),
        },
      },
    ],
    "logs.retention": [{}, { logs: { retention: "90 days" } }, { changed: { "photos-monitoring-workspace retentionInDays": 90 } }],
    "azure.sqlAdministrator": [
      { sqlAdministrator: { login: "dba", sid: "aaaaaaaa-0000-4000-8000-00000000000f", principalType: "Group" } },
      {},
      {
        changed: on(["photos-records-server"], "administrators", {
          login: "dba",
          sid: "aaaaaaaa-0000-4000-8000-00000000000f",
          principalType: "Group",
        }),
      },
    ],
    "azure.container": [
      { container: "photos-in" },
      {},
      {
        changed: {
          ...both("UPLOADS_CONTAINER", "photos-in"),
          "photos-images-uploads containerName": "photos-in",
          "photos-arrivals-subscription filter.subjectBeginsWith": "/blobServices/default/containers/photos-in/blobs/",
          ...on(["photos-uploader-may-uploads", "photos-processor-may-uploads"], "scope", `${ACCOUNT}/photos-in`),
        },
      },
    ],
    "azure.processed": [
      { processed: "done" },
      {},
      {
        changed: {
          ...both("PROCESSED_CONTAINER", "done"),
          "photos-images-thumbnails containerName": "done",
          "photos-images-lifecycle policy.rules": [
            {
              name: "done-labels",
              type: "Lifecycle",
              definition: {
                filters: { blobTypes: ["blockBlob"], prefixMatch: ["done/labels/"] },
                actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: 1 } } },
              },
            },
          ],
          ...on(["photos-uploader-may-processed", "photos-processor-may-processed"], "scope", `${ACCOUNT}/done`),
        },
      },
    ],
    "azure.image": [
      { image: IMAGE },
      {},
      {
        removed: ["photos-cluster-may-pull", "photos-registry-image", "photos-registry-registry"],
        changed: { ...inContainer("uploader", "image", IMAGE), ...inContainer("processor", "image", IMAGE) },
      },
    ],
    "azure.namespace": [
      { namespace: "media" },
      {},
      {
        changed: {
          "photos-namespace metadata.name": "media",
          "photos-identities-uploader-trust subject": "system:serviceaccount:media:uploader",
          "photos-identities-processor-trust subject": "system:serviceaccount:media:processor",
          "photos-alarm-failed criteria.allOf": [
            {
              query: 'ContainerLogV2 | where PodNamespace == "media" and LogLevel has "error"',
              timeAggregation: "Count",
              operator: "GreaterThan",
              threshold: 0,
            },
          ],
          "photos-cluster-log-rule dataSources.extensions": [
            {
              name: "ContainerInsightsExtension",
              extensionName: "ContainerInsights",
              streams: ["Microsoft-ContainerLogV2"],
              extensionSettings: {
                dataCollectionSettings: {
                  interval: "1m",
                  namespaceFilteringMode: "Include",
                  namespaces: ["media"],
                  enableContainerLogV2: true,
                },
              },
            },
          ],
        },
      },
    ],
    "azure.tls: a certificate": [
      { tls: { ...PEM, host: "media.example.org" } },
      {},
      {
        removed: ["photos-uploader-certificate"],
        changed: {
          ...from("https://media.example.org"),
          "photos-uploader-deployment spec.template.metadata.annotations.image-pipeline/revision": "ce14205b6354b469",
          "photos-uploader-secret stringData.tls.crt": PEM.certificate,
          "photos-uploader-secret stringData.tls.key": PEM.key,
        },
      },
    ],
    "azure.tls: an ingress": [
      { tls: { ingress: "https://media.example.org" } },
      {},
      {
        removed: ["photos-uploader-certificate", "photos-uploader-secret"],
        changed: {
          ...IN_CLEAR,
          ...from("https://media.example.org"),
          "photos-uploader-service spec.type": "ClusterIP",
          ...on(
            ["photos-uploader-service"],
            "metadata.annotations",
            none(
              "service.beta.kubernetes.io/azure-dns-label-name",
              "service.beta.kubernetes.io/azure-load-balancer-health-probe-request-path",
            ),
          ),
        },
      },
    ],
    "azure.replicas": [
      { replicas: { uploader: { min: 3, max: 7 }, processor: { min: 2, max: 20 } } },
      {},
      {
        changed: {
          ...on(["photos-uploader-autoscaler"], "spec", { minReplicas: 3, maxReplicas: 7 }),
          ...on(["photos-processor-scaled-object"], "spec", { minReplicaCount: 2, maxReplicaCount: 20 }),
        },
      },
    ],
    "azure.nodes": [
      { nodes: { size: "Standard_D8as_v5", min: 3, max: 12 } },
      {},
      {
        changed: {
          "photos-cluster-cluster agentPoolProfiles": [
            {
              name: "system",
              mode: "System",
              type: "VirtualMachineScaleSets",
              vmSize: "Standard_D8as_v5",
              osType: "Linux",
              osSKU: "AzureLinux",
              enableAutoScaling: true,
              count: 3,
              minCount: 3,
              maxCount: 12,
            },
          ],
        },
      },
    ],
    "azure.version": [{ version: "1.36" }, {}, { changed: { "photos-cluster-cluster kubernetesVersion": "1.36" } }],
    "azure.tier": [{ tier: "Free" }, {}, { changed: { "photos-cluster-cluster sku.tier": "Free" } }],
    "azure.authorizedRanges": [
      { authorizedRanges: ["203.0.113.7/32"] },
      {},
      { changed: { "photos-cluster-cluster apiServerAccessProfile.authorizedIPRanges": ["203.0.113.7/32"] } },
    ],
    "azure.login": [
      { login: "kubelogin" },
      {},
      {
        changed: {
          "photos-cluster-kubernetes kubeconfig.users": [
            {
              name: "deployer",
              user: {
                exec: {
                  apiVersion: "client.authentication.k8s.io/v1beta1",
                  command: "kubelogin",
                  args: ["get-token", "--server-id", "6dae42f8-4368-4678-94ff-3960e28e3630", "--login", "azurecli"],
                  interactiveMode: "Never",
                },
              },
            },
          ],
        },
      },
    ],
  };

  /** What a context's own hash is in: one that has other programs in it is another image. */
  const CONTEXT = /^photos-registry-image (path|sha256|tag)$/;
  for (const [option, [azure, others, expected]] of Object.entries(options)) {
    it(option, async () => {
      const { changed, ...rest } = difference(defaults, await declare(azure, others));
      const paths = Object.keys(changed);
      assert.equal(paths.filter((path) => CONTEXT.test(path)).length, option === "tagger: a module" ? 3 : 0, "the image's context");
      const inNamespace = (path: string) => option === "azure.namespace" && / metadata\.namespace$/.test(path);
      const told = Object.fromEntries(Object.entries(changed).filter(([path]) => !CONTEXT.test(path) && !inNamespace(path)));
      assert.deepEqual({ ...rest, changed: told }, { added: [], removed: [], changed: {}, ...expected });
    });
  }

  it("azure.namespace, which all that runs lies in", async () => {
    const { changed } = difference(defaults, await declare({ namespace: "media" }));
    const namespaced = defaults.filter(({ type }) => type.startsWith("kubernetes:") && type !== "kubernetes:core/v1:Namespace");
    const moved = Object.entries(changed).filter(([path]) => path.endsWith(" metadata.namespace"));
    assert.deepEqual(
      Object.fromEntries(moved),
      on(
        namespaced.map(({ name }) => name),
        "metadata.namespace",
        "media",
      ),
    );
  });

  it("tags, which are on whatever of Azure's can carry them, and on the cluster's machines", async () => {
    const declared = await declare({}, { tags: { team: "photos" } });
    const { added, removed, changed } = difference(defaults, declared);
    assert.deepEqual([added, removed], [[], []]);
    const { "photos-cluster-cluster agentPoolProfiles": pools, ...tags } = changed;
    assert.deepEqual(
      (pools as { tags?: object }[]).map((pool) => pool.tags),
      [{ team: "photos" }],
    );
    assert.deepEqual(tags, on(await taggable(declared), "tags", { team: "photos" }));
  });

  it("is listed here", () => {
    const listed = Object.keys(options);
    const top = new Set(listed.map((option) => option.split(/[.:]/)[0]));
    const all: Record<keyof ImagePipelineArgs, true> = { ...ARGUMENTS, azure: true, transform: true };
    assert.deepEqual([...top, "source", "tags", "transform"].sort(), Object.keys(all).sort());
    // What Azure has wherever the code runs, and what there is on Kubernetes alone.
    const own: Record<Exclude<keyof KubernetesOptions, "hosting" | "alwaysReady" | "maximumInstances">, true> = {
      processed: true,
      image: true,
      namespace: true,
      tls: true,
      replicas: true,
      nodes: true,
      version: true,
      tier: true,
      authorizedRanges: true,
      login: true,
    };
    const azure = new Set(listed.flatMap((option) => /^azure\.(\w+)/.exec(option)?.[1] ?? []));
    assert.deepEqual([...azure].sort(), [...Object.keys(own), "sqlAdministrator", "container"].sort());
  });

  it("does not compile where it contradicts another one", () => {
    const check = (_: ImagePipelineArgs) => {};
    // @ts-expect-error a key does not travel in clear, and it is the default
    check({ azure: { hosting: "kubernetes", tls: "none" } });
    // @ts-expect-error nor does a token
    check({ auth: { jwt: { issuer: "https://id.example", audience: "photos" } }, azure: { hosting: "kubernetes", tls: "none" } });
    check({ auth: "none", azure: { hosting: "kubernetes", tls: "none" } });
    // @ts-expect-error a tagger of one's own is built into the image
    check({ tagger: "./logo.ts", azure: { hosting: "kubernetes", image: IMAGE } });
    check({ tagger: "statistics", azure: { hosting: "kubernetes", image: IMAGE } });
  });
});
