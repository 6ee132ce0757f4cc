import { randomUUID } from "node:crypto";
import { parseArn } from "../../../kernel/aws/arn.js";
import { compileEventPattern, type EventMatcher } from "../../../kernel/aws/event-pattern.js";
import { jsonProtocol } from "../../../kernel/aws/protocols/json.js";
import type { Cloud, CloudEvent } from "../../../kernel/cloud.js";
import { CloudError, type Operation, type Properties, type Resource, type ResourceType, type Service } from "../../../kernel/service.js";
import { parseSchedule } from "./schedule.js";
import { asRule, callFor, type EventEnvelope, errorCode, inputText, queueUrl, TARGETS } from "./target.js";

const RULE = "aws:cloudwatch/eventRule:EventRule";
const TARGET = "aws:cloudwatch/eventTarget:EventTarget";
const DEFAULT_BUS = "default";
/** Node's timers hold no longer wait. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** EventBridge: rules over the default bus, on patterns and on schedules. */
export default function events(): Service {
  const matchers = new Map<string, EventMatcher>();
  const timers = new Map<string, NodeJS.Timeout>();

  const matches = (pattern: string, event: EventEnvelope): boolean => {
    let matcher = matchers.get(pattern);
    if (!matcher) {
      matcher = compileEventPattern(pattern);
      matchers.set(pattern, matcher);
    }
    return matcher(event);
  };

  /** Gives an event to every rule that wants it. */
  const emit = (event: EventEnvelope, cloud: Cloud): void => {
    for (const rule of cloud.resources.all(RULE)) {
      const { eventPattern, state } = rule.outputs;
      if (state !== "DISABLED" && eventPattern && matches(eventPattern, event)) trigger(rule, event, cloud);
    }
  };

  /** Waits until a rule's schedule is due, then triggers it, and waits again. The process need not stay for it. */
  const arm = (name: string, expression: string | undefined, cloud: Cloud): void => {
    clearTimeout(timers.get(name));
    timers.delete(name);
    const now = cloud.now();
    const due = expression ? parseSchedule(expression)(now) : undefined;
    if (!due) return;
    const wait = due.getTime() - now.getTime();
    const ring = () => {
      const rule = cloud.resources.get(RULE, name);
      if (rule && wait <= LONGEST_TIMER && rule.outputs.state !== "DISABLED") trigger(rule, scheduled(rule, cloud), cloud);
      arm(name, expression, cloud);
    };
    timers.set(name, setTimeout(ring, Math.min(wait, LONGEST_TIMER)).unref());
  };

  const rule: ResourceType = {
    inputs: ["name", "description", "eventBusName", "eventPattern", "scheduleExpression", "state", "forceDestroy", "tags"],
    replacedBy: ["name", "eventBusName"],
    named: { input: "name", maxLength: 64 },

    check(inputs) {
      const { name, eventBusName = DEFAULT_BUS, eventPattern, scheduleExpression, state = "ENABLED" } = inputs;
      if (!/^[\w.-]{1,64}$/.test(name)) throw refuse("rule's name", name, "have 1 to 64 letters, digits and ._-");
      if (eventBusName !== DEFAULT_BUS) throw refuse("eventBusName", eventBusName, 'be "default", the only bus of the embedded cloud');
      if (!eventPattern && !scheduleExpression) throw refuse("rule", name, "have an eventPattern or a scheduleExpression");
      if (!["ENABLED", "DISABLED"].includes(state)) throw refuse("state", state, "be ENABLED or DISABLED");
      if (eventPattern) compileEventPattern(eventPattern);
      if (scheduleExpression) parseSchedule(scheduleExpression);
      return { ...inputs, eventBusName, state };
    },

    async create(inputs, cloud) {
      if (cloud.resources.get(RULE, inputs.name))
        throw new CloudError("ResourceAlreadyExistsException", `Rule ${inputs.name} already exists.`, 400);
      arm(inputs.name, inputs.scheduleExpression, cloud);
      return { id: inputs.name, outputs: ruleOutputs(inputs, cloud) };
    },

    async update(id, inputs, _before, cloud) {
      arm(id, inputs.scheduleExpression, cloud);
      return ruleOutputs(inputs, cloud);
    },

    async delete({ id, inputs }, cloud) {
      const targets = cloud.resources.all(TARGET).filter(({ outputs }) => outputs.rule === id);
      if (targets.length > 0 && !inputs.forceDestroy)
        throw new CloudError("ValidationException", "Rule can't be deleted since it has targets.", 400);
      clearTimeout(timers.get(id));
      timers.delete(id);
    },

    async restore({ inputs, outputs }, cloud) {
      arm(inputs.name, inputs.scheduleExpression, cloud);
      return outputs;
    },
  };

  const onBus: Operation["needs"] = ({ Entries = [] }, cloud) =>
    (Entries as Properties[]).map(({ Source, DetailType, EventBusName }) => ({
      action: "events:PutEvents",
      resource: String(EventBusName ?? "").startsWith("arn:") ? EventBusName : busArn(EventBusName ?? DEFAULT_BUS, cloud),
      context: { "events:source": String(Source ?? ""), "events:detail-type": String(DetailType ?? "") },
    }));

  const operations: Record<string, Operation> = {
    PutEvents: {
      needs: onBus,
      async handle({ Entries }, { cloud }) {
        if (!Array.isArray(Entries) || Entries.length < 1 || Entries.length > 10)
          throw new CloudError("ValidationException", "Entries must have 1 to 10 members.", 400);
        const results = Entries.map((entry: Properties) => {
          const problem = problemOf(entry, cloud);
          if (problem) return problem;
          const event = envelope(
            { source: entry.Source, type: entry.DetailType, resources: entry.Resources ?? [], detail: JSON.parse(entry.Detail) },
            cloud,
            entry.Time,
          );
          emit(event, cloud);
          return { EventId: event.id };
        });
        return { FailedEntryCount: results.filter((result) => "ErrorCode" in result).length, Entries: results };
      },
    },

    DescribeRule: {
      needs: ({ Name }, cloud) => [{ action: "events:DescribeRule", resource: ruleArn(String(Name), cloud) }],
      async handle({ Name }, { cloud }) {
        const { outputs } = ruleOf(Name, cloud);
        const { name, arn, eventPattern, scheduleExpression, state, description, eventBusName } = outputs;
        return {
          Name: name,
          Arn: arn,
          EventPattern: eventPattern,
          ScheduleExpression: scheduleExpression,
          State: state,
          Description: description,
          EventBusName: eventBusName,
        };
      },
    },

    /** Not EventBridge's: makes a scheduled rule due now. For the account only. */
    TriggerSchedule: {
      needs: () => [],
      async handle({ Name }, { cloud, principal }) {
        if (principal.kind !== "account")
          throw new CloudError("UnknownOperationException", "The embedded cloud does not implement events:TriggerSchedule", 400);
        const found = ruleOf(Name, cloud);
        if (!found.outputs.scheduleExpression) throw refuse("rule", Name, "have a scheduleExpression to be triggered");
        const event = scheduled(found, cloud);
        trigger(found, event, cloud);
        return { EventId: event.id };
      },
    },
  };

  return {
    name: "events",
    resources: { [RULE]: rule, [TARGET]: target },
    api: { protocol: jsonProtocol({ signing: "events", target: "AWSEvents", version: "1.1" }), operations },

    async start(cloud) {
      cloud.subscribe((event) => emit(envelope(event, cloud), cloud));
    },

    async stop() {
      for (const timer of timers.values()) clearTimeout(timer);
      timers.clear();
    },
  };
}

