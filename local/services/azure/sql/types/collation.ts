import { sqlError } from "../errors.js";

/** How strings compare. Accents and case are folded by Unicode, order is by code point of what is folded. */
export interface Collation {
  readonly name: string;
  readonly caseSensitive: boolean;
  readonly accentSensitive: boolean;
}

/** What Azure SQL gives a database unless it is told otherwise. */
export const DEFAULT_COLLATION: Collation = { name: "SQL_Latin1_General_CP1_CI_AS", caseSensitive: false, accentSensitive: true };

const KNOWN = /^(?:SQL_Latin1_General_CP1|Latin1_General(?:_100)?)_(?:(BIN2?)|(C[IS])_(A[IS])(?:_KS)?(?:_WS)?(?:_SC)?)$/i;

/** A collation by name. @throws SqlError 448 */
export function collation(name: string): Collation {
  if (/^(database_default|SQL_Latin1_General_CP1_CI_AS)$/i.test(name)) return DEFAULT_COLLATION;
  const match = KNOWN.exec(name);
  if (!match) throw sqlError(448, name);
  const [, binary, kana, accents] = match;
  return {
    name,
    caseSensitive: Boolean(binary) || kana?.toUpperCase() === "CS",
    accentSensitive: Boolean(binary) || accents?.toUpperCase() === "AS",
  };
}

/**
 * What stands for a string when it is compared: two strings are equal where these are, and sorted as these are by code point. Blanks at the end
 * never count; accents do only after everything else.
 */
export function comparisonKey(text: string, { name, caseSensitive, accentSensitive }: Collation): string {
  const trimmed = text.endsWith(" ") ? text.replace(/ +$/, "") : text;
  if (/_BIN2?$/i.test(name)) return trimmed;
  const cased = caseSensitive ? trimmed : trimmed.toLowerCase();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII, to which none of this applies.
  if (/^[\u0000-\u007f]*$/.test(cased)) return cased;
  const base = cased.normalize("NFD").replace(/\p{M}+/gu, "");
  return accentSensitive && base !== cased ? `${base}\u0002${cased}` : base;
}
