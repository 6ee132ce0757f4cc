import assert from "node:assert/strict";
import sharp, { type Create, type Sharp } from "sharp";
import { label, measure } from "../../../../local/services/vision/labeller.js";

type Colour = { r: number; g: number; b: number; alpha?: number };

const plain = (background: Colour, width = 200, height = 200) =>
  sharp({ create: { width, height, channels: background.alpha === undefined ? 3 : 4, background } as Create });
/** 256 × 256 pixels by a rule of where they are: red, green, blue and how opaque. */
const painted = (rule: (x: number, y: number) => readonly [number, number, number, number?]) =>
  sharp(
    Buffer.from(
      Array.from({ length: 256 * 256 }, (_, at) => rule(at % 256, at >> 8)).flatMap(([r, g, b, alpha = 255]) => [r, g, b, alpha]),
    ),
    {
      raw: { width: 256, height: 256, channels: 4 },
    },
  );
const GREY = (level: number) => [level, level, level] as const;

async function labelled(image: Sharp): Promise<Record<string, number>> {
  return Object.fromEntries((await label(await image.png().toBuffer())).map(({ name, confidence }) => [name, confidence]));
}

describe("The labeller", () => {
  it("tells colours by their share of the picture", async () => {
    const blue = await labelled(plain({ r: 20, g: 60, b: 230 }));
    assert.deepEqual([blue.Blue, blue.Red, blue.Uniform, blue["Square format"]], [100, undefined, 100, 100]);
    const half = await labelled(painted((x) => (x < 128 ? [32, 192, 48] : [224, 32, 32])));
    assert.equal(half.Red, 68.75);
    assert.equal(half.Green, 68.75);
    for (const [name, colour] of Object.entries({
      Orange: { r: 250, g: 140, b: 20 },
      Yellow: { r: 240, g: 230, b: 30 },
      Cyan: { r: 20, g: 220, b: 220 },
      Purple: { r: 140, g: 30, b: 220 },
      Pink: { r: 250, g: 80, b: 180 },
      White: { r: 255, g: 255, b: 255 },
      Gray: { r: 128, g: 128, b: 128 },
      Black: { r: 5, g: 5, b: 5 },
    }))
      assert.equal((await labelled(plain(colour)))[name], 100, name);
  });

  it("tells bright from dark, and leaves the middle alone", async () => {
    const white = await labelled(plain({ r: 255, g: 255, b: 255 }));
    const black = await labelled(plain({ r: 0, g: 0, b: 0 }));
    const grey = await labelled(plain({ r: 120, g: 120, b: 120 }));
    assert.deepEqual(
      [white.Bright, white.Dark, black.Bright, black.Dark, grey.Bright, grey.Dark],
      [100, undefined, undefined, 100, undefined, undefined],
    );
  });

  it("is surer the clearer the figure is", async () => {
    const [clear, slight] = [await labelled(plain({ r: 250, g: 250, b: 250 })), await labelled(plain({ r: 170, g: 170, b: 170 }))];
    assert.ok((clear.Bright ?? 0) > (slight.Bright ?? 0) && (slight.Bright ?? 0) >= 50, JSON.stringify([clear.Bright, slight.Bright]));
  });

  it("tells grey pictures from colourful ones", async () => {
    assert.equal((await labelled(plain({ r: 90, g: 90, b: 90 }))).Monochrome, 100);
    const colourful = await labelled(painted((x) => (x < 128 ? [0, 255, 0] : [255, 0, 0])));
    assert.deepEqual([colourful.Monochrome, colourful.Colorful], [undefined, 100]);
  });

  it("tells sharp edges from soft ones", async () => {
    const sharpOnes = await labelled(painted((x) => GREY(x % 16 < 8 ? 204 : 0)));
    const soft = await labelled(painted((x) => GREY(x)));
    assert.deepEqual([(sharpOnes["Sharp focus"] ?? 0) >= 90, sharpOnes.Blurry], [true, undefined]);
    assert.deepEqual([soft["Sharp focus"], (soft.Blurry ?? 0) > 90], [undefined, true]);
  });

  it("tells the orientation after EXIF has been followed", async () => {
    assert.ok("Portrait orientation" in (await labelled(plain({ r: 9, g: 9, b: 9 }, 100, 200))));
    assert.ok("Landscape orientation" in (await labelled(plain({ r: 9, g: 9, b: 9 }, 200, 100))));
    const turned = await plain({ r: 9, g: 9, b: 9 }, 200, 100).jpeg().withMetadata({ orientation: 6 }).toBuffer();
    assert.ok((await label(turned)).some(({ name }) => name === "Portrait orientation"));
    assert.deepEqual(await measure(turned).then(({ width, height }) => [width, height]), [100, 200]);
  });

  it("tells how much can be seen through", async () => {
    const half = painted((x) => [255, 0, 0, x < 128 ? 255 : 0]);
    const { transparency, colours } = await measure(await half.png().toBuffer());
    assert.ok(Math.abs(transparency - 0.5) < 0.01);
    assert.deepEqual(Object.keys(colours), ["Red"]);
    assert.ok("Transparency" in (await labelled(half)));
    assert.equal((await labelled(plain({ r: 1, g: 2, b: 3 }))).Transparency, undefined);
  });

  it("gives the surest label first", async () => {
    const confidences = (await label(await plain({ r: 20, g: 60, b: 230 }, 300, 200).png().toBuffer())).map(({ confidence }) => confidence);
    assert.deepEqual(
      confidences,
      [...confidences].sort((a, b) => b - a),
    );
  });

  it("refuses what is no picture", () => assert.rejects(label(Buffer.from("text"))));
});
