import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { packTar } from "modern-tar";
import { DEPLOYER } from "../../../../local/kernel/azure/arm.js";
import { AKS_SERVER } from "../../../../local/kernel/azure/clusters.js";
import { issueToken } from "../../../../local/kernel/azure/tokens.js";
import { ServiceProvider } from "../../../../local/kernel/provider.js";
import type { Properties, Resource, Service } from "../../../../local/kernel/service.js";
import type { TraceEntry } from "../../../../local/kernel/trace.js";
import containerRegistry from "../../../../local/services/azure/containerregistry/index.js";
import containerService from "../../../../local/services/azure/containerservice/index.js";
import entra from "../../../../local/services/azure/entra.js";
import kubernetes from "../../../../local/services/kubernetes/cluster/index.js";
import { type TestAzure, testAzure } from "../azure/azure-cloud.js";

export const NAMESPACE = "photos";
const IMAGE = join(import.meta.dirname, "image");
const ROOT = join(import.meta.dirname, "../../../..");
const API = "api-version=2019-06-01-preview";

/** Kubernetes' own seconds pass this much faster in tests. */
export const PACE = 50;

/** The SDK's argument of a managed cluster. */
export const CLUSTER = {
  resourceName: "photoscluster",
  dnsPrefix: "photos",
  sku: { name: "Base", tier: "Standard" },
  identity: { type: "SystemAssigned" },
  kubernetesVersion: "1.35",
  enableRBAC: true,
  aadProfile: { managed: true, enableAzureRBAC: true },
  disableLocalAccounts: true,
  oidcIssuerProfile: { enabled: true },
  securityProfile: { workloadIdentity: { enabled: true } },
  workloadAutoScalerProfile: { keda: { enabled: true } },
  agentPoolProfiles: [
    { name: "system", mode: "System", vmSize: "Standard_D4as_v5", enableAutoScaling: true, count: 2, minCount: 2, maxCount: 5 },
  ],
};

export interface TestCluster {
  azure: TestAzure;
  cluster: Resource;
  registry: Resource;
  /** Declares a Kubernetes object through the cluster's provider. */
  apply(type: string, manifest: Properties): Promise<Applied>;
  change(applied: Applied, manifest: Properties): Promise<Applied>;
  remove(applied: Applied): Promise<void>;
  /** A kubeconfig as the program puts it together: the cluster's, with a token in it. */
  kubeconfig(token?: string): Promise<Properties>;
  /** Builds an image in the registry. @returns its name by digest */
  build(files: Record<string, string>, request?: Properties): Promise<Build>;
  /** Of the folder `image`, built once. */
  image(): Promise<string>;
  /** Lists or gets from the API server, as whoever deploys. */
  get(path: string, init?: RequestInit & { token?: string }): Promise<Properties>;
  pods(labels?: string): Promise<Properties[]>;
  stop(): Promise<void>;
}

export interface Applied {
  urn: string;
  id: string;
  inputs: Properties;
  outputs: Properties;
}

export interface Build {
  status: string;
  error?: string;
  log: string;
  reference: string;
  digest: string;
}

