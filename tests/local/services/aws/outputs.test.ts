import assert from "node:assert/strict";
import * as cloudwatch from "@pulumi/aws/cloudwatch/index.js";
import * as dynamodb from "@pulumi/aws/dynamodb/index.js";
import * as iam from "@pulumi/aws/iam/index.js";
import * as s3 from "@pulumi/aws/s3/index.js";
import * as sns from "@pulumi/aws/sns/index.js";
import * as sqs from "@pulumi/aws/sqs/index.js";
import * as ssm from "@pulumi/aws/ssm/index.js";
import { findServices, startStack } from "../../../../local/index.js";
import { declarationOf, outputProblems, registryProblems } from "./declared-outputs.js";

describe("What the SDK declares of a resource", () => {
  it("is read from its declaration file", async () => {
    const { outputs, required, inputs } = await declarationOf("aws:sqs/queue:Queue");
    for (const name of ["arn", "url", "name", "delaySeconds", "region", "tagsAll"]) assert.ok(outputs.has(name), name);
    assert.ok(required.has("arn") && required.has("policy") && !required.has("delaySeconds"));
    assert.ok(inputs.has("delaySeconds") && !inputs.has("arn"));
    const bucket = await declarationOf("aws:s3/bucket:Bucket");
    assert.ok(bucket.outputs.has("websiteEndpoint") && !bucket.required.has("websiteEndpoint"), "deprecated");
    await assert.rejects(declarationOf("aws:sqs/hat:Hat"));
  });

  it("shows what is missing, and what is too much", async () => {
    const problems = await outputProblems("aws:s3/bucketPolicy:BucketPolicy", { bucket: "b", policy: "{}", region: null, hat: 1 });
    assert.deepEqual(problems, [
      "aws:s3/bucketPolicy:BucketPolicy: the output region is missing",
      "aws:s3/bucketPolicy:BucketPolicy: the SDK declares no output hat",
    ]);
  });
});

describe("AWS in the embedded cloud", () => {
  it("claims only types and inputs that the SDK declares", async () => {
    const claimed = (await findServices(["aws"])).flatMap(({ resources = {} }) => Object.entries(resources));
    assert.ok(claimed.length > 0);
    const problems = claimed.map(async ([type, { inputs }]) => {
      if (!type.startsWith("aws:")) return [];
      const declared = await declarationOf(type);
      const roots = inputs.map((path) => path.split(/[.[]/)[0] as string);
      return roots.filter((input) => !declared.inputs.has(input)).map((input) => `${type}: the SDK declares no input ${input}`);
    });
    assert.deepEqual((await Promise.all(problems)).flat(), []);
  });

  it("gives every output that the SDK promises, and no other", async () => {
    const stack = await startStack({ program, project: "outputs", stack: "test", config: { "aws:region": "eu-west-1" }, clouds: ["aws"] });
    try {
      assert.deepEqual(await registryProblems(stack.cloud), []);
    } finally {
      await stack.stop();
    }
  });
});

/** A resource of each kind that needs no other to exist first, or little. */
async function program(): Promise<void> {
  const bucket = new s3.Bucket("bucket", {}).bucket;
  new s3.BucketNotification("notification", { bucket, eventbridge: true });
  new s3.BucketPublicAccessBlock("public-access", { bucket, blockPublicAcls: true });
  new sqs.Queue("queue", {});
  const topic = new sns.Topic("topic", {});
  const attributes = [{ name: "Key", type: "S" }];
  new dynamodb.Table("table", { billingMode: "PAY_PER_REQUEST", hashKey: "Key", attributes });
  const statement = { Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" } as const;
  const role = new iam.Role("role", { assumeRolePolicy: { Version: "2012-10-17", Statement: [statement] } });
  const allowed = { Effect: "Allow", Action: "sns:Publish", Resource: topic.arn } as const;
  new iam.RolePolicy("policy", { role: role.id, policy: { Version: "2012-10-17", Statement: [allowed] } });
  new cloudwatch.LogGroup("logs", { retentionInDays: 30 });
  new cloudwatch.EventRule("rule", { eventPattern: JSON.stringify({ source: ["aws.s3"] }) });
  new ssm.Parameter("parameter", { type: "SecureString", value: "a secret" });
}
