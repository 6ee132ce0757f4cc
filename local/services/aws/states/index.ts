import { randomUUID } from "node:crypto";
import { jsonProtocol } from "../../../kernel/aws/protocols/json.js";
import type { Cloud } from "../../../kernel/cloud.js";
import {
  CloudError,
  type Operation,
  type Principal,
  type Properties,
  type Resource,
  type ResourceType,
  type Service,
} from "../../../kernel/service.js";
import { parse, prepare } from "./definition.js";
import { Execution, type Machine } from "./execution.js";
import { type HistoryEvent, inWireFormat, isLogged, logLine } from "./history.js";
import { DATA_LIMIT } from "./tasks.js";

const MACHINE = "aws:sfn/stateMachine:StateMachine";

/** A name can be used again after these days. */
const NAME_DAYS = 90;
const DAY = 86_400_000;
/** Ended executions that are remembered. */
const CAPACITY = 10_000;

/** What a machine's role must be allowed to do for a log group (Step Functions' guide, "Logging using CloudWatch Logs"). */
const LOG_DELIVERY = [
  "CreateLogDelivery",
  "GetLogDelivery",
  "UpdateLogDelivery",
  "DeleteLogDelivery",
  "ListLogDeliveries",
  "PutResourcePolicy",
  "DescribeResourcePolicies",
  "DescribeLogGroups",
];

export interface StatesOptions {
  /**
   * How long retries and waits take, compared with what is declared: 0.01 makes a second ten milliseconds.
   * @default the environment variable EMBEDDED_CLOUD_PACE, else 1
   */
  pace?: number;
  /**
   * Seconds after which express executions end, whatever the machine says.
   * @default 300, as on AWS
   */
  expressLimit?: number;
}

