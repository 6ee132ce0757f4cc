/**
 * The dimensions that a HEIF file's header declares: the largest `ispe` property in `meta/iprp/ipco`, since tiles and previews have their own.
 * `undefined` when these bytes do not tell.
 */
export function heifDimensions(head: Buffer): { width: number; height: number } | undefined {
  const meta = find(head, "meta")[0];
  const properties =
    meta &&
    find(meta.subarray(4), "iprp")
      .flatMap((iprp) => find(iprp, "ipco"))
      .flatMap((ipco) => find(ipco, "ispe"));
  return properties
    ?.filter((ispe) => ispe.length >= 12)
    .map((ispe) => ({ width: ispe.readUInt32BE(4), height: ispe.readUInt32BE(8) }))
    .sort((a, b) => b.width * b.height - a.width * a.height)[0];
}

/** Contents of the boxes of a type, among those that follow each other in `bytes`. */
function find(bytes: Buffer, type: string): Buffer[] {
  const found = [];
  for (let offset = 0; offset + 8 <= bytes.length; ) {
    const size = bytes.readUInt32BE(offset);
    if (size < 8) break;
    if (bytes.toString("latin1", offset + 4, offset + 8) === type) found.push(bytes.subarray(offset + 8, offset + size));
    offset += size;
  }
  return found;
}
