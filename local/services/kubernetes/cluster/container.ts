import { existsSync } from "node:fs";
import { cp, mkdir, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Properties } from "../../../kernel/service.js";
import { ContainerProcess, type Launch, type Termination } from "./container-process.js";
import { ContainerConfigError, type PodFields, substituted, variablesOf } from "./environment.js";
import { PORT_VARIABLE } from "./kinds.js";
import type { Node, PulledImage } from "./node.js";
import { type Probe, probeOf, watch } from "./probe.js";
import { quantity } from "./quantity.js";

/** Seconds before a container that has ended is started again: at once the first time, then longer and longer. */
const BACKOFF = { first: 10, longest: 300, forgottenAfter: 600 };
const LOG_TAIL = 50;

/** What a container is a part of. */
export interface PodContext extends PodFields {
  node: Node;
  /** Of the whole pod. */
  securityContext: Properties;
  /** Folder of the pod's own. */
  folder: string;
  /** Where emptyDir volumes lie, by the path at which the container has them. */
  volumes: Readonly<Record<string, string>>;
  /** What the pod's identity adds to the environment. */
  identity: Readonly<Record<string, string>>;
  onChange(): void;
}

/** One container of a pod: its process, started again whenever it ends, and its probes. */
export class Container {
  readonly name: string;
  ready = false;
  restarts = 0;
  /** Why it does not run, while it waits. */
  waiting: { reason: string; message: string } | undefined = { reason: "ContainerCreating", message: "" };
  lastTermination: Termination | undefined;
  startedAt: Date | undefined;
  readonly tail: string[] = [];
  #process: ContainerProcess | undefined;
  readonly #ports = new Map<number, number>();
  readonly #over = new AbortController();
  #supervision: Promise<void> = Promise.resolve();
  #stopSignal: NodeJS.Signals = "SIGTERM";
  #failures = 0;

  constructor(
    private readonly declared: Properties,
    private readonly pod: PodContext,
  ) {
    this.name = declared.name;
  }

