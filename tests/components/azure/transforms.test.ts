import assert from "node:assert/strict";
import { ImagePipeline, type ImagePipelineArgs } from "../../../components/azure/image-pipeline.js";
import { called } from "../called.js";
import { each, reached } from "../reached.js";

/** A transform for every resource of a pipeline, as a person would write it. */
const everywhere = (touch: () => void): NonNullable<ImagePipelineArgs["transform"]> => ({
  ...each(touch, "group", "identity"),
  images: each(touch, "account", "blobs", "lifecycle", "uploads", "thumbnails", "deadLetters"),
  state: each(touch, "account", "packages", "jobs", "poison", "parked", "tags"),
  monitoring: each(
    touch,
    "workspace",
    "insights",
    "appTraces",
    "appRequests",
    "appExceptions",
    "appDependencies",
    "appMetrics",
    "storageQueueLogs",
  ),
  records: each(touch, "server", "firewall", "database", "schema"),
  topic: each(touch, "topic"),
  email: each(touch, "service", "domain", "communication"),
  vision: each(touch, "account"),
  apiKey: each(touch, "vault", "secret", "generated"),
  grants: each(
    touch,
    "hostBlobs",
    "hostQueues",
    "hostTables",
    "uploads",
    "thumbnails",
    "sign",
    "announce",
    "measure",
    "look",
    "readKey",
    "mail",
  ),
  app: each(touch, "plan", "app", "code"),
  arrivals: each(touch, "topic", "subscription", "send", "park"),
  alarms: each(touch, "group", "queueLogs", "eventsParked", "eventsLost", "parked", "failed"),
});

describe("A transform on Azure", () => {
  it("reaches every resource of a pipeline", async () => {
    const args: ImagePipelineArgs = { notify: { email: "ops@example.org" }, logs: { retention: "1000 days" } };
    const { children, touched, resources } = await reached(
      (touch) => new ImagePipeline("photos", { ...args, transform: everywhere(touch) }),
    );
    assert.equal(children.length, resources.length, "every resource is made by a component's create");
    assert.deepEqual(touched, children);
  });

  it("reaches the containers beside an adopted one, and names nothing of its owner's", async () => {
    const args: ImagePipelineArgs = { source: { existing: "companyfiles/uploads" }, azure: { source: { resourceGroup: "company" } } };
    const account = "/subscriptions/s/resourceGroups/company/providers/Microsoft.Storage/storageAccounts/companyfiles";
    const primaryEndpoints = { blob: "https://companyfiles.blob.core.windows.net/" };
    const functions = {
      "azure-native:storage:getStorageAccount": { id: account, location: "northeurope", primaryEndpoints },
      "azure-native:storage:getBlobContainer": { id: `${account}/blobServices/default/containers/uploads` },
    };
    const { touched } = await reached(
      (touch) => new ImagePipeline("photos", { ...args, transform: { images: each(touch, "thumbnails", "deadLetters") } }),
      { functions },
    );
    assert.deepEqual(touched, ["photos-images deadLetters", "photos-images thumbnails"]);
    await assert.rejects(
      reached((touch) => new ImagePipeline("photos", { ...args, transform: { images: each(touch, "account") } }), { functions }),
      { code: "UNKNOWN_CHILD", message: "photos-images: transform.account names no child: the children are thumbnails, deadLetters." },
    );
  });

  it("is merged deeply, at every depth", async () => {
    const { resources } = await reached(
      () =>
        new ImagePipeline("photos", {
          transform: {
            app: {
              app: { functionAppConfig: { scaleAndConcurrency: { maximumInstanceCount: 100 } }, siteConfig: { http20Enabled: false } },
            },
            arrivals: { subscription: { retryPolicy: { maxDeliveryAttempts: 5 } } },
            apiKey: { vault: { properties: { softDeleteRetentionInDays: 90 } } },
          },
        }),
    );
    const { functionAppConfig, siteConfig } = called(resources, "photos-app-app").inputs;
    assert.deepEqual(functionAppConfig.scaleAndConcurrency, {
      instanceMemoryMB: 2_048,
      maximumInstanceCount: 100,
      alwaysReady: [{ name: "durable", instanceCount: 1 }],
      triggers: { http: { perInstanceConcurrency: 16 } },
    });
    assert.deepEqual(functionAppConfig.runtime, { name: "node", version: "22" });
    assert.deepEqual([siteConfig.http20Enabled, siteConfig.minTlsVersion], [false, "1.2"]);
    assert.deepEqual(called(resources, "photos-arrivals-subscription").inputs.retryPolicy, {
      maxDeliveryAttempts: 5,
      eventTimeToLiveInMinutes: 1_440,
    });
    const { softDeleteRetentionInDays, enableRbacAuthorization } = called(resources, "photos-api-key-vault").inputs.properties;
    assert.deepEqual([softDeleteRetentionInDays, enableRbacAuthorization], [90, true]);
  });

  it("cannot name what there is not", () => {
    const check = (_: NonNullable<ImagePipelineArgs["transform"]>) => {};
    // @ts-expect-error no such part
    check({ table: {} });
    // @ts-expect-error no such resource in it
    check({ images: { versions: {} } });
    // @ts-expect-error no such input
    check({ images: { account: { kindOf: "StorageV2" } } });
    // @ts-expect-error no such grant
    check({ grants: { everything: {} } });
  });
});
