import { ImageRefused } from "../../failures.js";
import type { ImageFormat } from "../identify.js";

/** What a picture's header says. */
export interface Header {
  format: ImageFormat;
  /** Pixels as stored, before orientation. */
  width: number;
  /** Pixels as stored, before orientation. */
  height: number;
  /** In sharp's words: srgb, b-w, rgb16, grey16, cmyk. */
  colorSpace: string;
  /** Does what is shown of it (the first frame) have an alpha channel? */
  hasAlpha: boolean;
  /** 1 unless animated. Animations of formats whose header does not tell say 1 unless frames were asked to be counted. */
  frames: number;
  /** The EXIF block, from its TIFF header on. */
  exif?: Buffer;
  /** Bytes per pixel that a decoder has to hold of the whole frame at once; 0 where it streams rows. */
  heldPerPixel: number;
}

/** How much is asked of a header. */
export interface HeaderRequest {
  /** Follow the structure as far as it takes to find EXIF and every frame? Otherwise only what the dimensions need. */
  whole: boolean;
}

/** A file that breaks its format's rules: a sentence without the format's name. */
export function corrupt(what: string): ImageRefused {
  return new ImageRefused("CORRUPT", `The header breaks the format's rules: ${what}.`);
}

/** A picture must have at least one pixel. */
export function sized<Sized extends { width: number; height: number }>(header: Sized): Sized {
  if (header.width < 1 || header.height < 1) throw corrupt(`it declares ${header.width}×${header.height} pixels`);
  return header;
}

/** Beyond this, an EXIF block is no camera's: it is left unread. */
export const LARGEST_EXIF = 256 * 1024;

const EXIF_PREFIX = Buffer.from("Exif\0\0", "latin1");

/** An EXIF block without the prefix that some containers put before it. */
export function withoutPrefix(block: Buffer): Buffer {
  // A copy, since the reader's window moves on.
  return Buffer.from(block.subarray(0, EXIF_PREFIX.length).equals(EXIF_PREFIX) ? block.subarray(EXIF_PREFIX.length) : block);
}
