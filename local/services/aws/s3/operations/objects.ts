import type { CallContext, Operation, Permission, Properties } from "../../../../kernel/service.js";
import { CloudError } from "../../../../kernel/service.js";
import { CHECKSUM_MEMBERS, verifyBody } from "../checksums.js";
import { invalidRequest, malformedXml, noSuchKey, notImplemented } from "../errors.js";
import {
  checkSupported,
  checkTags,
  describe,
  headOf,
  parseCopySource,
  requireChecksum,
  stored,
  tagsFromQuery,
  writeContext,
} from "../members.js";
import { checkPostPolicy, type PostForm } from "../post-form.js";
import { checkCopySource, checkRead, checkWrite, parseRange } from "../preconditions.js";
import { type Cause, checkKey, type Storage } from "../storage.js";
import type { StoredObject } from "../store.js";

const DELETE_LIMIT = 1_000;

/** Reading, writing, copying and deleting of objects, and their tags. */
export function objectOperations(storage: Storage): Record<string, Operation> {
  const permission = (action: string, { Bucket, Key, VersionId }: Properties, context?: Record<string, string>): Permission => {
    storage.bucket(Bucket);
    // To see, tag or delete a version by its id is a permission of its own.
    const of = VersionId === undefined ? action : action.replace(/^(GetObject|DeleteObject|PutObject)(?=$|Tagging)/, "$1Version");
    const told = { ...context, ...(VersionId !== undefined && { "s3:VersionId": String(VersionId) }) };
    return { action: `s3:${of}`, resource: storage.arn(Bucket, Key), ...(Object.keys(told).length > 0 && { context: told }) };
  };
  /** Whoever may not list a bucket is not told either that a key is missing. */
  const knowing = (bucket: string, key: string): Permission[] =>
    storage.object(bucket, key) ? [] : [{ action: "s3:ListBucket", resource: storage.arn(bucket) }];
  const reading = (action: string, input: Properties): Permission[] => [permission(action, input), ...knowing(input.Bucket, input.Key)];
  const writing = (input: Properties): Permission[] => [
    permission("PutObject", input, writeContext(input)),
    ...(input.Tagging === undefined ? [] : [permission("PutObjectTagging", input, writeContext(input))]),
    ...(input.IfMatch === undefined ? [] : [permission("GetObject", input)]),
  ];
  const existing = ({ Bucket, Key, VersionId }: Properties): StoredObject => {
    if (VersionId !== undefined) {
      const version = storage.version(Bucket, Key, String(VersionId));
      if (version.isDeletion)
        throw new CloudError("MethodNotAllowed", "The specified method is not allowed against this resource.", 405, {
          headers: { "x-amz-delete-marker": "true", "x-amz-version-id": VersionId },
        });
      return version;
    }
    const object = storage.object(Bucket, Key);
    if (object) return object;
    const [mark] = storage.store.versions(Bucket, Key);
    const headers = { "x-amz-delete-marker": "true", "x-amz-version-id": mark?.versionId ?? "null" };
    const error = noSuchKey(Key);
    throw mark ? new CloudError(error.code, error.message, error.status, { ...error.details, headers }) : error;
  };
  /** What is said of an object can be changed of the newest version only. */
  const newest = (input: Properties): StoredObject => {
    const object = existing(input);
    if (storage.object(input.Bucket, input.Key) !== object) throw notImplemented("tags of a version that has been replaced");
    return object;
  };

  const read = async (input: Properties, { principal }: CallContext, withBody: boolean): Promise<Properties> => {
    const bucket = storage.bucketFor(input.Bucket, principal);
    const object = existing(input);
    checkRead(object, input);
    const range = parseRange(input.Range, object.size);
    const { start, end } = range ?? { start: 0, end: object.size };
    const body = withBody ? storage.store.read(input.Bucket, object, start, end) : undefined;
    return {
      ...headOf(object, bucket),
      ...overrides(input, principal.kind === "anonymous"),
      ...(input.ChecksumMode === "ENABLED" && !range && object.checksums),
      ContentLength: end - start,
      ...(range && { ContentRange: `bytes ${start}-${end - 1}/${object.size}` }),
      ...(body && { Body: await body }),
    };
  };

  const write = async (input: Properties, context: CallContext, reason: Cause["reason"]): Promise<Properties> => {
    const { Bucket, Key } = input;
    const bucket = storage.bucketFor(Bucket, context.principal);
    checkKey(Key);
    const allowed = checkWrite(Key, input);
    const body = asBuffer(input.Body);
    const checksums = await verifyBody(body, input);
    const description = describe(input, checksums);
    const object = storage.put(Bucket, Key, await storage.store.stage(Bucket, body), description, causeOf(context, reason), allowed);
    return { ETag: `"${object.etag}"`, ...checksums, ...stored(object, bucket) };
  };

  const operations: Record<string, Operation> = {
    GetObject: {
      needs: (input) => reading("GetObject", input),
      handle: (input, context) => read(input, context, true),
    },
    HeadObject: {
      needs: (input) => reading("GetObject", input),
      handle: (input, context) => read(input, context, false),
    },
    PutObject: {
      needs: writing,
      handle: (input, context) => write(input, context, "PutObject"),
    },
    PostObject: {
      needs: writing,
      async handle(input, context) {
        const form = input.Form as PostForm;
        checkPostPolicy(form, input.Bucket, context.cloud.now());
        const output = await write(input, context, "POST Object");
        return { ...output, Bucket: input.Bucket, Key: input.Key, Location: location(context.cloud.url, input), Success: form.success };
      },
    },
    CopyObject: {
      needs(input) {
        const source = parseCopySource(input.CopySource);
        const from = { Bucket: source.bucket, Key: source.key, ...(source.version !== undefined && { VersionId: source.version }) };
        const copiesTags =
          input.TaggingDirective !== "REPLACE" && Object.keys(storage.object(source.bucket, source.key)?.tags ?? {}).length > 0;
        return [
          ...reading("GetObject", from),
          ...(copiesTags ? [permission("GetObjectTagging", from), permission("PutObjectTagging", input)] : []),
          permission("PutObject", input, { ...writeContext(input), "s3:x-amz-copy-source": `/${source.bucket}/${source.key}` }),
          ...(input.Tagging === undefined ? [] : [permission("PutObjectTagging", input, writeContext(input))]),
        ];
      },
      async handle(input, context) {
        const { Bucket, Key } = input;
        const from = parseCopySource(input.CopySource);
        const bucket = storage.bucketFor(Bucket, context.principal);
        checkKey(Key);
        const allowed = checkWrite(Key, input);
        const { version } = from;
        const source = existing({ Bucket: from.bucket, Key: from.key, ...(version !== undefined && { VersionId: version }) });
        checkCopySource(source, input);
        const replaces = input.MetadataDirective === "REPLACE";
        if (from.bucket === Bucket && from.key === Key && version === undefined && !replaces)
          throw invalidRequest(
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, " +
              "storage class, website redirect location or encryption attributes.",
          );
        const { headers, metadata } = replaces ? describe(input, {}) : source;
        const tags = input.TaggingDirective === "REPLACE" ? tagsFromQuery(input.Tagging) : source.tags;
        const checksums = source.checksums.ChecksumType === "COMPOSITE" ? {} : source.checksums;
        const staged = await storage.store.stage(Bucket, await storage.store.read(from.bucket, source));
        const object = storage.put(Bucket, Key, staged, { headers, metadata, tags, checksums }, causeOf(context, "CopyObject"), allowed);
        return {
          CopyObjectResult: { ETag: `"${object.etag}"`, LastModified: object.modifiedAt, ...checksums },
          ...(version !== undefined && { CopySourceVersionId: version }),
          ...stored(object, bucket),
        };
      },
    },
    DeleteObject: {
      needs: (input) => [permission("DeleteObject", input), ...(input.IfMatch === undefined ? [] : [permission("GetObject", input)])],
      async handle(input, context) {
        const { Bucket, Key, VersionId, IfMatch } = input;
        storage.bucketFor(Bucket, context.principal);
        const cause = causeOf(context, "DeleteObject");
        if (VersionId === undefined) {
          const mark = storage.remove(Bucket, Key, cause, checkWrite(Key, { IfMatch }));
          return mark ? { DeleteMarker: true, VersionId: mark.versionId ?? "null" } : {};
        }
        const { versioning } = storage.bucket(Bucket).configuration;
        if (!versioning && VersionId === "null") storage.remove(Bucket, Key, cause, checkWrite(Key, { IfMatch }));
        if (!versioning) return {};
        const version = storage.store.versions(Bucket, Key).find(({ versionId = "null" }) => versionId === VersionId);
        if (version) storage.removeVersion(Bucket, version, cause);
        return { VersionId, ...(version?.isDeletion && { DeleteMarker: true }) };
      },
    },
    DeleteObjects: {
      // Each key is asked for by itself, and a refusal is a line in the answer.
      needs({ Bucket }) {
        storage.bucket(Bucket);
        return [];
      },
      async handle(input, { cloud, principal }) {
        const { Objects = [], Quiet = false }: Properties = input.Delete ?? {};
        if (Objects.length === 0 || Objects.length > DELETE_LIMIT) throw malformedXml();
        if (input.Body !== undefined) {
          requireChecksum(input);
          await verifyBody(input.Body, input);
        }
        const Deleted: Properties[] = [];
        const Errors: Properties[] = [];
        for (const { Key, VersionId, ETag } of Objects as Properties[]) {
          if (typeof Key !== "string" || Key === "") throw malformedXml();
          const one = { Bucket: input.Bucket, Key, ...(VersionId && { VersionId }), ...(ETag && { IfMatch: ETag }) };
          try {
            const { DeleteMarker, VersionId: id } = await cloud.call({
              service: "s3",
              operation: "DeleteObject",
              input: one,
              as: principal,
            });
            // Of a deletion that was marked, the id is the mark's; of a version that is gone, its own.
            const marked = DeleteMarker && { DeleteMarker, DeleteMarkerVersionId: id };
            Deleted.push({ Key, ...(VersionId && { VersionId }), ...marked });
          } catch (error) {
            if (!(error instanceof CloudError)) throw error;
            Errors.push({ Key, Code: error.code, Message: error.message });
          }
        }
        return { ...(!Quiet && { Deleted }), Errors };
      },
    },
    GetObjectTagging: {
      needs: (input) => reading("GetObjectTagging", input),
      async handle(input, { principal }) {
        storage.bucketFor(input.Bucket, principal);
        return { TagSet: Object.entries(existing(input).tags).map(([Key, Value]) => ({ Key, Value })) };
      },
    },
    PutObjectTagging: {
      needs: (input) => reading("PutObjectTagging", input),
      async handle(input, { principal }) {
        storage.bucketFor(input.Bucket, principal);
        if (input.Body !== undefined) await verifyBody(input.Body, input);
        const tags = checkTags(input.Tagging?.TagSet ?? []);
        storage.store.describe(input.Bucket, newest(input).key, { tags });
        return {};
      },
    },
    DeleteObjectTagging: {
      needs: (input) => reading("DeleteObjectTagging", input),
      async handle(input, { principal }) {
        storage.bucketFor(input.Bucket, principal);
        storage.store.describe(input.Bucket, newest(input).key, { tags: {} });
        return {};
      },
    },
  };
  return Object.fromEntries(Object.entries(operations).map(([name, operation]) => [name, supported(operation)]));
}

