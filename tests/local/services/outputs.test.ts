import assert from "node:assert/strict";
import * as iam from "@pulumi/aws/iam/index.js";
import * as lambda from "@pulumi/aws/lambda/index.js";
import * as s3 from "@pulumi/aws/s3/index.js";
import * as sns from "@pulumi/aws/sns/index.js";
import * as ssm from "@pulumi/aws/ssm/index.js";
import * as communication from "@pulumi/azure-native/communication/index.js";
import * as eventgrid from "@pulumi/azure-native/eventgrid/index.js";
import * as operationalinsights from "@pulumi/azure-native/operationalinsights/index.js";
import * as resources from "@pulumi/azure-native/resources/index.js";
import * as sql from "@pulumi/azure-native/sql/index.js";
import * as storage from "@pulumi/azure-native/storage/index.js";
import * as pulumi from "@pulumi/pulumi";
import { findServices, startStack } from "../../../local/index.js";
import { readRecording, recordings } from "../../pulumi/recordings.js";
import { declaredOutputs } from "./declared-outputs.js";

/** A resource, by what the embedded cloud answered. */
interface Answered {
  type: string;
  name: string;
  outputs: Record<string, unknown>;
}

/** Outputs that the classes promise, and that the clouds do not give either, for resources as they are here. */
const NOT_GIVEN: Readonly<Record<string, readonly string[]>> = {
  // Blocks that are there only where they are declared: by the bucket itself, which is deprecated.
  "aws:s3/bucket:Bucket": ["logging", "objectLockConfiguration", "replicationConfiguration", "website"],
  // `null` in the Resource Manager's answers while an app is not in slots, suspended, in a container or behind a traffic manager.
  "azure-native:web:WebApp": [
    ...["inProgressOperationId", "isDefaultContainer", "maxNumberOfWorkers", "slotSwapStatus"],
    ...["suspendedTill", "targetSwapSlot", "trafficManagerHostNames"],
  ],
  // Of clusters that are private.
  "azure-native:containerservice:ManagedCluster": ["privateFQDN"],
  // `null` but for registries that are being moved, and for rules that a policy has made.
  "azure-native:containerregistry:Registry": ["status"],
  "azure-native:monitor:DataCollectionRule": ["metadata"],
  "azure-native:monitor:DataCollectionRuleAssociation": ["metadata"],
};

/** Kubernetes' classes promise everything, and its API servers leave out what is empty. */
const ON_KUBERNETES = ["apiVersion", "kind", "metadata"];

const isPromised = (type: string, output: string) =>
  type.startsWith("kubernetes:") ? ON_KUBERNETES.includes(output) : !NOT_GIVEN[type]?.includes(output);

const isGiven = (value: unknown) => value !== undefined && value !== null;

describe("What the services of the embedded cloud return", () => {
  const answered: Answered[] = [];

  before(async function () {
    this.timeout(60_000);
    for (const name of recordings()) answered.push(...(await recordedAnswers(name)));
    answered.push(...(await answers("aws", furtherOnAws)), ...(await answers("azure", furtherOnAzure)));
  });

  it("is looked at for every type of AWS and Azure that a service claims", async () => {
    const services = await findServices(["aws", "azure"]);
    const claimed = services.flatMap((service) => Object.keys(service.resources ?? {}));
    const seen = new Set(answered.map(({ type }) => type));
    assert.deepEqual(
      claimed.filter((type) => !seen.has(type)),
      [],
    );
  });

  it("has every output that the SDK's class promises", () => {
    const missing = answered.flatMap(({ type, name, outputs }) =>
      [...declaredOutputs(type)]
        .filter(([output, { optional }]) => !optional && !isGiven(outputs[output]) && isPromised(type, output))
        .map(([output]) => `${type} ${name}: ${output}`),
    );
    assert.deepEqual(missing, []);
  });

  it("has no output that the SDK's class does not have", () => {
    const invented = answered.flatMap(({ type, name, outputs }) => {
      const declared = declaredOutputs(type);
      return Object.keys(outputs).flatMap((output) =>
        declared.has(output) || !isGiven(outputs[output]) ? [] : `${type} ${name}: ${output}`,
      );
    });
    assert.deepEqual(invented, []);
  });
});

/** What is in a recorded graph, with which the embedded engine's is compared elsewhere. */
async function recordedAnswers(stack: string): Promise<Answered[]> {
  return (await readRecording(stack)).flatMap(({ urn, outputs }) => {
    const [, , types = "", name = ""] = urn.split("::");
    const type = types.slice(types.lastIndexOf("$") + 1);
    return /^(aws|azure-native|kubernetes):/.test(type) ? { type, name, outputs: outputs as Record<string, unknown> } : [];
  });
}

