// Started by a test, to be killed: a cloud with an environment that waits, whose process id it prints.
import iam from "../../../../../local/services/aws/iam.js";
import lambda from "../../../../../local/services/aws/lambda/index.js";
import { testCloud } from "../../../cloud.js";
import { declareFunction, invoke } from "./functions.js";

const test = await testCloud([iam(), lambda()]);
const fn = await declareFunction(test, "waiting", "export const handler = async () => process.pid;");
console.log((await invoke(test, fn)).Payload);
