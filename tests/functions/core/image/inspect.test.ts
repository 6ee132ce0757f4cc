import assert from "node:assert/strict";
import sharp from "sharp";
import { admit, inspect } from "../../../../functions/core/image/inspect.js";
import { bytesSource, type ImageSource } from "../../../../functions/core/image/source.js";
import { FRAME_BUDGET } from "../../../../functions/core/settings.js";
import { animation, encoder, flat, heicHeader, jpegHeader, pngChunk, pngHeader, raw, scene } from "../pictures.js";

const limits = { bytes: 25_000_000, pixels: 50_000_000 };
const inspected = (bytes: Uint8Array, options = { gps: false }, within = limits) => inspect(bytesSource(bytes), within, options);
const exif = {
  IFD0: { Make: "Acme", Model: "Camera 1", Software: "v1.2" },
  IFD2: {
    LensModel: "50mm f/1.8",
    ExposureTime: "1/50",
    FNumber: "28/10",
    ISOSpeedRatings: "400",
    FocalLength: "50/1",
    DateTimeOriginal: "2026:05:31 12:34:56",
    OffsetTimeOriginal: "+02:00",
    BodySerialNumber: "123456",
    CameraOwnerName: "Ada",
  },
  IFD3: {
    GPSLatitudeRef: "S",
    GPSLatitude: "33/1 51/1 0/1",
    GPSLongitudeRef: "E",
    GPSLongitude: "151/1 12/1 0/1",
    GPSAltitude: "5/1",
  },
};
const grey = (depth: 8 | 16) =>
  sharp(raw(64, 48, 1, (x) => [4 * x]).data, { raw: { width: 64, height: 48, channels: 1 } }).toColourspace(
    depth === 16 ? "grey16" : "b-w",
  );

/** A source that remembers what was read of it. */
class Counted implements ImageSource {
  readonly reads: [start: number, end: number][] = [];

  constructor(private readonly bytes: Uint8Array) {}

  get size(): number {
    return this.bytes.length;
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    this.reads.push([start, end]);
    return this.bytes.subarray(start, end);
  }

  get total(): number {
    return this.reads.reduce((sum, [start, end]) => sum + end - start, 0);
  }
}

