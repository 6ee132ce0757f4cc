import { randomBytes } from "node:crypto";
import type { Cloud } from "../../../kernel/cloud.js";
import { CloudError, type Principal } from "../../../kernel/service.js";
import { accessDenied, invalidArgument, noSuchBucket, noSuchVersion } from "./errors.js";
import type { Version } from "./history.js";
import { abandoned, expiry, outlived } from "./lifecycle.js";
import { type Bucket, type Description, type Staged, Store, type StoredObject } from "./store.js";

/** Who did something to an object, as its event tells. */
export interface Cause {
  reason: "PutObject" | "POST Object" | "CopyObject" | "CompleteMultipartUpload" | "DeleteObject" | "Lifecycle Expiration";
  requestId: string;
  /** Account or service. */
  requester: string;
}

/** Everything comes from this machine. */
const SOURCE_IP = "127.0.0.1";
const SWEEP_MS = 60_000;
const LIFECYCLE: Omit<Cause, "requestId"> = { reason: "Lifecycle Expiration", requester: "s3.amazonaws.com" };

/** The store with what S3 does by itself: it lets objects expire, and tells the event bus what happened to them. */
export class Storage {
  #open: { cloud: Cloud; store: Store; sweep: NodeJS.Timeout } | undefined;

  /** Before this, and after {@link close}, nothing can be asked of it. */
  open(cloud: Cloud, folder: string): void {
    const store = new Store(folder, () => cloud.now());
    const sweep = setInterval(() => this.expire(), SWEEP_MS).unref();
    this.#open = { cloud, store, sweep };
    this.expire();
  }

