import { CloudError, type Properties, type Resource, type ResourceType } from "../../../kernel/service.js";
import { bucketPolicy, isPublic } from "./bucket-policy.js";
import type { CorsRule } from "./cors.js";
import { accessDenied, noSuchBucket } from "./errors.js";
import type { LifecycleRule } from "./lifecycle.js";
import { createBucket, deleteBucket } from "./operations/buckets.js";
import type { Storage } from "./storage.js";
import type { BucketConfiguration, PublicAccessBlock } from "./store.js";

/** Of S3's website endpoints, by region: https://docs.aws.amazon.com/general/latest/gr/s3.html */
const HOSTED_ZONES: Record<string, string> = {
  "ap-northeast-1": "Z2M4EHUR26P7ZW",
  "ap-northeast-2": "Z3W03O7B5YMIYP",
  "ap-northeast-3": "Z2YQB5RD63NC85",
  "ap-south-1": "Z11RGJOFQNVJUP",
  "ap-southeast-1": "Z3O0J2DXBE1FTB",
  "ap-southeast-2": "Z1WCIGYICN2BYD",
  "ca-central-1": "Z1QDHH18159H29",
  "eu-central-1": "Z21DNDUVLTQW6Q",
  "eu-north-1": "Z3BAZG2TWCNX0D",
  "eu-west-1": "Z1BKCTXD74EZPE",
  "eu-west-2": "Z3GKZC51ZF0DB4",
  "eu-west-3": "Z3R1K369G5AVDG",
  "sa-east-1": "Z7KQH4QJS55SO",
  "us-east-1": "Z3AQBSTGFJSTF",
  "us-east-2": "Z2O1EMRO9K5GLX",
  "us-west-1": "Z2F56UZL2M1ACD",
  "us-west-2": "Z3BJ6K6RIION7M",
};

const CORS_METHODS = ["DELETE", "GET", "HEAD", "POST", "PUT"];
const OWNERSHIPS = ["BucketOwnerEnforced"];

/** A bucket and what is put on it, each as its own resource. */
export function bucketResources(storage: Storage): Record<string, ResourceType> {
  return {
    "aws:s3/bucket:Bucket": bucketType(storage),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": satellite(storage, {
      inputs: ["blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"],
      configuration: (inputs) => ({ publicAccessBlock: accessBlock(inputs) }),
      without: { publicAccessBlock: undefined },
      outputs: accessBlock,
    }),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": satellite(storage, {
      inputs: ["rule.objectOwnership"],
      configuration: ({ rule }) => ({ ownership: oneOf("rule.objectOwnership", rule?.objectOwnership, OWNERSHIPS) }),
      without: { ownership: undefined },
    }),
    "aws:s3/bucketPolicy:BucketPolicy": satellite(storage, {
      inputs: ["policy"],
      configuration({ bucket, policy }) {
        const document = bucketPolicy(policy, storage.arn(bucket));
        if (isPublic(document) && storage.bucket(bucket).configuration.publicAccessBlock?.blockPublicPolicy)
          throw accessDenied("The policy is public, and the bucket's public access block (blockPublicPolicy) refuses public policies.");
        return { policy: document };
      },
      without: { policy: undefined },
      outputs: ({ policy }) => ({ policy: typeof policy === "string" ? policy : JSON.stringify(policy) }),
    }),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": satellite(storage, {
      inputs: ["rules[].applyServerSideEncryptionByDefault.sseAlgorithm"],
      configuration({ rules }) {
        const algorithm = rules?.[0]?.applyServerSideEncryptionByDefault?.sseAlgorithm;
        return { encryption: { algorithm: oneOf("rules[].applyServerSideEncryptionByDefault.sseAlgorithm", algorithm, ["AES256"]) } };
      },
      without: { encryption: undefined },
      outputs: ({ rules }) => ({
        rules: rules.map((rule: Properties) => ({ blockedEncryptionTypes: [], bucketKeyEnabled: false, ...rule })),
      }),
    }),
    "aws:s3/bucketVersioning:BucketVersioning": satellite(storage, {
      inputs: ["versioningConfiguration.status"],
      configuration: ({ versioningConfiguration }) => ({
        versioning: oneOf("versioningConfiguration.status", versioningConfiguration?.status, ["Enabled", "Suspended"]) as "Enabled",
      }),
      // S3 cannot go back to a bucket that never kept versions.
      without: { versioning: "Suspended" },
    }),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": satellite(storage, {
      inputs: [
        ...["id", "status", "prefix", "filter", "abortIncompleteMultipartUpload", "noncurrentVersionExpiration.noncurrentDays"].map(
          (input) => `rules[].${input}`,
        ),
        ...["days", "date", "expiredObjectDeleteMarker"].map((input) => `rules[].expiration.${input}`),
      ],
      configuration: ({ rules = [] }) => ({ lifecycle: rules.map(lifecycleRule) }),
      without: { lifecycle: undefined },
      outputs: () => ({ expectedBucketOwner: "", transitionDefaultMinimumObjectSize: "all_storage_classes_128K" }),
    }),
    "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration": satellite(storage, {
      inputs: ["corsRules"],
      configuration: ({ corsRules = [] }) => ({ cors: corsRules.map(corsRule) }),
      without: { cors: undefined },
    }),
    "aws:s3/bucketNotification:BucketNotification": satellite(storage, {
      inputs: ["eventbridge"],
      configuration: ({ eventbridge }) => ({ eventBridge: eventbridge ? true : undefined }),
      without: { eventBridge: undefined },
    }),
  };
}

