import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import { BundlingFailed } from "./errors.js";
import { hashed, installation, type Packaged, recalled, sha256 } from "./packaged.js";
import { Packages, type Target } from "./packages.js";
import { contentHash, type Files, zipped } from "./zip.js";

export type { Target } from "./packages.js";

/** Where the handlers' sources are: the folder of this project. */
const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** What no handler may contain: the program that deploys it. */
const PROGRAM = /^(components|stacks|local|cli|tests)\/|^node_modules\/@pulumi\//;

/** CommonJS packages in an ES module ask for these; `var`, as packages that are modules declare some of them, too. */
const BANNER = [
  'import { createRequire as __createRequire } from "node:module";',
  'import { fileURLToPath as __fileURLToPath } from "node:url";',
  "const require = __createRequire(import.meta.url);",
  'var __filename = __fileURLToPath(import.meta.url), __dirname = __fileURLToPath(new URL(".", import.meta.url));',
].join("\n");

/** What to package. */
export interface BundleArgs {
  /** The handler's name, for messages. */
  name: string;
  /** Its module, from this project's root: `"functions/aws/validate.ts"`. */
  entry: string;
  /** Modules that the handler imports as `virtual:…`, by that name: paths from the root of the program's project. `virtual:page` is provided. */
  modules?: Readonly<Record<string, string>>;
  /** For a handler that imports sharp: whose binaries to put in. */
  sharp?: Target;
  target: "node20" | "node22" | "node24";
  /** Modules that the host gives, and that are not packaged: `["@azure/functions-core"]`. */
  external?: readonly string[];
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
  const note = await noteOf(args, outdir);
  const before = note === undefined ? undefined : await recalled(ROOT, note);
  const { sources, ...zip } = before ?? (await packaged(args, outdir));
  if (note && !before) await written(note, JSON.stringify({ sources, ...zip } satisfies Packaged));
  return { ...zip, sources: Object.keys(sources) };
}

/** Where it is noted what came out of the same arguments before, with the same installation, page and version of this packaging. */
async function noteOf(args: Omit<BundleArgs, "outdir">, outdir: string): Promise<string | undefined> {
  const installed = await installation(ROOT);
  if (!installed) return undefined;
  const [page, ...here] = await Promise.all([
    pageOnce(),
    ...["bundle", "packages", "zip"].map((file) => readFile(new URL(`./${file}.ts`, import.meta.url))),
  ]);
  return path.join(
    outdir,
    `${args.name}-${sha256(JSON.stringify([process.cwd(), args, installed, page, here.map(sha256)])).slice(0, 16)}.json`,
  );
}

async function packaged(args: Omit<BundleArgs, "outdir">, outdir: string): Promise<Packaged> {
  const packages = await Packages.of(ROOT);
  const { module, sources } = await compile(args, packages);
  const beside = Object.entries(args.files ?? {}).map(([file, text]) => [file, Buffer.from(text)] as const);
  const files: Files = new Map([["index.mjs", module], ...beside, ...(args.sharp ? await packages.sharpFor(args.sharp) : [])]);
  const content = sha256(`${packages.version("fflate")}\0${contentHash(files)}`).slice(0, 16);
  const file = path.join(outdir, `${args.name}-${content}.zip`);
  const zip = existsSync(file) ? await readFile(file) : await written(file, zipped(files));
  return { path: file, sha256: sha256(zip), size: zip.length, sources: await hashed(ROOT, sources) };
}

let page: Promise<string> | undefined;

/** The page as a module's JSON, built once by a process. */
function pageOnce(): Promise<string> {
  page ??= import("../../web/build.js").then(async ({ buildPage }) => JSON.stringify(await buildPage()));
  return page;
}

async function compile(
  { name, entry, modules = {}, sharp, target, external = [] }: BundleArgs,
  packages: Packages,
): Promise<{ module: Uint8Array; sources: string[] }> {
  const result = await esbuild
    .build({
      absWorkingDir: ROOT,
      entryPoints: [path.isAbsolute(entry) ? entry : `./${entry}`],
      outfile: "index.mjs",
      write: false,
      bundle: true,
      platform: "node",
      format: "esm",
      target,
      mainFields: ["module", "main"],
      keepNames: true,
      minifySyntax: true,
      legalComments: "none",
      banner: { js: BANNER },
      // supports-color: packages ask for it and do without, and whether it is there depends on what else is installed for development.
      external: ["sharp", "supports-color", ...external],
      plugins: [virtual(modules)],
      tsconfigRaw: {},
      metafile: true,
      logLevel: "silent",
    })
    .catch((error: esbuild.BuildFailure) => {
      throw new BundlingFailed(name, error.errors?.map(located).join("; ") ?? String(error), { cause: error });
    });

  const sources = Object.keys(result.metafile.inputs);
  for (const source of sources) {
    const dependency = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(source)?.[1];
    if (PROGRAM.test(source)) throw new BundlingFailed(name, `it imports ${source}, which belongs to the program that deploys it.`);
    if (dependency && packages.isDevelopment(dependency)) {
      throw new BundlingFailed(name, `it imports ${dependency}, which package.json has under devDependencies.`);
    }
  }
  const importsSharp = Object.values(result.metafile.outputs).some((output) => output.imports.some((each) => each.path === "sharp"));
  if (importsSharp !== (sharp !== undefined)) {
    throw new BundlingFailed(
      name,
      importsSharp ? "it imports sharp: say for which platform with `sharp`." : "it is given sharp, but does not import it.",
    );
  }
  return { module: Buffer.concat(result.outputFiles.map(({ contents }) => contents)), sources };
}

/** Resolves `virtual:…`: what the program names, and the page. */
function virtual(modules: Readonly<Record<string, string>>): esbuild.Plugin {
  return {
    name: "virtual",
    setup(build) {
      build.onResolve({ filter: /^virtual:/ }, ({ path: name }) => {
        const module = modules[name];
        if (module) return { path: path.resolve(module) };
        if (name === "virtual:page") return { path: name, namespace: "virtual" };
        return { errors: [{ text: `nothing provides ${name}: give its path in \`modules\`` }] };
      });
      build.onLoad({ filter: /^virtual:page$/, namespace: "virtual" }, async () => {
        return { contents: await pageOnce(), loader: "json" };
      });
    },
  };
}

function located({ text, location }: esbuild.Message): string {
  return location ? `${location.file}:${location.line}:${location.column + 1}: ${text}` : text;
}

/** Writes in one step, so that no other process ever reads half a file. */
async function written<Content extends string | Uint8Array>(file: string, content: Content): Promise<Content> {
  const unfinished = `${file}.${randomUUID()}`;
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(unfinished, content);
  await rename(unfinished, file).catch(async (error) => {
    await rm(unfinished, { force: true });
    if (!existsSync(file)) throw error;
  });
  return content;
}
