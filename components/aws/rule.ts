import * as cloudwatch from "@pulumi/aws/cloudwatch/index.js";
import * as lambda from "@pulumi/aws/lambda/index.js";
import type * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";
import { tagged } from "../core/options.js";

/** What starts the handler: events that look like this, or the clock. */
export type Trigger =
  | { pattern: pulumi.Input<string>; schedule?: never }
  | {
      /** `"rate(5 minutes)"`, or a cron expression. */
      schedule: string;
      pattern?: never;
    };

/** Options of {@link Rule}. */
export type RuleArgs = Trigger & {
  description: string;

  /** What is invoked. */
  handler: { arn: pulumi.Input<string>; functionName: pulumi.Input<string> };

  /**
   * ARN of the queue for events that could not be handed over within a day; its policy has to accept this rule. Without it they are given up
   * after five minutes, which is right for a clock that ticks again.
   */
  deadLetters?: pulumi.Input<string>;

  /** Tags on the rule. */
  tags?: Record<string, string> | undefined;

  /** Changes to the resources underneath. */
  transform?:
    | {
        rule?: Transform<cloudwatch.EventRuleArgs>;
        target?: Transform<cloudwatch.EventTargetArgs>;
        permission?: Transform<lambda.PermissionArgs>;
      }
    | undefined;
};

/** A rule of EventBridge that invokes a handler. */
export class Rule extends Component<"rule" | "target" | "permission"> {
  readonly arn: pulumi.Output<string>;

  /** The resources underneath. */
  readonly nodes: { rule: cloudwatch.EventRule; target: cloudwatch.EventTarget; permission: lambda.Permission };

  constructor(name: string, args: RuleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("aws:Rule", name, { children: ["rule", "target", "permission"], transform: args.transform }, opts);
    const rule = this.create("rule", cloudwatch.EventRule, {
      description: args.description,
      ...(args.schedule === undefined ? { eventPattern: args.pattern } : { scheduleExpression: args.schedule }),
      state: "ENABLED",
      ...tagged(args),
    });
    const permission = this.create("permission", lambda.Permission, {
      action: "lambda:InvokeFunction",
      function: args.handler.functionName,
      principal: "events.amazonaws.com",
      sourceArn: rule.arn,
    });
    const target = this.create(
      "target",
      cloudwatch.EventTarget,
      {
        rule: rule.name,
        arn: args.handler.arn,
        ...(args.deadLetters
          ? { deadLetterConfig: { arn: args.deadLetters }, retryPolicy: { maximumRetryAttempts: 185, maximumEventAgeInSeconds: 86_400 } }
          : { retryPolicy: { maximumRetryAttempts: 4, maximumEventAgeInSeconds: 300 } }),
      },
      { dependsOn: permission },
    );
    this.nodes = { rule, target, permission };
    this.arn = rule.arn;
    this.registerOutputs({ arn: this.arn });
  }
}