/** What a program's resources are answered. */
async function answers(cloud: "aws" | "azure", program: () => unknown): Promise<Answered[]> {
  const stack = await startStack({ program, project: "outputs", stack: cloud, config: { "aws:region": "eu-west-1" }, clouds: [cloud] });
  const types = stack.cloud.services.flatMap((service) => Object.keys(service.resources ?? {}));
  const all = types.flatMap((type) => stack.cloud.resources.all(type));
  await stack.stop();
  return all;
}

/** Types of AWS that none of our stacks declares. */
function furtherOnAws(): void {
  const document = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "sqs:SendMessage", Resource: "*" }] };
  const role = new iam.Role("role", {
    assumeRolePolicy: {
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: "lambda.amazonaws.com" } }],
    },
  });
  const policy = new iam.Policy("policy", { policy: JSON.stringify(document) });
  new iam.RolePolicyAttachment("attachment", { role: role.name, policyArn: policy.arn });
  const topic = new sns.Topic("topic");
  new sns.TopicSubscription("subscription", { topic: topic.arn, protocol: "email", endpoint: "ops@example.org" });
  const bucket = new s3.Bucket("bucket");
  new s3.BucketVersioning("versioning", { bucket: bucket.bucket, versioningConfiguration: { status: "Enabled" } });
  new ssm.Parameter("parameter", { type: "SecureString", value: pulumi.secret("kept") });
  const code = new pulumi.asset.AssetArchive({ "index.mjs": new pulumi.asset.StringAsset("export const handler = async () => ({});") });
  const fn = new lambda.Function("function", { runtime: "nodejs24.x", handler: "index.handler", role: role.arn, code });
  new lambda.FunctionEventInvokeConfig("retries", { functionName: fn.name, maximumRetryAttempts: 1 });
}

/** Types of Azure that none of our stacks declares. */
function furtherOnAzure(): void {
  const { name: resourceGroupName } = new resources.ResourceGroup("group", { location: "westeurope" });
  const { name: accountName, id: accountId } = new storage.StorageAccount("account", {
    resourceGroupName,
    kind: storage.Kind.StorageV2,
    sku: { name: storage.SkuName.Standard_LRS },
    allowSharedKeyAccess: false,
  });
  new storage.QueueServiceProperties("queues", { resourceGroupName, accountName, queueServiceName: "default" });
  const queue = new storage.Queue("queue", { resourceGroupName, accountName, queueName: "events" });
  const topic = new eventgrid.Topic("topic", { resourceGroupName, location: "westeurope", identity: { type: "SystemAssigned" } });
  new eventgrid.EventSubscription("subscription", {
    scope: topic.id,
    deliveryWithResourceIdentity: {
      identity: { type: "SystemAssigned" },
      destination: { endpointType: "StorageQueue", resourceId: accountId, queueName: queue.name },
    },
  });
  const email = new communication.EmailService("email", { resourceGroupName, location: "global", dataLocation: "Europe" });
  const domain = new communication.Domain("domain", {
    ...{ resourceGroupName, location: "global", domainName: "AzureManagedDomain", domainManagement: "AzureManaged" },
    emailServiceName: email.name,
  });
  new communication.CommunicationService("sender", {
    ...{ resourceGroupName, location: "global", dataLocation: "Europe" },
    linkedDomains: [domain.id],
  });
  const workspace = new operationalinsights.Workspace("workspace", { resourceGroupName, location: "westeurope" });
  new operationalinsights.Table("table", { resourceGroupName, workspaceName: workspace.name, tableName: "AppTraces", retentionInDays: 7 });
  const administrator = { administratorType: "ActiveDirectory", login: "admins", sid: "0b1ec710-0000-4000-8000-00000000d3b1" };
  const { name: serverName } = new sql.Server("server", {
    resourceGroupName,
    location: "westeurope",
    minimalTlsVersion: "1.2",
    administrators: { ...administrator, azureADOnlyAuthentication: true, principalType: "User" },
  });
  new sql.ServerAzureADAdministrator("administrator", {
    resourceGroupName,
    serverName,
    administratorName: "ActiveDirectory",
    ...administrator,
  });
  new sql.ServerAzureADOnlyAuthentication("only", {
    resourceGroupName,
    serverName,
    authenticationName: "Default",
    azureADOnlyAuthentication: true,
  });
}
