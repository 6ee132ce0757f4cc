import assert from "node:assert/strict";
import type { Properties, Resource } from "../../../../../local/kernel/service.js";
import monitor from "../../../../../local/services/azure/monitor/index.js";
import { type TestAzure, testAzure } from "../azure-cloud.js";

const CLUSTER = "/subscriptions/s/resourceGroups/photos/providers/Microsoft.ContainerService/managedClusters/photos";

describe("What containers of a cluster say", () => {
  let azure: TestAzure;
  let workspace: Resource;

  const collectionRule = (name: string, flow: Properties = {}) =>
    azure.declare("azure-native:monitor:DataCollectionRule", name, {
      dataCollectionRuleName: name,
      kind: "Linux",
      dataSources: {
        extensions: [
          {
            name: "ContainerInsightsExtension",
            extensionName: "ContainerInsights",
            streams: ["Microsoft-ContainerLogV2"],
            extensionSettings: {
              dataCollectionSettings: { namespaceFilteringMode: "Include", namespaces: ["photos"], enableContainerLogV2: true },
            },
          },
        ],
      },
      destinations: { logAnalytics: [{ name: "workspace", workspaceResourceId: workspace.id }] },
      dataFlows: [{ streams: ["Microsoft-ContainerLogV2"], destinations: ["workspace"], ...flow }],
    });
  const alarms = () => azure.test.cloud.trace.entries("alarm").length;
  const say = (PodNamespace: string, LogMessage: unknown, cluster = CLUSTER) =>
    azure.test.cloud.publish({
      source: "Microsoft.ContainerService",
      type: "ContainerLog",
      resources: [cluster],
      detail: { PodNamespace, PodName: "processor-1", ContainerName: "processor", LogSource: "stdout", LogMessage },
    });

  before(async () => {
    azure = await testAzure([monitor()]);
    workspace = await azure.declare("azure-native:operationalinsights:Workspace", "logs", {
      workspaceName: "logs",
      sku: { name: "PerGB2018" },
    });
    await azure.declare("azure-native:monitor:ScheduledQueryRule", "failed", {
      ruleName: "failed",
      kind: "LogAlert",
      enabled: true,
      severity: 1,
      scopes: [workspace.id],
      evaluationFrequency: "PT5M",
      windowSize: "PT5M",
      criteria: {
        allOf: [
          {
            query: 'ContainerLogV2 | where PodNamespace == "photos" and LogLevel has "error"',
            timeAggregation: "Count",
            operator: "GreaterThan",
            threshold: 0,
          },
        ],
      },
    });
  });
  after(() => azure.test.stop());

  it("goes nowhere until a rule is associated with the cluster", async () => {
    const rule = await collectionRule("containers");
    say("photos", { level: "error", message: "m" });
    assert.equal(alarms(), 0);
    await azure.test.declare("azure-native:monitor:DataCollectionRuleAssociation", "logs", {
      resourceUri: CLUSTER,
      associationName: "ContainerInsightsExtension",
      dataCollectionRuleId: rule.id,
    });
  });

  it("is looked at by alarms: of the namespaces, the cluster and the level that are asked for", () => {
    say("kube-system", { level: "error", message: "m" });
    say("photos", { level: "info", message: "m" });
    say("photos", "a line that is no JSON");
    say("photos", { level: "error", message: "m" }, `${CLUSTER}-other`);
    assert.equal(alarms(), 0);
    say("photos", { level: "error", message: "m" });
    assert.equal(alarms(), 1);
  });

  it("is not collected by a rule whose flows nobody could follow", async () => {
    await assert.rejects(collectionRule("a", { destinations: ["elsewhere"] }), { code: "InvalidPayload", message: /"elsewhere"/ });
    await assert.rejects(collectionRule("b", { streams: ["Microsoft-Perf"] }), { code: "FeatureNotSupported", message: /Microsoft-Perf/ });
  });
});
