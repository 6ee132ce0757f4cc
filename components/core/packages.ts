import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { unpackTar } from "modern-tar";
import { BinariesUnavailable } from "./errors.js";
import type { Files } from "./zip.js";

/** The platform that a handler runs on, whatever machine packages it. */
export interface Target {
  platform: "linux";
  arch: "arm64" | "x64";
}

/** What `package-lock.json` says of one package. */
interface Locked {
  version: string;
  integrity?: string;
  dev?: boolean;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

/** What a running package needs, and what its licence asks to be passed on. Types, sources and maps stay behind. */
const SHIPPED = /(\.[cm]?js|\.json|\.node|\.so(\.\d+)*|\.md|(^|\/)LICEN[CS]E[^/]*)$/;

/** ELF's `e_machine` by Node's name of the architecture. */
const MACHINE = { x64: 62, arm64: 183 } as const;

/** The packages of a project, as its lock file pins them. */
export class Packages {
  private constructor(
    private readonly root: string,
    private readonly locked: Readonly<Record<string, Locked>>,
  ) {}

  /** Of the project at `root`. */
  static async of(root: string): Promise<Packages> {
    const lock = JSON.parse(await readFile(path.join(root, "package-lock.json"), "utf8")) as { packages: Record<string, Locked> };
    return new Packages(root, lock.packages);
  }

  /** Whether a package (`"mocha"`) is only there for development. */
  isDevelopment(name: string): boolean {
    return this.locked[`node_modules/${name}`]?.dev === true;
  }

  version(name: string): string | undefined {
    return this.locked[`node_modules/${name}`]?.version;
  }

  /**
   * Everything that `import "sharp"` needs on `target`, by its path under the package's root: sharp, what it depends on, and the binaries
   * of that platform only.
   *
   * @throws BinariesUnavailable
   */
  async sharpFor(target: Target): Promise<Files> {
    const [binding, libvips] = ["sharp", "sharp-libvips"].map((name) => `@img/${name}-${target.platform}-${target.arch}`) as [
      string,
      string,
    ];
    // All, so that what is under way is over when the first fails.
    const packages = await Promise.allSettled([
      ...this.closure("sharp").map((name) => this.installed(name)),
      this.binaries(binding),
      this.binaries(libvips),
    ]);
    const files = new Map(packages.flatMap((each) => [...fulfilled(each)]));
    for (const [file, content] of files) {
      if (/\.(node|so(\.\d+)*)$/.test(file)) checkMachine(file, content, target);
    }
    return files;
  }

  /**
   * What `npm ci` needs to install `name` elsewhere in exactly this version, with what it depends on, for whatever platform that is:
   * `package.json` and `package-lock.json`, by their names.
   */
  installable(name: string): Record<"package.json" | "package-lock.json", string> {
    const version = this.version(name);
    if (!version) throw new BinariesUnavailable(`package-lock.json does not pin ${name}: run \`npm install ${name}\` to have it there.`);
    const manifest = { name: "image-pipeline", private: true, type: "module", dependencies: { [name]: version } };
    const packages = this.closure(name, { optional: true })
      .sort()
      .map((each) => [`node_modules/${each}`, this.locked[`node_modules/${each}`]]);
    const lock = {
      name: manifest.name,
      lockfileVersion: 3,
      requires: true,
      packages: { "": { name: manifest.name, dependencies: manifest.dependencies }, ...Object.fromEntries(packages) },
    };
    return { "package.json": `${JSON.stringify(manifest, null, 2)}\n`, "package-lock.json": `${JSON.stringify(lock, null, 2)}\n` };
  }

  /** `name` and all it depends on at run time; with `optional`, what it can do without, too. */
  private closure(name: string, { optional = false, seen = new Set<string>() } = {}): string[] {
    if (!seen.has(name)) {
      seen.add(name);
      const { dependencies, optionalDependencies } = this.locked[`node_modules/${name}`] ?? {};
      for (const each of Object.keys({ ...dependencies, ...(optional && optionalDependencies) })) this.closure(each, { optional, seen });
    }
    return [...seen];
  }

  /** The files of an installed package. */
  private async installed(name: string): Promise<Files> {
    const folder = path.join(this.root, "node_modules", name);
    const files = new Map<string, Uint8Array>();
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      const file = path.relative(folder, path.join(entry.parentPath, entry.name)).split(path.sep).join("/");
      if (entry.isFile() && SHIPPED.test(file) && !file.startsWith("node_modules/")) {
        files.set(`node_modules/${name}/${file}`, await readFile(path.join(folder, file)));
      }
    }
    return files;
  }

