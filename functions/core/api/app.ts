import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { methodNotAllowed } from "hono/method-not-allowed";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import { authenticate } from "./auth.js";
import type { ApiEnv, ApiOptions } from "./env.js";
import { ApiError, respond, respondToError } from "./errors.js";
import { failureRoutes } from "./failures.js";
import { imageRoutes } from "./images.js";
import { describeApi } from "./openapi.js";
import { json } from "./schemas.js";
import { servePage } from "./serve-page.js";
import { uploadRoutes } from "./uploads.js";
import { refuseInvalid } from "./validation.js";

export type { ApiOptions } from "./env.js";

/** What needs the key; the page, the health and the document do not. */
const GUARDED = ["/upload", "/uploads", "/images/*", "/failures"];

const healthRoute = createRoute({
  method: "get",
  path: "/health",
  operationId: "getHealth",
  summary: "Is it up, and which version?",
  security: [],
  responses: { 200: json("It is", z.object({ status: z.literal("ok"), version: z.string() })) },
});

/** The HTTP API, to be mounted unchanged on any host. */
export function createApi(options: ApiOptions): OpenAPIHono<ApiEnv> {
  const app = new OpenAPIHono<ApiEnv>({ defaultHook: refuseInvalid });
  app.onError(respondToError);
  app.notFound((c) => respond(c, new ApiError("NOT_FOUND", `There is no ${c.req.method} ${c.req.path} here: see GET /openapi.json.`)));

  app.use(requestId(), headers, apiHeaders);
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (c, methods) => {
        c.header("Allow", methods.join(", "));
        return respond(c, new ApiError("METHOD_NOT_ALLOWED", `${c.req.path} takes ${methods.join(", ")}.`, { allowed: methods }));
      },
    }),
  );
  for (const path of GUARDED) app.use(path, authenticate(options));
  uploadRoutes(app, options);
  imageRoutes(app, options);
  failureRoutes(app, options);
  app.openapi(healthRoute, (c) => c.json({ status: "ok" as const, version: options.version }, 200));
  describeApi(app, options);
  servePage(app, options.page, options);
  return app;
}

/** What tells a browser to take everything for what it is, and to tell nobody. */
const headers = secureHeaders({ strictTransportSecurity: false, xFrameOptions: "DENY", xXssProtection: false });

/** What depends on the request: HSTS is for https only, and nothing is kept that does not say so. */
async function apiHeaders(c: Context<ApiEnv>, next: () => Promise<void>): Promise<void> {
  await next();
  const { headers } = c.res;
  if (!headers.has("Cache-Control")) headers.set("Cache-Control", "no-store");
  if (!headers.has("Content-Security-Policy")) headers.set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  const protocol = c.req.header("X-Forwarded-Proto") ?? new URL(c.req.url).protocol.slice(0, -1);
  if (protocol === "https") headers.set("Strict-Transport-Security", "max-age=31536000; includeSubDomains");
}
