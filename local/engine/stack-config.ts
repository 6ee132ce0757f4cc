import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";

/** What a project's files say about one of its stacks. */
export interface StackConfig {
  project: string;
  stack: string;
  /** `"aws:region"` → value; what has structure is JSON. */
  config: Record<string, string>;
}

/** Project files that cannot be used. */
export class StackConfigUnusable extends Error {
  override readonly name = "StackConfigUnusable";
  readonly code = "STACK_CONFIG_UNUSABLE";
}

/**
 * Reads `Pulumi.yaml` and `Pulumi.STACK.yaml` of a folder as the CLI does: keys without a namespace are the project's, the stack's values
 * go before the project's defaults.
 *
 * @throws StackConfigUnusable when a file is missing or wrong, or holds encrypted values.
 */
export async function readStackConfig(folder: string, stack: string): Promise<StackConfig> {
  const projectFile = join(folder, "Pulumi.yaml");
  const { name: project, config: declared = {} } = await readYaml(projectFile);
  if (typeof project !== "string" || project === "") throw new StackConfigUnusable(`${projectFile} has no name: set \`name\`.`);
  const stackFile = join(folder, `Pulumi.${stack}.yaml`);
  const { config: own = {} } = await readYaml(stackFile);
  const defaults = Object.entries(mapping(declared, projectFile)).flatMap(([key, value]) => {
    const chosen = isMapping(value) && ("default" in value || "value" in value || "type" in value) ? (value.value ?? value.default) : value;
    return chosen === undefined ? [] : [[key, chosen] as const];
  });
  const config: Record<string, string> = {};
  for (const [key, value] of defaults) config[qualified(key, project)] = text(key, value, projectFile);
  for (const [key, value] of Object.entries(mapping(own, stackFile))) config[qualified(key, project)] = text(key, value, stackFile);
  return { project, stack, config };
}

const qualified = (key: string, project: string): string => (key.includes(":") ? key : `${project}:${key}`);

async function readYaml(file: string): Promise<Record<string, unknown>> {
  try {
    return mapping(parse(await readFile(file, "utf8")) ?? {}, file);
  } catch (error) {
    if (error instanceof StackConfigUnusable) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new StackConfigUnusable(code === "ENOENT" ? `${file} does not exist.` : `${file} cannot be read: ${message}`);
  }
}

function mapping(value: unknown, file: string): Record<string, unknown> {
  if (isMapping(value)) return value;
  throw new StackConfigUnusable(`${file}: a mapping of names to values is expected, not ${JSON.stringify(value)}.`);
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(key: string, value: unknown, file: string): string {
  if (holdsEncrypted(value)) {
    throw new StackConfigUnusable(
      `${file}: "${key}" is encrypted (\`secure:\`), and only the Pulumi CLI can decrypt it. ` +
        "For the embedded cloud use a stack whose values are plain, or leave the value out where it has a default.",
    );
  }
  return typeof value === "string" ? value : JSON.stringify(value);
}

function holdsEncrypted(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return (isMapping(value) && Object.keys(value).length === 1 && "secure" in value) || Object.values(value).some(holdsEncrypted);
}
