import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  type CompleteMultipartUploadCommandInput,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import type { CloudEvent } from "../../../../../local/kernel/cloud.js";
import { type BucketCloud, bucketCloud, refusal } from "./buckets.js";

const Bucket = "photos";
const Key = "big";
const MB = 1024 * 1024;

describe("S3 uploads in parts", () => {
  let cloud: BucketCloud;
  const bodies = [Buffer.alloc(5 * MB, 1), Buffer.alloc(5 * MB + 1, 2), Buffer.from("end")];

  beforeEach(async () => {
    cloud = await bucketCloud();
    await cloud.bucket(Bucket);
    await cloud.declare("aws:s3/bucketNotification:BucketNotification", "notify", { bucket: Bucket, eventbridge: true });
  });
  afterEach(() => cloud.stop());

  const begin = async (more = {}) =>
    (await cloud.s3.send(new CreateMultipartUploadCommand({ Bucket, Key, ContentType: "image/png", Metadata: { user: "ann" }, ...more })))
      .UploadId as string;
  const send = async (UploadId: string, PartNumber: number, Body: Buffer, more = {}) => {
    const { ETag, ChecksumCRC32, ChecksumSHA256 } = await cloud.s3.send(
      new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body, ...more }),
    );
    return { PartNumber, ETag, ...(ChecksumCRC32 && { ChecksumCRC32 }), ...(ChecksumSHA256 && { ChecksumSHA256 }) };
  };
  const complete = (UploadId: string, Parts: object[], more: Partial<CompleteMultipartUploadCommandInput> = {}) =>
    cloud.s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts }, ...more }));
  const read = async () => cloud.s3.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" }));

  it("become one object, whatever the order in which the parts came", async () => {
    const id = await begin();
    const [third, first, second] = await Promise.all([
      send(id, 7, bodies[2] as Buffer),
      send(id, 1, bodies[0] as Buffer),
      send(id, 2, bodies[1] as Buffer),
    ]);
    assert.equal((await refusal(read())).name, "NoSuchKey");
    const { ETag } = await complete(id, [first, second, third]);
    const md5s = bodies.map((body) => createHash("md5").update(body).digest());
    assert.equal(ETag, `"${createHash("md5").update(Buffer.concat(md5s)).digest("hex")}-3"`);
    const object = await read();
    assert.ok(Buffer.concat(bodies).equals((await object.Body?.transformToByteArray()) as Uint8Array));
    assert.deepEqual([object.ContentType, object.Metadata, object.ETag], ["image/png", { user: "ann" }, ETag]);
    const [{ detail }, ...more] = cloud.events as [CloudEvent];
    assert.deepEqual([detail.reason, detail.object.size, more.length], ["CompleteMultipartUpload", 10 * MB + 4, 0]);
  });

  it("are over when completed or given up", async () => {
    const id = await begin();
    const part = await send(id, 1, Buffer.from("x"));
    await complete(id, [part]);
    assert.equal((await refusal(complete(id, [part]))).name, "NoSuchUpload");
    const other = await begin();
    await send(other, 1, Buffer.from("y"));
    await cloud.s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId: other }));
    assert.equal((await refusal(send(other, 2, Buffer.from("z")))).name, "NoSuchUpload");
    assert.equal(await (await read()).Body?.transformToString(), "x");
  });

  it("say which parts have come", async () => {
    const id = await begin();
    const parts = [await send(id, 3, Buffer.from("c")), await send(id, 1, Buffer.from("a")), await send(id, 2, Buffer.from("b"))];
    await send(id, 2, Buffer.from("bb"));
    const list = (more = {}) => cloud.s3.send(new ListPartsCommand({ Bucket, Key, UploadId: id, ...more }));
    const first = await list({ MaxParts: 2 });
    assert.deepEqual(
      first.Parts?.map(({ PartNumber, Size }) => [PartNumber, Size]),
      [
        [1, 1],
        [2, 2],
      ],
    );
    assert.equal(first.IsTruncated, true);
    const { Parts } = await list({ PartNumberMarker: first.NextPartNumberMarker });
    assert.deepEqual(
      Parts?.map(({ ETag }) => ETag),
      [parts[0]?.ETag],
    );
  });

  it("are refused when what is named is not what came", async () => {
    const id = await begin();
    const [one, two] = [await send(id, 1, Buffer.from("a")), await send(id, 2, Buffer.from("b"))];
    assert.equal((await refusal(complete(id, [one, two]))).name, "EntityTooSmall");
    assert.equal((await refusal(complete(id, [two, one]))).name, "InvalidPartOrder");
    assert.equal((await refusal(complete(id, [{ ...one, ETag: two.ETag }]))).name, "InvalidPart");
    assert.equal((await refusal(complete(id, [{ ...one, PartNumber: 9 }]))).name, "InvalidPart");
    assert.equal((await refusal(complete(id, []))).name, "MalformedXML");
    assert.equal((await refusal(send(id, 10_001, Buffer.from("x")))).name, "InvalidArgument");
    await complete(id, [one]);
  });

  it("do not overwrite when they must not", async () => {
    const id = await begin();
    const part = await send(id, 1, Buffer.from("late"));
    await cloud.s3.send(new PutObjectCommand({ Bucket, Key, Body: "early" }));
    assert.equal((await refusal(complete(id, [part], { IfNoneMatch: "*" }))).status, 412);
    assert.equal(await (await read()).Body?.transformToString(), "early");
  });

  it("have a checksum of their parts' checksums", async () => {
    const id = await begin({ ChecksumAlgorithm: "SHA256" });
    const parts = [];
    for (const [index, body] of bodies.entries()) parts.push(await send(id, index + 1, body, { ChecksumAlgorithm: "SHA256" }));
    const { ChecksumSHA256 } = await complete(id, parts);
    const digests = bodies.map((body) => createHash("sha256").update(body).digest());
    assert.equal(ChecksumSHA256, `${createHash("sha256").update(Buffer.concat(digests)).digest("base64")}-3`);
  });

  it("have a checksum of the whole where that was asked for", async () => {
    const id = await begin({ ChecksumAlgorithm: "CRC32", ChecksumType: "FULL_OBJECT" });
    const parts = [];
    for (const [index, body] of bodies.entries()) parts.push(await send(id, index + 1, body, { ChecksumAlgorithm: "CRC32" }));
    const completed = await complete(id, parts, { ChecksumType: "FULL_OBJECT" });
    const { ChecksumCRC32 } = await cloud.s3.send(
      new PutObjectCommand({ Bucket, Key: "whole", Body: Buffer.concat(bodies), ChecksumAlgorithm: "CRC32" }),
    );
    assert.equal(completed.ChecksumCRC32, ChecksumCRC32);
    const wrong = await begin({ ChecksumAlgorithm: "CRC32", ChecksumType: "FULL_OBJECT" });
    const part = await send(wrong, 1, Buffer.from("x"), { ChecksumAlgorithm: "CRC32" });
    assert.equal((await refusal(complete(wrong, [part], { ChecksumCRC32: "AAAAAA==" }))).name, "BadDigest");
  });
});
