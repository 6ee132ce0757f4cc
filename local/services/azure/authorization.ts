import { armResource, DEPLOYER, SUBSCRIPTION, sameId, TENANT } from "../../kernel/azure/arm.js";
import { ROLE_ASSIGNMENT, roleOf } from "../../kernel/azure/authority.js";
import { BUILT_IN_ROLES } from "../../kernel/azure/roles.js";
import { issueToken } from "../../kernel/azure/tokens.js";
import { CloudError, type Service } from "../../kernel/service.js";

const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Role assignments, which take effect at once here, and who deploys. */
export default function authorization(): Service {
  return {
    name: "authorization",
    resources: {
      [ROLE_ASSIGNMENT]: armResource({
        type: "Microsoft.Authorization/roleAssignments",
        apiVersion: "2022-04-01",
        inputs: ["principalId", "principalType", "roleDefinitionId", "scope", "roleAssignmentName", "description"],
        named: { input: "roleAssignmentName", style: "uuid" },
        systemData: true,
        updatable: false,
        id: ({ scope, roleAssignmentName }) => `${scope}/providers/Microsoft.Authorization/roleAssignments/${roleAssignmentName}`,
        check(inputs) {
          const { roleAssignmentName, roleDefinitionId, principalType } = inputs;
          if (typeof roleAssignmentName === "string" && !GUID.test(roleAssignmentName)) {
            throw new CloudError(
              "InvalidRoleAssignmentId",
              `The role assignment name '${roleAssignmentName}' is not a GUID. Leave it out to have one made.`,
            );
          }
          const role = typeof roleDefinitionId === "string" ? roleOf(roleDefinitionId) : undefined;
          if (role !== undefined && !BUILT_IN_ROLES[role]) {
            const known = Object.values(BUILT_IN_ROLES).map(({ name }) => name);
            throw new CloudError(
              "RoleDefinitionDoesNotExist",
              `The embedded cloud does not know the role ${role}. It knows: ${known.join(", ")}.`,
              404,
            );
          }
          if (principalType !== undefined && !["ServicePrincipal", "User", "Group"].includes(principalType)) {
            throw new CloudError("InvalidPrincipalType", `principalType is "${principalType}": allowed are ServicePrincipal, User, Group.`);
          }
          return inputs;
        },
        outputs(inputs, { cloud, id, before }) {
          const { principalId, roleDefinitionId, scope } = inputs;
          const same = cloud.resources
            .all(ROLE_ASSIGNMENT)
            .find(
              ({ id: other, outputs }) =>
                other !== id &&
                outputs.principalId === principalId &&
                sameId(outputs.scope, scope) &&
                roleOf(outputs.roleDefinitionId) === roleOf(roleDefinitionId),
            );
          if (same) throw new CloudError("RoleAssignmentExists", `The role assignment already exists: ${same.outputs.name}.`, 409);
          const now = before?.outputs.createdOn ?? cloud.now().toISOString();
          const { objectId } = DEPLOYER;
          return {
            principalId,
            principalType: inputs.principalType ?? "ServicePrincipal",
            roleDefinitionId,
            scope,
            description: inputs.description,
            createdBy: objectId,
            createdOn: now,
            updatedBy: objectId,
            updatedOn: now,
          };
        },
      }),
    },
    functions: {
      "azure-native:authorization:getClientConfig": async () => ({
        clientId: DEPLOYER.clientId,
        objectId: DEPLOYER.objectId,
        subscriptionId: SUBSCRIPTION,
        tenantId: TENANT,
      }),
      "azure-native:authorization:getClientToken": async ({ endpoint }, cloud) => ({
        token: await issueToken(cloud, { ...DEPLOYER, audience: endpoint ?? "https://management.azure.com" }),
      }),
    },
  };
}
