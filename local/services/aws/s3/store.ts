import { createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, read, readdirSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { appendFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { PolicyDocument } from "../../../kernel/service.js";
import type { CorsRule } from "./cors.js";
import { noSuchBucket } from "./errors.js";
import { discard, readJson, uniqueName, writeJson } from "./files.js";
import type { LifecycleRule } from "./lifecycle.js";
import { Sequencer } from "./sequencer.js";

/** What lies on a bucket. Each member is put and removed whole, as S3's own calls do. */
export interface BucketConfiguration {
  tags?: Record<string, string>;
  policy?: PolicyDocument;
  publicAccessBlock?: PublicAccessBlock;
  ownership?: string;
  encryption?: { algorithm: string };
  lifecycle?: LifecycleRule[];
  cors?: CorsRule[];
  eventBridge?: boolean;
}

export interface PublicAccessBlock {
  blockPublicAcls: boolean;
  blockPublicPolicy: boolean;
  ignorePublicAcls: boolean;
  restrictPublicBuckets: boolean;
}

export interface Bucket {
  name: string;
  /** ISO 8601. */
  createdAt: string;
  configuration: BucketConfiguration;
}

/** What the writer says of an object, kept with it. */
export interface Description {
  /** Response headers that the object carries, by SDK member name: `ContentType`, `CacheControl`, … */
  headers: Record<string, string>;
  /** `x-amz-meta-*`, without the prefix. */
  metadata: Record<string, string>;
  tags: Record<string, string>;
  /** By SDK member name: `ChecksumCRC32`; with `ChecksumType`. */
  checksums: Record<string, string>;
}

export interface StoredObject extends Description {
  key: string;
  /** Bytes. */
  size: number;
  /** Without quotes. */
  etag: string;
  /** ISO 8601. */
  modifiedAt: string;
  sequencer: string;
  /** Name of the content's file. */
  content: string;
}

/** Content that is on disk but belongs to no object yet. */
export interface Staged {
  content: string;
  size: number;
  /** Hex. */
  md5: string;
}

export interface Part {
  number: number;
  size: number;
  etag: string;
  modifiedAt: string;
  checksums: Record<string, string>;
  content: string;
}

export interface Upload extends Description {
  id: string;
  key: string;
  startedAt: string;
  /** How the whole is to be checked: algorithm and whether over the bytes or over the parts' checksums. */
  checksum?: { algorithm: string; type: "COMPOSITE" | "FULL_OBJECT" };
}

interface Shelf {
  bucket: Bucket;
  folder: string;
  objects: Map<string, StoredObject>;
  /** In S3's order; made when asked for. */
  sorted: string[] | undefined;
  uploads: Map<string, { upload: Upload; parts: Map<number, Part> }>;
}

const readAt = promisify(read);

/**
 * Buckets and objects in files. An object is a description that names its content's file; content is written first, and the renaming of the
 * description is the moment when the object changes. A process that is killed at any point leaves the old object or the new one, and perhaps
 * content that nobody names, which the next start sweeps away. Descriptions are kept in memory too, so that all decisions are synchronous:
 * a condition is checked and its write recorded with nothing in between.
 *
 * ```
 * sequence                        numbers reserved by the sequencer
 * buckets/NAME/bucket.json        creation date and configuration
 *              objects/SHA256(key).json
 *              content/RANDOM
 *              uploads/ID/upload.json, NUMBER.json
 * ```
 */
export class Store {
  readonly #shelves = new Map<string, Shelf>();
  readonly #sequencer: Sequencer;
  readonly #folder: string;

  /** Finds everything that an earlier run left in `folder`. */
  constructor(
    folder: string,
    private readonly now: () => Date,
  ) {
    this.#folder = join(folder, "buckets");
    mkdirSync(this.#folder, { recursive: true });
    this.#sequencer = new Sequencer(join(folder, "sequence"), now);
    for (const name of readdirSync(this.#folder)) this.#load(name);
  }

  buckets(): Bucket[] {
    return [...this.#shelves.values()].map((shelf) => shelf.bucket).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  bucket(name: string): Bucket | undefined {
    return this.#shelves.get(name)?.bucket;
  }

  createBucket(name: string): Bucket {
    const folder = join(this.#folder, name);
    for (const part of ["objects", "content", "uploads"]) mkdirSync(join(folder, part), { recursive: true });
    const bucket: Bucket = { name, createdAt: this.now().toISOString(), configuration: {} };
    writeJson(join(folder, "bucket.json"), bucket);
    this.#shelves.set(name, { bucket, folder, objects: new Map(), sorted: undefined, uploads: new Map() });
    return bucket;
  }

  /** Puts members of the configuration, or removes those that are given as `undefined`. */
  configure(name: string, change: { [Member in keyof BucketConfiguration]: BucketConfiguration[Member] | undefined }): void {
    const { bucket, folder } = this.#shelf(name);
    const configuration = Object.fromEntries(
      Object.entries({ ...bucket.configuration, ...change }).filter(([, value]) => value !== undefined),
    );
    writeJson(join(folder, "bucket.json"), { ...bucket, configuration });
    bucket.configuration = configuration;
  }

  /** Whatever it holds. */
  async deleteBucket(name: string): Promise<void> {
    const { folder } = this.#shelf(name);
    unlinkSync(join(folder, "bucket.json"));
    this.#shelves.delete(name);
    await discard(folder);
  }

  /** An object as it is at this moment. */
  object(bucket: string, key: string): StoredObject | undefined {
    return this.#shelves.get(bucket)?.objects.get(key);
  }

  objects(bucket: string): Iterable<StoredObject> {
    return this.#shelf(bucket).objects.values();
  }

  count(bucket: string): number {
    return this.#shelf(bucket).objects.size;
  }

  /** Keys in the order of their UTF-8 bytes. */
  keys(bucket: string): readonly string[] {
    const shelf = this.#shelf(bucket);
    shelf.sorted ??= [...shelf.objects.keys()]
      .map((key) => ({ key, bytes: Buffer.from(key) }))
      .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
      .map(({ key }) => key);
    return shelf.sorted;
  }

  /** Brings content to disk. It is the caller's to {@link commit} or {@link unstage}. */
  async stage(bucket: string, body: Buffer): Promise<Staged> {
    const content = uniqueName();
    await writeFile(this.#contentPath(bucket, content), body);
    return { content, size: body.length, md5: createHash("md5").update(body).digest("hex") };
  }

  async unstage(bucket: string, staged: Staged): Promise<void> {
    await discard(this.#contentPath(bucket, staged.content));
  }

  /**
   * Makes staged content the object of that key. `allowed` sees what is there and throws to prevent it; then the staged content is discarded.
   */
  commit(
    bucket: string,
    key: string,
    staged: Staged & { etag?: string },
    description: Description,
    allowed: (existing: StoredObject | undefined) => void = () => undefined,
  ): StoredObject {
    const shelf = this.#shelf(bucket);
    const existing = shelf.objects.get(key);
    try {
      allowed(existing);
    } catch (error) {
      void this.unstage(bucket, staged);
      throw error;
    }
    const object: StoredObject = {
      ...description,
      key,
      size: staged.size,
      etag: staged.etag ?? staged.md5,
      modifiedAt: this.now().toISOString(),
      sequencer: this.#sequencer.next(),
      content: staged.content,
    };
    writeJson(this.#descriptionPath(shelf, key), object);
    shelf.objects.set(key, object);
    if (existing) void discard(this.#contentPath(bucket, existing.content));
    else shelf.sorted = undefined;
    return object;
  }

  /** Changes what is said of an object without writing it anew. */
  describe(bucket: string, key: string, change: Partial<Description>): void {
    const shelf = this.#shelf(bucket);
    const existing = shelf.objects.get(key);
    if (!existing) return;
    const object = { ...existing, ...change };
    writeJson(this.#descriptionPath(shelf, key), object);
    shelf.objects.set(key, object);
  }

  /** `undefined` when there was no such object. */
  remove(
    bucket: string,
    key: string,
    allowed: (existing: StoredObject | undefined) => void = () => undefined,
  ): { removed: StoredObject; sequencer: string } | undefined {
    const shelf = this.#shelf(bucket);
    const removed = shelf.objects.get(key);
    allowed(removed);
    if (!removed) return undefined;
    unlinkSync(this.#descriptionPath(shelf, key));
    shelf.objects.delete(key);
    shelf.sorted = undefined;
    void discard(this.#contentPath(bucket, removed.content));
    return { removed, sequencer: this.#sequencer.next() };
  }

  /** Bytes `start` to `end` (exclusive) of exactly the version that `object` describes, provided that it was looked up in this very tick. */
  async read(bucket: string, object: { content: string; size: number }, start = 0, end = object.size): Promise<Buffer> {
    const bytes = Buffer.alloc(end - start);
    // Opened at once: from here on, an overwrite that unlinks the file does not take it from us.
    const file = openSync(this.#contentPath(bucket, object.content), "r");
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesRead } = await readAt(file, bytes, done, bytes.length - done, start + done);
        if (bytesRead === 0) throw new Error(`Content of ${bucket} is shorter than recorded: ${object.content}`);
        done += bytesRead;
      }
    } finally {
      closeSync(file);
    }
    return bytes;
  }

  uploads(bucket: string): Upload[] {
    return [...this.#shelf(bucket).uploads.values()].map(({ upload }) => upload);
  }

  upload(bucket: string, id: string): Upload | undefined {
    return this.#shelves.get(bucket)?.uploads.get(id)?.upload;
  }

  /** In the order of their numbers. */
  parts(bucket: string, id: string): Part[] {
    return [...(this.#shelf(bucket).uploads.get(id)?.parts.values() ?? [])].sort((a, b) => a.number - b.number);
  }

  beginUpload(bucket: string, upload: Omit<Upload, "id" | "startedAt">): Upload {
    const shelf = this.#shelf(bucket);
    const begun: Upload = { ...upload, id: uniqueName() + uniqueName(), startedAt: this.now().toISOString() };
    mkdirSync(join(shelf.folder, "uploads", begun.id));
    writeJson(join(shelf.folder, "uploads", begun.id, "upload.json"), begun);
    shelf.uploads.set(begun.id, { upload: begun, parts: new Map() });
    return begun;
  }

  /** `false` when the upload has ended in the meantime. */
  addPart(bucket: string, id: string, number: number, staged: Staged, checksums: Record<string, string>): boolean {
    const shelf = this.#shelf(bucket);
    const entry = shelf.uploads.get(id);
    if (!entry) {
      void this.unstage(bucket, staged);
      return false;
    }
    const before = entry.parts.get(number);
    const { content, size, md5 } = staged;
    const part: Part = { number, size, etag: md5, modifiedAt: this.now().toISOString(), checksums, content };
    writeJson(join(shelf.folder, "uploads", id, `${number}.json`), part);
    entry.parts.set(number, part);
    if (before) void discard(this.#contentPath(bucket, before.content));
    return true;
  }

  /** Puts parts together as staged content. */
  async assemble(bucket: string, parts: readonly Part[]): Promise<Staged> {
    const content = uniqueName();
    const path = this.#contentPath(bucket, content);
    writeFileSync(path, "");
    const md5 = createHash("md5");
    for (const part of parts) {
      const bytes = await this.read(bucket, part);
      md5.update(bytes);
      await appendFile(path, bytes);
    }
    return { content, size: parts.reduce((sum, part) => sum + part.size, 0), md5: md5.digest("hex") };
  }

  /** Ends an upload, with all of its parts. */
  async endUpload(bucket: string, id: string): Promise<void> {
    const shelf = this.#shelf(bucket);
    const parts = this.parts(bucket, id);
    shelf.uploads.delete(id);
    await discard(join(shelf.folder, "uploads", id));
    for (const part of parts) await discard(this.#contentPath(bucket, part.content));
  }

  #shelf(bucket: string): Shelf {
    const shelf = this.#shelves.get(bucket);
    if (!shelf) throw noSuchBucket(bucket);
    return shelf;
  }

  #contentPath = (bucket: string, content: string): string => join(this.#folder, bucket, "content", content);

  /** Keys may be longer than file names, and contain what file names may not. */
  #descriptionPath = (shelf: Shelf, key: string): string =>
    join(shelf.folder, "objects", `${createHash("sha256").update(key).digest("hex")}.json`);

  #load(name: string): void {
    const folder = join(this.#folder, name);
    const bucket = readJson<Bucket>(join(folder, "bucket.json"));
    if (!bucket) {
      // Killed while it was being created or deleted.
      rmSync(folder, { recursive: true, force: true });
      return;
    }
    const shelf: Shelf = { bucket, folder, objects: new Map(), sorted: undefined, uploads: new Map() };
    this.#shelves.set(name, shelf);
    const named = new Set<string>();
    for (const file of complete(join(folder, "objects"))) {
      const object = readJson<StoredObject>(join(folder, "objects", file));
      if (!object) continue;
      shelf.objects.set(object.key, object);
      named.add(object.content);
    }
    for (const id of readdirSync(join(folder, "uploads"))) {
      const upload = readJson<Upload>(join(folder, "uploads", id, "upload.json"));
      if (!upload) {
        rmSync(join(folder, "uploads", id), { recursive: true, force: true });
        continue;
      }
      const parts = new Map<number, Part>();
      for (const file of complete(join(folder, "uploads", id))) {
        if (file === "upload.json") continue;
        const part = readJson<Part>(join(folder, "uploads", id, file));
        if (!part) continue;
        parts.set(part.number, part);
        named.add(part.content);
      }
      shelf.uploads.set(id, { upload, parts });
    }
    for (const content of readdirSync(join(folder, "content"))) if (!named.has(content)) unlinkSync(join(folder, "content", content));
  }
}

/** JSON files that were written to their end; what was not is removed. */
function complete(folder: string): string[] {
  const files = readdirSync(folder);
  for (const file of files) if (file.endsWith(".tmp")) unlinkSync(join(folder, file));
  return files.filter((file) => file.endsWith(".json"));
}
