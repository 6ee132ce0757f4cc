// A small function app of the tests, bundled and published like any other.
import { readFileSync, writeFileSync } from "node:fs";
import { app } from "@azure/functions";
import * as df from "durable-functions";

/** Appends what happened to a file that the test reads. */
const note = (text: string) => {
  const file = process.env.NOTES as string;
  let before = "";
  try {
    before = readFileSync(file, "utf8");
  } catch {}
  writeFileSync(file, `${before}${text}\n`);
};
const connection = "AzureWebJobsStorage";

app.http("echo", {
  route: "echo/{*path}",
  methods: ["GET", "POST"],
  authLevel: "anonymous",
  handler: async (request) => {
    const body = Buffer.from(await request.arrayBuffer());
    return {
      status: 201,
      headers: { "x-path": request.params.path ?? "", "x-query": request.query.get("q") ?? "", "content-type": "application/octet-stream" },
      body: Buffer.concat([body, Buffer.from([0, 255])]),
    };
  },
});
app.http("environment", {
  route: "environment",
  methods: ["GET"],
  authLevel: "anonymous",
  handler: async () => ({ jsonBody: process.env }),
});
app.http("locked", { route: "locked", authLevel: "function", handler: async () => ({ body: "open" }) });
app.http("fails", { route: "fails", authLevel: "anonymous", handler: async () => Promise.reject(new Error("no luck")) });
app.http("crash", { route: "crash", authLevel: "anonymous", handler: async () => process.exit(7) });
app.http("hog", {
  route: "hog",
  authLevel: "anonymous",
  handler: async () => {
    const kept: Buffer[] = [];
    for (let size = 0; size < 1200; size += 50) {
      kept.push(Buffer.alloc(50 * 1024 * 1024, 1));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return { body: String(kept.length) };
  },
});

app.storageQueue("onJob", {
  queueName: "%JOBS%",
  connection,
  handler: async (message, context) => {
    note(`job ${JSON.stringify(message)} ${context.triggerMetadata?.dequeueCount}`);
    if ((message as { bad?: boolean }).bad) throw new Error("bad job");
  },
});
app.timer("tick", { schedule: "0 0 0 1 1 *", handler: async (timer) => note(`tick ${timer.isPastDue}`) });

df.app.activity("slow", {
  handler: async ({ name, milliseconds }: { name: string; milliseconds: number }) => {
    note(`begin ${name}`);
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    note(`end ${name}`);
    return name.toUpperCase();
  },
});
const tries = new Map<string, number>();
df.app.activity("flaky", {
  handler: async ({ key, failures }: { key: string; failures: number }) => {
    const count = (tries.get(key) ?? 0) + 1;
    tries.set(key, count);
    if (count <= failures) throw new Error(`failure ${count}`);
    return count;
  },
});
df.app.activity("size", { handler: async (text: string) => text.length });

df.app.orchestration("fanOut", function* ({ df: context }) {
  const names = context.getInput<{ name: string; milliseconds: number }[]>();
  context.setCustomStatus({ waiting: names.length });
  const results = (yield context.Task.all(names.map((one) => context.callActivity("slow", one)))) as string[];
  return results.join("");
});
df.app.orchestration("retries", function* ({ df: context }) {
  const { attempts, ...input } = context.getInput<{ attempts: number; key: string; failures: number }>();
  try {
    return yield context.callActivityWithRetry("flaky", new df.RetryOptions(20, attempts), input);
  } catch (error) {
    return `gave up: ${(error as Error).message.split("\n")[1]}`;
  }
});
df.app.orchestration("parent", function* ({ df: context }) {
  const loops = yield context.callSubOrchestrator("loop", { left: 3, done: 0 });
  yield context.createTimer(new Date(context.currentUtcDateTime.getTime() + 50));
  return { loops };
});
df.app.orchestration("loop", function* ({ df: context }) {
  const { left, done } = context.getInput<{ left: number; done: number }>();
  if (left === 0) return done;
  yield context.createTimer(new Date(context.currentUtcDateTime.getTime() + 10));
  context.continueAsNew({ left: left - 1, done: done + 1 });
  return undefined;
});
df.app.orchestration("approval", function* ({ df: context }) {
  const deadline = context.createTimer(new Date(context.currentUtcDateTime.getTime() + 600_000));
  const approved = context.waitForExternalEvent("Approve");
  const first = yield context.Task.any([approved, deadline]);
  if (first !== approved) return "late";
  deadline.cancel();
  return approved.result;
});
df.app.orchestration("oneByOne", function* ({ df: context }) {
  let open = ["c", "b", "a"].map((name, index) => context.callActivity("slow", { name, milliseconds: 20 * (index + 1) }));
  const found: unknown[] = [];
  while (open.length > 0) {
    const done = (yield context.Task.any(open)) as df.Task;
    found.push(done.result);
    open = open.filter((task) => task !== done);
  }
  return found.sort().join("");
});
df.app.orchestration("fickle", function* ({ df: context }) {
  const asks = (globalThis as { asks?: number }).asks ?? 0;
  (globalThis as { asks?: number }).asks = asks + 1;
  yield context.callActivity(asks === 0 ? "size" : "flaky", asks === 0 ? "x" : { key: "f", failures: 0 });
  return "never";
});
df.app.orchestration("large", function* ({ df: context }) {
  return yield context.callActivity("size", "ä€😀".repeat(30_000));
});
df.app.orchestration("throws", function* ({ df: context }) {
  yield context.callActivity("size", "");
  throw new Error("on purpose");
});

df.app.client.http("start", {
  route: "start/{orchestrator}/{id?}",
  methods: ["POST"],
  authLevel: "anonymous",
  handler: async (request, client) => {
    const text = await request.text();
    const { orchestrator = "", id } = request.params;
    try {
      const started = await client.startNew(orchestrator, { ...(id && { instanceId: id }), input: text ? JSON.parse(text) : null });
      return client.createCheckStatusResponse(request, started);
    } catch (error) {
      return { status: 409, body: (error as Error).message };
    }
  },
});
df.app.client.http("control", {
  route: "control/{action}/{id}",
  methods: ["POST"],
  authLevel: "anonymous",
  handler: async (request, client) => {
    const { action, id = "" } = request.params;
    if (action === "approve") await client.raiseEvent(id, "Approve", await request.json());
    else if (action === "terminate") await client.terminate(id, "enough");
    else if (action === "suspend") await client.suspend(id, "");
    else if (action === "resume") await client.resume(id, "");
    else if (action === "purge") return { jsonBody: await client.purgeInstanceHistory(id) };
    else if (action === "purgeBy") {
      const { from, to, runtimeStatus } = (await request.json()) as {
        from?: string;
        to: string;
        runtimeStatus: df.OrchestrationRuntimeStatus[];
      };
      const filter = { ...(from && { createdTimeFrom: new Date(from) }), createdTimeTo: new Date(to), runtimeStatus };
      return { jsonBody: await client.purgeInstanceHistoryBy(filter) };
    }
    return { jsonBody: await client.getStatus(id, { showHistory: true }) };
  },
});
