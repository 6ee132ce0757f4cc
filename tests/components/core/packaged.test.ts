import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { hashed, installation, recalled, sha256 } from "../../../components/core/packaged.js";

describe("What was packaged before", () => {
  let root: string;
  const at = (file: string) => path.join(root, file);

  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), "packaged-"));
    await mkdir(at("node_modules/sharp"), { recursive: true });
    for (const file of [
      "handler.ts",
      "node_modules/sharp/index.js",
      "handler.zip",
      "package-lock.json",
      "node_modules/.package-lock.json",
    ]) {
      await writeFile(at(file), file);
    }
    const sources = await hashed(root, ["handler.ts", "node_modules/sharp/index.js", "virtual:virtual:page"]);
    assert.deepEqual(sources, { "handler.ts": sha256("handler.ts"), "node_modules/sharp/index.js": null, "virtual:virtual:page": null });
    await writeFile(at("note.json"), JSON.stringify({ sources, path: at("handler.zip"), sha256: sha256("handler.zip"), size: 11 }));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it("is right while sources and zip are the same", async () => {
    assert.equal((await recalled(root, at("note.json")))?.path, at("handler.zip"));
  });

  it("is not right when a source has changed", async () => {
    await writeFile(at("handler.ts"), "other");
    assert.equal(await recalled(root, at("note.json")), undefined);
  });

  it("is not right when a source has gone", async () => {
    await rm(at("handler.ts"));
    assert.equal(await recalled(root, at("note.json")), undefined);
  });

  it("is not right when the zip has changed, or gone", async () => {
    await writeFile(at("handler.zip"), "half");
    assert.equal(await recalled(root, at("note.json")), undefined);
    await rm(at("handler.zip"));
    assert.equal(await recalled(root, at("note.json")), undefined);
  });

  it("is unknown where nothing is noted", async () => {
    assert.equal(await recalled(root, at("no-note.json")), undefined);
  });

  for (const lock of ["package-lock.json", "node_modules/.package-lock.json"]) {
    it(`belongs to an installation, which ${lock} tells of`, async () => {
      const before = await installation(root);
      assert.ok(before);
      assert.equal(await installation(root), before);
      await writeFile(at(lock), "other");
      assert.notEqual(await installation(root), before);
      await rm(at(lock));
      assert.equal(await installation(root), undefined, "nothing tells of a change");
    });
  }
});
