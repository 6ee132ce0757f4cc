import { randomBytes } from "node:crypto";
import type { Cloud } from "../../../kernel/cloud.js";
import { CloudError, type Principal } from "../../../kernel/service.js";
import { accessDenied, noSuchBucket } from "./errors.js";
import { abandoned, expiry } from "./lifecycle.js";
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
    this.#publish(bucket, "Object Created", { key, size: object.size, etag: object.etag, sequencer: object.sequencer }, cause);
    return object;
  }

  /** Deletes an object. Deleting what is not there does nothing, and tells nobody. */
  remove(bucket: string, key: string, cause: Cause, allowed?: (existing: StoredObject | undefined) => void): void {
    const gone = this.store.remove(bucket, key, allowed);
    if (!gone) return;
    const { removed, sequencer } = gone;
    this.#publish(bucket, "Object Deleted", { key, etag: removed.etag, sequencer }, cause, { "deletion-type": "Permanently Deleted" });
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

const newRequestId = (): string => randomBytes(8).toString("hex").toUpperCase();

/** @throws CloudError KeyTooLongError */
export function checkKey(key: string): void {
  if (Buffer.byteLength(key) > 1024)
    throw new CloudError("KeyTooLongError", "Your key is too long", 400, { Size: Buffer.byteLength(key), MaxSizeAllowed: 1024 });
}
