import assert from "node:assert/strict";
import { ImagePipeline, type ImagePipelineArgs } from "../../../components/aws/image-pipeline.js";
import { called } from "../called.js";
import { each, reached } from "../reached.js";

/** A transform for every resource of a pipeline, as a person would write it. */
const everywhere = (touch: () => void): NonNullable<ImagePipelineArgs["transform"]> => {
  const bucket = each(touch, "bucket", "publicAccess", "ownership", "policy", "encryption", "lifecycle", "notification", "cors");
  const handler = each(touch, "function", "role", "policy", "logs");
  const rule = each(touch, "rule", "target", "permission");
  const stages = { validate: handler, generateThumbnails: handler, extractMetadata: handler, detectLabels: handler };
  return {
    uploads: bucket,
    thumbnails: bucket,
    records: each(touch, "table"),
    tags: each(touch, "table"),
    topic: each(touch, "topic", "policy", "email"),
    alarmTopic: each(touch, "topic", "policy", "email"),
    deadLetters: each(touch, "queue", "alarm", "policy"),
    workflow: {
      ...each(touch, "machine", "role", "policy", "logs", "rule", "target", "ruleRole", "rulePolicy"),
      ...{ ...stages, storeResults: handler, recordFailure: handler },
    },
    apiKey: each(touch, "secret", "version", "generated"),
    api: handler,
    httpApi: each(touch, "api", "integration", "route", "permission", "logs", "stage"),
    cleanUp: handler,
    cleanUpRule: rule,
    sweep: handler,
    sweepRule: rule,
    alarms: each(
      touch,
      "apiThrottled",
      "thumbnailsThrottled",
      "workflowFailed",
      "workflowTimedOut",
      "startsFailed",
      "apiFailed",
      "cleanUpFailed",
      "sweepFailed",
    ),
  };
};

describe("A transform on AWS", () => {
  for (const tagger of ["cloud", "statistics", "./examples/taggers/shape.ts"] as const) {
    it(`reaches every resource of a pipeline whose tagger is ${tagger}`, async () => {
      const args = { notify: { email: "ops@example.org" }, tagger };
      const { children, touched, resources } = await reached(
        (touch) => new ImagePipeline("photos", { ...args, transform: everywhere(touch) }),
      );
      assert.equal(children.length, resources.length, "every resource is made by a component's create");
      assert.deepEqual(touched, children);
    });
  }

  it("is merged deeply, at every depth", async () => {
    const { resources } = await reached(
      () =>
        new ImagePipeline("photos", {
          transform: {
            api: { function: { environment: { variables: { EXTRA: "1" } }, loggingConfig: { applicationLogLevel: "DEBUG" } } },
            httpApi: { stage: { defaultRouteSettings: { throttlingRateLimit: 7 } } },
            workflow: { machine: { loggingConfiguration: { level: "ALL" } } },
          },
        }),
    );
    const { environment, loggingConfig } = called(resources, "photos-api-function").inputs;
    assert.equal(environment.variables.EXTRA, "1");
    assert.equal(environment.variables.UPLOADS_BUCKET, "photos-uploads-bucket");
    assert.deepEqual([loggingConfig.applicationLogLevel, loggingConfig.logFormat], ["DEBUG", "JSON"]);
    assert.deepEqual(called(resources, "photos-http-stage").inputs.defaultRouteSettings, {
      throttlingRateLimit: 7,
      throttlingBurstLimit: 1000,
    });
    const { level, includeExecutionData } = called(resources, "photos-workflow-machine").inputs.loggingConfiguration;
    assert.deepEqual([level, includeExecutionData], ["ALL", false]);
  });

  it("for one stage comes after the one for all", async () => {
    const { resources } = await reached(
      () =>
        new ImagePipeline("photos", {
          transform: { workflow: { function: { memorySize: 2048, timeout: 60 }, validate: { function: { memorySize: 256 } } } },
        }),
    );
    const size = (stage: string) => {
      const { memorySize, timeout } = called(resources, `photos-workflow-${stage}-function`).inputs;
      return [memorySize, timeout];
    };
    assert.deepEqual(
      [size("validate"), size("store-results")],
      [
        [256, 60],
        [2048, 60],
      ],
    );
  });

  it("cannot name what there is not", () => {
    const check = (_: NonNullable<ImagePipelineArgs["transform"]>) => {};
    // @ts-expect-error no such part
    check({ table: {} });
    // @ts-expect-error no such resource in it
    check({ uploads: { replication: {} } });
    // @ts-expect-error no such input
    check({ uploads: { bucket: { forceDestruction: true } } });
    // @ts-expect-error no such stage
    check({ workflow: { resize: {} } });
  });
});
