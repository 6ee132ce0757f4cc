import assert from "node:assert/strict";
import { Alarms } from "../../../components/azure/alarms.js";
import { ApiKey } from "../../../components/azure/api-key.js";
import { Arrivals } from "../../../components/azure/arrivals.js";
import { Email } from "../../../components/azure/email.js";
import { FunctionApp } from "../../../components/azure/function-app.js";
import { Grants } from "../../../components/azure/grants.js";
import { ImagePipeline } from "../../../components/azure/image-pipeline.js";
import { Monitoring } from "../../../components/azure/monitoring.js";
import { Records } from "../../../components/azure/records.js";
import { Storage } from "../../../components/azure/storage.js";
import { Topic } from "../../../components/azure/topic.js";
import { Vision } from "../../../components/azure/vision.js";
import { recorded } from "../../declared.js";
import { DEPLOYER, SUBSCRIPTION, TOKEN } from "../../declared-azure.js";
import { reviewedTypes } from "../reviewed.js";

const ID = `/subscriptions/${SUBSCRIPTION}/resourceGroups/photos`;
const GROUP = { resourceGroupName: "photos", groupId: ID, location: "westeurope" };
const IN = { resourceGroupName: "photos" };
const AT = { ...IN, location: "westeurope" };
const TAGS = { team: "photos" };

/** Types that are asserted here, each with all of its inputs. */
const seen = new Set<string>();

