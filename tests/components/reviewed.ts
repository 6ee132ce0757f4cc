import { readFile } from "node:fs/promises";
import type { ImagePipelineArgs } from "../../components/contract.js";

/** Types of the resources in a reviewed list (`image-pipeline.resources.txt`). */
export async function reviewedTypes(list: URL): Promise<Set<string>> {
  const reviewed = await readFile(list, "utf8");
  return new Set(
    reviewed
      .trim()
      .split("\n")
      .map((line) => line.split("  ")[1] as string),
  );
}

/** Every argument that there is on all clouds: with one more, this does not compile. */
export const ARGUMENTS: Readonly<Record<keyof ImagePipelineArgs, true>> = {
  source: true,
  thumbnails: true,
  limits: true,
  tagger: true,
  notify: true,
  auth: true,
  apiKey: true,
  metadata: true,
  origins: true,
  removal: true,
  recovery: true,
  logs: true,
  tags: true,
};
