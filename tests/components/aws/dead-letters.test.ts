import assert from "node:assert/strict";
import { DeadLetters } from "../../../components/aws/dead-letters.js";
import { declared } from "../../declared.js";

describe("DeadLetters", () => {
  it("keeps parked work for 14 days, encrypted", async () => {
    const { queue } = await declared(() => new DeadLetters("parked"));
    assert.deepEqual(queue, { "parked-queue": { messageRetentionSeconds: 1_209_600, sqsManagedSseEnabled: true } });
  });

  it("refuses a retention that SQS would refuse, before declaring anything", async () => {
    await assert.rejects(
      declared(() => new DeadLetters("parked", { retention: "15 days" })),
      {
        code: "INVALID_ARGUMENT",
        message: 'parked: retention is "15 days": it must be between "1 minute" and "14 days".',
      },
    );
  });

  it("rings as soon as one message waits, until none does", async () => {
    const { metricAlarm } = await declared(
      () => new DeadLetters("parked", { alarmTopic: "arn:aws:sns:eu-west-1:123456789012:operations" }),
    );
    assert.deepEqual(metricAlarm, {
      "parked-alarm": {
        alarmDescription: "Work is parked that could not be done: look at GET /failures, and redrive it.",
        namespace: "AWS/SQS",
        metricName: "ApproximateNumberOfMessagesVisible",
        dimensions: { QueueName: "parked-queue" },
        statistic: "Maximum",
        period: 60,
        evaluationPeriods: 1,
        comparisonOperator: "GreaterThanThreshold",
        threshold: 0,
        treatMissingData: "notBreaching",
        alarmActions: ["arn:aws:sns:eu-west-1:123456789012:operations"],
      },
    });
  });

  it("lets only the named sources in, and by TLS only", async () => {
    const { queuePolicy } = await declared(() => new DeadLetters("parked").acceptFrom("events.amazonaws.com", "arn:rule", "arn:other"));
    const Resource = "arn:aws:sqs:eu-west-1:123456789012:parked-queue";
    assert.deepEqual(queuePolicy["parked-policy"].policy.Statement, [
      {
        Sid: "TlsOnly",
        Effect: "Deny",
        Principal: "*",
        Action: "sqs:*",
        Resource: [Resource],
        Condition: { Bool: { "aws:SecureTransport": "false" } },
      },
      {
        Sid: "Sources",
        Effect: "Allow",
        Principal: { Service: "events.amazonaws.com" },
        Action: "sqs:SendMessage",
        Resource,
        Condition: { ArnEquals: { "aws:SourceArn": ["arn:rule", "arn:other"] } },
      },
    ]);
  });

  it("merges a transform deeply, or calls it", async () => {
    const { queue, metricAlarm } = await declared(
      () =>
        new DeadLetters("parked", {
          transform: {
            queue: { kmsMasterKeyId: "alias/own", sqsManagedSseEnabled: false },
            alarm: (args) => {
              args.period = 300;
            },
          },
        }),
    );
    assert.deepEqual(queue["parked-queue"], {
      messageRetentionSeconds: 1_209_600,
      sqsManagedSseEnabled: false,
      kmsMasterKeyId: "alias/own",
    });
    assert.equal(metricAlarm["parked-alarm"].period, 300);
  });
});
