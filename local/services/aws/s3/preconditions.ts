import { CloudError, type Properties } from "../../../kernel/service.js";
import { noSuchKey, notImplemented, preconditionFailed } from "./errors.js";
import type { StoredObject } from "./store.js";

/** `If-…` of reads. @throws CloudError 412, or 304 which has no body */
export function checkRead(object: StoredObject, input: Properties): void {
  const modified = Math.floor(Date.parse(object.modifiedAt) / 1000) * 1000;
  const since = (value: unknown) => Date.parse(String(value));
  if (input.IfMatch !== undefined) {
    if (!names(input.IfMatch, object)) throw preconditionFailed("If-Match");
  } else if (input.IfUnmodifiedSince !== undefined && modified > since(input.IfUnmodifiedSince))
    throw preconditionFailed("If-Unmodified-Since");
  const unchanged = new CloudError("NotModified", "Not Modified", 304, {
    headers: { etag: `"${object.etag}"`, "last-modified": httpDate(object.modifiedAt) },
  });
  if (input.IfNoneMatch !== undefined) {
    if (names(input.IfNoneMatch, object)) throw unchanged;
  } else if (input.IfModifiedSince !== undefined && modified <= since(input.IfModifiedSince)) throw unchanged;
}

/** `x-amz-copy-source-if-…`: the same questions about the source of a copy, where each "no" is a 412. */
export function checkCopySource(source: StoredObject, input: Properties): void {
  try {
    checkRead(source, {
      IfMatch: input.CopySourceIfMatch,
      IfNoneMatch: input.CopySourceIfNoneMatch,
      IfModifiedSince: input.CopySourceIfModifiedSince,
      IfUnmodifiedSince: input.CopySourceIfUnmodifiedSince,
    });
  } catch (error) {
    throw error instanceof CloudError && error.status === 304 ? preconditionFailed("x-amz-copy-source-If-None-Match") : error;
  }
}

/** `If-Match` and `If-None-Match: *` of writes and deletes, asked at the moment of the write. */
export function checkWrite(key: string, input: Properties): (existing: StoredObject | undefined) => void {
  if (input.IfNoneMatch !== undefined && input.IfNoneMatch !== "*")
    throw notImplemented("If-None-Match other than *", { Header: "If-None-Match" });
  return (existing) => {
    if (input.IfNoneMatch !== undefined && existing) throw preconditionFailed("If-None-Match");
    if (input.IfMatch === undefined) return;
    if (!existing) throw noSuchKey(key);
    if (!names(input.IfMatch, existing)) throw preconditionFailed("If-Match");
  };
}

/**
 * Which bytes a `Range` header asks for: `start` to `end`, exclusive. `undefined` is all of them; S3 ignores what it cannot read.
 *
 * @throws CloudError InvalidRange
 */
export function parseRange(range: string | undefined, size: number): { start: number; end: number } | undefined {
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(range?.trim() ?? "") ?? [];
  if (from === undefined || to === undefined || (from === "" && to === "")) return undefined;
  if (from !== "" && to !== "" && Number(to) < Number(from)) return undefined;
  const start = from === "" ? Math.max(0, size - Number(to)) : Number(from);
  const end = from === "" || to === "" ? size : Math.min(size, Number(to) + 1);
  if (start >= size)
    throw new CloudError("InvalidRange", "The requested range is not satisfiable", 416, {
      RangeRequested: range,
      ActualObjectSize: size,
      headers: { "content-range": `bytes */${size}` },
    });
  return { start, end };
}

export const httpDate = (iso: string): string => new Date(iso).toUTCString();

const names = (condition: unknown, { etag }: StoredObject): boolean =>
  String(condition)
    .split(",")
    .map((candidate) =>
      candidate
        .trim()
        .replace(/^W\//, "")
        .replace(/^"(.*)"$/, "$1"),
    )
    .some((candidate) => candidate === "*" || candidate === etag);
