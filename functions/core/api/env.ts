import type { RequestIdVariables } from "hono/request-id";
import type { Clock, DeadLetters, ObjectStore, RecordStore, TagIndex, Workflow } from "../ports.js";
import type { Settings } from "../settings.js";
import type { PageAssets } from "./page.js";

/** What the API is made of; each host brings its own. */
export interface ApiOptions {
  uploads: ObjectStore;
  variants: ObjectStore;
  records: RecordStore;
  tags: TagIndex;
  deadLetters: DeadLetters;
  workflow: Workflow;
  /** The key of `auth: "key"`; asked on every request, so a host caches it. */
  apiKey(): Promise<string>;
  clock: Clock;
  settings: Settings;
  page: PageAssets;
  /** The product's version, for `GET /health` and the OpenAPI document. */
  version: string;
  /** What every upload's key begins with: `uploads/`. */
  prefix: string;
  /** Bytes of a `POST /upload` body that the host can carry. */
  bodyLimit: number;
  /**
   * Bytes of such bodies that are taken at a time; whoever comes beside them is asked to come again.
   * @default all that come
   */
  uploadBudget?: number;
}

/** Who is asking. */
export interface Caller {
  /** The user that the caller is confined to; absent for those who may see everything. */
  user?: string;
}

/** What a request carries through the middleware. */
export interface ApiEnv {
  Variables: RequestIdVariables & { caller: Caller };
}
