import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { Product } from "../../cli/product.js";
import { type AttachableCloud, startAttachable } from "../../local/index.js";
import { CliStack, withoutCli } from "./cli.js";
import { recordings, settingsOf } from "./recordings.js";

const missing = withoutCli();

interface Change {
  setting: [key: string, value: string];
  /** Every step there may be: its kind, and the logical name. */
  changes: RegExp;
  /** Steps that there must be. */
  needed: readonly string[];
}

const THUMBNAILS: Change["setting"] = ["image-pipeline:thumbnails", '{"card":{"width":320,"height":200}}'];
const MAIL: Change["setting"] = ["image-pipeline:notifyEmail", "ops@example.org"];
const TAGS: Change["setting"] = ["image-pipeline:tags", '{"team":"photos"}'];

/** What a change of configuration changes. */
const CHANGES: Readonly<Record<string, readonly Change[]>> = {
  aws: [
    {
      setting: ["image-pipeline:logRetention", "7 days"],
      changes: /^update photos-[\w-]+-logs$/,
      needed: ["update photos-api-logs", "update photos-workflow-logs"],
    },
    {
      setting: MAIL,
      changes: /^create photos-(results|alarms)-email$/,
      needed: ["create photos-results-email", "create photos-alarms-email"],
    },
    {
      setting: THUMBNAILS,
      changes: /^update photos-[\w-]+-function$/,
      needed: ["update photos-workflow-generate-thumbnails-function", "update photos-api-function"],
    },
    {
      setting: ["image-pipeline:workflow", "standard"],
      changes: /^(replace photos-workflow-(machine|target)|update photos-[\w-]+)$/,
      needed: ["replace photos-workflow-machine", "update photos-api-policy"],
    },
    { setting: TAGS, changes: /^update /, needed: ["update photos-ImageProcessingDb-table", "update photos-api-function"] },
  ],
  azure: [
    {
      setting: ["image-pipeline:logRetention", "60 days"],
      changes: /^update photos-monitoring-(workspace|insights)$/,
      needed: ["update photos-monitoring-workspace"],
    },
    { setting: THUMBNAILS, changes: /^update photos-app-app$/, needed: ["update photos-app-app"] },
    {
      setting: MAIL,
      changes: /^(create photos-(email(-(service|domain|communication))?|may-mail)|update photos-(alarm-group|app-app))$/,
      needed: ["create photos-email-communication", "create photos-may-mail", "update photos-alarm-group", "update photos-app-app"],
    },
    { setting: TAGS, changes: /^update /, needed: ["update photos-group", "update photos-images-account", "update photos-app-app"] },
  ],
  "azure-kubernetes": [
    {
      setting: ["image-pipeline:logRetention", "60 days"],
      changes: /^update photos-monitoring-(workspace|insights)$/,
      needed: ["update photos-monitoring-workspace"],
    },
    {
      setting: THUMBNAILS,
      changes: /^update photos-(uploader|processor)-deployment$/,
      needed: ["update photos-uploader-deployment", "update photos-processor-deployment"],
    },
    {
      setting: MAIL,
      changes:
        /^(create photos-(email(-(service|domain|communication))?|processor-may-mail)|update photos-(alarm-group|processor-deployment))$/,
      needed: ["create photos-email-communication", "create photos-processor-may-mail", "update photos-processor-deployment"],
    },
    {
      setting: TAGS,
      changes: /^update /,
      needed: ["update photos-group", "update photos-images-account", "update photos-cluster-cluster"],
    },
  ],
};

/** What is secret in a state beside the key of the API. */
const SECRETS: Readonly<Record<string, readonly RegExp[]>> = {
  aws: [],
  azure: [/^[\w-]+\.[\w-]+\.[\w-]+$/],
  "azure-kubernetes": [/^[\w-]+\.[\w-]+\.[\w-]+$/, /-----BEGIN PRIVATE KEY-----/, /"kind":"Config"/],
};

/** Stores that outlive a stack where they are to. */
const RETAINED: Readonly<Record<string, readonly RegExp[]>> = {
  aws: [/^aws:s3\/bucket:Bucket /, /^aws:dynamodb\/table:Table /],
  azure: [/^azure-native:storage:BlobContainer /, /^azure-native:sql:Database /],
  "azure-kubernetes": [/^azure-native:storage:BlobContainer /, /^azure-native:sql:Database /],
};

/** How many providers a program of ours declares itself, at most. */
const PROVIDERS = 1;

/** Types that each stack has, and that nothing depends on. */
const ALARMS = ["aws:cloudwatch/metricAlarm:MetricAlarm", "azure-native:monitor:ScheduledQueryRule"];

