import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

describe("npm run cloud", function () {
  this.timeout(30_000);

  it("prints the environment of Pulumi's CLI, and takes all of it along when it ends", async () => {
    const { child, ended } = cloud("--only", "aws");
    const [, environment] = await said(child, /^(export [\s\S]*)^export NODE_EXTRA_CA_CERTS='.+'$/m);
    const settings = Object.fromEntries(
      [...(environment as string).matchAll(/^export (\w+)='(.*)'$/gm)].map(([, name, value]) => [name, value]),
    );
    assert.match(settings.PULUMI_DEBUG_PROVIDERS as string, /^aws:\d+$/);
    assert.equal(settings.PULUMI_CONFIG_PASSPHRASE, "embedded-cloud");
    assert.equal(settings.AWS_REGION, "eu-west-1");
    assert.match(settings.AWS_ENDPOINT_URL as string, /^http:\/\/127\.0\.0\.1:\d+$/);
    const states = fileURLToPath(settings.PULUMI_BACKEND_URL as string);
    assert.ok(existsSync(states));
    const begun = performance.now();
    child.kill("SIGTERM");
    assert.deepEqual(await ended, [143, null]);
    assert.ok(performance.now() - begun < 2_000);
    assert.ok(!existsSync(states));
  });

  for (const [args, message] of [
    [["--only", "gcp"], /--only is "gcp": it must be aws or azure\./],
    [["--region", "mars"], /--region is "mars": it must be a region of AWS, such as eu-west-1\./],
    [["--region"], /--region needs a region, such as eu-west-1 behind it\./],
    [["--port", "0"], /--port is "0": it must be a whole number from 1 to 65535\./],
    [["--fast"], /--fast is not an option\. There are --only, --region, --port, --env and --help\./],
    [["aws"], /"aws" is one argument too many: stacks are deployed by pulumi, in another terminal\./],
    [["--env", "/nowhere/at/all"], /--env: the folder of "\/nowhere\/at\/all" does not exist or cannot be written to\./],
  ] as const) {
    it(`refuses ${args.join(" ")}`, async () => {
      const { child, ended } = cloud(...args);
      let said = "";
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        said += text;
      });
      assert.deepEqual(await ended, [2, null]);
      assert.match(said, message);
    });
  }
});

function cloud(...args: string[]) {
  const child = spawn(process.execPath, ["cli/cloud.mjs", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  return { child, ended: once(child, "close") };
}

/** Resolves when stdout matches. */
function said(child: ReturnType<typeof cloud>["child"], pattern: RegExp): Promise<RegExpExecArray> {
  let text = "";
  return new Promise((resolve, reject) => {
    child.stdout.setEncoding("utf8").on("data", (more: string) => {
      text += more;
      const match = pattern.exec(text);
      if (match) resolve(match);
    });
    child.once("close", () => reject(new Error(`It ended, and had said:\n${text}`)));
  });
}
