import type { Properties } from "../../../kernel/service.js";

interface Datapoint {
  /** Milliseconds since the epoch. */
  at: number;
  value: number;
}

/** Milliseconds that datapoints are kept: enough for the longest alarm, a day. */
const KEPT = 86_400_000;

export type Statistic = "SampleCount" | "Average" | "Sum" | "Minimum" | "Maximum";
export const STATISTICS: readonly Statistic[] = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"];

/** What was measured, by metric. */
export class Metrics {
  readonly #datapoints = new Map<string, Datapoint[]>();

  put(metric: string, at: number, values: readonly number[], now: number): void {
    const points = this.#datapoints.get(metric) ?? [];
    for (const value of values) points.push({ at, value });
    const first = points.findIndex((point) => point.at >= now - KEPT);
    if (first > 0) points.splice(0, first);
    this.#datapoints.set(metric, points);
  }

  /** The statistic of what was measured from `start` up to `end`; `undefined` when nothing was. */
  statistic(metric: string, statistic: Statistic, start: number, end: number): number | undefined {
    const values = (this.#datapoints.get(metric) ?? []).filter(({ at }) => at >= start && at < end).map(({ value }) => value);
    if (values.length === 0) return undefined;
    const sum = values.reduce((total, value) => total + value, 0);
    return {
      SampleCount: values.length,
      Sum: sum,
      Average: sum / values.length,
      Minimum: Math.min(...values),
      Maximum: Math.max(...values),
    }[statistic];
  }
}

/** A metric's identity: namespace, name, and dimensions in any order. */
export function metricOf(namespace: string, name: string, dimensions: Properties = {}): string {
  return JSON.stringify([namespace, name, Object.entries(dimensions).sort(([a], [b]) => (a < b ? -1 : 1))]);
}
