import { createHash } from "node:crypto";
import { ImageRefused } from "../failures.js";
import type { PixelStatistics } from "../ports.js";
import type { Fingerprint } from "../record.js";
import type { VariantSettings } from "../settings.js";
import { fromPixels, type Pixels, type Sharp, sharp } from "./decoder.js";
import { orientationOf } from "./exif.js";
import type { Header } from "./formats/header.js";
import { type Placement, place, preCrop, type Size, scaledBy, within } from "./geometry.js";
import { type ImageLimits, readHeader } from "./inspect.js";
import { isHarmless, refusalOf } from "./refusal.js";
import { bytesSource } from "./source.js";
import { dominantColor, measure } from "./statistics.js";
import { thumbhash } from "./thumbhash.js";

export interface RenderRequest {
  /** What to make, by name. */
  variants: Readonly<Record<string, VariantSettings>>;
  limits: ImageLimits;
  /** Make a JPEG for taggers too? */
  labelsImage: boolean;
  /**
   * Seconds that one image may take.
   * @default 60
   */
  seconds?: number;
}

/** A variant's file. */
export interface Rendition extends Size {
  name: string;
  bytes: Buffer;
  format: "jpeg" | "png" | "webp";
}

export interface Rendered {
  /** In the order of the request. */
  renditions: Rendition[];
  fingerprint: Fingerprint;
  statistics: PixelStatistics;
  /** The whole picture as JPEG: at most 1024 and at least 80 pixels a side. */
  labelsImage?: Size & { bytes: Buffer };
}

/** Longest side of the JPEG for taggers. */
const LABELS_SIDE = 1024;
/** Vision services refuse pictures with a shorter side. */
const LABELS_LEAST_SIDE = 80;
/** Longest side of what the statistics are measured on. */
const SURVEY_SIDE = 192;
const WHITE = "#ffffff";

/**
 * Decodes an image once and makes everything of it: variants (upright, sRGB, without metadata), fingerprint, statistics, a JPEG for taggers.
 *
 * The one decode goes to the *base*: the whole picture, at the largest scale that any output needs (a JPEG is decoded at a half, quarter or eighth
 * where that is enough). Each output is a part of the base, so cutting and scaling are right for any mix of shapes. The same bytes and settings
 * give the same bytes.
 *
 * @throws ImageRefused as `readHeader` does, and TRUNCATED, CORRUPT, TIMEOUT. Anything else is not the image's fault.
 */
export async function render(file: Uint8Array, request: RenderRequest): Promise<Rendered> {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const deadline = new Deadline(request.seconds ?? 60);
  try {
    return await Promise.race([deadline.passed, renderUntil(deadline, bytes, request)]);
  } finally {
    deadline.clear();
  }
}

async function renderUntil(deadline: Deadline, bytes: Buffer, { variants, limits, labelsImage }: RenderRequest): Promise<Rendered> {
  const header = await readHeader(bytesSource(bytes), limits, { whole: true });
  const orientation = orientationOf(header.exif);
  const stored = await storedSize(bytes, header, limits);
  const original = orientation >= 5 ? { width: stored.height, height: stored.width } : stored;

  const placements = Object.entries(variants).map(([name, settings]) => ({ name, settings, placement: place(original, settings) }));
  const forLabels = labelsImage ? labelsScale(original) : 0;
  const scale = Math.min(
    1,
    Math.max(forLabels, within(original, SURVEY_SIDE).width / original.width, ...placements.map(({ placement }) => placement.scale)),
  );
  const upright = scaledBy(original, scale);
  const decoding = decode(bytes, header, orientation >= 5 ? { width: upright.height, height: upright.width } : upright, limits, deadline);
  // The decoder has threads of its own: meanwhile this one counts.
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const base = await orient(await decoding, orientation);

  const [{ statistics, ...seen }, labels, ...renditions] = await Promise.all([
    survey(base),
    labelsImage ? renderLabelsImage(base, scaledBy(original, forLabels)) : undefined,
    ...placements.map(({ name, settings, placement }) => renderVariant(name, base, settings, placement)),
  ]);
  return { renditions, fingerprint: { sha256, ...seen }, statistics, ...(labels && { labelsImage: labels }) };
}

/** What the pixels as a whole are like: on a small copy, whose every pixel is looked at. */
async function survey(base: Pixels): Promise<Omit<Fingerprint, "sha256"> & { statistics: PixelStatistics }> {
  const picture = await scaleTo(base, within(base, SURVEY_SIDE));
  return { dominantColor: dominantColor(picture), thumbhash: thumbhash(picture), statistics: measure(picture) };
}

/** The picture's size as the decoder sees it. Only a GIF's may differ from its header's: decoders distrust its logical screen. */
async function storedSize(bytes: Buffer, header: Header, limits: ImageLimits): Promise<Size> {
  if (header.format !== "gif") return header;
  const { width, height } = await sharp(bytes, { pages: 1, limitInputPixels: limits.pixels })
    .metadata()
    .catch((error) => Promise.reject(refusalOf(error, { format: "gif", bytes })));
  return { width, height };
}

