import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import type { Duplex, Readable } from "node:stream";
import { fileURLToPath } from "node:url";

/** What one execution environment is made of. */
export interface Launch {
  functionName: string;
  functionArn: string;
  /** Folder of the unpacked package. */
  root: string;
  handler: string;
  /** MB. */
  memorySize: number;
  /** Seconds. */
  timeout: number;
  /** All that the handler finds in `process.env`, but for the address of the Runtime API. */
  variables: Record<string, string>;
  /** A file of the host's install, from which binaries of sharp are resolved that the package has for another platform only. */
  binariesOf?: string | undefined;
  /** Whether X-Ray would sample. */
  traced: boolean;
  onLog(message: string, at: number): void;
  onBinary(name: string): void;
}

export interface Invocation {
  requestId: string;
  /** JSON. */
  event: string;
}

/** How an invocation ended. */
export interface Outcome {
  /** JSON: what the handler returned, or `{errorType, errorMessage, trace?}`. */
  payload: string;
  status: "success" | "error" | "failure" | "timeout";
  errorType?: string;
  /** Milliseconds that the handler ran, and that the environment took to start when this invocation was its first. */
  duration: number;
  init?: number;
  /** Largest resident memory so far, MB. */
  memory: number;
}

/** What a response may have at most: 6 MB and a little. */
const RESPONSE_LIMIT = 6_291_556;
/** The init phase may take this long; what is beyond counts as the invocation's time. */
const INIT_LIMIT = 10_000;
const MEMORY_POLL = 40;

type Answer = Pick<Outcome, "payload" | "status" | "errorType">;

/** One execution environment: a child process with the unpacked package, speaking the Lambda Runtime API with us. It serves one invocation at a time. */
export class ExecutionEnvironment {
  /** Settles when the process is gone. */
  readonly ended: Promise<void>;
  #child: ChildProcess | undefined;
  #exited = false;
  #server: http.Server;
  #next: http.ServerResponse | undefined;
  #current:
    | { invocation: Invocation; settle: (outcome: Outcome) => void; answer?: Answer; startedAt?: number; timer?: NodeJS.Timeout }
    | undefined;
  #initError: Answer | undefined;
  #killedFor: Answer | undefined;
  /** How the process went, in the words of Lambda. */
  #how: string | undefined;
  readonly #launchedAt = performance.now();
  #init: number | undefined;
  #initReported = false;
  #memory = 0;
  #poll: NodeJS.Timeout | undefined;
  #end!: () => void;

