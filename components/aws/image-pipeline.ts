import { getCallerIdentityOutput } from "@pulumi/aws/getCallerIdentity.js";
import * as pulumi from "@pulumi/pulumi";
import type { ImagePipelineArgs as Contract, ImagePipelineOutputs } from "../contract.js";
import { Component } from "../core/component.js";
import { InvalidArgument } from "../core/errors.js";
import { type ValidatedArgs, validated } from "../core/validation.js";
import { Alarms, type AlarmsArgs } from "./alarms.js";
import { ApiKey, type ApiKeyArgs } from "./api-key.js";
import { Bucket, type BucketArgs } from "./bucket.js";
import { DeadLetters, type DeadLettersArgs } from "./dead-letters.js";
import { ExistingBucket } from "./existing-bucket.js";
import { onIndexes, onMissing, onObjects, onTable } from "./grants.js";
import { Handler, type HandlerArgs } from "./handler.js";
import { HttpApi, type HttpApiArgs } from "./http-api.js";
import { Records, type RecordsArgs } from "./records.js";
import { Rule, type RuleArgs } from "./rule.js";
import { Tags, type TagsArgs } from "./tags.js";
import { Topic, type TopicArgs } from "./topic.js";
import { Workflow, type WorkflowArgs } from "./workflow.js";

/** What only AWS can be asked for. */
interface AwsOptions {
  /** How Step Functions runs the workflow. */
  aws?: {
    /**
     * `"express"` is the cheap one: at most 5 minutes, history only in the logs. `"standard"` keeps each execution's history for 90 days and
     * costs about eight times as much. Changing it replaces the state machine.
     * @default "express"
     */
    workflow?: "express" | "standard";
  };

  /** Changes to the resources underneath, by the name of the part and of the resource in it: `{ uploads: { bucket: { … } } }`. */
  transform?: {
    uploads?: BucketArgs["transform"];
    thumbnails?: BucketArgs["transform"];
    records?: RecordsArgs["transform"];
    tags?: TagsArgs["transform"];
    topic?: TopicArgs["transform"];
    alarmTopic?: TopicArgs["transform"];
    deadLetters?: DeadLettersArgs["transform"];
    workflow?: WorkflowArgs["transform"];
    apiKey?: ApiKeyArgs["transform"];
    api?: HandlerArgs["transform"];
    httpApi?: HttpApiArgs["transform"];
    cleanUp?: HandlerArgs["transform"];
    cleanUpRule?: RuleArgs["transform"];
    sweep?: HandlerArgs["transform"];
    sweepRule?: RuleArgs["transform"];
    alarms?: AlarmsArgs<AlarmName>["transform"];
  };
}

/** {@link Contract}, and what only AWS has. */
export type ImagePipelineArgs = Contract & AwsOptions;

const PARTS = [
  "uploads",
  "thumbnails",
  "records",
  "tags",
  "topic",
  "alarmTopic",
  "deadLetters",
  "workflow",
  "apiKey",
  "api",
  "httpApi",
  "cleanUp",
  "cleanUpRule",
  "sweep",
  "sweepRule",
  "alarms",
] as const;
type Part = (typeof PARTS)[number];

type AlarmName =
  | "apiThrottled"
  | "thumbnailsThrottled"
  | "workflowFailed"
  | "workflowTimedOut"
  | "startsFailed"
  | "apiFailed"
  | "cleanUpFailed"
  | "sweepFailed";

/** What the keys of images begin with; objects elsewhere in the bucket are left alone. */
const PREFIX = "uploads/";

/**
 * A complete image pipeline: a bucket to put images into, a workflow that validates, resizes and labels them, records that are found by user,
 * tag, status and time, a topic that tells of results, and an HTTP API with a page.
 *
 * @example
 * const photos = new ImagePipeline("photos", { thumbnails: { card: { width: 320, height: 200 } }, notify: { email: "ops@example.org" } });
 * export const url = photos.url;
 * export const apiKey = photos.apiKey;
 */
export class ImagePipeline extends Component<Part> implements ImagePipelineOutputs {
  readonly url: pulumi.Output<string>;
  readonly apiKey: pulumi.Output<string>;
  readonly uploads: pulumi.Output<string>;
  readonly thumbnails: pulumi.Output<string>;
  readonly topic: pulumi.Output<string>;
  readonly workflow: pulumi.Output<string>;
  readonly records: pulumi.Output<string>;
  readonly deadLetters: pulumi.Output<string>;

  /** The parts, each with its own `nodes`: `photos.nodes.uploads.nodes.bucket`. */
  readonly nodes: {
    uploads: Bucket | ExistingBucket;
    thumbnails: Bucket;
    records: Records;
    tags: Tags;
    topic: Topic;
    alarmTopic: Topic;
    deadLetters: DeadLetters;
    workflow: Workflow;
    /** Only for `auth: "key"`. */
    apiKey?: ApiKey;
    api: Handler;
    httpApi: HttpApi;
    cleanUp: Handler;
    cleanUpRule: Rule;
    sweep: Handler;
    sweepRule: Rule;
    alarms: Alarms<AlarmName>;
  };

