import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";

/** A packaging that was done: what went in, and what came out. */
export interface Packaged {
  /** Every source, from the root, with the SHA-256 of its content; `null` for what the installed packages' lock files stand for. */
  sources: Readonly<Record<string, string | null>>;
  /** The zip, absolute. */
  path: string;
  /** Of the zip, hex. */
  sha256: string;
  /** Of the zip, bytes. */
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

/** A packaging that was noted in `file`, if the sources are still the same, and so is the zip. */
export async function recalled(root: string, file: string): Promise<Packaged | undefined> {
  if (!existsSync(file)) return undefined;
  const packaged = JSON.parse(await readFile(file, "utf8")) as Packaged;
  const now = await hashed(root, Object.keys(packaged.sources));
  const same = Object.entries(packaged.sources).every(([source, hash]) => now[source] === hash);
  return same && existsSync(packaged.path) && sha256(await readFile(packaged.path)) === packaged.sha256 ? packaged : undefined;
}
