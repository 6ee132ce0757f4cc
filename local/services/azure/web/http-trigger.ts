import type { HttpRequest, HttpResponse } from "../../../kernel/http.js";
import { parseRoute, type Route } from "./routes.js";
import type { Binding, FunctionMetadata, RpcCookie, RpcHttp } from "./worker.js";

export type AuthLevel = "anonymous" | "function" | "admin";

/** A function that answers HTTP requests. */
export interface HttpFunction {
  function: FunctionMetadata;
  /** Name of its trigger's binding. */
  binding: string;
  route: Route;
  /** Upper case; none allows all. */
  methods: readonly string[];
  authLevel: AuthLevel;
}

/** @throws Error for a route or a level that is not one */
export function httpFunction(metadata: FunctionMetadata, name: string, binding: Binding, prefix: string): HttpFunction {
  const {
    route = metadata.name,
    methods = [],
    authLevel = "function",
  } = binding as { route?: string; methods?: string[]; authLevel?: string };
  const level = authLevel.toLowerCase();
  if (level !== "anonymous" && level !== "function" && level !== "admin")
    throw new Error(`The function "${metadata.name}" has the authLevel "${authLevel}": it must be anonymous, function or admin.`);
  return {
    function: metadata,
    binding: name,
    route: parseRoute(prefix, route),
    methods: methods.map((method) => method.toUpperCase()),
    authLevel: level,
  };
}

/** Of several that match, the one with the most specific route. */
export function matching(
  functions: readonly HttpFunction[],
  { method, url }: HttpRequest,
): { found: HttpFunction; params: Record<string, string> } | undefined {
  const all = functions.flatMap((found) => {
    const params = found.route.match(url.pathname);
    return params && (found.methods.length === 0 || found.methods.includes(method.toUpperCase())) ? [{ found, params }] : [];
  });
  return all.sort((a, b) => (a.found.route.rank < b.found.route.rank ? -1 : 1))[0];
}

/** @param origin as callers see the app */
export function toRpc(request: HttpRequest, origin: string, params: Record<string, string>): RpcHttp {
  const host = request.headers.host;
  const url = new URL(request.target, host ? `http://${host}` : origin);
  return {
    method: request.method,
    url: url.href,
    headers: request.headers,
    query: Object.fromEntries(url.searchParams),
    params,
    body: request.body.length > 0 ? { bytes: request.body } : null,
  };
}

/** A function that returned nothing answers 204. */
export function fromRpc(response: RpcHttp | undefined): HttpResponse {
  if (!response) return { status: 204 };
  const { statusCode = "200", headers = {}, body, cookies = [] } = response;
  const kept = Object.entries(headers).filter(
    ([name]) => !["transfer-encoding", "connection", "content-length"].includes(name.toLowerCase()),
  );
  return {
    status: Number(statusCode),
    headers: { ...Object.fromEntries(kept), ...(cookies.length > 0 && { "set-cookie": cookies.map(serialized) }) },
    ...(body?.bytes ? { body: Buffer.from(body.bytes) } : body?.string !== undefined ? { body: body.string } : {}),
  };
}

function serialized({ name, value, domain, path, expires, maxAge, secure, httpOnly, sameSite }: RpcCookie): string {
  const until = expires?.value;
  const date =
    until === undefined ? undefined : typeof until === "object" && "seconds" in until ? new Date(until.seconds * 1000) : new Date(until);
  return [
    `${name}=${encodeURIComponent(value)}`,
    domain && `Domain=${domain.value}`,
    path && `Path=${path.value}`,
    date && `Expires=${date.toUTCString()}`,
    maxAge && `Max-Age=${maxAge.value}`,
    secure?.value && "Secure",
    httpOnly?.value && "HttpOnly",
    typeof sameSite === "string" && sameSite !== "" && `SameSite=${sameSite}`,
  ]
    .filter(Boolean)
    .join("; ");
}
