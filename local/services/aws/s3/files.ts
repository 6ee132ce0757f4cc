import { randomBytes } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";

/** A name that no other file in its folder has. */
export const uniqueName = (): string => randomBytes(12).toString("hex");

/**
 * Writes JSON so that a reader, now or after a crash, finds either the old or the new content whole. Synchronous, so that nothing comes between
 * a decision and its record.
 */
export function writeJson(path: string, value: unknown): void {
  const written = join(dirname(path), `${uniqueName()}.tmp`);
  writeFileSync(written, JSON.stringify(value));
  renameSync(written, path);
}

/** `undefined` where no such file is. */
export function readJson<Value>(path: string): Value | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Value;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Removes a file or folder that nothing refers to any more. What stays behind is swept at the next start. */
export async function discard(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch(() => undefined);
}
