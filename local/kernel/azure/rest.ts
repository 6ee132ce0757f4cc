import type { HttpRequest, HttpResponse } from "../http.js";
import type { Properties, Protocol } from "../service.js";

/** One operation of a REST API. Named groups of `path` become members of the input. */
export interface Route {
  operation: string;
  method: string;
  path: RegExp;
}

/** HTTPS endpoint of the APIs that need none of their own: each lies under a path. */
export const SHARED_ENDPOINT = "azure";

/**
 * The wire format of Azure's smaller data planes: JSON, and errors as `{error: {code, message}}`. Inputs have the path's groups, `query`,
 * `headers` and the `body` as bytes; an output with `response` is that HTTP response, any other is JSON.
 */
export function restProtocol(routes: readonly Route[], challenge?: string): Protocol {
  const find = ({ method, url }: HttpRequest) => routes.find((route) => route.method === method && route.path.test(url.pathname));
  return {
    claims: (request) => find(request) !== undefined,
    async decode(request) {
      const route = find(request) as Route;
      const groups = Object.entries(route.path.exec(request.url.pathname)?.groups ?? {});
      const names = Object.fromEntries(groups.map(([name, value]) => [name, value && decodeURIComponent(value)]));
      return {
        operation: route.operation,
        input: { ...names, query: Object.fromEntries(request.url.searchParams), headers: request.headers, body: request.body },
      };
    },
    encode: (_operation, output) => (output.response as HttpResponse | undefined) ?? json(200, output),
    encodeError({ code, message, status, details }) {
      const throttled = code === "ThrottlingException";
      const error: Properties = {
        code: throttled ? "TooManyRequests" : code,
        message,
        ...(details.inner && { innererror: details.inner }),
      };
      const answer = json(throttled ? 429 : status, { error });
      return status === 401 && challenge !== undefined
        ? { ...answer, headers: { ...answer.headers, "www-authenticate": challenge } }
        : answer;
    },
  };
}

export const json = (status: number, body: unknown): HttpResponse => ({
  status,
  headers: { "content-type": "application/json; charset=utf-8" },
  body: JSON.stringify(body),
});
