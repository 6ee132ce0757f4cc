import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

/** A value as host and worker exchange it: one of these is set (`RpcTypedData`). */
export interface RpcValue {
  string?: string;
  json?: string;
  bytes?: Uint8Array;
  int?: number;
  double?: number;
  http?: RpcHttp;
}

/** A request or a response (`RpcHttp`). */
export interface RpcHttp {
  method?: string;
  url?: string;
  headers?: Record<string, string>;
  query?: Record<string, string>;
  params?: Record<string, string>;
  body?: RpcValue | null;
  statusCode?: string;
  cookies?: RpcCookie[];
}

/** Optional members are wrapped, as gRPC's well-known types are. */
export interface RpcCookie {
  name: string;
  value: string;
  domain?: { value: string };
  path?: { value: string };
  expires?: { value: string | Date | { seconds: number } };
  secure?: { value: boolean };
  httpOnly?: { value: boolean };
  maxAge?: { value: number };
  sameSite?: string | number;
}

export interface Binding {
  type: string;
  direction?: "in" | "out" | "inout";
  [option: string]: unknown;
}

/** A function as the app registered it. */
export interface FunctionMetadata {
  id: string;
  name: string;
  /** By the binding's name. */
  bindings: Record<string, Binding>;
  /** Whether it has a retry policy of the host's. */
  retries: boolean;
}

export interface LogLine {
  level: "trace" | "debug" | "information" | "warning" | "error" | "critical" | "none";
  category: string;
  message: string;
  functionName?: string;
  invocationId?: string;
}

export interface Launch {
  /** Folder of the unpacked package. */
  root: string;
  /** MB. */
  memory: number;
  /** All that the app finds in `process.env`. */
  variables: Record<string, string>;
  /** A file of the host's install, from which binaries of sharp are resolved that the package has for another platform only. */
  binariesOf: string | undefined;
  onLog(line: LogLine): void;
  onBinary(name: string): void;
}

export interface Invocation {
  function: FunctionMetadata;
  inputs: Record<string, RpcValue>;
  triggerMetadata?: Record<string, RpcValue>;
  /** Milliseconds; without it there is no limit. */
  timeout?: number | undefined;
}

export interface InvocationResult {
  returnValue?: RpcValue | null;
  outputs: { name: string; data: RpcValue }[];
}

/** The function threw. `message` and `stack` are as in the worker. */
export class FunctionFailed extends Error {
  override readonly name = "FunctionFailed";
  constructor(
    readonly errorName: string,
    message: string,
    stack: string,
  ) {
    super(message);
    this.stack = stack;
  }
}

/** The function took longer than host.json's `functionTimeout`. The worker is ended with it. */
export class FunctionTimedOut extends Error {
  override readonly name = "FunctionTimedOut";
}

/** The worker process ended while the function ran, or before it could. */
export class WorkerGone extends Error {
  override readonly name = "WorkerGone";
}

type Message =
  | { type: "started"; functions: FunctionMetadata[] }
  | { type: "failed"; error: { name: string; message: string; stack: string } }
  | ({ type: "result"; invocationId: string } & InvocationResult)
  | { type: "error"; invocationId: string; error: { name: string; message: string; stack: string } }
  | ({ type: "log" } & LogLine)
  | { type: "memory"; bytes: number }
  | { type: "binary"; name: string };

interface Pending {
  resolve(result: InvocationResult): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout | undefined;
}

const MEMORY_POLL = 100;

/** The worker process of a function app: loads the package, and runs any number of invocations at a time. */
export class Worker {
  /** Settles when the process is gone, with how it went. */
  readonly ended: Promise<string>;
  /** What the app registered. */
  functions: FunctionMetadata[] = [];
  readonly #child: ChildProcess;
  readonly #pending = new Map<string, Pending>();
  readonly #poll: NodeJS.Timeout;
  #gone: string | undefined;
  #killedFor: string | undefined;

