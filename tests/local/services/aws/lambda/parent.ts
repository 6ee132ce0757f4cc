// Started by a test, to be killed: a cloud with an environment that is busy, whose process id it prints.
import iam from "../../../../../local/services/aws/iam.js";
import lambda from "../../../../../local/services/aws/lambda/index.js";
import { testCloud } from "../../../cloud.js";
import { declareFunction, invoke } from "./functions.js";

const test = await testCloud([iam(), lambda()], { folder: process.argv[2] as string });
const source =
  "export const handler = async () => { process.stdout.write(process.pid + '\\n'); await new Promise(() => setInterval(() => {}, 1000)); };";
const fn = await declareFunction(test, "busy", source, { timeout: 60 });
test.cloud.trace.listen(({ kind, text }) => kind === "log" && console.log(text));
await invoke(test, fn);
