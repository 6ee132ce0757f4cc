import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, request as forward } from "node:http";
import { request } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { serverCertificate } from "../../../local/kernel/azure/certificates.js";
import * as photos from "../../photos.js";
import { type TestAzurite, testAzurite } from "./azurite.js";
import { composed, type Environment, type Programs, programs } from "./containers.js";

/** What the program tells a container in the cluster. */
const DECLARED: Environment = {
  STORAGE_BLOB_URL: "https://photos.blob.core.windows.net/",
  STORAGE_QUEUE_URL: "https://photos.queue.core.windows.net/",
  STORAGE_TABLE_URL: "https://photos.table.core.windows.net/",
  UPLOADS_CONTAINER: "rawfiles",
  PROCESSED_CONTAINER: "processed",
  JOB_QUEUE: "jobqueue",
  DEAD_LETTER_QUEUE: "parked",
  TAGS_TABLE: "ImageTags",
  SQL_SERVER: "photos.database.windows.net",
  SQL_PORT: "1433",
  SQL_DATABASE: "photos",
  AZURE_CLIENT_ID: "00000000-0000-0000-0000-000000000000",
  TOPIC_ENDPOINT: "https://photos.westeurope-1.eventgrid.azure.net/api/events",
};

describe("A container that starts", function () {
  this.timeout(60_000);
  let azurite: TestAzurite;
  let image: Programs;
  let settings: Record<string, unknown>;
  let uploader: Environment;

  before(async () => {
    [azurite, image] = await Promise.all([testAzurite(), programs()]);
    uploader = await composed("uploader", azurite);
    settings = JSON.parse(uploader.PIPELINE_SETTINGS ?? "");
  });
  after(async () => {
    await azurite?.stop();
    await image?.remove();
  });

  const refusal = async (program: "uploader.mjs" | "processor.mjs", environment: Environment) => {
    const container = image.run(program, environment);
    const code = await container.exited;
    assert.equal(code, 1);
    return String(container.lines.at(-1)?.error?.message);
  };

  it("says what it is not told, or told wrongly, and ends", async () => {
    const declared = { ...DECLARED, PIPELINE_SETTINGS: JSON.stringify(settings) };
    const keyed = JSON.stringify({ ...settings, auth: { kind: "key" } });
    const own = JSON.stringify({ ...settings, tagger: "module" });
    const cases: [program: "uploader.mjs" | "processor.mjs", wrong: Environment, said: RegExp][] = [
      ...["SQL_SERVER", "AZURE_CLIENT_ID", "PROCESSED_CONTAINER", "JOB_QUEUE"].map(
        (name) => ["processor.mjs", { [name]: "" }, new RegExp(`^${name} is not set`)] as (typeof cases)[number],
      ),
      ["processor.mjs", { CONCURRENCY: "100" }, /^CONCURRENCY is "100"/],
      ["processor.mjs", { PIPELINE_SETTINGS: own }, /has no tagger of the team's own/],
      ["uploader.mjs", { TLS_KEY: "key" }, /^TLS_CERTIFICATE is not set/],
      ["uploader.mjs", { PIPELINE_SETTINGS: keyed }, /^API_KEY is not set/],
    ];
    await Promise.all(cases.map(async ([program, wrong, said]) => assert.match(await refusal(program, { ...declared, ...wrong }), said)));
  });

  it("works, but is not ready, as long as what it needs does not answer; and ends when it is told", async () => {
    const nowhere = "http://127.0.0.1:9/devstoreaccount1";
    const container = image.run("processor.mjs", { ...(await composed("processor", azurite)), STORAGE_QUEUE_URL: nowhere });
    const url = await container.url();
    await container.says("jobs does not answer yet");
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
    const readiness = await fetch(`${url}/readyz`);
    assert.equal(readiness.status, 503);
    assert.ok(((await readiness.json()) as { missing: string[] }).missing.includes("jobs"));
    assert.equal(await container.end(), 0);
  });

  it("serves TLS where it has a certificate, and asks for the key", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "certificate-"));
    const { key, cert, authority } = await serverCertificate(folder);
    const PIPELINE_SETTINGS = JSON.stringify({ ...settings, auth: { kind: "key" } });
    const container = image.run("uploader.mjs", { ...uploader, PIPELINE_SETTINGS, API_KEY: "secret", TLS_KEY: key, TLS_CERTIFICATE: cert });
    const url = await container.url();
    await container.says("ready");
    const ca = await readFile(authority, "utf8");
    const get = (route: string, headers = {}) =>
      new Promise<{ status: number | undefined; hsts: string | undefined }>((resolve, reject) => {
        request(`${url}${route}`, { ca, headers, agent: false }, (response) => {
          response.resume().on("end", () => resolve({ status: response.statusCode, hsts: response.headers["strict-transport-security"] }));
        })
          .on("error", reject)
          .end();
      });
    assert.match(url, /^https:/);
    assert.equal((await get("/readyz")).status, 200);
    assert.equal((await get("/images")).status, 401);
    const { status, hsts } = await get("/images", { authorization: "Bearer secret" });
    assert.deepEqual([status, hsts], [200, "max-age=31536000; includeSubDomains"]);
    assert.equal(await container.end(), 0);
    assert.ok(!container.lines.some(({ message }) => /in clear/.test(message)));
    await rm(folder, { recursive: true });
  });

  it("answers probes at a port of their own where it has one, and then callers learn nothing of how it is run", async () => {
    const container = image.run("uploader.mjs", { ...uploader, PROBES_PORT: "0" });
    const { address, probes } = await container.says("listening");
    await container.says("ready");
    const status = async (url: string) => (await fetch(url)).status;
    for (const route of ["/healthz", "/readyz", "/metrics"]) {
      assert.equal(await status(`${probes}${route}`), 200, route);
      assert.equal(await status(`${address}${route}`), 404, route);
    }
    assert.deepEqual([await status(`${address}/health`), await status(`${probes}/health`)], [200, 404]);
    assert.equal(await container.end(), 0);
    await assert.rejects(fetch(`${probes}/healthz`));
  });

  it("warns when keys would be sent in clear", async () => {
    const PIPELINE_SETTINGS = JSON.stringify({ ...settings, auth: { kind: "key" } });
    const container = image.run("uploader.mjs", { ...uploader, PIPELINE_SETTINGS, API_KEY: "secret" });
    assert.equal(
      (await container.says("whoever calls must come through something that ends TLS: here, keys and tokens would be sent in clear")).level,
      "warn",
    );
    assert.equal(await container.end(), 0);
  });

  /** A processor that has begun with a picture which never comes; everything else is answered. */
  const hanging = async (picture: string, environment: Environment) => {
    const blobs = new URL(azurite.environment.STORAGE_BLOB_URL);
    const asked = new EventEmitter();
    const proxy = createServer((incoming, outgoing) => {
      if (incoming.method === "GET" && incoming.url?.includes(picture)) return void asked.emit("picture");
      const { method = "GET", url = "/", headers } = incoming;
      const passed = forward({ host: blobs.hostname, port: blobs.port, method, path: url, headers }, (answer) => {
        answer.pipe(outgoing.writeHead(answer.statusCode ?? 500, answer.headers));
      });
      incoming.pipe(passed.on("error", () => outgoing.destroy()));
    });
    await new Promise<void>((resolve) => {
      proxy.listen(0, "127.0.0.1", resolve);
    });
    const { port } = proxy.address() as AddressInfo;
    const container = image.run("processor.mjs", {
      ...(await composed("processor", azurite)),
      STORAGE_BLOB_URL: `http://127.0.0.1:${port}${blobs.pathname}`,
      WATCH_SECONDS: "0.2",
      ...environment,
    });
    await container.says("ready");
    const begun = once(asked, "picture");
    const uploads = azurite.blobs.getContainerClient("rawfiles");
    await uploads.getBlockBlobClient(picture).uploadData(await photos.jpeg(60, 40));
    await begun;
    const stop = async () => {
      await uploads.deleteBlob(picture);
      await azurite.queues.getQueueClient("jobqueue").clearMessages();
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
    };
    return { container, stop };
  };

  it("gives back what it cannot end in time", async () => {
    const { container, stop } = await hanging("slow.jpg", { SHUTDOWN_GRACE_SECONDS: "1" });
    assert.equal(await container.end(), 0);
    await container.says("giving back what is not done in time");
    const { receivedMessageItems } = await azurite.queues.getQueueClient("jobqueue").receiveMessages();
    assert.equal(receivedMessageItems[0]?.dequeueCount, 2, "somebody else has it at once");
    await stop();
  });

  it("asks to be started anew when a picture takes longer than it may, and has given it back by then", async () => {
    const { container, stop } = await hanging("stuck.jpg", { DEADLINE_SECONDS: "1" });
    assert.equal((await fetch(`${await container.url()}/healthz`)).status, 200);
    await container.says("a message takes too long: another try is left to others");
    const health = await fetch(`${await container.url()}/healthz`);
    assert.deepEqual([health.status, await health.json()], [503, { status: "broken", reason: "A message takes longer than it may." }]);
    const since = Date.now();
    assert.equal(await container.end(), 0);
    assert.ok(Date.now() - since < 10_000, "it does not wait for what hangs");
    await stop();
  });
});
