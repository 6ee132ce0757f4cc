import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import type { Properties, Resource } from "../../../../../local/kernel/service.js";
import { Store } from "../../../../../local/services/aws/s3/store.js";
import { type BucketCloud, bucketCloud } from "./buckets.js";

const Bucket = "photos";
const NOTHING_SAID = { headers: {}, metadata: {}, tags: {}, checksums: {} };

describe("What S3 keeps", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "s3-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const contents = async () => (await readdir(join(folder, "buckets", Bucket, "content"))).length;
  const open = () => new Store(folder, () => new Date());

  describe("over a restart", () => {
    let cloud: BucketCloud;
    const start = async () => {
      cloud = await bucketCloud({ folder, kept: true });
    };
    /** What the engine does with resources of an earlier run. */
    const restore = async (resources: readonly Resource[]) => {
      for (const resource of resources) {
        const type = cloud.cloud.services.find(({ resources: types }) => types?.[resource.type])?.resources?.[resource.type];
        cloud.cloud.resources.add({ ...resource, outputs: (await type?.restore?.(resource, cloud.cloud)) as Properties });
      }
    };
    beforeEach(start);
    afterEach(() => cloud.stop());

    it("are objects, configuration and unfinished uploads", async () => {
      const resources = [
        await cloud.bucket(Bucket),
        await cloud.declare("aws:s3/bucketNotification:BucketNotification", "notify", { bucket: Bucket, eventbridge: true }),
      ];
      await cloud.s3.send(
        new PutObjectCommand({ Bucket, Key: "ä/b", Body: "first", ContentType: "text/plain", Metadata: { user: "ann" } }),
      );
      const { UploadId } = await cloud.s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "parts" }));
      const { ETag } = await cloud.s3.send(new UploadPartCommand({ Bucket, Key: "parts", UploadId, PartNumber: 1, Body: "part" }));
      const before = cloud.events.map(({ detail }) => detail.object.sequencer as string);
      const url = cloud.cloud.url;

      await cloud.stop();
      await start();
      await restore(resources);
      assert.equal(cloud.cloud.url, url);
      const { Body, ContentType, Metadata } = await cloud.s3.send(new GetObjectCommand({ Bucket, Key: "ä/b" }));
      assert.deepEqual([await Body?.transformToString(), ContentType, Metadata], ["first", "text/plain", { user: "ann" }]);
      await cloud.s3.send(
        new CompleteMultipartUploadCommand({ Bucket, Key: "parts", UploadId, MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] } }),
      );
      const { Contents } = await cloud.s3.send(new ListObjectsV2Command({ Bucket }));
      assert.deepEqual(
        Contents?.map(({ Key, Size }) => [Key, Size]),
        [
          ["parts", 4],
          ["ä/b", 5],
        ],
      );
      const [after] = cloud.events.map(({ detail }) => detail.object.sequencer as string);
      assert.ok((after as string) > (before[0] as string));
    });
  });

  it("is the greatest sequencer, even with the clock set back", async () => {
    const store = open();
    store.createBucket(Bucket);
    const staged = () => store.stage(Bucket, Buffer.from("x"));
    const first = store.commit(Bucket, "a", await staged(), NOTHING_SAID);
    const past = new Store(folder, () => new Date(0));
    const second = past.commit(Bucket, "a", await past.stage(Bucket, Buffer.from("y")), NOTHING_SAID);
    assert.ok(second.sequencer > first.sequencer);
    assert.equal(second.sequencer.length, first.sequencer.length);
  });

  it("is the old object when a write was cut short, and nothing of the new", async () => {
    const store = open();
    store.createBucket(Bucket);
    store.commit(Bucket, "a", await store.stage(Bucket, Buffer.from("old")), NOTHING_SAID);
    await store.stage(Bucket, Buffer.from("new"));
    assert.equal(await contents(), 2);
    const reopened = open();
    const object = reopened.object(Bucket, "a");
    assert.ok(object);
    assert.equal((await reopened.read(Bucket, object)).toString(), "old");
    assert.equal(await contents(), 1);
  });

  it("is what a reader has begun to read, when it is overwritten meanwhile", async () => {
    const store = open();
    store.createBucket(Bucket);
    const body = Buffer.alloc(3_000_000, 1);
    const object = store.commit(Bucket, "a", await store.stage(Bucket, body), NOTHING_SAID);
    const reading = store.read(Bucket, object);
    const staged = await store.stage(Bucket, Buffer.from("new"));
    store.commit(Bucket, "a", staged, NOTHING_SAID);
    assert.ok((await reading).equals(body));
  });

  it("is whole after a process was killed in the midst of writing", async () => {
    open().createBucket(Bucket);
    const writer = fileURLToPath(new URL("writer.ts", import.meta.url));
    let last = "";
    for (const writes of [1, 2, 3, 5, 8, 13]) {
      const child = fork(writer, [folder, Bucket], { execArgv: ["--import", "tsx"] });
      const exited = once(child, "exit");
      let committed = "";
      for (let seen = 0; seen < writes; seen++) [committed] = await once(child, "message");
      // Any moment will do.
      await setTimeout(Math.random() * 30);
      child.kill("SIGKILL");
      await exited;
      const store = open();
      const object = store.object(Bucket, "a");
      assert.ok(object, "The object is gone");
      const body = await store.read(Bucket, object);
      assert.equal(createHash("md5").update(body).digest("hex"), object.etag);
      assert.ok(object.sequencer >= committed && object.sequencer > last, "An acknowledged write is lost");
      last = object.sequencer;
      assert.equal(await contents(), 1);
    }
  });
});
