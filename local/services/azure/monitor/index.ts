import { randomUUID } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { armResource, resourceId, sameId, TENANT } from "../../../kernel/azure/arm.js";
import { tokenGuard } from "../../../kernel/azure/authority.js";
import { json, restProtocol, SHARED_ENDPOINT } from "../../../kernel/azure/rest.js";
import type { Cloud } from "../../../kernel/cloud.js";
import { CloudError, type Properties, type Resource, type ResourceType, type Service } from "../../../kernel/service.js";
import { readQuery } from "./query.js";

const WORKSPACE = "azure-native:operationalinsights:Workspace";
const COMPONENT = "azure-native:applicationinsights:Component";
const METRIC_ALERT = "azure-native:monitor:MetricAlert";
const QUERY_RULE = "azure-native:monitor:ScheduledQueryRule";
const ACTION_GROUP = "azure-native:monitor:ActionGroup";
const DIAGNOSTIC_SETTING = "azure-native:monitor:DiagnosticSetting";
const COLLECTION_RULE = "azure-native:monitor:DataCollectionRule";
const COLLECTION_ASSOCIATION = "azure-native:monitor:DataCollectionRuleAssociation";
const CONTAINER_LOGS = "Microsoft-ContainerLogV2";

/** Tables of Application Insights by what their telemetry is called. */
const TELEMETRY: Readonly<Record<string, string>> = {
  MessageData: "AppTraces",
  RequestData: "AppRequests",
  ExceptionData: "AppExceptions",
  RemoteDependencyData: "AppDependencies",
  MetricData: "AppMetrics",
  EventData: "AppEvents",
};
const LEVELS: Readonly<Record<string, number>> = { Verbose: 0, Information: 1, Warning: 2, Error: 3, Critical: 4 };

/** When something breached an alert's threshold, in milliseconds since the epoch. */
type Breaches = Map<string, number[]>;

/**
 * Azure Monitor: Application Insights takes telemetry, alerts look at it, at the queues' logs that are sent to a workspace, and at Event
 * Grid's metrics. They look whenever something comes, not by the minute, and are silent again after their window.
 */
export default function monitor(): Service {
  const breaches: Breaches = new Map();

  const record = (workspace: string | undefined, table: string, columns: Properties, cloud: Cloud): void => {
    for (const rule of cloud.resources.all(QUERY_RULE)) {
      if (!rule.outputs.scopes.some((scope: string) => sameId(scope, workspace))) continue;
      for (const { query, operator, threshold } of rule.outputs.criteria.allOf) {
        const { tables, matches } = readQuery(query);
        if (tables.includes(table) && matches(columns))
          count(rule, rule.outputs.actions?.actionGroups ?? [], { operator, threshold }, cloud, breaches);
      }
    }
  };

  return {
    name: "monitor",
    async start(cloud) {
      cloud.subscribe(({ source, type, resources: [resource], detail }) => {
        if (source === "Microsoft.EventGrid" && type === "Metric") {
          for (const alert of cloud.resources.all(METRIC_ALERT)) {
            const groups = (alert.outputs.actions ?? []).map(({ actionGroupId }: Properties) => actionGroupId);
            const criteria = alert.outputs.criteria.allOf.filter(({ metricName }: Properties) => metricName === detail.metric);
            if (alert.outputs.scopes.some((scope: string) => sameId(scope, resource))) {
              for (const criterion of criteria) count(alert, groups, criterion, cloud, breaches);
            }
          }
        }
        if (source === "Microsoft.Storage" && type === "StorageWrite") {
          const settings = cloud.resources.all(DIAGNOSTIC_SETTING).filter(({ outputs, inputs }) => {
            const category = outputs.logs?.some(
              (log: Properties) => log.enabled && (log.category === type || log.categoryGroup === "allLogs"),
            );
            return category && sameId(inputs.resourceUri, resource);
          });
          for (const { outputs } of settings) record(outputs.workspaceId, "StorageQueueLogs", detail, cloud);
        }
        if (source === "Microsoft.ContainerService" && type === "ContainerLog") {
          // Of a line of JSON, its own member; Azure guesses it of other lines, which is left out here.
          const columns = { ...detail, LogLevel: detail.LogMessage?.level ?? "UNKNOWN" };
          for (const workspace of collecting(resource, detail.PodNamespace, cloud)) record(workspace, "ContainerLogV2", columns, cloud);
        }
      });
    },
    resources,
    api: {
      endpoints: [SHARED_ENDPOINT],
      // Components that take keys need nothing of whoever knows one: no token is asked for.
      guard: tokenGuard("https://monitor.azure.com"),
      protocol: restProtocol([{ operation: "Track", method: "POST", path: /^\/applicationinsights\/+v2(\.1)?\/track$/ }]),
      operations: {
        Track: {
          needs(input, cloud) {
            const components = readTelemetry(input).map(({ iKey }) => componentOf(iKey, cloud));
            const guarded = new Set(components.filter(({ outputs }) => outputs.disableLocalAuth).map(({ id }) => id));
            return [...guarded].map((resource) => ({ action: "Microsoft.Insights/Telemetry/Write", resource }));
          },
          async handle(input, { cloud }) {
            const items = readTelemetry(input);
            for (const { iKey, data = {} } of items) {
              const { baseType = "", baseData = {} } = data;
              const table = TELEMETRY[baseType] ?? "AppEvents";
              const columns = { Message: baseData.message, SeverityLevel: level(baseData.severityLevel), Properties: baseData.properties };
              record(componentOf(iKey, cloud).outputs.workspaceResourceId, table, columns, cloud);
              cloud.trace.add({
                kind: "log",
                subject: table,
                text: String(baseData.message ?? baseData.name ?? baseType),
                detail: { table, ...columns },
              });
            }
            return { response: json(200, { itemsReceived: items.length, itemsAccepted: items.length, errors: [] }) };
          },
        },
      },
    },
  };
}