  private readonly transform: NonNullable<AwsOptions["transform"]>;

  /** @param name 1 to 24 lower-case letters, digits and hyphens; all physical names begin with it. */
  constructor(name: string, args: ImagePipelineArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    const settled = validated(name, args, ["aws", "transform"]);
    const kind = workflowKind(name, args);
    super("aws:ImagePipeline", name, { children: PARTS, transform: args.transform }, opts);
    this.transform = args.transform ?? {};

    const uploads = this.createUploads(settled);
    const thumbnails = this.createThumbnails(settled);
    const records = this.createRecords(settled);
    const tags = this.createTags(settled);
    const topic = this.createTopic(settled);
    const alarmTopic = this.createAlarmTopic(settled);
    const deadLetters = this.createDeadLetters(settled, alarmTopic);
    const workflow = this.createWorkflow(settled, kind, { uploads, thumbnails, records, tags, topic, deadLetters });
    const stores = { uploads, thumbnails, records, tags, deadLetters, workflow };
    const apiKey = this.createApiKey(settled);
    const api = this.createApi(settled, stores, apiKey);
    const httpApi = this.createHttpApi(settled, api);
    const cleanUp = this.createCleanUp(settled, stores);
    const cleanUpRule = this.createCleanUpRule(settled, uploads, cleanUp, deadLetters);
    const sweep = this.createSweep(settled, stores, topic);
    const sweepRule = this.createSweepRule(settled, sweep);
    const alarms = this.createAlarms(settled, alarmTopic, { workflow, api, cleanUp, sweep });
    deadLetters.acceptFrom("events.amazonaws.com", workflow.ruleArn, cleanUpRule.arn);
    uploads.openTo([httpApi.url, ...settled.origins]);

    this.nodes = {
      ...stores,
      topic,
      alarmTopic,
      ...(apiKey && { apiKey }),
      api,
      httpApi,
      cleanUp,
      cleanUpRule,
      sweep,
      sweepRule,
      alarms,
    };
    this.url = httpApi.url;
    this.apiKey = apiKey?.value ?? pulumi.secret("");
    this.uploads = uploads.bucket;
    this.thumbnails = thumbnails.bucket;
    this.topic = topic.arn;
    this.workflow = workflow.arn;
    this.records = records.table;
    this.deadLetters = deadLetters.url;
    this.registerOutputs({ url: this.url, apiKey: this.apiKey });
  }

  private createUploads({ existing, removal, recovery, tags }: ValidatedArgs): Bucket | ExistingBucket {
    const name = `${this.name}-uploads`;
    return existing === undefined
      ? new Bucket(name, { events: true, removal, recovery, tags, transform: this.transform.uploads }, this.child())
      : new ExistingBucket(name, { bucket: existing }, this.child());
  }

  private createThumbnails({ removal, tags }: ValidatedArgs): Bucket {
    // What labels were found in is looked at once.
    const args = { expire: { "labels/": 1 }, removal, tags, transform: this.transform.thumbnails };
    return new Bucket(`${this.name}-thumbnails`, args, this.child());
  }

  private createRecords({ removal, tags }: ValidatedArgs): Records {
    return new Records(`${this.name}-ImageProcessingDb`, { removal, tags, transform: this.transform.records }, this.child());
  }

  private createTags({ removal, tags }: ValidatedArgs): Tags {
    return new Tags(`${this.name}-ImageTags`, { removal, tags, transform: this.transform.tags }, this.child());
  }

  private createTopic({ email, tags }: ValidatedArgs): Topic {
    return new Topic(`${this.name}-results`, { email, tags, transform: this.transform.topic }, this.child());
  }

  /** Apart from the results, because an alarm's message is not a record. */
  private createAlarmTopic({ email, tags }: ValidatedArgs): Topic {
    const alarmsOf = getCallerIdentityOutput({}, { parent: this }).accountId;
    return new Topic(`${this.name}-alarms`, { email, alarmsOf, tags, transform: this.transform.alarmTopic }, this.child());
  }

  private createDeadLetters({ tags }: ValidatedArgs, alarmTopic: Topic): DeadLetters {
    const args = { alarmTopic: alarmTopic.arn, tags, transform: this.transform.deadLetters };
    return new DeadLetters(`${this.name}-dead-letters`, args, this.child());
  }

