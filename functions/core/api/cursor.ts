import { createHash } from "node:crypto";
import { z } from "zod";
import { InvalidCursor } from "../ports.js";

/** A store's cursor and the query that it belongs to. */
const Sealed = z.tuple([z.string(), z.string()]);

/** The caller's form of a store's cursor: bound to its filters, so that it cannot be used with others. */
export function sealCursor(filters: Readonly<Record<string, unknown>>, cursor: string | undefined): string | undefined {
  return cursor === undefined ? undefined : Buffer.from(JSON.stringify([digest(filters), cursor])).toString("base64url");
}

/**
 * The store's form of a caller's cursor.
 *
 * @throws InvalidCursor when it was not given out for these filters.
 */
export function openCursor(filters: Readonly<Record<string, unknown>>, sealed: string | undefined): string | undefined {
  if (sealed === undefined) return undefined;
  const [bound, cursor] = parse(sealed);
  if (bound !== digest(filters)) throw new InvalidCursor("The cursor belongs to another query.");
  return cursor;
}

function parse(sealed: string): z.infer<typeof Sealed> {
  try {
    return Sealed.parse(JSON.parse(Buffer.from(sealed, "base64url").toString()));
  } catch (cause) {
    throw new InvalidCursor("The cursor is not one of ours.", { cause });
  }
}

function digest(filters: Readonly<Record<string, unknown>>): string {
  const text = Object.entries(filters)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(text)).digest("base64url").slice(0, 16);
}