  close(): void {
    clearInterval(this.#open?.sweep);
  }

  get cloud(): Cloud {
    return this.#opened.cloud;
  }

  get store(): Store {
    return this.#opened.store;
  }

  get #opened() {
    if (!this.#open) throw new Error("S3 has not been started.");
    return this.#open;
  }

  arn(bucket: string, key?: string): string {
    return `arn:${this.cloud.partition}:s3:::${bucket}${key === undefined ? "" : `/${key}`}`;
  }

  /** @throws CloudError NoSuchBucket */
  bucket(name: string): Bucket {
    const bucket = this.store.bucket(name);
    if (!bucket) throw noSuchBucket(name);
    return bucket;
  }

  /** A bucket for a caller. Where public access is restricted, the anonymous are let in by no policy. */
  bucketFor(name: string, principal: Principal): Bucket {
    const bucket = this.bucket(name);
    if (principal.kind === "anonymous" && bucket.configuration.publicAccessBlock?.restrictPublicBuckets) throw accessDenied();
    return bucket;
  }

  /** The object that is there now; what has expired is not. */
  object(bucket: string, key: string): StoredObject | undefined {
    const object = this.store.object(bucket, key);
    if (!object || !this.#hasExpired(bucket, object)) return object;
    this.remove(bucket, key, { ...LIFECYCLE, requestId: newRequestId() });
    return undefined;
  }

  /** Gives up what lifecycle rules say has had its time, in one bucket or in all. */
  expire(bucket?: string): void {
    const names = bucket === undefined ? this.store.buckets().map(({ name }) => name) : [bucket];
    for (const name of names) {
      const { lifecycle } = this.bucket(name).configuration;
      if (!lifecycle) continue;
      for (const object of [...this.store.objects(name)]) this.object(name, object.key);
      for (const key of this.store.replacedKeys(name)) {
        const by = { ...LIFECYCLE, requestId: newRequestId() };
        for (const version of outlived(this.store.versions(name, key), lifecycle, this.cloud.now())) this.removeVersion(name, version, by);
        // The mark that hid the last of them.
        for (const mark of outlived(this.store.versions(name, key), lifecycle, this.cloud.now())) this.removeVersion(name, mark, by);
      }
      for (const upload of this.store.uploads(name))
        if (abandoned(upload, lifecycle, this.cloud.now())) void this.store.endUpload(name, upload.id);
    }
  }

  /** Writes an object. `allowed` decides, in the moment of the write, by what is there. */
  put(
    bucket: string,
    key: string,
    staged: Staged & { etag?: string },
    description: Description,
    cause: Cause,
    allowed?: (existing: StoredObject | undefined) => void,
  ): StoredObject {
    const object = this.store.commit(bucket, key, staged, description, (existing) =>
      allowed?.(existing && this.#hasExpired(bucket, existing) ? undefined : existing),
    );
    const { size, etag, sequencer } = object;
    this.#publish(bucket, "Object Created", { key, size, etag, ...named(object), sequencer }, cause);
    return object;
  }

  /**
   * Deletes an object. Deleting what is not there does nothing, and tells nobody; but a bucket that keeps versions marks the deletion always.
   *
   * @returns the mark
   */
  remove(bucket: string, key: string, cause: Cause, allowed?: (existing: StoredObject | undefined) => void): Version | undefined {
    const gone = this.store.remove(bucket, key, allowed);
    if (!gone) return undefined;
    const { sequencer, mark } = gone;
    if (mark)
      this.#publish(bucket, "Object Deleted", { key, ...named(mark), sequencer }, cause, { "deletion-type": "Delete Marker Created" });
    else this.#publish(bucket, "Object Deleted", { key, etag: gone.removed.etag, sequencer }, cause, PERMANENTLY);
    return mark;
  }

  /** Removes one version, or the mark of a deletion, for good. */
  removeVersion(bucket: string, version: Version, cause: Cause): void {
    const { sequencer } = this.store.removeVersion(bucket, version);
    const etag = version.isDeletion ? {} : { etag: version.etag };
    this.#publish(bucket, "Object Deleted", { key: version.key, ...etag, ...named(version), sequencer }, cause, PERMANENTLY);
  }

  /** What a key is, or was when it had this version id (`"null"` is the one that has none). @throws CloudError InvalidArgument, NoSuchVersion */
  version(bucket: string, key: string, id: string): Version {
    if (!/^(null|[\w-]{32})$/.test(id)) throw invalidArgument("Invalid version id specified", "versionId", id);
    const version = this.store.versions(bucket, key).find(({ versionId = "null" }) => versionId === id);
    if (!version) throw noSuchVersion(key, id);
    return version;
  }

  /** Tells the event bus, if the bucket's notification configuration says so. */
  #publish(
    bucket: string,
    type: string,
    object: Record<string, unknown>,
    { reason, requestId, requester }: Cause,
    more: Record<string, string> = {},
  ): void {
    if (!this.store.bucket(bucket)?.configuration.eventBridge) return;
    this.cloud.publish({
      source: "aws.s3",
      type,
      resources: [this.arn(bucket)],
      detail: {
        version: "0",
        "event-version": "1.1",
        bucket: { name: bucket },
        object,
        "request-id": requestId,
        requester,
        ...(requester === LIFECYCLE.requester ? {} : { "source-ip-address": SOURCE_IP }),
        reason,
        ...more,
      },
    });
  }

  #hasExpired(bucket: string, object: StoredObject): boolean {
    const goes = expiry(object, this.store.bucket(bucket)?.configuration.lifecycle);
    return goes !== undefined && goes.at <= this.cloud.now().getTime();
  }
}

/** Its id, in a bucket that has ever kept versions. */
const named = ({ versionId }: Version) => (versionId === undefined ? {} : { "version-id": versionId });

const PERMANENTLY = { "deletion-type": "Permanently Deleted" };

const newRequestId = (): string => randomBytes(8).toString("hex").toUpperCase();

/** @throws CloudError KeyTooLongError */
export function checkKey(key: string): void {
  if (Buffer.byteLength(key) > 1024)
    throw new CloudError("KeyTooLongError", "Your key is too long", 400, { Size: Buffer.byteLength(key), MaxSizeAllowed: 1024 });
}