  private constructor(private readonly launch: Launch) {
    this.ended = new Promise((resolve) => (this.#end = resolve));
    this.#server = http.createServer((request, response) => this.#serve(request, response));
  }

  static async start(launch: Launch): Promise<ExecutionEnvironment> {
    const environment = new ExecutionEnvironment(launch);
    const server = environment.#server;
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
    environment.#spawn((server.address() as AddressInfo).port);
    return environment;
  }

  /** Whether it can take an invocation. */
  get usable(): boolean {
    return !this.#exited && !this.#current && !this.#killedFor;
  }

  run(invocation: Invocation): Promise<Outcome> {
    return new Promise((settle) => {
      this.#current = { invocation, settle };
      if (this.#exited) return this.#finish();
      this.#watchMemory();
      if (this.#next) this.#deliver();
      else {
        const left = Math.max(0, INIT_LIMIT - (performance.now() - this.#launchedAt));
        this.#current.timer = setTimeout(() => this.#startClock(), left);
      }
    });
  }

  /** Ends the process at once, whatever it does. */
  kill(): void {
    if (!this.#exited) this.#signal();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** Kills the process and, where the system can, those that it started. */
  #signal(): void {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(process.platform === "win32" ? pid : -pid, "SIGKILL");
    } catch {
      // Gone already.
    }
  }

  #spawn(port: number): void {
    const { launch } = this;
    const options = { binariesOf: launch.binariesOf, reportMemory: process.platform !== "linux" };
    const heap = Math.floor(launch.memorySize * 0.9);
    const bootstrap = fileURLToPath(new URL("./bootstrap.mjs", import.meta.url));
    const child = spawn(process.execPath, [`--max-old-space-size=${heap}`, bootstrap, JSON.stringify(options)], {
      cwd: launch.root,
      env: { ...launch.variables, AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${port}` },
      stdio: ["ignore", "pipe", "pipe", "pipe"],
      windowsHide: true,
      // A process group of its own: an interrupt from the terminal ends the embedded cloud, which then ends the environments in order.
      detached: process.platform !== "win32",
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream as Readable }).on("line", (line) => launch.onLog(line, Date.now()));
    createInterface({ input: child.stdio[3] as Duplex }).on("line", (line) => this.#told(JSON.parse(line)));
    child.stdio[3]?.on("error", () => {});
    child.once("error", (error) => this.#gone(`exit error: ${error.message}`));
    const how = (code: number | null, signal: NodeJS.Signals | null) =>
      signal ? `signal: ${SIGNALS[signal] ?? signal}` : code ? `exit status ${code}` : undefined;
    child.once("close", (code, signal) => this.#gone(how(code, signal)));
    // Its output may be held open by a process that it started.
    child.once("exit", (code, signal) => setTimeout(() => this.#gone(how(code, signal)), 200).unref());
  }

  #told(message: { log?: string; at?: number; memory?: number; binary?: string }): void {
    if (message.log !== undefined) this.launch.onLog(message.log, message.at ?? Date.now());
    if (message.binary !== undefined) this.launch.onBinary(message.binary);
    if (message.memory !== undefined) this.#measured(message.memory);
  }

  #serve(request: http.IncomingMessage, response: http.ServerResponse): void {
    const action = request.url?.replace("/2018-06-01/runtime/", "");
    if (action === "invocation/next") {
      this.#next = response;
      this.#init ??= performance.now() - this.#launchedAt;
      // After the poll phase, so that what the process wrote before this request has been read.
      setImmediate(() => (this.#current?.answer ? this.#finish() : this.#deliver()));
      return;
    }
    const chunks: Buffer[] = [];
    let size = 0;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= RESPONSE_LIMIT) chunks.push(chunk);
    });
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString();
      const mine = action?.startsWith(`invocation/${this.#current?.invocation.requestId}/`);
      if (action === "init/error") this.#initError = failed(body);
      else if (mine && this.#current)
        this.#current.answer ??= action?.endsWith("/error")
          ? failed(body)
          : size > RESPONSE_LIMIT
            ? tooLarge
            : { payload: body, status: "success" };
      response.writeHead(202, { "content-type": "application/json" }).end('{"status":"OK"}');
    });
  }

  #deliver(): void {
    const [current, next] = [this.#current, this.#next];
    if (!current || !next || current.startedAt !== undefined) return;
    this.#next = undefined;
    this.#startClock();
    const trace = `Root=1-${Math.floor(Date.now() / 1000).toString(16)}-${randomBytes(12).toString("hex")};Parent=${randomBytes(8).toString("hex")}`;
    next.writeHead(200, {
      "content-type": "application/json",
      "lambda-runtime-aws-request-id": current.invocation.requestId,
      "lambda-runtime-deadline-ms": Date.now() + this.launch.timeout * 1000,
      "lambda-runtime-invoked-function-arn": this.launch.functionArn,
      "lambda-runtime-trace-id": `${trace};Sampled=${this.launch.traced ? 1 : 0}`,
    });
    next.end(current.invocation.event);
  }

  #startClock(): void {
    const current = this.#current;
    if (!current) return;
    clearTimeout(current.timer);
    current.startedAt ??= performance.now();
    current.timer = setTimeout(
      () => this.#killFor({ ...this.#fault("Sandbox.Timedout", this.#timeoutText()), status: "timeout" }),
      this.launch.timeout * 1000,
    );
  }

  #timeoutText = () => `Task timed out after ${this.launch.timeout.toFixed(2)} seconds`;

  /** Ends the process because of what the invocation did. */
  #killFor(answer: Answer): void {
    this.#killedFor ??= answer;
    this.#signal();
  }

  #fault(errorType: string, text: string): Answer {
    const requestId = this.#current?.invocation.requestId ?? "";
    return { payload: JSON.stringify({ errorType, errorMessage: `RequestId: ${requestId} Error: ${text}` }), status: "failure", errorType };
  }

  #watchMemory(): void {
    if (process.platform !== "linux" || this.#poll) return;
    this.#readMemory();
    this.#poll = setInterval(() => this.#readMemory(), MEMORY_POLL);
  }

  #readMemory(): void {
    try {
      // The high-water mark: a peak between two looks counts too.
      const kilobytes = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${this.#child?.pid}/status`, "utf8"))?.[1];
      if (kilobytes) this.#measured(Number(kilobytes) * 1024);
    } catch {
      // Just gone.
    }
  }

  #measured(bytes: number): void {
    this.#memory = Math.max(this.#memory, bytes);
    if (this.#current && this.#memory > this.launch.memorySize * 1_048_576)
      this.#killFor(this.#fault("Runtime.OutOfMemory", "Runtime exited with error: signal: killed"));
  }

  #gone(how: string | undefined): void {
    if (this.#exited) return;
    this.#exited = true;
    this.#how = how;
    clearInterval(this.#poll);
    this.#server.close();
    this.#server.closeAllConnections();
    if (this.#current) this.#finish();
    this.#end();
  }

  #finish(): void {
    const current = this.#current;
    if (!current) return;
    if (!this.#exited && process.platform === "linux") this.#readMemory();
    clearTimeout(current.timer);
    clearInterval(this.#poll);
    this.#poll = undefined;
    const exit = this.#how ? `Runtime exited with error: ${this.#how}` : "Runtime exited without providing a reason";
    const answer = this.#killedFor ?? current.answer ?? this.#initError ?? this.#fault("Runtime.ExitError", exit);
    this.#current = undefined;
    current.settle({
      ...answer,
      duration: current.startedAt === undefined ? 0 : performance.now() - current.startedAt,
      ...(this.#initReported ? {} : { init: this.#init ?? performance.now() - this.#launchedAt }),
      memory: Math.max(1, Math.round(Math.min(this.#memory, this.launch.memorySize * 1_048_576) / 1_048_576)),
    });
    this.#initReported = true;
  }
}

const SIGNALS: Partial<Record<NodeJS.Signals, string>> = {
  SIGKILL: "killed",
  SIGABRT: "aborted",
  SIGSEGV: "segmentation fault",
  SIGTERM: "terminated",
};

const tooLarge: Answer = {
  status: "error",
  errorType: "Function.ResponseSizeTooLarge",
  payload: JSON.stringify({
    errorType: "Function.ResponseSizeTooLarge",
    errorMessage: `Response payload size exceeded maximum allowed payload size (${RESPONSE_LIMIT} bytes).`,
  }),
};

function failed(payload: string): Answer {
  const { errorType } = JSON.parse(payload) as { errorType?: string };
  return { payload, status: "error", ...(errorType === undefined ? {} : { errorType }) };
}
