import { buffer } from "node:stream/consumers";
import {
  BlobSASPermissions,
  type BlobSASSignatureValues,
  type BlobServiceClient,
  type ContainerClient,
  generateBlobSASQueryParameters,
  RestError,
  SASProtocol,
  type SASQueryParameters,
  type UserDelegationKey,
} from "@azure/storage-blob";
import { attachment } from "../core/attachment.js";
import { decodedUser, encodedUser, unquoted } from "../core/object-metadata.js";
import {
  ObjectChanged,
  ObjectExists,
  type ObjectInfo,
  ObjectMissing,
  type ObjectStore,
  type Ticket,
  type TicketRequest,
} from "../core/ports.js";

/** Milliseconds that one delegation key signs for; Azure allows seven days. */
const KEY_LIFETIME = 6 * 3_600_000;
/** Milliseconds that clocks may differ. */
const CLOCK_SKEW = 5 * 60_000;

/** Blobs that are deleted at a time. */
const AT_ONCE = 16;

/** What tickets and links are signed with. */
export interface Signing {
  /** Signs leave that ends at `values.expiresOn`. */
  sign(values: BlobSASSignatureValues & { expiresOn: Date }, account: string): Promise<SASQueryParameters>;
}

/** A container of blobs. */
export class BlobObjectStore implements ObjectStore {
  private readonly container: ContainerClient;

  constructor(
    private readonly signing: Signing,
    service: BlobServiceClient,
    name: string,
  ) {
    this.container = service.getContainerClient(name);
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    try {
      const { contentLength = 0, etag, contentType, metadata, lastModified } = await this.container.getBlobClient(key).getProperties();
      const user = decodedUser(metadata?.user);
      return {
        key,
        size: contentLength,
        etag: unquoted(etag),
        contentType: contentType ?? "application/octet-stream",
        ...(user !== undefined && { user }),
        modifiedAt: (lastModified ?? new Date(0)).toISOString(),
      };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async read(key: string, { start = 0, end, etag }: { start?: number; end?: number; etag?: string } = {}): Promise<Uint8Array> {
    if (end !== undefined && end <= start) return new Uint8Array();
    const conditions = etag === undefined ? {} : { ifMatch: `"${etag}"` };
    try {
      const blob = this.container.getBlobClient(key);
      const { readableStreamBody } = await blob.download(start, end === undefined ? undefined : end - start, { conditions });
      return readableStreamBody ? await buffer(readableStreamBody) : new Uint8Array();
    } catch (error) {
      if (status(error) === 416) return new Uint8Array();
      if (isMissing(error)) throw new ObjectMissing(`There is no ${key} in ${this.container.containerName}.`, { cause: error });
      if (status(error) === 412) {
        throw new ObjectChanged(`${key} in ${this.container.containerName} is no longer version ${etag}.`, { cause: error });
      }
      throw error;
    }
  }

  async write(
    key: string,
    bytes: Uint8Array,
    { contentType, user, overwrite }: { contentType: string; user?: string; overwrite: boolean },
  ): Promise<void> {
    try {
      await this.container.getBlockBlobClient(key).upload(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), bytes.length, {
        blobHTTPHeaders: { blobContentType: contentType },
        ...(user !== undefined && { metadata: { user: encodedUser(user) } }),
        ...(!overwrite && { conditions: { ifNoneMatch: "*" } }),
      });
    } catch (error) {
      if (!overwrite && [409, 412].includes(status(error) ?? 0)) {
        throw new ObjectExists(`There is a ${key} in ${this.container.containerName} already.`, { cause: error });
      }
      throw error;
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (let from = 0; from < keys.length; from += AT_ONCE) {
      const some = keys.slice(from, from + AT_ONCE);
      await Promise.all(some.map((key) => this.container.getBlobClient(key).deleteIfExists({ deleteSnapshots: "include" })));
    }
  }

  /**
   * A PUT with a shared access signature for this one blob. The signature fixes the key, and that nothing is overwritten unless that was asked for;
   * type and user are the uploader's to send, and the size is only known on arrival: Azure signs neither.
   */
  async ticket({ key, contentType, user, overwrite, lifetime }: TicketRequest): Promise<Ticket> {
    const { url, expiresAt } = await this.sign(key, { permissions: BlobSASPermissions.parse(overwrite ? "cw" : "c") }, lifetime);
    const headers = {
      "content-type": contentType,
      "x-ms-blob-type": "BlockBlob",
      ...(!overwrite && { "if-none-match": "*" }),
      ...(user !== undefined && { "x-ms-meta-user": encodedUser(user) }),
    };
    return { method: "PUT", url, headers, expiresAt };
  }

  async link(key: string, { lifetime, download }: { lifetime: number; download?: string }): Promise<string> {
    const permissions = BlobSASPermissions.parse("r");
    return (await this.sign(key, { permissions, ...(download !== undefined && { contentDisposition: attachment(download) }) }, lifetime))
      .url;
  }

  async origin(): Promise<string> {
    return new URL(this.container.url).origin;
  }

  private async sign(
    key: string,
    values: Pick<BlobSASSignatureValues, "permissions" | "contentDisposition">,
    lifetime: number,
  ): Promise<{ url: string; expiresAt: string }> {
    // A signature tells whole seconds.
    const expiresOn = new Date(Math.floor(Date.now() / 1_000 + lifetime) * 1_000);
    const { containerName, accountName } = this.container;
    const protocol = this.container.url.startsWith("https:") ? SASProtocol.Https : SASProtocol.HttpsAndHttp;
    const signature = await this.signing.sign({ ...values, containerName, blobName: key, expiresOn, protocol }, accountName);
    return { url: `${this.container.getBlobClient(key).url}?${signature}`, expiresAt: expiresOn.toISOString() };
  }
}

/** The keys that one account delegates to the app's identity, each for some hours: nobody knows the account's own. */
export class DelegationKeys implements Signing {
  private cached: { key: Promise<UserDelegationKey>; until: number } | undefined;

  constructor(private readonly service: Pick<BlobServiceClient, "getUserDelegationKey">) {}

  async sign(values: BlobSASSignatureValues & { expiresOn: Date }, account: string): Promise<SASQueryParameters> {
    return generateBlobSASQueryParameters(values, await this.until(values.expiresOn), account);
  }

  /** A key that signs what ends then. */
  until(time: Date): Promise<UserDelegationKey> {
    if (this.cached && time.getTime() <= this.cached.until) return this.cached.key;
    const now = Date.now();
    const until = Math.max(now + KEY_LIFETIME, time.getTime());
    const fresh = { key: this.service.getUserDelegationKey(new Date(now - CLOCK_SKEW), new Date(until)), until };
    fresh.key.catch(() => {
      if (this.cached === fresh) this.cached = undefined;
    });
    this.cached = fresh;
    return fresh.key;
  }
}

function status(error: unknown): number | undefined {
  return error instanceof RestError ? error.statusCode : undefined;
}

/** Is there no such blob? A container that is not there is a mistake in the program, and no answer. */
function isMissing(error: unknown): boolean {
  return status(error) === 404 && (error as RestError).code !== "ContainerNotFound";
}
