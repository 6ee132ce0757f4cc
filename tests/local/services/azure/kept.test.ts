import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BlobServiceClient } from "@azure/storage-blob";
import { issueToken, verifyToken } from "../../../../local/kernel/azure/tokens.js";
import storage from "../../../../local/services/azure/storage/index.js";
import { storageAccount, testAzure } from "./azure-cloud.js";

describe("An Azure whose folder is kept", function () {
  this.timeout(30_000);
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "embedded-azure-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it("is where it was, with the blobs, the certificate and the tokens of before", async () => {
    const first = await testAzure([storage()], { folder, kept: true });
    const account = await storageAccount(first);
    const container = await first.declare("azure-native:storage:BlobContainer", "images", {
      accountName: account.outputs.name,
      containerName: "images",
    });
    const app = await first.identity("app");
    const role = await first.grant(app, "blobContributor", account.id);
    const { tlsOptions } = await first.options();
    const token = await issueToken(first.test.cloud, { objectId: "o", clientId: "c", audience: "https://storage.azure.com" });
    const client = async (azure: typeof first) => {
      const options = { ...(await azure.options()), tlsOptions };
      const service = new BlobServiceClient(account.outputs.primaryEndpoints.blob, azure.credential(app), options);
      return service.getContainerClient("images").getBlockBlobClient("cat.png");
    };
    await (await client(first)).upload("meow", 4);
    await first.test.stop();

    const second = await testAzure([storage()], { folder, kept: true });
    try {
      const restored = await second.test.restore(account);
      for (const resource of [container, app, role]) await second.test.restore(resource);
      assert.deepEqual(restored.outputs.primaryEndpoints, account.outputs.primaryEndpoints);
      assert.equal((await (await client(second)).downloadToBuffer()).toString(), "meow");
      assert.ok(await verifyToken(second.test.cloud, token, "https://storage.azure.com"));
    } finally {
      await second.test.stop();
    }
  });
});
