import assert from "node:assert/strict";
import { appendFile, copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ResourceState, StackState } from "../../../local/engine/state.js";
import { ProgramFailed, StateUnusable } from "../../../local/index.js";
import { Bench, Box, Thing } from "./things.js";

describe("A stack with a data folder", () => {
  const bench = new Bench();
  afterEach(() => bench.clear());

  const file = async (): Promise<string> => join(await bench.folder(), "stack.jsonl");

  /** What another process would find. */
  async function saved(): Promise<ResourceState[]> {
    const copy = `${await file()}.copy`;
    await copyFile(await file(), copy);
    const state = new StackState({ file: copy, project: "bench", stack: "test" });
    return [...state.live(), ...state.doomed()];
  }

  const program = async () => {
    const first = new Thing("first", { label: "first" });
    const second = new Thing("second", { label: "second", holds: first.address });
    return { address: first.address, holds: second.holds };
  };

  it("restores in the order of creation what it has, before the program runs", async () => {
    await bench.kept(async () => {
      const last = new Thing("a", { label: "a" });
      const middle = new Thing("b", { label: "b", holds: last.arn });
      new Thing("c", { label: "c", holds: middle.arn });
    });
    // A new dependency on what was made later turns the order round.
    await bench.kept(async () => {
      const first = new Thing("c", { label: "c" });
      const middle = new Thing("b", { label: "b", holds: first.arn });
      new Thing("a", { label: "a", holds: middle.arn });
    });
    await bench.kept(async () => {
      const first = new Thing("c", { label: "c" });
      const middle = new Thing("b", { label: "b", holds: first.arn });
      new Thing("a", { label: "a", holds: middle.arn });
      assert.deepEqual(bench.things.calls, ["restore c", "restore b", "restore a"]);
    });
  });

  it("gives dependents the outputs as they are now", async () => {
    const before = await bench.kept(program);
    assert.equal(before.outputs.address, "http://things:2/first");
    const after = await bench.kept(program);
    assert.equal(after.outputs.address, "http://things:3/first");
    assert.equal(after.outputs.holds, "http://things:3/first");
    assert.deepEqual(after.summary, { create: 0, update: 1, same: 1, replace: 0, delete: 0 });
    assert.deepEqual(bench.things.calls, ["restore first", "restore second", "update second"]);
  });

  it("has every step on the disk when the next begins", async () => {
    const seen: string[][] = [];
    bench.things.during = async (call) => {
      if (call !== "create first") seen.push((await saved()).filter(({ custom }) => custom).map(({ name, id }) => `${name} ${id}`));
    };
    await bench.kept(program);
    assert.deepEqual(seen, [["first thing/first"]]);
  });

  it("goes on from where it was killed, in the middle of a line", async () => {
    bench.things.during = async (call) => {
      if (call === "create second") await copyFile(await file(), `${await file()}.killed`);
    };
    await bench.kept(program);
    await copyFile(`${await file()}.killed`, await file());
    await appendFile(await file(), '{"put":{"urn":"urn:pulumi:te');
    bench.things.during = () => {};
    const { summary } = await bench.kept(program);
    assert.equal(summary.create, 1);
    assert.equal((await bench.kept(program)).summary.create, 0);
  });

  it("deletes what was replaced when it was killed before it could", async () => {
    const replacing = (kind: string) => async () => void new Thing("thing", { kind });
    await bench.kept(replacing("one"));
    bench.things.during = (call) => {
      if (call === "delete thing") throw new Error("killed");
    };
    await assert.rejects(bench.kept(replacing("two")), ProgramFailed);
    assert.equal((await saved()).filter(({ doomed }) => doomed).length, 1);
    bench.things.during = () => {};
    await bench.kept(replacing("two"));
    assert.deepEqual(bench.things.calls, ["restore thing", "restore thing", "delete thing"]);
    assert.equal((await saved()).filter(({ doomed }) => doomed).length, 0);
  });

  it("refuses a folder of another stack, and a damaged one", async () => {
    await bench.kept(program);
    await assert.rejects(bench.kept(program, { stack: "other" }), {
      code: "STATE_UNUSABLE",
      message: /it is of the stack bench\/test, not of bench\/other/,
    });
    const [header, , ...rest] = (await readFile(await file(), "utf8")).split("\n");
    await writeFile(await file(), [header, "half a line", ...rest].join("\n"));
    await assert.rejects(
      bench.kept(program),
      (error) => error instanceof StateUnusable && /stack\.jsonl cannot be used: /.test(error.message),
    );
  });

  it("says which resource cannot be made live again", async () => {
    await bench.kept(program);
    bench.things.during = (call) => {
      if (call === "restore second") throw new Error("Its file is gone.");
    };
    await assert.rejects(
      bench.kept(program),
      /What was kept could not be made live again:\n {2}test:things\/thing:Thing "second": Its file is gone\./,
    );
  });

  it("knows its resources in the cloud's registry, before and after a restart", async () => {
    const types = (stack: { cloud: { resources: { all(type: string): { id: string }[] } } }) =>
      ["test:things/thing:Thing", "test:things/box:Box"].map((type) => stack.cloud.resources.all(type).map(({ id }) => id));
    const both = async () => {
      new Box("box", { color: "red" });
      new Thing("thing", { label: "thing" });
    };
    assert.deepEqual(types(await bench.kept(both)), [["thing/thing"], ["box-red"]]);
    const second = await bench.kept(both);
    assert.deepEqual(types(second), [["thing/thing"], ["box-red"]]);
    assert.equal(second.cloud.resources.byArn("arn:test:thing")?.name, "thing");
    assert.deepEqual(types(await bench.kept(async () => void new Box("box", { color: "red" }))), [[], ["box-red"]]);
  });
});
