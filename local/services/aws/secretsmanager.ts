import { createHash, randomUUID } from "node:crypto";
import { jsonProtocol } from "../../kernel/aws/protocols/json.js";
import type { Cloud } from "../../kernel/cloud.js";
import { CloudError, type Operation, type Properties, type Resource, type ResourceType, type Service } from "../../kernel/service.js";

const SECRET = "aws:secretsmanager/secret:Secret";
const VERSION = "aws:secretsmanager/secretVersion:SecretVersion";

/** AWS counts a secret's value in bytes. */
const LIMIT = 65_536;

/** Secrets and their one current version each. They live in the registry, as the program declared them. */
export default function secretsmanager(): Service {
  return {
    name: "secretsmanager",
    resources: { [SECRET]: secret, [VERSION]: version },
    api: { protocol: jsonProtocol({ signing: "secretsmanager", target: "secretsmanager", version: "1.1" }), operations },
  };
}

const operations: Record<string, Operation> = {
  GetSecretValue: {
    needs: ({ SecretId }, cloud) => [{ action: "secretsmanager:GetSecretValue", resource: arnOf(SecretId, cloud) }],
    async handle({ SecretId, VersionId, VersionStage = "AWSCURRENT" }, { cloud }) {
      const { outputs } = found(SecretId, cloud);
      const current = cloud.resources.all(VERSION).find(({ inputs }) => [outputs.arn, outputs.name].includes(inputs.secretId));
      const asked =
        current?.outputs.versionStages.includes(VersionStage) && (VersionId ?? current.outputs.versionId) === current.outputs.versionId;
      if (!current || !asked) {
        throw new CloudError(
          "ResourceNotFoundException",
          `Secrets Manager can't find the specified secret value for ${VersionId ? `VersionId: ${VersionId}` : `staging label: ${VersionStage}`}`,
        );
      }
      return {
        ARN: outputs.arn,
        Name: outputs.name,
        SecretString: current.outputs.secretString,
        VersionId: current.outputs.versionId,
        VersionStages: current.outputs.versionStages,
      };
    },
  },

  DescribeSecret: {
    needs: ({ SecretId }, cloud) => [{ action: "secretsmanager:DescribeSecret", resource: arnOf(SecretId, cloud) }],
    async handle({ SecretId }, { cloud }) {
      const { arn, name, description, tags = {} } = found(SecretId, cloud).outputs;
      return { ARN: arn, Name: name, Description: description, Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) };
    },
  },
};

const secret: ResourceType = {
  inputs: ["name", "description", "recoveryWindowInDays", "tags"],
  replacedBy: ["name"],
  named: { input: "name", maxLength: 512 },

  check(inputs) {
    const { name, recoveryWindowInDays: days = 30 } = inputs;
    if (!/^[\w/+=.@-]+$/.test(name)) throw refuse("name", name, "consist of letters, digits and /_+=.@-");
    if (days !== 0 && (days < 7 || days > 30)) throw refuse("recoveryWindowInDays", days, "be 0, or between 7 and 30");
    return { ...inputs, recoveryWindowInDays: days };
  },

  async create(inputs, cloud) {
    if (cloud.resources.all(SECRET).some(({ outputs }) => outputs.name === inputs.name)) {
      throw new CloudError("ResourceExistsException", `The operation failed because the secret ${inputs.name} already exists.`);
    }
    const arn = `${arnOf(inputs.name, cloud)}-${suffix(inputs.name)}`;
    return { id: arn, outputs: { ...inputs, arn, namePrefix: "", policy: "" } };
  },

  update: async (_id, inputs) => ({ ...inputs }),
  // A recovery window would keep the name from being used again; the embedded cloud forgets at once, and says so in its documentation.
  delete: async () => {},
};

const version: ResourceType = {
  inputs: ["secretId", "secretString"],
  replacedBy: ["secretId"],

  check(inputs) {
    const bytes = Buffer.byteLength(inputs.secretString ?? "");
    if (bytes === 0 || bytes > LIMIT) throw refuse("length of secretString", bytes, `be between 1 and ${LIMIT} bytes`);
    return inputs;
  },

  async create(inputs, cloud) {
    const outputs = written(inputs, cloud);
    return { id: `${outputs.secretArn}|${outputs.versionId}`, outputs };
  },

  update: async (_id, inputs, _before, cloud) => written(inputs, cloud),
  delete: async () => {},
};

function written(inputs: Properties, cloud: Cloud): Properties {
  const { arn } = found(inputs.secretId, cloud).outputs;
  return {
    ...inputs,
    arn,
    secretArn: arn,
    hasSecretStringWo: false,
    versionId: randomUUID(),
    versionStages: ["AWSCURRENT"],
  };
}

/** By name or ARN. @throws CloudError */
function found(id: unknown, cloud: Cloud): Resource {
  const secret = cloud.resources.all(SECRET).find(({ outputs }) => outputs.arn === id || outputs.name === id);
  if (!secret) throw new CloudError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
  return secret;
}

/** What a policy names: the secret's ARN with its suffix where there is such a secret, else as the name would have it. */
function arnOf(id: unknown, cloud: Cloud): string {
  const known = cloud.resources.all(SECRET).find(({ outputs }) => outputs.arn === id || outputs.name === id);
  const { partition, region, account } = cloud;
  return (
    known?.outputs.arn ?? (String(id).startsWith("arn:") ? String(id) : `arn:${partition}:secretsmanager:${region}:${account}:secret:${id}`)
  );
}

/** The six characters that AWS puts behind a secret's name in its ARN: here always the same for the same name. */
const suffix = (name: string) =>
  createHash("sha256")
    .update(name)
    .digest("base64url")
    .replace(/[^A-Za-z0-9]/g, "")
    .slice(0, 6);

const refuse = (what: string, value: unknown, must: string) =>
  new CloudError("InvalidParameterException", `The secret's ${what} is ${JSON.stringify(value)}: it must ${must}.`);
