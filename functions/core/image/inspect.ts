import { ImageRefused } from "../failures.js";
import type { Metadata } from "../record.js";
import { FRAME_BUDGET } from "../settings.js";
import { orientationOf, readExif } from "./exif.js";
import { readGif } from "./formats/gif.js";
import type { Header, HeaderRequest } from "./formats/header.js";
import { heifDimensions } from "./formats/heif.js";
import { readJpeg } from "./formats/jpeg.js";
import { readPng } from "./formats/png.js";
import { readWebp } from "./formats/webp.js";
import { IDENTIFYING_BYTES, type Identity, type ImageFormat, identify } from "./identify.js";
import { HeaderReader, type ImageSource } from "./source.js";

/** What a picture may be at most. */
export interface ImageLimits {
  /** Of the file. */
  bytes: number;
  /** Width × height of one frame. */
  pixels: number;
}

const READERS: Record<ImageFormat, (reader: HeaderReader, request: HeaderRequest) => Promise<Header>> = {
  jpeg: readJpeg,
  png: readPng,
  webp: readWebp,
  gif: readGif,
};

/**
 * May this file be processed? Reads no more than its format and its dimensions need, and decodes nothing.
 *
 * @throws ImageRefused EMPTY, SIZE_LIMIT, UNSUPPORTED_FORMAT, UNSUPPORTED_CODEC, PIXEL_LIMIT, TRUNCATED or CORRUPT.
 */
export async function admit(source: ImageSource, limits: ImageLimits): Promise<{ format: ImageFormat }> {
  const { format } = await readHeader(source, limits, { whole: false });
  return { format };
}

/**
 * What the picture's own structure says: format, dimensions after orientation, colour space, alpha, frames, EXIF. Decodes nothing.
 * JPEG and PNG are read up to their first pixels; WebP by its chunk headers; a GIF whole, since its frames cannot be counted otherwise.
 *
 * @throws ImageRefused as `admit` does.
 */
export async function inspect(source: ImageSource, limits: ImageLimits, { gps }: { gps: boolean }): Promise<Metadata> {
  const { exif, ...header } = await readHeader(source, limits, { whole: true });
  const orientation = orientationOf(exif);
  const [width, height] = orientation >= 5 ? [header.height, header.width] : [header.width, header.height];
  const { format, colorSpace, hasAlpha, frames } = header;
  return { format, width, height, colorSpace, hasAlpha, frames, orientation, exif: await readExif(exif, { gps }) };
}

/** The header as stored, with all that `request` asks for. @throws ImageRefused as `admit` does. */
export async function readHeader(source: ImageSource, limits: ImageLimits, request: HeaderRequest): Promise<Header> {
  if (source.size === 0) throw new ImageRefused("EMPTY");
  if (source.size > limits.bytes)
    throw new ImageRefused("SIZE_LIMIT", `The file has ${figure(source.size)} bytes: at most ${figure(limits.bytes)} are allowed.`);
  const reader = new HeaderReader(source);
  const identity = identify(await reader.upTo(0, IDENTIFYING_BYTES));
  if (!("format" in identity)) throw await refusal(identity, reader);
  const header = await READERS[identity.format](reader, request);
  checkPixels(header, limits);
  return header;
}

function checkPixels({ format, width, height, heldPerPixel }: Header, limits: ImageLimits): void {
  const pixels = width * height;
  if (pixels > limits.pixels) {
    throw new ImageRefused(
      "PIXEL_LIMIT",
      `The image has ${width}×${height} = ${figure(pixels)} pixels: at most ${figure(limits.pixels)} are allowed.`,
    );
  }
  const held = Math.ceil(pixels * heldPerPixel);
  if (held > FRAME_BUDGET) {
    throw new ImageRefused(
      "PIXEL_LIMIT",
      `The image has ${width}×${height} pixels in a form of ${format.toUpperCase()} that has to be decoded as a whole (progressive, interlaced or animated), which takes ${figure(held)} bytes of memory: at most ${figure(FRAME_BUDGET)} are allowed.`,
    );
  }
}

async function refusal(identity: Exclude<Identity, { format: ImageFormat }>, reader: HeaderReader): Promise<ImageRefused> {
  if ("other" in identity)
    return new ImageRefused(
      "UNSUPPORTED_FORMAT",
      `The file is ${identity.other}: accepted are JPEG, PNG, WebP and GIF, whatever the name says.`,
    );
  const dimensions = heifDimensions(await reader.upTo(0, 64 * 1024));
  const known = dimensions ? ` of ${dimensions.width}×${dimensions.height} pixels` : "";
  return new ImageRefused(
    "UNSUPPORTED_CODEC",
    `The file is a ${identity.codec} image${known}, whose codec is not decoded here: convert it to JPEG, PNG or WebP.`,
  );
}

function figure(value: number): string {
  return value.toLocaleString("en-US");
}
