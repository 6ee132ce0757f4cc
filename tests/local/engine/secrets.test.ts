import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { Bench, Thing } from "./things.js";

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

describe("Secrets", () => {
  const bench = new Bench();
  afterEach(() => bench.clear());

  it("are plain to the service, and secret to the program", async () => {
    const { outputs } = await bench.start(async () => {
      const thing = new Thing("thing", {
        label: "thing",
        password: pulumi.secret("hunter2"),
        tags: { owner: pulumi.secret("me"), open: "1" },
      });
      const secrecy = Promise.all([thing.password, thing.tags, thing.address].map((output) => pulumi.isSecret<unknown>(output)));
      return { secrecy };
    });
    assert.equal(bench.things.seen.get("thing")?.password, "hunter2");
    assert.deepEqual(bench.things.seen.get("thing")?.tags, { owner: "me", open: "1" });
    assert.deepEqual(outputs.secrecy, [true, true, false]);
  });

  it("are named among the stack's outputs", async () => {
    const { outputs, secretOutputs } = await bench.start(async () => {
      const thing = new Thing("thing", { password: pulumi.secret("hunter2") });
      return {
        password: thing.password,
        derived: pulumi.interpolate`key ${thing.password}`,
        within: { at: thing.password },
        size: thing.size,
      };
    });
    assert.deepEqual(outputs, { password: "hunter2", derived: "key hunter2", within: { at: "hunter2" }, size: "medium" });
    assert.deepEqual([...secretOutputs].sort(), ["derived", "password", "within"]);
  });

  it("come from secret configuration", async () => {
    const { secretOutputs } = await bench.start(
      async () => ({ key: new pulumi.Config().requireSecret("key"), open: new pulumi.Config().require("open") }),
      {
        config: { "bench:key": "s3cret", "bench:open": "1" },
        secretConfig: ["bench:key"],
      },
    );
    assert.deepEqual([...secretOutputs], ["key"]);
  });

  it("are made by additionalSecretOutputs", async () => {
    const { outputs } = await bench.start(async () => {
      const thing = new Thing("thing", {}, { additionalSecretOutputs: ["address"] });
      return { secrecy: Promise.all([thing.address, thing.arn].map(pulumi.isSecret)) };
    });
    assert.deepEqual(outputs.secrecy, [true, false]);
  });

  it("stay secret when nothing has changed since the last start, and when something has", async () => {
    const program = (size: string) => async () => {
      const thing = new Thing("thing", { size, password: pulumi.secret("hunter2") }, { additionalSecretOutputs: ["address"] });
      return { password: thing.password, address: thing.address, size: thing.size };
    };
    await bench.kept(program("small"));
    for (const size of ["small", "large"]) {
      const { secretOutputs } = await bench.kept(program(size));
      assert.deepEqual([...secretOutputs].sort(), ["address", "password"], size);
    }
  });

  it("lie marked in a file that only its owner can read", async () => {
    await bench.kept(async () => ({ password: new Thing("thing", { password: pulumi.secret("hunter2") }).password }));
    const file = join(await bench.folder(), "stack.jsonl");
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    const lines = (await readFile(file, "utf8"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const { inputs, outputs } = lines.find(({ put }) => put?.name === "thing").put;
    assert.deepEqual(inputs.password, { [SIGNATURE]: SECRET, value: "hunter2" });
    assert.deepEqual(outputs.password, { [SIGNATURE]: SECRET, value: "hunter2" });
  });

  it("cannot be read from the graph, and are marked there as the clouds' checkers expect", async () => {
    const stack = await bench.start(async () => {
      new Thing("thing", { password: pulumi.secret("hunter2"), tags: pulumi.secret({ owner: "me" }) });
    });
    const { inputs } = stack.graph().find(({ name }) => name === "thing") ?? assert.fail();
    assert.deepEqual(inputs.password, { [SIGNATURE]: SECRET, value: "[secret]" });
    assert.deepEqual(inputs.tags, { [SIGNATURE]: SECRET, value: { owner: "[secret]" } });
    assert.match(inputs.label, /^thing-[0-9a-f]{7}$/, "physical names are filled in");
    assert.equal(inputs.size, "medium", "defaults are filled in");
  });
});
