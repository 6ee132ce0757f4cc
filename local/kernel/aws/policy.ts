import { isIP } from "node:net";
import { CloudError, type PolicyDocument, type Principal, type Statement } from "../service.js";

/** What a policy is asked: may this principal do this here? Condition keys are lower-case. */
export interface PolicyRequest {
  principal: Principal;
  account: string;
  action: string;
  resource: string;
  keys: ReadonlyMap<string, string | readonly string[]>;
}

/** What policies say: a deny beats every allow, and silence is `none`. */
export type Verdict = "allow" | "deny" | "none";

/** Where a policy lies: on a role, on a resource, or as a role's trust policy. */
export type PolicyKind = "identity" | "resource" | "trust";

/** A policy that has been validated, ready to be asked. */
export interface CompiledPolicy {
  readonly document: PolicyDocument;
  readonly statements: readonly CompiledStatement[];
}

interface CompiledStatement {
  effect: "Allow" | "Deny";
  principals?: { except: boolean; of: "*" | Record<string, string[]> };
  actions: { except: boolean; patterns: RegExp[] };
  resources?: { except: boolean; patterns: string[] };
  conditions: CompiledCondition[];
  variables: boolean;
}

interface CompiledCondition {
  quantifier: "any" | "all" | "one";
  ifExists: boolean;
  operator: Operator | "Null";
  key: string;
  values: string[];
}

interface Operator {
  test(actual: string, expected: string, substitute: (text: string) => Pattern): boolean;
  /** True when the key must match none of the values; such operators hold for an absent key. */
  negated?: boolean;
}

/** Text in which some characters were literal from the start: what came out of a policy variable is never a wildcard. */
interface Pattern {
  text: string;
  regExp(flags?: string): RegExp;
}

const VERSIONS = ["2012-10-17", "2008-10-17"];
const STATEMENT_MEMBERS = new Set([
  "Sid",
  "Effect",
  "Principal",
  "NotPrincipal",
  "Action",
  "NotAction",
  "Resource",
  "NotResource",
  "Condition",
]);

/** Prefixes of actions that policies may name. A prefix that is not here is taken for a slip of the pen. */
const ACTION_PREFIXES = new Set(
  `acm apigateway application-autoscaling appconfig athena autoscaling backup batch bedrock budgets ce cloudformation cloudfront cloudtrail
   cloudwatch codebuild cognito-identity cognito-idp config dynamodb ec2 ec2messages ecr ecs eks elasticache elasticfilesystem
   elasticloadbalancing es events execute-api firehose glue guardduty iam kinesis kms lambda logs mediaconvert organizations pipes
   rekognition resource-groups route53 s3 s3-object-lambda scheduler schemas secretsmanager servicediscovery ses sns sqs ssm
   ssmmessages states sts synthetics tag textract transcribe wafv2 xray`.split(/\s+/),
);

/** Global condition keys: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html */
const GLOBAL_KEYS = new Set(
  `CalledVia CalledViaFirst CalledViaLast CurrentTime Ec2InstanceSourcePrivateIPv4 Ec2InstanceSourceVpc EpochTime FederatedProvider
   MultiFactorAuthAge MultiFactorAuthPresent PrincipalAccount PrincipalArn PrincipalIsAWSService PrincipalOrgID PrincipalOrgPaths
   PrincipalServiceName PrincipalServiceNamesList PrincipalType referer RequestedRegion ResourceAccount ResourceOrgID ResourceOrgPaths
   SecureTransport SourceAccount SourceArn SourceIdentity SourceIp SourceOrgID SourceOrgPaths SourceOwner SourceVpc SourceVpcArn SourceVpce TagKeys
   TokenIssueTime UserAgent userid username ViaAWSService VpceAccount VpceOrgID VpceOrgPaths VpcSourceIp AssumedRoot`
    .split(/\s+/)
    .map((name) => `aws:${name.toLowerCase()}`),
);
/** Global keys that end in a tag's name. */
const TAG_KEYS = /^aws:(PrincipalTag|RequestTag|ResourceTag)\/.+/i;

/**
 * Reads a policy as the cloud would before storing it, and returns it as an object.
 *
 * Stricter than AWS where AWS would store what can never work: unknown members, action prefixes, condition operators and global keys are refused.
 *
 * @param code of the error, where a service has its own (`"MalformedPolicy"` for S3).
 * @throws CloudError saying what is wrong and what is allowed.
 */
