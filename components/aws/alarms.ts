import * as cloudwatch from "@pulumi/aws/cloudwatch/index.js";
import type * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";
import { tagged } from "../core/options.js";

/** Something that should not happen: any of it within five minutes rings. */
export interface AlarmArgs {
  description: string;
  namespace: string;
  metricName: string;
  dimensions: Record<string, pulumi.Input<string>>;
}

/** Options of {@link Alarms}. */
export interface AlarmsArgs<Name extends string> {
  /** What to watch, by name. */
  on: Record<Name, AlarmArgs>;

  /** ARN of the topic that is told when one rings. */
  topic: pulumi.Input<string>;

  /** Tags on the alarms. */
  tags?: Record<string, string> | undefined;

  /** Changes to the alarms, by name. */
  transform?: { [N in Name]?: Transform<cloudwatch.MetricAlarmArgs> } | undefined;
}

/** Alarms that ring when what must not happen happens, and are silent when nothing does. */
export class Alarms<Name extends string> extends Component<Name> {
  /** The alarms, by name. */
  readonly nodes: Record<Name, cloudwatch.MetricAlarm>;

  constructor(name: string, args: AlarmsArgs<Name>, opts?: pulumi.ComponentResourceOptions) {
    const names = Object.keys(args.on) as Name[];
    super("aws:Alarms", name, { children: names, transform: args.transform }, opts);
    this.nodes = Object.fromEntries(names.map((each) => [each, this.createAlarm(each, args)])) as Record<Name, cloudwatch.MetricAlarm>;
    this.registerOutputs();
  }

  private createAlarm(name: Name, args: AlarmsArgs<Name>): cloudwatch.MetricAlarm {
    const { description, ...metric } = args.on[name];
    return this.create(name, cloudwatch.MetricAlarm, {
      alarmDescription: description,
      ...metric,
      statistic: "Sum",
      period: 300,
      evaluationPeriods: 1,
      comparisonOperator: "GreaterThanThreshold",
      threshold: 0,
      treatMissingData: "notBreaching",
      alarmActions: [args.topic],
      ...tagged(args),
    });
  }
}
