import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { z } from "zod";
import { fileName } from "../keys.js";
import type { Page } from "../ports.js";
import { ImageRecord } from "../record.js";
import { cleanUp } from "../stages/clean-up.js";
import { openCursor, sealCursor } from "./cursor.js";
import type { ApiEnv, ApiOptions } from "./env.js";
import { ApiError } from "./errors.js";
import { imageKey, maySee, unknownImage } from "./key.js";
import { present } from "./present.js";
import { ALWAYS, ImageDetails, ImageKey, Images, ImagesQuery, json, refusal, UNKNOWN_IMAGE, UnknownImage } from "./schemas.js";

/** Queries of the tag index that one page may cost; a page that is not full by then says where to go on. */
const MOST_ROUNDS = 25;

const statusRoute = createRoute({
  method: "get",
  path: "/images/{key}{.+/status}",
  operationId: "getStatus",
  summary: "What is known of an image",
  request: { params: ImageKey },
  responses: { 200: json("Its record", ImageRecord), 404: json("Nobody knows it", UnknownImage), ...ALWAYS },
});

const imageRoute = createRoute({
  method: "get",
  path: "/images/{key}{.+}",
  operationId: "getImage",
  summary: "An image's record, with time-limited links to its pictures",
  request: { params: ImageKey },
  responses: { 200: json("Its record and links", ImageDetails), 404: refusal("NOT_FOUND"), ...ALWAYS },
});

const listRoute = createRoute({
  method: "get",
  path: "/images",
  operationId: "listImages",
  summary: "Images, newest first",
  request: { query: ImagesQuery },
  responses: { 200: json("One page", Images), 400: refusal("INVALID_QUERY", "INVALID_CURSOR"), 403: refusal("FORBIDDEN"), ...ALWAYS },
});

const deleteRoute = createRoute({
  method: "delete",
  path: "/images/{key}{.+}",
  operationId: "deleteImage",
  summary: "Delete an image: original, variants, record and tags",
  request: { params: ImageKey },
  responses: { 204: { description: "It is gone" }, 404: refusal("NOT_FOUND"), ...ALWAYS },
});

/** What is known of images, and their end. */
export function imageRoutes(app: OpenAPIHono<ApiEnv>, options: ApiOptions): void {
  const { uploads, variants, records, tags, workflow, clock, settings } = options;

  app.openapi(listRoute, async (c) => {
    const { limit, cursor: sealed, ...query } = c.req.valid("query");
    const caller = c.get("caller");
    if (caller.user !== undefined && query.user !== undefined && query.user !== caller.user) {
      throw new ApiError("FORBIDDEN", "user is not the token's subject: leave it out.", { parameter: "user", value: query.user });
    }
    if (query.from && query.to && query.from >= query.to)
      throw ApiError.value("INVALID_QUERY", "to", query.to, `after from, which is ${query.from}`);
    const filters = { ...query, user: caller.user ?? query.user };
    const cursor = openCursor(filters, sealed);
    const { status, from, to } = filters;
    const page = await (query.tag === undefined
      ? records.list({ limit, ...present({ user: filters.user, status, from, to, cursor }) })
      : listTagged(options, { ...filters, tag: query.tag }, limit, cursor));
    const next = sealCursor(filters, page.cursor);
    return c.json({ items: page.items.filter((record) => maySee(caller, record)), ...(next === undefined ? {} : { cursor: next }) }, 200);
  });

  app.openapi(statusRoute, async (c) => {
    const record = await known(c, "status");
    return record ? c.json(record, 200) : c.json(UNKNOWN_IMAGE, 404);
  });

  app.openapi(imageRoute, async (c) => {
    const record = await known(c);
    if (!record) throw unknownImage();
    const lifetime = settings.linkLifetime;
    const [original, ...links] = await Promise.all([
      uploads.link(record.key, { lifetime, download: fileName(record.key) }),
      ...(record.variants ?? []).map(async ({ name, key }) => [name, await variants.link(key, { lifetime })] as const),
    ]);
    return c.json({ ...record, urls: { original, variants: Object.fromEntries(links) } }, 200);
  });

  app.openapi(deleteRoute, async (c) => {
    const key = imageKey(c);
    // A file that no event has told of yet can be deleted, too.
    const image = key === undefined ? undefined : ((await records.get(key)) ?? (await uploads.head(key)));
    if (key === undefined || !image || !maySee(c.get("caller"), image)) throw unknownImage();
    await uploads.delete([key]);
    await cleanUp({ key, at: clock.now().toISOString() }, { uploads, variants, records, tags, workflow });
    return c.body(null, 204);
  });

  /** The record that the path names, if the caller may know of it. */
  async function known(c: Context<ApiEnv>, action?: "status"): Promise<ImageRecord | undefined> {
    const key = imageKey(c, action);
    const record = key === undefined ? undefined : await records.get(key);
    return record && maySee(c.get("caller"), record) ? record : undefined;
  }
}

type Filters = Omit<z.infer<typeof ImagesQuery>, "limit" | "cursor"> & { tag: string };

/** The index knows tag, user and time; what else is asked of an image its record says. Goes on until the page is full. */
async function listTagged(
  { records, tags }: ApiOptions,
  filters: Filters,
  limit: number,
  start: string | undefined,
): Promise<Page<ImageRecord>> {
  const { tag, user, status, from, to } = filters;
  const items: ImageRecord[] = [];
  let cursor = start;
  for (let round = 0; round < MOST_ROUNDS && items.length < limit; round++) {
    const found = await tags.find({ tag, limit: limit - items.length, ...present({ user, from, to, cursor }) });
    const tagged = await records.getMany(found.items);
    items.push(...tagged.filter((record) => matches(record, { user, status })));
    cursor = found.cursor;
    if (cursor === undefined) break;
  }
  return { items, ...(cursor === undefined ? {} : { cursor }) };
}

function matches(record: ImageRecord, { user, status }: Pick<Filters, "user" | "status">): boolean {
  return (user === undefined || record.user === user) && (status === undefined || record.status === status);
}
