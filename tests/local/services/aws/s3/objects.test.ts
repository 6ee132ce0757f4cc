import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandInput,
  PutObjectTaggingCommand,
} from "@aws-sdk/client-s3";
import { type BucketCloud, bucketCloud, refusal, s3Client } from "./buckets.js";

const Bucket = "photos";

describe("S3 objects", () => {
  let cloud: BucketCloud;
  const put = (Key: string, Body: PutObjectCommandInput["Body"] = "content", more: Partial<PutObjectCommandInput> = {}) =>
    cloud.s3.send(new PutObjectCommand({ Bucket, Key, Body, ...more }));
  const get = async (Key: string, more = {}) => {
    const output = await cloud.s3.send(new GetObjectCommand({ Bucket, Key, ...more }));
    return { ...output, text: await output.Body?.transformToString() };
  };

  before(async () => {
    cloud = await bucketCloud();
    await cloud.bucket(Bucket);
  });
  after(() => cloud.stop());

  it("come back as they were written, with what was said of them", async () => {
    const ETag = `"${createHash("md5").update("ünïcode").digest("hex")}"`;
    const Key = "uploads/Ä b+c&d/../e ('~*!).txt";
    const written = await put(Key, "ünïcode", { ContentType: "text/plain", CacheControl: "no-cache", Metadata: { User: "ann" } });
    assert.equal(written.ETag, ETag);
    assert.equal(written.ServerSideEncryption, "AES256");
    const read = await get(Key);
    assert.equal(read.text, "ünïcode");
    assert.equal(read.ETag, ETag);
    assert.equal(read.ContentType, "text/plain");
    assert.equal(read.CacheControl, "no-cache");
    assert.deepEqual(read.Metadata, { user: "ann" });
    assert.equal(read.ContentLength, 9);
    assert.equal(read.AcceptRanges, "bytes");
    assert.ok(Math.abs((read.LastModified as Date).getTime() - Date.now()) < 10_000);
    const { Contents } = await cloud.s3.send(new ListObjectsV2Command({ Bucket, Prefix: "uploads/Ä" }));
    assert.deepEqual(
      Contents?.map((object) => object.Key),
      [Key],
    );
  });

  it("are bytes of no known type unless said otherwise", async () => {
    const input = { Bucket, Key: "plain", Body: Buffer.from([0, 1, 255]) };
    await cloud.cloud.call({ service: "s3", operation: "PutObject", input, as: cloud.owner });
    const head = await cloud.s3.send(new HeadObjectCommand({ Bucket, Key: "plain" }));
    assert.equal(head.ContentType, "binary/octet-stream");
    assert.equal(head.ContentLength, 3);
  });

  it("may be empty", async () => {
    await put("empty", "");
    assert.equal((await get("empty")).text, "");
    assert.equal((await refusal(get("empty", { Range: "bytes=0-" }))).status, 416);
  });

  it("are streamed in chunks with a trailing checksum that is verified", async () => {
    const Body = Readable.from([Buffer.alloc(70_000, 1), Buffer.alloc(5, 2)]);
    await put("streamed", Body, { ContentLength: 70_005 });
    const read = await cloud.s3.send(new GetObjectCommand({ Bucket, Key: "streamed", ChecksumMode: "ENABLED" }));
    assert.deepEqual(
      Buffer.from((await read.Body?.transformToByteArray()) as Uint8Array),
      Buffer.concat([Buffer.alloc(70_000, 1), Buffer.alloc(5, 2)]),
    );
    assert.ok(read.ChecksumCRC32);
    assert.equal(read.ContentEncoding, undefined);
  });

  for (const algorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const) {
    it(`are held against a ${algorithm} checksum`, async () => {
      const written = await put(algorithm, "checked", { ChecksumAlgorithm: algorithm });
      const member = `Checksum${algorithm}` as "ChecksumCRC32";
      const head = await cloud.s3.send(new HeadObjectCommand({ Bucket, Key: algorithm, ChecksumMode: "ENABLED" }));
      assert.ok(written[member]);
      assert.equal(head[member], written[member]);
      assert.equal((await get(algorithm)).text, "checked");
      const bytes = Buffer.from(written[member] as string, "base64");
      bytes[0] = (bytes[0] as number) ^ 1;
      assert.equal((await refusal(put(algorithm, "checked", { [member]: bytes.toString("base64") }))).name, "BadDigest");
    });
  }

  it("are held against an MD5", async () => {
    assert.equal((await refusal(put("md5", "a", { ContentMD5: createHash("md5").update("b").digest("base64") }))).name, "BadDigest");
    assert.equal((await refusal(put("md5", "a", { ContentMD5: "bm8=" }))).name, "InvalidDigest");
    await put("md5", "a", { ContentMD5: createHash("md5").update("a").digest("base64") });
  });

  describe("read in part", () => {
    before(() => put("alphabet", "abcdefghij"));
    const range = async (Range: string) => {
      const { text, ContentRange, ContentLength } = await get("alphabet", { Range });
      return [text, ContentRange, ContentLength];
    };

    it("give the bytes asked for", async () => {
      assert.deepEqual(await range("bytes=2-4"), ["cde", "bytes 2-4/10", 3]);
      assert.deepEqual(await range("bytes=8-"), ["ij", "bytes 8-9/10", 2]);
      assert.deepEqual(await range("bytes=-3"), ["hij", "bytes 7-9/10", 3]);
      assert.deepEqual(await range("bytes=5-500"), ["fghij", "bytes 5-9/10", 5]);
      assert.deepEqual(await range("bytes=-50"), ["abcdefghij", "bytes 0-9/10", 10]);
    });

    it("refuse what is beyond the end", async () => {
      assert.deepEqual(await refusal(range("bytes=10-")).then(({ name, status }) => [name, status]), ["InvalidRange", 416]);
      assert.equal((await refusal(range("bytes=-0"))).status, 416);
    });

    it("give the whole where the range cannot be read", async () => {
      assert.deepEqual(await range("bytes=4-2"), ["abcdefghij", undefined, 10]);
      assert.deepEqual(await range("lines=1-2"), ["abcdefghij", undefined, 10]);
    });
  });

  describe("read on a condition", () => {
    let etag: string;
    before(async () => {
      etag = (await put("conditional")).ETag as string;
    });

    it("are given while they are what the reader knows", async () => {
      assert.equal((await get("conditional", { IfMatch: etag })).text, "content");
      assert.deepEqual(await refusal(get("conditional", { IfMatch: '"other"' })).then(({ name, status }) => [name, status]), [
        "PreconditionFailed",
        412,
      ]);
    });

    it("are not given again to a reader who has them", async () => {
      assert.equal((await refusal(get("conditional", { IfNoneMatch: etag }))).status, 304);
      assert.equal((await refusal(get("conditional", { IfModifiedSince: new Date() }))).status, 304);
      assert.equal((await get("conditional", { IfNoneMatch: '"other"' })).text, "content");
      assert.equal((await refusal(get("conditional", { IfUnmodifiedSince: new Date(0) }))).status, 412);
    });
  });

  describe("written on a condition", () => {
    it("are not overwritten with If-None-Match: *", async () => {
      await put("once", "first", { IfNoneMatch: "*" });
      assert.deepEqual(await refusal(put("once", "second", { IfNoneMatch: "*" })).then(({ name, status }) => [name, status]), [
        "PreconditionFailed",
        412,
      ]);
      assert.equal((await get("once")).text, "first");
    });

    it("are written by exactly one of those who race", async () => {
      for (let round = 0; round < 5; round++) {
        const Key = `race-${round}`;
        const racers = Array.from({ length: 8 }, (_, index) => put(Key, `${index}`.repeat(10_000), { IfNoneMatch: "*" }).then(() => index));
        const results = await Promise.allSettled(racers);
        const winners = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
        assert.equal(winners.length, 1);
        assert.equal((await get(Key)).text, `${winners[0]}`.repeat(10_000));
        for (const result of results) if (result.status === "rejected") assert.equal(result.reason.name, "PreconditionFailed");
      }
    });

    it("are only replaced as what the writer knows", async () => {
      const { ETag } = await put("known", "first");
      await put("known", "second", { IfMatch: ETag as string });
      assert.equal((await refusal(put("known", "third", { IfMatch: ETag as string }))).status, 412);
      assert.equal((await refusal(put("unknown", "third", { IfMatch: ETag as string }))).name, "NoSuchKey");
      assert.equal((await get("known")).text, "second");
    });

    it("refuse conditions that S3 has not got", async () => {
      assert.deepEqual(await refusal(put("once", "x", { IfNoneMatch: '"abc"' })).then(({ name, status }) => [name, status]), [
        "NotImplemented",
        501,
      ]);
    });
  });

  it("that are missing are missing", async () => {
    assert.deepEqual(await refusal(get("missing")).then(({ name, status }) => [name, status]), ["NoSuchKey", 404]);
    assert.deepEqual(
      await refusal(cloud.s3.send(new HeadObjectCommand({ Bucket, Key: "missing" }))).then(({ name, status }) => [name, status]),
      ["NotFound", 404],
    );
    const nowhere = cloud.s3.send(new GetObjectCommand({ Bucket: "no-such-bucket", Key: "x" }));
    assert.deepEqual(await refusal(nowhere).then(({ name, status }) => [name, status]), ["NoSuchBucket", 404]);
  });

  it("go when deleted, and deleting again is no error", async () => {
    await put("gone");
    await cloud.s3.send(new DeleteObjectCommand({ Bucket, Key: "gone" }));
    assert.equal((await refusal(get("gone"))).name, "NoSuchKey");
    const again = await cloud.s3.send(new DeleteObjectCommand({ Bucket, Key: "gone" }));
    assert.equal(again.$metadata.httpStatusCode, 204);
  });

  it("go many at a time, whatever their names", async () => {
    const keys = ["many/a&b", "many/<c>", "many/ü 1", "many/never-there"];
    for (const key of keys.slice(0, 3)) await put(key);
    const { Deleted, Errors } = await cloud.s3.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects: keys.map((Key) => ({ Key })) } }),
    );
    assert.deepEqual(Deleted?.map(({ Key }) => Key).sort(), [...keys].sort());
    assert.equal(Errors, undefined);
    assert.equal((await cloud.s3.send(new ListObjectsV2Command({ Bucket, Prefix: "many/" }))).KeyCount, 0);
  });

  describe("copied", () => {
    before(() => put("original", "picture", { ContentType: "image/png", Metadata: { user: "ann" }, Tagging: "kind=photo" }));

    it("take along what was said of them", async () => {
      const { CopyObjectResult } = await cloud.s3.send(
        new CopyObjectCommand({ Bucket, Key: "copies/ä", CopySource: `${Bucket}/original` }),
      );
      const read = await get("copies/ä");
      assert.equal(read.text, "picture");
      assert.equal(read.ContentType, "image/png");
      assert.deepEqual(read.Metadata, { user: "ann" });
      assert.equal(CopyObjectResult?.ETag, read.ETag);
      const { TagSet } = await cloud.s3.send(new GetObjectTaggingCommand({ Bucket, Key: "copies/ä" }));
      assert.deepEqual(TagSet, [{ Key: "kind", Value: "photo" }]);
    });

    it("have what is said anew", async () => {
      const CopySource = encodeURIComponent(`${Bucket}/copies/ä`);
      await cloud.s3.send(
        new CopyObjectCommand({
          Bucket,
          Key: "anew",
          CopySource,
          MetadataDirective: "REPLACE",
          ContentType: "text/x",
          Metadata: { user: "bob" },
        }),
      );
      const read = await get("anew");
      assert.deepEqual([read.ContentType, read.Metadata], ["text/x", { user: "bob" }]);
    });

    it("are not copied onto themselves", async () => {
      const onto = cloud.s3.send(new CopyObjectCommand({ Bucket, Key: "original", CopySource: `${Bucket}/original` }));
      assert.equal((await refusal(onto)).name, "InvalidRequest");
    });
  });

  it("carry tags", async () => {
    await put("tagged", "x", { Tagging: "a=1&b=two%20words" });
    const tags = async () => (await cloud.s3.send(new GetObjectTaggingCommand({ Bucket, Key: "tagged" }))).TagSet;
    assert.deepEqual(await tags(), [
      { Key: "a", Value: "1" },
      { Key: "b", Value: "two words" },
    ]);
    assert.equal((await get("tagged")).TagCount, 2);
    await cloud.s3.send(new PutObjectTaggingCommand({ Bucket, Key: "tagged", Tagging: { TagSet: [{ Key: "c", Value: "<3" }] } }));
    assert.deepEqual(await tags(), [{ Key: "c", Value: "<3" }]);
  });

  describe("listed", () => {
    before(async () => {
      await cloud.bucket("lists");
      for (const Key of ["a/1", "a/2", "a/b/3", "a/b/4", "b", "c/5", "\u{1F600}", "\uFF21"])
        await cloud.s3.send(new PutObjectCommand({ Bucket: "lists", Key, Body: "x" }));
    });
    const list = (more = {}) => cloud.s3.send(new ListObjectsV2Command({ Bucket: "lists", ...more }));

    it("come in the order of their bytes", async () => {
      const { Contents, KeyCount, IsTruncated } = await list();
      assert.deepEqual(
        Contents?.map(({ Key }) => Key),
        ["a/1", "a/2", "a/b/3", "a/b/4", "b", "c/5", "\uFF21", "\u{1F600}"],
      );
      assert.deepEqual([KeyCount, IsTruncated, Contents?.[0]?.Size], [8, false, 1]);
    });

    it("come page by page, folders counted once", async () => {
      const seen: string[] = [];
      let ContinuationToken: string | undefined;
      let pages = 0;
      do {
        const page = await list({ Delimiter: "/", MaxKeys: 2, ...(ContinuationToken && { ContinuationToken }) });
        seen.push(
          ...(page.Contents ?? []).map(({ Key }) => Key as string),
          ...(page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix as string),
        );
        assert.ok((page.KeyCount as number) <= 2);
        ContinuationToken = page.NextContinuationToken;
        pages++;
      } while (ContinuationToken);
      assert.deepEqual(seen.sort(), ["a/", "b", "c/", "\uFF21", "\u{1F600}"].sort());
      assert.equal(pages, 3);
    });

    it("come by prefix and from a key on", async () => {
      const { Contents, CommonPrefixes } = await list({ Prefix: "a/", Delimiter: "/" });
      assert.deepEqual([Contents?.map(({ Key }) => Key), CommonPrefixes], [["a/1", "a/2"], [{ Prefix: "a/b/" }]]);
      const { Contents: rest } = await list({ StartAfter: "a/b/4", MaxKeys: 2 });
      assert.deepEqual(
        rest?.map(({ Key }) => Key),
        ["b", "c/5"],
      );
    });

    it("come encoded when asked to", async () => {
      const { Contents } = await list({ Prefix: "\uFF21", EncodingType: "url" });
      assert.equal(Contents?.[0]?.Key, encodeURIComponent("\uFF21"));
    });

    it("come in the old way too", async () => {
      const first = await cloud.s3.send(new ListObjectsCommand({ Bucket: "lists", Delimiter: "/", MaxKeys: 1 }));
      assert.deepEqual([first.CommonPrefixes, first.NextMarker, first.IsTruncated], [[{ Prefix: "a/" }], "a/", true]);
      const second = await cloud.s3.send(
        new ListObjectsCommand({ Bucket: "lists", Delimiter: "/", MaxKeys: 1, Marker: first.NextMarker as string }),
      );
      assert.deepEqual(
        second.Contents?.map(({ Key }) => Key),
        ["b"],
      );
    });

    it("refuse a token that is none", async () => {
      assert.equal((await refusal(list({ ContinuationToken: "bm9uZQ" }))).name, "InvalidArgument");
    });
  });

  it("refuse what is not emulated instead of ignoring it", async () => {
    assert.equal((await refusal(put("x", "x", { ServerSideEncryption: "aws:kms" }))).name, "NotImplemented");
    assert.equal((await refusal(put("x", "x", { StorageClass: "GLACIER" }))).name, "NotImplemented");
    assert.equal((await refusal(put("x", "x", { ACL: "public-read" }))).name, "AccessControlListNotSupported");
    assert.equal((await refusal(get("alphabet", { VersionId: "v1" }))).name, "InvalidArgument");
    assert.equal((await refusal(get("alphabet", { PartNumber: 1 }))).name, "NotImplemented");
  });

  it("hold S3's limits", async () => {
    assert.equal((await refusal(put("k".repeat(1025)))).name, "KeyTooLongError");
    assert.equal((await refusal(put("x", "x", { Metadata: { big: "m".repeat(2100) } }))).name, "MetadataTooLarge");
  });

  it("come to other services as bytes", async () => {
    await put("inside", "bytes", { ContentType: "image/jpeg", Metadata: { user: "ann" } });
    const output = await cloud.cloud.call({ service: "s3", operation: "GetObject", input: { Bucket, Key: "inside" }, as: cloud.owner });
    assert.deepEqual(output.Body, Buffer.from("bytes"));
    assert.deepEqual([output.ContentLength, output.ContentType, output.Metadata], [5, "image/jpeg", { user: "ann" }]);
  });

  it("are written by a client that checks nothing", async () => {
    const client = s3Client(cloud.client(), { requestChecksumCalculation: "WHEN_REQUIRED", responseChecksumValidation: "WHEN_REQUIRED" });
    await client.send(new PutObjectCommand({ Bucket, Key: "unchecked", Body: "x" }));
    assert.equal((await get("unchecked")).text, "x");
  });
});
