import * as cloudwatch from "@pulumi/aws/cloudwatch/index.js";
import * as iam from "@pulumi/aws/iam/index.js";
import type * as lambda from "@pulumi/aws/lambda/index.js";
import * as sfn from "@pulumi/aws/sfn/index.js";
import * as pulumi from "@pulumi/pulumi";
import type { Settings } from "../../functions/core/settings.js";
import { Component, type Transform, transformed } from "../core/component.js";
import { InvalidArgument } from "../core/errors.js";
import { fitting, physicalName } from "../core/naming.js";
import { tagged } from "../core/options.js";
import type { Duration, MemorySize } from "../core/units.js";
import { onMissing, onObjects } from "./grants.js";
import { Handler, type HandlerArgs } from "./handler.js";
import { retentionInDays } from "./logs.js";
import { grant, type Statement, trust } from "./policy.js";
import { TIMEOUTS, workflowDefinition } from "./workflow-definition.js";

/** Changes to the resources underneath, and by a stage's name to those of its handler: `{ validate: { logs: { … } } }`. */
interface WorkflowTransform extends StageTransforms {
  /** Each of the stages' functions, before what is for one stage only. */
  function?: Transform<lambda.FunctionArgs>;
  machine?: Transform<sfn.StateMachineArgs>;
  role?: Transform<iam.RoleArgs>;
  policy?: Transform<iam.RolePolicyArgs>;
  logs?: Transform<cloudwatch.LogGroupArgs>;
  rule?: Transform<cloudwatch.EventRuleArgs>;
  target?: Transform<cloudwatch.EventTargetArgs>;
  ruleRole?: Transform<iam.RoleArgs>;
  rulePolicy?: Transform<iam.RolePolicyArgs>;
}

type StageTransforms = { [S in Stage]?: HandlerArgs["transform"] };

/** Options of {@link Workflow}. */
export interface WorkflowArgs {
  /** Where images arrive: a bucket that tells EventBridge of its objects, and what their keys begin with (`uploads/`). */
  uploads: { bucket: pulumi.Input<string>; arn: pulumi.Input<string>; prefix: string };
  /** The bucket for the variants. */
  thumbnails: { bucket: pulumi.Input<string>; arn: pulumi.Input<string> };
  /** The table of the records. */
  records: { name: pulumi.Input<string>; arn: pulumi.Input<string> };
  /** The table of the tags, and of remembered labels. */
  tags: { name: pulumi.Input<string>; arn: pulumi.Input<string> };
  /** ARN of the topic that results are announced on. */
  topic: pulumi.Input<string>;
  /** The queue for work that could not be done. It has to accept messages of EventBridge for {@link Workflow.ruleArn}. */
  deadLetters: { arn: pulumi.Input<string>; url: pulumi.Input<string> };
  settings: Settings;
  /** For the tagger `module`: its path, from the root of the program's project. */
  taggerModule?: string | undefined;
  /**
   * `"express"` costs a tenth and keeps its history in the logs only; `"standard"` shows each execution in the console, and can run longer than
   * five minutes. A change replaces the state machine.
   * @default "express"
   */
  kind?: "express" | "standard" | undefined;
  /** @default "30 days" */
  logRetention?: Duration | undefined;
  /** Labels on every resource that can carry them. */
  labels?: Record<string, string> | undefined;
  transform?: WorkflowTransform | undefined;
}

const CHILDREN = ["machine", "role", "policy", "logs", "rule", "target", "ruleRole", "rulePolicy"] as const;
const STAGES = Object.keys(TIMEOUTS) as Stage[];

type Stage = keyof typeof TIMEOUTS;

/**
 * What happens to an image from its arrival to its announcement: a state machine, a function per stage that needs code, each with exactly the
 * grants that it uses, and the rule that starts an execution for every object that is created.
 */
export class Workflow extends Component<(typeof CHILDREN)[number] | Stage> {
  /** ARN of the state machine. */
  readonly arn: pulumi.Output<string>;
  /** ARN of the rule that starts it: the source of dead letters that never became an execution. */
  readonly ruleArn: pulumi.Output<string>;
  /** Name of that rule. */
  readonly ruleName: pulumi.Output<string>;

