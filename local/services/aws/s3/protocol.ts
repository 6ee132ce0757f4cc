import { createHash } from "node:crypto";
import type { Authority } from "../../../kernel/aws/authority.js";
import { readXml, writeXml, type XmlContent } from "../../../kernel/aws/protocols/xml.js";
import { signingName } from "../../../kernel/aws/sigv4.js";
import type { Cloud } from "../../../kernel/cloud.js";
import type { HttpRequest, HttpResponse } from "../../../kernel/http.js";
import { CloudError, type Properties, type Protocol } from "../../../kernel/service.js";
import { unchunk } from "./aws-chunked.js";
import { corsHeaders } from "./cors.js";
import { accessDenied, invalidArgument, malformedXml, notImplemented } from "./errors.js";
import { identifyForm, isForm, type PostForm, readForm } from "./post-form.js";
import { httpDate } from "./preconditions.js";
import { routeOf } from "./routes.js";
import type { Storage } from "./storage.js";

const NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/";

/** Headers by SDK member name, in requests and responses alike. Presigned URLs may carry those that begin with `x-amz-` in their query. */
const HEADERS: Record<string, string> = {
  "accept-ranges": "AcceptRanges",
  "cache-control": "CacheControl",
  "content-disposition": "ContentDisposition",
  "content-encoding": "ContentEncoding",
  "content-language": "ContentLanguage",
  "content-length": "ContentLength",
  "content-md5": "ContentMD5",
  "content-range": "ContentRange",
  "content-type": "ContentType",
  etag: "ETag",
  expires: "Expires",
  "if-match": "IfMatch",
  "if-modified-since": "IfModifiedSince",
  "if-none-match": "IfNoneMatch",
  "if-unmodified-since": "IfUnmodifiedSince",
  "last-modified": "LastModified",
  location: "Location",
  range: "Range",
  "x-amz-acl": "ACL",
  "x-amz-bucket-arn": "BucketArn",
  "x-amz-bucket-region": "BucketRegion",
  "x-amz-checksum-algorithm": "ChecksumAlgorithm",
  "x-amz-checksum-crc32": "ChecksumCRC32",
  "x-amz-checksum-crc32c": "ChecksumCRC32C",
  "x-amz-checksum-crc64nvme": "ChecksumCRC64NVME",
  "x-amz-checksum-mode": "ChecksumMode",
  "x-amz-checksum-sha1": "ChecksumSHA1",
  "x-amz-checksum-sha256": "ChecksumSHA256",
  "x-amz-checksum-type": "ChecksumType",
  "x-amz-copy-source": "CopySource",
  "x-amz-copy-source-version-id": "CopySourceVersionId",
  "x-amz-copy-source-if-match": "CopySourceIfMatch",
  "x-amz-copy-source-if-modified-since": "CopySourceIfModifiedSince",
  "x-amz-copy-source-if-none-match": "CopySourceIfNoneMatch",
  "x-amz-copy-source-if-unmodified-since": "CopySourceIfUnmodifiedSince",
  "x-amz-copy-source-server-side-encryption-customer-algorithm": "CopySourceSSECustomerAlgorithm",
  "x-amz-delete-marker": "DeleteMarker",
  "x-amz-expiration": "Expiration",
  "x-amz-grant-full-control": "GrantFullControl",
  "x-amz-grant-read": "GrantRead",
  "x-amz-grant-read-acp": "GrantReadACP",
  "x-amz-grant-write-acp": "GrantWriteACP",
  "x-amz-metadata-directive": "MetadataDirective",
  "x-amz-mfa": "MFA",
  "x-amz-object-lock-legal-hold": "ObjectLockLegalHoldStatus",
  "x-amz-object-lock-mode": "ObjectLockMode",
  "x-amz-object-lock-retain-until-date": "ObjectLockRetainUntilDate",
  "x-amz-sdk-checksum-algorithm": "ChecksumAlgorithm",
  "x-amz-server-side-encryption": "ServerSideEncryption",
  "x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
  "x-amz-server-side-encryption-bucket-key-enabled": "BucketKeyEnabled",
  "x-amz-server-side-encryption-context": "SSEKMSEncryptionContext",
  "x-amz-server-side-encryption-customer-algorithm": "SSECustomerAlgorithm",
  "x-amz-storage-class": "StorageClass",
  "x-amz-tagging": "Tagging",
  "x-amz-tagging-count": "TagCount",
  "x-amz-tagging-directive": "TaggingDirective",
  "x-amz-version-id": "VersionId",
  "x-amz-website-redirect-location": "WebsiteRedirectLocation",
  "x-amz-write-offset-bytes": "WriteOffsetBytes",
};
const HEADER_OF = Object.fromEntries(
  Object.entries(HEADERS)
    .filter(([header]) => header !== "x-amz-sdk-checksum-algorithm")
    .map(([header, member]) => [member, header]),
);

