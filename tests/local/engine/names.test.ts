import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { Bench, Box, Group, Thing } from "./things.js";

describe("A resource that was called otherwise", () => {
  const bench = new Bench();
  afterEach(() => bench.clear());

  it("is the same under its new name", async () => {
    await bench.kept(async () => void new Thing("old", { label: "thing" }));
    const stack = await bench.kept(async () => void new Thing("new", { label: "thing" }, { aliases: [{ name: "old" }] }));
    assert.deepEqual(stack.summary, { create: 0, update: 0, same: 1, replace: 0, delete: 0 });
    assert.deepEqual(
      stack.graph().map(({ name, urn }) => [name, urn]),
      [["new", "urn:pulumi:test::bench::test:things/thing:Thing::new"]],
    );
    assert.equal((await bench.kept(async () => void new Thing("new", { label: "thing" }))).summary.same, 1);
  });

  it("keeps the physical name that it was given", async () => {
    const first = await bench.kept(async () => ({ label: new Thing("old").label }));
    const { summary, outputs } = await bench.kept(async () => ({ label: new Thing("new", {}, { aliases: [{ name: "old" }] }).label }));
    assert.deepEqual([summary.replace, summary.same, outputs.label], [0, 1, first.outputs.label]);
    assert.match(outputs.label, /^old-[0-9a-f]{7}$/);
  });

  it("is the same under another parent, or a URN that is given", async () => {
    await bench.kept(async () => {
      new Box("red", { color: "red" });
      new Box("blue", { color: "blue" });
    });
    const { summary } = await bench.kept(async () => {
      const group = new Group("group");
      new Box("red", { color: "red" }, { parent: group, aliases: [{ parent: pulumi.rootStackResource }] });
      new Box("blue", { color: "blue" }, { parent: group, aliases: ["urn:pulumi:test::bench::test:things/box:Box::blue"] });
    });
    assert.deepEqual(summary, { create: 1, update: 0, same: 2, replace: 0, delete: 0 });
    assert.deepEqual(bench.things.calls, []);
  });

  it("takes its children along", async () => {
    const program = (name: string, aliases: pulumi.Alias[]) => async () => {
      const group = new Group(name, { aliases });
      const box = new Box(`${name}-box`, { color: "red" }, { parent: group });
      new Thing("unrelated", { label: "unrelated", holds: box.lid }, { parent: group });
    };
    await bench.kept(program("old", []));
    const { summary } = await bench.kept(program("new", [{ name: "old" }]));
    assert.deepEqual(summary, { create: 0, update: 0, same: 3, replace: 0, delete: 0 });
    await bench.kept(async () => {});
    assert.deepEqual(bench.things.calls, ["restore unrelated", "delete unrelated", "delete box red"]);
  });
});

describe("Transforms", () => {
  const bench = new Bench();
  afterEach(() => bench.clear());

  it("change a resource, those of its parents too, then those of the stack", async () => {
    const add = (letter: string) => async (args: pulumi.ResourceTransformArgs) =>
      args.type === "test:things/thing:Thing"
        ? { props: { ...args.props, size: (args.props.size ?? "") + letter }, opts: args.opts }
        : undefined;
    await bench.start(async () => {
      pulumi.runtime.registerResourceTransform(add("s"));
      const outer = new Group("outer", { transforms: [add("o")] });
      const inner = new Group("inner", { parent: outer });
      new Thing("thing", { label: "thing" }, { parent: inner, transforms: [add("1"), add("2")] });
    });
    assert.equal(bench.things.seen.get("thing")?.size, "12os");
  });

  it("change options, and keep secrets", async () => {
    const stack = await bench.start(async () => {
      pulumi.runtime.registerResourceTransform(async ({ props, opts }) => ({ props, opts: { ...opts, protect: true } }));
      return { password: new Thing("thing", { label: "thing", password: pulumi.secret("hunter2") }).password };
    });
    assert.equal(bench.things.seen.get("thing")?.password, "hunter2");
    assert.deepEqual([...stack.secretOutputs], ["password"]);
    await assert.rejects(stack.destroy(), /It is protected/);
  });

  it("fail with the resource that they were to change", async () => {
    const program = async () => {
      pulumi.runtime.registerResourceTransform(async ({ type }) => {
        if (type === "test:things/box:Box") throw new Error("no boxes here");
        return undefined;
      });
      new Box("box", { color: "red" });
    };
    await assert.rejects(bench.start(program), /test:things\/box:Box "box": .*no boxes here/);
  });
});

describe("Physical names", () => {
  const bench = new Bench();
  afterEach(() => bench.clear());

  it("are refused where they would be too long, rather than cut", async () => {
    const program = async () => void new Thing("a-name-that-is-just-too-long-for-things", {});
    await assert.rejects(
      bench.start(program),
      /label: the name "a-name-that-is-just-too-long-for-things" with 8 random characters is longer than 40/,
    );
  });

  it("are given anew when the program no longer gives one", async () => {
    await bench.kept(async () => void new Thing("thing", { label: "mine" }));
    const { summary, outputs } = await bench.kept(async () => ({ label: new Thing("thing").label }));
    assert.match(outputs.label, /^thing-[0-9a-f]{7}$/);
    assert.equal(summary.replace, 1);
  });
});
