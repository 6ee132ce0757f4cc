import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename, extname } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { PageAsset, PageAssets } from "../functions/core/api/page.js";

const SOURCES = fileURLToPath(new URL(".", import.meta.url));

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml; charset=utf-8",
};

/**
 * The page, ready to be served: the document, and beside it scripts, styles and pictures under `/assets/`, each named by its content.
 * The same sources give the same bytes, whoever builds them and wherever.
 */
export async function buildPage(): Promise<PageAssets> {
  const { outputFiles } = await build({
    entryPoints: ["page.ts", "style.css", "icon.svg"],
    absWorkingDir: SOURCES,
    outdir: "/assets",
    bundle: true,
    minify: true,
    format: "esm",
    target: ["es2022", "chrome111", "firefox113", "safari16.4"],
    charset: "utf8",
    legalComments: "none",
    loader: { ".svg": "copy" },
    logLevel: "silent",
    tsconfigRaw: {},
    write: false,
  });
  const assets = outputFiles.map(({ path, text }) => named(basename(path), text));
  const document = await readFile(new URL("index.html", import.meta.url), "utf8");
  const linked = document.replaceAll(/"\.\/([\w-]+)\.(\w+)"/g, (reference, name: string, kind: string) => {
    const extension = kind === "ts" ? "js" : kind;
    const path = assets.map(([path]) => path).find((path) => path.startsWith(`/assets/${name}-`) && path.endsWith(`.${extension}`));
    if (!path) throw new Error(`web/index.html refers to ${reference}, which is not built: add it to the entry points in web/build.ts.`);
    return `"${path}"`;
  });
  return Object.fromEntries([["/", asset("index.html", linked, "no-cache")] as const, ...assets].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Named by the bytes alone: esbuild's own hashes also depend on where its inputs lie. */
function named(file: string, body: string): [path: string, asset: PageAsset] {
  const extension = extname(file);
  const made = asset(file, body, "public, max-age=31536000, immutable");
  return [`/assets/${basename(file, extension)}-${made.hash.slice(0, 12)}${extension}`, made];
}

function asset(path: string, body: string, cacheControl: string): PageAsset {
  const contentType = CONTENT_TYPES[extname(path)];
  if (!contentType) throw new Error(`${path} has no content type: add its extension to web/build.ts.`);
  return { contentType, body, hash: createHash("sha256").update(body).digest("hex"), cacheControl };
}
