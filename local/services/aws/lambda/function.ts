import { randomUUID } from "node:crypto";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Cloud, Session } from "../../../kernel/cloud.js";
import { CloudError } from "../../../kernel/service.js";
import type { Concurrency } from "./concurrency.js";
import { ExecutionEnvironment, type Outcome } from "./environment.js";
import { EnvironmentLog, type LoggingConfig } from "./logs.js";

/** A function as it was declared, its package unpacked. */
export interface FunctionConfig {
  name: string;
  arn: string;
  role: string;
  /** Folder of the unpacked package. */
  root: string;
  handler: string;
  runtime: string;
  architecture: "arm64" | "x86_64";
  /** MB. */
  memorySize: number;
  /** Seconds. */
  timeout: number;
  /** As declared. */
  variables: Record<string, string>;
  logging: LoggingConfig;
  tracing: "Active" | "PassThrough";
}

/** Keys that Lambda sets itself and lets nobody declare (its guide, "Defined runtime environment variables"). */
export const RESERVED_KEYS: ReadonlySet<string> = new Set([
  "_HANDLER",
  "_X_AMZN_TRACE_ID",
  "AWS_DEFAULT_REGION",
  "AWS_REGION",
  "AWS_EXECUTION_ENV",
  "AWS_LAMBDA_FUNCTION_NAME",
  "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
  "AWS_LAMBDA_FUNCTION_VERSION",
  "AWS_LAMBDA_INITIALIZATION_TYPE",
  "AWS_LAMBDA_LOG_GROUP_NAME",
  "AWS_LAMBDA_LOG_STREAM_NAME",
  "AWS_ACCESS_KEY",
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "AWS_LAMBDA_RUNTIME_API",
  "LAMBDA_TASK_ROOT",
  "LAMBDA_RUNTIME_DIR",
]);

interface Warm {
  environment: ExecutionEnvironment;
  log: EnvironmentLog;
  idle?: NodeJS.Timeout | undefined;
}

/** Invokes one function: starts execution environments as they are needed, uses them again while they are warm, and ends them when they are not used. */
export class LambdaFunction {
  readonly #warm = new Set<Warm>();
  readonly #noted = new Set<string>();
  #retired = false;

  constructor(
    readonly config: FunctionConfig,
    private readonly cloud: Cloud,
    private readonly concurrency: Concurrency,
    /** Milliseconds that an unused environment stays. */
    private readonly idle: number,
  ) {}

  /** @throws CloudError (TooManyRequestsException) at once when no slot is free */
  async invoke(event: string, requestId: string = randomUUID()): Promise<Outcome & { tail: string }> {
    return this.run(event, requestId, this.concurrency.acquire(this.config.name));
  }

