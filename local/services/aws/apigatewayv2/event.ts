import type { HttpRequest, HttpResponse } from "../../../kernel/http.js";
import type { Properties } from "../../../kernel/service.js";
import type { Match } from "./routes.js";

/** What an event says of the API that took the request. */
export interface Around {
  accountId: string;
  apiId: string;
  stage: string;
  requestId: string;
  time: Date;
}

/** Bodies of these types are text; all others come as base64. */
const TEXT = /^(text\/.*|application\/(.*\+)?(json|xml)|application\/javascript)$/i;
const HOP_BY_HOP = new Set(["connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection", "te", "trailer", "expect"]);

/** The event of payload format 2.0. The path is decoded in it, the query string is not. */
export function eventOf({ method, target, headers, body, peer }: HttpRequest, { route, parameters }: Match, around: Around): Properties {
  const { accountId, apiId, stage, requestId, time } = around;
  const [path = "/", rawQueryString = ""] = target.split(/\?(.*)/s);
  const rawPath = decodeURIComponent(path);
  const { cookie, ...others } = headers;
  const host = headers.host ?? "";
  const forwarded = [headers["x-forwarded-for"], peer].filter(Boolean).join(", ");
  const text = TEXT.test(headers["content-type"]?.split(";")[0]?.trim() ?? "") && !headers["content-encoding"];
  const query: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(rawQueryString)) query[name] = name in query ? `${query[name]},${value}` : value;
  return {
    version: "2.0",
    routeKey: route.key,
    rawPath,
    rawQueryString,
    ...(cookie ? { cookies: cookie.split(/; ?/) } : {}),
    headers: {
      ...Object.fromEntries(Object.entries(others).filter(([name]) => !HOP_BY_HOP.has(name))),
      "content-length": String(body.length),
      "x-forwarded-for": forwarded,
      "x-forwarded-port": host.split(":")[1] ?? "80",
      "x-forwarded-proto": "http",
    },
    ...(rawQueryString ? { queryStringParameters: query } : {}),
    requestContext: {
      accountId,
      apiId,
      domainName: host,
      domainPrefix: host.split(".")[0],
      http: { method, path: rawPath, protocol: "HTTP/1.1", sourceIp: peer ?? "127.0.0.1", userAgent: headers["user-agent"] ?? "" },
      requestId,
      routeKey: route.key,
      stage,
      time: commonLogTime(time),
      timeEpoch: time.getTime(),
    },
    ...(Object.keys(parameters).length > 0 ? { pathParameters: parameters } : {}),
    ...(body.length > 0 ? { body: text ? body.toString() : body.toString("base64") } : {}),
    isBase64Encoded: body.length > 0 && !text,
  };
}

/** `"12/Mar/2026:19:03:58 +0000"` */
export function commonLogTime(time: Date): string {
  const [, day, month, year, clock] = /, (\d\d) (\w{3}) (\d{4}) ([\d:]{8})/.exec(time.toUTCString()) ?? [];
  return `${day}/${month}/${year}:${clock} +0000`;
}

/** What the integration's result means as a response; `undefined` when it means none. Without a status code the result is the body. */
export function responseOf(result: unknown): HttpResponse | undefined {
  if (typeof result !== "object" || result === null || !("statusCode" in result)) {
    const body = typeof result === "string" ? result : JSON.stringify(result ?? null);
    return { status: 200, headers: { "content-type": "application/json" }, body };
  }
  const { statusCode, headers = {}, cookies, body, isBase64Encoded } = result as Properties;
  const status = Number(statusCode);
  if (!Number.isInteger(status) || status < 100 || status > 599) return undefined;
  if (body !== undefined && body !== null && typeof body !== "string") return undefined;
  if (cookies !== undefined && !(Array.isArray(cookies) && cookies.every((cookie) => typeof cookie === "string"))) return undefined;
  const lower: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers ?? {})) {
    if (!["string", "number", "boolean"].includes(typeof value)) return undefined;
    if (!HOP_BY_HOP.has(name.toLowerCase()) && name.toLowerCase() !== "content-length") lower[name.toLowerCase()] = String(value);
  }
  if (cookies) lower["set-cookie"] = cookies;
  const bytes = Buffer.from(body ?? "", isBase64Encoded ? "base64" : "utf8");
  if (bytes.length > 0) lower["content-type"] ??= "text/plain;charset=UTF-8";
  return { status, headers: lower, body: bytes };
}
