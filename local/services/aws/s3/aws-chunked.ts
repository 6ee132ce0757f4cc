import { CloudError } from "../../../kernel/service.js";

/** What an `aws-chunked` body holds: the content, and the trailing headers with lower-case names. */
export interface Unchunked {
  body: Buffer;
  trailers: Record<string, string>;
}

const CRLF = "\r\n";

/**
 * Takes S3's own chunked encoding off: `SIZE[;chunk-signature=…] CRLF content CRLF`, … , a chunk of size 0, then trailers.
 *
 * @throws CloudError IncompleteBody when the framing is broken or the content has not the announced length
 */
export function unchunk(encoded: Buffer, announced: string | undefined): Unchunked {
  const chunks: Buffer[] = [];
  for (let at = 0; ; ) {
    const end = encoded.indexOf(CRLF, at);
    const size = /^([0-9a-f]+)(?:;.*)?$/i.exec(end < 0 ? "" : encoded.toString("latin1", at, end))?.[1];
    if (size === undefined) throw incomplete("A chunk does not begin with its size.");
    const length = Number.parseInt(size, 16);
    at = end + CRLF.length;
    if (length === 0) {
      const body = Buffer.concat(chunks);
      if (announced !== undefined && Number(announced) !== body.length)
        throw incomplete(`x-amz-decoded-content-length is ${announced}, but ${body.length} bytes came.`);
      return { body, trailers: parseTrailers(encoded.toString("latin1", at)) };
    }
    if (at + length + CRLF.length > encoded.length) throw incomplete("The body ends within a chunk.");
    chunks.push(encoded.subarray(at, at + length));
    at += length + CRLF.length;
  }
}

function parseTrailers(text: string): Record<string, string> {
  const lines = text.split(/\r?\n/).filter((line) => line.includes(":"));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(":")).trim().toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
  );
}

const incomplete = (why: string): CloudError =>
  new CloudError("IncompleteBody", `The request body terminated unexpectedly or is not framed as announced. ${why}`);
