import { SUBSCRIPTION, TENANT } from "../../kernel/azure/arm.js";
import { FEDERATED_CREDENTIAL, USER_ASSIGNED_IDENTITY } from "../../kernel/azure/managed-identity.js";
import { json, SHARED_ENDPOINT } from "../../kernel/azure/rest.js";
import { issueToken, plainAudience, TOKEN_LIFETIME } from "../../kernel/azure/tokens.js";
import type { Cloud } from "../../kernel/cloud.js";
import { CloudError, type Guard, type Properties, type Protocol, type Resource, type Service } from "../../kernel/service.js";

const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/**
 * Microsoft Entra's token endpoint, as far as workload identity needs it: an assertion that somebody else signed is exchanged for a token of
 * the identity, where a declared federated credential says so. Its address is `AZURE_AUTHORITY_HOST`.
 */
export default function entra(): Service {
  return {
    name: "entra",
    api: {
      endpoints: [SHARED_ENDPOINT],
      protocol: PROTOCOL,
      guard: GUARD,
      operations: {
        Discover: {
          needs: () => [],
          async handle(_input, { cloud }) {
            const { url } = await cloud.secure(SHARED_ENDPOINT);
            const at = `${url}/${TENANT}`;
            return {
              issuer: `${at}/v2.0`,
              authorization_endpoint: `${at}/oauth2/v2.0/authorize`,
              token_endpoint: `${at}/oauth2/v2.0/token`,
              jwks_uri: `${at}/discovery/v2.0/keys`,
              token_endpoint_auth_methods_supported: ["private_key_jwt"],
              response_types_supported: ["token"],
              subject_types_supported: ["pairwise"],
              tenant_region_scope: "EU",
            };
          },
        },
        GetToken: { needs: () => [], handle: (input, { cloud }) => exchange(input, cloud) },
      },
    },
  };
}

async function exchange(form: Properties, cloud: Cloud): Promise<Properties> {
  const { grant_type: grant, client_id: clientId, client_assertion: assertion, client_assertion_type: type, scope } = form;
  if (grant !== "client_credentials") {
    throw refusal(
      "unsupported_grant_type",
      70003,
      `The app requested an unsupported grant type '${grant}': here it is client_credentials.`,
    );
  }
  if (!assertion || type !== ASSERTION_TYPE) {
    throw refusal("invalid_client", 7000216, "'client_assertion' is required for the 'client_credentials' grant type.", 401);
  }
  if (!scope || !String(scope).endsWith("/.default")) {
    throw refusal(
      "invalid_scope",
      1002012,
      `The provided value for scope ${scope ?? ""} is not valid: it must be a resource followed by /.default.`,
    );
  }
  const identity = cloud.resources.all(USER_ASSIGNED_IDENTITY).find(({ outputs }) => outputs.clientId === clientId);
  if (!identity) throw refusal("unauthorized_client", 700016, `Application with identifier '${clientId}' was not found in the directory.`);
  const credential = await credentialFor(assertion, identity, cloud);
  const { principalId: objectId, name } = identity.outputs;
  const audience = plainAudience(scope);
  cloud.trace.add({
    kind: "note",
    subject: "entra",
    text: `${credential.outputs.subject} gets a token of ${name} for ${audience}`,
    detail: { subject: credential.outputs.subject, credential: credential.id, clientId, audience },
  });
  return {
    token_type: "Bearer",
    expires_in: TOKEN_LIFETIME,
    ext_expires_in: TOKEN_LIFETIME,
    access_token: await issueToken(cloud, { objectId, clientId, name, audience }),
  };
}

