import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { ExistingBucket, isBucketName } from "../../../components/aws/existing-bucket.js";
import { recorded } from "../../declared.js";

const functions = (eventbridge: boolean) => ({
  "aws:s3/getBucketNotification:getBucketNotification": { eventbridge, lambdaFunctions: [], queues: [], topics: [] },
});

describe("An adopted bucket", () => {
  it("is left as it is: nothing is declared", async () => {
    const program = async () => {
      const adopted = new ExistingBucket("photos-uploads", { bucket: "company-uploads" });
      adopted.openTo(["https://example.org"]);
      const known = await new Promise((resolve) => pulumi.all([adopted.bucket, adopted.arn]).apply(resolve));
      assert.deepEqual(known, ["company-uploads", "arn:aws:s3:::company-uploads"]);
    };
    assert.deepEqual(await recorded(program, { functions: functions(true) }), []);
  });

  it("has to tell EventBridge of its objects", async () => {
    const program = () => new ExistingBucket("photos-uploads", { bucket: pulumi.output("company-uploads") });
    await assert.rejects(recorded(program, { functions: functions(false) }), {
      code: "EVENTBRIDGE_DISABLED",
      message: /photos-uploads: the bucket company-uploads does not send its events to EventBridge: enable EventBridge on it/,
    });
  });

  it("has a name that S3 would give", async () => {
    await assert.rejects(
      recorded(() => new ExistingBucket("photos-uploads", { bucket: "Company_Uploads" }), { functions: functions(true) }),
      { code: "INVALID_ARGUMENT", message: /^photos-uploads: source\.existing is "Company_Uploads": it must be the name of an S3 bucket/ },
    );
  });

  for (const name of ["abc", "company-uploads", "www.example.org", "0".repeat(63)])
    it(`may be called ${name}`, () => assert.ok(isBucketName(name)));
  for (const name of ["ab", "-abc", "abc-", "a..b", "192.168.0.1", "xn--abc", "abc-s3alias", "abc--ol-s3", "Abc", "a_b", "0".repeat(64)]) {
    it(`cannot be called ${name}`, () => assert.equal(isBucketName(name), false));
  }
});
