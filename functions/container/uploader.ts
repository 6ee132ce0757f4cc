import { setTimeout as pause } from "node:timers/promises";
import page from "virtual:page";
import { Hono } from "hono";
import project from "../../package.json" with { type: "json" };
import { createApi } from "../core/api/app.js";
import { FORM_BYTES, uploadBudget } from "../core/settings.js";
import { options } from "./environment.js";
import { runContainer } from "./lifetime.js";
import { log } from "./log.js";
import { registryOf, requestMetrics } from "./metrics.js";
import { uploaderPorts } from "./ports.js";
import { probes } from "./probes.js";
import { Readiness } from "./readiness.js";
import { routeOf } from "./routes.js";
import { listen, listenForProbes } from "./server.js";
import { isByKey, prepareAccount } from "./without-cloud.js";

/** Seconds from SIGTERM until requests that are under way are given up. */
const GRACE = 25;

/** The uploader: the HTTP API and its page, and what the cluster asks. */
await runContainer(async () => {
  const { SHUTDOWN_GRACE_SECONDS = GRACE, DRAIN_SECONDS, TLS_KEY } = options("SHUTDOWN_GRACE_SECONDS", "DRAIN_SECONDS", "TLS_KEY");
  const ports = uploaderPorts();
  const { settings, uploads, variants, records, tags, deadLetters, workflow, apiKey, clock } = ports;
  if (settings.auth.kind !== "none" && TLS_KEY === undefined)
    log("warn", "whoever calls must come through something that ends TLS: here, keys and tokens would be sent in clear");

  const readiness = new Readiness({
    ...(isByKey() && { account: prepareAccount }),
    uploads: () => uploads.head("readiness"),
    processed: () => variants.head("readiness"),
    records: () => records.get("readiness"),
    tags: () => tags.recall("0".repeat(64)),
    deadLetters: () => deadLetters.list(1),
    ...(settings.auth.kind === "key" && { apiKey }),
  });
  const registry = registryOf("uploader");
  const told = requestMetrics(registry);
  const api = createApi({
    ...{ settings, uploads, variants, records, tags, deadLetters, workflow, apiKey, clock, page },
    version: project.version,
    prefix: "uploads/",
    bodyLimit: settings.limits.bytes + FORM_BYTES,
    uploadBudget: uploadBudget(settings.limits),
  });
  const asked = probes({ readiness, registry });
  // Whoever may call the API need not know how it is run: where there is a port of their own, probes are there only.
  const own = await listenForProbes(asked.fetch);
  const app = (own ? new Hono() : new Hono().route("/", asked)).all("*", async (c) => {
    const since = performance.now();
    const response = await api.fetch(c.req.raw, c.env);
    const { method, path } = c.req;
    told({ method, route: routeOf(path), status: response.status, seconds: (performance.now() - since) / 1_000 });
    // Whoever keeps a connection is to open the next one elsewhere.
    if (readiness.isEnding) response.headers.set("Connection", "close");
    return response;
  });
  const { address, close } = await listen(app.fetch);
  log("info", "listening", { role: "uploader", address, ...(own && { probes: own.address }) });
  void readiness.reached.then(() => log("info", "ready"));

  return async () => {
    readiness.end();
    await pause(Math.min(DRAIN_SECONDS, SHUTDOWN_GRACE_SECONDS) * 1_000);
    await close(Math.max(0, SHUTDOWN_GRACE_SECONDS - DRAIN_SECONDS) * 1_000);
    await own?.close(0);
  };
});
