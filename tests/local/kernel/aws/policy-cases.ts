import type { PolicyDocument, Principal, Statement } from "../../../../local/kernel/service.js";

export type Decision = "Allowed" | "ExplicitlyDenied" | "ImplicitlyDenied";

/** One question to the policies, with the answer that IAM gives. */
export interface PolicyCase {
  name: string;
  /** Of the role. */
  identity?: Statement[];
  /** On the resource. */
  resource?: Statement[];
  version?: string;
  /** @default the session of ROLE */
  by?: Principal;
  action: string;
  on: string;
  context?: Record<string, string | string[]>;
  decision: Decision;
}

export const ACCOUNT = "123456789012";
export const ROLE = `arn:aws:iam::${ACCOUNT}:role/thumbnails`;
export const SESSION: Principal = { kind: "role", arn: `arn:aws:sts::${ACCOUNT}:assumed-role/thumbnails/run`, role: ROLE };
const OWNER: Principal = { kind: "account", arn: `arn:aws:iam::${ACCOUNT}:root` };
const EVENTS: Principal = { kind: "service", service: "events.amazonaws.com" };

const BUCKET = "arn:aws:s3:::photos";
const OBJECT = `${BUCKET}/uploads/cat.png`;
const QUEUE = `arn:aws:sqs:us-east-1:${ACCOUNT}:letters`;
const RULE = `arn:aws:events:us-east-1:${ACCOUNT}:rule/created`;
const TABLE = `arn:aws:dynamodb:us-east-1:${ACCOUNT}:table/Images`;

const allow = (Action: string | string[], Resource: string | string[], Condition?: Statement["Condition"]): Statement => ({
  Effect: "Allow",
  Action,
  Resource,
  ...(Condition ? { Condition } : {}),
});
const deny = (Action: string, Resource: string, Condition?: Statement["Condition"]): Statement => ({
  ...allow(Action, Resource, Condition),
  Effect: "Deny",
});
const to = (Principal: NonNullable<Statement["Principal"]>, statement: Statement): Statement => ({ ...statement, Principal });
const list = (Condition: Statement["Condition"], context?: PolicyCase["context"]) => ({
  identity: [allow("s3:ListBucket", BUCKET, Condition)],
  action: "s3:ListBucket",
  on: BUCKET,
  ...(context ? { context } : {}),
});
const get = (Resource: string | string[], decision: Decision, name: string): PolicyCase => ({
  name,
  identity: [allow("s3:GetObject", Resource)],
  action: "s3:GetObject",
  on: OBJECT,
  decision,
});
const leading = (operator: string, keys: string[] | undefined, decision: Decision): PolicyCase => ({
  name: `${operator} on ${keys ? `[${keys}]` : "no keys"}`,
  identity: [allow("dynamodb:GetItem", TABLE, { [operator]: { "dynamodb:LeadingKeys": ["a", "b"] } })],
  action: "dynamodb:GetItem",
  on: TABLE,
  ...(keys ? { context: { "dynamodb:LeadingKeys": keys } } : {}),
  decision,
});
const prefix = (operator: string, expected: string | string[], actual: string | undefined, decision: Decision): PolicyCase => ({
  name: `${operator} ${JSON.stringify(expected)} of ${actual === undefined ? "an absent key" : `"${actual}"`}`,
  ...list({ [operator]: { "s3:prefix": expected } }, actual === undefined ? {} : { "s3:prefix": actual }),
  decision,
});
const keys = (operator: string, key: string, expected: string | string[], actual: string | undefined, decision: Decision): PolicyCase => ({
  name: `${operator} ${key} ${JSON.stringify(expected)} of ${actual === undefined ? "an absent key" : `"${actual}"`}`,
  ...list({ [operator]: { [key]: expected } }, actual === undefined ? {} : { [key]: actual }),
  decision,
});

/**
 * Checked against an independent implementation of IAM's rules when this table was made. It differed on one: it substitutes variables in
 * policies of 2008, which IAM's guide says are plain text there.
 */