  private createWorkflow(
    { settings, taggerModule, logRetention, tags: labels }: ValidatedArgs,
    kind: "express" | "standard",
    { uploads, thumbnails, records, tags, topic, deadLetters }: Omit<Stores, "workflow"> & { topic: Topic },
  ): Workflow {
    return new Workflow(
      `${this.name}-workflow`,
      {
        uploads: { bucket: uploads.bucket, arn: uploads.arn, prefix: PREFIX },
        thumbnails: { bucket: thumbnails.bucket, arn: thumbnails.arn },
        records: { name: records.table, arn: records.arn },
        tags: { name: tags.table, arn: tags.arn },
        topic: topic.arn,
        deadLetters: { arn: deadLetters.arn, url: deadLetters.url },
        settings,
        ...(taggerModule && { taggerModule }),
        kind,
        logRetention,
        labels,
        transform: this.transform.workflow,
      },
      this.child(),
    );
  }

  private createApiKey({ settings, apiKey: value, removal, recovery, tags }: ValidatedArgs): ApiKey | undefined {
    if (settings.auth.kind !== "key") return undefined;
    return new ApiKey(`${this.name}-api-key`, { value, removal, recovery, tags, transform: this.transform.apiKey }, this.child());
  }

  private createApi({ settings, logRetention, tags: labels }: ValidatedArgs, stores: Stores, apiKey: ApiKey | undefined): Handler {
    const { uploads, thumbnails, records, tags, deadLetters, workflow } = stores;
    return new Handler(
      `${this.name}-api`,
      {
        entry: "functions/aws/api.ts",
        memory: "1024 MB",
        timeout: "29 seconds",
        environment: {
          PIPELINE_SETTINGS: JSON.stringify(settings),
          UPLOADS_BUCKET: uploads.bucket,
          UPLOADS_PREFIX: PREFIX,
          THUMBNAILS_BUCKET: thumbnails.bucket,
          RECORDS_TABLE: records.table,
          TAGS_TABLE: tags.table,
          DEAD_LETTERS_URL: deadLetters.url,
          WORKFLOW_ARN: workflow.arn,
          ...(apiKey && { API_KEY_SECRET: apiKey.arn }),
        },
        grants: [
          onObjects(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], uploads, PREFIX),
          onObjects(["s3:GetObject", "s3:DeleteObject"], thumbnails, "thumbnails/"),
          onMissing(uploads, thumbnails),
          onTable(["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"], records),
          onIndexes(...Object.values(records.indexes)),
          onTable(["dynamodb:Query", "dynamodb:BatchWriteItem"], tags),
          {
            Action: ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:SendMessage"],
            Resource: deadLetters.arn,
          },
          { Action: "states:StartExecution", Resource: workflow.arn },
          ...(apiKey ? [{ Action: "secretsmanager:GetSecretValue", Resource: apiKey.arn }] : []),
        ],
        logRetention,
        tags: labels,
        transform: this.transform.api,
      },
      this.child(),
    );
  }

  private createHttpApi({ logRetention, tags }: ValidatedArgs, api: Handler): HttpApi {
    return new HttpApi(`${this.name}-http`, { handler: api, logRetention, tags, transform: this.transform.httpApi }, this.child());
  }

  /** Follows the deletion of an original: its variants, record and tags go too. */
  private createCleanUp({ settings, logRetention, tags: labels }: ValidatedArgs, stores: Stores): Handler {
    const { uploads, thumbnails, records, tags, deadLetters, workflow } = stores;
    return new Handler(
      `${this.name}-clean-up`,
      {
        entry: "functions/aws/clean-up.ts",
        environment: {
          PIPELINE_SETTINGS: JSON.stringify(settings),
          UPLOADS_BUCKET: uploads.bucket,
          THUMBNAILS_BUCKET: thumbnails.bucket,
          RECORDS_TABLE: records.table,
          TAGS_TABLE: tags.table,
          WORKFLOW_ARN: workflow.arn,
        },
        grants: [
          onObjects(["s3:GetObject"], uploads, PREFIX),
          onObjects(["s3:DeleteObject"], thumbnails, "thumbnails/"),
          onMissing(uploads),
          onTable(["dynamodb:GetItem", "dynamodb:PutItem"], records),
          onTable(["dynamodb:BatchWriteItem"], tags),
          // An image that came back meanwhile is processed again.
          { Action: "states:StartExecution", Resource: workflow.arn },
        ],
        deadLetters: deadLetters.arn,
        logRetention,
        tags: labels,
        transform: this.transform.cleanUp,
      },
      this.child(),
    );
  }

  private createCleanUpRule({ tags }: ValidatedArgs, uploads: Stores["uploads"], handler: Handler, deadLetters: DeadLetters): Rule {
    return new Rule(
      `${this.name}-deleted`,
      {
        description: "An original has been deleted.",
        pattern: pulumi.jsonStringify({
          source: ["aws.s3"],
          "detail-type": ["Object Deleted"],
          // Whatever the type of deletion: an adopted bucket may have versions, and the handler looks whether the image is still there.
          detail: { bucket: { name: [uploads.bucket] }, object: { key: [{ prefix: PREFIX }] } },
        }),
        handler,
        deadLetters: deadLetters.arn,
        tags,
        transform: this.transform.cleanUpRule,
      },
      this.child(),
    );
  }

  /** Ends what has been processing for too long. */
  private createSweep({ settings, logRetention, tags: labels }: ValidatedArgs, stores: Stores, topic: Topic): Handler {
    const { uploads, thumbnails, records, tags, deadLetters } = stores;
    return new Handler(
      `${this.name}-sweep`,
      {
        entry: "functions/aws/sweep.ts",
        timeout: "1 minute",
        environment: {
          PIPELINE_SETTINGS: JSON.stringify(settings),
          UPLOADS_BUCKET: uploads.bucket,
          THUMBNAILS_BUCKET: thumbnails.bucket,
          RECORDS_TABLE: records.table,
          TAGS_TABLE: tags.table,
          DEAD_LETTERS_URL: deadLetters.url,
          TOPIC_ARN: topic.arn,
        },
        grants: [
          onObjects(["s3:GetObject"], uploads, PREFIX),
          onObjects(["s3:DeleteObject"], thumbnails, "thumbnails/"),
          onMissing(uploads),
          onTable(["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"], records),
          onIndexes(records.indexes.byStatus),
          onTable(["dynamodb:BatchWriteItem"], tags),
          { Action: "sqs:SendMessage", Resource: deadLetters.arn },
          { Action: "sns:Publish", Resource: topic.arn },
        ],
        logRetention,
        tags: labels,
        transform: this.transform.sweep,
      },
      this.child(),
    );
  }

  private createSweepRule({ tags }: ValidatedArgs, handler: Handler): Rule {
    return new Rule(
      `${this.name}-sweep`,
      {
        description: "Looks for images whose processing never ended.",
        schedule: "rate(5 minutes)",
        handler,
        tags,
        transform: this.transform.sweepRule,
      },
      this.child(),
    );
  }

  private createAlarms(
    { tags }: ValidatedArgs,
    topic: Topic,
    { workflow, api, cleanUp, sweep }: { workflow: Workflow; api: Handler; cleanUp: Handler; sweep: Handler },
  ): Alarms<AlarmName> {
    const ofWorkflow = { namespace: "AWS/States", dimensions: { StateMachineArn: workflow.arn } };
    const failing = (description: string, { functionName }: Handler) => ({
      description,
      namespace: "AWS/Lambda",
      metricName: "Errors",
      dimensions: { FunctionName: functionName },
    });
    // A throttled stage is tried again, and in the end parked; before that, this tells that the account's concurrency is used up.
    const throttled = (description: string, { functionName }: Handler) => ({
      description,
      namespace: "AWS/Lambda",
      metricName: "Throttles",
      dimensions: { FunctionName: functionName },
    });
    return new Alarms<AlarmName>(
      `${this.name}-alarm`,
      {
        on: {
          apiThrottled: throttled("More calls come than the API may serve at once.", api),
          thumbnailsThrottled: throttled("More images come than may be processed at once.", workflow.nodes.functions.generateThumbnails),
          workflowFailed: {
            description: "Images could not be processed for want of infrastructure.",
            metricName: "ExecutionsFailed",
            ...ofWorkflow,
          },
          workflowTimedOut: {
            description: "Processing took too long; the sweep parks the images.",
            metricName: "ExecutionsTimedOut",
            ...ofWorkflow,
          },
          startsFailed: {
            description: "EventBridge could not start the workflow.",
            namespace: "AWS/Events",
            metricName: "FailedInvocations",
            dimensions: { RuleName: workflow.ruleName },
          },
          apiFailed: failing("The HTTP API's handler failed.", api),
          cleanUpFailed: failing("What belonged to deleted images could not be removed.", cleanUp),
          sweepFailed: failing("The search for images whose processing never ended failed.", sweep),
        },
        topic: topic.arn,
        tags,
        transform: this.transform.alarms,
      },
      this.child(),
    );
  }
}

/** What the handlers work on. */
interface Stores {
  uploads: Bucket | ExistingBucket;
  thumbnails: Bucket;
  records: Records;
  tags: Tags;
  deadLetters: DeadLetters;
  workflow: Workflow;
}

function workflowKind(name: string, { aws }: AwsOptions): "express" | "standard" {
  const unknown = Object.keys(aws ?? {}).find((option) => option !== "workflow");
  if (unknown) throw new InvalidArgument(`${name}: an option`, `aws.${unknown}`, "workflow");
  const { workflow = "express" } = aws ?? {};
  if (workflow !== "express" && workflow !== "standard")
    throw new InvalidArgument(`${name}: aws.workflow`, workflow, '"express" or "standard"');
  return workflow;
}
