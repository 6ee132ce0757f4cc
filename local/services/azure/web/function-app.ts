import { randomBytes, timingSafeEqual } from "node:crypto";
import type { Server } from "node:http";
import { fileURLToPath } from "node:url";
import type { HttpRequest, HttpResponse } from "../../../kernel/http.js";
import { close, listen } from "../../../kernel/http-server.js";
import { DurableBackend } from "./durable/backend.js";
import { answer, type ClientAddresses, clientBinding } from "./durable/client-api.js";
import { TaskHub } from "./durable/task-hub.js";
import { type HostSettings, readHostJson } from "./host-json.js";
import { type AuthLevel, fromRpc, type HttpFunction, httpFunction, matching, toRpc } from "./http-trigger.js";
import { parseSchedule, type Schedule } from "./ncrontab.js";
import type { Platform } from "./platform.js";
import { QueueTrigger } from "./queue-trigger.js";
import { explained, type StorageConnection, storageConnection } from "./storage.js";
import {
  type Binding,
  FunctionFailed,
  type FunctionMetadata,
  FunctionTimedOut,
  type InvocationResult,
  type LogLine,
  type RpcValue,
  Worker,
  WorkerGone,
} from "./worker.js";

/** What a function app is started with. */
export interface FunctionAppConfig {
  name: string;
  /** Declared app settings. */
  settings: Readonly<Record<string, string>>;
  /** MB. */
  memory: number;
  /** What else the app's process has in its environment: identity, certificates, the machine's own. */
  environment: Readonly<Record<string, string>>;
  /** Port that is wanted. @default a free one */
  port?: number | undefined;
  /**
   * How long retries take, compared with what is declared.
   * @default 1
   */
  pace?: number | undefined;
  keys: HostKeys;
  /** How the storage account of a connection is reached. @default by identity, as the settings say */
  connect?: (connection: string) => StorageConnection;
}

/** Keys of the host: any of them opens what it is for. */
export interface HostKeys {
  master: string;
  /** For all functions. */
  default: string;
  /** For the client API of Durable Functions. */
  durable: string;
}

export const newKeys = (): HostKeys => {
  const key = () => randomBytes(32).toString("base64url");
  return { master: key(), default: key(), durable: key() };
};

const TRIGGERS = ["httpTrigger", "queueTrigger", "timerTrigger", "orchestrationTrigger", "activityTrigger"];
const BINDINGS = [...TRIGGERS, "durableClient", "http"];
/** Bytes of a request's body that Functions takes. */
const BODY_LIMIT = 104_857_600;
const DURABLE_PATH = "/runtime/webhooks/durabletask/";
const STORAGE = "AzureWebJobsStorage";
const HOST_FILE = fileURLToPath(import.meta.url);
const LONGEST_TIMER = 2 ** 31 - 1;

/** A package that is deployed: what it registered, and what runs because of it. */
interface Deployed {
  root: string;
  host: HostSettings;
  functions: FunctionMetadata[];
  http: HttpFunction[];
  queues: QueueTrigger[];
  timers: Set<NodeJS.Timeout>;
  durable: Durable | undefined;
  retired: boolean;
}

interface Durable {
  addresses: ClientAddresses;
  backend: DurableBackend;
  /** Resolves when the hub is there and what was under way goes on. */
  ready: Promise<void>;
  /** Why it is not there yet. */
  problem: string | undefined;
}

/** The Functions host of one app: its HTTP endpoint, its triggers, its worker process, and its durable task hub. */
export class FunctionApp {
  #server: Server | undefined;
  #internal: { server: Server; url: string } | undefined;
  #origin = "";
  #deployed: Deployed | undefined;
  #worker: Promise<Worker> | undefined;
  #stopped = false;
  #stopListening: (() => void) | undefined;
  readonly #secret = randomBytes(16).toString("hex");

  private constructor(
    readonly config: FunctionAppConfig,
    private readonly platform: Platform,
  ) {}