export const CASES: PolicyCase[] = [
  { name: "nothing is allowed by silence", action: "s3:GetObject", on: OBJECT, decision: "ImplicitlyDenied" },
  get(`${BUCKET}/uploads/*`, "Allowed", "a wildcard in the key"),
  get(`${BUCKET}/uploads/*.jpg`, "ImplicitlyDenied", "a wildcard that does not fit"),
  get(`${BUCKET}/uploads/c?t.png`, "Allowed", "? is one character"),
  get(`${BUCKET}/uploads/ca?t.png`, "ImplicitlyDenied", "? is not none"),
  get(BUCKET, "ImplicitlyDenied", "the bucket is not its objects"),
  get(`${BUCKET}/*`, "Allowed", "* reaches over slashes"),
  get("arn:aws:s3:::*", "Allowed", "* as the whole resource part"),
  get("*", "Allowed", "everything"),
  get("arn:aws:s3:::Photos/*", "ImplicitlyDenied", "resources are case-sensitive"),
  get(["arn:aws:s3:::other/*", `${BUCKET}/*`], "Allowed", "one of several resources"),
  {
    name: "* in one part of an ARN does not reach the next",
    identity: [allow("sqs:SendMessage", "arn:aws:sqs:*:letters")],
    action: "sqs:SendMessage",
    on: QUEUE,
    decision: "ImplicitlyDenied",
  },
  {
    name: "an ARN that ends early stands for all that goes on",
    identity: [allow("sqs:SendMessage", "arn:aws:sqs:us-east-1")],
    action: "sqs:SendMessage",
    on: QUEUE,
    decision: "Allowed",
  },
  {
    name: "* for a region",
    identity: [allow("sqs:SendMessage", `arn:aws:sqs:*:${ACCOUNT}:letters`)],
    action: "sqs:SendMessage",
    on: QUEUE,
    decision: "Allowed",
  },
  { name: "actions ignore case", identity: [allow("S3:getobject", OBJECT)], action: "s3:GetObject", on: OBJECT, decision: "Allowed" },
  { name: "a wildcard in the action", identity: [allow("s3:Get*", OBJECT)], action: "s3:GetObject", on: OBJECT, decision: "Allowed" },
  {
    name: "a wildcard in the action that does not fit",
    identity: [allow("s3:Put*", OBJECT)],
    action: "s3:GetObject",
    on: OBJECT,
    decision: "ImplicitlyDenied",
  },
  {
    name: "all actions of another service",
    identity: [allow("sqs:*", "*")],
    action: "s3:GetObject",
    on: OBJECT,
    decision: "ImplicitlyDenied",
  },
  {
    name: "a deny beats an allow, whatever their order",
    identity: [deny("s3:*", `${BUCKET}/uploads/*`), allow("s3:*", "*")],
    action: "s3:GetObject",
    on: OBJECT,
    decision: "ExplicitlyDenied",
  },
  {
    name: "a deny elsewhere does nothing",
    identity: [deny("s3:*", `${BUCKET}/secret/*`), allow("s3:*", "*")],
    action: "s3:GetObject",
    on: OBJECT,
    decision: "Allowed",
  },
  {
    name: "NotAction allows the rest",
    identity: [{ Effect: "Allow", NotAction: "s3:Delete*", Resource: "*" }],
    action: "s3:GetObject",
    on: OBJECT,
    decision: "Allowed",
  },
  {
    name: "NotAction leaves out what it names",
    identity: [{ Effect: "Allow", NotAction: "s3:Get*", Resource: "*" }],
    action: "s3:GetObject",
    on: OBJECT,
    decision: "ImplicitlyDenied",
  },
  {
    name: "NotResource leaves out what it names",
    identity: [{ Effect: "Allow", Action: "s3:*", NotResource: `${BUCKET}/uploads/*` }],
    action: "s3:GetObject",
    on: OBJECT,
    decision: "ImplicitlyDenied",
  },
  {
    name: "NotResource allows the rest",
    identity: [{ Effect: "Allow", Action: "s3:*", NotResource: `${BUCKET}/secret/*` }],
    action: "s3:GetObject",
    on: OBJECT,
    decision: "Allowed",
  },
  {
    name: "an action without resources wants *",
    identity: [allow("rekognition:DetectLabels", "*")],
    action: "rekognition:DetectLabels",
    on: "*",
    decision: "Allowed",
  },

  {
    name: "a resource policy alone lets a role of the account in",
    resource: [to({ AWS: ROLE }, allow("s3:GetObject", `${BUCKET}/*`))],
    action: "s3:GetObject",
    on: OBJECT,
    decision: "Allowed",
  },
  {
    name: "a resource policy for another role",
    resource: [to({ AWS: `${ROLE}s` }, allow("s3:GetObject", `${BUCKET}/*`))],
    action: "s3:GetObject",
    on: OBJECT,
    decision: "ImplicitlyDenied",
  },
  {
    name: "a resource policy for this very session",
    resource: [to({ AWS: SESSION.arn }, allow("s3:GetObject", `${BUCKET}/*`))],
    action: "s3:GetObject",
    on: OBJECT,
    decision: "Allowed",
  },
  {
    name: "a resource policy for everybody",
    resource: [to("*", allow("s3:GetObject", `${BUCKET}/*`))],
    action: "s3:GetObject",
    on: OBJECT,
    decision: "Allowed",
  },
  {
    name: "the account's leave is not each role's",
    resource: [to({ AWS: `arn:aws:iam::${ACCOUNT}:root` }, allow("s3:GetObject", `${BUCKET}/*`))],
    action: "s3:GetObject",
    on: OBJECT,
    decision: "ImplicitlyDenied",
  },
  {
    name: "but denying the account denies its roles",
    identity: [allow("s3:*", "*")],
    resource: [to({ AWS: ACCOUNT }, deny("s3:GetObject", `${BUCKET}/*`))],
    action: "s3:GetObject",
    on: OBJECT,
    decision: "ExplicitlyDenied",
  },
  {
    name: "a deny on the resource beats the role's allow",
    identity: [allow("s3:*", "*")],
    resource: [to("*", deny("s3:*", `${BUCKET}/*`))],
    action: "s3:GetObject",
    on: OBJECT,
    decision: "ExplicitlyDenied",
  },
  {
    name: "a deny without TLS does not meet a request with it",
    identity: [allow("s3:*", "*")],
    resource: [to("*", deny("s3:*", `${BUCKET}/*`, { Bool: { "aws:SecureTransport": "false" } }))],
    action: "s3:GetObject",
    on: OBJECT,
    context: { "aws:SecureTransport": "true" },
    decision: "Allowed",
  },
  {
    name: "and meets one without",
    identity: [allow("s3:*", "*")],
    resource: [to("*", deny("s3:*", `${BUCKET}/*`, { Bool: { "aws:SecureTransport": false } }))],
    action: "s3:GetObject",
    on: OBJECT,
    context: { "aws:SecureTransport": "false" },
    decision: "ExplicitlyDenied",
  },
  {
    name: "NotPrincipal denies all others",
    identity: [allow("s3:*", "*")],
    resource: [{ ...deny("s3:*", `${BUCKET}/*`), NotPrincipal: { AWS: `arn:aws:iam::${ACCOUNT}:role/other` } }],
    action: "s3:GetObject",
    on: OBJECT,
    decision: "ExplicitlyDenied",
  },

  { name: "a service needs a resource policy", by: EVENTS, action: "sqs:SendMessage", on: QUEUE, decision: "ImplicitlyDenied" },
  {
    name: "a service with one",
    by: EVENTS,
    resource: [to({ Service: "events.amazonaws.com" }, allow("sqs:SendMessage", QUEUE))],
    action: "sqs:SendMessage",
    on: QUEUE,
    decision: "Allowed",
  },
  {
    name: "another service's",
    by: EVENTS,
    resource: [to({ Service: "s3.amazonaws.com" }, allow("sqs:SendMessage", QUEUE))],
    action: "sqs:SendMessage",
    on: QUEUE,
    decision: "ImplicitlyDenied",
  },
  {
    name: "a service on behalf of the right rule",
    by: EVENTS,
    resource: [to({ Service: "events.amazonaws.com" }, allow("sqs:SendMessage", QUEUE, { ArnEquals: { "aws:SourceArn": RULE } }))],
    action: "sqs:SendMessage",
    on: QUEUE,
    context: { "aws:SourceArn": RULE },
    decision: "Allowed",
  },
  {
    name: "a service on behalf of another rule",
    by: EVENTS,
    resource: [to({ Service: "events.amazonaws.com" }, allow("sqs:SendMessage", QUEUE, { ArnEquals: { "aws:SourceArn": RULE } }))],
    action: "sqs:SendMessage",
    on: QUEUE,
    context: { "aws:SourceArn": `${RULE}2` },
    decision: "ImplicitlyDenied",
  },
  {
    name: "ArnLike with wildcards, and the key in other letters",
    by: EVENTS,
    resource: [
      to(
        { Service: "events.amazonaws.com" },
        allow("sqs:SendMessage", QUEUE, { ArnLike: { "AWS:sourceArn": `arn:aws:events:*:${ACCOUNT}:rule/*` } }),
      ),
    ],
    action: "sqs:SendMessage",
    on: QUEUE,
    context: { "aws:SourceArn": RULE },
    decision: "Allowed",
  },
  {
    name: "ArnLike's * stays in its part",
    by: EVENTS,
    resource: [
      to({ Service: "events.amazonaws.com" }, allow("sqs:SendMessage", QUEUE, { ArnLike: { "aws:SourceArn": "arn:aws:events:*:rule/*" } })),
    ],
    action: "sqs:SendMessage",
    on: QUEUE,
    context: { "aws:SourceArn": RULE },
    decision: "ImplicitlyDenied",
  },
  {
    name: "ArnNotEquals denies others",
    by: EVENTS,
    resource: [
      to("*", allow("sqs:SendMessage", QUEUE)),
      to("*", deny("sqs:SendMessage", QUEUE, { ArnNotEquals: { "aws:SourceArn": RULE } })),
    ],
    action: "sqs:SendMessage",
    on: QUEUE,
    context: { "aws:SourceArn": `${RULE}2` },
    decision: "ExplicitlyDenied",
  },

  prefix("StringEquals", "uploads/", "uploads/", "Allowed"),
  prefix("StringEquals", "uploads/", "Uploads/", "ImplicitlyDenied"),
  prefix("StringEquals", "uploads/*", "uploads/a", "ImplicitlyDenied"),
  prefix("StringEquals", ["a", "b"], "b", "Allowed"),
  prefix("StringEquals", "uploads/", undefined, "ImplicitlyDenied"),
  prefix("StringEqualsIfExists", "uploads/", undefined, "Allowed"),
  prefix("StringEqualsIfExists", "uploads/", "x", "ImplicitlyDenied"),
  prefix("StringNotEquals", "secret/", "uploads/", "Allowed"),
  prefix("StringNotEquals", "secret/", "secret/", "ImplicitlyDenied"),
  prefix("StringNotEquals", ["secret/", "x"], "x", "ImplicitlyDenied"),
  prefix("StringNotEquals", "secret/", undefined, "Allowed"),
  prefix("StringEqualsIgnoreCase", "uploads/", "UPLOADS/", "Allowed"),
  prefix("StringNotEqualsIgnoreCase", "uploads/", "UPLOADS/", "ImplicitlyDenied"),
  prefix("StringLike", "uploads/*", "uploads/a/b", "Allowed"),
  prefix("StringLike", "uploads/?", "uploads/ab", "ImplicitlyDenied"),
  prefix("StringLike", "uploads/*", undefined, "ImplicitlyDenied"),
  prefix("StringNotLike", "secret/*", "secret/a", "ImplicitlyDenied"),
  prefix("StringNotLike", "secret/*", "a", "Allowed"),
  prefix("Null", "true", undefined, "Allowed"),
  prefix("Null", "true", "a", "ImplicitlyDenied"),
  prefix("Null", "false", "a", "Allowed"),
  keys("NumericLessThanEquals", "s3:max-keys", "10", "10", "Allowed"),
  keys("NumericLessThan", "s3:max-keys", "10", "10", "ImplicitlyDenied"),
  keys("NumericGreaterThan", "s3:max-keys", "10", "11", "Allowed"),
  keys("NumericEquals", "s3:max-keys", "10", "10.0", "Allowed"),
  keys("NumericNotEquals", "s3:max-keys", "10", "10", "ImplicitlyDenied"),
  keys("NumericLessThan", "s3:max-keys", "10", undefined, "ImplicitlyDenied"),
  keys("Bool", "aws:SecureTransport", "true", "true", "Allowed"),
  keys("Bool", "aws:SecureTransport", "true", undefined, "ImplicitlyDenied"),
  keys("BoolIfExists", "aws:MultiFactorAuthPresent", "true", undefined, "Allowed"),
  keys("IpAddress", "aws:SourceIp", "203.0.113.0/24", "203.0.113.77", "Allowed"),
  keys("IpAddress", "aws:SourceIp", "203.0.113.0/24", "203.0.114.1", "ImplicitlyDenied"),
  keys("IpAddress", "aws:SourceIp", "203.0.113.5", "203.0.113.5", "Allowed"),
  keys("IpAddress", "aws:SourceIp", "2001:db8::/32", "2001:db8:1::1", "Allowed"),
  keys("IpAddress", "aws:SourceIp", "2001:db8::/32", "203.0.113.5", "ImplicitlyDenied"),
  keys("NotIpAddress", "aws:SourceIp", ["203.0.113.0/24", "198.51.100.0/24"], "198.51.100.7", "ImplicitlyDenied"),
  keys("NotIpAddress", "aws:SourceIp", "203.0.113.0/24", "198.51.100.7", "Allowed"),
  keys("DateGreaterThan", "aws:CurrentTime", "2026-01-01T00:00:00Z", "2026-11-21T00:00:00Z", "Allowed"),
  keys("DateLessThan", "aws:CurrentTime", "2026-01-01T00:00:00Z", "2026-11-21T00:00:00Z", "ImplicitlyDenied"),

  leading("ForAllValues:StringEquals", ["a"], "Allowed"),
  leading("ForAllValues:StringEquals", ["a", "b"], "Allowed"),
  leading("ForAllValues:StringEquals", ["a", "c"], "ImplicitlyDenied"),
  leading("ForAllValues:StringEquals", undefined, "Allowed"),
  leading("ForAnyValue:StringEquals", ["c", "a"], "Allowed"),
  leading("ForAnyValue:StringEquals", ["c"], "ImplicitlyDenied"),
  leading("ForAnyValue:StringEquals", undefined, "ImplicitlyDenied"),
  leading("ForAllValues:StringLike", ["a"], "Allowed"),
  leading("ForAnyValue:StringNotEquals", ["a"], "ImplicitlyDenied"),
  leading("ForAllValues:StringNotEquals", ["c", "a"], "ImplicitlyDenied"),

  {
    name: "two conditions must both hold",
    ...list({ StringLike: { "s3:prefix": "u*" }, NumericLessThan: { "s3:max-keys": "5" } }, { "s3:prefix": "u", "s3:max-keys": "9" }),
    decision: "ImplicitlyDenied",
  },
  {
    name: "two keys of one operator must both hold",
    ...list({ StringEquals: { "s3:prefix": "u", "s3:delimiter": "/" } }, { "s3:prefix": "u", "s3:delimiter": "-" }),
    decision: "ImplicitlyDenied",
  },
  {
    name: "a variable in the resource",
    identity: [allow("s3:GetObject", `${BUCKET}/\${aws:PrincipalAccount}/*`)],
    action: "s3:GetObject",
    on: `${BUCKET}/${ACCOUNT}/cat.png`,
    context: { "aws:PrincipalAccount": ACCOUNT },
    decision: "Allowed",
  },
  {
    name: "a variable in the resource that is another's",
    identity: [allow("s3:GetObject", `${BUCKET}/\${aws:PrincipalAccount}/*`)],
    action: "s3:GetObject",
    on: `${BUCKET}/1/cat.png`,
    context: { "aws:PrincipalAccount": ACCOUNT },
    decision: "ImplicitlyDenied",
  },
  {
    name: "a variable in a condition",
    ...list({ StringLike: { "s3:prefix": "home/${aws:userid}/*" } }, { "s3:prefix": "home/AROAX:run/a", "aws:userid": "AROAX:run" }),
    decision: "Allowed",
  },
  {
    name: "variables are plain text in the version of 2008",
    version: "2008-10-17",
    identity: [allow("s3:GetObject", `${BUCKET}/\${aws:PrincipalAccount}/*`)],
    action: "s3:GetObject",
    on: `${BUCKET}/${ACCOUNT}/cat.png`,
    context: { "aws:PrincipalAccount": ACCOUNT },
    decision: "ImplicitlyDenied",
  },
  {
    name: "a variable without a value matches nothing",
    identity: [allow("s3:GetObject", `${BUCKET}/\${aws:username}/*`)],
    action: "s3:GetObject",
    on: `${BUCKET}//cat.png`,
    decision: "ImplicitlyDenied",
  },
  {
    name: "a variable with a default",
    identity: [allow("s3:GetObject", `${BUCKET}/\${aws:username, 'none'}/*`)],
    action: "s3:GetObject",
    on: `${BUCKET}/none/cat.png`,
    decision: "Allowed",
  },
  {
    name: "${*} is a star",
    identity: [allow("s3:GetObject", `${BUCKET}/\${*}/*`)],
    action: "s3:GetObject",
    on: `${BUCKET}/x/cat.png`,
    decision: "ImplicitlyDenied",
  },
];

export { OWNER };

export const policyOf = (statements: Statement[], version = "2012-10-17"): PolicyDocument => ({ Version: version, Statement: statements });
