import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { CopyObjectCommand, ListObjectVersionsCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import * as s3 from "@pulumi/aws/s3/index.js";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import sharp from "sharp";
import { ImagePipeline } from "../../components/aws/image-pipeline.js";
import { type EmbeddedStack, startStack } from "../../local/index.js";
import { Client } from "../conformance/client.js";
import * as photos from "../photos.js";
import { type EmbeddedAws, startPipeline } from "./aws-stack.js";

/** Every option of the contract, from its declaration to its effect. */
describe("An option of the pipeline on AWS", function () {
  this.timeout(120_000);

  describe("about pictures", () => {
    let pipeline: EmbeddedAws;
    before(async () => {
      pipeline = await startPipeline({
        thumbnails: {
          card: { width: 320, height: 320, fit: "inside", format: "webp", quality: 60 },
          icon: { width: 32, height: 32, format: "png" },
        },
        limits: { bytes: "1 MB", pixels: "1 MP" },
        tagger: "./examples/taggers/shape.ts",
        auth: "none",
        metadata: { gps: true },
        origins: ["https://app.example.org"],
        removal: "retain",
        logs: { retention: "3 days" },
        tags: { team: "photos" },
        aws: { workflow: "standard" },
      });
    });
    after(() => pipeline?.stack.stop());
    const inputs = (type: string) => pipeline.stack.graph().filter((resource) => resource.type === type);

    it("makes the thumbnails that are asked for: size, fit, format", async () => {
      const record = await pipeline.client.put("sizes.jpg", await photos.jpeg(600, 300));
      const { body } = await pipeline.client.call("GET", pipeline.client.image(record.key));
      const seen: Record<string, unknown> = {};
      for (const [name, url] of Object.entries<string>(body.urls.variants)) {
        const { width, height, format } = await sharp(Buffer.from(await (await fetch(url)).arrayBuffer())).metadata();
        seen[name] = [width, height, format];
      }
      assert.deepEqual(seen, { card: [320, 160, "webp"], icon: [32, 32, "png"] });
    });

    it("asks a team's own tagger", async () => {
      const record = await pipeline.client.put("tagged.png", await photos.transparentPng(), { contentType: "image/png" });
      assert.deepEqual(record.tags.map((tag: { name: string }) => tag.name).sort(), ["Plain", "Wide"]);
      assert.equal(record.tags.find((tag: { name: string }) => tag.name === "Wide").confidence, 75);
    });

    it("refuses beyond its limits", async () => {
      assert.equal((await pipeline.client.put("many.jpg", await photos.jpeg(1_100, 1_000))).failure.code, "PIXEL_LIMIT");
      assert.equal((await pipeline.client.ticket("big.jpg", 1_000_001)).status, 413);
      const key = "uploads/big-direct.jpg";
      await pipeline.s3.send(new PutObjectCommand({ Bucket: pipeline.stack.outputs.uploads, Key: key, Body: Buffer.alloc(1_000_001) }));
      assert.equal((await pipeline.client.result(key)).failure.code, "SIZE_LIMIT");
    });

    it("records where a picture was taken, when asked to", async () => {
      const { exif } = await pipeline.client.put("somewhere.jpg", await photos.turnedJpeg(300, 200));
      assert.match(JSON.stringify(exif), /52\.5/);
    });

    it("lets everybody in without a key", async () => {
      assert.equal(pipeline.stack.outputs.apiKey, "");
      assert.equal((await pipeline.client.call("GET", "/images", { key: false })).status, 200);
    });

    it("lets the pages of its origins upload, and no other's", async () => {
      const { body: ticket } = await pipeline.client.ticket("cors.jpg", 100);
      const preflight = (origin: string) =>
        fetch(ticket.url, {
          method: "OPTIONS",
          headers: { origin, "access-control-request-method": "PUT", "access-control-request-headers": "content-type" },
        });
      assert.equal((await preflight("https://app.example.org")).headers.get("access-control-allow-origin"), "https://app.example.org");
      assert.equal((await preflight(pipeline.stack.outputs.url)).status, 200);
      assert.equal((await preflight("https://evil.example.org")).status, 403);
    });

    it("keeps logs as long as it is told, and labels what can be labelled", () => {
      const logs = inputs("aws:cloudwatch/logGroup:LogGroup");
      assert.ok(logs.length > 5);
      for (const { inputs } of logs) assert.deepEqual([inputs.retentionInDays, inputs.tags], [3, { team: "photos" }]);
    });

    it("runs the workflow as Standard", () => {
      assert.deepEqual(
        inputs("aws:sfn/stateMachine:StateMachine").map(({ inputs }) => inputs.type),
        ["STANDARD"],
      );
    });

    it("leaves stores and records behind when they are to be retained", async () => {
      const { stack, s3: client } = pipeline;
      const { uploads } = stack.outputs;
      await stack.destroy();
      await client.send(new PutObjectCommand({ Bucket: uploads, Key: "still/there.txt", Body: "yes" }));
    });
  });

  it("generates no key where one is given, and labels by statistics or not at all", async () => {
    const key = "a-key-of-our-own-choosing";
    for (const [tagger, labelled] of [
      ["statistics", true],
      ["none", false],
    ] as const) {
      const pipeline = await startPipeline({ apiKey: key, tagger });
      try {
        assert.equal(pipeline.stack.outputs.apiKey, key);
        const record = await pipeline.client.put("photo.jpg", await photos.jpeg(300, 200));
        assert.equal(record.status, "completed");
        assert.equal(record.tags.length > 0, labelled, JSON.stringify(record.tags));
      } finally {
        await pipeline.stack.stop();
      }
    }
  });

  it("has back what was overwritten or deleted, and processes it as what it then is: an arrival", async () => {
    const { client, s3: owner, stack } = await startPipeline({ recovery: { days: 7 }, tagger: "none" });
    try {
      const { key, sha256 } = await client.put("photo.jpg", await photos.jpeg(300, 200));
      assert.equal((await client.call("DELETE", client.image(key))).status, 204);
      const Bucket = stack.outputs.uploads;
      const { Versions = [], DeleteMarkers = [] } = await owner.send(new ListObjectVersionsCommand({ Bucket, Prefix: key }));
      assert.deepEqual([Versions.length, DeleteMarkers.length], [1, 1]);
      const CopySource = `${Bucket}/${key}?versionId=${Versions[0]?.VersionId}`;
      await owner.send(new CopyObjectCommand({ Bucket, Key: key, CopySource }));
      const record = await client.result(key);
      assert.deepEqual([record.status, record.sha256], ["completed", sha256]);
    } finally {
      await stack.stop();
    }
  });

  it("adopts a bucket that is there", async () => {
    const stack: EmbeddedStack = await startStack({
      project: "tests",
      stack: "adopting",
      config: { "aws:region": "eu-west-1" },
      clouds: ["aws"],
      program: async () => {
        const bucket = new s3.Bucket("company-uploads", { forceDestroy: true });
        const events = new s3.BucketNotification("events", { bucket: bucket.bucket, eventbridge: true });
        const existing = events.id.apply(() => bucket.bucket);
        const { url, apiKey, uploads } = new ImagePipeline("photos", { source: { existing }, tagger: "none" });
        return { url, apiKey, uploads };
      },
    });
    try {
      assert.match(stack.outputs.uploads, /^company-uploads/);
      const client = new Client({ url: stack.outputs.url, key: stack.outputs.apiKey });
      assert.equal((await client.put("photo.jpg", await photos.jpeg(300, 200))).status, "completed");
    } finally {
      await stack.stop();
    }
  });

  it("shows the holder of a token their own images only", async () => {
    const { publicKey, privateKey } = await generateKeyPair("RS256");
    const jwks = createServer((_request, response) => {
      void exportJWK(publicKey).then((jwk) => response.end(JSON.stringify({ keys: [{ ...jwk, kid: "one", alg: "RS256" }] })));
    });
    await new Promise<void>((resolve) => jwks.listen(0, "127.0.0.1", resolve));
    const issuer = "https://issuer.example.org";
    const jwksUri = `http://127.0.0.1:${(jwks.address() as AddressInfo).port}/keys`;
    const token = (user: string) =>
      new SignJWT()
        .setProtectedHeader({ alg: "RS256", kid: "one" })
        .setIssuer(issuer)
        .setAudience("photos")
        .setSubject(user)
        .setExpirationTime("5m")
        .sign(privateKey);
    const pipeline = await startPipeline({ auth: { jwt: { issuer, audience: "photos", jwksUri } }, tagger: "none" });
    try {
      const [ada, bob] = [await token("ada"), await token("bob")].map((key) => new Client({ url: pipeline.stack.outputs.url, key }));
      assert.ok(ada && bob);
      const record = await ada.put("mine.jpg", await photos.jpeg(200, 100));
      assert.deepEqual([record.status, record.user], ["completed", "ada"]);
      assert.equal((await bob.status(record.key)).status, 404);
      assert.deepEqual((await bob.call("GET", "/images")).body.items, []);
      assert.equal((await ada.call("GET", "/images")).body.items.length, 1);
      assert.equal((await ada.call("GET", "/images", { key: `${ada.target.key}x` })).status, 401);
    } finally {
      await pipeline.stack.stop();
      jwks.close();
      jwks.closeAllConnections();
    }
  });
});