  /** The resources underneath. */
  readonly nodes: {
    functions: Functions;
    machine: sfn.StateMachine;
    role: iam.Role;
    logs: cloudwatch.LogGroup;
    rule: cloudwatch.EventRule;
    target: cloudwatch.EventTarget;
  };

  constructor(name: string, args: WorkflowArgs, opts?: pulumi.ComponentResourceOptions) {
    const retention = retentionInDays(args.logRetention ?? "30 days", `${name}: logRetention`);
    if ((args.settings.tagger === "module") !== (args.taggerModule !== undefined)) {
      throw new InvalidArgument(
        `${name}: taggerModule`,
        args.taggerModule,
        'the path of a module where the tagger is "module", and absent otherwise',
      );
    }
    const { function: _, ...transform } = args.transform ?? {};
    super("aws:Workflow", name, { children: [...CHILDREN, ...STAGES], transform }, opts);

    const functions = this.createFunctions(args);
    const logs = this.createLogs(args, retention);
    const role = this.createRole(args);
    const policy = this.createPolicy(args, role, functions);
    const machine = this.createMachine(args, functions, { role, policy, logs });
    const rule = this.createRule(args);
    const target = this.createTarget(args, rule, machine);

    this.nodes = { functions, machine, role, logs, rule, target };
    this.arn = machine.arn;
    this.ruleArn = rule.arn;
    this.ruleName = rule.name;
    this.registerOutputs({ arn: this.arn });
  }

  private createFunctions(args: WorkflowArgs): Functions {
    const { uploads, thumbnails, records, tags, settings, taggerModule } = args;
    const PIPELINE_SETTINGS = JSON.stringify(settings);
    const original = [onObjects(["s3:GetObject"], uploads, uploads.prefix), onMissing(uploads)];
    const record: Statement = { Action: ["dynamodb:GetItem", "dynamodb:PutItem"], Resource: records.arn };
    // A result replaces what the version before had: tags and variants.
    const result = {
      environment: { PIPELINE_SETTINGS, RECORDS_TABLE: records.name, TAGS_TABLE: tags.name, THUMBNAILS_BUCKET: thumbnails.bucket },
      grants: [record, onObjects(["s3:DeleteObject"], thumbnails, "thumbnails/")],
    };

    return {
      validate: this.createFunction(args, "validate", {
        environment: { PIPELINE_SETTINGS, UPLOADS_BUCKET: uploads.bucket, RECORDS_TABLE: records.name },
        grants: [...original, record],
      }),
      generateThumbnails: this.createFunction(args, "generateThumbnails", {
        // One CPU: what it does is decode.
        memory: "1769 MB",
        sharp: true,
        environment: { PIPELINE_SETTINGS, UPLOADS_BUCKET: uploads.bucket, THUMBNAILS_BUCKET: thumbnails.bucket },
        grants: [
          ...original,
          onObjects(["s3:PutObject", "s3:DeleteObject"], thumbnails, "thumbnails/"),
          ...(hasPicture(settings) ? [onObjects(["s3:PutObject"], thumbnails, "labels/")] : []),
        ],
      }),
      extractMetadata: this.createFunction(args, "extractMetadata", {
        environment: { PIPELINE_SETTINGS, UPLOADS_BUCKET: uploads.bucket },
        grants: original,
      }),
      ...(settings.tagger === "statistics" && {
        detectLabels: this.createFunction(args, "detectLabels", {
          entry: "functions/aws/detect-labels-statistics.ts",
          environment: { TAGS_TABLE: tags.name },
          grants: [{ Action: ["dynamodb:GetItem", "dynamodb:PutItem"], Resource: tags.arn }],
        }),
      }),
      ...(taggerModule && {
        detectLabels: this.createFunction(args, "detectLabels", {
          entry: "functions/aws/detect-labels-module.ts",
          modules: { "virtual:tagger": taggerModule },
          memory: "1769 MB",
          environment: { TAGS_TABLE: tags.name, THUMBNAILS_BUCKET: thumbnails.bucket },
          grants: [
            { Action: ["dynamodb:GetItem", "dynamodb:PutItem"], Resource: tags.arn },
            onObjects(["s3:GetObject"], thumbnails, "labels/"),
            onMissing(thumbnails),
          ],
        }),
      }),
      storeResults: this.createFunction(args, "storeResults", {
        ...result,
        // Labels that the cloud has found are remembered here; other taggers do that themselves.
        grants: [
          ...result.grants,
          { Action: ["dynamodb:BatchWriteItem", ...(settings.tagger === "cloud" ? ["dynamodb:PutItem"] : [])], Resource: tags.arn },
        ],
      }),
      recordFailure: this.createFunction(args, "recordFailure", {
        ...result,
        grants: [...result.grants, { Action: "dynamodb:BatchWriteItem", Resource: tags.arn }],
      }),
    };
  }

