import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import * as authorization from "@pulumi/azure-native/authorization/index.js";
import * as containerregistry from "@pulumi/azure-native/containerregistry/index.js";
import * as containerservice from "@pulumi/azure-native/containerservice/index.js";
import * as resources from "@pulumi/azure-native/resources/index.js";
import { CustomResource } from "@pulumi/kubernetes/apiextensions/index.js";
import * as apps from "@pulumi/kubernetes/apps/v1/index.js";
import * as core from "@pulumi/kubernetes/core/v1/index.js";
import { Provider } from "@pulumi/kubernetes/provider.js";
import * as pulumi from "@pulumi/pulumi";
import { packTar } from "modern-tar";
import { parse } from "yaml";
import { ImageBuild } from "../../../../components/azure/kubernetes/image-build.js";
import { type EmbeddedStack, startStack } from "../../../../local/index.js";
import { SUBSCRIPTION } from "../../../../local/kernel/azure/arm.js";
import type { Properties } from "../../../../local/kernel/service.js";
import { CLUSTER, deployment, imageFiles, NAMESPACE, service } from "./fixture.js";

const role = (id: string) => `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/${id}`;

describe("A program with a cluster, in the embedded engine", () => {
  let folder: string;
  let stack: EmbeddedStack | undefined;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "kubernetes-program-"));
    const files = Object.entries(await imageFiles());
    const entries = files.map(([name, body]) => ({ header: { name, size: Buffer.byteLength(body), type: "file" as const }, body }));
    await writeFile(join(folder, "context.tar.gz"), gzipSync(await packTar(entries)));
  });
  afterEach(() => stack?.stop());
  after(() => rm(folder, { recursive: true, force: true }));

  const program = (version: string, dnsPrefix: string) => async () => {
    const { readFile } = await import("node:fs/promises");
    const { resourceGroupName } = { resourceGroupName: new resources.ResourceGroup("photos").name };
    const registry = new containerregistry.Registry("registry", { resourceGroupName, sku: { name: "Basic" } });
    const { resourceName: _, ...args } = CLUSTER;
    const cluster = new containerservice.ManagedCluster("cluster", {
      resourceGroupName,
      ...args,
      dnsPrefix,
    } as containerservice.ManagedClusterArgs);
    const { objectId } = authorization.getClientConfigOutput();
    const administer = new authorization.RoleAssignment("administer", {
      ...{ principalId: objectId, scope: cluster.id, roleDefinitionId: role("b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b") },
    });
    const pull = new authorization.RoleAssignment("pull", {
      principalId: cluster.identityProfile.apply((profile) => profile?.kubeletidentity?.objectId ?? ""),
      principalType: "ServicePrincipal",
      ...{ scope: registry.id, roleDefinitionId: role("7f951dda-4ed3-4680-a7ca-43fe172d538d") },
    });
    const path = join(folder, "context.tar.gz");
    const image = new ImageBuild("image", {
      manager: pulumi.interpolate`http://${registry.loginServer}`,
      ...{ registryId: registry.id, loginServer: registry.loginServer, repository: "pipeline", tag: "one", path },
      sha256: createHash("sha256")
        .update(await readFile(path))
        .digest("hex"),
      token: authorization.getClientTokenOutput({}).token,
    });
    const { kubeconfigs } = containerservice.listManagedClusterUserCredentialsOutput({
      resourceGroupName,
      resourceName: cluster.name,
      format: "exec",
    });
    const { token } = authorization.getClientTokenOutput({ endpoint: "6dae42f8-4368-4678-94ff-3960e28e3630" });
    const kubeconfig = pulumi.all([kubeconfigs, token, administer.id]).apply(([[first], token]) => {
      const config = parse(Buffer.from(first?.value ?? "", "base64").toString());
      config.users[0].user = { token };
      return JSON.stringify(config);
    });
    const provider = new Provider("kubernetes", { kubeconfig: pulumi.secret(kubeconfig), clusterIdentifier: cluster.id });
    const namespace = new core.Namespace("namespace", { metadata: { name: NAMESPACE } }, { provider });
    const inNamespace = { provider, dependsOn: [namespace, pull] };
    new core.Secret("key", { metadata: { name: "key", namespace: NAMESPACE }, stringData: { key: pulumi.secret("s3cret") } }, inNamespace);
    const env = [{ name: "VERSION", value: version }];
    const web = image.reference.apply((reference) => deployment("web", reference, { spec: { replicas: 2 }, env }));
    const manifest = { metadata: web.apply(({ metadata }) => metadata), spec: web.apply(({ spec }) => spec) };
    const running = new apps.Deployment("web", manifest, inNamespace);
    const exposed = new core.Service("web", service("web"), { provider, dependsOn: running });
    new CustomResource(
      "authentication",
      {
        ...{ apiVersion: "keda.sh/v1alpha1", kind: "TriggerAuthentication", metadata: { name: "queue", namespace: NAMESPACE } },
        spec: { podIdentity: { provider: "azure-workload", identityId: "00000000-0000-4000-8000-000000000001" } },
      },
      inNamespace,
    );
    return {
      address: exposed.status.loadBalancer.ingress.apply(([first]) => first?.hostname),
      ready: running.status.readyReplicas,
      digest: image.digest,
    };
  };
  const steps: string[] = [];
  const start = async (version: string, dnsPrefix = "photos") => {
    steps.length = 0;
    stack = await startStack({
      ...{ project: "photos", stack: "test", config: {}, clouds: ["azure", "kubernetes"] as const },
      dataFolder: join(folder, "data"),
      program: program(version, dnsPrefix),
      onProgress: ({ type, resourceType }) => type === "same" || steps.push(`${type} ${resourceType}`),
    });
    return stack;
  };
  const versionAt = async ({ outputs }: EmbeddedStack): Promise<string> =>
    ((await (await fetch(`http://${outputs.address}`)).json()) as Properties).version;

  it("comes up, is kept as it was, and is updated in place", async () => {
    const first = await start("1");
    assert.equal(first.outputs.ready, 2);
    assert.equal(await versionAt(first), "1");
    const ask = ({ cloud }: EmbeddedStack, operation: string, input: Properties) => {
      const uid = cloud.resources.all("azure-native:containerservice:ManagedCluster")[0]?.outputs.resourceUID;
      return cloud.call({ service: "kubernetes", operation, input: { uid, ...input }, as: cloud.owner });
    };
    assert.equal((await ask(first, "List", { kind: "Pod", namespace: NAMESPACE })).items.length, 2);
    // Nobody declares what AKS brings along: that it was told something is the cluster's to remember.
    const operator = { kind: "ServiceAccount", namespace: "kube-system", name: "keda-operator" };
    await ask(first, "Patch", { ...operator, patch: { metadata: { annotations: { told: "once" } } } });
    await first.stop();

    const again = await start("1");
    // The provider has another token each time, as on Azure.
    assert.deepEqual(steps, ["update pulumi:providers:kubernetes"]);
    assert.deepEqual([again.summary.create, again.summary.replace, again.summary.delete], [0, 0, 0]);
    assert.equal(again.outputs.digest, first.outputs.digest);
    assert.equal(await versionAt(again), "1");
    assert.deepEqual((await ask(again, "Get", operator)).metadata.annotations, { told: "once" });
    await again.stop();

    const changed = await start("2");
    assert.deepEqual([changed.summary.create, changed.summary.replace, changed.summary.delete], [0, 0, 0]);
    assert.equal(await versionAt(changed), "2");
    await changed.stop();

    const moved = await start("2", "elsewhere");
    assert.ok(steps.includes("replace azure-native:containerservice:ManagedCluster"));
    assert.deepEqual(
      steps.filter((step) => step.startsWith("replace kubernetes:")).length,
      5,
      "what was in the cluster before is in the one that has taken its place",
    );
    assert.equal(await versionAt(moved), "2");
    await moved.destroy();
    assert.deepEqual(moved.cloud.resources.all("kubernetes:apps/v1:Deployment"), []);
  });
});
