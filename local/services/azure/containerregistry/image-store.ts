import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CloudError } from "../../../kernel/service.js";
import type { Image, ImageConfig } from "./build.js";
import { write } from "./file-system.js";
import { type HostPackage, link } from "./host-packages.js";

/** An image as it lies on the disk. */
export interface StoredImage {
  digest: string;
  /** Folder of its file system. */
  root: string;
  base: string;
  config: ImageConfig;
  packages: HostPackage[];
}

/** What is known of a registry's repositories: name → tags, and all digests. */
type Repositories = Record<string, { tags: Record<string, string>; digests: string[] }>;

/** The images of one registry, in a folder of its own: content by digest, and which repository and tag names which. */
export class ImageStore {
  #repositories: Repositories = {};
  readonly #linked = new Map<string, Promise<void>>();

  private constructor(private readonly folder: string) {}

  static async open(folder: string): Promise<ImageStore> {
    const store = new ImageStore(folder);
    await mkdir(folder, { recursive: true });
    if (existsSync(store.#index)) store.#repositories = JSON.parse(await readFile(store.#index, "utf8"));
    return store;
  }

  /** Keeps an image under these names (`"pipeline:1"`), which no longer name another then. */
  async push({ digest, system, ...described }: Image, names: readonly { repository: string; tag: string }[]): Promise<void> {
    const folder = this.#folderOf(digest);
    if (!existsSync(folder)) {
      const aside = `${folder}.${process.pid}.${Math.floor(performance.now())}`;
      await write(system, join(aside, "root"));
      await writeFile(join(aside, "image.json"), JSON.stringify({ digest, ...described }));
      await rename(aside, folder).catch(async (error) => {
        await rm(aside, { recursive: true, force: true });
        if (!existsSync(folder)) throw error;
      });
    }
    for (const { repository, tag } of names) {
      const known = this.#repositories[repository] ?? { tags: {}, digests: [] };
      this.#repositories[repository] = known;
      known.tags[tag] = digest;
      if (!known.digests.includes(digest)) known.digests.push(digest);
    }
    await writeFile(`${this.#index}.new`, JSON.stringify(this.#repositories));
    await rename(`${this.#index}.new`, this.#index);
  }

  /** @throws CloudError (404) as registries say it */
  async image(repository: string, reference: { tag: string } | { digest: string }): Promise<StoredImage> {
    const known = this.#repositories[repository];
    if (!known) throw new CloudError("NAME_UNKNOWN", `repository name not known to registry: ${repository}`, 404);
    const digest = "digest" in reference ? known.digests.find((one) => one === reference.digest) : known.tags[reference.tag];
    if (!digest) {
      const asked = "digest" in reference ? `@${reference.digest}` : `:${reference.tag}`;
      throw new CloudError("MANIFEST_UNKNOWN", `manifest unknown: ${repository}${asked} is not found`, 404);
    }
    const folder = this.#folderOf(digest);
    const stored = JSON.parse(await readFile(join(folder, "image.json"), "utf8")) as Omit<StoredImage, "root">;
    const root = join(folder, "root");
    // Once, however many nodes ask at a time.
    const linked = this.#linked.get(digest) ?? link(stored.packages, root);
    this.#linked.set(digest, linked);
    try {
      await linked;
    } catch (error) {
      this.#linked.delete(digest);
      throw error;
    }
    return { ...stored, root };
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  get #index(): string {
    return join(this.folder, "repositories.json");
  }

  #folderOf(digest: string): string {
    return join(this.folder, digest.replace(":", "-"));
  }
}
