import { readFile } from "node:fs/promises";
import { SUBSCRIPTION } from "../../../../local/kernel/azure/arm.js";
import { USER_ASSIGNED_IDENTITY } from "../../../../local/kernel/azure/managed-identity.js";
import { issueToken } from "../../../../local/kernel/azure/tokens.js";
import type { Properties, Resource, Service } from "../../../../local/kernel/service.js";
import authorization from "../../../../local/services/azure/authorization.js";
import managedIdentity from "../../../../local/services/azure/managedidentity.js";
import resources from "../../../../local/services/azure/resources.js";
import { type TestCloud, type TestCloudOptions, testCloud } from "../../cloud.js";

export const GROUP = "photos";

export const ROLES = {
  blobContributor: "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
  blobReader: "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
  blobDelegator: "db58b8e5-c6ad-4a2a-8342-4190687cbf4a",
  queueContributor: "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
  queueSender: "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a",
  queueProcessor: "8a0f0c08-91a1-4084-bc3d-661d67233fed",
  tableContributor: "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
  eventGridSender: "d5a91429-5739-47e2-a06b-3470a27159e7",
  metricsPublisher: "3913510d-42f4-4e42-8a64-420c390055eb",
  cognitiveServicesUser: "a97b65f3-24c7-4388-baec-2e87135dc908",
  mailOwner: "09976791-48a7-449e-bb21-39d1a415f350",
  secretsUser: "4633458b-17de-408a-b874-0445c86b69e6",
  acrPull: "7f951dda-4ed3-4680-a7ca-43fe172d538d",
  clusterAdmin: "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b",
  queueReader: "19e7f393-937e-4f77-808e-94535e297925",
} as const;

export interface TestAzure {
  test: TestCloud;
  /** Declares a resource in the group. */
  declare(type: string, name: string, inputs?: Properties): Promise<Resource>;
  /** An identity with nothing granted. */
  identity(name: string): Promise<Resource>;
  grant(principal: Resource | string, role: keyof typeof ROLES, scope: string): Promise<Resource>;
  /** A credential of an identity, as @azure/identity's are. */
  credential(identity: Resource): { getToken(scopes: string | string[]): Promise<{ token: string; expiresOnTimestamp: number }> };
  /** For every SDK client: who signed the certificate, and no second try. */
  options(): Promise<{ tlsOptions: { ca: string }; retryOptions: { maxTries: number; maxRetries: number } }>;
}

/** An embedded Azure of these services, resource groups, identities and role assignments, with one group that is there. */
export async function testAzure(services: Service[], options: TestCloudOptions = {}): Promise<TestAzure> {
  const test = await testCloud([resources(), managedIdentity(), authorization(), ...services], options);
  await test.declare("azure-native:resources:ResourceGroup", GROUP, { resourceGroupName: GROUP });
  const declare = (type: string, name: string, inputs: Properties = {}) =>
    test.declare(type, name, { resourceGroupName: GROUP, ...inputs });
  let grants = 0;
  return {
    test,
    declare,
    identity: (name) => declare(USER_ASSIGNED_IDENTITY, name, { resourceName: name }),
    grant: (principal, role, scope) =>
      test.declare("azure-native:authorization:RoleAssignment", `grant${grants++}`, {
        principalId: typeof principal === "string" ? principal : principal.outputs.principalId,
        principalType: "ServicePrincipal",
        roleDefinitionId: `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/${ROLES[role]}`,
        scope,
        roleAssignmentName: `00000000-0000-4000-8000-${String(grants).padStart(12, "0")}`,
      }),
    credential: ({ outputs: { principalId: objectId, clientId, name } }) => ({
      async getToken(scopes) {
        const audience = [scopes].flat()[0] as string;
        return { token: await issueToken(test.cloud, { objectId, clientId, audience, name }), expiresOnTimestamp: Date.now() + 3_600_000 };
      },
    }),
    async options() {
      const { authority } = await test.cloud.secure("blob");
      return { tlsOptions: { ca: await readFile(authority, "utf8") }, retryOptions: { maxTries: 1, maxRetries: 0 } };
    },
  };
}

/** A storage account as the product's are: no keys. */
export const storageAccount = ({ declare }: TestAzure, name = "photosaccount", more: Properties = {}): Promise<Resource> =>
  declare("azure-native:storage:StorageAccount", name, {
    accountName: name,
    kind: "StorageV2",
    sku: { name: "Standard_LRS" },
    allowSharedKeyAccess: false,
    ...more,
  });
