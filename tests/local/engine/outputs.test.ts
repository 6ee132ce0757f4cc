import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { Bench, Box, Group, Thing } from "./things.js";

describe("A program on the embedded engine", () => {
  const bench = new Bench();
  afterEach(() => bench.clear());

  it("gives the outputs that it returns, with those of one resource flowing into another", async () => {
    const { outputs } = await bench.start(async () => {
      const box = new Box("box", { color: "red" });
      const thing = new Thing("thing", { tags: { lid: box.lid } });
      return { lid: box.lid, tags: thing.tags, id: thing.id, plain: 1, nested: { list: [thing.size] } };
    });
    assert.match(outputs.id, /^thing\/thing-[0-9a-f]{7}$/);
    assert.deepEqual({ ...outputs, id: "" }, { lid: "red lid", tags: { lid: "red lid" }, id: "", plain: 1, nested: { list: ["medium"] } });
  });

  it("may be a function that is not asynchronous, and may return nothing", async () => {
    const { outputs, summary } = await bench.start(() => {
      new Box("box", { color: "red" });
    });
    assert.deepEqual(outputs, {});
    assert.equal(summary.create, 1);
  });

  it("is not over before resources that nobody waits for exist", async () => {
    bench.things.during = (call) => new Promise((resolve) => setTimeout(resolve, call === "create slow" ? 60 : 0));
    await bench.start(async () => {
      new Thing("first", { label: "slow" }).address.apply(() => new Thing("second", { label: "after" }));
    });
    assert.deepEqual(bench.things.calls, ["create slow", "create after"]);
  });

  it("names resources by their place: the types of the parents, its own, and its name", async () => {
    const stack = await bench.start(async () => {
      const outer = new Group("outer");
      const inner = new Group("inner", { parent: outer });
      new Box("box", { color: "red" }, { parent: inner });
      new Box("top", { color: "blue" });
      return { outer: outer.urn };
    });
    assert.deepEqual(
      stack.graph().map(({ urn }) => urn.replace("urn:pulumi:test::bench::", "")),
      [
        "test:Group::outer",
        "test:Group$test:Group::inner",
        "test:Group$test:Group$test:things/box:Box::box",
        "test:things/box:Box::top",
      ].sort((a, b) => order(stack.graph(), a) - order(stack.graph(), b)),
    );
    assert.equal(stack.outputs.outer, "urn:pulumi:test::bench::test:Group::outer");
  });

  it("gives a resource that is passed as an input as its id", async () => {
    await bench.start(async () => {
      const box = new Box("box", { color: "red" });
      new Thing("thing", { label: "thing", holds: box });
    });
    assert.equal(bench.things.seen.get("thing")?.holds, "box-red");
  });

  it("hands files over with the hash of their contents", async () => {
    const stack = await bench.start(async () => {
      const text = new pulumi.asset.StringAsset("hello");
      const { file } = new Thing("text", { label: "text", file: text });
      const again = new Thing("again", { label: "again", file });
      new Thing("zip", { label: "zip", file: new pulumi.asset.FileArchive("tests/local/engine") });
      new Thing("named", { label: "named", file: new pulumi.asset.AssetArchive({ "a.txt": text }) });
      return { isAsset: again.file.apply((value) => pulumi.asset.Asset.isInstance(value)) };
    });
    const hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert.deepEqual(bench.things.seen.get("text")?.file, { asset: { text: "hello", hash } });
    assert.deepEqual(bench.things.seen.get("again")?.file, { asset: { text: "hello", hash } }, "and hand them on");
    assert.equal(stack.outputs.isAsset, true);
    const { archive } = bench.things.seen.get("zip")?.file ?? assert.fail();
    assert.equal(archive.path, import.meta.dirname);
    assert.match(archive.hash, /^[0-9a-f]{64}$/);
    assert.deepEqual(bench.things.seen.get("named")?.file.archive.assets, { "a.txt": { asset: { text: "hello", hash } } });
    const recorded = stack.graph().find(({ name }) => name === "text")?.inputs.file;
    assert.equal(recorded["4dabf18193072939515e22adb298388d"], "c44067f5952c0a294b673a41bacd8c17");
  });

  it("calls functions, and catches what they refuse", async () => {
    const { outputs } = await bench.start(async () => {
      const { count } = await pulumi.runtime.invoke("test:things/count:count", { of: "things" });
      const refused = await pulumi.runtime.invoke("test:things/count:count", { of: "nothing" }).catch((error: Error) => error.message);
      return { count, refused };
    });
    assert.deepEqual(outputs, { count: 42, refused: "test:things/count:count: NothingToCount: There is nothing to count." });
  });

  it("reads what it has not made", async () => {
    const made = await bench.start(async () => ({ id: new Thing("thing", { label: "mine" }).id }));
    const state = await bench.start(
      async () => {
        const thing = new Thing("thing", { label: "theirs" });
        return { address: thing.id.apply((id) => Thing.get("read", id).address), id: thing.id };
      },
      { stack: "other" },
    );
    assert.equal(made.outputs.id, "thing/mine");
    assert.equal(state.outputs.address, "http://things:1/theirs");
    assert.deepEqual(
      state.graph().map(({ name }) => name),
      ["thing"],
      "what was only read is not declared",
    );
  });

  it("reads its configuration, its name and its stack", async () => {
    const { outputs } = await bench.start(
      async () => {
        const config = new pulumi.Config();
        return {
          size: config.requireNumber("size"),
          region: new pulumi.Config("aws").require("region"),
          of: `${pulumi.getProject()}/${pulumi.getStack()}`,
          organization: pulumi.getOrganization(),
        };
      },
      { config: { "bench:size": "3", "aws:region": "eu-west-1" } },
    );
    assert.deepEqual(outputs, { size: 3, region: "eu-west-1", of: "bench/test", organization: "organization" });
  });

  it("tells what it does, step by step", async () => {
    const steps: unknown[] = [];
    await bench.start(
      async () => {
        const group = new Group("group");
        new Box("box", { color: "red" }, { parent: group });
      },
      { onProgress: ({ type, name, resourceType, parent }) => steps.push([type, name, resourceType, parent.split("::").pop()]) },
    );
    assert.deepEqual(steps, [
      ["create", "group", "test:Group", "bench-test"],
      ["create", "box", "test:things/box:Box", "group"],
    ]);
  });

  it("passes on what it logs", async () => {
    const logged: string[] = [];
    const onLog = (severity: string, message: string) => void (severity === "info" && logged.push(message));
    await bench.start(async () => pulumi.log.info("hello"), { onLog });
    assert.deepEqual(logged, ["hello"]);
  });
});

function order(graph: { urn: string }[], urn: string): number {
  return graph.findIndex((entry) => entry.urn.endsWith(`::bench::${urn}`));
}
