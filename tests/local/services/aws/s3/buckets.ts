import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import type { CloudEvent } from "../../../../../local/kernel/cloud.js";
import type { Properties, Resource } from "../../../../../local/kernel/service.js";
import iam from "../../../../../local/services/aws/iam.js";
import s3 from "../../../../../local/services/aws/s3/index.js";
import { type ClientConfig, type TestCloud, type TestCloudOptions, testCloud } from "../../../cloud.js";

export const BUCKET = "aws:s3/bucket:Bucket";
const ROLE = "aws:iam/role:Role";
const ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy";

export interface BucketCloud extends TestCloud {
  /** A client of the account itself. */
  s3: S3Client;
  /** A client of a role that has just these statements. */
  s3As(name: string, ...statements: Properties[]): Promise<S3Client>;
  /** A bucket with its name for an id. */
  bucket(name: string, inputs?: Properties): Promise<Resource>;
  /** What was published so far. */
  events: CloudEvent[];
}

/** A cloud of S3 and IAM. */
export async function bucketCloud(options: TestCloudOptions = {}): Promise<BucketCloud> {
  const cloud = await testCloud([iam(), s3()], options);
  const events: CloudEvent[] = [];
  cloud.cloud.subscribe((event) => events.push(event));
  return {
    ...cloud,
    events,
    s3: s3Client(cloud.client()),
    async s3As(name, ...statements) {
      const trust = {
        Version: "2012-10-17",
        Statement: [{ Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" }],
      };
      const role = await cloud.declare(ROLE, name, { assumeRolePolicy: JSON.stringify(trust) });
      if (statements.length > 0) {
        const policy = { Version: "2012-10-17", Statement: statements.map((statement) => ({ Effect: "Allow", ...statement })) };
        await cloud.declare(ROLE_POLICY, name, { role: role.id, policy: JSON.stringify(policy) });
      }
      return s3Client(cloud.clientFor(role));
    },
    bucket: (name, inputs = {}) => cloud.declare(BUCKET, name, { bucket: name, ...inputs }),
  };
}

/** Path-style follows from the endpoint's address. */
export const s3Client = (config: ClientConfig, more: S3ClientConfig = {}): S3Client => new S3Client({ ...config, maxAttempts: 1, ...more });

/** The error that a promise is rejected with. */
export async function refusal(work: Promise<unknown>): Promise<{ name: string; message: string; status: number | undefined }> {
  try {
    await work;
  } catch (error) {
    const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
    return { name, message, status: $metadata?.httpStatusCode };
  }
  throw new Error("It was not refused");
}
