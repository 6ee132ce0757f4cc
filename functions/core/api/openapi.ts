import { type OpenAPIHono, type RouteConfig, z } from "@hono/zod-openapi";
import type { ApiEnv, ApiOptions } from "./env.js";
import { json } from "./schemas.js";

const documentRoute: RouteConfig = {
  method: "get",
  path: "/openapi.json",
  operationId: "getDocument",
  summary: "This document",
  security: [],
  responses: { 200: json("OpenAPI 3.1", z.looseObject({ openapi: z.string() })) },
};

const pageRoute: RouteConfig = {
  method: "get",
  path: "/",
  operationId: "getPage",
  summary: "The page",
  security: [],
  responses: {
    200: { description: "A page to upload images with and to look at them", content: { "text/html": { schema: { type: "string" } } } },
  },
};

/** Serves the document of all routes, made of the schemas that validate them. */
export function describeApi(app: OpenAPIHono<ApiEnv>, { settings, version }: ApiOptions): void {
  app.openAPIRegistry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    ...(settings.auth.kind === "jwt" ? { bearerFormat: "JWT" } : {}),
  });
  app.openAPIRegistry.registerPath(pageRoute);
  app.openAPIRegistry.registerPath(documentRoute);
  let document: ReturnType<typeof app.getOpenAPI31Document> | undefined;
  app.get(documentRoute.path, (c) => {
    document ??= withoutPatterns(
      app.getOpenAPI31Document({
        openapi: "3.1.0",
        info: { title: "Image pipeline", version, description: "Upload images; find out what became of them." },
        security: settings.auth.kind === "none" ? [] : [{ bearer: [] }],
      }),
    );
    return c.json(document);
  });
}

/** A key has slashes, which Hono is told by a pattern behind the parameter (`{key}{.+/status}`), and OpenAPI cannot be. */
function withoutPatterns<Document extends { paths?: object | undefined }>(document: Document): Document {
  const paths = Object.entries(document.paths ?? {}).map(([path, item]) => [path.replace(/\{\.\+([^}]*)\}/, "$1"), item]);
  // Several methods of one path stay together: they were registered under the same pattern.
  return { ...document, paths: Object.fromEntries(paths) };
}
