import assert from "node:assert/strict";
import { jsonProtocol } from "../../../../local/kernel/aws/protocols/json.js";
import {
  CloudError,
  type Permission,
  type Principal,
  type Properties,
  type Resource,
  type Service,
} from "../../../../local/kernel/service.js";
import events from "../../../../local/services/aws/events/index.js";
import { parseSchedule } from "../../../../local/services/aws/events/schedule.js";
import iam from "../../../../local/services/aws/iam.js";
import sqs from "../../../../local/services/aws/sqs/index.js";
import { type TestCloud, testCloud } from "../../cloud.js";

const RULE = "aws:cloudwatch/eventRule:EventRule";
const TARGET = "aws:cloudwatch/eventTarget:EventTarget";
const MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:images";
const FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:sweep";
const created = {
  source: "aws.s3",
  type: "Object Created",
  resources: ["arn:aws:s3:::photos"],
  detail: { bucket: { name: "photos" }, object: { key: "uploads/cat.png" } },
};
const pattern = JSON.stringify({
  source: ["aws.s3"],
  "detail-type": ["Object Created"],
  detail: { bucket: { name: ["photos"] }, object: { key: [{ prefix: "uploads/" }] } },
});

/** A service with one call, which it answers with the next of these errors, or success when there is none. */
function single(
  name: string,
  operation: string,
  needs: Permission[],
  errors: CloudError[] = [],
): Service & { calls: { input: Properties; principal: Principal }[] } {
  const calls: { input: Properties; principal: Principal }[] = [];
  return {
    name,
    calls,
    api: {
      protocol: jsonProtocol({ signing: name, target: "None", version: "1.1" }),
      operations: {
        [operation]: {
          needs: () => needs,
          async handle(input, { principal }) {
            calls.push({ input, principal });
            const error = errors.shift();
            if (error) throw error;
            return {};
          },
        },
      },
    },
  };
}

