import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import path from "node:path";
import type { Call, Cloud } from "../../../kernel/cloud.js";
import {
  CloudError,
  type Operation,
  type PolicyDocument,
  type Principal,
  type Properties,
  type Resource,
  type ResourceType,
  type Service,
  type Statement,
} from "../../../kernel/service.js";
import { Concurrency } from "./concurrency.js";
import { assumed, checkVariables, type FunctionConfig, LambdaFunction } from "./function.js";
import type { LoggingConfig } from "./logs.js";
import { unpack, unpacked, zipOf } from "./package.js";
import { protocol } from "./protocol.js";

const FUNCTION = "aws:lambda/function:Function";
const PERMISSION = "aws:lambda/permission:Permission";
const INVOKE_CONFIG = "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig";

const REQUEST_LIMIT = 6_291_456;
const EVENT_LIMIT = 1_048_576;

export interface LambdaOptions {
  /**
   * Invocations that may run at once in the whole account.
   * @default the environment variable EMBEDDED_CLOUD_CONCURRENCY, else 10, as in new accounts
   */
  concurrency?: number;
  /** Seconds that an unused execution environment stays warm. @default 60 */
  idle?: number;
}

/** AWS Lambda: functions in Node.js from a zip, each execution environment a child process. */
export default function lambda({ concurrency: limit = accountLimit(), idle = 60 }: LambdaOptions = {}): Service {
  const concurrency = new Concurrency(limit);
  const functions = new Map<string, LambdaFunction>();
  /** Functions as they were before a change or a deletion: they may still be running. */
  const outdated = new Set<LambdaFunction>();
  let packages = "";

  const retire = (name: string) => {
    const before = functions.get(name);
    if (!before) return;
    before.retire();
    outdated.add(before);
    functions.delete(name);
  };

  const live = (config: FunctionConfig, cloud: Cloud) => {
    retire(config.name);
    functions.set(config.name, new LambdaFunction(config, cloud, concurrency, idle * 1000));
  };

  const deploy = async (inputs: Properties, cloud: Cloud): Promise<Properties> => {
    const arn = arnOf(inputs.name, cloud);
    const { principal } = assumed({ role: inputs.role, name: inputs.name, arn }, cloud);
    const target: string | undefined = inputs.deadLetterConfig?.targetArn;
    if (target) await mayPark(target, principal, cloud);
    const code = await unpack(await zipOf(inputs.code), packages);
    concurrency.reserve(inputs.name, reservation(inputs));
    live(configOf(inputs, arn, code.root), cloud);
    return outputsOf(inputs, cloud, code);
  };

  const functionType: ResourceType = {
    inputs: [
      "name",
      "description",
      "role",
      "runtime",
      "handler",
      "code",
      "sourceCodeHash",
      "packageType",
      "architectures",
      "memorySize",
      "timeout",
      "environment.variables",
      "ephemeralStorage.size",
      "loggingConfig",
      "tracingConfig.mode",
      "reservedConcurrentExecutions",
      "deadLetterConfig.targetArn",
      "tags",
    ],
    replacedBy: ["name", "packageType"],
    named: { input: "name", maxLength: 64 },
    check: checkFunction,
    create: async (inputs, cloud) => ({ id: inputs.name, outputs: await deploy(inputs, cloud) }),
    update: (_, inputs, __, cloud) => deploy(inputs, cloud),
    async delete({ id }) {
      retire(id);
      concurrency.reserve(id, undefined);
    },
    restore: async ({ inputs, outputs, id }, cloud) => {
      const root = unpacked(outputs.codeSha256, packages) ?? (await unpack(await zipOf(inputs.code), packages)).root;
      concurrency.reserve(id, reservation(inputs));
      live(configOf(inputs, arnOf(id, cloud), root), cloud);
      return outputs;
    },
  };

  /** @throws CloudError when there is no such function */
  const find = (input: Properties, cloud: Cloud): { lambda: LambdaFunction; resource: Resource } => {
    const { name, qualifier } = reference(input);
    const lambda = functions.get(name);
    const resource = cloud.resources.get(FUNCTION, name);
    if (!lambda || !resource || (qualifier ?? "$LATEST") !== "$LATEST")
      throw new CloudError(
        "ResourceNotFoundException",
        `Function not found: ${arnOf(name, cloud)}${qualifier ? `:${qualifier}` : ""}`,
        404,
        { Type: "User" },
      );
    return { lambda, resource };
  };

  const operations: Record<string, Operation> = {
    Invoke: {
      needs: (input, cloud) => [{ action: "lambda:InvokeFunction", resource: arnOf(reference(input).name, cloud) }],
      async handle(input, { cloud, requestId }) {
        const { lambda, resource } = find(input, cloud);
        const event = eventOf(input);
        const type = input.InvocationType ?? "RequestResponse";
        if (type === "DryRun") return { StatusCode: 204 };
        if (type === "Event") {
          const config = cloud.resources.get(INVOKE_CONFIG, lambda.config.name)?.inputs ?? {};
          cloud.deliver({
            id: requestId,
            from: lambda.config.arn,
            call: {
              service: "lambda",
              operation: "RunEvent",
              input: { FunctionName: lambda.config.name, Payload: event, RequestId: requestId },
              as: { kind: "service", service: "lambda.amazonaws.com", source: lambda.config.arn },
            },
            retry: { attempts: config.maximumRetryAttempts ?? 2, maxAge: config.maximumEventAgeInSeconds ?? 21_600 },
            undeliverable: (error) => deadLetter(lambda.config, resource, event, requestId, error, cloud),
          });
          return { StatusCode: 202 };
        }
        const outcome = await cloud.busy(lambda.invoke(event, requestId)).catch((error) => {
          if (error.code === "TooManyRequestsException") count(lambda.config, { Throttles: 1 }, cloud);
          throw error;
        });
        const failed = outcome.status !== "success";
        count(lambda.config, { Invocations: 1, Errors: failed ? 1 : 0, Duration: outcome.duration }, cloud);
        return {
          StatusCode: 200,
          ExecutedVersion: "$LATEST",
          Payload: Buffer.from(outcome.payload),
          ...(failed ? { FunctionError: "Unhandled" } : {}),
          ...(input.LogType === "Tail" ? { LogResult: outcome.tail } : {}),
        };
      },
    },

    /** What is behind an asynchronous invocation, for the cloud's own delivery; no request over HTTP leads here. */
    RunEvent: {
      needs: () => [],
      async handle(input, { cloud }) {
        const { lambda } = find(input, cloud);
        const { name } = lambda.config;
        const release = await concurrency.take(name);
        const outcome = await lambda.run(input.Payload, input.RequestId ?? randomUUID(), release);
        const failed = outcome.status !== "success";
        count(lambda.config, { Invocations: 1, Errors: failed ? 1 : 0, Duration: outcome.duration }, cloud);
        // A status of 500 makes it worth another attempt.
        if (failed) throw new CloudError(outcome.errorType ?? "Unhandled", outcome.payload, 500);
        return {};
      },
    },

    /** Whether the caller may do something that a function will do later. */
    CheckPermission: {
      needs: ({ action, resource }) => [{ action, resource }],
      handle: async () => ({}),
    },

    GetFunction: {
      needs: (input, cloud) => [{ action: "lambda:GetFunction", resource: arnOf(reference(input).name, cloud) }],
      async handle(input, { cloud }) {
        const { resource } = find(input, cloud);
        const { tags, reservedConcurrentExecutions: reserved } = resource.inputs;
        return {
          Configuration: described(resource),
          Code: { RepositoryType: "S3" },
          ...(tags ? { Tags: tags } : {}),
          ...(typeof reserved === "number" && reserved >= 0 ? { Concurrency: { ReservedConcurrentExecutions: reserved } } : {}),
        };
      },
    },

    GetFunctionConfiguration: {
      needs: (input, cloud) => [{ action: "lambda:GetFunctionConfiguration", resource: arnOf(reference(input).name, cloud) }],
      handle: async (input, { cloud }) => described(find(input, cloud).resource),
    },

    GetPolicy: {
      needs: (input, cloud) => [{ action: "lambda:GetPolicy", resource: arnOf(reference(input).name, cloud) }],
      async handle(input, { cloud }) {
        const { resource } = find(input, cloud);
        const policy = policyOf(resource.outputs.arn, cloud);
        if (!policy) throw new CloudError("ResourceNotFoundException", "The resource you requested does not exist.", 404, { Type: "User" });
        return { Policy: JSON.stringify(policy) };
      },
    },
  };

  return {
    name: "lambda",
    resources: { [FUNCTION]: functionType, [PERMISSION]: permissionType, [INVOKE_CONFIG]: invokeConfigType },
    api: { protocol, operations, policyOf },
    async start(_, folder) {
      packages = path.join(folder, "packages");
    },
    async stop() {
      const live = [...functions.values()];
      await Promise.all([...live, ...outdated].map((each) => each.stop()));
      const roots = new Set([...outdated].map(({ config }) => config.root));
      for (const { config } of live) roots.delete(config.root);
      await Promise.all([...roots].map((root) => rm(root, { recursive: true, force: true })));
      functions.clear();
      outdated.clear();
    },
  };
}

