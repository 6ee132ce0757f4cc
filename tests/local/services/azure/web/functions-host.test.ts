import assert from "node:assert/strict";
import { QueueServiceClient } from "@azure/storage-queue";
import { issueToken } from "../../../../../local/kernel/azure/tokens.js";
import type { Properties } from "../../../../../local/kernel/service.js";
import { packageOf, type TestApp, testApp, until } from "./fixture.js";

describe("The embedded Azure Functions host", function () {
  this.timeout(60_000);
  let app: TestApp;
  const queue = async (name: string) =>
    new QueueServiceClient(
      app.account.outputs.primaryEndpoints.queue,
      app.azure.credential(app.identity),
      await app.azure.options(),
    ).getQueueClient(name);
  const send = async (message: unknown) => (await queue("jobs")).sendMessage(Buffer.from(JSON.stringify(message)).toString("base64"));
  const post = (path: string, body?: unknown) =>
    fetch(`${app.url}${path}`, { method: "POST", ...(body !== undefined && { body: JSON.stringify(body) }) });
  const control = async (action: string, id: string, body?: unknown) =>
    (await (await post(`/control/${action}/${id}`, body)).json()) as Properties;

  /** Starts an orchestration, and returns its state when it is over, as its status address says. */
  const outcome = async (orchestrator: string, input?: unknown) => ended((await start(orchestrator, input)).statusQueryGetUri);
  const start = async (orchestrator: string, input?: unknown, id = "") => {
    const response = await post(`/start/${orchestrator}${id && `/${id}`}`, input);
    assert.equal(response.status, 202, await response.clone().text());
    return (await response.json()) as Properties;
  };
  const ended = (address: string) =>
    until(async () => {
      const response = await fetch(address);
      return response.status === 200 && ((await response.json()) as Properties);
    }, `${address} is over`);

  before(async () => {
    app = await testApp();
    assert.deepEqual((await app.publish(await packageOf())).status, 4);
  });
  after(() => app?.stop());

  describe("HTTP", () => {
    it("hands over path, query and bytes, and hands back status, headers and bytes", async () => {
      const response = await fetch(`${app.url}/echo/a/b%20c?q=1`, { method: "POST", body: new Uint8Array([1, 2, 254]) });
      assert.equal(response.status, 201);
      assert.deepEqual([response.headers.get("x-path"), response.headers.get("x-query")], ["a/b c", "1"]);
      assert.deepEqual([...new Uint8Array(await response.arrayBuffer())], [1, 2, 254, 0, 255]);
    });
    it("answers 404 where no function has the route or the method", async () => {
      assert.equal((await fetch(`${app.url}/nothing`)).status, 404);
      assert.equal((await fetch(`${app.url}/echo/a`, { method: "DELETE" })).status, 404);
    });
    it("asks for a key where the function does", async () => {
      assert.equal((await fetch(`${app.url}/locked`)).status, 401);
      assert.equal((await fetch(`${app.url}/locked?code=wrong`)).status, 401);
    });
    it("answers 500 when the function throws, and says why in the trace", async () => {
      assert.equal((await fetch(`${app.url}/fails`)).status, 500);
      assert.ok(app.azure.test.cloud.trace.entries("log").some(({ text }) => text.includes("no luck")));
    });
    it("gives the app its declared settings and the host's own, and nothing of this process", async () => {
      const found = Object.keys((await (await fetch(`${app.url}/environment`)).json()) as object).sort();
      const host = [
        "AZURE_FUNCTIONS_ENVIRONMENT",
        "FUNCTIONS_EXTENSION_VERSION",
        "FUNCTIONS_WORKER_RUNTIME",
        "IDENTITY_ENDPOINT",
        "IDENTITY_HEADER",
      ];
      const reserved = ["LANG", "NODE_EXTRA_CA_CERTS", "PATH", "TZ", "WEBSITE_HOSTNAME", "WEBSITE_SITE_NAME", "WEBSITE_SKU"];
      const storage = ["accountName", "clientId", "credential"].map((part) => `AzureWebJobsStorage__${part}`);
      assert.deepEqual(found, [...host, ...reserved, ...storage, "AzureWebJobsDisableHomepage", "JOBS", "NOTES"].sort());
    });
    it("starts the worker again when it crashes", async () => {
      assert.equal((await fetch(`${app.url}/crash`)).status, 502);
      await until(async () => (await fetch(`${app.url}/echo/again`)).status === 201, "it answers again");
    });
  });

  describe("queues", () => {
    it("run the function with the decoded message, which is then gone", async () => {
      await send({ id: 1 });
      await until(() => app.notes().includes('job {"id":1} 1'), "the message was handled");
      await until(async () => (await (await queue("jobs")).getProperties()).approximateMessagesCount === 0, "it is gone");
    });
    it("park a message whose function fails every time, after maxDequeueCount attempts", async () => {
      await send({ bad: true });
      const poison = await queue("jobs-poison");
      const [parked] = await until(async () => {
        const { peekedMessageItems } = await poison.peekMessages().catch(() => ({ peekedMessageItems: [] }));
        return peekedMessageItems.length > 0 && peekedMessageItems;
      }, "it is parked");
      assert.equal(Buffer.from(parked?.messageText ?? "", "base64").toString(), '{"bad":true}');
      assert.deepEqual(
        app.notes().filter((note) => note.includes("bad")),
        [1, 2, 3].map((count) => `job {"bad":true} ${count}`),
      );
    });
  });

  it("runs a timer's function when it is asked to, for who has the master key", async () => {
    const path = `${app.url}/admin/functions/tick`;
    assert.equal((await fetch(path, { method: "POST", headers: { "x-functions-key": "guessed" } })).status, 401);
    const { services } = app.azure.test.cloud;
    const keys = services.find(({ name }) => name === "web")?.functions?.["azure-native:web:listWebAppHostKeys"];
    assert.ok(keys);
    const { masterKey } = await keys({ name: "photosapp" }, app.azure.test.cloud);
    assert.equal((await fetch(path, { method: "POST", headers: { "x-functions-key": masterKey } })).status, 202);
    await until(() => app.notes().includes("tick false"), "it ticked");
  });

  describe("durable functions", () => {
    it("fan out to activities and in again", async () => {
      const { output, customStatus } = await outcome(
        "fanOut",
        ["a", "b", "c"].map((name) => ({ name, milliseconds: 5 })),
      );
      assert.deepEqual({ output, customStatus }, { output: "ABC", customStatus: { waiting: 3 } });
    });
    it("retry activities as their policy says, and give up in the end", async () => {
      assert.equal((await outcome("retries", { attempts: 4, key: "one", failures: 2 })).output, 3);
      const { output } = await outcome("retries", { attempts: 2, key: "two", failures: 9 });
      assert.equal(output, "gave up: Exception: failure 2");
    });
    it("run sub-orchestrations that continue as new, and timers", async () => {
      assert.deepEqual((await outcome("parent")).output, { loops: 3 });
    });
    it("wait for whichever task is first, again and again", async () => {
      assert.equal((await outcome("oneByOne")).output, "ABC");
    });
    it("wait for an external event, also one that came while they were suspended", async () => {
      const { id, statusQueryGetUri } = await start("approval");
      await until(async () => (await control("suspend", id)).runtimeStatus === "Suspended", "it is suspended");
      await control("approve", id, { by: "me" });
      assert.equal((await control("status", id)).runtimeStatus, "Suspended");
      await control("resume", id);
      assert.deepEqual((await ended(statusQueryGetUri)).output, { by: "me" });
    });
    it("are terminated", async () => {
      const { id, statusQueryGetUri } = await start("approval");
      await control("terminate", id);
      const { runtimeStatus, output } = await ended(statusQueryGetUri);
      assert.deepEqual({ runtimeStatus, output }, { runtimeStatus: "Terminated", output: "enough" });
    });
    it("refuse a second instance of an id while the first runs, and take it afterwards", async () => {
      await start("approval", null, "only-one");
      const second = await post("/start/approval/only-one");
      assert.equal(second.status, 409);
      assert.match(await second.text(), /already exists/);
      await control("terminate", "only-one");
      await start("approval", null, "only-one");
      await control("terminate", "only-one");
      assert.deepEqual(await control("purge", "only-one"), { instancesDeleted: 1 });
    });
    it("forget those that have ended, of a time that has to be told, and no other", async () => {
      const [over, going] = [await start("approval", null, "is-over"), await start("approval", null, "goes-on")];
      await control("terminate", "is-over");
      await ended(over.statusQueryGetUri);
      const runtimeStatus = ["Completed", "Failed", "Terminated"];
      const [past, now] = ["2000-01-01T00:00:00Z", new Date().toISOString()];
      assert.deepEqual(await control("purgeBy", "-", { from: past, to: past, runtimeStatus }), { instancesDeleted: 0 });
      assert.ok((await control("purgeBy", "-", { from: past, to: now, runtimeStatus })).instancesDeleted >= 1);
      assert.equal((await fetch(over.statusQueryGetUri)).status, 404);
      assert.equal((await fetch(going.statusQueryGetUri)).status, 202);
      await control("terminate", "goes-on");
      assert.equal((await post("/control/purgeBy/-", { to: now, runtimeStatus })).status, 500, "the host asks for a beginning");
    });
    it("fail when the orchestrator throws, and when it does not do the same over the same history", async () => {
      assert.equal((await outcome("throws")).output, "Orchestrator function 'throws' failed: on purpose");
      const { runtimeStatus, output } = await outcome("fickle");
      assert.equal(runtimeStatus, "Failed");
      assert.match(output, /Non-Deterministic workflow detected.*'size'.*'flaky'/);
    });
    it("carry values that are larger than a property of a table", async () => {
      assert.equal((await outcome("large")).output, "ä€😀".repeat(30_000).length);
    });
    it("keep their status from who has no code", async () => {
      const { statusQueryGetUri } = await start("parent");
      assert.equal((await fetch(statusQueryGetUri.replace(/code=[^&]+/, "code=guessed"))).status, 401);
    });
  });

  describe("the deployment site", () => {
    it("takes packages only from who may deploy", async () => {
      const { cloud } = app.azure.test;
      const { principalId: objectId, clientId } = app.identity.outputs;
      const stranger = await issueToken(cloud, { objectId, clientId, audience: "https://management.azure.com" });
      const forStorage = await issueToken(cloud, { objectId, clientId, audience: "https://storage.azure.com" });
      assert.equal((await app.publish(await packageOf(), "nonsense")).status, 401);
      assert.equal((await app.publish(await packageOf(), forStorage)).status, 401);
      assert.equal((await app.publish(await packageOf(), stranger)).status, 403);
    });
    it("says what is wrong with a package, and goes on with the one before", async () => {
      const broken = await app.publish(await packageOf({ "index.js": 'throw new Error("half a bundle")' }));
      assert.deepEqual(broken, { status: 3, text: "half a bundle" });
      const host = await app.publish(await packageOf({}, { version: "2.0", functionTimeout: "soon" }));
      assert.equal(host.status, 3);
      assert.match(host.text, /host\.json: functionTimeout/);
      assert.equal((await fetch(`${app.url}/echo/still`)).status, 201);
    });
  });
});

