import assert from "node:assert/strict";
import {
  DescribeExecutionCommand,
  GetExecutionHistoryCommand,
  ListExecutionsCommand,
  SFNClient,
  StartExecutionCommand,
} from "@aws-sdk/client-sfn";
import type { Properties, Resource } from "../../../../../local/kernel/service.js";
import dynamodb from "../../../../../local/services/aws/dynamodb/index.js";
import iam from "../../../../../local/services/aws/iam.js";
import lambda from "../../../../../local/services/aws/lambda/index.js";
import logs from "../../../../../local/services/aws/logs.js";
import rekognition from "../../../../../local/services/aws/rekognition/index.js";
import sns from "../../../../../local/services/aws/sns.js";
import sqs from "../../../../../local/services/aws/sqs/index.js";
import states from "../../../../../local/services/aws/states/index.js";
import { type TestCloud, testCloud } from "../../../cloud.js";
import { declareFunction, LOG_GROUP } from "../lambda/functions.js";
import { declareMachine, ended, LOG_DELIVERY, run } from "./machines.js";

describe("Step Functions", () => {
  let test: TestCloud;
  beforeEach(async () => {
    test = await testCloud([iam(), logs(), dynamodb(), sqs(), sns(), rekognition(), lambda(), states({ pace: 0.01 })]);
  });
  afterEach(() => test.stop());

  const invoking = (fn: Resource, more: Properties = {}) => ({
    Type: "Task",
    Resource: "arn:aws:states:::lambda:invoke",
    Parameters: { FunctionName: fn.outputs.arn, "Payload.$": "$" },
    End: true,
    ...more,
  });
  const caught = { Catch: [{ ErrorEquals: ["States.ALL"], Next: "Caught" }] };
  const Caught = { Type: "Pass", End: true };

  describe("a workflow", () => {
    it("hands data through tasks, choices, parallel branches and maps", async () => {
      const double = await declareFunction(test, "double", "export const handler = async ({ n }) => ({ n: n * 2 });");
      const machine = await declareMachine(
        test,
        "flow",
        {
          Double: { ...invoking(double), ResultSelector: { "n.$": "$.Payload.n" }, End: undefined, Next: "Big?" },
          "Big?": { Type: "Choice", Choices: [{ Variable: "$.n", NumericGreaterThan: 10, Next: "Both" }], Default: "Small" },
          Small: { Type: "Pass", Result: "small", ResultPath: "$.size", End: true },
          Both: {
            Type: "Parallel",
            Branches: [
              { StartAt: "One", States: { One: { ...invoking(double), OutputPath: "$.Payload" } } },
              {
                StartAt: "Two",
                States: { Two: { Type: "Pass", Parameters: { "was.$": "$.n", "text.$": "States.Format('n is {}', $.n)" }, End: true } },
              },
            ],
            ResultSelector: { "doubled.$": "$[0].n", "two.$": "$[1]" },
            ResultPath: "$.both",
            Next: "Each",
          },
          Each: {
            Type: "Map",
            ItemsPath: "$.list",
            ItemSelector: { "at.$": "$$.Map.Item.Index", "value.$": "$$.Map.Item.Value" },
            ItemProcessor: { StartAt: "Item", States: { Item: { Type: "Pass", End: true } } },
            End: true,
          },
        },
        { may: ["lambda:InvokeFunction"] },
      );
      assert.deepEqual((await run(test, machine, { n: 2 })).output, { n: 4, size: "small" });
      const failed = await run(test, machine, { n: 10 });
      assert.deepEqual([failed.status, failed.error], ["FAILED", "States.Runtime"]);
      assert.match(failed.cause, /^An error occurred while executing the state 'Each' \(entered at the event id #\d+\)\. .*\$\.list/);
    });

    it("knows its execution, in branches too, and its states", async () => {
      const machine = await declareMachine(test, "context", {
        Set: { Type: "Pass", Parameters: { changed: true }, Next: "Split" },
        Split: {
          Type: "Parallel",
          Branches: [
            {
              StartAt: "Inner",
              States: {
                Inner: {
                  Type: "Pass",
                  Parameters: {
                    "input.$": "$$.Execution.Input",
                    "id.$": "$$.Execution.Id",
                    "began.$": "$$.Execution.StartTime",
                    "name.$": "$$.State.Name",
                    "entered.$": "$$.State.EnteredTime",
                    "machine.$": "$$.StateMachine.Name",
                    "text.$": "States.Format('{}/{}', $$.StateMachine.Name, $$.State.Name)",
                  },
                  End: true,
                },
              },
            },
          ],
          End: true,
        },
      });
      const { output, executionArn, startDate, cause } = await run(test, machine, { original: 1 });
      assert.equal(cause, undefined);
      const { entered, ...inner } = output[0];
      const began = new Date(startDate * 1000).toISOString();
      const name = machine.outputs.name;
      assert.deepEqual(inner, { input: { original: 1 }, id: executionArn, began, name: "Inner", machine: name, text: `${name}/Inner` });
      assert.ok(entered >= began);
    });

    it("keeps results that are false, 0, empty or null, and those at ResultPath $", async () => {
      const results = [false, 0, "", null];
      for (const [at, Result] of results.entries()) {
        const machine = await declareMachine(test, `falsy-${at}`, {
          A: { Type: "Pass", Result, ResultPath: "$.kept", Next: "B" },
          B: { Type: "Pass", ResultPath: "$", End: true },
        });
        assert.deepEqual((await run(test, machine, { a: 1 })).output, { a: 1, kept: Result });
      }
    });

    it("ends in the error of a Fail state", async () => {
      const machine = await declareMachine(test, "fails", { Fail: { Type: "Fail", ErrorPath: "$.error", CausePath: "$.cause" } });
      const { status, error, cause } = await run(test, machine, { error: "Parked", cause: "because" });
      assert.deepEqual([status, error, cause], ["FAILED", "Parked", "because"]);
      const plain = await run(test, await declareMachine(test, "plain", { Fail: { Type: "Fail" } }));
      assert.deepEqual([plain.status, plain.error, plain.cause], ["FAILED", undefined, undefined]);
    });
  });

  describe("an error of a task", () => {
    it("thrown by a function carries its type, and its message as JSON", async () => {
      const fn = await declareFunction(
        test,
        "refusing",
        "class ImageRefused extends Error { name = 'ImageRefused' } export const handler = async () => { throw new ImageRefused('{\"code\":\"EMPTY\"}'); };",
      );
      const machine = await declareMachine(
        test,
        "catching",
        { Task: { ...invoking(fn), Catch: [{ ErrorEquals: ["ImageRefused"], ResultPath: "$.error", Next: "Caught" }] }, Caught },
        { may: ["lambda:InvokeFunction"] },
      );
      const { output } = await run(test, machine, { key: "a" });
      assert.equal(output.key, "a");
      assert.equal(output.error.Error, "ImageRefused");
      const { errorMessage, errorType, trace } = JSON.parse(output.error.Cause);
      assert.deepEqual([errorType, errorMessage], ["ImageRefused", '{"code":"EMPTY"}']);
      assert.ok(Array.isArray(trace));
    });

    it("for want of permission names the machine's role", async () => {
      const fn = await declareFunction(test, "forbidden", "export const handler = async () => 1;");
      const machine = await declareMachine(test, "unprivileged", { Task: { ...invoking(fn), ...caught }, Caught });
      const { output } = await run(test, machine);
      assert.equal(output.Error, "Lambda.AWSLambdaException");
      assert.match(
        output.Cause,
        /assumed-role\/unprivileged-role-\w+\/[0-9a-f-]+ is not authorized to perform: lambda:InvokeFunction on resource: arn:aws:lambda:.*forbidden.*Error Code: AccessDeniedException/,
      );
    });

    it("that its environment died of is Lambda.Unknown", async () => {
      const fn = await declareFunction(
        test,
        "dying",
        "export const handler = async ({ slow }) => { if (slow) await new Promise((r) => setTimeout(r, 5000)); const held = []; for (;;) { held.push(Buffer.alloc(2e7, 1)); await new Promise((r) => setTimeout(r, 5)); } };",
        { timeout: 2 },
      );
      const machine = await declareMachine(
        test,
        "watching",
        { Task: { ...invoking(fn), ...caught }, Caught },
        { may: ["lambda:InvokeFunction"] },
      );
      for (const [slow, text] of [
        [false, /signal: killed/],
        [true, /Task timed out after 2.00 seconds/],
      ] as const) {
        const { output } = await run(test, machine, { slow });
        assert.equal(output.Error, "Lambda.Unknown");
        assert.match(output.Cause, text);
      }
    });

    it("is retried as often as declared, by what it is", async () => {
      const fn = await declareFunction(
        test,
        "counting",
        "import fs from 'node:fs'; export const handler = async ({ file, until }) => { fs.appendFileSync(file, '.'); const n = fs.readFileSync(file).length; if (n < until) { const e = new Error('x'); e.name = 'Flaky'; throw e; } return n; };",
      );
      const Retry = [
        { ErrorEquals: ["Other"], MaxAttempts: 9 },
        { ErrorEquals: ["Flaky"], IntervalSeconds: 1, MaxAttempts: 2, BackoffRate: 2 },
      ];
      const machine = await declareMachine(
        test,
        "retrying",
        { Task: { ...invoking(fn), OutputPath: "$.Payload", Retry } },
        { may: ["lambda:InvokeFunction"] },
      );
      assert.equal((await run(test, machine, { file: `${test.folder}/three`, until: 3 })).output, 3);
      const { status, error } = await run(test, machine, { file: `${test.folder}/four`, until: 4 });
      assert.deepEqual([status, error], ["FAILED", "Flaky"]);
    });

    it("waits as long as declared before it is retried", async () => {
      await test.stop();
      test = await testCloud([iam(), logs(), lambda(), states()]);
      const fn = await declareFunction(test, "timing", "export const handler = async () => { throw new Error('x'); };");
      const Retry = [{ ErrorEquals: ["States.ALL"], IntervalSeconds: 1, MaxAttempts: 1 }];
      const machine = await declareMachine(test, "waiting", { Task: { ...invoking(fn), Retry } }, { may: ["lambda:InvokeFunction"] });
      const { startDate, stopDate } = await run(test, machine);
      assert.ok(stopDate - startDate >= 1, `${stopDate - startDate} s`);
    });

    it("of time is States.Timeout", async () => {
      const fn = await declareFunction(test, "sleeping", "export const handler = async () => new Promise((r) => setTimeout(r, 2000, 1));");
      const machine = await declareMachine(
        test,
        "impatient",
        { Task: { ...invoking(fn), TimeoutSeconds: 1, ...caught }, Caught },
        { may: ["lambda:InvokeFunction"] },
      );
      assert.equal((await run(test, machine)).output.Error, "States.Timeout");
      const all = await declareMachine(
        test,
        "short",
        { Task: invoking(fn) },
        { may: ["lambda:InvokeFunction"], top: { TimeoutSeconds: 1 } },
      );
      assert.equal((await run(test, all)).status, "TIMED_OUT");
    });

    it("in a branch fails the Parallel with the same name", async () => {
      const fn = await declareFunction(test, "branch", "export const handler = async () => { throw new TypeError('in a branch'); };");
      const Branches = [
        { StartAt: "Bad", States: { Bad: invoking(fn) } },
        { StartAt: "Good", States: { Good: { Type: "Pass", End: true } } },
      ];
      const machine = await declareMachine(
        test,
        "parallel",
        { Both: { Type: "Parallel", Branches, ...caught, End: true }, Caught },
        { may: ["lambda:InvokeFunction"] },
      );
      const { output } = await run(test, machine);
      assert.equal(output.Error, "TypeError");
      assert.equal(JSON.parse(output.Cause).errorMessage, "in a branch");
    });

    it("when a state hands on more than 256 KB cannot be caught", async () => {
      const fn = await declareFunction(test, "heavy", "export const handler = async () => 'x'.repeat(262_144);");
      const machine = await declareMachine(
        test,
        "overloaded",
        { Task: { ...invoking(fn), ...caught }, Caught },
        { may: ["lambda:InvokeFunction"] },
      );
      const { status, error } = await run(test, machine);
      assert.deepEqual([status, error], ["FAILED", "States.DataLimitExceeded"]);
      const grown = await declareMachine(test, "grown", {
        A: { Type: "Pass", Parameters: { "a.$": "$", "b.$": "$" }, Next: "B" },
        B: { Type: "Pass", End: true },
      });
      assert.equal((await run(test, grown, "x".repeat(200_000))).error, "States.DataLimitExceeded");
    });
  });

  describe("an integration", () => {
    it("writes to DynamoDB under conditions", async () => {
      const table = await test.declare("aws:dynamodb/table:Table", "records", {
        hashKey: "Key",
        attributes: [{ name: "Key", type: "S" }],
        billingMode: "PAY_PER_REQUEST",
      });
      const TableName = table.outputs.name;
      const machine = await declareMachine(
        test,
        "storing",
        {
          Put: {
            Type: "Task",
            Resource: "arn:aws:states:::dynamodb:putItem",
            Parameters: {
              TableName,
              Item: { Key: { "S.$": "$.key" } },
              ConditionExpression: "attribute_not_exists(#k)",
              ExpressionAttributeNames: { "#k": "Key" },
            },
            ResultPath: null,
            Next: "Get",
            ...caught,
          },
          Get: {
            Type: "Task",
            Resource: "arn:aws:states:::dynamodb:getItem",
            Parameters: { TableName, Key: { Key: { "S.$": "$.key" } } },
            ResultSelector: { "item.$": "$.Item", "status.$": "$.SdkHttpMetadata.HttpStatusCode" },
            End: true,
          },
          Caught,
        },
        { may: ["dynamodb:PutItem", "dynamodb:GetItem"] },
      );
      assert.deepEqual((await run(test, machine, { key: "a" })).output, { item: { Key: { S: "a" } }, status: 200 });
      const { output } = await run(test, machine, { key: "a" });
      assert.equal(output.Error, "DynamoDB.ConditionalCheckFailedException");
      assert.match(
        output.Cause,
        /^The conditional request failed \(Service: AmazonDynamoDBv2; Status Code: 400; Error Code: ConditionalCheckFailedException; /,
      );
    });

    it("sends objects to SQS and SNS as JSON", async () => {
      const queue = await test.declare("aws:sqs/queue:Queue", "parked");
      const topic = await test.declare("aws:sns/topic:Topic", "results");
      const machine = await declareMachine(
        test,
        "sending",
        {
          Send: {
            Type: "Task",
            Resource: "arn:aws:states:::sqs:sendMessage",
            Parameters: { QueueUrl: queue.outputs.url, MessageBody: { "event.$": "$$.Execution.Input" } },
            ResultPath: "$.sent",
            Next: "Publish",
          },
          Publish: {
            Type: "Task",
            Resource: "arn:aws:states:::sns:publish",
            Parameters: {
              TopicArn: topic.outputs.arn,
              "Message.$": "$",
              MessageAttributes: { status: { DataType: "String", StringValue: "failed" } },
            },
            End: true,
          },
        },
        { may: ["sqs:SendMessage", "sns:Publish"] },
      );
      const { status, output } = await run(test, machine, { key: "a" });
      assert.equal(status, "SUCCEEDED");
      assert.match(output.MessageId, /^[0-9a-f-]{36}$/);
      const { Messages } = await test.cloud.call({
        service: "sqs",
        operation: "ReceiveMessage",
        input: { QueueUrl: queue.outputs.url },
        as: test.owner,
      });
      assert.deepEqual(JSON.parse(Messages[0].Body), { event: { key: "a" } });
    });

    it("calls any service by its SDK's names, with that service's errors", async () => {
      const detect = {
        Type: "Task",
        Resource: "arn:aws:states:::aws-sdk:rekognition:detectLabels",
        Parameters: { Image: { "Bytes.$": "$.image" } },
        End: true,
        ...caught,
      };
      const allowed = await declareMachine(test, "looking", { Detect: detect, Caught }, { may: ["rekognition:DetectLabels"] });
      assert.equal(
        (await run(test, allowed, { image: Buffer.from("no image").toString("base64") })).output.Error,
        "Rekognition.InvalidImageFormatException",
      );
      const denied = await declareMachine(test, "blind", { Detect: detect, Caught });
      assert.equal((await run(test, denied, { image: "" })).output.Error, "Rekognition.AccessDeniedException");
    });
  });

  describe("an execution", () => {
    const wait = { Wait: { Type: "Wait", Seconds: 3_000, End: true } };
    const start = (machine: Resource, input: Properties) =>
      test.cloud.call({
        service: "states",
        operation: "StartExecution",
        input: { stateMachineArn: machine.outputs.arn, ...input },
        as: test.owner,
      });

    it("has a name of its own", async () => {
      const machine = await declareMachine(test, "named", wait);
      const first = await start(machine, { name: "once", input: "{}" });
      assert.equal(first.executionArn, `${machine.outputs.arn.replace("stateMachine", "execution")}:once`);
      assert.deepEqual(await start(machine, { name: "once", input: "{}" }), first);
      await assert.rejects(start(machine, { name: "once", input: '{"a":1}' }), { code: "ExecutionAlreadyExists" });
      await assert.rejects(start(machine, { name: "a b" }), { code: "InvalidName" });
      await assert.rejects(start(machine, { input: "{" }), { code: "InvalidExecutionInput" });
    });

    it("can be stopped", async () => {
      const machine = await declareMachine(test, "stopped", wait);
      const { executionArn } = await start(machine, {});
      const call = (operation: string) =>
        test.cloud.call({ service: "states", operation, input: { executionArn, error: "Enough", cause: "it took long" }, as: test.owner });
      await call("StopExecution");
      const { status, error, cause } = await call("DescribeExecution");
      assert.deepEqual([status, error, cause], ["ABORTED", "Enough", "it took long"]);
    });

    it("is found again by the SDK, with its history", async () => {
      const machine = await declareMachine(test, "history", { A: { Type: "Pass", Result: { a: 1 }, Next: "B" }, B: { Type: "Succeed" } });
      const client = new SFNClient(test.client());
      const { executionArn } = await client.send(new StartExecutionCommand({ stateMachineArn: machine.outputs.arn, input: "{}" }));
      await ended(test, executionArn as string);
      const execution = await client.send(new DescribeExecutionCommand({ executionArn }));
      assert.equal(execution.output, '{"a":1}');
      assert.ok(execution.startDate instanceof Date);
      const { events = [] } = await client.send(new GetExecutionHistoryCommand({ executionArn }));
      assert.deepEqual(
        events.map(({ type }) => type),
        ["ExecutionStarted", "PassStateEntered", "PassStateExited", "SucceedStateEntered", "SucceedStateExited", "ExecutionSucceeded"],
      );
      assert.equal(events[1]?.stateEnteredEventDetails?.name, "A");
      const { executions } = await client.send(
        new ListExecutionsCommand({ stateMachineArn: machine.outputs.arn, statusFilter: "SUCCEEDED" }),
      );
      assert.deepEqual(
        executions?.map((each) => each.executionArn),
        [executionArn],
      );
    });

    it("of a task shows in the history in order", async () => {
      const fn = await declareFunction(test, "task", "export const handler = async () => 1;");
      const machine = await declareMachine(test, "ordered", { Task: invoking(fn) }, { may: ["lambda:InvokeFunction"] });
      const { executionArn } = await run(test, machine);
      const { events } = await test.cloud.call({
        service: "states",
        operation: "GetExecutionHistory",
        input: { executionArn },
        as: test.owner,
      });
      assert.deepEqual(
        events.map(({ type }: Properties) => type),
        ["ExecutionStarted", "TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited", "ExecutionSucceeded"],
      );
    });

    it("of an express machine is not kept, but logged at the declared level", async () => {
      const group = await test.declare(LOG_GROUP, "workflow");
      const loggingConfiguration = { level: "ERROR", includeExecutionData: false, logDestination: `${group.outputs.arn}:*` };
      const machine = await declareMachine(
        test,
        "express",
        { Fail: { Type: "Fail", Error: "Broken", Cause: "secret" } },
        { type: "EXPRESS", may: LOG_DELIVERY, loggingConfiguration },
      );
      const { status, executionArn } = await run(test, machine, { a: 1 });
      assert.equal(status, "FAILED");
      assert.match(executionArn, /:express:express-\w+:[0-9a-f-]+:[0-9a-f-]+$/);
      await assert.rejects(
        test.cloud.call({ service: "states", operation: "DescribeExecution", input: { executionArn }, as: test.owner }),
        { code: "ExecutionDoesNotExist" },
      );
      await test.cloud.settled();
      const { events } = await test.cloud.call({
        service: "logs",
        operation: "FilterLogEvents",
        input: { logGroupName: group.outputs.name },
        as: test.owner,
      });
      const lines = events.map(({ message }: Properties) => JSON.parse(message));
      assert.deepEqual(
        lines.map(({ type }: Properties) => type),
        ["FailStateEntered", "ExecutionFailed"],
      );
      assert.deepEqual(lines[1].details, { error: "Broken" });
      assert.equal(lines[1].execution_arn, executionArn);
    });

    it("of an express machine ends after five minutes at most, which are one second here", async () => {
      await test.stop();
      test = await testCloud([iam(), logs(), states({ expressLimit: 1 })]);
      for (const top of [{}, { TimeoutSeconds: 60 }]) {
        const machine = await declareMachine(test, `endless-${Object.keys(top).length}`, wait, { type: "EXPRESS", top });
        assert.equal((await run(test, machine)).status, "TIMED_OUT");
      }
    });

    it("is counted as under way until it has ended", async () => {
      const machine = await declareMachine(test, "under-way", { Wait: { Type: "Wait", Seconds: 20, End: true } });
      const { executionArn } = await start(machine, {});
      await test.cloud.settled();
      const { status } = await test.cloud.call({
        service: "states",
        operation: "DescribeExecution",
        input: { executionArn },
        as: test.owner,
      });
      assert.equal(status, "SUCCEEDED");
    });
  });

  describe("a machine is refused", () => {
    const pass = { A: { Type: "Pass", End: true } };
    const wrong: [why: string, states: Properties, inputs: Properties, error: Properties][] = [
      [
        "whose states lead nowhere",
        { A: { Type: "Pass", Next: "B" } },
        {},
        { code: "InvalidDefinition", message: /SCHEMA_VALIDATION_FAILED/ },
      ],
      [
        "in JSONata",
        { A: { Type: "Pass", QueryLanguage: "JSONata", Output: "{% 1 %}", End: true } },
        {},
        { code: "InvalidDefinition", message: /JSONPath only/ },
      ],
      [
        "with a task that waits for a token",
        { A: { Type: "Task", Resource: "arn:aws:states:::lambda:invoke.waitForTaskToken", End: true } },
        {},
        { message: /waits for a job or a token/ },
      ],
      [
        "with an integration that is not there",
        { A: { Type: "Task", Resource: "arn:aws:states:::batch:submitJob", End: true } },
        {},
        { message: /no integration that the embedded cloud has/ },
      ],
      ["with variables", { A: { Type: "Pass", Assign: { x: 1 }, End: true } }, {}, { message: /Assign is not emulated/ }],
      [
        "with a distributed map",
        {
          A: {
            Type: "Map",
            ItemProcessor: {
              ProcessorConfig: { Mode: "DISTRIBUTED", ExecutionType: "EXPRESS" },
              StartAt: "B",
              States: { B: { Type: "Pass", End: true } },
            },
            End: true,
          },
        },
        {},
        { message: /inline maps only/ },
      ],
      [
        "that asks a Map's states for the item",
        {
          A: {
            Type: "Map",
            ItemProcessor: { StartAt: "B", States: { B: { Type: "Pass", Parameters: { "i.$": "$$.Map.Item.Index" }, End: true } } },
            End: true,
          },
        },
        {},
        { message: /select the item in the Map's ItemSelector/ },
      ],
      ["that is no JSON", {}, { definition: "{" }, { message: /INVALID_JSON_DESCRIPTION/ }],
      [
        "whose log destination is no log group's ARN with a star",
        pass,
        { loggingConfiguration: { level: "ALL", logDestination: "arn:aws:logs:us-east-1:000000000000:log-group:g" } },
        { code: "InvalidLoggingConfiguration" },
      ],
      [
        "whose role may not deliver logs",
        pass,
        { loggingConfiguration: { level: "ALL", logDestination: "arn:aws:logs:us-east-1:000000000000:log-group:g:*" } },
        { code: "AccessDeniedException", message: /not authorized to access the Log Destination: it lacks logs:CreateLogDelivery/ },
      ],
      [
        "whose log group is not there",
        pass,
        { may: LOG_DELIVERY, loggingConfiguration: { level: "ALL", logDestination: "arn:aws:logs:us-east-1:000000000000:log-group:g:*" } },
        { message: /does not exist/ },
      ],
    ];
    for (const [why, given, inputs, error] of wrong) it(why, () => assert.rejects(declareMachine(test, "wrong", given, inputs), error));

    it("whose role Step Functions may not take", async () => {
      const fn = await declareFunction(test, "f", "");
      await assert.rejects(declareMachine(test, "wrong", pass, { roleArn: fn.inputs.role }), {
        code: "AccessDeniedException",
        message: /states.amazonaws.com.* is authorized to assume the provided role/,
      });
    });
  });

  it("has the outputs that the provider declares", async () => {
    const { outputs } = await declareMachine(test, "outputs", { A: { Type: "Succeed" } });
    for (const name of [
      "arn",
      "creationDate",
      "definition",
      "description",
      "encryptionConfiguration",
      "loggingConfiguration",
      "name",
      "namePrefix",
      "region",
      "revisionId",
      "roleArn",
      "stateMachineVersionArn",
      "status",
      "tagsAll",
      "tracingConfiguration",
      "versionDescription",
    ])
      assert.notEqual(outputs[name], undefined, name);
  });
});
