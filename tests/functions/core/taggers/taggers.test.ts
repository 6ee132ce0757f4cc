import assert from "node:assert/strict";
import { inspect } from "../../../../functions/core/image/inspect.js";
import { render } from "../../../../functions/core/image/render.js";
import { bytesSource } from "../../../../functions/core/image/source.js";
import type { PixelStatistics, Tagger, TaggerInput } from "../../../../functions/core/ports.js";
import { checkedTags, InvalidTags, tagsOf } from "../../../../functions/core/taggers/checked.js";
import { none } from "../../../../functions/core/taggers/none.js";
import { statistics } from "../../../../functions/core/taggers/statistics.js";
import { animation, encoder, flat, type Raw, raw, scene } from "../pictures.js";

const limits = { bytes: 25_000_000, pixels: 50_000_000 };

async function inputOf(file: Buffer): Promise<TaggerInput> {
  const { fingerprint, statistics: measured, labelsImage } = await render(file, { variants: {}, limits, labelsImage: true });
  const metadata = await inspect(bytesSource(file), limits, { gps: false });
  return { key: "uploads/it", metadata, fingerprint, statistics: measured, jpeg: async () => labelsImage?.bytes as Buffer };
}

async function input(picture: Raw): Promise<TaggerInput> {
  return inputOf(await encoder(picture).png().toBuffer());
}

async function labels(file: Buffer): Promise<Record<string, number>> {
  return Object.fromEntries((await tagsOf(statistics, await inputOf(file))).map(({ name, confidence }) => [name, confidence]));
}

const noise = (x: number, y: number) => (Math.imul(x * 7919 + y * 104_729 + 1, 2_654_435_761) >>> 9) & 255;

describe("The statistics of a picture", () => {
  for (const [what, picture, expected] of [
    ["black", flat(40, 40, [0, 0, 0]), { brightness: 0, contrast: 0, saturation: 0, sharpness: 0, transparency: 0 }],
    ["white", flat(40, 40, [255, 255, 255]), { brightness: 1, contrast: 0, saturation: 0, sharpness: 0, transparency: 0 }],
    [
      "half black, half white",
      raw(40, 40, 3, (x) => (x < 20 ? [0, 0, 0] : [255, 255, 255])),
      { brightness: 0.5, contrast: 1, saturation: 0 },
    ],
    ["all transparent", flat(40, 40, [255, 255, 255, 0]), { brightness: 0, contrast: 0, transparency: 1 }],
    ["a quarter transparent", raw(40, 40, 4, (x) => [200, 0, 0, x < 10 ? 0 : 255]), { transparency: 0.25, saturation: 1 }],
    ["pure red", flat(40, 40, [255, 0, 0]), { saturation: 1, brightness: 0.2126 }],
  ] as const) {
    it(`of ${what}`, async () => {
      const measured = (await input(picture)).statistics;
      assert.deepEqual({ ...measured, ...expected }, measured);
    });
  }

  for (const [hue, color] of [
    ["red", [220, 20, 20]],
    ["orange", [240, 130, 20]],
    ["yellow", [240, 230, 20]],
    ["green", [30, 180, 40]],
    ["cyan", [20, 220, 220]],
    ["blue", [30, 60, 220]],
    ["purple", [140, 20, 230]],
    ["pink", [240, 30, 150]],
  ] as const) {
    it(`see ${hue}`, async () => {
      const { hues } = (await input(flat(30, 30, [...color]))).statistics;
      assert.equal(hues[hue], 1);
      assert.equal(
        Object.values(hues).reduce((sum, share) => sum + share, 0),
        1,
      );
    });
  }

  it("give no hue to what has none", async () => {
    for (const color of [
      [128, 128, 128],
      [10, 0, 0],
      [130, 128, 126],
    ]) {
      const { hues } = (await input(flat(30, 30, color))).statistics;
      assert.deepEqual(
        Object.values(hues),
        Object.values(hues).map(() => 0),
      );
    }
  });

  it("tell sharp from blurred", async () => {
    const sharp = raw(600, 400, 3, (x, y) => Array(3).fill((x >> 3) % 2 === (y >> 3) % 2 ? 230 : 30));
    const [crisp, blurred] = await Promise.all([encoder(sharp).png().toBuffer(), encoder(sharp).blur(12).png().toBuffer()]);
    const [one, other] = [(await inputOf(crisp)).statistics.sharpness, (await inputOf(blurred)).statistics.sharpness];
    assert.ok(one > 0.8, `${one}`);
    assert.ok(other < 0.1, `${other}`);
  });
});

