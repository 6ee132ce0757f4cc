import { Duplex } from "node:stream";
import { MESSAGE, PacketWriter } from "./packets.js";

/**
 * The socket as TLS sees it when TLS begins within TDS: during the handshake each side's records travel as PRELOGIN messages, afterwards TDS
 * travels within TLS. A client reads one message for each it sends, so every flight leaves as exactly one.
 */
export class TlsTunnel extends Duplex {
  #flight: Buffer[] = [];
  #scheduled = false;
  #wrapped = true;
  #secure = false;

  constructor(
    private readonly send: (bytes: Buffer) => void,
    private readonly process: number,
  ) {
    super();
  }

  /** Whether records still travel as messages. */
  get wrapped(): boolean {
    return this.#wrapped;
  }

  /** The client sends bare records: it has seen the end of the handshake. */
  unwrap(): void {
    this.#wrapped = false;
  }

  /** The handshake is through; what is left of it goes first. */
  secured(): void {
    this.#secure = true;
    this.#schedule();
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    if (this.#wrapped) {
      this.#flight.push(chunk);
      this.#schedule();
    } else this.send(chunk);
    callback();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#flight.length > 0) {
        const bytes = Buffer.concat(this.#flight);
        this.#flight = [];
        if (this.#wrapped) {
          const packets = new PacketWriter(MESSAGE.prelogin, 4096, this.process, (packet) => {
            this.send(packet);
            return true;
          });
          packets.add(bytes);
          packets.end();
        } else this.send(bytes);
      }
      if (this.#secure) this.#wrapped = false;
    });
  }
}
