import assert from "node:assert/strict";
import { place, preCrop, scaledBy } from "../../../../functions/core/image/geometry.js";

const box = (width: number, height: number, fit: "cover" | "inside") => ({ width, height, fit });

describe("Where a variant lies in its picture", () => {
  for (const [original, variant, scaled, crop] of [
    [[4000, 3000], box(640, 480, "cover"), [640, 480], [0, 0, 640, 480]],
    [[4000, 3000], box(100, 100, "cover"), [133, 100], [17, 0, 100, 100]],
    [[3000, 4000], box(640, 480, "cover"), [640, 853], [0, 187, 640, 480]],
    [[10, 10], box(640, 480, "cover"), [640, 640], [0, 80, 640, 480]],
    [[4000, 3000], box(640, 640, "inside"), [640, 480], [0, 0, 640, 480]],
    [[300, 200], box(640, 640, "inside"), [300, 200], [0, 0, 300, 200]],
    [[10_000, 1], box(100, 100, "inside"), [100, 1], [0, 0, 100, 1]],
  ] as const) {
    it(`${variant.fit} of ${original.join("×")} in ${variant.width}×${variant.height}`, () => {
      const placement = place({ width: original[0], height: original[1] }, variant);
      assert.deepEqual([placement.scaled.width, placement.scaled.height], scaled);
      assert.deepEqual([placement.crop.left, placement.crop.top, placement.crop.width, placement.crop.height], crop);
    });
  }

  it("always fits, whatever the sizes", () => {
    for (let seed = 1; seed < 5_000; seed++) {
      const side = (salt: number) => 1 + (Math.imul(seed * 31 + salt, 2_654_435_761) >>> 20);
      const original = { width: side(1), height: side(2) };
      for (const fit of ["cover", "inside"] as const) {
        const asked = box(side(3), side(4), fit);
        const { scaled, crop } = place(original, asked);
        assert.ok(crop.left >= 0 && crop.top >= 0 && crop.left + crop.width <= scaled.width && crop.top + crop.height <= scaled.height);
        if (fit === "cover") assert.deepEqual([crop.width, crop.height], [asked.width, asked.height]);
        else assert.ok(crop.width <= Math.min(asked.width, original.width) && crop.height <= Math.min(asked.height, original.height));
      }
    }
  });

  it("never scales a line to a wall, and keeps its centre", () => {
    for (const [width, height] of [
      [1, 10_000],
      [3, 9_999],
      [20_000, 2],
    ] as const) {
      const base = { width, height };
      const placement = place(base, box(640, 480, "cover"));
      const region = preCrop(base, placement);
      assert.ok(region);
      assert.equal(2 * region.left + region.width, width);
      assert.equal(2 * region.top + region.height, height);
      const { scaled } = scaledRegion(region);
      assert.ok(scaled.width * scaled.height < 640 * 480 * 20, `${scaled.width}×${scaled.height}`);
      assert.ok(scaled.width >= 640 && scaled.height >= 480);
    }
  });

  it("keeps all of a picture of any usual shape", () => {
    for (const base of [scaledBy({ width: 4000, height: 3000 }, 0.2), { width: 480, height: 1400 }, { width: 1900, height: 480 }]) {
      assert.equal(preCrop(base, place(base, box(640, 480, "cover"))), undefined);
    }
  });
});

function scaledRegion(region: { width: number; height: number }) {
  return place(region, box(640, 480, "cover"));
}
