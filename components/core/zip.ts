import { createHash } from "node:crypto";
import { type Zippable, zipSync } from "fflate";

/** Files of an archive by their path in it, with forward slashes. */
export type Files = ReadonlyMap<string, Uint8Array>;

/** Regular, readable by everyone, written by its owner: in the upper half of a zip's attributes, as Unix has it. */
const MODE = { os: 3, attrs: (0o100644 << 16) >>> 0 };

/**
 * The same files always give the same bytes, on any machine: sorted by path, with one date and one mode, and compressed by a library in
 * JavaScript, because builds of zlib differ.
 */
export function zipped(files: Files): Uint8Array {
  // Zip has local times without a zone: these are the same hours everywhere.
  const mtime = new Date(2000, 0, 1);
  return zipSync(
    Object.fromEntries(sorted(files).map(([path, content]) => [path, [content, { ...MODE, mtime, level: 6 }] as const])) as Zippable,
  );
}

/** One hash over paths and contents, in hex. */
export function contentHash(files: Files): string {
  const hash = createHash("sha256");
  for (const [path, content] of sorted(files)) hash.update(`${path}\0`).update(createHash("sha256").update(content).digest());
  return hash.digest("hex");
}

/** By path, in the order of code units. */
export function sorted(files: Files): [string, Uint8Array][] {
  return [...files].sort(([one], [other]) => (one < other ? -1 : 1));
}