  private constructor(private readonly launch: Launch) {
    const options = { root: launch.root, binariesOf: launch.binariesOf, reportMemory: process.platform !== "linux" };
    const bootstrap = fileURLToPath(new URL("./bootstrap.mjs", import.meta.url));
    const heap = Math.floor(launch.memory * 0.9);
    this.#child = spawn(process.execPath, [`--max-old-space-size=${heap}`, bootstrap, JSON.stringify(options)], {
      cwd: launch.root,
      env: launch.variables,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      serialization: "advanced",
      windowsHide: true,
      // A process group of its own: an interrupt from the terminal ends the embedded cloud, which then ends the worker in order.
      detached: process.platform !== "win32",
    });
    const read = (stream: Readable | null, level: LogLine["level"]) =>
      stream && createInterface({ input: stream }).on("line", (message) => launch.onLog({ level, category: "console", message }));
    read(this.#child.stdout, "information");
    read(this.#child.stderr, "error");
    this.ended = new Promise((resolve) => {
      const ended = (how: string) => {
        this.#end(how);
        resolve(this.#gone as string);
      };
      this.#child.once("error", (error) => ended(error.message));
      this.#child.once("exit", (code, signal) => ended(signal ? `signal ${signal}` : `exit code ${code}`));
    });
    this.#poll = setInterval(() => this.#readMemory(), MEMORY_POLL);
    this.#poll.unref();
  }

  /** Starts the process and loads the app. @throws Error with what went wrong while it loaded */
  static async start(launch: Launch): Promise<Worker> {
    const worker = new Worker(launch);
    try {
      worker.functions = await new Promise<FunctionMetadata[]>((resolve, reject) => {
        worker.#child.on("message", (message: Message) => {
          if (message.type === "started") resolve(message.functions);
          else if (message.type === "failed") {
            const { name, message: text, stack } = message.error;
            reject(new FunctionFailed(name, text, stack));
          } else worker.#told(message);
        });
        void worker.ended.then((how) => reject(new WorkerGone(`The worker process ended while it loaded the app: ${how}.`)));
      });
    } catch (error) {
      worker.kill();
      throw error;
    }
    return worker;
  }

  get alive(): boolean {
    return this.#gone === undefined && this.#killedFor === undefined;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** @throws FunctionFailed, FunctionTimedOut, WorkerGone */
  invoke({ function: { id, name }, inputs, triggerMetadata = {}, timeout }: Invocation): Promise<InvocationResult> {
    if (!this.alive) return Promise.reject(new WorkerGone(`The worker process has ended: ${this.#gone ?? this.#killedFor}.`));
    const invocationId = randomUUID();
    return new Promise((resolve, reject) => {
      const expire = () => {
        const message = `Timeout value of ${timespan(timeout as number)} was exceeded by function: Functions.${name}`;
        this.#settle(invocationId)?.reject(new FunctionTimedOut(message));
        this.#killFor(message);
      };
      const timer = timeout === undefined ? undefined : setTimeout(expire, Math.min(timeout, 2 ** 31 - 1));
      timer?.unref();
      this.#pending.set(invocationId, { resolve, reject, timer });
      this.#child.send({ type: "invoke", functionId: id, invocationId, inputs, triggerMetadata }, (error) => {
        if (error) this.#settle(invocationId)?.reject(new WorkerGone(`The worker process cannot be reached: ${error.message}`));
      });
    });
  }

  /** Lets the app's `appTerminate` hooks run for a moment, then ends the process. */
  async stop(): Promise<void> {
    if (this.alive && this.#child.connected) this.#child.send({ type: "stop" }, () => {});
    const timer = setTimeout(() => this.kill(), 400);
    await this.ended;
    clearTimeout(timer);
  }

  /** Ends the process at once, whatever it does. */
  kill(): void {
    const { pid } = this.#child;
    if (this.#gone !== undefined || pid === undefined) return;
    try {
      process.kill(process.platform === "win32" ? pid : -pid, "SIGKILL");
    } catch {
      // Gone already.
    }
  }

  #killFor(reason: string): void {
    this.#killedFor ??= reason;
    this.kill();
  }

  #told(message: Message): void {
    if (message.type === "result") this.#settle(message.invocationId)?.resolve(message);
    else if (message.type === "error") {
      const { name, message: text, stack } = message.error;
      this.#settle(message.invocationId)?.reject(new FunctionFailed(name, text, stack));
    } else if (message.type === "log") this.launch.onLog(message);
    else if (message.type === "memory") this.#measured(message.bytes);
    else if (message.type === "binary") this.launch.onBinary(message.name);
  }

  #settle(invocationId: string): Pending | undefined {
    const pending = this.#pending.get(invocationId);
    this.#pending.delete(invocationId);
    clearTimeout(pending?.timer);
    return pending;
  }

  #readMemory(): void {
    if (process.platform !== "linux") return;
    try {
      // The high-water mark: a peak between two looks counts too.
      const kilobytes = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${this.#child.pid}/status`, "utf8"))?.[1];
      if (kilobytes) this.#measured(Number(kilobytes) * 1024);
    } catch {
      // Just gone.
    }
  }

  #measured(bytes: number): void {
    if (bytes <= this.launch.memory * 1_048_576) return;
    this.#killFor(`out of memory: ${Math.round(bytes / 1_048_576)} MB, and instanceMemoryMB is ${this.launch.memory}`);
  }

  #end(how: string): void {
    if (this.#gone !== undefined) return;
    this.#gone = this.#killedFor ?? how;
    clearInterval(this.#poll);
    for (const invocationId of [...this.#pending.keys()])
      this.#settle(invocationId)?.reject(new WorkerGone(`The worker process ended while the function ran: ${this.#gone}.`));
  }
}

/** `90_000` → `"00:01:30"` */
function timespan(milliseconds: number): string {
  const seconds = Math.ceil(milliseconds / 1000);
  return [seconds / 3600, (seconds / 60) % 60, seconds % 60].map((part) => String(Math.floor(part)).padStart(2, "0")).join(":");
}