function accountLimit(): number {
  const given = process.env.EMBEDDED_CLOUD_CONCURRENCY ?? "10";
  if (!/^[1-9]\d*$/.test(given)) throw new Error(`EMBEDDED_CLOUD_CONCURRENCY is "${given}": it must be a whole number of at least 1.`);
  return Number(given);
}

// --- functions

const RUNTIMES = ["nodejs20.x", "nodejs22.x", "nodejs24.x"];

const invalid = (message: string) => new CloudError("InvalidParameterValueException", message);

function checkFunction(inputs: Properties, cloud: Cloud): Properties {
  const complete: Properties = {
    packageType: "Zip",
    architectures: ["x86_64"],
    memorySize: 128,
    timeout: 3,
    ephemeralStorage: { size: 512 },
    tracingConfig: { mode: "PassThrough" },
    ...inputs,
    loggingConfig: { logFormat: "Text", logGroup: `/aws/lambda/${inputs.name}`, ...inputs.loggingConfig },
  };
  const {
    name,
    packageType,
    runtime,
    handler,
    architectures,
    memorySize,
    timeout,
    ephemeralStorage,
    loggingConfig,
    tracingConfig,
    role,
    code,
  } = complete;
  const oneOf = (what: string, value: unknown, allowed: string[]) => {
    if (!allowed.includes(value as string))
      throw invalid(`${name}: ${what} is ${JSON.stringify(value)}: it must be one of ${allowed.join(", ")}.`);
  };
  const within = (what: string, value: unknown, min: number, max: number, unit: string) => {
    if (!Number.isInteger(value) || (value as number) < min || (value as number) > max)
      throw invalid(`${name}: ${what} is ${JSON.stringify(value)}: it must be a whole number from ${min} to ${max} ${unit}.`);
  };
  if (!/^[a-zA-Z0-9-_]{1,64}$/.test(name))
    throw invalid(`The function name "${name}" must have 1 to 64 letters, digits, hyphens and underscores.`);
  if (!code) throw invalid(`${name}: code is missing: the embedded cloud runs packages that the program carries with it.`);
  if (!role) throw invalid(`${name}: role is missing.`);
  oneOf("packageType", packageType, ["Zip"]);
  oneOf("runtime", runtime, RUNTIMES);
  if (typeof handler !== "string" || !/^[^\s]{1,128}$/.test(handler))
    throw invalid(`${name}: handler is ${JSON.stringify(handler)}: it must be "file.export".`);
  if (architectures.length !== 1) throw invalid(`${name}: architectures must have one item.`);
  oneOf("architectures", architectures[0], ["arm64", "x86_64"]);
  within("memorySize", memorySize, 128, 10_240, "MB");
  within("timeout", timeout, 1, 900, "seconds");
  within("ephemeralStorage.size", ephemeralStorage.size, 512, 10_240, "MB");
  oneOf("tracingConfig.mode", tracingConfig.mode, ["Active", "PassThrough"]);
  oneOf("loggingConfig.logFormat", loggingConfig.logFormat, ["JSON", "Text"]);
  for (const [key, allowed] of Object.entries({
    applicationLogLevel: ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"],
    systemLogLevel: ["DEBUG", "INFO", "WARN"],
  })) {
    if (loggingConfig[key] === undefined) continue;
    if (loggingConfig.logFormat !== "JSON") throw invalid(`${name}: loggingConfig.${key} needs logFormat "JSON".`);
    oneOf(`loggingConfig.${key}`, loggingConfig[key], allowed);
  }
  checkVariables(complete.environment?.variables ?? {});
  void cloud;
  return complete;
}

