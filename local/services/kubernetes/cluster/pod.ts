import { randomBytes, randomUUID } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Properties } from "../../../kernel/service.js";
import { Container, type PodContext } from "./container.js";
import type { Node } from "./node.js";
import type { KubernetesObject } from "./objects.js";

/** Seconds that a projected token lives, as the webhook of workload identity asks for. */
const TOKEN_LIFETIME = 3_600;

export interface PodArgs {
  namespace: string;
  /** Of the replica set: the pod's name is it and five characters. */
  owner: string;
  /** `template` of the Deployment. */
  template: Properties;
  node: Node;
  /** Whenever it becomes ready or not, or one of its containers starts or ends. */
  onChange(pod: Pod): void;
}

/** A pod: containers that come and go together. */
export class Pod {
  readonly name: string;
  readonly uid = randomUUID();
  readonly created = new Date();
  readonly labels: Record<string, string>;
  readonly annotations: Record<string, string>;
  readonly namespace: string;
  terminating = false;
  /** `performance.now()` when it became ready, while it is. */
  readySince: number | undefined;
  #containers: Container[] = [];
  #starting: Promise<void> = Promise.resolve();
  #ending: Promise<void> | undefined;
  readonly #over = new AbortController();

  constructor(private readonly args: PodArgs) {
    const { metadata = {} } = args.template;
    this.namespace = args.namespace;
    this.name = `${args.owner}-${suffix()}`;
    this.labels = { ...metadata.labels };
    this.annotations = { ...metadata.annotations };
  }

