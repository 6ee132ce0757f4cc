import assert from "node:assert/strict";
import { compilePolicy, evaluate, type PolicyKind, validatePolicy } from "../../../../local/kernel/aws/policy.js";
import type { Statement } from "../../../../local/kernel/service.js";
import { ACCOUNT, CASES, type Decision, OWNER, type PolicyCase, policyOf, SESSION } from "./policy-cases.js";

function decide({ identity, resource, version, by = SESSION, action, on, context = {} }: PolicyCase): Decision {
  const keys = new Map(Object.entries(context).map(([key, value]) => [key.toLowerCase(), value]));
  const ask = (statements: Statement[] | undefined, kind: PolicyKind) =>
    evaluate(statements ? [compilePolicy(policyOf(statements, version), kind)] : [], {
      principal: by,
      account: ACCOUNT,
      action,
      resource: on,
      keys,
    });
  const verdicts = [ask(resource, "resource"), ask(identity, "identity")];
  return verdicts.includes("deny") ? "ExplicitlyDenied" : verdicts.includes("allow") ? "Allowed" : "ImplicitlyDenied";
}

describe("Policies", () => {
  for (const each of CASES) {
    it(`${each.name}: ${each.decision}`, () => assert.equal(decide(each), each.decision));
  }

  it("the account's leave lets the account itself in", () => {
    const resource: Statement[] = [{ Effect: "Allow", Principal: { AWS: ACCOUNT }, Action: "s3:GetObject", Resource: "*" }];
    assert.equal(
      decide({ name: "", resource, by: OWNER, action: "s3:GetObject", on: "arn:aws:s3:::photos/a", decision: "Allowed" }),
      "Allowed",
    );
  });

  describe("are refused when they are declared", () => {
    const fine: Statement = { Effect: "Allow", Action: "s3:GetObject", Resource: "*" };
    const refused = (what: RegExp, statement: object, kind: PolicyKind = "identity") =>
      assert.throws(() => validatePolicy({ Version: "2012-10-17", Statement: statement as Statement }, kind), {
        code: "MalformedPolicyDocument",
        message: what,
      });

    it("when they are not JSON", () => assert.throws(() => validatePolicy("{", "identity"), { message: /it is not JSON/ }));
    it("when they are of no known version", () =>
      assert.throws(() => validatePolicy({ Version: "2012-10-18", Statement: fine }, "identity"), { message: /Version is "2012-10-18"/ }));
    it("without statements", () => assert.throws(() => validatePolicy({ Statement: [] }, "identity"), { message: /no Statement/ }));
    it("with an unknown member", () => refused(/has a member Resources/, { ...fine, Resources: "*" }));
    it("with an effect in other letters", () => refused(/Effect "allow"/, { ...fine, Effect: "allow" }));
    it("with an action of no service", () => refused(/no service has the prefix "s4"/, { ...fine, Action: "s4:GetObject" }));
    it("with an action without a service", () => refused(/Action "GetObject"/, { ...fine, Action: "GetObject" }));
    it("with Action and NotAction", () => refused(/either Action or NotAction/, { ...fine, NotAction: "s3:*" }));
    it("with a resource that is no ARN", () => refused(/Resource "photos"/, { ...fine, Resource: "photos" }));
    it("with a resource that is empty", () => refused(/has no Resource/, { ...fine, Resource: [] }));
    it("with an unknown condition operator", () =>
      refused(/condition operator StringIs/, { ...fine, Condition: { StringIs: { "s3:prefix": "a" } } }));
    it("with an operator that only looks known", () =>
      refused(/condition operator toString/, { ...fine, Condition: { toString: { "s3:prefix": "a" } } }));
    it("with a set operator that is unknown", () =>
      refused(/ForSomeValues/, { ...fine, Condition: { "ForSomeValues:StringEquals": { "s3:prefix": "a" } } }));
    it("with a global key that is unknown", () =>
      refused(/no such global key/, { ...fine, Condition: { StringEquals: { "aws:SourceArm": "a" } } }));
    it("with a variable that nobody fills in", () =>
      refused(/policy variable \$\{aws:Who\}/, { ...fine, Resource: "arn:aws:s3:::${aws:Who}" }));
    it("with a Bool that is neither", () => refused(/"yes" for Bool/, { ...fine, Condition: { Bool: { "aws:SecureTransport": "yes" } } }));
    it("with an address that is none", () =>
      refused(/"10.0.0.0\/33"/, { ...fine, Condition: { IpAddress: { "aws:SourceIp": "10.0.0.0/33" } } }));
    it("with a principal, on a role", () => refused(/has a Principal/, { ...fine, Principal: "*" }));
    it("without a principal, on a resource", () => refused(/either Principal or NotPrincipal/, fine, "resource"));
    it("with a principal that is a mere name", () =>
      refused(/Principal AWS "thumbnails"/, { ...fine, Principal: { AWS: "thumbnails" } }, "resource"));
    it("with a service that is not written out", () =>
      refused(/Principal Service "lambda"/, { ...fine, Principal: { Service: "lambda" } }, "resource"));
    it("with a resource, for trust", () => refused(/has a Resource/, { ...fine, Action: "sts:AssumeRole", Principal: "*" }, "trust"));
    it("with another action than STS's, for trust", () =>
      refused(/trust policies are about sts:/, { Effect: "Allow", Action: "s3:*", Principal: "*" }, "trust"));
    it("allowing NotPrincipal", () => refused(/allows NotPrincipal/, { ...fine, NotPrincipal: "*" }, "resource"));
  });
});
