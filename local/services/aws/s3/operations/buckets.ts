import { CloudError, type Operation, type Permission, type Properties } from "../../../../kernel/service.js";
import { preflight } from "../cors.js";
import { invalidArgument, notImplemented } from "../errors.js";
import { wholeNumber } from "../members.js";
import type { Storage } from "../storage.js";
import type { StoredObject } from "../store.js";
import { supported } from "./objects.js";

const PAGE = 1_000;
const LISTING = { from: 0, to: PAGE, otherwise: PAGE };

/** Buckets themselves, and the listing of what they hold. */
export function bucketOperations(storage: Storage): Record<string, Operation> {
  const onBucket = (action: string, { Bucket }: Properties, context?: Record<string, string>): Permission[] => {
    storage.bucket(Bucket);
    return [{ action: `s3:${action}`, resource: storage.arn(Bucket), ...(context && { context }) }];
  };
  const listing = (input: Properties): Permission[] =>
    onBucket("ListBucket", input, {
      ...(input.Prefix !== undefined && { "s3:prefix": String(input.Prefix) }),
      ...(input.Delimiter !== undefined && { "s3:delimiter": String(input.Delimiter) }),
      ...(input.MaxKeys !== undefined && { "s3:max-keys": String(input.MaxKeys) }),
    });
  const list = (input: Properties, after: { key: string; skips?: boolean }) => {
    storage.expire(input.Bucket);
    const { Bucket, Prefix = "", Delimiter = "" } = input;
    const most = wholeNumber(input.MaxKeys, "max-keys", LISTING);
    const page = select(storage.store.keys(Bucket), { prefix: Prefix, delimiter: Delimiter, after, most });
    const encode = input.EncodingType === "url" ? encodeKey : (key: string) => key;
    if (input.EncodingType !== undefined && input.EncodingType !== "url")
      throw invalidArgument("Invalid Encoding Method specified in Request", "encoding-type", input.EncodingType);
    return {
      page,
      encode,
      common: {
        Name: Bucket,
        Prefix: encode(Prefix),
        ...(Delimiter && { Delimiter: encode(Delimiter) }),
        ...(input.EncodingType && { EncodingType: input.EncodingType }),
        MaxKeys: most,
        IsTruncated: page.next !== undefined,
        Contents: page.keys.map((key) => ({ Key: encode(key), ...line(storage.store.object(Bucket, key) as StoredObject) })),
        CommonPrefixes: page.prefixes.map((prefix) => ({ Prefix: encode(prefix) })),
      },
    };
  };

  const operations: Record<string, Operation> = {
    ListBuckets: {
      needs: () => [{ action: "s3:ListAllMyBuckets", resource: "*" }],
      handle: async (_input, { cloud }) => ({
        Buckets: storage.store.buckets().map(({ name, createdAt }) => ({ Name: name, CreationDate: createdAt })),
        Owner: { ID: cloud.account },
      }),
    },
    CreateBucket: {
      needs: ({ Bucket }) => [{ action: "s3:CreateBucket", resource: storage.arn(Bucket) }],
      async handle({ Bucket, CreateBucketConfiguration }, { cloud }) {
        const region = CreateBucketConfiguration?.LocationConstraint || "us-east-1";
        if (region !== cloud.region)
          throw new CloudError(
            "IllegalLocationConstraintException",
            `The ${region} location constraint is incompatible for the region specific endpoint this request was sent to.`,
          );
        createBucket(storage, Bucket);
        return { Location: `/${Bucket}` };
      },
    },
    HeadBucket: {
      needs: (input) => onBucket("ListBucket", input),
      async handle({ Bucket }, { cloud, principal }) {
        storage.bucketFor(Bucket, principal);
        return { BucketArn: storage.arn(Bucket), BucketRegion: cloud.region };
      },
    },
    DeleteBucket: {
      needs: (input) => onBucket("DeleteBucket", input),
      async handle({ Bucket }) {
        await deleteBucket(storage, Bucket);
        return {};
      },
    },
    GetBucketLocation: {
      needs: (input) => onBucket("GetBucketLocation", input),
      handle: async (_input, { cloud }) => ({ LocationConstraint: cloud.region === "us-east-1" ? "" : cloud.region }),
    },
    GetBucketNotificationConfiguration: {
      needs: (input) => onBucket("GetBucketNotification", input),
      handle: async ({ Bucket }) => (storage.bucket(Bucket).configuration.eventBridge ? { EventBridgeConfiguration: {} } : {}),
    },
    PutBucketNotificationConfiguration: {
      needs: (input) => onBucket("PutBucketNotification", input),
      async handle({ Bucket, NotificationConfiguration = {} }) {
        const { EventBridgeConfiguration, ...others } = NotificationConfiguration as Properties;
        const [other] = Object.keys(others);
        if (other) throw notImplemented(`${other} among a bucket's notifications (emulated: EventBridgeConfiguration)`);
        storage.store.configure(Bucket, { eventBridge: EventBridgeConfiguration !== undefined ? true : undefined });
        return {};
      },
    },
    ListObjectsV2: {
      needs: listing,
      async handle(input, { principal }) {
        storage.bucketFor(input.Bucket, principal);
        const { page, encode, common } = list(
          input,
          input.ContinuationToken ? openToken(input.ContinuationToken) : { key: input.StartAfter ?? "" },
        );
        return {
          ...common,
          KeyCount: page.keys.length + page.prefixes.length,
          ...(input.StartAfter && { StartAfter: encode(input.StartAfter) }),
          ...(input.ContinuationToken && { ContinuationToken: input.ContinuationToken }),
          ...(page.next && { NextContinuationToken: closeToken(page.next) }),
        };
      },
    },
    ListObjects: {
      needs: listing,
      async handle(input, { principal }) {
        storage.bucketFor(input.Bucket, principal);
        const marker = input.Marker ?? "";
        const skips = Boolean(input.Delimiter) && marker.endsWith(input.Delimiter);
        const { page, encode, common } = list(input, { key: marker, skips });
        return { ...common, Marker: encode(marker), ...(page.next && input.Delimiter && { NextMarker: encode(page.next.key) }) };
      },
    },
    GetBucketVersioning: {
      needs: (input) => onBucket("GetBucketVersioning", input),
      async handle({ Bucket }) {
        const { versioning } = storage.bucket(Bucket).configuration;
        return versioning ? { Status: versioning } : {};
      },
    },
    /** All on one page, as long as that is one. */
    ListObjectVersions: {
      needs: (input) => onBucket("ListBucketVersions", input, { ...(input.Prefix !== undefined && { "s3:prefix": String(input.Prefix) }) }),
      async handle(input, { principal }) {
        const { Bucket, Prefix = "" } = input;
        storage.bucketFor(Bucket, principal);
        for (const name of ["Delimiter", "KeyMarker", "VersionIdMarker", "EncodingType"])
          if (input[name] && !(name === "EncodingType" && input[name] === "url")) throw notImplemented(`${name} of ListObjectVersions`);
        storage.expire(Bucket);
        const encode = input.EncodingType === "url" ? encodeKey : (key: string) => key;
        const keys = [...new Set([...storage.store.keys(Bucket), ...storage.store.replacedKeys(Bucket)])];
        const found = keys
          .filter((key) => key.startsWith(Prefix))
          .sort(compare)
          .flatMap((key) => storage.store.versions(Bucket, key).map((version, index) => ({ version, IsLatest: index === 0 })));
        if (found.length > wholeNumber(input.MaxKeys, "max-keys", LISTING)) throw notImplemented("a second page of ListObjectVersions");
        const common = ({ version: { key, versionId = "null", modifiedAt }, IsLatest }: (typeof found)[number]) => ({
          Key: encode(key),
          VersionId: versionId,
          IsLatest,
          LastModified: modifiedAt,
        });
        return {
          Name: Bucket,
          Prefix: encode(Prefix),
          ...(input.EncodingType && { EncodingType: input.EncodingType }),
          MaxKeys: PAGE,
          IsTruncated: false,
          Versions: found.flatMap((each) => (each.version.isDeletion ? [] : [{ ...line(each.version), ...common(each) }])),
          DeleteMarkers: found.filter(({ version }) => version.isDeletion).map(common),
        };
      },
    },
    ListMultipartUploads: {
      needs: (input) => onBucket("ListBucketMultipartUploads", input),
      async handle({ Bucket, Prefix = "" }, { principal }) {
        storage.bucketFor(Bucket, principal);
        storage.expire(Bucket);
        const uploads = storage.store.uploads(Bucket).filter(({ key }) => key.startsWith(Prefix));
        return {
          Bucket,
          Prefix,
          IsTruncated: false,
          MaxUploads: PAGE,
          Uploads: uploads.map(({ id, key, startedAt }) => ({ Key: key, UploadId: id, Initiated: startedAt, StorageClass: "STANDARD" })),
        };
      },
    },
    /** A browser's question before it asks in earnest; not an operation of the API, but a request all the same. */
    Preflight: {
      needs: () => [],
      handle: async ({ Bucket, Key, Headers }) => ({
        Headers: preflight(storage.bucket(Bucket).configuration.cors, Headers, Key === undefined ? "BUCKET" : "OBJECT"),
      }),
    },
  };
  return Object.fromEntries(Object.entries(operations).map(([name, operation]) => [name, supported(operation)]));
}

