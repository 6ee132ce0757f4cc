import { randomUUID } from "node:crypto";
import type { Cloud } from "../../../kernel/cloud.js";
import { CloudError, type Principal, type Properties } from "../../../kernel/service.js";

/** An error of an execution, by the name that Retry and Catch know it under. */
export class StatesError extends Error {
  constructor(
    override readonly name: string,
    cause: string,
    /** Whether States.ALL means it. */
    readonly isCatchable = true,
  ) {
    super(cause);
  }
  /** The interpreter asks. */
  get isRetryable(): boolean {
    return this.isCatchable;
  }
}

/** Bytes that a state may hand on. */
export const DATA_LIMIT = 262_144;

export function dataLimitExceeded(what: string): StatesError {
  return new StatesError(
    "States.DataLimitExceeded",
    `The ${what} exceeds the maximum number of bytes service limit (${DATA_LIMIT}).`,
    false,
  );
}

/** Integrations that Step Functions shaped itself. Their results carry the SDK's metadata. */
const OPTIMIZED: Record<string, { actions: string[]; errors: string; vendor: string }> = {
  lambda: { actions: ["invoke"], errors: "Lambda", vendor: "AWSLambda" },
  dynamodb: { actions: ["getItem", "putItem", "updateItem", "deleteItem"], errors: "DynamoDB", vendor: "AmazonDynamoDBv2" },
  sqs: { actions: ["sendMessage"], errors: "SQS", vendor: "AmazonSQS" },
  sns: { actions: ["publish"], errors: "SNS", vendor: "AmazonSNS" },
};

/** SDK integrations: the SDK's name of the service → its name in the embedded cloud, and before the dot of its errors. */
const SDK: Record<string, { service: string; errors: string }> = {
  cloudwatch: { service: "monitoring", errors: "CloudWatch" },
  cloudwatchlogs: { service: "logs", errors: "CloudWatchLogs" },
  dynamodb: { service: "dynamodb", errors: "DynamoDb" },
  eventbridge: { service: "events", errors: "EventBridge" },
  lambda: { service: "lambda", errors: "Lambda" },
  rekognition: { service: "rekognition", errors: "Rekognition" },
  s3: { service: "s3", errors: "S3" },
  sfn: { service: "states", errors: "Sfn" },
  sns: { service: "sns", errors: "Sns" },
  sqs: { service: "sqs", errors: "Sqs" },
  ssm: { service: "ssm", errors: "Ssm" },
};

/** APIs whose members begin with a small letter; in a state machine they begin with a capital. */
const LOWER_CASE_MEMBERS = new Set(["states", "logs"]);

const FUNCTION_ARN = /^arn:[^:]+:lambda:[^:]+:\d{12}:function:[\w-]+(:[\w$-]+)?$/;

interface Integration {
  kind: "function" | "optimized" | "sdk";
  service: string;
  action: string;
  errors: string;
  vendor: string;
}

function integration(resource: string): Integration | undefined {
  if (FUNCTION_ARN.test(resource)) return { kind: "function", service: "lambda", action: "invoke", errors: "Lambda", vendor: "AWSLambda" };
  const [, sdk, name = "", action = ""] = /^arn:[^:]+:states:::(aws-sdk:)?([a-z0-9]+):(\w+)$/.exec(resource) ?? [];
  if (sdk) {
    const known = SDK[name];
    return known && { kind: "sdk", service: known.service, action, errors: known.errors, vendor: known.errors };
  }
  const known = OPTIMIZED[name];
  return known?.actions.includes(action)
    ? { kind: "optimized", service: name, action, errors: known.errors, vendor: known.vendor }
    : undefined;
}

/** Why a Task's resource cannot be run, if it cannot. */
export function resourceProblem(resource: string): string | undefined {
  if (integration(resource)) return undefined;
  if (/\.(sync(:2)?|waitForTaskToken)$/.test(resource)) return "waits for a job or a token, which is not emulated";
  return "is no integration that the embedded cloud has: a function's ARN, lambda:invoke, dynamodb:getItem and its like, sqs:sendMessage, sns:publish, aws-sdk:SERVICE:ACTION";
}

/** How a resource is named in the history. */
export function resourceNames(resource: string): { resourceType: string; resource: string } {
  const [, resourceType = "lambda", action = "invoke"] = /:states:::(aws-sdk:[a-z0-9]+|[a-z0-9]+):(\w+)$/.exec(resource) ?? [];
  return { resourceType, resource: action };
}

/** Does what a Task asks for, as the machine's role. @throws StatesError */
export async function perform(resource: string, parameters: unknown, as: Principal, cloud: Cloud): Promise<unknown> {
  const target = integration(resource);
  if (!target) throw new StatesError("States.Runtime", `The resource ${resource} is not emulated.`, false);
  const { kind, service, action } = target;
  if (kind === "function") return (await invoke({ FunctionName: resource, Payload: parameters }, target, as, cloud)).Payload;
  const given = (parameters ?? {}) as Properties;
  if (service === "lambda" && action === "invoke") {
    const answer = await invoke(given, target, as, cloud);
    return kind === "optimized" ? { ...answer, ...metadata(answer.StatusCode) } : { ...answer, Payload: JSON.stringify(answer.Payload) };
  }
  const operation = capital(action);
  const output = await call(service, operation, inputOf(service, kind === "optimized" ? stringified(given) : given), target, as, cloud);
  return kind === "optimized" ? { ...outputOf(service, output), ...metadata(200) } : outputOf(service, output);
}