const target: ResourceType = {
  inputs: [
    "rule",
    "eventBusName",
    "targetId",
    "arn",
    "roleArn",
    "input",
    "inputPath",
    "retryPolicy",
    "deadLetterConfig.arn",
    "forceDestroy",
  ],
  replacedBy: ["rule", "eventBusName", "targetId"],

  check(inputs) {
    const { arn, roleArn, eventBusName = DEFAULT_BUS, retryPolicy = {}, deadLetterConfig, input, inputPath } = inputs;
    const service = parseArn(arn ?? "")?.service;
    if (!service || !TARGETS.includes(service)) throw refuse("target's arn", arn, `be that of a state machine, function, queue or topic`);
    if (service === "states" && !roleArn) throw refuse("target's roleArn", roleArn, "be given: a state machine is started under a role");
    if (eventBusName !== DEFAULT_BUS) throw refuse("eventBusName", eventBusName, 'be "default", the only bus of the embedded cloud');
    const { maximumRetryAttempts = 185, maximumEventAgeInSeconds = 86_400 } = retryPolicy;
    if (maximumRetryAttempts < 0 || maximumRetryAttempts > 185)
      throw refuse("maximumRetryAttempts", maximumRetryAttempts, "be between 0 and 185");
    if (maximumEventAgeInSeconds < 60 || maximumEventAgeInSeconds > 86_400)
      throw refuse("maximumEventAgeInSeconds", maximumEventAgeInSeconds, "be between 60 and 86400");
    if (deadLetterConfig?.arn !== undefined && parseArn(deadLetterConfig.arn)?.service !== "sqs")
      throw refuse("deadLetterConfig.arn", deadLetterConfig.arn, "be that of a queue");
    if (input !== undefined && inputPath !== undefined) throw refuse("input", input, "not be given together with inputPath");
    if (inputPath !== undefined && !/^\$(\.[\w-]+)*$/.test(inputPath))
      throw refuse("inputPath", inputPath, "be a path of names such as $.detail.object");
    if (input !== undefined) {
      try {
        JSON.parse(input);
      } catch {
        throw refuse("input", input, "be JSON");
      }
    }
    return { ...inputs, eventBusName };
  },

  async create(inputs, cloud) {
    ruleOf(inputs.rule, cloud);
    const targetId = inputs.targetId ?? `terraform-${randomUUID()}`;
    return { id: `${inputs.rule}-${targetId}`, outputs: { ...inputs, targetId, region: cloud.region } };
  },

  update: async (_id, inputs, { outputs }) => ({ ...inputs, targetId: outputs.targetId, region: outputs.region }),
  delete: async () => {},
};

