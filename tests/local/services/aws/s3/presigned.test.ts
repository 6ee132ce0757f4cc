import assert from "node:assert/strict";
import { GetObjectCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { createPresignedPost, type PresignedPostOptions } from "@aws-sdk/s3-presigned-post";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import type { CloudEvent } from "../../../../../local/kernel/cloud.js";
import { type BucketCloud, bucketCloud, s3Client } from "./buckets.js";

const Bucket = "photos";

describe("S3 requests that are signed ahead", () => {
  let cloud: BucketCloud;
  let client: S3Client;
  let now: Date | undefined;

  before(async () => {
    cloud = await bucketCloud({ clock: () => now ?? new Date() });
    await cloud.bucket(Bucket);
    await cloud.declare("aws:s3/bucketNotification:BucketNotification", "notify", { bucket: Bucket, eventbridge: true });
    client = s3Client(cloud.client(), { requestChecksumCalculation: "WHEN_REQUIRED" });
    await cloud.s3.send(new PutObjectCommand({ Bucket, Key: "hidden", Body: "secret", ContentType: "text/plain" }));
  });
  after(() => cloud.stop());
  afterEach(() => {
    now = undefined;
  });

  const later = (seconds: number) => {
    now = new Date(Date.now() + seconds * 1000);
  };
  const answer = async (response: Response) => ({
    status: response.status,
    code: /<Code>(.*?)<\/Code>/.exec(await response.clone().text())?.[1],
  });
  const stored = async (Key: string) => (await cloud.s3.send(new GetObjectCommand({ Bucket, Key }))).Body?.transformToString();

  describe("to read", () => {
    const url = (more = {}, expiresIn = 60) =>
      getSignedUrl(client, new GetObjectCommand({ Bucket, Key: "hidden", ...more }), { expiresIn });

    it("give the object to whoever has the URL", async () => {
      const response = await fetch(await url());
      assert.deepEqual([response.status, await response.text(), response.headers.get("content-type")], [200, "secret", "text/plain"]);
    });

    it("give it the headers that the URL says", async () => {
      const response = await fetch(
        await url({ ResponseContentDisposition: 'attachment; filename="ä.txt"', ResponseContentType: "image/png" }),
      );
      assert.equal(response.headers.get("content-type"), "image/png");
      assert.match(response.headers.get("content-disposition") ?? "", /^attachment/);
    });

    it("give a part of it", async () => {
      const response = await fetch(await url(), { headers: { range: "bytes=0-2" } });
      assert.deepEqual([response.status, await response.text()], [206, "sec"]);
    });

    it("end when they expire", async () => {
      const expiring = await url({}, 60);
      later(61);
      const response = await fetch(expiring);
      assert.match(await response.clone().text(), /<Message>Request has expired<\/Message>/);
      assert.deepEqual(await answer(response), { status: 403, code: "AccessDenied" });
    });

    it("are refused when anything of them is changed", async () => {
      const good = await url({ ResponseContentType: "text/html" });
      const wrong = { status: 403, code: "SignatureDoesNotMatch" };
      for (const bad of [
        good.replace("/hidden", "/hidden2"),
        good.replace("X-Amz-Expires=60", "X-Amz-Expires=6000"),
        good.replace("text%2Fhtml", "text%2Fevil"),
        `${good}&response-cache-control=x`,
        good.replace(/X-Amz-Signature=(.)/, (_, digit) => `X-Amz-Signature=${digit === "0" ? 1 : 0}`),
      ]) {
        assert.notEqual(bad, good);
        assert.deepEqual(await answer(await fetch(bad)), wrong, bad);
      }
      assert.deepEqual(await answer(await fetch(good, { method: "DELETE" })), wrong);
      assert.deepEqual(await answer(await fetch(good.replace("AKIA", "AKIB"))), { status: 403, code: "InvalidAccessKeyId" });
      assert.equal((await fetch(good)).status, 200);
    });

    it("do no more than their signer may", async () => {
      const uploader = await cloud.s3As("uploader", { Action: "s3:PutObject", Resource: "arn:aws:s3:::photos/*" });
      const response = await fetch(await getSignedUrl(uploader, new GetObjectCommand({ Bucket, Key: "hidden" })));
      assert.deepEqual(await answer(response), { status: 403, code: "AccessDenied" });
    });
  });

  it("are needed: the unsigned are refused", async () => {
    for (const method of ["GET", "PUT", "DELETE", "HEAD"]) {
      const response = await fetch(`${cloud.cloud.url}/${Bucket}/hidden`, { method });
      assert.equal(response.status, 403);
      if (method !== "HEAD") assert.equal((await answer(response)).code, "AccessDenied");
    }
  });

  describe("to write", () => {
    /** As a ticket of the product: exact size and type, and never over another object. */
    const ticket = (Key: string, size: number) =>
      getSignedUrl(
        client,
        new PutObjectCommand({ Bucket, Key, ContentLength: size, ContentType: "image/png", IfNoneMatch: "*", Metadata: { user: "ann" } }),
        {
          expiresIn: 60,
          signableHeaders: new Set(["host", "content-type", "content-length", "if-none-match"]),
          unhoistableHeaders: new Set(["x-amz-meta-user"]),
        },
      );
    const headers = { "content-type": "image/png", "if-none-match": "*", "x-amz-meta-user": "ann" };
    const send = async (url: string, body: string, more = headers as Record<string, string>) =>
      answer(await fetch(url, { method: "PUT", body, headers: more }));

    it("take exactly what was announced", async () => {
      const url = await ticket("ticket", 5);
      assert.deepEqual(await send(url, "123456"), { status: 403, code: "SignatureDoesNotMatch" });
      assert.deepEqual(await send(url, "1234"), { status: 403, code: "SignatureDoesNotMatch" });
      assert.deepEqual(await send(url, "12345", { ...headers, "content-type": "text/html" }), {
        status: 403,
        code: "SignatureDoesNotMatch",
      });
      assert.deepEqual(await send(url, "12345", { ...headers, "x-amz-meta-user": "eve" }), { status: 403, code: "SignatureDoesNotMatch" });
      assert.deepEqual(await send(url, "12345", { ...headers, "x-amz-meta-more": "x" }), { status: 403, code: "AccessDenied" });
      assert.deepEqual(await send(url, "12345"), { status: 200, code: undefined });
      const { ContentType, Metadata } = await cloud.s3.send(new GetObjectCommand({ Bucket, Key: "ticket" }));
      assert.deepEqual([ContentType, Metadata], ["image/png", { user: "ann" }]);
    });

    it("never overwrite", async () => {
      const url = await ticket("twice", 5);
      assert.equal((await send(url, "first")).status, 200);
      assert.deepEqual(await send(url, "again"), { status: 412, code: "PreconditionFailed" });
      assert.equal(await stored("twice"), "first");
    });

    it("end when they expire", async () => {
      const url = await ticket("late", 5);
      later(61);
      assert.deepEqual(await send(url, "12345"), { status: 403, code: "AccessDenied" });
    });

    it("carry the checksum of nothing if the signer does not take care, and then take nothing", async () => {
      const url = await getSignedUrl(cloud.s3, new PutObjectCommand({ Bucket, Key: "careless" }));
      assert.deepEqual(await send(url, "12345", {}), { status: 400, code: "BadDigest" });
    });
  });

  describe("by form", () => {
    const policy = (more: Partial<PresignedPostOptions> = {}) =>
      createPresignedPost(cloud.s3, {
        Bucket,
        Key: "forms/picture.png",
        Conditions: [
          ["content-length-range", 3, 10],
          ["starts-with", "$Content-Type", "image/"],
        ],
        Fields: { "x-amz-meta-user": "ann" },
        Expires: 60,
        ...more,
      });
    const send = async (
      { url, fields }: { url: string; fields: Record<string, string> },
      file = "12345",
      more: Record<string, string> = { "Content-Type": "image/png" },
    ) => {
      const form = new FormData();
      for (const [name, value] of Object.entries({ ...fields, ...more })) form.append(name, value);
      form.append("file", new Blob([file], { type: "text/plain" }), "my picture.png");
      return fetch(url, { method: "POST", body: form, redirect: "manual" });
    };

    it("store the file, with what the fields say of it", async () => {
      const response = await send(await policy());
      assert.equal(response.status, 204);
      const { Body, ContentType, Metadata, ETag } = await cloud.s3.send(new GetObjectCommand({ Bucket, Key: "forms/picture.png" }));
      assert.deepEqual([await Body?.transformToString(), ContentType, Metadata], ["12345", "image/png", { user: "ann" }]);
      assert.equal(response.headers.get("etag"), ETag);
      const { detail } = cloud.events.at(-1) as CloudEvent;
      assert.deepEqual([detail.reason, detail.object.key], ["POST Object", "forms/picture.png"]);
    });

    it("answer as they ask", async () => {
      const created = await send(await policy({ Fields: { success_action_status: "201" } }));
      assert.equal(created.status, 201);
      assert.match(await created.text(), /<Key>forms\/picture.png<\/Key>/);
      const redirected = await send(await policy({ Fields: { success_action_redirect: "http://127.0.0.1:9/done?a=1" } }));
      assert.equal(redirected.status, 303);
      const to = new URL(redirected.headers.get("location") as string);
      assert.deepEqual([to.searchParams.get("a"), to.searchParams.get("key")], ["1", "forms/picture.png"]);
    });

    it("fill in the file's name", async () => {
      assert.equal((await send(await policy({ Key: `forms/\${filename}` }))).status, 204);
      assert.equal(await stored("forms/my picture.png"), "12345");
    });

    it("take no file that is larger or smaller than allowed", async () => {
      assert.deepEqual(await answer(await send(await policy(), "12345678901")), { status: 400, code: "EntityTooLarge" });
      assert.deepEqual(await answer(await send(await policy(), "12")), { status: 400, code: "EntityTooSmall" });
    });

    it("take nothing that the policy does not allow", async () => {
      const denied = { status: 403, code: "AccessDenied" };
      assert.deepEqual(await answer(await send(await policy(), "12345", { "Content-Type": "text/html" })), denied);
      assert.deepEqual(
        await answer(await send(await policy(), "12345", { "Content-Type": "image/png", "x-amz-meta-role": "admin" })),
        denied,
      );
      const other = await policy();
      assert.deepEqual(await answer(await send({ ...other, fields: { ...other.fields, key: "forms/other.png" } })), denied);
      assert.deepEqual(await answer(await send({ ...other, fields: { ...other.fields, "x-amz-meta-user": "eve" } })), denied);
      const bucket = await cloud.bucket("other-photos");
      assert.deepEqual(await answer(await send({ ...other, url: `${cloud.cloud.url}/${bucket.id}` })), denied);
    });

    it("are refused when the policy was changed", async () => {
      const { url, fields } = await policy();
      const document = JSON.parse(Buffer.from(fields.Policy as string, "base64").toString());
      const widened = { ...document, conditions: document.conditions.filter((condition: unknown) => !Array.isArray(condition)) };
      const Policy = Buffer.from(JSON.stringify(widened)).toString("base64");
      assert.deepEqual(await answer(await send({ url, fields: { ...fields, Policy } })), { status: 403, code: "SignatureDoesNotMatch" });
    });

    it("end when they expire", async () => {
      const expiring = await policy();
      later(61);
      const response = await send(expiring);
      assert.match(await response.clone().text(), /Policy expired/);
      assert.deepEqual(await answer(response), { status: 403, code: "AccessDenied" });
    });

    it("need a policy", async () => {
      const { url } = await policy();
      assert.deepEqual(await answer(await send({ url, fields: { key: "forms/anonymous" } })), { status: 403, code: "AccessDenied" });
    });

    it("do no more than their signer may", async () => {
      const reader = await cloud.s3As("reader", { Action: "s3:GetObject", Resource: "arn:aws:s3:::photos/*" });
      assert.deepEqual(await answer(await send(await createPresignedPost(reader, { Bucket, Key: "k" }), "1", {})), {
        status: 403,
        code: "AccessDenied",
      });
      const writer = await cloud.s3As("writer", { Action: "s3:PutObject", Resource: "arn:aws:s3:::photos/forms/*" });
      assert.equal((await send(await createPresignedPost(writer, { Bucket, Key: "forms/by-role" }), "1", {})).status, 204);
    });
  });
});
