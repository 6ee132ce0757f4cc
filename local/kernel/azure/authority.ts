import type { Cloud } from "../cloud.js";
import { CloudError, type Guard, type Permission, type Principal } from "../service.js";
import { DEPLOYER, DEVELOPER, SUBSCRIPTION } from "./arm.js";
import { BUILT_IN_ROLES, grants, rolesFor } from "./roles.js";
import { verifyToken } from "./tokens.js";

export const ROLE_ASSIGNMENT = "azure-native:authorization:RoleAssignment";

type Declared = Pick<Cloud, "resources">;

/**
 * Whether a principal may do something, by the declared role assignments at the scope or above it, and those of the subscription itself: who
 * deploys owns it, which covers actions on resources but not on what is in them; the developer has the data roles of storage too.
 *
 * @param action `"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"`, or several that each suffice, joined by `" or "`.
 * @param scope id of a resource, or of what is in it, such as a container's or a queue's.
 */
export function allowed({ resources }: Declared, objectId: string, action: string, scope: string): boolean {
  const actions = action.split(" or ");
  const may = (role: string, at: string) => {
    const definition = BUILT_IN_ROLES[role];
    return definition !== undefined && isWithin(scope, at) && actions.some((one) => grants(definition, one));
  };
  if (STANDING[objectId]?.some((role) => may(role, `/subscriptions/${SUBSCRIPTION}`))) return true;
  return resources
    .all(ROLE_ASSIGNMENT)
    .some(({ outputs }) => outputs.principalId === objectId && may(roleOf(outputs.roleDefinitionId), outputs.scope));
}

const OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635";

/** Roles at the subscription that no program declares, by object id. */
const STANDING: Readonly<Record<string, readonly string[]>> = {
  [DEPLOYER.objectId]: [OWNER],
  // Owner, Storage Blob Data Owner, Storage Queue Data Contributor, Storage Table Data Contributor.
  [DEVELOPER.objectId]: [
    OWNER,
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
  ],
};

/** The GUID at the end of the id of a role definition. */
export const roleOf = (definition: string): string => (definition.split("/").at(-1) as string).toLowerCase();

function isWithin(scope: string, assigned: string): boolean {
  const parent = assigned.replace(/\/+$/, "").toLowerCase();
  const child = scope.toLowerCase();
  return child === parent || child.startsWith(`${parent}/`);
}

/** Lets a principal pass, or not. The account itself (tests, the page) passes everything. @throws CloudError (403) naming what is missing */
export function authorize(principal: Principal, needs: readonly Permission[], cloud: Declared): void {
  if (principal.kind === "account") return;
  for (const { action, resource } of needs) {
    if (principal.kind === "anonymous") {
      throw new CloudError(
        "NoAuthenticationInformation",
        "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.",
        401,
      );
    }
    if (principal.kind === "identity" && allowed(cloud, principal.objectId, action, resource)) continue;
    const who = principal.kind === "service" ? principal.service : principal.arn;
    const roles = rolesFor(action.split(" or ")[0] as string).slice(0, 2);
    const fix = roles.length > 0 ? ` Such as by the role ${roles.map((role) => `"${role}"`).join(" or ")}.` : "";
    throw new CloudError(
      "AuthorizationPermissionMismatch",
      `This request is not authorized to perform this operation using this permission. ${who} is not granted ${action} at ${resource}.${fix}`,
      403,
      { principal: who, action, scope: resource },
    );
  }
}

/** The bearer token of a request, if it has one. */
export function bearerToken(headers: Record<string, string>): string | undefined {
  return /^Bearer\s+(\S+)$/i.exec(headers.authorization ?? "")?.[1];
}

/** A principal of the directory, as calls within the cloud name it. */
export const identity = (objectId: string, name: string): Principal => ({ kind: "identity", arn: `"${name}" (${objectId})`, objectId });

/** Callers with bearer tokens for `audience`, who may what role assignments grant. */
export function tokenGuard(audience: string): Guard {
  return {
    async identify({ headers }, cloud) {
      const token = bearerToken(headers);
      if (token === undefined) return { kind: "anonymous" };
      const holder = await verifyToken(cloud, token, audience);
      if (!holder) {
        throw new CloudError("InvalidAuthenticationInfo", `The token is not one of this cloud for ${audience}, or it has expired.`, 401);
      }
      return identity(holder.objectId, holder.name);
    },
    authorize,
  };
}
