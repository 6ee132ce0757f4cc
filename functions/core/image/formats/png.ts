import type { HeaderReader } from "../source.js";
import { corrupt, type Header, type HeaderRequest, LARGEST_EXIF, sized, withoutPrefix } from "./header.js";

/** Colour type → channels, and the bit depths it may have. */
const COLOR_TYPES: Readonly<Record<number, { channels: number; depths: readonly number[] }>> = {
  0: { channels: 1, depths: [1, 2, 4, 8, 16] },
  2: { channels: 3, depths: [8, 16] },
  3: { channels: 3, depths: [1, 2, 4, 8] },
  4: { channels: 2, depths: [8, 16] },
  6: { channels: 4, depths: [8, 16] },
};
const GREY_TYPES = [0, 4];

/** PNG: walks the chunks up to the first pixels. An `acTL` makes it an animated PNG, whose default image is what is shown. */
export async function readPng(reader: HeaderReader, { whole }: HeaderRequest): Promise<Header> {
  const first = await reader.take(8, 25);
  if (first.readUInt32BE(0) !== 13 || first.toString("latin1", 4, 8) !== "IHDR") throw corrupt("its first chunk is no IHDR of 13 bytes");
  const [width, height, depth, colorType, interlace] = [
    first.readUInt32BE(8),
    first.readUInt32BE(12),
    first.readUInt8(16),
    first.readUInt8(17),
    first.readUInt8(20),
  ];
  const color = COLOR_TYPES[colorType];
  if (!color?.depths.includes(depth)) throw corrupt(`colour type ${colorType} with ${depth} bits`);
  const header: Header = sized({
    format: "png",
    width,
    height,
    colorSpace: depth === 16 ? (GREY_TYPES.includes(colorType) ? "grey16" : "rgb16") : GREY_TYPES.includes(colorType) ? "b-w" : "srgb",
    hasAlpha: colorType >= 4,
    frames: 1,
    heldPerPixel: interlace ? color.channels * (depth === 16 ? 2 : 1) : 0,
  });
  let offset = 33;
  while (whole) {
    const chunk = await reader.take(offset, 8);
    const [length, type] = [chunk.readUInt32BE(0), chunk.toString("latin1", 4, 8)];
    if (type === "IDAT") break;
    if (type === "IEND") throw corrupt("it ends before any pixels");
    if (!/^[A-Za-z]{4}$/.test(type) || length > 0x7fffffff) throw corrupt("no chunk where one belongs");
    if (type === "tRNS") header.hasAlpha = true;
    if (type === "acTL") header.frames = Math.max(1, (await reader.take(offset + 8, 8)).readUInt32BE(0));
    if (type === "eXIf" && length <= LARGEST_EXIF) header.exif = withoutPrefix(await reader.take(offset + 8, length));
    offset += 12 + length;
  }
  return header;
}
