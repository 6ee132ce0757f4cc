/** What a queue's message holds at most, encoded. Bytes. */
export const LONGEST_MESSAGE = 65_536;

/** JSON as a message of a queue: in base64, as Event Grid sends and Functions expect. The SDK neither encodes nor decodes. */
export function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64");
}

/** What a message says: its JSON, or its text where it is none. */
export function decoded(text: string): unknown {
  const plain = Buffer.from(text, "base64").toString("utf8");
  try {
    return JSON.parse(plain);
  } catch {
    return plain;
  }
}
