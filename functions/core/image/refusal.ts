import { ImageRefused } from "../failures.js";
import type { ImageFormat } from "./identify.js";

/** What libjpeg complains of although the picture is all there: browsers show these, and so do we. */
const HARMLESS =
  /extraneous bytes before marker|Invalid SOS parameters|Inconsistent progression sequence|unknown JFIF revision|Unknown Adobe color transform|Unrecognized component IDs/i;

/** Did the decoder only grumble? Then decoding again, less strictly, gives the whole picture. */
export function isHarmless(error: unknown): boolean {
  return error instanceof Error && HARMLESS.test(error.message);
}

/**
 * The decoder's complaint as a refusal of the image. What is no fault of the image's (no memory, a bug) comes back as it is.
 */
export function refusalOf(error: unknown, { format, bytes }: { format: ImageFormat; bytes: Buffer }): unknown {
  if (!(error instanceof Error) || error instanceof ImageRefused) return error;
  const reason = error.message.split("\n")[0]?.replace(/^Input buffer has corrupt header: /, "") || "no reason given";
  if (/out of memory|unable to allocate|cannot allocate|ENOMEM/i.test(error.message)) return error;
  if (/timeout/i.test(error.message)) return new ImageRefused("TIMEOUT", `Decoding took too long: ${reason}.`);
  if (/exceeds pixel limit/i.test(error.message))
    return new ImageRefused("PIXEL_LIMIT", "The image decodes to more pixels than its header declares and the limit allows.");
  if (endsEarly(format, bytes, error.message))
    return new ImageRefused("TRUNCATED", `The file ends at byte ${bytes.length}, before the image does (decoder: ${reason}).`);
  return new ImageRefused("CORRUPT", `The image cannot be decoded (decoder: ${reason}).`);
}

/** An empty IEND chunk ends every PNG. */
const PNG_END = Buffer.from("\0\0\0\0IEND", "latin1");

/** libpng does not tell a missing end from a broken middle, the others do. */
function endsEarly(format: ImageFormat, bytes: Buffer, message: string): boolean {
  return format === "png" ? !bytes.includes(PNG_END) : /premature end of JPEG (image|file)|unexpected end of GIF/i.test(message);
}
