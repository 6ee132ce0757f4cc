import type { Properties } from "../kernel/service.js";
import type { Path } from "./envelopes.js";

/** A property path as options of resources give them: `tags.owner`, `rules[0].id`, `tags["a.b"]`, `rules[*].id`; `*` stands for any. */
export function parsePath(text: string): Path {
  const segments: (string | number)[] = [];
  const pattern = /\.?([^.[\]"]+)|\[(\d+)\]|\[\*\]|\["((?:[^"\\]|\\.)*)"\]/y;
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex;
    const match = pattern.exec(text);
    if (!match) throw new Error(`"${text}" is not a property path: it cannot be read from character ${at + 1}.`);
    const [, name, index, quoted] = match;
    segments.push(name ?? (index !== undefined ? Number(index) : (quoted?.replace(/\\(.)/g, "$1") ?? "*")));
  }
  return segments;
}

/** Whether a path lies at or beneath, or above, what a pattern names. */
export function touches(pattern: Path, path: Path): boolean {
  return pattern.every((segment, at) => at >= path.length || segment === "*" || String(segment) === String(path[at]));
}

/**
 * `after` with the value that `before` has at the path; without it where `before` has none. What the path names may be in neither.
 */
export function carryOver(before: unknown, after: unknown, [key, ...rest]: Path): unknown {
  if (key === undefined) return before;
  if (key === "*") {
    const keys = Array.isArray(after) ? [...after.keys()] : Object.keys({ ...(before as object), ...(after as object) });
    return keys.reduce<unknown>((carried, each) => carryOver(before, carried, [each, ...rest]), after);
  }
  const holder = after ?? (before === undefined ? undefined : typeof key === "number" ? [] : {});
  if (typeof holder !== "object" || holder === null) return after;
  const copy = (Array.isArray(holder) ? [...holder] : { ...holder }) as Properties;
  const carried = carryOver((before as Properties | undefined)?.[key], copy[key], rest);
  if (carried !== undefined) copy[key] = carried;
  else if (Array.isArray(copy)) copy.splice(Number(key), 1);
  else delete copy[key];
  return after === undefined && Object.keys(copy).length === 0 ? undefined : copy;
}