/** What a program may ask about buckets that it has not made. */
export const bucketFunctions = (storage: Storage): Record<string, (args: Properties) => Promise<Properties>> => ({
  "aws:s3/getBucket:getBucket": async ({ bucket }) => {
    storage.bucket(bucket);
    return { id: bucket, ...addresses(storage, bucket), region: storage.cloud.region, websiteDomain: "", websiteEndpoint: "" };
  },
  "aws:s3/getBucketNotification:getBucketNotification": async ({ bucket }) => ({
    id: bucket,
    bucket,
    region: storage.cloud.region,
    eventbridge: storage.bucket(bucket).configuration.eventBridge ?? false,
    lambdaFunctions: [],
    queues: [],
    topics: [],
  }),
});

function bucketType(storage: Storage): ResourceType {
  const outputs = ({ bucket, forceDestroy = false, tags }: Properties): Properties => ({
    ...addresses(storage, bucket),
    accelerationStatus: "",
    acl: "private",
    bucketNamespace: "global",
    bucketPrefix: "",
    corsRules: [],
    forceDestroy,
    grants: [{ id: storage.cloud.account, permissions: ["FULL_CONTROL"], type: "CanonicalUser", uri: "" }],
    lifecycleRules: [],
    objectLockEnabled: false,
    policy: "",
    requestPayer: "BucketOwner",
    // Every bucket has it, whatever is declared.
    serverSideEncryptionConfiguration: {
      rule: { applyServerSideEncryptionByDefault: { kmsMasterKeyId: "", sseAlgorithm: "AES256" }, bucketKeyEnabled: false },
    },
    tags: tags ?? {},
    versioning: { enabled: false, mfaDelete: false },
    websiteDomain: "",
    websiteEndpoint: "",
  });
  return {
    inputs: ["bucket", "forceDestroy", "tags"],
    replacedBy: ["bucket"],
    named: { input: "bucket", maxLength: 63 },
    async create(inputs) {
      createBucket(storage, inputs.bucket);
      storage.store.configure(inputs.bucket, { tags: inputs.tags });
      return { id: inputs.bucket, outputs: outputs(inputs) };
    },
    async update(id, inputs) {
      storage.bucket(id);
      storage.store.configure(id, { tags: inputs.tags });
      return outputs(inputs);
    },
    async delete({ id, inputs }) {
      if (storage.store.bucket(id)) await deleteBucket(storage, id, { force: inputs.forceDestroy === true });
    },
    async restore({ id, inputs }) {
      storage.bucket(id);
      return outputs({ ...inputs, bucket: id });
    },
  };
}

interface Satellite {
  /** Beside `bucket`. */
  inputs: readonly string[];
  /** What it puts on the bucket. @throws CloudError for what S3 would refuse */
  configuration(inputs: Properties): BucketConfiguration | { [Member in keyof BucketConfiguration]: undefined };
  /** What is left when it goes. */
  without: { [Member in keyof BucketConfiguration]: BucketConfiguration[Member] | undefined };
  /** Beyond the inputs. */
  outputs?(inputs: Properties): Properties;
}

/** A resource that is one part of a bucket's configuration; the bucket's name is its id. */
function satellite(storage: Storage, { inputs: claimed, configuration, without, outputs }: Satellite): ResourceType {
  const put = (inputs: Properties): Properties => {
    storage.bucket(inputs.bucket);
    storage.store.configure(inputs.bucket, configuration(inputs));
    return { ...inputs, ...outputs?.(inputs) };
  };
  return {
    inputs: ["bucket", ...claimed],
    replacedBy: ["bucket"],
    create: async (inputs) => ({ id: inputs.bucket, outputs: put(inputs) }),
    update: async (_id, inputs) => put(inputs),
    async delete({ id }: Resource) {
      if (storage.store.bucket(id)) storage.store.configure(id, without);
    },
    async restore({ id, inputs }) {
      if (!storage.store.bucket(id)) throw noSuchBucket(id);
      return put(inputs);
    },
  };
}

