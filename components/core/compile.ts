import path from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import { BundlingFailed } from "./errors.js";
import type { Packages } from "./packages.js";

/** Where the handlers' sources are: the folder of this project. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** What no handler may contain: the program that deploys it. */
const PROGRAM = /^(components|stacks|local|cli|tests)\/|^node_modules\/@pulumi\//;

/** CommonJS packages in an ES module ask for these; `var`, as packages that are modules declare some of them, too. */
const BANNER = [
  'import { createRequire as __createRequire } from "node:module";',
  'import { fileURLToPath as __fileURLToPath } from "node:url";',
  "const require = __createRequire(import.meta.url);",
  'var __filename = __fileURLToPath(import.meta.url), __dirname = __fileURLToPath(new URL(".", import.meta.url));',
].join("\n");

/** What to compile. */
export interface CompileArgs {
  /** The handler's name, for messages. */
  name: string;
  /** Its module, from this project's root: `"functions/aws/validate.ts"`. */
  entry: string;
  /** Modules that the handler imports as `virtual:…`, by that name: paths from the root of the program's project. `virtual:page` is provided. */
  modules?: Readonly<Record<string, string>>;
  target: "node20" | "node22" | "node24";
  /** Modules that the host gives, and that are not packaged: `["@azure/functions-core"]`. */
  external?: readonly string[];
  /** Leave out whitespace, for a module that would be too large with it; names and short lines stay. */
  compact?: boolean;
}

/** One readable ES module with all that it imports, but for sharp. */
export interface Compiled {
  module: Uint8Array;
  /** What went in: paths from this project's root. */
  sources: string[];
  /** Whether it needs sharp beside it. */
  importsSharp: boolean;
}

/** @throws BundlingFailed naming the handler, the file and the line */
export async function compile(args: CompileArgs, packages: Packages): Promise<Compiled> {
  const { name, entry, modules = {}, target, external = [], compact = false } = args;
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
      ...(compact && { minifyWhitespace: true, lineLimit: 160 }),
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
  return { module: Buffer.concat(result.outputFiles.map(({ contents }) => contents)), sources, importsSharp };
}

let page: Promise<string> | undefined;

/** The page as a module's JSON, built once by a process. */
export function pageOnce(): Promise<string> {
  page ??= import("../../web/build.js").then(async ({ buildPage }) => JSON.stringify(await buildPage()));
  return page;
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
