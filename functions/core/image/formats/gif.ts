import type { HeaderReader } from "../source.js";
import { corrupt, type Header, type HeaderRequest, sized } from "./header.js";

const [EXTENSION, IMAGE, TRAILER, GRAPHIC_CONTROL] = [0x21, 0x2c, 0x3b, 0xf9];

/**
 * GIF: no header tells how many frames there are, and blocks are chained in pieces of at most 255 bytes; so counting them reads the whole file,
 * window by window, without decoding. Without `whole` the walk ends at the first frame.
 */
export async function readGif(reader: HeaderReader, { whole }: HeaderRequest): Promise<Header> {
  const screen = await reader.take(6, 7);
  const [width, height] = [screen.readUInt16LE(0), screen.readUInt16LE(2)];
  const header: Header = { format: "gif", width, height, colorSpace: "srgb", hasAlpha: false, frames: 0, heldPerPixel: 4 };
  let offset = 13 + colorTable(screen.readUInt8(4));
  for (;;) {
    if (header.frames > 0 && (!whole || offset >= reader.size)) break;
    const block = (await reader.take(offset, 1)).readUInt8(0);
    if (block === TRAILER) break;
    if (block === EXTENSION) {
      const extension = await reader.take(offset + 1, 6);
      if (extension.readUInt8(0) === GRAPHIC_CONTROL && header.frames === 0) header.hasAlpha = (extension.readUInt8(2) & 1) === 1;
      offset = await afterSubBlocks(reader, offset + 2);
    } else if (block === IMAGE) {
      const descriptor = await reader.take(offset + 1, 9);
      const [left, top, frameWidth, frameHeight] = [0, 2, 4, 6].map((at) => descriptor.readUInt16LE(at)) as [
        number,
        number,
        number,
        number,
      ];
      if (header.frames === 0) {
        // Some encoders leave the logical screen empty; then the first frame is the picture.
        header.width ||= left + frameWidth;
        header.height ||= top + frameHeight;
        header.hasAlpha ||= left > 0 || top > 0 || left + frameWidth < header.width || top + frameHeight < header.height;
      }
      header.frames++;
      if (whole) offset = await afterSubBlocks(reader, offset + 11 + colorTable(descriptor.readUInt8(8)));
    } else if (header.frames > 0) {
      break; // What follows the last frame is not GIF any more; decoders stop here too.
    } else {
      throw corrupt("no block where one belongs");
    }
  }
  if (header.frames === 0) throw corrupt("it ends before any frame");
  return sized(header);
}

function colorTable(flags: number): number {
  return flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0;
}

async function afterSubBlocks(reader: HeaderReader, from: number): Promise<number> {
  for (let offset = from; ; ) {
    if (!reader.holds(offset, 1)) await reader.take(offset, 1);
    const length = reader.at(offset);
    offset += 1 + length;
    if (length === 0) return offset;
  }
}
