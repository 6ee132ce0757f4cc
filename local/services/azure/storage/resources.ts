import { armResource, sameId } from "../../../kernel/azure/arm.js";
import type { Cloud } from "../../../kernel/cloud.js";
import { CloudError, type Properties, type Resource, type ResourceType } from "../../../kernel/service.js";
import { STORES, type Store } from "./azurite.js";
import { accountId } from "./permissions.js";

export const ACCOUNT = "azure-native:storage:StorageAccount";
export const MANAGEMENT_POLICY = "azure-native:storage:ManagementPolicy";
const API = "2025-01-01";

/** What the resources do in the stores. */
export interface Stores {
  /** Makes a container, queue or table that may be there already. */
  make(store: Store, account: string, name: string): Promise<void>;
  remove(store: Store, account: string, name: string): Promise<void>;
  /** Sets the rules for browsers of other origins. */
  setCors(store: Store, account: string, rules: readonly Properties[]): Promise<void>;
}

/** The account of a name. @throws CloudError (404) */
export function accountOf({ resources }: Pick<Cloud, "resources">, name: string): Resource {
  const account = resources.all(ACCOUNT).find(({ outputs }) => outputs.name === name);
  if (!account) throw new CloudError("ResourceNotFound", `There is no storage account "${name}".`, 404);
  return account;
}

