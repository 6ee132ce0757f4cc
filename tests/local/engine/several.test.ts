import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as pulumi from "@pulumi/pulumi";
import { Bench, Box, Group, Thing } from "./things.js";

describe("Several programs in one process", () => {
  const benches = [new Bench(), new Bench(), new Bench()];
  afterEach(() => Promise.all(benches.map((bench) => bench.clear())));

  it("run at the same time, each with its own configuration, resources, transforms and outputs", async () => {
    const stacks = await Promise.all(
      benches.map((bench, at) =>
        bench.start(
          async () => {
            pulumi.runtime.registerResourceTransform(async ({ type, props, opts }) =>
              type === "test:things/thing:Thing" ? { props: { ...props, tags: { of: `${at}` } }, opts } : undefined,
            );
            const group = new Group("group");
            const box = new Box("box", { color: new pulumi.Config().require("color") }, { parent: group });
            const thing = new Thing("thing", { size: box.lid }, { parent: group });
            return { stack: pulumi.getStack(), size: thing.size, tags: thing.tags, urn: thing.urn };
          },
          { stack: `stack-${at}`, config: { "bench:color": ["red", "green", "blue"][at] ?? "" } },
        ),
      ),
    );
    assert.deepEqual(
      stacks.map(({ outputs: { stack, size, tags, urn } }) => [stack, size, tags.of, urn.split("::")[0]]),
      ["red", "green", "blue"].map((color, at) => [`stack-${at}`, `${color} lid`, `${at}`, `urn:pulumi:stack-${at}`]),
    );
    assert.deepEqual(
      stacks.map((stack) => stack.graph().length),
      [3, 3, 3],
    );
  });

  it("fail alone", async () => {
    const [good, bad, thrown] = await Promise.allSettled([
      benches[0]?.start(async () => ({ size: new Thing("thing").size })),
      benches[1]?.start(async () => void new Thing("thing", { size: "huge" })),
      benches[2]?.start(async () => void new Box("box", { color: "red" }).lid.apply(() => assert.fail("thrown within apply"))),
    ]);
    assert.deepEqual(good?.status === "fulfilled" && good.value?.outputs, { size: "medium" });
    assert.match(bad?.status === "rejected" ? bad.reason.message : "", /The size huge is not allowed/);
    assert.match(thrown?.status === "rejected" ? thrown.reason.message : "", /thrown within apply/);
  });

  it("leave the process free to end by itself, whether they succeed or fail", async () => {
    const source = `
      import * as pulumi from "@pulumi/pulumi";
      import { Bench, Thing, Group } from "./tests/local/engine/things.ts";
      const program = (size) => async () => {
        pulumi.runtime.registerResourceTransform(async () => undefined);
        const thing = new Thing("thing", { size });
        new Thing("second", { holds: thing.address });
      };
      const bench = new Bench();
      const good = await bench.start(program("small"));
      const bad = await bench.start(program("huge")).catch((error) => error.name);
      await good.stop();
      console.log(bad, process._getActiveHandles().length);`;
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", source], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let printed = "";
    let finished = 0;
    child.stdout.on("data", (data) => {
      printed += data;
      finished = performance.now();
    });
    const [code] = await once(child, "close");
    assert.match(printed, /^ProgramFailed/);
    assert.equal(code, 0);
    assert.ok(performance.now() - finished < 2_000, "nothing holds it");
  });
});
