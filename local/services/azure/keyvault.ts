import { randomBytes } from "node:crypto";
import { armResource, resourceId, TENANT } from "../../kernel/azure/arm.js";
import { tokenGuard } from "../../kernel/azure/authority.js";
import { restProtocol, SHARED_ENDPOINT } from "../../kernel/azure/rest.js";
import type { Cloud } from "../../kernel/cloud.js";
import { CloudError, type Resource, type Service } from "../../kernel/service.js";

const VAULT = "azure-native:keyvault:Vault";
const SECRET = "azure-native:keyvault:Secret";
const API = "2024-11-01";
const AUDIENCE = "https://vault.azure.net";

/** Key Vault: vaults that roles open, with secrets, each in its latest version. */
export default function keyVault(): Service {
  return {
    name: "keyvault",
    resources: { [VAULT]: vault, [SECRET]: secret },
    api: {
      endpoints: [SHARED_ENDPOINT],
      guard: tokenGuard(AUDIENCE),
      protocol: restProtocol(
        [{ operation: "GetSecret", method: "GET", path: /^\/vaults\/(?<vault>[^/]+)\/secrets\/(?<secret>[^/]+)(\/(?<version>[^/]*))?$/ }],
        `Bearer authorization="https://login.microsoftonline.com/${TENANT}", resource="${AUDIENCE}"`,
      ),
      operations: {
        GetSecret: {
          needs: ({ vault: of, secret: name }, cloud) => [
            { action: "Microsoft.KeyVault/vaults/secrets/getSecret/action", resource: `${vaultNamed(of, cloud).id}/secrets/${name}` },
          ],
          async handle({ vault: of, secret: name, version }, { cloud }) {
            const { id } = vaultNamed(of, cloud);
            const found = cloud.resources.all(SECRET).find((each) => each.id.toLowerCase() === `${id}/secrets/${name}`.toLowerCase());
            const uri: string | undefined = found?.outputs.properties.secretUriWithVersion;
            if (!found || (version && !uri?.endsWith(`/${version}`))) {
              const what = version ? `${name}/${version}` : name;
              throw new CloudError("SecretNotFound", `A secret with (name/id) ${what} was not found in this key vault.`, 404);
            }
            const { value, contentType } = found.inputs.properties;
            return { value, id: uri, contentType, attributes: { enabled: true, ...found.outputs.properties.attributes } };
          },
        },
      },
    },
  };
}

function vaultNamed(name: string, { resources }: Pick<Cloud, "resources">): Resource {
  const found = resources.all(VAULT).find(({ outputs }) => outputs.name === name);
  if (!found) throw new CloudError("VaultNotFound", `There is no key vault "${name}".`, 404);
  return found;
}

const PROPERTIES = [
  "tenantId",
  "sku",
  "enableRbacAuthorization",
  "enableSoftDelete",
  "softDeleteRetentionInDays",
  "enablePurgeProtection",
  "enabledForDeployment",
  "enabledForDiskEncryption",
  "enabledForTemplateDeployment",
  "publicNetworkAccess",
];

const vault = armResource({
  type: "Microsoft.KeyVault/vaults",
  apiVersion: API,
  inputs: ["resourceGroupName", "vaultName", "location", "tags", ...PROPERTIES.map((name) => `properties.${name}`)],
  named: { input: "vaultName", maxLength: 24, style: "plain" },
  location: "regional",
  systemData: true,
  check(inputs) {
    const { vaultName: name, properties } = inputs;
    if (typeof name === "string" && !/^[A-Za-z](?!.*--)[A-Za-z0-9-]{1,22}[A-Za-z0-9]$/.test(name)) {
      throw new CloudError(
        "VaultNameNotValid",
        `The vault name '${name}' is invalid: 3 to 24 letters, digits and single hyphens, a letter first.`,
      );
    }
    if (properties?.enableRbacAuthorization !== true) {
      throw new CloudError("FeatureNotSupported", "The embedded cloud's vaults are opened by roles: enableRbacAuthorization must be true.");
    }
    if (properties.publicNetworkAccess === "disabled") {
      throw new CloudError("FeatureNotSupported", 'publicNetworkAccess is "disabled": the embedded cloud has no private endpoints.');
    }
    return inputs;
  },
  outputs: async ({ properties }, { name, cloud }) => ({
    properties: { ...properties, vaultUri: `${(await cloud.secure(SHARED_ENDPOINT)).url}/vaults/${name}/`, provisioningState: "Succeeded" },
  }),
});

const secret = armResource({
  type: "Microsoft.KeyVault/vaults/secrets",
  apiVersion: API,
  inputs: ["resourceGroupName", "vaultName", "secretName", "tags", "properties.value", "properties.contentType"],
  named: { input: "secretName", maxLength: 127, style: "plain" },
  replacedBy: ["vaultName"],
  location: "regional",
  id: ({ resourceGroupName, vaultName, secretName }) =>
    resourceId(resourceGroupName, "Microsoft.KeyVault/vaults/secrets", vaultName, secretName),
  outputs({ vaultName, properties, tags = {} }, { name, cloud, before }) {
    const secretUri = `${vaultNamed(vaultName, cloud).outputs.properties.vaultUri}secrets/${name}`;
    const same = before?.inputs.properties.value === properties.value;
    const version: string = same ? before?.outputs.properties.secretUriWithVersion.split("/").at(-1) : randomBytes(16).toString("hex");
    const now = Math.floor(cloud.now().getTime() / 1_000);
    const created: number = before?.outputs.properties.attributes.created ?? now;
    return {
      tags,
      // The value is not told by the Resource Manager: only whoever may read it has it.
      properties: {
        contentType: properties.contentType,
        attributes: { enabled: true, created, updated: same ? before?.outputs.properties.attributes.updated : now },
        secretUri,
        secretUriWithVersion: `${secretUri}/${version}`,
      },
    };
  },
});
