import assert from "node:assert/strict";
import { EventGridPublisherClient } from "@azure/eventgrid";
import { BlobServiceClient } from "@azure/storage-blob";
import { QueueServiceClient } from "@azure/storage-queue";
import type { Properties, Resource } from "../../../../local/kernel/service.js";
import type { TraceEntry } from "../../../../local/kernel/trace.js";
import eventGrid from "../../../../local/services/azure/eventgrid/index.js";
import storage from "../../../../local/services/azure/storage/index.js";
import { storageAccount, type TestAzure, testAzure } from "./azure-cloud.js";

describe("Event Grid", function () {
  this.timeout(30_000);
  let azure: TestAzure;
  let account: Resource;
  let app: Resource;
  let topic: Resource;
  let options: Awaited<ReturnType<TestAzure["options"]>>;

  beforeEach(async () => {
    azure = await testAzure([storage(), eventGrid()]);
    account = await storageAccount(azure);
    const accountName = account.outputs.name;
    for (const containerName of ["images-input", "deadletter"]) {
      await azure.declare("azure-native:storage:BlobContainer", containerName, { accountName, containerName });
    }
    await azure.declare("azure-native:storage:Queue", "jobs", { accountName, queueName: "jobqueue" });
    app = await azure.identity("app");
    await azure.grant(app, "blobContributor", account.id);
    await azure.grant(app, "queueContributor", account.id);
    topic = await azure.declare("azure-native:eventgrid:SystemTopic", "events", {
      systemTopicName: "events",
      source: account.id,
      topicType: "Microsoft.Storage.StorageAccounts",
      identity: { type: "SystemAssigned" },
    });
    options = await azure.options();
  });
  afterEach(() => azure.test.stop());

  const SELF = { type: "SystemAssigned" };
  const toQueue = (filter: Properties = {}, more: Properties = {}) => ({
    eventSubscriptionName: "jobs",
    deliveryWithResourceIdentity: {
      identity: SELF,
      destination: { endpointType: "StorageQueue", resourceId: account.id, queueName: "jobqueue", queueMessageTimeToLiveInSeconds: -1 },
    },
    deadLetterWithResourceIdentity: {
      identity: SELF,
      deadLetterDestination: { endpointType: "StorageBlob", resourceId: account.id, blobContainerName: "deadletter" },
    },
    retryPolicy: { maxDeliveryAttempts: 3, eventTimeToLiveInMinutes: 60 },
    filter,
    ...more,
  });
  const subscribe = (filter: Properties = {}) =>
    azure.declare("azure-native:eventgrid:SystemTopicEventSubscription", "jobs", {
      systemTopicName: "events",
      eventDeliverySchema: "EventGridSchema",
      ...toQueue(filter),
    });
  const container = (name: string) =>
    new BlobServiceClient(account.outputs.primaryEndpoints.blob, azure.credential(app), options).getContainerClient(name);
  const upload = async (name: string) => {
    await container("images-input").getBlockBlobClient(name).upload("12345", 5);
    await azure.test.cloud.settled();
  };
  const received = async (): Promise<Properties[]> => {
    const queue = new QueueServiceClient(account.outputs.primaryEndpoints.queue, azure.credential(app), options).getQueueClient("jobqueue");
    const { receivedMessageItems } = await queue.receiveMessages({ numberOfMessages: 32 });
    return receivedMessageItems.map(({ messageText }) => JSON.parse(Buffer.from(messageText, "base64").toString()));
  };

  it("tells a queue of a blob, in base64 and its own schema, as the topic's identity", async () => {
    await azure.grant(topic.outputs.identity.principalId, "queueSender", account.id);
    await subscribe();
    await upload("cat.png");
    const [event, ...others] = await received();
    assert.deepEqual(others, []);
    assert.equal(event?.eventType, "Microsoft.Storage.BlobCreated");
    assert.equal(event.topic, account.id);
    assert.equal(event.subject, "/blobServices/default/containers/images-input/blobs/cat.png");
    assert.equal(event.data.api, "PutBlob");
    assert.equal(event.data.contentLength, 5);
  });

  it("passes on what the filters let through, and nothing else", async () => {
    await azure.grant(topic.outputs.identity.principalId, "queueSender", account.id);
    await subscribe({
      includedEventTypes: ["Microsoft.Storage.BlobCreated"],
      subjectBeginsWith: "/blobServices/default/containers/images-input/blobs/",
      subjectEndsWith: ".PNG",
      advancedFilters: [{ operatorType: "StringIn", key: "data.api", values: ["PutBlob"] }],
    });
    await upload("cat.png");
    await upload("cat.txt");
    await container("images-input").getBlobClient("copy.png").syncCopyFromURL(container("images-input").getBlobClient("cat.png").url);
    await container("deadletter").getBlockBlobClient("other.png").upload("x", 1);
    await container("images-input").deleteBlob("cat.png");
    await azure.test.cloud.settled();
    assert.deepEqual(
      (await received()).map(({ subject }) => subject.split("/").at(-1)),
      ["cat.png"],
    );
  });

  it("parks what it may not deliver, with the reason, where it may", async () => {
    await azure.grant(topic.outputs.identity.principalId, "blobContributor", account.id);
    await subscribe({ subjectBeginsWith: "/blobServices/default/containers/images-input/" });
    await upload("cat.png");
    assert.deepEqual(await received(), []);
    const letters: Properties[] = [];
    for await (const { name } of container("deadletter").listBlobsFlat()) {
      assert.match(name, /^EVENTS\/JOBS\/\d{4}\/\d\d\/\d\d\/\d\d\/.+\.json$/);
      letters.push(...JSON.parse((await container("deadletter").getBlobClient(name).downloadToBuffer()).toString()));
    }
    assert.equal(letters.length, 1);
    assert.equal(letters[0]?.lastDeliveryOutcome, "AuthorizationPermissionMismatch");
    assert.equal(letters[0]?.data.api, "PutBlob");
  });

  it("has one system topic of a source", async () => {
    const again = { systemTopicName: "again", source: account.id, topicType: "Microsoft.Storage.StorageAccounts" };
    await assert.rejects(
      azure.declare("azure-native:eventgrid:SystemTopic", "again", again),
      /Only one system topic is allowed per source: events/,
    );
  });

  it("refuses filters, destinations and limits that it does not have", async () => {
    await assert.rejects(
      subscribe({ advancedFilters: [{ operatorType: "StringSoundsLike", key: "data.api", values: ["x"] }] }),
      /StringSoundsLike/,
    );
    const values = Array.from({ length: 26 }, (_, index) => `v${index}`);
    await assert.rejects(subscribe({ advancedFilters: [{ operatorType: "StringIn", key: "data.api", values }] }), /at most 25/);
  });

  describe("topics of one's own", () => {
    let results: Resource;
    beforeEach(async () => {
      results = await azure.declare("azure-native:eventgrid:Topic", "results", {
        topicName: "results",
        inputSchema: "CloudEventSchemaV1_0",
        disableLocalAuth: true,
        identity: SELF,
      });
    });
    const publisher = () => new EventGridPublisherClient(results.outputs.endpoint, "CloudEvent", azure.credential(app), options);
    const event = (status: string) => ({
      type: "ImagePipeline.Image",
      source: "/image-pipeline",
      subject: "cat.png",
      data: { key: "cat.png" },
      extensionAttributes: { status },
    });

    it("take CloudEvents of who may send", async () => {
      await assert.rejects(publisher().send([event("completed")]), { statusCode: 403 });
      await azure.grant(app, "eventGridSender", results.id);
      await publisher().send([event("completed")]);
      const [message, ...others] = azure.test.cloud.trace.entries("message");
      assert.deepEqual(others, []);
      assert.deepEqual(((message as TraceEntry).detail as Properties).event.data, { key: "cat.png" });
    });

    it("pass them on by their attributes", async () => {
      await azure.grant(app, "eventGridSender", results.id);
      await azure.grant(results.outputs.identity.principalId, "queueSender", account.id);
      await azure.test.declare("azure-native:eventgrid:EventSubscription", "failures", {
        scope: results.id,
        ...toQueue(
          { advancedFilters: [{ operatorType: "StringIn", key: "status", values: ["failed"] }] },
          { eventDeliverySchema: "CloudEventSchemaV1_0" },
        ),
      });
      await publisher().send([event("completed"), event("failed")]);
      await azure.test.cloud.settled();
      assert.deepEqual(
        (await received()).map(({ status }) => status),
        ["failed"],
      );
    });
  });
});