  private createFunction({ logRetention, labels, transform }: WorkflowArgs, stage: Stage, args: FunctionArgs): Handler {
    const kebab = stage.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    return new Handler(
      `${this.name}-${kebab}`,
      {
        entry: `functions/aws/${kebab}.ts`,
        timeout: `${TIMEOUTS[stage]} seconds`,
        ...args,
        ...(logRetention && { logRetention }),
        tags: labels,
        transform: ofStage(stage, transform),
      },
      this.child(),
    );
  }

  /** Under `/aws/vendedlogs/`, because the account's one policy for log delivery would grow too large with other names. */
  private createLogs({ labels: tags }: WorkflowArgs, retention: number): cloudwatch.LogGroup {
    const name = physicalName(`/aws/vendedlogs/states/${this.name}`, 512, pulumi.getProject(), pulumi.getStack());
    return this.create("logs", cloudwatch.LogGroup, { name, retentionInDays: retention, ...tagged({ tags }) });
  }

  private createRole({ records, labels: tags }: WorkflowArgs): iam.Role {
    const name = fitting(`${this.name}-role`, 64);
    const assumeRolePolicy = trust("states.amazonaws.com", { StringEquals: { "aws:SourceAccount": accountOf(records.arn) } });
    return this.create("role", iam.Role, { ...(name && { name }), assumeRolePolicy, ...tagged({ tags }) });
  }

  private createPolicy(
    { settings, thumbnails, tags, topic, deadLetters }: WorkflowArgs,
    role: iam.Role,
    functions: Functions,
  ): iam.RolePolicy {
    const labelling: Statement[] = [
      { Action: "dynamodb:GetItem", Resource: tags.arn },
      // It knows no resources; it reads the picture as whoever calls it.
      { Action: "rekognition:DetectLabels", Resource: "*" },
      onObjects(["s3:GetObject"], thumbnails, "labels/"),
    ];
    const policy = grant([
      { Action: "lambda:InvokeFunction", Resource: Object.values(functions).map(({ arn }) => arn) },
      ...(settings.tagger === "cloud" ? labelling : []),
      { Action: "sns:Publish", Resource: topic },
      { Action: "sqs:SendMessage", Resource: deadLetters.arn },
      // The delivery of logs, and X-Ray, know no resources.
      { Action: LOG_DELIVERY, Resource: "*" },
      { Action: TRACING, Resource: "*" },
    ]);
    return this.create("policy", iam.RolePolicy, { role: role.name, policy });
  }

