import * as s3 from "@pulumi/aws/s3/index.js";
import * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";
import { fitting } from "../core/naming.js";
import { kept, type StoreOptions, tagged } from "../core/options.js";
import { tlsOnly } from "./policy.js";

/** Options of {@link Bucket}. */
export interface BucketArgs extends StoreOptions {
  /**
   * Whether EventBridge is told what happens to the objects.
   * @default false
   */
  events?: boolean;

  /** Objects to remove by themselves: prefix of their keys → days. */
  expire?: Record<string, number>;

  /**
   * Days in which objects that were overwritten or deleted can be had back, as versions.
   * @default the bucket keeps no versions
   */
  recovery?: number | undefined;

  /** Changes to the resources underneath. */
  transform?:
    | {
        bucket?: Transform<s3.BucketArgs>;
        publicAccess?: Transform<s3.BucketPublicAccessBlockArgs>;
        ownership?: Transform<s3.BucketOwnershipControlsArgs>;
        policy?: Transform<s3.BucketPolicyArgs>;
        encryption?: Transform<s3.BucketServerSideEncryptionConfigurationArgs>;
        versioning?: Transform<s3.BucketVersioningArgs>;
        lifecycle?: Transform<s3.BucketLifecycleConfigurationArgs>;
        notification?: Transform<s3.BucketNotificationArgs>;
        cors?: Transform<s3.BucketCorsConfigurationArgs>;
      }
    | undefined;
}

const CHILDREN = [
  ...(["bucket", "publicAccess", "ownership", "policy", "encryption", "versioning"] as const),
  ...(["lifecycle", "notification", "cors"] as const),
] as const;

/**
 * A private bucket: reached by TLS only, encrypted, owned by its account alone, without leftovers of broken uploads, and without versions unless
 * what is gone is to be recoverable.
 *
 * @example
 * const thumbnails = new Bucket("photos-thumbnails", { expire: { "labels/": 1 } });
 */
export class Bucket extends Component<(typeof CHILDREN)[number]> {
  /** Physical name. */
  readonly bucket: pulumi.Output<string>;
  readonly arn: pulumi.Output<string>;

  /** The resources underneath. */
  readonly nodes: {
    bucket: s3.Bucket;
    publicAccess: s3.BucketPublicAccessBlock;
    ownership: s3.BucketOwnershipControls;
    policy: s3.BucketPolicy;
    encryption: s3.BucketServerSideEncryptionConfiguration;
    /** Only with `recovery`. */
    versioning?: s3.BucketVersioning;
    lifecycle: s3.BucketLifecycleConfiguration;
    notification?: s3.BucketNotification;
    cors?: s3.BucketCorsConfiguration;
  };

  constructor(
    name: string,
    private readonly args: BucketArgs = {},
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("aws:Bucket", name, { children: CHILDREN, transform: args.transform }, opts);
    const main = this.createBucket();
    const { bucket, arn } = main;

    // One after the other: S3 refuses changes of a new bucket that come at the same time (409 OperationAborted).
    const publicAccess = this.create(
      "publicAccess",
      s3.BucketPublicAccessBlock,
      { bucket, blockPublicAcls: true, blockPublicPolicy: true, ignorePublicAcls: true, restrictPublicBuckets: true },
      kept(args),
    );
    const ownership = this.create(
      "ownership",
      s3.BucketOwnershipControls,
      { bucket, rule: { objectOwnership: "BucketOwnerEnforced" } },
      { ...kept(args), dependsOn: publicAccess },
    );
    const policy = this.create(
      "policy",
      s3.BucketPolicy,
      { bucket, policy: tlsOnly("s3:*", [arn, pulumi.interpolate`${arn}/*`]) },
      { ...kept(args), dependsOn: ownership },
    );
    const encryption = this.create(
      "encryption",
      s3.BucketServerSideEncryptionConfiguration,
      { bucket, rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }] },
      { ...kept(args), dependsOn: policy },
    );
    const versioning =
      args.recovery === undefined
        ? undefined
        : this.create(
            "versioning",
            s3.BucketVersioning,
            { bucket, versioningConfiguration: { status: "Enabled" } },
            { ...kept(args), dependsOn: encryption },
          );
    const lifecycle = this.create(
      "lifecycle",
      s3.BucketLifecycleConfiguration,
      { bucket, rules: lifecycleRules(args) },
      { ...kept(args), dependsOn: versioning ?? encryption },
    );
    this.nodes = { bucket: main, publicAccess, ownership, policy, encryption, ...(versioning && { versioning }), lifecycle };
    if (args.events) {
      this.nodes.notification = this.create(
        "notification",
        s3.BucketNotification,
        { bucket, eventbridge: true },
        { ...kept(args), dependsOn: lifecycle },
      );
    }

    this.bucket = bucket;
    this.arn = arn;
    this.registerOutputs({ bucket, arn });
  }

  /** Lets pages of these origins upload with the tickets that they were given. Once, with all of them. */
  openTo(origins: pulumi.Input<string>[]): void {
    this.nodes.cors = this.create(
      "cors",
      s3.BucketCorsConfiguration,
      {
        bucket: this.bucket,
        corsRules: [
          {
            allowedMethods: ["PUT", "POST"],
            allowedOrigins: origins,
            // What a ticket asks for.
            allowedHeaders: ["content-type", "if-none-match", "x-amz-meta-user"],
            exposeHeaders: ["ETag"],
            maxAgeSeconds: 3_600,
          },
        ],
      },
      { ...kept(this.args), dependsOn: this.nodes.notification ?? this.nodes.lifecycle },
    );
  }

  private createBucket(): s3.Bucket {
    const name = fitting(`${this.name}-bucket`, 63);
    return this.create(
      "bucket",
      s3.Bucket,
      { ...(name && { bucket: name }), forceDestroy: this.args.removal !== "retain", ...tagged(this.args) },
      kept(this.args),
    );
  }
}

function lifecycleRules({ expire = {}, recovery }: BucketArgs): s3.BucketLifecycleConfigurationArgs["rules"] {
  const expiring = Object.entries(expire).map(([prefix, days]) => ({
    id: prefix.replaceAll("/", ""),
    status: "Enabled",
    filter: { prefix },
    expiration: { days },
  }));
  const replaced = (noncurrentDays: number) => ({
    id: "replaced-versions",
    status: "Enabled",
    filter: {},
    noncurrentVersionExpiration: { noncurrentDays },
    // The mark of a deletion goes once it hides no version any more.
    expiration: { expiredObjectDeleteMarker: true },
  });
  return [
    { id: "broken-uploads", status: "Enabled", filter: {}, abortIncompleteMultipartUpload: { daysAfterInitiation: 1 } },
    ...expiring,
    ...(recovery === undefined ? [] : [replaced(recovery)]),
  ];
}
