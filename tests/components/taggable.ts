import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import type { Declared } from "../declared.js";

const require = createRequire(import.meta.url);

/** Names of the resources that can carry labels, as the clouds' SDKs know it. */
export async function taggable(resources: readonly Declared[]): Promise<string[]> {
  const able = await Promise.all(resources.map(async ({ type }) => canCarryTags(type)));
  return resources.filter((_, index) => able[index]).map(({ name }) => name);
}

/** @param type `"azure-native:sql:Server"`, `"aws:sqs/queue:Queue"` */
async function canCarryTags(type: string): Promise<boolean> {
  const [pkg = "", module = "", name = ""] = type.split(":");
  if (pkg !== "aws" && pkg !== "azure-native") return false;
  const folder = path.dirname(require.resolve(`@pulumi/${pkg}/package.json`));
  const file = pkg === "aws" ? `${module}.d.ts` : `${module}/${name.charAt(0).toLowerCase()}${name.slice(1)}.d.ts`;
  const text = await readFile(path.join(folder, file), "utf8");
  const args = text.slice(text.indexOf(`export interface ${name}Args`));
  return /^ {4}tags\?: /m.test(args);
}
