import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { Properties } from "../../../../../local/kernel/service.js";
import { until } from "./fixture.js";

describe("A durable orchestration whose cloud is killed", function () {
  this.timeout(60_000);
  let folder: string;
  let running: ChildProcess | undefined;

  /** Starts the cloud in a process of its own; resolves with the app's address. */
  const cloud = async (phase: "begin" | "go on") => {
    const child = spawn(process.execPath, ["--import", "tsx", join(import.meta.dirname, "killed-cloud.ts"), folder, phase], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    running = child;
    const lines = createInterface({ input: child.stdout as Readable });
    const [url] = (await Promise.race([once(lines, "line"), once(child, "exit").then(() => [""])])) as [string];
    assert.match(url, /^http/, "the cloud came up");
    return url;
  };
  const kill = async () => {
    const gone = running && once(running, "exit");
    running?.kill("SIGKILL");
    await gone;
    running = undefined;
  };
  const notes = async () => (await readFile(join(folder, "notes.txt"), "utf8").catch(() => "")).trim().split("\n");

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "killed-"));
  });
  after(async () => {
    await kill();
    await rm(folder, { recursive: true, force: true });
  });

  it("goes on where it was, and does not run again what had ended", async () => {
    const before = await cloud("begin");
    const work = [
      { name: "quick", milliseconds: 5 },
      { name: "slow", milliseconds: 9_000 },
    ];
    const response = await fetch(`${before}/start/fanOut/survivor`, { method: "POST", body: JSON.stringify(work) });
    assert.equal(response.status, 202);
    const { statusQueryGetUri } = (await response.json()) as Properties;
    const history = async () =>
      ((await (await fetch(`${statusQueryGetUri}&showHistory=true`)).json()) as Properties).historyEvents as Properties[];
    await until(async () => (await history()).some(({ EventType }) => EventType === "TaskCompleted"), "one activity has ended");
    // Azurite writes its tables to disk every five seconds: what is lost with the process is not the host's to keep.
    const onDisk = async () => {
      const files = (await readdir(folder, { recursive: true })).filter((file) => /table.*\.json$/i.test(file));
      return (await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")))).some((text) => text.includes("TaskCompleted"));
    };
    await until(onDisk, "it is on disk");
    await kill();

    const after = await cloud("go on");
    const status = await until(async () => {
      const asked = await fetch(statusQueryGetUri.replace(before, after));
      return asked.status === 200 && ((await asked.json()) as Properties);
    }, "it is over");
    assert.equal(status.output, "QUICKSLOW");
    const count = async (note: string) => (await notes()).filter((each) => each === note).length;
    assert.deepEqual([await count("begin quick"), await count("begin slow"), await count("end slow")], [1, 2, 1]);
  });
});
