import * as sns from "@pulumi/aws/sns/index.js";
import type * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";
import { tagged } from "../core/options.js";
import { tlsOnly } from "./policy.js";

/** Options of {@link Topic}. */
export interface TopicArgs {
  /** An address that gets every message, after confirming that it wants to. */
  email?: pulumi.Input<string> | undefined;

  /** Id of the account whose CloudWatch alarms may publish here. Without it, only roles with a grant may. */
  alarmsOf?: pulumi.Input<string>;

  /** Tags on the topic. */
  tags?: Record<string, string> | undefined;

  /** Changes to the resources underneath. */
  transform?:
    | { topic?: Transform<sns.TopicArgs>; policy?: Transform<sns.TopicPolicyArgs>; email?: Transform<sns.TopicSubscriptionArgs> }
    | undefined;
}

/**
 * A topic that takes messages by TLS only, from those who are granted to publish.
 *
 * It is not encrypted by SNS's own key, as CloudWatch alarms could not publish then; messages are kept nowhere but in transit.
 */
export class Topic extends Component<"topic" | "policy" | "email"> {
  readonly arn: pulumi.Output<string>;

  /** The resources underneath. */
  readonly nodes: { topic: sns.Topic; policy: sns.TopicPolicy; email?: sns.TopicSubscription };

  constructor(name: string, args: TopicArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super("aws:Topic", name, { children: ["topic", "policy", "email"], transform: args.transform }, opts);
    const topic = this.create("topic", sns.Topic, { ...tagged(args) });
    const policy = this.create("policy", sns.TopicPolicy, {
      arn: topic.arn,
      policy: tlsOnly(
        "sns:Publish",
        [topic.arn],
        args.alarmsOf
          ? [
              {
                Sid: "Alarms",
                Effect: "Allow",
                Principal: { Service: "cloudwatch.amazonaws.com" },
                Action: "sns:Publish",
                Resource: topic.arn,
                Condition: { StringEquals: { "aws:SourceAccount": args.alarmsOf } },
              },
            ]
          : [],
      ),
    });
    this.nodes = { topic, policy };
    if (args.email) {
      this.nodes.email = this.create("email", sns.TopicSubscription, { topic: topic.arn, protocol: "email", endpoint: args.email });
    }
    this.arn = topic.arn;
    this.registerOutputs({ arn: this.arn });
  }
}
