import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { ApiKey } from "../../../components/aws/api-key.js";
import { recorded } from "../../declared.js";

describe("ApiKey", () => {
  const declare = async (value?: string) => {
    let isSecret: boolean | undefined;
    const resources = await recorded(async () => {
      isSecret = await pulumi.isSecret(new ApiKey("key", { value }).value);
    });
    return { resources, isSecret };
  };

  it("is generated once where none is given, and kept encrypted", async () => {
    const { resources, isSecret } = await declare();
    assert.deepEqual(
      resources.map(({ name, type }) => [name, type]),
      [
        ["key-generated", "pulumi-nodejs:dynamic:Resource"],
        ["key-secret", "aws:secretsmanager/secret:Secret"],
        ["key-version", "aws:secretsmanager/secretVersion:SecretVersion"],
      ],
    );
    assert.deepEqual(resources[2]?.inputs.secretString, "a-key-that-was-generated");
    assert.deepEqual(resources[2]?.secretInputs, ["secretString"]);
    assert.equal(isSecret, true);
  });

  it("can be had back, or stays, where that is asked for", async () => {
    const secret = async (args: { recovery?: number; removal?: "retain" }) =>
      (await recorded(() => new ApiKey("key", args))).filter(({ type }) => type.startsWith("aws:"));
    assert.equal((await secret({ recovery: 30 }))[0]?.inputs.recoveryWindowInDays, 30);
    assert.deepEqual(
      (await secret({})).map(({ retainOnDelete }) => retainOnDelete),
      [false, false],
    );
    assert.deepEqual(
      (await secret({ removal: "retain" })).map(({ retainOnDelete }) => retainOnDelete),
      [true, true],
    );
  });

  it("is the one that is given, and a secret from then on", async () => {
    const { resources, isSecret } = await declare("0123456789abcdef");
    assert.deepEqual(
      resources.map(({ name, inputs }) => [name, inputs]),
      [
        ["key-secret", { recoveryWindowInDays: 0 }],
        ["key-version", { secretId: "arn:aws:secretsmanager:eu-west-1:123456789012:secret:key-secret", secretString: "0123456789abcdef" }],
      ],
    );
    assert.deepEqual(resources[1]?.secretInputs, ["secretString"]);
    assert.equal(isSecret, true);
  });
});
