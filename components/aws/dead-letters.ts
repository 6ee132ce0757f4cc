import * as cloudwatch from "@pulumi/aws/cloudwatch/index.js";
import * as sqs from "@pulumi/aws/sqs/index.js";
import type * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";
import { tagged } from "../core/options.js";
import { type Duration, seconds } from "../core/units.js";
import { tlsOnly } from "./policy.js";

/** Options of {@link DeadLetters}. */
export interface DeadLettersArgs {
  /**
   * How long parked work waits to be redriven, at most 14 days.
   * @default "14 days"
   */
  retention?: Duration;

  /** ARN of the topic that is told while anything is parked. Without it the alarm only shows in the console. */
  alarmTopic?: pulumi.Input<string>;

  /** Tags on the queue and its alarm. */
  tags?: Record<string, string> | undefined;

  /** Changes to the resources underneath. */
  transform?:
    | { queue?: Transform<sqs.QueueArgs>; alarm?: Transform<cloudwatch.MetricAlarmArgs>; policy?: Transform<sqs.QueuePolicyArgs> }
    | undefined;
}

/**
 * Where work goes that could not be done: a queue, and an alarm that rings until it is empty again.
 *
 * @example
 * const parked = new DeadLetters("photos-parked", { alarmTopic: operations.arn });
 * parked.acceptFrom("events.amazonaws.com", rule.arn);
 */
export class DeadLetters extends Component<"queue" | "alarm" | "policy"> {
  /** ARN of the queue. */
  readonly arn: pulumi.Output<string>;
  /** URL of the queue. */
  readonly url: pulumi.Output<string>;

  /** The resources underneath; the policy once somebody is accepted. */
  readonly nodes: { queue: sqs.Queue; alarm: cloudwatch.MetricAlarm; policy?: sqs.QueuePolicy };

  constructor(name: string, args: DeadLettersArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    const messageRetentionSeconds = seconds(args.retention ?? "14 days", { of: `${name}: retention`, min: "1 minute", max: "14 days" });
    super("aws:DeadLetters", name, { children: ["queue", "alarm", "policy"], transform: args.transform }, opts);
    const queue = this.create("queue", sqs.Queue, { messageRetentionSeconds, sqsManagedSseEnabled: true, ...tagged(args) });
    const alarm = this.createAlarm(queue, args);
    this.nodes = { queue, alarm };
    this.arn = queue.arn;
    this.url = queue.url;
    this.registerOutputs({ arn: this.arn, url: this.url });
  }

  /**
   * Lets these sources (ARNs), and nobody else, put work here by way of an AWS service; roles with a grant of their own may anyway. Once, with
   * all of them: a queue has one policy.
   */
  acceptFrom(service: string, ...sources: pulumi.Input<string>[]): void {
    const { queue } = this.nodes;
    const accepted = {
      Sid: "Sources",
      Effect: "Allow" as const,
      Principal: { Service: service },
      Action: "sqs:SendMessage",
      Resource: queue.arn,
      Condition: { ArnEquals: { "aws:SourceArn": sources } },
    };
    this.nodes.policy = this.create("policy", sqs.QueuePolicy, { queueUrl: queue.url, policy: tlsOnly("sqs:*", [queue.arn], [accepted]) });
  }

  private createAlarm(queue: sqs.Queue, args: DeadLettersArgs): cloudwatch.MetricAlarm {
    return this.create("alarm", cloudwatch.MetricAlarm, {
      alarmDescription: "Work is parked that could not be done: look at GET /failures, and redrive it.",
      namespace: "AWS/SQS",
      metricName: "ApproximateNumberOfMessagesVisible",
      dimensions: { QueueName: queue.name },
      statistic: "Maximum",
      period: 60,
      evaluationPeriods: 1,
      comparisonOperator: "GreaterThanThreshold",
      threshold: 0,
      treatMissingData: "notBreaching",
      alarmActions: args.alarmTopic ? [args.alarmTopic] : [],
      ...tagged(args),
    });
  }
}
