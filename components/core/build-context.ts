import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "fflate";
import { packTar } from "modern-tar";
import { compile, ROOT } from "./compile.js";
import { hashed, noteOf, type Packaged, recalled, sha256, written } from "./packaged.js";
import { Packages } from "./packages.js";
import { contentHash, type Files, sorted } from "./zip.js";

/** What to build an image from. */
export interface BuildContextArgs {
  /** Begins the file's name. */
  name: string;
  /** Programs of the image: file in it → module, from this project's root: `{ "uploader.mjs": "functions/container/uploader.ts" }`. */
  entries: Readonly<Record<string, string>>;
  /** Modules that they import as `virtual:…`: name → path from the root of the program's project. `virtual:page` is provided. */
  modules?: Readonly<Record<string, string>>;
  target: "node22" | "node24";
  /** From this project's root: `"functions/container/Dockerfile"`. It installs sharp by `npm ci`. */
  dockerfile: string;
  /** @default ".build/images" in this project */
  outdir?: string;
}

/** Everything that a build of the image needs, in one `.tar.gz`. */
export interface BuildContext {
  /** Absolute. Its name tells its content, so a file that is there is right. */
  path: string;
  /** Of the file, hex. */
  sha256: string;
  /** Bytes. */
  size: number;
}

const contexts = new Map<string, Promise<BuildContext>>();

/**
 * Packs the context of an image's build: `Dockerfile`, the programs as ES modules with all they import but for sharp, and the `package.json` and
 * `package-lock.json` that pin sharp for whatever platform the image is for. The bytes depend on the sources only, not on the machine, the
 * folder or the time. Equal calls of one process share their work, and a later process whose sources are the same finds the file that is there.
 *
 * @throws BundlingFailed naming the program, the file and the line
 */
export function buildContext(args: BuildContextArgs): Promise<BuildContext> {
  const key = JSON.stringify([process.cwd(), args]);
  const building = contexts.get(key) ?? make(args);
  contexts.set(key, building);
  building.catch(() => contexts.delete(key));
  return building;
}

async function make({ outdir = path.join(ROOT, ".build", "images"), ...args }: BuildContextArgs): Promise<BuildContext> {
  const note = await noteOf(args, outdir, ["build-context", "compile", "packages", "zip"]);
  const before = note === undefined ? undefined : await recalled(ROOT, note);
  const { sources, ...context } = before ?? (await packed(args, outdir));
  if (note && !before) await written(note, JSON.stringify({ sources, ...context } satisfies Packaged));
  return context;
}

async function packed({ name, entries, modules, target, dockerfile }: Omit<BuildContextArgs, "outdir">, outdir: string): Promise<Packaged> {
  const packages = await Packages.of(ROOT);
  const programs = await Promise.all(
    Object.entries(entries).map(async ([file, entry]) => {
      const compiled = await compile({ name: `${name} ${file}`, entry, ...(modules && { modules }), target }, packages);
      return { file, ...compiled };
    }),
  );
  const beside = Object.entries(packages.installable("sharp")).map(([file, text]) => [file, Buffer.from(text)] as const);
  const files: Files = new Map([
    ["Dockerfile", await readFile(path.resolve(ROOT, dockerfile))],
    ...beside,
    ...programs.map(({ file, module }) => [file, module] as const),
  ]);
  const versions = ["fflate", "modern-tar"].map((each) => packages.version(each));
  const content = sha256(`${versions.join()}\0${contentHash(files)}`).slice(0, 16);
  const file = path.join(outdir, `${name}-${content}.tar.gz`);
  const archive = existsSync(file) ? await readFile(file) : await written(file, await tarred(files));
  const sources = await hashed(ROOT, [dockerfile, ...new Set(programs.flatMap((program) => program.sources))]);
  return { path: file, sha256: sha256(archive), size: archive.length, sources };
}

/** The same files always give the same bytes: sorted, with one owner, mode and date, compressed by a library in JavaScript. */
async function tarred(files: Files): Promise<Uint8Array> {
  const owned = { mode: 0o644, uid: 0, gid: 0, uname: "", gname: "", mtime: new Date(0), type: "file" } as const;
  const archive = await packTar(sorted(files).map(([name, body]) => ({ header: { ...owned, name, size: body.length }, body })));
  return gzipSync(archive, { level: 6, mtime: 0 });
}
