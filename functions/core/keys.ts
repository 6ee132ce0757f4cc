import { createHash } from "node:crypto";

/** A file name that cannot become part of a key. */
export class InvalidName extends Error {
  override readonly name = "InvalidName";
  readonly code = "INVALID_NAME";
}

/** Longest file name, in characters after normalisation. */
const LONGEST_NAME = 200;
/** Longest object name that every store takes, in bytes. */
export const LONGEST_KEY = 1024;

const FORBIDDEN: readonly [pattern: RegExp, what: string][] = [
  [/^\s*$/u, "is empty"],
  [/^\.\.?$/u, 'is "." or ".."'],
  [/[\p{Cc}\p{Zl}\p{Zp}]/u, "contains a control character"],
  [/\p{Surrogate}/u, "is not well-formed Unicode"],
  [/\\/u, "contains a backslash"],
  [/[?#%]/u, "contains ?, # or %"],
];

/**
 * The key that an upload gets: `<prefix><user>/<file name>`, without the user's segment when there is no user.
 *
 * Of `filename` only the last segment counts, in Unicode normal form C. A user whose id is no plain word gets a segment derived from it, so that
 * any JWT subject is safe in a key; two users never share a segment.
 *
 * @throws InvalidName naming the rule that the file name breaks.
 */
export function uploadKey({ filename, user, prefix }: { filename: string; user?: string; prefix: string }): string {
  const name = filename.normalize("NFC").split("/").at(-1) ?? "";
  const broken =
    FORBIDDEN.find(([pattern]) => pattern.test(name))?.[1] ??
    ([...name].length > LONGEST_NAME ? `is longer than ${LONGEST_NAME} characters` : undefined);
  if (broken) {
    throw new InvalidName(
      `The file name ${JSON.stringify(name.slice(0, LONGEST_NAME))} ${broken}: use 1 to ${LONGEST_NAME} characters without control characters, backslash, ?, # or %.`,
    );
  }
  return `${prefix}${user === undefined ? "" : `${userSegment(user)}/`}${name}`;
}

/** A user's own segment of a key: the id itself where it is a plain word, else `~` and a digest of it. */
export function userSegment(user: string): string {
  return /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/.test(user) ? user : `~${createHash("sha256").update(user).digest("hex").slice(0, 40)}`;
}

/** Where a variant lies in the store of variants: `thumbnails/<image key>/<variant name>.<extension>`. */
export function variantKey(imageKey: string, variantName: string, extension: string): string {
  const key = `thumbnails/${imageKey}/${variantName}.${extension}`;
  // An object put straight into the store may have a name as long as the store allows.
  return Buffer.byteLength(key) <= LONGEST_KEY
    ? key
    : `thumbnails/~${createHash("sha256").update(imageKey).digest("hex")}/${variantName}.${extension}`;
}

/** Every place where variants of these names may lie, whatever format they were made in. */
export function variantKeys(imageKey: string, variantNames: Iterable<string>): string[] {
  return [...variantNames].flatMap((name) => ["jpg", "png", "webp"].map((extension) => variantKey(imageKey, name, extension)));
}

/** Where the JPEG lies that taggers look at: one per content, short-lived. */
export function labelsImageKey(sha256: string): string {
  return `labels/${sha256}.jpg`;
}

/** The last segment of a key. */
export function fileName(key: string): string {
  return key.slice(key.lastIndexOf("/") + 1);
}
