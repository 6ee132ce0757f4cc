import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { masked } from "../../local/engine/envelopes.js";
import { type ResourceState, startStack } from "../../local/index.js";
import program from "../../stacks/index.js";
import { settingsOf } from "../pulumi/recordings.js";

/** Stacks whose first release is recorded. */
export const RELEASED = ["aws", "azure", "azure-kubernetes"] as const;
export type Released = (typeof RELEASED)[number];

const file = (stack: Released) => join(import.meta.dirname, "releases", `${stack}.jsonl`);

/** What somebody has in their state who deployed the first release, with the defaults. */
export async function firstRelease(stack: Released): Promise<ResourceState[]> {
  const lines = (await readFile(file(stack), "utf8")).trim().split("\n");
  return lines.map((line) => JSON.parse(line) as ResourceState);
}

/**
 * Records a release that is about to be made. Not to be run again for one that has been made: what is recorded is what people have, and what the
 * program has to go on from.
 */
async function record(stack: Released): Promise<void> {
  const running = await startStack({ program, ...(await settingsOf(stack)) });
  const lines = running.resources().map((resource) => {
    // The text of dynamic providers: another one is no change of the resource.
    const { __provider: _, ...inputs } = resource.inputs;
    const { __provider: __, ...outputs } = resource.outputs;
    return `${JSON.stringify({ ...resource, inputs: masked(inputs), outputs: masked(outputs) })}\n`;
  });
  await running.stop();
  await writeFile(file(stack), lines.join(""));
  console.log(`${stack}: ${lines.length} resources`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const stack of RELEASED.filter((each) => process.argv.length === 2 || process.argv.includes(each))) await record(stack);
  process.exit();
}
