import { isBehind } from "../azure/backlog.js";
import { sweepAndTell } from "../azure/sweep.js";
import type { Tagger } from "../core/ports.js";
import { options } from "./environment.js";
import { runContainer } from "./lifetime.js";
import { log, shown } from "./log.js";
import { processorMetrics, registryOf } from "./metrics.js";
import { processorPorts } from "./ports.js";
import { probes } from "./probes.js";
import { Readiness } from "./readiness.js";
import { Receiver } from "./receiver.js";
import { repeatedly } from "./repeatedly.js";
import { listen } from "./server.js";
import { watch } from "./watch.js";
import { isByKey, prepareAccount } from "./without-cloud.js";
import { work } from "./work.js";

/** Seconds from SIGTERM until what is under way is given back. */
const GRACE = 50;

/** Milliseconds without a turn after which the receiving is broken. */
const STANDSTILL = 120_000;

/**
 * Runs the processor: takes messages from the queue, processes images, sweeps, and answers the cluster.
 *
 * @param own The team's own tagger.
 */
export function runProcessor(own?: Tagger): Promise<void> {
  return runContainer(async () => {
    const declared = options(
      "CONCURRENCY",
      "VISIBILITY_SECONDS",
      "DEADLINE_SECONDS",
      "MAX_ATTEMPTS",
      "RETRY_SECONDS",
      "SWEEP_SECONDS",
      "SHUTDOWN_GRACE_SECONDS",
      "WATCH_SECONDS",
    );
    const { SHUTDOWN_GRACE_SECONDS = GRACE, WATCH_SECONDS } = declared;
    const ports = processorPorts(own);
    const { jobs, uploads, variants, records, tags } = ports;

    const readiness = new Readiness({
      ...(isByKey() && { account: prepareAccount }),
      jobs: () => jobs.getProperties(),
      uploads: () => uploads.head("readiness"),
      processed: () => variants.head("readiness"),
      records: () => records.get("readiness"),
      tags: () => tags.recall("0".repeat(64)),
    });
    const registry = registryOf("processor");
    const metrics = processorMetrics(registry, () => receiver.inFlight);
    const receiver: Receiver = new Receiver({
      queue: jobs,
      concurrency: declared.CONCURRENCY,
      visibility: declared.VISIBILITY_SECONDS,
      deadline: declared.DEADLINE_SECONDS,
      async handle(delivery) {
        const since = performance.now();
        const { result, ...about } = await work(delivery, {
          ...{ ports, observer: metrics },
          ...{ attempts: declared.MAX_ATTEMPTS, retryAfter: declared.RETRY_SECONDS },
        });
        const seconds = (performance.now() - since) / 1_000;
        metrics.settled(result, seconds);
        log("info", "message", {
          id: delivery.id,
          attempt: delivery.attempt,
          ...about,
          result,
          seconds: Math.round(seconds * 1_000) / 1_000,
        });
      },
    });

    let receiving = false;
    const broken = () => {
      if (receiver.overdue > 0) return "A message takes longer than it may.";
      return receiving && Date.now() - receiver.turnedAt > STANDSTILL ? "Messages have not been received for two minutes." : undefined;
    };
    const { address, close } = await listen(probes({ readiness, registry, broken }).fetch);
    log("info", "listening", { role: "processor", address });

    const ends: (() => Promise<void>)[] = [];
    void readiness.reached.then(() => {
      if (readiness.isEnding) return;
      log("info", "ready");
      receiver.start();
      receiving = true;
      ends.push(
        repeatedly(declared.SWEEP_SECONDS, "the sweep", async () => {
          if (!(await isBehind(jobs, ports.clock))) await sweepAndTell(ports);
        }),
      );
      if (WATCH_SECONDS !== undefined) ends.push(watch(WATCH_SECONDS, ports));
    });

    return async () => {
      readiness.end();
      const end = Date.now() + SHUTDOWN_GRACE_SECONDS * 1_000;
      await Promise.all([receiver.stop(end - Date.now()), ...ends.map((finish) => finish())]).catch((error) =>
        log("error", "ending was not in order", { error: shown(error) }),
      );
      await close(0);
    };
  });
}
