import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { ImagePipeline, type ImagePipelineArgs } from "../../../components/azure/image-pipeline.js";
import { type InvocationResult, type RpcValue, Worker } from "../../../local/services/azure/web/worker.js";
import { recorded } from "../../declared.js";
import { called } from "../called.js";
import { check, type Opened, opened, unpacked } from "../opened.js";

interface App {
  opened: Opened;
  sha256: string;
  settings: Record<string, string>;
}

describe("The package of the Function App", function () {
  this.timeout(60_000);
  let app: App;
  let withModule: App;

  const declare = async (args: ImagePipelineArgs): Promise<App> => {
    const resources = await recorded(() => new ImagePipeline("photos", args));
    const { path, sha256 } = called(resources, "photos-app-code").inputs;
    const { appSettings } = called(resources, "photos-app-app").inputs.siteConfig;
    return {
      opened: await opened(path),
      sha256,
      settings: Object.fromEntries(appSettings.map(({ name, value }: Record<string, string>) => [name, value])),
    };
  };
  before(async () => {
    app = await declare({});
    withModule = await declare({ tagger: "./examples/taggers/shape.ts" });
  });

  /** Does something with the app's worker, which has nothing in its environment but the declared settings. */
  const running = async <T>({ opened, settings }: App, work: (worker: Worker, log: string[]) => Promise<T>): Promise<T> => {
    const { root, remove } = await unpacked(opened);
    const log: string[] = [];
    const binariesOf = fileURLToPath(import.meta.url);
    const options = { root, memory: 2_048, variables: settings, binariesOf, onBinary: () => {} };
    try {
      const worker = await Worker.start({ ...options, onLog: ({ message }) => log.push(message) });
      try {
        return await work(worker, log);
      } finally {
        await worker.stop();
      }
    } finally {
      await remove();
    }
  };

  const get = async (worker: Worker, path: string): Promise<{ status: string | undefined; body: string }> => {
    const api = worker.functions.find(({ name }) => name === "Api");
    const [trigger] = Object.entries(api?.bindings ?? {}).find(([, { type }]) => type === "httpTrigger") ?? [];
    assert.ok(api && trigger);
    const http = {
      method: "GET",
      url: `https://app.example.org${path}`,
      headers: {},
      query: {},
      params: { path: path.slice(1) },
      body: null,
    };
    const { returnValue, outputs }: InvocationResult = await worker.invoke({
      function: api,
      inputs: { [trigger]: { http } },
      timeout: 20_000,
    });
    const answer = (returnValue ?? outputs[0]?.data)?.http;
    return { status: answer?.statusCode, body: text(answer?.body) };
  };
  const text = (value: RpcValue | null | undefined) => value?.string ?? Buffer.from(value?.bytes ?? []).toString();

  it("is small, the same for everybody, and free of other platforms' binaries and of what is for development", async () => {
    for (const { opened } of [app, withModule]) await check(opened, "x64");
  });

  it("is announced by its hash, and holds the host's configuration beside the module", async () => {
    const { createHash } = await import("node:crypto");
    assert.equal(createHash("sha256").update(app.opened.zip).digest("hex"), app.sha256);
    const files = Object.keys(app.opened.files).filter((file) => !file.startsWith("node_modules/"));
    assert.deepEqual(files.sort(), ["host.json", "index.mjs", "package.json"]);
    assert.equal(JSON.parse(Buffer.from(app.opened.files["package.json"] ?? []).toString()).main, "index.mjs");
  });

  it("holds no source of another app, cloud or host", () => {
    const entries = (sources: readonly string[]) => sources.filter((source) => /^functions\/azure\/app(-module)?\.ts$/.test(source));
    assert.deepEqual(entries(app.opened.sources), ["functions/azure/app.ts"]);
    assert.deepEqual(entries(withModule.opened.sources), ["functions/azure/app-module.ts"]);
    for (const { opened } of [app, withModule]) {
      assert.deepEqual(
        opened.sources.filter((source) => /^(functions\/(aws|container)|node_modules\/@aws-sdk)\//.test(source)),
        [],
      );
    }
    assert.equal(app.opened.sources.includes("examples/taggers/shape.ts"), false);
    assert.equal(withModule.opened.sources.includes("examples/taggers/shape.ts"), true);
  });

  it("loads and handles one event, with nothing in its environment but what is declared", async () => {
    for (const each of [app, withModule]) {
      await running(each, async (worker, log) => {
        const { status, body } = await get(worker, "/health");
        assert.equal(status, "200", `${body}\n${log.join("\n")}`);
        assert.equal(JSON.parse(body).status, "ok");
      });
    }
  });

  it("does not start without what it needs, and says what that is", async () => {
    const { TOPIC_ENDPOINT: _, ...settings } = app.settings;
    await assert.rejects(
      running({ ...app, settings }, async () => undefined),
      /TOPIC_ENDPOINT is not set/,
    );
  });
});
