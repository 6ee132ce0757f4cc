import { sqlError } from "../errors.js";

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** @throws SqlError 13609 */
export function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    const at = text.search(/\S/);
    throw sqlError(13609, text[Math.max(0, at)] ?? "", Math.max(0, at));
  }
}

/** `$.a.b[0]."c d"`, `strict` or `lax` before it. `undefined` when there is nothing. @throws SqlError 13607, 13608 */
export function jsonAt(document: Json, path: string): Json | undefined {
  const [, mode, rest] = /^\s*(?:(lax|strict)\s+)?(.*?)\s*$/s.exec(path) ?? [];
  if (!rest?.startsWith("$")) throw sqlError(13607, rest?.[0] ?? "", 0);
  let current: Json | undefined = document;
  let at = 1;
  while (at < rest.length) {
    const step = /^(?:\.(?:"((?:[^"\\]|\\.)*)"|([\p{L}_$][\p{L}\p{N}_$]*))|\[(\d+)\])/u.exec(rest.slice(at));
    if (!step) throw sqlError(13607, rest[at], at);
    at += step[0].length;
    const name = step[1] ?? step[2];
    if (name !== undefined) {
      const isObject: boolean = typeof current === "object" && current !== null && !Array.isArray(current);
      current = isObject && Object.hasOwn(current as object, name) ? (current as Record<string, Json>)[name] : undefined;
    } else current = Array.isArray(current) ? current[Number(step[3])] : undefined;
  }
  if (current === undefined && mode === "strict") throw sqlError(13608);
  return current;
}

/** A scalar as text; objects, arrays and null are NULL. */
export function jsonScalar(value: Json | undefined): string | null {
  if (value === undefined || value === null || typeof value === "object") return null;
  return String(value);
}

const KINDS = ["null", "string", "number", "boolean", "array", "object"];

/** What OPENJSON makes rows of, as JSON: `[{k, v, t}]`. With a schema an object is one row, and rows are whole objects. */
export function openJson(text: string, path: string, schema: boolean): string {
  const found = jsonAt(parseJson(text), path);
  if (found === undefined || found === null || typeof found !== "object") return "[]";
  const entries: [string, Json][] = Array.isArray(found)
    ? found.map((value, index) => [String(index), value])
    : schema
      ? [["0", found]]
      : Object.entries(found);
  return JSON.stringify(entries.map(([k, value]) => ({ k, v: asText(value), t: kind(value) })));
}

const asText = (value: Json): string | null => (value === null ? null : typeof value === "string" ? value : JSON.stringify(value));
const kind = (value: Json): number => KINDS.indexOf(value === null ? "null" : Array.isArray(value) ? "array" : typeof value);
