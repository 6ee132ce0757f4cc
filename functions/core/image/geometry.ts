import type { VariantSettings } from "../settings.js";

export interface Size {
  width: number;
  height: number;
}

export interface Region extends Size {
  left: number;
  top: number;
}

/** How a variant comes from the whole picture. */
export interface Placement {
  /** Size of the whole picture at the variant's scale. */
  scaled: Size;
  /** The variant's part of it. */
  crop: Region;
  /** Scaled width by original width. */
  scale: number;
}

/** Where a variant lies in a picture of the original's full extent: `cover` fills the exact size from the centre, `inside` keeps the whole and never enlarges. */
export function place(original: Size, { width, height, fit }: Pick<VariantSettings, "width" | "height" | "fit">): Placement {
  const [across, down] = [width / original.width, height / original.height];
  const scale = fit === "cover" ? Math.max(across, down) : Math.min(across, down, 1);
  const scaled = scaledBy(original, scale);
  const crop =
    fit === "cover"
      ? { left: centred(scaled.width, width), top: centred(scaled.height, height), width, height }
      : { left: 0, top: 0, ...scaled };
  return { scaled, crop, scale };
}

/** A size times a factor, in whole pixels, at least one. */
export function scaledBy({ width, height }: Size, scale: number): Size {
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** The largest size within `limit` a side, never enlarging. */
export function within(original: Size, limit: number): Size {
  return scaledBy(original, Math.min(1, limit / Math.max(original.width, original.height)));
}

function centred(whole: number, part: number): number {
  return Math.floor((whole - part + 1) / 2);
}

/**
 * The part of a base picture that is enough for a placement, when scaling all of it would make many times more pixels than the variant has:
 * a line of 1×10,000 that covers 640×480 would be 640×6,400,000. It is centred as the placement's crop is. `undefined` when all of it is fine.
 */
export function preCrop(base: Size, { scaled, crop }: Placement): Region | undefined {
  const [across, down] = [span(base.width, scaled.width, crop.width), span(base.height, scaled.height, crop.height)];
  if (across === base.width && down === base.height) return undefined;
  return { left: (base.width - across) / 2, top: (base.height - down) / 2, width: across, height: down };
}

/** Base pixels needed of one side, with the same parity as the side, so that the centre stays the centre. */
function span(base: number, scaled: number, part: number): number {
  if (scaled <= 4 * part) return base;
  const needed = Math.ceil((part * base) / scaled) + 8;
  return Math.min(base, needed + ((base - needed) & 1));
}
