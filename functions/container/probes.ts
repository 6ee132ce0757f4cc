import { Hono } from "hono";
import type { Registry } from "prom-client";
import type { Readiness } from "./readiness.js";

export interface ProbesOptions {
  readiness: Readiness;
  registry: Registry;
  /** Why the process is to be started anew; `undefined` while it works. */
  broken?(): string | undefined;
}

/** What the cluster asks a container: does it work, may it be sent work, how much has it done? Needs no key, and tells nothing of images. */
export function probes({ readiness, registry, broken = () => undefined }: ProbesOptions): Hono {
  return new Hono()
    .get("/healthz", (c) => {
      const reason = broken();
      return reason === undefined ? c.json({ status: "ok" }) : c.json({ status: "broken", reason }, 503);
    })
    .get("/readyz", (c) => {
      const { reasons } = readiness;
      // What is missing stands in the log: the words are the cloud's, and may be asked for from outside.
      return reasons === undefined ? c.json({ status: "ready" }) : c.json({ status: "not ready", missing: Object.keys(reasons) }, 503);
    })
    .get("/metrics", async (c) => c.body(await registry.metrics(), 200, { "Content-Type": registry.contentType }));
}
