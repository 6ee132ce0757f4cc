import assert from "node:assert/strict";
import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import secretsmanager from "../../../../local/services/aws/secretsmanager.js";
import { type TestCloud, testCloud } from "../../cloud.js";

const SECRET = "aws:secretsmanager/secret:Secret";
const VERSION = "aws:secretsmanager/secretVersion:SecretVersion";

describe("Secrets", () => {
  let test: TestCloud;
  let client: SecretsManagerClient;
  beforeEach(async () => {
    test = await testCloud([secretsmanager()]);
    client = new SecretsManagerClient(test.client());
  });
  afterEach(() => test.stop());

  it("are read by name and by ARN, which ends as AWS has it", async () => {
    const { outputs } = await test.declare(SECRET, "key", { name: "photos/key" });
    await test.declare(VERSION, "key", { secretId: outputs.arn, secretString: "open sesame" });
    assert.match(outputs.arn, /^arn:aws:secretsmanager:us-east-1:000000000000:secret:photos\/key-[A-Za-z0-9]{6}$/);
    for (const SecretId of ["photos/key", outputs.arn]) {
      const { SecretString, ARN, VersionStages } = await client.send(new GetSecretValueCommand({ SecretId }));
      assert.deepEqual([SecretString, ARN, VersionStages], ["open sesame", outputs.arn, ["AWSCURRENT"]]);
    }
  });

  it("have a new version when the value changes", async () => {
    const { outputs } = await test.declare(SECRET, "key", { name: "key" });
    const version = await test.declare(VERSION, "key", { secretId: outputs.arn, secretString: "one" });
    const before = await client.send(new GetSecretValueCommand({ SecretId: "key" }));
    await test.change(version, { ...version.inputs, secretString: "two" });
    const after = await client.send(new GetSecretValueCommand({ SecretId: "key" }));
    assert.equal(after.SecretString, "two");
    assert.notEqual(after.VersionId, before.VersionId);
  });

  it("that are not there, or have no value yet, are not found", async () => {
    await assert.rejects(client.send(new GetSecretValueCommand({ SecretId: "none" })), { name: "ResourceNotFoundException" });
    await test.declare(SECRET, "empty", { name: "empty" });
    await assert.rejects(client.send(new GetSecretValueCommand({ SecretId: "empty" })), { name: "ResourceNotFoundException" });
  });

  it("are refused with names and windows that AWS refuses", async () => {
    await assert.rejects(test.declare(SECRET, "key", { name: "a b" }), /name is "a b"/);
    await assert.rejects(test.declare(SECRET, "key", { name: "a", recoveryWindowInDays: 3 }), /recoveryWindowInDays is 3/);
    const { outputs } = await test.declare(SECRET, "key", { name: "key" });
    await assert.rejects(test.declare(VERSION, "key", { secretId: outputs.arn, secretString: "" }), /secretString is 0/);
  });
});
