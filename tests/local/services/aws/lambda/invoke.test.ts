import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { GetFunctionCommand, InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { strToU8, zipSync } from "fflate";
import iam from "../../../../../local/services/aws/iam.js";
import { RESERVED_KEYS } from "../../../../../local/services/aws/lambda/function.js";
import lambda from "../../../../../local/services/aws/lambda/index.js";
import logs from "../../../../../local/services/aws/logs.js";
import sqs from "../../../../../local/services/aws/sqs/index.js";
import { type TestCloud, testCloud } from "../../../cloud.js";
import { declareFunction, declareRole, FUNCTION, invoke, LOG_GROUP, packaged } from "./functions.js";

describe("Lambda", () => {
  let test: TestCloud;
  beforeEach(async () => {
    test = await testCloud([iam(), logs(), lambda()]);
  });
  afterEach(() => test.stop());

  describe("an invocation", () => {
    it("returns what the handler returns", async () => {
      const fn = await declareFunction(test, "echo", "export const handler = async (event) => ({ got: event });");
      assert.deepEqual(await invoke(test, fn, { a: [1, "ü"] }), {
        StatusCode: 200,
        ExecutedVersion: "$LATEST",
        Payload: { got: { a: [1, "ü"] } },
      });
    });

    it("returns null for a handler that returns nothing", async () => {
      const fn = await declareFunction(test, "nothing", "export const handler = async () => {};");
      assert.equal((await invoke(test, fn)).Payload, null);
    });

    it("uses a warm environment again", async () => {
      const fn = await declareFunction(test, "warm", "let calls = 0; export const handler = async () => [++calls, process.pid];");
      const [first, second] = [(await invoke(test, fn)).Payload, (await invoke(test, fn)).Payload];
      assert.deepEqual([first[0], second[0]], [1, 2]);
      assert.equal(first[1], second[1]);
    });

    it("loads CommonJS handlers and nested files", async () => {
      const code = packaged({
        "src/app.js": "exports.api = { handler: async () => require('./other.js').name };",
        "src/other.js": "exports.name = 'other';",
      });
      const fn = await declareFunction(test, "common", "", { code, handler: "src/app.api.handler" });
      assert.equal((await invoke(test, fn)).Payload, "other");
    });

    it("gives the handler Lambda's context", async () => {
      const source = `export const handler = async (_, context) => ({ ...context, left: context.getRemainingTimeInMillis() });`;
      const fn = await declareFunction(test, "context", source, { timeout: 7, memorySize: 256 });
      const { Payload } = await invoke(test, fn);
      const { awsRequestId, logStreamName, left, ...rest } = Payload;
      assert.match(awsRequestId, /^[0-9a-f-]{36}$/);
      assert.match(logStreamName, /^\d{4}\/\d\d\/\d\d\/\[\$LATEST\][0-9a-f]{32}$/);
      assert.ok(left > 5_000 && left <= 7_000, `${left} ms left`);
      const name = fn.outputs.name;
      assert.deepEqual(rest, {
        functionName: name,
        functionVersion: "$LATEST",
        memoryLimitInMB: "256",
        logGroupName: `/aws/lambda/${name}`,
        invokedFunctionArn: fn.outputs.arn,
      });
    });

    it("works with the SDK, for who is allowed to invoke", async () => {
      const fn = await declareFunction(
        test,
        "sdk",
        "export const handler = async ({ fail }) => { if (fail) throw new TypeError('no'); return 'yes'; };",
      );
      const invoker = await declareRole(test, "invoker", "lambda.amazonaws.com", ["lambda:InvokeFunction"]);
      const client = new LambdaClient(test.clientFor(invoker));
      const answer = await client.send(new InvokeCommand({ FunctionName: fn.outputs.arn, Payload: Buffer.from("{}"), LogType: "Tail" }));
      assert.equal(answer.Payload?.transformToString(), '"yes"');
      assert.match(Buffer.from(answer.LogResult ?? "", "base64").toString(), /START RequestId: .*\nEND RequestId: .*\nREPORT RequestId/s);
      assert.equal(
        (await client.send(new InvokeCommand({ FunctionName: fn.outputs.name, Payload: Buffer.from('{"fail":1}') }))).FunctionError,
        "Unhandled",
      );
      await assert.rejects(client.send(new GetFunctionCommand({ FunctionName: fn.outputs.name })), {
        name: "AccessDeniedException",
        message: /assumed-role\/invoker-.* is not authorized to perform: lambda:GetFunction/,
      });
      const owner = new LambdaClient(test.client());
      assert.equal((await owner.send(new GetFunctionCommand({ FunctionName: fn.outputs.name }))).Configuration?.Runtime, "nodejs22.x");
      await assert.rejects(owner.send(new InvokeCommand({ FunctionName: "none" })), { name: "ResourceNotFoundException" });
    });

    it("refuses events of more than 6 MB and what is no JSON", async () => {
      const fn = await declareFunction(test, "limits", "export const handler = async (event) => event.length;");
      await assert.rejects(invoke(test, fn, "x".repeat(6_291_455)), { code: "RequestEntityTooLargeException", status: 413 });
      await assert.rejects(invoke(test, fn, {}, { Payload: Buffer.from("{") }), { code: "InvalidRequestContentException" });
      assert.equal((await invoke(test, fn, "x".repeat(6_291_454))).Payload, 6_291_454);
    });

    it("fails when the response has more than 6 MB", async () => {
      const fn = await declareFunction(test, "large", "export const handler = async () => 'x'.repeat(6_300_000);");
      const { FunctionError, Payload } = await invoke(test, fn);
      assert.deepEqual([FunctionError, Payload.errorType], ["Unhandled", "Function.ResponseSizeTooLarge"]);
    });
  });

  describe("an error", () => {
    const failures: [what: string, source: string, errorType: string, errorMessage: RegExp][] = [
      [
        "thrown by the handler",
        "class ImageRefused extends Error { name = 'ImageRefused' } export const handler = async () => { throw new ImageRefused('bad'); };",
        "ImageRefused",
        /^bad$/,
      ],
      ["that is no Error", "export const handler = async () => { throw 'text'; };", "string", /^text$/],
      [
        "in a promise that nobody awaits",
        "export const handler = async () => { Promise.reject(new Error('lost')); await new Promise((r) => setTimeout(r, 500)); };",
        "Runtime.UnhandledPromiseRejection",
        /^Error: lost$/,
      ],
      [
        "in a callback",
        "export const handler = () => new Promise(() => setTimeout(() => { throw new RangeError('late'); }, 1));",
        "RangeError",
        /^late$/,
      ],
      ["on loading", "throw new Error('no table'); export const handler = 1;", "Error", /^no table$/],
      ["of syntax", "export const handler = async () => {", "Runtime.UserCodeSyntaxError", /SyntaxError/],
      [
        "for want of the handler",
        "export const other = async () => {};",
        "Runtime.HandlerNotFound",
        /^index.handler is undefined or not exported$/,
      ],
      [
        "for a handler with a callback",
        "export const handler = (event, context, callback) => callback(null, 1);",
        "Runtime.CallbackHandlerDeprecated",
        /async/,
      ],
      [
        "by leaving",
        "export const handler = async () => process.exit(3);",
        "Runtime.ExitError",
        /^RequestId: [0-9a-f-]+ Error: Runtime exited with error: exit status 3$/,
      ],
      [
        "by leaving politely",
        "export const handler = async () => process.exit(0);",
        "Runtime.ExitError",
        /Runtime exited without providing a reason$/,
      ],
      ["of a result that is no JSON", "export const handler = async () => ({ big: 1n });", "Error", /^Unable to stringify response body$/],
    ];
    for (const [what, source, errorType, errorMessage] of failures)
      it(`${what} is reported as AWS words it, and the next invocation finds a working environment`, async () => {
        const fn = await declareFunction(test, "failing", source);
        for (let i = 0; i < 2; i++) {
          const { FunctionError, StatusCode, Payload } = await invoke(test, fn);
          assert.deepEqual([StatusCode, FunctionError, Payload.errorType], [200, "Unhandled", errorType]);
          assert.match(Payload.errorMessage, errorMessage);
        }
      });

    it("for want of a module names the module", async () => {
      const fn = await declareFunction(test, "importing", "", {
        code: packaged({ "index.js": "require('left-pad'); exports.handler = async () => 1;" }),
      });
      const { Payload } = await invoke(test, fn);
      assert.equal(Payload.errorType, "Runtime.ImportModuleError");
      assert.match(Payload.errorMessage, /^Error: Cannot find module 'left-pad'/);
    });
  });

  describe("the limits of an environment", () => {
    it("end a handler that takes longer than the timeout, also one that blocks", async () => {
      const fn = await declareFunction(
        test,
        "slow",
        "export const handler = async ({ block }) => { while (block); await new Promise(() => setInterval(() => {}, 1000)); };",
        { timeout: 1 },
      );
      for (const block of [false, true]) {
        const { FunctionError, Payload } = await invoke(test, fn, { block });
        assert.equal(FunctionError, "Unhandled");
        assert.match(Payload.errorMessage, /^RequestId: [0-9a-f-]+ Error: Task timed out after 1.00 seconds$/);
      }
    });

    it("end a handler that needs more memory than declared, within the heap or outside", async () => {
      const source = `export const handler = async ({ heap }) => {
        const held = []; const end = Date.now() + 5000;
        while (Date.now() < end) { held.push(heap ? new Array(1e6).fill({}).map(() => ({ a: 1 })) : Buffer.alloc(2e7, 1)); await new Promise((r) => setTimeout(r, 10)); }
      };`;
      const fn = await declareFunction(test, "greedy", source, { memorySize: 128, timeout: 10 });
      const { Payload } = await invoke(test, fn, { heap: false });
      assert.equal(Payload.errorType, "Runtime.OutOfMemory");
      assert.match(Payload.errorMessage, /^RequestId: [0-9a-f-]+ Error: Runtime exited with error: signal: killed$/);
      assert.match((await invoke(test, fn, { heap: true })).Payload.errorType, /^Runtime\.(OutOfMemory|ExitError)$/);
    });

    it("refuse more invocations at once than the account has, with 429", async () => {
      await test.stop();
      test = await testCloud([iam(), logs(), lambda({ concurrency: 2 })]);
      const fn = await declareFunction(test, "busy", "export const handler = async () => new Promise((r) => setTimeout(r, 300, 1));");
      const results = await Promise.allSettled([1, 2, 3].map(() => invoke(test, fn)));
      assert.deepEqual(
        results.map(({ status }) => status),
        ["fulfilled", "fulfilled", "rejected"],
      );
      const { reason } = results[2] as PromiseRejectedResult;
      assert.deepEqual(
        [reason.code, reason.status, reason.message, reason.details.Reason],
        ["TooManyRequestsException", 429, "Rate Exceeded.", "ConcurrentInvocationLimitExceeded"],
      );
      assert.equal((await invoke(test, fn)).Payload, 1);
    });

    it("keep what a function reserved for itself from the others, and from more than that", async () => {
      await test.stop();
      test = await testCloud([iam(), logs(), lambda({ concurrency: 101 })]);
      const fn = await declareFunction(test, "reserved", "export const handler = async () => new Promise((r) => setTimeout(r, 200, 1));", {
        reservedConcurrentExecutions: 1,
      });
      const [, second] = await Promise.allSettled([invoke(test, fn), invoke(test, fn)]);
      assert.equal((second as PromiseRejectedResult).reason.details.Reason, "ReservedFunctionConcurrentInvocationLimitExceeded");
    });

    it("leave new accounts no room for reservations", async () => {
      await assert.rejects(declareFunction(test, "reserved", "", { reservedConcurrentExecutions: 1 }), {
        code: "InvalidParameterValueException",
        message: /below its minimum value of \[10\]/,
      });
    });
  });

  describe("the environment of a handler", () => {
    const source = "export const handler = async () => ({ ...process.env });";

    it("has what was declared, Lambda's reserved variables and the redirection, and nothing of this process", async () => {
      process.env.SOMETHING_OF_THE_HOST = "1";
      const fn = await declareFunction(test, "keys", source, { environment: { variables: { TABLE: "photos" } } });
      const { Payload } = await invoke(test, fn);
      const unused = ["AWS_ACCESS_KEY"];
      const reserved = [...RESERVED_KEYS].filter((key) => !unused.includes(key));
      const others = ["TABLE", "AWS_ENDPOINT_URL", "AWS_LAMBDA_LOG_FORMAT", "LANG", "PATH", "TZ"];
      assert.deepEqual(Object.keys(Payload).sort(), [...reserved, ...others].sort());
      assert.equal(Payload.TABLE, "photos");
      assert.equal(Payload.AWS_ENDPOINT_URL, test.cloud.url);
      assert.match(Payload._X_AMZN_TRACE_ID, /^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0$/);
    });

    it("carries credentials of the declared role", async () => {
      const role = await declareRole(test, "reader", "lambda.amazonaws.com");
      const fn = await declareFunction(test, "credentials", source, { role: role.outputs.arn });
      const { AWS_ACCESS_KEY_ID: id, AWS_SESSION_TOKEN: token, AWS_SECRET_ACCESS_KEY: secret } = (await invoke(test, fn)).Payload;
      const holder = test.cloud.authority.holderOf(id, token, "lambda");
      assert.equal(holder.secret, secret);
      assert.deepEqual(holder.principal, {
        kind: "role",
        role: role.outputs.arn,
        arn: `arn:aws:sts::000000000000:assumed-role/${role.outputs.name}/${fn.outputs.name}`,
      });
    });

    it("cannot declare what Lambda reserves, nor more than 4 KB", async () => {
      const declared = (variables: Record<string, string>) =>
        declareFunction(test, `declares-${Object.keys(variables).length}`, source, { environment: { variables } });
      await assert.rejects(declared({ AWS_REGION: "x", OK: "1" }), {
        code: "InvalidParameterValueException",
        message: /Reserved keys used in this request: AWS_REGION$/,
      });
      await assert.rejects(declared({ LONG: "x".repeat(4_096) }), { message: /exceeded the 4KB limit/ });
    });

    it("has only the binaries of sharp from this machine, where the package is for another", async () => {
      const foreign = process.arch === "arm64" ? "x86_64" : "arm64";
      const platform = `${process.platform}-${process.arch}`;
      const files = {
        "index.js": `exports.handler = async () => [typeof require("@img/sharp-${platform}/sharp.node"), (() => { try { return require.resolve("fflate"); } catch (e) { return e.code; } })()];`,
      };
      const fn = await declareFunction(test, "foreign", "", { code: packaged(files), architectures: [foreign] });
      assert.deepEqual((await invoke(test, fn)).Payload, ["object", "MODULE_NOT_FOUND"]);
      await invoke(test, fn);
      const notes = test.cloud.trace
        .entries("note")
        .filter(({ subject }) => subject === fn.outputs.name)
        .map(({ text }) => text);
      assert.deepEqual(
        notes.filter((text) => text.includes("@img")),
        [`packaged for Linux on ${foreign}: @img/sharp-${platform} is this machine's own`],
      );
      const own = await declareFunction(test, "own", "", {
        code: packaged(files),
        architectures: [process.arch === "arm64" ? "arm64" : "x86_64"],
      });
      if (process.platform === "linux") assert.equal((await invoke(test, own)).Payload.errorType, "Error");
    });
  });

  describe("what a function writes", () => {
    const events = async (group: string) =>
      (await test.cloud.call({ service: "logs", operation: "FilterLogEvents", input: { logGroupName: group }, as: test.owner })).events.map(
        ({ message }: { message: string }) => message,
      );

    it("goes to its log group as text, with START, END and REPORT", async () => {
      const group = await test.declare(LOG_GROUP, "group", { name: "/own/group" });
      const source =
        "export const handler = async () => { console.log('two\\nlines %d', 1); console.error(new Error('x')); process.stdout.write('raw\\n'); };";
      const fn = await declareFunction(test, "text", source, { loggingConfig: { logFormat: "Text", logGroup: group.outputs.name } });
      await invoke(test, fn);
      await test.cloud.settled();
      const lines: string[] = await events("/own/group");
      assert.match(lines[0] ?? "", /^START RequestId: [0-9a-f-]{36} Version: \$LATEST$/);
      assert.match(lines.find((line) => line.includes("two")) ?? "", /^\d{4}-[\dT:.-]+Z\t[0-9a-f-]{36}\tINFO\ttwo\nlines 1$/);
      assert.ok(lines.includes("raw"));
      assert.match(lines.at(-2) ?? "", /^END RequestId/);
      assert.match(
        lines.at(-1) ?? "",
        /^REPORT RequestId: [0-9a-f-]{36}\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\tMax Memory Used: \d+ MB\tInit Duration: [\d.]+ ms\t$/,
      );
    });

    it("goes there as JSON above the declared level", async () => {
      const group = await test.declare(LOG_GROUP, "group");
      const source =
        "export const handler = async () => { console.info('hidden'); console.warn({ key: 'a.jpg' }); console.error('failed', new TypeError('x')); };";
      const fn = await declareFunction(test, "json", source, {
        loggingConfig: { logFormat: "JSON", logGroup: group.outputs.name, applicationLogLevel: "WARN" },
      });
      await invoke(test, fn);
      await test.cloud.settled();
      const lines = (await events(group.outputs.name)).map((line: string) => JSON.parse(line));
      assert.deepEqual(
        lines.map((line: { type?: string; level?: string }) => line.type ?? line.level),
        ["platform.start", "WARN", "ERROR", "platform.report"],
      );
      assert.deepEqual(lines[1].message, { key: "a.jpg" });
      assert.deepEqual([lines[2].errorType, lines[2].errorMessage], ["TypeError", "x"]);
      assert.equal(lines[3].record.status, "success");
      assert.ok(lines[3].record.metrics.initDurationMs > 0);
    });

    it("is lost when the role may not write, and the invocation is not", async () => {
      const group = await test.declare(LOG_GROUP, "group");
      const role = await declareRole(test, "mute", "lambda.amazonaws.com");
      const fn = await declareFunction(test, "mute-function", "export const handler = async () => { console.log('unheard'); return 1; };", {
        role: role.outputs.arn,
        loggingConfig: { logFormat: "Text", logGroup: group.outputs.name },
      });
      assert.equal((await invoke(test, fn)).Payload, 1);
      await test.cloud.settled();
      assert.deepEqual(await events(group.outputs.name), []);
      assert.ok(test.cloud.trace.entries("log").some(({ text }) => text.endsWith("unheard")));
    });
  });

  describe("an asynchronous invocation", () => {
    const source =
      "import fs from 'node:fs'; export const handler = async ({ file, fail }, { awsRequestId }) => { fs.appendFileSync(file, awsRequestId + '\\n'); if (fail) throw new Error('again'); };";

    it("is accepted at once and tried three times", async () => {
      const fn = await declareFunction(test, "event", source);
      for (const [fail, attempts] of [
        [false, 1],
        [true, 3],
      ] as const) {
        const file = `${test.folder}/attempts-${fail}`;
        assert.deepEqual(await invoke(test, fn, { file, fail }, { InvocationType: "Event" }), { StatusCode: 202 });
        await test.cloud.settled();
        const ids = readFileSync(file, "utf8").trim().split("\n");
        assert.equal(ids.length, attempts);
        assert.equal(new Set(ids).size, 1);
      }
    });

    it("waits for a free slot", async () => {
      await test.stop();
      test = await testCloud([iam(), logs(), lambda({ concurrency: 1 })]);
      const fn = await declareFunction(test, "queued", source);
      const file = `${test.folder}/queued`;
      for (let i = 0; i < 4; i++) await invoke(test, fn, { file }, { InvocationType: "Event" });
      await test.cloud.settled();
      assert.equal(readFileSync(file, "utf8").trim().split("\n").length, 4);
    });

    it("is parked in the dead-letter queue, with the event and the error, by the function's role", async () => {
      await test.stop();
      test = await testCloud([iam(), logs(), sqs(), lambda()]);
      const queue = await test.declare("aws:sqs/queue:Queue", "parked");
      const target = { deadLetterConfig: { targetArn: queue.outputs.arn } };
      await assert.rejects(declareFunction(test, "forbidden", source, target), {
        message: "The provided execution role does not have permissions to call SendMessage on SQS",
      });
      const role = await declareRole(test, "parking", "lambda.amazonaws.com", ["sqs:SendMessage"]);
      const fn = await declareFunction(test, "parks", source, { ...target, role: role.outputs.arn });
      await invoke(test, fn, { file: `${test.folder}/parked`, fail: true }, { InvocationType: "Event" });
      await test.cloud.settled();
      const input = { QueueUrl: queue.outputs.url, MessageAttributeNames: ["All"] };
      const { Messages } = await test.cloud.call({ service: "sqs", operation: "ReceiveMessage", input, as: test.owner });
      assert.equal(Messages.length, 1);
      assert.deepEqual(JSON.parse(Messages[0].Body), { file: `${test.folder}/parked`, fail: true });
      assert.equal(Messages[0].MessageAttributes.ErrorMessage.StringValue, "again");
    });

    it("is refused above 1 MB", async () => {
      const fn = await declareFunction(test, "large-event", source);
      await assert.rejects(invoke(test, fn, "x".repeat(1_048_576), { InvocationType: "Event" }), { status: 413 });
    });
  });

  describe("a function as a resource", () => {
    it("has the outputs that the provider declares", async () => {
      const fn = await declareFunction(test, "outputs", "export const handler = async () => 1;");
      const { outputs } = fn;
      assert.equal(outputs.arn, `arn:aws:lambda:us-east-1:000000000000:function:${outputs.name}`);
      assert.equal(outputs.invokeArn, `arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/${outputs.arn}/invocations`);
      for (const name of [
        "architectures",
        "codeSha256",
        "ephemeralStorage",
        "lastModified",
        "loggingConfig",
        "qualifiedArn",
        "qualifiedInvokeArn",
        "region",
        "responseStreamingInvokeArn",
        "role",
        "signingJobArn",
        "signingProfileVersionArn",
        "sourceCodeHash",
        "sourceCodeSize",
        "tagsAll",
        "tracingConfig",
        "version",
      ])
        assert.notEqual(outputs[name], undefined, name);
    });

    it("runs its new code after a change", async () => {
      const fn = await declareFunction(test, "changing", "export const handler = async () => 'old';");
      assert.equal((await invoke(test, fn)).Payload, "old");
      const changed = await test.change(fn, {
        ...fn.inputs,
        code: packaged({ "index.mjs": "export const handler = async () => 'new';" }),
      });
      assert.equal((await invoke(test, changed)).Payload, "new");
      assert.notEqual(changed.outputs.codeSha256, fn.outputs.codeSha256);
    });

    it("is gone after its deletion", async () => {
      const fn = await declareFunction(test, "gone", "export const handler = async () => 1;");
      await test.remove(fn);
      await assert.rejects(invoke(test, fn), { code: "ResourceNotFoundException" });
    });

    it("needs a role that Lambda may take", async () => {
      const role = await declareRole(test, "stranger", "states.amazonaws.com");
      await assert.rejects(declareFunction(test, "f", "", { role: role.outputs.arn }), {
        code: "InvalidParameterValueException",
        message: /^The role defined for the function cannot be assumed by Lambda/,
      });
    });

    const wrong: [string, Record<string, unknown>, RegExp][] = [
      ["runtime", { runtime: "python3.13" }, /runtime is "python3.13": it must be one of nodejs/],
      ["memory", { memorySize: 64 }, /memorySize is 64: it must be a whole number from 128 to 10240 MB/],
      ["timeout", { timeout: 901 }, /from 1 to 900 seconds/],
      ["architecture", { architectures: ["riscv"] }, /must be one of arm64, x86_64/],
      ["log level with text", { loggingConfig: { applicationLogLevel: "INFO" } }, /needs logFormat "JSON"/],
    ];
    for (const [what, inputs, message] of wrong)
      it(`is refused with a wrong ${what}`, () => assert.rejects(declareFunction(test, "wrong", "", inputs), { message }));

    it("runs a zip as it is", async () => {
      const path = join(test.folder, "package.zip");
      const zip = zipSync({
        "index.mjs": strToU8("export { handler } from './lib/inner.mjs';"),
        "lib/inner.mjs": strToU8("export const handler = async () => 'zip';"),
      });
      await writeFile(path, zip);
      const fn = await declareFunction(test, "zip", "", { code: { archive: { path, hash: "" } } });
      assert.equal((await invoke(test, fn)).Payload, "zip");
      assert.equal(fn.outputs.codeSha256, createHash("sha256").update(zip).digest("base64"));
    });

    it("runs a folder", async () => {
      const path = join(test.folder, "package");
      await mkdir(join(path, "lib"), { recursive: true });
      await writeFile(join(path, "lib", "index.cjs"), "exports.handler = async () => 'folder';");
      const fn = await declareFunction(test, "folder", "", { code: { archive: { path, hash: "" } }, handler: "lib/index.handler" });
      assert.equal((await invoke(test, fn)).Payload, "folder");
    });

    it("is refused without a package, and with one that is no zip or leads out of its folder", async () => {
      await assert.rejects(declareFunction(test, "none", "", { code: undefined }), { message: /code is missing/ });
      for (const [name, bytes, message] of [
        ["no-zip", Buffer.from("text"), /Could not unzip/],
        ["outside", zipSync({ "../x.mjs": strToU8("") }), /lies outside of the package/],
      ] as const) {
        const path = join(test.folder, name);
        await writeFile(path, bytes);
        await assert.rejects(declareFunction(test, name, "", { code: { archive: { path, hash: "" } } }), {
          code: "InvalidParameterValueException",
          message,
        });
      }
    });
  });

  it("leaves no process behind when it stops, even one that is busy", async () => {
    const fn = await declareFunction(
      test,
      "stuck",
      "import fs from 'node:fs'; export const handler = async ({ file }) => { fs.writeFileSync(file, String(process.pid)); for (;;); };",
      { timeout: 60 },
    );
    const file = `${test.folder}/pid`;
    const running = invoke(test, fn, { file });
    await eventually(() => assert.notEqual(readFileSync(file, "utf8"), ""));
    const pid = Number(readFileSync(file, "utf8"));
    process.kill(pid, 0);
    const began = performance.now();
    await test.cloud.stop();
    assert.ok(performance.now() - began < 1_000);
    assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
    await running;
  });

  it("leaves no process behind when this one is killed", async () => {
    const folder = await mkdtemp(join(tmpdir(), "parent-"));
    const child = spawn(process.execPath, ["--import", "tsx", join(import.meta.dirname, "parent.ts"), folder], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = await once(child.stdout, "data");
    const pid = Number(String(line));
    process.kill(pid, 0);
    child.kill("SIGKILL");
    await once(child, "exit");
    await rm(folder, { recursive: true });
    await eventually(() => assert.ok(isGone(pid), `${pid} still runs`));
  });

  it("keeps of its packages those that are in use", async () => {
    const packages = () => readdirSync(join(test.folder, "lambda", "packages")).length;
    const fn = await declareFunction(test, "twice", "export const handler = async () => 1;");
    await declareFunction(test, "same", "export const handler = async () => 1;");
    await test.change(fn, { ...fn.inputs, code: packaged({ "index.mjs": "export const handler = async () => 2;" }) });
    const next = await test.change(fn, { ...fn.inputs, code: packaged({ "index.mjs": "export const handler = async () => 3;" }) });
    assert.equal((await invoke(test, next)).Payload, 3);
    assert.equal(packages(), 3);
    await test.cloud.stop();
    assert.equal(packages(), 2);
  });

  it("finds a kept function again, without its zip", async () => {
    const fn = await declareFunction(test, "kept", "export const handler = async () => 'kept';");
    const services = [iam(), logs(), lambda()];
    const { folder, cloud } = test;
    await cloud.stop();
    const next = await testCloud(services, { folder });
    try {
      await declareRole(next, "kept-role", "lambda.amazonaws.com");
      const restored = await services[2]?.resources?.[FUNCTION]?.restore?.({ ...fn, inputs: { ...fn.inputs, code: {} } }, next.cloud);
      next.cloud.resources.add({ ...fn, outputs: restored ?? {} });
      assert.equal((await invoke(next, fn)).Payload, "kept");
    } finally {
      await next.cloud.stop();
    }
  });
});

/** Whether a process has ended, though nobody may have asked for its status yet. */
function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform === "linux" && /\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return true;
  }
}

/** Waits, at most a second, for what another process does. */
async function eventually(check: () => void): Promise<void> {
  for (const end = Date.now() + 1_000; ; await setTimeout(10)) {
    try {
      return check();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}
