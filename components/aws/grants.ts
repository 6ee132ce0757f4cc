import { type Input, interpolate, type Output } from "@pulumi/pulumi";
import type { Statement } from "./policy.js";

/** `actions` on the objects of a bucket whose keys begin with `prefix`. */
export function onObjects(actions: `s3:${string}`[], bucket: { arn: Input<string> }, prefix: string): Statement {
  // An object's key is only known when it comes.
  return { Action: actions, Resource: interpolate`${bucket.arn}/${prefix}*` };
}

/** To be told 404 of an object that is not there: without it, S3 answers 403. */
export function onMissing(...buckets: { arn: Input<string> }[]): Statement {
  return { Action: "s3:ListBucket", Resource: buckets.map(({ arn }) => arn) };
}

/** `actions` on a table. */
export function onTable(actions: `dynamodb:${string}`[], table: { arn: Output<string> }): Statement {
  return { Action: actions, Resource: table.arn };
}

/** To query a table's indexes. */
export function onIndexes(...indexes: Output<string>[]): Statement {
  return { Action: "dynamodb:Query", Resource: indexes };
}
