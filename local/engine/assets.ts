import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Properties } from "../kernel/service.js";
import { assetKind } from "./envelopes.js";

/** The same properties with the hash of its contents in every asset and archive, so that changed contents are a change. */
export async function hashed(wire: Properties): Promise<Properties> {
  return (await withHashes(wire)) as Properties;
}

async function withHashes(wire: unknown): Promise<unknown> {
  if (typeof wire !== "object" || wire === null) return wire;
  if (Array.isArray(wire)) return Promise.all(wire.map(withHashes));
  if (assetKind(wire)) {
    const { assets, ...rest } = wire as Properties;
    return { ...rest, ...(assets && { assets: await hashed(assets) }), hash: await contentHash(wire) };
  }
  return Object.fromEntries(await Promise.all(Object.entries(wire).map(async ([key, item]) => [key, await withHashes(item)] as const)));
}

/** SHA-256 of what an asset or archive holds, in hex. */
async function contentHash({ path, text, assets }: Properties): Promise<string> {
  if (typeof path === "string" && path !== "") return fileHash(path);
  if (assets === undefined) return digest(text ?? "");
  const names = Object.keys(assets).sort();
  const parts = await Promise.all(names.map(async (name) => `${name}\0${await contentHash(assets[name])}`));
  return digest(parts.join("\n"));
}

async function fileHash(path: string): Promise<string> {
  if (!(await stat(path)).isDirectory()) return digest(await readFile(path));
  const names = (await readdir(path)).sort();
  const parts = await Promise.all(names.map(async (name) => `${name}\0${await fileHash(join(path, name))}`));
  return digest(parts.join("\n"));
}

const digest = (contents: string | Buffer): string => createHash("sha256").update(contents).digest("hex");
