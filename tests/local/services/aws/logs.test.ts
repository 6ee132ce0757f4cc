import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Properties, Resource } from "../../../../local/kernel/service.js";
import iam from "../../../../local/services/aws/iam.js";
import logs from "../../../../local/services/aws/logs.js";
import { type TestCloud, testCloud } from "../../cloud.js";

const LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup";
const DAY = 86_400_000;

describe("CloudWatch Logs", () => {
  let test: TestCloud;
  let now = Date.now();
  let group: Resource;
  const start = async (options = {}) => {
    test = await testCloud([logs(), iam()], { clock: () => new Date(now), ...options });
    group = await test.declare(LOG_GROUP, "group", { name: "/aws/lambda/resize", retentionInDays: 1 });
  };
  afterEach(() => test?.stop());

  const call = (operation: string, input: Properties = {}, as = test.owner) =>
    test.cloud.call({ service: "logs", operation, input: { logGroupName: group.id, ...input }, as });
  const write = async (logStreamName: string, ...messages: string[]) => {
    await call("CreateLogStream", { logStreamName }).catch(() => {});
    await call("PutLogEvents", { logStreamName, logEvents: messages.map((message) => ({ timestamp: now, message })) });
  };
  const found = async (input: Properties = {}) => (await call("FilterLogEvents", input)).events.map(({ message }: Properties) => message);

  it("keeps what is written, by stream, in the order of time", async () => {
    await start();
    await write("a", "one", "two");
    await write("b", "three");
    assert.deepEqual(await found(), ["one", "two", "three"]);
    assert.deepEqual(await found({ logStreamNames: ["b"] }), ["three"]);
    const { events } = await call("GetLogEvents", { logStreamName: "a", startFromHead: true });
    assert.deepEqual(
      events.map(({ message }: Properties) => message),
      ["one", "two"],
    );
  });

  it("pages", async () => {
    await start();
    await write("a", "1", "2", "3");
    const first = await call("GetLogEvents", { logStreamName: "a", startFromHead: true, limit: 2 });
    const second = await call("GetLogEvents", { logStreamName: "a", limit: 2, nextToken: first.nextForwardToken });
    assert.deepEqual(
      [...first.events, ...second.events].map(({ message }: Properties) => message),
      ["1", "2", "3"],
    );
    const page = await call("FilterLogEvents", { limit: 2 });
    assert.deepEqual(await found({ nextToken: page.nextToken }), ["3"]);
  });

  it("filters by terms, all of them, any of them, none of them", async () => {
    await start();
    await write("a", "ERROR disk full", "ERROR timeout", "INFO fine");
    assert.deepEqual(await found({ filterPattern: "ERROR -timeout" }), ["ERROR disk full"]);
    assert.deepEqual(await found({ filterPattern: '"disk full"' }), ["ERROR disk full"]);
    assert.deepEqual(await found({ filterPattern: "?timeout ?fine" }), ["ERROR timeout", "INFO fine"]);
    await assert.rejects(found({ filterPattern: "{ $.level = 1 }" }), { message: /does not implement/ });
  });

  it("lets a role write only to the groups that it may", async () => {
    await start();
    const assumeRolePolicy = {
      Version: "2012-10-17",
      Statement: { Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" },
    };
    const role = await test.declare("aws:iam/role:Role", "role", { assumeRolePolicy });
    const as = test.session(role).principal;
    await assert.rejects(call("CreateLogStream", { logStreamName: "s" }, as), {
      message: /logs:CreateLogStream on resource: arn:aws:logs:us-east-1:000000000000:log-group:\/aws\/lambda\/resize:log-stream:s because/,
    });
    const Statement = { Effect: "Allow", Action: ["logs:CreateLogStream", "logs:PutLogEvents"], Resource: `${group.outputs.arn}:*` };
    await test.declare("aws:iam/rolePolicy:RolePolicy", "grant", { role: role.id, policy: { Version: "2012-10-17", Statement } });
    await call("CreateLogStream", { logStreamName: "s" }, as);
    await call("PutLogEvents", { logStreamName: "s", logEvents: [{ timestamp: now, message: "hello" }] }, as);
    await assert.rejects(call("FilterLogEvents", {}, as), { code: "AccessDeniedException" });
    await assert.rejects(call("CreateLogStream", { logGroupName: "/other", logStreamName: "s" }, as), { code: "AccessDeniedException" });
    assert.deepEqual(await found(), ["hello"]);
  });

  it("takes vended logs from the delivery service, and from no other", async () => {
    await start();
    const from = (service: string) => ({ kind: "service", service }) as const;
    await call("CreateLogStream", { logStreamName: "s" }, from("delivery.logs.amazonaws.com") as never);
    await assert.rejects(call("CreateLogStream", { logStreamName: "t" }, from("s3.amazonaws.com") as never), {
      code: "AccessDeniedException",
    });
  });

  it("drops events after the group's retention", async () => {
    await start();
    await write("a", "old");
    now += DAY + 1;
    await write("a", "new");
    assert.deepEqual(await found(), ["new"]);
  });

  it("knows what is not there", async () => {
    await start();
    await assert.rejects(call("FilterLogEvents", { logGroupName: "nobody" }), { code: "ResourceNotFoundException" });
    await assert.rejects(call("PutLogEvents", { logStreamName: "nobody", logEvents: [{ timestamp: 1, message: "x" }] }), {
      code: "ResourceNotFoundException",
    });
    await assert.rejects(test.declare(LOG_GROUP, "odd", { retentionInDays: 2 }), { message: /retentionInDays is 2: it must be one of/ });
  });

  it("keeps logs from run to run", async () => {
    const folder = await mkdtemp(join(tmpdir(), "logs-"));
    try {
      await start({ folder, kept: true });
      await write("a", "kept");
      await test.stop();
      test = await testCloud([logs()], { folder, kept: true, clock: () => new Date(now) });
      await test.restore(group);
      assert.deepEqual(await found(), ["kept"]);
      await write("a", "more");
      assert.deepEqual(await found(), ["kept", "more"]);
    } finally {
      await test.stop();
      await rm(folder, { recursive: true });
    }
  });
});
