import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Observer, Result } from "./work.js";

/** What Prometheus is told of a process: Node's own figures, and the role's. */
export function registryOf(role: "uploader" | "processor"): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ role });
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** The processor's figures. */
export function processorMetrics(
  registry: Registry,
  inFlight: () => number,
): Observer & { settled(result: Result, seconds: number): void } {
  const registers = [registry];
  const messages = new Counter({
    name: "image_pipeline_messages_total",
    help: "Deliveries of messages, by what became of them.",
    labelNames: ["result"] as const,
    registers,
  });
  const duration = new Histogram({
    name: "image_pipeline_message_seconds",
    help: "Seconds from receiving a message to settling it.",
    labelNames: ["result"] as const,
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120],
    registers,
  });
  const stages = new Histogram({
    name: "image_pipeline_stage_seconds",
    help: "Seconds that one stage took for one image.",
    labelNames: ["stage", "succeeded"] as const,
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers,
  });
  new Gauge({
    name: "image_pipeline_messages_in_flight",
    help: "Messages that are worked on.",
    registers,
    collect() {
      this.set(inFlight());
    },
  });
  return {
    stage: (stage, seconds, succeeded) => stages.observe({ stage, succeeded: String(succeeded) }, seconds),
    settled(result, seconds) {
      messages.inc({ result });
      duration.observe({ result }, seconds);
    },
  };
}

/** The uploader's figures. @returns tells of one request. */
export function requestMetrics(registry: Registry): (request: { method: string; route: string; status: number; seconds: number }) => void {
  const duration = new Histogram({
    name: "image_pipeline_http_request_seconds",
    help: "Seconds from a request to its response.",
    labelNames: ["method", "route", "status"] as const,
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry],
  });
  return ({ seconds, ...labels }) => duration.observe(labels, seconds);
}
