import assert from "node:assert/strict";
import {
  AbortMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
} from "@aws-sdk/client-s3";
import type { Properties } from "../../../../../local/kernel/service.js";
import { type BucketCloud, bucketCloud, refusal } from "./buckets.js";

const Bucket = "photos";
const on = (...keys: string[]) => keys.map((key) => `arn:aws:s3:::${Bucket}${key}`);

describe("S3 permissions", () => {
  let cloud: BucketCloud;

  beforeEach(async () => {
    cloud = await bucketCloud();
    await cloud.bucket(Bucket);
    for (const Key of ["uploads/a", "private/b"]) await cloud.s3.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));
  });
  afterEach(() => cloud.stop());

  const denied = async (work: Promise<unknown>, action?: string) => {
    const { status, message } = await refusal(work);
    assert.equal(status, 403);
    if (action) assert.match(message, new RegExp(`not authorized to perform: ${action} `));
  };

  it("are per key and per action", async () => {
    const role = await cloud.s3As("role", { Action: "s3:GetObject", Resource: on("/uploads/*") });
    await role.send(new GetObjectCommand({ Bucket, Key: "uploads/a" }));
    await role.send(new HeadObjectCommand({ Bucket, Key: "uploads/a" }));
    await denied(role.send(new GetObjectCommand({ Bucket, Key: "private/b" })), "s3:GetObject");
    await denied(role.send(new PutObjectCommand({ Bucket, Key: "uploads/a", Body: "y" })), "s3:PutObject");
    await denied(role.send(new DeleteObjectCommand({ Bucket, Key: "uploads/a" })), "s3:DeleteObject");
    await denied(role.send(new ListObjectsV2Command({ Bucket })), "s3:ListBucket");
  });

  it("to list are needed to be told that a key is missing", async () => {
    const blind = await cloud.s3As("blind", { Action: "s3:GetObject", Resource: on("/*") });
    await denied(blind.send(new GetObjectCommand({ Bucket, Key: "uploads/none" })), "s3:ListBucket");
    await denied(blind.send(new HeadObjectCommand({ Bucket, Key: "uploads/none" })));
    const seeing = await cloud.s3As(
      "seeing",
      { Action: "s3:GetObject", Resource: on("/*") },
      { Action: "s3:ListBucket", Resource: on("") },
    );
    assert.equal((await refusal(seeing.send(new GetObjectCommand({ Bucket, Key: "uploads/none" })))).name, "NoSuchKey");
    assert.equal((await refusal(seeing.send(new HeadObjectCommand({ Bucket, Key: "uploads/none" })))).status, 404);
  });

  it("to list may be for one folder", async () => {
    const Condition = { StringLike: { "s3:prefix": "uploads/*" } };
    const role = await cloud.s3As("role", { Action: "s3:ListBucket", Resource: on(""), Condition });
    await role.send(new ListObjectsV2Command({ Bucket, Prefix: "uploads/" }));
    await denied(role.send(new ListObjectsV2Command({ Bucket, Prefix: "private/" })));
    await denied(role.send(new ListObjectsV2Command({ Bucket })));
  });

  it("to copy are to read here and to write there", async () => {
    const copy = new CopyObjectCommand({ Bucket, Key: "copies/a", CopySource: `${Bucket}/uploads/a` });
    await denied((await cloud.s3As("reader", { Action: "s3:GetObject", Resource: on("/uploads/*") })).send(copy), "s3:PutObject");
    await denied((await cloud.s3As("writer", { Action: "s3:PutObject", Resource: on("/copies/*") })).send(copy), "s3:GetObject");
    const both = await cloud.s3As(
      "both",
      { Action: "s3:GetObject", Resource: on("/uploads/*") },
      { Action: "s3:PutObject", Resource: on("/copies/*") },
    );
    await both.send(copy);
  });

  it("to delete many are asked for key by key", async () => {
    const role = await cloud.s3As("role", { Action: "s3:DeleteObject", Resource: on("/uploads/*") });
    const Delete = { Objects: [{ Key: "uploads/a" }, { Key: "private/b" }] };
    const { Deleted, Errors } = await role.send(new DeleteObjectsCommand({ Bucket, Delete }));
    assert.deepEqual(Deleted, [{ Key: "uploads/a" }]);
    assert.deepEqual(
      Errors?.map(({ Key, Code }) => [Key, Code]),
      [["private/b", "AccessDenied"]],
    );
    await cloud.s3.send(new HeadObjectCommand({ Bucket, Key: "private/b" }));
  });

  it("to tag are their own", async () => {
    const role = await cloud.s3As("role", { Action: ["s3:PutObject", "s3:GetObject"], Resource: on("/*") });
    await denied(role.send(new PutObjectCommand({ Bucket, Key: "t", Body: "x", Tagging: "a=b" })), "s3:PutObjectTagging");
    await denied(role.send(new PutObjectTaggingCommand({ Bucket, Key: "uploads/a", Tagging: { TagSet: [] } })), "s3:PutObjectTagging");
  });

  it("to upload in parts are to write, and to give up is its own", async () => {
    const role = await cloud.s3As("role", { Action: "s3:PutObject", Resource: on("/*") });
    const { UploadId } = await role.send(new CreateMultipartUploadCommand({ Bucket, Key: "m" }));
    await denied(role.send(new ListPartsCommand({ Bucket, Key: "m", UploadId })), "s3:ListMultipartUploadParts");
    await denied(role.send(new AbortMultipartUploadCommand({ Bucket, Key: "m", UploadId })), "s3:AbortMultipartUpload");
  });

  describe("by a bucket's policy", () => {
    const policy = (...statements: Properties[]) =>
      cloud.declare("aws:s3/bucketPolicy:BucketPolicy", "policy", {
        bucket: Bucket,
        policy: { Version: "2012-10-17", Statement: statements },
      });

    it("let in whom it names", async () => {
      const role = await cloud.s3As("role");
      await denied(role.send(new GetObjectCommand({ Bucket, Key: "uploads/a" })));
      const Principal = { AWS: "arn:aws:iam::000000000000:role/role" };
      const [declared] = cloud.cloud.resources.all("aws:iam/role:Role");
      await policy({
        Effect: "Allow",
        Principal: { AWS: declared?.outputs.arn ?? Principal.AWS },
        Action: "s3:GetObject",
        Resource: on("/uploads/*"),
      });
      await role.send(new GetObjectCommand({ Bucket, Key: "uploads/a" }));
      await denied(role.send(new GetObjectCommand({ Bucket, Key: "private/b" })));
    });

    it("keep out even those whose role allows it, and the account", async () => {
      await policy({ Effect: "Deny", Principal: "*", Action: "s3:DeleteObject", Resource: on("/private/*") });
      const role = await cloud.s3As("role", { Action: "s3:*", Resource: "*" });
      await role.send(new DeleteObjectCommand({ Bucket, Key: "uploads/a" }));
      await denied(role.send(new DeleteObjectCommand({ Bucket, Key: "private/b" })));
      await denied(cloud.s3.send(new DeleteObjectCommand({ Bucket, Key: "private/b" })));
    });

    it("that demands a secure transport is satisfied on this machine", async () => {
      await policy({
        Effect: "Deny",
        Principal: "*",
        Action: "s3:*",
        Resource: on("", "/*"),
        Condition: { Bool: { "aws:SecureTransport": "false" } },
      });
      await cloud.s3.send(new GetObjectCommand({ Bucket, Key: "uploads/a" }));
    });

    it("may let in everybody, unless public access is blocked", async () => {
      const open = { Effect: "Allow", Principal: "*", Action: "s3:GetObject", Resource: on("/uploads/*") };
      const url = `${cloud.cloud.url}/${Bucket}/uploads/a`;
      await policy(open);
      assert.equal(await (await fetch(url)).text(), "x");
      assert.equal((await fetch(`${cloud.cloud.url}/${Bucket}/private/b`)).status, 403);
      const block = { bucket: Bucket, blockPublicAcls: true, blockPublicPolicy: true, ignorePublicAcls: true, restrictPublicBuckets: true };
      await cloud.declare("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "block", block);
      assert.equal((await fetch(url)).status, 403);
      await assert.rejects(policy(open), { code: "AccessDenied" });
    });

    it("that is about another bucket is refused", async () => {
      const foreign = { Effect: "Allow", Principal: "*", Action: "s3:GetObject", Resource: "arn:aws:s3:::photos2/*" };
      await assert.rejects(policy(foreign), { code: "MalformedPolicy" });
    });
  });
});
