import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { unzipSync } from "fflate";
import { bundle } from "../../../components/core/bundle.js";
import { settings } from "../core/stages/pipeline.js";

/** What the worker of Azure Functions injects as `@azure/functions-core`, as far as an app needs it to register its functions. */
const WORKER = `
import Module from "node:module";
const registered = {};
const core = {
  version: "4", hostVersion: "4.1", Disposable: class {}, registerHook: () => ({ dispose() {} }),
  setProgrammingModel() {}, getProgrammingModel() {}, log() {},
  registerFunction({ name, bindings }) {
    registered[name] = Object.values(bindings).map(({ type, queueName, route, schedule, connection }) => ({ type, queueName, route, schedule, connection }));
    return { dispose() {} };
  },
};
const original = Module.prototype.require;
Module.prototype.require = function (id) { return id === "@azure/functions-core" ? core : original.apply(this, arguments); };
await import("./index.mjs");
console.log(JSON.stringify(registered));
`;

const SETTINGS = {
  PIPELINE_SETTINGS: JSON.stringify({ ...settings, auth: { kind: "key" } }),
  STORAGE_BLOB_URL: "https://photos.blob.core.windows.net/",
  STORAGE_QUEUE_URL: "https://photos.queue.core.windows.net/",
  STORAGE_TABLE_URL: "https://photos.table.core.windows.net/",
  UPLOADS_CONTAINER: "images-input",
  THUMBNAILS_CONTAINER: "thumbnails",
  JOB_QUEUE: "jobqueue",
  DEAD_LETTER_QUEUE: "parked",
  TAGS_TABLE: "ImageTags",
  SQL_SERVER: "photos.database.windows.net",
  SQL_PORT: "1433",
  SQL_DATABASE: "photos",
  TOPIC_ENDPOINT: "https://photos.westeurope-1.eventgrid.azure.net/api/events",
  AZURE_CLIENT_ID: "00000000-0000-0000-0000-000000000000",
  API_KEY_SECRET_URI: "https://photos.vault.azure.net/secrets/api-key",
};

describe("The Function App, packaged", function () {
  this.timeout(60_000);
  let folder: string;

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "function-app-"));
    const { path: zip } = await bundle({
      name: "function-app-test",
      entry: "functions/azure/app.ts",
      sharp: { platform: process.platform as "linux", arch: process.arch as "x64" },
      target: "node20",
      external: ["@azure/functions-core"],
    });
    for (const [name, content] of Object.entries(unzipSync(await readFile(zip)))) {
      if (name.endsWith("/")) continue;
      await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
      await writeFile(path.join(folder, name), content);
    }
    await writeFile(path.join(folder, "worker.mjs"), WORKER);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const start = async (without?: keyof typeof SETTINGS) => {
    const { [without ?? ""]: _, ...declared } = SETTINGS as Record<string, string>;
    const env = { PATH: process.env.PATH, ...declared };
    const { stdout } = await promisify(execFile)(process.execPath, ["worker.mjs"], { cwd: folder, env });
    return JSON.parse(stdout) as Record<string, { type: string; queueName?: string; route?: string; connection?: string }[]>;
  };

  it("registers the starter, the orchestration, its activities, the sweep and the API, in the worker's own way", async () => {
    const registered = await start();
    const triggers = Object.entries(registered).map(([name, bindings]) => [
      name,
      bindings.find(({ type }) => /trigger$/i.test(type))?.type,
    ]);
    assert.deepEqual(Object.fromEntries(triggers), {
      Starter: "queueTrigger",
      ProcessImage: "orchestrationTrigger",
      ...Object.fromEntries(
        [
          "Validate",
          "GenerateThumbnails",
          "ExtractMetadata",
          "DetectLabels",
          "StoreResults",
          "RecordFailure",
          "Notify",
          "ParkInDeadLetters",
        ].map((name) => [name, "activityTrigger"]),
      ),
      Poison: "queueTrigger",
      Sweep: "timerTrigger",
      Purge: "timerTrigger",
      Api: "httpTrigger",
    });
    const queues = ["Starter", "Poison"].map((name) => registered[name]?.find(({ type }) => type === "queueTrigger"));
    assert.deepEqual(
      queues.map((queue) => [queue?.queueName, queue?.connection]),
      [
        ["jobqueue", "AzureWebJobsStorage"],
        ["jobqueue-poison", "AzureWebJobsStorage"],
      ],
    );
    assert.equal(registered.Api?.find(({ type }) => type === "httpTrigger")?.route, "{*path}");
  });

  it("does not start without what it needs, and says what that is", async () => {
    await assert.rejects(start("SQL_SERVER"), /SQL_SERVER is not set/);
  });

  it("is hosted with limits that end what cannot be done", async () => {
    const host = JSON.parse(await readFile(new URL("../../../functions/azure/host.json", import.meta.url), "utf8"));
    assert.equal(host.extensions.http.routePrefix, "");
    assert.deepEqual([host.extensions.queues.maxDequeueCount, host.extensions.queues.messageEncoding], [5, "base64"]);
    assert.equal(host.extensionBundle.version, "[4.*, 5.0.0)");
    assert.match(host.extensions.durableTask.hubName, /^[A-Za-z][A-Za-z0-9]{2,44}$/);
  });
});