  /** The files of a package of binaries: installed when this machine is like the target, from the registry otherwise. */
  private async binaries(name: string): Promise<Files> {
    const { version, integrity } = this.locked[`node_modules/${name}`] ?? {};
    if (!version || !integrity) {
      throw new BinariesUnavailable(
        `package-lock.json does not pin ${name}: run \`npm install --include=optional sharp\` to have it there.`,
      );
    }
    if ((await this.installedVersion(name)) === version) return this.installed(name);

    const files = new Map<string, Uint8Array>();
    for (const { header, data } of await unpackTar(gunzipSync(await this.tarball(name, version, integrity)))) {
      const file = header.name.split("/").slice(1).join("/");
      if (header.type === "file" && data && SHIPPED.test(file)) files.set(`node_modules/${name}/${file}`, data);
    }
    return files;
  }

  private async installedVersion(name: string): Promise<string | undefined> {
    const manifest = path.join(this.root, "node_modules", name, "package.json");
    return existsSync(manifest) ? (JSON.parse(await readFile(manifest, "utf8")) as Locked).version : undefined;
  }

  /** A package's tarball with the bytes that the lock file promises, kept for the next time. Safe beside other processes that do the same. */
  private async tarball(name: string, version: string, integrity: string): Promise<Buffer> {
    const cache = path.join(this.root, "node_modules", ".cache", "image-pipeline");
    const kept = path.join(cache, `${name.replace(/^@/, "").replace("/", "-")}-${version}.tgz`);
    const before = existsSync(kept) ? await readFile(kept) : undefined;
    if (before && isIntact(before, integrity)) return before;

    await mkdir(cache, { recursive: true });
    // Below the project's node_modules, npm takes the project's own settings, and the file needs only be renamed.
    const folder = await mkdtemp(path.join(cache, "fetching-"));
    try {
      const fetched = path.join(folder, await fetchInto(folder, `${name}@${version}`));
      const content = await readFile(fetched);
      if (!isIntact(content, integrity)) {
        throw new BinariesUnavailable(
          `${name}@${version} from the registry is not what package-lock.json pins (${integrity.slice(0, 20)}…): look into the registry, or update the lock file.`,
        );
      }
      await rename(fetched, kept).catch((error) => {
        // Windows does not rename over a file that another process has open: that file is as good.
        if (!existsSync(kept)) throw error;
      });
      return content;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
}

/** Fetches by npm, so that the person's registry, proxy and certificates hold. Returns the file's name. */
async function fetchInto(folder: string, spec: string): Promise<string> {
  const windows = process.platform === "win32";
  try {
    // Windows starts .cmd files only by a shell; the spec comes from the lock file and has nothing in it that a shell would take.
    await promisify(execFile)(windows ? "npm.cmd" : "npm", ["pack", spec, "--ignore-scripts", "--prefer-offline", "--loglevel=error"], {
      cwd: folder,
      shell: windows,
      timeout: 300_000,
    });
  } catch (error) {
    const said = String((error as { stderr?: string }).stderr ?? error);
    const reason = /npm (?:error|ERR!) (?:code )?(E[A-Z]+)/.exec(said)?.[1] ?? said.trim().split("\n").at(-1);
    throw new BinariesUnavailable(
      `${spec} is not installed, as this machine is of another platform, and the registry did not give it (${reason}). ` +
        `Run this once where the registry can be reached (it is kept in node_modules/.cache), or: npm install --no-save --force ${spec}`,
      { cause: error },
    );
  }
  const file = (await readdir(folder)).find((each) => each.endsWith(".tgz"));
  if (!file) throw new BinariesUnavailable(`npm pack ${spec} left no tarball.`);
  return file;
}

function fulfilled<T>(result: PromiseSettledResult<T>): T {
  if (result.status === "rejected") throw result.reason;
  return result.value;
}

function isIntact(content: Uint8Array, integrity: string): boolean {
  const [algorithm = "", expected] = integrity.split(/-(.*)/s);
  return createHash(algorithm).update(content).digest("base64") === expected;
}

function checkMachine(file: string, content: Uint8Array, { platform, arch }: Target): void {
  const elf = Buffer.from(content.subarray(0, 20));
  if (elf.length < 20 || elf.readUInt32BE(0) !== 0x7f454c46 || elf.readUInt16LE(18) !== MACHINE[arch]) {
    throw new BinariesUnavailable(`${file} is not a binary for ${platform}-${arch}: remove node_modules and run \`npm ci\`.`);
  }
}
