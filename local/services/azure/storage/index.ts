import { createHmac, randomBytes, randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { XMLParser } from "fast-xml-parser";
import { DEPLOYER, DEVELOPER, TENANT } from "../../../kernel/azure/arm.js";
import { authorize, bearerToken, identity } from "../../../kernel/azure/authority.js";
import { USER_ASSIGNED_IDENTITY } from "../../../kernel/azure/managed-identity.js";
import { verifyToken } from "../../../kernel/azure/tokens.js";
import type { Cloud } from "../../../kernel/cloud.js";
import type { HttpRequest, HttpResponse } from "../../../kernel/http.js";
import {
  CloudError,
  type Guard,
  type Operation,
  type Principal,
  type Properties,
  type Protocol,
  type Resource,
  type Service,
} from "../../../kernel/service.js";
import { Azurite, STORES, type Store } from "./azurite.js";
import { publishChange, Sequencers } from "./changes.js";
import { applyLifecycle, type Contents } from "./lifecycle.js";
import { OPERATIONS, permissionsFor, readingOf } from "./permissions.js";
import { readRequest, type StorageCall } from "./requests.js";
import { accountOf, type Stores, storageResources } from "./resources.js";
import { createsOnly, delegationKeyValue, readKeyInfo, SAS_PARAMETERS, verifyDelegation } from "./signatures.js";
import { retentionOf, SoftDeleted } from "./soft-delete.js";

const AUDIENCE = "https://storage.azure.com";
/** Milliseconds between two looks for what lifecycle rules delete. */
const SWEEP = 60_000;
/** Operations after which a blob is there or gone, and what events call them. */
const CHANGES: Readonly<Record<string, string>> = {
  PutBlob: "PutBlob",
  PutBlockList: "PutBlockList",
  CopyBlob: "CopyBlob",
  CopyBlobFromURL: "CopyBlob",
  DeleteBlob: "DeleteBlob",
};

/** An operation on its way: what it is, and the request that Azurite is sent. */
interface Passing {
  call: StorageCall;
  request: HttpRequest;
}

/**
 * Azure Storage: blobs, queues and tables, kept by Azurite behind a guard that knows identities, role assignments and user delegation
 * signatures. Requests come to `https://127.0.0.1:PORT/ACCOUNT/…`, a port for each of the three.
 */
export default function storage(): Service {
  let azurite: Azurite;
  let softDeleted: SoftDeleted;
  let secret: Buffer;
  let sweep: NodeJS.Timeout | undefined;
  const sequencers = new Sequencers();
  const changing = new Map<string, Promise<unknown>>();

  const keyOf = (account: string): Buffer => createHmac("sha512", secret).update(`account ${account}`).digest();

  /** For what the resources themselves need: nobody is asked for permission. */
  const send = (store: Store, account: string, method: string, target: string, body?: string, accepted: readonly number[] = []) =>
    azurite
      .forward(store, account, {
        method,
        target: `/${account}${target}`,
        headers: {
          "x-ms-version": "2021-10-04",
          ...(store === "table" && { "content-type": "application/json", accept: "application/json;odata=nometadata" }),
        },
        ...(body !== undefined && { body: Buffer.from(body) }),
      })
      .then((response) => {
        if (response.status >= 400 && !accepted.includes(response.status)) throw errorOf(response);
        return response;
      });

  const stores: Stores = {
    async make(store, account, name) {
      if (store === "table") await send(store, account, "POST", "/Tables", JSON.stringify({ TableName: name }), [409]);
      else await send(store, account, "PUT", `/${name}${store === "blob" ? "?restype=container" : ""}`, undefined, [409]);
    },
    async remove(store, account, name) {
      const target = store === "table" ? `/Tables('${name}')` : `/${name}${store === "blob" ? "?restype=container" : ""}`;
      await send(store, account, "DELETE", target, undefined, [404]);
    },
    async setCors(store, account, rules) {
      await send(store, account, "PUT", "/?restype=service&comp=properties", corsXml(rules));
    },
  };

  const contents = (cloud: Cloud): Contents => ({
    async containers(account) {
      const listed = await send("blob", account, "GET", "/?comp=list");
      return items(parsed(listed).EnumerationResults?.Containers?.Container).map(({ Name }) => String(Name));
    },
    async blobs(account, container, prefix) {
      const found: Properties[] = [];
      for (let marker = ""; ; ) {
        const query = `restype=container&comp=list&prefix=${encodeURIComponent(prefix)}${marker && `&marker=${encodeURIComponent(marker)}`}`;
        const { EnumerationResults: page } = parsed(await send("blob", account, "GET", `/${container}?${query}`));
        found.push(...items(page?.Blobs?.Blob));
        marker = String(page?.NextMarker ?? "");
        if (!marker) break;
      }
      return found.map(({ Name, Properties: of }) => ({
        name: String(Name),
        created: Date.parse(of["Creation-Time"]),
        modified: Date.parse(of["Last-Modified"]),
      }));
    },
    async remove(account, container, blob) {
      const as: Principal = { kind: "account", arn: "lifecycle management" };
      await cloud.call({ service: "storage", operation: "DeleteBlob", input: { account, container, blob }, as });
    },
  });

  /** Sends it on, and tells what became of a blob. What changes one blob waits for what changes it already: events are in the order of changes. */
  const pass = async ({ call, request }: Passing, cloud: Cloud, requestId: string): Promise<HttpResponse> => {
    const { store, account, operation, holder, blob } = call;
    const query = request.url.searchParams;
    const signedItself = usesAccountKey(request);
    const creating = createsOnly(query) && operation in CHANGES && operation !== "DeleteBlob";
    const headers: Record<string, string> = { ...request.headers, ...(creating && { "if-none-match": "*" }) };
    if (!signedItself) delete headers.authorization;
    const forward = () =>
      azurite.forward(store, account, {
        method: request.method,
        target: signedItself ? request.target : withoutSignature(request.target),
        headers,
        body: request.body,
        asSigned: signedItself,
      });
    const api = CHANGES[operation];
    if (operation === "ListBlobs" && /\bdeleted\b/.test(query.get("include") ?? ""))
      throw new CloudError("NotImplemented", "The embedded cloud does not list deleted blobs: restore them by their names.", 501);
    if (operation === "PutMessage") {
      const response = accepted(await forward());
      logWrite(accountOf(cloud, account), operation, request.url.href, cloud);
      return response;
    }
    if (operation === "UndeleteBlob" && holder !== undefined && blob !== undefined) {
      // Nobody is told: Event Grid has no event for it.
      const address = { account, container: holder, blob };
      await inTurn(changing, `${account}/${holder}/${blob}`, () => softDeleted.restore(address));
      return { status: 200, headers: { "x-ms-version": request.headers["x-ms-version"] ?? "2021-10-04" } };
    }
    if (api === undefined || holder === undefined || blob === undefined) return accepted(await forward());

    return inTurn(changing, `${account}/${holder}/${blob}`, async () => {
      const look = () =>
        send("blob", account, "HEAD", `/${encodeURIComponent(holder)}/${blob.split("/").map(encodeURIComponent).join("/")}`);
      const partly = query.has("snapshot") || headers["x-ms-delete-snapshots"] === "only";
      const before = api === "DeleteBlob" && !partly ? await look().catch(() => undefined) : undefined;
      if (before && retentionOf(account, cloud) !== undefined) await softDeleted.keep({ account, container: holder, blob }, cloud.now());
      const response = await forward();
      if (creating && (response.status === 409 || response.status === 412)) {
        throw new CloudError("UnauthorizedBlobOverwrite", "This request is not authorized to perform blob overwrites.", 403);
      }
      accepted(response);
      const properties = api === "DeleteBlob" ? before : await look();
      if (properties && !partly) {
        const clientRequestId = request.headers["x-ms-client-request-id"];
        const change = { api, account: accountOf(cloud, account), container: holder, blob, properties, clientRequestId, requestId };
        publishChange(cloud, sequencers.next(cloud.now()), change);
      }
      return response;
    });
  };

  const delegationKey = ({ request }: Passing, { account }: StorageCall, principal: Principal, cloud: Cloud): HttpResponse => {
    if (principal.kind !== "identity") throw new CloudError("AuthorizationFailure", "Only identities have user delegation keys.", 403);
    const version = request.headers["x-ms-version"] ?? "2021-10-04";
    const { start, expiry } = readKeyInfo(request.body.toString(), cloud.now());
    const { objectId } = principal;
    const fields = {
      SignedOid: objectId,
      SignedTid: TENANT,
      SignedStart: start,
      SignedExpiry: expiry,
      SignedService: "b",
      SignedVersion: version,
      Value: delegationKeyValue(keyOf(account), { objectId, start, expiry, version }),
    };
    const text = Object.entries(fields).map(([name, value]) => `<${name}>${value}</${name}>`);
    return {
      status: 200,
      headers: { "content-type": "application/xml", "x-ms-version": version },
      body: `<?xml version="1.0" encoding="utf-8"?><UserDelegationKey>${text.join("")}</UserDelegationKey>`,
    };
  };

  const operations: Record<string, Operation> = Object.fromEntries(
    OPERATIONS.map((name) => [
      name,
      {
        needs(input, cloud) {
          const { call, request } = passing(name, input);
          const account = accountOf(cloud, call.account);
          const source = request.headers["x-ms-copy-source"];
          return [...permissionsFor(call, account), ...(source ? [readingOf(account, containerOfSource(source, call.account))] : [])];
        },
        async handle(input, { cloud, principal, requestId }) {
          const on = passing(name, input);
          const response =
            name === "GetUserDelegationKey" ? delegationKey(on, on.call, principal, cloud) : await pass(on, cloud, requestId);
          return { response };
        },
      } satisfies Operation,
    ]),
  );

  const guard: Guard = {
    async identify(request, cloud) {
      const call = readRequest(request);
      const account = accountOf(cloud, call.account);
      const token = bearerToken(request.headers);
      if (token !== undefined) {
        const holder = await verifyToken(cloud, token, AUDIENCE);
        if (!holder)
          throw new CloudError("InvalidAuthenticationInfo", `The token is not one of this cloud for ${AUDIENCE}, or it has expired.`, 401);
        return identity(holder.objectId, holder.name);
      }
      if (usesAccountKey(request)) {
        if (account.outputs.allowSharedKeyAccess === false) {
          throw new CloudError(
            "KeyBasedAuthenticationNotPermitted",
            "Key based authentication is not permitted on this storage account.",
            403,
          );
        }
        // Azurite, which knows the account's key, checks the signature.
        return { kind: "account", arn: `the key of ${call.account}` };
      }
      const query = request.url.searchParams;
      // Browsers ask with the link that they are about to use; what that allows is not what is asked.
      if (call.operation === "Preflight") return { kind: "account", arn: "a browser's preflight" };
      if (!query.has("sig")) return { kind: "anonymous" };
      const objectId = verifyDelegation(query, call, { key: keyOf(call.account), now: cloud.now(), peer: request.peer });
      return identity(objectId, `a signature of ${nameOf(objectId, cloud)}`);
    },
    authorize,
  };

  return {
    name: "storage",
    async start(cloud, folder) {
      secret = await keptSecret(join(folder, "secret"));
      azurite = new Azurite(join(folder, "azurite"), keyOf);
      softDeleted = new SoftDeleted(azurite);
      sweep = setInterval(() => {
        const applied = applyLifecycle(cloud, contents(cloud)).then(() => softDeleted.purge(cloud));
        applied.catch((error: Error) =>
          cloud.trace.add({ kind: "note", subject: "storage", text: `Lifecycle rules could not be applied: ${error.message}` }),
        );
      }, SWEEP);
      sweep.unref();
    },
    async stop() {
      clearInterval(sweep);
      await azurite?.stop();
    },
    resources: storageResources(stores),
    functions: {
      "azure-native:storage:getStorageAccount": async ({ accountName }, cloud) => {
        const { id, outputs } = accountOf(cloud, accountName);
        return { id, ...outputs };
      },
      "azure-native:storage:getBlobContainer": async ({ accountName, containerName }, cloud) => {
        const of = accountOf(cloud, accountName).id;
        const found = cloud.resources
          .all("azure-native:storage:BlobContainer")
          .find(({ id, outputs }) => id.startsWith(`${of}/`) && outputs.name === containerName);
        if (!found) throw new CloudError("ContainerNotFound", `${accountName} has no container "${containerName}".`, 404);
        return { id: found.id, ...found.outputs };
      },
      "azure-native:storage:listStorageAccountKeys": async ({ accountName }, cloud) => ({
        keys: [
          {
            keyName: "key1",
            permissions: "FULL",
            creationTime: accountOf(cloud, accountName).outputs.creationTime,
            value: keyOf(accountName).toString("base64"),
          },
        ],
      }),
    },
    // A signed link stands for itself: what it may do was decided when it was signed.
    api: {
      protocol: PROTOCOL,
      endpoints: STORES,
      takesPlain: ({ url }) => url.searchParams.has("sig"),
      guard,
      operations: { ...operations, ApplyLifecycle: lifecycleOperation(contents, (cloud) => softDeleted.purge(cloud)) },
    },
  };
}

/** Not Azure's: applies lifecycle rules now, for whoever cannot wait. */
const lifecycleOperation = (contents: (cloud: Cloud) => Contents, purge: (cloud: Cloud) => Promise<void>): Operation => ({
  needs: () => [],
  async handle(_input, { cloud, principal }) {
    if (principal.kind !== "account") throw new CloudError("AuthorizationFailure", "Lifecycle rules apply themselves.", 403);
    await applyLifecycle(cloud, contents(cloud));
    await purge(cloud);
    return {};
  },
});

const PROTOCOL: Protocol = {
  claims: () => true,
  async decode(request) {
    const call = readRequest(request);
    return { operation: call.operation, input: { call, request } };
  },
  encode: (_operation, { response }) => response,
  encodeError({ code, message, status, details }, request, requestId) {
    if (details.response) return details.response;
    const [known, answer] =
      code === "ThrottlingException" ? ["ServerBusy", 503] : code === "InternalFailure" ? ["InternalError", 500] : [code, status];
    const json = request.endpoint === "table";
    const said = `${message}\nRequestId:${requestId}`;
    const challenge = `Bearer authorization_uri=https://login.microsoftonline.com/${TENANT}/oauth2/authorize resource_id=${AUDIENCE}`;
    return {
      status: answer as number,
      headers: {
        "content-type": json ? "application/json;odata=minimalmetadata" : "application/xml",
        "x-ms-error-code": known as string,
        ...(request.headers["x-ms-client-request-id"] && { "x-ms-client-request-id": request.headers["x-ms-client-request-id"] }),
        ...(answer === 401 && { "www-authenticate": challenge }),
        ...(request.headers.origin && { "access-control-allow-origin": request.headers.origin, "access-control-expose-headers": "*" }),
      },
      body: json
        ? JSON.stringify({ "odata.error": { code: known, message: { lang: "en-US", value: said } } })
        : `<?xml version="1.0" encoding="utf-8"?><Error><Code>${known}</Code><Message>${escaped(said)}</Message></Error>`,
    };
  },
};

/** Whether it is signed with the account's own key: by Shared Key, or a SAS of the account or a service. */
function usesAccountKey({ headers, url: { searchParams } }: HttpRequest): boolean {
  return /^SharedKey/i.test(headers.authorization ?? "") || (searchParams.has("sig") && !searchParams.has("skoid"));
}

function withoutSignature(target: string): string {
  const [path, query = ""] = target.split("?");
  const kept = query.split("&").filter((pair) => pair !== "" && !SAS_PARAMETERS.has(decodeURIComponent(pair.split("=")[0] as string)));
  return kept.length > 0 ? `${path}?${kept.join("&")}` : (path as string);
}

/** The container of a copy's source, which must be of the same account and not need a signature. @throws CloudError */
function containerOfSource(source: string, account: string): string {
  const url = URL.canParse(source) ? new URL(source) : undefined;
  const [, of, container] = url?.pathname.split("/") ?? [];
  if (!url || of !== account || !container || url.searchParams.has("sig")) {
    throw new CloudError(
      "CannotVerifyCopySource",
      "The embedded cloud copies blobs within one account, read by the identity that copies them.",
      403,
    );
  }
  return decodeURIComponent(container);
}

/** A request of SDKs as it came; or one made of what a service of this cloud asks for. */
function passing(operation: string, input: Properties): Passing {
  if (input.request) return input as Passing;
  const { account, container, queue, blob, message, body, contentType, timeToLive } = input;
  const store: Store = queue === undefined ? "blob" : "queue";
  const holder: string = queue ?? container;
  const made = (method: string, target: string, headers: Record<string, string>, content: Buffer): Passing => ({
    call: { operation, store, account, holder, ...(blob !== undefined && { blob }) },
    request: {
      method,
      target: `/${account}/${target}`,
      url: new URL(`http://127.0.0.1/${account}/${target}`),
      headers: { host: "127.0.0.1:10000", "x-ms-version": "2021-10-04", "x-ms-client-request-id": randomUUID(), ...headers },
      body: content,
      endpoint: store,
    },
  });
  const path = blob === undefined ? "" : `${container}/${String(blob).split("/").map(encodeURIComponent).join("/")}`;
  if (operation === "PutMessage") {
    const text = `<?xml version="1.0" encoding="utf-8"?><QueueMessage><MessageText>${escaped(message)}</MessageText></QueueMessage>`;
    return made("POST", `${queue}/messages?messagettl=${timeToLive ?? -1}`, { "content-type": "application/xml" }, Buffer.from(text));
  }
  if (operation === "PutBlob") {
    const type = { "x-ms-blob-type": "BlockBlob", "x-ms-blob-content-type": contentType ?? "application/octet-stream" };
    return made("PUT", path, type, Buffer.from(body));
  }
  if (operation === "GetQueueMetadata") return made("GET", `${queue}?comp=metadata`, {}, Buffer.alloc(0));
  if (operation === "GetBlob" || operation === "DeleteBlob")
    return made(operation === "GetBlob" ? "GET" : "DELETE", path, {}, Buffer.alloc(0));
  throw new CloudError("NotImplemented", `Within the cloud, storage is not asked for ${operation}.`, 501);
}

/** What diagnostic settings of the category StorageWrite send to a workspace, of queues. */
function logWrite(account: Resource, operation: string, uri: string, cloud: Cloud): void {
  cloud.publish({
    source: "Microsoft.Storage",
    type: "StorageWrite",
    resources: [`${account.id}/queueServices/default`],
    detail: { AccountName: account.outputs.name, OperationName: operation, Uri: uri, StatusText: "Success" },
  });
}

/** @throws CloudError with what Azurite answered, when that is an error */
function accepted(response: HttpResponse): HttpResponse {
  if (response.status >= 400) throw errorOf(response);
  return response;
}

function errorOf(response: HttpResponse): CloudError {
  const code = String(
    response.headers?.["x-ms-error-code"] ?? /"code":"([^"]+)"/.exec(String(response.body))?.[1] ?? `Status${response.status}`,
  );
  const message = /<Message>([^<]*)/.exec(String(response.body))?.[1] ?? String(response.body ?? "");
  return new CloudError(code, message.split("\n")[0] as string, response.status, { response });
}

