import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { pageOnce, ROOT } from "./compile.js";

/** A packaging that was done: what went in, and what came out. */
export interface Packaged {
  /** Every source, from the root, with the SHA-256 of its content; `null` for what the installed packages' lock files stand for. */
  sources: Readonly<Record<string, string | null>>;
  /** The archive, absolute. */
  path: string;
  /** Of the archive, hex. */
  sha256: string;
  /** Of the archive, bytes. */
  size: number;
}

/** Hex. */
export function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/**
 * What stands for all of `node_modules`: the lock file, and npm's own note of what it has installed. `undefined` where npm has not written one, as then
 * nothing tells of a change.
 */
export async function installation(root: string): Promise<string | undefined> {
  const files = ["package-lock.json", "node_modules/.package-lock.json"].map((file) => path.join(root, file));
  if (!files.every(existsSync)) return undefined;
  return sha256((await Promise.all(files.map((file) => readFile(file)))).map(sha256).join());
}

/** The hashes of sources; those of packages and of modules that are made are left to others. */
export async function hashed(root: string, sources: readonly string[]): Promise<Record<string, string | null>> {
  const hash = async (source: string) =>
    /^(.*\/)?node_modules\/|^virtual:/.test(source) ? null : sha256(await readFile(path.resolve(root, source)).catch(() => ""));
  return Object.fromEntries(await Promise.all(sources.map(async (source) => [source, await hash(source)] as const)));
}

/**
 * Where it is noted what came out of the same arguments before, with the same installation, page and version of the packaging: the modules of
 * this folder that take part in it, `by` name.
 */
export async function noteOf(args: { name: string }, outdir: string, by: readonly string[]): Promise<string | undefined> {
  const installed = await installation(ROOT);
  if (!installed) return undefined;
  const [page, ...here] = await Promise.all([pageOnce(), ...by.map((file) => readFile(new URL(`./${file}.ts`, import.meta.url)))]);
  const all = [process.cwd(), args, installed, page, here.map(sha256)];
  return path.join(outdir, `${args.name}-${sha256(JSON.stringify(all)).slice(0, 16)}.json`);
}

/** A packaging that was noted in `file`, if the sources are still the same, and so is the archive. */
export async function recalled(root: string, file: string): Promise<Packaged | undefined> {
  if (!existsSync(file)) return undefined;
  const packaged = JSON.parse(await readFile(file, "utf8")) as Packaged;
  const now = await hashed(root, Object.keys(packaged.sources));
  const same = Object.entries(packaged.sources).every(([source, hash]) => now[source] === hash);
  return same && existsSync(packaged.path) && sha256(await readFile(packaged.path)) === packaged.sha256 ? packaged : undefined;
}

/** Writes in one step, so that no other process ever reads half a file. */
export async function written<Content extends string | Uint8Array>(file: string, content: Content): Promise<Content> {
  const unfinished = `${file}.${randomUUID()}`;
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(unfinished, content);
  await rename(unfinished, file).catch(async (error) => {
    await rm(unfinished, { force: true });
    if (!existsSync(file)) throw error;
  });
  return content;
}
