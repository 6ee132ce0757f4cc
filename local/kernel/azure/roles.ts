/** A built-in role, as far as anything embedded asks for what it grants. */
export interface Role {
  name: string;
  /** On resources. */
  actions: readonly string[];
  notActions?: readonly string[];
  /** On what is in them. */
  dataActions: readonly string[];
}

const STORAGE = "Microsoft.Storage/storageAccounts";
const CONTAINERS = `${STORAGE}/blobServices/containers`;
const QUEUES = `${STORAGE}/queueServices/queues`;
const TABLES = `${STORAGE}/tableServices/tables`;
const DELEGATION = `${STORAGE}/blobServices/generateUserDelegationKey/action`;
const READ_GROUPS = "Microsoft.Resources/subscriptions/resourceGroups/read";

const under = (parent: string, ...operations: string[]): string[] => operations.map((operation) => `${parent}/${operation}`);

/** By the id of their definition, which is the same in every tenant ("Azure built-in roles"). */
export const BUILT_IN_ROLES: Readonly<Record<string, Role>> = {
  "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": { name: "Owner", actions: ["*"], dataActions: [] },
  "b24988ac-6180-42a0-ab88-20f7382dd24c": {
    name: "Contributor",
    actions: ["*"],
    notActions: [
      "Microsoft.Authorization/*/Delete",
      "Microsoft.Authorization/*/Write",
      "Microsoft.Authorization/elevateAccess/Action",
      "Microsoft.Blueprint/blueprintAssignments/write",
      "Microsoft.Blueprint/blueprintAssignments/delete",
      "Microsoft.Compute/galleries/share/action",
    ],
    dataActions: [],
  },
  "acdd72a7-3385-48ef-bd42-f606fba81ae7": { name: "Reader", actions: ["*/read"], dataActions: [] },
  "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": {
    name: "Storage Blob Data Owner",
    actions: [`${CONTAINERS}/*`, DELEGATION],
    dataActions: [`${CONTAINERS}/blobs/*`],
  },
  "ba92f5b4-2d11-453d-a403-e96b0029c9fe": {
    name: "Storage Blob Data Contributor",
    actions: [...under(CONTAINERS, "delete", "read", "write"), DELEGATION],
    dataActions: under(`${CONTAINERS}/blobs`, "delete", "read", "write", "move/action", "add/action"),
  },
  "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": {
    name: "Storage Blob Data Reader",
    actions: [`${CONTAINERS}/read`, DELEGATION],
    dataActions: [`${CONTAINERS}/blobs/read`],
  },
  "db58b8e5-c6ad-4a2a-8342-4190687cbf4a": { name: "Storage Blob Delegator", actions: [DELEGATION], dataActions: [] },
  "974c5e8b-45b9-4653-ba55-5f855dd0fb88": {
    name: "Storage Queue Data Contributor",
    actions: under(QUEUES, "delete", "read", "write"),
    dataActions: under(`${QUEUES}/messages`, "delete", "read", "write", "process/action"),
  },
  "19e7f393-937e-4f77-808e-94535e297925": {
    name: "Storage Queue Data Reader",
    actions: [`${QUEUES}/read`],
    dataActions: [`${QUEUES}/messages/read`],
  },
  "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a": {
    name: "Storage Queue Data Message Sender",
    actions: [],
    dataActions: [`${QUEUES}/messages/add/action`],
  },
  "8a0f0c08-91a1-4084-bc3d-661d67233fed": {
    name: "Storage Queue Data Message Processor",
    actions: [],
    dataActions: under(`${QUEUES}/messages`, "read", "process/action"),
  },
  "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": {
    name: "Storage Table Data Contributor",
    actions: under(TABLES, "read", "write", "delete"),
    dataActions: under(`${TABLES}/entities`, "read", "write", "delete", "add/action", "update/action"),
  },
  "76199698-9eea-4c19-bc75-cec21354c6b6": {
    name: "Storage Table Data Reader",
    actions: [`${TABLES}/read`],
    dataActions: [`${TABLES}/entities/read`],
  },
  "d5a91429-5739-47e2-a06b-3470a27159e7": {
    name: "EventGrid Data Sender",
    actions: ["Microsoft.Authorization/*/read", "Microsoft.EventGrid/topics/read", "Microsoft.EventGrid/domains/read", READ_GROUPS],
    dataActions: ["Microsoft.EventGrid/events/send/action"],
  },
  "3913510d-42f4-4e42-8a64-420c390055eb": {
    name: "Monitoring Metrics Publisher",
    actions: ["Microsoft.Insights/Register/Action", READ_GROUPS],
    dataActions: ["Microsoft.Insights/Metrics/Write", "Microsoft.Insights/Telemetry/Write"],
  },
  "a97b65f3-24c7-4388-baec-2e87135dc908": {
    name: "Cognitive Services User",
    actions: ["Microsoft.CognitiveServices/*/read", "Microsoft.CognitiveServices/accounts/listkeys/action", READ_GROUPS],
    dataActions: ["Microsoft.CognitiveServices/*"],
  },
  "4633458b-17de-408a-b874-0445c86b69e6": {
    name: "Key Vault Secrets User",
    actions: [],
    dataActions: under("Microsoft.KeyVault/vaults/secrets", "getSecret/action", "readMetadata/action"),
  },
  "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": {
    name: "Key Vault Secrets Officer",
    actions: ["Microsoft.KeyVault/checkNameAvailability/read", "Microsoft.KeyVault/vaults/*/read"],
    dataActions: ["Microsoft.KeyVault/vaults/secrets/*"],
  },
  "7f951dda-4ed3-4680-a7ca-43fe172d538d": {
    name: "AcrPull",
    actions: ["Microsoft.ContainerRegistry/registries/pull/read"],
    dataActions: [],
  },
  "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b": {
    name: "Azure Kubernetes Service RBAC Cluster Admin",
    actions: [
      ...["Microsoft.Authorization/*/read", READ_GROUPS, "Microsoft.Resources/deployments/*"],
      "Microsoft.ContainerService/managedClusters/listClusterUserCredential/action",
    ],
    dataActions: ["Microsoft.ContainerService/managedClusters/*"],
  },
  "09976791-48a7-449e-bb21-39d1a415f350": {
    name: "Communication and Email Service Owner",
    actions: ["Microsoft.Communication/CommunicationServices/*", "Microsoft.Communication/EmailServices/*", READ_GROUPS],
    dataActions: [],
  },
};

