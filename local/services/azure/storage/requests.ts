import type { HttpRequest } from "../../../kernel/http.js";
import { CloudError } from "../../../kernel/service.js";
import type { Store } from "./azurite.js";

/** What a request to a storage account is: an operation by the name of its API reference, and on what. */
export interface StorageCall {
  operation: string;
  store: Store;
  account: string;
  /** The container, the queue or the table. */
  holder?: string;
  blob?: string;
}

/** Reads a request with a path such as `/account/container/blob`. @throws CloudError for operations that are not emulated */
export function readRequest(request: HttpRequest): StorageCall {
  const store = request.endpoint as Store;
  const [account = "", holder, ...rest] = request.url.pathname.slice(1).split("/");
  const names = {
    store,
    account,
    ...(holder ? { holder: decode(holder) } : {}),
    ...(rest.length > 0 && rest.join("/") !== "" ? { blob: decode(rest.join("/")) } : {}),
  };
  if (request.method === "OPTIONS") return { ...names, operation: "Preflight" };
  const operation = store === "blob" ? blobOperation(request, names) : store === "queue" ? queueOperation(request, names) : undefined;
  if (store === "table") return tableCall(request, names);
  if (operation) return { ...names, operation };
  throw notEmulated(request);
}

const notEmulated = ({ method, url }: HttpRequest) =>
  new CloudError(
    "NotImplemented",
    `The embedded cloud does not emulate ${method} ${url.pathname}${url.search.replace(/sig=[^&]+/, "sig=…")}`,
    501,
  );

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new CloudError("InvalidUri", `The requested URI does not represent any resource on the server: ${segment}`, 400);
  }
}

type Named = Omit<StorageCall, "operation">;

function blobOperation({ method, url, headers }: HttpRequest, { holder, blob }: Named): string | undefined {
  const comp = url.searchParams.get("comp") ?? "";
  const restype = url.searchParams.get("restype") ?? "";
  if (holder === undefined || restype === "service" || restype === "account") return BLOB_ACCOUNT[`${method} ${restype} ${comp}`];
  if (blob === undefined) return CONTAINER[`${method} ${restype === "container" ? comp : `?${restype} ${comp}`}`];
  if (method === "PUT" && comp === "" && headers["x-ms-copy-source"] !== undefined) {
    if (headers["x-ms-blob-type"] !== undefined) return undefined;
    return headers["x-ms-requires-sync"] === "true" ? "CopyBlobFromURL" : "CopyBlob";
  }
  if (comp === "block" && headers["x-ms-copy-source"] !== undefined) return undefined;
  return BLOB[`${method} ${comp}`];
}

const BLOB_ACCOUNT: Record<string, string> = {
  "GET  list": "ListContainers",
  "GET service properties": "GetBlobServiceProperties",
  "PUT service properties": "SetBlobServiceProperties",
  "POST service userdelegationkey": "GetUserDelegationKey",
  "GET  blobs": "FindBlobsByTags",
};

const CONTAINER: Record<string, string> = {
  "PUT ": "CreateContainer",
  "GET ": "GetContainerProperties",
  "HEAD ": "GetContainerProperties",
  "DELETE ": "DeleteContainer",
  "PUT metadata": "SetContainerMetadata",
  "PUT lease": "LeaseContainer",
  "GET list": "ListBlobs",
};

const BLOB: Record<string, string> = {
  "PUT ": "PutBlob",
  "GET ": "GetBlob",
  "HEAD ": "GetBlobProperties",
  "DELETE ": "DeleteBlob",
  "PUT block": "PutBlock",
  "PUT blocklist": "PutBlockList",
  "GET blocklist": "GetBlockList",
  "GET metadata": "GetBlobMetadata",
  "HEAD metadata": "GetBlobMetadata",
  "PUT metadata": "SetBlobMetadata",
  "PUT properties": "SetBlobProperties",
  "GET tags": "GetBlobTags",
  "PUT tags": "SetBlobTags",
  "PUT lease": "LeaseBlob",
  "PUT snapshot": "SnapshotBlob",
  "PUT undelete": "UndeleteBlob",
  "PUT tier": "SetBlobTier",
  "PUT page": "PutPage",
  "GET pagelist": "GetPageRanges",
  "PUT appendblock": "AppendBlock",
};

