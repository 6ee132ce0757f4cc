import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * A hash of the handler's own package, where this module is part of it: labels that another version of a tagger found are not recalled. Read once
 * per environment.
 */
export function codeVersion(): string {
  return createHash("sha256")
    .update(readFileSync(fileURLToPath(import.meta.url)))
    .digest("hex")
    .slice(0, 16);
}
