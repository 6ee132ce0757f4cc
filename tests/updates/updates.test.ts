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

/** The inputs that change by name: all but the handlers' code, which is another one since the release. */
const updates = (found: readonly Step[]): Record<string, string[]> =>
  Object.fromEntries(
    found
      .filter(({ step, type }) => step === "update" && !CODE.test(type))
      .map(({ name, inputs }) => [name, inputs.filter((input) => input !== "code")] as const)
      .filter(([, inputs]) => inputs.length > 0),
  );
const CODE = /:(FunctionCode|ImageBuild)$/;

/**
 * Nothing is replaced or deleted, and no store is made a second time beside the one that has the data. On Kubernetes, what runs in the cluster comes
 * and goes.
 */
function assertDataAreKept(stack: Released, all: readonly Step[]): void {
  const found = all.filter(({ type }) => stack !== "azure-kubernetes" || STORES[stack].test(type));
  assert.deepEqual([steps(found, "replace"), steps(found, "delete")], [[], []]);
  assert.deepEqual(
    found.filter(({ step, type }) => step === "create" && STORES[stack].test(type)).map(({ name }) => name),
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
const LOGS = [...HANDLERS, "http", "workflow"].map((handler) => `photos-${handler}-logs`).sort();

for (const stack of RELEASED) {
  describe(`Whoever deployed the first release on ${stack}`, function () {
    this.timeout(120_000);
    let released: ResourceState[];
    before(async () => {
      released = await firstRelease(stack);
    });

    it("has stores that are looked after here", () => {
      const stores = released.filter(({ type }) => STORES[stack].test(type)).map(({ name }) => name);
      assert.equal(stores.length, { aws: 8, azure: 16, "azure-kubernetes": 14 }[stack], stores.join(", "));
    });

    it("keeps all data with the program as it is now", async () => {
      const { steps: found } = await forward(stack, released, program);
      assertDataAreKept(stack, found);
    });

    // What runs in a cluster is another matter: its pods come and go.
    const exact = stack === "azure-kubernetes" ? () => {} : (check: (cloud: "aws" | "azure") => void) => check(stack);

    it("has the functions updated in place when their code is another one", async () => {
      const before = released.map((resource) => {
        if (!/lambda\/function:Function|FunctionCode$/.test(resource.type)) return resource;
        const old = <T>(value: T): T => JSON.parse(JSON.stringify(value).replaceAll(/[0-9a-f]{64}/g, "0".repeat(64)));
        return { ...resource, inputs: old(resource.inputs), outputs: old(resource.outputs) };
      });
      const { steps: found } = await forward(stack, before, program);
      assertDataAreKept(stack, found);
      exact((cloud) => {
        assert.deepEqual(updates(found), {}, "and nothing else");
        assert.deepEqual(steps(found, "update"), cloud === "aws" ? FUNCTIONS : ["photos-app-code"]);
      });
    });

    it("may have other thumbnails", async () => {
      const args = { thumbnails: { card: { width: 320, height: 200 } } };
      const { steps: found } = await forward(stack, released, pipeline(stack, args));
      assertDataAreKept(stack, found);
      const changed = {
        aws: Object.fromEntries(FUNCTIONS.map((name) => [name, ["environment"]])),
        azure: { "photos-app-app": ["siteConfig"] },
      };
      exact((cloud) => assert.deepEqual(updates(found), changed[cloud]));
    });

    it("may be told of results by mail", async () => {
      const { steps: found } = await forward(stack, released, pipeline(stack, { notify: { email: "ops@example.org" } }));
      assertDataAreKept(stack, found);
      const added = {
        aws: ["photos-alarms-email", "photos-results-email"],
        azure: ["photos-email-communication", "photos-email-domain", "photos-email-service", "photos-may-mail"],
      };
      const changed = { aws: {}, azure: { "photos-alarm-group": ["emailReceivers"], "photos-app-app": ["siteConfig"] } };
      exact((cloud) => assert.deepEqual([steps(found, "create"), updates(found)], [added[cloud], changed[cloud]]));
    });

    it("may label everything", async () => {
      const { steps: found } = await forward(stack, released, pipeline(stack, { tags: { team: "photos" } }));
      assertDataAreKept(stack, found);
      exact((cloud) => {
        assert.deepEqual(steps(found, "create"), []);
        const changed = updates(found);
        assert.equal(Object.keys(changed).length, { aws: 51, azure: 20 }[cloud]);
        for (const [name, inputs] of Object.entries(changed)) assert.deepEqual(inputs, ["tags"], name);
      });
    });

    it("may keep logs for longer", async () => {
      const { steps: found } = await forward(stack, released, pipeline(stack, { logs: { retention: "90 days" } }));
      assertDataAreKept(stack, found);
      const logs = { aws: LOGS, azure: ["photos-monitoring-workspace"] };
      exact((cloud) => assert.deepEqual(updates(found), Object.fromEntries(logs[cloud].map((name) => [name, ["retentionInDays"]]))));
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
      const { steps: found } = await forward(stack, released, moved);
      assertDataAreKept(stack, found);
      exact(() => assert.deepEqual([steps(found, "create"), updates(found)], [[], {}]));
    });

    if (stack === "aws") {
      it("may call the pipeline otherwise, by an alias: all but two logs keep their names", async () => {
        const renamed = () => void new PipelineOnAws("pictures", {}, { aliases: [{ name: "photos" }] });
        const { steps: found } = await forward(stack, released, renamed);
        assert.deepEqual(steps(found, "replace"), ["pictures-http-logs", "pictures-workflow-logs"]);
        assert.deepEqual([steps(found, "create"), steps(found, "delete"), updates(found)], [[], [], {}]);
      });
    }

    it("is told of stores that are retained, and only forgotten, when everything is destroyed", async () => {
      const { steps: none, resources } = await forward(stack, released, pipeline(stack, { removal: "retain" }));
      assertDataAreKept(stack, none);
      const { steps: found } = await forward(stack, resources);
      const deleted = found.filter(({ step }) => step === "delete");
      exact(() => assert.equal(deleted.length, released.filter(({ custom }) => custom).length));
      const lost = deleted.filter(({ type, retained }) => STORES[stack].test(type) && !retained).map(({ name }) => name);
      const keys = /^photos-(dead-letters-queue|api-key-)/;
      assert.deepEqual(
        lost.filter((name) => !keys.test(name)),
        [],
        "what holds images or records stays",
      );
      assert.ok(
        deleted.some(({ retained }) => !retained),
        "and the rest goes",
      );
    });

    // Changes that lose data, so that it is known that they are noticed.
    it("would be seen to lose data", async () => {
      const [store, transform] =
        stack === "aws"
          ? ["photos-ImageProcessingDb-table", { records: { table: { name: "elsewhere" } } }]
          : ["photos-images-uploads", { images: { uploads: { containerName: "elsewhere" } } }];
      const { steps: replaced } = await forward(stack, released, pipeline(stack, { transform } as never));
      assert.deepEqual(steps(replaced, "replace").includes(store), true, "a store of another name");
      const { steps: deleted } = await forward(stack, released, () => undefined);
      assert.deepEqual(steps(deleted, "delete").includes(store), true, "a store that is declared no more");
      for (const found of [replaced, deleted]) assert.throws(() => assertDataAreKept(stack, found), { code: "ERR_ASSERTION" });
    });
  });
}
