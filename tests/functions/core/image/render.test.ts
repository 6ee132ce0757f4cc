import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import sharp, { type Sharp } from "sharp";
import { thumbHashToRGBA } from "thumbhash";
import { type Rendered, type RenderRequest, render } from "../../../../functions/core/image/render.js";
import type { VariantSettings } from "../../../../functions/core/settings.js";
import { animation, decoded, difference, encoder, flat, raw, scene } from "../pictures.js";

const limits = { bytes: 25_000_000, pixels: 50_000_000 };
const variant = (width: number, height: number, over: Partial<VariantSettings> = {}): VariantSettings => ({
  width,
  height,
  fit: "cover",
  format: "png",
  quality: 80,
  ...over,
});
const DEFAULTS = { small: variant(100, 100, { format: "auto" }), large: variant(640, 480, { format: "auto" }) };

async function rendered(file: Uint8Array, over: Partial<RenderRequest> = {}): Promise<Rendered> {
  return render(file, { variants: DEFAULTS, limits, labelsImage: false, ...over });
}

async function only(file: Uint8Array, settings: VariantSettings) {
  const { renditions } = await rendered(file, { variants: { only: settings } });
  return renditions[0] as Rendered["renditions"][number];
}

/** What one pipeline per size gives, which is right but slow. */
function direct(file: Uint8Array, { width, height, fit }: VariantSettings): Promise<Buffer> {
  return sharp(file)
    .autoOrient()
    .resize({ width, height, fit, withoutEnlargement: fit === "inside" })
    .toColourspace("srgb")
    .png()
    .toBuffer();
}

