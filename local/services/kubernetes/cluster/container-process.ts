import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

/** What a container's process is started with. */
export interface Launch {
  /** Arguments of Node.js: its options, the program, the program's arguments. */
  args: string[];
  /** Folder that it runs in. */
  folder: string;
  /** All that it finds in `process.env`. */
  environment: Record<string, string>;
  /** Bytes that it may take; none is no limit. */
  memory: number | undefined;
  /** Folders that it may write to; none is all. */
  writable: readonly string[] | undefined;
  onLine(line: string, stream: "stdout" | "stderr"): void;
}

/** How a container ended. */
export interface Termination {
  exitCode: number;
  reason: "Completed" | "Error" | "OOMKilled" | "StartError";
  message?: string;
}

const BOOTSTRAP = pathToFileURL(`${import.meta.dirname}/bootstrap.mjs`).href;
/** Names of Node's permission model, which has changed its own. */
const known = (flag: string): boolean => process.allowedNodeEnvironmentFlags.has(flag);

/** Options that let a program read everything, and write in these folders only. What native code writes is not looked at. */
const readOnlyBut = (folders: readonly string[]): string[] => [
  known("--permission") ? "--permission" : "--experimental-permission",
  ...["--allow-fs-read=*", ...folders.map((folder) => `--allow-fs-write=${folder}/`)],
  ...["--allow-addons", "--allow-worker", "--allow-child-process", ...(known("--allow-net") ? ["--allow-net"] : [])],
  // Of these options themselves.
  ...["--disable-warning=SecurityWarning", "--disable-warning=ExperimentalWarning"],
];

const MEMORY_POLL = 100;
const SIGNALS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 };

/** The process of a container, supervised from start to end. */
export class ContainerProcess {
  /** Settles when the process is gone. */
  readonly ended: Promise<Termination>;
  readonly #child: ChildProcess;
  readonly #poll: NodeJS.Timeout | undefined;
  #gone = false;
  #outOfMemory: string | undefined;

  constructor(private readonly launch: Launch) {
    const { memory, writable, args, folder, environment, onLine } = launch;
    // As Node.js does by itself where a container's memory is limited.
    const heap = memory === undefined ? [] : [`--max-old-space-size=${Math.max(32, Math.floor(memory / 2 ** 21))}`];
    this.#child = spawn(process.execPath, [...heap, ...(writable ? readOnlyBut(writable) : []), "--import", BOOTSTRAP, ...args], {
      cwd: folder,
      env: environment,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      windowsHide: true,
      // A process group of its own: an interrupt from the terminal ends the embedded cloud, which then ends the container in order.
      detached: process.platform !== "win32",
    });
    for (const stream of ["stdout", "stderr"] as const) {
      const readable = this.#child[stream];
      if (readable) createInterface({ input: readable }).on("line", (line) => onLine(line, stream));
    }
    this.ended = new Promise((resolve) => {
      this.#child.once("error", (error) => {
        this.#end();
        resolve({ exitCode: 128, reason: "StartError", message: error.message });
      });
      // Once all that it has written is read.
      this.#child.once("close", (code, signal) => {
        this.#end();
        const exitCode = code ?? 128 + (SIGNALS[signal ?? ""] ?? 0);
        if (this.#outOfMemory !== undefined) resolve({ exitCode, reason: "OOMKilled", message: this.#outOfMemory });
        else resolve({ exitCode, reason: exitCode === 0 ? "Completed" : "Error" });
      });
    });
    if (memory !== undefined && process.platform === "linux") {
      this.#poll = setInterval(() => this.#readMemory(), MEMORY_POLL);
      this.#poll.unref();
    }
    this.#child.on("message", (message: { memory?: unknown }) => {
      if (typeof message?.memory === "number") this.#measured(message.memory);
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Asks it to end. */
  terminate(signal: NodeJS.Signals): void {
    this.#send(this.#child.pid, signal);
  }

  /** Ends it, and what it has started, at once. */
  kill(): void {
    const { pid } = this.#child;
    this.#send(process.platform === "win32" || pid === undefined ? pid : -pid, "SIGKILL");
  }

  #send(pid: number | undefined, signal: NodeJS.Signals): void {
    if (this.#gone || pid === undefined) return;
    try {
      process.kill(pid, signal);
    } catch {
      // Gone already.
    }
  }

  #end(): void {
    this.#gone = true;
    clearInterval(this.#poll);
  }

  #readMemory(): void {
    try {
      const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${this.#child.pid}/status`, "utf8"))?.[1];
      if (kilobytes) this.#measured(Number(kilobytes) * 1024);
    } catch {
      // Just gone.
    }
  }

  #measured(bytes: number): void {
    const { memory } = this.launch;
    if (memory === undefined || bytes <= memory || this.#outOfMemory !== undefined) return;
    this.#outOfMemory = `${Math.round(bytes / 2 ** 20)} Mi in use, and the limit is ${Math.round(memory / 2 ** 20)} Mi`;
    this.kill();
  }
}
