import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";

/** `"00:05:00"`, `"1.00:00:00"` (days), or `"-1"` for no limit; in milliseconds. */
const timespan = z.string().transform((text, context) => {
  if (text === "-1") return Number.POSITIVE_INFINITY;
  const [, days = "0", hours, minutes, seconds] = /^(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2}(?:\.\d+)?)$/.exec(text) ?? [];
  if (hours === undefined || minutes === undefined || seconds === undefined) {
    context.addIssue({ code: "custom", message: `"${text}" is not a time span: it must be like "00:05:00"` });
    return z.NEVER;
  }
  return (((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000;
});

const queues = z
  .strictObject({
    batchSize: z.int().min(1).max(32).default(16),
    newBatchThreshold: z.int().min(0).optional(),
    maxDequeueCount: z.int().min(1).default(5),
    visibilityTimeout: timespan.default(0),
    maxPollingInterval: timespan.default(60_000),
    messageEncoding: z.enum(["base64", "none"]).default("base64"),
  })
  .prefault({});

const durableTask = z
  .object({
    hubName: z
      .string()
      .regex(/^[A-Za-z][A-Za-z0-9]{2,44}$/, "a hub's name has 3 to 45 letters and digits, a letter first")
      .optional(),
    // Partitions and polling are of the real storage provider: here there is one partition, and nothing to poll.
    storageProvider: z
      .object({ type: z.literal("AzureStorage").optional(), connectionName: z.string().default("AzureWebJobsStorage") })
      .loose()
      .prefault({}),
    maxConcurrentActivityFunctions: z.int().min(1).default(10),
    maxConcurrentOrchestratorFunctions: z.int().min(1).default(5),
  })
  .loose()
  .prefault({});

const schema = z.object({
  version: z.literal("2.0"),
  functionTimeout: timespan.default(30 * 60_000),
  extensions: z
    .object({
      http: z
        .object({ routePrefix: z.string().default("api") })
        .loose()
        .prefault({}),
      queues,
      durableTask,
    })
    .loose()
    .prefault({}),
});

/** What host.json says, as far as the embedded host heeds it. Time spans are in milliseconds. */
export type HostSettings = z.output<typeof schema>;

/** @throws Error saying what is wrong with the package's host.json */
export function readHostJson(root: string): HostSettings {
  const file = path.join(root, "host.json");
  if (!existsSync(file)) throw new Error("The package has no host.json at its root.");
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new Error(`host.json is not JSON: ${(error as Error).message}`);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success)
    throw new Error(`host.json: ${parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ")}`);
  return parsed.data;
}
