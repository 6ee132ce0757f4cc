/** Modules that the program's bundler provides; see components/core/bundle.ts. */

declare module "virtual:tagger" {
  import type { Tagger } from "./core/ports.js";

  /** The team's own tagger, from the path in `tagger`. */
  const tagger: Tagger;
  export default tagger;
}

declare module "virtual:page" {
  import type { PageAssets } from "./core/api/page.js";

  /** The page of `web/`, built. */
  const page: PageAssets;
  export default page;
}
