import { createHash } from "node:crypto";
import { InvalidArgument } from "./errors.js";

/** What Pulumi's autonaming adds to a logical name: a hyphen and seven hex digits. */
const SUFFIX = 8;

/**
 * The physical name to declare for a logical one: `undefined` where autonaming gives one that fits, which is the rule. A name that would be
 * too long is cut, and carries a hash of all of it, so that two long names never become one.
 */
export function fitting(logical: string, maxLength: number): string | undefined {
  return logical.length + SUFFIX <= maxLength ? undefined : hashed(logical, maxLength, logical);
}

/**
 * A name that is written out because autonaming cannot give it (a fixed prefix, as in `/aws/vendedlogs/…`). It carries a hash of everything
 * that makes it unique: give project, stack and logical name.
 *
 * @example physicalName("/aws/vendedlogs/apis/photos-access", 512, pulumi.getProject(), pulumi.getStack()) // …/photos-access-5f0e7c2
 */
export function physicalName(name: string, maxLength: number, ...unique: string[]): string {
  return hashed(name, maxLength, [...unique, name].join("\0"));
}

function hashed(name: string, maxLength: number, all: string): string {
  const hash = createHash("sha256")
    .update(all)
    .digest("hex")
    .slice(0, SUFFIX - 1);
  return `${name.slice(0, maxLength - SUFFIX).replace(/[^A-Za-z0-9]+$/, "")}-${hash}`;
}

/** Longest name of a pipeline: with the longest child and autonaming's suffix it still fits every cloud's names. */
export const MAX_PIPELINE_NAME = 24;

/** @throws InvalidArgument unless `name` can begin the names of buckets, functions and tables. */
export function checkPipelineName(name: string): void {
  if (!new RegExp(`^[a-z](?:[a-z0-9]|-(?!-)){0,${MAX_PIPELINE_NAME - 1}}$`).test(name) || name.endsWith("-")) {
    throw new InvalidArgument(
      "the pipeline's name",
      name,
      `1 to ${MAX_PIPELINE_NAME} lower-case letters, digits and single hyphens, beginning with a letter`,
    );
  }
  if (/^(xn--|sthree-|amzn-s3-demo-)/.test(name))
    throw new InvalidArgument("the pipeline's name", name, "free of the prefixes that S3 reserves");
}
