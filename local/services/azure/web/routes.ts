/** Where an HTTP function answers. */
export interface Route {
  /** Lower values are tried first: literals before parameters before the rest of the path. */
  rank: string;
  /** Parameters of a path that matches (decoded; without those that are left out), else `undefined`. */
  match(pathname: string): Record<string, string> | undefined;
}

const CONSTRAINTS: Record<string, string> = {
  alpha: "[A-Za-z]+",
  bool: "true|false",
  guid: "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
  int: "-?\\d+",
};

/**
 * A route template of ASP.NET's: literals, `{name}`, `{name?}`, `{name:int}` and, at the end, `{*rest}`. Case does not matter.
 *
 * @throws Error for what is not a template, or not emulated
 */
export function parseRoute(prefix: string, template: string): Route {
  const segments = `${prefix}/${template}`.split("/").filter(Boolean);
  const names: string[] = [];
  let source = "";
  let rank = "";
  for (const [index, segment] of segments.entries()) {
    const [, all, name, constraint, optional] = /^\{(\*{0,2})(\w+)(?::(\w+))?(\?)?\}$/.exec(segment) ?? [];
    if (name === undefined) {
      if (/[{}]/.test(segment))
        throw new Error(`The route "${template}" has the segment "${segment}": a parameter must be a segment of its own.`);
      source += `/${segment.replace(/[.*+?^$()|[\]\\]/g, "\\$&")}`;
      rank += "0";
      continue;
    }
    names.push(name);
    const last = index === segments.length - 1;
    if ((all || optional) && !last) throw new Error(`The route "${template}" must have "${segment}" at its end.`);
    const value = constraint === undefined ? "[^/]+" : CONSTRAINTS[constraint];
    if (value === undefined)
      throw new Error(`The route "${template}" has the constraint "${constraint}": emulated are ${Object.keys(CONSTRAINTS).join(", ")}.`);
    source += all ? "(?:/(.*))?" : optional ? `(?:/(${value}))?` : `/(${value})`;
    rank += all ? "3" : constraint ? "1" : "2";
  }
  const expression = new RegExp(`^${source}/?$`, "i");
  return {
    rank,
    match(pathname) {
      const found = expression.exec(pathname);
      if (!found) return undefined;
      return Object.fromEntries(names.flatMap((name, index) => (found[index + 1] ? [[name, decoded(found[index + 1] as string)]] : [])));
    },
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