export function validatePolicy(policy: string | PolicyDocument, kind: PolicyKind, code = "MalformedPolicyDocument"): PolicyDocument {
  return compilePolicy(policy, kind, code).document;
}

/** Validates a policy and makes it ready to be asked. @throws CloudError */
export function compilePolicy(policy: string | PolicyDocument, kind: PolicyKind, code = "MalformedPolicyDocument"): CompiledPolicy {
  const refuse = (what: string): never => {
    throw new CloudError(code, `The policy is not valid: ${what}`, 400);
  };
  const document = parse(policy, refuse);
  for (const member of Object.keys(document)) {
    if (!["Version", "Id", "Statement"].includes(member)) refuse(`it has a member ${member}; allowed are Version, Id and Statement.`);
  }
  if (document.Version !== undefined && !VERSIONS.includes(document.Version)) {
    refuse(`its Version is ${JSON.stringify(document.Version)}; it must be one of ${VERSIONS.join(", ")}.`);
  }
  const statements = listOf<Statement>(document.Statement);
  if (statements.length === 0) refuse("it has no Statement.");
  const variables = document.Version === "2012-10-17";
  return { document, statements: statements.map((statement, index) => compileStatement(statement, index, kind, variables, refuse)) };
}

/** What these policies, taken together, say of a request. */
export function evaluate(policies: readonly CompiledPolicy[], request: PolicyRequest): Verdict {
  let verdict: Verdict = "none";
  for (const { statements } of policies) {
    for (const statement of statements) {
      if (verdict === "allow" && statement.effect === "Allow") continue;
      if (!applies(statement, request)) continue;
      if (statement.effect === "Deny") return "deny";
      verdict = "allow";
    }
  }
  return verdict;
}

function parse(policy: string | PolicyDocument, refuse: (what: string) => never): PolicyDocument {
  let document: unknown = policy;
  if (typeof policy === "string") {
    try {
      document = JSON.parse(policy);
    } catch (error) {
      refuse(`it is not JSON (${(error as Error).message}).`);
    }
  }
  if (typeof document !== "object" || document === null || Array.isArray(document)) refuse("it must be a JSON object.");
  return document as PolicyDocument;
}

