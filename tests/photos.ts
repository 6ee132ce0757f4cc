import { readFile } from "node:fs/promises";
import sharp, { type Sharp } from "sharp";

/** A picture with something in it: a sky, a sun, hills and grain, so that codecs and taggers have work to do. Deterministic. */
export async function photo(width = 800, height = 600, { alpha = false, seed = 1 } = {}): Promise<Sharp> {
  const channels = alpha ? 4 : 3;
  const pixels = Buffer.alloc(width * height * channels);
  let state = seed >>> 0 || 1;
  const grain = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) / 2 ** 32 - 0.5) * 12;
  };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * channels;
      const hill = height * (0.62 + 0.12 * Math.sin((x / width) * 7 + seed));
      const sun = (x - width * 0.75) ** 2 + (y - height * 0.25) ** 2 < (height * 0.12) ** 2;
      const [r, g, b] = sun
        ? [250, 230, 120]
        : y > hill
          ? [60, 120 - (40 * (y - hill)) / height, 50]
          : [90 + (80 * y) / height, 150 + (50 * y) / height, 225];
      const noise = grain();
      pixels[at] = clamp(r + noise);
      pixels[at + 1] = clamp(g + noise);
      pixels[at + 2] = clamp(b + noise);
      if (alpha) pixels[at + 3] = y < height * 0.2 ? 0 : 255;
    }
  }
  return sharp(pixels, { raw: { width, height, channels } });
}

const clamp = (value: number) => Math.max(0, Math.min(255, Math.round(value)));

export const jpeg = async (width?: number, height?: number, seed?: number) =>
  (await photo(width, height, seed === undefined ? {} : { seed })).jpeg({ quality: 85 }).toBuffer();

/** A JPEG whose EXIF says that it is to be turned by 90°, taken somewhere. */
export const turnedJpeg = async (width = 640, height = 400) =>
  (await photo(width, height, { seed: 2 }))
    .withExif({
      IFD0: { Make: "Acme", Model: "Pinhole", Software: "tests" },
      IFD3: { GPSLatitudeRef: "N", GPSLatitude: "52/1 31/1 0/1", GPSLongitudeRef: "E", GPSLongitude: "13/1 24/1 0/1" },
    })
    .withMetadata({ orientation: 6 })
    .jpeg({ quality: 85 })
    .toBuffer();

export const transparentPng = async (width = 300, height = 200) => (await photo(width, height, { alpha: true, seed: 3 })).png().toBuffer();

export const webp = async (width = 320, height = 240) => (await photo(width, height, { seed: 4 })).webp().toBuffer();

/** Two frames. */
export const animatedGif = async () => {
  const frames = await Promise.all([5, 6].map(async (seed) => (await photo(60, 40, { seed })).png().toBuffer()));
  return sharp(frames, { join: { animated: true } })
    .gif()
    .toBuffer();
};

/** A few bytes that unfold into 256 megapixels: the sample, since an encoder would take many seconds to make them. */
export const pixelBomb = () => readFile(new URL("../samples/enormous.png", import.meta.url));

export const svg = () =>
  Buffer.from('<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><rect width="10" height="10"/></svg>');

/** The start of a HEIC as a phone writes it: enough to know it by, nothing that could be decoded. */
export const heic = () => {
  const box = (type: string, ...content: Buffer[]) => {
    const body = Buffer.concat(content);
    const head = Buffer.alloc(8);
    head.writeUInt32BE(body.length + 8);
    head.write(type, 4, "latin1");
    return Buffer.concat([head, body]);
  };
  return Buffer.concat([
    box("ftyp", Buffer.from("heic\0\0\0\0mif1heic", "latin1")),
    box("meta", Buffer.alloc(64)),
    box("mdat", Buffer.alloc(256, 7)),
  ]);
};
