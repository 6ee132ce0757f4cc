import { createHash, randomBytes } from "node:crypto";
import { closeSync, mkdirSync, openSync, read, readdirSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { appendFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { PolicyDocument } from "../../../kernel/service.js";
import type { CorsRule } from "./cors.js";
import { noSuchBucket } from "./errors.js";
import { discard, readJson, uniqueName, writeJson } from "./files.js";
import { type DeletionMark, History, type Version } from "./history.js";
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
  /** Absent: it never was enabled. Suspended: what versions there are stay, and no further ones are made. */
  versioning?: "Enabled" | "Suspended";
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
  /** Absent: the `null` version, as written to a bucket that makes none. */
  versionId?: string;
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
  history: History;
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
 *              versions/SHA256(version key).json
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
    const history = new History(join(folder, "versions"));
    this.#shelves.set(name, { bucket, folder, objects: new Map(), sorted: undefined, uploads: new Map(), history });
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

  /** With versions that were, and marks of deletions. */
  count(bucket: string): number {
    const { objects, history } = this.#shelf(bucket);
    return objects.size + history.all().length;
  }

  /** What a key is and was, newest first. */
  versions(bucket: string, key: string): readonly Version[] {
    const { objects, history } = this.#shelf(bucket);
    const current = objects.get(key);
    return [...(current ? [current] : []), ...history.of(key)];
  }

  /** Keys that were something else before. */
  replacedKeys(bucket: string): string[] {
    return [
      ...new Set(
        this.#shelf(bucket)
          .history.all()
          .map(({ key }) => key),
      ),
    ];
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
    const { versioning } = shelf.bucket.configuration;
    const object: StoredObject = {
      ...description,
      key,
      ...(versioning === "Enabled" && { versionId: newVersionId() }),
      size: staged.size,
      etag: staged.etag ?? staged.md5,
      modifiedAt: this.now().toISOString(),
      sequencer: this.#sequencer.next(),
      content: staged.content,
    };
    const kept = existing !== undefined && this.#keep(shelf, existing);
    writeJson(this.#descriptionPath(shelf, key), object);
    shelf.objects.set(key, object);
    if (existing && !kept) void discard(this.#contentPath(bucket, existing.content));
    if (!existing) shelf.sorted = undefined;
    if (versioning === "Suspended") this.#forgetNull(shelf, key);
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

  /** Of a bucket that keeps versions: marked as deleted, whether it was there or not. `undefined` when there was nothing to do. */
  remove(
    bucket: string,
    key: string,
    allowed: (existing: StoredObject | undefined) => void = () => undefined,
  ): { removed: StoredObject; sequencer: string; mark?: never } | { mark: DeletionMark; sequencer: string } | undefined {
    const shelf = this.#shelf(bucket);
    const { versioning } = shelf.bucket.configuration;
    const existing = shelf.objects.get(key);
    allowed(existing);
    if (!versioning) {
      if (!existing) return undefined;
      this.#take(shelf, existing);
      void discard(this.#contentPath(bucket, existing.content));
      return { removed: existing, sequencer: this.#sequencer.next() };
    }
    const kept = existing !== undefined && this.#keep(shelf, existing);
    if (versioning === "Suspended") this.#forgetNull(shelf, key);
    const sequencer = this.#sequencer.next();
    const versionId = versioning === "Enabled" ? { versionId: newVersionId() } : {};
    const mark: DeletionMark = { key, ...versionId, modifiedAt: this.now().toISOString(), sequencer, isDeletion: true };
    shelf.history.add(mark);
    if (existing) this.#take(shelf, existing);
    if (existing && !kept) void discard(this.#contentPath(bucket, existing.content));
    return { mark, sequencer };
  }

  /** Removes one version for good. What is the newest then is what is there: an object, or nothing where that is the mark of a deletion. */
  removeVersion(bucket: string, version: Version): { sequencer: string } {
    const shelf = this.#shelf(bucket);
    const { key } = version;
    const current = shelf.objects.get(key);
    if (current === version) this.#take(shelf, current);
    else shelf.history.remove(version);
    if (!version.isDeletion) void discard(this.#contentPath(bucket, version.content));
    const [newest] = shelf.objects.has(key) ? [] : shelf.history.of(key);
    if (newest && !newest.isDeletion) {
      writeJson(this.#descriptionPath(shelf, key), newest);
      shelf.objects.set(key, newest);
      shelf.history.remove(newest);
      shelf.sorted = undefined;
    }
    return { sequencer: this.#sequencer.next() };
  }

  /** Whether what is replaced becomes a version. */
  #keep(shelf: Shelf, existing: StoredObject): boolean {
    const { versioning } = shelf.bucket.configuration;
    if (versioning !== "Enabled" && (versioning === undefined || existing.versionId === undefined)) return false;
    shelf.history.add(existing);
    return true;
  }

  /** There is one version at most that has no id. */
  #forgetNull(shelf: Shelf, key: string): void {
    const version = shelf.history.of(key).find(({ versionId }) => versionId === undefined);
    if (!version) return;
    shelf.history.remove(version);
    if (!version.isDeletion) void discard(this.#contentPath(shelf.bucket.name, version.content));
  }

  /** From now on it is not there. */
  #take(shelf: Shelf, { key }: StoredObject): void {
    unlinkSync(this.#descriptionPath(shelf, key));
    shelf.objects.delete(key);
    shelf.sorted = undefined;
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

  /** Killed while it was becoming a version: either its deletion is marked already, or it is still what is there. */
  #settle(shelf: Shelf, object: StoredObject): void {
    const [newest] = shelf.history.of(object.key);
    const version = shelf.history.of(object.key).find(({ versionId }) => versionId === object.versionId);
    if (newest?.isDeletion && newest.sequencer > object.sequencer) this.#take(shelf, object);
    else if (version && !version.isDeletion) shelf.history.remove(version);
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
    const history = new History(join(folder, "versions"));
    const shelf: Shelf = { bucket, folder, objects: new Map(), sorted: undefined, uploads: new Map(), history };
    this.#shelves.set(name, shelf);
    const named = new Set(history.all().flatMap((version) => (version.isDeletion ? [] : [version.content])));
    for (const file of complete(join(folder, "objects"))) {
      const object = readJson<StoredObject>(join(folder, "objects", file));
      if (!object) continue;
      shelf.objects.set(object.key, object);
      named.add(object.content);
      this.#settle(shelf, object);
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

const newVersionId = (): string => randomBytes(24).toString("base64url");

/** JSON files that were written to their end; what was not is removed. */
function complete(folder: string): string[] {
  const files = readdirSync(folder);
  for (const file of files) if (file.endsWith(".tmp")) unlinkSync(join(folder, file));
  return files.filter((file) => file.endsWith(".json"));
}
