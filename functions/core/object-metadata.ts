/** Longest user id by any way in, in characters: a JWT's subject has at most this many. */
export const LONGEST_USER = 255;

/** A user as metadata of an object: those are ASCII. */
export function encodedUser(user: string): string {
  return encodeURIComponent(user);
}

/**
 * The user that an object's metadata tell of; others than this pipeline may have written it, in whatever form. What no other way in would take for
 * a user, is none: a record could not hold it, and the image is to be processed all the same.
 */
export function decodedUser(metadata: string | undefined): string | undefined {
  const user = decoded(metadata ?? "");
  return user !== "" && user.length <= LONGEST_USER ? user : undefined;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** An entity tag without its quotes. */
export function unquoted(etag: string | undefined): string {
  return etag?.replace(/^"(.*)"$/, "$1") ?? "";
}