function configOf(inputs: Properties, arn: string, root: string): FunctionConfig {
  const { name, role, handler, runtime, architectures, memorySize, timeout, environment, loggingConfig, tracingConfig } = inputs;
  return {
    ...{ name, arn, role, root, handler, runtime, memorySize, timeout },
    architecture: architectures[0],
    variables: environment?.variables ?? {},
    logging: loggingConfig as LoggingConfig,
    tracing: tracingConfig.mode,
  };
}

function outputsOf(inputs: Properties, cloud: Cloud, code: { codeSha256: string; size: number }): Properties {
  const arn = arnOf(inputs.name, cloud);
  const invokeArn = (target: string, version = "2015-03-31", action = "invocations") =>
    `arn:${cloud.partition}:apigateway:${cloud.region}:lambda:path/${version}/functions/${target}/${action}`;
  return {
    ...inputs,
    arn,
    invokeArn: invokeArn(arn),
    qualifiedArn: `${arn}:$LATEST`,
    qualifiedInvokeArn: invokeArn(`${arn}:$LATEST`),
    responseStreamingInvokeArn: invokeArn(arn, "2021-11-15", "response-streaming-invocations"),
    codeSha256: code.codeSha256,
    sourceCodeHash: inputs.sourceCodeHash ?? code.codeSha256,
    sourceCodeSize: code.size,
    lastModified: cloud.now().toISOString().replace("Z", "+0000"),
    version: "$LATEST",
    region: cloud.region,
    signingJobArn: "",
    signingProfileVersionArn: "",
    tagsAll: inputs.tags ?? {},
  };
}

