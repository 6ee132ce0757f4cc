import { CloudError, type Properties } from "../../../kernel/service.js";
import type { Deployment } from "./deployment.js";
import { type Behaviour, DEFAULT_BEHAVIOUR, HorizontalScaling, type ScalingRules, SYNC_PERIOD } from "./horizontal-scaling.js";
import type { KubernetesObject } from "./objects.js";
import type { Pace } from "./pace.js";

/** What scaling by a queue needs of the cluster. */
export interface QueueScalerContext {
  pace: Pace;
  target(): Deployment | undefined;
  /** Messages of the queue, as KEDA's operator may ask for them. @throws CloudError */
  queueLength(trigger: Properties): Promise<number>;
  note(subject: string, text: string, detail?: Properties): void;
}

/**
 * KEDA's scaling of one Deployment by the length of one storage queue: between none and some by KEDA itself, every `pollingInterval`;
 * between some and many by a HorizontalPodAutoscaler, every 15 seconds.
 */
export class ScaledObject {
  readonly #over = new AbortController();
  readonly #scaling: HorizontalScaling;
  #lastActive = performance.now();
  #problem: string | undefined;

  constructor(
    readonly object: KubernetesObject,
    private readonly context: QueueScalerContext,
  ) {
    this.#scaling = new HorizontalScaling(
      Math.max(1, this.#least),
      this.#most,
      behaviourOf(object.spec.advanced?.horizontalPodAutoscalerConfig?.behavior),
    );
    void this.#activate();
    void this.#scale();
  }

  stop(): void {
    this.#over.abort();
  }

  get status(): Properties {
    const ready = this.#problem === undefined;
    return {
      conditions: [
        {
          type: "Ready",
          status: ready ? "True" : "False",
          reason: ready ? "ScaledObjectReady" : "ScaledObjectCheckFailed",
          message: this.#problem ?? "",
        },
      ],
    };
  }

  get #least(): number {
    return this.object.spec.minReplicaCount ?? 0;
  }

  get #most(): number {
    return this.object.spec.maxReplicaCount ?? 100;
  }

  get #trigger(): Properties {
    return this.object.spec.triggers[0];
  }

  /** What KEDA's operator does: from none to some, and back. */
  async #activate(): Promise<void> {
    const { pace } = this.context;
    const { pollingInterval = 30, cooldownPeriod = 300 } = this.object.spec;
    const { activationQueueLength = "0" } = this.#trigger.metadata;
    do {
      const deployment = this.context.target();
      const length = await this.#look();
      if (!deployment || length === undefined) continue;
      if (length > Number(activationQueueLength)) {
        this.#lastActive = performance.now();
        if (deployment.replicas === 0) deployment.scale(Math.max(1, this.#least), this.#because(length));
      } else if (deployment.replicas > 0 && this.#least === 0 && pace.since(this.#lastActive) >= cooldownPeriod) {
        deployment.scale(0, `${this.#because(length)}, inactive for ${cooldownPeriod} s`);
      } else if (deployment.replicas < this.#least) {
        deployment.scale(this.#least, `minReplicaCount is ${this.#least}`);
      }
    } while (await pace.sleep(pollingInterval, this.#over.signal));
  }

  /** What the HorizontalPodAutoscaler does that KEDA makes: from one to many. */
  async #scale(): Promise<void> {
    const { pace } = this.context;
    const began = performance.now();
    do {
      const deployment = this.context.target();
      if (!deployment || deployment.replicas === 0) continue;
      const length = await this.#look();
      if (length === undefined || this.#over.signal.aborted || deployment.replicas === 0) continue;
      const next = this.#scaling.next(deployment.replicas, length, Number(this.#trigger.metadata.queueLength ?? "5"), pace.since(began));
      deployment.scale(next, this.#because(length));
    } while (await pace.sleep(SYNC_PERIOD, this.#over.signal));
  }

  #because(length: number): string {
    const { metadata, spec } = this.object;
    return `${length} ${length === 1 ? "message" : "messages"} in ${this.#trigger.metadata.queueName}, ${this.#trigger.metadata.queueLength ?? 5} per replica, between ${spec.minReplicaCount ?? 0} and ${this.#most} (ScaledObject ${metadata.name})`;
  }

  /** The length of the queue; what keeps it from being known is said once. */
  async #look(): Promise<number | undefined> {
    if (this.#over.signal.aborted) return undefined;
    const { metadata } = this.object;
    const subject = `${metadata.namespace}/${metadata.name}`;
    try {
      const length = await this.context.queueLength(this.#trigger);
      if (this.#problem !== undefined) this.context.note(subject, "ScaledObject is ready for scaling");
      this.#problem = undefined;
      return length;
    } catch (error) {
      if (this.#over.signal.aborted) return undefined;
      const problem = error instanceof CloudError ? `${error.code}: ${error.message}` : (error as Error).message;
      if (problem !== this.#problem) this.context.note(subject, `KEDAScalerFailed: ${problem}`, { failed: true });
      this.#problem = problem;
      return undefined;
    }
  }
}

function behaviourOf(declared: Properties | undefined): Behaviour {
  const rules = (own: Properties | undefined, standard: ScalingRules): ScalingRules => ({
    stabilizationWindow: own?.stabilizationWindowSeconds ?? standard.stabilizationWindow,
    selectPolicy: own?.selectPolicy ?? standard.selectPolicy,
    policies: own?.policies ?? standard.policies,
  });
  return { up: rules(declared?.scaleUp, DEFAULT_BEHAVIOUR.up), down: rules(declared?.scaleDown, DEFAULT_BEHAVIOUR.down) };
}
