import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { arch, cpus, platform, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { landscape } from "../samples/landscape.js";
import { type Contestant, core, type Effort, type Picture, pillow, plainSharp } from "./contestants.js";

/**
 * How many images per second functions/core makes the default variants and the metadata of, beside plain sharp and Pillow on the same machine.
 * All take turns in every round, so that whatever else the machine does meets them alike; what is shown are medians.
 *
 *   node --import tsx bench/index.ts [--json] [--rounds 7] [--images 12]
 */
const { values: options } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    rounds: { type: "string", default: "7" },
    images: { type: "string", default: "12" },
  },
});
const [rounds, images] = [count("rounds", options.rounds), count("images", options.images)];

interface Result {
  picture: string;
  concurrency: number;
  contestant: string;
  imagesPerSecond: number;
  /** Processor time of one image, in milliseconds. */
  cpuMs: number;
  /** Images per second of functions/core by this one's. */
  ratio: number;
}

const folder = await mkdtemp(join(tmpdir(), "image-bench-"));
const optional = await pillow();
const contestants: Contestant[] = [
  core({ labelsImage: false }),
  plainSharp,
  core({ labelsImage: true }),
  ...(typeof optional === "string" ? [] : [optional]),
];
try {
  const machine = {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGB: Math.round(totalmem() / 1e9),
    platform: `${platform()} ${arch()}`,
    node: process.version,
    sharp: sharp.versions.sharp,
    vips: sharp.versions.vips,
  };
  const results: Result[] = [];
  for (const picture of await pictures(folder)) {
    for (const concurrency of [1, 2]) results.push(...(await compare(picture, concurrency)));
  }
  if (options.json)
    console.log(
      JSON.stringify({ machine, rounds, images, ...(typeof optional === "string" && { pillow: optional }), results }, undefined, 2),
    );
  else show(machine, results);
} finally {
  for (const contestant of contestants) contestant.close?.();
  await rm(folder, { recursive: true });
}

async function pictures(folder: string): Promise<Picture[]> {
  const photo = landscape(4000, 3000);
  const cutOut = landscape(1600, 1250, { seed: 3 });
  const alpha = Buffer.from(
    Array.from({ length: 1600 * 1250 }, (_, at) => (Math.hypot((at % 1600) - 800, Math.floor(at / 1600) - 625) < 600 ? 255 : 0)),
  );
  const encoded: [name: string, alpha: boolean, Buffer][] = [
    ["12 MP JPEG", false, await sharp(photo.data, { raw: photo }).jpeg({ quality: 85 }).toBuffer()],
    [
      "2 MP RGBA PNG",
      true,
      await sharp(cutOut.data, { raw: cutOut })
        .joinChannel(alpha, { raw: { width: 1600, height: 1250, channels: 1 } })
        .png()
        .toBuffer(),
    ],
  ];
  return Promise.all(
    encoded.map(async ([name, alpha, bytes]) => {
      const path = join(folder, name);
      await writeFile(path, bytes);
      return { name: `${name} (${(bytes.length / 1e6).toFixed(1)} MB)`, path, bytes, alpha };
    }),
  );
}

async function compare(picture: Picture, concurrency: number): Promise<Result[]> {
  const efforts = new Map<Contestant, Effort[]>(contestants.map((contestant) => [contestant, []]));
  for (const contestant of contestants) await contestant.work(picture, 2, concurrency);
  for (let round = 0; round < rounds; round++) {
    for (const [contestant, taken] of efforts) taken.push(await contestant.work(picture, images, concurrency));
  }
  const measured = [...efforts].map(([{ name }, taken]) => ({
    picture: picture.name,
    concurrency,
    contestant: name,
    imagesPerSecond: images / median(taken.map(({ seconds }) => seconds)),
    cpuMs: (1000 * median(taken.map(({ cpuSeconds }) => cpuSeconds))) / images,
  }));
  const ours = measured[0]?.imagesPerSecond ?? Number.NaN;
  return measured.map((result) => ({ ...result, ratio: ours / result.imagesPerSecond }));
}

function show(machine: Record<string, unknown>, results: Result[]): void {
  console.log(
    Object.entries(machine)
      .map(([name, value]) => `${name} ${value}`)
      .join(" · "),
  );
  console.log(`Default variants and metadata; medians of ${rounds} rounds of ${images} images, taken in turns.\n`);
  const rows = [
    ["picture", "at a time", "", "images/s", "CPU ms", "functions/core is"],
    ...results.map(({ picture, concurrency, contestant, imagesPerSecond, cpuMs, ratio }) => [
      picture,
      String(concurrency),
      contestant,
      imagesPerSecond.toFixed(1),
      cpuMs.toFixed(1),
      contestant === results[0]?.contestant ? "" : `${ratio.toFixed(2)}×`,
    ]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  for (const row of rows)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    );
  if (typeof optional === "string") console.log(`\nPillow ${optional}`);
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

function count(option: string, value: string): number {
  if (!/^[1-9]\d{0,3}$/.test(value)) throw new Error(`--${option} is ${JSON.stringify(value)}: it must be a whole number from 1 to 9999.`);
  return Number(value);
}