describe("Inspecting a header", () => {
  for (const [name, bytes, expected] of [
    ["a JPEG", () => encoder(scene(64, 48)).jpeg(), { format: "jpeg" }],
    ["a progressive JPEG", () => encoder(scene(64, 48)).jpeg({ progressive: true }), { format: "jpeg" }],
    ["a JPEG without colour subsampling", () => encoder(scene(64, 48)).jpeg({ chromaSubsampling: "4:4:4" }), { format: "jpeg" }],
    ["a grey JPEG", () => grey(8).jpeg(), { format: "jpeg", colorSpace: "b-w" }],
    ["a CMYK JPEG", () => encoder(scene(64, 48)).toColourspace("cmyk").jpeg(), { format: "jpeg", colorSpace: "cmyk" }],
    ["a PNG", () => encoder(scene(64, 48)).png(), { format: "png" }],
    ["a PNG with alpha", () => encoder(scene(64, 48, 4)).png(), { format: "png", hasAlpha: true }],
    ["an interlaced PNG", () => encoder(scene(64, 48)).png({ progressive: true }), { format: "png" }],
    ["a palette PNG", () => encoder(scene(64, 48)).png({ palette: true }), { format: "png" }],
    ["a palette PNG with a transparent colour", () => encoder(scene(64, 48, 4)).png({ palette: true }), { format: "png", hasAlpha: true }],
    ["a 16-bit PNG", () => encoder(scene(64, 48)).toColourspace("rgb16").png(), { format: "png", colorSpace: "rgb16" }],
    ["a grey PNG", () => grey(8).png(), { format: "png", colorSpace: "b-w" }],
    ["a grey 16-bit PNG", () => grey(16).png(), { format: "png", colorSpace: "grey16" }],
    ["a lossy WebP", () => encoder(scene(64, 48)).webp(), { format: "webp" }],
    ["a lossless WebP", () => encoder(scene(64, 48)).webp({ lossless: true }), { format: "webp" }],
    ["a lossless WebP with alpha", () => encoder(scene(64, 48, 4)).webp({ lossless: true }), { format: "webp", hasAlpha: true }],
    ["a lossy WebP with alpha", () => encoder(scene(64, 48, 4)).webp(), { format: "webp", hasAlpha: true }],
    ["a GIF", () => encoder(scene(64, 48)).gif(), { format: "gif" }],
    ["a GIF with a transparent colour", () => encoder(scene(64, 48, 4)).gif(), { format: "gif", hasAlpha: true }],
  ] as const) {
    it(`tells of ${name} what a decoder tells`, async () => {
      const file = await bytes().toBuffer();
      const metadata = await inspected(file);
      assert.deepEqual(metadata, {
        width: 64,
        height: 48,
        colorSpace: "srgb",
        hasAlpha: false,
        frames: 1,
        orientation: 1,
        exif: {},
        ...expected,
      });
      const { space, hasAlpha, width, height } = await sharp(file).metadata();
      assert.deepEqual(
        { space, hasAlpha, width, height },
        { space: metadata.colorSpace, hasAlpha: metadata.hasAlpha, width: 64, height: 48 },
      );
    });
  }

  for (const format of ["gif", "webp"] as const) {
    it(`counts the frames of an animated ${format}`, async () => {
      const { width, height, frames } = await inspected(await animation(format, 7));
      assert.deepEqual({ width, height, frames }, { width: 60, height: 40, frames: 7 });
    });
  }

  it("counts the frames of an animated PNG", async () => {
    const png = pngHeader({ width: 8, height: 8 });
    const control = Buffer.alloc(8);
    control.writeUInt32BE(12);
    assert.equal((await inspected(Buffer.concat([png.subarray(0, 33), pngChunk("acTL", control), png.subarray(33)]))).frames, 12);
  });

  for (const format of ["jpeg", "png", "webp"] as const) {
    it(`tells the size of a ${format} as it is seen, not as it is stored`, async () => {
      for (const orientation of [1, 2, 3, 4, 5, 6, 7, 8]) {
        const file = await encoder(scene(64, 48)).withMetadata({ orientation })[format]().toBuffer();
        const { width, height, orientation: told } = await inspected(file);
        assert.deepEqual([told, width, height], [orientation, ...(orientation >= 5 ? [48, 64] : [64, 48])]);
      }
    });

    it(`keeps the harmless fields of a ${format}'s EXIF, and the place only when asked`, async () => {
      const file = await encoder(scene(64, 48)).withExif(exif)[format]().toBuffer();
      const harmless = {
        make: "Acme",
        model: "Camera 1",
        lens: "50mm f/1.8",
        software: "v1.2",
        exposureTime: 0.02,
        fNumber: 2.8,
        iso: 400,
        focalLength: 50,
        takenAt: "2026-05-31T12:34:56+02:00",
      };
      assert.deepEqual((await inspected(file)).exif, harmless);
      assert.deepEqual((await inspected(file, { gps: true })).exif, { ...harmless, latitude: -33.85, longitude: 151.2, altitude: 5 });
    });
  }

  it("an altitude below the sea is negative", async () => {
    const file = await encoder(scene(64, 48))
      .withExif({ IFD3: { ...exif.IFD3, GPSAltitudeRef: "1" } })
      .jpeg()
      .toBuffer();
    // The encoder writes 0, whatever it is told.
    file.set([1], file.indexOf(Buffer.from([5, 0, 1, 0, 1, 0, 0, 0])) + 8);
    assert.equal((await inspected(file, { gps: true })).exif.altitude, -5);
  });

  it("broken EXIF is no reason to refuse a picture", async () => {
    const file = await encoder(scene(64, 48)).withExif(exif).jpeg().toBuffer();
    const start = file.indexOf("Exif\0\0") + 6;
    for (const [at, value] of [
      [0, 0x58],
      [4, 0xff],
      [8, 0xff],
      [18, 0xff],
    ] as const) {
      const broken = Buffer.from(file);
      broken.fill(value, start + at, start + at + 4);
      const { width, height, orientation } = await inspected(broken);
      assert.deepEqual([width, height, orientation], [64, 48, 1]);
    }
  });

  describe("refuses", () => {
    for (const [code, what, bytes, says] of [
      ["EMPTY", "a file without bytes", Buffer.alloc(0), /no bytes/],
      ["UNSUPPORTED_FORMAT", "text", Buffer.from("I am no picture.\n"), /The file is text: accepted are JPEG, PNG, WebP and GIF/],
      ["UNSUPPORTED_FORMAT", "an SVG", Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), /an SVG document/],
      ["UNSUPPORTED_FORMAT", "an AVIF", Buffer.from("\0\0\0\x1cftypavif\0\0\0\0mif1avif\0\0\0\0", "latin1"), /an AVIF image/],
      ["UNSUPPORTED_CODEC", "a HEIC, with what is known of it", heicHeader(4032, 3024), /a HEIC image of 4032×3024 pixels/],
      ["UNSUPPORTED_CODEC", "a lossless JPEG", jpegHeader({ width: 8, height: 8, process: 0xc3 }), /SOF3/],
      ["UNSUPPORTED_CODEC", "a 12-bit JPEG", jpegHeader({ width: 8, height: 8, precision: 12 }), /12 bits/],
      [
        "PIXEL_LIMIT",
        "a small PNG of 256 MP",
        pngHeader({ width: 16_000, height: 16_000 }),
        /16000×16000 = 256,000,000 pixels: at most 50,000,000/,
      ],
      ["PIXEL_LIMIT", "a JPEG of 4,295 MP", jpegHeader({ width: 65_535, height: 65_535 }), /at most 50,000,000/],
      ["CORRUPT", "a PNG of no width", pngHeader({ width: 0, height: 9 }), /0×9 pixels/],
      ["CORRUPT", "a PNG of a colour type that is none", pngHeader({ width: 9, height: 9, colorType: 5 }), /colour type 5/],
      [
        "CORRUPT",
        "a JPEG with garbage for segments",
        Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0]), Buffer.alloc(70_000, 7)]),
        /no marker/,
      ],
      ["CORRUPT", "a JPEG that ends before it begins", Buffer.from([0xff, 0xd8, 0xff, 0xd9]), /ends before a scan/],
      ["CORRUPT", "a GIF without frames", Buffer.from("GIF89a\x08\0\x08\0\0\0\0;", "latin1"), /before any frame/],
      ["CORRUPT", "a WebP of an unknown kind", Buffer.from(`RIFF\x20\0\0\0WEBPVP9 ${"\0".repeat(40)}`, "latin1"), /first chunk is "VP9 "/],
    ] as const) {
      it(`${what}: ${code}`, async () => {
        await assert.rejects(admit(bytesSource(bytes), limits), { name: "ImageRefused", code, message: says });
        await assert.rejects(inspected(bytes), { name: "ImageRefused", code, message: says });
      });
    }

    it("a file above the limit in bytes, unread", async () => {
      const source = new Counted(Buffer.alloc(101));
      await assert.rejects(admit(source, { ...limits, bytes: 100 }), { code: "SIZE_LIMIT", message: /has 101 bytes: at most 100/ });
      assert.deepEqual(source.reads, []);
    });

    it("one pixel above the limit, and no pixel below", async () => {
      const file = pngHeader({ width: 100, height: 100 });
      await admit(bytesSource(file), { ...limits, pixels: 10_000 });
      await assert.rejects(admit(bytesSource(file), { ...limits, pixels: 9_999 }), { code: "PIXEL_LIMIT" });
    });

    it("a header that ends early, wherever it ends", async () => {
      for (const [format, file] of Object.entries({
        jpeg: await encoder(scene(64, 48)).withExif(exif).jpeg().toBuffer(),
        png: await encoder(scene(64, 48)).withExif(exif).png().toBuffer(),
        webp: await encoder(scene(64, 48)).withExif(exif).webp().toBuffer(),
        gif: await animation("gif", 3),
      })) {
        // What ends within the pixels shows where the structure is followed through them.
        const end =
          format === "jpeg" ? file.lastIndexOf(Buffer.from([0xff, 0xda])) : format === "png" ? file.indexOf("IDAT") : file.length - 2;
        for (let length = 12; length < end; length += Math.max(1, end >> 5)) {
          await assert.rejects(inspected(file.subarray(0, length)), { code: "TRUNCATED" }, `${format} of ${length} bytes`);
        }
      }
    });
  });

  describe("has a budget for what has to be decoded as a whole", () => {
    const roomy = { ...limits, pixels: 100_000_000 };
    for (const [what, fits, exceeds] of [
      [
        "an interlaced PNG",
        pngHeader({ width: 10_000, height: 10_000, colorType: 6, interlaced: true }),
        pngHeader({ width: 10_000, height: 10_000, colorType: 6, depth: 16, interlaced: true }),
      ],
      [
        "a progressive JPEG",
        jpegHeader({ width: 10_000, height: 10_000, process: 0xc2 }),
        jpegHeader({ width: 10_000, height: 10_000, process: 0xc2, sampling: [0x11, 0x11, 0x11] }),
      ],
    ] as const) {
      it(what, async () => {
        await admit(bytesSource(fits), roomy);
        await assert.rejects(admit(bytesSource(exceeds), roomy), {
          code: "PIXEL_LIMIT",
          message: new RegExp(`decoded as a whole.*at most ${FRAME_BUDGET.toLocaleString("en-US")}`),
        });
      });
    }

    it("not for what is decoded row by row", async () => {
      await admit(bytesSource(pngHeader({ width: 10_000, height: 10_000, colorType: 6, depth: 16 })), roomy);
      await admit(bytesSource(jpegHeader({ width: 10_000, height: 10_000, sampling: [0x11, 0x11, 0x11] })), roomy);
    });
  });

  describe("reads little", () => {
    const noise = (seed: number) => {
      let state = Math.imul(seed + 1, 2_654_435_761);
      for (const shift of [13, -17, 5]) state ^= shift > 0 ? state << shift : state >>> -shift;
      return state & 255;
    };

    it("one window of a large JPEG", async () => {
      const source = new Counted(Buffer.concat([await encoder(scene(800, 600)).jpeg().toBuffer(), Buffer.alloc(5_000_000)]));
      await inspect(source, limits, { gps: false });
      assert.deepEqual(source.reads, [[0, 65_536]]);
    });

    it("a JPEG's large profiles and previews are skipped", async () => {
      const file = await encoder(scene(64, 48)).jpeg().toBuffer();
      const segment = Buffer.concat([Buffer.from([0xff, 0xe2, 0xff, 0xff]), Buffer.alloc(65_533, 0x5a)]);
      const source = new Counted(Buffer.concat([file.subarray(0, 2), ...Array.from({ length: 40 }, () => segment), file.subarray(2)]));
      assert.equal((await inspect(source, limits, { gps: false })).width, 64);
      assert.ok(source.reads.length <= 8, `${source.reads.length} reads`);
    });

    it("a WebP's EXIF is found behind its pixels without reading them", async () => {
      const picture = raw(600, 400, 3, (x, y) => [0, 1, 2].map((channel) => noise(channel + 3 * (x + 600 * y))));
      const source = new Counted(await encoder(picture).withExif(exif).webp({ lossless: true }).toBuffer());
      const { exif: found } = await inspect(source, limits, { gps: false });
      assert.equal(found.make, "Acme");
      assert.ok(source.size > 400_000, `${source.size} bytes are too few to tell`);
      assert.ok(source.total < 100_000, `${source.total} of ${source.size} bytes were read`);
    });

    it("admission does not count a GIF's frames", async () => {
      const file = await animation("gif", 3);
      const tail = Buffer.concat(
        Array.from({ length: 20_000 }, () => Buffer.concat([Buffer.from([0x21, 0xfe, 0xff]), Buffer.alloc(255, 65), Buffer.from([0])])),
      );
      const long = Buffer.concat([file.subarray(0, -1), tail, Buffer.from(";")]);
      const [admitted, whole] = [new Counted(long), new Counted(long)];
      await admit(admitted, limits);
      assert.deepEqual(admitted.reads, [[0, 65_536]]);
      assert.equal((await inspect(whole, limits, { gps: false })).frames, 3);
      assert.ok(whole.reads.length < 12, `${whole.reads.length} reads`);
    });
  });

  it("takes a file whose sub-blocks are as small as they get in little time", async () => {
    const head = await encoder(flat(4, 4, [9, 9, 9]))
      .gif()
      .toBuffer();
    const crumbs = Buffer.alloc(20_000_000, 1);
    const file = Buffer.concat([head.subarray(0, -1), Buffer.from([0x21, 0xfe]), crumbs, Buffer.from([0, 0, 0x3b])]);
    const start = performance.now();
    assert.equal((await inspected(file)).frames, 1);
    assert.ok(performance.now() - start < 2_000, `${performance.now() - start} ms`);
  });
});