function inTurn<T>(turns: Map<string, Promise<unknown>>, key: string, work: () => Promise<T>): Promise<T> {
  const turn = (turns.get(key) ?? Promise.resolve()).then(work, work);
  turns.set(key, turn);
  const done = () => {
    if (turns.get(key) === turn) turns.delete(key);
  };
  turn.then(done, done);
  return turn;
}

function nameOf(objectId: string, { resources }: Cloud): string {
  const standing = [DEPLOYER, DEVELOPER].find((one) => one.objectId === objectId);
  if (standing) return standing.name;
  return (
    resources.all(USER_ASSIGNED_IDENTITY).find(({ outputs }) => outputs.principalId === objectId)?.outputs.name ??
    "an identity that is gone"
  );
}

function corsXml(rules: readonly Properties[]): string {
  const list = (values: string[]) => escaped(values.join(","));
  const text = rules.map(
    (rule) =>
      `<CorsRule><AllowedOrigins>${list(rule.allowedOrigins)}</AllowedOrigins><AllowedMethods>${list(rule.allowedMethods)}</AllowedMethods><AllowedHeaders>${list(rule.allowedHeaders)}</AllowedHeaders><ExposedHeaders>${list(rule.exposedHeaders)}</ExposedHeaders><MaxAgeInSeconds>${rule.maxAgeInSeconds}</MaxAgeInSeconds></CorsRule>`,
  );
  return `<?xml version="1.0" encoding="utf-8"?><StorageServiceProperties><Cors>${text.join("")}</Cors></StorageServiceProperties>`;
}

const XML = new XMLParser({ parseTagValue: false });
const parsed = ({ body }: HttpResponse): Properties => XML.parse(String(body));
const items = (value: Properties | Properties[] | undefined): Properties[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

async function keptSecret(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const made = randomBytes(32);
  await writeFile(file, made, { mode: 0o600 });
  return made;
}
