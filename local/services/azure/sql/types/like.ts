import { sqlError } from "../errors.js";

const known = new Map<string, RegExp>();

/** A LIKE pattern as a regular expression: `%`, `_`, `[a-f]`, `[^0-9]`, and an escape character. */
export function likePattern(pattern: string, mark: string | null, caseSensitive: boolean): RegExp {
  const name = `${caseSensitive ? "s" : "i"}${mark ?? ""}\0${pattern}`;
  let found = known.get(name);
  if (!found) {
    if (known.size > 500) known.clear();
    found = new RegExp(`^${source(pattern, mark)}$`, caseSensitive ? "su" : "siu");
    known.set(name, found);
  }
  return found;
}

const quote = (character: string): string => character.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");

function source(pattern: string, mark: string | null): string {
  if (mark !== null && [...mark].length !== 1) throw sqlError(506, mark);
  const characters = [...pattern];
  let result = "";
  for (let index = 0; index < characters.length; index += 1) {
    const character = characters[index] as string;
    if (character === mark && index + 1 < characters.length) {
      index += 1;
      result += quote(characters[index] as string);
    } else if (character === "%") result += ".*";
    else if (character === "_") result += ".";
    else if (character === "[") {
      const end = characters.indexOf("]", index + 2);
      if (end < 0) return "(?!)";
      const members = characters.slice(index + 1, end);
      const negated = members[0] === "^";
      if (negated) members.shift();
      const list = members.map((member, at) => (member === "-" && at > 0 && at < members.length - 1 ? "-" : quote(member))).join("");
      result += `[${negated ? "^" : ""}${list}]`;
      index = end;
    } else result += quote(character);
  }
  return result;
}
