import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { type CompileArgs, compile, ROOT } from "./compile.js";
import { BundlingFailed } from "./errors.js";
import { hashed, noteOf, type Packaged, recalled, sha256, written } from "./packaged.js";
import { Packages, type Target } from "./packages.js";
import { contentHash, type Files, zipped } from "./zip.js";

export type { Target } from "./packages.js";

/** What to package. */
export interface BundleArgs extends CompileArgs {
  /** For a handler that imports sharp: whose binaries to put in. */
  sharp?: Target;
  /** Text files beside the module, by their path in the zip: `{ "host.json": "{ … }" }`. */
  files?: Readonly<Record<string, string>>;
  /** @default ".build/handlers" in this project */
  outdir?: string;
}

/** A packaged handler: `index.mjs`, what goes beside it, and `node_modules` where there is sharp. */
export interface Bundle {
  /** The zip, absolute. Its name tells its content, so a zip that is there is right. */
  path: string;
  /** Of the zip, hex. */
  sha256: string;
  /** Of the zip, bytes. */
  size: number;
  /** What went into `index.mjs`: paths from this project's root. */
  sources: readonly string[];
}

const bundles = new Map<string, Promise<Bundle>>();

/**
 * Packages a handler: one readable ES module with all it imports, tree-shaken, in a zip whose bytes depend on the sources only, not on the
 * machine, the folder or the time. Equal calls of one process share their work, and a later process whose sources and installed packages are the
 * same finds the zip that is there.
 *
 * The module is not minified and has no source map: a stack trace names functions as they are written, and costs nothing to read.
 *
 * @throws BundlingFailed naming the handler, the file and the line
 * @throws BinariesUnavailable
 */
export function bundle(args: BundleArgs): Promise<Bundle> {
  const key = JSON.stringify([process.cwd(), args]);
  const bundling = bundles.get(key) ?? make(args);
  bundles.set(key, bundling);
  bundling.catch(() => bundles.delete(key));
  return bundling;
}

async function make({ outdir = path.join(ROOT, ".build", "handlers"), ...args }: BundleArgs): Promise<Bundle> {
  const note = await noteOf(args, outdir, ["bundle", "compile", "packages", "zip"]);
  const before = note === undefined ? undefined : await recalled(ROOT, note);
  const { sources, ...zip } = before ?? (await packaged(args, outdir));
  if (note && !before) await written(note, JSON.stringify({ sources, ...zip } satisfies Packaged));
  return { ...zip, sources: Object.keys(sources) };
}

async function packaged(args: Omit<BundleArgs, "outdir">, outdir: string): Promise<Packaged> {
  const { name, sharp } = args;
  const packages = await Packages.of(ROOT);
  const { module, sources, importsSharp } = await compile(args, packages);
  if (importsSharp !== (sharp !== undefined)) {
    throw new BundlingFailed(
      name,
      importsSharp ? "it imports sharp: say for which platform with `sharp`." : "it is given sharp, but does not import it.",
    );
  }
  const beside = Object.entries(args.files ?? {}).map(([file, text]) => [file, Buffer.from(text)] as const);
  const files: Files = new Map([["index.mjs", module], ...beside, ...(sharp ? await packages.sharpFor(sharp) : [])]);
  const content = sha256(`${packages.version("fflate")}\0${contentHash(files)}`).slice(0, 16);
  const file = path.join(outdir, `${name}-${content}.zip`);
  const zip = existsSync(file) ? await readFile(file) : await written(file, zipped(files));
  return { path: file, sha256: sha256(zip), size: zip.length, sources: await hashed(ROOT, sources) };
}
