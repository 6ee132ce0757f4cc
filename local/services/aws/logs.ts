import { createHash } from "node:crypto";
import { appendFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { unknownOperationError } from "../../kernel/aws/dialect.js";
import { jsonProtocol } from "../../kernel/aws/protocols/json.js";
import type { Cloud } from "../../kernel/cloud.js";
import { CloudError, type Operation, type PolicyDocument, type Properties, type ResourceType, type Service } from "../../kernel/service.js";

const LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup";
const RETENTIONS = [0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];
const DAY = 86_400_000;
/** Events of one group that are kept in memory, the newest. */
const CAPACITY = 100_000;

const LOG_DELIVERY = [
  "CreateLogDelivery",
  "GetLogDelivery",
  "UpdateLogDelivery",
  "DeleteLogDelivery",
  "ListLogDeliveries",
  "PutResourcePolicy",
  "DescribeResourcePolicies",
];

interface LogEvent {
  stream: string;
  timestamp: number;
  ingestionTime: number;
  message: string;
  eventId: string;
}

/** A log group's streams and events: in memory, and a line per event in a file. */
interface LogGroup {
  name: string;
  file: string;
  createdAt: number;
  streams: Map<string, { createdAt: number }>;
  events: LogEvent[];
  writing: Promise<void>;
}

/** CloudWatch Logs. */
export default function logs(): Service {
  const groups = new Map<string, LogGroup>();
  let folder = "";
  let sequence = 0;

  const open = async (name: string, cloud: Cloud): Promise<LogGroup> => {
    const file = join(folder, `${createHash("sha256").update(name).digest("hex").slice(0, 16)}.jsonl`);
    const group: LogGroup = { name, file, createdAt: cloud.now().getTime(), streams: new Map(), events: [], writing: Promise.resolve() };
    for (const line of (await readFile(file, "utf8").catch(() => "")).split("\n")) {
      if (!line) continue;
      const event = JSON.parse(line) as LogEvent;
      group.events.push(event);
      if (!group.streams.has(event.stream)) group.streams.set(event.stream, { createdAt: event.ingestionTime });
    }
    groups.set(name, group);
    expire(group, cloud);
    return group;
  };

  const groupOf = (name: unknown): LogGroup => {
    const group = groups.get(String(name));
    if (!group) throw new CloudError("ResourceNotFoundException", "The specified log group does not exist.", 400);
    return group;
  };

  const logGroup: ResourceType = {
    inputs: ["name", "retentionInDays", "skipDestroy", "logGroupClass", "deletionProtectionEnabled", "tags"],
    replacedBy: ["name", "logGroupClass"],
    named: { input: "name", maxLength: 512 },

    check(inputs) {
      const { name, retentionInDays = 0, logGroupClass = "STANDARD" } = inputs;
      if (!/^[\w./#-]{1,512}$/.test(name))
        throw invalid(`The log group's name is ${JSON.stringify(name)}: it must have 1 to 512 letters, digits and ._/#- only.`);
      if (!RETENTIONS.includes(retentionInDays))
        throw invalid(`retentionInDays is ${retentionInDays}: it must be one of ${RETENTIONS.join(", ")}.`);
      if (logGroupClass !== "STANDARD") throw invalid(`logGroupClass is ${logGroupClass}: the embedded cloud has STANDARD only.`);
      return { ...inputs, retentionInDays, logGroupClass };
    },

    async create(inputs, cloud) {
      if (groups.has(inputs.name)) throw new CloudError("ResourceAlreadyExistsException", "The specified log group already exists", 400);
      await open(inputs.name, cloud);
      return { id: inputs.name, outputs: outputsOf(inputs, cloud) };
    },

    update: async (_id, inputs, _before, cloud) => outputsOf(inputs, cloud),

    async delete({ id, inputs }) {
      if (inputs.deletionProtectionEnabled)
        throw new CloudError("ValidationException", `The log group ${id} is protected from deletion.`, 400);
      const group = groups.get(id);
      if (!group || inputs.skipDestroy) return;
      groups.delete(id);
      await group.writing;
      await rm(group.file, { force: true });
    },

    async restore({ id, outputs }, cloud) {
      await open(id, cloud);
      return outputs;
    },
  };

  const append = (group: LogGroup, events: LogEvent[]) => {
    group.events.push(...events);
    if (group.events.length > CAPACITY) group.events.splice(0, group.events.length - CAPACITY);
    const lines = events.map((event) => `${JSON.stringify(event)}\n`).join("");
    group.writing = group.writing.then(() => appendFile(group.file, lines)).catch(() => {});
  };

  const streamArn = (input: Properties, cloud: Cloud) => `${arnOf(groupName(input), cloud)}:log-stream:${input.logStreamName ?? ""}`;
  const needs =
    (action: string): Operation["needs"] =>
    (input, cloud) => [{ action: `logs:${action}`, resource: streamArn(input, cloud) }];

  const operations: Record<string, Operation> = {
    CreateLogGroup: {
      needs: needs("CreateLogGroup"),
      async handle({ logGroupName }, { cloud }) {
        if (groups.has(logGroupName)) throw new CloudError("ResourceAlreadyExistsException", "The specified log group already exists", 400);
        await open(logGroupName, cloud);
        return {};
      },
    },

    CreateLogStream: {
      needs: needs("CreateLogStream"),
      async handle({ logGroupName, logStreamName }, { cloud }) {
        const { streams } = groupOf(logGroupName);
        if (typeof logStreamName !== "string" || !/^[^:*]{1,512}$/.test(logStreamName))
          throw invalid(`logStreamName is ${JSON.stringify(logStreamName)}: it must have 1 to 512 characters other than : and *.`);
        if (streams.has(logStreamName))
          throw new CloudError("ResourceAlreadyExistsException", "The specified log stream already exists", 400);
        streams.set(logStreamName, { createdAt: cloud.now().getTime() });
        return {};
      },
    },

    PutLogEvents: {
      needs: needs("PutLogEvents"),
      async handle({ logGroupName, logStreamName, logEvents }, { cloud }) {
        const group = groupOf(logGroupName);
        if (!group.streams.has(logStreamName))
          throw new CloudError("ResourceNotFoundException", "The specified log stream does not exist.", 400);
        if (!Array.isArray(logEvents) || logEvents.length === 0 || logEvents.length > 10_000)
          throw invalid("logEvents must have 1 to 10000 members.");
        const ingestionTime = cloud.now().getTime();
        append(
          group,
          logEvents.map(({ timestamp, message }: Properties) => {
            if (typeof timestamp !== "number" || typeof message !== "string" || message === "")
              throw invalid("Log events have a timestamp and a message that is not empty.");
            return { stream: logStreamName, timestamp, ingestionTime, message, eventId: String(++sequence).padStart(56, "0") };
          }),
        );
        return { nextSequenceToken: String(sequence) };
      },
    },

    DescribeLogGroups: {
      needs: (_input, cloud) => [{ action: "logs:DescribeLogGroups", resource: `${arnOf("", cloud)}:log-stream:` }],
      async handle({ logGroupNamePrefix = "" }, { cloud }) {
        const found = [...groups.values()].filter(({ name }) => name.startsWith(logGroupNamePrefix));
        return {
          logGroups: found.map(({ name, createdAt }) => ({
            logGroupName: name,
            creationTime: createdAt,
            arn: `${arnOf(name, cloud)}:*`,
            logGroupArn: arnOf(name, cloud),
          })),
        };
      },
    },

    DescribeLogStreams: {
      needs: needs("DescribeLogStreams"),
      async handle(input, { cloud }) {
        const { streams, events } = groupOf(groupName(input));
        const found = [...streams].filter(([name]) => name.startsWith(input.logStreamNamePrefix ?? ""));
        return {
          logStreams: found.map(([logStreamName, { createdAt }]) => {
            const times = events.filter(({ stream }) => stream === logStreamName).map(({ timestamp }) => timestamp);
            const span = times.length > 0 ? { firstEventTimestamp: times[0], lastEventTimestamp: times.at(-1) } : {};
            return {
              logStreamName,
              creationTime: createdAt,
              ...span,
              arn: `${arnOf(groupName(input), cloud)}:log-stream:${logStreamName}`,
            };
          }),
        };
      },
    },

    GetLogEvents: {
      needs: needs("GetLogEvents"),
      async handle(input, { cloud }) {
        const group = groupOf(groupName(input));
        const { logStreamName, startFromHead = false, limit = 10_000, nextToken } = input;
        if (!group.streams.has(logStreamName))
          throw new CloudError("ResourceNotFoundException", "The specified log stream does not exist.", 400);
        expire(group, cloud);
        const all = between(group, input).filter(({ stream }) => stream === logStreamName);
        // A token says where the page begins (f) or ends (b), counted from the first event of the stream.
        const [direction, at] = nextToken ? [nextToken[0], Number(nextToken.slice(2))] : startFromHead ? ["f", 0] : ["b", all.length];
        const [start, end] = direction === "f" ? [at, Math.min(at + limit, all.length)] : [Math.max(at - limit, 0), at];
        const events = all.slice(start, end).map(({ timestamp, message, ingestionTime }) => ({ timestamp, message, ingestionTime }));
        return { events, nextForwardToken: `f/${end}`, nextBackwardToken: `b/${start}` };
      },
    },

    FilterLogEvents: {
      needs: needs("FilterLogEvents"),
      async handle(input, { cloud }) {
        const group = groupOf(groupName(input));
        expire(group, cloud);
        const matches = textFilter(input.filterPattern ?? "");
        const { logStreamNames, logStreamNamePrefix, limit = 10_000, nextToken } = input;
        const found = between(group, input).filter(
          ({ stream, message }) =>
            (!logStreamNames || logStreamNames.includes(stream)) &&
            (!logStreamNamePrefix || stream.startsWith(logStreamNamePrefix)) &&
            matches(message),
        );
        const start = nextToken ? Number(nextToken) : 0;
        const page = found.slice(start, start + limit);
        return {
          events: page.map(({ stream, ...event }) => ({ logStreamName: stream, ...event })),
          searchedLogStreams: [],
          ...(start + limit < found.length ? { nextToken: String(start + limit) } : {}),
        };
      },
    },

    // What whoever sets up vended logs is asked for: permissions more than calls, with nothing to do here.
    // https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
    ...Object.fromEntries(LOG_DELIVERY.map((name) => [name, permissionOnly(name)])),
  };

  return {
    name: "logs",
    resources: { [LOG_GROUP]: logGroup },
    api: { protocol: jsonProtocol({ signing: "logs", target: "Logs_20140328", version: "1.1" }), operations, policyOf: vendedLogs },

    async start(_cloud, own) {
      folder = own;
      await mkdir(folder, { recursive: true });
    },

    async stop() {
      await Promise.all([...groups.values()].map(({ writing }) => writing));
    },
  };
}

/** Answers whether the caller may; asked to do something, it says that it cannot. */
function permissionOnly(name: string): Operation {
  return {
    needs: () => [{ action: `logs:${name}`, resource: "*" }],
    async handle(input) {
      if (Object.keys(input).length > 0) throw unknownOperationError("logs", name);
      return {};
    },
  };
}

/** Vended logs come from the delivery service; whoever sets up the delivery has to be allowed to (CreateLogDelivery). */
function vendedLogs(resource: string): PolicyDocument {
  return {
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Principal: { Service: "delivery.logs.amazonaws.com" },
        Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
        Resource: resource,
      },
    ],
  };
}

function outputsOf(inputs: Properties, cloud: Cloud): Properties {
  return {
    deletionProtectionEnabled: false,
    skipDestroy: false,
    ...inputs,
    arn: arnOf(inputs.name, cloud),
    namePrefix: "",
    region: cloud.region,
    tagsAll: inputs.tags ?? {},
  };
}

/** Drops what is older than the group's retention. */
function expire(group: LogGroup, cloud: Cloud): void {
  const days: number = cloud.resources.get(LOG_GROUP, group.name)?.inputs.retentionInDays ?? 0;
  const oldest = days > 0 ? cloud.now().getTime() - days * DAY : Number.NEGATIVE_INFINITY;
  if (!group.events.some(({ timestamp }) => timestamp < oldest)) return;
  group.events = group.events.filter(({ timestamp }) => timestamp >= oldest);
  const lines = group.events.map((event) => `${JSON.stringify(event)}\n`).join("");
  group.writing = group.writing.then(() => writeFile(group.file, lines)).catch(() => {});
}

function between({ events }: LogGroup, { startTime = 0, endTime = Number.POSITIVE_INFINITY }: Properties): LogEvent[] {
  return events.filter(({ timestamp }) => timestamp >= startTime && timestamp < endTime).sort((a, b) => a.timestamp - b.timestamp);
}

/** Terms (all), `?terms` (any), `-terms` (none), quoted phrases. Patterns over JSON or columns are refused. */
function textFilter(pattern: string): (message: string) => boolean {
  if (/^\s*[{[%]/.test(pattern))
    throw invalid(`The filter pattern ${pattern} is of a kind that the embedded cloud does not implement: use terms.`);
  const terms = [...pattern.matchAll(/([?-]?)(?:"((?:[^"\\]|\\.)*)"|(\S+))/g)].map(([, sign, quoted, plain]) => ({
    sign,
    text: plain ?? quoted!.replace(/\\(.)/g, "$1"),
  }));
  const any = terms.filter(({ sign }) => sign === "?");
  return (message) =>
    terms.every(({ sign, text }) => sign === "?" || message.includes(text) === (sign !== "-")) &&
    (any.length === 0 || any.some(({ text }) => message.includes(text)));
}

/** By name, or by the group's ARN with or without `:*`. */
function groupName({ logGroupName, logGroupIdentifier }: Properties): string {
  const reference = String(logGroupName ?? logGroupIdentifier ?? "");
  return /:log-group:([^:]+)/.exec(reference)?.[1] ?? reference;
}

const arnOf = (name: string, { partition, region, account }: Cloud) => `arn:${partition}:logs:${region}:${account}:log-group:${name}`;
const invalid = (message: string) => new CloudError("InvalidParameterException", message, 400);
