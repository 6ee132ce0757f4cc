import * as aws from "@pulumi/aws/getPartition.js";
import * as s3 from "@pulumi/aws/s3/index.js";
import * as pulumi from "@pulumi/pulumi";
import { Component } from "../core/component.js";
import { InvalidArgument, ProgramError } from "../core/errors.js";

/** An adopted bucket does not tell EventBridge what happens in it, so that no image would ever be processed. */
export class EventBridgeDisabled extends ProgramError {
  readonly code = "EVENTBRIDGE_DISABLED";

  constructor(component: string, bucket: string) {
    super(
      `${component}: the bucket ${bucket} does not send its events to EventBridge: enable EventBridge on it ` +
        "(Properties → Event notifications → Amazon EventBridge, or `eventbridge: true` on its aws.s3.BucketNotification). " +
        "The pipeline does not do it, because that would replace the notifications that the bucket has.",
    );
  }
}

/**
 * A bucket that is there and belongs to somebody else. Nothing of its configuration is touched: its owner keeps notifications, policy, CORS
 * and lifecycle. That it sends events to EventBridge is checked at every `pulumi up`.
 */
export class ExistingBucket extends Component {
  /** Physical name. */
  readonly bucket: pulumi.Output<string>;
  readonly arn: pulumi.Output<string>;
  readonly nodes = {};

  constructor(name: string, { bucket }: { bucket: pulumi.Input<string> }, opts?: pulumi.ComponentResourceOptions) {
    if (typeof bucket === "string" && !isBucketName(bucket)) {
      throw new InvalidArgument(
        `${name}: source.existing`,
        bucket,
        "the name of an S3 bucket: 3 to 63 lower-case letters, digits, hyphens and dots",
      );
    }
    super("aws:ExistingBucket", name, { children: [] }, opts);
    const { eventbridge } = s3.getBucketNotificationOutput({ bucket }, { parent: this });
    this.bucket = pulumi.all([bucket, eventbridge]).apply(([bucket, enabled]) => {
      if (!enabled) throw new EventBridgeDisabled(name, bucket);
      return bucket;
    });
    this.arn = pulumi.interpolate`arn:${aws.getPartitionOutput({}, { parent: this }).partition}:s3:::${this.bucket}`;
    this.registerOutputs({ bucket: this.bucket, arn: this.arn });
  }

  /** Tells the owner what browsers need; uploads through the API and by other clients work without it. */
  openTo(origins: pulumi.Input<string>[]): void {
    pulumi
      .all([this.bucket, ...origins])
      .apply(([bucket, ...origins]) =>
        pulumi.log.info(
          `${bucket} is not ours to configure. For uploads from a browser by ticket, its CORS configuration has to allow PUT and POST ` +
            `with the headers content-type, if-none-match and x-amz-meta-user from ${origins.join(", ")}.`,
          this,
        ),
      );
  }
}

/** Whether S3 gives such a name to a general-purpose bucket. */
export function isBucketName(name: string): boolean {
  return (
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) &&
    !/\.\.|^\d+\.\d+\.\d+\.\d+$/.test(name) &&
    !/^(xn--|sthree-|amzn-s3-demo-)|(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$/.test(name)
  );
}
