import assert from "node:assert/strict";
import { Bench, Box, Group, Thing } from "./things.js";

describe("A program on the embedded engine", () => {
  const bench = new Bench();
  afterEach(() => bench.clear());

  it("gives the outputs that it returns", async () => {
    const { outputs } = await bench.start(async () => {
      const box = new Box("box", { color: "red" });
      const thing = new Thing("thing", { tags: { lid: box.lid } });
      return { lid: box.lid, tags: thing.tags, id: thing.id, plain: 1 };
    });
    assert.equal(outputs.lid, "red lid");
    assert.deepEqual(outputs.tags, { lid: "red lid" });
    assert.match(outputs.id, /^thing\/thing-[0-9a-f]{7}$/);
    assert.equal(outputs.plain, 1);
  });
});