for (const name of recordings()) {
  describe(`Pulumi's CLI, with the stack ${name} on the embedded cloud${missing ? ` (skipped: ${missing})` : ""}`, function () {
    this.timeout(600_000);

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
      const before = await packages();
      await stack.up();
      const after = await packages();
      // Others may package theirs meanwhile: what is deployed here counts.
      const deployed = JSON.stringify(await stack.export()).matchAll(/\.build[\\/]+(handlers|images)[\\/]+([\w.-]+)/g);
      const used = [...deployed].map(([, folder = "", file = ""]) => join(folder, file));
      assert.ok(used.some((file) => file.startsWith(name === "azure-kubernetes" ? "images" : "handlers")));
      for (const file of used) {
        assert.ok(before.has(file), `${file} is not what the preview has packaged`);
        assert.equal(after.get(file), before.get(file), `${file} was packaged again`);
      }
      assert.ok(declaredOn(attachable).length > 20);
    });

    it("keeps keys and tokens secret in outputs and state, and shows them to whoever asks", async () => {
      const { apiKey = "" } = await stack.outputs("--show-secrets");
      assert.match(apiKey, /^[\w-]{40,}$/);
      const shown = await stack.outputs();
      assert.equal(shown.apiKey, "[secret]");
      // What is an output for everybody may be part of something secret: a certificate, beside its key.
      const secrets = secretsIn(await stack.export("--show-secrets")).filter((secret) => !Object.values(shown).includes(secret));
      for (const kind of [apiKey, ...(SECRETS[name] ?? [])])
        assert.ok(
          secrets.some((secret) => secret.match(kind)),
          String(kind),
        );
      const said = [
        JSON.stringify(await stack.export()),
        await stack.run("stack"),
        await stack.run("preview", "--diff"),
        await keptState(attachable),
      ];
      const traces = secrets.flatMap((secret) => secret.split("\n")).filter((line) => line.length >= 16 && !line.startsWith("-----"));
      for (const trace of traces) {
        const quoted = JSON.stringify(trace).slice(1, -1);
        assert.ok(!said.some((text) => text.includes(trace) || text.includes(quoted)), `${trace.slice(0, 8)}…, which is secret`);
      }
    });

    it("has deployed a product that conforms", async () => {
      const { url, apiKey } = await stack.outputs("--show-secrets");
      // Without an address, the tests would start stacks of their own.
      assert.ok(url);
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

    let retained: string[] = [];

    it("leaves the stores alone by `destroy` where they are to be retained, and says so", async () => {
      await stack.run("config", "set", "image-pipeline:removal", "retain");
      // AWS protects tables against other hands, too, and empties no bucket then; the rest concerns the end only.
      for (const { op, urn } of await stack.preview())
        assert.match(`${op} ${urn.split("::").at(-1)}`, /^update photos-[\w-]+-(table|bucket)$/);
      await stack.up("--skip-preview");
      await upload(stack);
      const known = await stack.export<{ urn: string; type: string; id?: string; retainOnDelete?: boolean }>();
      const stores = known.filter(({ type, retainOnDelete }) => retainOnDelete && !type.startsWith("pulumi-nodejs:"));
      const said = await stack.run("destroy", "--yes");
      for (const { urn } of stores) assert.match(said, new RegExp(` ${urn.split("::").at(-1)} .*retain`));
      assert.deepEqual(await stack.export(), []);
      retained = declaredOn(attachable).sort();
      assert.deepEqual(retained, stores.map(({ type, id }) => `${type} ${id}`).sort());
      for (const store of RETAINED[name] ?? [])
        assert.ok(
          retained.some((each) => store.test(each)),
          `${store}`,
        );
    });

    it("leaves nothing else behind by `destroy`, however full the stores are", async () => {
      await stack.run("config", "set", "image-pipeline:removal", "destroy");
      await stack.up("--skip-preview");
      await upload(stack);
      assert.ok(declaredOn(attachable).length > retained.length + 20);
      await stack.run("destroy", "--yes");
      assert.deepEqual(await stack.export(), []);
      assert.deepEqual(declaredOn(attachable).sort(), retained);
      await stack.run("stack", "rm", "--yes");
    });
  });
}

/** Types and ids of everything that exists on a cloud. */
function declaredOn({ cloud }: AttachableCloud): string[] {
  const types = cloud.services.flatMap(({ resources = {} }) => Object.keys(resources));
  return types.flatMap((type) => cloud.resources.all(type).map(({ id }) => `${type} ${id}`));
}

/** What has been packaged for whichever stack, handlers and images, and when it was written. */
async function packages(): Promise<Map<string, number>> {
  const files = await readdir(".build", { recursive: true });
  return new Map(await Promise.all(files.map(async (file) => [file, (await stat(join(".build", file))).mtimeMs] as const)));
}

/** Every text in a state that is secret, or in something that is. */
function secretsIn(state: unknown, within = false): string[] {
  if (typeof state === "string") return within ? [state] : [];
  if (typeof state !== "object" || state === null) return [];
  const { plaintext } = state as { plaintext?: string };
  if (plaintext !== undefined) return secretsIn(JSON.parse(plaintext), true);
  return Object.values(state).flatMap((value) => secretsIn(value, within));
}

/** An image of somebody's, with all that becomes of it. */
async function upload(stack: CliStack): Promise<void> {
  const { url = "", apiKey = "" } = await stack.outputs("--show-secrets");
  const { status, failure } = await new Product(url, apiKey, AbortSignal.timeout(60_000)).process("samples/mountains.jpg");
  assert.equal(status, "completed", failure?.message);
}

/** All that the CLI has written of its stacks. */
async function keptState({ environment }: AttachableCloud): Promise<string> {
  const folder = new URL(environment.PULUMI_BACKEND_URL as string);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  assert.ok(files.length > 0);
  return (await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name), "utf8")))).join("\n");
}