function compileStatement(
  statement: Statement,
  index: number,
  kind: PolicyKind,
  variables: boolean,
  refusePolicy: (what: string) => never,
): CompiledStatement {
  const refuse = (what: string) => refusePolicy(`statement ${statement?.Sid ?? index + 1} ${what}`);
  if (typeof statement !== "object" || statement === null) refuse("is not an object.");
  for (const member of Object.keys(statement)) {
    if (!STATEMENT_MEMBERS.has(member)) refuse(`has a member ${member}; allowed are ${[...STATEMENT_MEMBERS].join(", ")}.`);
  }
  const { Effect, Principal, NotPrincipal, Action, NotAction, Resource, NotResource, Condition } = statement;
  if (Effect !== "Allow" && Effect !== "Deny") refuse(`has the Effect ${JSON.stringify(Effect)}; it must be "Allow" or "Deny".`);
  if ((Action === undefined) === (NotAction === undefined)) refuse("must have either Action or NotAction.");
  const hasPrincipal = Principal !== undefined || NotPrincipal !== undefined;
  if (kind === "identity" && hasPrincipal) refuse("has a Principal; policies of a role say what the role may do, and have none.");
  if (kind !== "identity" && (Principal === undefined) === (NotPrincipal === undefined))
    refuse("must have either Principal or NotPrincipal.");
  if (NotPrincipal !== undefined && Effect === "Allow") refuse("allows NotPrincipal, which would let in everybody else; use it with Deny.");
  const hasResource = Resource !== undefined || NotResource !== undefined;
  if (kind === "trust" && hasResource) refuse("has a Resource; a trust policy is about its own role, and has none.");
  if (kind !== "trust" && (Resource === undefined) === (NotResource === undefined)) refuse("must have either Resource or NotResource.");

  const actions = texts(Action ?? NotAction, "Action", refuse);
  for (const action of actions) checkAction(action, kind, refuse);
  const resources = hasResource ? texts(Resource ?? NotResource, "Resource", refuse) : [];
  for (const resource of resources) {
    if (resource !== "*" && !/^(arn|\*|\$\{)/.test(resource)) refuse(`has the Resource "${resource}"; it must be an ARN or "*".`);
    checkVariables(resource, variables, refuse);
  }
  return {
    effect: Effect,
    actions: { except: NotAction !== undefined, patterns: actions.map((action) => wildcard(action, "i")) },
    ...(hasPrincipal
      ? { principals: { except: NotPrincipal !== undefined, of: compilePrincipal((Principal ?? NotPrincipal)!, refuse) } }
      : {}),
    ...(hasResource ? { resources: { except: NotResource !== undefined, patterns: resources } } : {}),
    conditions: compileConditions(Condition, variables, refuse),
    variables,
  };
}

function checkAction(action: string, kind: PolicyKind, refuse: (what: string) => never): void {
  if (action === "*") return;
  const [, prefix] = /^([A-Za-z0-9-]+):[A-Za-z0-9*?]+$/.exec(action) ?? [];
  if (!prefix) refuse(`has the Action "${action}"; actions are written service:Name, for example "s3:GetObject".`);
  if (!ACTION_PREFIXES.has(prefix!.toLowerCase())) refuse(`has the Action "${action}", and no service has the prefix "${prefix}".`);
  if (kind === "trust" && prefix!.toLowerCase() !== "sts") refuse(`has the Action "${action}"; trust policies are about sts: actions.`);
}

const PRINCIPAL_KINDS = ["AWS", "Service", "Federated", "CanonicalUser"];

function compilePrincipal(principal: NonNullable<Statement["Principal"]>, refuse: (what: string) => never): "*" | Record<string, string[]> {
  if (principal === "*") return "*";
  if (typeof principal !== "object")
    return refuse(`has the Principal ${JSON.stringify(principal)}; it must be "*" or { AWS | Service: … }.`);
  const compiled: Record<string, string[]> = {};
  for (const [kind, value] of Object.entries(principal)) {
    if (!PRINCIPAL_KINDS.includes(kind)) refuse(`has a Principal of the kind ${kind}; allowed are ${PRINCIPAL_KINDS.join(", ")}.`);
    const names = texts(value, `Principal.${kind}`, refuse);
    for (const name of names) {
      if (kind === "Service" && !/^[a-z0-9.-]+\.amazonaws\.com(\.cn)?$/.test(name))
        refuse(`has the Principal Service "${name}"; services are written "lambda.amazonaws.com".`);
      if (kind === "AWS" && name !== "*" && !/^(\d{12}|arn:[^:]+:(iam|sts)::\d{12}:(root|(role|user|assumed-role)\/[^*]+))$/.test(name)) {
        refuse(`has the Principal AWS "${name}"; it must be "*", an account, or the ARN of a role, user or session (without wildcards).`);
      }
    }
    compiled[kind] = names;
  }
  return compiled;
}

function compileConditions(conditions: Statement["Condition"], variables: boolean, refuse: (what: string) => never): CompiledCondition[] {
  if (conditions === undefined) return [];
  if (typeof conditions !== "object" || conditions === null) refuse("has a Condition that is not an object.");
  return Object.entries(conditions).flatMap(([name, block]) => {
    const [, quantifier, operatorName, ifExists] = /^(?:(ForAnyValue|ForAllValues):)?([A-Za-z]+?)(IfExists)?$/.exec(name) ?? [];
    const operator = operatorName === "Null" ? "Null" : OPERATORS.get(operatorName ?? "");
    if (!operator) refuse(`has the condition operator ${name}; known are ${[...OPERATORS.keys()].join(", ")} and Null.`);
    if (operator === "Null" && (ifExists || quantifier))
      refuse(`has the condition operator ${name}; Null takes neither a set operator nor IfExists.`);
    if (typeof block !== "object" || block === null || Array.isArray(block))
      refuse(`has a condition ${name} that is not an object of keys.`);
    return Object.entries(block).map(([key, expected]): CompiledCondition => {
      const global = /^aws:/i.test(key);
      if (!/^[A-Za-z0-9-]+:.+$/.test(key)) refuse(`has the condition key "${key}"; keys are written service:Name.`);
      if (global && !GLOBAL_KEYS.has(key.toLowerCase()) && !TAG_KEYS.test(key))
        refuse(`has the condition key "${key}", and there is no such global key.`);
      const values = listOf(expected).map((value) => {
        if (!["string", "number", "boolean"].includes(typeof value))
          refuse(`has a value of ${key} that is neither text, number nor boolean.`);
        return String(value);
      });
      if (values.length === 0) refuse(`has no value for the condition key "${key}".`);
      for (const value of values) {
        checkVariables(value, variables, refuse);
        const problem = VALUE_RULES.find(([pattern]) => pattern.test(operatorName!))?.[1](value);
        if (problem) refuse(`has the value ${JSON.stringify(value)} for ${name} of "${key}"; ${problem}.`);
      }
      return {
        quantifier: quantifier === "ForAnyValue" ? "any" : quantifier === "ForAllValues" ? "all" : "one",
        ifExists: ifExists !== undefined,
        operator: operator!,
        key: key.toLowerCase(),
        values,
      };
    });
  });
}

const VALUE_RULES: [RegExp, (value: string) => string | undefined][] = [
  [/^(Bool|Null)$/, (value) => (/^(true|false)$/i.test(value) ? undefined : 'it must be "true" or "false"')],
  [/^Numeric/, (value) => (value !== "" && Number.isFinite(Number(value)) ? undefined : "it must be a number")],
  [/^Date/, (value) => (Number.isNaN(instant(value)) ? "it must be a date in ISO 8601, or seconds since the epoch" : undefined)],
  [/IpAddress$/, (value) => (parseNetwork(value) ? undefined : "it must be an address or a network such as 203.0.113.0/24")],
];

/** Policy variables that the kernel cannot fill in would quietly never match; they are refused instead. */
const VARIABLES = new Set(
  `PrincipalArn PrincipalAccount PrincipalType userid username SourceIp SourceArn SourceAccount CurrentTime EpochTime SecureTransport
   RequestedRegion UserAgent`
    .split(/\s+/)
    .map((name) => `aws:${name.toLowerCase()}`),
);

function checkVariables(text: string, variables: boolean, refuse: (what: string) => never): void {
  if (!variables) return;
  for (const [whole, inner] of text.matchAll(/\$\{([^}]*)\}?/g)) {
    const [, name] = /^([^,]+?)\s*(?:,\s*'[^']*')?$/.exec(inner!) ?? [];
    if (whole.endsWith("}") && (inner === "*" || inner === "?" || inner === "$")) continue;
    const known = name !== undefined && (VARIABLES.has(name.toLowerCase()) || (!/^aws:/i.test(name) && /^[A-Za-z0-9-]+:.+$/.test(name)));
    if (!whole.endsWith("}") || !known) {
      refuse(`uses the policy variable ${whole}; known are ${[...VARIABLES].join(", ")} and keys of a service such as s3:prefix.`);
    }
  }
}