/** @throws CloudError InvalidBucketName, BucketAlreadyOwnedByYou */
export function createBucket(storage: Storage, name: string): void {
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) || /\.\.|^\d+\.\d+\.\d+\.\d+$|^xn--|-s3alias$|--ol-s3$|--x-s3$/.test(name))
    throw new CloudError("InvalidBucketName", "The specified bucket is not valid.", 400, { BucketName: name });
  if (storage.store.bucket(name))
    throw new CloudError(
      "BucketAlreadyOwnedByYou",
      "Your previous request to create the named bucket succeeded and you already own it.",
      409,
      { BucketName: name },
    );
  storage.store.createBucket(name);
}

/** @throws CloudError BucketNotEmpty, unless all that it holds is to go too */
export async function deleteBucket(storage: Storage, name: string, { force = false } = {}): Promise<void> {
  storage.expire(name);
  if (!force && storage.store.count(name) > 0)
    throw new CloudError("BucketNotEmpty", "The bucket you tried to delete is not empty", 409, { BucketName: name });
  await storage.store.deleteBucket(name);
}

interface Selection {
  keys: string[];
  prefixes: string[];
  /** Where the next page begins; absent on the last. */
  next?: { key: string; skips: boolean };
}

/** One page of a listing: keys after `after.key`, those with the delimiter after the prefix rolled up. With `skips`, `after.key` is such a roll. */
function select(
  keys: readonly string[],
  { prefix, delimiter, after, most }: { prefix: string; delimiter: string; after: { key: string; skips?: boolean }; most: number },
): Selection {
  const found: Selection = { keys: [], prefixes: [] };
  let last: { key: string; skips: boolean } | undefined;
  if (most === 0) return found;
  for (const key of keys) {
    if (!key.startsWith(prefix) || (after.key && compare(key, after.key) <= 0) || (after.skips && key.startsWith(after.key))) continue;
    if (last?.skips && key.startsWith(last.key)) continue;
    if (found.keys.length + found.prefixes.length === most) return { ...found, ...(last && { next: last }) };
    const cut = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
    const rolled = cut < 0 ? undefined : key.slice(0, cut + delimiter.length);
    if (rolled === undefined) found.keys.push(key);
    else found.prefixes.push(rolled);
    last = { key: rolled ?? key, skips: rolled !== undefined };
  }
  return found;
}

const line = ({ modifiedAt, etag, size, checksums }: StoredObject): Properties => {
  const { ChecksumType, ...values } = checksums;
  const [algorithm] = Object.keys(values);
  return {
    LastModified: modifiedAt,
    ETag: `"${etag}"`,
    Size: size,
    StorageClass: "STANDARD",
    ...(algorithm && { ChecksumAlgorithm: [algorithm.replace("Checksum", "")], ChecksumType }),
  };
};

const closeToken = (at: { key: string; skips: boolean }): string => Buffer.from(JSON.stringify([at.key, at.skips])).toString("base64url");

function openToken(token: string): { key: string; skips: boolean } {
  try {
    const [key, skips] = JSON.parse(Buffer.from(token, "base64url").toString());
    if (typeof key === "string" && typeof skips === "boolean") return { key, skips };
  } catch {
    // Not one of ours.
  }
  throw invalidArgument("The continuation token provided is incorrect", "continuation-token", token);
}

const encodeKey = (key: string): string => encodeURIComponent(key).replaceAll("%2F", "/").replaceAll("%20", "+");

const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
