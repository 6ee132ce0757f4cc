import type { Hono } from "hono";
import type { ObjectStore } from "../ports.js";

/** One file of the page. Plain data, so that a bundler can write it into a handler as JSON. */
export interface PageAsset {
  /** With its charset: `text/html; charset=utf-8`. */
  contentType: string;
  /** The text, as UTF-8. */
  body: string;
  /** SHA-256 of the body, hex: its entity tag. */
  hash: string;
  /** `no-cache` for what keeps its path, a year and `immutable` for what carries its hash in its path. */
  cacheControl: string;
}

/** The page of `web/`, built: path from the root (`/`, `/assets/page-….js`) → file. */
export type PageAssets = Readonly<Record<string, PageAsset>>;

/** Serves the page and its assets; needs no key. */
export function servePage(app: Hono, page: PageAssets, stores: { uploads: ObjectStore; variants: ObjectStore }): void {
  for (const [path, asset] of Object.entries(page)) {
    const tag = `"${asset.hash}"`;
    app.get(path, async (c) => {
      c.header("ETag", tag);
      c.header("Cache-Control", asset.cacheControl);
      c.header("Content-Security-Policy", contentSecurityPolicy(await Promise.all([stores.uploads.origin(), stores.variants.origin()])));
      if (c.req.header("If-None-Match")?.split(/,\s*/).some((known) => known.replace(/^W\//, "") === tag)) return c.body(null, 304);
      return c.body(asset.body, 200, { "Content-Type": asset.contentType });
    });
  }
}

/** Nothing but the page's own files, and the stores that its tickets and links point to. */
function contentSecurityPolicy(origins: readonly string[]): string {
  const stores = [...new Set(origins)].join(" ");
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    `img-src 'self' blob: data: ${stores}`,
    `connect-src 'self' ${stores}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}