async function invoke({ Payload, ...input }: Properties, target: Integration, as: Principal, cloud: Cloud): Promise<Properties> {
  const sent = target.kind === "sdk" && typeof Payload === "string" ? Payload : JSON.stringify(Payload ?? {});
  const { Payload: bytes, ...answer } = await call("lambda", "Invoke", { ...input, Payload: Buffer.from(sent) }, target, as, cloud);
  const text = bytes === undefined ? "" : Buffer.from(bytes).toString();
  if (answer.FunctionError && target.kind !== "sdk") throw functionError(text);
  return { ...answer, Payload: text === "" ? {} : JSON.parse(text) };
}

/** Deaths of the environment: Lambda reports them, but Step Functions (its guide, "Handle Lambda service exceptions") calls them unknown. */
const UNKNOWN = new Set(["Sandbox.Timedout", "Runtime.OutOfMemory"]);

function functionError(payload: string): StatesError {
  const { errorType } = JSON.parse(payload) as { errorType?: string };
  if (errorType === undefined || UNKNOWN.has(errorType))
    return new StatesError(
      "Lambda.Unknown",
      `The cause could not be determined because Lambda did not return an error type. Returned payload: ${payload}`,
    );
  return new StatesError(errorType, payload);
}

async function call(
  service: string,
  operation: string,
  input: Properties,
  target: Integration,
  as: Principal,
  cloud: Cloud,
): Promise<Properties> {
  try {
    return await cloud.call({ service, operation, input, as });
  } catch (error) {
    if (!(error instanceof CloudError)) throw error;
    throw serviceError(error, target);
  }
}

/** Errors that a service's model names; the SDKs for Java, which Step Functions calls with, have no class of its own for any other. */
const MODELLED =
  /^(ConditionalCheckFailed|ProvisionedThroughputExceeded|RequestLimitExceeded|Throttling|ResourceNotFound|ItemCollectionSizeLimitExceeded|TransactionConflict|Internal|QueueDoesNotExist|RequestThrottled|OverLimit|NoSuchKey|NoSuchBucket)/;

/** The general exception of services that have one for what is not modelled. */
const GENERAL: Record<string, string> = { lambda: "AWSLambdaException", dynamodb: "AmazonDynamoDBException", sqs: "AmazonSQSException" };

/** A service's own words for what the kernel calls the same everywhere. */
const OWN_WORDS: Record<string, Record<string, string>> = {
  lambda: { InternalFailure: "ServiceException", ThrottlingException: "TooManyRequestsException" },
  dynamodb: { InternalFailure: "InternalServerError" },
  rekognition: { InternalFailure: "InternalServerError" },
  sns: { InternalFailure: "InternalError" },
  sqs: { InternalFailure: "InternalError" },
};

function serviceError(error: CloudError, { kind, service, errors, vendor }: Integration): StatesError {
  const code = OWN_WORDS[service]?.[error.code] ?? error.code;
  const modelled = service === "lambda" ? !/^AccessDenied/.test(code) : service in GENERAL || service === "s3" ? MODELLED.test(code) : true;
  const general = kind === "sdk" ? `${errors}Exception` : (GENERAL[service] ?? code);
  const name = modelled ? (code.endsWith("Exception") ? code : `${code}Exception`) : general;
  const requestId = randomUUID();
  const from =
    kind === "sdk"
      ? `(Service: ${errors}, Status Code: ${error.status}, Request ID: ${requestId})`
      : `(Service: ${vendor}; Status Code: ${error.status}; Error Code: ${code}; Request ID: ${requestId}; Proxy: null)`;
  return new StatesError(`${errors}.${name}`, `${error.message} ${from}`);
}

/** Messages may be given as objects to the integrations that Step Functions shaped. */
function stringified({ MessageBody, Message, ...others }: Properties): Properties {
  const text = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));
  return {
    ...others,
    ...(MessageBody === undefined ? {} : { MessageBody: text(MessageBody) }),
    ...(Message === undefined ? {} : { Message: text(Message) }),
  };
}

const capital = (name: string) => name.replace(/^./, (first) => first.toUpperCase());

function inputOf(service: string, input: Properties): Properties {
  if (!LOWER_CASE_MEMBERS.has(service)) return input;
  return Object.fromEntries(Object.entries(input).map(([name, value]) => [name.replace(/^./, (first) => first.toLowerCase()), value]));
}

/** JSON of an output: bodies as text, members with capitals. */
function outputOf(service: string, output: Properties): Properties {
  const json = JSON.parse(
    JSON.stringify(output, (_, value) =>
      value?.type === "Buffer" && Array.isArray(value.data) ? Buffer.from(value.data).toString() : value,
    ),
  );
  if (!LOWER_CASE_MEMBERS.has(service)) return json;
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [capital(name), value]));
}

function metadata(status: number): Properties {
  const requestId = randomUUID();
  const headers = { "x-amzn-RequestId": requestId };
  return {
    SdkHttpMetadata: {
      AllHttpHeaders: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]])),
      HttpHeaders: headers,
      HttpStatusCode: status,
    },
    SdkResponseMetadata: { RequestId: requestId },
  };
}