function queueOperation({ method, url }: HttpRequest, { holder, blob: item }: Named): string | undefined {
  const comp = url.searchParams.get("comp") ?? "";
  if (holder === undefined) {
    if (comp === "list" && method === "GET") return "ListQueues";
    if (comp === "properties")
      return method === "GET" ? "GetQueueServiceProperties" : method === "PUT" ? "SetQueueServiceProperties" : undefined;
    return undefined;
  }
  if (item === undefined) {
    if (comp === "metadata") return method === "PUT" ? "SetQueueMetadata" : "GetQueueMetadata";
    return comp !== "" ? undefined : method === "PUT" ? "CreateQueue" : method === "DELETE" ? "DeleteQueue" : undefined;
  }
  if (item === "messages") {
    if (method === "GET") return url.searchParams.get("peekonly") === "true" ? "PeekMessages" : "GetMessages";
    return method === "POST" ? "PutMessage" : method === "DELETE" ? "ClearMessages" : undefined;
  }
  if (!item.startsWith("messages/")) return undefined;
  return method === "PUT" ? "UpdateMessage" : method === "DELETE" ? "DeleteMessage" : undefined;
}

/** `Tables`, `Tables('name')`, `name()`, `name(PartitionKey='…',RowKey='…')`, `name` and `$batch`. */
function tableCall(request: HttpRequest, { store, account, holder: path = "" }: Named): StorageCall {
  const { method } = request;
  const call = (operation: string, holder?: string): StorageCall => ({ store, account, operation, ...(holder ? { holder } : {}) });
  if (path === "" && request.url.searchParams.get("comp") === "properties") {
    return call(method === "PUT" ? "SetTableServiceProperties" : "GetTableServiceProperties");
  }
  const [, name = "", key] = /^([^(]*)(?:\((.*)\))?$/s.exec(path) ?? [];
  if (name === "$batch" && method === "POST") return call("Transact", transactedTable(request));
  if (name === "Tables") {
    if (method === "POST") return call("CreateTable", String(JSON.parse(request.body.toString() || "{}").TableName));
    if (method === "GET") return call("QueryTables");
    if (method === "DELETE" && key) return call("DeleteTable", key.slice(1, -1));
    throw notEmulated(request);
  }
  const merges = method === "MERGE" || method === "PATCH" || method === "PUT";
  const operation = key
    ? method === "GET"
      ? "QueryEntities"
      : method === "DELETE"
        ? "DeleteEntity"
        : merges
          ? request.headers["if-match"] === undefined
            ? "UpsertEntity"
            : "UpdateEntity"
          : undefined
    : method === "GET"
      ? "QueryEntities"
      : method === "POST"
        ? "InsertEntity"
        : undefined;
  if (!name || !operation || request.url.searchParams.has("comp")) throw notEmulated(request);
  return call(operation, name);
}

/** A transaction is of one table: the first request in it says which, and the others must agree. */
function transactedTable(request: HttpRequest): string {
  const lines = request.body.toString("latin1").matchAll(/^(?:POST|PUT|MERGE|PATCH|DELETE|GET) (\S+) HTTP\/1\.1/gm);
  const tables = new Set(
    [...lines].map(([, target = ""]) => /^([^(]*)/.exec(decode(target.split("?")[0]?.split("/").at(-1) ?? ""))?.[1] ?? ""),
  );
  const [table, ...others] = tables;
  if (!table || others.length > 0) throw new CloudError("InvalidInput", "The commands of a transaction must all be of one table.", 400);
  return table;
}
