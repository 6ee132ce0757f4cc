import assert from "node:assert/strict";
import { DeleteObjectCommand, GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import type { CloudEvent } from "../../local/kernel/cloud.js";
import * as photos from "../photos.js";
import { type EmbeddedAws, startPipeline } from "./aws-stack.js";

describe("The AWS pipeline on the embedded cloud", function () {
  this.timeout(120_000);
  let pipeline: EmbeddedAws;
  before(async () => {
    pipeline = await startPipeline({ notify: { email: "ops@example.org" } });
    pipeline.stack.cloud.subscribe((event) => published.push(event));
  });
  after(() => pipeline?.stack.stop());

  const published: CloudEvent[] = [];
  /** E-mails that went out, to be told from alarms by their JSON body. */
  const messages = () =>
    pipeline.stack.cloud.trace
      .entries("message")
      .map(({ detail }) => detail as { to: string; body: string; attributes?: unknown })
      .filter(({ body }) => body.startsWith('{"key"'));
  const put = async (name: string, bytes: Uint8Array, metadata: Record<string, string> = {}) => {
    const Key = `uploads/${name}`;
    await pipeline.s3.send(new PutObjectCommand({ Bucket: pipeline.stack.outputs.uploads, Key, Body: bytes, Metadata: metadata }));
    return Key;
  };

  it("processes a file that the AWS SDK puts straight into the bucket, for the user in its metadata", async () => {
    const key = await put("direct.jpg", await photos.jpeg(), { user: "mary" });
    const record = await pipeline.client.result(key);
    assert.deepEqual([record.status, record.user], ["completed", "mary"]);
  });

  it("leaves objects outside uploads/ alone", async () => {
    const { s3, stack, client } = pipeline;
    await s3.send(new PutObjectCommand({ Bucket: stack.outputs.uploads, Key: "elsewhere/photo.jpg", Body: await photos.jpeg(100, 80) }));
    await stack.cloud.settled();
    assert.equal((await client.status("elsewhere/photo.jpg")).status, 404);
  });

  it("keeps thumbnails in the other bucket, under thumbnails/", async () => {
    const key = await put("there.jpg", await photos.jpeg());
    const { variants } = await pipeline.client.result(key);
    const { s3, stack } = pipeline;
    const listed = await s3.send(new ListObjectsV2Command({ Bucket: stack.outputs.thumbnails, Prefix: `thumbnails/${key}/` }));
    assert.deepEqual(listed.Contents?.map(({ Key }) => Key).sort(), variants.map((variant: { key: string }) => variant.key).sort());
    for (const { key: Key, size } of variants) {
      const object = await s3.send(new GetObjectCommand({ Bucket: stack.outputs.thumbnails, Key }));
      assert.equal(object.ContentLength, size);
    }
  });

  it("removes record, tags and thumbnails when the object is deleted in the bucket", async () => {
    const key = await put("short-lived.jpg", await photos.jpeg());
    const { client, s3, stack } = pipeline;
    const record = await client.result(key);
    await s3.send(new DeleteObjectCommand({ Bucket: stack.outputs.uploads, Key: key }));
    await stack.cloud.settled();
    assert.equal((await client.status(key)).status, 404);
    const listed = await s3.send(new ListObjectsV2Command({ Bucket: stack.outputs.thumbnails, Prefix: `thumbnails/${key}/` }));
    assert.equal(listed.KeyCount, 0);
    for (const { name } of record.tags) {
      const { body } = await client.call("GET", `/images?tag=${encodeURIComponent(name)}&limit=100`);
      assert.ok(!body.items.some((item: { key: string }) => item.key === key), name);
    }
  });

  it("tells the topic's subscribers of success and failure, with the status as an attribute", async () => {
    const good = await put("good.jpg", await photos.jpeg(150, 100));
    const bad = await put("bad.jpg", Buffer.from("no picture"));
    await pipeline.client.result(good);
    await pipeline.client.result(bad);
    await pipeline.stack.cloud.settled();
    for (const [key, status] of [
      [good, "completed"],
      [bad, "failed"],
    ] as const) {
      const sent = messages().filter(({ body }) => JSON.parse(body).key === key);
      assert.equal(sent.length, 1, `${key} is announced once`);
      assert.equal(sent[0]?.to, "ops@example.org");
      assert.deepEqual(sent[0]?.attributes, { status: { DataType: "String", StringValue: status } });
      assert.equal(JSON.parse(sent[0]?.body ?? "").status, status);
    }
  });

  it("has the same effect once when an event comes twice", async () => {
    const key = await put("doubled.jpg", await photos.jpeg(160, 100));
    const first = await pipeline.client.result(key);
    await pipeline.stack.cloud.settled();
    const before = messages().length;
    const created = pipeline.stack.cloud.trace.entries("execution").length;
    // As EventBridge may: the very same event again.
    const event = published.find(({ type, detail }) => type === "Object Created" && detail.object.key === key);
    assert.ok(event);
    pipeline.stack.cloud.publish(event);
    await pipeline.stack.cloud.settled();
    assert.ok(pipeline.stack.cloud.trace.entries("execution").length > created, "the workflow ran again");
    assert.equal(messages().length, before, "nobody is told twice");
    assert.deepEqual((await pipeline.client.status(key)).body, first);
  });
});
