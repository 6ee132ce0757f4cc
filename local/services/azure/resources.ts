import { groupId, LOCATION, normalLocation } from "../../kernel/azure/arm.js";
import { CloudError, type Properties, type Service } from "../../kernel/service.js";

const GROUP = "azure-native:resources:ResourceGroup";

/** Resource Manager: resource groups. The region is only a label; everything is here. */
export default function resources(): Service {
  return {
    name: "resources",
    resources: {
      [GROUP]: {
        inputs: ["resourceGroupName", "location", "tags", "managedBy"],
        replacedBy: ["resourceGroupName", "location"],
        named: { input: "resourceGroupName", maxLength: 90, style: "plain" },
        check(inputs) {
          const name = inputs.resourceGroupName;
          if (typeof name === "string" && !/^[-\w.()]{0,89}[-\w()]$/.test(name)) {
            throw new CloudError(
              "InvalidResourceGroup",
              `The resource group name '${name}' is not valid: letters, digits, underscores, hyphens, periods and parentheses, at most 90, no period at the end.`,
            );
          }
          return inputs;
        },
        async create(inputs) {
          return { id: groupId(inputs.resourceGroupName), outputs: outputs(inputs) };
        },
        update: async (_id, inputs) => outputs(inputs),
        delete: async () => {},
      },
    },
  };
}

const outputs = ({ resourceGroupName, location, tags, managedBy }: Properties) => ({
  name: resourceGroupName,
  location: normalLocation(location ?? LOCATION),
  type: "Microsoft.Resources/resourceGroups",
  azureApiVersion: "2025-04-01",
  properties: { provisioningState: "Succeeded" },
  ...(managedBy !== undefined && { managedBy }),
  tags,
});
