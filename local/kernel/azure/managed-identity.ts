import { randomUUID } from "node:crypto";
import type { Cloud } from "../cloud.js";
import type { TokenHolder } from "./tokens.js";

/** The identities that one app, or whatever else runs, may have tokens of. */
export interface AssignedIdentities {
  /** Ids of `azure-native:managedidentity:UserAssignedIdentity`. */
  userAssigned?: readonly string[];
  /** The identity that is the resource's own. */
  systemAssigned?: TokenHolder;
}

export const USER_ASSIGNED_IDENTITY = "azure-native:managedidentity:UserAssignedIdentity";

export const FEDERATED_CREDENTIAL = "azure-native:managedidentity:FederatedIdentityCredential";

const assigned = new WeakMap<object, Map<string, AssignedIdentities>>();

/** What a process's environment needs so that `ManagedIdentityCredential` of @azure/identity, unmodified, has tokens of these identities and of no others. */
export function identityEnvironment(
  cloud: Pick<Cloud, "url">,
  identities: AssignedIdentities,
): { IDENTITY_ENDPOINT: string; IDENTITY_HEADER: string } {
  const secret = randomUUID();
  const known = assigned.get(cloud) ?? new Map<string, AssignedIdentities>();
  assigned.set(cloud, known.set(secret, identities));
  return { IDENTITY_ENDPOINT: `${cloud.url}/msi/token`, IDENTITY_HEADER: secret };
}

/** Whose identities an `X-IDENTITY-HEADER` opens. */
export const identitiesOf = (cloud: object, secret: string | undefined): AssignedIdentities | undefined =>
  secret === undefined ? undefined : assigned.get(cloud)?.get(secret);
