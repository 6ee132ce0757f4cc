// Run by azure-killed.test.ts, to be killed: a pipeline whose thumbnails cannot be stored, with one image under way.
import { NO_FAULTS } from "../../local/kernel/faults.js";
import { CloudError } from "../../local/kernel/service.js";
import * as photos from "../photos.js";
import { startPipeline } from "./azure-stack.js";

const [dataFolder, name] = process.argv.slice(2) as [string, string];
let failing = false;
const call = ({ operation }: { operation: string }) =>
  failing && operation === "PutBlob" ? new CloudError("InternalFailure", "An injected fault", 500) : undefined;
const { access, container } = await startPipeline({}, { dataFolder, cloud: { faults: { ...NO_FAULTS, call } } });
await container("images-input")
  .getBlockBlobClient(name)
  .uploadData(await photos.jpeg());
failing = true;
process.stdout.write(`${access.apps[0]?.orchestrations}\n`);
