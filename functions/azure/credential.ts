import { ManagedIdentityCredential, type TokenCredential, WorkloadIdentityCredential } from "@azure/identity";

/**
 * The app's own identity, as its host lets it prove who it is: in a pod by the token that the cluster issues its service account
 * (`AZURE_FEDERATED_TOKEN_FILE`, `AZURE_TENANT_ID` and `AZURE_AUTHORITY_HOST` are the cluster's to set), elsewhere by the platform's own endpoint.
 */
export function credentialOf(clientId: string): TokenCredential {
  if (!process.env.AZURE_FEDERATED_TOKEN_FILE) return new ManagedIdentityCredential({ clientId });
  // Who the authority is, the cluster says; to ask the public cloud about it needs a way out that a private cluster may not have.
  return new WorkloadIdentityCredential({ clientId, disableInstanceDiscovery: true });
}
