import { parseArn } from "../../../kernel/aws/arn.js";
import { jsonProtocol } from "../../../kernel/aws/protocols/json.js";
import type { Cloud } from "../../../kernel/cloud.js";
import { CloudError, type Operation, type Properties, type ResourceType, type Service } from "../../../kernel/service.js";
import { type AlarmState, COMPARISONS, evaluate, MISSING } from "./alarm.js";
import { Metrics, metricOf, STATISTICS } from "./metrics.js";

const ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm";

interface Alarm {
  inputs: Properties;
  arn: string;
  state: AlarmState;
  reason: string;
  /** Milliseconds since the epoch. */
  since: number;
  /** Looks again when the running period ends: by then data may be missing. */
  timer?: NodeJS.Timeout;
}

/** CloudWatch: metrics that the services report, and alarms on them, looked at whenever data arrives and when a period ends. */
export default function cloudwatch(): Service {
  const metrics = new Metrics();
  const alarms = new Map<string, Alarm>();

  const look = (alarm: Alarm, cloud: Cloud): void => {
    const { state, reason } = evaluate(alarm.inputs, metrics, cloud.now().getTime());
    if (state !== "unchanged" && state !== alarm.state) turn(alarm, state, reason, cloud);
    clearTimeout(alarm.timer);
    // Only an alarm that data has brought out of its rest has to be looked at again without any.
    if (alarm.state === restOf(alarm.inputs)) return;
    const length = alarm.inputs.period * 1_000;
    alarm.timer = setTimeout(() => look(alarm, cloud), length - (cloud.now().getTime() % length) + 1).unref();
  };

  const turn = (alarm: Alarm, state: AlarmState, reason: string, cloud: Cloud): void => {
    const { inputs, arn, state: before } = alarm;
    const at = cloud.now();
    Object.assign(alarm, { state, reason, since: at.getTime() });
    const { name } = inputs;
    cloud.trace.add({
      kind: "alarm",
      subject: name,
      text: `${name}: ${before} → ${state}. ${reason}`,
      detail: { alarm: name, before, state, reason },
    });
    if (inputs.actionsEnabled === false) return;
    const actions: string[] =
      { ALARM: inputs.alarmActions, OK: inputs.okActions, INSUFFICIENT_DATA: inputs.insufficientDataActions }[state] ?? [];
    for (const TopicArn of actions) {
      const Subject = `${state}: "${name}" in ${cloud.region}`.slice(0, 99);
      const input = { TopicArn, Subject, Message: notification(alarm, before, at, cloud) };
      cloud.deliver({
        id: `${arn} ${at.toISOString()} ${state}`,
        from: arn,
        call: { service: "sns", operation: "Publish", input, as: { kind: "service", service: "cloudwatch.amazonaws.com", source: arn } },
        retry: { attempts: 5, maxAge: 3_600 },
      });
    }
  };

  const enter = (inputs: Properties, cloud: Cloud): void => {
    const alarm: Alarm = {
      inputs,
      arn: arnOf(inputs.name, cloud),
      state: "INSUFFICIENT_DATA",
      reason: "Unchecked: Initial alarm creation",
      since: cloud.now().getTime(),
    };
    alarms.set(inputs.name, alarm);
    look(alarm, cloud);
  };

  const metricAlarm: ResourceType = {
    inputs: [
      "name",
      "alarmDescription",
      "actionsEnabled",
      "alarmActions",
      "okActions",
      "insufficientDataActions",
      "namespace",
      "metricName",
      "dimensions",
      "statistic",
      "period",
      "evaluationPeriods",
      "datapointsToAlarm",
      "comparisonOperator",
      "threshold",
      "treatMissingData",
      "unit",
      "tags",
    ],
    replacedBy: ["name"],
    named: { input: "name", maxLength: 255 },
    check: checkAlarm,

    async create(inputs, cloud) {
      if (alarms.has(inputs.name)) throw new CloudError("ValidationError", `There is an alarm named ${inputs.name} already.`, 400);
      enter(inputs, cloud);
      return { id: inputs.name, outputs: outputsOf(inputs, cloud) };
    },

    async update(id, inputs, _before, cloud) {
      const alarm = alarms.get(id);
      if (alarm) look(Object.assign(alarm, { inputs }), cloud);
      return outputsOf(inputs, cloud);
    },

    async delete({ id }) {
      clearTimeout(alarms.get(id)?.timer);
      alarms.delete(id);
    },

    async restore({ inputs, outputs }, cloud) {
      enter(inputs, cloud);
      return outputs;
    },
  };

  const operations: Record<string, Operation> = {
    PutMetricData: {
      needs: ({ Namespace }) => [
        { action: "cloudwatch:PutMetricData", resource: "*", context: { "cloudwatch:namespace": String(Namespace ?? "") } },
      ],
      async handle({ Namespace, MetricData }, { cloud, principal }) {
        if (typeof Namespace !== "string" || !/^[\w./#: -]{1,255}$/.test(Namespace))
          throw invalid(`Namespace is ${JSON.stringify(Namespace)}: it must have 1 to 255 characters.`);
        if (Namespace.startsWith("AWS/") && principal.kind !== "service")
          throw invalid("The namespace must not begin with AWS/: those are the services' own.");
        if (!Array.isArray(MetricData) || MetricData.length < 1 || MetricData.length > 1_000)
          throw invalid("MetricData must have 1 to 1000 members.");
        const now = cloud.now().getTime();
        const touched = new Set<string>();
        for (const { MetricName, Dimensions = [], Timestamp, Value, Values, Counts } of MetricData as Properties[]) {
          const values: number[] =
            Value === undefined
              ? (Values ?? []).flatMap((value: number, index: number) => Array(Counts?.[index] ?? 1).fill(value))
              : [Value];
          if (typeof MetricName !== "string" || values.length === 0 || values.some((value) => !Number.isFinite(value)))
            throw invalid("A metric has a MetricName and a Value (or Values), which are numbers.");
          const dimensions = Object.fromEntries(Dimensions.map(({ Name, Value: value }: Properties) => [Name, value]));
          const metric = metricOf(Namespace, MetricName, dimensions);
          metrics.put(metric, Timestamp === undefined ? now : timeOf(Timestamp), values, now);
          touched.add(metric);
        }
        for (const alarm of alarms.values()) {
          const { namespace, metricName, dimensions } = alarm.inputs;
          if (touched.has(metricOf(namespace, metricName, dimensions))) look(alarm, cloud);
        }
        return {};
      },
    },

    DescribeAlarms: {
      needs: (_input, cloud) => [{ action: "cloudwatch:DescribeAlarms", resource: arnOf("*", cloud) }],
      async handle({ AlarmNames, AlarmNamePrefix = "", StateValue }, { cloud }) {
        for (const alarm of alarms.values()) look(alarm, cloud);
        const found = [...alarms.values()].filter(
          ({ inputs: { name }, state }) =>
            (AlarmNames ? AlarmNames.includes(name) : name.startsWith(AlarmNamePrefix)) &&
            (StateValue === undefined || state === StateValue),
        );
        return {
          MetricAlarms: found.map(({ inputs, arn, state, reason, since }) => ({
            AlarmName: inputs.name,
            AlarmArn: arn,
            AlarmDescription: inputs.alarmDescription,
            StateValue: state,
            StateReason: reason,
            StateUpdatedTimestamp: since / 1_000,
            ...trigger(inputs),
          })),
          CompositeAlarms: [],
        };
      },
    },

    SetAlarmState: {
      needs: ({ AlarmName }, cloud) => [{ action: "cloudwatch:SetAlarmState", resource: arnOf(String(AlarmName), cloud) }],
      async handle({ AlarmName, StateValue, StateReason }, { cloud }) {
        const alarm = alarms.get(AlarmName);
        if (!alarm) throw new CloudError("ResourceNotFound", `There is no alarm named ${AlarmName}.`, 404);
        if (!["OK", "ALARM", "INSUFFICIENT_DATA"].includes(StateValue))
          throw invalid(`StateValue is ${StateValue}: it must be OK, ALARM or INSUFFICIENT_DATA.`);
        if (StateValue !== alarm.state) turn(alarm, StateValue, String(StateReason ?? ""), cloud);
        return {};
      },
    },
  };

  return {
    name: "monitoring",
    resources: { [ALARM]: metricAlarm },
    api: {
      protocol: jsonProtocol({ signing: "monitoring", target: "GraniteServiceVersion20100801", version: "1.0" }),
      operations,
      policyOf: () => SERVICES_REPORT,
    },

    async stop() {
      for (const { timer } of alarms.values()) clearTimeout(timer);
    },
  };
}

/** The services of a cloud report their own metrics without anybody's leave. */
const SERVICES_REPORT = {
  Version: "2012-10-17",
  Statement: [
    {
      Effect: "Allow" as const,
      Principal: "*" as const,
      Action: "cloudwatch:PutMetricData",
      Resource: "*",
      Condition: { Bool: { "aws:PrincipalIsAWSService": "true" }, StringLike: { "cloudwatch:namespace": "AWS/*" } },
    },
  ],
};

function checkAlarm(inputs: Properties): Properties {
  const {
    namespace,
    metricName,
    statistic,
    period,
    evaluationPeriods,
    datapointsToAlarm,
    comparisonOperator,
    threshold,
    treatMissingData = "missing",
  } = inputs;
  if (!namespace || !metricName)
    throw refuse("metric", { namespace, metricName }, "have a namespace and a metricName (metric queries are not emulated)");
  if (!STATISTICS.includes(statistic)) throw refuse("statistic", statistic, `be one of ${STATISTICS.join(", ")}`);
  if (![10, 20, 30].includes(period) && !(period > 0 && period % 60 === 0))
    throw refuse("period", period, "be 10, 20, 30 or a multiple of 60 seconds");
  if (!Number.isInteger(evaluationPeriods) || evaluationPeriods < 1 || evaluationPeriods * period > 604_800)
    throw refuse("evaluationPeriods", evaluationPeriods, "be 1 or more, and 7 days together at most");
  if (evaluationPeriods * period > 86_400)
    throw refuse("evaluationPeriods", evaluationPeriods, "be a day together at most: the embedded cloud keeps no older data");
  if (datapointsToAlarm !== undefined && (datapointsToAlarm < 1 || datapointsToAlarm > evaluationPeriods))
    throw refuse("datapointsToAlarm", datapointsToAlarm, "be between 1 and evaluationPeriods");
  if (!Object.hasOwn(COMPARISONS, comparisonOperator))
    throw refuse("comparisonOperator", comparisonOperator, `be one of ${Object.keys(COMPARISONS).join(", ")}`);
  if (typeof threshold !== "number") throw refuse("threshold", threshold, "be a number");
  if (!MISSING.includes(treatMissingData)) throw refuse("treatMissingData", treatMissingData, `be one of ${MISSING.join(", ")}`);
  for (const action of [...(inputs.alarmActions ?? []), ...(inputs.okActions ?? []), ...(inputs.insufficientDataActions ?? [])]) {
    if (parseArn(action)?.service !== "sns") throw refuse("action", action, "be the ARN of a topic: other actions are not emulated");
  }
  return { ...inputs, treatMissingData };
}

function outputsOf(inputs: Properties, cloud: Cloud): Properties {
  return {
    actionsEnabled: true,
    ...inputs,
    arn: arnOf(inputs.name, cloud),
    evaluateLowSampleCountPercentiles: "",
    region: cloud.region,
    tagsAll: inputs.tags ?? {},
  };
}

/** The state that an alarm comes to without data. */
function restOf({ treatMissingData }: Properties): AlarmState | undefined {
  return ({ notBreaching: "OK", breaching: "ALARM", missing: "INSUFFICIENT_DATA" } as Record<string, AlarmState>)[treatMissingData];
}

function trigger(inputs: Properties): Properties {
  return {
    MetricName: inputs.metricName,
    Namespace: inputs.namespace,
    Statistic: inputs.statistic,
    Dimensions: Object.entries(inputs.dimensions ?? {}).map(([Name, Value]) => ({ Name, Value })),
    Period: inputs.period,
    EvaluationPeriods: inputs.evaluationPeriods,
    Threshold: inputs.threshold,
    ComparisonOperator: inputs.comparisonOperator,
    TreatMissingData: inputs.treatMissingData,
  };
}

/** What the topic's subscribers read. */
function notification({ inputs, arn, state, reason }: Alarm, before: AlarmState, at: Date, cloud: Cloud): string {
  const { Dimensions, ...of } = trigger(inputs);
  return JSON.stringify({
    AlarmName: inputs.name,
    AlarmDescription: inputs.alarmDescription ?? null,
    AWSAccountId: cloud.account,
    NewStateValue: state,
    NewStateReason: reason,
    StateChangeTime: at.toISOString().replace("Z", "+0000"),
    Region: cloud.region,
    AlarmArn: arn,
    OldStateValue: before,
    OKActions: inputs.okActions ?? [],
    AlarmActions: inputs.alarmActions ?? [],
    InsufficientDataActions: inputs.insufficientDataActions ?? [],
    Trigger: { ...of, Dimensions: Dimensions.map(({ Name, Value }: Properties) => ({ name: Name, value: Value })) },
  });
}

function timeOf(timestamp: number | string): number {
  const at = typeof timestamp === "number" ? timestamp * 1_000 : Date.parse(timestamp);
  if (Number.isNaN(at)) throw invalid(`The Timestamp ${JSON.stringify(timestamp)} is neither seconds since the epoch nor ISO 8601.`);
  return at;
}

function refuse(what: string, value: unknown, must: string): CloudError {
  return new CloudError("ValidationError", `The alarm's ${what} is ${JSON.stringify(value)}: it must ${must}.`, 400);
}

const invalid = (message: string) => new CloudError("InvalidParameterValue", message, 400);
const arnOf = (name: string, { partition, region, account }: Cloud) => `arn:${partition}:cloudwatch:${region}:${account}:alarm:${name}`;