/** Workspaces that the rules which are associated with a cluster send the logs of a namespace to. */
function collecting(cluster: string | undefined, namespace: string, { resources: registry }: Cloud): string[] {
  const ids = registry
    .all(COLLECTION_ASSOCIATION)
    .filter(({ inputs }) => sameId(inputs.resourceUri, cluster))
    .map(({ inputs }) => inputs.dataCollectionRuleId);
  const rules = registry.all(COLLECTION_RULE).filter(({ id }) => ids.some((each) => sameId(each, id)));
  return rules.flatMap(({ outputs: { dataSources, destinations, dataFlows } }) => {
    const taken = (dataSources?.extensions ?? []).some(({ streams, extensionSettings }: Properties) => {
      const { namespaceFilteringMode = "Off", namespaces = [] } = extensionSettings?.dataCollectionSettings ?? {};
      if (!streams?.includes(CONTAINER_LOGS)) return false;
      return namespaceFilteringMode === "Off" || (namespaceFilteringMode === "Include") === namespaces.includes(namespace);
    });
    const names = (dataFlows ?? [])
      .filter(({ streams }: Properties) => streams?.includes(CONTAINER_LOGS))
      .flatMap((flow: Properties) => flow.destinations ?? []);
    const workspaces = (destinations?.logAnalytics ?? []).filter(({ name }: Properties) => names.includes(name));
    return taken ? workspaces.map(({ workspaceResourceId }: Properties) => workspaceResourceId) : [];
  });
}

const level = (given: unknown): number => (typeof given === "number" ? given : (LEVELS[String(given)] ?? 1));

function readTelemetry({ body, headers }: Properties): Properties[] {
  try {
    const text = (headers["content-encoding"] === "gzip" ? gunzipSync(body) : body).toString().trim();
    return text.startsWith("[") ? JSON.parse(text) : text.split("\n").map((line: string) => JSON.parse(line));
  } catch {
    throw new CloudError("BadRequest", "Telemetry is JSON: a list, or an item on each line.", 400);
  }
}

function componentOf(key: unknown, { resources: registry }: Cloud): Resource {
  const found = registry.all(COMPONENT).find(({ outputs }) => outputs.instrumentationKey === key);
  if (!found) throw new CloudError("BadRequest", `No component has the instrumentation key ${key}.`, 400);
  return found;
}

