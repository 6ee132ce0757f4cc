import type { Settings } from "../../functions/core/settings.js";
import type { Catcher, Payload, Retrier, State, StateMachine, Task, Test, Transition } from "./workflow-states.js";

/** What the workflow calls, by ARN, name or URL. */
export interface WorkflowResources {
  functions: {
    validate: string;
    generateThumbnails: string;
    extractMetadata: string;
    /** Only where the labels do not come from the cloud. */
    detectLabels?: string;
    storeResults: string;
    recordFailure: string;
  };
  /** Name of the bucket with the pictures that labels are found in. */
  thumbnails: string;
  /** Name of the table with the labels that were found before. */
  tags: string;
  /** ARN of the topic that results are announced on. */
  topic: string;
  /** URL of the queue for work that could not be done. */
  deadLetters: string;
}

/** Seconds that each function may take. Twice all of them, for a second try, is less than an Express execution may. */
export const TIMEOUTS = {
  validate: 15,
  generateThumbnails: 45,
  extractMetadata: 15,
  detectLabels: 25,
  storeResults: 15,
  recordFailure: 15,
} as const;

/** Seconds; Express ends an execution at 300 without asking anyone. */
const EXECUTION = 290;

/** Labels that are asked for, and how sure Rekognition has to be of them (0–100). */
const LABELS = { MaxLabels: 20, MinConfidence: 55 } as const;

/** Pixels that a picture has to have on each side, for Rekognition. */
const SMALLEST = 80;

/** What passes by itself: the service's own trouble, and being asked too often. Neither a refused permission nor an error in the code does. */
const TRANSIENT: Retrier = {
  ErrorEquals: [
    // Of Lambda. Not AWSLambdaException, which is also how it says that the role may not.
    ...["ServiceException", "SdkClientException", "ClientExecutionTimeoutException", "TooManyRequestsException"].map(
      (name) => `Lambda.${name}`,
    ),
    // Thrown by a handler: what the SDK has tried again already, but not for long.
    ...[
      "ThrottlingException",
      "ProvisionedThroughputExceededException",
      "RequestLimitExceeded",
      "SlowDown",
      "TimeoutError",
      "RequestTimeout",
    ],
    ...["InternalServerError", "InternalError", "InternalFailure", "ServiceUnavailable", "ServiceUnavailableException", "RecordContended"],
    // Of the services that are called without code; AWS spells some prefixes in two ways.
    ...["DynamoDB", "DynamoDb"].flatMap((service) =>
      throttling(service, "ProvisionedThroughputExceeded", "RequestLimitExceeded", "InternalServerError"),
    ),
    ...throttling("Rekognition", "ProvisionedThroughputExceeded", "InternalServerError"),
    ...["SNS", "Sns"].flatMap((service) => throttling(service, "Throttled", "InternalError")),
    ...["SQS", "Sqs"].flatMap((service) => throttling(service, "RequestThrottled", "OverLimit", "InternalError")),
  ],
  IntervalSeconds: 1,
  BackoffRate: 2,
  MaxAttempts: 4,
  MaxDelaySeconds: 8,
  JitterStrategy: "FULL",
};

/** Out of time or of memory: the machine it ran on may have been slow, but the picture may also be too much for any. */
const EXHAUSTED: Retrier = {
  ErrorEquals: ["States.Timeout", "Lambda.Unknown", "Sandbox.Timedout", "Runtime.ExitError", "Runtime.OutOfMemory"],
  IntervalSeconds: 1,
  MaxAttempts: 1,
};

/** Pictures that Rekognition does not look at. That costs an image its labels, and nothing else. */
const NOT_LABELLED = ["ImageTooLarge", "InvalidImageFormat", "InvalidParameter"].map((name) => `Rekognition.${name}Exception`);

/** The whole event, as parked work needs it. */
const EVENT = "$$.Execution.Input";

/** The execution, by which the handlers tell its own second tries from other deliveries of the event. */
const EXECUTION_ID = "$$.Execution.Id";

/**
 * The workflow in the Amazon States Language.
 *
 * Validate → (GenerateThumbnails ∥ ExtractMetadata) → DetectLabels → StoreResults → Notify. A refused image is a result, and a success of the
 * workflow: RecordFailure → NotifyFailed. What the infrastructure could not do goes to the dead letters, whole, and the execution fails.
 */
