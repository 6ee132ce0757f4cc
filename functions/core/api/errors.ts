import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { InvalidCursor } from "../ports.js";
import type { ApiEnv } from "./env.js";

/** Why a request was refused: a stable code per reason, with its status and what it means. */
export const API_ERRORS = {
  MALFORMED_BODY: [400, "The body is not what its content type says."],
  INVALID_BODY: [400, "A member of the body is missing, unknown or wrong; `parameter`, `value` and `allowed` say which and why."],
  INVALID_QUERY: [400, "A query parameter is unknown or wrong; `parameter`, `value` and `allowed` say which and why."],
  INVALID_CURSOR: [400, "The cursor was not given out for this query."],
  INVALID_NAME: [400, "The file or user name cannot be part of a key."],
  NO_FILE: [400, "The form has no part `file` that is a file."],
  SEVERAL_FILES: [400, "The form has more than one `file`."],
  EMPTY: [400, "The file has no bytes."],
  UNAUTHORIZED: [401, "The key or token is missing or wrong."],
  FORBIDDEN: [403, "The token is another user's."],
  NOT_FOUND: [404, "There is no such image, or no such route."],
  METHOD_NOT_ALLOWED: [405, "The route has other methods; the header `Allow` lists them."],
  CONFLICT: [409, "What is there is in the way."],
  TOO_LARGE: [413, "The body is larger than this host carries; `limit` is in bytes."],
  SIZE_LIMIT: [413, "The file is larger than the pipeline accepts; `limit` is in bytes."],
  UNSUPPORTED_MEDIA_TYPE: [415, "The content is of a type that is never accepted."],
  INTERNAL: [500, "The fault is ours; `requestId` finds it in the logs."],
  BUSY: [503, "Too much is being uploaded just now: come again after as many seconds as the header `Retry-After` says."],
} as const satisfies Record<string, readonly [ContentfulStatusCode, string]>;

/** Seconds. */
const RETRY_AFTER = 2;

/** A refusal's stable code. */
export type ApiErrorCode = keyof typeof API_ERRORS;

/** What every refused request is answered with. */
export const ErrorBody = z.looseObject({
  message: z.string().describe("One or two sentences for a person"),
  code: z.enum(Object.keys(API_ERRORS) as [ApiErrorCode, ...ApiErrorCode[]]),
});

/** Thrown by a route that refuses its request. `details` join `message` and `code` in the body. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly code: ApiErrorCode,
    message: string,
    readonly details: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }

  get status() {
    return API_ERRORS[this.code][0];
  }

  /** A refusal of one value: what it is, and what it may be. */
  static value(code: ApiErrorCode, parameter: string, value: unknown, allowed: string): ApiError {
    const found = value === undefined ? "is missing" : `is ${JSON.stringify(value)}`;
    return new ApiError(code, `${parameter} ${found}: it must be ${allowed}.`, { parameter, value, allowed });
  }
}

/** Answers what a route threw. What nobody foresaw is logged as one line of JSON, and told to nobody. */
export function respondToError(error: Error, c: Context<ApiEnv>): Response {
  const refusal = refusalOf(error, c);
  if (refusal) return respond(c, refusal);
  const requestId = c.get("requestId");
  const { name, message, stack } = error;
  console.error(
    JSON.stringify({
      level: "error",
      message: "request failed",
      requestId,
      method: c.req.method,
      path: c.req.path,
      error: { name, message, stack },
    }),
  );
  return respond(
    c,
    new ApiError("INTERNAL", "Something failed that is not your fault. Try again; if it stays, report the request id.", { requestId }),
  );
}

/** A refusal as its response. */
export function respond(c: Context<ApiEnv>, { status, message, code, details }: ApiError): Response {
  if (status === 401) c.header("WWW-Authenticate", "Bearer");
  if (status === 503) c.header("Retry-After", String(RETRY_AFTER));
  return c.json({ message, code, ...details }, status);
}

function refusalOf(error: Error, c: Context<ApiEnv>): ApiError | undefined {
  if (error instanceof ApiError) return error;
  if (error instanceof InvalidCursor) return invalidCursor(c.req.query("cursor"));
  if (!(error instanceof HTTPException)) return undefined;
  if (error.status === 400) return new ApiError("MALFORMED_BODY", error.message);
  if (error.status === 415) {
    const expected = c.req.path === "/upload" ? "multipart/form-data with the file in the part `file`" : "application/json";
    return new ApiError("UNSUPPORTED_MEDIA_TYPE", `The body is ${c.req.header("Content-Type") ?? "of no type"}: send ${expected}.`);
  }
  return undefined;
}

/** A cursor that was made up, or belongs to another query. */
export function invalidCursor(value: string | undefined): ApiError {
  return ApiError.value("INVALID_CURSOR", "cursor", value, "the cursor of the previous page, with the same filters");
}
