import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readStackConfig } from "../../../local/index.js";

describe("Pulumi.yaml and Pulumi.STACK.yaml", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "stack-config-"));
  });
  after(() => rm(folder, { recursive: true }));

  const write = async (project: string, stack: string) => {
    await writeFile(join(folder, "Pulumi.yaml"), project);
    await writeFile(join(folder, "Pulumi.dev.yaml"), stack);
    return readStackConfig(folder, "dev");
  };

  it("give the project, and the stack's configuration", async () => {
    const read = await write(
      "name: pipeline\nruntime: nodejs\n",
      "config:\n  aws:region: eu-west-1\n  size: 3\n  pipeline:on: true\n  pipeline:list: [a, b]\n",
    );
    const config = { "aws:region": "eu-west-1", "pipeline:size": "3", "pipeline:on": "true", "pipeline:list": '["a","b"]' };
    assert.deepEqual(read, { project: "pipeline", stack: "dev", config });
  });

  it("give the project's defaults where the stack has nothing", async () => {
    const project =
      "name: pipeline\nconfig:\n  size: {type: integer, default: 3}\n  hue: red\n  typed: {type: string}\n  aws:region: {value: us-east-1}\n";
    const { config } = await write(project, "config:\n  pipeline:hue: blue\n");
    assert.deepEqual(config, { "pipeline:size": "3", "pipeline:hue": "blue", "aws:region": "us-east-1" });
  });

  it("may be empty for the stack", async () => {
    assert.deepEqual((await write("name: pipeline", "")).config, {});
  });

  it("are refused with encrypted values, missing files, and what is no mapping", async () => {
    await assert.rejects(write("name: p", "encryptionsalt: v1:x\nconfig:\n  p:apiKey:\n    secure: v1:abc\n"), {
      code: "STACK_CONFIG_UNUSABLE",
      message: /Pulumi\.dev\.yaml: "p:apiKey" is encrypted \(`secure:`\), and only the Pulumi CLI can decrypt it/,
    });
    await assert.rejects(readStackConfig(folder, "lost"), /Pulumi\.lost\.yaml does not exist\./);
    await assert.rejects(write("runtime: nodejs", ""), /Pulumi\.yaml has no name/);
    await assert.rejects(write("name: p", "config: [1]"), /Pulumi\.dev\.yaml: a mapping of names to values is expected/);
    await assert.rejects(write("name: p", "config: {"), /Pulumi\.dev\.yaml cannot be read/);
  });
});