function ruleOutputs(inputs: Properties, cloud: Cloud): Properties {
  const { eventPattern } = inputs;
  return {
    forceDestroy: false,
    ...inputs,
    ...(eventPattern ? { eventPattern: typeof eventPattern === "string" ? eventPattern : JSON.stringify(eventPattern) } : {}),
    arn: ruleArn(inputs.name, cloud),
    isEnabled: inputs.state === "ENABLED",
    namePrefix: "",
    region: cloud.region,
    tagsAll: inputs.tags ?? {},
  };
}

/** Hands an event to all targets of a rule. */
function trigger(rule: Resource, event: EventEnvelope, cloud: Cloud): void {
  for (const target of cloud.resources.all(TARGET)) {
    if (target.outputs.rule !== rule.id) continue;
    const { maximumRetryAttempts: attempts = 185, maximumEventAgeInSeconds: maxAge = 86_400 } = target.inputs.retryPolicy ?? {};
    count(rule, "Invocations", cloud);
    const giveUp = (error: { code: string; message: string; attempts: number }, roleRefused = false) => {
      void cloud.busy(park(target, rule, event, { ...error, roleRefused, exhausted: error.attempts > attempts }, cloud));
    };
    let call: ReturnType<typeof callFor>;
    try {
      call = callFor(target, rule, event, cloud);
    } catch (error) {
      giveUp({ code: (error as CloudError).code, message: (error as Error).message, attempts: 1 }, true);
      continue;
    }
    cloud.deliver({
      id: `${event.id} ${target.id}`,
      from: rule.outputs.arn,
      call,
      retry: { attempts, maxAge },
      undeliverable: (error) => {
        giveUp(error);
        return undefined;
      },
    });
  }
}

