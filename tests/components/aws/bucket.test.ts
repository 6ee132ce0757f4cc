import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { Bucket } from "../../../components/aws/bucket.js";
import { declared, recorded } from "../../declared.js";

describe("Bucket", () => {
  it("is private, encrypted, reached by TLS only, and emptied when it is destroyed", async () => {
    assert.deepEqual(await declared(() => new Bucket("photos")), {
      bucket: { "photos-bucket": { forceDestroy: true } },
      bucketPublicAccessBlock: {
        "photos-public-access": {
          bucket: "photos-bucket",
          blockPublicAcls: true,
          blockPublicPolicy: true,
          ignorePublicAcls: true,
          restrictPublicBuckets: true,
        },
      },
      bucketOwnershipControls: { "photos-ownership": { bucket: "photos-bucket", rule: { objectOwnership: "BucketOwnerEnforced" } } },
      bucketPolicy: {
        "photos-policy": {
          bucket: "photos-bucket",
          policy: {
            Version: "2012-10-17",
            Statement: [
              {
                Sid: "TlsOnly",
                Effect: "Deny",
                Principal: "*",
                Action: "s3:*",
                Resource: ["arn:aws:s3:::photos-bucket", "arn:aws:s3:::photos-bucket/*"],
                Condition: { Bool: { "aws:SecureTransport": "false" } },
              },
            ],
          },
        },
      },
      bucketServerSideEncryptionConfiguration: {
        "photos-encryption": { bucket: "photos-bucket", rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }] },
      },
      bucketLifecycleConfiguration: {
        "photos-lifecycle": {
          bucket: "photos-bucket",
          rules: [{ id: "broken-uploads", status: "Enabled", filter: {}, abortIncompleteMultipartUpload: { daysAfterInitiation: 1 } }],
        },
      },
    });
  });

  it("is configured one step after the other, as S3 wants", async () => {
    const resources = await recorded(() => new Bucket("photos", { events: true }).openTo(["https://example.org"]));
    const after = Object.fromEntries(resources.map(({ name, after }) => [name, after]));
    assert.deepEqual(after, {
      "photos-bucket": [],
      "photos-public-access": ["photos-bucket"],
      "photos-ownership": ["photos-bucket", "photos-public-access"],
      "photos-policy": ["photos-bucket", "photos-ownership"],
      "photos-encryption": ["photos-bucket", "photos-policy"],
      "photos-lifecycle": ["photos-bucket", "photos-encryption"],
      "photos-notification": ["photos-bucket", "photos-lifecycle"],
      "photos-cors": ["photos-bucket", "photos-notification"],
    });
  });

  it("tells EventBridge what happens, where that is asked for", async () => {
    const { bucketNotification } = await declared(() => new Bucket("photos", { events: true }));
    assert.deepEqual(bucketNotification, { "photos-notification": { bucket: "photos-bucket", eventbridge: true } });
  });

  it("removes what has expired", async () => {
    const { bucketLifecycleConfiguration } = await declared(() => new Bucket("photos", { expire: { "labels/": 1 } }));
    assert.deepEqual(bucketLifecycleConfiguration["photos-lifecycle"].rules[1], {
      id: "labels",
      status: "Enabled",
      filter: { prefix: "labels/" },
      expiration: { days: 1 },
    });
  });

  it("keeps versions for some days, where what is gone is to be had back", async () => {
    const resources = await recorded(() => new Bucket("photos", { recovery: 7 }));
    const find = (name: string) => resources.find((resource) => resource.name === name);
    assert.deepEqual(find("photos-versioning")?.inputs, { bucket: "photos-bucket", versioningConfiguration: { status: "Enabled" } });
    assert.deepEqual(find("photos-lifecycle")?.inputs.rules[1], {
      id: "replaced-versions",
      status: "Enabled",
      filter: {},
      noncurrentVersionExpiration: { noncurrentDays: 7 },
      expiration: { expiredObjectDeleteMarker: true },
    });
    assert.deepEqual(find("photos-versioning")?.after, ["photos-bucket", "photos-encryption"]);
    assert.deepEqual(find("photos-lifecycle")?.after, ["photos-bucket", "photos-versioning"]);
  });

  it("lets pages of the named origins upload", async () => {
    const { bucketCorsConfiguration } = await declared(() =>
      new Bucket("photos").openTo([pulumi.output("https://api.example.org"), "https://app.example.org"]),
    );
    assert.deepEqual(bucketCorsConfiguration["photos-cors"].corsRules, [
      {
        allowedMethods: ["PUT", "POST"],
        allowedOrigins: ["https://api.example.org", "https://app.example.org"],
        allowedHeaders: ["content-type", "if-none-match", "x-amz-meta-user"],
        exposeHeaders: ["ETag"],
        maxAgeSeconds: 3600,
      },
    ]);
  });

  it("outlives the stack with all that it is configured with, where it is to be retained", async () => {
    const resources = await recorded(() => new Bucket("photos", { removal: "retain", events: true }).openTo(["https://example.org"]));
    assert.equal(resources.length, 8);
    for (const { name, retainOnDelete } of resources) assert.equal(retainOnDelete, true, name);
    assert.deepEqual(resources.find(({ name }) => name === "photos-bucket")?.inputs, { forceDestroy: false });
  });
});
