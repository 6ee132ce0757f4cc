import type { Context } from "hono";
import type { z } from "zod";
import type { ApiEnv } from "./env.js";
import { ApiError } from "./errors.js";
import { ALLOWED } from "./schemas.js";

type Validated = { target: string; data?: unknown } & ({ success: true } | { success: false; error: z.core.$ZodError });

/** Refuses a request whose query or body its schema does not take, naming the first thing that is wrong. */
export function refuseInvalid(result: Validated, _c: Context<ApiEnv>): void {
  if (result.success) return;
  throw refusalOf(result.error.issues[0] as z.core.$ZodIssue, result);
}

function refusalOf(issue: z.core.$ZodIssue, { target, data }: Pick<Validated, "target" | "data">): ApiError {
  const code = target === "query" ? "INVALID_QUERY" : "INVALID_BODY";
  const parameter = issue.code === "unrecognized_keys" ? (issue.keys[0] as string) : String(issue.path[0] ?? "");
  const members = typeof data === "object" && data !== null ? (data as Record<string, unknown>) : undefined;
  if (!members || parameter === "") return new ApiError(code, "The body must be a JSON object.");
  const value = members[parameter];
  if (issue.code === "unrecognized_keys") {
    const known = target === "query" ? "a parameter" : "a member";
    return new ApiError(code, `${parameter} is not ${known} of this route: see GET /openapi.json.`, { parameter });
  }
  if (parameter === "file") {
    return Array.isArray(value)
      ? new ApiError("SEVERAL_FILES", "Send one file at a time, in the part file.", { parameter })
      : new ApiError("NO_FILE", 'Send the image as a file in the part file: curl -F "file=@photo.jpg".', { parameter });
  }
  return ApiError.value(code, parameter, value, ALLOWED[parameter] ?? "what its schema says");
}