  /** Starts its containers; how that goes is seen in its state. */
  start(): Promise<void> {
    this.#starting = this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    const { node, namespace, template } = this.args;
    const { spec } = template;
    const { folder } = this;
    await mkdir(folder, { recursive: true });
    const volumes: Record<string, string> = {};
    for (const { name } of (spec.volumes ?? []) as Properties[]) {
      const own = join(folder, "volumes", name);
      await mkdir(own, { recursive: true });
      volumes[name] = own;
    }
    const serviceAccount: string = spec.serviceAccountName ?? "default";
    const identity = await this.#identity(serviceAccount);
    if (this.terminating) return;
    this.#containers = (spec.containers as Properties[]).map((declared) => {
      const context: PodContext = {
        ...{ name: this.name, namespace, uid: this.uid, labels: this.labels, annotations: this.annotations, serviceAccount },
        ...{ node, folder, identity, securityContext: spec.securityContext ?? {} },
        volumes: Object.fromEntries(
          ((declared.volumeMounts ?? []) as Properties[]).map((mount) => [mount.mountPath, volumes[mount.name] as string]),
        ),
        onChange: () => this.#changed(),
      };
      return new Container({ ...declared, grace: this.grace }, context);
    });
    for (const container of this.#containers) container.start();
  }

  get ready(): boolean {
    return !this.terminating && this.#containers.length > 0 && this.#containers.every(({ ready }) => ready);
  }

  /** How often one of its containers has ended, or could not be started, since it was ready. */
  get failures(): number {
    return Math.max(0, ...this.#containers.map(({ failures }) => failures));
  }

  /** Process ids of its containers. */
  get pids(): number[] {
    return this.#containers.flatMap(({ pid }) => pid ?? []);
  }

  /** What keeps it from being ready, for a person. */
  get problem(): string | undefined {
    const troubled = this.#containers.find(({ ready }) => !ready);
    if (!troubled) return undefined;
    const { name, waiting, lastTermination: last, tail } = troubled;
    const ended =
      last && `its container ${name} ended last with exit code ${last.exitCode} (${last.reason}${last.message ? `: ${last.message}` : ""})`;
    const lines = tail
      .slice(-12)
      .map((line) => `\n    ${line}`)
      .join("");
    return `${this.name}: ${[waiting?.message && `${waiting.reason}: ${waiting.message}`, ended].filter(Boolean).join("; ") || `the container ${name} is not ready`}${lines}`;
  }

  /** The last lines that a container wrote. */
  log(container?: string): string[] | undefined {
    return this.#containers.find(({ name }) => container === undefined || name === container)?.tail;
  }

  /** Where a port, by number or name, is reached. */
  portOf(port: string | number): number | undefined {
    return this.#containers.find((container) => container.declaredPort(port))?.portOf(port);
  }

  /** A port as one of its containers declares it, by number or name. */
  declaredPort(port: string | number): { name?: string; containerPort: number } | undefined {
    return this.#containers.flatMap((container) => container.declaredPort(port) ?? [])[0];
  }

  /** Seconds that its containers have to end. */
  get grace(): number {
    return this.args.template.spec.terminationGracePeriodSeconds ?? 30;
  }

  /** Ends it. @param grace seconds @default what it declares */
  end(grace = this.grace): Promise<void> {
    this.#ending ??= this.#end(grace);
    return this.#ending;
  }

  /** As the API shows it. */
  describe(): KubernetesObject {
    const { template } = this.args;
    const running = this.#containers.some(({ pid }) => pid !== undefined);
    const status = (value: boolean) => (value ? "True" : "False");
    return {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        ...{ name: this.name, namespace: this.namespace, uid: this.uid, labels: this.labels, annotations: this.annotations },
        creationTimestamp: this.created.toISOString(),
        ...(this.terminating && { deletionTimestamp: new Date().toISOString() }),
      },
      spec: template.spec,
      status: {
        phase: running ? "Running" : "Pending",
        podIP: "127.0.0.1",
        conditions: [{ type: "Ready", status: status(this.ready) }],
        containerStatuses: this.#containers.map(({ name, ready, restarts, waiting, pid, lastTermination, startedAt }) => ({
          ...{ name, ready, restartCount: restarts },
          ...(pid !== undefined && { containerID: `process://${pid}` }),
          state:
            pid !== undefined
              ? { running: { startedAt: startedAt?.toISOString() } }
              : { waiting: waiting ?? { reason: "ContainerCreating" } },
          ...(lastTermination && { lastState: { terminated: lastTermination } }),
        })),
      },
    };
  }

  get folder(): string {
    return join(this.args.node.folder, this.name);
  }

  async #end(grace: number): Promise<void> {
    this.terminating = true;
    this.#over.abort();
    this.args.onChange(this);
    await this.#starting.catch(() => {});
    await Promise.all(this.#containers.map((container) => container.stop(grace)));
    await rm(this.folder, { recursive: true, force: true });
  }

  #changed(): void {
    this.readySince = this.ready ? (this.readySince ?? performance.now()) : undefined;
    this.args.onChange(this);
  }

  /** Variables of the identity, and its token in a file that is written anew before it expires. */
  async #identity(serviceAccount: string): Promise<Record<string, string>> {
    const { node, namespace } = this.args;
    if (this.labels["azure.workload.identity/use"] !== "true") return {};
    const identity = node.workloadIdentity({ namespace, serviceAccount, name: this.name, uid: this.uid });
    if (!identity) return {};
    const file = join(this.folder, "azure-identity-token");
    const write = async () => {
      await writeFile(`${file}.new`, await identity.token(TOKEN_LIFETIME), { mode: 0o600 });
      await rename(`${file}.new`, file);
    };
    await write();
    const timer = setInterval(() => void write().catch(() => {}), TOKEN_LIFETIME * 800);
    timer.unref();
    this.#over.signal.addEventListener("abort", () => clearInterval(timer));
    return { ...identity.environment, AZURE_FEDERATED_TOKEN_FILE: file };
  }
}

const LETTERS = "bcdfghjklmnpqrstvwxz2456789";

/** Five characters, without vowels, as Kubernetes has them. */
const suffix = (): string => [...randomBytes(5)].map((byte) => LETTERS[byte % LETTERS.length]).join("");
