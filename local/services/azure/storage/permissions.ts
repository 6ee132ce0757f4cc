import { resourceId } from "../../../kernel/azure/arm.js";
import type { Permission, Resource } from "../../../kernel/service.js";
import type { StorageCall } from "./requests.js";

const ACCOUNT = "Microsoft.Storage/storageAccounts";
const BLOB_SERVICE = `${ACCOUNT}/blobServices`;
const CONTAINERS = `${BLOB_SERVICE}/containers`;
const BLOBS = `${CONTAINERS}/blobs`;
const QUEUES = `${ACCOUNT}/queueServices/queues`;
const MESSAGES = `${QUEUES}/messages`;
const TABLES = `${ACCOUNT}/tableServices/tables`;
const ENTITIES = `${TABLES}/entities`;

const WRITE_BLOB = `${BLOBS}/write or ${BLOBS}/add/action`;

/** What each operation takes of the caller, as "Authorize with Microsoft Entra ID" of the references lists it. */
const ACTIONS: Readonly<Record<string, string | undefined>> = {
  Preflight: undefined,

  ListContainers: `${CONTAINERS}/read`,
  GetBlobServiceProperties: `${BLOB_SERVICE}/read`,
  SetBlobServiceProperties: `${BLOB_SERVICE}/write`,
  GetUserDelegationKey: `${BLOB_SERVICE}/generateUserDelegationKey/action`,
  FindBlobsByTags: `${BLOBS}/filter/action`,
  CreateContainer: `${CONTAINERS}/write`,
  GetContainerProperties: `${CONTAINERS}/read`,
  DeleteContainer: `${CONTAINERS}/delete`,
  SetContainerMetadata: `${CONTAINERS}/write`,
  LeaseContainer: `${CONTAINERS}/write`,
  ListBlobs: `${BLOBS}/read`,
  PutBlob: WRITE_BLOB,
  CopyBlob: WRITE_BLOB,
  CopyBlobFromURL: WRITE_BLOB,
  GetBlob: `${BLOBS}/read`,
  GetBlobProperties: `${BLOBS}/read`,
  DeleteBlob: `${BLOBS}/delete`,
  PutBlock: WRITE_BLOB,
  PutBlockList: WRITE_BLOB,
  GetBlockList: `${BLOBS}/read`,
  GetBlobMetadata: `${BLOBS}/read`,
  SetBlobMetadata: `${BLOBS}/write`,
  SetBlobProperties: `${BLOBS}/write`,
  GetBlobTags: `${BLOBS}/tags/read`,
  SetBlobTags: `${BLOBS}/tags/write`,
  LeaseBlob: `${BLOBS}/write`,
  SnapshotBlob: WRITE_BLOB,
  UndeleteBlob: `${BLOBS}/write`,
  SetBlobTier: `${BLOBS}/write`,
  PutPage: `${BLOBS}/write`,
  GetPageRanges: `${BLOBS}/read`,
  AppendBlock: WRITE_BLOB,

  ListQueues: `${QUEUES}/read`,
  GetQueueServiceProperties: `${ACCOUNT}/queueServices/read`,
  SetQueueServiceProperties: `${ACCOUNT}/queueServices/write`,
  CreateQueue: `${QUEUES}/write`,
  DeleteQueue: `${QUEUES}/delete`,
  GetQueueMetadata: `${QUEUES}/read`,
  SetQueueMetadata: `${QUEUES}/write`,
  PutMessage: `${MESSAGES}/add/action or ${MESSAGES}/write`,
  GetMessages: `${MESSAGES}/process/action`,
  PeekMessages: `${MESSAGES}/read`,
  ClearMessages: `${MESSAGES}/delete`,
  UpdateMessage: `${MESSAGES}/write`,
  DeleteMessage: `${MESSAGES}/process/action or ${MESSAGES}/delete`,

  GetTableServiceProperties: `${ACCOUNT}/tableServices/read`,
  SetTableServiceProperties: `${ACCOUNT}/tableServices/write`,
  QueryTables: `${TABLES}/read`,
  CreateTable: `${TABLES}/write`,
  DeleteTable: `${TABLES}/delete`,
  QueryEntities: `${ENTITIES}/read`,
  InsertEntity: `${ENTITIES}/write or ${ENTITIES}/add/action`,
  UpsertEntity: `${ENTITIES}/write`,
  UpdateEntity: `${ENTITIES}/write or ${ENTITIES}/update/action`,
  DeleteEntity: `${ENTITIES}/delete`,
  Transact: `${ENTITIES}/write`,
};

export const OPERATIONS: readonly string[] = Object.keys(ACTIONS);

const KINDS = { blob: ["blobServices", "containers"], queue: ["queueServices", "queues"], table: ["tableServices", "tables"] } as const;

/** What must be granted, and at which scope: the container, queue or table, else the account. */
export function permissionsFor({ operation, store, holder }: StorageCall, account: Resource): Permission[] {
  const action = ACTIONS[operation];
  if (action === undefined) return [];
  const [service, kind] = KINDS[store];
  // A delegation key is of the whole account.
  const scope = operation === "GetUserDelegationKey" ? account.id : `${account.id}/${service}/default${holder ? `/${kind}/${holder}` : ""}`;
  return [{ action, resource: scope }];
}

/** What reading the source of a copy takes. */
export const readingOf = (account: Resource, container: string): Permission => ({
  action: `${BLOBS}/read`,
  resource: `${account.id}/blobServices/default/containers/${container}`,
});

export const accountId = (group: string, name: string): string => resourceId(group, ACCOUNT, name);