/** An operation that refuses members which it would otherwise ignore, before anything is asked. */
export const supported = ({ needs, handle }: Operation): Operation => ({
  needs(input, cloud) {
    checkSupported(input);
    return needs(input, cloud);
  },
  handle,
});

/** Who did it: services by their name, everybody else by the account. */
export const causeOf = ({ principal, requestId, cloud }: CallContext, reason: Cause["reason"]): Cause => ({
  reason,
  requestId,
  requester: principal.kind === "service" ? principal.service : principal.kind === "anonymous" ? "Anonymous" : cloud.account,
});

export const location = (url: string, { Bucket, Key }: Properties): string =>
  `${url}/${Bucket}/${Key.split("/").map(encodeURIComponent).join("/")}`;

/** Bodies of in-process calls may be text. */
export function asBuffer(body: unknown): Buffer {
  if (Buffer.isBuffer(body)) return body;
  if (body === undefined) return Buffer.alloc(0);
  if (typeof body === "string") return Buffer.from(body);
  if (body instanceof Uint8Array) return Buffer.from(body);
  throw invalidRequest("Body must be bytes or text.");
}

/** `response-content-type` and the like, which a presigned URL may carry. */
function overrides(input: Properties, anonymous: boolean): Properties {
  const members = ["CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires"];
  const given = members.filter((member) => input[`Response${member}`] !== undefined);
  if (anonymous && given.length > 0) throw invalidRequest("Request specific response headers cannot be used for anonymous GET requests.");
  return Object.fromEntries(given.map((member) => [member, input[`Response${member}`]]));
}

/** Checksums among the members of a request. */
export const givenChecksums = (input: Properties): Record<string, string> =>
  Object.fromEntries(CHECKSUM_MEMBERS.filter((member) => input[member] !== undefined).map((member) => [member, String(input[member])]));
