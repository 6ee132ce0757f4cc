/** A route of an HTTP API, ready to be matched. */
export interface Route {
  /** `"$default"` or `"GET /images/{key+}"`. */
  key: string;
  /** `"integrations/ID"` */
  target: string;
}

export interface Match {
  route: Route;
  /** Decoded. */
  parameters: Record<string, string>;
}

const KEY = /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|ANY) (\/\S*)$/;
const SEGMENT = /^\{([\w.-]+)(\+?)\}$/;

/** What is wrong with a route key, if anything. */
export function routeKeyProblem(key: string): string | undefined {
  if (key === "$default") return undefined;
  const path = KEY.exec(key)?.[2];
  if (path === undefined) return 'must be "$default" or a method (or ANY) and a path, such as "GET /images/{key}"';
  const segments = path.split("/").slice(1);
  if (segments.some((segment) => /[{}]/.test(segment) && !SEGMENT.test(segment))) return "may have braces only around a whole segment";
  if (segments.slice(0, -1).some((segment) => SEGMENT.exec(segment)?.[2])) return "may be greedy, {name+}, only in its last segment";
  return undefined;
}

/** The route that takes a request: the most specific path, then the method itself before ANY, then `$default`. */
export function match(routes: readonly Route[], method: string, path: string): Match | undefined {
  let best: { match: Match; rank: string } | undefined;
  for (const route of routes) {
    const found = matched(route, method, path);
    if (found && (!best || found.rank < best.rank)) best = found;
  }
  return best?.match;
}

/** Ranks compare as text, the better one first: one letter a segment, literal before parameter before greedy; then the method. */
function matched(route: Route, method: string, path: string): { match: Match; rank: string } | undefined {
  if (route.key === "$default") return { match: { route, parameters: {} }, rank: "~" };
  const [, verb, pattern = ""] = KEY.exec(route.key) ?? [];
  if (verb !== "ANY" && verb !== method) return undefined;
  const wanted = pattern.split("/").slice(1);
  const given = path.split("/").slice(1);
  const parameters: Record<string, string> = {};
  let rank = "";
  for (const [at, segment] of wanted.entries()) {
    const [, name, greedy] = SEGMENT.exec(segment) ?? [];
    const value = greedy ? given.slice(at).join("/") : given[at];
    if (value === undefined) return undefined;
    if (name === undefined) {
      if (segment !== decodeURIComponent(value)) return undefined;
      rank += "a";
      continue;
    }
    if (value === "") return undefined;
    parameters[name] = decodeURIComponent(value);
    rank += greedy ? "c" : "b";
    if (greedy) return { match: { route, parameters }, rank: `${rank}${verb === "ANY" ? "2" : "1"}` };
  }
  if (given.length !== wanted.length) return undefined;
  return { match: { route, parameters }, rank: `${rank}${verb === "ANY" ? "2" : "1"}` };
}
