import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import * as pulumi from "@pulumi/pulumi";
import { ImagePipeline, type ImagePipelineArgs } from "../../../components/aws/image-pipeline.js";
import { type Declared, type DeclareOptions, recorded } from "../../declared.js";

const declare = (args?: ImagePipelineArgs, options?: DeclareOptions) => recorded(() => new ImagePipeline("photos", args), options);

const called = (resources: Declared[], name: string): Declared => {
  const found = resources.find((resource) => resource.name === name);
  assert.ok(found, `${name} is not declared`);
  return found;
};

/** Action → resources, of an inline policy, but for what every function has. */
function granted(resources: Declared[], role: string): Record<string, string[]> {
  const grants: Record<string, string[]> = {};
  for (const { Effect, Action, Resource } of called(resources, `${role}-policy`).inputs.policy.Statement) {
    assert.equal(Effect, "Allow");
    for (const action of [Action].flat()) {
      if (!/^(logs|xray):/.test(action)) grants[action] = [...(grants[action] ?? []), ...[Resource].flat()].sort();
    }
  }
  return grants;
}

const UPLOADS = "arn:aws:s3:::photos-uploads-bucket";
const THUMBNAILS = "arn:aws:s3:::photos-thumbnails-bucket";
const RECORDS = "arn:aws:dynamodb:eu-west-1:123456789012:table/photos-ImageProcessingDb-table";
const TAGS = "arn:aws:dynamodb:eu-west-1:123456789012:table/photos-ImageTags-table";
const PARKED = "arn:aws:sqs:eu-west-1:123456789012:photos-dead-letters-queue";
const MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:photos-workflow-machine";
const RESULTS = "arn:aws:sns:eu-west-1:123456789012:photos-results-topic";

