import assert from "node:assert/strict";
import account from "../../../../local/services/aws/account.js";
import iam from "../../../../local/services/aws/iam.js";
import { type TestCloud, testCloud } from "../../cloud.js";

const ROLE = "aws:iam/role:Role";
const ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy";
const trust = {
  Version: "2012-10-17",
  Statement: { Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" },
};
const policy = { Version: "2012-10-17", Statement: { Effect: "Allow", Action: "s3:GetObject", Resource: "*" } };

describe("IAM", () => {
  let test: TestCloud;
  beforeEach(async () => {
    test = await testCloud([iam(), account()]);
  });
  afterEach(() => test.stop());

  it("gives a role its ARN, path and all, and keeps its id over changes", async () => {
    const role = await test.declare(ROLE, "clerk", { name: "clerk", path: "/photos/", assumeRolePolicy: trust });
    assert.equal(role.outputs.arn, "arn:aws:iam::000000000000:role/photos/clerk");
    assert.deepEqual(JSON.parse(role.outputs.assumeRolePolicy), trust);
    const changed = await test.change(role, { ...role.inputs, description: "new" });
    assert.equal(changed.outputs.uniqueId, role.outputs.uniqueId);
    assert.equal(test.cloud.assume("clerk", "run", "lambda.amazonaws.com").principal.role, role.outputs.arn);
  });

  it("refuses trust and policies that could never work", async () => {
    await assert.rejects(test.declare(ROLE, "odd", { assumeRolePolicy: "{" }), { code: "MalformedPolicyDocument" });
    await assert.rejects(test.declare(ROLE, "odd", { assumeRolePolicy: policy }), { code: "MalformedPolicyDocument" });
    const role = await test.declare(ROLE, "clerk", { assumeRolePolicy: trust });
    const odd = { ...policy, Statement: { ...policy.Statement, Action: "s3GetObject" } };
    await assert.rejects(test.declare(ROLE_POLICY, "odd", { role: role.id, policy: odd }), { message: /Action "s3GetObject"/ });
  });

  it("knows the roles that policies are for", async () => {
    await assert.rejects(test.declare(ROLE_POLICY, "lost", { role: "nobody", policy }), { code: "NoSuchEntity" });
  });

  it("does not delete a role that has policies", async () => {
    const role = await test.declare(ROLE, "clerk", { assumeRolePolicy: trust });
    const grant = await test.declare(ROLE_POLICY, "grant", { role: role.id, policy });
    await assert.rejects(test.remove(role), { code: "DeleteConflict" });
    await test.remove(grant);
    await test.remove(role);
  });

  it("has none of the policies that AWS manages", async () => {
    const role = await test.declare(ROLE, "clerk", { assumeRolePolicy: trust });
    const policyArn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";
    const attach = test.declare("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "basic", { role: role.id, policyArn });
    await assert.rejects(attach, { code: "NoSuchEntity", message: /declare the grants/ });
  });

  it("says who asks, by function and by STS", async () => {
    const identity = account().functions!["aws:index/getCallerIdentity:getCallerIdentity"]!;
    assert.equal((await identity({}, test.cloud)).accountId, "000000000000");
    const role = await test.declare(ROLE, "clerk", { assumeRolePolicy: trust });
    const { principal } = test.session(role);
    const answer = await test.cloud.call({ service: "sts", operation: "GetCallerIdentity", input: {}, as: principal });
    assert.equal(answer.Arn, principal.arn);
  });
});