function applies(statement: CompiledStatement, request: PolicyRequest): boolean {
  const { principals, actions, resources, conditions, variables } = statement;
  if (actions.patterns.some((pattern) => pattern.test(request.action)) === actions.except) return false;
  if (principals && matchesPrincipal(principals.of, statement.effect, request) === principals.except) return false;
  const substitute = (text: string) => pattern(text, variables ? request.keys : undefined);
  if (resources && resources.patterns.some((expected) => matchesResource(expected, request.resource, substitute)) === resources.except)
    return false;
  return conditions.every((condition) => holds(condition, request.keys, substitute));
}

function matchesPrincipal(
  principals: "*" | Record<string, string[]>,
  effect: "Allow" | "Deny",
  { principal, account }: PolicyRequest,
): boolean {
  if (principals === "*" || principals.AWS?.includes("*")) return true;
  if (principal.kind === "anonymous") return false;
  if (principal.kind === "service") return principals.Service?.includes(principal.service) ?? false;
  return (principals.AWS ?? []).some((name) => {
    const whole = name === account || new RegExp(`^arn:[^:]+:iam::${account}:root$`).test(name);
    // An account that is allowed may pass it on by identity policies; an account that is denied is denied with all that is in it.
    if (whole) return principal.kind === "account" || effect === "Deny";
    return name === principal.arn || (principal.kind === "role" && name === principal.role);
  });
}

