import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { ImageRefused } from "../../functions/core/failures.js";
import { inspect } from "../../functions/core/image/inspect.js";
import { render } from "../../functions/core/image/render.js";
import { bytesSource } from "../../functions/core/image/source.js";
import expected from "../../samples/expected.json" with { type: "json" };
import { SAMPLES } from "../../samples/make.js";

const FOLDER = new URL("../../samples/", import.meta.url);
const limits = { bytes: 25_000_000, pixels: 50_000_000 };
const variants = { small: { width: 100, height: 100, fit: "cover", format: "auto", quality: 80 } } as const;

/** What the pipeline's image work says of a file. */
async function outcome(bytes: Buffer): Promise<Record<string, unknown>> {
  try {
    const metadata = await inspect(bytesSource(bytes), limits, { gps: true });
    await render(bytes, { variants, limits, labelsImage: true });
    return { status: "completed", ...metadata };
  } catch (error) {
    if (!(error instanceof ImageRefused)) throw error;
    return { status: "failed", code: error.code };
  }
}

describe("The samples", () => {
  it("are those that something is expected of", async () => {
    const files = (await readdir(FOLDER)).filter((name) => !/\.(ts|json)$/.test(name));
    assert.deepEqual(files.sort(), Object.keys(expected).sort());
    assert.deepEqual(Object.keys(SAMPLES), Object.keys(expected));
  });

  for (const [name, expectation] of Object.entries(expected)) {
    it(`${name} ends as expected, committed or made anew`, async () => {
      const [committed, made] = [await readFile(new URL(name, FOLDER)), await (SAMPLES[name] as () => Promise<Buffer>)()];
      const told = await outcome(committed);
      assert.deepEqual({ ...told, ...expectation }, told);
      assert.deepEqual(await outcome(made), told);
    });
  }

  it("show what pictures can be: turned, transparent, animated, the same twice", async () => {
    const read = async (name: string) => readFile(new URL(name, FOLDER));
    const [rotated, badge, lighthouse] = await Promise.all(
      ["portrait-rotated.jpg", "badge.png", "lighthouse.gif"].map(async (name) => outcome(await read(name))),
    );
    assert.equal(rotated?.orientation, 6);
    assert.deepEqual(rotated?.exif, {
      make: "Sample Works",
      model: "Pinhole 3",
      software: "samples/make.ts",
      exposureTime: 0.004,
      fNumber: 5.6,
      iso: 200,
      focalLength: 35,
      takenAt: "2026-05-31T18:20:00+02:00",
      latitude: 46.55,
      longitude: 7.983333333333333,
    });
    assert.equal(badge?.hasAlpha, true);
    assert.equal(lighthouse?.frames, 8);
    assert.deepEqual(await read("mountains-copy.jpg"), await read("mountains.jpg"));
  });

  it("are small enough to be kept with the sources", async () => {
    let total = 0;
    for (const name of Object.keys(expected)) total += (await readFile(new URL(name, FOLDER))).length;
    assert.ok(total < 2_000_000, `${total} bytes`);
  });
});
