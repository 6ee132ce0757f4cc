import { CloudError } from "../../../kernel/service.js";
import { notImplemented } from "./errors.js";

/** Method, what is addressed, the query parameter (or header) that marks it, and the operation. Marked ones come before unmarked ones. */
const ROUTES: readonly [method: string, scope: "account" | "bucket" | "object", marks: readonly string[], operation: string][] = [
  ["GET", "account", [], "ListBuckets"],
  ["GET", "bucket", ["location"], "GetBucketLocation"],
  ["GET", "bucket", ["notification"], "GetBucketNotificationConfiguration"],
  ["GET", "bucket", ["versioning"], "GetBucketVersioning"],
  ["GET", "bucket", ["versions"], "ListObjectVersions"],
  ["GET", "bucket", ["uploads"], "ListMultipartUploads"],
  ["GET", "bucket", ["list-type"], "ListObjectsV2"],
  ["GET", "bucket", [], "ListObjects"],
  ["HEAD", "bucket", [], "HeadBucket"],
  ["PUT", "bucket", ["notification"], "PutBucketNotificationConfiguration"],
  ["PUT", "bucket", [], "CreateBucket"],
  ["POST", "bucket", ["delete"], "DeleteObjects"],
  ["DELETE", "bucket", [], "DeleteBucket"],
  ["GET", "object", ["uploadId"], "ListParts"],
  ["GET", "object", ["tagging"], "GetObjectTagging"],
  ["GET", "object", [], "GetObject"],
  ["HEAD", "object", [], "HeadObject"],
  ["PUT", "object", ["partNumber", "uploadId"], "UploadPart"],
  ["PUT", "object", ["tagging"], "PutObjectTagging"],
  ["PUT", "object", ["header:x-amz-copy-source"], "CopyObject"],
  ["PUT", "object", [], "PutObject"],
  ["POST", "object", ["uploads"], "CreateMultipartUpload"],
  ["POST", "object", ["uploadId"], "CompleteMultipartUpload"],
  ["DELETE", "object", ["uploadId"], "AbortMultipartUpload"],
  ["DELETE", "object", ["tagging"], "DeleteObjectTagging"],
  ["DELETE", "object", [], "DeleteObject"],
];

/** Query parameters that turn a request into another operation. One that no route has must not be taken for the plain request. */
const SUBRESOURCES = new Set(
  `abac accelerate acl analytics attributes cors delete encryption intelligent-tiering inventory legal-hold lifecycle list-type location
   logging metadataConfiguration metadataTable metrics notification object-lock ownershipControls partNumber policy policyStatus
   publicAccessBlock renameObject replication requestPayment restore retention select session tagging torrent uploadId uploads versioning
   versions website`.split(/\s+/),
);

/** The operation that a request asks for. @throws CloudError NotImplemented, MethodNotAllowed */
export function routeOf(
  method: string,
  { bucket, key }: { bucket?: string | undefined; key?: string | undefined },
  query: URLSearchParams,
  headers: Record<string, string>,
): string {
  const scope = bucket === undefined ? "account" : key === undefined ? "bucket" : "object";
  const marked = (mark: string) => (mark.startsWith("header:") ? headers[mark.slice(7)] !== undefined : query.has(mark));
  const route = ROUTES.find(([verb, of, marks]) => verb === method && of === scope && marks.every(marked));
  const unmet = [...query.keys()].find((name) => SUBRESOURCES.has(name) && !route?.[2].includes(name));
  if (unmet !== undefined) throw notImplemented(`${method} ?${unmet} of ${scope === "object" ? "an object" : `a ${scope}`}`);
  if (route?.[3] === "UploadPart" && headers["x-amz-copy-source"] !== undefined) throw notImplemented("UploadPartCopy");
  if (!route)
    throw new CloudError("MethodNotAllowed", "The specified method is not allowed against this resource.", 405, { Method: method });
  return route[3];
}