/** As `GetFunctionConfiguration` answers. */
function described({ inputs, outputs }: Resource): Properties {
  return {
    FunctionName: outputs.name,
    FunctionArn: outputs.arn,
    Runtime: inputs.runtime,
    Role: inputs.role,
    Handler: inputs.handler,
    CodeSize: outputs.sourceCodeSize,
    CodeSha256: outputs.codeSha256,
    Description: inputs.description ?? "",
    Timeout: inputs.timeout,
    MemorySize: inputs.memorySize,
    LastModified: outputs.lastModified,
    Version: "$LATEST",
    PackageType: "Zip",
    Architectures: inputs.architectures,
    EphemeralStorage: { Size: inputs.ephemeralStorage.size },
    TracingConfig: { Mode: inputs.tracingConfig.mode },
    LoggingConfig: Object.fromEntries(
      Object.entries(inputs.loggingConfig).map(([key, value]) => [key.replace(/^./, (first) => first.toUpperCase()), value]),
    ),
    ...(inputs.environment?.variables ? { Environment: { Variables: inputs.environment.variables } } : {}),
    State: "Active",
    LastUpdateStatus: "Successful",
  };
}

const reservation = ({ reservedConcurrentExecutions: reserved }: Properties) =>
  typeof reserved === "number" && reserved >= 0 ? reserved : undefined;