/** The one decode, to exactly `size`, not upright yet: turning the small picture is cheaper, and keeps the decoder streaming. */
async function decode(bytes: Buffer, { format, hasAlpha }: Header, size: Size, limits: ImageLimits, deadline: Deadline): Promise<Pixels> {
  // Only for JPEG does "warning" mean damaged pixels; PNG's warnings are of ancillary chunks.
  const attempt = (failOn: "warning" | "error") => {
    const pipeline = sharp(bytes, { failOn, pages: 1, limitInputPixels: limits.pixels, autoOrient: false })
      .timeout({ seconds: deadline.seconds() })
      .resize({ ...size, fit: "fill" })
      .toColourspace("srgb");
    return pixels((hasAlpha ? pipeline.ensureAlpha() : pipeline.removeAlpha()).raw({ depth: "uchar" }));
  };
  try {
    return await attempt(format === "jpeg" ? "warning" : "error").catch((error) =>
      isHarmless(error) ? attempt("error") : Promise.reject(error),
    );
  } catch (error) {
    throw refusalOf(error, { format, bytes });
  }
}

async function pixels(pipeline: Sharp): Promise<Pixels> {
  const { data, info } = await pipeline.toBuffer({ resolveWithObject: true });
  if (info.channels !== 3 && info.channels !== 4)
    throw new Error(`The decoder gave ${info.channels} channels where 3 or 4 were asked for.`);
  return { data, width: info.width, height: info.height, channels: info.channels };
}

/** How to turn and mirror a picture for each EXIF orientation. Mirroring comes before turning. */
const ORIENTATIONS: Readonly<Record<number, { mirror?: true; turn?: 90 | 180 | 270 }>> = {
  2: { mirror: true },
  3: { turn: 180 },
  4: { mirror: true, turn: 180 },
  5: { mirror: true, turn: 270 },
  6: { turn: 90 },
  7: { mirror: true, turn: 90 },
  8: { turn: 270 },
};

async function orient(picture: Pixels, orientation: number): Promise<Pixels> {
  const { mirror, turn } = ORIENTATIONS[orientation] ?? {};
  const mirrored = mirror ? await pixels(fromPixels(picture).flop().raw()) : picture;
  return turn ? pixels(fromPixels(mirrored).rotate(turn).raw()) : mirrored;
}

async function scaleTo(picture: Pixels, { width, height }: Size): Promise<Pixels> {
  if (picture.width === width && picture.height === height) return picture;
  return pixels(fromPixels(picture).resize({ width, height, fit: "fill" }).raw());
}

async function renderVariant(name: string, base: Pixels, settings: VariantSettings, placement: Placement): Promise<Rendition> {
  const format = settings.format === "auto" ? (base.channels === 4 ? "png" : "jpeg") : settings.format;
  const { data, info } = await encode(cut(base, placement), format, settings.quality).toBuffer({ resolveWithObject: true });
  return { name, bytes: data, width: info.width, height: info.height, format };
}

/** The variant's part of the base, at the variant's size. */
function cut(base: Pixels, placement: Placement): Sharp {
  const region = preCrop(base, placement);
  const { scaled, crop } = region ? place(region, { ...placement.crop, fit: "cover" }) : placement;
  const source = region ? fromPixels(base).extract(region) : fromPixels(base);
  return source.resize({ ...scaled, fit: "fill" }).extract(crop);
}

function encode(picture: Sharp, format: Rendition["format"], quality: number): Sharp {
  if (format === "png") return picture.png();
  if (format === "webp") return picture.webp({ quality });
  return picture.flatten({ background: WHITE }).jpeg({ quality });
}

/** Small pictures are enlarged as far as vision services need it. */
function labelsScale(original: Size): number {
  const [long, short] = [Math.max(original.width, original.height), Math.min(original.width, original.height)];
  return Math.min(LABELS_SIDE / long, Math.max(1, LABELS_LEAST_SIDE / short));
}

async function renderLabelsImage(base: Pixels, { width, height }: Size): Promise<Size & { bytes: Buffer }> {
  const scaled = fromPixels(base).resize({ width, height, fit: "fill" }).flatten({ background: WHITE });
  // A very long picture is still too narrow: it gets margins.
  const [missingWidth, missingHeight] = [Math.max(0, LABELS_LEAST_SIDE - width), Math.max(0, LABELS_LEAST_SIDE - height)];
  const { data, info } = await scaled
    .extend({
      left: missingWidth >> 1,
      right: (missingWidth + 1) >> 1,
      top: missingHeight >> 1,
      bottom: (missingHeight + 1) >> 1,
      background: WHITE,
    })
    .jpeg({ quality: 85 })
    .toBuffer({ resolveWithObject: true });
  return { bytes: data, width: info.width, height: info.height };
}

/** The moment by which an image must be done. The decoder is told what is left, and for the cases that it does not watch there is a timer. */
class Deadline {
  readonly passed: Promise<never>;
  private readonly end: number;
  private timer: NodeJS.Timeout | undefined;

  constructor(seconds: number) {
    this.end = performance.now() + seconds * 1000;
    this.passed = new Promise((_, reject) => {
      this.timer = setTimeout(
        () => reject(new ImageRefused("TIMEOUT", `Processing took longer than the ${seconds} seconds that one image may take.`)),
        seconds * 1000,
      );
    });
  }

  /** Whole seconds left, at least one. */
  seconds(): number {
    return Math.max(1, Math.ceil((this.end - performance.now()) / 1000));
  }

  clear(): void {
    clearTimeout(this.timer);
  }
}
