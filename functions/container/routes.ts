/** Of the API's paths, those that say nothing of an image. */
const FIXED = new Set(["/", "/upload", "/uploads", "/images", "/failures", "/health", "/openapi.json"]);

/** A path as the API's document writes it, so that there are few of them. */
export function routeOf(path: string): string {
  if (FIXED.has(path)) return path;
  if (path.startsWith("/assets/")) return "/assets/{file}";
  const [, action] = /^\/images\/.+?(?:\/(status|redrive))?$/.exec(path) ?? [];
  if (!path.startsWith("/images/")) return "other";
  return action === undefined ? "/images/{key}" : `/images/{key}/${action}`;
}
