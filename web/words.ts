import type { ImageRecord } from "./api.js";

const SIZES = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const TIMES = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });

/** "1.2 MB" */
export function bytes(count: number): string {
  const power = Math.min(Math.floor(Math.log10(Math.max(count, 1)) / 3), 3);
  return `${SIZES.format(count / 1000 ** power)} ${["bytes", "kB", "MB", "GB"][power]}`;
}

/** A time in the reader's own zone. */
export function time(iso: string): string {
  return TIMES.format(new Date(iso));
}

/** The last segment of an image's key. */
export function nameOf({ key }: Pick<ImageRecord, "key">): string {
  return key.slice(key.lastIndexOf("/") + 1);
}

/** "640 × 480 · JPEG · 1.2 MB", as far as it is known. */
export function summary({ width, height, format, size }: ImageRecord): string {
  const parts = [width && height && `${width} × ${height}`, format?.toUpperCase(), size !== undefined && bytes(size)];
  return parts.filter(Boolean).join(" · ");
}

/** What went wrong, for a person. */
export function sentence(error: unknown): string {
  return error instanceof TypeError ? "The server cannot be reached." : error instanceof Error ? error.message : String(error);
}