/** An embedded Azure with a registry and a cluster that may pull from it, and the namespace `photos`. */
export async function testCluster(
  more: { services?: Service[]; port?: number; cluster?: Properties; pull?: boolean } = {},
): Promise<TestCluster> {
  const services = [containerRegistry(), containerService(), entra(), kubernetes({ pace: PACE }), ...(more.services ?? [])];
  const azure = await testAzure(services, more.port === undefined ? {} : { port: more.port });
  const { cloud } = azure.test;
  const registry = await azure.declare("azure-native:containerregistry:Registry", "photosregistry", {
    registryName: "photosregistry",
    sku: { name: "Basic" },
    adminUserEnabled: false,
  });
  const cluster = await azure.declare("azure-native:containerservice:ManagedCluster", "cluster", { ...CLUSTER, ...more.cluster });
  await azure.grant(DEPLOYER.objectId, "clusterAdmin", cluster.id);
  if (more.pull !== false) await azure.grant(cluster.outputs.identityProfile.kubeletidentity.objectId, "acrPull", registry.id);

  const login = () => issueToken(cloud, { ...DEPLOYER, audience: AKS_SERVER });
  const kubeconfig = async (token?: string): Promise<Properties> => {
    const { kubeconfigs } = await call("azure-native:containerservice:listManagedClusterUserCredentials", {
      resourceName: cluster.outputs.name,
      format: "exec",
    });
    const { parse } = await import("yaml");
    const config = parse(Buffer.from(kubeconfigs[0].value, "base64").toString());
    config.users[0].user = { token: token ?? (await login()) };
    return config;
  };
  const call = (token: string, args: Properties): Promise<Properties> => {
    const found = services.map(({ functions }) => functions?.[token]).find(Boolean);
    if (!found) throw new Error(`No service answers ${token}`);
    return found(args, cloud);
  };
  const provider = new ServiceProvider(cloud, services, {
    explicit: { package: "kubernetes", config: { kubeconfig: await kubeconfig() } },
  });
  const urnOf = (type: string, name: string) => `urn:pulumi:test::test::${type}::${name}`;
  const authority = await readFile((await cloud.secure("kubernetes")).authority, "utf8");

  let built: Promise<Build> | undefined;
  const test: TestCluster = {
    azure,
    cluster,
    registry,
    kubeconfig,

    async apply(type, manifest) {
      const urn = urnOf(type, manifest.metadata.name);
      const { inputs, failures } = await provider.check(urn, {}, { ...kindOf(type), ...manifest });
      if (failures?.length) throw new Error(failures.map(({ property, reason }) => `${property}: ${reason}`).join("\n"));
      const { id, outs } = await provider.create(urn, inputs);
      return { urn, id, inputs, outputs: outs };
    },

    async change(before, manifest) {
      const type = before.urn.split("::")[2] as string;
      const { inputs, failures } = await provider.check(before.urn, before.inputs, { ...kindOf(type), ...manifest });
      if (failures?.length) throw new Error(failures.map(({ property, reason }) => `${property}: ${reason}`).join("\n"));
      const { outs } = await provider.update(before.id, before.urn, before.outputs, inputs);
      return { ...before, inputs, outputs: outs };
    },

    remove: ({ id, urn, outputs }) => provider.delete(id, urn, outputs),

    async build(files, request = {}) {
      const { loginServer } = registry.outputs;
      const at = `http://${loginServer}${registry.id}`;
      const token = await issueToken(cloud, { ...DEPLOYER, audience: "https://management.azure.com" });
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      const ask = async (method: string, path: string, body?: Properties): Promise<Properties> => {
        const response = await fetch(`${at}/${path}?${API}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
        const answer = (await response.json()) as Properties;
        if (!response.ok) throw new Error(`${response.status} ${answer.error.code}: ${answer.error.message}`);
        return answer;
      };
      const { uploadUrl, relativePath } = await ask("POST", "listBuildSourceUploadUrl");
      const archive = await packTar(
        Object.entries(files).map(([name, body]) => ({ header: { name, size: Buffer.byteLength(body), type: "file" as const }, body })),
      );
      const uploaded = await fetch(uploadUrl, { method: "PUT", headers: { "x-ms-blob-type": "BlockBlob" }, body: gzipSync(archive) });
      if (uploaded.status !== 201) throw new Error(`${uploaded.status} ${await uploaded.text()}`);
      const tag = createHash("sha256")
        .update(JSON.stringify([files, request]))
        .digest("hex")
        .slice(0, 16);
      const run = await ask("POST", "scheduleRun", {
        type: "DockerBuildRequest",
        sourceLocation: relativePath,
        dockerFilePath: "Dockerfile",
        imageNames: [`pipeline:${tag}`],
        isPushEnabled: true,
        platform: { os: "Linux", architecture: "amd64" },
        agentConfiguration: { cpu: 2 },
        timeout: 1800,
        ...request,
      });
      await cloud.settled();
      const { properties } = await ask("GET", `runs/${run.properties.runId}`);
      const { logLink } = await ask("POST", `runs/${run.properties.runId}/listLogSasUrl`);
      const digest: string = properties.outputImages?.[0].digest;
      return {
        status: properties.status,
        error: properties.runErrorMessage,
        log: await (await fetch(logLink)).text(),
        digest,
        reference: `${loginServer}/pipeline@${digest}`,
      };
    },

    async image() {
      built ??= imageFiles().then((files) => test.build(files));
      const { status, error, reference } = await built;
      if (status !== "Succeeded") throw new Error(`${status}: ${error}`);
      return reference;
    },

    async get(path, { token, ...init } = {}) {
      const { clusters } = await kubeconfig();
      const url = new URL(`${clusters[0].cluster.server}${path}`);
      const { Agent, request } = await import("node:https");
      const agent = new Agent({ ca: authority });
      const authorization = `Bearer ${token ?? (await login())}`;
      return new Promise((resolve, reject) => {
        const outgoing = request(
          url,
          { agent, method: init.method ?? "GET", headers: { ...(init.headers as Record<string, string>), authorization } },
          async (response) => {
            let text = "";
            for await (const chunk of response) text += chunk;
            const json = response.headers["content-type"]?.includes("json");
            resolve(json ? { ...JSON.parse(text), httpStatus: response.statusCode } : { text, httpStatus: response.statusCode });
          },
        );
        outgoing.on("error", reject);
        outgoing.end(init.body as string | undefined);
      });
    },

    async pods(labels = "") {
      const { items } = await test.get(`/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=${encodeURIComponent(labels)}`);
      return items;
    },

    stop: () => azure.test.stop(),
  };
  try {
    await test.apply("kubernetes:core/v1:Namespace", {
      metadata: { name: NAMESPACE, labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
    });
  } catch (error) {
    await test.stop();
    throw error;
  }
  return test;
}

/** What the folder `image` holds, with a lock file of this repository's own sharp. */
export async function imageFiles(): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const name of await readdir(IMAGE)) files[name] = await readFile(join(IMAGE, name), "utf8");
  const names = ["sharp", "@azure/identity"];
  const { packages } = JSON.parse(await readFile(join(ROOT, "package-lock.json"), "utf8"));
  const dependencies = Object.fromEntries(names.map((name) => [name, packages[`node_modules/${name}`].version]));
  const locked = Object.entries<Properties>(packages).filter(
    ([path]) => names.includes(path.replace("node_modules/", "")) || path.startsWith("node_modules/@img/"),
  );
  files["package.json"] = JSON.stringify({ name: "image", private: true, type: "module", dependencies });
  files["package-lock.json"] = JSON.stringify({ lockfileVersion: 3, packages: { "": { dependencies }, ...Object.fromEntries(locked) } });
  return files;
}

/** `apiVersion` and `kind`, which the SDK fills in. */
function kindOf(type: string): Properties {
  const [, group = "", kind = ""] = type.split(":");
  return { apiVersion: group === "core/v1" ? "v1" : group, kind: kind.replace(/Patch$/, "") };
}

/** A Deployment as the product's are: not root, read-only, with probes. */
export function deployment(
  name: string,
  image: string,
  {
    container = {},
    pod = {},
    spec = {},
    env = [],
  }: { container?: Properties; pod?: Properties; spec?: Properties; env?: Properties[] } = {},
): Properties {
  const labels = { "app.kubernetes.io/name": name };
  const get = (path: string) => ({ httpGet: { path, port: "http" }, periodSeconds: 5 });
  return {
    metadata: { name, namespace: NAMESPACE, labels },
    spec: {
      selector: { matchLabels: labels },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      ...spec,
      template: {
        metadata: { labels: { ...labels, ...pod.labels } },
        spec: {
          ...(pod.serviceAccountName && { serviceAccountName: pod.serviceAccountName }),
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: pod.grace ?? 5,
          securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: "RuntimeDefault" }, ...pod.securityContext },
          volumes: [{ name: "tmp", emptyDir: {} }],
          containers: [
            {
              name,
              image,
              env: [{ name: "PORT", value: "8080" }, ...env],
              ports: [{ name: "http", containerPort: 8080 }],
              resources: { requests: { cpu: "100m", memory: "64Mi" }, limits: { memory: "256Mi" } },
              securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } },
              startupProbe: { ...get("/healthz"), failureThreshold: 60 },
              livenessProbe: get("/healthz"),
              readinessProbe: get("/readyz"),
              volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
              ...container,
            },
          ],
        },
      },
    },
  };
}

export const DEPLOYMENT = "kubernetes:apps/v1:Deployment";
export const SERVICE = "kubernetes:core/v1:Service";

export const service = (name: string, more: Properties = {}): Properties => ({
  metadata: { name, namespace: NAMESPACE },
  spec: {
    type: "LoadBalancer",
    selector: { "app.kubernetes.io/name": name },
    ports: [{ name: "http", port: 80, targetPort: "http", ...more }],
  },
});

/** `http://127.0.0.1:PORT` of a Service. */
export const urlOf = ({ outputs }: Applied): string => `http://${outputs.status.loadBalancer.ingress[0].hostname}`;

/** Resolves with the next trace entry that fits, or one that is there already after `since`. */
export function traced({ azure }: TestCluster, fits: (entry: TraceEntry) => boolean, since = 0): Promise<TraceEntry> {
  const { trace } = azure.test.cloud;
  const found = trace.entries().slice(since).find(fits);
  if (found) return Promise.resolve(found);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      end();
      const last = trace
        .entries("execution")
        .slice(-15)
        .map(({ subject, text }) => `${subject}: ${text}`);
      reject(new Error(`It was not traced within 20 seconds. The last of what was:\n${last.join("\n")}`));
    }, 20_000);
    const end = trace.listen((entry) => {
      if (!fits(entry)) return;
      clearTimeout(timer);
      end();
      resolve(entry);
    });
  });
}
