import { existsSync, readFileSync } from "node:fs";
import { mkdir, readlink, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Properties } from "../../../kernel/service.js";
import { BuildError } from "./dockerfile.js";
import { type FileSystem, pathFrom } from "./file-system.js";

/** A package that `npm ci` would have installed, and that this machine's own install stands in for. */
export interface HostPackage {
  /** In the image, such as `app/node_modules/sharp`. */
  path: string;
  name: string;
  version: string;
}

const require = createRequire(import.meta.url);

/** Where a package lies in the install that the embedded cloud itself runs from. */
function locate(name: string): { folder: string; version: string } | undefined {
  const folder = (require.resolve.paths(name) ?? [])
    .map((parent) => join(parent, name))
    .find((path) => existsSync(join(path, "package.json")));
  if (folder === undefined) return undefined;
  return { folder, version: JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version };
}

/**
 * What `npm ci` in a folder of the image comes to: every package that its lock file names for this machine, out of this machine's install.
 *
 * @throws BuildError as npm would for a missing or outdated lock file, and for a package that this machine has in another version, or not
 */
export function packagesOf(system: FileSystem, folder: string, omitted: ReadonlySet<string>): HostPackage[] {
  const manifest = readJson(system, pathFrom(folder, "package.json"));
  const lock = readJson(system, pathFrom(folder, "package-lock.json"));
  if (!manifest || !lock) {
    throw new BuildError("npm ci: it can only install with an existing package.json and package-lock.json. COPY both before it.");
  }
  const locked: Record<string, Properties> = lock.packages ?? {};
  for (const kind of ["dependencies", "optionalDependencies"]) {
    for (const [name, range] of Object.entries<string>(manifest[kind] ?? {})) {
      const said = locked[""]?.[kind]?.[name];
      if (said !== range) {
        throw new BuildError(
          `npm ci: package.json and package-lock.json are not in sync: ${name}@${range}, and the lock file has ${said ?? "none"}.`,
        );
      }
    }
  }
  const found: HostPackage[] = [];
  for (const [path, entry] of Object.entries(locked)) {
    // What lies within a package comes with it.
    const name = /^node_modules\/((?:@[^/]+\/)?[^/]+)$/.exec(path)?.[1];
    if (name === undefined || (entry.dev && omitted.has("dev")) || (entry.optional && omitted.has("optional"))) continue;
    if (!suits(entry.os, process.platform) || !suits(entry.cpu, process.arch) || !suits(entry.libc, libc())) continue;
    const here = locate(name);
    if (here?.version === entry.version) found.push({ path: pathFrom(folder, path), name, version: entry.version });
    else if (!entry.optional) {
      throw new BuildError(
        `npm ci: the embedded cloud installs nothing, packages come from its own install, which has ${here ? `${name}@${here.version}` : `no ${name}`}. The lock file wants ${name}@${entry.version}.`,
      );
    }
  }
  return found;
}

/** Has every package of an image lead to this machine's. What leads elsewhere, since an install has moved, is set right. */
export async function link(packages: readonly HostPackage[], root: string): Promise<void> {
  for (const { path, name, version } of packages) {
    const here = locate(name);
    if (here?.version !== version)
      throw new BuildError(`${name}@${version} is not in this machine's install any more: build the image again.`);
    const at = join(root, path);
    if ((await readlink(at).catch(() => undefined)) === here.folder) continue;
    await rm(at, { recursive: true, force: true });
    await mkdir(dirname(at), { recursive: true });
    await symlink(here.folder, at, "junction");
  }
}

function readJson({ files }: FileSystem, path: string): Properties | undefined {
  const file = files.get(path);
  if (!file) return undefined;
  try {
    return JSON.parse(file.data.toString()) as Properties;
  } catch (error) {
    throw new BuildError(`/${path} is not JSON: ${(error as Error).message}`);
  }
}

function suits(wanted: string[] | undefined, own: string | undefined): boolean {
  if (!wanted || own === undefined) return true;
  return wanted.some((one) => one.startsWith("!")) ? !wanted.includes(`!${own}`) : wanted.includes(own);
}

let known: string | undefined;

function libc(): string | undefined {
  if (process.platform !== "linux") return undefined;
  known ??= (process.report?.getReport() as { header?: Properties } | undefined)?.header?.glibcVersionRuntime ? "glibc" : "musl";
  return known;
}
