import type { HttpResponse } from "../../../../kernel/http.js";
import { type DurableBackend, DurableRefusal } from "./backend.js";
import { type Instance, isOver, type RuntimeStatus, wireEvent } from "./events.js";

/** How the addresses of the client API are made up. */
export interface ClientAddresses {
  /** Of the app, without a slash at the end: what is handed to others. */
  public: string;
  /** Where only the app itself reaches it; ends with a slash. */
  rpc: string;
  hub: string;
  connection: string;
  /** The extension's system key. */
  code: string;
}

const BOOKKEEPING = new Set(["OrchestratorStarted", "OrchestratorCompleted"]);

/** The HTTP API of Durable Functions, below `path`. @param path what follows `/runtime/webhooks/durabletask/`, not decoded */
export async function answer(
  backend: DurableBackend,
  addresses: ClientAddresses,
  { method, path, query, body }: { method: string; path: string; query: URLSearchParams; body: string },
): Promise<HttpResponse> {
  const [collection, id, operation, name] = path.split("/").filter(Boolean).map(decodeURIComponent);
  try {
    if (collection === "orchestrators" && id && method === "POST") {
      const started = await backend.start(id, operation, jsonOf(body));
      const urls = managementUrls(addresses, started);
      return json(202, urls, { location: urls.statusQueryGetUri as string, "retry-after": "10" });
    }
    if (collection !== "instances")
      return json(404, { message: `${method} ${path} is not part of the API of durable functions that is emulated.` });
    if (!id) return await many(backend, method, query);
    if (!operation && method === "GET") return await status(backend, addresses, id, query);
    if (!operation && method === "DELETE") return (await backend.purge(id)) ? json(200, { instancesDeleted: 1 }) : { status: 404 };
    if (method !== "POST") return json(405, { message: `${method} is not allowed here.` });
    if (operation === "raiseEvent" && name) await backend.raiseEvent(id, name, jsonOf(body));
    else if (operation === "terminate") await backend.terminate(id, query.get("reason") ?? "");
    else if (operation === "suspend") await backend.suspend(id);
    else if (operation === "resume") await backend.unsuspend(id);
    else return json(501, { message: `${operation} is not emulated.` });
    return { status: 202 };
  } catch (error) {
    if (error instanceof DurableRefusal) return json(error.status, { message: error.message });
    throw error;
  }
}

async function many(backend: DurableBackend, method: string, query: URLSearchParams): Promise<HttpResponse> {
  const [createdFrom, createdTo] = [query.get("createdTimeFrom"), query.get("createdTimeTo")];
  if (method === "DELETE" && !createdFrom) return json(400, { message: "Please provide value for 'createdTimeFrom' parameter." });
  const statuses = query.get("runtimeStatus")?.split(",") as RuntimeStatus[] | undefined;
  const found = await backend.list({
    ...(statuses && { status: statuses }),
    ...(createdFrom && { createdFrom }),
    ...(createdTo && { createdTo }),
  });
  if (method === "GET")
    return json(
      200,
      found.map((instance) => described(instance, query)),
    );
  if (method !== "DELETE") return json(405, { message: `${method} is not allowed here.` });
  let instancesDeleted = 0;
  for (const { id } of found) if (await backend.purge(id)) instancesDeleted++;
  return instancesDeleted > 0 ? json(200, { instancesDeleted }) : { status: 404 };
}

async function status(backend: DurableBackend, addresses: ClientAddresses, id: string, query: URLSearchParams): Promise<HttpResponse> {
  const instance = await backend.find(id);
  if (!instance) return json(404, { message: `No instance with ID '${id}' found.` });
  const shown = described(instance, query);
  if (isTrue(query, "showHistory")) {
    const events = (await backend.history(id)).filter(({ kind }) => !BOOKKEEPING.has(kind));
    Object.assign(shown, { historyEvents: events.map((event) => wireEvent(event, { named: true })) });
  }
  if (!isOver(instance.status))
    return json(202, shown, { location: managementUrls(addresses, id).statusQueryGetUri as string, "retry-after": "10" });
  return json(instance.status === "Failed" && isTrue(query, "returnInternalServerErrorOnFailure") ? 500 : 200, shown);
}

function described(
  { name, id, status, input, output, customStatus, createdAt, updatedAt }: Instance,
  query: URLSearchParams,
): Record<string, unknown> {
  return {
    name,
    instanceId: id,
    runtimeStatus: status,
    input: query.get("showInput")?.toLowerCase() === "false" ? null : JSON.parse(input),
    customStatus: customStatus === undefined ? null : JSON.parse(customStatus),
    output: output === undefined ? null : JSON.parse(output),
    createdTime: createdAt,
    lastUpdatedTime: updatedAt,
  };
}

/** What the binding of a durable client is given. */
export function clientBinding(addresses: ClientAddresses): Record<string, unknown> {
  const { hub, code, rpc } = addresses;
  const base = `${addresses.public}/runtime/webhooks/durabletask`;
  const start = `${base}/orchestrators/{functionName}[/{instanceId}]`;
  return {
    taskHubName: hub,
    creationUrls: {
      createNewInstancePostUri: `${start}?code=${code}`,
      createAndWaitOnNewInstancePostUri: `${start}?timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}&code=${code}`,
    },
    managementUrls: managementUrls(addresses, "INSTANCEID"),
    baseUrl: base,
    requiredQueryStringParameters: `code=${code}`,
    rpcBaseUrl: rpc,
  };
}

function managementUrls({ public: origin, hub, connection, code }: ClientAddresses, id: string): Record<string, string> {
  const instance = `${origin}/runtime/webhooks/durabletask/instances/${encodeURIComponent(id)}`;
  const query = `taskHub=${hub}&connection=${connection}&code=${code}`;
  return {
    id,
    statusQueryGetUri: `${instance}?${query}`,
    sendEventPostUri: `${instance}/raiseEvent/{eventName}?${query}`,
    terminatePostUri: `${instance}/terminate?reason={text}&${query}`,
    rewindPostUri: `${instance}/rewind?reason={text}&${query}`,
    purgeHistoryDeleteUri: `${instance}?${query}`,
    restartPostUri: `${instance}/restart?${query}`,
    suspendPostUri: `${instance}/suspend?reason={text}&${query}`,
    resumePostUri: `${instance}/resume?reason={text}&${query}`,
  };
}

const isTrue = (query: URLSearchParams, name: string) => query.get(name)?.toLowerCase() === "true";

/** @throws DurableRefusal 400 for what is not JSON */
function jsonOf(body: string): string {
  if (body.trim() === "") return "null";
  try {
    JSON.parse(body);
    return body;
  } catch (error) {
    throw new DurableRefusal(400, `The body is not JSON: ${(error as Error).message}`);
  }
}

const json = (status: number, value: unknown, headers: Record<string, string> = {}): HttpResponse => ({
  status,
  headers: { "content-type": "application/json; charset=utf-8", ...headers },
  body: JSON.stringify(value),
});
