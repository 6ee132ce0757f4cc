/** The formats that pictures are accepted in. */
export const FORMATS = ["jpeg", "png", "webp", "gif"] as const;
export type ImageFormat = (typeof FORMATS)[number];

/** What a file is, by its first bytes: an accepted format, or what else it seems to be. */
export type Identity =
  | { format: ImageFormat }
  /** A container that is known, but whose codec is not decoded here. */
  | { codec: "HEIC" | "HEIF" }
  /** For a sentence: "a PDF document". */
  | { other: string };

/** Bytes from the start of a file that are enough to identify it. */
export const IDENTIFYING_BYTES = 512;

/** Media type of an accepted format. */
export function contentType(format: ImageFormat): string {
  return `image/${format}`;
}

/** Extension of an accepted format's files, without the dot. */
export function extension(format: ImageFormat): string {
  return format === "jpeg" ? "jpg" : format;
}

const ascii = (text: string) => Buffer.from(text, "latin1");

const SIGNATURES: readonly [Identity, offset: number, Buffer][] = [
  [{ format: "jpeg" }, 0, Buffer.from([0xff, 0xd8, 0xff])],
  [{ format: "png" }, 0, Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])],
  [{ format: "gif" }, 0, ascii("GIF87a")],
  [{ format: "gif" }, 0, ascii("GIF89a")],
  [{ other: "a TIFF image" }, 0, ascii("II*\0")],
  [{ other: "a TIFF image" }, 0, ascii("MM\0*")],
  [{ other: "a TIFF image" }, 0, ascii("II+\0")],
  [{ other: "a TIFF image" }, 0, ascii("MM\0+")],
  [{ other: "a BMP image" }, 0, ascii("BM")],
  [{ other: "a PDF document" }, 0, ascii("%PDF-")],
  [{ other: "a JPEG XL image" }, 0, Buffer.from([0xff, 0x0a])],
  [{ other: "a JPEG XL image" }, 4, ascii("JXL ")],
  [{ other: "a JPEG 2000 image" }, 4, ascii("jP  ")],
  [{ other: "a JPEG 2000 image" }, 0, Buffer.from([0xff, 0x4f, 0xff, 0x51])],
  [{ other: "a Photoshop document" }, 0, ascii("8BPS")],
  [{ other: "an icon" }, 0, Buffer.from([0, 0, 1, 0])],
  [{ other: "a ZIP archive" }, 0, ascii("PK\x03\x04")],
  [{ other: "a gzip archive" }, 0, Buffer.from([0x1f, 0x8b])],
  [{ other: "a Matroska or WebM video" }, 0, Buffer.from([0x1a, 0x45, 0xdf, 0xa3])],
];

const HEVC_BRANDS = ["heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"];

/** Says what a file is by its first bytes, never by its name. */
export function identify(head: Uint8Array): Identity {
  const bytes = Buffer.from(head.buffer, head.byteOffset, Math.min(head.byteLength, IDENTIFYING_BYTES));
  const signed = SIGNATURES.find(([, offset, signature]) => bytes.subarray(offset, offset + signature.length).equals(signature));
  if (signed) return signed[0];
  const word = (offset: number) => bytes.toString("latin1", offset, offset + 4);
  if (word(0) === "RIFF") return word(8) === "WEBP" ? { format: "webp" } : { other: `a RIFF file of type ${JSON.stringify(word(8))}` };
  if (word(4) === "ftyp") return identifyBrands(bytes);
  return { other: identifyText(bytes) };
}

/** ISO base media files say in `ftyp` what they are: a major brand, a version, and compatible brands. */
function identifyBrands(bytes: Buffer): Identity {
  const end = Math.min(bytes.length, Math.max(16, bytes.readUInt32BE(0)));
  const brands = [];
  for (let offset = 8; offset + 4 <= end; offset += 4) if (offset !== 12) brands.push(bytes.toString("latin1", offset, offset + 4));
  if (brands.some((brand) => brand === "avif" || brand === "avis")) return { other: "an AVIF image" };
  if (brands.some((brand) => HEVC_BRANDS.includes(brand))) return { codec: "HEIC" };
  if (brands.some((brand) => brand === "mif1" || brand === "msf1")) return { codec: "HEIF" };
  return { other: `an ISO media file of brand ${JSON.stringify(brands[0])}, a video perhaps` };
}

function identifyText(bytes: Buffer): string {
  const text = bytes.toString("utf8").replace(/^\uFEFF/, "");
  // The cut may fall within a character, which decodes to U+FFFD.
  const whole = bytes.length === IDENTIFYING_BYTES ? text.slice(0, -1) : text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what tells binary from text
  if (/[\x00-\x08\x0e-\x1f]/.test(text) || whole.includes("\uFFFD")) return "of no known image format";
  if (/<svg[\s>]/i.test(text)) return "an SVG document";
  if (/^\s*<(!doctype html|html)/i.test(text)) return "an HTML document";
  if (/^\s*<\?xml/i.test(text)) return "an XML document";
  return "text";
}
