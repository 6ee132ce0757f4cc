import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Outcome } from "./product.js";

/** What a sample photo must end as; `samples/expected.json` has one per file. */
export interface Expectation {
  status: Outcome["status"];
  code?: string;
  format?: string;
  width?: number;
  height?: number;
}

const FOLDER = join(import.meta.dirname, "..", "samples");

/** A file to process and, for a sample, what it must end as. */
export interface Work {
  path: string;
  expected?: Expectation;
}

/** The sample photos, in the order of `expected.json`. */
export async function samples(): Promise<Work[]> {
  const expected: Record<string, Expectation> = JSON.parse(await readFile(join(FOLDER, "expected.json"), "utf8"));
  return Object.entries(expected).map(([file, expectation]) => ({ path: join(FOLDER, file), expected: expectation }));
}

/** What is not as expected, in words; nothing when all is. A refusal at the door is as good as a failed record: the code has to be right. */
export function surprises(outcome: Outcome, expected: Expectation): string[] {
  const seen: Record<string, unknown> = {
    ...outcome.record,
    status: outcome.status === "refused" ? "failed" : outcome.status,
    ...(outcome.failure ? { code: outcome.failure.code } : {}),
  };
  return (Object.keys(expected) as (keyof Expectation)[])
    .filter((name) => seen[name] !== expected[name])
    .map((name) => `${outcome.file}: ${name} is ${JSON.stringify(seen[name])}, expected ${JSON.stringify(expected[name])}`);
}
