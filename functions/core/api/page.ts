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