function addresses({ cloud }: Storage, bucket: string): Properties {
  const suffix = cloud.partition === "aws-cn" ? "amazonaws.com.cn" : "amazonaws.com";
  return {
    arn: `arn:${cloud.partition}:s3:::${bucket}`,
    bucket,
    bucketDomainName: `${bucket}.s3.${suffix}`,
    bucketRegion: cloud.region,
    bucketRegionalDomainName: `${bucket}.s3.${cloud.region}.${suffix}`,
    hostedZoneId: HOSTED_ZONES[cloud.region] ?? "",
  };
}

const accessBlock = (inputs: Properties): PublicAccessBlock => ({
  blockPublicAcls: inputs.blockPublicAcls ?? false,
  blockPublicPolicy: inputs.blockPublicPolicy ?? false,
  ignorePublicAcls: inputs.ignorePublicAcls ?? false,
  restrictPublicBuckets: inputs.restrictPublicBuckets ?? false,
});

function lifecycleRule(rule: Properties): LifecycleRule {
  const { id, status, prefix, filter = {}, expiration, abortIncompleteMultipartUpload, noncurrentVersionExpiration } = rule;
  oneOf(`status of the lifecycle rule "${id}"`, status, ["Disabled", "Enabled"]);
  const { and = {}, tag } = filter as Properties;
  const tags = { ...and.tags, ...(tag && { [tag.key]: tag.value }) };
  const members = {
    prefix: and.prefix ?? filter.prefix ?? prefix,
    greaterThan: and.objectSizeGreaterThan ?? filter.objectSizeGreaterThan,
    lessThan: and.objectSizeLessThan ?? filter.objectSizeLessThan,
    ...(Object.keys(tags).length > 0 && { tags }),
  };
  const days = wholeDays(id, "expiration.days", expiration?.days);
  const abortUploadsAfter = wholeDays(
    id,
    "abortIncompleteMultipartUpload.daysAfterInitiation",
    abortIncompleteMultipartUpload?.daysAfterInitiation,
  );
  const replacedExpireAfter = wholeDays(id, "noncurrentVersionExpiration.noncurrentDays", noncurrentVersionExpiration?.noncurrentDays);
  const expiresMarks = expiration?.expiredObjectDeleteMarker === true;
  if (expiresMarks && (days !== undefined || expiration.date))
    throw new CloudError("MalformedXML", `The lifecycle rule "${id}" has both expiration.expiredObjectDeleteMarker and days or a date.`);
  if (days === undefined && !expiration?.date && !expiresMarks && abortUploadsAfter === undefined && replacedExpireAfter === undefined)
    throw new CloudError("InvalidRequest", `At least one action needs to be specified in the lifecycle rule "${id}".`);
  if (days !== undefined && expiration.date)
    throw new CloudError("MalformedXML", `The lifecycle rule "${id}" has both expiration.days and expiration.date.`);
  return {
    id,
    enabled: status === "Enabled",
    filter: Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined && value !== null)),
    ...(days !== undefined ? { expiration: { days } } : expiration?.date && { expiration: { date: expiration.date } }),
    ...(expiresMarks && { expiresMarks }),
    ...(replacedExpireAfter !== undefined && { replacedExpireAfter }),
    ...(abortUploadsAfter !== undefined && { abortUploadsAfter }),
  };
}

function wholeDays(rule: string, name: string, value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Number.isInteger(value) || (value as number) < 1)
    throw new CloudError(
      "InvalidArgument",
      `${name} of the lifecycle rule "${rule}" is ${JSON.stringify(value)}: it must be a positive whole number of days.`,
    );
  return value as number;
}

function corsRule({ id, allowedMethods, allowedOrigins, allowedHeaders, exposeHeaders, maxAgeSeconds }: Properties): CorsRule {
  for (const method of allowedMethods)
    if (!CORS_METHODS.includes(method))
      throw new CloudError(
        "InvalidRequest",
        `Found unsupported HTTP method in CORS config. Unsupported method is ${method}: allowed are ${CORS_METHODS.join(", ")}.`,
      );
  for (const origin of [...allowedOrigins, ...(allowedHeaders ?? [])])
    if (origin.split("*").length > 2)
      throw new CloudError("InvalidRequest", `${JSON.stringify(origin)} in the CORS configuration has more than one wildcard.`);
  return {
    allowedMethods,
    allowedOrigins,
    ...(id && { id }),
    ...(allowedHeaders && { allowedHeaders }),
    ...(exposeHeaders && { exposeHeaders }),
    ...(maxAgeSeconds !== undefined && { maxAgeSeconds }),
  };
}

function oneOf(name: string, value: unknown, allowed: readonly string[]): string {
  if (typeof value === "string" && allowed.includes(value)) return value;
  throw new CloudError("InvalidArgument", `${name} is ${JSON.stringify(value)}: the embedded cloud honours ${allowed.join(", ")}.`);
}
