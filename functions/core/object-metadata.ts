/** A user as metadata of an object: those are ASCII. */
export function encodedUser(user: string): string {
  return encodeURIComponent(user);
}

/** The user that an object's metadata tell of; others than this pipeline may have written it, in whatever form. */
export function decodedUser(user: string): string {
  try {
    return decodeURIComponent(user);
  } catch {
    return user;
  }
}

/** An entity tag without its quotes. */
export function unquoted(etag: string | undefined): string {
  return etag?.replace(/^"(.*)"$/, "$1") ?? "";
}
