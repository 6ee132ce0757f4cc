import assert from "node:assert/strict";
import { SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { secret } from "../../../functions/aws/secrets.js";
import iam from "../../../local/services/aws/iam.js";
import secretsmanager from "../../../local/services/aws/secretsmanager.js";
import { type TestCloud, testCloud } from "../../local/cloud.js";

const SECRET = "aws:secretsmanager/secret:Secret";
const VERSION = "aws:secretsmanager/secretVersion:SecretVersion";

describe("A secret", () => {
  let cloud: TestCloud;
  let client: SecretsManagerClient;
  let asked: number;
  let now: number;

  before(async () => {
    cloud = await testCloud([iam(), secretsmanager()]);
    client = new SecretsManagerClient(cloud.client());
    client.middlewareStack.add(
      (next) => (args) => {
        asked++;
        return next(args);
      },
      { step: "initialize" },
    );
  });
  after(async () => {
    client.destroy();
    await cloud.stop();
  });
  beforeEach(() => {
    asked = 0;
    now = 0;
  });

  it("is read once for all who ask, and anew every five minutes", async () => {
    const { outputs } = await cloud.declare(SECRET, "key", { name: "key" });
    const version = await cloud.declare(VERSION, "key", { secretId: outputs.arn, secretString: "first" });
    const read = secret(client, outputs.arn, () => now);
    assert.deepEqual(await Promise.all([read(), read(), read()]), ["first", "first", "first"]);
    await cloud.change(version, { ...version.inputs, secretString: "second" });
    now = 5 * 60_000 - 1;
    assert.deepEqual([await read(), asked], ["first", 1]);
    now = 5 * 60_000;
    assert.deepEqual([await read(), asked], ["second", 2]);
  });

  it("that could not be read is asked for again", async () => {
    const read = secret(client, "later", () => now);
    await assert.rejects(read(), { name: "ResourceNotFoundException" });
    const { outputs } = await cloud.declare(SECRET, "later", { name: "later" });
    await cloud.declare(VERSION, "later", { secretId: outputs.arn, secretString: "there" });
    assert.equal(await read(), "there");
  });
});
