import assert from "node:assert/strict";
import { mock } from "node:test";
import {
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketLocationCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutBucketAclCommand,
  PutBucketNotificationConfigurationCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import type { CloudEvent } from "../../../../../local/kernel/cloud.js";
import type { Properties, Resource } from "../../../../../local/kernel/service.js";
import s3 from "../../../../../local/services/aws/s3/index.js";
import { type BucketCloud, bucketCloud, refusal } from "./buckets.js";

const Bucket = "photos";
const DAY = 86_400_000;

describe("An S3 bucket", () => {
  let cloud: BucketCloud;
  let now: Date | undefined;
  let bucket: Resource;

  beforeEach(async () => {
    cloud = await bucketCloud({ clock: () => now ?? new Date() });
    bucket = await cloud.bucket(Bucket);
  });
  afterEach(async () => {
    now = undefined;
    mock.timers.reset();
    await cloud.stop();
  });

  const put = (Key: string, more = {}) => cloud.s3.send(new PutObjectCommand({ Bucket, Key, Body: "12345", ...more }));
  const lay = (part: string, inputs: Properties) =>
    cloud.declare(`aws:s3/bucket${part}:Bucket${part}`, part, { bucket: Bucket, ...inputs });
  const keys = async () => ((await cloud.s3.send(new ListObjectsV2Command({ Bucket }))).Contents ?? []).map(({ Key }) => Key);

  it("tells a program all that it says of itself", () => {
    assert.equal(bucket.id, Bucket);
    assert.equal(bucket.outputs.arn, "arn:aws:s3:::photos");
    assert.equal(bucket.outputs.bucketDomainName, "photos.s3.amazonaws.com");
    assert.equal(bucket.outputs.bucketRegionalDomainName, "photos.s3.us-east-1.amazonaws.com");
    assert.equal(bucket.outputs.hostedZoneId, "Z3AQBSTGFJSTF");
    assert.equal(bucket.outputs.bucketRegion, "us-east-1");
  });

  it("is not deleted while it holds anything, unless that was said to be all right", async () => {
    await put("a");
    await assert.rejects(cloud.remove(bucket), { code: "BucketNotEmpty" });
    assert.deepEqual(await keys(), ["a"]);
    await cloud.remove(await cloud.change(bucket, { ...bucket.inputs, forceDestroy: true }));
    assert.equal((await refusal(keys())).name, "NoSuchBucket");
  });

  it("of a name that S3 would refuse is refused, and so is a second of the same name", async () => {
    await assert.rejects(cloud.bucket("Photos_1"), { code: "InvalidBucketName" });
    await assert.rejects(cloud.bucket(Bucket), { code: "BucketAlreadyOwnedByYou" });
  });

  it("can be made and found without a program", async () => {
    await cloud.s3.send(new CreateBucketCommand({ Bucket: "by-hand" }));
    await cloud.s3.send(new HeadBucketCommand({ Bucket: "by-hand" }));
    const { Buckets } = await cloud.s3.send(new ListBucketsCommand({}));
    assert.deepEqual(
      Buckets?.map(({ Name }) => Name),
      ["by-hand", Bucket],
    );
    assert.equal((await cloud.s3.send(new GetBucketLocationCommand({ Bucket: "by-hand" }))).LocationConstraint, undefined);
    await cloud.s3.send(new DeleteBucketCommand({ Bucket: "by-hand" }));
    assert.equal((await refusal(cloud.s3.send(new HeadBucketCommand({ Bucket: "by-hand" })))).status, 404);
  });

  it("that somebody else made can be asked about", async () => {
    const { functions = {} } = s3();
    assert.deepEqual(Object.keys(functions).sort(), ["aws:s3/getBucket:getBucket", "aws:s3/getBucketNotification:getBucketNotification"]);
    const ask = (name: string, args: Properties) => {
      const service = cloud.cloud.services.find(({ functions: answers }) => answers?.[name]);
      return service?.functions?.[name]?.(args, cloud.cloud) as Promise<Properties>;
    };
    await cloud.s3.send(new CreateBucketCommand({ Bucket: "company" }));
    assert.equal((await ask("aws:s3/getBucket:getBucket", { bucket: "company" })).arn, "arn:aws:s3:::company");
    await assert.rejects(ask("aws:s3/getBucket:getBucket", { bucket: "nobodys" }), { code: "NoSuchBucket" });
    const notification = () => ask("aws:s3/getBucketNotification:getBucketNotification", { bucket: "company" });
    assert.equal((await notification()).eventbridge, false);
    await cloud.s3.send(
      new PutBucketNotificationConfigurationCommand({ Bucket: "company", NotificationConfiguration: { EventBridgeConfiguration: {} } }),
    );
    assert.equal((await notification()).eventbridge, true);
  });

  it("refuses calls that are not emulated instead of taking them for others", async () => {
    assert.deepEqual(
      await refusal(cloud.s3.send(new PutBucketAclCommand({ Bucket, ACL: "private" }))).then(({ name, status }) => [name, status]),
      ["NotImplemented", 501],
    );
    assert.equal((await cloud.s3.send(new ListBucketsCommand({}))).Buckets?.length, 1);
  });

  describe("with events on", () => {
    beforeEach(() => lay("Notification", { eventbridge: true }));

    it("tells what was created", async () => {
      const { ETag } = await put("uploads/ä b+.png");
      const [{ source, type, resources, detail }] = cloud.events as [CloudEvent];
      assert.deepEqual([source, type, resources], ["aws.s3", "Object Created", ["arn:aws:s3:::photos"]]);
      const { sequencer, ...object } = detail.object;
      assert.match(sequencer, /^[0-9A-F]{18}$/);
      assert.deepEqual(object, { key: "uploads/ä b+.png", size: 5, etag: ETag?.replaceAll('"', "") });
      assert.ok(detail["request-id"]);
      const { object: _, "request-id": __, ...rest } = detail;
      assert.deepEqual(rest, {
        version: "0",
        "event-version": "1.1",
        bucket: { name: Bucket },
        requester: "000000000000",
        "source-ip-address": "127.0.0.1",
        reason: "PutObject",
      });
    });

    it("tells what was deleted, and nothing where nothing was", async () => {
      await put("a");
      await put("b");
      await cloud.s3.send(new DeleteObjectCommand({ Bucket, Key: "a" }));
      await cloud.s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: "a" }, { Key: "b" }, { Key: "never" }] } }));
      const deleted = cloud.events.filter(({ type }) => type === "Object Deleted").map(({ detail }) => detail);
      assert.deepEqual(
        deleted.map((detail) => [detail.object.key, detail.reason, detail["deletion-type"]]),
        ["a", "b"].map((key) => [key, "DeleteObject", "Permanently Deleted"]),
      );
    });

    it("tells why", async () => {
      await put("a");
      await cloud.s3.send(new CopyObjectCommand({ Bucket, Key: "b", CopySource: `${Bucket}/a` }));
      assert.deepEqual(
        cloud.events.map(({ detail }) => detail.reason),
        ["PutObject", "CopyObject"],
      );
    });

    it("numbers what happens so that it can be ordered", async () => {
      now = new Date(Date.now() + 60_000);
      for (let round = 0; round < 3; round++) await put("a");
      now = new Date(Date.now() - 60_000); // The clock is set back.
      await put("a");
      await cloud.s3.send(new DeleteObjectCommand({ Bucket, Key: "a" }));
      const numbers = cloud.events.map(({ detail }) => detail.object.sequencer as string);
      assert.equal(numbers.length, 5);
      assert.deepEqual(numbers, [...new Set(numbers)].sort());
    });

    it("does not tell what was refused", async () => {
      await put("a");
      await refusal(put("a", { IfNoneMatch: "*" }));
      assert.equal(cloud.events.length, 1);
    });

    it("falls silent when they are turned off", async () => {
      await cloud.remove(cloud.cloud.resources.get("aws:s3/bucketNotification:BucketNotification", Bucket) as Resource);
      await put("a");
      assert.equal(cloud.events.length, 0);
    });
  });

  it("without events is silent", async () => {
    await put("a");
    assert.equal(cloud.events.length, 0);
  });

  describe("with lifecycle rules", () => {
    const rules = [
      {
        id: "labels",
        status: "Enabled",
        filter: { prefix: "labels/" },
        expiration: { days: 1 },
        abortIncompleteMultipartUpload: { daysAfterInitiation: 2 },
      },
      { id: "off", status: "Disabled", filter: {}, expiration: { days: 1 } },
    ];
    /** Midnight (UTC) after that many days from now, and a minute before. */
    const midnight = (days: number) => Math.ceil((Date.now() + days * DAY) / DAY) * DAY;

    beforeEach(async () => {
      await lay("Notification", { eventbridge: true });
      await lay("LifecycleConfiguration", { rules });
      await put("labels/a");
      await put("kept/a");
    });

    it("says when an object will go", async () => {
      const { Expiration } = await cloud.s3.send(new GetObjectCommand({ Bucket, Key: "labels/a" }));
      assert.equal(Expiration, `expiry-date="${new Date(midnight(1)).toUTCString()}", rule-id="labels"`);
      assert.equal((await cloud.s3.send(new GetObjectCommand({ Bucket, Key: "kept/a" }))).Expiration, undefined);
    });

    it("keeps an object until then, and no longer", async () => {
      const call = (operation: string, input: Properties) =>
        cloud.cloud.call({ service: "s3", operation, input: { Bucket, ...input }, as: cloud.owner });
      now = new Date(midnight(1) - 60_000);
      await call("GetObject", { Key: "labels/a" });
      now = new Date(midnight(1));
      await assert.rejects(call("GetObject", { Key: "labels/a" }), { code: "NoSuchKey" });
      const { Contents } = await call("ListObjectsV2", {});
      assert.deepEqual(
        Contents.map(({ Key }: Properties) => Key),
        ["kept/a"],
      );
      const { type, detail } = cloud.events.at(-1) as CloudEvent;
      assert.deepEqual(
        [type, detail.object.key, detail.reason, detail.requester],
        ["Object Deleted", "labels/a", "Lifecycle Expiration", "s3.amazonaws.com"],
      );
    });

    it("does not count what has expired as being in the way", async () => {
      now = new Date(midnight(1));
      await cloud.cloud.call({
        service: "s3",
        operation: "PutObject",
        input: { Bucket, Key: "labels/a", Body: "new", IfNoneMatch: "*" },
        as: cloud.owner,
      });
    });

    it("gives up uploads that were never completed", async () => {
      await cloud.s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "labels/big" }));
      await cloud.s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "kept/big" }));
      assert.equal((await cloud.s3.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads?.length, 2);
      now = new Date(midnight(2));
      const { Uploads } = await cloud.cloud.call({ service: "s3", operation: "ListMultipartUploads", input: { Bucket }, as: cloud.owner });
      assert.deepEqual(
        Uploads.map(({ Key }: Properties) => Key),
        ["kept/big"],
      );
    });

    it("looks by itself every minute", async () => {
      await cloud.stop();
      mock.timers.enable({ apis: ["setInterval"] });
      cloud = await bucketCloud({ clock: () => now ?? new Date() });
      await cloud.bucket(Bucket);
      await lay("Notification", { eventbridge: true });
      await lay("LifecycleConfiguration", { rules });
      await put("labels/a");
      now = new Date(midnight(1));
      mock.timers.tick(60_000);
      assert.deepEqual(
        cloud.events.map(({ type }) => type),
        ["Object Created", "Object Deleted"],
      );
    });

    it("refuses rules that S3 would refuse", async () => {
      const refused = (rule: Properties, code: string) =>
        assert.rejects(lay("LifecycleConfiguration", { rules: [{ id: "r", status: "Enabled", ...rule }] }), { code });
      await refused({ filter: {} }, "InvalidRequest");
      await refused({ expiration: { days: 0 } }, "InvalidArgument");
      await refused({ status: "On", expiration: { days: 1 } }, "InvalidArgument");
    });
  });

  describe("with CORS rules", () => {
    const origin = "https://photos.example";
    beforeEach(async () => {
      await put("a");
      await lay("CorsConfiguration", {
        corsRules: [
          {
            allowedMethods: ["PUT", "POST"],
            allowedOrigins: ["https://*.example"],
            allowedHeaders: ["content-type", "x-amz-*"],
            exposeHeaders: ["ETag"],
            maxAgeSeconds: 600,
          },
          { allowedMethods: ["GET"], allowedOrigins: ["*"] },
        ],
      });
    });
    const preflight = (method: string, headers?: string, from = origin) =>
      fetch(`${cloud.cloud.url}/${Bucket}/a`, {
        method: "OPTIONS",
        headers: { origin: from, "access-control-request-method": method, ...(headers && { "access-control-request-headers": headers }) },
      });
    const allowed = ({ headers }: Response) => Object.fromEntries([...headers].filter(([name]) => name.startsWith("access-control-")));

    it("answers a browser that asks first", async () => {
      const response = await preflight("PUT", "Content-Type, X-Amz-Meta-User");
      assert.equal(response.status, 200);
      assert.deepEqual(allowed(response), {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": "PUT, POST",
        "access-control-allow-headers": "content-type, x-amz-meta-user",
        "access-control-expose-headers": "ETag",
        "access-control-max-age": "600",
        "access-control-allow-credentials": "true",
      });
      assert.match(response.headers.get("vary") ?? "", /Origin/);
    });

    it("refuses what no rule allows", async () => {
      for (const asked of [
        preflight("DELETE"),
        preflight("PUT", "authorization"),
        preflight("PUT", "content-type", "https://elsewhere.test"),
      ]) {
        const response = await asked;
        assert.equal(response.status, 403);
        assert.match(await response.text(), /<Code>AccessForbidden<\/Code>/);
        assert.deepEqual(allowed(response), {});
      }
    });

    it("shows its answers, errors too, to the pages of those origins only", async () => {
      const get = (from: string) => fetch(`${cloud.cloud.url}/${Bucket}/a`, { headers: { origin: from } });
      const response = await get("https://anyone.test");
      assert.equal(response.status, 403);
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
      const put = (from: string) => fetch(`${cloud.cloud.url}/${Bucket}/a`, { method: "PUT", headers: { origin: from } });
      assert.equal((await put(origin)).headers.get("access-control-allow-origin"), origin);
      assert.equal((await put("https://elsewhere.test")).headers.get("access-control-allow-origin"), null);
    });

    it("without them refuses every preflight", async () => {
      await cloud.remove(cloud.cloud.resources.get("aws:s3/bucketCorsConfiguration:BucketCorsConfiguration", Bucket) as Resource);
      const response = await preflight("GET");
      assert.deepEqual([response.status, /CORS is not enabled/.test(await response.text())], [403, true]);
    });

    it("refuses methods and origins that S3 would refuse", async () => {
      await assert.rejects(lay("CorsConfiguration", { corsRules: [{ allowedMethods: ["PATCH"], allowedOrigins: ["*"] }] }), {
        code: "InvalidRequest",
      });
      await assert.rejects(lay("CorsConfiguration", { corsRules: [{ allowedMethods: ["GET"], allowedOrigins: ["https://*.*"] }] }), {
        code: "InvalidRequest",
      });
    });
  });

  it("takes encryption and ownership only as they are emulated", async () => {
    const sse = (sseAlgorithm: string) =>
      lay("ServerSideEncryptionConfiguration", { rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm } }] });
    await sse("AES256");
    await assert.rejects(sse("aws:kms"), { code: "InvalidArgument" });
    await lay("OwnershipControls", { rule: { objectOwnership: "BucketOwnerEnforced" } });
    await assert.rejects(lay("OwnershipControls", { rule: { objectOwnership: "ObjectWriter" } }), { code: "InvalidArgument" });
  });
});