/**
 * Wildcards in an ARN stay within its part: `arn:aws:s3:*` does not reach over colons, but `*` in the last part reaches over slashes.
 * Parts that are left out at the end stand for anything.
 */
function matchesResource(expected: string, actual: string, substitute: (text: string) => Pattern): boolean {
  if (expected === "*") return true;
  const wanted = splitArn(expected);
  const given = splitArn(actual);
  return (
    given.length === 6 &&
    tryMatch(() =>
      wanted.every((part, index) =>
        substitute(part)
          .regExp()
          .test(given[index] ?? ""),
      ),
    )
  );
}

/** The six parts of an ARN (fewer when it is none). Colons inside `${aws:…}` do not separate, nor do those in the last part. */
function splitArn(arn: string): string[] {
  const parts: string[] = [];
  let start = 0;
  for (const { index } of arn.matchAll(/:(?![^${}]*\})/g)) {
    if (parts.length === 5) break;
    parts.push(arn.slice(start, index));
    start = index + 1;
  }
  return [...parts, arn.slice(start)];
}

class MissingVariable extends Error {}

/** A variable without a value makes its pattern match nothing. */
function tryMatch(test: () => boolean): boolean {
  try {
    return test();
  } catch (error) {
    if (error instanceof MissingVariable) return false;
    throw error;
  }
}

function pattern(source: string, keys: PolicyRequest["keys"] | undefined): Pattern {
  const pieces: { text: string; literal: boolean }[] = [];
  let end = 0;
  if (keys) {
    for (const match of source.matchAll(/\$\{([^}]*)\}/g)) {
      pieces.push({ text: source.slice(end, match.index), literal: false });
      pieces.push({ text: variableValue(match[1]!, keys), literal: true });
      end = match.index + match[0].length;
    }
  }
  pieces.push({ text: source.slice(end), literal: false });
  return {
    text: pieces.map((piece) => piece.text).join(""),
    regExp: (flags) =>
      new RegExp(`^${pieces.map(({ text, literal }) => (literal ? literally(text) : wildcardSource(text))).join("")}$`, `s${flags ?? ""}`),
  };
}

function variableValue(variable: string, keys: PolicyRequest["keys"]): string {
  if (variable === "*" || variable === "?" || variable === "$") return variable;
  const [, name, fallback] = /^([^,]+?)\s*(?:,\s*'([^']*)')?$/.exec(variable) ?? [];
  const value = keys.get(name?.toLowerCase() ?? "");
  if (typeof value === "string") return value;
  if (fallback !== undefined) return fallback;
  throw new MissingVariable(variable);
}

const literally = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
const wildcardSource = (text: string) =>
  text
    .split(/([*?])/)
    .map((piece) => (piece === "*" ? ".*" : piece === "?" ? "." : literally(piece)))
    .join("");
const wildcard = (text: string, flags = "") => new RegExp(`^${wildcardSource(text)}$`, `s${flags}`);

function holds(condition: CompiledCondition, keys: PolicyRequest["keys"], substitute: (text: string) => Pattern): boolean {
  const { operator, quantifier, ifExists, key, values } = condition;
  const actual = keys.get(key);
  if (operator === "Null") return values.some((value) => (value.toLowerCase() === "true") === (actual === undefined));
  const present = actual === undefined ? [] : listOf(actual);
  if (present.length === 0) return ifExists || quantifier === "all" || (quantifier === "one" && operator.negated === true);
  const one = (value: string) => {
    const matched = values.some((expected) => tryMatch(() => operator.test(value, expected, substitute)));
    return operator.negated ? !matched : matched;
  };
  if (quantifier === "any") return present.some(one);
  if (quantifier === "all") return present.every(one);
  // A key of several values without a set operator: any match counts, for a negated operator none may.
  return operator.negated ? present.every(one) : present.some(one);
}

const number = (compare: (actual: number, expected: number) => boolean): Operator["test"] => {
  return (actual, expected) => compare(Number(actual), Number(expected));
};
const date = (compare: (actual: number, expected: number) => boolean): Operator["test"] => {
  return (actual, expected) => compare(instant(actual), instant(expected));
};
const stringEquals: Operator["test"] = (actual, expected, substitute) => substitute(expected).text === actual;
const equalsIgnoringCase: Operator["test"] = (actual, expected, substitute) =>
  substitute(expected).text.toLowerCase() === actual.toLowerCase();
