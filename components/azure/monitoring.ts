import * as insights from "@pulumi/azure-native/applicationinsights/index.js";
import * as operationalinsights from "@pulumi/azure-native/operationalinsights/index.js";
import * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";
import { tagged } from "../core/options.js";
import { type Duration, seconds } from "../core/units.js";
import type { Group } from "./group.js";

/** Days that a workspace keeps its logs ready, and that its tables may keep them beyond. */
const READY = { min: 30, max: 730 };
const KEPT = [1095, 1460, 1826, 2191, 2556, 2922, 3288, 3653];

/** What is written: the child → the table's name. */
const APP_TABLES = {
  appTraces: "AppTraces",
  appRequests: "AppRequests",
  appExceptions: "AppExceptions",
  appDependencies: "AppDependencies",
  appMetrics: "AppMetrics",
} as const;
const TABLES = { ...APP_TABLES, storageQueueLogs: "StorageQueueLogs", containerLogs: "ContainerLogV2" } as const;
type TableChild = keyof typeof TABLES;

/** Which of them are written, by whose they are. */
const WRITTEN = {
  functions: [...(Object.keys(APP_TABLES) as (keyof typeof APP_TABLES)[]), "storageQueueLogs"],
  kubernetes: ["storageQueueLogs", "containerLogs"],
} as const satisfies Record<string, readonly TableChild[]>;

/** Options of {@link Monitoring}. */
export interface MonitoringArgs extends Group {
  logRetention: Duration;
  /**
   * Whose: only a Function App writes to Application Insights.
   * @default "functions"
   */
  of?: "functions" | "kubernetes";
  /** Changes to the resources underneath. */
  transform?:
    | ({ workspace?: Transform<operationalinsights.WorkspaceArgs>; insights?: Transform<insights.ComponentArgs> } & {
        [T in TableChild]?: Transform<operationalinsights.TableArgs>;
      })
    | undefined;
}

/** Where logs, traces and metrics go: a workspace, and of a Function App Application Insights in it, written to by identity only. */
export class Monitoring extends Component<"workspace" | "insights" | TableChild> {
  readonly workspaceId: pulumi.Output<string>;
  /** Of Application Insights; empty without. */
  readonly insightsId: pulumi.Output<string>;
  readonly connectionString: pulumi.Output<string>;

  /** The resources underneath; the tables where they keep longer than the workspace can. */
  readonly nodes: { workspace: operationalinsights.Workspace; insights?: insights.Component; tables: operationalinsights.Table[] };

  constructor(name: string, args: MonitoringArgs, opts?: pulumi.ComponentResourceOptions) {
    const { ready, total } = retentionInDays(args.logRetention, `${name}: logRetention`);
    const tables: readonly TableChild[] = WRITTEN[args.of ?? "functions"];
    super("azure:Monitoring", name, { children: ["workspace", "insights", ...tables], transform: args.transform }, opts);
    const { resourceGroupName, location } = args;
    const workspace = this.create("workspace", operationalinsights.Workspace, {
      resourceGroupName,
      location,
      sku: { name: "PerGB2018" },
      retentionInDays: ready,
      features: { disableLocalAuth: true },
      ...tagged(args),
    });
    const component = args.of !== "kubernetes" ? this.createInsights(args, workspace) : undefined;
    this.nodes = {
      workspace,
      ...(component && { insights: component }),
      tables:
        total === undefined
          ? []
          : tables.map((table) =>
              this.create(table, operationalinsights.Table, {
                resourceGroupName,
                workspaceName: workspace.name,
                tableName: TABLES[table],
                retentionInDays: ready,
                totalRetentionInDays: total,
              }),
            ),
    };
    this.workspaceId = workspace.id;
    this.insightsId = component?.id ?? pulumi.output("");
    this.connectionString = component?.connectionString ?? pulumi.output("");
    this.registerOutputs({ workspaceId: this.workspaceId });
  }

  private createInsights(
    { resourceGroupName, location, ...args }: MonitoringArgs,
    workspace: operationalinsights.Workspace,
  ): insights.Component {
    return this.create("insights", insights.Component, {
      resourceGroupName,
      location,
      applicationType: "web",
      kind: "web",
      ingestionMode: "LogAnalytics",
      workspaceResourceId: workspace.id,
      disableLocalAuth: true,
      ...tagged(args),
    });
  }
}

/** The shortest that Azure offers and that keeps at least `retention`: days at hand, and in all where that is longer. */
export function retentionInDays(retention: Duration, of: string): { ready: number; total?: number } {
  const days = Math.ceil(seconds(retention, { of, min: "1 day", max: "3650 days" }) / 86_400);
  const ready = Math.min(Math.max(days, READY.min), READY.max);
  return days <= READY.max ? { ready } : { ready, total: Math.min(...KEPT.filter((offered) => offered >= days)) };
}
