import { randomUUID } from "node:crypto";
import { armResource, resourceId, sameId, TENANT } from "../../kernel/azure/arm.js";
import {
  type AssignedIdentities,
  FEDERATED_CREDENTIAL,
  identitiesOf,
  USER_ASSIGNED_IDENTITY,
} from "../../kernel/azure/managed-identity.js";
import { issueToken, TOKEN_LIFETIME, type TokenHolder } from "../../kernel/azure/tokens.js";
import type { Cloud } from "../../kernel/cloud.js";
import { CloudError, type Guard, type Properties, type Protocol, type Service } from "../../kernel/service.js";

/** Managed identities, and the endpoint where apps that have them get tokens (App Service's protocol, api-version 2019-08-01). */
export default function managedIdentity(): Service {
  return {
    name: "managedidentity",
    resources: {
      [USER_ASSIGNED_IDENTITY]: armResource({
        type: "Microsoft.ManagedIdentity/userAssignedIdentities",
        apiVersion: "2024-11-30",
        inputs: ["resourceGroupName", "resourceName", "location", "tags"],
        named: { input: "resourceName", maxLength: 128, style: "plain" },
        location: "regional",
        systemData: true,
        outputs: (_inputs, { before }) => ({
          principalId: before?.outputs.principalId ?? randomUUID(),
          clientId: before?.outputs.clientId ?? randomUUID(),
          tenantId: TENANT,
        }),
      }),
      [FEDERATED_CREDENTIAL]: federatedCredential,
    },
    api: {
      protocol: PROTOCOL,
      guard: GUARD,
      operations: {
        GetToken: {
          needs: () => [],
          async handle({ secret, resource, ...selector }, { cloud }) {
            const identities = identitiesOf(cloud, secret);
            if (!identities) throw new CloudError("Unauthorized", "X-IDENTITY-HEADER does not belong to any app of this cloud.", 401);
            if (!resource) throw new CloudError("BadRequest", "The query parameter resource is missing.", 400);
            const holder = holderOf(identities, selector, cloud);
            return {
              access_token: await issueToken(cloud, { ...holder, audience: resource }),
              expires_on: String(Math.floor(cloud.now().getTime() / 1_000) + TOKEN_LIFETIME),
              resource,
              token_type: "Bearer",
              client_id: holder.clientId,
            };
          },
        },
      },
    },
  };
}

const IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities";

/** Whose tokens are taken for those of an identity: of which issuer, for which subject, meant for whom. */
const federatedCredential = armResource({
  type: `${IDENTITIES}/federatedIdentityCredentials`,
  apiVersion: "2023-01-31",
  inputs: ["resourceGroupName", "resourceName", "federatedIdentityCredentialResourceName", "issuer", "subject", "audiences"],
  named: { input: "federatedIdentityCredentialResourceName", maxLength: 120, style: "plain" },
  replacedBy: ["resourceName"],
  systemData: true,
  id: ({ resourceGroupName, resourceName, federatedIdentityCredentialResourceName }) =>
    resourceId(resourceGroupName, `${IDENTITIES}/federatedIdentityCredentials`, resourceName, federatedIdentityCredentialResourceName),
  check(inputs) {
    const { federatedIdentityCredentialResourceName: name, issuer, subject, audiences } = inputs;
    if (typeof name === "string" && !/^[A-Za-z0-9][\w-]{2,119}$/.test(name)) {
      throw new CloudError(
        "BadRequest",
        `The name '${name}' of the federated identity credential must have 3 to 120 letters, digits, - and _.`,
      );
    }
    if (typeof issuer === "string" && !/^https:\/\/\S+$/.test(issuer)) {
      throw new CloudError("BadRequest", `issuer is "${issuer}": it must be an https URL.`);
    }
    if (subject === "")
      throw new CloudError("BadRequest", "subject is empty: for a service account it is system:serviceaccount:NAMESPACE:NAME.");
    if (Array.isArray(audiences) && audiences.length !== 1) {
      throw new CloudError(
        "BadRequest",
        `audiences has ${audiences.length} entries: there must be one, such as "api://AzureADTokenExchange".`,
      );
    }
    return inputs;
  },
  outputs({ resourceName, issuer, subject, audiences }, { id, cloud }) {
    const parent = id.split("/federatedIdentityCredentials/")[0];
    if (!cloud.resources.all(USER_ASSIGNED_IDENTITY).some((identity) => sameId(identity.id, parent))) {
      throw new CloudError("ParentResourceNotFound", `There is no user-assigned identity "${resourceName}".`, 404);
    }
    const same = cloud.resources
      .all(FEDERATED_CREDENTIAL)
      .find((other) => other.id !== id && sameId(other.id.split("/federatedIdentityCredentials/")[0], parent) && matches(other.outputs));
    if (same) {
      throw new CloudError("Conflict", `${resourceName} has a credential for this issuer and subject already: ${same.outputs.name}.`, 409);
    }
    return { issuer, subject, audiences };

    function matches(other: Properties): boolean {
      return other.issuer === issuer && other.subject === subject;
    }
  },
});

function holderOf({ userAssigned = [], systemAssigned }: AssignedIdentities, selector: Properties, { resources }: Cloud): TokenHolder {
  const { client_id: clientId, mi_res_id: resourceId, principal_id: principalId } = selector;
  if (!clientId && !resourceId && !principalId) {
    if (systemAssigned) return systemAssigned;
    throw new CloudError(
      "BadRequest",
      "Unable to load the proper managed identity: the app has no system-assigned one. Say whose token it is to be by client_id.",
    );
  }
  const found = resources
    .all(USER_ASSIGNED_IDENTITY)
    .filter(({ id }) => userAssigned.some((assigned) => sameId(assigned, id)))
    .find(({ id, outputs }) =>
      clientId ? outputs.clientId === clientId : principalId ? outputs.principalId === principalId : sameId(id, resourceId),
    );
  if (!found) {
    const asked = clientId ?? principalId ?? resourceId;
    throw new CloudError(
      "BadRequest",
      `No user-assigned identity ${asked} is assigned to the app. Assigned: ${userAssigned.join(", ") || "none"}.`,
    );
  }
  return { objectId: found.outputs.principalId, clientId: found.outputs.clientId, name: found.outputs.name };
}

/** The header's secret is the credential; the operation looks at it. */
const GUARD: Guard = { identify: async () => ({ kind: "anonymous" }), authorize: () => {} };

const PROTOCOL: Protocol = {
  claims: ({ url, headers }) => url.pathname === "/msi/token" && headers["x-identity-header"] !== undefined,
  async decode({ url, headers }) {
    const version = url.searchParams.get("api-version");
    if (version !== "2019-08-01") throw new CloudError("BadRequest", `The api-version ${version} is not 2019-08-01.`);
    return { operation: "GetToken", input: { ...Object.fromEntries(url.searchParams), secret: headers["x-identity-header"] } };
  },
  encode: (_operation, output) => ({ status: 200, headers: { "content-type": "application/json" }, body: JSON.stringify(output) }),
  encodeError: ({ status, message }) => ({
    status,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ statusCode: status, message }),
  }),
};