/** The federated credential of an identity that an assertion fits. @throws CloudError saying what does not fit, in Entra's words */
async function credentialFor(assertion: string, identity: Resource, cloud: Cloud): Promise<Resource> {
  const { createLocalJWKSet, decodeJwt, errors, jwtVerify } = await import("jose");
  let claims: Properties;
  try {
    claims = decodeJwt(assertion);
  } catch {
    throw refusal("invalid_request", 50027, "JWT token is invalid or malformed.");
  }
  const audience = [claims.aud].flat()[0];
  const held = cloud.resources.all(FEDERATED_CREDENTIAL).filter(({ id }) => id.toLowerCase().startsWith(`${identity.id}/`.toLowerCase()));
  const fits = (what: string, number: number, value: unknown, among: readonly Resource[], of: (one: Resource) => unknown): Resource[] => {
    const found = among.filter((one) => of(one) === value);
    if (found.length > 0) return found;
    const declared = [...new Set(among.map(of))].map((one) => `'${one}'`).join(", ") || "none";
    throw refusal(
      "invalid_client",
      number,
      `No matching federated identity record found for presented assertion ${what} '${value}'. Declared on ${identity.outputs.name}: ${declared}.`,
      401,
    );
  };
  const ofIssuer = fits("issuer", 700211, claims.iss, held, ({ outputs }) => outputs.issuer);
  const ofSubject = fits("subject", 700213, claims.sub, ofIssuer, ({ outputs }) => outputs.subject);
  const [credential] = fits("audience", 700212, audience, ofSubject, ({ outputs }) => outputs.audiences?.[0]);
  const keys = await keysOf(String(claims.iss), cloud);
  try {
    await jwtVerify(assertion, createLocalJWKSet(keys as never), { currentDate: cloud.now() });
  } catch (error) {
    if (error instanceof errors.JWTExpired || error instanceof errors.JWTClaimValidationFailed) {
      throw refusal("invalid_client", 700024, `Client assertion is not within its valid time range: ${error.message}.`, 401);
    }
    throw refusal("invalid_client", 50013, "Assertion failed signature validation.", 401);
  }
  return credential as Resource;
}

/** The keys of an issuer, which is a cluster of this cloud. */
async function keysOf(issuer: string, cloud: Cloud): Promise<Properties> {
  try {
    const as = { kind: "service", service: "login.microsoftonline.com" } as const;
    return await cloud.call({ service: "kubernetes", operation: "GetOpenIdKeys", input: { issuer }, as });
  } catch (error) {
    throw refusal(
      "invalid_request",
      90061,
      `Request to External OIDC endpoint failed: the embedded cloud reads the keys of its own clusters only, and ${issuer} is none of their issuers (${(error as Error).message}).`,
    );
  }
}

const refusal = (code: string, number: number, text: string, status = 400): CloudError =>
  new CloudError(code, `AADSTS${number}: ${text}`, status, { number });

/** The assertion is the credential; the operation looks at it. */
const GUARD: Guard = { identify: async () => ({ kind: "anonymous" }), authorize: () => {} };

const TOKEN_PATH = /^\/([^/]+)\/oauth2\/v2\.0\/token$/;
const DISCOVERY_PATH = /^\/([^/]+)\/v2\.0\/\.well-known\/openid-configuration$/;

const PROTOCOL: Protocol = {
  claims: ({ url: { pathname } }) => TOKEN_PATH.test(pathname) || DISCOVERY_PATH.test(pathname),
  async decode({ url: { pathname }, method, body }) {
    const [, tenant] = TOKEN_PATH.exec(pathname) ?? DISCOVERY_PATH.exec(pathname) ?? [];
    if (tenant !== TENANT) {
      throw refusal(
        "invalid_request",
        90002,
        `Tenant '${tenant}' not found: the embedded cloud's is ${TENANT} (of subscription ${SUBSCRIPTION}).`,
      );
    }
    if (DISCOVERY_PATH.test(pathname)) return { operation: "Discover", input: {} };
    if (method !== "POST") throw refusal("invalid_request", 900561, "The endpoint only accepts POST requests.");
    return { operation: "GetToken", input: Object.fromEntries(new URLSearchParams(body.toString())) };
  },
  encode: (_operation, output) => json(200, output),
  encodeError: ({ code, message, status, details }, _request, requestId) =>
    json(status, {
      error: status >= 500 ? "temporarily_unavailable" : code,
      error_description: `${message} Trace ID: ${requestId}`,
      error_codes: details.number === undefined ? [] : [details.number],
      trace_id: requestId,
      correlation_id: requestId,
    }),
};
