/** Pixels, rows without padding. */
export interface Picture {
  data: Buffer;
  width: number;
  height: number;
  channels: 3 | 4;
}

/**
 * A picture that is like a photograph to a codec: a sky with a sun, ridges of mountains behind each other, water, and grain over everything.
 * The same arguments give the same pixels.
 *
 * @param grain how far a pixel may stray, 0 to 255.
 */
export function landscape(
  width: number,
  height: number,
  { seed = 1, grain = 10, hue = 0 }: { seed?: number; grain?: number; hue?: number } = {},
): Picture {
  const data = Buffer.alloc(width * height * 3);
  const random = generator(seed);
  const ridges = [0.42, 0.52, 0.63].map((level, index) => ridge(width, level, 0.07 + 0.02 * index, seed + index));
  for (let y = 0, at = 0; y < height; y++) {
    const v = y / height;
    for (let x = 0; x < width; x++, at += 3) {
      const u = x / width;
      const stray = (random() - 0.5) * 2 * grain;
      const layer = ridges.findLastIndex((line) => v > (line[x] as number));
      const color = v > 0.78 ? water(u, v) : layer >= 0 ? slope(layer, v, u) : sky(u, v, width / height);
      for (let channel = 0; channel < 3; channel++) data[at + channel] = clamped((color[(channel + hue) % 3] as number) + stray);
    }
  }
  return { data, width, height, channels: 3 };
}

/** A round badge with soft edges on transparent ground. */
export function badge(size: number): Picture {
  const data = Buffer.alloc(size * size * 4);
  for (let y = 0, at = 0; y < size; y++) {
    for (let x = 0; x < size; x++, at += 4) {
      const [u, v] = [(x - size / 2) / size, (y - size / 2) / size];
      const distance = Math.hypot(u, v);
      const petal = 0.3 + 0.08 * Math.cos(5 * Math.atan2(v, u));
      const color = distance < 0.12 ? [250, 210, 60] : distance < petal ? [200 - 300 * distance, 40, 120 + 200 * distance] : [30, 90, 110];
      data.set([...color.map(clamped), clamped(255 * Math.min(1, Math.max(0, (0.46 - distance) * 40)))], at);
    }
  }
  return { data, width: size, height: size, channels: 4 };
}

/** A lighthouse's beam at one moment (0 to 1) of its turn. */
export function beam(width: number, height: number, moment: number): Picture {
  const data = Buffer.alloc(width * height * 3);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      const [u, v] = [x / width - 0.5, y / height - 0.35];
      const turned = Math.abs(((Math.atan2(v, u) / (2 * Math.PI) - moment + 1.5) % 1) - 0.5);
      const lit = Math.max(0, 1 - turned * 12) * Math.max(0, 1 - Math.hypot(u, v) * 1.4);
      const tower = Math.abs(u) < 0.03 + 0.03 * v && v > 0;
      data.set(tower ? [190, 190, 200] : [10 + 230 * lit, 20 + 200 * lit, 60 + 80 * lit].map(clamped), at);
    }
  }
  return { data, width, height, channels: 3 };
}

function sky(u: number, v: number, aspect: number): number[] {
  const sun = Math.max(0, 1 - Math.hypot((u - 0.7) * aspect, v - 0.22) * 7);
  const glow = Math.max(0, 1 - Math.hypot((u - 0.7) * aspect, v - 0.22) * 1.6);
  return [90 + 110 * v + 120 * glow + 200 * sun, 140 + 80 * v + 60 * glow + 180 * sun, 210 + 20 * v + 120 * sun];
}

function slope(layer: number, v: number, u: number): number[] {
  const depth = 1 - layer * 0.28;
  const texture = 14 * Math.sin(u * 310 + v * 90) * Math.sin(v * 240 - u * 70);
  return [70 * depth + texture, 95 * depth + texture, 120 * depth - 20 * layer + texture];
}

function water(u: number, v: number): number[] {
  const ripple = 20 * Math.sin(v * 420 + 4 * Math.sin(u * 30)) * (v - 0.7);
  return [60 + 60 * (1 - v) + 4 * ripple, 100 + 60 * (1 - v) + 4 * ripple, 150 + 4 * ripple];
}

/** Height of a ridge at each column: waves of falling size. */
function ridge(width: number, level: number, amplitude: number, seed: number): Float64Array {
  return Float64Array.from({ length: width }, (_, x) => {
    const u = x / width;
    let height = 0;
    for (let octave = 0; octave < 6; octave++) height += Math.sin(u * 5 * 2 ** octave + seed * (octave + 1.7)) / 1.9 ** octave;
    return level - amplitude * height;
  });
}

/** Numbers from 0 to 1 that look random, and are the same for a seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function clamped(value: number): number {
  return Math.max(0, Math.min(255, Math.round(value)));
}
