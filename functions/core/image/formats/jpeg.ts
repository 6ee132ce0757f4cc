import { ImageRefused } from "../../failures.js";
import type { HeaderReader } from "../source.js";
import { corrupt, type Header, type HeaderRequest, sized, withoutPrefix } from "./header.js";

const [SOF0, SOF15, DHT, JPG, DAC] = [0xc0, 0xcf, 0xc4, 0xc8, 0xcc];
const [SOI, EOI, SOS, APP1] = [0xd8, 0xd9, 0xda, 0xe1];
/** Baseline, extended and progressive, with Huffman or arithmetic coding. */
const DECODED_FRAMES = [0xc0, 0xc1, 0xc2, 0xc9, 0xca];
const PROGRESSIVE_FRAMES = [0xc2, 0xca];
/** Garbage between segments that decoders skip; more than this is no JPEG. */
const LARGEST_GAP = 64 * 1024;

/** JPEG: walks the segments up to the first scan. Large ICC profiles and previews are skipped by their length, unread. */
export async function readJpeg(reader: HeaderReader, { whole }: HeaderRequest): Promise<Header> {
  let frame: Omit<Header, "exif"> | undefined;
  let exif: Buffer | undefined;
  let offset = 2;
  for (;;) {
    const start = await nextMarker(reader, offset);
    const marker = reader.at(start);
    offset = start + 1;
    if (marker === SOS || (frame && !whole)) break;
    if (marker === EOI) throw corrupt("it ends before a scan");
    if (marker === SOI || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) continue;
    const length = (await reader.take(offset, 2)).readUInt16BE();
    if (length < 2) throw corrupt(`a segment of ${length} bytes`);
    if (marker >= SOF0 && marker <= SOF15 && marker !== DHT && marker !== JPG && marker !== DAC) {
      frame = readFrame(await reader.take(offset, length), marker);
    } else if (marker === APP1 && !exif && whole) {
      const segment = (await reader.take(offset, length)).subarray(2);
      if (segment.toString("latin1", 0, 6) === "Exif\0\0") exif = withoutPrefix(segment);
    }
    offset += length;
  }
  if (!frame) throw corrupt("a scan before any frame");
  return { ...frame, ...(exif && { exif }) };
}

/** Offset of the next marker's code. */
async function nextMarker(reader: HeaderReader, from: number): Promise<number> {
  let offset = from;
  for (let previous = 0; ; offset++) {
    if (!reader.holds(offset, 1)) await reader.take(offset, 1);
    const byte = reader.at(offset);
    if (previous === 0xff && byte !== 0xff && byte !== 0) return offset;
    if (offset - from > LARGEST_GAP) throw corrupt("no marker where one belongs");
    previous = byte;
  }
}

function readFrame(segment: Buffer, marker: number): Omit<Header, "exif"> {
  if (segment.length < 8) throw corrupt(`a frame header of ${segment.length} bytes`);
  const [precision, height, width, components] = [
    segment.readUInt8(2),
    segment.readUInt16BE(3),
    segment.readUInt16BE(5),
    segment.readUInt8(7),
  ];
  if (!DECODED_FRAMES.includes(marker) || precision !== 8) {
    throw new ImageRefused(
      "UNSUPPORTED_CODEC",
      `A JPEG of ${precision} bits with coding process SOF${marker - SOF0} is not decoded here: baseline and progressive of 8 bits are.`,
    );
  }
  if (![1, 3, 4].includes(components) || segment.length < 8 + 3 * components) throw corrupt(`${components} colour components`);
  return sized({
    format: "jpeg",
    width,
    height,
    colorSpace: { 1: "b-w", 3: "srgb", 4: "cmyk" }[components] as string,
    hasAlpha: false,
    frames: 1,
    heldPerPixel: PROGRESSIVE_FRAMES.includes(marker) ? coefficientBytes(segment, components) : 0,
  });
}

/** A progressive picture's coefficients are all held until its last scan: 2 bytes per sample, fewer samples where colour is subsampled. */
function coefficientBytes(segment: Buffer, components: number): number {
  const factors = Array.from({ length: components }, (_, index) => segment.readUInt8(8 + 3 * index + 1));
  const samples = factors.map((factor) => (factor >> 4) * (factor & 15));
  const horizontal = Math.max(...factors.map((factor) => factor >> 4));
  const vertical = Math.max(...factors.map((factor) => factor & 15));
  if (samples.some((count) => count < 1)) throw corrupt("a colour component without samples");
  return (2 * samples.reduce((sum, count) => sum + count, 0)) / (horizontal * vertical);
}