  private createMachine(
    { settings, thumbnails, tags, topic, deadLetters, kind = "express", labels }: WorkflowArgs,
    functions: Functions,
    { role, policy, logs }: { role: iam.Role; policy: iam.RolePolicy; logs: cloudwatch.LogGroup },
  ): sfn.StateMachine {
    const name = fitting(`${this.name}-machine`, 80);
    const arns = Object.fromEntries(Object.entries(functions).map(([stage, { arn }]) => [stage, arn])) as {
      [S in keyof Functions]: pulumi.Output<string>;
    };
    const definition = pulumi
      .output({ functions: arns, thumbnails: thumbnails.bucket, tags: tags.name, topic, deadLetters: deadLetters.url })
      .apply((resources) => JSON.stringify(workflowDefinition(resources, settings)));
    return this.create(
      "machine",
      sfn.StateMachine,
      {
        ...(name && { name }),
        type: kind === "express" ? "EXPRESS" : "STANDARD",
        definition,
        roleArn: role.arn,
        loggingConfiguration: { logDestination: pulumi.interpolate`${logs.arn}:*`, level: "ERROR", includeExecutionData: false },
        tracingConfiguration: { enabled: true },
        ...tagged({ tags: labels }),
      },
      // Step Functions looks at creation whether the role may write the log.
      { dependsOn: [policy] },
    );
  }

  /** By bucket and prefix only: what a file is, its content says. */
  private createRule({ uploads, labels: tags }: WorkflowArgs): cloudwatch.EventRule {
    return this.create("rule", cloudwatch.EventRule, {
      description: "An image has arrived.",
      eventPattern: pulumi.jsonStringify({
        source: ["aws.s3"],
        "detail-type": ["Object Created"],
        detail: { bucket: { name: [uploads.bucket] }, object: { key: [{ prefix: uploads.prefix }] } },
      }),
      state: "ENABLED",
      ...tagged({ tags }),
    });
  }

  private createTarget(
    { deadLetters, labels: tags }: WorkflowArgs,
    rule: cloudwatch.EventRule,
    machine: sfn.StateMachine,
  ): cloudwatch.EventTarget {
    const name = fitting(`${this.name}-rule-role`, 64);
    const role = this.create("ruleRole", iam.Role, {
      ...(name && { name }),
      assumeRolePolicy: trust("events.amazonaws.com", {
        StringEquals: { "aws:SourceAccount": accountOf(rule.arn) },
        ArnEquals: { "aws:SourceArn": rule.arn },
      }),
      ...tagged({ tags }),
    });
    const policy = this.create("rulePolicy", iam.RolePolicy, {
      role: role.name,
      policy: grant([{ Action: "states:StartExecution", Resource: machine.arn }]),
    });
    return this.create(
      "target",
      cloudwatch.EventTarget,
      {
        rule: rule.name,
        arn: machine.arn,
        roleArn: role.arn,
        deadLetterConfig: { arn: deadLetters.arn },
        // As often as EventBridge can, for a day.
        retryPolicy: { maximumRetryAttempts: 185, maximumEventAgeInSeconds: 86_400 },
      },
      { dependsOn: [policy] },
    );
  }
}

type Functions = Record<Exclude<Stage, "detectLabels">, Handler> & { detectLabels?: Handler };

interface FunctionArgs {
  entry?: string;
  memory?: MemorySize;
  sharp?: boolean;
  modules?: Record<string, string>;
  environment: Record<string, pulumi.Input<string>>;
  grants: Statement[];
}

/** The account that a resource belongs to: services take on roles for nobody else. */
const accountOf = (arn: pulumi.Input<string>) => pulumi.output(arn).apply((known) => known.split(":")[4] ?? "");

/** Is a JPEG made for a tagger to look at? */
const hasPicture = ({ tagger }: Settings) => tagger === "cloud" || tagger === "module";

const LOG_DELIVERY = [
  "logs:CreateLogDelivery",
  "logs:GetLogDelivery",
  "logs:UpdateLogDelivery",
  "logs:DeleteLogDelivery",
  "logs:ListLogDeliveries",
  "logs:PutResourcePolicy",
  "logs:DescribeResourcePolicies",
  "logs:DescribeLogGroups",
];

const TRACING = ["xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"];

/** What is for all functions, then what is for this stage's. */
function ofStage(stage: Stage, { function: all, ...transform }: WorkflowTransform = {}): HandlerArgs["transform"] {
  const own = transform[stage];
  return all ? { ...own, function: (args: lambda.FunctionArgs) => transformed(transformed(args, all), own?.function) } : own;
}