/** Query parameters by SDK member name. */
const QUERY: Record<string, string> = {
  "continuation-token": "ContinuationToken",
  delimiter: "Delimiter",
  "encoding-type": "EncodingType",
  "key-marker": "KeyMarker",
  marker: "Marker",
  "max-keys": "MaxKeys",
  "max-parts": "MaxParts",
  "part-number-marker": "PartNumberMarker",
  partNumber: "PartNumber",
  prefix: "Prefix",
  "response-cache-control": "ResponseCacheControl",
  "response-content-disposition": "ResponseContentDisposition",
  "response-content-encoding": "ResponseContentEncoding",
  "response-content-language": "ResponseContentLanguage",
  "response-content-type": "ResponseContentType",
  "response-expires": "ResponseExpires",
  "start-after": "StartAfter",
  uploadId: "UploadId",
  versionId: "VersionId",
  "version-id-marker": "VersionIdMarker",
};

/** Operations whose body is XML: the member it becomes, and its elements that are lists, by the names that the SDK gives them. */
const XML_INPUTS: Record<string, { member: string; root: string; lists: Record<string, string> }> = {
  CompleteMultipartUpload: { member: "MultipartUpload", root: "CompleteMultipartUpload", lists: { Part: "Parts" } },
  CreateBucket: { member: "CreateBucketConfiguration", root: "CreateBucketConfiguration", lists: {} },
  DeleteObjects: { member: "Delete", root: "Delete", lists: { Object: "Objects" } },
  PutBucketNotificationConfiguration: { member: "NotificationConfiguration", root: "NotificationConfiguration", lists: {} },
  PutObjectTagging: { member: "Tagging", root: "Tagging", lists: {} },
};
/** Operations whose body is the object's content. */
const BYTES = new Set(["PutObject", "UploadPart"]);

