// A process with an embedded Azure over a folder, to be killed: argv has the folder, and "begin" or "go on".
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Resource } from "../../../../../local/kernel/service.js";
import storage from "../../../../../local/services/azure/storage/index.js";
import web from "../../../../../local/services/azure/web/index.js";
import { testAzure } from "../azure-cloud.js";
import { packageOf, testApp } from "./fixture.js";

const [folder = "", phase] = process.argv.slice(2);
const kept = join(folder, "resources.json");
if (phase === "begin") {
  const app = await testApp({ folder, kept: true });
  const { status, text } = await app.publish(await packageOf());
  if (status !== 4) throw new Error(text);
  const { resources } = app.azure.test.cloud;
  const types = ["authorization:RoleAssignment", "managedidentity:UserAssignedIdentity", "storage:StorageAccount", "storage:Queue"];
  const all = [...types, "web:AppServicePlan", "web:WebApp"].flatMap((type) => resources.all(`azure-native:${type}`));
  await writeFile(kept, JSON.stringify(all));
  process.stdout.write(`${app.url}\n`);
} else {
  const azure = await testAzure([storage(), web()], { folder, kept: true });
  let url = "";
  for (const resource of JSON.parse(await readFile(kept, "utf8")) as Resource[]) {
    const { outputs, type } = await azure.test.restore(resource);
    if (type.endsWith(":WebApp")) url = `http://${outputs.defaultHostName}`;
  }
  process.stdout.write(`${url}\n`);
}
// The process stays up with its servers, until it is killed.
