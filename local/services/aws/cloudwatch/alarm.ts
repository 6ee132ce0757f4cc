import type { Properties } from "../../../kernel/service.js";
import { type Metrics, metricOf, type Statistic } from "./metrics.js";

export type AlarmState = "OK" | "ALARM" | "INSUFFICIENT_DATA";

/** Comparison operator → does a value breach the threshold? */
export const COMPARISONS: Record<string, (value: number, threshold: number) => boolean> = {
  GreaterThanThreshold: (value, threshold) => value > threshold,
  GreaterThanOrEqualToThreshold: (value, threshold) => value >= threshold,
  LessThanThreshold: (value, threshold) => value < threshold,
  LessThanOrEqualToThreshold: (value, threshold) => value <= threshold,
};

export const MISSING = ["missing", "ignore", "breaching", "notBreaching"];

/**
 * The state that an alarm's settings and its metric's latest periods amount to.
 * The period that is still running counts as soon as it has data; until then the ones before it do.
 */
export function evaluate(settings: Properties, metrics: Metrics, now: number): { state: AlarmState | "unchanged"; reason: string } {
  const {
    namespace,
    metricName,
    dimensions,
    statistic,
    period,
    evaluationPeriods,
    threshold,
    comparisonOperator,
    treatMissingData = "missing",
  } = settings;
  const needed: number = settings.datapointsToAlarm ?? evaluationPeriods;
  const metric = metricOf(namespace, metricName, dimensions);
  const breaches = COMPARISONS[comparisonOperator]!;
  const length = period * 1_000;
  const current = Math.floor(now / length) * length;
  const of = (start: number) => metrics.statistic(metric, statistic as Statistic, start, start + length);
  const running = of(current);
  const complete = Array.from({ length: evaluationPeriods }, (_, back) => of(current - (back + 1) * length));
  const values = running === undefined ? complete : [running, ...complete.slice(0, -1)];
  const known = values.filter((value) => value !== undefined);
  const breaching = known.filter((value) => breaches(value, threshold)).length;
  const missing = values.length - known.length;

  if (known.length === 0 && treatMissingData === "ignore") return { state: "unchanged", reason: "No datapoints were received." };
  if (known.length === 0 && treatMissingData === "missing") {
    return { state: "INSUFFICIENT_DATA", reason: `Insufficient Data: ${values.length} datapoints were unknown.` };
  }
  const bad = breaching + (treatMissingData === "breaching" ? missing : 0);
  const state = bad >= needed ? "ALARM" : "OK";
  const shown = known.map((value) => String(value)).join(", ") || "none";
  const treated = missing > 0 ? `, ${missing} missing treated as ${treatMissingData}` : "";
  const reason = `Threshold Crossed: ${bad} out of the last ${values.length} datapoints [${shown}]${treated} ${bad === 1 ? "was" : "were"} ${comparisonOperator} ${threshold} (${needed} needed for ALARM).`;
  return { state, reason };
}
