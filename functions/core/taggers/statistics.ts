import type { Tagger } from "../ports.js";
import type { Tag } from "../record.js";

/** Least confidence of a label: what is less sure is not said. */
const LEAST = 50;

/**
 * Labels that figures alone can justify: light, contrast, colour, sharpness, shape, transparency, motion. It recognises no things, and does not
 * pretend to. A label starts at 50 where its figure crosses the threshold, and reaches 100 where the figure leaves no doubt.
 */
export const statistics: Tagger = ({ metadata, statistics: { brightness, contrast, saturation, hues, sharpness, transparency } }) => {
  const monochrome = saturation < 0.06;
  const ratio = metadata.width / metadata.height;
  const labels: [name: string, confidence: number | undefined][] = [
    ["Dark", rising(1 - brightness, 0.7, 0.95)],
    ["Bright", rising(brightness, 0.7, 0.95)],
    ["High contrast", rising(contrast, 0.55, 0.85)],
    ["Low contrast", rising(1 - contrast, 0.8, 1)],
    ["Monochrome", rising(1 - saturation, 0.94, 1)],
    ["Vivid", rising(saturation, 0.5, 0.85)],
    ["Blurred", rising(1 - sharpness, 0.88, 1)],
    ["Sharp", rising(sharpness, 0.4, 0.8)],
    ["Landscape", rising(ratio, 1.05, 1.3)],
    ["Portrait", rising(1 / ratio, 1.05, 1.3)],
    ["Square", rising(1 - Math.abs(Math.log(ratio)), 0.951, 1)],
    ["Panorama", rising(Math.max(ratio, 1 / ratio), 2, 3)],
    // A single pixel is a fact, not a likelihood.
    ["Transparent", transparency > 0 ? 100 : undefined],
    ["Animated", metadata.frames > 1 ? 100 : undefined],
    // Among what is grey, the few pixels with a hue say nothing.
    ...Object.entries(hues).map(([hue, share]): [string, number | undefined] => [
      capitalised(hue),
      monochrome ? undefined : rising(share, 0.25, 0.75),
    ]),
  ];
  return labels.flatMap(([name, confidence]): Tag[] => (confidence === undefined ? [] : [{ name, confidence }]));
};

/** Confidence of a figure that means something from `threshold` on, and is beyond doubt at `certain`. */
function rising(figure: number, threshold: number, certain: number): number | undefined {
  if (!(figure >= threshold)) return undefined;
  return Math.round(100 * (LEAST + (100 - LEAST) * Math.min(1, (figure - threshold) / (certain - threshold)))) / 100;
}

function capitalised(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
