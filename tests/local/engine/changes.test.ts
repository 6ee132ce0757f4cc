import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { ProgramFailed, type Progress } from "../../../local/index.js";
import { Bench, Box, Group, Thing, type ThingArgs } from "./things.js";

describe("What has changed since the last start", () => {
  const bench = new Bench();
  afterEach(() => bench.clear());

  const thing =
    (args: ThingArgs, opts?: pulumi.CustomResourceOptions): (() => Promise<unknown>) =>
    async () => {
      const made = new Thing("thing", args, opts);
      return { label: made.label, address: made.address, revised: made.revised, size: made.size };
    };

  it("is nothing: nothing is done", async () => {
    const first = await bench.kept(thing({ tags: { a: "1" }, file: new pulumi.asset.StringAsset("hello") }));
    const second = await bench.kept(thing({ tags: { a: "1" }, file: new pulumi.asset.StringAsset("hello") }));
    assert.deepEqual(second.summary, { create: 0, update: 0, same: 1, replace: 0, delete: 0 });
    assert.deepEqual(bench.things.calls, ["restore thing"]);
    assert.equal(second.outputs.label, first.outputs.label, "the name that was given once stays");
  });

  it("is an input: the resource is updated, and keeps what the cloud computed", async () => {
    const first = await bench.kept(thing({ size: "small" }));
    const second = await bench.kept(thing({ size: "large" }));
    assert.deepEqual(bench.things.calls, ["restore thing", "update thing"]);
    assert.equal(second.summary.update, 1);
    assert.equal(second.outputs.size, "large");
    assert.equal(second.outputs.label, first.outputs.label);
    assert.equal(second.outputs.revised, `thing/${first.outputs.label}`);
    assert.match(second.outputs.address, /^http:\/\/things:3\/thing-/);
  });

  it("is the contents of a file: the resource is updated", async () => {
    await bench.kept(thing({ file: new pulumi.asset.StringAsset("hello") }));
    const second = await bench.kept(thing({ file: new pulumi.asset.StringAsset("goodbye") }));
    assert.equal(second.summary.update, 1);
  });

  it("is an input that only a new resource can have: it is made under a new name before the old one goes", async () => {
    const first = await bench.kept(thing({ kind: "one" }));
    const second = await bench.kept(thing({ kind: "two" }));
    assert.deepEqual(bench.things.calls, ["restore thing", "create thing", "delete thing"]);
    assert.deepEqual(second.summary, { create: 0, update: 0, same: 0, replace: 1, delete: 0 });
    assert.notEqual(second.outputs.label, first.outputs.label);
    assert.equal((await bench.kept(thing({ kind: "two" }))).summary.same, 1);
  });

  it("is such an input of a resource with a name of its own: the old one goes first", async () => {
    const calls = async (kind: string) => {
      await bench.kept(thing({ kind, label: "mine" }));
      return bench.things.calls;
    };
    await calls("one");
    assert.deepEqual(await calls("two"), ["restore mine", "delete mine", "create mine"]);
  });

  it("is an input of a resource that cannot be updated: the old one goes first, and what merely points at it is updated", async () => {
    const program = (color: string) => async () => {
      const box = new Box("box", { color });
      new Thing("thing", { label: "thing", tags: { lid: box.lid } });
    };
    await bench.kept(program("red"));
    await bench.kept(program("blue"));
    assert.deepEqual(bench.things.calls, ["restore thing", "delete box red", "create box blue", "update thing"]);
  });

  it("takes those along that must be new when it is, dependents first", async () => {
    const program = (color: string) => async () => {
      const box = new Box("box", { color });
      const inner = new Thing("inner", { label: "inner", inBox: box.id });
      new Thing("innermost", { label: "innermost", inBox: inner.id });
      new Thing("beside", { label: "beside", tags: { lid: box.lid } });
    };
    await bench.kept(program("red"));
    const { summary } = await bench.kept(program("blue"));
    assert.deepEqual(bench.things.calls.filter((call) => !call.startsWith("restore")).slice(0, 4), [
      "delete innermost",
      "delete inner",
      "delete box red",
      "create box blue",
    ]);
    assert.deepEqual(bench.things.calls.slice(-3).sort(), ["create inner", "create innermost", "update beside"]);
    assert.equal(summary.replace, 1);
  });

  it("waits for those that point at it before a replaced one goes", async () => {
    const program = (kind: string) => async () => {
      const made = new Thing("made", { kind });
      new Thing("user", { label: "user", holds: made.address });
    };
    await bench.kept(program("one"));
    await bench.kept(program("two"));
    assert.deepEqual(bench.things.calls.slice(2), ["create made", "update user", "delete made"]);
  });

  it("is not looked at where it is to be ignored", async () => {
    const opts = { ignoreChanges: ["size", "tags.volatile", "tags.gone"] };
    await bench.kept(thing({ size: "small", tags: { volatile: "1", gone: "1", fixed: "1" } }, opts));
    const second = await bench.kept(thing({ size: "large", tags: { volatile: "2", fixed: "1" } }, opts));
    assert.equal(second.summary.same, 1);
    assert.equal(second.outputs.size, "small");
    const third = await bench.kept(thing({ size: "large", tags: { volatile: "3", fixed: "2" } }, opts));
    assert.equal(third.summary.update, 1);
    assert.deepEqual([...bench.things.seen.values()][0]?.tags, { volatile: "1", gone: "1", fixed: "2" });
  });

  it("makes a new resource where it is to", async () => {
    await bench.kept(thing({ tags: { zone: "1" } }, { replaceOnChanges: ["tags.zone"] }));
    const second = await bench.kept(thing({ tags: { zone: "2" } }, { replaceOnChanges: ["tags.zone"] }));
    assert.equal(second.summary.replace, 1);
    const third = await bench.kept(thing({ tags: { zone: "2", more: "1" } }, { replaceOnChanges: ["tags.zone"] }));
    assert.equal(third.summary.update, 1);
  });

  it("is replaced in the order that the program asks for", async () => {
    const calls = async (kind: string) => {
      await bench.kept(thing({ kind }, { deleteBeforeReplace: true }));
      return bench.things.calls.slice(1);
    };
    await calls("one");
    assert.deepEqual(await calls("two"), ["delete thing", "create thing"]);
  });

  it("is a trigger: the resource is replaced", async () => {
    await bench.kept(thing({}, { replacementTrigger: "1" }));
    assert.equal((await bench.kept(thing({}, { replacementTrigger: "1" }))).summary.same, 1);
    assert.equal((await bench.kept(thing({}, { replacementTrigger: "2" }))).summary.replace, 1);
  });

  it("is that a resource is no longer declared: it goes, after everything that needs it", async () => {
    await bench.kept(async () => {
      const group = new Group("group");
      const box = new Box("box", { color: "red" }, { parent: group });
      const byInput = new Thing("by-input", { label: "by-input", tags: { lid: box.lid } }, { parent: group });
      new Thing("by-option", { label: "by-option" }, { dependsOn: byInput });
      new Thing("stays", { label: "stays" });
    });
    const { summary } = await bench.kept(async () => void new Thing("stays", { label: "stays" }));
    const deleted = bench.things.calls.filter((call) => call.startsWith("delete"));
    assert.deepEqual(deleted, ["delete by-option", "delete by-input", "delete box red"]);
    assert.deepEqual(summary, { create: 0, update: 0, same: 1, replace: 0, delete: 4 });
  });

  it("leaves in the cloud what is to be retained", async () => {
    await bench.kept(async () => {
      const group = new Group("group", { retainOnDelete: true });
      new Box("box", { color: "red" }, { parent: group });
    });
    const said: [string, boolean][] = [];
    const onProgress = ({ name, retained }: Progress) => void said.push([name, retained === true]);
    const { summary } = await bench.kept(async () => {}, { onProgress });
    assert.deepEqual(bench.things.calls, []);
    assert.equal(summary.delete, 2);
    assert.deepEqual(said, [
      ["box", true],
      ["group", false],
    ]);
    assert.equal((await bench.kept(async () => {})).summary.delete, 0);
  });

  it("is refused where a resource is protected, until it no longer is", async () => {
    await bench.kept(thing({ kind: "one" }, { protect: true }));
    await assert.rejects(
      bench.kept(async () => {}),
      /Thing "thing": It is protected and must not be deleted\. Declare it with `protect: false` and run once more before that\./,
    );
    await assert.rejects(bench.kept(thing({ kind: "two" }, { protect: true })), /"thing": It is protected and must not be replaced/);
    assert.ok(!bench.things.calls.some((call) => /create|delete/.test(call)));
    await bench.kept(thing({ kind: "one" }));
    assert.equal((await bench.kept(async () => {})).summary.delete, 1);
  });

  it("goes on after a deletion that failed", async () => {
    const program = async () => {
      const box = new Box("box", { color: "red" });
      new Thing("thing", { label: "thing", tags: { lid: box.lid } });
    };
    await bench.kept(program);
    bench.things.during = (call) => {
      if (call === "delete thing") throw new Error("It is in use.");
    };
    await assert.rejects(
      bench.kept(async () => {}),
      (error) => error instanceof ProgramFailed && /Thing "thing": It is in use\.$/.test(error.message),
    );
    assert.ok(!bench.things.calls.includes("delete box red"), "what it needs stays");
    bench.things.during = () => {};
    assert.equal((await bench.kept(async () => {})).summary.delete, 2);
  });

  it("is everything: destroy deletes in the reverse order of need", async () => {
    const stack = await bench.start(async () => {
      const box = new Box("box", { color: "red" });
      const thing = new Thing("thing", { label: "thing", tags: { lid: box.lid } });
      new Thing("last", { label: "last" }, { dependsOn: [new Group("group"), thing] });
    });
    bench.things.calls.length = 0;
    await stack.destroy();
    assert.deepEqual(bench.things.calls, ["delete last", "delete thing", "delete box red"]);
    assert.deepEqual(stack.graph(), []);
  });

  it("destroys nothing while something is protected", async () => {
    const stack = await bench.start(async () => {
      new Box("box", { color: "red" });
      new Thing("thing", {}, { protect: true });
    });
    await assert.rejects(stack.destroy(), /Not everything could be deleted:\n {2}.*"thing": It is protected/);
    assert.ok(!bench.things.calls.some((call) => call.startsWith("delete")));
  });
});
