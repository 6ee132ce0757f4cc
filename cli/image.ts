import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { buildContext } from "../components/core/build-context.js";

/** Writes the context of the containers' image to the standard output, for a build by hand: `npm run --silent image | docker build -`. */
if (process.stdout.isTTY) {
  console.error("This writes an archive. Pass it on: npm run --silent image | docker build --tag image-pipeline -");
  process.exit(1);
}
const { path } = await buildContext({
  name: "image-pipeline",
  entries: { "uploader.mjs": "functions/container/uploader.ts", "processor.mjs": "functions/container/processor.ts" },
  target: "node24",
  dockerfile: "functions/container/Dockerfile",
});
await pipeline(createReadStream(path), process.stdout);
