import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { Command } from "./command.js";

// A promise in seconds: tests/run.mjs runs this file when nothing else runs.
for (const stack of ["aws", "azure", "azure-kubernetes"]) {
  describe(`The end of npm start -- ${stack}`, function () {
    this.timeout(120_000);

    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      it(`${signal} ends it and all its processes within 2 seconds`, async () => {
        const command = new Command(stack);
        await command.says(/Ctrl\+C/);
        const pid = command.child.pid as number;
        const children = descendants(pid);
        assert.ok(children.length > 0, "handlers run in processes of their own");
        const begun = performance.now();
        await command.stop(signal);
        while (alive(children).length && performance.now() - begun < 2_000) await pause(20);
        assert.deepEqual(alive(children), []);
        assert.ok(performance.now() - begun < 2_000);
      });
    }
  });
}

function descendants(pid: number): number[] {
  const rows = execFileSync("ps", ["-eo", "pid=,ppid="], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((row) => row.trim().split(/\s+/).map(Number));
  const of = (parent: number): number[] =>
    rows.filter(([, ppid]) => ppid === parent).flatMap(([child]) => [child as number, ...of(child as number)]);
  return of(pid);
}

/** Which of them still run, by their command lines. What has ended and only waits for its parent to notice does not. */
function alive(pids: number[]): string[] {
  try {
    return execFileSync("ps", ["-o", "stat=,args=", "-p", pids.join(",")], { encoding: "utf8" })
      .split("\n")
      .filter((row) => row && !row.startsWith("Z"));
  } catch {
    // `ps` finds none of them.
    return [];
  }
}
