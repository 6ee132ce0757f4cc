import { once } from "node:events";
import type { Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";
import { Batch } from "../engine/batch.js";
import type { Database } from "../engine/database.js";
import { type Login, Session, type SessionSettings } from "../engine/session.js";
import { SqlError, sqlError } from "../errors.js";
import type { DirectoryLookup } from "../security/tokens.js";
import type { Typed } from "../translate/environment.js";
import { parseBatch, parseParameters } from "../tsql/parser.js";
import { convert } from "../types/convert.js";
import { INT, type SqlType } from "../types/sql-type.js";
import { afterHeaders, type Parameter, type ProcedureCall, readBulk, readCalls, readTransactionRequest } from "./calls.js";
import { type LoginRequest, readLogin, readToken } from "./login.js";
import { MESSAGE, type Message, MessageAssembler, PacketWriter } from "./packets.js";
import { type Prelogin, readPrelogin, wantsEncryption, writePrelogin } from "./prelogin.js";
import { type Outlet, Reply } from "./reply.js";
import { TlsTunnel } from "./tls-tunnel.js";
import {
  collationChanged,
  connectionReset,
  databaseChanged,
  federationAcknowledged,
  federationInfo,
  languageChanged,
  loginAcknowledged,
  packetSizeChanged,
  returnStatus,
  returnValue,
} from "./tokens.js";

/** What a connection needs of its server. */
export interface Host {
  readonly name: string;
  /** For TLS within TDS, and before it. */
  readonly secure: { readonly within: SecureContext; readonly around: SecureContext };
  /** Where clients get tokens, and for which resource. */
  readonly authority: { readonly url: string; readonly resource: string };
  readonly directory: DirectoryLookup;
  /** Lets a login in. @throws SqlError, or several */
  admit(login: LoginRequest, token: string | undefined, address: string): Promise<{ database: Database; login: Login }>;
  settings(login: LoginRequest): SessionSettings;
  nextProcess(): number;
}

/** Several errors that a login is answered with. */
export class LoginRefused extends Error {
  constructor(readonly errors: readonly SqlError[]) {
    super(errors.map(({ message }) => message).join(" "));
  }
}

const LOGIN_TIME = 30_000;
const TLS_RECORD = 0x16;

interface Prepared {
  sql: string;
  parameters: ReturnType<typeof parseParameters>;
}

/** One client's connection: prelogin, TLS, login, and then its requests, one after the other. */
export class Connection implements Outlet {
  readonly process: number;
  readonly server: string;
  packetSize = 4096;

  readonly #assembler = new MessageAssembler();
  #stream: Socket | TLSSocket;
  #tunnel: TlsTunnel | undefined;
  #prelogin: Prelogin = { encryption: 2, federated: false };
  /** Logged in as far as the token, which is still to come. */
  #waiting: LoginRequest | undefined;
  #session: Session | undefined;
  #queue: Promise<void> = Promise.resolve();
  #running = false;
  #transaction = 0n;
  readonly #prepared = new Map<number, Prepared>();
  #handles = 0;
  #bulk: { table: readonly string[]; columns: string[] } | undefined;

  constructor(
    private readonly socket: Socket,
    private readonly host: Host,
  ) {
    this.process = host.nextProcess();
    this.server = host.name;
    this.#stream = socket;
    socket.setNoDelay(true);
    const late = setTimeout(() => socket.destroy(), LOGIN_TIME);
    socket.once("close", () => {
      clearTimeout(late);
      this.#closed();
    });
    socket.on("error", () => socket.destroy());
    socket.once("data", (chunk: Buffer) => this.#first(chunk));
    this.#loggedIn = () => clearTimeout(late);
  }

  readonly #loggedIn: () => void;

  /** TDS 8.0 begins with TLS, all others with PRELOGIN. */
  #first(chunk: Buffer): void {
    if (chunk[0] === TLS_RECORD) this.#startTls(true);
    this.socket.on("data", (data: Buffer) => this.#arrived(data));
    this.#arrived(chunk);
  }

  #arrived(chunk: Buffer): void {
    const tunnel = this.#tunnel;
    if (tunnel && (!tunnel.wrapped || chunk[0] !== MESSAGE.prelogin)) {
      tunnel.unwrap();
      tunnel.push(chunk);
    } else this.#feed(chunk);
  }

  #feed(chunk: Buffer): void {
    try {
      for (const message of this.#assembler.feed(chunk)) this.#received(message);
    } catch {
      this.socket.destroy();
    }
  }

  #received(message: Message): void {
    if (message.type === MESSAGE.attention) {
      this.#attention();
      return;
    }
    if (message.type === MESSAGE.prelogin && this.#tunnel?.wrapped) {
      this.#tunnel.push(message.data);
      return;
    }
    this.#queue = this.#queue.then(() => this.#handle(message)).catch(() => void this.socket.destroy());
  }

  /** A cancellation does not wait for its turn; that it was heard is told after whatever ran, in a message of its own. */
  #attention(): void {
    if (this.#running) this.#session?.cancel(new Error("The client cancelled the request."));
    this.#queue = this.#queue.then(() => {
      const reply = this.#reply();
      reply.cancelled();
      reply.end();
    });
  }

  #closed(): void {
    this.#session?.cancel(new Error("The client is gone."));
    void this.#queue.then(() => this.#session?.reset());
  }

  write(packet: Buffer): boolean {
    return this.#stream.destroyed || this.#stream.write(packet);
  }

  async drained(): Promise<void> {
    if (this.#stream.destroyed || !this.#stream.writableNeedDrain) return;
    await Promise.race([once(this.#stream, "drain"), once(this.#stream, "close")]).catch(() => {});
  }

  #reply(): Reply {
    return new Reply(this, (begins) => {
      if (begins) this.#transaction += 1n;
      const id = Buffer.alloc(8);
      id.writeBigUInt64LE((BigInt(this.process) << 32n) | this.#transaction);
      return { id, open: (this.#session?.depth ?? 0) > 0 };
    });
  }

  async #handle(message: Message): Promise<void> {
    if (this.#session) return this.#request(this.#session, message);
    switch (message.type) {
      case MESSAGE.prelogin:
        this.#answerPrelogin(message.data);
        return;
      case MESSAGE.login: {
        const login = readLogin(message.data);
        if (login.federated && login.federated.token === undefined) {
          this.#waiting = login;
          const reply = this.#reply();
          reply.token(federationInfo(this.host.authority.url, this.host.authority.resource));
          reply.end();
          return;
        }
        return this.#login(login, login.federated?.token);
      }
      case MESSAGE.token:
        if (!this.#waiting) break;
        return this.#login(this.#waiting, readToken(message.data));
    }
    this.socket.destroy();
  }

  #answerPrelogin(data: Buffer): void {
    this.#prelogin = readPrelogin(data);
    const encrypted = this.#stream === this.socket && wantsEncryption(this.#prelogin);
    const packets = new PacketWriter(MESSAGE.reply, this.packetSize, this.process, (packet) => this.write(packet));
    packets.add(writePrelogin({ encrypted, federated: this.#prelogin.federated }));
    packets.end();
    if (encrypted) this.#startTls();
  }

  /** @param around TLS comes first, and TDS within it from the beginning. */
  #startTls(around = false): void {
    const tunnel = new TlsTunnel((bytes) => void this.socket.write(bytes), this.process);
    if (around) tunnel.unwrap();
    const { secure } = this.host;
    const options = around ? { secureContext: secure.around, ALPNProtocols: ["tds/8.0"] } : { secureContext: secure.within };
    const stream = new TLSSocket(tunnel, { isServer: true, ...options });
    stream.on("secure", () => tunnel.secured());
    stream.on("error", () => this.socket.destroy());
    stream.on("data", (data: Buffer) => this.#feed(data));
    this.socket.once("close", () => stream.destroy());
    this.#tunnel = tunnel;
    this.#stream = stream;
  }

  async #login(login: LoginRequest, token: string | undefined): Promise<void> {
    const reply = this.#reply();
    try {
      const admitted = await this.host.admit(login, token, address(this.socket));
      this.#session = new Session(this.process, admitted.database, admitted.login, this.host.settings(login));
      reply.token(databaseChanged(admitted.database.name, "master"));
      reply.info(`Changed database context to '${admitted.database.name}'.`, 5701, 0, 2);
      reply.token(collationChanged());
      reply.token(languageChanged());
      reply.token(loginAcknowledged());
      if (login.packetSize >= 512 && login.packetSize <= 32_767 && login.packetSize !== this.packetSize) {
        reply.token(packetSizeChanged(login.packetSize));
        this.packetSize = login.packetSize;
      } else reply.token(packetSizeChanged(this.packetSize));
      if (token !== undefined) reply.token(federationAcknowledged());
      reply.batchDone();
      reply.end();
      this.#loggedIn();
    } catch (error) {
      const errors = error instanceof LoginRefused ? error.errors : [error instanceof SqlError ? error : sqlError(18456, login.user)];
      for (const each of errors) reply.error(each);
      reply.batchDone();
      reply.end();
      this.#stream.end();
    }
  }

  async #request(session: Session, message: Message): Promise<void> {
    const reply = this.#reply();
    session.renew();
    this.#running = true;
    try {
      if (message.reset) {
        session.reset();
        this.#prepared.clear();
        reply.token(connectionReset());
      }
      if (!message.ignored) await this.#dispatch(session, message, reply);
      if (message.type !== MESSAGE.rpc || message.ignored) reply.batchDone();
    } catch (error) {
      if (session.signal.aborted && error === session.signal.reason) reply.aborted();
      else {
        const known =
          error instanceof SqlError
            ? error
            : new SqlError(8009, `The request could not be read: ${error instanceof Error ? error.message : error}`, 16);
        reply.inProcedure = false;
        reply.error(known);
        reply.batchDone();
      }
    } finally {
      this.#running = false;
      reply.end();
    }
  }

  async #dispatch(session: Session, message: Message, reply: Reply): Promise<void> {
    switch (message.type) {
      case MESSAGE.batch: {
        const reader = afterHeaders(message.data);
        const sql = message.data.subarray(reader.at).toString("utf16le");
        if (/^\s*insert\s+bulk\b/i.test(sql)) {
          const [statement] = parseBatch(sql);
          if (statement?.kind === "insert bulk") this.#bulk = statement;
          return;
        }
        await new Batch(session, reply, this.host.directory).run(sql);
        return;
      }
      case MESSAGE.rpc: {
        const calls = readCalls(message.data);
        reply.inProcedure = true;
        for (const [index, call] of calls.entries()) {
          await this.#call(session, call, reply);
          reply.procedureDone(index + 1 < calls.length);
        }
        return;
      }
      case MESSAGE.transaction:
        this.#manage(session, message.data, reply);
        return;
      case MESSAGE.bulk: {
        const bulk = this.#bulk;
        this.#bulk = undefined;
        if (!bulk) throw sqlError(102, "BULK");
        await new Batch(session, reply, this.host.directory).load(bulk.table, bulk.columns, readBulk(message.data));
        return;
      }
      default:
        throw new RangeError(`messages of type ${message.type} are not known`);
    }
  }

  #manage(session: Session, data: Buffer, reply: Reply): void {
    const { action, name, isolation, beginsNext } = readTransactionRequest(data);
    const begin = (): void => {
      session.begin();
      if (session.depth === 1) reply.transaction("begin");
    };
    switch (action) {
      case "begin":
        if (isolation) session.options.isolation = isolation;
        begin();
        session.transactionName = name;
        return;
      case "commit":
        if (session.commit()) reply.transaction("commit");
        break;
      case "rollback":
        if (session.rollback(name)) reply.transaction("rollback");
        break;
      case "save":
        session.save(name ?? "");
        return;
      case "other":
        throw new RangeError("distributed transactions are not there");
    }
    if (beginsNext) begin();
  }

  /** The procedures by which clients send statements with parameters. */
  async #call(session: Session, call: ProcedureCall, reply: Reply): Promise<void> {
    const { parameters } = call;
    const text = (index: number): string => String(parameters[index]?.value ?? "");
    switch (call.name.toLowerCase().replace(/^(sys|dbo|master\.dbo|master\.\.)\./, "")) {
      case "sp_executesql":
        return this.#execute(session, { sql: text(0), parameters: parseParameters(text(1)) }, parameters.slice(2), reply);
      case "sp_prepare":
      case "sp_prepexec": {
        const prepared: Prepared = { sql: text(2), parameters: parseParameters(text(1)) };
        try {
          parseBatch(prepared.sql);
        } catch (error) {
          if (!(error instanceof SqlError)) throw error;
          reply.error(error);
          reply.token(returnStatus(error.number));
          return;
        }
        const handle = ++this.#handles;
        this.#prepared.set(handle, prepared);
        const returned = { type: INT, value: handle };
        if (call.name.toLowerCase() === "sp_prepare") reply.token(returnStatus(0));
        else await this.#execute(session, prepared, parameters.slice(3), reply);
        reply.token(returnValue(parameters[0]?.name ?? "", 0, returned));
        return;
      }
      case "sp_execute": {
        const prepared = this.#prepared.get(Number(parameters[0]?.value));
        if (!prepared) throw sqlError(8179, parameters[0]?.value);
        return this.#execute(session, prepared, parameters.slice(1), reply);
      }
      case "sp_unprepare":
        if (!this.#prepared.delete(Number(parameters[0]?.value))) throw sqlError(8179, parameters[0]?.value);
        reply.token(returnStatus(0));
        return;
      default: {
        // Any other procedure is called as EXEC would, its arguments being variables.
        const list = parameters
          .map(({ name, output }, index) => (name ? `${name} = ${name}${output ? " OUTPUT" : ""}` : `@p${index}`))
          .join(", ");
        const named = parameters.map((parameter, index) => ({ ...parameter, name: parameter.name || `@p${index}` }));
        const declared = named.map(({ name, type, output }) => ({ name, type, output }));
        const procedure = call.name
          .split(".")
          .map((part) => (/^[[\]"]/.test(part) ? part : `[${part}]`))
          .join(".");
        return this.#execute(session, { sql: `EXEC ${procedure} ${list}`, parameters: declared }, named, reply);
      }
    }
  }

  async #execute(session: Session, { sql, parameters: declared }: Prepared, given: readonly Parameter[], reply: Reply): Promise<void> {
    const variables = new Map<string, Typed>();
    const outputs: { name: string; ordinal: number }[] = [];
    declared.forEach(({ name, type }, index) => {
      const found =
        given.find((parameter) => parameter.name.toLowerCase() === name.toLowerCase()) ?? (given[index]?.name ? undefined : given[index]);
      if (!found) throw sqlError(8178, sql.slice(0, 200), name);
      variables.set(name.toLowerCase(), { type, value: fitting(found, type) });
      if (found.output) outputs.push({ name, ordinal: index });
    });
    const batch = new Batch(session, reply, this.host.directory, variables);
    const succeeded = await batch.run(sql);
    reply.token(returnStatus(succeeded ? batch.returned : session.errorNumber));
    for (const { name, ordinal } of outputs) {
      const value = variables.get(name.toLowerCase());
      if (value) reply.token(returnValue(name, ordinal, value));
    }
  }
}

function fitting({ value, type: from }: Parameter, type: SqlType): Typed["value"] {
  return convert(value, from, type);
}

function address({ remoteAddress = "" }: Socket): string {
  return remoteAddress.replace(/^::ffff:/, "").replace(/^::1$/, "127.0.0.1");
}
