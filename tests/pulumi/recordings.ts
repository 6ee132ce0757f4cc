import { readdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type CloudName, readStackConfig } from "../../local/index.js";
import type { RecordedResource } from "./graph.js";

const ROOT = resolve(import.meta.dirname, "../..");
const FOLDER = join(import.meta.dirname, "graphs");

/** Names of the stacks that there is a graph of. */
export function recordings(): string[] {
  return readdirSync(FOLDER).flatMap((file) => /^(.+)\.json$/.exec(file)?.[1] ?? []);
}

export async function readRecording(stack: string): Promise<RecordedResource[]> {
  return JSON.parse(await readFile(join(FOLDER, `${stack}.json`), "utf8"));
}

export async function writeRecording(stack: string, graph: readonly RecordedResource[]): Promise<void> {
  await writeFile(join(FOLDER, `${stack}.json`), `${JSON.stringify(graph, null, 1)}\n`);
}

/** What the files say about one of our stacks, and whose services it needs. */
export async function settingsOf(stack: string): Promise<Awaited<ReturnType<typeof readStackConfig>> & { clouds: CloudName[] }> {
  const settings = await readStackConfig(ROOT, stack);
  return { ...settings, clouds: settings.config["image-pipeline:cloud"] === "azure" ? ["azure", "kubernetes"] : ["aws"] };
}
