import { createHash } from "node:crypto";
import { CloudError, type Properties } from "../../../kernel/service.js";
import type { Node } from "./node.js";
import type { KubernetesObject } from "./objects.js";
import { Pod } from "./pod.js";
import { portion } from "./quantity.js";

/** A new pod that has ended so often without ever being ready is given up, sooner than in the cloud, which waits for the deadline. */
const GIVE_UP_AFTER = 3;

interface ReplicaSet {
  hash: string;
  name: string;
  template: Properties;
  pods: Set<Pod>;
}

/** The controller of one Deployment: keeps as many pods of its template as it is to have, and moves from one template to the next. */
export class Deployment {
  /** How many pods it is to have. */
  replicas: number;
  #object: KubernetesObject;
  #current: ReplicaSet;
  #old: ReplicaSet[] = [];
  #removed = false;
  /** Until it has been rolled out once, there is nothing that `minReadySeconds` would protect: its first pods need not wait for that. */
  #isNew = true;
  readonly #first = new WeakSet<Pod>();
  #watchers = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;
  #pending = false;

  /** @param onEndpoints whenever one of its pods becomes ready or is not any more */
  constructor(
    object: KubernetesObject,
    private readonly node: Node,
    private readonly onEndpoints: () => void,
  ) {
    this.#object = object;
    this.replicas = object.spec.replicas ?? 1;
    this.#current = this.#replicaSet(object.spec.template);
    this.#say(`Created, ${this.replicas} ${this.replicas === 1 ? "replica" : "replicas"}`);
    this.#reconcileSoon();
  }

  get object(): KubernetesObject {
    return this.#object;
  }

