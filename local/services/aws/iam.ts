import { randomBytes } from "node:crypto";
import { validatePolicy } from "../../kernel/aws/policy.js";
import type { Cloud } from "../../kernel/cloud.js";
import { CloudError, type PolicyDocument, type Properties, type Resource, type ResourceType, type Service } from "../../kernel/service.js";

const ROLE = "aws:iam/role:Role";
const ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy";
const POLICY = "aws:iam/policy:Policy";
const ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment";

/** Roles and their policies. The kernel's authority reads them from the registry; nothing else of IAM is here. */
export default function iam(): Service {
  return { name: "iam", resources: { [ROLE]: role, [ROLE_POLICY]: rolePolicy, [POLICY]: managedPolicy, [ATTACHMENT]: attachment } };
}

const role: ResourceType = {
  inputs: ["name", "path", "description", "assumeRolePolicy", "maxSessionDuration", "forceDetachPolicies", "tags"],
  replacedBy: ["name", "path"],
  named: { input: "name", maxLength: 64 },

  check(inputs) {
    checkName(inputs.name, "role", 64);
    const { path = "/", maxSessionDuration = 3600 } = inputs;
    if (!/^\/([\x21-\x7e]+\/)?$/.test(path)) throw validation("path", path, 'begin and end with "/"');
    if (maxSessionDuration < 3600 || maxSessionDuration > 43_200)
      throw validation("maxSessionDuration", maxSessionDuration, "be between 3600 and 43200 seconds");
    validatePolicy(inputs.assumeRolePolicy, "trust");
    return { ...inputs, path, maxSessionDuration };
  },

  async create(inputs, cloud) {
    if (cloud.resources.get(ROLE, inputs.name))
      throw new CloudError("EntityAlreadyExists", `Role with name ${inputs.name} already exists.`, 409);
    const identity = { createDate: cloud.now().toISOString(), uniqueId: uniqueId("AROA") };
    return { id: inputs.name, outputs: roleOutputs(inputs, identity, cloud) };
  },

  async update(_id, inputs, { outputs }, cloud) {
    return roleOutputs(inputs, { createDate: outputs.createDate, uniqueId: outputs.uniqueId }, cloud);
  },

  async delete({ id, inputs }, cloud) {
    const attached = [ROLE_POLICY, ATTACHMENT].some((type) => cloud.resources.all(type).some(({ outputs }) => outputs.role === id));
    if (attached && !inputs.forceDetachPolicies)
      throw new CloudError("DeleteConflict", `Cannot delete entity, must detach all policies first: role ${id}`, 409);
  },
};

function roleOutputs(inputs: Properties, identity: { createDate: string; uniqueId: string }, { partition, account }: Cloud): Properties {
  return {
    forceDetachPolicies: false,
    ...inputs,
    ...identity,
    arn: `arn:${partition}:iam::${account}:role${inputs.path}${inputs.name}`,
    assumeRolePolicy: text(inputs.assumeRolePolicy),
    inlinePolicies: [],
    managedPolicyArns: [],
    namePrefix: "",
    tagsAll: inputs.tags ?? {},
  };
}

const rolePolicy: ResourceType = {
  inputs: ["name", "role", "policy"],
  replacedBy: ["name", "role"],
  named: { input: "name", maxLength: 128 },

  check(inputs) {
    checkName(inputs.name, "policy", 128);
    validatePolicy(inputs.policy, "identity");
    return inputs;
  },

  async create(inputs, cloud) {
    requireRole(inputs.role, cloud);
    return { id: `${inputs.role}:${inputs.name}`, outputs: rolePolicyOutputs(inputs) };
  },

  update: async (_id, inputs) => rolePolicyOutputs(inputs),
  delete: async () => {},
};

const rolePolicyOutputs = (inputs: Properties): Properties => ({ ...inputs, policy: text(inputs.policy), namePrefix: "" });

const managedPolicy: ResourceType = {
  inputs: ["name", "path", "description", "policy", "tags"],
  replacedBy: ["name", "path", "description"],
  named: { input: "name", maxLength: 128 },

  check(inputs) {
    checkName(inputs.name, "policy", 128);
    validatePolicy(inputs.policy, "identity");
    return { path: "/", ...inputs };
  },

  async create(inputs, cloud) {
    const outputs = managedPolicyOutputs(inputs, uniqueId("ANPA"), cloud);
    return { id: outputs.arn, outputs };
  },

  update: async (_id, inputs, { outputs }, cloud) => managedPolicyOutputs(inputs, outputs.policyId, cloud),

  async delete({ id }, cloud) {
    const attached = cloud.resources.all(ATTACHMENT).find(({ outputs }) => outputs.policyArn === id);
    if (attached)
      throw new CloudError(
        "DeleteConflict",
        `Cannot delete a policy attached to entities: ${id} is attached to ${attached.outputs.role}`,
        409,
      );
  },
};

function managedPolicyOutputs(inputs: Properties, policyId: string, { partition, account }: Cloud): Properties {
  const arn = `arn:${partition}:iam::${account}:policy${inputs.path}${inputs.name}`;
  return { ...inputs, arn, policyId, policy: text(inputs.policy), attachmentCount: 0, namePrefix: "", tagsAll: inputs.tags ?? {} };
}

const attachment: ResourceType = {
  inputs: ["role", "policyArn"],
  replacedBy: ["role", "policyArn"],

  async create(inputs, cloud) {
    requireRole(inputs.role, cloud);
    if (cloud.resources.byArn(inputs.policyArn)?.type !== POLICY) {
      const managed = /^arn:[^:]+:iam::aws:policy\//.test(inputs.policyArn);
      const hint = managed ? " Policies that AWS manages are not in the embedded cloud: declare the grants that are used." : "";
      throw new CloudError("NoSuchEntity", `Policy ${inputs.policyArn} does not exist or is not attachable.${hint}`, 404);
    }
    return { id: `${inputs.role}-${inputs.policyArn}`, outputs: inputs };
  },

  delete: async () => {},
};

function requireRole(name: string, cloud: Cloud): Resource {
  const found = cloud.resources.get(ROLE, name);
  if (!found) throw new CloudError("NoSuchEntity", `The role with name ${name} cannot be found.`, 404);
  return found;
}

function checkName(name: unknown, of: string, maxLength: number): void {
  if (typeof name === "string" && name.length <= maxLength && /^[\w+=,.@-]+$/.test(name)) return;
  throw validation(`${of} name`, name, `have 1 to ${maxLength} characters, letters, digits and +=,.@_- only`);
}

function validation(what: string, value: unknown, must: string): CloudError {
  return new CloudError("ValidationError", `The ${what} is ${JSON.stringify(value)}: it must ${must}.`, 400);
}

const text = (policy: string | PolicyDocument): string => (typeof policy === "string" ? policy : JSON.stringify(policy));
const uniqueId = (prefix: string) => `${prefix}${randomBytes(10).toString("hex").toUpperCase().slice(0, 17)}`;