  start(): void {
    this.#supervision = this.#supervise();
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** How often it has ended, or could not be started, since it was ready. */
  get failures(): number {
    return this.#failures;
  }

  /** The port of this machine that a declared one, by number or name, is mapped to. */
  portOf(port: string | number): number {
    return this.#ports.get(this.declaredPort(port)?.containerPort ?? 0) ?? Number(port);
  }

  /** A declared port, by number or name. */
  declaredPort(port: string | number): { name?: string; containerPort: number } | undefined {
    return ((this.declared.ports ?? []) as Properties[]).find((one) => one.name === port || one.containerPort === Number(port)) as
      | { name?: string; containerPort: number }
      | undefined;
  }

  /** Lets it end within so many seconds; after them, ends it. */
  async stop(grace: number): Promise<void> {
    this.#over.abort();
    this.ready = false;
    const running = this.#process;
    if (running) {
      running.terminate(this.#stopSignal);
      const timer = setTimeout(() => running.kill(), grace * 1_000);
      this.lastTermination = await running.ended;
      clearTimeout(timer);
    }
    await this.#supervision;
  }

  async #supervise(): Promise<void> {
    const { node, onChange } = this.pod;
    const { signal } = this.#over;
    let backoff = 0;
    while (!signal.aborted) {
      const began = performance.now();
      try {
        const launch = await this.#prepare();
        if (signal.aborted) return;
        await this.#run(launch);
      } catch (error) {
        const { name, message } = error as Error;
        this.waiting = {
          reason: error instanceof ContainerConfigError ? name : error instanceof StartError ? "RunContainerError" : "ErrImagePull",
          message,
        };
        this.#note(`${this.waiting.reason}: ${message}`);
        if (error instanceof StartError) this.lastTermination = { exitCode: 127, reason: "StartError", message };
      }
      if (signal.aborted) return;
      this.#failures++;
      onChange();
      if (node.pace.since(began) > BACKOFF.forgottenAfter) backoff = 0;
      if (backoff > 0) {
        const { exitCode, reason } = this.lastTermination ?? {};
        this.waiting ??= {
          reason: "CrashLoopBackOff",
          message: `back-off ${backoff}s restarting failed container (${reason}, exit code ${exitCode})`,
        };
        this.#note(`Back-off restarting failed container: ${backoff} s`);
        onChange();
        if (!(await node.pace.sleep(backoff, signal))) return;
      }
      backoff = Math.min(Math.max(BACKOFF.first, backoff * 2), BACKOFF.longest);
      this.restarts++;
    }
  }

  /** Runs it once, to its end. */
  async #run(launch: Launch): Promise<void> {
    const { node, onChange } = this.pod;
    const running = new ContainerProcess(launch);
    this.#process = running;
    this.waiting = undefined;
    this.startedAt = new Date();
    const ports = [...this.#ports].map(([declared, own]) => `${declared} at 127.0.0.1:${own}`).join(", ");
    this.#note(
      `Started container ${this.name}${this.restarts > 0 ? ` again (${this.restarts})` : ""}, process ${running.pid}${ports && `, ${ports}`}`,
      {
        pid: running.pid,
      },
    );
    const life = new AbortController();
    this.#watch(running, life.signal);
    onChange();
    const termination = await running.ended;
    life.abort();
    this.#process = undefined;
    this.ready = false;
    this.lastTermination = termination;
    const { reason, exitCode, message } = termination;
    if (!this.#over.signal.aborted)
      this.#note(`Container ${this.name} ended: ${reason}, exit code ${exitCode}${message ? `, ${message}` : ""}`, { ...termination });
    onChange();
    await node.pace.sleep(0, this.#over.signal);
  }

  /** Startup first; then liveness, which ends it, and readiness, which says whether it gets requests. */
  #watch(running: ContainerProcess, signal: AbortSignal): void {
    const { startupProbe, livenessProbe, readinessProbe } = this.declared;
    const { node, onChange } = this.pod;
    const common = { portOf: (port: string | number) => this.portOf(port), pace: node.pace, signal };
    const end = (kind: string, problem?: string) => {
      this.#note(`Container ${this.name} failed ${kind} probe, will be restarted: ${problem}`);
      running.terminate(this.#stopSignal);
      const timer = setTimeout(() => running.kill(), this.#grace * 1_000);
      void running.ended.then(() => clearTimeout(timer));
    };
    const started = () => {
      const liveness = probeOf(livenessProbe);
      if (liveness) {
        void watch({ ...common, probe: liveness, eager: false, onChange: (succeeds, problem) => succeeds || end("liveness", problem) });
      }
      const readiness: Probe | undefined = probeOf(readinessProbe);
      const become = (ready: boolean, problem?: string) => {
        if (this.ready === ready) return;
        this.ready = ready;
        if (ready) this.#failures = 0;
        if (!ready) this.#note(`Readiness probe failed: ${problem}`);
        onChange();
      };
      if (readiness) void watch({ ...common, probe: readiness, eager: true, onChange: become });
      else become(true);
    };
    const startup = probeOf(startupProbe);
    if (!startup) {
      started();
      return;
    }
    const once = new AbortController();
    signal.addEventListener("abort", () => once.abort());
    void watch({
      ...{ ...common, probe: startup, eager: true, signal: once.signal },
      onChange(succeeds, problem) {
        once.abort();
        if (succeeds) started();
        else end("startup", problem);
      },
    });
  }

  get #grace(): number {
    return this.declared.grace ?? 30;
  }

  /** @throws ContainerConfigError, StartError, or what pulling throws */
  async #prepare(): Promise<Launch> {
    const { pod, declared } = this;
    const image = await pod.node.pull(declared.image);
    this.#mustNotBeRoot(image);
    this.#stopSignal = image.config.stopSignal as NodeJS.Signals;
    const variables = variablesOf(declared, image.config.environment, pod, pod.node.lookup(pod.namespace));
    await this.#mapPorts(variables);
    const [program = "", ...args] = this.#commandLine(image, variables);
    const readOnly = declared.securityContext?.readOnlyRootFilesystem === true;
    const root = readOnly ? image.root : await this.#ownLayer(image.root);
    const folder = join(root, declared.workingDir ?? image.config.workingFolder);
    if (!existsSync(folder))
      throw new StartError(`chdir to cwd ("${declared.workingDir ?? image.config.workingFolder}"): no such file or directory`);
    if (!/^(\/usr\/local\/bin\/|\/nodejs\/bin\/|\/usr\/bin\/)?(node|nodejs)$/.test(program)) {
      throw new StartError(
        `exec: "${program}": executable file not found in $PATH: the embedded cloud's containers have Node.js, and nothing else.`,
      );
    }
    const temporary = pod.volumes["/tmp"] ?? join(pod.folder, "tmp");
    await mkdir(temporary, { recursive: true });
    return {
      // What is named by its full path in the image lies in the image's folder here.
      args: args.map((arg) => (arg.startsWith("/") && existsSync(join(root, arg)) ? join(root, arg) : arg)),
      folder,
      environment: {
        ...ofSystem(),
        ...{ HOME: temporary, TMPDIR: temporary, HOSTNAME: pod.name, NODE_EXTRA_CA_CERTS: pod.node.authority },
        ...pod.node.environment,
        // As the webhook does it: what the pod declares itself stays.
        ...pod.identity,
        ...variables,
      },
      ...(readOnly ? { writable: [...new Set([temporary, ...Object.values(pod.volumes)])] } : { writable: undefined }),
      memory: quantity(declared.resources?.limits?.memory),
      onLine: (line, stream) => {
        this.tail.push(line);
        if (this.tail.length > LOG_TAIL) this.tail.shift();
        pod.node.log(`${pod.namespace}/${pod.name}`, this.name, line, stream);
      },
    };
  }

  /** What it may write to is its own, from each start to the next end. */
  async #ownLayer(root: string): Promise<string> {
    const own = join(this.pod.folder, "layers", this.name);
    await rm(own, { recursive: true, force: true });
    await cp(root, own, { recursive: true, verbatimSymlinks: true });
    return own;
  }

