import type { HttpRequest, HttpResponse } from "../../../kernel/http.js";
import { commonLogTime } from "./event.js";

/** One request and what became of it. */
export interface Exchange {
  apiId: string;
  accountId: string;
  requestId: string;
  time: Date;
  request: HttpRequest;
  routeKey?: string;
  /** Why API Gateway itself answered. */
  error?: string;
}

/** A line of the access log: the declared format with `$context` variables filled in, `-` for what is not known. */
export function accessLine(
  format: string,
  {
    apiId,
    accountId,
    requestId,
    time,
    request,
    routeKey,
    error,
    response,
    latency,
  }: Exchange & { response: HttpResponse; latency: number },
): string {
  const host = request.headers.host ?? "";
  const variables: Record<string, string | number | undefined> = {
    accountId,
    apiId,
    domainName: host,
    domainPrefix: host.split(".")[0],
    "error.message": error && JSON.parse(String(response.body)).message,
    "error.messageString": error && JSON.stringify(JSON.parse(String(response.body)).message),
    extendedRequestId: requestId,
    httpMethod: request.method,
    "identity.sourceIp": request.peer,
    "identity.userAgent": request.headers["user-agent"],
    "integration.error": error,
    integrationErrorMessage: error,
    "integration.latency": latency,
    integrationLatency: latency,
    path: request.target.split("?")[0],
    protocol: "HTTP/1.1",
    requestId,
    requestTime: commonLogTime(time),
    requestTimeEpoch: time.getTime(),
    responseLatency: latency,
    responseLength: Buffer.byteLength(response.body ?? ""),
    routeKey,
    stage: "$default",
    status: response.status,
  };
  return format.replace(/\$context\.([\w.]+\w)/g, (_, name: string) => String(variables[name] ?? "-"));
}