  /** The same in a slot that the caller has taken. */
  async run(event: string, requestId: string, release: () => void): Promise<Outcome & { tail: string }> {
    try {
      const warm = [...this.#warm].find(({ environment }) => environment.usable) ?? (await this.#start());
      clearTimeout(warm.idle);
      const running = warm.environment.run({ requestId, event });
      warm.log.started(requestId);
      const outcome = await running;
      const tail = warm.log.ended(requestId, outcome, this.config.memorySize, this.config.timeout);
      if (this.#retired) warm.environment.kill();
      else warm.idle = setTimeout(() => warm.environment.kill(), this.idle).unref();
      return { ...outcome, tail };
    } finally {
      release();
    }
  }

  /** Lets what is running finish, and ends the rest: the function has been changed or deleted. */
  retire(): void {
    this.#retired = true;
    for (const { environment } of this.#warm) if (environment.usable) environment.kill();
  }

  /** Ends all environments, whatever they do. */
  async stop(): Promise<void> {
    this.#retired = true;
    const ended = [...this.#warm].map(({ environment, idle }) => {
      clearTimeout(idle);
      environment.kill();
      return environment.ended;
    });
    await Promise.all(ended);
  }

  async #start(): Promise<Warm> {
    const { config, cloud } = this;
    const session = assumed(config, cloud);
    const log = new EnvironmentLog(cloud, config.name, config.logging, session.principal);
    const environment = await ExecutionEnvironment.start({
      functionName: config.name,
      functionArn: config.arn,
      root: config.root,
      handler: config.handler,
      memorySize: config.memorySize,
      timeout: config.timeout,
      traced: config.tracing === "Active",
      binariesOf: isForeign(config.architecture) ? HOST_INSTALL : undefined,
      variables: {
        ...config.variables,
        AWS_ACCESS_KEY_ID: session.accessKeyId,
        AWS_SECRET_ACCESS_KEY: session.secretAccessKey,
        AWS_SESSION_TOKEN: session.sessionToken,
        AWS_REGION: cloud.region,
        AWS_DEFAULT_REGION: cloud.region,
        AWS_EXECUTION_ENV: `AWS_Lambda_${config.runtime}`,
        AWS_LAMBDA_FUNCTION_NAME: config.name,
        AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(config.memorySize),
        AWS_LAMBDA_INITIALIZATION_TYPE: "on-demand",
        AWS_LAMBDA_LOG_GROUP_NAME: config.logging.logGroup,
        AWS_LAMBDA_LOG_STREAM_NAME: log.stream,
        AWS_LAMBDA_LOG_FORMAT: config.logging.logFormat,
        ...(config.logging.logFormat === "JSON" ? { AWS_LAMBDA_LOG_LEVEL: config.logging.applicationLogLevel ?? "INFO" } : {}),
        LAMBDA_TASK_ROOT: config.root,
        LAMBDA_RUNTIME_DIR: path.dirname(fileURLToPath(import.meta.url)),
        _HANDLER: config.handler,
        LANG: config.variables.LANG ?? "en_US.UTF-8",
        TZ: config.variables.TZ ?? ":UTC",
        ...ofSystem(config.variables),
        AWS_ENDPOINT_URL: cloud.url,
      },
      onLog: (message, at) => log.line(message, at),
      onBinary: (name) =>
        this.#note(`packaged for Linux on ${config.architecture}: ${name.split("/").slice(0, 2).join("/")} is this machine's own`),
    });
    const warm: Warm = { environment, log };
    this.#warm.add(warm);
    void environment.ended.then(() => {
      clearTimeout(warm.idle);
      this.#warm.delete(warm);
      void cloud.busy(log.flush());
    });
    if (this.#retired) environment.kill();
    return warm;
  }

  /** Says it once. */
  #note(text: string): void {
    if (this.#noted.has(text)) return;
    this.#noted.add(text);
    this.cloud.trace.add({ kind: "note", subject: this.config.name, text });
  }
}

/** A session of the function's role. @throws CloudError when Lambda may not assume it */
export function assumed({ role, name, arn }: Pick<FunctionConfig, "role" | "name" | "arn">, cloud: Cloud): Session {
  try {
    return cloud.assume(role, name, "lambda.amazonaws.com", arn);
  } catch (error) {
    const message = `The role defined for the function cannot be assumed by Lambda. (${(error as Error).message})`;
    throw new CloudError("InvalidParameterValueException", message);
  }
}

const HOST_INSTALL = fileURLToPath(import.meta.url);

/** Whether the package is for another machine than this one. */
export function isForeign(architecture: FunctionConfig["architecture"]): boolean {
  return process.platform !== "linux" || process.arch !== (architecture === "arm64" ? "arm64" : "x64");
}

/** What a process of Node.js needs of the system that it runs on. */
function ofSystem(declared: Record<string, string>): Record<string, string> {
  if (process.platform !== "win32") return { PATH: declared.PATH ?? "/usr/local/bin:/usr/bin:/bin" };
  return Object.fromEntries(["SystemRoot", "PATH", "TEMP"].flatMap((key) => (process.env[key] ? [[key, process.env[key]]] : [])));
}

/** @throws CloudError for variables that Lambda would refuse */
export function checkVariables(variables: Record<string, string>): void {
  const refuse = (reason: string) => {
    const message = `Lambda was unable to configure your environment variables because the environment variables you have provided ${reason}`;
    throw new CloudError("InvalidParameterValueException", message);
  };
  const reserved = Object.keys(variables).filter((key) => RESERVED_KEYS.has(key));
  if (reserved.length > 0)
    refuse(
      `contains reserved keys that are currently not supported for modification. Reserved keys used in this request: ${reserved.join(", ")}`,
    );
  for (const key of Object.keys(variables))
    if (!/^[a-zA-Z][a-zA-Z0-9_]+$/.test(key))
      throw new CloudError(
        "ValidationException",
        `Value at 'environment.variables' failed to satisfy constraint: Map keys must satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]: "${key}"`,
      );
  const size = Buffer.byteLength(JSON.stringify(variables));
  if (size > 4096) refuse(`exceeded the 4KB limit. String measured: ${size} bytes`);
}