/** Operations that answer with XML: its root, and what becomes of the output's members. Lists repeat their element without a wrapper. */
const XML_OUTPUTS: Record<string, (output: Properties) => { root: string; content: XmlContent }> = {
  CompleteMultipartUpload: (output) => ({
    root: "CompleteMultipartUploadResult",
    content: without(output, "ServerSideEncryption", "Expiration", "VersionId"),
  }),
  CopyObject: ({ CopyObjectResult }) => ({ root: "CopyObjectResult", content: CopyObjectResult }),
  CreateMultipartUpload: ({ Bucket, Key, UploadId }) => ({ root: "InitiateMultipartUploadResult", content: { Bucket, Key, UploadId } }),
  DeleteObjects: ({ Deleted, Errors }) => ({ root: "DeleteResult", content: { Deleted, Error: Errors } }),
  GetBucketLocation: ({ LocationConstraint }) => ({
    root: "LocationConstraint",
    content: { "@xmlns": NAMESPACE, "#text": LocationConstraint },
  }),
  GetBucketNotificationConfiguration: (output) => ({ root: "NotificationConfiguration", content: output }),
  GetBucketVersioning: (output) => ({ root: "VersioningConfiguration", content: output }),
  GetObjectTagging: ({ TagSet }) => ({ root: "Tagging", content: { TagSet: { Tag: TagSet } } }),
  ListBuckets: ({ Buckets, Owner }) => ({ root: "ListAllMyBucketsResult", content: { Owner, Buckets: { Bucket: Buckets } } }),
  ListMultipartUploads: ({ Uploads, ...rest }) => ({ root: "ListMultipartUploadsResult", content: { ...rest, Upload: Uploads } }),
  ListObjectVersions: ({ Versions, DeleteMarkers, ...rest }) => ({
    root: "ListVersionsResult",
    content: { ...rest, Version: Versions, DeleteMarker: DeleteMarkers },
  }),
  ListObjects: (output) => ({ root: "ListBucketResult", content: output }),
  ListObjectsV2: (output) => ({ root: "ListBucketResult", content: output }),
  ListParts: ({ Parts, ...rest }) => ({ root: "ListPartsResult", content: { ...rest, Part: Parts } }),
};
const EMPTY_STATUS: Record<string, number> = { AbortMultipartUpload: 204, DeleteBucket: 204, DeleteObject: 204, DeleteObjectTagging: 204 };

/** S3's REST with XML, path-style: `/BUCKET/KEY`. */
export function s3Protocol(storage: Storage): Protocol {
  const forms = new WeakMap<HttpRequest, PostForm>();
  const formOf = async (request: HttpRequest): Promise<PostForm> => {
    const form = forms.get(request) ?? (await readForm(request));
    forms.set(request, form);
    return form;
  };
  const crossOrigin = (request: HttpRequest): Record<string, string> => {
    if (request.method === "OPTIONS") return {};
    const { bucket } = addressOf(request);
    return corsHeaders(storage.store.bucket(bucket ?? "")?.configuration.cors, request.method, request.headers.origin);
  };
  const respond = (request: HttpRequest, requestId: string, response: HttpResponse): HttpResponse => ({
    ...response,
    headers: {
      "x-amz-request-id": requestId,
      "x-amz-id-2": hostId(requestId),
      server: "AmazonS3",
      ...crossOrigin(request),
      ...response.headers,
    },
  });

  return {
    claims(request) {
      const named = signingName(request);
      if (named !== undefined) return named === "s3";
      if (request.headers.authorization !== undefined || request.headers["x-amz-target"] !== undefined) return false;
      // What is not signed, or only by its form, is known by the bucket that it is about.
      const { bucket } = addressOf(request);
      return bucket !== undefined && storage.store.bucket(bucket) !== undefined;
    },

    async identify(request, cloud) {
      if (request.method === "OPTIONS") return { kind: "anonymous" };
      if (!isForm(request)) return undefined;
      const form = await formOf(request);
      const { authority } = cloud as Cloud & { authority: Authority };
      return identifyForm(form, authority);
    },

    async decode(request, cloud) {
      const { bucket, key } = addressOf(request);
      const headers = withHoisted(request);
      checkOwner(headers, cloud.account);
      if (request.method === "OPTIONS") return { operation: "Preflight", input: { Bucket: bucket, Key: key, Headers: headers } };
      if (isForm(request) && bucket !== undefined && key === undefined) {
        const form = await formOf(request);
        return { operation: "PostObject", input: { ...fieldsOf(form), Bucket: bucket, Key: form.key, Body: form.file, Form: form } };
      }
      const operation = routeOf(request.method, { bucket, key }, request.url.searchParams, headers);
      const { body, trailers } = bodyOf(request);
      const input: Properties = { ...membersOf({ ...headers, ...trailers }), ...queryOf(request.url.searchParams) };
      if (bucket !== undefined) input.Bucket = bucket;
      if (key !== undefined) input.Key = key;
      if (BYTES.has(operation)) input.Body = body;
      const xml = XML_INPUTS[operation];
      if (xml) {
        input.Body = body;
        if (body.length > 0 || operation !== "CreateBucket") input[xml.member] = parseXml(body, xml);
      }
      return { operation, input };
    },

    encode(operation, output, request, requestId) {
      if (operation === "Preflight") return respond(request, requestId, { status: 200, headers: output.Headers });
      if (operation === "PostObject") return respond(request, requestId, postResponse(output));
      const headers = headersOf(operation, output);
      const xml = XML_OUTPUTS[operation]?.(output);
      if (xml) {
        const body = writeXml(xml.root, xml.content, { namespace: NAMESPACE });
        return respond(request, requestId, { status: 200, headers: { ...headers, "content-type": "application/xml" }, body });
      }
      const status = output.ContentRange === undefined ? (EMPTY_STATUS[operation] ?? 200) : 206;
      return respond(request, requestId, { status, headers, ...(Buffer.isBuffer(output.Body) && { body: output.Body }) });
    },

    encodeError(error, request, requestId) {
      const { headers = {}, ...details } = error.details;
      if (error.status === 304 || request.method === "HEAD") return respond(request, requestId, { status: error.status, headers });
      const [Resource] = request.target.split("?");
      const content = { Code: error.code, Message: error.message, ...details, Resource, RequestId: requestId, HostId: hostId(requestId) };
      return respond(request, requestId, {
        status: error.status,
        headers: { ...headers, "content-type": "application/xml" },
        body: writeXml("Error", content),
      });
    },
  };
}

