// What the worker process of a function app runs: the worker's side of Azure Functions for Node.js, programming model v4.
// It is plain JavaScript because it is started by itself, beside code that it must not influence; nothing of the embedded cloud is loaded.
//
// The module "@azure/functions-core", which the real worker injects and the library @azure/functions calls, is made here. What the host asks
// and hears goes over the process's channel, as structured clones.
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { createRequire, Module } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { resolveBinariesFrom } from "../../../kernel/host-binaries.mjs";

const options = JSON.parse(process.argv[2]);
process.argv.length = 2;

const channel = process.send.bind(process);
const tell = (message) => void channel(message, () => {});
process.on("disconnect", () => process.exit(1));
process.send = undefined;

if (options.reportMemory) setInterval(() => tell({ type: "memory", bytes: process.memoryUsage.rss() }), 200).unref();
if (options.binariesOf) resolveBinariesFrom(options.binariesOf, (name) => tell({ type: "binary", name }));

const described = (error) =>
  error instanceof Error
    ? { name: error.name, message: error.message, stack: error.stack ?? "" }
    : { name: typeof error, message: String(error), stack: "" };

// --- @azure/functions-core

class Disposable {
  constructor(dispose) {
    this.dispose = dispose;
  }
  static from(...all) {
    return new Disposable(() => all.forEach((each) => void each.dispose()));
  }
}

const functions = new Map();
const hooks = new Map();
const appHookData = {};
let model;
let started = false;

const core = {
  version: "4.0.0",
  hostVersion: "4.1000.0",
  Disposable,
  setProgrammingModel: (given) => (model = given),
  getProgrammingModel: () => model,
  log: (level, category, message) => tell({ type: "log", level, category, message }),
  registerHook(name, callback) {
    const list = hooks.get(name) ?? [];
    hooks.set(name, [...list, callback]);
    return new Disposable(() =>
      hooks.set(
        name,
        hooks.get(name).filter((each) => each !== callback),
      ),
    );
  },
  registerFunction(metadata, callback) {
    if (started) throw new Error("A function can only be registered during app startup.");
    const id = metadata.functionId ?? metadata.name;
    if (functions.has(id)) throw new Error(`A function with id "${id}" has already been registered.`);
    functions.set(id, { metadata: { ...metadata, functionId: id }, callback });
    return new Disposable(() => functions.delete(id));
  },
};

const load = Module.prototype.require;
Module.prototype.require = function (id) {
  return id === "@azure/functions-core" ? core : load.call(this, id);
};

async function runHooks(name, context) {
  for (const hook of hooks.get(name) ?? []) await hook(context);
}

// --- the app

const isModule = (file) => {
  if (file.endsWith(".mjs")) return true;
  if (file.endsWith(".cjs")) return false;
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    const manifest = path.join(folder, "package.json");
    if (fs.existsSync(manifest)) return JSON.parse(fs.readFileSync(manifest, "utf8")).type === "module";
    if (folder === options.root) return false;
  }
};

/** Files that `main` of package.json names: one, or those that a pattern with `*` and `**` matches. */
function entries(main) {
  if (!main.includes("*")) return [main];
  const pattern = main.replace(/^\.\//, "").replace(/[.+^${}()|[\]\\?]/g, "\\$&");
  const expression = new RegExp(`^${pattern.replaceAll("**/", "\0").replaceAll("*", "[^/]*").replaceAll("\0", "(?:.*/)?")}$`);
  const files = fs.readdirSync(options.root, { recursive: true }).map((file) => file.replaceAll(path.sep, "/"));
  return files.filter((file) => !file.startsWith("node_modules/") && expression.test(file)).sort();
}

async function start() {
  const manifest = path.join(options.root, "package.json");
  if (!fs.existsSync(manifest)) throw new Error("The package has no package.json at its root: its main names the app's entry file.");
  const { main } = JSON.parse(fs.readFileSync(manifest, "utf8"));
  if (typeof main !== "string") throw new Error('package.json has no "main": it names the file, or files, that register the functions.');
  const found = entries(main);
  if (found.length === 0) throw new Error(`package.json's main is "${main}": no file of the package matches it.`);
  const require = createRequire(manifest);
  for (const entry of found) {
    const file = require.resolve(path.resolve(options.root, entry));
    if (isModule(file)) await import(pathToFileURL(file));
    else require(file);
  }
  if (!model) throw new Error(`${found.join(", ")} registered no function with @azure/functions (programming model v4).`);
  await runHooks("appStart", { hookData: {}, appHookData, functionAppDirectory: options.root });
  await model.getCapabilities({});
  started = true;
}

/** A task that is awaited again within another compound is listed again: only the object tells that it is the same one. */
function withRepetitions(state) {
  const seen = new Set();
  const mark = (action) => {
    if (action.compoundActions) action.compoundActions = action.compoundActions.map(mark);
    if (seen.has(action)) return { ...action, repeated: true };
    seen.add(action);
    return action;
  };
  if (Array.isArray(state?.actions)) state.actions = state.actions.map((list) => list.map(mark));
  return state;
}

async function invoke({ functionId, inputs, triggerMetadata, invocationId }) {
  const { metadata, callback } = functions.get(functionId);
  const context = {
    invocationId,
    metadata,
    state: undefined,
    log: (level, category, message) => tell({ type: "log", level, category, message, functionName: metadata.name, invocationId }),
    request: {
      invocationId,
      functionId,
      triggerMetadata,
      traceContext: { traceParent: "", traceState: "", attributes: {} },
      inputData: Object.entries(inputs).map(([name, data]) => ({ name, data })),
    },
  };
  const invocation = await model.getInvocationModel(context);
  const given = await invocation.getArguments();
  const hookData = {};
  const before = { hookData, appHookData, invocationContext: given.context, functionCallback: callback, inputs: given.inputs };
  context.state = "preInvocationHooks";
  await runHooks("preInvocation", before);
  const after = { hookData, appHookData, invocationContext: given.context, inputs: before.inputs, result: null, error: null };
  context.state = "invocation";
  try {
    after.result = await invocation.invokeFunction(given.context, before.inputs, before.functionCallback);
  } catch (error) {
    after.error = error;
  }
  context.state = "postInvocationHooks";
  await runHooks("postInvocation", after);
  context.state = undefined;
  if (after.error) throw after.error;
  const orchestrates = Object.values(metadata.bindings).some(({ type }) => type === "orchestrationTrigger");
  const response = await invocation.getResponse(given.context, orchestrates ? withRepetitions(after.result) : after.result);
  return { returnValue: response.returnValue, outputs: response.outputData ?? [] };
}

process.on("message", (request) => {
  if (request.type === "stop") return void runHooks("appTerminate", { hookData: {}, appHookData }).finally(() => process.exit(0));
  const invocationId = request.invocationId ?? randomUUID();
  invoke({ ...request, invocationId }).then(
    (result) => tell({ type: "result", invocationId, ...result }),
    (error) => tell({ type: "error", invocationId, error: described(error) }),
  );
});

try {
  await start();
  const registered = [...functions.values()].map(({ metadata }) => ({
    id: metadata.functionId,
    name: metadata.name,
    bindings: JSON.parse(JSON.stringify(metadata.bindings)),
    retries: metadata.retryOptions !== undefined,
  }));
  tell({ type: "started", functions: registered });
} catch (error) {
  channel({ type: "failed", error: described(error) }, () => process.exit(1));
}
