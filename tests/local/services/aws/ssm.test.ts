import assert from "node:assert/strict";
import { GetParameterCommand, GetParametersCommand, SSMClient } from "@aws-sdk/client-ssm";
import ssm from "../../../../local/services/aws/ssm.js";
import { type TestCloud, testCloud } from "../../cloud.js";

const PARAMETER = "aws:ssm/parameter:Parameter";

describe("SSM parameters", () => {
  let test: TestCloud;
  let client: SSMClient;
  beforeEach(async () => {
    test = await testCloud([ssm()]);
    client = new SSMClient(test.client());
  });
  afterEach(() => test.stop());

  it("are read by name and by ARN", async () => {
    const { outputs } = await test.declare(PARAMETER, "size", { name: "/photos/size", type: "String", value: "640" });
    for (const Name of ["/photos/size", outputs.arn]) {
      const { Parameter } = await client.send(new GetParameterCommand({ Name }));
      assert.equal(Parameter?.Value, "640");
      assert.equal(Parameter?.ARN, "arn:aws:ssm:us-east-1:000000000000:parameter/photos/size");
      assert(Math.abs(Parameter!.LastModifiedDate!.getTime() - Date.now()) < 60_000);
    }
    await assert.rejects(client.send(new GetParameterCommand({ Name: "other" })), { name: "ParameterNotFound" });
  });

  it("that are secure show their value only when decryption is asked for", async () => {
    await test.declare(PARAMETER, "key", { name: "key", type: "SecureString", value: "open sesame" });
    const closed = await client.send(new GetParameterCommand({ Name: "key" }));
    assert(closed.Parameter?.Value && !closed.Parameter.Value.includes("sesame"));
    const open = await client.send(new GetParameterCommand({ Name: "key", WithDecryption: true }));
    assert.equal(open.Parameter?.Value, "open sesame");
  });

  it("count their versions", async () => {
    const parameter = await test.declare(PARAMETER, "size", { name: "size", type: "String", value: "1" });
    await test.change(parameter, { ...parameter.inputs, value: "2" });
    const { Parameter } = await client.send(new GetParameterCommand({ Name: "size" }));
    assert.deepEqual([Parameter?.Value, Parameter?.Version], ["2", 2]);
  });

  it("are read many at once, with the names of those that are not there", async () => {
    await test.declare(PARAMETER, "a", { name: "a", type: "String", value: "1" });
    const { Parameters, InvalidParameters } = await client.send(new GetParametersCommand({ Names: ["a", "b"] }));
    assert.deepEqual([Parameters?.map(({ Value }) => Value), InvalidParameters], [["1"], ["b"]]);
  });

  for (const [what, inputs, reason] of [
    ["a type that is none", { type: "Secret", value: "x" }, /be one of String/],
    ["no value", { type: "String" }, /given once/],
    ["an empty value", { type: "String", value: "" }, /between 1 and 4096/],
    ["a value of more than 4 KB", { type: "String", value: "x".repeat(4_097) }, /between 1 and 4096/],
    ["a secret that is not to be kept secret", { type: "SecureString", insecureValue: "x" }, /not be used with a SecureString/],
    ["a value that its pattern refuses", { type: "String", value: "x", allowedPattern: "^\\d+$" }, /allowedPattern/],
  ] as const) {
    it(`are refused with ${what}`, () => assert.rejects(test.declare(PARAMETER, "odd", inputs), { message: reason }));
  }
});
