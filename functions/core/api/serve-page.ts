import type { Hono } from "hono";
import type { ObjectStore } from "../ports.js";
import type { ApiEnv } from "./env.js";
import type { PageAssets } from "./page.js";

/** Serves the page and its assets; needs no key. */
export function servePage(app: Hono<ApiEnv>, page: PageAssets, stores: { uploads: ObjectStore; variants: ObjectStore }): void {
  for (const [path, asset] of Object.entries(page)) {
    const tag = `"${asset.hash}"`;
    app.get(path, async (c) => {
      c.header("ETag", tag);
      c.header("Cache-Control", asset.cacheControl);
      c.header("Content-Security-Policy", contentSecurityPolicy(await Promise.all([stores.uploads.origin(), stores.variants.origin()])));
      if (
        c.req
          .header("If-None-Match")
          ?.split(/,\s*/)
          .some((known) => known.replace(/^W\//, "") === tag)
      )
        return c.body(null, 304);
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
