import page from "virtual:page";
import { app } from "@azure/functions";
import * as durable from "durable-functions";
import project from "../../package.json" with { type: "json" };
import { createApi } from "../core/api/app.js";
import type { Tagger } from "../core/ports.js";
import { activities } from "./activities.js";
import { isBehind } from "./backlog.js";
import { environment } from "./environment.js";
import { isUnderWay, purge } from "./history.js";
import { behindFunctions } from "./http.js";
import { processImage } from "./orchestration.js";
import { telling } from "./outcomes.js";
import { parkPoison } from "./poison.js";
import { portsOf } from "./ports.js";
import { ORCHESTRATION, startJob } from "./starter.js";
import { sweepAndTell } from "./sweep.js";

/** Functions carry 100 MB, but a body lies in the memory of host and worker several times at once. Bytes. */
const BODY_LIMIT = 32 * 1024 * 1024;

/** The account that the host keeps its own things in is the one with the queues. */
const connection = "AzureWebJobsStorage";

/**
 * Registers all functions of the app: Starter, ProcessImage with its activities, Poison, Sweep, Purge and Api.
 *
 * @param own The team's own tagger.
 */
export function register(own?: Tagger): void {
  const ports = portsOf(own);
  const { JOB_QUEUE } = environment("JOB_QUEUE");

  durable.app.client.storageQueue("Starter", {
    queueName: JOB_QUEUE,
    connection,
    handler: (message, client) => startJob(message, client, ports),
  });
  durable.app.orchestration(ORCHESTRATION, processImage);
  for (const [name, activity] of Object.entries(activities(ports))) {
    durable.app.activity(name, { handler: telling(activity as (input: unknown) => Promise<unknown>) });
  }
  app.storageQueue("Poison", { queueName: `${JOB_QUEUE}-poison`, connection, handler: (message) => parkPoison(message, ports) });
  durable.app.client.timer("Sweep", {
    schedule: "0 */5 * * * *",
    async handler(_timer, client) {
      // What has not begun is not lost: its message still waits.
      if (!(await isBehind(ports.jobs, ports.clock))) await sweepAndTell(ports, (stuck, object) => isUnderWay(stuck, object, client));
    },
  });
  durable.app.client.timer("Purge", { schedule: "0 17 * * * *", handler: (_timer, client) => purge(client, ports.clock) });

  const { settings, uploads, variants, records, tags, deadLetters, workflow, apiKey, clock } = ports;
  const api = createApi({
    ...{ settings, uploads, variants, records, tags, deadLetters, workflow, apiKey, clock, page },
    version: project.version,
    prefix: "uploads/",
    bodyLimit: BODY_LIMIT,
  });
  app.http("Api", {
    methods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
    // The API knows its callers by itself.
    authLevel: "anonymous",
    route: "{*path}",
    handler: behindFunctions(api),
  });
}