/** What becomes of an event that its target did not get: the dead-letter queue has it, or nobody. Never rejects. */
async function park(
  target: Resource,
  rule: Resource,
  event: EventEnvelope,
  error: { code: string; message: string; attempts: number; roleRefused: boolean; exhausted: boolean },
  cloud: Cloud,
): Promise<void> {
  count(rule, "FailedInvocations", cloud);
  const queue: string | undefined = target.inputs.deadLetterConfig?.arn;
  const reason = `${rule.id} could not reach ${target.inputs.arn}: ${error.message}`;
  if (!queue) {
    cloud.trace.add({
      kind: "note",
      subject: rule.id,
      text: `${reason}. It has no dead-letter queue: the event is lost`,
      detail: { event },
    });
    return;
  }
  const attributes: Record<string, string | undefined> = {
    RULE_ARN: rule.outputs.arn,
    TARGET_ARN: target.inputs.arn,
    ERROR_CODE: error.roleRefused ? "FAILED_TO_ASSUME_ROLE" : errorCode(error.code),
    ERROR_MESSAGE: error.message,
    RETRY_ATTEMPTS: String(error.attempts - 1),
    EXHAUSTED_RETRY_CONDITION: error.exhausted && /THROTTLING|INTERNAL/.test(errorCode(error.code)) ? "MaximumRetryAttempts" : undefined,
  };
  const MessageAttributes = Object.fromEntries(
    Object.entries(attributes).flatMap(([name, StringValue]) => (StringValue ? [[name, { DataType: "String", StringValue }]] : [])),
  );
  try {
    const input = { QueueUrl: queueUrl(queue, cloud), MessageBody: inputText(target, event), MessageAttributes };
    await cloud.call({ service: "sqs", operation: "SendMessage", input, as: asRule(rule) });
    cloud.trace.add({
      kind: "delivery",
      subject: rule.id,
      text: `${reason}. It is in the dead-letter queue`,
      detail: { event: event.id, queue },
    });
    count(rule, "InvocationsSentToDlq", cloud);
  } catch (failure) {
    const text = `${reason}. Nor could it be put into the dead-letter queue: the event is lost (${(failure as Error).message})`;
    cloud.trace.add({ kind: "note", subject: rule.id, text, detail: { event } });
    count(rule, "InvocationsFailedToBeSentToDlq", cloud);
  }
}

function count(rule: Resource, MetricName: string, cloud: Cloud): void {
  const MetricData = [{ MetricName, Dimensions: [{ Name: "RuleName", Value: rule.id }], Value: 1, Unit: "Count" }];
  // A cloud without CloudWatch has rules all the same.
  void cloud.busy(
    cloud
      .call({ service: "monitoring", operation: "PutMetricData", input: { Namespace: "AWS/Events", MetricData }, as: asRule(rule) })
      .catch(() => {}),
  );
}

function envelope({ source, type, resources, detail }: CloudEvent, cloud: Cloud, time?: number | string): EventEnvelope {
  const at = time === undefined ? cloud.now() : new Date(typeof time === "number" ? time * 1_000 : time);
  return {
    version: "0",
    id: randomUUID(),
    "detail-type": type,
    source,
    account: cloud.account,
    time: at.toISOString().replace(/\.\d+Z$/, "Z"),
    region: cloud.region,
    resources,
    // What the publisher does with its object afterwards is not the event's concern.
    detail: structuredClone(detail),
  };
}

function scheduled(rule: Resource, cloud: Cloud): EventEnvelope {
  return envelope({ source: "aws.events", type: "Scheduled Event", resources: [rule.outputs.arn], detail: {} }, cloud);
}

function problemOf(
  { Source, DetailType, Detail, EventBusName = DEFAULT_BUS }: Properties,
  cloud: Cloud,
): { ErrorCode: string; ErrorMessage: string } | undefined {
  const problem = (ErrorCode: string, ErrorMessage: string) => ({ ErrorCode, ErrorMessage });
  if (!Source) return problem("InvalidArgument", "Parameter Source is not valid. Reason: Source is a required argument.");
  if (/^aws\./.test(Source)) return problem("NotAuthorizedForSourceException", "Not authorized for the source.");
  if (!DetailType) return problem("InvalidArgument", "Parameter DetailType is not valid. Reason: DetailType is a required argument.");
  if (![DEFAULT_BUS, busArn(DEFAULT_BUS, cloud)].includes(EventBusName))
    return problem("ResourceNotFoundException", `Event bus ${EventBusName} does not exist.`);
  try {
    const detail: unknown = JSON.parse(Detail);
    if (typeof detail === "object" && detail !== null && !Array.isArray(detail)) return undefined;
  } catch {
    // Answered below, as for JSON that is no object.
  }
  return problem("MalformedDetail", "Detail is malformed.");
}

function ruleOf(name: unknown, cloud: Cloud): Resource {
  const rule = cloud.resources.get(RULE, String(name));
  if (!rule) throw new CloudError("ResourceNotFoundException", `Rule ${name} does not exist on EventBus default.`, 400);
  return rule;
}

function refuse(what: string, value: unknown, must: string): CloudError {
  return new CloudError("ValidationException", `The ${what} is ${JSON.stringify(value)}: it must ${must}.`, 400);
}

const ruleArn = (name: string, { partition, region, account }: Cloud) => `arn:${partition}:events:${region}:${account}:rule/${name}`;
const busArn = (name: string, { partition, region, account }: Cloud) => `arn:${partition}:events:${region}:${account}:event-bus/${name}`;
