import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { DeadLetter } from "../ports.js";
import type { ImageRecord } from "../record.js";
import { compareSequencers } from "../record-lifecycle.js";
import { cleanUp } from "../stages/clean-up.js";
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
  summary: "Process an image again; of one whose original has gone, remove what is left",
  request: { params: ImageKey },
  responses: { 202: json("It has begun", Accepted), 404: refusal("NOT_FOUND"), 409: refusal("CONFLICT"), ...ALWAYS },
});

/** What failed, and how it is tried again. */
export function failureRoutes(app: OpenAPIHono<ApiEnv>, options: ApiOptions): void {
  const { uploads, variants, records, tags, deadLetters, workflow, clock, settings } = options;

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
    const caller = c.get("caller");
    // Of what has gone there may be nothing left but the letter, which does not say whose it was.
    if (image ? !maySee(caller, image) : caller.user !== undefined) throw unknownImage();
    const letters = await deadLetters.take(key);
    if (!image && letters.length === 0) throw unknownImage();
    const events = newestFirst(letters).map(({ event }) => event);
    if (object && record?.status === "processing" && letters.length === 0) {
      throw new ApiError("CONFLICT", `${key} is being processed, and nothing of it is parked: wait for its result.`, { key });
    }
    await unlessItFails(letters, () => (object ? workflow.redrive(object, events) : bury(key, record, events)));
    return c.json({ key, statusUrl: statusUrl(key) }, 202);
  });

  /** Does what the deletion of an original has not: it is gone, and what was made of it is to go, too. */
  async function bury(key: string, record: ImageRecord | undefined, events: readonly unknown[]): Promise<void> {
    const isAwaited = record?.status === "processing";
    const [latest] = events.flatMap((event) => workflow.deletionIn(event) ?? []).sort((a, b) => compareSequencers(b, a));
    if (isAwaited && latest === undefined) {
      throw new ApiError("CONFLICT", `${key} is not in the store: there is nothing to process. Upload it again, or delete it.`, { key });
    }
    // What is announced is still to come: then only the events' order tells what has gone.
    const gone = { key, at: clock.now().toISOString(), ...(isAwaited && latest !== undefined && { sequencer: latest }) };
    await cleanUp(gone, { uploads, variants, records, tags, settings, workflow });
  }

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

function newestFirst(letters: readonly DeadLetter[]): DeadLetter[] {
  return [...letters].sort((a, b) => (a.at < b.at ? 1 : -1));
}
