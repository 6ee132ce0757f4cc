import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type CloudName, type EmbeddedStack, readStackConfig, startStack } from "../local/index.js";
import { accessLines } from "./access.js";
import { UsageError } from "./errors.js";
import { mustBeFolder, mustBeReadable, mustBeWritable, writeJson } from "./files.js";
import { HELP, type Options, parseOptions } from "./options.js";
import { mustBeFree } from "./ports.js";
import { Product } from "./product.js";
import { Progress } from "./progress.js";
import { block } from "./report.js";
import { samples, surprises, type Work } from "./samples.js";

const ROOT = join(import.meta.dirname, "..");
const log = (line = "") => process.stderr.write(`${line}\n`);

/** Set by the first SIGINT or SIGTERM: whatever waits, stops waiting. */
const ended = new AbortController();
let running: EmbeddedStack | undefined;

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    ended.abort();
    // Whatever happens, the promise of 2 seconds holds.
    setTimeout(() => process.exit(1), 1_700).unref();
    void (running?.stop() ?? Promise.resolve()).finally(() => process.exit(signal === "SIGINT" ? 130 : 143));
  });
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(HELP);
  else process.exitCode = await run(options);
  if (process.exitCode !== undefined) process.exit();
} catch (error) {
  if (ended.signal.aborted) await new Promise(() => {});
  await running?.stop();
  log(
    error instanceof Error && (error instanceof UsageError || error.name === "ProgramFailed")
      ? `\n${error.message}`
      : `\n${(error as Error)?.stack ?? error}`,
  );
  process.exit(error instanceof UsageError ? 2 : 1);
}

/** The exit code, or `undefined` to stay up. */
async function run(options: Options): Promise<number | undefined> {
  checkStack(options.stack);
  options.files.forEach(mustBeReadable);
  if (options.outputs) mustBeWritable(options.outputs, "--outputs");
  if (options.graph) mustBeWritable(options.graph, "--graph");
  if (options.port !== undefined) await mustBeFree(options.port);
  const dataFolder = options.data === undefined ? undefined : mustBeFolder(options.data);

  const begun = performance.now();
  const progress = new Progress(process.stderr, options.stack);
  log(`Stack ${options.stack}: running the Pulumi program on the embedded cloud …`);
  const { default: program } = await import("../stacks/index.js");
  const settings = await readStackConfig(ROOT, options.stack);
  const stack = await startStack({
    program,
    ...settings,
    clouds: cloudsOf(settings.config),
    ...(dataFolder === undefined ? {} : { dataFolder }),
    ...(options.port === undefined ? {} : { port: options.port }),
    onProgress: (step) => progress.step(step),
  });
  running = stack;
  const { create, update, same, replace, delete: removed } = stack.summary;
  progress.done(
    `Ready in ${((performance.now() - begun) / 1000).toFixed(1)} s: ` +
      [
        `${create} created`,
        update && `${update} updated`,
        replace && `${replace} replaced`,
        removed && `${removed} deleted`,
        same && `${same} unchanged`,
      ]
        .filter(Boolean)
        .join(", "),
  );
  if (options.graph) writeJson(options.graph, stack.graph());
  if (options.outputs) writeJson(options.outputs, stack.outputs);

  const { url, apiKey } = stack.outputs as { url: string; apiKey: string };
  const product = new Product(url, apiKey, ended.signal);
  const asExpected = await processPhotos(product, options, Boolean(dataFolder) && create === 0);
  if (options.once) {
    await stack.stop();
    return asExpected ? 0 : 1;
  }
  log();
  log(`  page      ${url}`);
  if (apiKey) log(`  API key   ${apiKey}`);
  log(`  upload    curl -H "authorization: Bearer ${apiKey || "…"}" -F "file=@photo.jpg" ${url}/upload`);
  log();
  const access = await accessLines(stack);
  for (const line of access) log(line);
  if (access.length > 0) log();
  log("Ctrl+C ends it.");
  return undefined;
}

/** Sends the files, or the samples, through the pipeline; whether all ended as they had to. */
async function processPhotos(product: Product, options: Options, seenBefore: boolean): Promise<boolean> {
  if (seenBefore && !options.once) return true;
  const work: Work[] = options.files.length ? options.files.map((path) => ({ path })) : await samples();
  let good = true;
  await inParallel(work, 3, async ({ path, expected }) => {
    // A sample that is there from an earlier start is processed anew; a person's own file is never overwritten unasked.
    const outcome = await product.process(path, { overwrite: expected !== undefined });
    const wrong = expected ? surprises(outcome, expected) : outcome.status === "completed" ? [] : [`${path}: ${outcome.status}`];
    if (wrong.length) good = false;
    if (options.once)
      process.stdout.write(
        `${JSON.stringify(outcome.record ?? { file: outcome.file, status: outcome.status, failure: outcome.failure })}\n`,
      );
    log(block(outcome, process.stderr));
    for (const line of wrong) log(`    ! ${line}`);
  });
  return good;
}

async function inParallel<T>(items: readonly T[], width: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

/** Only the services of the stack's own cloud run. */
function cloudsOf(config: Readonly<Record<string, string>>): CloudName[] {
  return config["image-pipeline:cloud"] === "azure" ? ["azure", "kubernetes"] : ["aws"];
}

function checkStack(stack: string): void {
  if (/^[\w.-]+$/.test(stack) && existsSync(join(ROOT, `Pulumi.${stack}.yaml`))) return;
  const known = readdirSync(ROOT).flatMap((file) => /^Pulumi\.(.+)\.yaml$/.exec(file)?.[1] ?? []);
  throw new UsageError(`There is no stack "${stack}": Pulumi.${stack}.yaml does not exist. There are: ${known.sort().join(", ")}.`);
}
