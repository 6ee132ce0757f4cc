import { ImageRefused } from "../failures.js";
import type { ObjectStore } from "../ports.js";

/** A file of known size that can be read in parts. */
export interface ImageSource {
  /** Bytes. */
  readonly size: number;
  /** Bytes `start` to `end` (exclusive). */
  read(start: number, end: number): Promise<Uint8Array>;
}

/** An object of a store, in the very version that `etag` names: reading another throws ObjectChanged. */
export function objectSource(store: ObjectStore, object: { key: string; size: number; etag: string }): ImageSource {
  return { size: object.size, read: (start, end) => store.read(object.key, { start, end, etag: object.etag }) };
}

/** A file that is in memory already. */
export function bytesSource(bytes: Uint8Array): ImageSource {
  return { size: bytes.length, read: async (start, end) => bytes.subarray(start, end) };
}

const FIRST_WINDOW = 64 * 1024;
const LARGEST_WINDOW = 1024 * 1024;

/**
 * Walks a file's structure through a window that moves forward and grows: one small read for most headers, few larger ones where the structure
 * runs through the whole file. What is skipped is not read.
 */
export class HeaderReader {
  readonly size: number;
  private window: Buffer = Buffer.alloc(0);
  private offset = 0;
  private step = FIRST_WINDOW;

  constructor(private readonly source: ImageSource) {
    this.size = source.size;
  }

  /** Are these bytes at hand without another read? */
  holds(offset: number, length: number): boolean {
    return offset >= this.offset && offset + length <= this.offset + this.window.length;
  }

  /** Exactly these bytes. @throws ImageRefused TRUNCATED when the file ends before. */
  async take(offset: number, length: number): Promise<Buffer> {
    if (!this.holds(offset, length)) await this.move(offset, length);
    if (!this.holds(offset, length)) throw truncated(this.size, offset + length);
    return this.window.subarray(offset - this.offset, offset - this.offset + length);
  }

  /** These bytes, or fewer at the end of the file. */
  async upTo(offset: number, length: number): Promise<Buffer> {
    return this.take(offset, Math.max(0, Math.min(length, this.size - offset)));
  }

  /** One byte that is held. */
  at(offset: number): number {
    return this.window[offset - this.offset] as number;
  }

  private async move(offset: number, length: number): Promise<void> {
    const end = Math.min(this.size, offset + Math.max(length, this.step));
    if (offset + length > end) throw truncated(this.size, offset + length);
    const bytes = await this.source.read(offset, end);
    this.window = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.offset = offset;
    this.step = Math.min(this.step * 4, LARGEST_WINDOW);
  }
}

function truncated(size: number, needed: number): ImageRefused {
  return new ImageRefused(
    "TRUNCATED",
    `The file ends at byte ${size}, before the image does: its structure continues to byte ${needed} at least.`,
  );
}
