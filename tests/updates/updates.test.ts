import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { ImagePipeline as PipelineOnAws } from "../../components/aws/image-pipeline.js";
import { ImagePipeline as PipelineOnAzure } from "../../components/azure/image-pipeline.js";
import type { ImagePipelineArgs } from "../../components/contract.js";
import type { ResourceState } from "../../local/index.js";
import program from "../../stacks/index.js";
import { forward, type Step } from "./forward.js";
import { firstRelease, RELEASED, type Released } from "./release.js";

const ON_AWS =
  /^aws:(s3\/bucket:Bucket|dynamodb\/table:Table|sqs\/queue:Queue|secretsmanager\/secret(Version)?:\w+)$|^pulumi-nodejs:dynamic:Resource$/;
const ON_AZURE =
  /^azure-native:(resources:ResourceGroup|storage:(StorageAccount|BlobContainer|Queue|Table)|sql:(Server|Database)|keyvault:(Vault|Secret))$|^pulumi-nodejs:dynamic:Resource$/;
/** What holds data, or opens it. */
const STORES: Readonly<Record<Released, RegExp>> = { aws: ON_AWS, azure: ON_AZURE, "azure-kubernetes": ON_AZURE };

/** A program that declares the stack's pipeline with these arguments. */
const pipeline =
  (stack: Released, args: ImagePipelineArgs = {}, opts?: pulumi.ComponentResourceOptions) =>
  (): void => {
    if (stack === "aws") new PipelineOnAws("photos", args, opts);
    else new PipelineOnAzure("photos", (stack === "azure" ? args : { ...args, azure: { hosting: "kubernetes" } }) as never, opts);
  };

const steps = (found: readonly Step[], kind: Step["step"]) =>
  found
    .filter(({ step }) => step === kind)
    .map(({ name }) => name)
    .sort();

/** The inputs that change, by name. */
const updates = (found: readonly Step[]): Record<string, string[]> =>
  Object.fromEntries(found.filter(({ step }) => step === "update").map(({ name, inputs }) => [name, inputs]));

/** What a pipeline is known by, and reached at: an identity, an address, a certificate that callers trust, a cluster with all that is in it. */
const KNOWN =
  /^azure-native:(managedidentity:UserAssignedIdentity|containerregistry:Registry|containerservice:ManagedCluster)$|^kubernetes:core\/v1:Namespace$|:SelfSignedCertificate$/;

/** Nothing is replaced or deleted, and no store is made a second time beside the one that has the data. */
function assertDataAreKept(stack: Released, found: readonly Step[]): void {
  assert.deepEqual([steps(found, "replace"), steps(found, "delete")], [[], []]);
  assert.deepEqual(
    found.filter(({ step, type }) => step === "create" && (STORES[stack].test(type) || KNOWN.test(type))).map(({ name }) => name),
    [],
  );
}

const HANDLERS = [
  "api",
  "clean-up",
  "sweep",
  ...["extract-metadata", "generate-thumbnails", "record-failure", "store-results", "validate"].map((stage) => `workflow-${stage}`),
];
const FUNCTIONS = HANDLERS.map((handler) => `photos-${handler}-function`).sort();
/** Pods of another image, or with other settings. */
const PODS = { "photos-processor-deployment": ["spec"], "photos-uploader-deployment": ["spec"] };
/** A cluster's nodes do not have its labels by themselves. */
const CLUSTER_LABELS = ["agentPoolProfiles", "tags"];
const LOGS = [...HANDLERS, "http", "workflow"].map((handler) => `photos-${handler}-logs`).sort();

