import { ImageRefused } from "../../failures.js";
import type { HeaderReader } from "../source.js";
import { corrupt, type Header, type HeaderRequest, LARGEST_EXIF, sized, withoutPrefix } from "./header.js";

const [ALPHA, ANIMATION] = [0x10, 0x02];

/**
 * WebP: a RIFF file. Its first chunk tells the dimensions; EXIF and the frames of an animation are chunks behind the pixels, which are skipped
 * by their length.
 */
export async function readWebp(reader: HeaderReader, { whole }: HeaderRequest): Promise<Header> {
  const end = 8 + (await reader.take(4, 4)).readUInt32LE();
  const type = (await reader.take(12, 4)).toString("latin1");
  // The smallest lossless picture ends before byte 30.
  const chunk = await reader.take(12, type === "VP8L" ? 13 : 18);
  const header = sized(
    type === "VP8X" ? readExtended(chunk) : type === "VP8L" ? readLossless(chunk) : type === "VP8 " ? readLossy(chunk) : unknownChunk(type),
  );
  if (end > reader.size)
    throw new ImageRefused("TRUNCATED", `The file ends at byte ${reader.size}, before the image does: it declares ${end} bytes.`);
  if (type !== "VP8X" || !whole) return header;
  const animated = (chunk.readUInt8(8) & ANIMATION) !== 0;
  let frames = 0;
  for (let offset = 12; offset + 8 <= end; ) {
    const [name, length] = await chunkAt(reader, offset);
    if (name === "ANMF") frames++;
    if (name === "EXIF" && length <= LARGEST_EXIF) header.exif = withoutPrefix(await reader.take(offset + 8, length));
    offset += 8 + length + (length & 1);
  }
  if (animated && frames === 0) throw corrupt("an animation without frames");
  return { ...header, frames: animated ? frames : 1 };
}

async function chunkAt(reader: HeaderReader, offset: number): Promise<[name: string, length: number]> {
  const chunk = await reader.take(offset, 8);
  return [chunk.toString("latin1", 0, 4), chunk.readUInt32LE(4)];
}

const PICTURE = { format: "webp", colorSpace: "srgb", frames: 1, heldPerPixel: 4 } as const;

function readExtended(chunk: Buffer): Header {
  return {
    ...PICTURE,
    width: 1 + chunk.readUIntLE(12, 3),
    height: 1 + chunk.readUIntLE(15, 3),
    hasAlpha: (chunk.readUInt8(8) & ALPHA) !== 0,
  };
}

function readLossless(chunk: Buffer): Header {
  if (chunk.readUInt8(8) !== 0x2f) throw corrupt("a VP8L chunk without its signature");
  const bits = chunk.readUInt32LE(9);
  return { ...PICTURE, width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff), hasAlpha: ((bits >>> 28) & 1) === 1 };
}

function readLossy(chunk: Buffer): Header {
  if (chunk.readUIntBE(11, 3) !== 0x9d012a) throw corrupt("a VP8 frame without its start code");
  return { ...PICTURE, width: chunk.readUInt16LE(14) & 0x3fff, height: chunk.readUInt16LE(16) & 0x3fff, hasAlpha: false };
}

function unknownChunk(type: string): never {
  throw corrupt(`its first chunk is ${JSON.stringify(type)}`);
}
