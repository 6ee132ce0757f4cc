import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { request } from "node:https";
import { ManagedIdentityCredential } from "@azure/identity";
import { QueueServiceClient } from "@azure/storage-queue";
import { identityEnvironment } from "../../../../local/kernel/azure/managed-identity.js";
import { issueToken, verifyToken } from "../../../../local/kernel/azure/tokens.js";
import type { Properties, Resource } from "../../../../local/kernel/service.js";
import cognitiveServices from "../../../../local/services/azure/cognitiveservices.js";
import communication from "../../../../local/services/azure/communication.js";
import eventGrid from "../../../../local/services/azure/eventgrid/index.js";
import keyVault from "../../../../local/services/azure/keyvault.js";
import monitor from "../../../../local/services/azure/monitor/index.js";
import storage from "../../../../local/services/azure/storage/index.js";
import { storageAccount, type TestAzure, testAzure } from "./azure-cloud.js";
import { outputProblems } from "./declared-outputs.js";

describe("Azure's services", function () {
  this.timeout(30_000);
  let azure: TestAzure;
  let app: Resource;
  before(async () => {
    azure = await testAzure([storage(), eventGrid(), keyVault(), monitor(), cognitiveServices(), communication()]);
    app = await azure.identity("app");
  });
  after(() => azure.test.stop());

  /** An HTTPS request as the app, with a token for an audience. */
  const send = async (method: string, url: string, audience?: string, body: string | Buffer = "", headers: Record<string, string> = {}) => {
    const token = audience && (await azure.credential(app).getToken(audience)).token;
    const { ca } = (await azure.options()).tlsOptions;
    return new Promise<{ status: number; body: Properties }>((resolve, reject) => {
      const all = { ...headers, ...(token && { authorization: `Bearer ${token}` }) };
      const outgoing = request(url, { method, ca, agent: false, headers: all }, (incoming) => {
        let text = "";
        incoming.on("data", (chunk) => {
          text += chunk;
        });
        incoming.on("end", () => resolve({ status: incoming.statusCode as number, body: text ? JSON.parse(text) : {} }));
      });
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  };

  describe("identities", () => {
    /** What @azure/identity has a token of, in an environment of an app with these identities. */
    const tokenOf = async (identities: Parameters<typeof identityEnvironment>[1], clientId?: string) => {
      const environment = identityEnvironment(azure.test.cloud, identities);
      const before = { IDENTITY_ENDPOINT: process.env.IDENTITY_ENDPOINT, IDENTITY_HEADER: process.env.IDENTITY_HEADER };
      Object.assign(process.env, environment);
      try {
        const credential = clientId ? new ManagedIdentityCredential({ clientId }) : new ManagedIdentityCredential();
        const { token } = await credential.getToken("https://storage.azure.com/.default");
        return await verifyToken(azure.test.cloud, token, "https://storage.azure.com");
      } finally {
        for (const [name, value] of Object.entries(before)) {
          if (value === undefined) delete process.env[name];
          else process.env[name] = value;
        }
      }
    };

    it("give @azure/identity tokens of the identities that are assigned", async () => {
      const holder = await tokenOf({ userAssigned: [app.id] }, app.outputs.clientId);
      assert.deepEqual(holder, { objectId: app.outputs.principalId, clientId: app.outputs.clientId, name: "app" });
    });

    it("give no tokens of identities that are not", async () => {
      const other = await azure.identity("other");
      await assert.rejects(tokenOf({ userAssigned: [app.id] }, other.outputs.clientId), /No user-assigned identity/);
    });

    it("have tokens for one audience, which nobody else can make", async () => {
      const { cloud } = azure.test;
      const token = await issueToken(cloud, { objectId: "o", clientId: "c", audience: "https://storage.azure.com/" });
      assert.deepEqual(await verifyToken(cloud, token, "https://storage.azure.com"), { objectId: "o", clientId: "c", name: "c" });
      assert.equal(await verifyToken(cloud, token, "https://database.windows.net"), undefined);
      const [head, , signature] = token.split(".");
      const forged = Buffer.from(JSON.stringify({ oid: "another" })).toString("base64url");
      assert.equal(await verifyToken(cloud, `${head}.${forged}.${signature}`, "https://storage.azure.com"), undefined);
    });

    it("are granted a role at a scope once", async () => {
      const scope = "/subscriptions/s/resourceGroups/g";
      await azure.grant(app, "blobReader", scope);
      await assert.rejects(azure.grant(app, "blobReader", scope), { code: "RoleAssignmentExists" });
    });
  });

  it("keep secrets for who may read them", async () => {
    const vault = await azure.declare("azure-native:keyvault:Vault", "vault", {
      vaultName: "photos-vault",
      properties: { tenantId: "t", sku: { family: "A", name: "standard" }, enableRbacAuthorization: true },
    });
    const secret = await azure.declare("azure-native:keyvault:Secret", "key", {
      vaultName: "photos-vault",
      secretName: "api-key",
      properties: { value: "hush", contentType: "text/plain" },
    });
    assert.ok(!JSON.stringify(secret.outputs).includes("hush"));
    const uri = `${secret.outputs.properties.secretUri}?api-version=7.4`;
    assert.equal((await send("GET", uri)).status, 401);
    assert.equal((await send("GET", uri, "https://vault.azure.net")).status, 403);
    await azure.grant(app, "secretsUser", vault.id);
    assert.equal((await send("GET", uri, "https://vault.azure.net")).body.value, "hush");
    const changed = await azure.test.change(secret, { ...secret.inputs, properties: { value: "shh", contentType: "text/plain" } });
    assert.equal(changed.outputs.properties.secretUri, secret.outputs.properties.secretUri);
    assert.notEqual(changed.outputs.properties.secretUriWithVersion, secret.outputs.properties.secretUriWithVersion);
    assert.equal((await send("GET", uri, "https://vault.azure.net")).body.value, "shh");
  });

  it("look at pictures for who may ask, and tell what is wrong with them", async () => {
    const account = await azure.declare("azure-native:cognitiveservices:Account", "vision", {
      accountName: "vision",
      kind: "ComputerVision",
      sku: { name: "S1" },
      properties: { customSubDomainName: "vision-1", disableLocalAuth: true },
    });
    const url = `${account.outputs.properties.endpoint}computervision/imageanalysis:analyze?api-version=2023-10-01&features=tags`;
    const picture = await readFile("samples/mountains.jpg");
    const ask = (body: Buffer | string) =>
      send("POST", url, "https://cognitiveservices.azure.com", body, { "content-type": "application/octet-stream" });
    assert.equal((await ask(picture)).status, 403);
    await azure.grant(app, "cognitiveServicesUser", account.id);
    const { status, body } = await ask(picture);
    assert.equal(status, 200);
    assert.equal(body.modelVersion, "embedded-statistics");
    assert.ok(body.tagsResult.values.length > 0);
    for (const { name, confidence } of body.tagsResult.values) assert.ok(name === name.toLowerCase() && confidence > 0 && confidence <= 1);
    assert.equal((await ask("no picture")).body.error.innererror.code, "InvalidImageFormat");
  });

  it("put mails into an outbox, as many as Azure takes", async () => {
    const service = await azure.declare("azure-native:communication:EmailService", "mail", {
      emailServiceName: "mail",
      dataLocation: "Europe",
    });
    const domain = await azure.declare("azure-native:communication:Domain", "domain", {
      emailServiceName: service.outputs.name,
      domainName: "AzureManagedDomain",
      domainManagement: "AzureManaged",
    });
    const sending = await azure.declare("azure-native:communication:CommunicationService", "sending", {
      communicationServiceName: "sending",
      dataLocation: "Europe",
      linkedDomains: [domain.id],
    });
    const mail = (from: string) =>
      send(
        "POST",
        `https://${sending.outputs.hostName}/emails:send?api-version=2023-03-31`,
        "https://communication.azure.com",
        JSON.stringify({
          senderAddress: from,
          recipients: { to: [{ address: "ann@example.org" }] },
          content: { subject: "Done", plainText: "cat.png" },
        }),
      );
    const sender = `DoNotReply@${domain.outputs.fromSenderDomain}`;
    assert.equal((await mail(sender)).status, 403);
    await azure.grant(app, "mailOwner", sending.id);
    assert.equal((await mail(sender)).status, 202);
    assert.equal((await mail("me@elsewhere.example")).status, 404);
    const [message] = azure.test.cloud.trace.entries("message").filter(({ detail }) => detail?.to === "ann@example.org");
    assert.equal(message?.detail?.subject, "Done");
    assert.match(await readFile(message?.detail?.file as string, "utf8"), /^To: ann@example.org$/m);
    for (let sent = 1; sent < 30; sent++) assert.equal((await mail(sender)).status, 202);
    const { status, body } = await mail(sender);
    assert.deepEqual([status, body.error.code], [429, "TooManyRequests"], "30 a minute");
  });

  describe("alarms", () => {
    const alarms = () => azure.test.cloud.trace.entries("alarm").map(({ subject }) => subject);
    let workspace: Resource;
    let group: Resource;
    before(async () => {
      workspace = await azure.declare("azure-native:operationalinsights:Workspace", "logs", {
        workspaceName: "logs",
        sku: { name: "PerGB2018" },
      });
      group = await azure.declare("azure-native:monitor:ActionGroup", "team", {
        actionGroupName: "team",
        enabled: true,
        groupShortName: "team",
        emailReceivers: [{ name: "email", emailAddress: "ops@example.org", useCommonAlertSchema: true }],
      });
    });
    const rule = (name: string, query: string) =>
      azure.declare("azure-native:monitor:ScheduledQueryRule", name, {
        ruleName: name,
        kind: "LogAlert",
        enabled: true,
        severity: 1,
        scopes: [workspace.id],
        evaluationFrequency: "PT5M",
        windowSize: "PT5M",
        criteria: { allOf: [{ query, timeAggregation: "Count", operator: "GreaterThan", threshold: 0 }] },
        actions: { actionGroups: [group.id] },
      });

    it("fire when something is put into a queue of what failed, and tell whoever is to know", async () => {
      const account = await storageAccount(azure);
      for (const queueName of ["parked", "jobqueue"]) {
        await azure.declare("azure-native:storage:Queue", queueName, { accountName: account.outputs.name, queueName });
      }
      await azure.grant(app, "queueContributor", account.id);
      await azure.test.declare("azure-native:monitor:DiagnosticSetting", "writes", {
        name: "writes",
        resourceUri: `${account.id}/queueServices/default`,
        workspaceId: workspace.id,
        logs: [{ category: "StorageWrite", enabled: true }],
      });
      await rule(
        "parked",
        `StorageQueueLogs | where OperationName == "PutMessage" and Uri has_any ("/parked/messages", "/jobqueue-poison/messages")`,
      );
      const queues = new QueueServiceClient(account.outputs.primaryEndpoints.queue, azure.credential(app), await azure.options());
      await queues.getQueueClient("jobqueue").sendMessage("eA==");
      assert.deepEqual(alarms(), []);
      await queues.getQueueClient("parked").sendMessage("eA==");
      await queues.getQueueClient("parked").sendMessage("eA==");
      assert.deepEqual(alarms(), ["parked"]);
      const told = azure.test.cloud.trace.entries("message").filter(({ detail }) => detail?.to === "ops@example.org");
      assert.equal(told.length, 1);
    });

    it("fire on errors that the app reports", async () => {
      const component = await azure.declare("azure-native:applicationinsights:Component", "insights", {
        resourceName: "insights",
        kind: "web",
        applicationType: "web",
        workspaceResourceId: workspace.id,
        disableLocalAuth: true,
      });
      await rule("failed", "AppTraces | where SeverityLevel >= 3");
      await rule("thrown", "union AppTraces, AppExceptions | where SeverityLevel >= 3");
      const [, endpoint] = /IngestionEndpoint=([^;]+)/.exec(component.outputs.connectionString) as RegExpExecArray;
      const track = (severityLevel: number, baseType = "MessageData") =>
        send(
          "POST",
          `${endpoint}v2.1/track`,
          "https://monitor.azure.com",
          JSON.stringify([{ iKey: component.outputs.instrumentationKey, data: { baseType, baseData: { message: "m", severityLevel } } }]),
        );
      assert.equal((await track(3)).status, 403);
      await azure.grant(app, "metricsPublisher", component.id);
      assert.equal((await track(1)).body.itemsAccepted, 1);
      await track(2, "ExceptionData");
      await track(3, "EventData");
      assert.ok(!alarms().includes("failed") && !alarms().includes("thrown"));
      await track(3, "ExceptionData");
      assert.ok(!alarms().includes("failed") && alarms().includes("thrown"));
      await track(3);
      assert.ok(alarms().includes("failed"));
    });

    it("refuse queries that are not understood", async () => {
      await assert.rejects(rule("odd", "union AppTraces, (AppExceptions | take 5)"), { code: "FeatureNotSupported" });
      await assert.rejects(rule("odd", "AppTraces | summarize count() by bin(TimeGenerated, 5m)"), { code: "FeatureNotSupported" });
    });

    it("fire when Event Grid parks events", async () => {
      const account = await storageAccount(azure, "eventsaccount");
      const topic = await azure.declare("azure-native:eventgrid:SystemTopic", "events", {
        systemTopicName: "events",
        source: account.id,
        identity: { type: "SystemAssigned" },
      });
      await azure.declare("azure-native:eventgrid:SystemTopicEventSubscription", "lost", {
        eventSubscriptionName: "lost",
        systemTopicName: "events",
        deliveryWithResourceIdentity: {
          identity: { type: "SystemAssigned" },
          destination: { endpointType: "StorageQueue", resourceId: account.id, queueName: "nowhere" },
        },
      });
      await azure.declare("azure-native:storage:BlobContainer", "in", { accountName: "eventsaccount", containerName: "inbox" });
      await azure.declare("azure-native:monitor:MetricAlert", "dropped", {
        ruleName: "dropped",
        enabled: true,
        severity: 1,
        scopes: [topic.id],
        evaluationFrequency: "PT1M",
        windowSize: "PT5M",
        criteria: {
          odataType: "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
          allOf: [
            {
              criterionType: "StaticThresholdCriterion",
              name: "d",
              metricName: "DroppedEventCount",
              operator: "GreaterThan",
              threshold: 0,
              timeAggregation: "Total",
            },
          ],
        },
      });
      const as = azure.test.owner;
      await azure.test.cloud.call({
        service: "storage",
        operation: "PutBlob",
        input: { account: "eventsaccount", container: "inbox", blob: "a", body: "x" },
        as,
      });
      await azure.test.cloud.settled();
      assert.ok(alarms().includes("dropped"));
    });
  });

  describe("resources", () => {
    it("have every output that the SDK declares, and no other", async () => {
      await azure.declare("azure-native:storage:Table", "tags", { accountName: "eventsaccount", tableName: "Tags" });
      await azure.declare("azure-native:eventgrid:Topic", "results", { topicName: "results" });
      await azure.declare("azure-native:operationalinsights:Table", "table", { workspaceName: "logs", tableName: "AppTraces" });
      await azure.declare("azure-native:storage:ManagementPolicy", "policy", {
        accountName: "eventsaccount",
        managementPolicyName: "default",
        policy: { rules: [] },
      });
      await azure.declare("azure-native:storage:BlobServiceProperties", "cors", {
        accountName: "eventsaccount",
        blobServicesName: "default",
      });
      assert.deepEqual(await outputProblems(azure.test.cloud), []);
    });
  });
});
