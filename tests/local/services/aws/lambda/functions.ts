import type { Properties, Resource } from "../../../../../local/kernel/service.js";
import type { TestCloud } from "../../../cloud.js";

export const ROLE = "aws:iam/role:Role";
export const ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy";
export const FUNCTION = "aws:lambda/function:Function";
export const LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup";

/** An archive value as the engine hands it to services, with these files. */
export function packaged(files: Record<string, string>): Properties {
  const assets = Object.entries(files).map(([name, text]) => [name, { asset: { text, hash: "" } }]);
  return { archive: { assets: Object.fromEntries(assets), hash: "" } };
}

export const trust = (service: string) =>
  JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Principal: { Service: service }, Action: "sts:AssumeRole" }] });

export const allow = (Action: string | string[], Resource: string | string[] = "*") =>
  JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action, Resource }] });

/** A role that this service may take, and that may do these things. */
export async function declareRole(test: TestCloud, name: string, service: string, actions: string[] = []): Promise<Resource> {
  const role = await test.declare(ROLE, name, { assumeRolePolicy: trust(service) });
  if (actions.length > 0) await test.declare(ROLE_POLICY, `${name}-policy`, { role: role.outputs.name, policy: allow(actions) });
  return role;
}

/** A function from the text of its `index.mjs`, with a role that may write logs. */
export async function declareFunction(test: TestCloud, name: string, source: string, inputs: Properties = {}): Promise<Resource> {
  const role =
    inputs.role ??
    (await declareRole(test, `${name}-role`, "lambda.amazonaws.com", ["logs:CreateLogStream", "logs:PutLogEvents"])).outputs.arn;
  return test.declare(FUNCTION, name, {
    runtime: "nodejs22.x",
    handler: "index.handler",
    code: packaged({ "index.mjs": source }),
    ...inputs,
    role,
  });
}

/** What an invocation as the account returns. */
export async function invoke(test: TestCloud, fn: Resource, event: unknown = {}, input: Properties = {}): Promise<Properties> {
  const Payload = Buffer.from(JSON.stringify(event));
  const answer = await test.cloud.call({
    service: "lambda",
    operation: "Invoke",
    input: { FunctionName: fn.outputs.name, Payload, ...input },
    as: test.owner,
  });
  return { ...answer, ...(answer.Payload ? { Payload: JSON.parse(answer.Payload.toString()) } : {}) };
}