/** AWS Step Functions: standard and express workflows in the Amazon States Language with JSONPath. */
export default function states({ pace = Number(process.env.EMBEDDED_CLOUD_PACE ?? 1), expressLimit = 300 }: StatesOptions = {}): Service {
  if (!(pace >= 0))
    throw new Error(`EMBEDDED_CLOUD_PACE is "${process.env.EMBEDDED_CLOUD_PACE}": it must be a number that is not negative.`);
  const machines = new Map<string, Machine>();
  const executions = new Map<string, Execution>();
  const streams = new Map<string, Promise<string>>();

  const live = async (inputs: Properties, cloud: Cloud): Promise<Machine> => {
    const { StateMachine } = await interpreter();
    const definition = parse(inputs.definition);
    const prepared = prepare(definition, pace);
    const declared = definition.TimeoutSeconds;
    const machine: Machine = {
      arn: machineArn(inputs.name, cloud),
      name: inputs.name,
      type: inputs.type,
      roleArn: inputs.roleArn,
      prepared,
      interpreter: new StateMachine(prepared.definition as never, { validationOptions: { noValidate: true } }),
      timeout: inputs.type === "EXPRESS" ? Math.min(declared ?? expressLimit, expressLimit) : declared,
    };
    machines.set(machine.arn, machine);
    return machine;
  };

  const deploy = async (inputs: Properties, cloud: Cloud): Promise<Properties> => {
    const arn = machineArn(inputs.name, cloud);
    await checkRole(inputs, arn, cloud);
    await live(inputs, cloud);
    return outputsOf(inputs, cloud);
  };

  const machineType: ResourceType = {
    inputs: [
      "name",
      "namePrefix",
      "definition",
      "type",
      "roleArn",
      "loggingConfiguration.level",
      "loggingConfiguration.includeExecutionData",
      "loggingConfiguration.logDestination",
      "tracingConfiguration.enabled",
      "tags",
    ],
    replacedBy: ["name", "namePrefix", "type"],
    named: { input: "name", maxLength: 80 },
    check: checkMachine,
    async create(inputs, cloud) {
      const arn = machineArn(inputs.name, cloud);
      if (machines.has(arn)) throw new CloudError("StateMachineAlreadyExists", `State Machine Already Exists: '${arn}'`);
      return { id: arn, outputs: await deploy(inputs, cloud) };
    },
    update: async (_, inputs, before, cloud) => ({ ...(await deploy(inputs, cloud)), creationDate: before.outputs.creationDate }),
    async delete({ id }) {
      machines.delete(id);
    },
    async restore({ inputs, outputs }, cloud) {
      await live(inputs, cloud);
      return outputs;
    },
  };

  const machineOf = (arn: string): Machine => {
    const machine = machines.get(arn);
    if (!machine) throw new CloudError("StateMachineDoesNotExist", `State Machine Does Not Exist: '${arn}'`);
    return machine;
  };

  const executionOf = (arn: string): Execution => {
    const execution = executions.get(arn);
    if (!execution || execution.machine.type === "EXPRESS")
      throw new CloudError("ExecutionDoesNotExist", `Execution Does Not Exist: '${arn}'`);
    return execution;
  };

  /** Begins an execution; what it does then is traced, logged and counted. */
  const begin = (machine: Machine, name: string, input: unknown, cloud: Cloud): Execution => {
    const express = machine.type === "EXPRESS";
    const arn = `${machine.arn.replace(":stateMachine:", express ? ":express:" : ":execution:")}:${name}${express ? `:${randomUUID()}` : ""}`;
    const session = cloud.assume(machine.roleArn, name.slice(0, 64), "states.amazonaws.com", machine.arn);
    const { loggingConfiguration: logging } = (cloud.resources.get(MACHINE, machine.arn) as Resource).inputs;
    const lines: { timestamp: number; message: string }[] = [];
    const execution = new Execution(arn, name, machine, input, session.principal, cloud, (event) => {
      transition(machine, name, arn, event, cloud);
      if (logging?.logDestination && isLogged(event.type, logging.level ?? "OFF"))
        lines.push({ timestamp: Math.round(event.timestamp * 1000), message: logLine(event, arn, logging.includeExecutionData === true) });
    });
    executions.set(arn, execution);
    forget(executions);
    void cloud.busy(
      execution.ended.then(async () => {
        count(machine, execution, cloud);
        if (lines.length > 0) await write(machine, logging.logDestination, lines, cloud);
      }),
    );
    return execution;
  };

  /** Writes to the machine's log stream, which the first line makes. */
  const write = async (machine: Machine, destination: string, logEvents: object[], cloud: Cloud): Promise<void> => {
    const logGroupName = /:log-group:([^:]+)/.exec(destination)?.[1];
    const as: Principal = { kind: "service", service: "delivery.logs.amazonaws.com", source: machine.arn };
    const call = (operation: string, input: Properties) =>
      cloud.call({ service: "logs", operation, input: { logGroupName, ...input }, as });
    try {
      let stream = streams.get(machine.arn);
      if (!stream) {
        const logStreamName = `states/${machine.name}/${cloud.now().toISOString().slice(0, 16).replaceAll(":", "-")}/${randomUUID().slice(0, 8)}`;
        stream = call("CreateLogStream", { logStreamName }).then(() => logStreamName);
        streams.set(machine.arn, stream);
      }
      await call("PutLogEvents", { logStreamName: await stream, logEvents });
    } catch (error) {
      streams.delete(machine.arn);
      const text = `${machine.name} cannot write to its log group ${logGroupName}: ${(error as Error).message}`;
      cloud.trace.add({ kind: "note", subject: machine.name, text });
    }
  };

  const operations: Record<string, Operation> = {
    StartExecution: {
      needs: ({ stateMachineArn }) => [{ action: "states:StartExecution", resource: String(stateMachineArn) }],
      async handle(input, { cloud }) {
        const machine = machineOf(input.stateMachineArn);
        const name = nameOf(input);
        const given = inputOf(input);
        if (machine.type === "STANDARD") {
          const known = executions.get(`${machine.arn.replace(":stateMachine:", ":execution:")}:${name}`);
          if (known && cloud.now().getTime() - known.startDate.getTime() < NAME_DAYS * DAY) {
            const same = known.status === "RUNNING" && JSON.stringify(known.input) === JSON.stringify(given);
            if (!same) throw new CloudError("ExecutionAlreadyExists", `Execution Already Exists: '${known.arn}'`);
            return { executionArn: known.arn, startDate: seconds(known.startDate) };
          }
        }
        const { arn, startDate } = begin(machine, name, given, cloud);
        return { executionArn: arn, startDate: seconds(startDate) };
      },
    },

    StartSyncExecution: {
      needs: ({ stateMachineArn }) => [{ action: "states:StartSyncExecution", resource: String(stateMachineArn) }],
      async handle(input, { cloud }) {
        const machine = machineOf(input.stateMachineArn);
        if (machine.type !== "EXPRESS") throw notOfThisType("StartSyncExecution", "STANDARD");
        const execution = begin(machine, nameOf(input), inputOf(input), cloud);
        await execution.ended;
        return described(execution);
      },
    },

    StopExecution: {
      needs: ({ executionArn }) => [{ action: "states:StopExecution", resource: String(executionArn) }],
      async handle({ executionArn, error, cause }) {
        const execution = executionOf(executionArn);
        execution.abort(error, cause);
        await execution.ended;
        return { stopDate: seconds(execution.stopDate as Date) };
      },
    },

    DescribeExecution: {
      needs: ({ executionArn }) => [{ action: "states:DescribeExecution", resource: String(executionArn) }],
      handle: async ({ executionArn }) => described(executionOf(executionArn)),
    },

    GetExecutionHistory: {
      needs: ({ executionArn }) => [{ action: "states:GetExecutionHistory", resource: String(executionArn) }],
      async handle({ executionArn, reverseOrder = false, maxResults = 100, nextToken, includeExecutionData = true }) {
        const history = executionOf(executionArn).history.map((event) => inWireFormat(event, includeExecutionData));
        return page("events", reverseOrder ? history.reverse() : history, maxResults || 100, nextToken);
      },
    },

    ListExecutions: {
      needs: ({ stateMachineArn }) => [{ action: "states:ListExecutions", resource: String(stateMachineArn) }],
      async handle({ stateMachineArn, statusFilter, maxResults = 100, nextToken }) {
        const machine = machineOf(stateMachineArn);
        if (machine.type === "EXPRESS") throw notOfThisType("ListExecutions", "EXPRESS");
        const found = [...executions.values()]
          .filter((each) => each.machine.arn === machine.arn && (!statusFilter || each.status === statusFilter))
          .reverse();
        const items = found.map((each) => {
          const { executionArn, stateMachineArn, name, status, startDate, stopDate } = described(each);
          return { executionArn, stateMachineArn, name, status, startDate, ...(stopDate === undefined ? {} : { stopDate }) };
        });
        return page("executions", items, maxResults || 100, nextToken);
      },
    },

    DescribeStateMachine: {
      needs: ({ stateMachineArn }) => [{ action: "states:DescribeStateMachine", resource: String(stateMachineArn) }],
      async handle({ stateMachineArn }, { cloud }) {
        machineOf(stateMachineArn);
        const { inputs, outputs } = cloud.resources.get(MACHINE, stateMachineArn) as Resource;
        return {
          stateMachineArn,
          name: inputs.name,
          status: "ACTIVE",
          definition: inputs.definition,
          roleArn: inputs.roleArn,
          type: inputs.type,
          creationDate: Date.parse(outputs.creationDate) / 1000,
          tracingConfiguration: { enabled: inputs.tracingConfiguration?.enabled ?? false },
        };
      },
    },

    ListStateMachines: {
      needs: (_, cloud) => [{ action: "states:ListStateMachines", resource: machineArn("*", cloud) }],
      async handle({ maxResults = 100, nextToken }, { cloud }) {
        const items = cloud.resources.all(MACHINE).map(({ id, inputs, outputs }) => ({
          stateMachineArn: id,
          name: inputs.name,
          type: inputs.type,
          creationDate: Date.parse(outputs.creationDate) / 1000,
        }));
        return page("stateMachines", items, maxResults || 100, nextToken);
      },
    },
  };

  return {
    name: "states",
    resources: { [MACHINE]: machineType },
    api: { protocol: jsonProtocol({ signing: "states", target: "AWSStepFunctions", version: "1.0" }), operations },
    async stop() {
      for (const execution of executions.values()) execution.abort("", "The embedded cloud stopped.");
      machines.clear();
    },
  };
}

