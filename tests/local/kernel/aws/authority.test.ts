import assert from "node:assert/strict";
import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import type { Statement } from "../../../../local/kernel/service.js";
import iam from "../../../../local/services/aws/iam.js";
import ssm from "../../../../local/services/aws/ssm.js";
import { type TestCloud, testCloud } from "../../cloud.js";

const trust = (service: string, Condition?: Statement["Condition"]) => ({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { Service: service }, Action: "sts:AssumeRole", ...(Condition ? { Condition } : {}) }],
});

describe("Sessions of roles", () => {
  let test: TestCloud;
  let now: number;
  beforeEach(async () => {
    now = Date.now();
    test = await testCloud([iam(), ssm()], { clock: () => new Date(now) });
  });
  afterEach(() => test.stop());

  const role = (assumeRolePolicy: object, name = "clerk") => test.declare("aws:iam/role:Role", name, { name, assumeRolePolicy });
  const arn = "arn:aws:iam::000000000000:role/clerk";

  it("are for the services that the role trusts", async () => {
    await role(trust("lambda.amazonaws.com"));
    const { principal } = test.cloud.assume(arn, "run", "lambda.amazonaws.com");
    assert.deepEqual(principal, { kind: "role", arn: "arn:aws:sts::000000000000:assumed-role/clerk/run", role: arn });
    assert.throws(() => test.cloud.assume(arn, "run", "states.amazonaws.com"), {
      code: "AccessDenied",
      message: /its trust policy does not allow it/,
    });
  });

  it("are not for roles that do not exist", () => {
    assert.throws(() => test.cloud.assume(arn, "run", "lambda.amazonaws.com"), { code: "AccessDenied", message: /there is no such role/ });
  });

  it("are on behalf of what the trust policy names", async () => {
    await role(
      trust("states.amazonaws.com", {
        ArnLike: { "aws:SourceArn": "arn:aws:states:*:000000000000:stateMachine:mine" },
        StringEquals: { "aws:SourceAccount": "000000000000" },
      }),
    );
    const source = "arn:aws:states:us-east-1:000000000000:stateMachine:";
    test.cloud.assume(arn, "run", "states.amazonaws.com", `${source}mine`);
    assert.throws(() => test.cloud.assume(arn, "run", "states.amazonaws.com", `${source}yours`), { code: "AccessDenied" });
    assert.throws(() => test.cloud.assume(arn, "run", "states.amazonaws.com"), { code: "AccessDenied" });
  });

  describe("have credentials", () => {
    const read = (credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string }) =>
      new SSMClient({ ...test.client(), credentials, maxAttempts: 1 }).send(new GetParameterCommand({ Name: "key" }));
    const allowed = async (name = "clerk") => {
      const declared = await role(trust("lambda.amazonaws.com"), name);
      const policy = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "ssm:GetParameter", Resource: "*" }] };
      await test.declare("aws:iam/rolePolicy:RolePolicy", `${name}-may-read`, { role: name, policy });
      return declared;
    };
    beforeEach(() => test.declare("aws:ssm/parameter:Parameter", "key", { name: "key", type: "String", value: "42" }));

    it("that work", async () => {
      assert.equal((await read(test.session(await allowed()))).Parameter?.Value, "42");
    });

    it("that do not work without their token, or with another session's", async () => {
      const [mine, yours] = [test.session(await allowed()), test.session(await allowed("other"))];
      const { accessKeyId, secretAccessKey } = mine;
      await assert.rejects(read({ accessKeyId, secretAccessKey }), { name: "UnrecognizedClientException" });
      await assert.rejects(read({ ...mine, sessionToken: yours.sessionToken }), { name: "UnrecognizedClientException" });
    });

    it("whose token cannot be forged", async () => {
      const mine = test.session(await allowed());
      await allowed("admin");
      const [content, mac] = mine.sessionToken.split(".");
      const forged = JSON.parse(Buffer.from(content!, "base64url").toString());
      forged.role = "arn:aws:iam::000000000000:role/admin";
      const sessionToken = `${Buffer.from(JSON.stringify(forged)).toString("base64url")}.${mac}`;
      await assert.rejects(read({ ...mine, sessionToken }), { name: "UnrecognizedClientException" });
    });

    it("that do not work with a wrong secret", async () => {
      await assert.rejects(read({ ...test.session(await allowed()), secretAccessKey: "guess" }), { name: "InvalidSignatureException" });
      await assert.rejects(read({ ...test.cloud.accountCredentials, secretAccessKey: "guess" }), { name: "InvalidSignatureException" });
      await assert.rejects(read({ accessKeyId: "AKIAUNKNOWN", secretAccessKey: "guess" }), { name: "UnrecognizedClientException" });
    });

    it("that end with the role", async () => {
      const declared = await role(trust("lambda.amazonaws.com"));
      const session = test.session(declared);
      await test.remove(declared);
      await assert.rejects(read(session), { name: "UnrecognizedClientException" });
    });

    it("that end after twelve hours", async () => {
      const session = test.session(await allowed());
      now += 12 * 3_600_000 + 1;
      const client = new SSMClient({ ...test.client(), credentials: session, maxAttempts: 1, systemClockOffset: now - Date.now() });
      await assert.rejects(client.send(new GetParameterCommand({ Name: "key" })), { name: "ExpiredTokenException" });
    });
  });

  it("take in attached policies, and lose them with the attachment", async () => {
    const declared = await role(trust("lambda.amazonaws.com"));
    await test.declare("aws:ssm/parameter:Parameter", "key", { name: "key", type: "String", value: "42" });
    const document = {
      Version: "2012-10-17",
      Statement: { Effect: "Allow", Action: "ssm:Get*", Resource: "arn:aws:ssm:*:*:parameter/key" },
    };
    const policy = await test.declare("aws:iam/policy:Policy", "readers", { policy: document });
    const attachment = await test.declare("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "read", {
      role: declared.id,
      policyArn: policy.id,
    });
    const as = test.session(declared).principal;
    const call = { service: "ssm", operation: "GetParameter", input: { Name: "key" }, as };
    await test.cloud.call(call);
    await test.remove(attachment);
    await assert.rejects(test.cloud.call(call), {
      code: "AccessDeniedException",
      message: /because no identity-based policy allows the ssm:GetParameter action$/,
    });
  });

  it("are told an explicit deny of their own policies from one on the resource", async () => {
    const declared = await role(trust("lambda.amazonaws.com"));
    const document = { Version: "2012-10-17", Statement: { Effect: "Deny", Action: "ssm:*", Resource: "*" } };
    await test.declare("aws:iam/rolePolicy:RolePolicy", "never", { role: declared.id, policy: document });
    const call = { service: "ssm", operation: "GetParameter", input: { Name: "key" }, as: test.session(declared).principal };
    await assert.rejects(test.cloud.call(call), { message: /with an explicit deny in an identity-based policy$/ });
  });
});