  get pods(): Pod[] {
    return [this.#current, ...this.#old].flatMap(({ pods }) => [...pods]);
  }

  /** `namespace/name` */
  get subject(): string {
    return `${this.#object.metadata.namespace}/${this.#object.metadata.name}`;
  }

  /** Takes over another declaration. Without `replicas` in it, there are as many as before. */
  apply(object: KubernetesObject): void {
    this.#object = object;
    if (object.spec.replicas !== undefined) this.replicas = object.spec.replicas;
    const next = this.#replicaSet(object.spec.template);
    if (next.hash !== this.#current.hash) {
      this.#old.push(this.#current);
      this.#current = this.#old.find(({ hash }) => hash === next.hash) ?? next;
      this.#old = this.#old.filter((set) => set !== this.#current);
      this.#say(`Rolling update to ${this.#current.name}`);
    }
    this.#reconcileSoon();
  }

  /** @param reason for a person */
  scale(replicas: number, reason: string): void {
    if (replicas === this.replicas) return;
    this.#say(`Scaled from ${this.replicas} to ${replicas} replicas: ${reason}`, { from: this.replicas, to: replicas, reason });
    this.replicas = replicas;
    this.#reconcileSoon();
  }

  get status(): Properties {
    const { all, available } = this.#counts();
    const updated = this.#live(this.#current).length;
    const ready = all.filter((pod) => pod.ready).length;
    return {
      ...{ observedGeneration: this.#object.metadata.generation, replicas: all.length, updatedReplicas: updated },
      ...{ readyReplicas: ready, availableReplicas: available, unavailableReplicas: Math.max(0, this.replicas - available) },
      conditions: [
        {
          type: "Available",
          status: available >= this.replicas - this.#limits().unavailable ? "True" : "False",
          reason: "MinimumReplicasAvailable",
        },
        { type: "Progressing", status: "True", reason: this.#rolledOut() ? "NewReplicaSetAvailable" : "ReplicaSetUpdated" },
      ],
    };
  }

  /** Resolves when all pods are of the declared template and available. @throws CloudError when they do not become so */
  async rolledOut(): Promise<void> {
    const deadline = (this.#object.spec.progressDeadlineSeconds ?? 600) * 1_000;
    await new Promise<void>((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        settle();
      };
      const fail = (why: string) => {
        const problems = this.#live(this.#current).flatMap((pod) => pod.problem ?? []);
        const text = `Deployment ${this.subject} is not available: ${why}.${problems.slice(0, 1).map((problem) => ` ${problem}`)}`;
        finish(() => reject(new CloudError("ProgressDeadlineExceeded", text, 400)));
      };
      const look = () => {
        if (this.#removed || this.#rolledOut()) return finish(resolve);
        const given = this.#live(this.#current).find((pod) => !pod.ready && pod.failures >= GIVE_UP_AFTER);
        if (given) fail(`its pod has failed ${given.failures} times`);
      };
      const timer = setTimeout(() => fail(`it has made no progress for ${deadline / 1_000} s`), deadline);
      timer.unref();
      this.#watchers.add(look);
      look();
    });
  }

  /** Removes one of its pods, for which another one comes. */
  async evict(name: string): Promise<boolean> {
    const pod = this.pods.find((one) => one.name === name);
    if (!pod) return false;
    await pod.end();
    this.#gone(pod);
    return true;
  }

  /** Ends all of it. @param grace seconds for the pods @default what they declare */
  async remove(grace?: number): Promise<void> {
    this.#removed = true;
    clearTimeout(this.#timer);
    const ending = this.pods.map((pod) => pod.end(grace));
    for (const watcher of [...this.#watchers]) watcher();
    await Promise.all(ending);
  }

  #replicaSet(template: Properties): ReplicaSet {
    const hash = createHash("sha256").update(JSON.stringify(template)).digest("hex").slice(0, 10);
    return { hash, name: `${this.#object.metadata.name}-${hash}`, template, pods: new Set() };
  }

  #live({ pods }: ReplicaSet): Pod[] {
    return [...pods].filter(({ terminating }) => !terminating);
  }

  #counts(): { all: Pod[]; available: number } {
    const all = [this.#current, ...this.#old].flatMap((set) => this.#live(set));
    return { all, available: all.filter((pod) => this.#available(pod)).length };
  }

  #available(pod: Pod): boolean {
    const { readySince, ready } = pod;
    if (!ready || readySince === undefined) return false;
    return this.#first.has(pod) || this.node.pace.since(readySince) >= (this.#object.spec.minReadySeconds ?? 0);
  }

  #limits(): { surge: number; unavailable: number } {
    const { type = "RollingUpdate", rollingUpdate: { maxSurge = "25%", maxUnavailable = "25%" } = {} } = this.#object.spec.strategy ?? {};
    if (type === "Recreate") return { surge: 0, unavailable: this.replicas };
    const surge = portion(maxSurge, this.replicas, Math.ceil);
    const unavailable = portion(maxUnavailable, this.replicas, Math.floor);
    // Both cannot be nothing: there would be no way from one template to the next.
    return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
  }

  #rolledOut(): boolean {
    const own = this.#live(this.#current);
    const others = this.#old.some(({ pods }) => pods.size > 0);
    return !others && own.length === this.replicas && own.every((pod) => this.#available(pod));
  }

  #reconcileSoon(): void {
    if (this.#pending || this.#removed) return;
    this.#pending = true;
    setImmediate(() => {
      this.#pending = false;
      if (!this.#removed) this.#reconcile();
      if (this.#isNew && this.#rolledOut()) this.#isNew = false;
      for (const watcher of [...this.#watchers]) watcher();
    });
  }

  #reconcile(): void {
    const { surge, unavailable } = this.#limits();
    const recreate = this.#object.spec.strategy?.type === "Recreate";
    this.#old = this.#old.filter(({ pods }) => pods.size > 0);
    const own = this.#live(this.#current);
    const others = this.#old.flatMap((set) => this.#live(set));

    if (own.length > this.replicas) {
      for (const pod of inOrderOfRemoval(own).slice(0, own.length - this.replicas)) this.#end(pod);
    } else if (!(recreate && this.#old.some(({ pods }) => pods.size > 0))) {
      const room = this.replicas + surge - own.length - others.length;
      // Where nothing is moved, there is always room.
      const wanted = Math.min(this.replicas - own.length, others.length === 0 ? Number.POSITIVE_INFINITY : Math.max(0, room));
      for (let count = 0; count < wanted; count++) this.#start();
    }

    if (others.length > 0) this.#endOld(others, this.replicas - unavailable);
    this.#lookAgainWhenAvailable();
  }

  /** Ends pods of before, as far as enough remain: those first that are of no use anyway. */
  #endOld(others: readonly Pod[], least: number): void {
    const { all } = this.#counts();
    const own = this.#live(this.#current);
    const [useless, useful] = [others.filter((pod) => !this.#available(pod)), others.filter((pod) => this.#available(pod))];
    const beyond = all.length - least - own.filter((pod) => !this.#available(pod)).length;
    for (const pod of inOrderOfRemoval(useless).slice(0, Math.max(0, beyond))) this.#end(pod);
    const spare = this.#counts().available - least;
    for (const pod of inOrderOfRemoval(useful).slice(0, Math.max(0, spare))) this.#end(pod);
  }

  #start(): void {
    const { metadata } = this.#object;
    const set = this.#current;
    const pod = new Pod({
      namespace: metadata.namespace as string,
      owner: set.name,
      template: set.template,
      node: this.node,
      onChange: () => {
        this.onEndpoints();
        this.#reconcileSoon();
      },
    });
    set.pods.add(pod);
    if (this.#isNew) this.#first.add(pod);
    pod.start().catch((error: Error) => this.#say(`The pod ${pod.name} could not be started: ${error.message}`));
  }

  #end(pod: Pod): void {
    this.node.note(`${pod.namespace}/${pod.name}`, "Stopping", { pod: pod.name });
    void pod.end().then(() => this.#gone(pod));
  }

  #gone(pod: Pod): void {
    for (const set of [this.#current, ...this.#old]) set.pods.delete(pod);
    this.#reconcileSoon();
  }

  /** Pods become available by the mere passing of time, where `minReadySeconds` says so. */
  #lookAgainWhenAvailable(): void {
    clearTimeout(this.#timer);
    const waits = this.#counts()
      .all.filter((pod) => pod.ready && !this.#available(pod))
      .map(({ readySince }) => (this.#object.spec.minReadySeconds ?? 0) - this.node.pace.since(readySince as number));
    if (waits.length === 0) return;
    const milliseconds = (Math.max(0, Math.min(...waits)) * 1_000) / this.node.pace.factor;
    this.#timer = setTimeout(() => this.#reconcileSoon(), milliseconds + 5);
  }

  #say(text: string, detail: Properties = {}): void {
    this.node.note(this.subject, text, { deployment: this.#object.metadata.name, replicas: this.replicas, ...detail });
  }
}

/** Those that are not ready first, then the youngest. */
const inOrderOfRemoval = (pods: readonly Pod[]): Pod[] =>
  [...pods].sort((one, other) => Number(one.ready) - Number(other.ready) || other.created.getTime() - one.created.getTime());