/** Logical name → every input, of what a program declares; hashes of physical names as `#`. */
async function exact(program: () => unknown): Promise<Record<string, any>> {
  const resources = await recorded(program);
  for (const { type } of resources) seen.add(type);
  const plain = (inputs: object) => JSON.parse(JSON.stringify(inputs).replaceAll(/(?<=[a-z-])(?<![0-9a-f]{3})[0-9a-f]{13}(?=["./])/g, "#"));
  return Object.fromEntries(resources.map(({ name, inputs: { __provider, ...inputs } }) => [name, plain(inputs)]));
}

describe("A part of the pipeline on Azure is declared exactly:", () => {
  const account = {
    ...AT,
    accountName: "files#",
    kind: "StorageV2",
    sku: { name: "Standard_LRS" },
    allowBlobPublicAccess: false,
    allowSharedKeyAccess: false,
    allowCrossTenantReplication: false,
    defaultToOAuthAuthentication: true,
    enableHttpsTrafficOnly: true,
    minimumTlsVersion: "TLS1_2",
  };
  const of = { ...IN, accountName: "files#" };

  it("an account is private and opened by identity only, and so is all that is in it", async () => {
    const args = { ...GROUP, containers: { uploads: "in" }, queues: { jobs: "jobqueue" }, tables: { tags: "ImageTags" } };
    assert.deepEqual(await exact(() => new Storage("files", args)), {
      "files-account": account,
      "files-uploads": { ...of, containerName: "in", publicAccess: "None" },
      "files-jobs": { ...of, queueName: "jobqueue" },
      "files-tags": { ...of, tableName: "ImageTags" },
    });
  });

  it("an account may forget, and let pages of some origins upload", async () => {
    const declared = await exact(() =>
      new Storage("files", { ...GROUP, expire: { "thumbnails/labels/": 1 }, tags: TAGS }).openTo(["https://app.example.org"]),
    );
    assert.deepEqual(declared, {
      "files-account": { ...account, tags: TAGS },
      "files-lifecycle": {
        ...of,
        managementPolicyName: "default",
        policy: {
          rules: [
            {
              name: "thumbnails-labels",
              type: "Lifecycle",
              definition: {
                filters: { blobTypes: ["blockBlob"], prefixMatch: ["thumbnails/labels/"] },
                actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: 1 } } },
              },
            },
          ],
        },
      },
      "files-blobs": {
        ...of,
        blobServicesName: "default",
        deleteRetentionPolicy: { enabled: false },
        containerDeleteRetentionPolicy: { enabled: false },
        cors: {
          corsRules: [
            {
              allowedMethods: ["PUT"],
              allowedOrigins: ["https://app.example.org"],
              allowedHeaders: ["content-type", "if-none-match", "x-ms-blob-type", "x-ms-meta-*"],
              exposedHeaders: ["ETag"],
              maxAgeInSeconds: 3_600,
            },
          ],
        },
      },
    });
  });

  it("what was deleted can be had back for some days, where that is asked for, and purged by nobody meanwhile", async () => {
    const { "files-blobs": blobs } = (await exact(() => new Storage("files", { ...GROUP, recovery: 7 }).openTo([]))) as Record<string, any>;
    assert.deepEqual(blobs.deleteRetentionPolicy, { enabled: true, days: 7 });
    assert.deepEqual(blobs.containerDeleteRetentionPolicy, { enabled: true, days: 7 });
    const key = await exact(() => new ApiKey("key", { ...GROUP, tenantId: DEPLOYER.tenantId, recovery: 14 }));
    const { softDeleteRetentionInDays, enablePurgeProtection } = (key as Record<string, any>)["key-vault"].properties;
    assert.deepEqual([softDeleteRetentionInDays, enablePurgeProtection], [14, true]);
  });

  it("everything in an account outlives the stack, where it is to be retained", async () => {
    const args = { ...GROUP, containers: { uploads: "in" }, queues: { jobs: "jobqueue" }, tables: { tags: "ImageTags" } };
    const resources = await recorded(() => new Storage("files", { ...args, expire: { "in/": 1 }, removal: "retain" }).openTo([]));
    assert.equal(resources.length, 6);
    for (const { name, retainOnDelete } of resources) assert.equal(retainOnDelete, true, name);
  });

  it("arrivals and deletions of one container go to a queue by the topic's own identity", async () => {
    const source = `${ID}/providers/Microsoft.Storage/storageAccounts/files`;
    const container = `${source}/blobServices/default/containers/deadletter`;
    const role = (id: string) => ({
      principalId: "bbbbbbbb-0000-4000-8000-000000000003",
      principalType: "ServicePrincipal",
      roleDefinitionId: `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/${id}`,
    });
    const declared = await exact(
      () =>
        new Arrivals("arrivals", {
          ...GROUP,
          tags: TAGS,
          source: { accountId: source, location: "northeurope" },
          container: "in",
          queue: { accountId: "state", name: "jobqueue", id: "state/queues/jobqueue" },
          deadLetters: { accountId: source, name: "deadletter", id: container },
        }),
    );
    assert.deepEqual(declared, {
      "arrivals-topic": {
        ...IN,
        location: "northeurope",
        source,
        topicType: "Microsoft.Storage.StorageAccounts",
        identity: { type: "SystemAssigned" },
        tags: TAGS,
      },
      "arrivals-may-send": { ...role("c6a89b2d-59bc-44d0-9896-0f6e12d7b80a"), scope: "state/queues/jobqueue" },
      "arrivals-may-park": { ...role("ba92f5b4-2d11-453d-a403-e96b0029c9fe"), scope: container },
      "arrivals-subscription": {
        ...IN,
        systemTopicName: "arrivals-topic",
        eventDeliverySchema: "EventGridSchema",
        deliveryWithResourceIdentity: {
          identity: { type: "SystemAssigned" },
          destination: { endpointType: "StorageQueue", resourceId: "state", queueName: "jobqueue", queueMessageTimeToLiveInSeconds: -1 },
        },
        deadLetterWithResourceIdentity: {
          identity: { type: "SystemAssigned" },
          deadLetterDestination: { endpointType: "StorageBlob", resourceId: source, blobContainerName: "deadletter" },
        },
        retryPolicy: { maxDeliveryAttempts: 30, eventTimeToLiveInMinutes: 1_440 },
        filter: {
          includedEventTypes: ["Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobDeleted"],
          isSubjectCaseSensitive: false,
          subjectBeginsWith: "/blobServices/default/containers/in/blobs/",
          advancedFilters: [
            {
              operatorType: "StringIn",
              key: "data.api",
              values: ["PutBlob", "PutBlockList", "CopyBlob", "FlushWithClose", "DeleteBlob", "DeleteFile"],
            },
          ],
        },
      },
    });
  });

  it("the topic takes CloudEvents of whoever has a role for it", async () => {
    assert.deepEqual(await exact(() => new Topic("results", { ...GROUP, tags: TAGS })), {
      "results-topic": {
        ...AT,
        inputSchema: "CloudEventSchemaV1_0",
        disableLocalAuth: true,
        minimumTlsVersionAllowed: "1.2",
        publicNetworkAccess: "Enabled",
        tags: TAGS,
      },
    });
  });

  it("mail comes from a domain of Azure's, and its data stay in Europe unless told otherwise", async () => {
    const common = { ...IN, location: "global", tags: TAGS };
    const service = `${ID}/providers/Microsoft.Communication/emailServices/mail-service`;
    assert.deepEqual(await exact(() => new Email("mail", { ...GROUP, tags: TAGS })), {
      "mail-service": { ...common, dataLocation: "Europe" },
      "mail-domain": {
        ...common,
        emailServiceName: "mail-service",
        domainName: "AzureManagedDomain",
        domainManagement: "AzureManaged",
      },
      "mail-communication": {
        ...common,
        dataLocation: "Europe",
        linkedDomains: [`${service}/domains/AzureManagedDomain`],
        disableLocalAuth: true,
      },
    });
    const declared = await exact(() => new Email("mail", { ...GROUP, dataLocation: "United States" }));
    assert.deepEqual(
      ["mail-service", "mail-communication"].map((name) => declared[name].dataLocation),
      ["United States", "United States"],
    );
  });

  it("vision is asked by identity only", async () => {
    assert.deepEqual(await exact(() => new Vision("vision", { ...GROUP, tags: TAGS })), {
      "vision-account": {
        ...AT,
        kind: "ComputerVision",
        sku: { name: "S1" },
        properties: { customSubDomainName: "vision-#", disableLocalAuth: true, publicNetworkAccess: "Enabled" },
        tags: TAGS,
      },
    });
  });

  it("the key lies in a vault that takes roles only, generated unless it is given", async () => {
    const vault = {
      ...AT,
      vaultName: "key-#",
      properties: {
        tenantId: DEPLOYER.tenantId,
        sku: { family: "A", name: "standard" },
        enableRbacAuthorization: true,
        enableSoftDelete: true,
        softDeleteRetentionInDays: 7,
        enabledForDeployment: false,
        enabledForDiskEncryption: false,
        enabledForTemplateDeployment: false,
        publicNetworkAccess: "enabled",
      },
    };
    const secret = (value: string) => ({
      ...IN,
      vaultName: "key-#",
      secretName: "api-key",
      properties: { value, contentType: "text/plain" },
    });
    assert.deepEqual(await exact(() => new ApiKey("key", { ...GROUP, tenantId: DEPLOYER.tenantId })), {
      "key-generated": { bytes: 32 },
      "key-vault": vault,
      "key-secret": secret("a-key-that-was-generated"),
    });
    const given = await recorded(() => new ApiKey("key", { ...GROUP, tenantId: DEPLOYER.tenantId, value: "0123456789abcdef", tags: TAGS }));
    assert.deepEqual(
      given.map(({ name, secretInputs, inputs }) => [name, secretInputs, inputs.tags]),
      [
        ["key-secret", ["properties"], TAGS],
        ["key-vault", [], TAGS],
      ],
    );
    assert.equal(given[0]?.inputs.properties.value, "0123456789abcdef");
  });

  const workspace = { ...AT, sku: { name: "PerGB2018" }, features: { disableLocalAuth: true } };

  it("logs go to a workspace, and insights are written by identity only", async () => {
    assert.deepEqual(await exact(() => new Monitoring("logs", { ...GROUP, logRetention: "31 days", tags: TAGS })), {
      "logs-workspace": { ...workspace, retentionInDays: 31, tags: TAGS },
      "logs-insights": {
        ...AT,
        kind: "web",
        applicationType: "web",
        flowType: "Bluefield",
        requestSource: "rest",
        ingestionMode: "LogAnalytics",
        workspaceResourceId: `${ID}/providers/Microsoft.OperationalInsights/workspaces/logs-workspace`,
        disableLocalAuth: true,
        publicNetworkAccessForIngestion: "Enabled",
        publicNetworkAccessForQuery: "Enabled",
        tags: TAGS,
      },
    });
  });

  it("logs that are kept for years lie in tables that keep them", async () => {
    const {
      "logs-workspace": kept,
      "logs-insights": _,
      ...tables
    } = await exact(() => new Monitoring("logs", { ...GROUP, logRetention: "1000 days" }));
    assert.deepEqual(kept, { ...workspace, retentionInDays: 730 });
    const table = (tableName: string) => ({
      ...IN,
      workspaceName: "logs-workspace",
      tableName,
      retentionInDays: 730,
      totalRetentionInDays: 1095,
    });
    assert.deepEqual(tables, {
      "logs-app-traces": table("AppTraces"),
      "logs-app-requests": table("AppRequests"),
      "logs-app-exceptions": table("AppExceptions"),
      "logs-app-dependencies": table("AppDependencies"),
      "logs-app-metrics": table("AppMetrics"),
      "logs-storage-queue-logs": table("StorageQueueLogs"),
    });
  });

  it("alarms ring for what is lost, parked or failed", async () => {
    const group = `${ID}/providers/Microsoft.Insights/actionGroups/alarm-group`;
    const metric = (metricName: string, description: string) => ({
      ...IN,
      location: "global",
      description,
      enabled: true,
      severity: 1,
      scopes: ["topic"],
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
      actions: [{ actionGroupId: group }],
    });
    const search = (description: string, query: string) => ({
      ...AT,
      kind: "LogAlert",
      description,
      enabled: true,
      severity: 1,
      scopes: ["workspace"],
      evaluationFrequency: "PT5M",
      windowSize: "PT15M",
      skipQueryValidation: true,
      criteria: { allOf: [{ query, timeAggregation: "Count", operator: "GreaterThan", threshold: 0 }] },
      actions: { actionGroups: [group] },
      autoMitigate: true,
    });
    const args = { ...GROUP, workspaceId: "workspace", topicId: "topic", queuesOf: "account", parkedIn: ["poison", "parked"] };
    const silent = {
      "alarm-group": { ...IN, location: "Global", enabled: true, groupShortName: "alarm", emailReceivers: [] },
      "alarm-queue-logs": {
        resourceUri: "account/queueServices/default",
        workspaceId: "workspace",
        logs: [{ category: "StorageWrite", enabled: true }],
      },
      "alarm-events-parked": metric("DeadLetteredCount", "Event Grid could not deliver what happened to images."),
      "alarm-events-lost": metric("DroppedEventCount", "Event Grid has given up what happened to images."),
      "alarm-parked": search(
        "Work is parked that could not be done: look at GET /failures, and redrive it.",
        'StorageQueueLogs | where OperationName == "PutMessage" and Uri has_any ("/poison/messages", "/parked/messages")',
      ),
      "alarm-failed": search("The app failed.", "union AppTraces, AppExceptions | where SeverityLevel >= 3"),
    };
    assert.deepEqual(await exact(() => new Alarms("alarm", args)), silent);
    assert.deepEqual(await exact(() => new Alarms("alarm", { ...args, email: "ops@example.org" })), {
      ...silent,
      "alarm-group": {
        ...silent["alarm-group"],
        emailReceivers: [{ name: "email", emailAddress: "ops@example.org", useCommonAlertSchema: true }],
      },
    });
  });

  it("the database knows identities only, and lets Azure in", async () => {
    const user = { name: "photos-identity", clientId: "bbbbbbbb-0000-4000-8000-000000000002" };
    const { "records-schema": schema, ...others } = await exact(() => new Records("records", { ...GROUP, users: [user], tags: TAGS }));
    const server = {
      ...AT,
      version: "12.0",
      minimalTlsVersion: "1.2",
      publicNetworkAccess: "Enabled",
      administrators: {
        administratorType: "ActiveDirectory",
        azureADOnlyAuthentication: true,
        principalType: "Application",
        login: "deployer",
        sid: DEPLOYER.clientId,
        tenantId: DEPLOYER.tenantId,
      },
      tags: TAGS,
    };
    const on = { ...IN, serverName: "records-server" };
    assert.deepEqual(others, {
      "records-server": server,
      "records-firewall": { ...on, firewallRuleName: "AllowAzureServices", startIpAddress: "0.0.0.0", endIpAddress: "0.0.0.0" },
      "records-database": {
        ...on,
        location: "westeurope",
        databaseName: "imagemetadata",
        sku: { name: "Basic", tier: "Basic", capacity: 5 },
        tags: TAGS,
      },
    });
    const { steps: _, version: __, ...applied } = schema;
    assert.deepEqual(applied, {
      server: "records-server.database.windows.net",
      port: 1433,
      database: "imagemetadata",
      token: TOKEN,
      users: [user],
      table: "dbo.ImageMetadata",
      manager: {
        endpoint: "https://management.azure.com",
        serverId: `${ID}/providers/Microsoft.Sql/servers/records-server`,
        token: TOKEN,
      },
    });
  });

  it("the database has the administrator that is asked for", async () => {
    const user = { name: "photos-identity", clientId: "bbbbbbbb-0000-4000-8000-000000000002" };
    const administrator = { login: "dba", sid: "aaaaaaaa-0000-4000-8000-00000000000f", principalType: "Group" } as const;
    const declared = await exact(() => new Records("records", { ...GROUP, users: [user], administrator }));
    assert.deepEqual(declared["records-server"].administrators, {
      administratorType: "ActiveDirectory",
      azureADOnlyAuthentication: true,
      tenantId: DEPLOYER.tenantId,
      ...administrator,
    });
  });

  it("the app runs on Flex Consumption, and reaches everything by its identity", async () => {
    const at = (service: string) => `https://state.${service}.core.windows.net/`;
    const args = {
      ...GROUP,
      tags: TAGS,
      entry: "functions/azure/app.ts",
      identity: { id: "identity", clientId: "client" },
      host: { account: "state", endpoints: { blob: at("blob"), queue: at("queue"), table: at("table") }, container: "packages" },
      insights: { connectionString: "InstrumentationKey=0" },
      settings: { TOPIC_ENDPOINT: "https://topic" },
      token: TOKEN,
    };
    const { "app-code": code, ...others } = await exact(() => new FunctionApp("app", args));
    assert.deepEqual(others, {
      "app-plan": { ...AT, kind: "functionapp", reserved: true, sku: { name: "FC1", tier: "FlexConsumption" }, tags: TAGS },
      "app-app": {
        ...AT,
        kind: "functionapp,linux",
        serverFarmId: `${ID}/providers/Microsoft.Web/serverfarms/app-plan`,
        httpsOnly: true,
        publicNetworkAccess: "Enabled",
        identity: { type: "UserAssigned", userAssignedIdentities: ["identity"] },
        functionAppConfig: {
          deployment: {
            storage: {
              type: "blobContainer",
              value: "https://state.blob.core.windows.net/packages",
              authentication: { type: "UserAssignedIdentity", userAssignedIdentityResourceId: "identity" },
            },
          },
          runtime: { name: "node", version: "22" },
          scaleAndConcurrency: {
            instanceMemoryMB: 2_048,
            maximumInstanceCount: 40,
            alwaysReady: [{ name: "durable", instanceCount: 1 }],
            triggers: { http: { perInstanceConcurrency: 16 } },
          },
        },
        siteConfig: {
          http20Enabled: true,
          minTlsVersion: "1.2",
          appSettings: Object.entries({
            FUNCTIONS_EXTENSION_VERSION: "~4",
            AzureWebJobsStorage__accountName: "state",
            AzureWebJobsStorage__blobServiceUri: at("blob"),
            AzureWebJobsStorage__queueServiceUri: at("queue"),
            AzureWebJobsStorage__tableServiceUri: at("table"),
            AzureWebJobsStorage__credential: "managedidentity",
            AzureWebJobsStorage__clientId: "client",
            AzureWebJobsDisableHomepage: "true",
            APPLICATIONINSIGHTS_CONNECTION_STRING: "InstrumentationKey=0",
            APPLICATIONINSIGHTS_AUTHENTICATION_STRING: "ClientId=client;Authorization=AAD",
            AZURE_CLIENT_ID: "client",
            TOPIC_ENDPOINT: "https://topic",
          }).map(([name, value]) => ({ name, value })),
        },
        // What the SDK fills in, all of it switched off.
        clientAffinityEnabled: false,
        hyperV: false,
        isXenon: false,
        scmSiteAlsoStopped: false,
        tags: TAGS,
      },
    });
    const { path, sha256, ...published } = code;
    assert.deepEqual(published, { host: "app-app.scm.azurewebsites.net", token: TOKEN });
    assert.match(`${path} ${sha256}`, /^\.build\/handlers\/app-[0-9a-f]{16}\.zip [0-9a-f]{64}$/);

    const sleeping = await exact(() => new FunctionApp("app", { ...args, alwaysReady: 0 }));
    assert.deepEqual(sleeping["app-app"].functionAppConfig.scaleAndConcurrency.alwaysReady, []);
  });

  it("a grant is a built-in role, on one resource, for one identity", async () => {
    const may = { write: { role: "Storage Blob Data Contributor", scope: "container" } } as const;
    assert.deepEqual(await exact(() => new Grants("may", { principal: "object-id", may })), {
      "may-write": {
        principalId: "object-id",
        principalType: "ServicePrincipal",
        roleDefinitionId: `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/ba92f5b4-2d11-453d-a403-e96b0029c9fe`,
        scope: "container",
      },
    });
  });

  it("the group and the identity have a name and a place", async () => {
    const program = () => new ImagePipeline("photos", { tags: TAGS });
    const resources = await recorded(program, { config: { "azure-native:location": "westeurope" } });
    const inputs = (name: string) => resources.find((resource) => resource.name === name)?.inputs;
    assert.deepEqual(inputs("photos-group"), { location: "westeurope", tags: TAGS });
    assert.deepEqual(inputs("photos-identity"), { resourceGroupName: "photos-group", location: "westeurope", tags: TAGS });
    seen.add("azure-native:resources:ResourceGroup").add("azure-native:managedidentity:UserAssignedIdentity");
  });

  after(async () => {
    const types = await reviewedTypes(new URL("image-pipeline.resources.txt", import.meta.url));
    assert.deepEqual(
      [...types].filter((type) => !seen.has(type)),
      [],
      "types whose inputs nobody has looked at",
    );
  });
});