/** Counts what an alert looks at; more than the threshold in its window fires it, once until the window is over. */
function count(alert: Resource, groups: readonly string[], { operator, threshold }: Properties, cloud: Cloud, breaches: Breaches): void {
  if (alert.outputs.enabled === false) return;
  const { name, description, windowSize, severity } = alert.outputs;
  const now = cloud.now().getTime();
  const within = [...(breaches.get(alert.id) ?? []).filter((at) => at > now - milliseconds(windowSize)), now];
  const limit = operator === "GreaterThanOrEqual" ? threshold - 1 : threshold;
  breaches.set(alert.id, within);
  if (within.length !== Math.floor(limit) + 1) return;
  const reason = `${within.length} in ${windowSize}, which is ${operator} ${threshold}`;
  cloud.trace.add({
    kind: "alarm",
    subject: name,
    text: `${name}: fired. ${description ?? ""} (${reason})`,
    detail: { alarm: name, before: "OK", state: "ALARM", reason, severity },
  });
  for (const group of groups) {
    const found = cloud.resources.all(ACTION_GROUP).find(({ id }) => sameId(id, group));
    if (!found?.outputs.enabled) continue;
    for (const { emailAddress: to } of found.outputs.emailReceivers ?? []) {
      const subject = `Fired: Sev${severity} ${name}`;
      cloud.trace.add({
        kind: "message",
        subject: found.outputs.name,
        text: `E-mail to ${to}: ${subject}`,
        detail: { to, subject, body: `${description ?? ""}\n${reason}` },
      });
    }
  }
}

/** Of `PT5M`, `PT1H`, `P1D`. */
function milliseconds(duration: string): number {
  const [, days = 0, hours = 0, minutes = 0] = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?$/.exec(duration) ?? [];
  return ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60_000;
}

const checkDuration = (input: string, value: string | undefined): void => {
  if (value !== undefined && milliseconds(value) < 60_000) {
    throw new CloudError("BadRequest", `${input} is "${value}": it is an ISO 8601 duration of at least a minute, such as PT5M.`);
  }
};

const CRITERIA = ["criterionType", "name", "metricName", "metricNamespace", "operator", "threshold", "timeAggregation"];
const OPERATORS = ["GreaterThan", "GreaterThanOrEqual"];

function checkOperators(criteria: readonly Properties[]): void {
  for (const { operator } of criteria) {
    if (!OPERATORS.includes(operator))
      throw new CloudError("FeatureNotSupported", `operator is "${operator}": the embedded cloud has ${OPERATORS.join(" and ")}.`);
  }
}