const arnOf = (name: string, { partition, region, account }: Cloud) => `arn:${partition}:lambda:${region}:${account}:function:${name}`;

/** A function's name, from the name, the ARN or the partial ARN that callers may use, each with or without a qualifier. */
function reference(input: Properties): { name: string; qualifier?: string } {
  const given = String(input.FunctionName ?? "");
  const match = /^(?:arn:[^:]+:lambda:[^:]*:\d{12}:function:|\d{12}:function:|function:)?([\w-]+)(?::(\$LATEST|[\w-]+))?$/.exec(given);
  if (!match?.[1])
    throw new CloudError(
      "ValidationException",
      `Value "${given}" at 'functionName' failed to satisfy constraint: it must be a function's name or ARN.`,
    );
  const qualifier = match[2] ?? input.Qualifier;
  return { name: match[1], ...(qualifier ? { qualifier } : {}) };
}

/** The event of an invocation: JSON, within the limits. */
function eventOf({ Payload, InvocationType }: Properties): string {
  const event = Payload === undefined || Payload.length === 0 ? "{}" : Buffer.from(Payload).toString();
  const limit = InvocationType === "Event" ? EVENT_LIMIT : REQUEST_LIMIT;
  if (Buffer.byteLength(event) > limit)
    throw new CloudError(
      "RequestEntityTooLargeException",
      `Request must be smaller than ${limit} bytes for the InvokeFunction operation`,
      413,
      { Type: "User" },
    );
  if (!["RequestResponse", "Event", "DryRun", undefined].includes(InvocationType))
    throw new CloudError(
      "ValidationException",
      `Value '${InvocationType}' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [RequestResponse, Event, DryRun]`,
    );
  try {
    JSON.parse(event);
  } catch (error) {
    throw new CloudError("InvalidRequestContentException", `Could not parse request body into json: ${(error as Error).message}`, 400, {
      Type: "User",
    });
  }
  return event;
}

/** The metrics of one invocation. A cloud without CloudWatch has functions all the same. */
function count({ name, arn }: FunctionConfig, values: Record<string, number>, cloud: Cloud): void {
  const Dimensions = [{ Name: "FunctionName", Value: name }];
  const MetricData = Object.entries(values).map(([MetricName, Value]) => ({
    ...{ MetricName, Value, Dimensions },
    Unit: MetricName === "Duration" ? "Milliseconds" : "Count",
  }));
  const as = { kind: "service", service: "lambda.amazonaws.com", source: arn } as const;
  void cloud.busy(
    cloud.call({ service: "monitoring", operation: "PutMetricData", input: { Namespace: "AWS/Lambda", MetricData }, as }).catch(() => {}),
  );
}

// --- dead letters

const isTopic = (target: string) => target.split(":")[2] === "sns";

/** @throws CloudError when the function's role may not write to the target of its dead letters */
async function mayPark(target: string, as: Principal, cloud: Cloud): Promise<void> {
  if (!/^arn:[^:]+:(sqs|sns):[^:]+:\d{12}:[\w-]+$/.test(target))
    throw invalid(`deadLetterConfig.targetArn is "${target}": it must be the ARN of a queue or a topic.`);
  const [action, what] = isTopic(target) ? ["sns:Publish", "Publish on SNS"] : ["sqs:SendMessage", "SendMessage on SQS"];
  await cloud.call({ service: "lambda", operation: "CheckPermission", input: { action, resource: target }, as }).catch(() => {
    throw invalid(`The provided execution role does not have permissions to call ${what}`);
  });
}