/** Bucket and key of a path-style address. Not by {@link URL}, which would resolve dots that are part of keys. */
function addressOf({ target }: HttpRequest): { bucket?: string; key?: string } {
  const path = target.replace(/^https?:\/\/[^/]+/, "").replace(/\?.*$/s, "");
  const [, bucket = "", rest = ""] = /^\/([^/]*)(?:\/(.*))?$/s.exec(path) ?? [];
  const decoded = (text: string): string => {
    try {
      return decodeURIComponent(text);
    } catch {
      throw new CloudError("InvalidURI", "Couldn't parse the specified URI.", 400, { URI: path });
    }
  };
  return { ...(bucket && { bucket: decoded(bucket) }), ...(rest && { key: decoded(rest) }) };
}

/** Headers together with those that a presigned URL carries in its query. */
function withHoisted({ headers, url }: HttpRequest): Record<string, string> {
  const hoisted = [...url.searchParams]
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => name.startsWith("x-amz-"));
  return { ...Object.fromEntries(hoisted), ...headers };
}

function membersOf(headers: Record<string, string>): Properties {
  const input: Properties = {};
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const member = HEADERS[name];
    if (member) input[member] = value;
    else if (name.startsWith("x-amz-meta-")) metadata[name.slice("x-amz-meta-".length)] = value;
    else if (name.startsWith("x-amz-checksum-")) throw notImplemented(`checksums as ${name}`);
  }
  if (Object.keys(metadata).length > 0) input.Metadata = metadata;
  const encoding = String(input.ContentEncoding ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "aws-chunked");
  if (input.ContentEncoding !== undefined) input.ContentEncoding = encoding.join(",") || undefined;
  return input;
}

/** The members of a write by form. Conditions on what is there are not among them: S3 documents none for forms. */
function fieldsOf({ fields }: PostForm): Properties {
  const { acl, tagging, ...others } = Object.fromEntries(fields);
  if (tagging !== undefined) throw notImplemented("tagging by form");
  const { IfMatch, IfNoneMatch, ...members } = membersOf({ ...others, ...(acl !== undefined && { "x-amz-acl": acl }) });
  return members;
}

function queryOf(query: URLSearchParams): Properties {
  const input: Properties = {};
  for (const [name, value] of query) if (QUERY[name]) input[QUERY[name]] = value;
  return input;
}

