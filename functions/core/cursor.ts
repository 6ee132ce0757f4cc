import { z } from "zod";
import { InvalidCursor } from "./ports.js";

/** Where a page of a query ended: the key of its last item, in the index that was read. */
export type Position = Record<string, string>;

const Cursor = z.strictObject({ index: z.string(), position: z.record(z.string(), z.string()) });

export function encodeCursor(index: string, position: Position): string {
  return Buffer.from(JSON.stringify({ index, position })).toString("base64url");
}

/**
 * The position in a cursor, if it is one of this index with these attributes, and lies within the query: what a store would refuse is found here,
 * and told in words that a caller can use.
 *
 * @throws InvalidCursor
 */
export function decodeCursor<Name extends string>(
  cursor: string,
  index: string,
  attributes: readonly Name[],
  within: (position: Record<Name, string>) => boolean,
): Record<Name, string> {
  const { data } = Cursor.safeParse(parsed(cursor));
  const complete = Object.keys(data?.position ?? {}).length === attributes.length && attributes.every((name) => data?.position[name]);
  const position = data?.position as Record<Name, string>;
  if (data?.index === index && complete && within(position)) return position;
  throw new InvalidCursor(`${JSON.stringify(cursor)} is not a cursor of this listing: pass on the "cursor" of the page before, or none.`);
}

function parsed(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
}