export function workflowDefinition(
  { functions, thumbnails, tags, topic, deadLetters }: WorkflowResources,
  { tagger }: Pick<Settings, "tagger">,
): StateMachine {
  const afterPictures = { none: "StoreResults", cloud: "HasPicture", statistics: "DetectLabels", module: "DetectLabels" }[tagger];

  return {
    Comment: "One version of one image, from its arrival to its announcement.",
    StartAt: "Validate",
    TimeoutSeconds: EXECUTION,
    States: {
      Validate: invoke("validate", "$", { OutputPath: "$.Payload", Next: "IsStale" }),
      IsStale: { Type: "Choice", Choices: [{ Variable: "$.stale", BooleanEquals: true, Next: "Superseded" }], Default: "Process" },
      Process: {
        Type: "Parallel",
        // A branch that failed on its own would stop the other, and which of two errors is the result would be chance.
        Branches: [branch("GenerateThumbnails", "generateThumbnails"), branch("ExtractMetadata", "extractMetadata")],
        ResultSelector: { "thumbnails.$": "$[0]", "metadata.$": "$[1]" },
        ResultPath: "$.found",
        Catch: [onError("WhatFailed")],
        Next: "DidProcess",
      },
      DidProcess: {
        Type: "Choice",
        Comment: "What the header says of a bad image counts before what the decoder says, and both before the infrastructure's troubles.",
        Choices: [
          { And: [present("$.found.metadata.error.Error"), refused("$.found.metadata.error.Error")], Next: "MetadataFailed" },
          { ...present("$.found.thumbnails.error.Error"), Next: "ThumbnailsFailed" },
          { ...present("$.found.metadata.error.Error"), Next: "MetadataFailed" },
        ],
        Default: afterPictures,
      },
      ThumbnailsFailed: { Type: "Pass", InputPath: "$.found.thumbnails.error", ResultPath: "$.error", Next: "WhatFailed" },
      MetadataFailed: { Type: "Pass", InputPath: "$.found.metadata.error", ResultPath: "$.error", Next: "WhatFailed" },
      ...labellingStates(),
      StoreResults: invoke("storeResults", { "input.$": "$", "execution.$": EXECUTION_ID }, { OutputPath: "$.Payload", Next: "IsStored" }),
      IsStored: { Type: "Choice", Choices: [{ Variable: "$.stored", BooleanEquals: true, Next: "Notify" }], Default: "Superseded" },
      Notify: publish("$.notification", [onError("WhatFailed")], { End: true }),
      Superseded: { Type: "Succeed", Comment: "A newer event, a deletion or another delivery of this event was first: its result counts." },

      WhatFailed: {
        Type: "Choice",
        Choices: [
          { ...refused("$.error.Error"), Next: "RecordFailure" },
          // Thrown when the object is another by now, or gone: an event of its own tells of that.
          { Variable: "$.error.Error", StringEquals: "ObjectChanged", Next: "Superseded" },
          { Variable: "$.error.Error", StringEquals: "ObjectMissing", Next: "Superseded" },
          { Variable: "$.error.Cause", IsPresent: false, Next: "Unexplained" },
        ],
        Default: "ParkInDeadLetters",
      },
      Unexplained: { Type: "Pass", Result: "", ResultPath: "$.error.Cause", Next: "ParkInDeadLetters" },

      RecordFailure: invoke("recordFailure", FAILURE, { OutputPath: "$.Payload", Next: "IsFailureStored" }),
      IsFailureStored: {
        Type: "Choice",
        Choices: [{ Variable: "$.stored", BooleanEquals: true, Next: "NotifyFailed" }],
        Default: "Superseded",
      },
      NotifyFailed: publish("$.notification", [onError("WhatFailed")], { End: true }),

      ParkInDeadLetters: {
        Type: "Task",
        Resource: "arn:aws:states:::sqs:sendMessage",
        Parameters: {
          QueueUrl: deadLetters,
          MessageBody: {
            "key.$": `${EVENT}.detail.object.key`,
            "event.$": EVENT,
            error: { "code.$": "$.error.Error", "message.$": "$.error.Cause" },
            "at.$": "$$.Execution.StartTime",
          },
        },
        ResultPath: null,
        TimeoutSeconds: 10,
        Retry: [TRANSIENT],
        // Then the failed execution, its alarm and the record are what is left of it.
        Catch: [onError("MarkFailed", "$.unparked")],
        Next: "MarkFailed",
      },
      MarkFailed: {
        ...invoke("recordFailure", FAILURE, { Next: "IsMarked" }),
        ResultSelector: { "answer.$": "$.Payload" },
        ResultPath: "$.marked",
        Catch: [onError("Failed", "$.unmarked")],
      },
      IsMarked: {
        Type: "Choice",
        Choices: [{ Variable: "$.marked.answer.stored", BooleanEquals: true, Next: "NotifyParked" }],
        Default: "Failed",
      },
      NotifyParked: publish("$.marked.answer.notification", [onError("Failed", "$.unnotified")], { Next: "Failed" }),
      Failed: { Type: "Fail", ErrorPath: "$.error.Error", CausePath: "$.error.Cause" },
    },
  };

  /** From the pictures to StoreResults, beginning with `afterPictures`. */
  function labellingStates(): Record<string, State> {
    if (tagger === "none") return {};
    if (tagger !== "cloud") {
      const detect = invoke("detectLabels", { "input.$": "$" }, { Next: "StoreResults" });
      return { DetectLabels: { ...detect, ResultSelector: { "tags.$": "$.Payload" }, ResultPath: "$.labels" } };
    }
    return {
      HasPicture: {
        Type: "Choice",
        Comment: "Rekognition refuses to look at what is smaller.",
        Choices: [
          {
            And: [
              present("$.found.thumbnails.labelsImage"),
              { Variable: "$.found.thumbnails.labelsImage.width", NumericGreaterThanEquals: SMALLEST },
              { Variable: "$.found.thumbnails.labelsImage.height", NumericGreaterThanEquals: SMALLEST },
            ],
            Next: "RecallLabels",
          },
        ],
        Default: "StoreResults",
      },
      RecallLabels: {
        Type: "Task",
        Resource: "arn:aws:states:::dynamodb:getItem",
        Parameters: {
          TableName: tags,
          Key: { Tag: { "S.$": "States.Format('sha256#{}', $.found.thumbnails.fingerprint.sha256)" }, Position: { S: "labels" } },
        },
        ResultPath: "$.recalled",
        TimeoutSeconds: 10,
        Retry: [TRANSIENT],
        Catch: [onError("WhatFailed")],
        Next: "AreLabelsKnown",
      },
      AreLabelsKnown: {
        Type: "Choice",
        Choices: [
          {
            And: [present("$.recalled.Item.Tagger.S"), { Variable: "$.recalled.Item.Tagger.S", StringEquals: "cloud" }],
            Next: "StoreResults",
          },
        ],
        Default: "DetectLabels",
      },
      DetectLabels: {
        Type: "Task",
        Resource: "arn:aws:states:::aws-sdk:rekognition:detectLabels",
        Parameters: {
          Image: { S3Object: { Bucket: thumbnails, "Name.$": "$.found.thumbnails.labelsImage.key" } },
          ...LABELS,
          Features: ["GENERAL_LABELS"],
        },
        ResultSelector: { "labels.$": "$.Labels" },
        ResultPath: "$.labels",
        TimeoutSeconds: 20,
        Retry: [TRANSIENT, EXHAUSTED],
        Catch: [{ ErrorEquals: NOT_LABELLED, ResultPath: "$.unlabelled", Next: "StoreResults" }, onError("WhatFailed")],
        Next: "StoreResults",
      },
    };
  }

  /** Calls a function with what is at a path, or with what is put together for it. */
  function invoke(name: keyof WorkflowResources["functions"], input: "$" | Payload, paths: { OutputPath?: string } & Transition): Task {
    const arn = functions[name];
    if (!arn) throw new Error(`The workflow for the tagger ${JSON.stringify(tagger)} needs the function ${name}.`);
    return {
      Type: "Task",
      Resource: "arn:aws:states:::lambda:invoke",
      Parameters: { FunctionName: arn, ...(input === "$" ? { "Payload.$": input } : { Payload: input }) },
      // Lambda's own limit comes first, and says more.
      TimeoutSeconds: TIMEOUTS[name] + 5,
      Retry: [TRANSIENT, EXHAUSTED],
      Catch: [onError("WhatFailed")],
      ...paths,
    };
  }

  /** A branch that always succeeds: with what the function found, or with its error. */
  function branch(state: string, name: keyof WorkflowResources["functions"]): StateMachine {
    const failed = `${state}Failed`;
    return {
      StartAt: state,
      States: {
        [state]: { ...invoke(name, "$", { OutputPath: "$.Payload", End: true }), Catch: [onError(failed)] },
        [failed]: { Type: "Pass", Parameters: { "error.$": "$.error" }, End: true },
      },
    };
  }

  function publish(notification: string, catchers: [Catcher], transition: Transition): Task {
    return {
      Type: "Task",
      Resource: "arn:aws:states:::sns:publish",
      Parameters: {
        TopicArn: topic,
        "Subject.$": `${notification}.subject`,
        "Message.$": `${notification}.message`,
        MessageAttributes: { status: { DataType: "String", "StringValue.$": `${notification}.status` } },
      },
      ResultPath: null,
      TimeoutSeconds: 10,
      Retry: [TRANSIENT],
      Catch: catchers,
      ...transition,
    };
  }
}

const FAILURE: Payload = { "event.$": EVENT, "error.$": "$.error", "execution.$": EXECUTION_ID };

function onError(Next: string, ResultPath = "$.error"): Catcher {
  return { ErrorEquals: ["States.ALL"], ResultPath, Next };
}

const present = (Variable: string): Test => ({ Variable, IsPresent: true });

const refused = (Variable: string): Test => ({ Variable, StringEquals: "ImageRefused" });

function throttling(service: string, ...names: string[]): string[] {
  return ["Throttling", ...names].map((name) => `${service}.${name}Exception`);
}
