import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import program from "../../stacks/index.js";
import { called } from "../components/called.js";
import { type Declared, recorded } from "../declared.js";

const IMAGE = `registry.example.org/pipeline@sha256:${"a".repeat(64)}`;

describe("The stack on Kubernetes", () => {
  let config: Record<string, string>;
  before(async () => {
    ({ config } = parse(await readFile("Pulumi.azure-kubernetes.yaml", "utf8")));
  });

  /** Declares what the stack declares with its own config, and this. */
  const stack = (more: Record<string, string> = {}): Promise<Declared[]> =>
    recorded(program, {
      config: { ...config, ...Object.fromEntries(Object.entries(more).map(([key, value]) => [`image-pipeline:${key}`, value])) },
    });

  it("is a cluster with an uploader and a processor, and no Function App", async () => {
    const resources = await stack({ image: IMAGE });
    for (const app of ["uploader", "processor"])
      assert.equal(called(resources, `photos-${app}-deployment`).type, "kubernetes:apps/v1:Deployment");
    assert.equal(
      resources.some(({ type }) => type.startsWith("azure-native:web:")),
      false,
    );
  });

  it("tells its outputs, and what callers have to trust", async () => {
    let outputs: object = {};
    await recorded(
      async () => {
        outputs = await program();
      },
      { config: { ...config, "image-pipeline:image": IMAGE } },
    );
    const contract = ["apiKey", "deadLetters", "records", "thumbnails", "topic", "uploads", "url", "workflow"];
    assert.deepEqual(Object.keys(outputs).sort(), [...contract, "certificate"].sort());
  });

  it("takes its options from the config", async () => {
    const resources = await stack({
      image: IMAGE,
      container: "raw",
      processed: "done",
      namespace: "media",
      version: "1.36",
      tier: "Free",
      login: "kubelogin",
      replicas: '{"processor":{"min":2,"max":20}}',
      nodes: '{"size":"Standard_D8as_v5","max":9}',
      authorizedRanges: '["203.0.113.0/24"]',
      tls: '{"ingress":"https://media.example.org"}',
    });
    const inputs = (name: string) => called(resources, name).inputs;
    assert.equal(inputs("photos-images-uploads").containerName, "raw");
    assert.equal(inputs("photos-images-thumbnails").containerName, "done");
    assert.equal(inputs("photos-namespace").metadata.name, "media");
    const { kubernetesVersion, sku, agentPoolProfiles, apiServerAccessProfile } = inputs("photos-cluster-cluster");
    assert.deepEqual(
      [kubernetesVersion, sku.tier, agentPoolProfiles[0].vmSize, agentPoolProfiles[0].maxCount],
      ["1.36", "Free", "Standard_D8as_v5", 9],
    );
    assert.deepEqual(apiServerAccessProfile.authorizedIPRanges, ["203.0.113.0/24"]);
    assert.equal(JSON.parse(inputs("photos-cluster-kubernetes").kubeconfig).users[0].user.exec.command, "kubelogin");
    const { minReplicaCount, maxReplicaCount } = inputs("photos-processor-scaled-object").spec;
    assert.deepEqual([minReplicaCount, maxReplicaCount], [2, 20]);
    assert.equal(inputs("photos-uploader-service").spec.type, "ClusterIP");
  });

  it("refuses what is no JSON, and what belongs to the other hosting", async () => {
    await assert.rejects(stack({ replicas: "ten" }), { code: "INVALID_ARGUMENT", message: /config image-pipeline:replicas is "ten"/ });
    await assert.rejects(stack({ tls: "{" }), { code: "INVALID_ARGUMENT", message: /config image-pipeline:tls is "\{"/ });
    await assert.rejects(stack({ alwaysReady: "1" }), { code: "INVALID_ARGUMENT", message: /an option is "azure\.alwaysReady"/ });
    await assert.rejects(stack({ hosting: "functions", tier: "Free" }), {
      code: "INVALID_ARGUMENT",
      message: /an option is "azure\.tier"/,
    });
    await assert.rejects(stack({ hosting: "vm" }), { code: "INVALID_ARGUMENT", message: /azure\.hosting is "vm"/ });
  });
});
