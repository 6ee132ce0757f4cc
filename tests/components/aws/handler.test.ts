import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import { Handler, type HandlerArgs } from "../../../components/aws/handler.js";
import { declared, recorded } from "../../declared.js";

describe("Handler", () => {
  const args: HandlerArgs = { entry: "functions/aws/clean-up.ts" };
  const LOGS = "arn:aws:logs:eu-west-1:123456789012:log-group:clean-up-logs";

  it("is a function on arm64 with its package, its log and tracing", async () => {
    const { function: functions } = await declared(() => new Handler("clean-up", args));
    const { code, ...inputs } = functions["clean-up-function"];
    assert.deepEqual(inputs, {
      runtime: "nodejs24.x",
      architectures: ["arm64"],
      handler: "index.handler",
      role: "arn:aws:iam::123456789012:role/clean-up-role",
      memorySize: 512,
      timeout: 30,
      environment: { variables: {} },
      loggingConfig: { logFormat: "JSON", logGroup: "clean-up-logs", applicationLogLevel: "INFO", systemLogLevel: "INFO" },
      tracingConfig: { mode: "Active" },
    });
    const path = await code.path;
    assert.match(path, /^\.build\/handlers\/clean-up-[0-9a-f]{16}\.zip$/, "relative, so that nobody's folders are in the state");
    assert.ok(existsSync(path));
  });

  it("keeps its log for 30 days", async () => {
    const { logGroup } = await declared(() => new Handler("clean-up", args));
    assert.deepEqual(logGroup, { "clean-up-logs": { retentionInDays: 30 } });
  });

  it("may do what is granted, write its own log and its traces, and nothing else", async () => {
    const grants = [{ Action: "s3:GetObject", Resource: pulumi.output("arn:aws:s3:::photos/*") }];
    const { role, rolePolicy } = await declared(() => new Handler("clean-up", { ...args, grants }));
    assert.deepEqual(role, {
      "clean-up-role": {
        assumeRolePolicy: {
          Version: "2012-10-17",
          Statement: [{ Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" }],
        },
      },
    });
    assert.deepEqual(rolePolicy, {
      "clean-up-policy": {
        name: "grants",
        role: "clean-up-role",
        policy: {
          Version: "2012-10-17",
          Statement: [
            { Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::photos/*" },
            { Effect: "Allow", Action: ["logs:CreateLogStream", "logs:PutLogEvents"], Resource: `${LOGS}:*` },
            { Effect: "Allow", Action: ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], Resource: "*" },
          ],
        },
      },
    });
  });

  it("is there only after its policy and its log are", async () => {
    const resources = await recorded(() => new Handler("clean-up", args));
    const { after } = resources.find(({ name }) => name === "clean-up-function") ?? {};
    assert.deepEqual(after, ["clean-up-logs", "clean-up-policy", "clean-up-role"]);
  });

  it("takes memory, time, environment, tags and retention as they are asked for", async () => {
    const asked: HandlerArgs = {
      ...args,
      memory: "2 GB",
      timeout: "2 minutes",
      environment: { BUCKET: pulumi.output("photos") },
      logRetention: "31 days",
      tags: { team: "photos" },
    };
    const { function: functions, logGroup, role } = await declared(() => new Handler("clean-up", asked));
    const { memorySize, timeout, environment, tags } = functions["clean-up-function"];
    assert.deepEqual(
      { memorySize, timeout, environment, tags },
      { memorySize: 2048, timeout: 120, environment: { variables: { BUCKET: "photos" } }, tags: { team: "photos" } },
    );
    assert.deepEqual(logGroup["clean-up-logs"], { retentionInDays: 60, tags: { team: "photos" } }, "the next that CloudWatch offers");
    assert.deepEqual(role["clean-up-role"].tags, { team: "photos" });
  });

  it("parks events that it failed on, with a grant for that queue", async () => {
    const { function: functions, rolePolicy } = await declared(() => new Handler("clean-up", { ...args, deadLetters: "arn:parked" }));
    assert.deepEqual(functions["clean-up-function"].deadLetterConfig, { targetArn: "arn:parked" });
    assert.deepEqual(rolePolicy["clean-up-policy"].policy.Statement[0], {
      Effect: "Allow",
      Action: "sqs:SendMessage",
      Resource: "arn:parked",
    });
  });

  it("cuts names that Lambda and IAM would not take, with a hash", async () => {
    const long = "a-pipeline-with-a-long-name-generate-thumbnails-for-everybody";
    const { function: functions, role } = await declared(() => new Handler(long, args));
    assert.match(functions?.[`${long}-function`].name, /^a-pipeline-.{1,45}-[0-9a-f]{7}$/);
    assert.equal(role?.[`${long}-role`].name.length <= 64, true);
  });

  it("reaches each resource by its transform", async () => {
    const transform = { function: { ephemeralStorage: { size: 1024 } }, role: { path: "/photos/" }, logs: { retentionInDays: 1 } };
    const { function: functions, role, logGroup } = await declared(() => new Handler("clean-up", { ...args, transform }));
    assert.deepEqual(functions["clean-up-function"].ephemeralStorage, { size: 1024 });
    assert.equal(role["clean-up-role"].path, "/photos/");
    assert.equal(logGroup["clean-up-logs"].retentionInDays, 1);
  });

  const refused: [Partial<HandlerArgs>, string][] = [
    [{ memory: "127 MB" }, 'clean-up: memory is "127 MB": it must be between "128 MB" and "10240 MB".'],
    [{ timeout: "16 minutes" }, 'clean-up: timeout is "16 minutes": it must be more than zero and at most "15 minutes".'],
    [{ logRetention: "1 hour" }, 'clean-up: logRetention is "1 hour": it must be between "1 day" and "3650 days".'],
  ];
  for (const [asked, message] of refused) {
    it(`refuses ${JSON.stringify(asked)}`, async () => {
      await assert.rejects(
        declared(() => new Handler("clean-up", { ...args, ...asked })),
        { code: "INVALID_ARGUMENT", message },
      );
    });
  }

  it("fails the program when it cannot be packaged", async () => {
    await assert.rejects(
      declared(() => new Handler("lost", { entry: "functions/aws/lost.ts" })),
      /handler lost: Could not resolve/,
    );
  });
});