/** Actions on what is in resources: only `dataActions` grant them, not even an owner's `*`. */
const DATA = [
  /^microsoft\.storage\/storageaccounts\/blobservices\/containers\/blobs\//i,
  /^microsoft\.storage\/storageaccounts\/queueservices\/queues\/messages\//i,
  /^microsoft\.storage\/storageaccounts\/tableservices\/tables\/entities\//i,
  /^microsoft\.eventgrid\/events\//i,
  /^microsoft\.insights\/(metrics|telemetry)\/write$/i,
  /^microsoft\.keyvault\/vaults\/secrets\//i,
  /^microsoft\.cognitiveservices\/accounts\/[^/]+\//i,
  // Objects within a cluster, as its API server asks for them.
  /^microsoft\.containerservice\/managedclusters\/(?!agentpools\/|maintenanceconfigurations\/)([^/]+\/)+(read|write|delete)$/i,
];

/** Whether a role grants an action such as `"Microsoft.EventGrid/events/send/action"`. */
export function grants({ actions, notActions = [], dataActions }: Role, action: string): boolean {
  const matched = (patterns: readonly string[]) => patterns.some((pattern) => matches(pattern, action));
  return DATA.some((pattern) => pattern.test(action)) ? matched(dataActions) : matched(actions) && !matched(notActions);
}

/** Names of the built-in roles that grant an action, those with the fewest rights first. */
export function rolesFor(action: string): string[] {
  const breadth = ({ actions, dataActions }: Role) =>
    actions.some((action) => action.startsWith("*")) ? 1_000 : actions.length + 2 * dataActions.length;
  return Object.values(BUILT_IN_ROLES)
    .filter((role) => grants(role, action))
    .sort((one, other) => breadth(one) - breadth(other))
    .map(({ name }) => name);
}

function matches(pattern: string, action: string): boolean {
  const expression = pattern.split("*").map((part) => part.replace(/[.\\/]/g, "\\$&"));
  return new RegExp(`^${expression.join(".*")}$`, "i").test(action);
}
