import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import sharp from "sharp";
import { inspect } from "../functions/core/image/inspect.js";
import { render } from "../functions/core/image/render.js";
import { bytesSource } from "../functions/core/image/source.js";
import type { Settings } from "../functions/core/settings.js";

/** The contract's default variants. */
const VARIANTS: Settings["variants"] = {
  small: { width: 100, height: 100, fit: "cover", format: "auto", quality: 80 },
  large: { width: 640, height: 480, fit: "cover", format: "auto", quality: 80 },
};
const LIMITS: Settings["limits"] = { bytes: 25_000_000, pixels: 50_000_000 };

export interface Picture {
  name: string;
  path: string;
  bytes: Buffer;
  alpha: boolean;
}

/** What a stretch of work took. */
export interface Effort {
  /** Wall clock. */
  seconds: number;
  /** Of all threads. */
  cpuSeconds: number;
}

/** One way of making the default variants. */
export interface Contestant {
  name: string;
  /** Processes a picture `images` times, `concurrency` at a time. */
  work(picture: Picture, images: number, concurrency: number): Promise<Effort>;
  close?(): void;
}

/** The product's own image work: header, variants, sha256, dominant colour, thumbhash, statistics. */
export function core({ labelsImage }: { labelsImage: boolean }): Contestant {
  return inProcess(labelsImage ? "functions/core, with the JPEG for labels" : "functions/core", async ({ bytes }) => {
    await inspect(bytesSource(bytes), LIMITS, { gps: false });
    await render(bytes, { variants: VARIANTS, limits: LIMITS, labelsImage });
  });
}

/** What the documentation of sharp shows: a pipeline per size, and its metadata. */
export const plainSharp = inProcess("sharp, one pipeline per size", async ({ bytes, alpha }) => {
  await sharp(bytes).metadata();
  for (const { width, height, quality } of Object.values(VARIANTS)) {
    const resized = sharp(bytes).autoOrient().resize(width, height);
    await (alpha ? resized.png() : resized.jpeg({ quality })).toBuffer();
  }
});

function inProcess(name: string, process_: (picture: Picture) => Promise<void>): Contestant {
  return {
    name,
    async work(picture, images, concurrency) {
      let left = images;
      const worker = async () => {
        while (left-- > 0) await process_(picture);
      };
      const [start, before] = [performance.now(), process.cpuUsage()];
      await Promise.all(Array.from({ length: concurrency }, worker));
      const { user, system } = process.cpuUsage(before);
      return { seconds: (performance.now() - start) / 1000, cpuSeconds: (user + system) / 1_000_000 };
    },
  };
}

/** Pillow's `open` and `thumbnail`, in a Python of its own that stays up; or why it is skipped. */
export async function pillow(): Promise<Contestant | string> {
  const python = spawn("python3", [new URL("pillow.py", import.meta.url).pathname]);
  const answers = createInterface(python.stdout);
  const version = await Promise.race([
    once(answers, "line").then(([line]) => String(line)),
    once(python, "exit").then(() => undefined),
    once(python, "error").then(() => undefined),
  ]);
  if (!version) return "skipped: no Pillow";
  return {
    name: `Pillow ${version}, open + thumbnail`,
    work: (picture, images, concurrency) =>
      ask(python, answers, {
        path: picture.path,
        images,
        concurrency,
        sizes: Object.values(VARIANTS).map(({ width, height }) => [width, height]),
      }),
    close: () => python.stdin.end(),
  };
}

async function ask(python: ChildProcessWithoutNullStreams, answers: Interface, question: object): Promise<Effort> {
  python.stdin.write(`${JSON.stringify(question)}\n`);
  const [line] = await once(answers, "line");
  return JSON.parse(String(line));
}
