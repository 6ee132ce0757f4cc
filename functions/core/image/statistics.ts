import type { PixelStatistics } from "../ports.js";
import type { Pixels } from "./decoder.js";

type Hue = keyof PixelStatistics["hues"];

/** Hue families by where they end, in degrees. */
const HUES: readonly [end: number, Hue][] = [
  [15, "red"],
  [45, "orange"],
  [70, "yellow"],
  [165, "green"],
  [195, "cyan"],
  [255, "blue"],
  [290, "purple"],
  [345, "pink"],
  [360, "red"],
];

/** Below these, a pixel's hue is noise: nearly grey, or nearly black. */
const LEAST_SATURATION = 0.15;
const LEAST_VALUE = 0.12;
/** Mean step of luma between neighbours, by which a picture counts as fully sharp. */
const SHARP_STEP = 0.08;

/** Measures a decoded picture. Transparent pixels count only as transparent. */
export function measure({ data, width, height, channels }: Pixels): PixelStatistics {
  const count = width * height;
  // Of transparent pixels: NaN, which also makes steps to them NaN.
  const luma = new Float32Array(count);
  const degrees = new Uint32Array(360);
  let seen = 0;
  let opaque = 0;
  let hued = 0;
  let sum = 0;
  let squares = 0;
  let saturation = 0;
  for (let pixel = 0, at = 0; pixel < count; pixel++, at += channels) {
    const alpha = channels === 4 ? (data[at + 3] as number) : 255;
    if (alpha === 255) opaque++;
    if (alpha === 0) {
      luma[pixel] = Number.NaN;
      continue;
    }
    const red = data[at] as number;
    const green = data[at + 1] as number;
    const blue = data[at + 2] as number;
    const light = (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
    luma[pixel] = light;
    seen++;
    sum += light;
    squares += light * light;
    const most = Math.max(red, green, blue);
    if (most === 0) continue;
    const chroma = most - Math.min(red, green, blue);
    saturation += chroma / most;
    if (chroma >= LEAST_SATURATION * most && most >= LEAST_VALUE * 255) {
      hued++;
      const degree = hueOf(red, green, blue, most, chroma);
      degrees[degree] = (degrees[degree] as number) + 1;
    }
  }
  const mean = seen ? sum / seen : 0;
  return {
    brightness: rounded(mean),
    // Half black, half white deviates by 0.5: the most there is.
    contrast: rounded(seen ? Math.sqrt(Math.max(0, squares / seen - mean * mean)) / 0.5 : 0),
    saturation: rounded(seen ? saturation / seen : 0),
    hues: familiesOf(degrees, hued),
    sharpness: rounded(meanStep(luma, width) / SHARP_STEP),
    transparency: rounded(1 - opaque / count),
  };
}

function familiesOf(degrees: Uint32Array, hued: number): PixelStatistics["hues"] {
  const hues: Record<Hue, number> = { red: 0, orange: 0, yellow: 0, green: 0, cyan: 0, blue: 0, purple: 0, pink: 0 };
  for (const [degree, pixels] of degrees.entries()) hues[HUES.find(([end]) => degree < end)?.[1] ?? "red"] += pixels;
  for (const hue of Object.keys(hues) as Hue[]) hues[hue] = rounded(hued ? hues[hue] / hued : 0);
  return hues;
}

/** Whole degrees, 0 to 359. */
function hueOf(red: number, green: number, blue: number, most: number, chroma: number): number {
  const sixth = most === red ? (green - blue) / chroma : most === green ? 2 + (blue - red) / chroma : 4 + (red - green) / chroma;
  return Math.floor(sixth < 0 ? sixth * 60 + 360 : sixth * 60) % 360;
}

/** Mean absolute difference of luma to the right and lower neighbours. */
function meanStep(luma: Float32Array, width: number): number {
  let total = 0;
  let steps = 0;
  for (let pixel = 0, column = 1; pixel < luma.length; pixel++, column++) {
    const here = luma[pixel] as number;
    const right = column === width ? Number.NaN : Math.abs(here - (luma[pixel + 1] as number));
    const below = Math.abs(here - (luma[pixel + width] ?? Number.NaN));
    if (column === width) column = 0;
    if (right >= 0) {
      total += right;
      steps++;
    }
    if (below >= 0) {
      total += below;
      steps++;
    }
  }
  return steps ? total / steps : 0;
}

/** Four decimals, between 0 and 1: finer is noise, and this reads well in a record. */
function rounded(value: number): number {
  return Math.round(Math.min(1, Math.max(0, value)) * 10_000) / 10_000;
}

/** The colour that most of a picture's visible pixels are near to, as `#rrggbb`: the mean of the fullest of 4,096 boxes of colour. */
export function dominantColor({ data, channels }: Pixels): `#${string}` {
  // Per box: weight, red, green, blue.
  const boxes = new Float64Array(4096 * 4);
  for (let at = 0; at < data.length; at += channels) {
    const weight = channels === 4 ? (data[at + 3] as number) : 255;
    const [red, green, blue] = [data[at] as number, data[at + 1] as number, data[at + 2] as number];
    const box = 4 * (((red >> 4) << 8) | ((green >> 4) << 4) | (blue >> 4));
    boxes[box] = (boxes[box] as number) + weight;
    boxes[box + 1] = (boxes[box + 1] as number) + weight * red;
    boxes[box + 2] = (boxes[box + 2] as number) + weight * green;
    boxes[box + 3] = (boxes[box + 3] as number) + weight * blue;
  }
  let fullest = 0;
  for (let box = 4; box < boxes.length; box += 4) if ((boxes[box] as number) > (boxes[fullest] as number)) fullest = box;
  const weight = Math.max(1, boxes[fullest] as number);
  const hex = (sum: number) =>
    Math.round(sum / weight)
      .toString(16)
      .padStart(2, "0");
  return `#${hex(boxes[fullest + 1] as number)}${hex(boxes[fullest + 2] as number)}${hex(boxes[fullest + 3] as number)}`;
}
