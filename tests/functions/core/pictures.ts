import sharp, { type Sharp } from "sharp";

/** Pictures to try with: made from their pixels, the same at every run. */

export interface Raw {
  data: Buffer;
  width: number;
  height: number;
  channels: 1 | 2 | 3 | 4;
}

/** Pixels by a function of position, which returns one value per channel. */
export function raw(width: number, height: number, channels: Raw["channels"], pixel: (x: number, y: number) => number[]): Raw {
  const data = Buffer.alloc(width * height * channels);
  for (let y = 0, at = 0; y < height; y++) for (let x = 0; x < width; x++, at += channels) data.set(pixel(x, y), at);
  return { data, width, height, channels };
}

/** A picture without symmetry: colours run across and down, with a red corner at the top left, waves, and (with 4 channels) a transparent disc. */
export function scene(width: number, height: number, channels: 3 | 4 = 3): Raw {
  return raw(width, height, channels, (x, y) => {
    const [u, v] = [x / width, y / height];
    const wave = 30 * Math.sin(u * 25) * Math.sin(v * 19);
    const color = u < 0.2 && v < 0.25 ? [220, 20, 20] : [60 + 150 * u, 70 + 120 * v, 120 + wave];
    return channels === 3 ? color : [...color, Math.hypot(u - 0.7, v - 0.6) < 0.2 ? 0 : 255];
  });
}

export function flat(width: number, height: number, color: number[]): Raw {
  return raw(width, height, color.length as Raw["channels"], () => color);
}

export function encoder({ data, width, height, channels }: Raw): Sharp {
  return sharp(data, { raw: { width, height, channels } });
}

/** An animation whose frames differ. */
export async function animation(format: "gif" | "webp", frames: number, width = 60, height = 40): Promise<Buffer> {
  const pages = Array.from(
    { length: frames },
    (_, frame) => flat(width, height, [(frame * 90) % 256, 200 - ((frame * 60) % 200), 40 + frame]).data,
  );
  const picture = sharp(Buffer.concat(pages), { raw: { width, height: height * frames, channels: 3, pageHeight: height } });
  return format === "gif"
    ? picture.gif({ delay: 100 }).toBuffer()
    : picture.webp({ delay: Array.from({ length: frames }, () => 100) }).toBuffer();
}

/** Decoded to sRGB, with alpha where the picture has it. */
export async function decoded(bytes: Uint8Array): Promise<Raw> {
  const { data, info } = await sharp(bytes).toColourspace("srgb").raw().toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height, channels: info.channels as Raw["channels"] };
}

/** Mean difference of two pictures' channels, 0 to 255. */
export function difference(a: Raw, b: Raw): number {
  if (a.width !== b.width || a.height !== b.height || a.channels !== b.channels) {
    throw new Error(`${a.width}×${a.height}×${a.channels} is no match for ${b.width}×${b.height}×${b.channels}.`);
  }
  let total = 0;
  for (let at = 0; at < a.data.length; at++) total += Math.abs((a.data[at] as number) - (b.data[at] as number));
  return total / a.data.length;
}

/** A PNG's header for a picture that is never decoded, followed by the start of its pixels. */
export function pngHeader({
  width,
  height,
  depth = 8,
  colorType = 2,
  interlaced = false,
}: {
  width: number;
  height: number;
  depth?: number;
  colorType?: number;
  interlaced?: boolean;
}): Buffer {
  const ihdr = Buffer.alloc(13);
  ihdr.writeUInt32BE(width, 0);
  ihdr.writeUInt32BE(height, 4);
  ihdr.set([depth, colorType, 0, 0, interlaced ? 1 : 0], 8);
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), pngChunk("IHDR", ihdr), pngChunk("IDAT", Buffer.alloc(100))]);
}

/** A chunk with a checksum of zero: good enough for headers, which are not checked. */
export function pngChunk(type: string, data: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  return Buffer.concat([length, Buffer.from(type, "latin1"), data, Buffer.alloc(4)]);
}

/** A JPEG's header for a picture that is never decoded: start, frame, start of scan. `sampling`: factors per component, as `0x22`. */
export function jpegHeader({
  width,
  height,
  process = 0xc0,
  precision = 8,
  sampling = [0x22, 0x11, 0x11],
}: {
  width: number;
  height: number;
  process?: number;
  precision?: number;
  sampling?: number[];
}): Buffer {
  const frame = Buffer.alloc(10 + 3 * sampling.length);
  frame.set([0xff, process, 0, 8 + 3 * sampling.length, precision, height >> 8, height & 255, width >> 8, width & 255, sampling.length]);
  for (const [index, factor] of sampling.entries()) frame.set([index + 1, factor, 0], 10 + 3 * index);
  return Buffer.concat([Buffer.from([0xff, 0xd8]), frame, Buffer.from([0xff, 0xda, 0, 2]), Buffer.alloc(64)]);
}

/** A box of an ISO base media file. */
export function box(type: string, ...contents: Buffer[]): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(8 + contents.reduce((sum, { length }) => sum + length, 0));
  return Buffer.concat([size, Buffer.from(type, "latin1"), ...contents]);
}

/** A HEIC file's first boxes, which declare a picture and its preview. */
export function heicHeader(width: number, height: number): Buffer {
  const size = (w: number, h: number) => {
    const content = Buffer.alloc(12);
    content.writeUInt32BE(w, 4);
    content.writeUInt32BE(h, 8);
    return box("ispe", content);
  };
  const brands = box("ftyp", Buffer.from("heic\0\0\0\0mif1heic", "latin1"));
  return Buffer.concat([
    brands,
    box("meta", Buffer.alloc(4), box("iprp", box("ipco", size(320, 240), size(width, height)))),
    box("mdat", Buffer.alloc(64)),
  ]);
}
