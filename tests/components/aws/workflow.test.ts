import assert from "node:assert/strict";
import { Workflow, type WorkflowArgs } from "../../../components/aws/workflow.js";
import { workflowDefinition } from "../../../components/aws/workflow-definition.js";
import type { Settings } from "../../../functions/core/settings.js";
import { declared, recorded } from "../../declared.js";

const SETTINGS: Settings = {
  variants: { small: { width: 100, height: 100, fit: "cover", format: "auto", quality: 80 } },
  limits: { bytes: 25_000_000, pixels: 50_000_000 },
  gps: false,
  auth: { kind: "key" },
  tagger: "cloud",
  linkLifetime: 900,
};

const ARGS: WorkflowArgs = {
  uploads: { bucket: "up", arn: "arn:aws:s3:::up", prefix: "uploads/" },
  thumbnails: { bucket: "thumbs", arn: "arn:aws:s3:::thumbs" },
  records: { name: "records", arn: "arn:aws:dynamodb:eu-west-1:123456789012:table/records" },
  tags: { name: "tags", arn: "arn:aws:dynamodb:eu-west-1:123456789012:table/tags" },
  topic: "arn:aws:sns:eu-west-1:123456789012:results",
  deadLetters: { arn: "arn:aws:sqs:eu-west-1:123456789012:parked", url: "https://sqs.eu-west-1.amazonaws.com/123456789012/parked" },
  settings: SETTINGS,
};

const declare = (args: Partial<WorkflowArgs> = {}) => declared(() => new Workflow("flow", { ...ARGS, ...args }));
const withTagger = (tagger: Settings["tagger"]) => declare({ settings: { ...SETTINGS, tagger } });

interface Statement {
  Action: string | string[];
  Resource: string | string[];
  Condition?: object;
}
const document = (policy: unknown) => (typeof policy === "string" ? JSON.parse(policy) : policy) as { Statement: Statement[] };
/** Action → resources, of one policy. */
const grants = (policy: unknown): Record<string, string[]> => {
  const found: Record<string, string[]> = {};
  for (const { Action, Resource } of document(policy).Statement) {
    for (const action of [Action].flat()) found[action] = [...(found[action] ?? []), ...[Resource].flat()];
  }
  return found;
};
/** Without what every handler needs for its log and traces. */
const ownGrants = (policy: unknown) =>
  Object.fromEntries(Object.entries(grants(policy)).filter(([action]) => !/^(logs|xray):/.test(action)));

const RECORDS = [ARGS.records.arn];
const TAGS = [ARGS.tags.arn];
const ORIGINAL = { "s3:GetObject": ["arn:aws:s3:::up/uploads/*"], "s3:ListBucket": ["arn:aws:s3:::up"] };