describe("The statistics tagger", () => {
  it("says what figures justify, and how surely", async () => {
    assert.deepEqual(
      await labels(
        await encoder(flat(400, 300, [0, 0, 0]))
          .png()
          .toBuffer(),
      ),
      { Blurred: 100, Dark: 100, Landscape: 100, "Low contrast": 100, Monochrome: 100 },
    );
    assert.deepEqual(
      await labels(
        await encoder(flat(300, 300, [250, 20, 20]))
          .png()
          .toBuffer(),
      ),
      { Blurred: 100, Dark: 55.96, "Low contrast": 100, Red: 100, Square: 100, Vivid: 100 },
    );
  });

  it("a label grows with its figure, from 50 to 100", () => {
    const dark = (brightness: number) =>
      (statistics({ ...base, statistics: { ...base.statistics, brightness } }) as { name: string; confidence: number }[]).find(
        ({ name }) => name === "Dark",
      )?.confidence;
    assert.deepEqual([0.31, 0.3, 0.2, 0.05, 0].map(dark), [undefined, 50, 70, 100, 100]);
  });

  it("an ordinary picture gets few labels", async () => {
    const found = await labels(
      await encoder(raw(400, 300, 3, (x, y) => [90 + (noise(x >> 4, y >> 4) >> 2), 100, 110]))
        .png()
        .toBuffer(),
    );
    assert.ok(!("Dark" in found) && !("Bright" in found) && !("Vivid" in found) && !("Transparent" in found));
  });

  it("tells shapes apart", async () => {
    for (const [width, height, shapes] of [
      [300, 300, ["Square"]],
      [400, 300, ["Landscape"]],
      [300, 400, ["Portrait"]],
      [900, 300, ["Landscape", "Panorama"]],
      [300, 900, ["Panorama", "Portrait"]],
    ] as const) {
      const found = Object.keys(await labels(await encoder(scene(width, height)).png().toBuffer()));
      assert.deepEqual(found.filter((name) => ["Square", "Landscape", "Portrait", "Panorama"].includes(name)).sort(), [...shapes]);
    }
  });

  it("tells transparent and animated for certain", async () => {
    assert.equal(
      (
        await labels(
          await encoder(scene(100, 80, 4))
            .png()
            .toBuffer(),
        )
      ).Transparent,
      100,
    );
    assert.equal((await labels(await animation("gif", 3))).Animated, 100);
  });
});

describe("The none tagger", () => {
  it("says nothing", async () => assert.deepEqual(await tagsOf(none, base), []));
});

describe("A team's own tagger", () => {
  it("is given the picture and what is known of it", async () => {
    const given = await input(scene(200, 100));
    const tagger: Tagger = async ({ metadata, fingerprint, jpeg }) => [
      { name: `${metadata.width}×${metadata.height}`, confidence: 99 },
      { name: `${fingerprint.dominantColor} in ${(await jpeg()).length > 500 ? "a JPEG" : "nothing"}`, confidence: 98 },
    ];
    assert.deepEqual(
      (await tagsOf(tagger, given)).map(({ name }) => name),
      ["200×100", `${given.fingerprint.dominantColor} in a JPEG`],
    );
  });

  it("may repeat itself, in any order: the surest counts", () => {
    const returned = [
      { name: "cat", confidence: 60 },
      { name: " dog ", confidence: 70.128 },
      { name: "cat", confidence: 90, box: [1, 2] },
      { name: "ant", confidence: 90 },
    ];
    assert.deepEqual(checkedTags(returned), [
      { name: "ant", confidence: 90 },
      { name: "cat", confidence: 90 },
      { name: "dog", confidence: 70.13 },
    ]);
  });

  for (const [what, returned, message] of [
    ["nothing", undefined, /it is undefined, and must be a list of/],
    ["an object", { labels: [] }, /it is \{"labels":\[\]\}, and must be a list/],
    ["a list of names", ["cat"], /item 0 is "cat", and must be an object/],
    ["null", [null], /item 0 is null/],
    ["no name", [{ confidence: 1 }], /the name of item 0 is undefined, and must be text of 1 to 100/],
    [
      "an empty name",
      [
        { name: "cat", confidence: 1 },
        { name: " ", confidence: 1 },
      ],
      /the name of item 1 is " "/,
    ],
    ["a long name", [{ name: "x".repeat(101), confidence: 1 }], /the name of item 0 is "xxx/],
    ["a control character", [{ name: "a\nb", confidence: 1 }], /the name of item 0/],
    ["no confidence", [{ name: "cat" }], /the confidence of item 0 \("cat"\) is undefined, and must be a number from 0 to 100/],
    ["a confidence above 100", [{ name: "cat", confidence: 100.1 }], /is 100.1/],
    ["a negative confidence", [{ name: "cat", confidence: -1 }], /is -1/],
    ["a confidence that is no number", [{ name: "cat", confidence: Number.NaN }], /is NaN/],
    ["confidence as text", [{ name: "cat", confidence: "90" }], /is "90"/],
    [
      "too many",
      Array.from({ length: 51 }, (_, index) => ({ name: `tag ${index}`, confidence: 1 })),
      /it has 51 different tags, and at most 50 are kept/,
    ],
  ] as const) {
    it(`that returns ${what} is told what is wrong`, async () => {
      await assert.rejects(
        tagsOf(() => returned as never, base),
        (error) => error instanceof InvalidTags && error.code === "INVALID_TAGS" && message.test(error.message),
      );
    });
  }

  it("may return 50 tags with names of 100 characters", () => {
    const tags = Array.from({ length: 50 }, (_, index) => ({ name: `${index}`.padEnd(100, "x"), confidence: 100 }));
    assert.equal(checkedTags(tags).length, 50);
  });
});

const base: TaggerInput = {
  key: "uploads/it",
  metadata: { format: "jpeg", width: 100, height: 100, colorSpace: "srgb", hasAlpha: false, frames: 1, orientation: 1, exif: {} },
  fingerprint: { sha256: "0".repeat(64), dominantColor: "#000000", thumbhash: "" },
  statistics: {
    brightness: 0.5,
    contrast: 0.4,
    saturation: 0.3,
    hues: { red: 0.125, orange: 0.125, yellow: 0.125, green: 0.125, cyan: 0.125, blue: 0.125, purple: 0.125, pink: 0.125 },
    sharpness: 0.3,
    transparency: 0,
  } satisfies PixelStatistics,
  jpeg: () => Promise.reject(new Error("There is no picture.")),
};