describe("ImagePipeline on AWS", () => {
  let resources: Declared[];
  before(async () => {
    resources = await declare({ notify: { email: "ops@example.org" }, tags: { team: "photos" } });
  });

  it("has these resources, whose names people rely on", async () => {
    // To be changed with care: a resource of another name is another resource, and data go with the old one.
    const reviewed = await readFile(new URL("image-pipeline.resources.txt", import.meta.url), "utf8");
    assert.equal(`${resources.map(({ name, type }) => `${name}  ${type}`).join("\n")}\n`, reviewed);
  });

  it("gives the outputs of the contract", async () => {
    let outputs: Record<string, unknown> = {};
    await recorded(async () => {
      const { url, apiKey, uploads, thumbnails, topic, workflow, records, deadLetters } = new ImagePipeline("photos");
      assert.equal(await pulumi.isSecret(apiKey), true);
      const all = pulumi.all({ url, apiKey, uploads, thumbnails, topic, workflow, records, deadLetters });
      outputs = await new Promise((resolve) => all.apply(resolve));
    });
    assert.deepEqual(outputs, {
      url: "https://photos-http-api.execute-api.eu-west-1.amazonaws.com",
      apiKey: "a-key-that-was-generated",
      uploads: "photos-uploads-bucket",
      thumbnails: "photos-thumbnails-bucket",
      topic: RESULTS,
      workflow: MACHINE,
      records: "photos-ImageProcessingDb-table",
      deadLetters: "https://sqs.eu-west-1.amazonaws.com/123456789012/photos-dead-letters-queue",
    });
  });

  it("lets the API do exactly what it does", () => {
    assert.deepEqual(granted(resources, "photos-api"), {
      "s3:GetObject": [`${THUMBNAILS}/thumbnails/*`, `${UPLOADS}/uploads/*`],
      "s3:PutObject": [`${UPLOADS}/uploads/*`],
      "s3:DeleteObject": [`${THUMBNAILS}/thumbnails/*`, `${UPLOADS}/uploads/*`],
      "s3:ListBucket": [THUMBNAILS, UPLOADS],
      "dynamodb:GetItem": [RECORDS],
      "dynamodb:BatchGetItem": [RECORDS],
      "dynamodb:PutItem": [RECORDS],
      "dynamodb:DeleteItem": [RECORDS],
      "dynamodb:Query": [`${RECORDS}/index/byStatus`, `${RECORDS}/index/byTime`, `${RECORDS}/index/byUser`, TAGS],
      "dynamodb:BatchWriteItem": [TAGS],
      "sqs:ReceiveMessage": [PARKED],
      "sqs:DeleteMessage": [PARKED],
      "sqs:ChangeMessageVisibility": [PARKED],
      "sqs:SendMessage": [PARKED],
      "states:StartExecution": [MACHINE],
      "secretsmanager:GetSecretValue": ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:photos-api-key-secret"],
    });
  });

  it("lets the clean-up do exactly what it does", () => {
    assert.deepEqual(granted(resources, "photos-clean-up"), {
      "s3:GetObject": [`${UPLOADS}/uploads/*`],
      "s3:DeleteObject": [`${THUMBNAILS}/thumbnails/*`],
      "s3:ListBucket": [UPLOADS],
      "dynamodb:GetItem": [RECORDS],
      "dynamodb:PutItem": [RECORDS],
      "dynamodb:BatchWriteItem": [TAGS],
      "states:StartExecution": [MACHINE],
      "sqs:SendMessage": [PARKED],
    });
  });

  it("lets the sweep do exactly what it does", () => {
    assert.deepEqual(granted(resources, "photos-sweep"), {
      "s3:GetObject": [`${UPLOADS}/uploads/*`],
      "s3:DeleteObject": [`${THUMBNAILS}/thumbnails/*`],
      "s3:ListBucket": [UPLOADS],
      "dynamodb:GetItem": [RECORDS],
      "dynamodb:PutItem": [RECORDS],
      "dynamodb:DeleteItem": [RECORDS],
      "dynamodb:Query": [`${RECORDS}/index/byStatus`],
      "dynamodb:BatchWriteItem": [TAGS],
      "sqs:SendMessage": [PARKED],
      "sns:Publish": [RESULTS],
    });
  });

  it("grants nothing by a wildcard but what has no name", () => {
    const nameless = /^(xray:|rekognition:DetectLabels$|logs:(\w+LogDeliver(y|ies)|\w+ResourcePolic(y|ies)|DescribeLogGroups)$)/;
    for (const { name, inputs } of resources.filter(({ type }) => type === "aws:iam/rolePolicy:RolePolicy")) {
      for (const { Action, Resource } of inputs.policy.Statement) {
        for (const action of [Action].flat()) {
          assert.doesNotMatch(action, /\*/, name);
          if ([Resource].flat().includes("*")) assert.match(action, nameless, name);
        }
      }
    }
  });

  it("gives every function a role of its own", () => {
    const roles = resources.filter(({ type }) => type === "aws:lambda/function:Function").map(({ inputs }) => inputs.role);
    assert.equal(new Set(roles).size, roles.length);
  });

  it("labels whatever can carry labels", () => {
    const bare =
      /RolePolicy|SecretVersion|Permission|EventTarget|(Queue|Topic|Bucket)Policy|TopicSubscription|Bucket[A-Z]|Integration|Route|dynamic/;
    for (const { name, type, inputs } of resources) {
      if (!bare.test(type)) assert.deepEqual(inputs.tags, { team: "photos" }, `${name} ${type}`);
    }
  });

  it("keeps every log for as long as it is told", async () => {
    const logs = (await declare({ logs: { retention: "1 day" } })).filter(({ type }) => type === "aws:cloudwatch/logGroup:LogGroup");
    assert.equal(logs.length, 10);
    for (const { name, inputs } of logs) assert.equal(inputs.retentionInDays, 1, name);
  });

  it("follows deletions within uploads/, and parks those that it could not follow", () => {
    assert.deepEqual(JSON.parse(called(resources, "photos-deleted-rule").inputs.eventPattern), {
      source: ["aws.s3"],
      "detail-type": ["Object Deleted"],
      detail: { bucket: { name: ["photos-uploads-bucket"] }, object: { key: [{ prefix: "uploads/" }] } },
    });
    assert.deepEqual(called(resources, "photos-deleted-target").inputs.deadLetterConfig, { arn: PARKED });
    assert.deepEqual(called(resources, "photos-clean-up-function").inputs.deadLetterConfig, { targetArn: PARKED });
  });

  it("sweeps every five minutes", () => {
    assert.equal(called(resources, "photos-sweep-rule").inputs.scheduleExpression, "rate(5 minutes)");
  });

  it("takes dead letters from its own two rules only", () => {
    const [, sources] = called(resources, "photos-dead-letters-policy").inputs.policy.Statement;
    assert.deepEqual(sources.Condition.ArnEquals["aws:SourceArn"], [
      "arn:aws:events:eu-west-1:123456789012:rule/photos-workflow-rule",
      "arn:aws:events:eu-west-1:123456789012:rule/photos-deleted-rule",
    ]);
  });

  it("lets its own page upload by ticket, and the origins that are named", async () => {
    const cors = called(await declare({ origins: ["https://app.example.org"] }), "photos-uploads-cors");
    assert.deepEqual(cors.inputs.corsRules[0].allowedOrigins, [
      "https://photos-http-api.execute-api.eu-west-1.amazonaws.com",
      "https://app.example.org",
    ]);
  });

  it("rings on an alarm topic of its own", () => {
    const alarms = resources.filter(({ type }) => type === "aws:cloudwatch/metricAlarm:MetricAlarm");
    assert.deepEqual(
      alarms.map(({ name }) => name),
      [
        "photos-alarm-api-failed",
        "photos-alarm-api-throttled",
        "photos-alarm-clean-up-failed",
        "photos-alarm-starts-failed",
        "photos-alarm-sweep-failed",
        "photos-alarm-thumbnails-throttled",
        "photos-alarm-workflow-failed",
        "photos-alarm-workflow-timed-out",
        "photos-dead-letters-alarm",
      ],
    );
    for (const { inputs } of alarms) {
      assert.deepEqual(inputs.alarmActions, ["arn:aws:sns:eu-west-1:123456789012:photos-alarms-topic"]);
      assert.equal(inputs.treatMissingData, "notBreaching");
    }
    assert.deepEqual(called(resources, "photos-alarm-starts-failed").inputs.dimensions, { RuleName: "photos-workflow-rule" });
  });

  it("tells its handlers what was chosen", async () => {
    const chosen = await declare({ thumbnails: { card: { width: 320, height: 200 } }, limits: { bytes: "1 MB" }, tagger: "none" });
    const { variables } = called(chosen, "photos-api-function").inputs.environment;
    assert.deepEqual(JSON.parse(variables.PIPELINE_SETTINGS), {
      variants: { card: { width: 320, height: 200, fit: "cover", format: "auto", quality: 80 } },
      limits: { bytes: 1_000_000, pixels: 50_000_000 },
      gps: false,
      auth: { kind: "key" },
      tagger: "none",
      linkLifetime: 900,
    });
    assert.equal(variables.API_KEY_SECRET, "arn:aws:secretsmanager:eu-west-1:123456789012:secret:photos-api-key-secret");
  });

  it("has no key where nobody needs one", async () => {
    const open = await declare({ auth: "none" });
    assert.deepEqual(
      open.filter(({ name }) => name.includes("api-key")),
      [],
    );
    assert.equal("API_KEY_SECRET" in called(open, "photos-api-function").inputs.environment.variables, false);
    assert.equal("secretsmanager:GetSecretValue" in granted(open, "photos-api"), false);
  });

  it("adopts a bucket without touching its configuration", async () => {
    const functions = { "aws:s3/getBucketNotification:getBucketNotification": { eventbridge: true } };
    const adopting = await declare({ source: { existing: "company-uploads" } }, { functions });
    assert.deepEqual(
      adopting.filter(({ type, inputs }) => type.startsWith("aws:s3/") && inputs.bucket === "company-uploads"),
      [],
    );
    assert.deepEqual(granted(adopting, "photos-api")["s3:PutObject"], ["arn:aws:s3:::company-uploads/uploads/*"]);
    const { detail } = JSON.parse(called(adopting, "photos-workflow-rule").inputs.eventPattern);
    assert.deepEqual(detail.bucket.name, ["company-uploads"]);
  });

  it("leaves buckets, tables and the key behind where they are to be retained, and nothing else", async () => {
    const kept = (await declare({ removal: "retain" })).filter(({ retainOnDelete }) => retainOnDelete);
    assert.deepEqual([...new Set(kept.map(({ type }) => type.split("/")[0]))].sort(), ["aws:dynamodb", "aws:s3", "aws:secretsmanager"]);
    assert.equal(kept.filter(({ type }) => type === "aws:s3/bucket:Bucket").length, 2);
    assert.equal(kept.filter(({ type }) => type === "aws:dynamodb/table:Table").length, 2);
    assert.deepEqual(
      resources.filter(({ retainOnDelete }) => retainOnDelete),
      [],
    );
  });

  it("runs a workflow of the kind that is asked for", async () => {
    assert.equal(called(resources, "photos-workflow-machine").inputs.type, "EXPRESS");
    const standard = await declare({ aws: { workflow: "standard" } });
    assert.equal(called(standard, "photos-workflow-machine").inputs.type, "STANDARD");
  });

  it("reaches every part by its transform", async () => {
    const transformed = await declare({
      transform: {
        uploads: { bucket: { tags: { tier: "hot" } } },
        records: { table: { streamEnabled: true } },
        api: { function: { memorySize: 3008 } },
        alarms: { apiFailed: { threshold: 5 } },
        workflow: { machine: { publish: true } },
      },
    });
    assert.deepEqual(called(transformed, "photos-uploads-bucket").inputs.tags, { tier: "hot" });
    assert.equal(called(transformed, "photos-ImageProcessingDb-table").inputs.streamEnabled, true);
    assert.equal(called(transformed, "photos-api-function").inputs.memorySize, 3008);
    assert.equal(called(transformed, "photos-alarm-api-failed").inputs.threshold, 5);
    assert.equal(called(transformed, "photos-workflow-machine").inputs.publish, true);
  });

  const refused: [string, unknown, string, string][] = [
    ["a part that there is not", { transform: { table: {} } }, "UNKNOWN_CHILD", "photos: transform.table names no child: "],
    [
      "an option of AWS that is none",
      { aws: { region: "x" } },
      "INVALID_ARGUMENT",
      'photos: an option is "aws.region": it must be workflow.',
    ],
    [
      "a workflow of no kind",
      { aws: { workflow: "fast" } },
      "INVALID_ARGUMENT",
      'photos: aws.workflow is "fast": it must be "express" or "standard".',
    ],
    [
      "an argument that is wrong",
      { removal: "never" },
      "INVALID_ARGUMENT",
      'photos: removal is "never": it must be "destroy" or "retain".',
    ],
  ];
  for (const [what, args, code, message] of refused) {
    it(`refuses ${what}, before anything is declared`, async () => {
      const seen: Declared[] = [];
      await assert.rejects(
        declare(args as ImagePipelineArgs).then((all) => seen.push(...all)),
        (error: Error & { code: string }) => {
          assert.equal(error.code, code);
          assert.ok(error.message.startsWith(message), error.message);
          return true;
        },
      );
      assert.deepEqual(seen, []);
    });
  }
});
