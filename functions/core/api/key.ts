import type { Context } from "hono";
import type { ImageRecord } from "../record.js";
import type { ApiEnv, Caller } from "./env.js";
import { ApiError } from "./errors.js";
import { UNKNOWN_IMAGE } from "./schemas.js";

/** Longest object name of any store, in characters; of one that takes fewer, longer ones are not there. */
const LONGEST_KEY = 1024;

/**
 * The image's key, from a path `/images/{key}` or, with an `action`, `/images/{key}/{action}`: decoded exactly once, strictly, so that no two
 * keys meet. `undefined` for what cannot be a key.
 */
export function imageKey(c: Context<ApiEnv>, action?: "status" | "redrive"): string | undefined {
  const segments = new URL(c.req.url).pathname.split("/").slice(2, action ? -1 : undefined);
  try {
    const key = segments.map(decodeURIComponent).join("/");
    return key && key.length <= LONGEST_KEY ? key : undefined;
  } catch {
    return undefined;
  }
}

/** Where an image's status is, relative to the API. */
export function statusUrl(key: string): string {
  return `/images/${key.split("/").map(encodeURIComponent).join("/")}/status`;
}

/** May the caller know of this image? Those confined to a user see only that user's. */
export function maySee(caller: Caller, image: Pick<ImageRecord, "user">): boolean {
  return caller.user === undefined || caller.user === image.user;
}

/** The same for the unknown and for what is another user's. */
export function unknownImage(): ApiError {
  return new ApiError("NOT_FOUND", UNKNOWN_IMAGE.message);
}