for (const stack of RELEASED) {
  describe(`Whoever deployed the first release on ${stack}`, function () {
    this.timeout(120_000);
    let released: ResourceState[];
    /** What they have once they have gone on to the program as it is now. */
    let today: ResourceState[];
    let since: readonly Step[];
    before(async () => {
      released = await firstRelease(stack);
      ({ steps: since, resources: today } = await forward(stack, released, program));
    });

    it("has stores that are looked after here", () => {
      const stores = released.filter(({ type }) => STORES[stack].test(type)).map(({ name }) => name);
      assert.equal(stores.length, { aws: 8, azure: 16, "azure-kubernetes": 14 }[stack], stores.join(", "));
    });

    it("keeps all data with the program as it is now, and then has nothing to do", async () => {
      assertDataAreKept(stack, since);
      const { steps: found } = await forward(stack, today, program);
      assert.deepEqual(
        found.filter(({ step }) => step !== "same"),
        [],
      );
    });

    it("has the functions updated in place when their code is another one, and nothing else", async () => {
      const before = today.map((resource) => {
        if (!/:(lambda\/function:Function|FunctionCode|ImageBuild|apps\/v1:Deployment)$/.test(resource.type)) return resource;
        const old = <T>(value: T): T => JSON.parse(JSON.stringify(value).replaceAll(/[0-9a-f]{64}/g, "0".repeat(64)));
        return { ...resource, inputs: old(resource.inputs), outputs: old(resource.outputs) };
      });
      const { steps: found } = await forward(stack, before, program);
      assertDataAreKept(stack, found);
      const changed = {
        aws: Object.fromEntries(FUNCTIONS.map((name) => [name, ["code"]])),
        // A token is another one each time.
        azure: { "photos-app-code": ["sha256", "token"] },
        "azure-kubernetes": { ...PODS, "photos-registry-image": ["sha256", "token"] },
      };
      assert.deepEqual(updates(found), changed[stack]);
      assert.deepEqual(steps(found, "create"), []);
    });

    it("may have other thumbnails", async () => {
      const args = { thumbnails: { card: { width: 320, height: 200 } } };
      const { steps: found } = await forward(stack, today, pipeline(stack, args));
      assertDataAreKept(stack, found);
      const changed = {
        aws: Object.fromEntries(FUNCTIONS.map((name) => [name, ["environment"]])),
        azure: { "photos-app-app": ["siteConfig"] },
        "azure-kubernetes": PODS,
      };
      assert.deepEqual([steps(found, "create"), updates(found)], [[], changed[stack]]);
    });

    it("may be told of results by mail", async () => {
      const { steps: found } = await forward(stack, today, pipeline(stack, { notify: { email: "ops@example.org" } }));
      assertDataAreKept(stack, found);
      const email = ["photos-email-communication", "photos-email-domain", "photos-email-service"];
      const added = {
        aws: ["photos-alarms-email", "photos-results-email"],
        azure: [...email, "photos-may-mail"],
        "azure-kubernetes": [...email, "photos-processor-may-mail"],
      };
      const group = { "photos-alarm-group": ["emailReceivers"] };
      const changed = {
        aws: {},
        azure: { ...group, "photos-app-app": ["siteConfig"] },
        "azure-kubernetes": { ...group, "photos-processor-deployment": ["spec"] },
      };
      assert.deepEqual([steps(found, "create"), updates(found)], [added[stack], changed[stack]]);
    });

    it("may label everything", async () => {
      const { steps: found } = await forward(stack, today, pipeline(stack, { tags: { team: "photos" } }));
      assertDataAreKept(stack, found);
      assert.deepEqual(steps(found, "create"), []);
      const changed = Object.entries(updates(found));
      // Which can carry labels, the components' own tests say.
      assert.ok(changed.length >= 20, changed.join("\n"));
      for (const [name, inputs] of changed) assert.deepEqual(inputs, name === "photos-cluster-cluster" ? CLUSTER_LABELS : ["tags"], name);
    });

    it("may keep logs for longer", async () => {
      const { steps: found } = await forward(stack, today, pipeline(stack, { logs: { retention: "90 days" } }));
      assertDataAreKept(stack, found);
      const logs = stack === "aws" ? LOGS : ["photos-monitoring-workspace"];
      const changed = Object.fromEntries(logs.map((name) => [name, ["retentionInDays"]]));
      assert.deepEqual([steps(found, "create"), updates(found)], [[], changed]);
    });

    it("may do all of it at once", async () => {
      const args: ImagePipelineArgs = {
        thumbnails: { card: { width: 320, height: 200 } },
        notify: { email: "ops@example.org" },
        tags: { team: "photos" },
        logs: { retention: "1000 days" },
        limits: { bytes: "10 MB" },
        metadata: { gps: true },
        origins: ["https://app.example.org"],
      };
      const { steps: found } = await forward(stack, released, pipeline(stack, args));
      assertDataAreKept(stack, found);
    });

    it("may move the pipeline into a component of their own, by an alias", async () => {
      const moved = () => {
        const parent = new pulumi.ComponentResource("company:Website", "website");
        pipeline(stack, {}, { parent, aliases: [{ parent: pulumi.rootStackResource }] })();
      };
      const { steps: found } = await forward(stack, today, moved);
      assertDataAreKept(stack, found);
      assert.deepEqual([steps(found, "create"), updates(found)], [[], {}]);
    });

    it("may call the pipeline otherwise, by an alias: what has been made keeps its name", async () => {
      const opts = { aliases: [{ name: "photos" }] };
      const renamed = () => {
        if (stack === "aws") new PipelineOnAws("pictures", {}, opts);
        else if (stack === "azure") new PipelineOnAzure("pictures", {}, opts);
        else new PipelineOnAzure("pictures", { azure: { hosting: "kubernetes", namespace: "photos" } }, opts);
      };
      const { steps: found } = await forward(stack, today, renamed);
      const replaced = {
        aws: ["pictures-http-logs", "pictures-workflow-logs"],
        azure: [],
        "azure-kubernetes": ["pictures-processor-deployment", "pictures-uploader-certificate", "pictures-uploader-deployment"],
      };
      assert.deepEqual(steps(found, "replace"), replaced[stack], "what is found by the pipeline's name");
      assert.deepEqual([steps(found, "create"), steps(found, "delete")], [[], []]);
      if (stack !== "azure-kubernetes")
        assert.deepEqual(updates(found), { aws: {}, azure: { "pictures-alarm-group": ["groupShortName"] } }[stack]);
    });

    it("is told of stores that are retained, and only forgotten, when everything is destroyed", async () => {
      const { steps: none, resources } = await forward(stack, released, pipeline(stack, { removal: "retain" }));
      assertDataAreKept(stack, none);
      const { steps: found } = await forward(stack, resources);
      const deleted = found.filter(({ step }) => step === "delete");
      assert.equal(deleted.length, resources.filter(({ custom }) => custom).length);
      const lost = deleted.filter(({ type, retained }) => STORES[stack].test(type) && !retained).map(({ name }) => name);
      const keys = /^photos-(dead-letters-queue|api-key-generated)$/;
      assert.deepEqual(
        lost.filter((name) => !keys.test(name)),
        [],
        "what holds images, records or the key stays",
      );
      assert.ok(
        deleted.some(({ retained }) => !retained),
        "and the rest goes",
      );
    });

    // Changes that lose data, or what a pipeline is known by, so that it is known that they are noticed.
    const elsewhere = { location: "northeurope" };
    const losses: Record<Released, Record<string, object>> = {
      aws: { "photos-ImageProcessingDb-table": { records: { table: { name: "elsewhere" } } } },
      azure: { "photos-images-uploads": { images: { uploads: { containerName: "elsewhere" } } } },
      "azure-kubernetes": {
        "photos-images-uploads": { images: { uploads: { containerName: "elsewhere" } } },
        "photos-cluster-cluster": { cluster: { cluster: elsewhere } },
        "photos-registry-registry": { registry: { registry: elsewhere } },
        "photos-identities-uploader": { identities: { uploader: elsewhere } },
        "photos-namespace": { namespace: { metadata: { name: "elsewhere" } } },
        "photos-uploader-service": { uploader: { service: { metadata: { name: "elsewhere" } } } },
        "photos-uploader-certificate": { uploader: { certificate: { host: "elsewhere.example.org" } } },
      },
    };
    for (const [name, transform] of Object.entries(losses[stack])) {
      it(`would be seen to lose ${name}`, async () => {
        const { steps: replaced } = await forward(stack, today, pipeline(stack, { transform } as never));
        assert.deepEqual(steps(replaced, "replace").includes(name), true, "made anew");
        assert.throws(() => assertDataAreKept(stack, replaced), { code: "ERR_ASSERTION" });
      });
    }

    it("would be seen to lose all that is declared no more", async () => {
      const { steps: deleted } = await forward(stack, released, () => undefined);
      for (const name of Object.keys(losses[stack])) assert.deepEqual(steps(deleted, "delete").includes(name), true, name);
      assert.throws(() => assertDataAreKept(stack, deleted), { code: "ERR_ASSERTION" });
    });
  });
}
