/** How fast a HorizontalPodAutoscaler may go one way. */
export interface ScalingRules {
  /** Seconds. */
  stabilizationWindow: number;
  selectPolicy: "Max" | "Min" | "Disabled";
  policies: readonly { type: "Pods" | "Percent"; value: number; periodSeconds: number }[];
}

export interface Behaviour {
  up: ScalingRules;
  down: ScalingRules;
}

/** Kubernetes' own. */
export const DEFAULT_BEHAVIOUR: Behaviour = {
  up: {
    stabilizationWindow: 0,
    selectPolicy: "Max",
    policies: [
      { type: "Percent", value: 100, periodSeconds: 15 },
      { type: "Pods", value: 4, periodSeconds: 15 },
    ],
  },
  down: { stabilizationWindow: 300, selectPolicy: "Max", policies: [{ type: "Percent", value: 100, periodSeconds: 15 }] },
};

/** Seconds between two looks of the autoscaler. */
export const SYNC_PERIOD = 15;
const TOLERANCE = 0.1;

interface Moment {
  /** Seconds. */
  at: number;
}

/** The algorithm of a HorizontalPodAutoscaler with one metric, whose target is an average per pod. Moments are in seconds, of any clock. */
export class HorizontalScaling {
  readonly #recommended: (Moment & { replicas: number })[] = [];
  readonly #changes: (Moment & { by: number })[] = [];

  constructor(
    private readonly least: number,
    private readonly most: number,
    private readonly behaviour: Behaviour,
  ) {}

  /** How many pods there are to be from now on. */
  next(current: number, total: number, targetPerPod: number, now: number): number {
    const ratio = total / (targetPerPod * Math.max(1, current));
    const wanted = Math.abs(1 - ratio) <= TOLERANCE ? current : Math.ceil(total / targetPerPod);
    const recommended = this.#clamp(wanted);
    // What is there when it begins counts as a recommendation: the first look does not take away pods.
    if (this.#recommended.length === 0) this.#recommended.push({ at: now, replicas: current });
    this.#recommended.push({ at: now, replicas: recommended });
    const { up, down } = this.behaviour;
    const window = Math.max(up.stabilizationWindow, down.stabilizationWindow);
    while ((this.#recommended[0]?.at ?? now) <= now - window && this.#recommended.length > 1) this.#recommended.shift();
    const within = (seconds: number) => this.#recommended.filter(({ at }) => at > now - seconds).map(({ replicas }) => replicas);
    // As low as it has been all the time, before more; as high, before fewer.
    const highest = Math.max(recommended, ...within(down.stabilizationWindow));
    const lowest = Math.min(recommended, ...within(up.stabilizationWindow));
    const settled = lowest > current ? lowest : highest < current ? highest : current;
    const next = this.#clamp(
      settled > current ? this.#up(current, settled, now) : settled < current ? this.#down(current, settled, now) : current,
    );
    if (next !== current) this.#changes.push({ at: now, by: next - current });
    return next;
  }

  #up(current: number, wanted: number, now: number): number {
    const { selectPolicy, policies } = this.behaviour.up;
    if (selectPolicy === "Disabled") return current;
    const limits = policies.map(({ type, value, periodSeconds }) => {
      const before = current - this.#added(now - periodSeconds, 1);
      return type === "Pods" ? before + value : Math.ceil(before * (1 + value / 100));
    });
    return Math.min(wanted, Math.max(current, selectPolicy === "Min" ? Math.min(...limits) : Math.max(...limits)));
  }

  #down(current: number, wanted: number, now: number): number {
    const { selectPolicy, policies } = this.behaviour.down;
    if (selectPolicy === "Disabled") return current;
    const limits = policies.map(({ type, value, periodSeconds }) => {
      const before = current + this.#added(now - periodSeconds, -1);
      return type === "Pods" ? before - value : Math.floor(before * (1 - value / 100));
    });
    return Math.max(wanted, Math.min(current, selectPolicy === "Min" ? Math.max(...limits) : Math.min(...limits)));
  }

  /** Pods that came (1) or went (-1) since then. */
  #added(since: number, sign: 1 | -1): number {
    return this.#changes.filter(({ at, by }) => at > since && Math.sign(by) === sign).reduce((sum, { by }) => sum + Math.abs(by), 0);
  }

  #clamp(replicas: number): number {
    return Math.min(this.most, Math.max(this.least, replicas));
  }
}