describe("The embedded Azure Functions host, where something is missing", function () {
  this.timeout(60_000);
  let app: TestApp | undefined;
  afterEach(() => app?.stop());
  const logged = (of: TestApp, pattern: RegExp) =>
    until(() => of.azure.test.cloud.trace.entries("log").find(({ text }) => pattern.test(text)), `${pattern} is logged`);

  it("says which role the identity lacks to read its queue, and reads it once the role is there", async () => {
    app = await testApp({ without: ["queueContributor"] });
    await app.publish(await packageOf());
    await logged(app, /The queue 'jobs' cannot be read: 403 .*queueServices\/queues\/messages\/.*Storage Queue Data/);
    const sender = await app.azure.identity("sender");
    await app.azure.grant(sender, "queueSender", app.account.id);
    const queues = new QueueServiceClient(
      app.account.outputs.primaryEndpoints.queue,
      app.azure.credential(sender),
      await app.azure.options(),
    );
    await queues.getQueueClient("jobs").sendMessage(Buffer.from("{}").toString("base64"));
    await app.azure.grant(app.identity, "queueContributor", app.account.id);
    await until(() => app?.notes().includes("job {} 1"), "the message was handled");
  });

  it("says which role the identity lacks to keep its task hub, to the log and to who starts an orchestration", async () => {
    app = await testApp({ without: ["tableContributor"] });
    await app.publish(await packageOf());
    await logged(app, /The task hub 'TestHub' cannot be used: 403 .*tableServices.*Storage Table Data Contributor/);
    const refused = await fetch(`${app.url}/start/parent`, { method: "POST" });
    assert.match(await refused.text(), /The task hub 'TestHub' cannot be used: 403/);
  });

  it("ends a worker that takes more memory than its instance has", async () => {
    app = await testApp({ memory: 512 });
    await app.publish(await packageOf());
    assert.equal((await fetch(`${app.url}/hog`)).status, 502);
    await logged(app, /out of memory: \d+ MB, and instanceMemoryMB is 512/);
  });
});