const stringLike: Operator["test"] = (actual, expected, substitute) => substitute(expected).regExp().test(actual);
const arnLike: Operator["test"] = (actual, expected, substitute) => {
  const given = splitArn(actual);
  const wanted = splitArn(expected);
  return given.length === 6 && wanted.length === 6 && wanted.every((part, index) => substitute(part).regExp().test(given[index]!));
};
const inNetwork: Operator["test"] = (actual, expected) => {
  const network = parseNetwork(expected);
  const address = addressBits(actual);
  return network !== undefined && address?.startsWith(network) === true;
};

const OPERATORS = new Map<string, Operator>(
  Object.entries<Operator>({
    StringEquals: { test: stringEquals },
    StringNotEquals: { test: stringEquals, negated: true },
    StringEqualsIgnoreCase: { test: equalsIgnoringCase },
    StringNotEqualsIgnoreCase: { test: equalsIgnoringCase, negated: true },
    StringLike: { test: stringLike },
    StringNotLike: { test: stringLike, negated: true },
    ArnEquals: { test: arnLike },
    ArnLike: { test: arnLike },
    ArnNotEquals: { test: arnLike, negated: true },
    ArnNotLike: { test: arnLike, negated: true },
    Bool: { test: (actual, expected) => actual.toLowerCase() === expected.toLowerCase() },
    NumericEquals: { test: number((a, b) => a === b) },
    NumericNotEquals: { test: number((a, b) => a === b), negated: true },
    NumericLessThan: { test: number((a, b) => a < b) },
    NumericLessThanEquals: { test: number((a, b) => a <= b) },
    NumericGreaterThan: { test: number((a, b) => a > b) },
    NumericGreaterThanEquals: { test: number((a, b) => a >= b) },
    DateEquals: { test: date((a, b) => a === b) },
    DateNotEquals: { test: date((a, b) => a === b), negated: true },
    DateLessThan: { test: date((a, b) => a < b) },
    DateLessThanEquals: { test: date((a, b) => a <= b) },
    DateGreaterThan: { test: date((a, b) => a > b) },
    DateGreaterThanEquals: { test: date((a, b) => a >= b) },
    IpAddress: { test: inNetwork },
    NotIpAddress: { test: inNetwork, negated: true },
  }),
);

function instant(text: string): number {
  return /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text);
}

/** The leading bits that addresses of a network share, as text: prefixed by the family so that the two never meet. */
function parseNetwork(text: string): string | undefined {
  const [address, length, more] = text.split("/");
  const bits = addressBits(address!);
  if (!bits || more !== undefined) return undefined;
  const width = bits.length - 2;
  if (length !== undefined && (!/^\d{1,3}$/.test(length) || Number(length) > width)) return undefined;
  return bits.slice(0, 2 + (length === undefined ? width : Number(length)));
}

function addressBits(text: string): string | undefined {
  const family = isIP(text);
  if (family === 4)
    return `4:${text
      .split(".")
      .map((octet) => Number(octet).toString(2).padStart(8, "0"))
      .join("")}`;
  if (family !== 6) return undefined;
  const [head, tail] = text.split("::");
  const groups = (part: string | undefined) => (part ? part.split(":") : []);
  const left = groups(head);
  const right = groups(tail);
  const all = tail === undefined ? left : [...left, ...Array<string>(8 - left.length - right.length).fill("0"), ...right];
  return all.length === 8 ? `6:${all.map((group) => Number.parseInt(group, 16).toString(2).padStart(16, "0")).join("")}` : undefined;
}

function texts(value: unknown, of: string, refuse: (what: string) => never): string[] {
  const list = listOf(value);
  if (list.length === 0) refuse(`has no ${of}.`);
  for (const item of list) {
    if (typeof item !== "string") refuse(`has a ${of} that is not text: ${JSON.stringify(item)}.`);
  }
  return list as string[];
}

function listOf<T>(value: T | readonly T[] | undefined): T[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? [...value] : [value as T];
}
