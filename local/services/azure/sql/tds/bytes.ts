/** Builds little-endian structures of TDS. */
export class ByteWriter {
  #parts: Buffer[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  bytes(bytes: Uint8Array): this {
    this.#parts.push(bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    this.#length += bytes.byteLength;
    return this;
  }

  u8(...values: number[]): this {
    return this.bytes(Buffer.from(values));
  }

  u16(value: number): this {
    const bytes = Buffer.allocUnsafe(2);
    bytes.writeUInt16LE(value);
    return this.bytes(bytes);
  }

  u32(value: number): this {
    const bytes = Buffer.allocUnsafe(4);
    bytes.writeUInt32LE(value);
    return this.bytes(bytes);
  }

  i32(value: number): this {
    const bytes = Buffer.allocUnsafe(4);
    bytes.writeInt32LE(value);
    return this.bytes(bytes);
  }

  u64(value: bigint): this {
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeBigUInt64LE(value);
    return this.bytes(bytes);
  }

  /** Text after the number of its characters in one byte. */
  shortText(text: string): this {
    const kept = text.slice(0, 255);
    return this.u8(kept.length).bytes(Buffer.from(kept, "utf16le"));
  }

  /** Text after the number of its characters in two bytes. */
  text(text: string): this {
    const kept = text.slice(0, 8000);
    return this.u16(kept.length).bytes(Buffer.from(kept, "utf16le"));
  }

  take(): Buffer {
    const all = Buffer.concat(this.#parts, this.#length);
    this.#parts = [];
    this.#length = 0;
    return all;
  }
}

/** Reads them. @throws RangeError at the end */
export class ByteReader {
  constructor(
    readonly buffer: Buffer,
    public at = 0,
  ) {}

  get done(): boolean {
    return this.at >= this.buffer.length;
  }

  take(length: number): Buffer {
    if (length < 0 || this.at + length > this.buffer.length) throw new RangeError("The message ends too early.");
    this.at += length;
    return this.buffer.subarray(this.at - length, this.at);
  }

  u8(): number {
    return this.take(1).readUInt8();
  }

  u16(): number {
    return this.take(2).readUInt16LE();
  }

  u32(): number {
    return this.take(4).readUInt32LE();
  }

  i32(): number {
    return this.take(4).readInt32LE();
  }

  u64(): bigint {
    return this.take(8).readBigUInt64LE();
  }

  shortText(): string {
    return this.take(this.u8() * 2).toString("utf16le");
  }

  text(): string {
    return this.take(this.u16() * 2).toString("utf16le");
  }
}
