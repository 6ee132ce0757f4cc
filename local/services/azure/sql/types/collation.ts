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

/** What stands for a string when it is compared: two strings are equal where these are. Blanks at the end never count. */
export function comparisonKey(text: string, { caseSensitive, accentSensitive }: Collation): string {
  let key = text.endsWith(" ") ? text.replace(/ +$/, "") : text;
  if (!caseSensitive) key = key.toLowerCase();
  if (!accentSensitive) key = key.normalize("NFD").replace(/\p{M}+/gu, "");
  return key;
}
