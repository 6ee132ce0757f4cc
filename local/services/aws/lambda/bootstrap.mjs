// What every execution environment runs: the runtime's side of the documented Lambda Runtime API, for handlers in Node.js.
// It is plain JavaScript because it is started by itself, beside code that it must not influence; nothing of the embedded cloud is loaded.
//
// File descriptor 3 leads to the embedded cloud. It carries what the Runtime API has no words for, one JSON object a line: records of
// `console`, resident memory where the host cannot be asked for it, and binaries that were taken from the host. Its end means that the
// embedded cloud is gone, and so is this process then.
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import net from "node:net";
import path from "node:path";
import { pathToFileURL } from "node:url";
import util from "node:util";
import { resolveBinariesFrom } from "../../../kernel/host-binaries.mjs";

const options = JSON.parse(process.argv[2]);
process.argv.length = 2;

const parent = new net.Socket({ fd: 3 });
parent.on("error", () => process.exit(1)).on("close", () => process.exit(1));
parent.resume();
parent.unref();

function tell(message) {
  const bytes = Buffer.from(`${JSON.stringify(message)}\n`);
  if (process.platform === "win32") return void parent.write(bytes);
  // Synchronous, so that what was logged before a response, an exit or a kill is there before it.
  for (let at = 0; at < bytes.length; ) {
    try {
      at += fs.writeSync(3, bytes, at);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

if (options.reportMemory) {
  const report = () => tell({ memory: process.memoryUsage.rss() });
  report();
  setInterval(report, 100).unref();
}

if (options.binariesOf) resolveBinariesFrom(options.binariesOf, (binary) => tell({ binary }));

// --- console

let requestId;
const levels = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
const json = process.env.AWS_LAMBDA_LOG_FORMAT === "JSON";
const threshold = Math.max(0, levels.indexOf(process.env.AWS_LAMBDA_LOG_LEVEL));

const ofError = (error) => ({
  errorType: error?.constructor?.name ?? "UnknownError",
  errorMessage: error.message,
  stackTrace: typeof error.stack === "string" ? error.stack.split("\n") : [],
});

function record(level, parameters) {
  const timestamp = new Date().toISOString();
  if (!json) return `${timestamp}\t${requestId}\t${level}\t${util.format(...parameters)}`;
  const head = { timestamp, level, requestId };
  if (parameters.length !== 1) {
    const error = parameters.find((parameter) => parameter instanceof Error);
    return JSON.stringify({ ...head, message: util.format(...parameters), ...(error && ofError(error)) });
  }
  try {
    return JSON.stringify({ ...head, message: parameters[0] }, (_, value) =>
      value instanceof Error ? { ...ofError(value), ...value } : value,
    );
  } catch {
    return JSON.stringify({ ...head, message: util.format(...parameters) });
  }
}

const write = (level) =>
  levels.indexOf(level) < threshold ? () => {} : (...parameters) => tell({ log: record(level, parameters), at: Date.now() });
Object.assign(console, {
  trace: write("TRACE"),
  debug: write("DEBUG"),
  info: write("INFO"),
  log: write("INFO"),
  warn: write("WARN"),
  error: write("ERROR"),
  fatal: write("FATAL"),
});

// --- errors

class RuntimeFault extends Error {
  constructor(name, message) {
    super(message);
    this.name = `Runtime.${name}`;
  }
}

function report(error) {
  try {
    if (util.types.isNativeError(error) || (error?.name && error.message && error.stack))
      return { errorType: error.name, errorMessage: error.message, trace: error.stack.split("\n") };
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  } catch {
    return { errorType: "handled", errorMessage: "The error's name, message or stack cannot be read.", trace: [] };
  }
}

function logged(title, error) {
  const described = report(error);
  const { errorType, errorMessage, trace: stack } = described;
  const own = error instanceof Error ? { ...error } : {};
  if (json) console.error(error instanceof Error ? error : new Error(String(error)));
  else console.error(`${title} \t${JSON.stringify({ errorType, errorMessage, ...own, stack })}`);
  return described;
}

// --- Runtime API

const [hostname, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function call(method, action, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request({ hostname, port, agent, method, path: `/2018-06-01/runtime/${action}`, headers }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks).toString() }));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

const fail = (described) =>
  call("POST", requestId === undefined ? "init/error" : `invocation/${requestId}/error`, JSON.stringify(described), {
    "content-type": "application/json",
    "lambda-runtime-function-error-type": described.errorType,
  });

process.on("uncaughtException", (error) => void fail(logged("Uncaught Exception", error)).finally(() => process.exit(129)));
process.on("unhandledRejection", (reason) => {
  const error = new RuntimeFault("UnhandledPromiseRejection", reason instanceof Error ? String(reason) : reason?.toString());
  error.reason = reason;
  void fail(logged("Unhandled Promise Rejection", error)).finally(() => process.exit(128));
});

// --- the handler

function isModule(folder) {
  for (let at = folder; at.startsWith(process.env.LAMBDA_TASK_ROOT); at = path.dirname(at)) {
    const file = path.join(at, "package.json");
    if (fs.existsSync(file)) return JSON.parse(fs.readFileSync(file, "utf8")).type === "module";
  }
  return false;
}

async function load(specification) {
  if (specification.includes("..")) throw new RuntimeFault("MalformedHandlerName", `'${specification}' is not a valid handler name.`);
  const [, name, member] = /^([^.]*)\.(.*)$/.exec(path.basename(specification)) ?? [];
  if (name === undefined) throw new RuntimeFault("MalformedHandlerName", "Bad handler");
  const root = process.env.LAMBDA_TASK_ROOT;
  const base = path.resolve(root, path.dirname(specification), name);
  const require = createRequire(path.join(root, "index.js"));
  const loaders = [
    [".js", isModule(path.dirname(base)) ? (file) => import(pathToFileURL(file)) : require],
    [".mjs", (file) => import(pathToFileURL(file))],
    [".cjs", require],
  ];
  const [extension, open] = loaders.find(([extension]) => fs.existsSync(base + extension)) ?? [];
  try {
    if (!open) throw Object.assign(new Error(`Cannot find module '${name}'`), { code: "MODULE_NOT_FOUND" });
    const loaded = await open(base + extension);
    const handler = member.split(".").reduce((value, key) => value?.[key], loaded);
    if (!handler) throw new RuntimeFault("HandlerNotFound", `${specification} is undefined or not exported`);
    if (typeof handler !== "function") throw new RuntimeFault("HandlerNotFound", `${specification} is not a function`);
    if (handler.length > 2)
      throw new RuntimeFault(
        "CallbackHandlerDeprecated",
        `${specification} takes a callback; Node.js 24 has no callback handlers. Make it async.`,
      );
    return handler;
  } catch (error) {
    if (error instanceof SyntaxError) throw new RuntimeFault("UserCodeSyntaxError", String(error));
    if (error.code === "MODULE_NOT_FOUND") throw new RuntimeFault("ImportModuleError", String(error));
    throw error;
  }
}

let handler;
try {
  handler = await load(process.env._HANDLER);
} catch (error) {
  await fail(logged("Uncaught Exception", error));
  process.exit(1);
}

for (;;) {
  const { headers, body } = await call("GET", "invocation/next").catch(() => process.exit(1));
  requestId = headers["lambda-runtime-aws-request-id"];
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  process.env._X_AMZN_TRACE_ID = headers["lambda-runtime-trace-id"];
  const context = {
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    awsRequestId: requestId,
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    clientContext: undefined,
    identity: undefined,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
  let answer;
  try {
    const result = await handler(JSON.parse(body), context);
    try {
      answer = JSON.stringify(result === undefined ? null : result) ?? "null";
    } catch {
      throw new Error("Unable to stringify response body");
    }
  } catch (error) {
    await fail(logged("Invoke Error", error));
    continue;
  }
  await call("POST", `invocation/${requestId}/response`, answer, { "content-type": "application/json" });
}