  #commandLine({ config }: PulledImage, variables: Record<string, string>): string[] {
    const { command, args } = this.declared;
    const line = [...(command ?? config.entrypoint), ...(args ?? (command ? [] : config.command))].map((word: string) =>
      substituted(word, variables),
    );
    // What the entrypoint of the official image does.
    if (!/(^|\/)docker-entrypoint\.sh$/.test(line[0] ?? "")) return line;
    const rest = line.slice(1);
    return /(^|\/)node$/.test(rest[0] ?? "") ? rest : ["node", ...rest];
  }

  /** All containers share this machine's ports, so that each gets one of its own for each that it declares, and is told by `PORT` and `…_PORT`. */
  async #mapPorts(variables: Record<string, string>): Promise<void> {
    this.#ports.clear();
    for (const { containerPort } of (this.declared.ports ?? []) as Properties[]) this.#ports.set(containerPort, await freePort());
    for (const [name, value] of Object.entries(variables)) {
      const own = PORT_VARIABLE.test(name) ? this.#ports.get(Number(value)) : undefined;
      if (own === undefined) continue;
      variables[name] = String(own);
      variables.HOST = "127.0.0.1";
    }
  }

  #mustNotBeRoot({ config }: PulledImage): void {
    const { runAsNonRoot, runAsUser } = { ...this.pod.securityContext, ...this.declared.securityContext };
    if (runAsNonRoot !== true) return;
    if (runAsUser === 0) throw new ContainerConfigError("container's runAsUser breaks non-root policy");
    if (runAsUser !== undefined) return;
    const user = config.user.split(":")[0] as string;
    if (user === "" || user === "0") throw new ContainerConfigError("container has runAsNonRoot and image will run as root");
    if (!/^\d+$/.test(user)) {
      throw new ContainerConfigError(`container has runAsNonRoot and image has non-numeric user (${user}), cannot verify user is non-root`);
    }
  }

  #note(text: string, detail: Properties = {}): void {
    const { namespace, name, node } = this.pod;
    node.note(`${namespace}/${name}`, text, { pod: name, namespace, container: this.name, ...detail });
  }
}

/** The container's program cannot be started. */
class StartError extends Error {
  override readonly name = "StartError";
}

/** What a process of Node.js needs of the system that it runs on. */
function ofSystem(): Record<string, string> {
  if (process.platform !== "win32") return { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };
  return Object.fromEntries(["SystemRoot", "PATH", "TEMP"].flatMap((key) => (process.env[key] ? [[key, process.env[key]]] : [])));
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
