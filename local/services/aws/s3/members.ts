import { CloudError, type Properties } from "../../../kernel/service.js";
import { CHECKSUM_MEMBERS } from "./checksums.js";
import { invalidArgument, invalidRequest, notImplemented } from "./errors.js";
import { expiry } from "./lifecycle.js";
import { httpDate } from "./preconditions.js";
import type { Bucket, Description, StoredObject } from "./store.js";

/** Headers that S3 keeps with an object and gives back with it, by SDK member name. */
const KEPT = ["CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires"];
const METADATA_LIMIT = 2_048;

/** What the writer says of an object. @throws CloudError MetadataTooLarge, InvalidTag */
export function describe(input: Properties, checksums: Record<string, string>): Description {
  const headers: Record<string, string> = { ContentType: "binary/octet-stream" };
  for (const member of KEPT) if (input[member]) headers[member] = String(input[member]);
  const metadata = Object.fromEntries(Object.entries(input.Metadata ?? {}).map(([name, value]) => [name.toLowerCase(), String(value)]));
  const size = Object.entries(metadata).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value), 0);
  if (size > METADATA_LIMIT)
    throw new CloudError("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size", 400, {
      Size: size,
      MaxSizeAllowed: METADATA_LIMIT,
    });
  return { headers, metadata, tags: tagsFromQuery(input.Tagging), checksums };
}

/** What S3 says of an object with its head. */
export function headOf(object: StoredObject, bucket: Bucket): Properties {
  const tags = Object.keys(object.tags).length;
  return {
    ...object.headers,
    AcceptRanges: "bytes",
    ETag: `"${object.etag}"`,
    LastModified: object.modifiedAt,
    Metadata: object.metadata,
    ...stored(object, bucket),
    ...(tags > 0 && { TagCount: tags }),
  };
}

/** What S3 says of how it keeps an object. */
export function stored(object: StoredObject, { configuration }: Bucket): Properties {
  const goes = expiry(object, configuration.lifecycle);
  return {
    ServerSideEncryption: "AES256",
    ...(configuration.versioning && { VersionId: object.versionId ?? "null" }),
    ...(goes && { Expiration: `expiry-date="${httpDate(new Date(goes.at).toISOString())}", rule-id="${encodeURIComponent(goes.rule)}"` }),
  };
}

/** Condition keys of a write that policies may ask for. */
export const writeContext = (input: Properties): Record<string, string> => ({
  ...(input.ServerSideEncryption && { "s3:x-amz-server-side-encryption": String(input.ServerSideEncryption) }),
  ...(input.IfNoneMatch && { "s3:if-none-match": String(input.IfNoneMatch) }),
  ...(input.IfMatch && { "s3:if-match": String(input.IfMatch) }),
  ...Object.fromEntries(Object.entries(tagsFromQuery(input.Tagging)).map(([name, value]) => [`s3:RequestObjectTag/${name}`, value])),
});

/** Members that ask for what this S3 has not got; `undefined` is the one value that each may have, or a list of those. */
const UNSUPPORTED: Record<string, readonly string[]> = {
  ...Object.fromEntries(
    [
      ...[
        "BucketKeyEnabled",
        "CopySourceSSECustomerAlgorithm",
        "MFA",
        "ObjectLockLegalHoldStatus",
        "ObjectLockMode",
        "ObjectLockRetainUntilDate",
      ],
      ...["SSECustomerAlgorithm", "SSEKMSEncryptionContext", "SSEKMSKeyId", "WebsiteRedirectLocation", "WriteOffsetBytes"],
    ].map((member) => [member, []]),
  ),
  ServerSideEncryption: ["AES256"],
  StorageClass: ["STANDARD"],
};
const ACL = ["ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP"];

/** Refuses what would otherwise be silently ignored. @throws CloudError NotImplemented, AccessControlListNotSupported */
export function checkSupported(input: Properties): void {
  for (const [member, allowed] of Object.entries(UNSUPPORTED)) {
    const value = input[member];
    if (value !== undefined && !allowed.includes(String(value)))
      throw notImplemented(`${member} "${value}"${allowed.length > 0 ? ` (emulated: ${allowed.join(", ")})` : ""}`);
  }
  for (const member of ACL)
    if (input[member] !== undefined && input[member] !== "bucket-owner-full-control" && !(member === "ACL" && input[member] === "private"))
      throw new CloudError("AccessControlListNotSupported", "The bucket does not allow ACLs");
}

/** `a=1&b=2`, as the header `x-amz-tagging` has it. */
export function tagsFromQuery(tagging: unknown): Record<string, string> {
  if (tagging === undefined) return {};
  return checkTags([...new URLSearchParams(String(tagging))].map(([Key, Value]) => ({ Key, Value })));
}

/** @throws CloudError InvalidTag, BadRequest */
export function checkTags(tags: readonly { Key?: unknown; Value?: unknown }[]): Record<string, string> {
  if (tags.length > 10) throw new CloudError("BadRequest", "Object tags cannot be greater than 10");
  const checked: Record<string, string> = {};
  for (const { Key, Value = "" } of tags) {
    if (typeof Key !== "string" || Key === "" || Key.length > 128)
      throw new CloudError("InvalidTag", "The TagKey you have provided is invalid");
    if (String(Value).length > 256) throw new CloudError("InvalidTag", "The TagValue you have provided is invalid");
    if (Key in checked) throw new CloudError("InvalidTag", "Cannot provide multiple Tags with the same key");
    checked[Key] = String(Value);
  }
  return checked;
}

/** `bucket/key` of a copy's source, which is percent-encoded. @throws CloudError InvalidArgument */
export function parseCopySource(source: unknown): { bucket: string; key: string; version?: string } {
  const [encoded = "", version] = String(source).split("?versionId=");
  const [, bucket, key] = /^\/?([^/]+)\/(.+)$/s.exec(decoded(encoded)) ?? [];
  if (!bucket || !key)
    throw invalidArgument("Copy Source must mention the source bucket and key: sourcebucket/sourcekey", "x-amz-copy-source", source);
  return { bucket, key, ...(version !== undefined && { version }) };
}

/** Empty when it is not encoded rightly. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/** A whole number within bounds, from a header, a query or an in-process call. @throws CloudError InvalidArgument */
export function wholeNumber(
  value: unknown,
  name: string,
  { from, to, otherwise }: { from: number; to: number; otherwise: number },
): number {
  if (value === undefined) return otherwise;
  const number = Number(value);
  if (!Number.isInteger(number) || number < from)
    throw invalidArgument(`Argument ${name} must be an integer between ${from} and ${to}`, name, value);
  return Math.min(number, to);
}

/** @throws CloudError InvalidRequest when nothing says what the body should be */
export function requireChecksum(input: Properties): void {
  if (input.ContentMD5 === undefined && !CHECKSUM_MEMBERS.some((member) => input[member] !== undefined))
    throw invalidRequest("Missing required header for this request: Content-MD5 OR x-amz-checksum-*");
}
