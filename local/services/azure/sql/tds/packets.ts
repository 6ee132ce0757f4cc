/** Kinds of messages, MS-TDS 2.2.3.1.1. */
export const MESSAGE = { batch: 1, rpc: 3, reply: 4, attention: 6, bulk: 7, token: 8, transaction: 14, login: 16, prelogin: 18 } as const;

const HEADER = 8;
const END = 1;
const IGNORE = 2;
const RESET = 8;
const RESET_KEEPING_TRANSACTION = 16;

export interface Message {
  type: number;
  data: Buffer;
  /** The client gave up while it was sending. */
  ignored: boolean;
  /** The connection is to be as new before this is done. */
  reset: boolean;
}

/** More than a client has reason to send. */
const LARGEST = 256 * 1024 * 1024;

/** Puts messages together out of packets, however they arrive. */
export class MessageAssembler {
  #pending: Buffer[] = [];
  #size = 0;
  #parts: Buffer[] = [];
  #total = 0;
  #reset = false;

  /** @throws RangeError for what is no TDS */
  *feed(chunk: Buffer): Generator<Message> {
    this.#pending.push(chunk);
    this.#size += chunk.length;
    while (this.#size >= HEADER) {
      const buffer = this.#pending.length === 1 ? (this.#pending[0] as Buffer) : Buffer.concat(this.#pending, this.#size);
      this.#pending = [buffer];
      const length = buffer.readUInt16BE(2);
      if (length < HEADER) throw new RangeError(`A packet of ${length} bytes`);
      if (buffer.length < length) return;
      const [type, status] = [buffer[0] as number, buffer[1] as number];
      this.#parts.push(buffer.subarray(HEADER, length));
      this.#total += length;
      if (this.#total > LARGEST) throw new RangeError("A message of more than 256 MB");
      if (status & (RESET | RESET_KEEPING_TRANSACTION)) this.#reset = true;
      const rest = buffer.subarray(length);
      this.#pending = rest.length > 0 ? [rest] : [];
      this.#size = rest.length;
      if (!(status & END)) continue;
      const message: Message = { type, data: Buffer.concat(this.#parts), ignored: Boolean(status & IGNORE), reset: this.#reset };
      this.#parts = [];
      this.#total = 0;
      this.#reset = false;
      yield message;
    }
  }
}

/** Cuts a message into packets of `size` bytes. */
export class PacketWriter {
  #rest: Buffer = Buffer.alloc(0);
  #number = 0;

  constructor(
    private readonly type: number,
    private readonly size: number,
    private readonly process: number,
    private readonly write: (packet: Buffer) => boolean,
  ) {}

  /** @returns whether there is room for more */
  add(data: Buffer): boolean {
    let room = true;
    let all = this.#rest.length > 0 ? Buffer.concat([this.#rest, data]) : data;
    const most = this.size - HEADER;
    while (all.length > most) {
      room = this.write(this.#packet(all.subarray(0, most), 0));
      all = all.subarray(most);
    }
    this.#rest = all;
    return room;
  }

  end(): boolean {
    return this.write(this.#packet(this.#rest, END));
  }

  #packet(data: Buffer, status: number): Buffer {
    const header = Buffer.alloc(HEADER);
    header[0] = this.type;
    header[1] = status;
    header.writeUInt16BE(data.length + HEADER, 2);
    header.writeUInt16BE(this.process, 4);
    this.#number = (this.#number + 1) & 255;
    header[6] = this.#number;
    return Buffer.concat([header, data]);
  }
}
