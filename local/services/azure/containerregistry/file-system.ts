import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, posix, sep } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { unpackTar } from "modern-tar";
import { BuildError } from "./dockerfile.js";

export interface File {
  data: Buffer;
  /** Permission bits. */
  mode: number;
}

/** Files by path, without a slash at the start, and folders that may be empty. */
export interface FileSystem {
  files: Map<string, File>;
  folders: Set<string>;
}

export const emptyFileSystem = (): FileSystem => ({ files: new Map(), folders: new Set() });

export const copied = ({ files, folders }: FileSystem): FileSystem => ({ files: new Map(files), folders: new Set(folders) });

/** A path as keys of a {@link FileSystem} are: from the root, without `.` and `..`. */
export const pathFrom = (folder: string, path: string): string => posix.resolve("/", folder, path).slice(1);

/** The uploaded context: a tar archive, compressed or not. @throws BuildError for anything else, and for links */
export async function unpackContext(archive: Buffer): Promise<FileSystem> {
  const context = emptyFileSystem();
  let entries: Awaited<ReturnType<typeof unpackTar>>;
  try {
    const zipped = archive[0] === 0x1f && archive[1] === 0x8b;
    entries = await unpackTar(zipped ? await promisify(gunzip)(archive) : archive);
  } catch (error) {
    throw new BuildError(`The uploaded source is not a tar.gz archive: ${(error as Error).message}`);
  }
  for (const { header, data } of entries) {
    const { name, type, mode } = header;
    if (name.split("/").includes("..")) throw new BuildError(`The entry ${name} of the source lies outside of it.`);
    const path = pathFrom("/", name);
    if (type === "directory") context.folders.add(path);
    else if (type === undefined || type === "file") context.files.set(path, { data: Buffer.from(data ?? []), mode: mode ?? 0o644 });
    else throw new BuildError(`The entry ${name} of the source is a ${type}: the embedded cloud builds from files and folders.`);
  }
  return context;
}

/** Writes it below a folder. */
export async function write({ files, folders }: FileSystem, root: string): Promise<void> {
  await mkdir(root, { recursive: true });
  for (const folder of folders) await mkdir(join(root, folder), { recursive: true });
  for (const [path, { data, mode }] of files) {
    const file = join(root, path);
    await mkdir(join(file, ".."), { recursive: true });
    await writeFile(file, data, { mode });
  }
}

/** Lays it out in a folder for a while, and takes over what `work` did to it. Links are left out. */
export async function changed(system: FileSystem, work: (root: string) => Promise<void>): Promise<FileSystem> {
  const root = await mkdtemp(join(tmpdir(), "image-build-"));
  try {
    await write(system, root);
    await work(root);
    const after = emptyFileSystem();
    for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
      const absolute = join(entry.parentPath, entry.name);
      const path = absolute.slice(root.length + 1).replaceAll(sep, "/");
      if (entry.isDirectory()) after.folders.add(path);
      else if (entry.isFile()) after.files.set(path, { data: await readFile(absolute), mode: (await stat(absolute)).mode & 0o777 });
    }
    return after;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** Paths of files and folders that a pattern such as `package*.json` names, relative to the file system's root. */
export function matching({ files, folders }: FileSystem, pattern: string): string[] {
  const path = pathFrom("/", pattern);
  if (path === "") return [""];
  if (!/[*?[]/.test(path)) return isThere({ files, folders }, path) ? [path] : [];
  const segments = path.split("/");
  const expressions = segments.map(
    (segment) =>
      new RegExp(
        `^${segment
          .replace(/[.+^${}()|\\]/g, "\\$&")
          .replace(/\*/g, "[^/]*")
          .replace(/\?/g, "[^/]")}$`,
      ),
  );
  const found = new Set<string>();
  for (const one of [...files.keys(), ...folders]) {
    const parts = one.split("/").slice(0, segments.length);
    if (parts.length === segments.length && parts.every((part, index) => expressions[index]?.test(part))) found.add(parts.join("/"));
  }
  return [...found].sort();
}

export function isFolder({ files, folders }: FileSystem, path: string): boolean {
  if (path === "" || folders.has(path)) return true;
  const within = `${path}/`;
  return [...files.keys(), ...folders].some((one) => one.startsWith(within));
}

const isThere = (system: FileSystem, path: string): boolean => system.files.has(path) || isFolder(system, path);
