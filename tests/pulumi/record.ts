// `npm run graphs`: records what Pulumi's CLI makes of our stacks, for the embedded engine to be compared with.
import { startAttachable } from "../../local/index.js";
import { CliStack, withoutCli } from "./cli.js";
import { type KnownResource, recorded } from "./graph.js";
import { recordings, settingsOf, writeRecording } from "./recordings.js";

const missing = withoutCli();
if (missing) {
  console.error(`Graphs are recorded with Pulumi's CLI: ${missing}.`);
  process.exit(2);
}

for (const name of process.argv.length > 2 ? process.argv.slice(2) : recordings()) {
  const { clouds, config } = await settingsOf(name);
  const attachable = await startAttachable({ region: config["aws:region"] ?? "eu-west-1", clouds });
  const stack = await CliStack.init(name, attachable.environment);
  try {
    await stack.run("up", "--yes", "--skip-preview");
    const graph = recorded(await stack.export<KnownResource>());
    await writeRecording(name, graph);
    console.log(`${name}: ${graph.length} resources`);
  } finally {
    await stack.forget();
    await attachable.stop();
  }
}
process.exit();
