import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CopyObjectCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
} from "@aws-sdk/client-s3";
import type { Resource } from "../../../../../local/kernel/service.js";
import { Store } from "../../../../../local/services/aws/s3/store.js";
import { type BucketCloud, bucketCloud, refusal } from "./buckets.js";

const Bucket = "photos";
const DAY = 86_400_000;
const NOTHING_SAID = { headers: {}, metadata: {}, tags: {}, checksums: {} };

describe("An S3 bucket that keeps versions", () => {
  let cloud: BucketCloud;
  let now: Date | undefined;
  let bucket: Resource;
  let versioning: Resource;

  beforeEach(async () => {
    cloud = await bucketCloud({ clock: () => now ?? new Date() });
    bucket = await cloud.bucket(Bucket);
    versioning = await cloud.declare("aws:s3/bucketVersioning:BucketVersioning", "versioning", {
      bucket: Bucket,
      versioningConfiguration: { status: "Enabled" },
    });
    await cloud.declare("aws:s3/bucketNotification:BucketNotification", "events", { bucket: Bucket, eventbridge: true });
  });
  afterEach(async () => {
    now = undefined;
    await cloud.stop();
  });

  const put = (Body: string, Key = "a.png") => cloud.s3.send(new PutObjectCommand({ Bucket, Key, Body }));
  const get = async (VersionId?: string, from = cloud.s3) =>
    (await from.send(new GetObjectCommand({ Bucket, Key: "a.png", ...(VersionId && { VersionId }) }))).Body?.transformToString();
  const remove = (VersionId?: string) => cloud.s3.send(new DeleteObjectCommand({ Bucket, Key: "a.png", ...(VersionId && { VersionId }) }));
  const listed = async () => {
    const { Versions = [], DeleteMarkers = [] } = await cloud.s3.send(new ListObjectVersionsCommand({ Bucket }));
    return {
      versions: Versions.map(({ VersionId, IsLatest }) => [VersionId, IsLatest]),
      marks: DeleteMarkers.map(({ IsLatest }) => IsLatest),
    };
  };
  const told = () => cloud.events.map(({ type, detail }) => [type, detail["deletion-type"], detail.object["version-id"]]);

  it("says so, and keeps what is overwritten", async () => {
    assert.equal((await cloud.s3.send(new GetBucketVersioningCommand({ Bucket }))).Status, "Enabled");
    const { VersionId: first } = await put("one");
    const { VersionId: second } = await put("two");
    assert.match(first ?? "", /^[\w-]{32}$/);
    assert.deepEqual([await get(), await get(first), await get(second)], ["two", "one", "two"]);
    assert.deepEqual(await listed(), {
      versions: [
        [second, true],
        [first, false],
      ],
      marks: [],
    });
  });

  it("marks a deletion, under which the object lies and from which a copy brings it back as a new one", async () => {
    const { VersionId: first } = await put("one");
    const { DeleteMarker, VersionId: mark } = await remove();
    assert.equal(DeleteMarker, true);
    assert.equal((await refusal(get())).name, "NoSuchKey");
    assert.deepEqual((await cloud.s3.send(new ListObjectsV2Command({ Bucket }))).Contents ?? [], []);
    assert.equal((await refusal(cloud.s3.send(new HeadObjectCommand({ Bucket, Key: "a.png", VersionId: mark })))).status, 405);
    const copied = await cloud.s3.send(new CopyObjectCommand({ Bucket, Key: "a.png", CopySource: `${Bucket}/a.png?versionId=${first}` }));
    assert.equal(copied.CopySourceVersionId, first);
    assert.equal(await get(), "one");
    assert.deepEqual(await listed(), {
      versions: [
        [copied.VersionId, true],
        [first, false],
      ],
      marks: [false],
    });
    assert.deepEqual(told(), [
      ["Object Created", undefined, first],
      ["Object Deleted", "Delete Marker Created", mark],
      ["Object Created", undefined, copied.VersionId],
    ]);
    const sequencers = cloud.events.map(({ detail }) => detail.object.sequencer);
    assert.deepEqual(sequencers, [...sequencers].sort());
  });

  it("has an object back once the mark of its deletion is removed, and an older one once the newer is", async () => {
    const { VersionId: first } = await put("one");
    const { VersionId: second } = await put("two");
    const { VersionId: mark } = await remove();
    assert.equal((await remove(mark)).DeleteMarker, true);
    assert.equal(await get(), "two");
    await remove(second);
    assert.equal(await get(), "one");
    await remove(first);
    assert.equal((await refusal(get())).name, "NoSuchKey");
    assert.deepEqual(await listed(), { versions: [], marks: [] });
    const removals = [mark, second, first].map((version) => ["Object Deleted", "Permanently Deleted", version]);
    assert.deepEqual(told().slice(3), removals);
  });

  it("gives versions, and removes them, only for whoever may just that", async () => {
    const { VersionId: first = "" } = await put("one");
    await put("two");
    const reader = await cloud.s3As("reader", { Action: ["s3:GetObject", "s3:DeleteObject"], Resource: `${bucket.outputs.arn}/*` });
    assert.equal(await get(undefined, reader), "two");
    assert.equal((await refusal(get(first, reader))).name, "AccessDenied");
    const deletion = new DeleteObjectCommand({ Bucket, Key: "a.png", VersionId: first });
    assert.equal((await refusal(reader.send(deletion))).name, "AccessDenied");
    const Delete = { Objects: [{ Key: "a.png", VersionId: first }] };
    const { Errors } = await reader.send(new DeleteObjectsCommand({ Bucket, Delete }));
    assert.deepEqual(
      Errors?.map(({ Code }) => Code),
      ["AccessDenied"],
    );
    const restorer = await cloud.s3As("restorer", { Action: "s3:GetObjectVersion", Resource: `${bucket.outputs.arn}/*` });
    assert.equal(await get(first, restorer), "one");
    assert.equal((await refusal(restorer.send(new ListObjectVersionsCommand({ Bucket })))).name, "AccessDenied");
  });

  it("refuses versions that there are not, and what it cannot do with old ones", async () => {
    const { VersionId: first } = await put("one");
    await put("two");
    assert.equal((await refusal(get("v1"))).name, "InvalidArgument");
    assert.equal((await refusal(get("0".repeat(32)))).name, "NoSuchVersion");
    const tags = new PutObjectTaggingCommand({ Bucket, Key: "a.png", VersionId: first, Tagging: { TagSet: [{ Key: "a", Value: "b" }] } });
    assert.equal((await refusal(cloud.s3.send(tags))).name, "NotImplemented");
  });

  it("forgets versions some days after they were replaced, and then the marks that hide nothing", async () => {
    await cloud.declare("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", "lifecycle", {
      bucket: Bucket,
      rules: [
        {
          id: "replaced",
          status: "Enabled",
          filter: {},
          noncurrentVersionExpiration: { noncurrentDays: 7 },
          expiration: { expiredObjectDeleteMarker: true },
        },
      ],
    });
    const start = Date.parse("2026-11-01T12:00:00Z");
    const at = async (days: number) => {
      now = new Date(start + days * DAY);
      const as = cloud.owner;
      const { Versions, DeleteMarkers } = await cloud.cloud.call({ service: "s3", operation: "ListObjectVersions", input: { Bucket }, as });
      return [Versions.length, DeleteMarkers.length];
    };
    const inCloud = (operation: string, more = {}) =>
      cloud.cloud.call({ service: "s3", operation, input: { Bucket, Key: "a.png", ...more }, as: cloud.owner });
    now = new Date(start);
    await inCloud("PutObject", { Body: "one" });
    now = new Date(start + 10 * DAY);
    await inCloud("PutObject", { Body: "two" });
    assert.deepEqual(await at(17), [2, 0], "until the midnight after the seventh day");
    assert.deepEqual(await at(18), [1, 0], "what is there stays");
    await inCloud("DeleteObject");
    assert.deepEqual(await at(25), [1, 1]);
    assert.deepEqual(await at(26), [0, 0]);
    const reasons = cloud.events.filter(({ detail }) => detail.reason === "Lifecycle Expiration");
    assert.deepEqual(
      reasons.map(({ detail }) => detail["deletion-type"]),
      Array(3).fill("Permanently Deleted"),
    );
  });

  it("makes no further ones when it is suspended, and keeps those that there are", async () => {
    const { VersionId: first } = await put("one");
    await cloud.remove(versioning);
    assert.equal((await cloud.s3.send(new GetBucketVersioningCommand({ Bucket }))).Status, "Suspended");
    await put("two");
    await put("three");
    assert.deepEqual(await listed(), {
      versions: [
        ["null", true],
        [first, false],
      ],
      marks: [],
    });
    await remove();
    assert.deepEqual((await listed()).marks, [true]);
    assert.equal(await get(first), "one");
  });

  it("is not empty while it has versions", async () => {
    await put("one");
    await remove();
    assert.equal((await refusal(cloud.s3.send(new DeleteBucketCommand({ Bucket })))).name, "BucketNotEmpty");
    await cloud.remove(await cloud.change(bucket, { ...bucket.inputs, forceDestroy: true }));
  });

  it("has them after a restart, however it ended", async () => {
    const folder = await mkdtemp(join(tmpdir(), "s3-"));
    try {
      const open = () => new Store(folder, () => new Date());
      const store = open();
      store.createBucket(Bucket);
      store.configure(Bucket, { versioning: "Enabled" });
      const write = async (text: string) => store.commit(Bucket, "a.png", await store.stage(Bucket, Buffer.from(text)), NOTHING_SAID);
      const first = await write("one");
      await write("two");
      store.remove(Bucket, "a.png");
      const again = open();
      const versions = again.versions(Bucket, "a.png");
      assert.deepEqual(
        versions.map(({ isDeletion = false }) => isDeletion),
        [true, false, false],
      );
      assert.equal(again.object(Bucket, "a.png"), undefined);
      const [, , oldest] = versions;
      assert.equal(oldest?.versionId, first.versionId);
      assert.equal(String(await again.read(Bucket, oldest as typeof first)), "one");
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
