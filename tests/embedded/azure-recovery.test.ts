import assert from "node:assert/strict";
import * as photos from "../photos.js";
import { type EmbeddedAzure, startPipeline } from "./azure-stack.js";

describe("Recovery on Azure", function () {
  this.timeout(120_000);
  let pipeline: EmbeddedAzure;
  before(async () => {
    pipeline = await startPipeline({ recovery: { days: 7 }, tagger: "none" });
  });
  after(() => pipeline?.stop());

  it("has back a picture that was deleted, which is processed when that is asked for", async () => {
    const { client, container } = pipeline;
    const { key, sha256 } = await client.put("photo.jpg", await photos.jpeg(300, 200));
    assert.equal((await client.call("DELETE", client.image(key))).status, 204);
    assert.equal((await client.status(key)).status, 404);
    await container("images-input").getBlockBlobClient(key).undelete();
    assert.equal((await client.call("POST", client.image(key, "/redrive"))).status, 202);
    const record = await client.result(key);
    assert.deepEqual([record.status, record.sha256], ["completed", sha256]);
  });
});
