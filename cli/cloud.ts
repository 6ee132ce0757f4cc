import { writeFileSync } from "node:fs";
import { type AttachableCloud, startAttachable } from "../local/index.js";
import { CLOUD_HELP, parseCloudOptions } from "./cloud-options.js";
import { UsageError } from "./errors.js";
import { mustBeWritable } from "./files.js";
import { mustBeFree } from "./ports.js";

const log = (line = "") => process.stderr.write(`${line}\n`);

let running: AttachableCloud | undefined;

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    // Whatever happens, it ends within 2 seconds.
    setTimeout(() => process.exit(1), 1_700).unref();
    void (running?.stop() ?? Promise.resolve()).finally(() => process.exit(signal === "SIGINT" ? 130 : 143));
  });
}

try {
  await run();
} catch (error) {
  await running?.stop();
  log(error instanceof UsageError ? `\n${error.message}` : `\n${(error as Error)?.stack ?? error}`);
  process.exit(error instanceof UsageError ? 2 : 1);
}

async function run(): Promise<void> {
  const { help, only, region, port, env } = parseCloudOptions(process.argv.slice(2));
  if (help) {
    process.stdout.write(CLOUD_HELP);
    return;
  }
  if (env) mustBeWritable(env, "--env");
  if (port !== undefined) await mustBeFree(port);

  const begun = performance.now();
  running = await startAttachable({ region, ...(only.length > 0 && { clouds: only }), ...(port !== undefined && { port }) });
  const settings = Object.entries(running.environment).map(([name, value]) => setting(name, value));
  if (env) writeFileSync(env, `${settings.join("\n")}\n`, { mode: 0o600 });
  log(`The embedded cloud is ready in ${((performance.now() - begun) / 1000).toFixed(1)} s. In another terminal:`);
  log();
  process.stdout.write(`${settings.join("\n")}\n`);
  log();
  log("Then pulumi deploys onto it: npm run cloud -- --help shows how. Ctrl+C ends it, and all that is deployed on it.");
}

/** A line that sets a variable in the person's shell. */
function setting(name: string, value: string): string {
  return process.platform === "win32"
    ? `$env:${name} = '${value.replaceAll("'", "''")}'`
    : `export ${name}='${value.replaceAll("'", "'\\''")}'`;
}