export function storageResources(stores: Stores): Record<string, ResourceType> {
  const inAccount = ["resourceGroupName", "accountName"];

  /** A container, queue or table: what is made in a store under a name of its own. */
  const held = (store: Store, { type, input, inputs, outputs }: Held): ResourceType =>
    armResource({
      type,
      apiVersion: API,
      inputs: [...inAccount, input, ...inputs],
      replacedBy: ["accountName"],
      named: { input, maxLength: 63, style: "plain" },
      id: ({ resourceGroupName, accountName, [input]: name }) =>
        `${accountId(resourceGroupName, accountName)}/${type.split("/").slice(2).join("/default/")}/${name}`,
      check(given, cloud) {
        const { accountName, [input]: name } = given;
        if (typeof accountName === "string") accountOf(cloud, accountName);
        const pattern = store === "table" ? /^[A-Za-z][A-Za-z0-9]{2,62}$/ : /^(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/;
        if (typeof name === "string" && !pattern.test(name)) {
          const rule = store === "table" ? "letters and digits, a letter first" : "lower-case letters, digits and single hyphens";
          throw new CloudError(
            "InvalidResourceName",
            `"${name}" is not a valid name for a ${store === "blob" ? "container" : store}: 3 to 63 ${rule}.`,
          );
        }
        if (given.publicAccess !== undefined && given.publicAccess !== "None") {
          throw new CloudError(
            "PublicAccessNotPermitted",
            `publicAccess is "${given.publicAccess}": the embedded cloud knows private containers only ("None").`,
            409,
          );
        }
        return given;
      },
      outputs,
      live: ({ accountName }, { name }) => stores.make(store, accountName, name),
      deleted: ({ inputs: { accountName }, outputs: { name } }) => stores.remove(store, accountName, name),
    });

  return {
    [ACCOUNT]: armResource({
      type: "Microsoft.Storage/storageAccounts",
      apiVersion: API,
      inputs: ACCOUNT_INPUTS,
      named: { input: "accountName", maxLength: 24, style: "plain" },
      replacedBy: ["kind", "isHnsEnabled"],
      location: "regional",
      check: checkAccount,
      outputs: accountOutputs,
    }),

    "azure-native:storage:BlobContainer": held("blob", {
      type: "Microsoft.Storage/storageAccounts/blobServices/containers",
      input: "containerName",
      inputs: ["publicAccess", "metadata"],
      outputs: ({ publicAccess, metadata }, { cloud, before }) => ({
        publicAccess: publicAccess ?? "None",
        metadata,
        deleted: false,
        deletedTime: "",
        etag: before?.outputs.etag ?? `"0x${cloud.now().getTime().toString(16).toUpperCase()}"`,
        hasImmutabilityPolicy: false,
        hasLegalHold: false,
        immutabilityPolicy: {},
        lastModifiedTime: cloud.now().toISOString(),
        leaseDuration: "",
        leaseState: "Available",
        leaseStatus: "Unlocked",
        legalHold: { hasLegalHold: false, tags: [] },
        remainingRetentionDays: 0,
        version: "",
      }),
    }),
    "azure-native:storage:Queue": held("queue", {
      type: "Microsoft.Storage/storageAccounts/queueServices/queues",
      input: "queueName",
      inputs: ["metadata"],
      outputs: ({ metadata }) => ({ metadata, approximateMessageCount: 0 }),
    }),
    "azure-native:storage:Table": held("table", {
      type: "Microsoft.Storage/storageAccounts/tableServices/tables",
      input: "tableName",
      inputs: [],
      outputs: (_inputs, { name }) => ({ tableName: name }),
    }),

    "azure-native:storage:BlobServiceProperties": armResource({
      type: "Microsoft.Storage/storageAccounts/blobServices",
      apiVersion: API,
      inputs: [
        ...inAccount,
        "blobServicesName",
        "cors",
        "deleteRetentionPolicy",
        "containerDeleteRetentionPolicy",
        "defaultServiceVersion",
        "isVersioningEnabled",
        "changeFeed",
        "lastAccessTimeTrackingPolicy",
        "restorePolicy",
      ],
      replacedBy: ["accountName", "blobServicesName"],
      id: ({ resourceGroupName, accountName }) => `${accountId(resourceGroupName, accountName)}/blobServices/default`,
      check(inputs, cloud) {
        const { accountName, blobServicesName, cors, isVersioningEnabled } = inputs;
        if (typeof accountName === "string") accountOf(cloud, accountName);
        if (blobServicesName !== "default")
          throw new CloudError("InvalidResourceName", `blobServicesName is "${blobServicesName}": it must be "default".`);
        if (isVersioningEnabled)
          throw new CloudError("FeatureNotSupported", "The embedded cloud keeps no versions of blobs: isVersioningEnabled must be false.");
        checkCors(cors?.corsRules ?? []);
        return inputs;
      },
      outputs({ resourceGroupName: _group, accountName, blobServicesName: _name, ...given }, { cloud }) {
        if (given.deleteRetentionPolicy?.enabled) {
          cloud.trace.add({
            kind: "note",
            subject: accountName,
            text: `${accountName}: soft delete is emulated for blobs that are deleted; what is overwritten is gone, and so are deleted containers`,
          });
        }
        return { ...given, sku: accountOf(cloud, accountName).outputs.sku };
      },
      live: ({ accountName, cors }) => stores.setCors("blob", accountName, cors?.corsRules ?? []),
    }),
    "azure-native:storage:QueueServiceProperties": armResource({
      type: "Microsoft.Storage/storageAccounts/queueServices",
      apiVersion: API,
      inputs: [...inAccount, "queueServiceName", "cors"],
      replacedBy: ["accountName", "queueServiceName"],
      id: ({ resourceGroupName, accountName }) => `${accountId(resourceGroupName, accountName)}/queueServices/default`,
      check(inputs) {
        checkCors(inputs.cors?.corsRules ?? []);
        return inputs;
      },
      outputs: ({ cors }) => ({ cors }),
      live: ({ accountName, cors }) => stores.setCors("queue", accountName, cors?.corsRules ?? []),
    }),

    [MANAGEMENT_POLICY]: armResource({
      type: "Microsoft.Storage/storageAccounts/managementPolicies",
      apiVersion: API,
      inputs: [...inAccount, "managementPolicyName", ...POLICY_INPUTS],
      replacedBy: ["accountName", "managementPolicyName"],
      id: ({ resourceGroupName, accountName }) => `${accountId(resourceGroupName, accountName)}/managementPolicies/default`,
      check(inputs, cloud) {
        const { accountName, managementPolicyName } = inputs;
        if (managementPolicyName !== "default") {
          throw new CloudError("InvalidResourceName", `managementPolicyName is "${managementPolicyName}": it must be "default".`);
        }
        if (typeof accountName === "string") accountOf(cloud, accountName);
        return inputs;
      },
      outputs: ({ policy }, { cloud }) => ({ policy, lastModifiedTime: cloud.now().toISOString() }),
    }),
  };
}

interface Held {
  type: string;
  input: string;
  inputs: readonly string[];
  outputs: Parameters<typeof armResource>[0]["outputs"];
}

const ACCOUNT_INPUTS = [
  "resourceGroupName",
  "accountName",
  "location",
  "kind",
  "sku",
  "tags",
  "accessTier",
  "allowBlobPublicAccess",
  "allowCrossTenantReplication",
  "allowSharedKeyAccess",
  "defaultToOAuthAuthentication",
  "dnsEndpointType",
  "enableHttpsTrafficOnly",
  "encryption",
  "isHnsEnabled",
  "isLocalUserEnabled",
  "isSftpEnabled",
  "minimumTlsVersion",
  "networkRuleSet",
  "publicNetworkAccess",
  "sasPolicy",
];

const RULE = "policy.rules[]";
const POLICY_INPUTS = [
  `${RULE}.name`,
  `${RULE}.type`,
  `${RULE}.enabled`,
  `${RULE}.definition.filters.blobTypes`,
  `${RULE}.definition.filters.prefixMatch`,
  `${RULE}.definition.actions.baseBlob.delete.daysAfterModificationGreaterThan`,
  `${RULE}.definition.actions.baseBlob.delete.daysAfterCreationGreaterThan`,
];

function checkAccount(inputs: Properties, { resources }: Cloud): Properties {
  const { accountName: name, kind, resourceGroupName: group, networkRuleSet } = inputs;
  if (typeof name === "string" && !/^[a-z0-9]{3,24}$/.test(name)) {
    throw new CloudError(
      "AccountNameInvalid",
      `${name} is not a valid storage account name. Storage account name must be between 3 and 24 characters in length and use numbers and lower-case letters only.`,
    );
  }
  const taken = resources.all(ACCOUNT).find(({ outputs }) => outputs.name === name);
  if (taken && typeof group === "string" && !sameId(taken.id, accountId(group, name))) {
    throw new CloudError("StorageAccountAlreadyTaken", `The storage account named ${name} is already taken.`, 409);
  }
  const refuse = (input: string, value: unknown, what: string) =>
    new CloudError("FeatureNotSupported", `${input} is ${JSON.stringify(value)}: the embedded cloud ${what}.`);
  if (!["StorageV2", "BlobStorage", "Storage"].includes(kind)) throw refuse("kind", kind, "has StorageV2 accounts");
  if (inputs.isHnsEnabled) throw refuse("isHnsEnabled", true, "has no hierarchical namespaces");
  if (inputs.isSftpEnabled) throw refuse("isSftpEnabled", true, "has no SFTP");
  if (inputs.publicNetworkAccess === "Disabled") throw refuse("publicNetworkAccess", "Disabled", "has no private endpoints");
  if (networkRuleSet?.defaultAction === "Deny") throw refuse("networkRuleSet.defaultAction", "Deny", "has no storage firewall");
  return inputs;
}

async function accountOutputs(inputs: Properties, { name, cloud, before }: Parameters<Held["outputs"]>[1]): Promise<Properties> {
  const { resourceGroupName: _group, accountName: _name, location, tags: _tags, ...given } = inputs;
  const endpoints = await Promise.all(STORES.map(async (store) => [store, `${(await cloud.secure(store)).url}/${name}/`] as const));
  const created = before?.outputs.creationTime ?? cloud.now().toISOString();
  const blobKey = { enabled: true, keyType: "Account", lastEnabledTime: created };
  return {
    accessTier: "Hot",
    allowBlobPublicAccess: false,
    enableHttpsTrafficOnly: true,
    minimumTlsVersion: "TLS1_2",
    publicNetworkAccess: "Enabled",
    ...given,
    encryption: { keySource: "Microsoft.Storage", services: { blob: blobKey, file: blobKey }, ...given.encryption },
    networkRuleSet: { bypass: "AzureServices", defaultAction: "Allow", ipRules: [], virtualNetworkRules: [], ...given.networkRuleSet },
    sku: { name: given.sku.name, tier: String(given.sku.name).split("_")[0] },
    primaryEndpoints: Object.fromEntries(endpoints),
    secondaryEndpoints: {},
    accountMigrationInProgress: false,
    blobRestoreStatus: {},
    creationTime: created,
    customDomain: { name: "" },
    failoverInProgress: false,
    geoReplicationStats: {},
    isSkuConversionBlocked: false,
    keyCreationTime: { key1: created, key2: created },
    keyPolicy: { keyExpirationPeriodInDays: 0 },
    lastGeoFailoverTime: "",
    primaryLocation: location ?? before?.outputs.primaryLocation ?? cloud.region,
    privateEndpointConnections: [],
    provisioningState: "Succeeded",
    sasPolicy: given.sasPolicy ?? { expirationAction: "Log", sasExpirationPeriod: "" },
    secondaryLocation: "",
    statusOfPrimary: "available",
    statusOfSecondary: "",
  };
}

function checkCors(rules: readonly Properties[]): void {
  if (rules.length > 5) throw new CloudError("InvalidXmlNodeValue", `A service has at most five CORS rules; these are ${rules.length}.`);
  for (const rule of rules) {
    for (const field of ["allowedHeaders", "allowedMethods", "allowedOrigins", "exposedHeaders", "maxAgeInSeconds"]) {
      if (rule[field] === undefined) throw new CloudError("InvalidXmlNodeValue", `A CORS rule needs all five fields; ${field} is missing.`);
    }
  }
}
