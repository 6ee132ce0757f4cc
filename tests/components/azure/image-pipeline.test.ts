import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import * as pulumi from "@pulumi/pulumi";
import { ImagePipeline, type ImagePipelineArgs } from "../../../components/azure/image-pipeline.js";
import { type Declared, type DeclareOptions, recorded } from "../../declared.js";
import { SUBSCRIPTION } from "../../declared-azure.js";

const declare = (args?: ImagePipelineArgs, options?: DeclareOptions) => recorded(() => new ImagePipeline("photos", args), options);

const called = (resources: Declared[], name: string): Declared => {
  const found = resources.find((resource) => resource.name === name);
  assert.ok(found, `${name} is not declared`);
  return found;
};

const settings = (resources: Declared[]): Record<string, string> =>
  Object.fromEntries(called(resources, "photos-app-app").inputs.siteConfig.appSettings.map(({ name, value }: any) => [name, value]));

const GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/photos-group/providers`;
const HASHED = /^[a-z]+[0-9a-f]{13}$/;

/** Role's id → what it is on, of all that an identity may do. */
function granted(resources: Declared[], of: string): Record<string, string> {
  const grants = resources.filter(({ name, type }) => type === "azure-native:authorization:RoleAssignment" && name.startsWith(of));
  return Object.fromEntries(
    grants.map(({ name, inputs }) => {
      assert.equal(inputs.principalType, "ServicePrincipal", name);
      assert.equal(inputs.roleAssignmentName, undefined, name);
      const role = inputs.roleDefinitionId.replace(`/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/`, "");
      return [
        name.slice(of.length),
        `${role} ${inputs.scope.replace(GROUP, "").replace(/(?<=photosimage|photosstate|-)[0-9a-f]{13}\b/, "#")}`,
      ];
    }),
  );
}

describe("ImagePipeline on Azure", () => {
  let resources: Declared[];
  before(async () => {
    resources = await declare({ notify: { email: "ops@example.org" }, tags: { team: "photos" } });
  });

  it("has these resources, whose names people rely on", async () => {
    // To be changed with care: a resource of another name is another resource, and data go with the old one.
    const reviewed = await readFile(new URL("image-pipeline.resources.txt", import.meta.url), "utf8");
    assert.equal(`${resources.map(({ name, type }) => `${name}  ${type}`).join("\n")}\n`, reviewed);
  });

  it("gives the outputs of the contract", async () => {
    let outputs: Record<string, string> = {};
    await recorded(async () => {
      const { url, apiKey, uploads, thumbnails, topic, workflow, records, deadLetters } = new ImagePipeline("photos");
      assert.equal(await pulumi.isSecret(apiKey), true);
      const all = pulumi.all({ url, apiKey, uploads, thumbnails, topic, workflow, records, deadLetters });
      outputs = await new Promise((resolve) => all.apply(resolve));
    });
    const { deadLetters, ...others } = outputs;
    assert.deepEqual(others, {
      url: "https://photos-app-app.azurewebsites.net",
      apiKey: "a-key-that-was-generated",
      uploads: "images-input",
      thumbnails: "thumbnails",
      topic: "https://photos-results-topic.westeurope-1.eventgrid.azure.net/api/events",
      workflow: "photos-app-app",
      records: "dbo.ImageMetadata",
    });
    assert.match(String(deadLetters), /^https:\/\/photosstate[0-9a-f]{13}\.queue\.core\.windows\.net\/parked$/);
  });

  it("lets the app do exactly what it does", () => {
    assert.deepEqual(granted(resources, "photos-may-"), {
      "host-blobs": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b /Microsoft.Storage/storageAccounts/photosstate#",
      "host-queues": "974c5e8b-45b9-4653-ba55-5f855dd0fb88 /Microsoft.Storage/storageAccounts/photosstate#",
      "host-tables": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3 /Microsoft.Storage/storageAccounts/photosstate#",
      uploads:
        "ba92f5b4-2d11-453d-a403-e96b0029c9fe /Microsoft.Storage/storageAccounts/photosimage#/blobServices/default/containers/images-input",
      thumbnails:
        "ba92f5b4-2d11-453d-a403-e96b0029c9fe /Microsoft.Storage/storageAccounts/photosimage#/blobServices/default/containers/thumbnails",
      sign: "db58b8e5-c6ad-4a2a-8342-4190687cbf4a /Microsoft.Storage/storageAccounts/photosimage#",
      announce: "d5a91429-5739-47e2-a06b-3470a27159e7 /Microsoft.EventGrid/topics/photos-results-topic",
      measure: "3913510d-42f4-4e42-8a64-420c390055eb /Microsoft.Insights/components/photos-monitoring-insights",
      look: "a97b65f3-24c7-4388-baec-2e87135dc908 /Microsoft.CognitiveServices/accounts/photos-vision-account",
      "read-key": "4633458b-17de-408a-b874-0445c86b69e6 /Microsoft.KeyVault/vaults/photos-api-#/secrets/api-key",
      mail: "09976791-48a7-449e-bb21-39d1a415f350 /Microsoft.Communication/communicationServices/photos-email-communication",
    });
  });

  it("lets the events' topic do exactly what it does", () => {
    assert.deepEqual(granted(resources, "photos-arrivals-may-"), {
      send: "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a /Microsoft.Storage/storageAccounts/photosstate#/queueServices/default/queues/jobqueue",
      park: "ba92f5b4-2d11-453d-a403-e96b0029c9fe /Microsoft.Storage/storageAccounts/photosimage#/blobServices/default/containers/deadletter",
    });
  });

  it("opens no store to keys, to the public, or without TLS", () => {
    const accounts = resources.filter(({ type }) => type === "azure-native:storage:StorageAccount");
    assert.equal(accounts.length, 2);
    for (const { inputs } of accounts) {
      const { accountName, ...others } = inputs;
      assert.match(accountName, HASHED);
      assert.ok(accountName.length <= 24, accountName);
      assert.deepEqual(others, {
        resourceGroupName: "photos-group",
        location: "westeurope",
        kind: "StorageV2",
        sku: { name: "Standard_LRS" },
        allowBlobPublicAccess: false,
        allowSharedKeyAccess: false,
        allowCrossTenantReplication: false,
        defaultToOAuthAuthentication: true,
        enableHttpsTrafficOnly: true,
        minimumTlsVersion: "TLS1_2",
        tags: { team: "photos" },
        ...(others.isHnsEnabled !== undefined && { isHnsEnabled: false }),
      });
    }
    const { inputs: server } = called(resources, "photos-records-server");
    assert.equal(server.administrators.azureADOnlyAuthentication, true);
    assert.equal(server.administratorLogin, undefined);
    assert.equal(server.administratorLoginPassword, undefined);
    for (const name of ["photos-results-topic", "photos-monitoring-insights", "photos-email-communication"]) {
      assert.equal(called(resources, name).inputs.disableLocalAuth, true, name);
    }
    assert.equal(called(resources, "photos-vision-account").inputs.properties.disableLocalAuth, true);
  });

  it("runs on Flex Consumption, with nothing in its configuration that Flex refuses", () => {
    assert.deepEqual(called(resources, "photos-app-plan").inputs.sku, { name: "FC1", tier: "FlexConsumption" });
    const { siteConfig, functionAppConfig } = called(resources, "photos-app-app").inputs;
    assert.deepEqual(Object.keys(siteConfig).sort(), ["appSettings", "http20Enabled", "minTlsVersion"]);
    assert.deepEqual(functionAppConfig.runtime, { name: "node", version: "22" });
    assert.match(functionAppConfig.deployment.storage.value, /^https:\/\/photosstate[0-9a-f]{13}\.blob\.core\.windows\.net\/packages$/);
    assert.deepEqual(functionAppConfig.scaleAndConcurrency.alwaysReady, [{ name: "durable", instanceCount: 1 }]);
  });

  it("tells the app what it is asked for, and no secret", () => {
    const declared = settings(resources);
    const refused = /^(FUNCTIONS_WORKER_RUNTIME|WEBSITE_|SCM_|FUNCTIONS_WORKER_PROCESS_COUNT)/;
    for (const name of Object.keys(declared)) assert.doesNotMatch(name, refused);
    const { PIPELINE_SETTINGS, ...others } = declared;
    assert.equal(JSON.parse(PIPELINE_SETTINGS ?? "").tagger, "cloud");
    const plain = Object.fromEntries(
      Object.entries(others).map(([name, value]) => [name, String(value).replace(/(?<=photosimage|photosstate|-)[0-9a-f]{13}\b/, "#")]),
    );
    assert.deepEqual(plain, {
      FUNCTIONS_EXTENSION_VERSION: "~4",
      AzureWebJobsStorage__accountName: "photosstate#",
      AzureWebJobsStorage__blobServiceUri: "https://photosstate#.blob.core.windows.net/",
      AzureWebJobsStorage__queueServiceUri: "https://photosstate#.queue.core.windows.net/",
      AzureWebJobsStorage__tableServiceUri: "https://photosstate#.table.core.windows.net/",
      AzureWebJobsStorage__credential: "managedidentity",
      AzureWebJobsStorage__clientId: "bbbbbbbb-0000-4000-8000-000000000002",
      AzureWebJobsDisableHomepage: "true",
      APPLICATIONINSIGHTS_CONNECTION_STRING: "InstrumentationKey=bbbbbbbb-0000-4000-8000-000000000004",
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: "ClientId=bbbbbbbb-0000-4000-8000-000000000002;Authorization=AAD",
      AZURE_CLIENT_ID: "bbbbbbbb-0000-4000-8000-000000000002",
      STORAGE_BLOB_URL: "https://photosimage#.blob.core.windows.net/",
      STORAGE_QUEUE_URL: "https://photosstate#.queue.core.windows.net/",
      STORAGE_TABLE_URL: "https://photosstate#.table.core.windows.net/",
      UPLOADS_CONTAINER: "images-input",
      THUMBNAILS_CONTAINER: "thumbnails",
      JOB_QUEUE: "jobqueue",
      DEAD_LETTER_QUEUE: "parked",
      TAGS_TABLE: "ImageTags",
      SQL_SERVER: "photos-records-server.database.windows.net",
      SQL_PORT: "1433",
      SQL_DATABASE: "imagemetadata",
      TOPIC_ENDPOINT: "https://photos-results-topic.westeurope-1.eventgrid.azure.net/api/events",
      VISION_ENDPOINT: "https://photos-vision-#.cognitiveservices.azure.com/",
      API_KEY_SECRET_URI: "https://photos-api-#.vault.azure.net/secrets/api-key",
      EMAIL_ENDPOINT: "https://photos-email-communication.europe.communication.azure.com",
      EMAIL_SENDER: "DoNotReply@0a1b2c3d.azurecomm.net",
      EMAIL_RECIPIENT: "ops@example.org",
    });
  });

  it("starts the app when its roles are there, and publishes its code by a secret token", () => {
    const app = called(resources, "photos-app-app");
    for (const { name } of resources.filter(({ name }) => name.startsWith("photos-may-"))) assert.ok(app.after.includes(name), name);
    const code = called(resources, "photos-app-code");
    assert.equal(code.inputs.host, "photos-app-app.scm.azurewebsites.net");
    assert.match(code.inputs.sha256, /^[0-9a-f]{64}$/);
    assert.match(code.inputs.path, /^\.build\/handlers\/photos-app-[0-9a-f]{16}\.zip$/);
    assert.ok(code.secretInputs.includes("token"));
  });

  it("hears of what is created and deleted in its container, by identity, and parks what it could not hear", () => {
    const { deliveryWithResourceIdentity, deadLetterWithResourceIdentity, filter, retryPolicy, eventDeliverySchema } = called(
      resources,
      "photos-arrivals-subscription",
    ).inputs;
    assert.equal(eventDeliverySchema, "EventGridSchema");
    assert.deepEqual(deliveryWithResourceIdentity.identity, { type: "SystemAssigned" });
    assert.equal(deliveryWithResourceIdentity.destination.queueName, "jobqueue");
    assert.equal(deliveryWithResourceIdentity.destination.queueMessageTimeToLiveInSeconds, -1);
    assert.equal(deadLetterWithResourceIdentity.deadLetterDestination.blobContainerName, "deadletter");
    assert.deepEqual(retryPolicy, { maxDeliveryAttempts: 30, eventTimeToLiveInMinutes: 1_440 });
    assert.deepEqual(filter, {
      includedEventTypes: ["Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobDeleted"],
      isSubjectCaseSensitive: false,
      subjectBeginsWith: "/blobServices/default/containers/images-input/blobs/",
      advancedFilters: [
        {
          operatorType: "StringIn",
          key: "data.api",
          values: ["PutBlob", "PutBlockList", "CopyBlob", "FlushWithClose", "DeleteBlob", "DeleteFile"],
        },
      ],
    });
    const { after } = called(resources, "photos-arrivals-subscription");
    for (const grant of ["photos-arrivals-may-send", "photos-arrivals-may-park"]) assert.ok(after.includes(grant));
  });

  it("lets its own page, and the origins that are listed, upload with tickets", async () => {
    const { cors } = called(await declare({ origins: ["https://app.example.org"] }), "photos-images-blobs").inputs;
    assert.deepEqual(cors.corsRules, [
      {
        allowedMethods: ["PUT"],
        allowedOrigins: ["https://photos-app-app.azurewebsites.net", "https://app.example.org"],
        allowedHeaders: ["content-type", "if-none-match", "x-ms-blob-type", "x-ms-meta-*"],
        exposedHeaders: ["ETag"],
        maxAgeInSeconds: 3_600,
      },
    ]);
  });

  it("names the server's administrator by the application's id, as whoever deploys is one", () => {
    const { administratorType, login, principalType, sid, tenantId } = called(resources, "photos-records-server").inputs.administrators;
    assert.deepEqual(
      { administratorType, login, principalType, sid, tenantId },
      {
        administratorType: "ActiveDirectory",
        login: "deployer",
        principalType: "Application",
        sid: "aaaaaaaa-0000-4000-8000-000000000001",
        tenantId: "aaaaaaaa-0000-4000-8000-000000000003",
      },
    );
  });

  it("labels whatever can carry labels", () => {
    const bare =
      /RoleAssignment|BlobContainer|Queue$|Table$|BlobServiceProperties|ManagementPolicy|Subscription|FirewallRule|DiagnosticSetting|dynamic/;
    for (const { name, type, inputs } of resources) {
      if (!bare.test(type)) assert.deepEqual(inputs.tags, { team: "photos" }, `${name} ${type}`);
    }
  });

  it("has no vision, key or mail where nobody wants them", async () => {
    const fewer = await declare({ tagger: "none", auth: "none" });
    for (const { name } of fewer) assert.doesNotMatch(name, /vision|look|api-key|read-key|email|mail/);
    for (const name of Object.keys(settings(fewer))) assert.doesNotMatch(name, /VISION|API_KEY|EMAIL/);
  });

  it("keeps the logs as long as Azure can, where that is asked for", async () => {
    const days = async (retention: NonNullable<ImagePipelineArgs["logs"]>["retention"] & string) =>
      called(await declare({ logs: { retention } }), "photos-monitoring-workspace").inputs.retentionInDays;
    assert.equal(await days("1 day"), 30);
    assert.equal(await days("90 days"), 90);
    const long = await declare({ logs: { retention: "1000 days" } });
    const tables = long.filter(({ type }) => type === "azure-native:operationalinsights:Table");
    assert.equal(tables.length, 6);
    for (const { inputs } of tables) assert.deepEqual([inputs.retentionInDays, inputs.totalRetentionInDays], [730, 1095]);
  });

  it("leaves what holds data, where it is to be retained", async () => {
    const retained = (await declare({ removal: "retain" })).filter(({ retainOnDelete }) => retainOnDelete).map(({ name }) => name);
    for (const name of [
      "photos-group",
      "photos-images-account",
      "photos-images-uploads",
      "photos-state-account",
      "photos-state-tags",
      "photos-records-server",
      "photos-records-database",
      "photos-api-key-vault",
      "photos-api-key-secret",
    ]) {
      assert.ok(retained.includes(name), name);
    }
    assert.equal(
      resources.some(({ retainOnDelete }) => retainOnDelete),
      false,
    );
  });

  it("takes the key that is given", async () => {
    const given = await declare({ apiKey: "0123456789abcdef" });
    const secret = called(given, "photos-api-key-secret");
    assert.equal(secret.inputs.properties.value, "0123456789abcdef");
    assert.equal(
      given.some(({ name }) => name === "photos-api-key-generated"),
      false,
    );
  });

  it("gives the container the name that is asked for", async () => {
    const named = await declare({ azure: { container: "photos-in" } });
    assert.equal(called(named, "photos-images-uploads").inputs.containerName, "photos-in");
    assert.equal(settings(named).UPLOADS_CONTAINER, "photos-in");
    assert.match(called(named, "photos-arrivals-subscription").inputs.filter.subjectBeginsWith, /\/photos-in\/blobs\/$/);
  });

  it("merges a transform into the resource that it names", async () => {
    const changed = await declare({
      transform: { state: { account: { sku: { name: "Standard_ZRS" } } }, app: { plan: { zoneRedundant: true } } },
    });
    assert.equal(called(changed, "photos-state-account").inputs.sku.name, "Standard_ZRS");
    assert.equal(called(changed, "photos-images-account").inputs.sku.name, "Standard_LRS");
    assert.equal(called(changed, "photos-app-plan").inputs.zoneRedundant, true);
  });

  describe("with a container that is there", () => {
    const account = `/subscriptions/${SUBSCRIPTION}/resourceGroups/company/providers/Microsoft.Storage/storageAccounts/companyfiles`;
    const functions = {
      "azure-native:storage:getStorageAccount": {
        id: account,
        location: "northeurope",
        primaryEndpoints: { blob: "https://companyfiles.blob.core.windows.net/" },
      },
      "azure-native:storage:getBlobContainer": { id: `${account}/blobServices/default/containers/uploads` },
    };
    const topic = (identity?: { principalId: string }) => ({
      "azure-native:eventgrid:getSystemTopic": { id: `${account}/topic`, name: "company-topic", ...(identity && { identity }) },
    });
    const existing = { existing: "companyfiles/uploads" };

    it("touches nothing of its account's configuration", async () => {
      const adopted = await declare({ source: existing, azure: { source: { resourceGroup: "company" } } }, { functions });
      const there = adopted.filter(({ inputs }) => inputs.accountName === "companyfiles");
      assert.deepEqual(
        there.map(({ name }) => name),
        ["photos-images-dead-letters", "photos-images-thumbnails"],
      );
      assert.equal(called(adopted, "photos-arrivals-topic").inputs.location, "northeurope");
      assert.equal(called(adopted, "photos-may-uploads").inputs.scope, `${account}/blobServices/default/containers/uploads`);
      const { STORAGE_BLOB_URL, UPLOADS_CONTAINER } = settings(adopted);
      assert.deepEqual([STORAGE_BLOB_URL, UPLOADS_CONTAINER], ["https://companyfiles.blob.core.windows.net/", "uploads"]);
    });

    it("uses the system topic that the account has", async () => {
      const azure = { source: { resourceGroup: "company", systemTopic: "company-topic" } };
      const adopted = await declare({ source: existing, azure }, { functions: { ...functions, ...topic({ principalId: "topics" }) } });
      assert.equal(
        adopted.some(({ type }) => type === "azure-native:eventgrid:SystemTopic"),
        false,
      );
      const { systemTopicName, resourceGroupName } = called(adopted, "photos-arrivals-subscription").inputs;
      assert.deepEqual([systemTopicName, resourceGroupName], ["company-topic", "company"]);
      assert.equal(called(adopted, "photos-arrivals-may-send").inputs.principalId, "topics");
    });

    it("explains what is missing where that topic has no identity", async () => {
      const azure = { source: { resourceGroup: "company", systemTopic: "company-topic" } };
      await assert.rejects(declare({ source: existing, azure }, { functions: { ...functions, ...topic() } }), {
        code: "SYSTEM_TOPIC_WITHOUT_IDENTITY",
        message: /the system topic company-topic has no system-assigned identity: switch it on/,
      });
    });
  });

  const refused: [string, any, RegExp][] = [
    ["an option that is none", { azure: { hosting: "vm" } }, /azure\.hosting is "vm": it must be "functions" or "kubernetes"/],
    ["a container that Azure would refuse", { azure: { container: "Images" } }, /azure\.container is "Images"/],
    ["a container that is the pipeline's own", { azure: { container: "thumbnails" } }, /azure\.container is "thumbnails"/],
    ["too many instances", { azure: { alwaysReady: 21 } }, /azure\.alwaysReady is 21: it must be between 0 and 20/],
    [
      "more instances than there can be",
      { azure: { maximumInstances: 1_001 } },
      /azure\.maximumInstances is 1001: it must be between 1 and 1000/,
    ],
    [
      "fewer instances than always run",
      { azure: { alwaysReady: 3, maximumInstances: 2 } },
      /maximumInstances is 2: it must be between 3 and/,
    ],
    [
      "an administrator without a name",
      { azure: { sqlAdministrator: { sid: "00112233-4455-6677-8899-aabbccddeeff", principalType: "User" } } },
      /azure\.sqlAdministrator\.login is undefined: it must be how/,
    ],
    [
      "an administrator without an id",
      { azure: { sqlAdministrator: { login: "dba", principalType: "User" } } },
      /azure\.sqlAdministrator\.sid is undefined: it must be the object id of a user or group, or the application \(client\) id/,
    ],
    ["an adopted container without its group", { source: { existing: "companyfiles/uploads" } }, /azure\.source is undefined/],
    ["a group without an adopted container", { azure: { source: { resourceGroup: "company" } } }, /azure\.source is \{/],
    [
      "an account without a container",
      { source: { existing: "companyfiles" }, azure: { source: { resourceGroup: "company" } } },
      /source\.existing is "companyfiles": it must be a storage account and a container in it/,
    ],
    ["what the contract refuses", { thumbnails: { small: { width: 0, height: 1 } } }, /thumbnails\.small\.width is 0/],
  ];
  for (const [what, args, message] of refused) {
    it(`refuses ${what}, before anything is declared`, async () => {
      await assert.rejects(declare(args), { code: "INVALID_ARGUMENT", message });
    });
  }

  it("does not compile where options contradict each other", () => {
    const check = (_: ImagePipelineArgs) => {};
    // @ts-expect-error an adopted container lies in somebody's group
    check({ source: { existing: "companyfiles/uploads" } });
    // @ts-expect-error an adopted container has its name
    check({ source: { existing: "companyfiles/uploads" }, azure: { source: { resourceGroup: "company" }, container: "mine" } });
    // @ts-expect-error there is nothing to adopt
    check({ azure: { source: { resourceGroup: "company" } } });
  });
});
