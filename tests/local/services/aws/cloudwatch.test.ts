import assert from "node:assert/strict";
import type { Principal, Properties, Resource } from "../../../../local/kernel/service.js";
import cloudwatch from "../../../../local/services/aws/cloudwatch/index.js";
import iam from "../../../../local/services/aws/iam.js";
import sns from "../../../../local/services/aws/sns.js";
import sqs from "../../../../local/services/aws/sqs/index.js";
import { type TestCloud, testCloud } from "../../cloud.js";

const ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm";
const MINUTE = 60_000;
const LAMBDA = { kind: "service", service: "lambda.amazonaws.com" } as const;

describe("CloudWatch", () => {
  let test: TestCloud;
  let topic: Resource;
  let now: number;
  beforeEach(async () => {
    now = Date.UTC(2026, 10, 21, 10, 0, 10);
    test = await testCloud([cloudwatch(), sns(), sqs(), iam()], { clock: () => new Date(now) });
    topic = await test.declare("aws:sns/topic:Topic", "alarms");
    await test.declare("aws:sns/topicSubscription:TopicSubscription", "ops", {
      topic: topic.id,
      protocol: "email",
      endpoint: "ops@example.org",
    });
  });
  afterEach(() => test.stop());

  const errors = {
    name: "errors",
    namespace: "AWS/Lambda",
    metricName: "Errors",
    dimensions: { FunctionName: "resize" },
    statistic: "Sum",
    period: 60,
    evaluationPeriods: 1,
    comparisonOperator: "GreaterThanThreshold",
    threshold: 0,
    treatMissingData: "notBreaching",
  };
  const alarm = async (inputs: Properties = {}) => {
    await test.declare(ALARM, "errors", { ...errors, alarmActions: [topic.id], ...inputs });
    await test.cloud.settled();
  };
  const report = async (Value: number, of: { as?: Principal; Namespace?: string; FunctionName?: string } = {}) => {
    const { as = LAMBDA, Namespace = "AWS/Lambda", FunctionName = "resize" } = of;
    const MetricData = [{ MetricName: "Errors", Dimensions: [{ Name: "FunctionName", Value: FunctionName }], Value }];
    await test.cloud.call({ service: "monitoring", operation: "PutMetricData", input: { Namespace, MetricData }, as });
    await test.cloud.settled();
  };
  const state = async (): Promise<string> => {
    const { MetricAlarms } = await test.cloud.call({
      service: "monitoring",
      operation: "DescribeAlarms",
      input: { AlarmNames: ["errors"] },
      as: test.owner,
    });
    return MetricAlarms[0].StateValue;
  };
  const changes = () => test.cloud.trace.entries("alarm").map(({ detail }) => `${detail?.before} → ${detail?.state}`);
  const mails = () => test.cloud.trace.entries("message").map(({ detail }) => detail as { subject: string; body: string });

  it("rings at once when data breaches the threshold, and tells the topic", async () => {
    await alarm();
    assert.equal(await state(), "OK");
    await report(0);
    assert.equal(await state(), "OK");
    await report(1);
    assert.equal(await state(), "ALARM");
    const [mail] = mails();
    assert.equal(mail?.subject, 'ALARM: "errors" in us-east-1');
    const message = JSON.parse(mail!.body);
    assert.deepEqual(
      [message.AlarmName, message.NewStateValue, message.OldStateValue, message.Trigger.MetricName],
      ["errors", "ALARM", "OK", "Errors"],
    );
    assert.deepEqual(message.Trigger.Dimensions, [{ name: "FunctionName", value: "resize" }]);
  });

  it("is quiet when the data is of another function, and while it rings already", async () => {
    await alarm();
    await report(1, { FunctionName: "other" });
    assert.equal(await state(), "OK");
    await report(1);
    await report(1);
    assert.deepEqual(changes(), ["INSUFFICIENT_DATA → OK", "OK → ALARM"]);
    assert.equal(mails().length, 1);
  });

  it("calms down when no more data comes", async () => {
    await alarm({ okActions: [topic.id] });
    await report(1);
    now += MINUTE;
    assert.equal(await state(), "ALARM", "the minute after, nothing newer is known");
    now += MINUTE;
    assert.equal(await state(), "OK");
    await test.cloud.settled();
    assert.deepEqual(
      mails().map(({ subject }) => subject.slice(0, 5)),
      ['OK: "', "ALARM", 'OK: "'],
    );
  });

  for (const [treatMissingData, expected] of [
    ["missing", "INSUFFICIENT_DATA"],
    ["breaching", "ALARM"],
    ["notBreaching", "OK"],
    ["ignore", "INSUFFICIENT_DATA"],
  ] as const) {
    it(`treats missing data as ${treatMissingData}`, async () => {
      await alarm({ treatMissingData });
      assert.equal(await state(), expected);
    });
  }

  it("ignores missing data by keeping its state", async () => {
    await alarm({ treatMissingData: "ignore" });
    await report(1);
    now += 10 * MINUTE;
    assert.equal(await state(), "ALARM");
  });

  it("wants as many datapoints as it was told", async () => {
    await alarm({ evaluationPeriods: 3, datapointsToAlarm: 2 });
    await report(1);
    assert.equal(await state(), "OK");
    now += 2 * MINUTE;
    await report(1);
    assert.equal(await state(), "ALARM");
  });

  for (const [statistic, threshold, rings] of [
    ["Sum", 5, true],
    ["Sum", 6, false],
    ["Average", 2, true],
    ["Maximum", 4, false],
    ["Maximum", 3, true],
    ["Minimum", 1, true],
    ["SampleCount", 1, true],
    ["SampleCount", 2, false],
  ] as const) {
    it(`${rings ? "rings" : "is quiet"} when the ${statistic} of 2 and 4 is compared with ${threshold}`, async () => {
      await alarm({ statistic, threshold });
      await report(2);
      await report(4);
      assert.equal(await state(), rings ? "ALARM" : "OK");
    });
  }

  it("rings for a queue that is not empty, until it is", async () => {
    const queue = await test.declare("aws:sqs/queue:Queue", "parked");
    await alarm({
      namespace: "AWS/SQS",
      metricName: "ApproximateNumberOfMessagesVisible",
      dimensions: { QueueName: queue.outputs.name },
      statistic: "Maximum",
    });
    await test.cloud.call({
      service: "sqs",
      operation: "SendMessage",
      input: { QueueUrl: queue.outputs.url, MessageBody: "x" },
      as: test.owner,
    });
    await test.cloud.settled();
    assert.equal(await state(), "ALARM");
    await test.cloud.call({ service: "sqs", operation: "PurgeQueue", input: { QueueUrl: queue.outputs.url }, as: test.owner });
    await test.cloud.settled();
    now += 2 * MINUTE;
    assert.equal(await state(), "OK");
  });

  it("says in the trace that it may not publish, when the topic's policy does not let it", async () => {
    const Statement = { Effect: "Allow", Principal: { Service: "events.amazonaws.com" }, Action: "sns:Publish", Resource: topic.id };
    await test.declare("aws:sns/topicPolicy:TopicPolicy", "policy", { arn: topic.id, policy: { Version: "2012-10-17", Statement } });
    await alarm();
    await report(1);
    assert.deepEqual(mails(), []);
    assert(test.cloud.trace.entries("delivery").some(({ text }) => /alarm:errors → sns:Publish gave up .*AuthorizationError/.test(text)));
  });

  it("keeps the services' namespaces to the services, and roles to what they may", async () => {
    await assert.rejects(report(1, { as: test.owner }), { message: /must not begin with AWS\// });
    await report(1, { as: test.owner, Namespace: "Shop" });
    const assumeRolePolicy = {
      Version: "2012-10-17",
      Statement: { Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" },
    };
    const role = await test.declare("aws:iam/role:Role", "role", { assumeRolePolicy });
    await assert.rejects(report(1, { as: test.session(role).principal, Namespace: "Shop" }), {
      message: /not authorized to perform: cloudwatch:PutMetricData/,
    });
    await assert.rejects(report(1, { Namespace: "Shop" }), { message: /lambda.amazonaws.com is not authorized/ });
  });

  it("can be set by hand", async () => {
    await alarm();
    await test.cloud.call({
      service: "monitoring",
      operation: "SetAlarmState",
      input: { AlarmName: "errors", StateValue: "ALARM", StateReason: "a drill" },
      as: test.owner,
    });
    await test.cloud.settled();
    assert.equal(JSON.parse(mails()[0]!.body).NewStateReason, "a drill");
  });

  it("refuses what it could not do", async () => {
    await assert.rejects(alarm({ period: 45 }), { message: /period is 45/ });
    await assert.rejects(alarm({ comparisonOperator: "toString" }), { message: /comparisonOperator/ });
    await assert.rejects(alarm({ datapointsToAlarm: 2 }), { message: /datapointsToAlarm/ });
    await assert.rejects(alarm({ alarmActions: ["arn:aws:automate:us-east-1:ec2:stop"] }), { message: /be the ARN of a topic/ });
    await assert.rejects(alarm({ statistic: "p99" }), { message: /statistic/ });
  });
});
