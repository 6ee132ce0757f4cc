import assert from "node:assert/strict";
import { request as httpsRequest } from "node:https";
import { mock } from "node:test";
import { TableClient } from "@azure/data-tables";
import {
  BlobSASPermissions,
  BlobServiceClient,
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";
import { QueueServiceClient } from "@azure/storage-queue";
import type { CloudEvent } from "../../../../local/kernel/cloud.js";
import type { Properties, Resource } from "../../../../local/kernel/service.js";
import storage from "../../../../local/services/azure/storage/index.js";
import { storageAccount, type TestAzure, testAzure } from "./azure-cloud.js";

describe("Azure Storage", function () {
  this.timeout(30_000);
  let azure: TestAzure;
  let account: Resource;
  let container: Resource;
  let writer: Resource;
  let stranger: Resource;
  let options: Awaited<ReturnType<TestAzure["options"]>>;
  const events: CloudEvent[] = [];

  before(async () => {
    azure = await testAzure([storage()]);
    account = await storageAccount(azure);
    const accountName = account.outputs.name;
    container = await azure.declare("azure-native:storage:BlobContainer", "images", { accountName, containerName: "images-input" });
    await azure.declare("azure-native:storage:BlobContainer", "others", { accountName, containerName: "others" });
    await azure.declare("azure-native:storage:Queue", "jobs", { accountName, queueName: "jobqueue" });
    await azure.declare("azure-native:storage:Table", "tags", { accountName, tableName: "ImageTags" });
    writer = await azure.identity("writer");
    stranger = await azure.identity("stranger");
    await azure.grant(writer, "blobContributor", container.id);
    await azure.grant(writer, "blobDelegator", account.id);
    options = await azure.options();
    azure.test.cloud.subscribe((event) => events.push(event));
  });
  after(() => azure.test.stop());
  beforeEach(() => {
    events.length = 0;
  });

  const blobs = (as: Resource) => new BlobServiceClient(account.outputs.primaryEndpoints.blob, azure.credential(as), options);
  const blob = (as: Resource, name: string, of = "images-input") => blobs(as).getContainerClient(of).getBlockBlobClient(name);
  const queue = (as: Resource) =>
    new QueueServiceClient(account.outputs.primaryEndpoints.queue, azure.credential(as), options).getQueueClient("jobqueue");
  const table = (as: Resource) => new TableClient(account.outputs.primaryEndpoints.table, "ImageTags", azure.credential(as), options);

  /** A request with nothing but what the URL says. */
  const plain = (method: string, url: string, body = "", headers: Record<string, string> = {}) =>
    new Promise<{ status: number; code: string | undefined; body: string }>((resolve, reject) => {
      const outgoing = httpsRequest(url, { method, headers, ca: options.tlsOptions.ca, agent: false }, (incoming) => {
        let text = "";
        incoming.on("data", (chunk) => (text += chunk));
        incoming.on("end", () =>
          resolve({ status: incoming.statusCode as number, code: incoming.headers["x-ms-error-code"] as string, body: text }),
        );
      });
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  const signedUrl = async (as: Resource, name: string | undefined, permissions: string, more: Properties = {}) => {
    const service = blobs(as);
    const key = await service.getUserDelegationKey(new Date(Date.now() - 60_000), new Date(Date.now() + 600_000));
    const query = generateBlobSASQueryParameters(
      {
        containerName: "images-input",
        ...(name !== undefined && { blobName: name }),
        permissions: name === undefined ? ContainerSASPermissions.parse(permissions) : BlobSASPermissions.parse(permissions),
        expiresOn: new Date(Date.now() + 300_000),
        ...more,
      },
      key,
      account.outputs.name,
    );
    return `${service.getContainerClient("images-input").getBlobClient(name ?? "any.png").url}?${query}`;
  };
  const put = { "x-ms-blob-type": "BlockBlob" };

  describe("by identity", () => {
    it("keeps blobs of whoever may write, with type and metadata", async () => {
      await blob(writer, "a b/ü.png").upload("hello", 5, { blobHTTPHeaders: { blobContentType: "image/png" }, metadata: { user: "ann" } });
      const got = await blob(writer, "a b/ü.png").downloadToBuffer();
      const { contentType, metadata } = await blob(writer, "a b/ü.png").getProperties();
      assert.equal(got.toString(), "hello");
      assert.deepEqual({ contentType, metadata }, { contentType: "image/png", metadata: { user: "ann" } });
    });

    it("refuses who has no role, and says who lacks what, where, and which role has it", async () => {
      await assert.rejects(blob(stranger, "a.png").upload("x", 1), (error: Properties) => {
        assert.equal(error.statusCode, 403);
        assert.equal(error.code, "AuthorizationPermissionMismatch");
        assert.match(
          error.message,
          /"stranger" \(.+\) is not granted .*blobs\/write .*at .*\/containers\/images-input.*"Storage Blob Data Contributor"/,
        );
        return true;
      });
    });

    it("grants at a container what is in it, and nothing beside it", async () => {
      await assert.rejects(blob(writer, "a.png", "others").upload("x", 1), { code: "AuthorizationPermissionMismatch" });
    });

    it("takes a grant at the account for everything in it", async () => {
      const auditor = await azure.identity("auditor");
      await azure.grant(auditor, "blobReader", account.id);
      assert.equal(await blob(auditor, "missing.png", "others").exists(), false);
      await assert.rejects(blob(auditor, "a.png", "others").upload("x", 1), { code: "AuthorizationPermissionMismatch" });
    });

    it("answers an unknown caller with a challenge", async () => {
      const { status, code } = await plain("GET", blob(writer, "a.png").url);
      assert.deepEqual({ status, code }, { status: 401, code: "NoAuthenticationInformation" });
    });

    it("takes no token for another audience", async () => {
      const { token } = await azure.credential(writer).getToken("https://database.windows.net/.default");
      const { status } = await plain("GET", blob(writer, "a.png").url, "", { authorization: `Bearer ${token}` });
      assert.equal(status, 401);
    });

    it("lets senders send and processors process, each nothing else", async () => {
      const sender = await azure.identity("sender");
      const processor = await azure.identity("processor");
      await azure.grant(sender, "queueSender", `${account.id}/queueServices/default/queues/jobqueue`);
      await azure.grant(processor, "queueProcessor", account.id);
      await queue(sender).sendMessage("aGVsbG8=");
      await assert.rejects(queue(sender).receiveMessages(), { code: "AuthorizationPermissionMismatch" });
      await assert.rejects(queue(processor).sendMessage("x"), { code: "AuthorizationPermissionMismatch" });
      const [message] = (await queue(processor).receiveMessages()).receivedMessageItems;
      assert.equal(message?.messageText, "aGVsbG8=");
      await queue(processor).deleteMessage(message.messageId, message.popReceipt);
    });

    it("keeps entities, alone and in transactions, of whoever may", async () => {
      const tagger = await azure.identity("tagger");
      await assert.rejects(table(tagger).upsertEntity({ partitionKey: "p", rowKey: "r" }), { statusCode: 403 });
      await azure.grant(tagger, "tableContributor", `${account.id}/tableServices/default/tables/ImageTags`);
      await table(tagger).upsertEntity({ partitionKey: "ann's", rowKey: "r1", Tags: "[]" });
      await table(tagger).submitTransaction([
        ["create", { partitionKey: "ann's", rowKey: "r2", Tags: "[1]" }],
        ["upsert", { partitionKey: "ann's", rowKey: "r1", Tags: "[2]" }],
      ]);
      const found: string[] = [];
      for await (const { rowKey, Tags } of table(tagger).listEntities({ queryOptions: { filter: "PartitionKey eq 'ann''s'" } })) {
        found.push(`${rowKey} ${Tags}`);
      }
      assert.deepEqual(found, ["r1 [2]", "r2 [1]"]);
      await table(tagger).deleteEntity("ann's", "r1");
      await assert.rejects(table(tagger).getEntity("ann's", "r1"), { statusCode: 404 });
    });
  });

  describe("by signature", () => {
    it("takes a user delegation signature of who may do it", async () => {
      const url = await signedUrl(writer, "ticket.png", "cw");
      assert.equal((await plain("PUT", url, "bytes", put)).status, 201);
      const readable = await signedUrl(writer, "ticket.png", "r", { contentDisposition: 'attachment; filename="ticket.png"' });
      assert.equal((await plain("GET", readable)).body, "bytes");
    });

    it("is the one thing that plain HTTP will do for, as browsers do not trust the certificate", async () => {
      const bare = (url: string) => url.replace("https:", "http:");
      const url = await signedUrl(writer, "opened.png", "cw");
      assert.equal((await fetch(bare(url), { method: "PUT", headers: put, body: "bytes" })).status, 201);
      const token = (await azure.credential(writer).getToken("https://storage.azure.com/.default")).token;
      const refused = await fetch(bare(blob(writer, "opened.png").url), { headers: { authorization: `Bearer ${token}` } });
      assert.equal(refused.status, 400);
      assert.equal(refused.headers.get("x-ms-error-code"), "HttpsRequired");
    });

    it("takes none that was changed, or is for another blob", async () => {
      const url = await signedUrl(writer, "one.png", "cw");
      assert.equal((await plain("PUT", url.replace("one.png", "two.png"), "x", put)).code, "AuthenticationFailed");
      assert.equal((await plain("PUT", url.replace("sp=cw", "sp=rcw"), "x", put)).code, "AuthenticationFailed");
    });

    it("takes none whose time is over", async () => {
      const url = await signedUrl(writer, "late.png", "cw", {
        expiresOn: new Date(Date.now() - 1_000),
        startsOn: new Date(Date.now() - 2_000),
      });
      assert.equal((await plain("PUT", url, "x", put)).code, "AuthenticationFailed");
    });

    it("allows no more than it says", async () => {
      const url = await signedUrl(writer, "ticket.png", "r");
      assert.equal((await plain("PUT", url, "x", put)).code, "AuthorizationPermissionMismatch");
    });

    it("allows no more than its signer may, even when that changed since", async () => {
      const lender = await azure.identity("lender");
      await azure.grant(lender, "blobDelegator", account.id);
      const role = await azure.grant(lender, "blobContributor", container.id);
      const url = await signedUrl(lender, "lent.png", "cw");
      await azure.test.remove(role);
      assert.equal((await plain("PUT", url, "x", put)).code, "AuthorizationPermissionMismatch");
    });

    it("gives delegation keys only to who may delegate on the account", async () => {
      const local = await azure.identity("local");
      await azure.grant(local, "blobContributor", container.id);
      await assert.rejects(signedUrl(local, "x.png", "r"), { code: "AuthorizationPermissionMismatch" });
    });

    it("writes nothing over that is there when it may only create", async () => {
      const url = await signedUrl(writer, "once.png", "c");
      assert.equal((await plain("PUT", url, "first", put)).status, 201);
      assert.deepEqual((await plain("PUT", url, "second", put)).code, "UnauthorizedBlobOverwrite");
      assert.equal((await blob(writer, "once.png").downloadToBuffer()).toString(), "first");
    });

    it("of a container holds for its blobs", async () => {
      const url = await signedUrl(writer, undefined, "r");
      await blob(writer, "any.png").upload("any", 3);
      assert.equal((await plain("GET", url)).body, "any");
    });

    it("with the account's key is refused where keys are not allowed, and taken where they are", async () => {
      const keyed = await storageAccount(azure, "keyedaccount", { allowSharedKeyAccess: true });
      const service = azure.test.cloud.services.find(({ name }) => name === "storage");
      const list = service?.functions?.["azure-native:storage:listStorageAccountKeys"];
      assert.ok(list);
      const { keys } = await list({ accountName: "keyedaccount" }, azure.test.cloud);
      const client = (of: Resource) =>
        new BlobServiceClient(of.outputs.primaryEndpoints.blob, new StorageSharedKeyCredential(of.outputs.name, keys[0].value), options);
      await client(keyed).createContainer("by-key");
      await client(keyed).getContainerClient("by-key").getBlockBlobClient("a").upload("x", 1);
      await assert.rejects(client(account).createContainer("by-key"), { code: "KeyBasedAuthenticationNotPermitted" });
    });
  });

  describe("tells", () => {
    it("when blobs come and go, as Event Grid describes it", async () => {
      const name = "events/cat 1.png";
      const uploaded = await blob(writer, name).upload("12345", 5, { blobHTTPHeaders: { blobContentType: "image/png" } });
      await blob(writer, "parts.png").stageBlock("AAAA", "ab", 2);
      await blob(writer, "parts.png").commitBlockList(["AAAA"]);
      await blob(writer, "copy.png").syncCopyFromURL(blob(writer, name).url);
      await blob(writer, name).delete();
      const told = events.map(({ type, detail }) => [type, detail.data.api, detail.subject.split("/blobs/")[1], detail.data.contentLength]);
      assert.deepEqual(told, [
        ["Microsoft.Storage.BlobCreated", "PutBlob", name, 5],
        ["Microsoft.Storage.BlobCreated", "PutBlockList", "parts.png", 2],
        ["Microsoft.Storage.BlobCreated", "CopyBlob", "copy.png", 5],
        ["Microsoft.Storage.BlobDeleted", "DeleteBlob", name, 5],
      ]);
      const [created, ...later] = events.map(({ detail }) => detail.data);
      assert.equal(created.eTag, uploaded.etag?.replaceAll('"', ""));
      assert.equal(created.contentType, "image/png");
      assert.equal(created.blobType, "BlockBlob");
      assert.equal(created.url, `${account.outputs.primaryEndpoints.blob}images-input/events/cat%201.png`);
      assert.deepEqual(events[0]?.resources, [account.id]);
      const order = [created, ...later].map(({ sequencer }) => sequencer);
      assert.deepEqual(order, [...order].sort());
      assert.equal(new Set(order).size, 4);
    });

    it("nothing when nothing changed", async () => {
      await assert.rejects(blob(writer, "missing.png").delete(), { code: "BlobNotFound" });
      await assert.rejects(blob(stranger, "a.png").upload("x", 1));
      assert.deepEqual(events, []);
    });
  });

  it("lets browsers of declared origins upload", async () => {
    await azure.declare("azure-native:storage:BlobServiceProperties", "cors", {
      accountName: account.outputs.name,
      blobServicesName: "default",
      cors: {
        corsRules: [
          {
            allowedOrigins: ["https://photos.example"],
            allowedMethods: ["PUT"],
            allowedHeaders: ["*"],
            exposedHeaders: ["*"],
            maxAgeInSeconds: 60,
          },
        ],
      },
    });
    const ask = (origin: string) =>
      plain("OPTIONS", blob(writer, "a.png").url, "", {
        origin,
        "access-control-request-method": "PUT",
        "access-control-request-headers": "x-ms-blob-type",
      });
    assert.equal((await ask("https://photos.example")).status, 200);
    assert.equal((await ask("https://elsewhere.example")).status, 403);
  });

  it("gives back a blob that was deleted, for the days that its account says", async () => {
    const files = await storageAccount(azure, "softly");
    const accountName = files.outputs.name;
    const { id } = await azure.declare("azure-native:storage:BlobContainer", "kept", { accountName, containerName: "kept" });
    const service = { accountName, blobServicesName: "default" };
    const policy = (deleteRetentionPolicy: Properties) => ({ ...service, deleteRetentionPolicy });
    const soft = await azure.declare("azure-native:storage:BlobServiceProperties", "soft", policy({ enabled: true, days: 7 }));
    await azure.grant(writer, "blobContributor", id);
    const reader = await azure.identity("kept-reader");
    await azure.grant(reader, "blobReader", id);
    const file = (as: Resource, name = "a b/ü.png") =>
      new BlobServiceClient(files.outputs.primaryEndpoints.blob, azure.credential(as), options)
        .getContainerClient("kept")
        .getBlockBlobClient(name);
    await file(writer).upload("hello", 5, { blobHTTPHeaders: { blobContentType: "image/png" }, metadata: { user: "ann" } });
    await file(writer).delete();
    assert.equal(await file(writer).exists(), false);
    await assert.rejects(file(reader).undelete(), { code: "AuthorizationPermissionMismatch" });
    events.length = 0;
    await file(writer).undelete();
    const { contentType, metadata } = await file(writer).getProperties();
    assert.deepEqual({ contentType, metadata }, { contentType: "image/png", metadata: { user: "ann" } });
    assert.equal(String(await file(writer).downloadToBuffer()), "hello");
    assert.deepEqual(events, [], "nobody is told");
    await file(writer).undelete();
    await assert.rejects(file(writer, "never.png").undelete(), { code: "BlobNotFound" });

    await file(writer).delete();
    const input = { container: "kept" };
    const apply = () => azure.test.cloud.call({ service: "storage", operation: "ApplyLifecycle", input, as: azure.test.owner });
    const inDays = async (days: number) => {
      const at = new Date(Date.now() + days * 86_400_000);
      const clock = mock.method(azure.test.cloud, "now", () => at);
      await apply().finally(() => clock.mock.restore());
    };
    await inDays(6);
    await file(writer).undelete();
    await file(writer).delete();
    await inDays(8);
    await assert.rejects(file(writer).undelete(), { code: "BlobNotFound" });

    await azure.test.change(soft, { ...soft.inputs, ...policy({ enabled: false }) });
    await file(writer).upload("gone", 4);
    await file(writer).delete();
    await assert.rejects(file(writer).undelete(), { code: "BlobNotFound" }, "where it is off, nothing is kept");
  });

  it("refuses names, kinds and features that are not", async () => {
    await assert.rejects(storageAccount(azure, "Upper-Case"), { code: "AccountNameInvalid" });
    await assert.rejects(storageAccount(azure, "deep", { isHnsEnabled: true }), { code: "FeatureNotSupported" });
    const accountName = account.outputs.name;
    await assert.rejects(azure.declare("azure-native:storage:Queue", "bad", { accountName, queueName: "Bad_Name" }), {
      code: "InvalidResourceName",
    });
    await assert.rejects(
      azure.declare("azure-native:storage:BlobContainer", "open", { accountName, containerName: "open", publicAccess: "Blob" }),
      {
        code: "PublicAccessNotPermitted",
      },
    );
  });
});