/** What is done with an event that all attempts failed on. */
function deadLetter(
  config: FunctionConfig,
  { inputs }: Resource,
  event: string,
  requestId: string,
  { message }: { message: string },
  cloud: Cloud,
): Call | undefined {
  const target: string | undefined = inputs.deadLetterConfig?.targetArn;
  if (!target) return undefined;
  const text = (StringValue: string) => ({ DataType: "String", StringValue });
  const MessageAttributes = {
    RequestID: text(requestId),
    ErrorCode: { DataType: "Number", StringValue: "200" },
    ErrorMessage: text(errorMessage(message).slice(0, 1024)),
  };
  const as = assumed(config, cloud).principal;
  if (isTopic(target)) return { service: "sns", operation: "Publish", input: { TopicArn: target, Message: event, MessageAttributes }, as };
  const QueueUrl = cloud.resources.byArn(target)?.outputs.url;
  return { service: "sqs", operation: "SendMessage", input: { QueueUrl, MessageBody: event, MessageAttributes }, as };
}

function errorMessage(payload: string): string {
  try {
    return JSON.parse(payload).errorMessage || payload;
  } catch {
    return payload;
  }
}

// --- permissions

const permissionType: ResourceType = {
  inputs: ["action", "function", "principal", "sourceArn", "sourceAccount", "statementId", "statementIdPrefix"],
  named: { input: "statementId", maxLength: 100 },
  async create(inputs, cloud) {
    const { name } = reference({ FunctionName: inputs.function });
    if (!cloud.resources.get(FUNCTION, name))
      throw new CloudError("ResourceNotFoundException", `Function not found: ${arnOf(name, cloud)}`, 404);
    if (!/^(lambda:[a-zA-Z*]+|\*)$/.test(inputs.action))
      throw invalid(`action is ${JSON.stringify(inputs.action)}: it must be an action of Lambda, such as "lambda:InvokeFunction".`);
    return {
      id: inputs.statementId,
      outputs: { ...inputs, region: cloud.region, statementIdPrefix: inputs.statementIdPrefix ?? "" },
    };
  },
  async delete() {},
};

const invokeConfigType: ResourceType = {
  inputs: ["functionName", "maximumRetryAttempts", "maximumEventAgeInSeconds"],
  replacedBy: ["functionName"],
  check(inputs) {
    const { maximumRetryAttempts: attempts = 2, maximumEventAgeInSeconds: age = 21_600 } = inputs;
    if (!(attempts >= 0 && attempts <= 2)) throw invalid(`maximumRetryAttempts is ${attempts}: it must be 0 to 2.`);
    if (!(age >= 60 && age <= 21_600)) throw invalid(`maximumEventAgeInSeconds is ${age}: it must be 60 to 21600.`);
    return inputs;
  },
  async create(inputs, cloud) {
    const { name } = reference({ FunctionName: inputs.functionName });
    return { id: name, outputs: { ...inputs, region: cloud.region } };
  },
  update: async (_, inputs, __, cloud) => ({ ...inputs, region: cloud.region }),
  async delete() {},
};

/** The function policy that the declared permissions make up. */
function policyOf(resource: string, cloud: Cloud): PolicyDocument | undefined {
  if (!/^arn:[^:]+:lambda:[^:]+:\d{12}:function:/.test(resource)) return undefined;
  const { name } = reference({ FunctionName: resource });
  const Statement = cloud.resources
    .all(PERMISSION)
    .filter(({ inputs }) => reference({ FunctionName: inputs.function }).name === name)
    .map(({ inputs: { statementId, action, principal, sourceArn, sourceAccount } }): Statement => {
      const Condition = {
        ...(sourceArn ? { ArnLike: { "AWS:SourceArn": sourceArn } } : {}),
        ...(sourceAccount ? { StringEquals: { "AWS:SourceAccount": sourceAccount } } : {}),
      };
      return {
        Sid: statementId,
        Effect: "Allow",
        Principal: principal === "*" ? "*" : principal.endsWith(".amazonaws.com") ? { Service: principal } : { AWS: principal },
        Action: action,
        Resource: arnOf(name, cloud),
        ...(Object.keys(Condition).length > 0 ? { Condition } : {}),
      };
    });
  return Statement.length > 0 ? { Version: "2012-10-17", Id: "default", Statement } : undefined;
}