describe("EventBridge", () => {
  let test: TestCloud;
  let states: ReturnType<typeof single>;
  let lambda: ReturnType<typeof single>;
  let monitoring: ReturnType<typeof single>;
  let parked: Resource;
  let errors: CloudError[];

  beforeEach(async () => {
    errors = [];
    states = single("states", "StartExecution", [{ action: "states:StartExecution", resource: MACHINE }], errors);
    lambda = single("lambda", "Invoke", []);
    monitoring = single("monitoring", "PutMetricData", []);
    test = await testCloud([events(), iam(), sqs(), states, lambda, monitoring]);
    parked = await test.declare("aws:sqs/queue:Queue", "parked");
  });
  afterEach(() => test.stop());

  const rule = (inputs: Properties = { eventPattern: pattern }) => test.declare(RULE, "created", { name: "created", ...inputs });
  const role = async ({ may = true } = {}) => {
    const assumeRolePolicy = {
      Version: "2012-10-17",
      Statement: { Effect: "Allow", Principal: { Service: "events.amazonaws.com" }, Action: "sts:AssumeRole" },
    };
    const declared = await test.declare("aws:iam/role:Role", "starter", { assumeRolePolicy });
    const policy = {
      Version: "2012-10-17",
      Statement: { Effect: "Allow", Action: "states:StartExecution", Resource: may ? MACHINE : `${MACHINE}2` },
    };
    await test.declare("aws:iam/rolePolicy:RolePolicy", "start", { role: declared.id, policy });
    return declared;
  };
  const target = (inputs: Properties) =>
    test.declare(TARGET, "target", { rule: "created", arn: MACHINE, deadLetterConfig: { arn: parked.outputs.arn }, ...inputs });
  const acceptDeadLetters = (source: string) =>
    test.declare("aws:sqs/queuePolicy:QueuePolicy", "parked", {
      queueUrl: parked.outputs.url,
      policy: {
        Version: "2012-10-17",
        Statement: {
          Effect: "Allow",
          Principal: { Service: "events.amazonaws.com" },
          Action: "sqs:SendMessage",
          Resource: parked.outputs.arn,
          Condition: { ArnEquals: { "aws:SourceArn": source } },
        },
      },
    });
  const publish = async (event = created) => {
    test.cloud.publish(event);
    await test.cloud.settled();
  };
  const deadLetters = async (): Promise<Properties[]> => {
    const input = { QueueUrl: parked.outputs.url, MaxNumberOfMessages: 10, MessageAttributeNames: ["All"] };
    return (await test.cloud.call({ service: "sqs", operation: "ReceiveMessage", input, as: test.owner })).Messages ?? [];
  };
  const attributes = (letter: Properties | undefined) =>
    Object.fromEntries(Object.entries<Properties>(letter?.MessageAttributes ?? {}).map(([name, { StringValue }]) => [name, StringValue]));
  const metrics = () =>
    monitoring.calls.flatMap(({ input }) =>
      input.Namespace === "AWS/Events" ? input.MetricData.map(({ MetricName }: Properties) => MetricName) : [],
    );

  it("starts a state machine with the whole event, under the target's role", async () => {
    await rule();
    await target({ roleArn: (await role()).outputs.arn });
    await publish();
    const { input, principal } = states.calls[0]!;
    assert.equal(input.stateMachineArn, MACHINE);
    const { id, time, ...event } = JSON.parse(input.input);
    assert.match(id, /^[0-9a-f-]{36}$/);
    assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    const { source, resources, detail } = created;
    assert.deepEqual(event, {
      version: "0",
      "detail-type": "Object Created",
      source,
      account: "000000000000",
      region: "us-east-1",
      resources,
      detail,
    });
    assert.match(principal?.kind === "role" ? principal.arn : "", /assumed-role\/starter-/);
  });

  it("passes over what the pattern does not match, and rules that are disabled", async () => {
    const declared = await rule();
    await target({ roleArn: (await role()).outputs.arn });
    await publish({ ...created, type: "Object Deleted" });
    await publish({ ...created, detail: { bucket: { name: "photos" }, object: { key: "thumbnails/cat.png" } } });
    await test.change(declared, { ...declared.inputs, state: "DISABLED" });
    await publish();
    assert.deepEqual(states.calls, []);
  });

  it("tries again when the target is throttled", async () => {
    errors.push(new CloudError("ThrottlingException", "Rate exceeded", 400), new CloudError("InternalFailure", "oops", 500));
    await rule();
    await target({ roleArn: (await role()).outputs.arn });
    await publish();
    assert.equal(states.calls.length, 3);
    assert.equal(new Set(states.calls.map(({ input }) => input.input)).size, 1, "the very same event");
  });

  it("parks what may not be started, with why and for whom", async () => {
    const { outputs } = await rule();
    await acceptDeadLetters(outputs.arn);
    await target({ roleArn: (await role({ may: false })).outputs.arn });
    await publish();
    assert.deepEqual(states.calls, []);
    const [letter] = await deadLetters();
    assert.deepEqual(JSON.parse(letter?.Body).detail, created.detail);
    const { ERROR_MESSAGE, ...others } = attributes(letter);
    assert.deepEqual(others, { RULE_ARN: outputs.arn, TARGET_ARN: MACHINE, ERROR_CODE: "NO_PERMISSIONS", RETRY_ATTEMPTS: "0" });
    assert.match(ERROR_MESSAGE!, /is not authorized to perform: states:StartExecution/);
    assert.deepEqual(metrics(), ["Invocations", "FailedInvocations", "InvocationsSentToDlq"]);
  });

  it("parks what stays throttled, after its retries", async () => {
    errors.push(...Array.from({ length: 3 }, () => new CloudError("ThrottlingException", "Rate exceeded", 400)));
    const { outputs } = await rule();
    await acceptDeadLetters(outputs.arn);
    await target({ roleArn: (await role()).outputs.arn, retryPolicy: { maximumRetryAttempts: 2, maximumEventAgeInSeconds: 60 } });
    await publish();
    const { ERROR_CODE, RETRY_ATTEMPTS, EXHAUSTED_RETRY_CONDITION } = attributes((await deadLetters())[0]);
    assert.deepEqual(
      { ERROR_CODE, RETRY_ATTEMPTS, EXHAUSTED_RETRY_CONDITION },
      { ERROR_CODE: "THROTTLING", RETRY_ATTEMPTS: "2", EXHAUSTED_RETRY_CONDITION: "MaximumRetryAttempts" },
    );
  });

  it("parks what it has no role for", async () => {
    const { outputs } = await rule();
    await acceptDeadLetters(outputs.arn);
    await target({ roleArn: "arn:aws:iam::000000000000:role/nobody" });
    await publish();
    assert.equal(attributes((await deadLetters())[0]).ERROR_CODE, "FAILED_TO_ASSUME_ROLE");
  });

  it("says when an event is lost, because the dead-letter queue does not let the rule in", async () => {
    await rule();
    await acceptDeadLetters("arn:aws:events:us-east-1:000000000000:rule/another");
    await target({ roleArn: (await role({ may: false })).outputs.arn });
    await publish();
    assert.deepEqual(await deadLetters(), []);
    assert(test.cloud.trace.entries("note").some(({ text }) => text.includes("the event is lost")));
    assert.deepEqual(metrics(), ["Invocations", "FailedInvocations", "InvocationsFailedToBeSentToDlq"]);
  });

  it("invokes functions in the name of the rule", async () => {
    const { outputs } = await rule();
    await target({ arn: FUNCTION, inputPath: "$.detail.object" });
    await publish();
    assert.deepEqual(lambda.calls, [
      {
        input: { FunctionName: FUNCTION, InvocationType: "Event", Payload: '{"key":"uploads/cat.png"}' },
        principal: { kind: "service", service: "events.amazonaws.com", source: outputs.arn },
      },
    ]);
  });

  it("sends a fixed input where one is declared", async () => {
    await rule();
    await target({ arn: FUNCTION, input: '{"sweep":true}' });
    await publish();
    assert.equal(lambda.calls[0]?.input.Payload, '{"sweep":true}');
  });

  it("takes events of one's own, and gives each its answer", async () => {
    await rule({ eventPattern: { source: ["shop"], detail: { total: [{ numeric: [">", 10] }] } } });
    await target({ arn: FUNCTION });
    const entry = { Source: "shop", DetailType: "Order", Detail: '{"total":12}' };
    const Entries = [entry, { ...entry, Detail: '{"total":3}' }, { ...entry, Detail: "{" }, { ...entry, Source: "aws.s3" }];
    const answer = await test.cloud.call({ service: "events", operation: "PutEvents", input: { Entries }, as: test.owner });
    await test.cloud.settled();
    assert.deepEqual(
      answer.Entries.map(({ ErrorCode }: Properties) => ErrorCode),
      [undefined, undefined, "MalformedDetail", "NotAuthorizedForSourceException"],
    );
    assert.deepEqual(
      lambda.calls.map(({ input }) => JSON.parse(input.Payload).detail),
      [{ total: 12 }],
    );
  });

  it("triggers a schedule when it is due, and now for the account", async () => {
    await rule({ scheduleExpression: "rate(5 minutes)" });
    await target({ arn: FUNCTION });
    const trigger = (as: Principal) => test.cloud.call({ service: "events", operation: "TriggerSchedule", input: { Name: "created" }, as });
    await trigger(test.owner);
    await test.cloud.settled();
    const event = JSON.parse(lambda.calls[0]?.input.Payload);
    assert.deepEqual([event.source, event["detail-type"], event.detail], ["aws.events", "Scheduled Event", {}]);
    await assert.rejects(trigger({ kind: "service", service: "lambda.amazonaws.com" }), { message: /does not implement/ });
  });

  it("runs schedules by the clock", async () => {
    await test.stop();
    let shift = 0;
    lambda = single("lambda", "Invoke", []);
    test = await testCloud([events(), lambda], { clock: () => new Date(Date.now() + shift) });
    // From here on it is a moment before the full minute.
    shift = Math.ceil(Date.now() / 60_000) * 60_000 - 300 - Date.now();
    const invoked = new Promise<void>((resolve) => test.cloud.trace.listen(({ kind }) => kind === "delivery" && resolve()));
    await rule({ scheduleExpression: "cron(* * * * ? *)" });
    await target({ arn: FUNCTION });
    await invoked;
    assert.equal(JSON.parse(lambda.calls[0]?.input.Payload).source, "aws.events");
  });

  it("refuses what EventBridge refuses, before creating anything", async () => {
    await assert.rejects(rule({ eventPattern: "{" }), { code: "InvalidEventPatternException" });
    await assert.rejects(rule({}), { message: /an eventPattern or a scheduleExpression/ });
    await rule();
    await assert.rejects(target({}), { message: /roleArn is undefined: it must be given/ });
    await assert.rejects(target({ arn: FUNCTION, retryPolicy: { maximumRetryAttempts: 186 } }), { message: /between 0 and 185/ });
    await assert.rejects(target({ arn: FUNCTION, rule: "nobody" }), { code: "ResourceNotFoundException" });
    await assert.rejects(target({ arn: "arn:aws:s3:::photos" }), { message: /state machine, function, queue or topic/ });
  });
});