  /** Listens; until a package is deployed, it answers 404. */
  static async start(config: FunctionAppConfig, platform: Platform): Promise<FunctionApp> {
    const app = new FunctionApp(config, platform);
    const { server, port } = await listen(async (request) => platform.outward(await app.#serve(request)), config.port);
    app.#server = server;
    app.#origin = `http://127.0.0.1:${port}`;
    const internal = await listen((request) => app.#serveApp(request));
    app.#internal = { server: internal.server, url: `http://127.0.0.1:${internal.port}/${app.#secret}/` };
    app.#stopListening = platform.onQueueMessage(() => {
      for (const trigger of app.#deployed?.queues ?? []) trigger.wake();
    });
    return app;
  }

  /** `http://127.0.0.1:PORT` */
  get origin(): string {
    return this.#origin;
  }

  /** Names of the functions that the deployed package registered. */
  get functions(): string[] {
    return this.#deployed?.functions.map(({ name }) => name) ?? [];
  }

  /** Process id of the worker, when one runs. */
  async workerPid(): Promise<number | undefined> {
    return (await this.#worker?.catch(() => undefined))?.pid;
  }

  /**
   * Runs this package from now on, in place of the one before.
   *
   * @param root folder of the unpacked zip
   * @throws Error when the package cannot be loaded, or uses what is not emulated
   */
  async deploy(root: string): Promise<void> {
    await this.#retire();
    const host = readHostJson(root);
    const deployed: Deployed = {
      ...{ root, host, functions: [], http: [], queues: [], timers: new Set(), durable: undefined, retired: false },
    };
    this.#worker = this.#launch(deployed);
    try {
      deployed.functions = (await this.#worker).functions;
      this.#bind(deployed);
    } catch (error) {
      deployed.retired = true;
      const worker = await this.#worker.catch(() => undefined);
      this.#worker = undefined;
      worker?.kill();
      throw error;
    }
    this.#deployed = deployed;
    this.#log("information", `${deployed.functions.length} functions found: ${this.functions.join(", ")}`);
    this.#listenToTriggers(deployed);
  }

  /** Ends the worker and everything that triggers it. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stopListening?.();
    await Promise.all([this.#retire(), ...[this.#server, this.#internal?.server].map((server) => server && close(server))]);
  }

  /** Runs a function now, as `POST /admin/functions/{name}` does. @throws Error when there is none of this name with a trigger for it */
  async trigger(name: string, input = ""): Promise<void> {
    const metadata = this.#deployed?.functions.find((each) => each.name.toLowerCase() === name.toLowerCase());
    if (!metadata) throw new Error(`There is no function "${name}".`);
    const [, binding] = triggerOf(metadata);
    if (binding.type === "timerTrigger") await this.#fire(metadata, parseSchedule(this.#resolved(String(binding.schedule))));
    else if (binding.type === "queueTrigger") await this.#run(metadata, { string: input });
    else throw new Error(`The function "${name}" has a ${binding.type}: only timers and queues can be triggered this way.`);
  }

  async #retire(): Promise<void> {
    const before = this.#deployed;
    this.#deployed = undefined;
    if (before) {
      before.retired = true;
      for (const timer of before.timers) clearTimeout(timer);
      before.durable?.backend.stop();
    }
    const worker = await this.#worker?.catch(() => undefined);
    this.#worker = undefined;
    await Promise.all([worker?.stop(), ...(before?.queues ?? []).map((trigger) => trigger.stop())]);
  }

  // --- the worker

  async #launch(deployed: Deployed, restarts = 0): Promise<Worker> {
    const { config } = this;
    const worker = await Worker.start({
      root: deployed.root,
      memory: config.memory,
      variables: {
        ...config.settings,
        ...config.environment,
        WEBSITE_HOSTNAME: new URL(this.#origin).host,
        FUNCTIONS_WORKER_RUNTIME: "node",
      },
      binariesOf: process.platform === "linux" && process.arch === "x64" ? undefined : HOST_FILE,
      onLog: (line) => this.platform.log(line),
      onBinary: (name) => this.#note(`packaged for Linux on x64: ${name.split("/").slice(0, 2).join("/")} is this machine's own`),
    });
    const began = Date.now();
    void worker.ended.then((how) => {
      if (deployed.retired || this.#stopped) return;
      this.#log("error", `The worker process ended (${how}); it is started again.`);
      const failures = Date.now() - began > 10_000 ? 0 : restarts;
      this.#worker = this.#relaunch(deployed, failures);
      this.#worker.catch(() => {});
    });
    return worker;
  }

  /** Tries until it loads: what loaded once does so again, unless something it needs is away. */
  async #relaunch(deployed: Deployed, failures: number): Promise<Worker> {
    for (let attempt = failures; ; attempt++) {
      if (attempt > 0) await new Promise((resume) => setTimeout(resume, Math.min(100 * 2 ** attempt, 10_000)).unref());
      if (deployed.retired || this.#stopped) throw new WorkerGone("The app has been stopped.");
      try {
        return await this.#launch(deployed, attempt + 1);
      } catch (error) {
        this.#log("error", `The worker process could not be started: ${(error as Error).message}`);
      }
    }
  }

  async #invoke(
    metadata: FunctionMetadata,
    input: RpcValue,
    { triggerMetadata = {}, unlimited = false }: { triggerMetadata?: Record<string, RpcValue>; unlimited?: boolean } = {},
  ): Promise<InvocationResult> {
    const deployed = this.#deployed;
    const worker = await this.#worker;
    if (!deployed || !worker) throw new WorkerGone("The app has been stopped.");
    const inputs = { [triggerOf(metadata)[0]]: input, ...this.#clients(metadata, deployed) };
    const { functionTimeout } = deployed.host;
    const timeout = unlimited || !Number.isFinite(functionTimeout) ? undefined : functionTimeout;
    return this.platform.busy(worker.invoke({ function: metadata, inputs, triggerMetadata, timeout }));
  }

  #clients(metadata: FunctionMetadata, { durable }: Deployed): Record<string, RpcValue> {
    const bindings = Object.entries(metadata.bindings).filter(([, { type }]) => type === "durableClient");
    const value = durable && JSON.stringify(clientBinding(durable.addresses));
    return Object.fromEntries(bindings.map(([name]) => [name, { json: value ?? "null" }]));
  }

  /** Runs a function that nobody waits for, and says how it went. Rejects when it failed. */
  async #run(metadata: FunctionMetadata, input: RpcValue, triggerMetadata: Record<string, RpcValue> = {}): Promise<void> {
    const began = performance.now();
    const took = () => `${Math.round(performance.now() - began)} ms`;
    try {
      await this.#invoke(metadata, input, { triggerMetadata });
      this.#executed(metadata, true, took());
    } catch (error) {
      this.#executed(metadata, false, took(), error);
      throw error;
    }
  }

  #executed({ name }: FunctionMetadata, succeeded: boolean, took: string, error?: unknown): void {
    if (succeeded) this.#log("information", `Executed 'Functions.${name}' (Succeeded, ${took})`, name);
    else this.#log("error", `Executed 'Functions.${name}' (Failed, ${took}): ${reason(error)}`, name);
  }

  // --- triggers

  /** @throws Error for what is not emulated */
  #bind(deployed: Deployed): void {
    for (const metadata of deployed.functions) {
      const unknown = Object.values(metadata.bindings).find(({ type }) => !BINDINGS.includes(type));
      if (unknown)
        throw new Error(`The function "${metadata.name}" has a binding of type ${unknown.type}: emulated are ${BINDINGS.join(", ")}.`);
      if (metadata.retries) throw new Error(`The function "${metadata.name}" has a retry policy of the host: these are not emulated.`);
      const [name, binding] = triggerOf(metadata);
      if (binding.type === "httpTrigger")
        deployed.http.push(httpFunction(metadata, name, binding, deployed.host.extensions.http.routePrefix));
      if (binding.type === "timerTrigger") parseSchedule(this.#resolved(String(binding.schedule)));
    }
    if (
      deployed.functions.some(({ bindings }) =>
        Object.values(bindings).some(({ type }) => /^(orchestration|activity)Trigger$|^durableClient$/.test(type)),
      )
    )
      deployed.durable = this.#durable(deployed);
  }

  #listenToTriggers(deployed: Deployed): void {
    if (deployed.durable) void this.#startDurable(deployed.durable, deployed);
    for (const metadata of deployed.functions) {
      const [, binding] = triggerOf(metadata);
      if (binding.type === "queueTrigger") deployed.queues.push(this.#queueTrigger(metadata, binding, deployed));
      if (binding.type === "timerTrigger") {
        const schedule = parseSchedule(this.#resolved(String(binding.schedule)));
        if (binding.runOnStartup) this.#fire(metadata, schedule).catch(() => {});
        this.#await(metadata, schedule, deployed);
      }
    }
  }

  #connect(connection: string): StorageConnection {
    return this.config.connect?.(connection) ?? storageConnection(connection, this.config.settings, this.platform);
  }

  #queueTrigger(metadata: FunctionMetadata, binding: Binding, { host }: Deployed): QueueTrigger {
    const storage = this.#connect(String(binding.connection ?? STORAGE));
    const queue = this.#resolved(String(binding.queueName));
    return new QueueTrigger({
      queue: storage.queue(queue),
      poison: queue.endsWith("-poison") ? undefined : storage.queue(`${queue}-poison`),
      settings: { ...host.extensions.queues, visibilityTimeout: host.extensions.queues.visibilityTimeout * (this.config.pace ?? 1) },
      run: (input, properties) => this.#run(metadata, input, { QueueTrigger: input, ...properties }),
      report: (level, text) => this.#log(level, text, metadata.name),
      busy: (work) => this.platform.busy(work),
    });
  }

