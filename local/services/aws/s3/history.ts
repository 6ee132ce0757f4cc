import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { readJson, writeJson } from "./files.js";
import type { StoredObject } from "./store.js";

/** The mark of a deletion: while it is the newest of its key, there is no object. */
export interface DeletionMark {
  key: string;
  /** Absent: the `null` version. */
  versionId?: string;
  /** ISO 8601. */
  modifiedAt: string;
  sequencer: string;
  isDeletion: true;
}

/** What a key was, or is. */
export type Version = (StoredObject & { isDeletion?: never }) | DeletionMark;

/** What the keys of a bucket were before, if it keeps versions: replaced objects and marks of deletions, a JSON file each. */
export class History {
  readonly #versions = new Map<string, Version[]>();

  constructor(private readonly folder: string) {
    mkdirSync(folder, { recursive: true });
    for (const file of readdirSync(folder)) {
      const version = file.endsWith(".json") ? readJson<Version>(join(folder, file)) : undefined;
      if (version) this.#versions.set(version.key, [...this.of(version.key), version]);
      else unlinkSync(join(folder, file));
    }
    for (const versions of this.#versions.values()) versions.sort((a, b) => (a.sequencer < b.sequencer ? 1 : -1));
  }

  /** Newest first. */
  of(key: string): readonly Version[] {
    return this.#versions.get(key) ?? [];
  }

  all(): Version[] {
    return [...this.#versions.values()].flat();
  }

  /** Puts the newest in. */
  add(version: Version): void {
    writeJson(this.#path(version), version);
    this.#versions.set(version.key, [version, ...this.of(version.key)]);
  }

  remove(version: Version): void {
    unlinkSync(this.#path(version));
    const rest = this.of(version.key).filter((each) => each !== version);
    if (rest.length > 0) this.#versions.set(version.key, rest);
    else this.#versions.delete(version.key);
  }

  #path({ key, versionId = "null" }: Version): string {
    return join(this.folder, `${createHash("sha256").update(`${versionId} ${key}`).digest("hex")}.json`);
  }
}