describe("A schedule", () => {
  const next = (expression: string, after = "2026-11-21T10:07:30Z") => parseSchedule(expression)(new Date(after))?.toISOString();

  it("by rate is due after each interval", () => {
    assert.equal(next("rate(5 minutes)"), "2026-11-21T10:12:30.000Z");
    assert.equal(next("rate(1 hour)"), "2026-11-21T11:07:30.000Z");
    assert.equal(next("rate(2 days)"), "2026-11-23T10:07:30.000Z");
  });

  it("by cron is due when all fields fit", () => {
    assert.equal(next("cron(0/15 * * * ? *)"), "2026-11-21T10:15:00.000Z");
    assert.equal(next("cron(0 12 * * ? *)"), "2026-11-21T12:00:00.000Z");
    assert.equal(next("cron(30 8 ? * MON-FRI *)"), "2026-11-23T08:30:00.000Z");
    assert.equal(next("cron(0 0 1 JAN,JUL ? *)"), "2027-01-01T00:00:00.000Z");
    assert.equal(next("cron(0 0 1 1 ? 2020)"), undefined);
  });

  for (const expression of [
    "rate(1 minutes)",
    "rate(5 minute)",
    "rate(0 minutes)",
    "rate(5 weeks)",
    "cron(* * * * * *)",
    "cron(60 * * * ? *)",
    "cron(0 0 L * ? *)",
    "cron(0 0 * * ?)",
    "every day",
  ]) {
    it(`is refused: ${expression}`, () => assert.throws(() => parseSchedule(expression), { code: "ValidationException" }));
  }
});
