import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { type EmbeddedAzure, startPipeline } from "./azure-stack.js";

const NAME = "survivor.jpg";

interface HistoryEvent {
  EventType: string;
  EventId: number;
  Name?: string;
  /** The `EventId` of what has ended. */
  TaskScheduledId?: number;
}

describe("An image on Azure whose Functions host is killed between the thumbnails and the metadata", function () {
  this.timeout(120_000);
  let dataFolder: string;
  let child: ChildProcess | undefined;
  let pipeline: EmbeddedAzure | undefined;
  let orchestrations = "";

  const kill = async () => {
    const gone = child && child.exitCode === null && child.signalCode === null && once(child, "exit");
    child?.kill("SIGKILL");
    await gone;
  };
  before(async () => {
    dataFolder = await mkdtemp(join(tmpdir(), "killed-azure-"));
  });
  after(async () => {
    await kill();
    await pipeline?.stop();
    await rm(dataFolder, { recursive: true, force: true });
  });

  /** What the durable status API says of the one orchestration. */
  const status = async () => {
    const [listed, ...others] = await json(orchestrations);
    assert.deepEqual(others, []);
    if (!listed) return undefined;
    return json(orchestrations.replace("/instances?", `/instances/${listed.instanceId}?showHistory=true&`));
  };
  /** Names of the activities that have completed. */
  const ended = (history: readonly HistoryEvent[]) =>
    history
      .filter(({ EventType }) => EventType === "TaskCompleted")
      .map(
        ({ TaskScheduledId }) =>
          history.find(({ EventType, EventId }) => EventType === "TaskScheduled" && EventId === TaskScheduledId)?.Name,
      );

  it("is gone on with by the next start: what had finished is not done again, and one row results", async () => {
    child = spawn(process.execPath, ["--import", "tsx", join(import.meta.dirname, "azure-killed.ts"), dataFolder, NAME], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    [orchestrations] = (await Promise.race([
      once(createInterface({ input: child.stdout as Readable }), "line"),
      once(child, "exit").then(() => [""]),
    ])) as [string];
    assert.match(orchestrations, /^http/, "the first pipeline came up");
    await until(async () => ended((await status())?.historyEvents ?? []).includes("ExtractMetadata"), "the metadata are extracted");
    await until(async () => {
      // Azurite writes to disk every five seconds: what is lost with the process is not the host's to keep.
      const read = (store: string) => readFile(join(dataFolder, "cloud", "storage", "azurite", `${store}.json`), "utf8").catch(() => "");
      return [...(await read("table")).matchAll(/"TaskCompleted"/g)].length >= 2 && (await read("blob")).includes(NAME);
    }, "that is on disk");
    const before = await status();
    assert.deepEqual([before.runtimeStatus, ended(before.historyEvents)], ["Running", ["Validate", "ExtractMetadata"]]);
    await kill();

    pipeline = await startPipeline({}, { dataFolder });
    const record = await pipeline.client.result(NAME);
    assert.deepEqual([record.status, record.variants.length], ["completed", 2]);
    await pipeline.stack.cloud.settled();
    orchestrations = pipeline.access.apps[0]?.orchestrations as string;
    const after = await status();
    assert.deepEqual([after.runtimeStatus, after.output], ["Completed", "completed"]);
    assert.equal(after.instanceId, before.instanceId);
    const ran = pipeline.stack.cloud.trace
      .entries("log")
      .flatMap(({ text }) => /Executed 'Functions\.(\w+)' \(Succeeded/.exec(text)?.[1] ?? [])
      .filter((name) => !["Api", "Starter", "Sweep", "Purge"].includes(name));
    assert.deepEqual(ran, ["GenerateThumbnails", "DetectLabels", "StoreResults", "Notify"]);
    assert.deepEqual(
      (await pipeline.rows("SELECT ImageKey, Status FROM ImageMetadata")).map(({ ImageKey, Status }) => [ImageKey, Status]),
      [[NAME, "completed"]],
    );
  });
});

async function json(url: string): Promise<any> {
  return (await fetch(url)).json();
}

async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + 30_000; !(await holds()); await new Promise((resume) => setTimeout(resume, 100)))
    assert.ok(Date.now() < end, `after 30 s it still does not hold that ${what}`);
}
