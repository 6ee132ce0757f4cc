/** Windows-1252 where it differs from Latin-1: what VARCHAR holds under the default collation. */
const HIGH = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ";
const TO_BYTE = new Map([...HIGH].map((character, index) => [character.charCodeAt(0), 0x80 + index]));

/** UTF-16LE, or code page 1252 where what it does not have becomes `?`. */
export function bytesOf(text: string, unicode: boolean): Buffer {
  if (unicode) return Buffer.from(text, "utf16le");
  const bytes = Buffer.alloc(text.length);
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    bytes[index] = code < 0x80 || (code >= 0xa0 && code <= 0xff) ? code : (TO_BYTE.get(code) ?? 0x3f);
  }
  return bytes;
}

export function textOf(bytes: Uint8Array, unicode: boolean): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (unicode) return buffer.toString("utf16le");
  return buffer.toString("latin1").replace(/[\u0080-\u009f]/g, (character) => HIGH[character.charCodeAt(0) - 0x80] ?? character);
}