describe("Workflow", () => {
  it("is an Express state machine that logs errors, without the images' data", async () => {
    const { stateMachine, logGroup } = await declare();
    const { definition, roleArn, loggingConfiguration, ...machine } = stateMachine["flow-machine"];
    assert.deepEqual(machine, { type: "EXPRESS", tracingConfiguration: { enabled: true } });
    assert.match(loggingConfiguration.logDestination, /:\*$/);
    assert.deepEqual([loggingConfiguration.level, loggingConfiguration.includeExecutionData], ["ERROR", false]);
    assert.match(logGroup["flow-logs"].name, /^\/aws\/vendedlogs\/states\/flow-[0-9a-f]{7}$/);
    assert.equal(logGroup["flow-logs"].retentionInDays, 30);
    assert.match(roleArn, /flow-role/);
  });

  it("can be a Standard one", async () => {
    assert.equal((await declare({ kind: "standard" })).stateMachine["flow-machine"].type, "STANDARD");
  });

  it("calls what was declared for it", async () => {
    const { stateMachine } = await declare();
    const definition = JSON.parse(stateMachine["flow-machine"].definition);
    const arn = (name: string) => `arn:aws:lambda:eu-west-1:123456789012:function:flow-${name}-function`;
    const functions = {
      validate: arn("validate"),
      generateThumbnails: arn("generate-thumbnails"),
      extractMetadata: arn("extract-metadata"),
      storeResults: arn("store-results"),
      recordFailure: arn("record-failure"),
    };
    const resources = {
      functions,
      thumbnails: "thumbs",
      tags: "tags",
      topic: String(ARGS.topic),
      deadLetters: String(ARGS.deadLetters.url),
    };
    assert.deepEqual(definition, JSON.parse(JSON.stringify(workflowDefinition(resources, SETTINGS))));
  });

  it("is there only after its role may write the log", async () => {
    const resources = await recorded(() => new Workflow("flow", ARGS));
    assert.ok(resources.find(({ name }) => name === "flow-machine")?.after.includes("flow-policy"));
    assert.ok(resources.find(({ name }) => name === "flow-target")?.after.includes("flow-rule-policy"));
  });

  it("has a role that may do what its states do, and only for machines of this account", async () => {
    const { rolePolicy, role } = await declare();
    const { "lambda:InvokeFunction": functions, ...own } = ownGrants(rolePolicy["flow-policy"].policy);
    assert.equal(functions?.length, 5);
    assert.ok(functions?.every((arn) => arn.startsWith("arn:aws:lambda:")));
    assert.deepEqual(own, {
      "dynamodb:GetItem": TAGS,
      "rekognition:DetectLabels": ["*"],
      "s3:GetObject": ["arn:aws:s3:::thumbs/labels/*"],
      "sns:Publish": [ARGS.topic],
      "sqs:SendMessage": [ARGS.deadLetters.arn],
    });
    assert.deepEqual(document(role["flow-role"].assumeRolePolicy).Statement[0]?.Condition, {
      StringEquals: { "aws:SourceAccount": "123456789012" },
    });
  });

  it("without the cloud's labels has no leave to look for any", async () => {
    for (const tagger of ["statistics", "none"] as const) {
      const { rolePolicy } = await withTagger(tagger);
      const actions = Object.keys(ownGrants(rolePolicy["flow-policy"].policy));
      assert.deepEqual(actions.toSorted(), ["lambda:InvokeFunction", "sns:Publish", "sqs:SendMessage"], tagger);
    }
  });

  describe("grants each stage what it uses:", () => {
    const stages = {
      validate: { ...ORIGINAL, "dynamodb:GetItem": RECORDS, "dynamodb:PutItem": RECORDS },
      "generate-thumbnails": {
        ...ORIGINAL,
        "s3:PutObject": ["arn:aws:s3:::thumbs/thumbnails/*", "arn:aws:s3:::thumbs/labels/*"],
        "s3:DeleteObject": ["arn:aws:s3:::thumbs/thumbnails/*"],
      },
      "extract-metadata": ORIGINAL,
      "store-results": {
        "dynamodb:GetItem": RECORDS,
        "dynamodb:PutItem": [...RECORDS, ...TAGS],
        "s3:DeleteObject": ["arn:aws:s3:::thumbs/thumbnails/*"],
        "dynamodb:BatchWriteItem": TAGS,
      },
      "record-failure": {
        "dynamodb:GetItem": RECORDS,
        "dynamodb:PutItem": RECORDS,
        "s3:DeleteObject": ["arn:aws:s3:::thumbs/thumbnails/*"],
        "dynamodb:BatchWriteItem": TAGS,
      },
    };
    for (const [stage, expected] of Object.entries(stages)) {
      it(stage, async () => {
        const { rolePolicy } = await declare();
        assert.deepEqual(ownGrants(rolePolicy[`flow-${stage}-policy`].policy), expected);
      });
    }

    it("and no picture for taggers where none looks at it", async () => {
      const { rolePolicy } = await withTagger("statistics");
      assert.deepEqual(grants(rolePolicy["flow-generate-thumbnails-policy"].policy)["s3:PutObject"], ["arn:aws:s3:::thumbs/thumbnails/*"]);
      assert.deepEqual(ownGrants(rolePolicy["flow-detect-labels-policy"].policy), { "dynamodb:GetItem": TAGS, "dynamodb:PutItem": TAGS });
    });
  });

  it("starts for every object that is created under the prefix, whatever its name's ending", async () => {
    const { eventRule, eventTarget, role, rolePolicy } = await declare();
    assert.deepEqual(JSON.parse(eventRule["flow-rule"].eventPattern), {
      source: ["aws.s3"],
      "detail-type": ["Object Created"],
      detail: { bucket: { name: ["up"] }, object: { key: [{ prefix: "uploads/" }] } },
    });
    const { arn, roleArn, ...target } = eventTarget["flow-target"];
    assert.deepEqual(target, {
      rule: "flow-rule",
      deadLetterConfig: { arn: ARGS.deadLetters.arn },
      retryPolicy: { maximumRetryAttempts: 185, maximumEventAgeInSeconds: 86_400 },
    });
    assert.deepEqual(grants(rolePolicy["flow-rule-policy"].policy), { "states:StartExecution": [arn] });
    assert.match(roleArn, /flow-rule-role/);
    assert.deepEqual(role["flow-rule-role"].assumeRolePolicy.Statement, [
      {
        Effect: "Allow",
        Principal: { Service: "events.amazonaws.com" },
        Action: "sts:AssumeRole",
        Condition: {
          StringEquals: { "aws:SourceAccount": "123456789012" },
          ArnEquals: { "aws:SourceArn": "arn:aws:events:eu-west-1:123456789012:rule/flow-rule" },
        },
      },
    ]);
  });

  it("gives each function what it reads of its environment, and nothing else", async () => {
    const { function: functions } = await declare();
    const variables = (stage: string) => Object.keys(functions[`flow-${stage}-function`].environment.variables).toSorted();
    assert.deepEqual(variables("validate"), ["PIPELINE_SETTINGS", "RECORDS_TABLE", "UPLOADS_BUCKET"]);
    assert.deepEqual(variables("generate-thumbnails"), ["PIPELINE_SETTINGS", "THUMBNAILS_BUCKET", "UPLOADS_BUCKET"]);
    assert.deepEqual(variables("extract-metadata"), ["PIPELINE_SETTINGS", "UPLOADS_BUCKET"]);
    for (const stage of ["store-results", "record-failure"]) {
      assert.deepEqual(variables(stage), ["PIPELINE_SETTINGS", "RECORDS_TABLE", "TAGS_TABLE", "THUMBNAILS_BUCKET"]);
    }
  });

  it("takes a tagger of one's own from where it is, and only when it is asked for", async () => {
    const refused = (args: Partial<WorkflowArgs>) =>
      assert.rejects(declare(args), { code: "INVALID_ARGUMENT", message: /^flow: taggerModule is/ });
    await refused({ taggerModule: "./taggers/logo.ts" });
    await refused({ settings: { ...SETTINGS, tagger: "module" } });
  });

  it("can be changed underneath: all functions, and each other resource", async () => {
    const { function: functions, stateMachine } = await declare({
      transform: { function: { memorySize: 2_048 }, machine: { tracingConfiguration: { enabled: false } } },
    });
    assert.deepEqual(
      [...new Set(Object.values(functions as Record<string, { memorySize: number }>).map(({ memorySize }) => memorySize))],
      [2_048],
    );
    assert.equal(stateMachine["flow-machine"].tracingConfiguration.enabled, false);
    await assert.rejects(declare({ transform: { queue: {} } as never }), /queue/);
  });

  it("carries the labels of its pipeline", async () => {
    const { function: functions, stateMachine, role, eventRule, logGroup } = await declare({ labels: { team: "photos" } });
    for (const each of [functions, stateMachine, role, eventRule, logGroup].flatMap(Object.values))
      assert.deepEqual(each.tags, { team: "photos" });
  });
});
