import { rgbaToThumbHash } from "thumbhash";
import type { Pixels } from "./decoder.js";
import { within } from "./geometry.js";

/** A thumbhash keeps 7×7 waves at most: this many pixels a side are plenty. */
const SIDE = 32;

/** A placeholder for the picture in some 25 bytes, base64. See evanw/thumbhash. */
export function thumbhash(picture: Pixels): string {
  const { width, height } = within(picture, SIDE);
  return Buffer.from(rgbaToThumbHash(width, height, averaged(picture, width, height))).toString("base64");
}

/** The picture in fewer pixels, as RGBA: each is the mean of those it stands for, which count as far as they are opaque. */
function averaged({ data, width, height, channels }: Pixels, columns: number, rows: number): Uint8Array {
  // Per pixel: red, green, blue (times alpha), alpha, count.
  const sums = new Float64Array(columns * rows * 5);
  for (let y = 0, at = 0; y < height; y++) {
    const row = Math.floor((y * rows) / height) * columns;
    for (let x = 0; x < width; x++, at += channels) {
      const to = 5 * (row + Math.floor((x * columns) / width));
      const alpha = channels === 4 ? (data[at + 3] as number) : 255;
      for (let channel = 0; channel < 3; channel++)
        sums[to + channel] = (sums[to + channel] as number) + alpha * (data[at + channel] as number);
      sums[to + 3] = (sums[to + 3] as number) + alpha;
      sums[to + 4] = (sums[to + 4] as number) + 1;
    }
  }
  const rgba = new Uint8Array(columns * rows * 4);
  for (let from = 0, to = 0; from < sums.length; from += 5, to += 4) {
    const alpha = sums[from + 3] as number;
    for (let channel = 0; channel < 3; channel++) rgba[to + channel] = alpha ? Math.round((sums[from + channel] as number) / alpha) : 0;
    rgba[to + 3] = Math.round(alpha / (sums[from + 4] as number));
  }
  return rgba;
}
