import assert from "node:assert/strict";
import type { Declared } from "../declared.js";

/** The resource with this logical name. */
export function called(resources: readonly Declared[], name: string): Declared {
  const found = resources.find((resource) => resource.name === name);
  assert.ok(found, `${name} is not declared`);
  return found;
}
