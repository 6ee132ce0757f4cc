import * as monitor from "@pulumi/azure-native/monitor/index.js";
import * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";
import { tagged } from "../core/options.js";
import type { Group } from "./group.js";

/** Options of {@link Alarms}. */
export interface AlarmsArgs extends Group {
  /** An address that is told when one rings. Without it, they only show in the portal. */
  email?: pulumi.Input<string> | undefined;
  workspaceId: pulumi.Input<string>;
  /** The system topic whose events may be lost. */
  topicId: pulumi.Input<string>;
  /** The storage account of the queues where work is parked. */
  queuesOf: pulumi.Input<string>;
  /** Queues in which no message should ever be put. */
  parkedIn: readonly string[];
  /**
   * The query of the failures that are logged.
   * @default what a Function App logs of them
   */
  failures?: string | undefined;
  /** Changes to the resources underneath. */
  transform?:
    | {
        group?: Transform<monitor.ActionGroupArgs>;
        queueLogs?: Transform<monitor.DiagnosticSettingArgs>;
        eventsParked?: Transform<monitor.MetricAlertArgs>;
        eventsLost?: Transform<monitor.MetricAlertArgs>;
        parked?: Transform<monitor.ScheduledQueryRuleArgs>;
        failed?: Transform<monitor.ScheduledQueryRuleArgs>;
      }
    | undefined;
}

/** What the app logs, and what it throws: the host keeps them in two tables, and only what is thrown is never sampled. */
const APP_FAILURES = "union AppTraces, AppExceptions | where SeverityLevel >= 3";

const CHILDREN = ["group", "queueLogs", "eventsParked", "eventsLost", "parked", "failed"] as const;

/** Alarms that ring when what must not happen happens, and are silent when nothing does. */
export class Alarms extends Component<(typeof CHILDREN)[number]> {
  /** The resources underneath. */
  readonly nodes: {
    group: monitor.ActionGroup;
    queueLogs: monitor.DiagnosticSetting;
    eventsParked: monitor.MetricAlert;
    eventsLost: monitor.MetricAlert;
    parked: monitor.ScheduledQueryRule;
    failed: monitor.ScheduledQueryRule;
  };

  constructor(
    name: string,
    private readonly args: AlarmsArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("azure:Alarms", name, { children: CHILDREN, transform: args.transform }, opts);
    const group = this.createGroup();
    // The number of a queue's messages is only known by the hour, and of all queues together: so what is put there is looked at.
    const queueLogs = this.create("queueLogs", monitor.DiagnosticSetting, {
      resourceUri: pulumi.interpolate`${args.queuesOf}/queueServices/default`,
      workspaceId: args.workspaceId,
      logs: [{ category: "StorageWrite", enabled: true }],
    });
    const queues = args.parkedIn.map((queue) => JSON.stringify(`/${queue}/messages`)).join(", ");
    this.nodes = {
      group,
      queueLogs,
      eventsParked: this.createMetric("eventsParked", "Event Grid could not deliver what happened to images.", "DeadLetteredCount", group),
      eventsLost: this.createMetric("eventsLost", "Event Grid has given up what happened to images.", "DroppedEventCount", group),
      parked: this.createQuery(
        "parked",
        "Work is parked that could not be done: look at GET /failures, and redrive it.",
        `StorageQueueLogs | where OperationName == "PutMessage" and Uri has_any (${queues})`,
        group,
      ),
      failed: this.createQuery("failed", "The app failed.", args.failures ?? APP_FAILURES, group),
    };
    this.registerOutputs();
  }

  private createGroup(): monitor.ActionGroup {
    const { email, resourceGroupName } = this.args;
    return this.create("group", monitor.ActionGroup, {
      resourceGroupName,
      location: "Global",
      enabled: true,
      // What text messages begin with: 12 letters at most.
      groupShortName: this.name.slice(0, 12),
      emailReceivers: email === undefined ? [] : [{ name: "email", emailAddress: email, useCommonAlertSchema: true }],
      ...tagged(this.args),
    });
  }

  private createMetric(
    child: "eventsParked" | "eventsLost",
    description: string,
    metricName: string,
    group: monitor.ActionGroup,
  ): monitor.MetricAlert {
    return this.create(child, monitor.MetricAlert, {
      resourceGroupName: this.args.resourceGroupName,
      location: "global",
      description,
      enabled: true,
      severity: 1,
      scopes: [this.args.topicId],
      evaluationFrequency: "PT1M",
      windowSize: "PT5M",
      criteria: {
        odataType: "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
        allOf: [
          {
            criterionType: "StaticThresholdCriterion",
            name: metricName,
            metricName,
            operator: "GreaterThan",
            threshold: 0,
            timeAggregation: "Total",
          },
        ],
      },
      actions: [{ actionGroupId: group.id }],
      ...tagged(this.args),
    });
  }

  private createQuery(
    child: "parked" | "failed",
    description: string,
    query: string,
    group: monitor.ActionGroup,
  ): monitor.ScheduledQueryRule {
    return this.create(child, monitor.ScheduledQueryRule, {
      resourceGroupName: this.args.resourceGroupName,
      location: this.args.location,
      kind: "LogAlert",
      description,
      enabled: true,
      severity: 1,
      scopes: [this.args.workspaceId],
      evaluationFrequency: "PT5M",
      // Logs come minutes after what they tell of: in a window as short as that, what comes late would be in none. It rings once all the same.
      windowSize: "PT15M",
      // The tables come with the first log.
      skipQueryValidation: true,
      criteria: { allOf: [{ query, timeAggregation: "Count", operator: "GreaterThan", threshold: 0 }] },
      actions: { actionGroups: [group.id] },
      autoMitigate: true,
      ...tagged(this.args),
    });
  }
}