describe("Rendering", () => {
  describe("shows the same as a pipeline of its own per size would", () => {
    const SHAPES = [
      variant(100, 100),
      variant(640, 480),
      variant(480, 640),
      variant(300, 40),
      variant(40, 300),
      variant(333, 77),
      variant(200, 200, { fit: "inside" }),
      variant(1000, 90, { fit: "inside" }),
      variant(5000, 5000, { fit: "inside" }),
    ];
    for (const [what, file] of [
      ["a landscape", () => encoder(scene(1600, 1200)).jpeg({ quality: 95 })],
      ["a portrait", () => encoder(scene(900, 1600)).png()],
      ["a panorama", () => encoder(scene(2400, 300)).png()],
      ["a picture of odd sides", () => encoder(scene(1237, 853)).webp({ quality: 95 })],
      ["a picture smaller than its variants", () => encoder(scene(90, 70)).png()],
      ["a picture with alpha", () => encoder(scene(1000, 700, 4)).png()],
      ["a picture that is stored lying", () => encoder(scene(1200, 800)).withMetadata({ orientation: 6 }).jpeg({ quality: 95 })],
    ] as const) {
      it(what, async () => {
        const bytes = await file().toBuffer();
        const variants = Object.fromEntries(SHAPES.map((shape, index) => [`v${index}`, shape]));
        const { renditions } = await rendered(bytes, { variants });
        for (const [index, shape] of SHAPES.entries()) {
          const made = renditions[index] as Rendered["renditions"][number];
          const expected = await decoded(await direct(bytes, shape));
          assert.deepEqual([made.width, made.height], [expected.width, expected.height]);
          const off = difference(flattened(await decoded(made.bytes)), flattened(expected));
          assert.ok(off < 2, `${shape.fit} ${shape.width}×${shape.height} is off by ${off.toFixed(2)} of 255`);
        }
      });
    }
  });

  it("cover gives exactly the size asked for, enlarging and cropping around the centre", async () => {
    const stripes = raw(90, 30, 3, (x) => (x < 30 ? [255, 0, 0] : x < 60 ? [0, 255, 0] : [0, 0, 255]));
    const { width, height, bytes } = await only(await encoder(stripes).png().toBuffer(), variant(200, 200));
    assert.deepEqual([width, height], [200, 200]);
    const { data } = await decoded(bytes);
    for (const x of [20, 100, 179])
      assert.deepEqual([...data.subarray(3 * (100 * 200 + x), 3 * (100 * 200 + x) + 3)], [0, 255, 0], `at ${x}`);
  });

  it("inside keeps the whole picture and never enlarges", async () => {
    const file = await encoder(scene(300, 200)).png().toBuffer();
    const sizes = await Promise.all(
      [variant(150, 150, { fit: "inside" }), variant(640, 480, { fit: "inside" })].map((settings) => only(file, settings)),
    );
    assert.deepEqual(
      sizes.map(({ width, height }) => [width, height]),
      [
        [150, 100],
        [300, 200],
      ],
    );
  });

  it("a line covers a rectangle, in little time", async () => {
    for (const [width, height] of [
      [1, 20_000],
      [20_000, 1],
      [1, 1],
    ] as const) {
      const start = performance.now();
      const made = await only(
        await encoder(flat(width, height, [10, 200, 30]))
          .png()
          .toBuffer(),
        variant(8192, 480, { format: "jpeg" }),
      );
      assert.deepEqual([made.width, made.height], [8192, 480]);
      assert.ok(performance.now() - start < 5_000);
    }
  });

  it("variants are upright, whichever of the eight ways the picture is stored", async () => {
    const upright = scene(160, 120);
    const ways: Record<number, (picture: Sharp) => Promise<Buffer>> = {};
    for (const orientation of [1, 2, 3, 4, 5, 6, 7, 8])
      ways[orientation] = (picture) => picture.withMetadata({ orientation }).png().toBuffer();
    for (const [orientation, write] of Object.entries(ways)) {
      const file = await write(encoder(upright));
      const expected = await decoded(await sharp(file).autoOrient().png().toBuffer());
      const made = await only(file, variant(expected.width, expected.height));
      assert.ok(difference(await decoded(made.bytes), expected) < 0.5, `orientation ${orientation}`);
    }
  });

  it("variants carry no metadata", async () => {
    const file = await encoder(scene(300, 200))
      .withExif({ IFD0: { Make: "Acme" }, IFD3: { GPSLatitudeRef: "N", GPSLatitude: "51/1 30/1 0/1" } })
      .withIccProfile("p3")
      .withXmp("<x/>")
      .jpeg()
      .toBuffer();
    for (const format of ["jpeg", "png", "webp"] as const) {
      const { bytes } = await only(file, variant(100, 100, { format }));
      const { exif, icc, xmp, orientation } = await sharp(bytes).metadata();
      assert.deepEqual({ exif, icc, xmp, orientation }, { exif: undefined, icc: undefined, xmp: undefined, orientation: undefined });
    }
  });

  it("variants are sRGB: a wider profile is converted, not dropped", async () => {
    const file = await encoder(flat(64, 64, [200, 60, 60]))
      .withIccProfile("p3")
      .png()
      .toBuffer();
    const expected = (await sharp(file).metadata()).hasProfile;
    assert.equal(expected, true);
    const { bytes } = await only(file, variant(64, 64));
    const [red, green, blue] = (await decoded(bytes)).data;
    assert.ok(
      Math.abs((red as number) - 200) <= 3 && Math.abs((green as number) - 60) <= 3 && Math.abs((blue as number) - 60) <= 3,
      `${red} ${green} ${blue}`,
    );
  });

  it("auto is JPEG, or PNG where there is alpha", async () => {
    const auto = variant(50, 50, { format: "auto" });
    for (const [format, file] of [
      ["jpeg", encoder(scene(80, 60)).png()],
      ["png", encoder(scene(80, 60, 4)).png()],
      ["jpeg", encoder(scene(80, 60)).webp()],
      ["png", encoder(scene(80, 60, 4)).webp()],
      ["jpeg", encoder(scene(80, 60)).gif()],
      ["png", encoder(scene(80, 60, 4)).gif()],
    ] as const) {
      const made = await only(await file.toBuffer(), auto);
      assert.equal(made.format, format);
      assert.equal((await sharp(made.bytes).metadata()).format, format);
    }
  });

  it("transparency becomes white where the format has none, and stays where it has", async () => {
    const file = await encoder(flat(40, 40, [255, 0, 0, 0]))
      .png()
      .toBuffer();
    const jpeg = await decoded((await only(file, variant(20, 20, { format: "jpeg" }))).bytes);
    assert.deepEqual([...jpeg.data.subarray(0, 3)], [255, 255, 255]);
    for (const format of ["png", "webp"] as const) {
      const { data, channels } = await decoded((await only(file, variant(20, 20, { format }))).bytes);
      assert.deepEqual([channels, data[3]], [4, 0]);
    }
  });

  for (const [what, file] of [
    [
      "grey",
      () =>
        sharp(scene(80, 60).data, { raw: { width: 80, height: 60, channels: 3 } })
          .toColourspace("b-w")
          .jpeg(),
    ],
    ["CMYK", () => encoder(scene(80, 60)).toColourspace("cmyk").jpeg()],
    ["16 bits", () => encoder(scene(80, 60)).toColourspace("rgb16").png()],
    ["grey of 16 bits", () => encoder(scene(80, 60)).toColourspace("grey16").png()],
    ["a palette", () => encoder(scene(80, 60)).png({ palette: true })],
    ["interlaced", () => encoder(scene(80, 60)).png({ progressive: true })],
    ["progressive", () => encoder(scene(80, 60)).jpeg({ progressive: true })],
  ] as const) {
    it(`a picture in ${what} looks as it should`, async () => {
      const bytes = await file().toBuffer();
      const made = await decoded((await only(bytes, variant(40, 30))).bytes);
      const expected = await decoded(await direct(bytes, variant(40, 30)));
      assert.ok(difference(flattened(made), flattened(expected)) < 2, `${difference(flattened(made), flattened(expected))}`);
    });
  }

  for (const format of ["gif", "webp"] as const) {
    it(`of an animated ${format}, the first frame is shown`, async () => {
      const made = await only(await animation(format, 5), variant(60, 40));
      const [red, green, blue] = (await decoded(made.bytes)).data as unknown as [number, number, number];
      assert.ok(red < 12 && Math.abs(green - 200) < 12 && Math.abs(blue - 40) < 12, `${red} ${green} ${blue}`);
    });
  }

  it("the same bytes and settings give the same bytes", async () => {
    const file = await encoder(scene(1600, 1200)).jpeg().toBuffer();
    const [once, again] = await Promise.all([rendered(file, { labelsImage: true }), rendered(Buffer.from(file), { labelsImage: true })]);
    assert.deepEqual(once, again);
  });

  it("tells the original's sha256", async () => {
    const file = await encoder(scene(60, 40)).png().toBuffer();
    assert.equal((await rendered(file)).fingerprint.sha256, createHash("sha256").update(file).digest("hex"));
  });

  it("tells the dominant colour: that of most pixels, not the mean", async () => {
    const file = await encoder(raw(100, 100, 3, (x) => (x < 60 ? [200, 40, 30] : [10, 30, 220])))
      .png()
      .toBuffer();
    assert.equal((await rendered(file)).fingerprint.dominantColor, "#c8281e");
  });

  it("what is transparent has no say in the dominant colour", async () => {
    const file = await encoder(raw(100, 100, 4, (x) => (x < 60 ? [200, 40, 30, 0] : [10, 30, 220, 255])))
      .png()
      .toBuffer();
    assert.equal((await rendered(file)).fingerprint.dominantColor, "#0a1edc");
  });

  it("tells a thumbhash, from which the picture can be guessed", async () => {
    const picture = raw(300, 200, 3, (x) => [x < 150 ? 220 : 20, 40, x < 150 ? 20 : 220]);
    const { fingerprint } = await rendered(await encoder(picture).png().toBuffer());
    const { w, h, rgba } = thumbHashToRGBA(Buffer.from(fingerprint.thumbhash, "base64"));
    assert.ok(Math.abs(w / h - 1.5) < 0.3);
    const at = (x: number) => [...rgba.subarray(4 * (w * (h >> 1) + x), 4 * (w * (h >> 1) + x) + 3)] as [number, number, number];
    assert.ok(at(3)[0] > 150 && at(3)[2] < 100 && at(w - 4)[0] < 100 && at(w - 4)[2] > 150);
  });

  describe("gives taggers a JPEG of the whole picture", () => {
    for (const [width, height, expected] of [
      [4000, 3000, [1024, 768]],
      [300, 200, [300, 200]],
      [40, 20, [160, 80]],
      [3000, 30, [1024, 80]],
      [30, 3000, [80, 1024]],
      [1, 1, [80, 80]],
    ] as const) {
      it(`of ${width}×${height}: ${expected.join("×")}`, async () => {
        const { labelsImage } = await rendered(
          await encoder(flat(width, height, [90, 120, 30]))
            .png()
            .toBuffer(),
          { labelsImage: true },
        );
        assert.ok(labelsImage);
        const { format, width: wide, height: high } = await sharp(labelsImage.bytes).metadata();
        assert.deepEqual([format, wide, high, labelsImage.width, labelsImage.height], ["jpeg", ...expected, ...expected]);
      });
    }

    it("upright, and white where it is transparent", async () => {
      const file = await encoder(flat(300, 200, [0, 0, 0, 0]))
        .withMetadata({ orientation: 8 })
        .png()
        .toBuffer();
      const { labelsImage } = await rendered(file, { labelsImage: true });
      assert.deepEqual([labelsImage?.width, labelsImage?.height], [200, 300]);
      assert.deepEqual([...(await decoded(labelsImage?.bytes as Buffer)).data.subarray(0, 3)], [255, 255, 255]);
    });

    it("only when asked", async () => {
      assert.equal((await rendered(await encoder(scene(40, 20)).png().toBuffer())).labelsImage, undefined);
    });
  });

  describe("refuses", () => {
    const pictures = {
      jpeg: () => encoder(scene(400, 300)).jpeg(),
      "progressive jpeg": () => encoder(scene(400, 300)).jpeg({ progressive: true }),
      png: () => encoder(scene(400, 300)).png(),
      "interlaced png": () => encoder(scene(400, 300)).png({ progressive: true }),
      webp: () => encoder(scene(400, 300)).webp(),
      gif: () => encoder(scene(400, 300)).gif(),
    };

    for (const [what, picture] of Object.entries(pictures)) {
      it(`a ${what} that ends early: TRUNCATED`, async () => {
        const file = await picture().toBuffer();
        for (const share of [0.5, 0.75, 0.95]) {
          await assert.rejects(
            rendered(file.subarray(0, Math.floor(file.length * share))),
            { name: "ImageRefused", code: "TRUNCATED" },
            `at ${share}`,
          );
        }
      });
    }

    for (const what of ["jpeg", "progressive jpeg", "png", "interlaced png"] as const) {
      it(`a ${what} with damaged pixels: CORRUPT`, async () => {
        const file = await pictures[what]().toBuffer();
        for (let at = file.length >> 1; at < file.length - 100; at += 7) file[at] = (file[at] as number) ^ 0x5a;
        await assert.rejects(rendered(file), { name: "ImageRefused", code: "CORRUPT" });
      });
    }

    it("a picture beyond the limit, before it is decoded: PIXEL_LIMIT", async () => {
      const file = await encoder(flat(300, 300, [1, 2, 3]))
        .png()
        .toBuffer();
      await assert.rejects(rendered(file, { limits: { ...limits, pixels: 89_999 } }), { code: "PIXEL_LIMIT" });
    });

    it("a picture that takes too long: TIMEOUT", async () => {
      const file = await encoder(scene(3000, 2000)).jpeg().toBuffer();
      await assert.rejects(rendered(file, { seconds: 0.001 }), { name: "ImageRefused", code: "TIMEOUT", message: /0.001 seconds/ });
    });
  });

  it("does not mind what only strict decoders mind", async () => {
    const file = await encoder(scene(400, 300)).jpeg().toBuffer();
    const scan = file.lastIndexOf(Buffer.from([0xff, 0xda]));
    for (const harmless of [
      Buffer.concat([file, Buffer.from("appended by a camera")]),
      Buffer.concat([file.subarray(0, scan), Buffer.from([0x11, 0x22, 0x33]), file.subarray(scan)]),
    ]) {
      assert.equal((await rendered(harmless)).renditions.length, 2);
    }
  });

  it("has no loader for what is not accepted", async () => {
    await assert.rejects(sharp(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')).png().toBuffer());
    await assert.rejects(
      sharp(await encoder(scene(20, 10)).tiff().toBuffer())
        .png()
        .toBuffer(),
    );
  });
});

/** On white, without alpha: what is under transparency is nobody's business. */
function flattened({ data, width, height, channels }: Awaited<ReturnType<typeof decoded>>) {
  if (channels < 4)
    return raw(width, height, 3, (x, y) =>
      [0, 1, 2].map((channel) => data[channels * (y * width + x) + (channels === 3 ? channel : 0)] as number),
    );
  return raw(width, height, 3, (x, y) => {
    const at = 4 * (y * width + x);
    const alpha = (data[at + 3] as number) / 255;
    return [0, 1, 2].map((channel) => Math.round((data[at + channel] as number) * alpha + 255 * (1 - alpha)));
  });
}
