import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { attachment } from "../core/attachment.js";
import { LONGEST_KEY } from "../core/keys.js";
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

/** What the signature of a ticket covers, so that nothing else can be sent with it. */
const TICKET_HEADERS = ["host", "content-length", "content-type", "if-none-match", "x-amz-meta-user"];

/** A URL signed by a role dies with the session, whatever it says: nothing longer is promised. Seconds. */
const LONGEST_LINK = 900;

/** A bucket of S3. */
export class S3ObjectStore implements ObjectStore {
  constructor(
    private readonly client: S3Client,
    private readonly bucket: string,
  ) {}

  async head(key: string): Promise<ObjectInfo | undefined> {
    // S3 refuses to be asked for what it cannot hold.
    if (Buffer.byteLength(key) > LONGEST_KEY) return undefined;
    try {
      const head = await this.client.send(new HeadObjectCommand(this.at(key)));
      const user = decodedUser(head.Metadata?.user);
      return {
        key,
        size: head.ContentLength ?? 0,
        etag: unquoted(head.ETag),
        contentType: head.ContentType ?? "application/octet-stream",
        ...(user !== undefined && { user }),
        modifiedAt: (head.LastModified ?? new Date(0)).toISOString(),
      };
    } catch (error) {
      if (status(error) === 404) return undefined;
      if (status(error) === 403) await this.explainRefusal(key);
      throw error;
    }
  }

  async read(key: string, { start = 0, end, etag }: { start?: number; end?: number; etag?: string } = {}): Promise<Uint8Array> {
    if (end !== undefined && end <= start) return new Uint8Array();
    const whole = start === 0 && end === undefined;
    try {
      const { Body } = await this.client.send(
        new GetObjectCommand({
          ...this.at(key),
          ...(!whole && { Range: `bytes=${start}-${end === undefined ? "" : end - 1}` }),
          ...(etag !== undefined && { IfMatch: `"${etag}"` }),
        }),
      );
      return (await Body?.transformToByteArray()) ?? new Uint8Array();
    } catch (error) {
      if (status(error) === 416) return new Uint8Array();
      if (status(error) === 404) throw new ObjectMissing(`There is no ${key} in ${this.bucket}.`, { cause: error });
      if (status(error) === 412) throw new ObjectChanged(`${key} in ${this.bucket} is no longer version ${etag}.`, { cause: error });
      throw error;
    }
  }

  async write(key: string, bytes: Uint8Array, options: { contentType: string; user?: string; overwrite: boolean }): Promise<void> {
    try {
      await this.client.send(new PutObjectCommand({ ...this.put({ key, ...options }), Body: bytes }));
    } catch (error) {
      // 409: another write of the same key is under way, which will be there first.
      if (!options.overwrite && [409, 412].includes(status(error) ?? 0)) {
        throw new ObjectExists(`There is a ${key} in ${this.bucket} already.`, { cause: error });
      }
      throw error;
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (let from = 0; from < keys.length; from += 1_000) {
      const Objects = keys.slice(from, from + 1_000).map((Key) => ({ Key }));
      const { Errors } = await this.client.send(new DeleteObjectsCommand({ Bucket: this.bucket, Delete: { Objects, Quiet: true } }));
      const failed = Errors?.find(({ Code }) => Code !== "NoSuchKey");
      if (failed) throw Object.assign(new Error(`${failed.Key} in ${this.bucket}: ${failed.Message}`), { name: failed.Code ?? "Error" });
    }
  }

  /**
   * A presigned PUT. Type, user and exact size are signed, and, unless `overwrite`, that nothing of that name is there. (A POST policy could only
   * bound the size, and S3 documents no conditional POST.) Every HTTP client sends the `content-length` by itself, so it is not among `headers`.
   */
  async ticket({ key, contentType, size, user, overwrite, lifetime }: TicketRequest): Promise<Ticket> {
    const command = new PutObjectCommand({ ...this.put({ key, contentType, user, overwrite }), ContentLength: size });
    const expiresIn = Math.min(lifetime, LONGEST_LINK);
    const expiresAt = new Date(Date.now() + expiresIn * 1_000).toISOString();
    const url = await getSignedUrl(this.client, command, {
      expiresIn,
      signableHeaders: new Set(TICKET_HEADERS),
      // Otherwise it becomes a query parameter, which S3 does not take for metadata of the object.
      unhoistableHeaders: new Set(["x-amz-meta-user"]),
    });
    const headers = {
      "content-type": contentType,
      ...(!overwrite && { "if-none-match": "*" }),
      ...(user !== undefined && { "x-amz-meta-user": encodedUser(user) }),
    };
    return { method: "PUT", url, headers, expiresAt };
  }

  link(key: string, { lifetime, download }: { lifetime: number; download?: string }): Promise<string> {
    const command = new GetObjectCommand({
      ...this.at(key),
      ...(download !== undefined && { ResponseContentDisposition: attachment(download) }),
    });
    return getSignedUrl(this.client, command, { expiresIn: Math.min(lifetime, LONGEST_LINK) });
  }

  async origin(): Promise<string> {
    return new URL(await this.link("origin", { lifetime: 1 })).origin;
  }

  private at(key: string) {
    return { Bucket: this.bucket, Key: key };
  }

  private put(object: { key: string; contentType: string; user?: string | undefined; overwrite: boolean }): PutObjectCommandInput {
    return {
      ...this.at(object.key),
      ContentType: object.contentType,
      ...(object.user !== undefined && { Metadata: { user: encodedUser(object.user) } }),
      ...(!object.overwrite && { IfNoneMatch: "*" }),
    };
  }

  /** A refused HEAD has no body; the same question as a GET is refused in words that name principal, action and resource. */
  private async explainRefusal(key: string): Promise<void> {
    await this.client.send(new GetObjectCommand({ ...this.at(key), Range: "bytes=0-0" }));
  }
}

function status(error: unknown): number | undefined {
  return error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
}
