import assert from "node:assert/strict";
import { Alarms } from "../../../components/aws/alarms.js";
import { ApiKey } from "../../../components/aws/api-key.js";
import { Bucket } from "../../../components/aws/bucket.js";
import { DeadLetters } from "../../../components/aws/dead-letters.js";
import { Handler } from "../../../components/aws/handler.js";
import { HttpApi } from "../../../components/aws/http-api.js";
import { ImagePipeline } from "../../../components/aws/image-pipeline.js";
import { Records } from "../../../components/aws/records.js";
import { Rule } from "../../../components/aws/rule.js";
import { Topic } from "../../../components/aws/topic.js";
import { ACCOUNT, REGION, recorded } from "../../declared.js";
import { reviewedTypes } from "../reviewed.js";

const arn = (service: string, resource: string) => `arn:aws:${service}:${REGION}:${ACCOUNT}:${resource}`;
const TAGS = { team: "photos" };

/** Types that are asserted here, each with all of its inputs. */
const seen = new Set<string>();

/** Logical name → every input, of what a program declares; hashes of physical names as `#`, and of a package that it is one. */
async function exact(program: () => unknown, of = /./): Promise<Record<string, any>> {
  const resources = (await recorded(program)).filter(({ name }) => of.test(name));
  for (const { type } of resources) seen.add(type);
  const plain = (inputs: object) =>
    JSON.parse(
      JSON.stringify(inputs, (_, value) => (value?.__pulumiArchive ? "a package" : value)).replaceAll(
        /(?<=[a-z]-)[0-9a-f]{7}(?=[":])/g,
        "#",
      ),
    );
  return Object.fromEntries(resources.map(({ name, inputs: { __provider, ...inputs } }) => [name, plain(inputs)]));
}

const policy = (...Statement: object[]) => ({ Version: "2012-10-17", Statement });
const allow = (Action: string | string[], Resource: string | string[]) => ({ Effect: "Allow", Action, Resource });
/** A role for one service of AWS, on this condition. */
const trust = (Service: string, Condition?: object) => ({
  assumeRolePolicy: policy({ Effect: "Allow", Principal: { Service }, Action: "sts:AssumeRole", ...(Condition && { Condition }) }),
});
const tlsOnly = (Action: string, Resource: string[]) => ({
  Sid: "TlsOnly",
  Effect: "Deny",
  Principal: "*",
  Action,
  Resource,
  Condition: { Bool: { "aws:SecureTransport": "false" } },
});

describe("A part of the pipeline on AWS is declared exactly:", () => {
  it("a bucket is private, encrypted and opened by TLS only; it tells of its objects, keeps versions and forgets", async () => {
    const bucket = "files-bucket";
    const args = { events: true, recovery: 14, expire: { "labels/": 1 } } as const;
    assert.deepEqual(await exact(() => new Bucket("files", args).openTo(["https://app.example.org"])), {
      "files-bucket": { forceDestroy: true },
      "files-encryption": { bucket, rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }] },
      "files-ownership": { bucket, rule: { objectOwnership: "BucketOwnerEnforced" } },
      "files-policy": { bucket, policy: policy(tlsOnly("s3:*", ["arn:aws:s3:::files-bucket", "arn:aws:s3:::files-bucket/*"])) },
      "files-public-access": {
        bucket,
        blockPublicAcls: true,
        blockPublicPolicy: true,
        ignorePublicAcls: true,
        restrictPublicBuckets: true,
      },
      "files-notification": { bucket, eventbridge: true },
      "files-versioning": { bucket, versioningConfiguration: { status: "Enabled" } },
      "files-lifecycle": {
        bucket,
        rules: [
          { id: "broken-uploads", status: "Enabled", filter: {}, abortIncompleteMultipartUpload: { daysAfterInitiation: 1 } },
          { id: "labels", status: "Enabled", filter: { prefix: "labels/" }, expiration: { days: 1 } },
          {
            id: "replaced-versions",
            status: "Enabled",
            filter: {},
            noncurrentVersionExpiration: { noncurrentDays: 14 },
            expiration: { expiredObjectDeleteMarker: true },
          },
        ],
      },
      "files-cors": {
        bucket,
        corsRules: [
          {
            allowedMethods: ["PUT", "POST"],
            allowedOrigins: ["https://app.example.org"],
            allowedHeaders: ["content-type", "if-none-match", "x-amz-meta-user"],
            exposeHeaders: ["ETag"],
            maxAgeSeconds: 3_600,
          },
        ],
      },
    });
  });

  it("records are found by user, status and time, and can be restored", async () => {
    const index = (name: string, hashKey: string) => ({ name, hashKey, rangeKey: "UploadedOn", projectionType: "ALL" });
    assert.deepEqual(await exact(() => new Records("records", { tags: TAGS })), {
      "records-table": {
        billingMode: "PAY_PER_REQUEST",
        hashKey: "ImageKey",
        attributes: ["ImageKey", "UserId", "Status", "UploadedYear", "UploadedOn"].map((name) => ({ name, type: "S" })),
        globalSecondaryIndexes: [index("byUser", "UserId"), index("byStatus", "Status"), index("byTime", "UploadedYear")],
        ttl: { attributeName: "ExpiresAt", enabled: true },
        pointInTimeRecovery: { enabled: true },
        deletionProtectionEnabled: false,
        tags: TAGS,
      },
    });
  });

  it("a topic takes messages by TLS only, of this account's alarms too, and may tell an address", async () => {
    const topic = arn("sns", "results-topic");
    assert.deepEqual(await exact(() => new Topic("results", { email: "ops@example.org", alarmsOf: ACCOUNT, tags: TAGS })), {
      "results-topic": { tags: TAGS },
      "results-email": { topic, protocol: "email", endpoint: "ops@example.org" },
      "results-policy": {
        arn: topic,
        policy: policy(tlsOnly("sns:Publish", [topic]), {
          Sid: "Alarms",
          Effect: "Allow",
          Principal: { Service: "cloudwatch.amazonaws.com" },
          Action: "sns:Publish",
          Resource: topic,
          Condition: { StringEquals: { "aws:SourceAccount": ACCOUNT } },
        }),
      },
    });
  });

  it("parked work is kept for two weeks, and put there by the rules that are named", async () => {
    const queue = arn("sqs", "parked-queue");
    const program = () => new DeadLetters("parked", { alarmTopic: "arn:topic" }).acceptFrom("events.amazonaws.com", "arn:rule");
    const { "parked-alarm": _, ...declared } = await exact(program);
    assert.deepEqual(declared, {
      "parked-queue": { messageRetentionSeconds: 1_209_600, sqsManagedSseEnabled: true },
      "parked-policy": {
        queueUrl: `https://sqs.${REGION}.amazonaws.com/${ACCOUNT}/parked-queue`,
        policy: policy(tlsOnly("sqs:*", [queue]), {
          Sid: "Sources",
          Effect: "Allow",
          Principal: { Service: "events.amazonaws.com" },
          Action: "sqs:SendMessage",
          Resource: queue,
          Condition: { ArnEquals: { "aws:SourceArn": ["arn:rule"] } },
        }),
      },
    });
  });

  it("the key is a secret, generated unless it is given", async () => {
    assert.deepEqual(await exact(() => new ApiKey("key", { tags: TAGS })), {
      "key-generated": { bytes: 32 },
      "key-secret": { recoveryWindowInDays: 0, tags: TAGS },
      "key-version": { secretId: arn("secretsmanager", "secret:key-secret"), secretString: "a-key-that-was-generated" },
    });
  });

  it("a handler may do what is granted, write its own log and its traces", async () => {
    const grants = [{ Action: "s3:GetObject", Resource: "arn:aws:s3:::photos/*" }];
    assert.deepEqual(await exact(() => new Handler("clean-up", { entry: "functions/aws/clean-up.ts", grants })), {
      "clean-up-logs": { retentionInDays: 30 },
      "clean-up-role": trust("lambda.amazonaws.com"),
      "clean-up-policy": {
        name: "grants",
        role: "clean-up-role",
        policy: policy(
          allow("s3:GetObject", "arn:aws:s3:::photos/*"),
          allow(["logs:CreateLogStream", "logs:PutLogEvents"], arn("logs", "log-group:clean-up-logs:*")),
          allow(["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "*"),
        ),
      },
      "clean-up-function": {
        code: "a package",
        runtime: "nodejs24.x",
        architectures: ["arm64"],
        handler: "index.handler",
        role: `arn:aws:iam::${ACCOUNT}:role/clean-up-role`,
        memorySize: 512,
        timeout: 30,
        environment: { variables: {} },
        loggingConfig: { logFormat: "JSON", logGroup: "clean-up-logs", applicationLogLevel: "INFO", systemLogLevel: "INFO" },
        tracingConfig: { mode: "Active" },
      },
    });
  });

  it("the HTTP API hands everything to one handler, within a rate, and writes down who asked", async () => {
    const handler = { invokeArn: "arn:invoke", functionName: "handler" };
    const apiId = "http-api";
    const { "http-stage": stage, ...others } = await exact(() => new HttpApi("http", { handler }));
    const { accessLogSettings, ...deployed } = stage;
    assert.deepEqual(others, {
      "http-api": { protocolType: "HTTP" },
      "http-integration": {
        apiId,
        integrationType: "AWS_PROXY",
        integrationUri: "arn:invoke",
        payloadFormatVersion: "2.0",
        timeoutMilliseconds: 30_000,
      },
      "http-route": { apiId, routeKey: "$default", target: "integrations/http-integration" },
      "http-logs": { name: "/aws/vendedlogs/apis/http-access-#", retentionInDays: 30 },
      "http-permission": {
        action: "lambda:InvokeFunction",
        function: "handler",
        principal: "apigateway.amazonaws.com",
        sourceArn: arn("execute-api", "http-api/*/*"),
      },
    });
    assert.deepEqual(deployed, {
      apiId,
      name: "$default",
      autoDeploy: true,
      defaultRouteSettings: { throttlingRateLimit: 500, throttlingBurstLimit: 1_000 },
    });
    assert.equal(accessLogSettings.destinationArn, arn("logs", "log-group:/aws/vendedlogs/apis/http-access-#"));
    assert.deepEqual(JSON.parse(accessLogSettings.format), {
      requestId: "$context.requestId",
      time: "$context.requestTime",
      ip: "$context.identity.sourceIp",
      method: "$context.httpMethod",
      path: "$context.path",
      status: "$context.status",
      bytes: "$context.responseLength",
      milliseconds: "$context.responseLatency",
      error: "$context.integrationErrorMessage",
    });
  });

  it("a rule invokes its handler, and nobody else does by its name", async () => {
    const handler = { arn: "arn:handler", functionName: "handler" };
    assert.deepEqual(await exact(() => new Rule("sweep", { description: "Sweeps.", schedule: "rate(5 minutes)", handler })), {
      "sweep-rule": { description: "Sweeps.", scheduleExpression: "rate(5 minutes)", state: "ENABLED" },
      "sweep-target": { rule: "sweep-rule", arn: "arn:handler", retryPolicy: { maximumRetryAttempts: 4, maximumEventAgeInSeconds: 300 } },
      "sweep-permission": {
        action: "lambda:InvokeFunction",
        function: "handler",
        principal: "events.amazonaws.com",
        sourceArn: arn("events", "rule/sweep-rule"),
      },
    });
  });

  it("the workflow starts by a rule that may only start it, calls its stages, and writes its errors and traces", async () => {
    const declared = await exact(
      () => new ImagePipeline("photos", { tags: TAGS }),
      /^photos-workflow-(machine|role|policy|logs|rule|rule-role|rule-policy|target)$/,
    );
    const machine = arn("states", "stateMachine:photos-workflow-machine");
    const stage = (name: string) => arn("lambda", `function:photos-workflow-${name}-function`);
    const stages = ["validate", "generate-thumbnails", "extract-metadata", "store-results", "record-failure"].map(stage);
    const { "photos-workflow-machine": stateMachine, ...others } = declared;
    const { definition, ...inputs } = stateMachine;
    for (const called of stages) assert.ok(definition.includes(called), called);
    const role = (name: string) => `arn:aws:iam::${ACCOUNT}:role/${name}`;
    assert.deepEqual(inputs, {
      type: "EXPRESS",
      roleArn: role("photos-workflow-role"),
      loggingConfiguration: {
        level: "ERROR",
        includeExecutionData: false,
        logDestination: `${arn("logs", "log-group:/aws/vendedlogs/states/photos-workflow-#")}:*`,
      },
      tracingConfiguration: { enabled: true },
      tags: TAGS,
    });
    const from = { StringEquals: { "aws:SourceAccount": ACCOUNT } };
    const rule = arn("events", "rule/photos-workflow-rule");
    assert.deepEqual(others, {
      "photos-workflow-logs": { name: "/aws/vendedlogs/states/photos-workflow-#", retentionInDays: 30, tags: TAGS },
      "photos-workflow-role": { ...trust("states.amazonaws.com", from), tags: TAGS },
      "photos-workflow-policy": {
        role: "photos-workflow-role",
        policy: policy(
          allow("lambda:InvokeFunction", stages),
          allow("dynamodb:GetItem", arn("dynamodb", "table/photos-ImageTags-table")),
          allow("rekognition:DetectLabels", "*"),
          allow(["s3:GetObject"], "arn:aws:s3:::photos-thumbnails-bucket/labels/*"),
          allow("sns:Publish", arn("sns", "photos-results-topic")),
          allow("sqs:SendMessage", arn("sqs", "photos-dead-letters-queue")),
          allow(
            [
              ...["CreateLogDelivery", "GetLogDelivery", "UpdateLogDelivery", "DeleteLogDelivery", "ListLogDeliveries"],
              ...["PutResourcePolicy", "DescribeResourcePolicies", "DescribeLogGroups"],
            ].map((action) => `logs:${action}`),
            "*",
          ),
          allow(["xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"], "*"),
        ),
      },
      "photos-workflow-rule": {
        description: "An image has arrived.",
        eventPattern: JSON.stringify({
          source: ["aws.s3"],
          "detail-type": ["Object Created"],
          detail: { bucket: { name: ["photos-uploads-bucket"] }, object: { key: [{ prefix: "uploads/" }] } },
        }),
        state: "ENABLED",
        tags: TAGS,
      },
      "photos-workflow-rule-role": { ...trust("events.amazonaws.com", { ...from, ArnEquals: { "aws:SourceArn": rule } }), tags: TAGS },
      "photos-workflow-rule-policy": { role: "photos-workflow-rule-role", policy: policy(allow("states:StartExecution", machine)) },
      "photos-workflow-target": {
        rule: "photos-workflow-rule",
        arn: machine,
        roleArn: role("photos-workflow-rule-role"),
        deadLetterConfig: { arn: arn("sqs", "photos-dead-letters-queue") },
        retryPolicy: { maximumRetryAttempts: 185, maximumEventAgeInSeconds: 86_400 },
      },
    });
  });

  const ringing = {
    statistic: "Sum",
    period: 300,
    evaluationPeriods: 1,
    comparisonOperator: "GreaterThanThreshold",
    threshold: 0,
    treatMissingData: "notBreaching",
  };

  it("an alarm rings for anything within five minutes, and is silent when nothing happens", async () => {
    const failed = { description: "It failed.", namespace: "AWS/Lambda", metricName: "Errors", dimensions: { FunctionName: "it" } };
    assert.deepEqual(await exact(() => new Alarms("alarm", { on: { itFailed: failed }, topic: "arn:topic", tags: TAGS })), {
      "alarm-it-failed": {
        alarmDescription: "It failed.",
        namespace: "AWS/Lambda",
        metricName: "Errors",
        dimensions: { FunctionName: "it" },
        ...ringing,
        alarmActions: ["arn:topic"],
        tags: TAGS,
      },
    });
  });

  it("the alarms are for whatever fails, is held up or is parked", async () => {
    const declared = await exact(() => new ImagePipeline("photos"), /^photos-(alarm-|dead-letters-alarm)/);
    const alarm = (alarmDescription: string, namespace: string, metricName: string, dimensions: object, how: object = ringing) => ({
      ...{ alarmDescription, namespace, metricName, dimensions, ...how },
      alarmActions: [arn("sns", "photos-alarms-topic")],
    });
    const of = (name: string) => ({ FunctionName: `photos-${name}-function` });
    const machine = { StateMachineArn: arn("states", "stateMachine:photos-workflow-machine") };
    const parked = "Work is parked that could not be done: look at GET /failures, and redrive it.";
    assert.deepEqual(declared, {
      "photos-alarm-api-failed": alarm("The HTTP API's handler failed.", "AWS/Lambda", "Errors", of("api")),
      "photos-alarm-api-throttled": alarm("More calls come than the API may serve at once.", "AWS/Lambda", "Throttles", of("api")),
      "photos-alarm-clean-up-failed": alarm(
        "What belonged to deleted images could not be removed.",
        ...(["AWS/Lambda", "Errors", of("clean-up")] as const),
      ),
      "photos-alarm-sweep-failed": alarm(
        "The search for images whose processing never ended failed.",
        ...(["AWS/Lambda", "Errors", of("sweep")] as const),
      ),
      "photos-alarm-thumbnails-throttled": alarm(
        "More images come than may be processed at once.",
        ...(["AWS/Lambda", "Throttles", of("workflow-generate-thumbnails")] as const),
      ),
      "photos-alarm-starts-failed": alarm("EventBridge could not start the workflow.", "AWS/Events", "FailedInvocations", {
        RuleName: "photos-workflow-rule",
      }),
      "photos-alarm-workflow-failed": alarm(
        "Images could not be processed for want of infrastructure.",
        ...(["AWS/States", "ExecutionsFailed", machine] as const),
      ),
      "photos-alarm-workflow-timed-out": alarm(
        "Processing took too long; the sweep parks the images.",
        ...(["AWS/States", "ExecutionsTimedOut", machine] as const),
      ),
      // Of what lies there, not of what happens: rung within a minute.
      "photos-dead-letters-alarm": alarm(
        ...([parked, "AWS/SQS", "ApproximateNumberOfMessagesVisible", { QueueName: "photos-dead-letters-queue" }] as const),
        { ...ringing, statistic: "Maximum", period: 60 },
      ),
    });
  });

  after(async () => {
    const types = await reviewedTypes(new URL("image-pipeline.resources.txt", import.meta.url));
    assert.deepEqual(
      [...types].filter((type) => !seen.has(type)),
      [],
      "types whose inputs nobody has looked at",
    );
  });
});