/** Loaded when the first machine comes: it brings the SDK for Lambda with it. */
async function interpreter() {
  // Node.js 20 has not got it, and the interpreter uses it.
  (Promise as { withResolvers?: unknown }).withResolvers ??= function withResolvers<T>() {
    let resolve: ((value: T | PromiseLike<T>) => void) | undefined;
    let reject: ((reason?: unknown) => void) | undefined;
    const promise = new Promise<T>((...settle) => ([resolve, reject] = settle));
    return { promise, resolve, reject };
  };
  return import("aws-local-stepfunctions");
}

// --- machines

function checkMachine(inputs: Properties, cloud: Cloud): Properties {
  const complete: Properties = { type: "STANDARD", ...inputs };
  const { name, type, definition, roleArn, loggingConfiguration: logging } = complete;
  void cloud;
  if (!/^[\w+!@.()=[\]'-]{1,80}$/.test(name)) throw new CloudError("InvalidName", `Invalid Name: '${name}'`);
  if (!["STANDARD", "EXPRESS"].includes(type))
    throw new CloudError("ValidationException", `type is "${type}": it must be "STANDARD" or "EXPRESS".`);
  if (typeof roleArn !== "string" || !/^arn:[^:]+:iam::\d{12}:role\//.test(roleArn))
    throw new CloudError("InvalidArn", `Invalid Role Arn: '${roleArn}'`);
  parse(definition);
  if (logging) {
    const { level = "OFF", logDestination } = logging;
    if (!["ALL", "ERROR", "FATAL", "OFF"].includes(level))
      throw new CloudError("InvalidLoggingConfiguration", `level is "${level}": it must be one of ALL, ERROR, FATAL, OFF.`);
    if (level !== "OFF" && !logDestination?.endsWith(":*"))
      throw new CloudError(
        "InvalidLoggingConfiguration",
        `Invalid Logging Configuration: logDestination is "${logDestination}": it must be a log group's ARN with ":*" at its end.`,
      );
  }
  return complete;
}

/** What Step Functions tries out when a machine is created or changed: to assume the role, and the log group with it. */
async function checkRole({ roleArn, loggingConfiguration: logging }: Properties, arn: string, cloud: Cloud): Promise<void> {
  const denied = (message: string) => new CloudError("AccessDeniedException", message);
  let as: Principal;
  try {
    as = cloud.assume(roleArn, "create", "states.amazonaws.com", arn).principal;
  } catch (error) {
    throw denied(
      `Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume the provided role. (${(error as Error).message})`,
    );
  }
  if ((logging?.level ?? "OFF") === "OFF") return;
  for (const operation of LOG_DELIVERY)
    await cloud.call({ service: "logs", operation, input: {}, as }).catch((error) => {
      throw denied(
        `The state machine IAM Role is not authorized to access the Log Destination: it lacks logs:${operation} (${error.message})`,
      );
    });
  const logGroupNamePrefix: string = /:log-group:([^:]+)/.exec(logging.logDestination)?.[1] ?? "";
  const { logGroups } = await cloud.call({ service: "logs", operation: "DescribeLogGroups", input: { logGroupNamePrefix }, as });
  if (!logGroups.some(({ logGroupName }: Properties) => logGroupName === logGroupNamePrefix))
    throw new CloudError(
      "InvalidLoggingConfiguration",
      `Invalid Logging Configuration: Log Destination '${logging.logDestination}' does not exist.`,
    );
}

function outputsOf(inputs: Properties, cloud: Cloud): Properties {
  return {
    description: "",
    namePrefix: "",
    encryptionConfiguration: { type: "AWS_OWNED_KEY" },
    loggingConfiguration: { includeExecutionData: false, level: "OFF" },
    tracingConfiguration: { enabled: false },
    ...inputs,
    arn: machineArn(inputs.name, cloud),
    creationDate: cloud.now().toISOString().replace(/\.\d+/, ""),
    revisionId: randomUUID(),
    stateMachineVersionArn: "",
    versionDescription: "",
    status: "ACTIVE",
    region: cloud.region,
    tagsAll: inputs.tags ?? {},
  };
}

const machineArn = (name: string, { partition, region, account }: Cloud) =>
  `arn:${partition}:states:${region}:${account}:stateMachine:${name}`;

// --- executions

/** Drops the oldest executions that have ended, beyond what is remembered. */
function forget(executions: Map<string, Execution>): void {
  for (const [arn, { status }] of executions) {
    if (executions.size <= CAPACITY) return;
    if (status !== "RUNNING") executions.delete(arn);
  }
}

const seconds = (date: Date) => date.getTime() / 1000;

const notOfThisType = (operation: string, type: string) =>
  new CloudError("StateMachineTypeNotSupported", `This operation is not supported by this type of state machine: ${operation} on ${type}`);

function nameOf({ name = randomUUID() }: Properties): string {
  if (typeof name !== "string" || !/^[^\s<>{}[\]?*"#%\\^|~`$&,;:/\p{Cc}]{1,80}$/u.test(name))
    throw new CloudError("InvalidName", `Invalid Name: '${name}'`);
  return name;
}

function inputOf({ input = "{}" }: Properties): unknown {
  if (Buffer.byteLength(input) > DATA_LIMIT)
    throw new CloudError(
      "ValidationException",
      `1 validation error detected: Value at 'input' failed to satisfy constraint: Member must have length less than or equal to ${DATA_LIMIT}`,
    );
  try {
    return JSON.parse(input);
  } catch (error) {
    throw new CloudError("InvalidExecutionInput", `Invalid State Machine Execution Input: '${(error as Error).message}'`);
  }
}

function described({ arn, name, machine, status, input, output, error, cause, startDate, stopDate }: Execution): Properties {
  const details = { included: true };
  return {
    executionArn: arn,
    stateMachineArn: machine.arn,
    name,
    status,
    startDate: seconds(startDate),
    input: JSON.stringify(input),
    inputDetails: details,
    ...(stopDate ? { stopDate: seconds(stopDate) } : {}),
    ...(status === "SUCCEEDED" ? { output: JSON.stringify(output), outputDetails: details } : {}),
    ...(error === undefined ? {} : { error }),
    ...(cause === undefined ? {} : { cause }),
    redriveCount: 0,
    redriveStatus: "NOT_REDRIVABLE",
  };
}

/** One page of a list; the token is the number of items before it. */
function page(name: string, items: Properties[], size: number, token: string | undefined): Properties {
  const start = Number(token ?? 0);
  const nextToken = start + size < items.length ? { nextToken: String(start + size) } : {};
  return { [name]: items.slice(start, start + size), ...nextToken };
}

/** What a person sees of an execution as it goes. */
function transition(machine: Machine, execution: string, arn: string, { type, details }: HistoryEvent, cloud: Cloud): void {
  const { name: state, error, cause, output } = details?.value ?? {};
  const [, entered] = /^(\w+)StateEntered$/.exec(type) ?? [];
  const status = /^Execution(\w+)$/.exec(type)?.[1];
  const text = entered
    ? `→ ${state}`
    : status
      ? `${status.replace("TimedOut", "timed out").toLowerCase()}${error ? `: ${error}` : ""}`
      : type === "TaskFailed"
        ? `failed: ${error}`
        : undefined;
  if (text === undefined) return;
  const detail = {
    executionArn: arn,
    stateMachineArn: machine.arn,
    execution,
    type,
    ...(state ? { state } : {}),
    ...(error ? { error, cause } : {}),
    ...(status && output ? { output } : {}),
  };
  cloud.trace.add({ kind: "execution", subject: machine.name, text: `${execution.slice(0, 36)} ${text}`, detail });
}

/** The metrics of an execution that has ended. A cloud without CloudWatch has state machines all the same. */
function count({ arn }: Machine, { status, startDate, stopDate }: Execution, cloud: Cloud): void {
  const Dimensions = [{ Name: "StateMachineArn", Value: arn }];
  const ended = {
    SUCCEEDED: "ExecutionsSucceeded",
    FAILED: "ExecutionsFailed",
    TIMED_OUT: "ExecutionsTimedOut",
    ABORTED: "ExecutionsAborted",
  };
  const counted = Object.entries(ended).map(([each, MetricName]) => ({
    MetricName,
    Dimensions,
    Value: each === status ? 1 : 0,
    Unit: "Count",
  }));
  const duration = (stopDate as Date).getTime() - startDate.getTime();
  const MetricData = [
    ...counted,
    { MetricName: "ExecutionsStarted", Dimensions, Value: 1, Unit: "Count" },
    { MetricName: "ExecutionTime", Dimensions, Value: duration, Unit: "Milliseconds" },
  ];
  const as = { kind: "service", service: "states.amazonaws.com", source: arn } as const;
  void cloud.busy(
    cloud.call({ service: "monitoring", operation: "PutMetricData", input: { Namespace: "AWS/States", MetricData }, as }).catch(() => {}),
  );
}
