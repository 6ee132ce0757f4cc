import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { DeadLetter } from "../ports.js";
import { openCursor, sealCursor } from "./cursor.js";
import type { ApiEnv, ApiOptions, Caller } from "./env.js";
import { ApiError } from "./errors.js";
import { imageKey, maySee, statusUrl, unknownImage } from "./key.js";
import { present } from "./present.js";
import { Accepted, ALWAYS, Failures, FailuresQuery, ImageKey, json, refusal } from "./schemas.js";

/** Dead letters that are shown at once: they are looked through, not paged. */
const MOST_LETTERS = 100;

const failuresRoute = createRoute({
  method: "get",
  path: "/failures",
  operationId: "listFailures",
  summary: "What could not be done, and which images were refused",
  request: { query: FailuresQuery },
  responses: {
    200: json("Dead letters, and one page of failed images", Failures),
    400: refusal("INVALID_QUERY", "INVALID_CURSOR"),
    ...ALWAYS,
  },
});

const redriveRoute = createRoute({
  method: "post",
  path: "/images/{key}{.+/redrive}",
  operationId: "redriveImage",
  summary: "Process an image again",
  request: { params: ImageKey },
  responses: { 202: json("It has begun", Accepted), 404: refusal("NOT_FOUND"), 409: refusal("CONFLICT"), ...ALWAYS },
});

/** What failed, and how it is tried again. */
export function failureRoutes(app: OpenAPIHono<ApiEnv>, options: ApiOptions): void {
  const { uploads, records, deadLetters, workflow } = options;

  app.openapi(failuresRoute, async (c) => {
    const { limit, cursor: sealed } = c.req.valid("query");
    const caller = c.get("caller");
    const filters = { failures: true, user: caller.user };
    const cursor = openCursor(filters, sealed);
    const [letters, images] = await Promise.all([
      deadLetters.list(MOST_LETTERS),
      records.list({ status: "failed", limit, ...present({ user: caller.user, cursor }) }),
    ]);
    const shown = await visible(letters, caller);
    const next = sealCursor(filters, images.cursor);
    return c.json(
      {
        deadLetters: shown.map(({ key, error, at }) => ({ key, error, at })),
        images: images.items.filter((record) => maySee(caller, record)),
        ...present({ cursor: next }),
      },
      200,
    );
  });

  app.openapi(redriveRoute, async (c) => {
    const key = imageKey(c, "redrive");
    if (key === undefined) throw unknownImage();
    const [record, object] = await Promise.all([records.get(key), uploads.head(key)]);
    const image = record ?? object;
    if (!image || !maySee(c.get("caller"), image)) throw unknownImage();
    if (!object) throw new ApiError("CONFLICT", `${key} is not in the store: there is nothing to process. Upload it again.`, { key });
    const letters = await deadLetters.take(key);
    if (record?.status === "processing" && letters.length === 0) {
      throw new ApiError("CONFLICT", `${key} is being processed, and nothing of it is parked: wait for its result.`, { key });
    }
    await unlessItFails(letters, () => workflow.redrive(object, newest(letters)?.event));
    return c.json({ key, statusUrl: statusUrl(key) }, 202);
  });

  /** Those confined to a user see only what became of that user's images. */
  async function visible(letters: readonly DeadLetter[], caller: Caller): Promise<readonly DeadLetter[]> {
    if (caller.user === undefined || letters.length === 0) return letters;
    const keys = [...new Set(letters.map(({ key }) => key))];
    const own = new Set((await records.getMany(keys)).filter((record) => maySee(caller, record)).map(({ key }) => key));
    return letters.filter(({ key }) => own.has(key));
  }

  /** What was taken is parked again when it could not be begun; and what cannot even be parked is at least in the log. */
  async function unlessItFails(letters: readonly DeadLetter[], begin: () => Promise<void>): Promise<void> {
    try {
      await begin();
    } catch (error) {
      for (const letter of letters) {
        await deadLetters.park(letter).catch((failed: unknown) => {
          console.error(JSON.stringify({ level: "error", message: "dead letter lost", letter, error: String(failed) }));
        });
      }
      throw error;
    }
  }
}

function newest(letters: readonly DeadLetter[]): DeadLetter | undefined {
  return [...letters].sort((a, b) => (a.at < b.at ? 1 : -1))[0];
}
