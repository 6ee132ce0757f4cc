import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type AttachableCloud, startAttachable } from "../../local/index.js";
import { CliStack, withoutCli } from "./cli.js";
import { recordings, settingsOf } from "./recordings.js";

const missing = withoutCli();

/** What a change of configuration changes: kind of change and logical name. */
const CHANGES: Readonly<Record<string, { setting: [key: string, value: string]; changes: RegExp; needed: readonly string[] }[]>> = {
  aws: [
    {
      setting: ["image-pipeline:logRetention", "7 days"],
      changes: /^update photos-[\w-]+-logs$/,
      needed: ["update photos-api-logs", "update photos-workflow-logs"],
    },
    {
      setting: ["image-pipeline:notifyEmail", "ops@example.org"],
      changes: /^create photos-(results|alarms)-email$/,
      needed: ["create photos-results-email", "create photos-alarms-email"],
    },
    {
      setting: ["image-pipeline:thumbnails", '{"card":{"width":320,"height":200}}'],
      changes: /^update photos-[\w-]+-function$/,
      needed: ["update photos-workflow-generate-thumbnails-function", "update photos-api-function"],
    },
  ],
  azure: [
    {
      setting: ["image-pipeline:logRetention", "60 days"],
      changes: /^update photos-monitoring-(workspace|insights)$/,
      needed: ["update photos-monitoring-workspace"],
    },
    {
      setting: ["image-pipeline:thumbnails", '{"card":{"width":320,"height":200}}'],
      changes: /^update photos-app-app$/,
      needed: ["update photos-app-app"],
    },
  ],
};

/** How many providers a program of ours declares itself, at most. */
const PROVIDERS = 1;

/** Types that each stack has, and that nothing depends on. */
const ALARMS = ["aws:cloudwatch/metricAlarm:MetricAlarm", "azure-native:monitor:ScheduledQueryRule"];

for (const name of recordings()) {
  describe(`Pulumi's CLI, with the stack ${name} on the embedded cloud${missing ? ` (skipped: ${missing})` : ""}`, function () {
    this.timeout(300_000);

    let attachable: AttachableCloud;
    let stack: CliStack;

    before(async function () {
      if (missing) this.skip();
      const { clouds, config } = await settingsOf(name);
      attachable = await startAttachable({ region: config["aws:region"] ?? "eu-west-1", clouds });
      stack = await CliStack.init(name, attachable.environment);
    });

    after(async () => {
      await stack?.forget();
      await attachable?.stop();
    });

    it("previews everything as new, and makes nothing", async () => {
      const steps = await stack.preview();
      assert.deepEqual(new Set(steps.map(({ op }) => op)), new Set(["create"]));
      assert.ok(steps.length > 20, `${steps.length} steps`);
      assert.deepEqual(declaredOn(attachable), []);
      assert.deepEqual(await stack.export(), []);
    });

    it("deploys by `up`, and packages no handler again that the preview has packaged", async () => {
      await stack.preview();
      const packaged = await handlers();
      assert.ok(packaged.length > 0);
      await stack.up();
      assert.deepEqual(await handlers(), packaged);
      assert.ok(declaredOn(attachable).length > 20);
    });

    it("keeps the key secret in outputs and state, and shows it to whoever asks", async () => {
      const { apiKey } = await stack.outputs("--show-secrets");
      assert.match(apiKey ?? "", /^[\w-]{40,}$/);
      assert.equal((await stack.outputs()).apiKey, "[secret]");
      const said = [
        JSON.stringify(await stack.export()),
        await stack.run("stack"),
        await stack.run("preview", "--diff"),
        await keptState(attachable),
      ];
      for (const text of said) assert.ok(!text.includes(apiKey as string));
    });

    it("has deployed a product that conforms", async () => {
      const { url, apiKey } = await stack.outputs("--show-secrets");
      const mocha = join("node_modules", "mocha", "bin", "mocha.js");
      const child = spawn(process.execPath, [mocha, "tests/conformance/*.test.ts"], {
        env: { ...process.env, CONFORMANCE_URL: url, CONFORMANCE_KEY: apiKey },
        stdio: ["ignore", "pipe", "inherit"],
      });
      let said = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        said += text;
      });
      const [code] = await once(child, "close");
      assert.equal(code, 0, said);
      assert.match(said, /\b[1-9]\d passed, 0 failed, 0 skipped/);
    });

    it("has nothing to change by another `up`, nor by `refresh`", async () => {
      assert.deepEqual(await stack.preview(), []);
      const { same = 0, update: providers = 0, ...others } = await stack.up("--skip-preview");
      assert.deepEqual(others, {});
      assert.ok(same > 20 && providers <= PROVIDERS, `${same} resources are the same, and ${providers} are not`);
      await stack.run("refresh", "--yes", "--expect-no-changes");
      assert.deepEqual(await stack.preview("--refresh"), []);
    });

    for (const { setting, changes, needed } of CHANGES[name] ?? []) {
      it(`changes for ${setting[0]} what it must, and nothing else`, async () => {
        await stack.run("config", "set", ...setting);
        const planned = (await stack.preview()).map(({ op, urn }) => `${op} ${urn.split("::").at(-1)}`);
        for (const step of planned) assert.match(step, changes);
        for (const step of needed) assert.ok(planned.includes(step), `${step} is not among ${planned.join(", ")}`);
        const { same = 0, ...changed } = await stack.up("--skip-preview");
        const done = Object.values(changed).reduce((sum, count) => sum + count, 0);
        assert.ok(done >= planned.length && done <= planned.length + PROVIDERS, `${done} changes, ${planned.length} planned`);
        assert.ok(same > 20);
        assert.deepEqual(await stack.preview(), []);
      });
    }

    it("finds out by `refresh` what somebody has removed, and makes it again by `up`", async () => {
      const somebodys = ALARMS.flatMap((type) => attachable.cloud.resources.all(type))[0];
      assert.ok(somebodys);
      attachable.cloud.resources.remove(somebodys);
      await stack.run("refresh", "--yes");
      assert.deepEqual(
        (await stack.preview()).map(({ op, urn }) => `${op} ${urn}`),
        [`create ${somebodys.urn}`],
      );
      assert.equal((await stack.up("--skip-preview")).create, 1);
    });

    it("leaves nothing behind by `destroy`, however full the stores are", async () => {
      await stack.run("destroy", "--yes");
      assert.deepEqual(await stack.export(), []);
      assert.deepEqual(declaredOn(attachable), []);
      await stack.run("stack", "rm", "--yes");
    });
  });
}

/** Types and ids of everything that exists on a cloud. */
function declaredOn({ cloud }: AttachableCloud): string[] {
  const types = cloud.services.flatMap(({ resources = {} }) => Object.keys(resources));
  return types.flatMap((type) => cloud.resources.all(type).map(({ id }) => `${type} ${id}`));
}

/** The packaged handlers, each with the time when it was written. */
async function handlers(): Promise<string[]> {
  const folder = join(".build", "handlers");
  const files = (await readdir(folder)).sort();
  return Promise.all(files.map(async (file) => `${file} ${(await stat(join(folder, file))).mtimeMs}`));
}

/** All that the CLI has written of its stacks. */
async function keptState({ environment }: AttachableCloud): Promise<string> {
  const folder = new URL(environment.PULUMI_BACKEND_URL as string);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  assert.ok(files.length > 0);
  return (await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name), "utf8")))).join("\n");
}