  /** Fires when the schedule says so, until the package is retired. */
  #await(metadata: FunctionMetadata, schedule: Schedule, deployed: Deployed): void {
    const next = schedule.next(new Date());
    const arm = () => {
      const left = next.getTime() - Date.now();
      const timer = setTimeout(
        () => {
          deployed.timers.delete(timer);
          if (left > LONGEST_TIMER) return arm();
          // The next date only after this run: runs of a timer do not overlap.
          void this.#fire(metadata, schedule)
            .catch(() => {})
            .finally(() => deployed.retired || this.#await(metadata, schedule, deployed));
        },
        Math.min(Math.max(0, left), LONGEST_TIMER),
      );
      timer.unref();
      deployed.timers.add(timer);
    };
    arm();
  }

  #fire(metadata: FunctionMetadata, schedule: Schedule): Promise<void> {
    const now = new Date();
    const ScheduleStatus = { Last: now.toISOString(), LastUpdated: now.toISOString(), Next: schedule.next(now).toISOString() };
    return this.#run(metadata, { json: JSON.stringify({ Schedule: { AdjustForDST: true }, ScheduleStatus, IsPastDue: false }) });
  }

  /** `%NAME%` stands for an app setting. @throws Error when there is no such setting */
  #resolved(text: string): string {
    return text.replace(/%([^%]+)%/g, (_, name: string) => {
      const value = this.config.settings[name];
      if (value === undefined) throw new Error(`%${name}% does not resolve: there is no app setting of this name.`);
      return value;
    });
  }

  // --- durable functions

  #durable({ host, functions }: Deployed): Durable {
    const { hubName, storageProvider, ...limits } = host.extensions.durableTask;
    const hub = hubName ?? hubNameOf(this.config.name);
    const storage = this.#connect(storageProvider.connectionName);
    const of = (type: string) => {
      const found = functions.filter((metadata) => triggerOf(metadata)[1].type === type);
      // As in .NET, names of functions do not mind case.
      return new Map(found.map((metadata) => [metadata.name.toLowerCase(), metadata] as const));
    };
    const [orchestrators, activities] = [of("orchestrationTrigger"), of("activityTrigger")];
    const backend = new DurableBackend(
      new TaskHub(storage.table(`${hub}History`), storage.table(`${hub}Instances`)),
      {
        isOrchestrator: (name) => orchestrators.has(name.toLowerCase()),
        isActivity: (name) => activities.has(name.toLowerCase()),
        orchestrate: async (name, input) => {
          const metadata = orchestrators.get(name.toLowerCase()) as FunctionMetadata;
          return toJson((await this.#invoke(metadata, { string: input }, { unlimited: true })).returnValue);
        },
        act: async (name, input, instanceId) => {
          const metadata = activities.get(name.toLowerCase()) as FunctionMetadata;
          const began = performance.now();
          const took = () => `${Math.round(performance.now() - began)} ms`;
          try {
            const triggerMetadata = { InstanceId: { string: instanceId } };
            const { returnValue } = await this.#invoke(metadata, { string: input }, { triggerMetadata });
            this.#executed(metadata, true, took());
            return toJson(returnValue);
          } catch (error) {
            if (!(error instanceof WorkerGone)) this.#executed(metadata, false, took(), error);
            if (!(error instanceof FunctionFailed)) throw error;
            throw Object.assign(new Error(`Result: Failure\nException: ${error.message}\nStack: ${error.stack}`), { stack: error.stack });
          }
        },
        isInterruption: (error) => error instanceof WorkerGone,
        report: (text, error) => this.#log("error", `${text}: ${explained(error)}`),
        changed: ({ id, name, status, output }) =>
          this.platform.trace({
            kind: "execution",
            subject: this.config.name,
            text: `${name} ${id}: ${status}`,
            detail: { id, name, status, ...(output !== undefined && { output }) },
          }),
        busy: (work) => this.platform.busy(work),
      },
      { ...limits, pace: this.config.pace },
    );
    const { url } = this.#internal as { url: string };
    const { keys } = this.config;
    const addresses = { public: this.#origin, rpc: `${url}durabletask/`, hub, connection: "Storage", code: keys.durable };
    return { addresses, backend, ready: Promise.resolve(), problem: "it has not started yet" };
  }

  /** Until the app may read and write its hub, it says why it may not. */
  async #startDurable(durable: Durable, deployed: Deployed): Promise<void> {
    const { storageProvider } = deployed.host.extensions.durableTask;
    const { hub } = durable.addresses;
    const storage = this.#connect(storageProvider.connectionName);
    let ready: () => void = () => {};
    durable.ready = new Promise((resolve) => (ready = resolve));
    for (let attempt = 0; !deployed.retired; attempt++) {
      try {
        await this.platform.busy(
          (async () => {
            await new TaskHub(storage.table(`${hub}History`), storage.table(`${hub}Instances`)).prepare();
            if (!deployed.retired) await durable.backend.resume();
          })(),
        );
        durable.problem = undefined;
        return ready();
      } catch (error) {
        const problem = explained(error);
        if (problem !== durable.problem && !deployed.retired) this.#log("error", `The task hub '${hub}' cannot be used: ${problem}`);
        durable.problem = problem;
        const pause = new Promise<void>((resume) => {
          const timer = setTimeout(resume, Math.min(200 * 2 ** attempt, 5_000));
          deployed.timers.add(timer.unref());
        });
        await pause;
      }
    }
  }

  async #answerDurable({ method, body }: HttpRequest, path: string, query: URLSearchParams): Promise<HttpResponse> {
    const durable = this.#deployed?.durable;
    if (!durable) return json(404, { message: "The app has no durable functions." });
    if (durable.problem) await Promise.race([durable.ready, new Promise((resume) => setTimeout(resume, 2_000).unref())]);
    if (durable.problem) return json(503, { message: `The task hub '${durable.addresses.hub}' cannot be used: ${durable.problem}` });
    try {
      return await answer(durable.backend, durable.addresses, { method, path, query, body: body.toString() });
    } catch (error) {
      this.#log("error", `${method} ${path} of the durable client API failed: ${explained(error)}`);
      return json(500, { message: explained(error) });
    }
  }

  // --- HTTP

  /** What only the app itself reaches. */
  async #serveApp(request: HttpRequest): Promise<HttpResponse> {
    const prefix = `/${this.#secret}/durabletask/`;
    if (!request.url.pathname.startsWith(prefix)) return { status: 404 };
    return this.#answerDurable(request, request.url.pathname.slice(prefix.length), request.url.searchParams);
  }

  async #serve(request: HttpRequest): Promise<HttpResponse> {
    const { pathname, searchParams } = request.url;
    if (request.body.length > BODY_LIMIT) return { status: 413 };
    if (pathname.startsWith(DURABLE_PATH)) {
      const { durable, master } = this.config.keys;
      if (!isOneOf(keyOf(request), durable, master)) return { status: 401 };
      return this.#answerDurable(request, pathname.slice(DURABLE_PATH.length), searchParams);
    }
    if (/^\/admin(\/|$)/i.test(pathname)) return this.#administer(request);
    const deployed = this.#deployed;
    const home = pathname === "/" && !isTrue(this.config.settings.AzureWebJobsDisableHomepage);
    if (home)
      return {
        status: 200,
        headers: { "content-type": "text/html" },
        body: "<!doctype html><title>Functions</title>Your function app is up and running.",
      };
    const match = deployed && matching(deployed.http, request);
    if (!match) return { status: 404 };
    const { found, params } = match;
    if (!this.#mayCall(request, found.authLevel)) return { status: 401 };
    const began = performance.now();
    const { name } = found.function;
    const took = () => `${Math.round(performance.now() - began)} ms`;
    try {
      const { returnValue, outputs } = await this.#invoke(found.function, { http: toRpc(request, this.#origin, params) });
      const response = fromRpc((returnValue ?? outputs.find(({ data }) => data.http)?.data)?.http);
      this.#log(
        "information",
        `Executed 'Functions.${name}' (Succeeded, ${took()}): ${request.method} ${pathname} ${response.status}`,
        name,
      );
      return response;
    } catch (error) {
      this.#executed(found.function, false, took(), error);
      return { status: error instanceof FunctionFailed ? 500 : error instanceof WorkerGone ? 502 : 504 };
    }
  }

  #mayCall(request: HttpRequest, level: AuthLevel): boolean {
    const { master, default: all } = this.config.keys;
    return level === "anonymous" || isOneOf(keyOf(request), master, ...(level === "function" ? [all] : []));
  }

  async #administer(request: HttpRequest): Promise<HttpResponse> {
    if (!isOneOf(keyOf(request), this.config.keys.master)) return { status: 401 };
    const [, name] = /^\/admin\/functions\/([^/]+)$/i.exec(request.url.pathname) ?? [];
    if (!name || request.method !== "POST") return { status: 404 };
    let input = "";
    try {
      if (request.body.length > 0) input = String((JSON.parse(request.body.toString()) as { input?: unknown }).input ?? "");
    } catch {
      return json(400, { message: 'The body must be JSON: {"input": "…"}.' });
    }
    if (!this.functions.some((each) => each.toLowerCase() === decodeURIComponent(name).toLowerCase())) return { status: 404 };
    // Like Azure, it does not wait: how it goes is in the log.
    this.trigger(decodeURIComponent(name), input).catch(() => {});
    return { status: 202 };
  }

  #log(level: LogLine["level"], message: string, functionName?: string): void {
    this.platform.log({ level, category: "host", message, ...(functionName !== undefined && { functionName }) });
  }

  #note(text: string): void {
    this.platform.trace({ kind: "note", subject: this.config.name, text });
  }
}

