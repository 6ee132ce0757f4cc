import { CloudError } from "../../../kernel/service.js";

/** One rule of a bucket's CORS configuration. */
export interface CorsRule {
  id?: string;
  allowedMethods: string[];
  /** At most one `*` in each. */
  allowedOrigins: string[];
  allowedHeaders?: string[];
  exposeHeaders?: string[];
  maxAgeSeconds?: number;
}

interface CorsRequest {
  origin: string;
  method: string;
  /** Names that a preflight asks for. */
  headers: string[];
}

const VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

/** What S3 answers to a preflight. @throws CloudError BadRequest or AccessForbidden */
export function preflight(
  rules: readonly CorsRule[] | undefined,
  headers: Record<string, string>,
  resource: "OBJECT" | "BUCKET",
): Record<string, string> {
  const { origin } = headers;
  const method = headers["access-control-request-method"];
  if (!origin) throw new CloudError("BadRequest", "Insufficient information. Origin request header needed.");
  if (!method) throw new CloudError("BadRequest", "Invalid Access-Control-Request-Method: null");
  const forbidden = (why: string) =>
    new CloudError("AccessForbidden", `CORSResponse: ${why}`, 403, { Method: method, ResourceType: resource });
  if (!rules) throw forbidden("CORS is not enabled for this bucket.");
  const requested = (headers["access-control-request-headers"] ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter(Boolean);
  const request = { origin, method, headers: requested };
  const rule = rules.find((candidate) => matches(candidate, request));
  if (!rule)
    throw forbidden(
      "This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method " +
        "or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
    );
  return { ...granted(rule, origin), ...(requested.length > 0 && { "access-control-allow-headers": requested.join(", ") }) };
}

/** The headers that an actual response carries so that a browser shows it to the page. */
export function corsHeaders(rules: readonly CorsRule[] | undefined, method: string, origin: string | undefined): Record<string, string> {
  if (!rules || !origin) return {};
  const rule = rules.find((candidate) => matches(candidate, { origin, method, headers: [] }));
  return rule ? granted(rule, origin) : { vary: VARY };
}

function granted(rule: CorsRule, origin: string): Record<string, string> {
  const anyone = rule.allowedOrigins.find((pattern) => wildcard(pattern, origin)) === "*";
  return {
    "access-control-allow-origin": anyone ? "*" : origin,
    "access-control-allow-methods": rule.allowedMethods.join(", "),
    ...(rule.exposeHeaders?.length && { "access-control-expose-headers": rule.exposeHeaders.join(", ") }),
    ...(rule.maxAgeSeconds !== undefined && { "access-control-max-age": String(rule.maxAgeSeconds) }),
    ...(!anyone && { "access-control-allow-credentials": "true" }),
    vary: VARY,
  };
}

const matches = (rule: CorsRule, { origin, method, headers }: CorsRequest): boolean =>
  rule.allowedOrigins.some((pattern) => wildcard(pattern, origin)) &&
  rule.allowedMethods.includes(method) &&
  headers.every((name) => rule.allowedHeaders?.some((pattern) => wildcard(pattern.toLowerCase(), name)));

function wildcard(pattern: string, value: string): boolean {
  const [before, after] = pattern.split("*");
  if (after === undefined) return pattern === value;
  return value.length >= pattern.length - 1 && value.startsWith(before as string) && value.endsWith(after);
}
