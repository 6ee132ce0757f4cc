import { randomBytes } from "node:crypto";
import type { Cloud } from "../../../kernel/cloud.js";
import { CloudError, type Principal } from "../../../kernel/service.js";
import type { Outcome } from "./environment.js";

export interface LoggingConfig {
  logFormat: "Text" | "JSON";
  logGroup: string;
  applicationLogLevel?: string;
  systemLogLevel?: string;
}

/** Level of each platform event (Lambda's guide, "System log level event mapping"). */
const LEVELS = ["DEBUG", "INFO", "WARN"];

/**
 * The log stream of one execution environment. Lines go to the declared log group as the function's role, so a role that may not write
 * loses them, as on AWS; the trace has them in any case.
 */
export class EnvironmentLog {
  readonly stream: string;
  #events: { timestamp: number; message: string }[] = [];
  #created = false;
  #lost = false;
  #flushing: Promise<void> = Promise.resolve();
  /** Lines of the current invocation, for `LogType: Tail`. */
  #tail: string[] = [];

  constructor(
    private readonly cloud: Cloud,
    private readonly functionName: string,
    private readonly config: LoggingConfig,
    private readonly role: Principal,
  ) {
    const day = cloud.now().toISOString().slice(0, 10).replaceAll("-", "/");
    const own = config.logGroup === `/aws/lambda/${functionName}`;
    this.stream = `${day}/${own ? "" : functionName}[$LATEST]${randomBytes(16).toString("hex")}`;
  }

  /** A line of the function's own. */
  line(message: string, at: number): void {
    this.cloud.trace.add(
      { kind: "log", subject: this.functionName, text: message, detail: { logGroup: this.config.logGroup, logStream: this.stream } },
      at,
    );
    this.#add(message, at);
  }

  started(requestId: string): void {
    this.#tail = [];
    this.#platform("INFO", "platform.start", { requestId, version: "$LATEST" }, `START RequestId: ${requestId} Version: $LATEST`);
  }

  /** The end of an invocation. Returns its last 4 KB of lines. */
  ended(requestId: string, { status, errorType, duration, init, memory }: Outcome, memorySize: number, timeout: number): string {
    const billed = Math.ceil(duration + (init ?? 0));
    const metrics = {
      durationMs: round(duration),
      billedDurationMs: billed,
      memorySizeMB: memorySize,
      maxMemoryUsedMB: memory,
      ...(init === undefined ? {} : { initDurationMs: round(init) }),
    };
    if (status === "timeout" && this.config.logFormat === "Text")
      this.#add(`${new Date().toISOString()} ${requestId} Task timed out after ${timeout.toFixed(2)} seconds`, Date.now());
    if (this.config.logFormat === "Text") this.#add(`END RequestId: ${requestId}`, Date.now());
    const text = [
      `REPORT RequestId: ${requestId}`,
      `Duration: ${duration.toFixed(2)} ms`,
      `Billed Duration: ${billed} ms`,
      `Memory Size: ${memorySize} MB`,
      `Max Memory Used: ${memory} MB`,
      ...(init === undefined ? [] : [`Init Duration: ${init.toFixed(2)} ms`]),
      ...(status === "timeout" ? ["Status: timeout"] : status === "failure" ? [`Status: error\tError Type: ${errorType}`] : []),
      "",
    ].join("\t");
    const failed = status === "success" || status === "error" ? {} : { errorType };
    this.#platform(status === "success" ? "INFO" : "WARN", "platform.report", { requestId, metrics, status, ...failed }, text);
    const tail = Buffer.from(this.#tail.join("\n")).subarray(-4096).toString("base64");
    void this.cloud.busy(this.flush());
    return tail;
  }

  /** Hands over what has been written so far. Never rejects. */
  flush(): Promise<void> {
    const events = this.#events;
    this.#events = [];
    if (events.length > 0) this.#flushing = this.#flushing.then(() => this.#put(events));
    return this.#flushing;
  }

  #platform(level: string, type: string, record: unknown, text: string): void {
    if (this.config.logFormat === "Text") {
      this.#add(text, Date.now());
      return;
    }
    if (LEVELS.indexOf(level) < LEVELS.indexOf(this.config.systemLogLevel ?? "INFO")) return;
    this.#add(JSON.stringify({ time: new Date().toISOString(), type, record }), Date.now());
  }

  #add(message: string, timestamp: number): void {
    this.#tail.push(message);
    if (message !== "") this.#events.push({ timestamp, message });
  }

  async #put(logEvents: { timestamp: number; message: string }[]): Promise<void> {
    if (this.#lost) return;
    const { logGroup: logGroupName } = this.config;
    const call = (operation: string, input: object) =>
      this.cloud.call({ service: "logs", operation, input: { logGroupName, ...input }, as: this.role });
    const create = () => call("CreateLogStream", { logStreamName: this.stream });
    try {
      if (!this.#created) {
        await create().catch(async (error) => {
          if (!(error instanceof CloudError) || error.code !== "ResourceNotFoundException") throw error;
          await call("CreateLogGroup", {});
          await create();
        });
        this.#created = true;
      }
      await call("PutLogEvents", { logStreamName: this.stream, logEvents });
    } catch (error) {
      this.#lost = true;
      const text = `${this.functionName} cannot write to its log group ${logGroupName}: its lines are only here`;
      this.cloud.trace.add({ kind: "note", subject: this.functionName, text, detail: { error: (error as Error).message } });
    }
  }
}

const round = (milliseconds: number) => Math.round(milliseconds * 1000) / 1000;
