import assert from "node:assert/strict";
import { DEPLOYER } from "../../../../local/kernel/azure/arm.js";
import { AKS_SERVER } from "../../../../local/kernel/azure/clusters.js";
import { issueToken } from "../../../../local/kernel/azure/tokens.js";
import { ServiceProvider } from "../../../../local/kernel/provider.js";
import type { Properties } from "../../../../local/kernel/service.js";
import containerService from "../../../../local/services/azure/containerservice/index.js";
import kubernetes from "../../../../local/services/kubernetes/cluster/index.js";
import { CLUSTER, type TestCluster, testCluster } from "./fixture.js";

const NAMESPACE_TYPE = "kubernetes:core/v1:Namespace";

describe("Access to a cluster", () => {
  let test: TestCluster;
  before(async () => {
    test = await testCluster();
  });
  after(() => test?.stop());

  /** Makes a namespace through a provider of this kubeconfig. */
  let names = 0;
  const through = async (config: Properties, name = `made${names++}`) => {
    const { cloud } = test.azure.test;
    const provider = new ServiceProvider(cloud, cloud.services, { explicit: { package: "kubernetes", config } });
    const urn = `urn:pulumi:test::test::${NAMESPACE_TYPE}::${name}`;
    const { inputs } = await provider.check(urn, {}, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
    return provider.create(urn, inputs);
  };
  const tokenOf = async (name: string, audience = AKS_SERVER) => {
    const { principalId: objectId, clientId } = (await test.azure.identity(name)).outputs;
    return { objectId, token: await issueToken(test.azure.test.cloud, { objectId, clientId, name, audience }) };
  };

  it("is by a token in the kubeconfig, as JSON, as YAML or as the engine has parsed it", async () => {
    const kubeconfig = await test.kubeconfig();
    const { stringify } = await import("yaml");
    for (const form of [kubeconfig, JSON.stringify(kubeconfig), stringify(kubeconfig)]) {
      const { outs } = await through({ kubeconfig: form });
      assert.equal(outs?.status.phase, "Active");
    }
  });

  it("is for whom a role lets in", async () => {
    const { token, objectId } = await tokenOf("developer");
    const kubeconfig = await test.kubeconfig(token);
    await assert.rejects(
      through({ kubeconfig }),
      /Forbidden: User "developer" .* is not granted Microsoft\.ContainerService\/managedClusters\/namespaces\/write at .*photoscluster\. Such as by the role "Azure Kubernetes Service RBAC Cluster Admin"/,
    );
    await test.azure.grant(objectId, "clusterAdmin", test.cluster.id);
    await through({ kubeconfig });
  });

  it("takes no token for something else, and none of another cloud", async () => {
    const { token } = await tokenOf("mistaken", "https://management.azure.com");
    await assert.rejects(
      through({ kubeconfig: await test.kubeconfig(token) }),
      /Unauthorized: the token is not one of this cloud for 6dae42f8/,
    );
    await assert.rejects(through({ kubeconfig: await test.kubeconfig("nonsense") }), /Unauthorized/);
  });

  it("waits for nobody: a device code is refused, kubelogin's other ways are whoever deploys", async () => {
    const [given] = (await containerService().functions?.["azure-native:containerservice:listManagedClusterUserCredentials"]?.(
      { resourceName: test.cluster.outputs.name, format: "exec" },
      test.azure.test.cloud,
    ))!.kubeconfigs;
    const kubeconfig = Buffer.from(given.value, "base64").toString();
    await assert.rejects(through({ kubeconfig }), /kubelogin --login devicecode, which waits for a person/);
    await through({ kubeconfig: kubeconfig.replace("devicecode", "azurecli") });
  });

  it("needs a provider of the cluster", async () => {
    const { cloud } = test.azure.test;
    const type = kubernetes().resources?.[NAMESPACE_TYPE];
    await assert.rejects(
      async () => type?.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: "x" } }, cloud),
      /cluster is unreachable.*there is none\. Make a provider/s,
    );
    const elsewhere = JSON.stringify(await test.kubeconfig()).replaceAll(test.cluster.outputs.resourceUID, "0".repeat(8));
    await assert.rejects(through({ kubeconfig: elsewhere }), /is the address of none of this cloud's clusters/);
    await assert.rejects(
      through({ kubeconfig: await test.kubeconfig(), renderYamlToDirectory: "x" }),
      /does not honour this configuration of a kubernetes provider: renderYamlToDirectory/,
    );
  });

  it("is told beforehand by a review, and asked for over the wire", async () => {
    const spec = { resourceAttributes: { verb: "create", resource: "namespaces" } };
    const review = async (token?: string) =>
      test.get("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
        method: "POST",
        body: JSON.stringify({ spec }),
        ...(token && { token }),
      });
    const own = await review();
    assert.deepEqual([own.httpStatus, own.status.allowed], [201, true]);
    assert.equal((await review((await tokenOf("guest")).token)).status.allowed, false);
    assert.equal((await review("nonsense")).httpStatus, 401);
    const names = (await test.get("/api/v1/namespaces")).items.map(({ metadata }: Properties) => metadata.name);
    assert.ok(names.includes("photos") && names.includes("kube-system"));
    const denied = await test.get("/api/v1/namespaces/photos/secrets", { token: (await tokenOf("another")).token });
    assert.deepEqual([denied.httpStatus, denied.kind, denied.reason], [403, "Status", "Forbidden"]);
    assert.equal((await test.get("/api/v1/nodes")).httpStatus, 404);
    assert.equal((await test.get("/version")).gitVersion, "v1.35.1");
  });

  it("has no static administrator where local accounts are off", async () => {
    const admin = containerService().functions?.["azure-native:containerservice:listManagedClusterAdminCredentials"];
    const { cloud } = test.azure.test;
    await assert.rejects(async () => admin?.({ resourceName: test.cluster.outputs.name }, cloud), /set to disable local accounts/);
    const { aadProfile: _, ...local } = CLUSTER;
    const second = await test.azure.declare("azure-native:containerservice:ManagedCluster", "second", {
      ...local,
      resourceName: "second",
      disableLocalAccounts: false,
    });
    const given = await admin?.({ resourceName: second.outputs.name }, cloud);
    await through({ kubeconfig: Buffer.from(given?.kubeconfigs[0].value, "base64").toString() });
    await assert.rejects(through({ kubeconfig: await test.kubeconfig(), cluster: "photoscluster", context: "nothing" }), /names no user/);
  });

  const wrong: [what: string, more: Properties, why: RegExp][] = [
    ["a pool of B-series", { agentPoolProfiles: [{ ...CLUSTER.agentPoolProfiles[0], vmSize: "Standard_B2s" }] }, /takes no B-series/],
    ["no system pool", { agentPoolProfiles: [{ ...CLUSTER.agentPoolProfiles[0], mode: "User" }] }, /whose mode is "System"/],
    ["a version that is over", { kubernetesVersion: "1.29" }, /Version 1\.29 is not supported/],
    ["workload identity without an issuer", { oidcIssuerProfile: { enabled: false } }, /needs oidcIssuerProfile\.enabled/],
    ["Entra without Azure RBAC", { aadProfile: { managed: true } }, /opened by role assignments/],
    ["nobody who could reach it", { aadProfile: undefined }, /nobody could reach the cluster/],
    ["the sku Automatic", { sku: { name: "Automatic" } }, /emulates clusters of the sku "Base"/],
  ];
  for (const [what, more, why] of wrong) {
    it(`is not to a cluster with ${what}: it is refused`, async () => {
      await assert.rejects(
        test.azure.declare("azure-native:containerservice:ManagedCluster", "wrong", { ...CLUSTER, resourceName: "wrong", ...more }),
        why,
      );
    });
  }

  it("is named by outputs as the real one's are", () => {
    const { outputs } = test.cluster;
    assert.match(outputs.oidcIssuerProfile.issuerURL, /^https:\/\/127\.0\.0\.1:\d+\/[0-9a-f-]{36}\/[0-9a-f-]{36}\/$/);
    assert.match(outputs.identityProfile.kubeletidentity.objectId, /^[0-9a-f-]{36}$/);
    assert.notEqual(outputs.identityProfile.kubeletidentity.objectId, DEPLOYER.objectId);
    assert.deepEqual(
      [outputs.name, outputs.currentKubernetesVersion, outputs.nodeResourceGroup],
      ["photoscluster", "1.35.1", "MC_photos_photoscluster_westeurope"],
    );
  });
});
