import { createCipheriv, randomBytes } from "node:crypto";
import { jsonProtocol } from "../../kernel/aws/protocols/json.js";
import type { Cloud } from "../../kernel/cloud.js";
import { CloudError, type Operation, type Properties, type Resource, type ResourceType, type Service } from "../../kernel/service.js";

const PARAMETER = "aws:ssm/parameter:Parameter";
const TYPES = ["String", "StringList", "SecureString"];

/** Systems Manager's parameters. They live in the registry, as the program declared them. */
export default function ssm(): Service {
  /** What a SecureString looks like to whoever does not ask for its decryption. */
  const key = randomBytes(32);
  const encrypted = (value: string) => {
    const iv = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", key, iv);
    return Buffer.concat([iv, cipher.update(value), cipher.final(), cipher.getAuthTag()]).toString("base64");
  };

  /** When each was last written; a parameter of an earlier run counts as written when this one began. */
  const written = new Map<string, Date>();
  let began = new Date(0);

  const describe = ({ outputs }: Resource, decrypt: boolean): Properties => ({
    Name: outputs.name,
    Type: outputs.type,
    Value: outputs.type === "SecureString" && !decrypt ? encrypted(outputs.value) : outputs.value,
    Version: outputs.version,
    LastModifiedDate: (written.get(outputs.name) ?? began).getTime() / 1_000,
    ARN: outputs.arn,
    DataType: outputs.dataType,
  });

  const operations: Record<string, Operation> = {
    GetParameter: {
      needs: ({ Name }, cloud) => [{ action: "ssm:GetParameter", resource: arnOf(String(Name), cloud) }],
      async handle({ Name, WithDecryption = false }, { cloud }) {
        const parameter = find(Name, cloud);
        if (!parameter) throw new CloudError("ParameterNotFound", "", 400);
        return { Parameter: describe(parameter, WithDecryption) };
      },
    },

    GetParameters: {
      needs: ({ Names = [] }, cloud) => Names.map((name: string) => ({ action: "ssm:GetParameters", resource: arnOf(name, cloud) })),
      async handle({ Names, WithDecryption = false }, { cloud }) {
        if (!Array.isArray(Names) || Names.length < 1 || Names.length > 10) {
          throw new CloudError("ValidationException", "Names must have 1 to 10 members.", 400);
        }
        const found = Names.map((name) => ({ name, parameter: find(name, cloud) }));
        return {
          Parameters: found.flatMap(({ parameter }) => (parameter ? [describe(parameter, WithDecryption)] : [])),
          InvalidParameters: found.filter(({ parameter }) => !parameter).map(({ name }) => name),
        };
      },
    },
  };

  return {
    name: "ssm",
    resources: { [PARAMETER]: parameter((name, at) => written.set(name, at)) },
    api: { protocol: jsonProtocol({ signing: "ssm", target: "AmazonSSM", version: "1.1" }), operations },
    async start(cloud) {
      began = cloud.now();
    },
  };
}

const parameter = (wrote: (name: string, at: Date) => void): ResourceType => ({
  inputs: ["name", "type", "value", "insecureValue", "description", "tier", "dataType", "allowedPattern", "tags"],
  replacedBy: ["name", "type", "dataType"],
  named: { input: "name", maxLength: 2048 },

  check(inputs) {
    const { name, type, value, insecureValue, tier = "Standard", dataType = "text", allowedPattern } = inputs;
    if (!/^(\/?[\w.-]+)+$/.test(name) || /^\/?(aws|ssm)/i.test(name)) {
      throw refuse("name", name, 'consist of letters, digits and ./_- and not begin with "aws" or "ssm"');
    }
    if (!TYPES.includes(type)) throw refuse("type", type, `be one of ${TYPES.join(", ")}`);
    if ((value === undefined) === (insecureValue === undefined))
      throw refuse("value", undefined, "be given once, as value or insecureValue");
    if (type === "SecureString" && insecureValue !== undefined) throw refuse("insecureValue", "…", "not be used with a SecureString");
    const text: string = value ?? insecureValue;
    if (!["Standard", "Advanced"].includes(tier)) throw refuse("tier", tier, "be Standard or Advanced");
    const limit = tier === "Advanced" ? 8192 : 4096;
    if (text.length === 0 || Buffer.byteLength(text) > limit)
      throw refuse("length of the value", Buffer.byteLength(text), `be between 1 and ${limit} bytes`);
    if (dataType !== "text") throw refuse("dataType", dataType, 'be "text", the only one of the embedded cloud');
    if (allowedPattern !== undefined && !new RegExp(allowedPattern).test(text)) {
      throw new CloudError(
        "ParameterPatternMismatchException",
        `The value of ${name} does not match its allowedPattern ${allowedPattern}.`,
        400,
      );
    }
    return { ...inputs, tier, dataType };
  },

  async create(inputs, cloud) {
    if (find(inputs.name, cloud))
      throw new CloudError(
        "ParameterAlreadyExists",
        "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
        400,
      );
    wrote(inputs.name, cloud.now());
    return { id: inputs.name, outputs: outputsOf(inputs, 1, cloud) };
  },

  async update(id, inputs, { outputs }, cloud) {
    wrote(id, cloud.now());
    return outputsOf(inputs, outputs.version + 1, cloud);
  },

  delete: async () => {},
});

function outputsOf(inputs: Properties, version: number, cloud: Cloud): Properties {
  const value = inputs.value ?? inputs.insecureValue;
  return {
    ...inputs,
    arn: arnOf(inputs.name, cloud),
    value,
    insecureValue: inputs.type === "SecureString" ? "" : value,
    hasValueWo: false,
    keyId: inputs.type === "SecureString" ? "alias/aws/ssm" : "",
    region: cloud.region,
    tagsAll: inputs.tags ?? {},
    version,
  };
}

/** By name or ARN. */
function find(name: unknown, cloud: Cloud): Resource | undefined {
  const found = typeof name === "string" ? (cloud.resources.get(PARAMETER, name) ?? cloud.resources.byArn(name)) : undefined;
  return found?.type === PARAMETER ? found : undefined;
}

function arnOf(name: string, { partition, region, account }: Cloud): string {
  return name.startsWith("arn:") ? name : `arn:${partition}:ssm:${region}:${account}:parameter/${name.replace(/^\//, "")}`;
}

function refuse(what: string, value: unknown, must: string): CloudError {
  return new CloudError("ValidationException", `The parameter's ${what} is ${JSON.stringify(value)}: it must ${must}.`, 400);
}
