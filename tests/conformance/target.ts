import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, watch } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A deployment under test: all that the suite knows of it. */
export interface Target {
  url: string;
  key: string;
}

const { CONFORMANCE_URL, CONFORMANCE_KEY } = process.env;

/** What the suite runs against: the deployment that the environment names, or each of our stacks on the embedded cloud. */
export const TARGETS: readonly string[] = CONFORMANCE_URL ? [CONFORMANCE_URL] : ["aws", "azure", "azure-kubernetes"];

const started = new Map<string, Promise<Target>>();
const endings: (() => Promise<void>)[] = [];

/** The deployment of that name, started when it is asked for first. */
export function target(name: string): Promise<Target> {
  let running = started.get(name);
  if (!running) {
    running = CONFORMANCE_URL ? Promise.resolve({ url: CONFORMANCE_URL, key: CONFORMANCE_KEY ?? "" }) : start(name);
    started.set(name, running);
  }
  return running;
}

/** Ends whatever was started. */
export async function endTargets(): Promise<void> {
  await Promise.all(endings.splice(0).map((end) => end()));
}

/** Runs the product's own command, and learns URL and key as anybody would: from `--outputs`. */
async function start(stack: string): Promise<Target> {
  const folder = await mkdtemp(join(tmpdir(), "conformance-"));
  const outputs = join(folder, "outputs.json");
  const child = spawn(process.execPath, ["cli/start.mjs", stack, "--outputs", outputs], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const exit = once(child, "exit");
  let ending = false;
  void exit.then(([code, signal]) => {
    // Whoever waits for an answer sees a refused connection; this says why.
    if (!ending) console.error(`"npm start -- ${stack}" ended with ${code ?? signal}:\n${said.slice(-5_000)}`);
  });
  endings.push(async () => {
    ending = true;
    child.kill("SIGTERM");
    await exit;
    await rm(folder, { recursive: true, force: true });
  });
  const waiting = new AbortController();
  const died = exit.then(([code]) => {
    throw new Error(`"npm start -- ${stack}" ended with ${code}:\n${said}`);
  });
  await Promise.race([appears(outputs, waiting.signal), died]).finally(() => waiting.abort());
  died.catch(() => {});
  const { url, apiKey } = JSON.parse(await readFile(outputs, "utf8"));
  return { url, key: apiKey };
}

/** Resolves when the file is there, told by the file system. */
async function appears(file: string, signal: AbortSignal): Promise<void> {
  try {
    const events = watch(join(file, ".."), { signal });
    if (existsSync(file)) return;
    for await (const _ of events) if (existsSync(file)) return;
  } catch (error) {
    if ((error as Error).name !== "AbortError") throw error;
  }
}
