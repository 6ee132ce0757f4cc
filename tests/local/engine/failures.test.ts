import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import { type Program, ProgramFailed } from "../../../local/index.js";
import { Bench, Box, Group, Thing } from "./things.js";

describe("A program that cannot be carried out", () => {
  const bench = new Bench();
  afterEach(() => bench.clear());

  /** What it fails with, which must be soon. */
  async function failure(program: Program, within = 3_000): Promise<ProgramFailed> {
    const began = performance.now();
    const error = await bench.start(program).then(
      () => assert.fail("It should have failed."),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof ProgramFailed, String(error));
    const took = performance.now() - began;
    assert.ok(took < within, `It took ${took.toFixed()} ms.`);
    return error;
  }

  it("fails at once, with the service's own message and the name of the resource", async () => {
    const error = await failure(async () => {
      const thing = new Thing("photos", { size: "huge" });
      // Waits for what will never come.
      new Thing("other", { tags: { address: thing.address } });
      return { address: thing.address };
    });
    assert.equal(error.code, "PROGRAM_FAILED");
    assert.equal(
      error.message,
      'The program could not be carried out:\n  test:things/thing:Thing "photos": InvalidSize: The size huge is not allowed.',
    );
    assert.deepEqual(
      error.failures.map(({ urn, name, type }) => ({ urn, name, type })),
      [{ urn: "urn:pulumi:test::bench::test:things/thing:Thing::photos", name: "photos", type: "test:things/thing:Thing" }],
    );
  });

  it("names everything that is wrong, not only the first", async () => {
    const error = await failure(async () => {
      for (const name of ["a", "b", "c"]) new Thing(name, { size: "huge" });
      class Unknown extends pulumi.CustomResource {}
      new Unknown("test:things/hat:Hat", "hat", {});
    });
    assert.deepEqual(error.failures.map(({ name }) => name).sort(), ["a", "b", "c", "hat"]);
  });

  it("names a type that no service claims", async () => {
    class Unknown extends pulumi.CustomResource {}
    const error = await failure(async () => void new Unknown("test:things/hat:Hat", "hat", { color: "red" }));
    assert.match(error.message, /\n {2}No service of the embedded cloud claims test:things\/hat:Hat \(resource "hat"\)\.$/);
  });

  it("names inputs that no service honours, by their paths, and does not mind the others", async () => {
    const nested = { known: 1, unknown: 2, ways: { deep: 3 } };
    const list = [{ known: 1 }, { known: 1, odd: 2 }, { odd: 3 }];
    const error = await failure(async () => void new Thing("thing", { nested, list, ...{ extra: false } }));
    const unclaimed = ["extra", "list[].odd", "nested.unknown", "nested.ways"];
    assert.equal(
      error.failures[0]?.message,
      `${unclaimed.join(", ")}: No service of the embedded cloud honours this input of test:things/thing:Thing`,
    );
    assert.deepEqual(bench.things.calls, []);
  });

  it("tells a resource that does not exist when it reads one", async () => {
    const error = await failure(async () => ({ address: Thing.get("lost", "thing/lost").address }));
    assert.match(error.message, /"lost": There is no test:things\/thing:Thing with the id "thing\/lost"/);
  });

  it("tells the error that the program itself throws, as it is", async () => {
    class Refused extends Error {
      readonly code = "REFUSED";
    }
    const thrown = new Refused("limits.bytes is too much");
    const error = await failure(async () => {
      throw thrown;
    });
    assert.match(error.message, /limits.bytes is too much/);
    assert.equal(error.cause, thrown);
  });

  it("tells an error within apply, whether or not anything waits for it", async () => {
    const error = await failure(async () => {
      new Box("box", { color: "red" }).lid.apply(() => {
        throw new Error("nobody waits for me");
      });
    });
    assert.match(error.message, /nobody waits for me/);
    const awaited = await failure(async () => {
      const lid = new Box("box", { color: "red" }).lid.apply((): string => {
        throw new Error("a resource waits for me");
      });
      new Thing("thing", { tags: { lid } });
      return { lid };
    });
    assert.match(awaited.message, /a resource waits for me/);
  });

  it("tells an unanswered function", async () => {
    const error = await failure(async () => {
      const lost = pulumi.output(pulumi.runtime.invoke("test:things/lost:lost", {}));
      new Thing("thing", { holds: lost });
    });
    assert.match(error.message, /No service of the embedded cloud answers test:things\/lost:lost/);
  });

  it("tells two resources of one name", async () => {
    const error = await failure(async () => {
      new Box("box", { color: "red" });
      new Box("box", { color: "blue" });
    });
    assert.match(error.message, /Two resources have the URN .*::box: give one of them another name/);
  });

  it("finishes what is under way, and keeps it", async () => {
    const { things } = bench;
    things.during = (call) => new Promise((resolve) => setTimeout(resolve, call === "create slow" ? 100 : 0));
    const program = (size: string) => async () => {
      new Thing("slow", { label: "slow" });
      new Thing("wrong", { label: "wrong", size });
    };
    await assert.rejects(bench.kept(program("huge")), ProgramFailed);
    const second = await bench.kept(program("small"));
    assert.deepEqual(second.summary, { create: 1, update: 0, same: 1, replace: 0, delete: 0 });
  });

  it("makes nothing that is declared after that, but says what is wrong with it", async () => {
    const error = await failure(async () => {
      new Thing("wrong", { size: "huge" });
      await new Promise((resolve) => setTimeout(resolve, 20));
      new Thing("late", { label: "late" });
      new Thing("wrong-too", { size: "huge" });
    });
    assert.deepEqual(
      error.failures.map(({ name }) => name),
      ["wrong", "wrong-too"],
    );
    assert.deepEqual(bench.things.calls, []);
  });

  it("deletes nothing", async () => {
    await bench.kept(async () => void new Box("box", { color: "red" }));
    await assert.rejects(
      bench.kept(async () => void new Thing("wrong", { size: "huge" })),
      ProgramFailed,
    );
    assert.deepEqual(bench.things.calls, []);
  });

  it("leaves no folder behind", async () => {
    let folder = "";
    const spy = {
      name: "spy",
      start: async (_: unknown, own: string) => {
        folder = own;
      },
    };
    await assert.rejects(
      bench.start(async () => assert.fail("no"), { services: [spy] }),
      ProgramFailed,
    );
    assert.ok(folder !== "" && !existsSync(folder));
  });

  it("reports its failures as progress", async () => {
    const failed: unknown[] = [];
    const onProgress = ({ type, name, message }: { type: string; name: string; message?: string }) =>
      void (type === "failed" && failed.push([name, message]));
    const program = async () => {
      const group = new Group("group");
      new Thing("thing", { size: "huge" }, { parent: group });
    };
    await assert.rejects(bench.start(program, { onProgress }), ProgramFailed);
    assert.deepEqual(failed, [["thing", "InvalidSize: The size huge is not allowed."]]);
  });

  it("does not keep the next program of the process from working", async () => {
    await failure(async () => void new Thing("thing", { size: "huge" }));
    const { outputs } = await bench.start(async () => ({ size: new Thing("thing").size }));
    assert.equal(outputs.size, "medium");
  });
});
