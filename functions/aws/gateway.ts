import type { Hono } from "hono";
import { type APIGatewayProxyResult, handle, type LambdaContext, type LambdaEvent } from "hono/aws-lambda";

/** A request by way of API Gateway's HTTP API, payload format 2.0. */
export type GatewayEvent = LambdaEvent & { rawPath: string };

/** The app as a Lambda handler behind an HTTP API. */
// biome-ignore lint/suspicious/noExplicitAny: whatever the app's own environment is
export function behindGateway(app: Hono<any>): (event: GatewayEvent, context?: LambdaContext) => Promise<APIGatewayProxyResult> {
  const answer = handle(app);
  return (event, context) => answer({ ...event, rawPath: encoded(event.rawPath) }, context);
}

/** The gateway hands paths over decoded, so that a `?` or a `%` in a key would be taken for the URL's own. The app decodes once. */
function encoded(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}
