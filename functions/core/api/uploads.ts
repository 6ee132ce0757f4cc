import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { contentType, identify } from "../image/identify.js";
import { InvalidName, uploadKey } from "../keys.js";
import { ObjectExists } from "../ports.js";
import type { ApiEnv, ApiOptions, Caller } from "./env.js";
import { ApiError } from "./errors.js";
import { statusUrl } from "./key.js";
import { present } from "./present.js";
import { ACCEPTED, Accepted, ALLOWED, ALWAYS, json, refusal, Ticket, TicketRequest, UploadForm } from "./schemas.js";

/** Bytes of a JSON body; a ticket's request is far below. */
const JSON_LIMIT = 64 * 1024;

/** What both ways of uploading refuse. */
const REFUSALS = {
  ...ALWAYS,
  403: refusal("FORBIDDEN"),
  409: refusal("CONFLICT"),
  413: refusal("TOO_LARGE", "SIZE_LIMIT"),
  415: refusal("UNSUPPORTED_MEDIA_TYPE"),
};

const uploadRoute = createRoute({
  method: "post",
  path: "/upload",
  operationId: "upload",
  summary: "Upload an image through the API",
  description: "For files that fit into one request of this host; `POST /uploads` is for all.",
  request: { body: { required: true, content: { "multipart/form-data": { schema: UploadForm } } } },
  responses: {
    202: json("It is stored and will be processed", Accepted),
    400: refusal("NO_FILE", "SEVERAL_FILES", "EMPTY", "INVALID_NAME", "INVALID_BODY", "MALFORMED_BODY"),
    ...REFUSALS,
    503: refusal("BUSY"),
  },
});

const ticketRoute = createRoute({
  method: "post",
  path: "/uploads",
  operationId: "createTicket",
  summary: "Get a ticket to upload an image straight to the store",
  description: "With `fields`, send multipart: the fields first, then the part `file`. Otherwise send the bytes with `headers`.",
  request: { body: { required: true, content: { "application/json": { schema: TicketRequest } } } },
  responses: {
    201: json("The ticket, for this key, type and size only", Ticket),
    400: refusal("EMPTY", "INVALID_NAME", "INVALID_BODY", "MALFORMED_BODY"),
    ...REFUSALS,
  },
});

/** The two ways in: through the API, or by a ticket straight to the store. */
export function uploadRoutes(app: OpenAPIHono<ApiEnv>, options: ApiOptions): void {
  const { uploads, records, settings } = options;
  const { limits, linkLifetime } = settings;

  app.use("/upload", limitBody(options.bodyLimit, { use: "POST /uploads" }), withinBudget(options));
  app.openapi(uploadRoute, async (c) => {
    const { file, overwrite: asked, user: claimed } = c.req.valid("form");
    const [user, overwrite] = [uploader(c.get("caller"), claimed), asked === "true"];
    const key = keyOf({ filename: file.name, user, prefix: options.prefix });
    refuseSize(file.size, limits.bytes);
    const bytes = new Uint8Array(await file.arrayBuffer());
    const identity = identify(bytes);
    if (!("format" in identity)) {
      const what = "codec" in identity ? `a ${identity.codec} image` : identity.other;
      throw new ApiError("UNSUPPORTED_MEDIA_TYPE", `The content is ${what}, whatever its name says: send one of ${ACCEPTED.join(", ")}.`, {
        accepted: ACCEPTED,
      });
    }
    await announce(key, user, overwrite);
    await unlessItFails(key, async () => {
      await uploads.write(key, bytes, { contentType: contentType(identity.format), overwrite, ...present({ user }) });
    });
    return c.json({ key, statusUrl: statusUrl(key) }, 202);
  });

  app.use("/uploads", limitBody(JSON_LIMIT));
  app.openapi(ticketRoute, async (c) => {
    const { filename, size, overwrite, user: claimed, ...asked } = c.req.valid("json");
    const user = uploader(c.get("caller"), claimed);
    const key = keyOf({ filename, user, prefix: options.prefix });
    refuseSize(size, limits.bytes);
    const type = ACCEPTED.find((accepted) => accepted === asked.contentType.toLowerCase());
    if (!type) throw ApiError.value("UNSUPPORTED_MEDIA_TYPE", "contentType", asked.contentType, ALLOWED.contentType as string);
    if (!overwrite && (await uploads.head(key))) throw taken(key);
    await announce(key, user, overwrite);
    const ticket = await unlessItFails(key, () =>
      uploads.ticket({ key, contentType: type, size, overwrite, lifetime: linkLifetime, ...present({ user }) }),
    );
    return c.json({ key, statusUrl: statusUrl(key), ...ticket }, 201);
  });

  /** A record is there before the upload's event can be. */
  async function announce(key: string, user: string | undefined, overwrite: boolean): Promise<void> {
    const at = options.clock.now().toISOString();
    const free = await records.announce({ key, at, overwrite, lifetime: linkLifetime, ...present({ user }) });
    if (!free) throw overwrite ? new ApiError("CONFLICT", `${key} is another user's image: use another name.`, { key }) : taken(key);
  }

  /** An announcement whose upload came to nothing is taken back. */
  async function unlessItFails<T>(key: string, upload: () => Promise<T>): Promise<T> {
    try {
      return await upload();
    } catch (error) {
      await records.withdraw(key);
      throw error instanceof ObjectExists ? taken(key) : error;
    }
  }
}

/** Whose the image will be: whoever a token says, else whoever the request says. */
function uploader(caller: Caller, claimed: string | undefined): string | undefined {
  if (caller.user === undefined || claimed === undefined || claimed === caller.user) return caller.user ?? claimed;
  throw new ApiError("FORBIDDEN", "user is not the token's subject: leave it out.", { parameter: "user", value: claimed });
}

function keyOf({ user, ...name }: { filename: string; user: string | undefined; prefix: string }): string {
  try {
    return uploadKey({ ...name, ...present({ user }) });
  } catch (error) {
    if (error instanceof InvalidName) throw new ApiError("INVALID_NAME", error.message);
    throw error;
  }
}

function refuseSize(size: number, limit: number): void {
  if (size === 0) throw new ApiError("EMPTY", "The file has no bytes.");
  if (size > limit) throw new ApiError("SIZE_LIMIT", `The file has ${size} bytes: this pipeline takes at most ${limit}.`, { size, limit });
}

function taken(key: string): ApiError {
  return new ApiError("CONFLICT", `${key} exists already: use another name, or set overwrite to true.`, { key });
}

/** Bodies are held in memory, of which there is so much: what would not fit is refused before it is read. */
function withinBudget({ uploadBudget = Number.POSITIVE_INFINITY, bodyLimit }: ApiOptions): MiddlewareHandler {
  let taken = 0;
  return async (c, next) => {
    // Whoever does not say how much comes may send as much as is allowed.
    const size = Number(c.req.header("Content-Length") ?? bodyLimit);
    if (taken + size > uploadBudget)
      throw new ApiError("BUSY", "Too much is being uploaded just now: come again in a moment, or ask for a ticket with POST /uploads.", {
        use: "POST /uploads",
      });
    taken += size;
    try {
      await next();
    } finally {
      taken -= size;
    }
  };
}

function limitBody(limit: number, instead: { use?: string } = {}) {
  return bodyLimit({
    maxSize: limit,
    onError: () => {
      const advice = instead.use ? `ask for a ticket with ${instead.use}, which takes larger files` : "send less";
      throw new ApiError("TOO_LARGE", `The body is larger than the ${limit} bytes that can be taken this way: ${advice}.`, {
        limit,
        ...instead,
      });
    },
  });
}
