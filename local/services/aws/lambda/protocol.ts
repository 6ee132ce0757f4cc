import type { HttpRequest } from "../../../kernel/http.js";
import { CloudError, type Properties, type Protocol } from "../../../kernel/service.js";

const PATHS: [method: string, path: RegExp, operation: string][] = [
  ["POST", /^\/2015-03-31\/functions\/([^/]+)\/invocations\/?$/, "Invoke"],
  ["GET", /^\/2015-03-31\/functions\/([^/]+)\/configuration$/, "GetFunctionConfiguration"],
  ["GET", /^\/2015-03-31\/functions\/([^/]+)\/policy$/, "GetPolicy"],
  ["GET", /^\/2015-03-31\/functions\/([^/]+)$/, "GetFunction"],
];

/** Lambda's REST-JSON: names in the path, the payload of an invocation as the body. */
export const protocol: Protocol = {
  claims: ({ url }) => url.pathname.startsWith("/2015-03-31/functions"),

  async decode({ method, url, headers, body }: HttpRequest) {
    for (const [verb, path, operation] of PATHS) {
      const match = method === verb && path.exec(url.pathname);
      if (!match) continue;
      const qualifier = url.searchParams.get("Qualifier");
      const input: Properties = { FunctionName: decodeURIComponent(match[1] ?? ""), ...(qualifier ? { Qualifier: qualifier } : {}) };
      if (operation === "Invoke") {
        input.Payload = body;
        if (headers["x-amz-invocation-type"]) input.InvocationType = headers["x-amz-invocation-type"];
        if (headers["x-amz-log-type"]) input.LogType = headers["x-amz-log-type"];
      }
      return { operation, input };
    }
    throw new CloudError("UnknownOperationException", `${method} ${url.pathname} is not emulated.`, 404);
  },

  encode(operation, output, _, requestId) {
    const headers = { "content-type": "application/json", "x-amzn-requestid": requestId };
    if (operation !== "Invoke") return { status: 200, headers, body: JSON.stringify(output) };
    const { StatusCode, Payload, FunctionError, LogResult, ExecutedVersion } = output;
    const own = { "x-amz-function-error": FunctionError, "x-amz-log-result": LogResult, "x-amz-executed-version": ExecutedVersion };
    const present = Object.entries(own).filter(([, value]) => value !== undefined);
    return { status: StatusCode, headers: { ...headers, ...Object.fromEntries(present) }, body: Payload ?? "" };
  },

  encodeError({ code, message, status, details }, _, requestId) {
    return {
      status,
      headers: { "content-type": "application/json", "x-amzn-requestid": requestId, "x-amzn-errortype": code },
      body: JSON.stringify({ ...details, message, Message: message }),
    };
  },
};
