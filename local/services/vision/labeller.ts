import sharp from "sharp";

/** Something that can be said of a picture from its pixels alone. */
export interface Label {
  name: string;
  /** 0 to 100, from the measured figure: 50 where the label begins to hold, 100 where it could not hold more. */
  confidence: number;
  /** The broader label that it is a kind of. */
  parent?: string;
}

/** What is measured. Shares and means lie between 0 and 1. */
export interface Statistics {
  /** Pixels, upright. */
  width: number;
  height: number;
  /** Mean luminance of what is not transparent, and its standard deviation. */
  brightness: number;
  contrast: number;
  /** Mean difference between a pixel's strongest and weakest channel. */
  colourfulness: number;
  /** Share of the pixels that each colour has, transparent ones left out. */
  colours: Record<string, number>;
  /** How steep the steepest hundredth of the steps from pixel to pixel is, at the size that is looked at. */
  sharpness: number;
  /** Share of pixels through which one sees what is behind. */
  transparency: number;
}

/** The name that stands for this labeller wherever a model's version is told. */
export const MODEL_VERSION = "embedded-statistics";

/** Longest side at which the pixels are looked at. */
const SIDE = 256;
const HUES: [upTo: number, name: string][] = [
  [15, "Red"],
  [45, "Orange"],
  [70, "Yellow"],
  [165, "Green"],
  [195, "Cyan"],
  [255, "Blue"],
  [290, "Purple"],
  [340, "Pink"],
  [360, "Red"],
];

/** Labels of a picture, surest first. It knows no objects: only light, colour, focus and shape. @throws what sharp throws for what it cannot decode */
export async function label(image: Buffer): Promise<Label[]> {
  return labelsOf(await measure(image));
}

export async function measure(image: Buffer): Promise<Statistics> {
  const { autoOrient } = await sharp(image).metadata();
  const { data, info } = await sharp(image)
    .autoOrient()
    .resize(SIDE, SIDE, { fit: "inside", withoutEnlargement: true })
    .toColourspace("srgb")
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const pixels = info.width * info.height;
  const luminance = new Float64Array(pixels);
  const colours: Record<string, number> = {};
  let [sum, squares, chroma, seen, transparent] = [0, 0, 0, 0, 0];
  for (let pixel = 0; pixel < pixels; pixel++) {
    const [r, g, b, alpha] = [0, 1, 2, 3].map((channel) => (data[pixel * 4 + channel] as number) / 255) as [number, number, number, number];
    const light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    luminance[pixel] = light * alpha;
    if (alpha < 0.98) transparent++;
    if (alpha < 0.5) continue;
    seen++;
    sum += light;
    squares += light * light;
    chroma += Math.max(r, g, b) - Math.min(r, g, b);
    const colour = colourOf(r, g, b);
    colours[colour] = (colours[colour] ?? 0) + 1;
  }
  const mean = seen ? sum / seen : 0;
  const deviation = seen ? Math.sqrt(Math.max(0, squares / seen - mean * mean)) : 0;
  for (const colour of Object.keys(colours)) colours[colour] = (colours[colour] as number) / seen;
  return {
    width: autoOrient.width,
    height: autoOrient.height,
    brightness: mean,
    contrast: deviation,
    colourfulness: seen ? chroma / seen : 0,
    colours,
    sharpness: sharpness(luminance, info.width, info.height),
    transparency: transparent / pixels,
  };
}

export function labelsOf(statistics: Statistics): Label[] {
  const { width, height, brightness, contrast, colourfulness, colours, sharpness, transparency } = statistics;
  const aspect = width / height;
  const labels: (Label | undefined)[] = [
    holds("Bright", brightness, 0.6, 0.9),
    holds("Dark", brightness, 0.35, 0.1),
    holds("High contrast", contrast, 0.25, 0.5),
    holds("Uniform", contrast, 0.03, 0),
    holds("Monochrome", colourfulness, 0.03, 0),
    holds("Colorful", colourfulness, 0.3, 0.8),
    holds("Sharp focus", sharpness, 0.25, 0.6),
    // A picture with nothing in it is not out of focus.
    contrast > 0.03 ? holds("Blurry", sharpness, 0.08, 0) : undefined,
    holds("Transparency", transparency, 0.01, 1),
    within(holds("Portrait orientation", aspect, 0.95, 0.5), "Orientation"),
    within(holds("Landscape orientation", aspect, 1 / 0.95, 2), "Orientation"),
    within(holds("Square format", Math.abs(Math.log(aspect)), -Math.log(0.95), 0), "Orientation"),
    ...Object.entries(colours).map(([name, share]) => within(holds(name, share, 0.2, 1), "Color")),
  ];
  return labels.filter((each) => each !== undefined).sort((a, b) => b.confidence - a.confidence || (a.name < b.name ? -1 : 1));
}

/** A label if the figure has reached `from`, on the way to `full`. */
function holds(name: string, figure: number, from: number, full: number): Label | undefined {
  const progress = (figure - from) / (full - from);
  return progress < 0 ? undefined : { name, confidence: Math.round((50 + 50 * Math.min(1, progress)) * 1000) / 1000 };
}

const within = (found: Label | undefined, parent: string): Label | undefined => found && { ...found, parent };

function colourOf(r: number, g: number, b: number): string {
  const [max, min] = [Math.max(r, g, b), Math.min(r, g, b)];
  const range = max - min;
  if (max < 0.15) return "Black";
  if (range / max < 0.18) return max > 0.85 ? "White" : "Gray";
  const sector = max === r ? ((g - b) / range + 6) % 6 : max === g ? (b - r) / range + 2 : (r - g) / range + 4;
  const hue = sector * 60;
  return HUES.find(([upTo]) => hue < upTo)?.[1] ?? "Red";
}

function sharpness(luminance: Float64Array, width: number, height: number): number {
  const steps: number[] = [];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const here = luminance[y * width + x] as number;
      if (x + 1 < width) steps.push(Math.abs(here - (luminance[y * width + x + 1] as number)));
      if (y + 1 < height) steps.push(Math.abs(here - (luminance[(y + 1) * width + x] as number)));
    }
  if (steps.length === 0) return 0;
  return Float64Array.from(steps).sort()[Math.floor(steps.length * 0.99)] as number;
}