/** The content that was sent, out of its chunks. */
function bodyOf({ body, headers }: HttpRequest): { body: Buffer; trailers: Record<string, string> } {
  const declared = headers["x-amz-content-sha256"] ?? "";
  if (declared.startsWith("STREAMING-AWS4")) throw notImplemented(`chunks that are signed one by one (${declared})`);
  if (declared.startsWith("STREAMING-") || /\baws-chunked\b/.test(headers["content-encoding"] ?? ""))
    return announcedTrailers(unchunk(body, headers["x-amz-decoded-content-length"]), headers["x-amz-trailer"]);
  // A presigned request may declare its content too, and the kernel has only looked at signed headers.
  if (/^[0-9a-f]{64}$/.test(declared) && createHash("sha256").update(body).digest("hex") !== declared)
    throw new CloudError("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.");
  return { body, trailers: {} };
}

function announcedTrailers(sent: { body: Buffer; trailers: Record<string, string> }, announced: string | undefined) {
  for (const name of (announced ?? "")
    .split(",")
    .map((part) => part.trim().toLowerCase())
    .filter(Boolean))
    if (sent.trailers[name] === undefined)
      throw new CloudError("MalformedTrailerError", `The request contained trailing data that was not well-formed: ${name} is missing.`);
  return sent;
}

function parseXml(body: Buffer, { root, lists }: { root: string; lists: Record<string, string> }): Properties {
  let document: { root: string; content: Properties | string };
  try {
    document = readXml(body.toString("utf8"));
  } catch {
    throw malformedXml();
  }
  if (document.root !== root) throw malformedXml();
  const content: Properties = typeof document.content === "object" ? { ...document.content } : {};
  for (const [element, member] of Object.entries(lists)) {
    content[member] = listOf(content[element]);
    delete content[element];
  }
  if (root === "Delete") content.Quiet = content.Quiet === "true";
  if (root === "Tagging") content.TagSet = listOf(content.TagSet?.Tag);
  return content;
}

const listOf = (value: unknown): unknown[] => (value === undefined || value === "" ? [] : Array.isArray(value) ? value : [value]);

function headersOf(operation: string, output: Properties): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [member, value] of Object.entries(output)) {
    const header = HEADER_OF[member];
    // Operations that answer with XML say the rest there.
    const inBody =
      XML_OUTPUTS[operation] &&
      !/^x-amz-(server-side-encryption|expiration|version-id|copy-source-version-id|checksum-(algorithm|type))$/.test(header ?? "");
    if (!header || value === undefined || inBody) continue;
    headers[header] = member === "LastModified" ? httpDate(value) : String(value);
  }
  for (const [name, value] of Object.entries(output.Metadata ?? {})) headers[`x-amz-meta-${name}`] = String(value);
  return headers;
}

function postResponse({ Success, Location, Bucket, Key, ETag }: Properties): HttpResponse {
  const success = Success as PostForm["success"];
  if ("redirect" in success) {
    const url = new URL(success.redirect);
    for (const [name, value] of Object.entries({ bucket: Bucket, key: Key, etag: ETag })) url.searchParams.set(name, value);
    return { status: 303, headers: { location: url.href, etag: ETag } };
  }
  const headers = { etag: ETag, location: Location };
  if (success.status !== 201) return { status: success.status, headers };
  return {
    status: 201,
    headers: { ...headers, "content-type": "application/xml" },
    body: writeXml("PostResponse", { Location, Bucket, Key, ETag }),
  };
}

function checkOwner(headers: Record<string, string>, account: string): void {
  for (const name of ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"]) {
    const expected = headers[name];
    if (expected === undefined || expected === account) continue;
    if (!/^\d{12}$/.test(expected))
      throw invalidArgument("The value of the expected bucket owner parameter must be an AWS account ID", name, expected);
    throw accessDenied();
  }
}

const without = (output: Properties, ...members: string[]): XmlContent =>
  Object.fromEntries(Object.entries(output).filter(([member]) => !members.includes(member))) as XmlContent;

const hostId = (requestId: string): string => createHash("sha256").update(requestId).digest("base64");