function triggerOf({ name, bindings }: FunctionMetadata): [name: string, binding: Binding] {
  const found = Object.entries(bindings).find(([, { type }]) => /trigger$/i.test(type));
  if (!found) throw new Error(`The function "${name}" has no trigger.`);
  return found;
}

/** What a function returned, as JSON. */
function toJson(value: RpcValue | null | undefined): string {
  if (value?.json !== undefined) return value.json;
  if (value?.bytes) return JSON.stringify(Buffer.from(value.bytes).toString("base64"));
  return JSON.stringify(value?.string ?? value?.int ?? value?.double ?? null);
}

/** As the extension names a hub after its app: letters and digits, 45 at most. */
function hubNameOf(app: string): string {
  const name = app.replace(/[^A-Za-z0-9]/g, "").slice(0, 45);
  return /^[A-Za-z]/.test(name) && name.length >= 3 ? name : `t${name}Hub`;
}

function reason(error: unknown): string {
  const { message, stack } = error as Error;
  return error instanceof FunctionFailed && stack?.includes(message)
    ? stack
    : error instanceof FunctionTimedOut
      ? message
      : String(message);
}

const keyOf = ({ headers, url }: HttpRequest): string => headers["x-functions-key"] ?? url.searchParams.get("code") ?? "";

const isOneOf = (given: string, ...keys: string[]): boolean =>
  keys.some((key) => Buffer.byteLength(given) === Buffer.byteLength(key) && timingSafeEqual(Buffer.from(given), Buffer.from(key)));

const isTrue = (setting: string | undefined): boolean => setting?.toLowerCase() === "true" || setting === "1";

const json = (status: number, value: unknown): HttpResponse => ({
  status,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(value),
});
