import { accessSync, constants, mkdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { UsageError } from "./errors.js";

/** Refuses, before anything is started, what could not be read. @throws UsageError */
export function mustBeReadable(path: string): void {
  try {
    accessSync(path, constants.R_OK);
  } catch (error) {
    throw new UsageError(
      `The file "${path}" cannot be read: ${(error as NodeJS.ErrnoException).code === "ENOENT" ? "it does not exist" : (error as Error).message}.`,
    );
  }
  if (!statSync(path).isFile()) throw new UsageError(`"${path}" is not a file.`);
}

/** Refuses, before anything is started, what could not be written. @throws UsageError */
export function mustBeWritable(path: string, option: string): void {
  try {
    accessSync(dirname(resolve(path)), constants.W_OK);
  } catch {
    throw new UsageError(`${option}: the folder of "${path}" does not exist or cannot be written to.`);
  }
}

/** The folder that state is kept in, made where it is not there. @throws UsageError */
export function mustBeFolder(path: string): string {
  try {
    mkdirSync(path, { recursive: true });
    accessSync(path, constants.W_OK);
  } catch (error) {
    throw new UsageError(`--data: "${path}" cannot be used as a folder: ${(error as Error).message}.`);
  }
  return resolve(path);
}

/** Writes JSON so that whoever waits for the file never sees half of it. It may hold secrets: only the owner may read it. */
export function writeJson(path: string, value: unknown): void {
  const draft = `${path}.${process.pid}.tmp`;
  writeFileSync(draft, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, path);
}
