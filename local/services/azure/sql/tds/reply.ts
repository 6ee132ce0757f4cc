import type { Results } from "../engine/results.js";
import type { SqlError } from "../errors.js";
import type { OutputColumn } from "../translate/query.js";
import type { SqlValue } from "../types/convert.js";
import { ByteWriter } from "./bytes.js";
import { MESSAGE, PacketWriter } from "./packets.js";
import { columnsToken, DONE, done, errorToken, infoToken, rowToken, transactionChanged } from "./tokens.js";

/** Where packets go. */
export interface Outlet {
  write(packet: Buffer): boolean;
  /** Resolves when what was written has gone. */
  drained(): Promise<void>;
  readonly packetSize: number;
  readonly process: number;
  readonly server: string;
}

const FLUSH_AT = 32 * 1024;

/** The answer to one request, written while it comes about. */
export class Reply implements Results {
  readonly #out = new ByteWriter();
  readonly #packets: PacketWriter;
  #columns: readonly OutputColumn[] = [];
  /** The last DONE, which only what follows tells to be the last or not. */
  #pending: { status: number; count: number; select: boolean } | undefined;
  #failed = false;
  /** In an RPC statements end with DONEINPROC. */
  inProcedure = false;

  constructor(
    private readonly outlet: Outlet,
    /** Identifies the transaction, for the client. */
    private readonly descriptor: (begins?: boolean) => { id: Buffer; open: boolean },
  ) {
    this.#packets = new PacketWriter(MESSAGE.reply, outlet.packetSize, outlet.process, (packet) => outlet.write(packet));
  }

  token(bytes: Buffer): void {
    this.#settle(true);
    this.#out.bytes(bytes);
  }

  columns(columns: readonly OutputColumn[]): void {
    this.#columns = columns;
    this.token(columnsToken(columns));
  }

  async row(values: readonly SqlValue[]): Promise<void> {
    rowToken(this.#out, this.#columns, values);
    if (this.#out.length > FLUSH_AT && !this.#packets.add(this.#out.take())) await this.outlet.drained();
  }

  done({ count, select, failed }: { count?: number; select?: boolean; failed?: boolean }): void {
    this.#settle(true);
    const status = (count === undefined ? 0 : DONE.count) | (failed ? DONE.error : 0);
    this.#pending = { status, count: count ?? 0, select: select === true };
  }

  info(message: string, number = 0, severity = 0, state = 1, line = 1): void {
    this.token(infoToken(message, number, severity, state, line, this.outlet.server));
  }

  error(error: SqlError): void {
    this.#failed = true;
    this.token(errorToken(error, this.outlet.server));
  }

  transaction(event: "begin" | "commit" | "rollback"): void {
    this.token(transactionChanged(event, this.descriptor(event === "begin").id));
  }

  #settle(more: boolean): void {
    const pending = this.#pending;
    if (!pending) return;
    this.#pending = undefined;
    const open = this.descriptor().open ? DONE.transaction : 0;
    this.#out.bytes(
      done(this.inProcedure ? "inProcedure" : "done", pending.status | open | (more ? DONE.more : 0), pending.count, pending.select),
    );
  }

  /** Ends a procedure call; `more` when another one of the same request follows. */
  procedureDone(more: boolean): void {
    this.#settle(true);
    const status = (this.#failed ? DONE.error : 0) | (more ? DONE.more : 0) | (this.descriptor().open ? DONE.transaction : 0);
    this.#out.bytes(done("procedure", status));
    this.#failed = false;
  }

  /** Ends a batch. */
  batchDone(): void {
    if (this.#pending && !this.#failed) this.#settle(false);
    else {
      this.#settle(true);
      this.#out.bytes(done("done", (this.#failed ? DONE.error : 0) | (this.descriptor().open ? DONE.transaction : 0)));
    }
  }

  /** Ends what is not brought to its end. */
  aborted(): void {
    this.#settle(true);
    this.#out.bytes(done("done", DONE.error));
  }

  /** The client cancelled, and is told that it was heard. */
  cancelled(): void {
    this.#settle(true);
    this.#out.bytes(done("done", DONE.attention));
  }

  end(): void {
    this.#packets.add(this.#out.take());
    this.#packets.end();
  }
}
