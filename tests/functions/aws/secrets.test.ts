import assert from "node:assert/strict";
import { SSMClient } from "@aws-sdk/client-ssm";
import { secret } from "../../../functions/aws/secrets.js";
import iam from "../../../local/services/aws/iam.js";
import ssm from "../../../local/services/aws/ssm.js";
import { type TestCloud, testCloud } from "../../local/cloud.js";

const PARAMETER = "aws:ssm/parameter:Parameter";

describe("A secret in the parameter store", () => {
  let cloud: TestCloud;
  let client: SSMClient;
  let asked: number;
  let now: number;

  before(async () => {
    cloud = await testCloud([iam(), ssm()]);
    client = new SSMClient(cloud.client());
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
    const parameter = await cloud.declare(PARAMETER, "key", { name: "key", type: "SecureString", value: "first" });
    const read = secret(client, "key", () => now);
    assert.deepEqual(await Promise.all([read(), read(), read()]), ["first", "first", "first"]);
    await cloud.change(parameter, { name: "key", type: "SecureString", value: "second" });
    now = 5 * 60_000 - 1;
    assert.deepEqual([await read(), asked], ["first", 1]);
    now = 5 * 60_000;
    assert.deepEqual([await read(), asked], ["second", 2]);
  });

  it("that could not be read is asked for again", async () => {
    const read = secret(client, "later", () => now);
    await assert.rejects(read(), { name: "ParameterNotFound" });
    await cloud.declare(PARAMETER, "later", { name: "later", type: "SecureString", value: "there" });
    assert.equal(await read(), "there");
  });
});