const resources: Record<string, ResourceType> = {
  [WORKSPACE]: armResource({
    type: "Microsoft.OperationalInsights/workspaces",
    apiVersion: "2025-02-01",
    inputs: ["resourceGroupName", "workspaceName", "location", "tags", "sku", "retentionInDays", "features", "workspaceCapping"],
    named: { input: "workspaceName", maxLength: 63, style: "plain" },
    location: "regional",
    systemData: true,
    outputs: ({ sku, retentionInDays, features, workspaceCapping }, { cloud, before }) => ({
      sku,
      retentionInDays: retentionInDays ?? 30,
      features,
      workspaceCapping,
      createdDate: before?.outputs.createdDate ?? cloud.now().toISOString(),
      modifiedDate: cloud.now().toISOString(),
      customerId: before?.outputs.customerId ?? randomUUID(),
      privateLinkScopedResources: [],
      provisioningState: "Succeeded",
    }),
  }),

  "azure-native:operationalinsights:Table": armResource({
    type: "Microsoft.OperationalInsights/workspaces/tables",
    apiVersion: "2025-02-01",
    inputs: ["resourceGroupName", "workspaceName", "tableName", "retentionInDays", "totalRetentionInDays", "plan"],
    named: { input: "tableName", style: "plain" },
    replacedBy: ["workspaceName"],
    systemData: true,
    id: ({ resourceGroupName, workspaceName, tableName }) =>
      resourceId(resourceGroupName, "Microsoft.OperationalInsights/workspaces/tables", workspaceName, tableName),
    outputs({ retentionInDays, totalRetentionInDays, plan = "Analytics" }) {
      const ready = retentionInDays ?? 30;
      const total = totalRetentionInDays ?? ready;
      return {
        plan,
        retentionInDays: ready,
        totalRetentionInDays: total,
        archiveRetentionInDays: Math.max(total - ready, 0),
        lastPlanModifiedDate: "",
        provisioningState: "Succeeded",
        restoredLogs: {},
        resultStatistics: {},
        retentionInDaysAsDefault: retentionInDays === undefined,
        totalRetentionInDaysAsDefault: totalRetentionInDays === undefined,
      };
    },
  }),

  [COMPONENT]: armResource({
    type: "Microsoft.Insights/components",
    apiVersion: "2020-02-02",
    inputs: [
      "resourceGroupName",
      "resourceName",
      "location",
      "tags",
      "kind",
      "applicationType",
      "flowType",
      "requestSource",
      "ingestionMode",
      "disableLocalAuth",
      "publicNetworkAccessForIngestion",
      "publicNetworkAccessForQuery",
      "retentionInDays",
      "workspaceResourceId",
    ],
    named: { input: "resourceName", maxLength: 255, style: "plain" },
    location: "regional",
    outputs: async (
      { resourceGroupName: _group, resourceName: _name, location: _location, tags: _tags, ...given },
      { name, cloud, before },
    ) => {
      const instrumentationKey: string = before?.outputs.instrumentationKey ?? randomUUID();
      const appId: string = before?.outputs.appId ?? randomUUID();
      const ingestion = `${(await cloud.secure(SHARED_ENDPOINT)).url}/applicationinsights/`;
      return {
        ...given,
        appId,
        applicationId: name,
        connectionString: `InstrumentationKey=${instrumentationKey};IngestionEndpoint=${ingestion};LiveEndpoint=${ingestion};ApplicationId=${appId}`,
        instrumentationKey,
        creationDate: before?.outputs.creationDate ?? cloud.now().toISOString(),
        hockeyAppToken: "",
        laMigrationDate: "",
        privateLinkScopedResources: [],
        provisioningState: "Succeeded",
        tenantId: TENANT,
      };
    },
  }),

  [ACTION_GROUP]: armResource({
    type: "Microsoft.Insights/actionGroups",
    apiVersion: "2024-10-01-preview",
    inputs: ["resourceGroupName", "actionGroupName", "location", "tags", "enabled", "groupShortName", "emailReceivers"],
    named: { input: "actionGroupName", maxLength: 260, style: "plain" },
    location: "global",
    systemData: true,
    check(inputs) {
      const short = inputs.groupShortName;
      if (typeof short !== "string" || short.length < 1 || short.length > 12) {
        throw new CloudError("BadRequest", `groupShortName is "${short}": it must have 1 to 12 characters.`);
      }
      return inputs;
    },
    outputs: ({ enabled, groupShortName, emailReceivers = [] }) => ({
      enabled,
      groupShortName,
      emailReceivers: emailReceivers.map((receiver: Properties) => ({ ...receiver, status: "Enabled" })),
    }),
  }),

  [METRIC_ALERT]: armResource({
    type: "Microsoft.Insights/metricAlerts",
    apiVersion: "2018-03-01",
    inputs: [
      ...["resourceGroupName", "ruleName", "location", "tags", "description", "enabled", "severity", "scopes", "evaluationFrequency"],
      ...["windowSize", "autoMitigate", "actions", "criteria.odataType", ...CRITERIA.map((name) => `criteria.allOf[].${name}`)],
    ],
    named: { input: "ruleName", maxLength: 260, style: "plain" },
    replacedBy: ["scopes"],
    location: "global",
    check(inputs) {
      checkDuration("windowSize", inputs.windowSize);
      checkOperators(inputs.criteria?.allOf ?? []);
      return inputs;
    },
    outputs: ({ resourceGroupName: _group, ruleName: _name, location: _location, tags: _tags, ...given }, { cloud }) => ({
      ...given,
      isMigrated: false,
      lastUpdatedTime: cloud.now().toISOString(),
    }),
  }),

  [QUERY_RULE]: armResource({
    type: "Microsoft.Insights/scheduledQueryRules",
    apiVersion: "2024-01-01-preview",
    inputs: [
      ...["resourceGroupName", "ruleName", "location", "tags", "kind", "description", "displayName", "enabled", "severity", "scopes"],
      ...["evaluationFrequency", "windowSize", "skipQueryValidation", "autoMitigate", "actions.actionGroups"],
      ...["query", "timeAggregation", "operator", "threshold"].map((name) => `criteria.allOf[].${name}`),
    ],
    named: { input: "ruleName", maxLength: 260, style: "plain" },
    replacedBy: ["scopes", "kind"],
    location: "regional",
    systemData: true,
    check(inputs) {
      checkDuration("windowSize", inputs.windowSize);
      checkOperators(inputs.criteria?.allOf ?? []);
      for (const { query, timeAggregation } of inputs.criteria?.allOf ?? []) {
        if (typeof query === "string") readQuery(query);
        if (timeAggregation !== "Count")
          throw new CloudError("FeatureNotSupported", `timeAggregation is "${timeAggregation}": the embedded cloud counts ("Count").`);
      }
      return inputs;
    },
    outputs: ({ resourceGroupName: _group, ruleName: _name, location: _location, tags: _tags, ...given }, { before }) => ({
      ...given,
      createdWithApiVersion: "2024-01-01-preview",
      etag: before?.outputs.etag ?? `"${randomUUID()}"`,
      isLegacyLogAnalyticsRule: false,
      isWorkspaceAlertsStorageConfigured: false,
    }),
  }),

  [DIAGNOSTIC_SETTING]: armResource({
    type: "Microsoft.Insights/diagnosticSettings",
    apiVersion: "2021-05-01-preview",
    inputs: ["resourceUri", "name", "workspaceId", ...["category", "categoryGroup", "enabled"].map((name) => `logs[].${name}`)],
    named: { input: "name", maxLength: 260, style: "plain" },
    replacedBy: ["resourceUri"],
    systemData: true,
    id: ({ resourceUri, name }) => `${resourceUri}/providers/Microsoft.Insights/diagnosticSettings/${name}`,
    outputs: ({ workspaceId, logs }) => ({ workspaceId, logs }),
  }),

  [COLLECTION_RULE]: armResource({
    type: "Microsoft.Insights/dataCollectionRules",
    apiVersion: "2022-06-01",
    inputs: [
      ...["resourceGroupName", "dataCollectionRuleName", "location", "tags", "kind", "description"],
      ...["name", "extensionName", "streams", "extensionSettings"].map((name) => `dataSources.extensions[].${name}`),
      ...["name", "workspaceResourceId"].map((name) => `destinations.logAnalytics[].${name}`),
      ...["streams", "destinations"].map((name) => `dataFlows[].${name}`),
    ],
    named: { input: "dataCollectionRuleName", maxLength: 64, style: "plain" },
    location: "regional",
    systemData: true,
    check(inputs) {
      const known = (inputs.destinations?.logAnalytics ?? []).map(({ name }: Properties) => name);
      for (const { destinations = [], streams = [] } of inputs.dataFlows ?? []) {
        const unknown = destinations.find((name: string) => !known.includes(name));
        if (unknown !== undefined)
          throw new CloudError("InvalidPayload", `A data flow goes to "${unknown}", which is none of the destinations: ${known}.`);
        const other = streams.find((stream: string) => stream !== CONTAINER_LOGS);
        if (other !== undefined)
          throw new CloudError("FeatureNotSupported", `A data flow is of ${other}: the embedded cloud collects ${CONTAINER_LOGS}.`);
      }
      return inputs;
    },
    outputs: ({ resourceGroupName: _group, dataCollectionRuleName: _name, location: _location, tags: _tags, ...given }, { before }) => ({
      ...given,
      etag: before?.outputs.etag ?? `"${randomUUID()}"`,
      immutableId: before?.outputs.immutableId ?? `dcr-${randomUUID().replaceAll("-", "")}`,
      provisioningState: "Succeeded",
    }),
  }),

  [COLLECTION_ASSOCIATION]: armResource({
    type: "Microsoft.Insights/dataCollectionRuleAssociations",
    apiVersion: "2022-06-01",
    inputs: ["resourceUri", "associationName", "dataCollectionRuleId", "description"],
    named: { input: "associationName", maxLength: 64, style: "plain" },
    replacedBy: ["resourceUri", "associationName"],
    systemData: true,
    id: ({ resourceUri, associationName }) =>
      `${resourceUri}/providers/Microsoft.Insights/dataCollectionRuleAssociations/${associationName}`,
    outputs: ({ dataCollectionRuleId, description }, { before }) => ({
      dataCollectionRuleId,
      description,
      etag: before?.outputs.etag ?? `"${randomUUID()}"`,
      provisioningState: "Succeeded",
    }),
  }),
};
