import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { armResource, DEPLOYER, resourceId, TENANT } from "../../../kernel/azure/arm.js";
import { serverCertificate } from "../../../kernel/azure/certificates.js";
import { USER_ASSIGNED_IDENTITY } from "../../../kernel/azure/managed-identity.js";
import { verifyToken } from "../../../kernel/azure/tokens.js";
import type { Cloud } from "../../../kernel/cloud.js";
import { CloudError, type Properties, type Service } from "../../../kernel/service.js";
import { SQL_RESOURCE } from "./security/tokens.js";
import { SqlServer } from "./server.js";
import { trustAuthority } from "./trust.js";

const API = "2023-08-01";
const SERVER = "azure-native:sql:Server";
/** Of the Basic tier. */
const BASIC_SIZE = 2_147_483_648;
const COLLATION = "SQL_Latin1_General_CP1_CI_AS";

/**
 * Azure SQL: every declared server listens on a port of its own on 127.0.0.1 and speaks TDS, over SQLite.
 *
 * - `fullyQualifiedDomainName` is `localhost,PORT`, as SQL Server writes the address of a server whose port is not 1433. A program takes the
 *   part behind the comma as its port, or 1433 when there is none; it needs no other setting.
 * - A firewall rule 0.0.0.0 admits Azure's own callers; here those are the callers of this machine. Without a rule that covers 127.0.0.1,
 *   logins are refused by 40615.
 * - What T-SQL it does stands in `docs/embedded-sql.md`; anything else is error 102, naming it.
 */
export default function sql(): Service {
  const servers = new Map<string, SqlServer>();
  let folder = "";

  const server = (name: string): SqlServer => {
    const found = servers.get(name);
    if (!found)
      throw new CloudError(
        "ParentResourceNotFound",
        `Can not perform requested operation on nested resource. Parent resource '${name}' not found.`,
        404,
      );
    return found;
  };

  const started = async (name: string, cloud: Cloud, before: string | undefined): Promise<SqlServer> => {
    const known = servers.get(name);
    if (known) return known;
    const { key, cert, authority } = await serverCertificate(cloud.folder);
    await trustAuthority(authority);
    const options = {
      name,
      folder: join(folder, name),
      kept: true,
      certificate: { key, cert },
      authority: `https://login.microsoftonline.com/${TENANT}`,
      clock: () => cloud.now(),
      verify: async (token: string) => {
        const holder = await verifyToken(cloud, token, SQL_RESOURCE);
        return holder && { ...holder, audience: SQL_RESOURCE };
      },
      directory: (wanted: string) => identityNamed(wanted, cloud),
    };
    const port = Number(before?.split(",")[1] ?? 0);
    const server = await SqlServer.start(options, port).catch((error: NodeJS.ErrnoException) => {
      // Somebody else has the port that it had.
      if (error.code !== "EADDRINUSE" || port === 0) throw error;
      return SqlServer.start(options);
    });
    servers.set(name, server);
    return server;
  };

  return {
    name: "sql",
    async start(_cloud, own) {
      folder = own;
    },
    async stop() {
      await Promise.all([...servers.values()].map((each) => each.stop()));
      servers.clear();
    },
    resources: {
      [SERVER]: armResource({
        type: "Microsoft.Sql/servers",
        apiVersion: API,
        inputs: [
          "resourceGroupName",
          "serverName",
          "location",
          "tags",
          "version",
          "minimalTlsVersion",
          "publicNetworkAccess",
          "administratorLogin",
          "administratorLoginPassword",
          ...["administratorType", "azureADOnlyAuthentication", "login", "principalType", "sid", "tenantId"].map(
            (name) => `administrators.${name}`,
          ),
        ],
        named: { input: "serverName", maxLength: 63, style: "plain" },
        location: "regional",
        replacedBy: ["administratorLogin"],
        check: checkServer,
        async outputs(inputs, { name, cloud, before }) {
          const { port } = await started(name, cloud, before?.outputs.fullyQualifiedDomainName);
          const {
            administrators,
            administratorLogin,
            version = "12.0",
            minimalTlsVersion = "1.2",
            publicNetworkAccess = "Enabled",
          } = inputs;
          return {
            kind: "v12.0",
            state: "Ready",
            version,
            minimalTlsVersion,
            publicNetworkAccess,
            restrictOutboundNetworkAccess: "Disabled",
            externalGovernanceStatus: "Disabled",
            workspaceFeature: "Disconnected",
            privateEndpointConnections: [],
            fullyQualifiedDomainName: `localhost,${port}`,
            administratorLogin: administratorLogin ?? `CloudSA${Buffer.from(name).toString("hex").slice(0, 8)}`,
            ...(administrators && { administrators }),
          };
        },
        async live(inputs, { name }) {
          const own = server(name);
          const { administrators, administratorLogin: login, administratorLoginPassword: password } = inputs;
          if (administrators) own.administrator = { login: administrators.login, sid: administrators.sid };
          own.entraOnly = administrators?.azureADOnlyAuthentication === true;
          own.sqlAdministrator = login && password ? { login, password } : undefined;
          own.isPublic = inputs.publicNetworkAccess !== "Disabled";
        },
        async deleted({ outputs }) {
          await servers.get(outputs.name)?.stop();
          servers.delete(outputs.name);
        },
      }),

      "azure-native:sql:Database": armResource({
        type: "Microsoft.Sql/servers/databases",
        apiVersion: API,
        inputs: [
          "resourceGroupName",
          "serverName",
          "databaseName",
          "location",
          "tags",
          "sku.name",
          "sku.tier",
          "sku.capacity",
          "sku.family",
          "sku.size",
          "maxSizeBytes",
          "collation",
          "zoneRedundant",
          "requestedBackupStorageRedundancy",
          "autoPauseDelay",
          "minCapacity",
        ],
        named: { input: "databaseName", maxLength: 128, style: "plain" },
        replacedBy: ["serverName", "collation"],
        location: "regional",
        id: ({ resourceGroupName, serverName, databaseName }) =>
          resourceId(resourceGroupName, "Microsoft.Sql/servers/databases", serverName, databaseName),
        check(inputs) {
          const { collation } = inputs;
          if (typeof collation === "string" && collation !== COLLATION) {
            throw new CloudError(
              "InvalidCollation",
              `The collation '${collation}' is not in the embedded cloud: only ${COLLATION} is, for a database; columns may have others.`,
            );
          }
          return inputs;
        },
        outputs(inputs, { cloud, before }) {
          const { sku = { name: "GP_Gen5", tier: "GeneralPurpose", capacity: 2, family: "Gen5" }, maxSizeBytes = BASIC_SIZE } = inputs;
          const current = { ...sku, tier: sku.tier ?? sku.name, capacity: sku.capacity ?? (sku.name === "Basic" ? 5 : undefined) };
          const redundancy = inputs.requestedBackupStorageRedundancy ?? "Geo";
          const created = before?.outputs.creationDate ?? cloud.now().toISOString();
          return {
            kind: "v12.0,user",
            status: "Online",
            sku: current,
            currentSku: current,
            collation: COLLATION,
            catalogCollation: COLLATION,
            maxSizeBytes,
            maxLogSizeBytes: BASIC_SIZE,
            zoneRedundant: inputs.zoneRedundant ?? false,
            databaseId: before?.outputs.databaseId ?? randomUUID(),
            creationDate: created,
            earliestRestoreDate: created,
            currentServiceObjectiveName: sku.name,
            requestedServiceObjectiveName: sku.name,
            currentBackupStorageRedundancy: redundancy,
            requestedBackupStorageRedundancy: redundancy,
            defaultSecondaryLocation: "northeurope",
            failoverGroupId: "",
            managedBy: "",
            pausedDate: "",
            resumedDate: "",
            isInfraEncryptionEnabled: false,
            isLedgerOn: false,
            readScale: "Disabled",
            ...(inputs.autoPauseDelay !== undefined && { autoPauseDelay: inputs.autoPauseDelay }),
            ...(inputs.minCapacity !== undefined && { minCapacity: inputs.minCapacity }),
          };
        },
        async live({ serverName }, { name }) {
          server(serverName).createDatabase(name);
        },
        async deleted({ outputs, inputs }) {
          servers.get(inputs.serverName)?.dropDatabase(outputs.name);
        },
      }),

      "azure-native:sql:FirewallRule": armResource({
        type: "Microsoft.Sql/servers/firewallRules",
        apiVersion: API,
        inputs: ["resourceGroupName", "serverName", "firewallRuleName", "name", "startIpAddress", "endIpAddress"],
        named: { input: "firewallRuleName", maxLength: 128, style: "plain" },
        replacedBy: ["serverName"],
        id: ({ resourceGroupName, serverName, firewallRuleName }) =>
          resourceId(resourceGroupName, "Microsoft.Sql/servers/firewallRules", serverName, firewallRuleName),
        check: checkRule,
        outputs: ({ startIpAddress, endIpAddress }) => ({ startIpAddress, endIpAddress }),
        async live({ serverName, startIpAddress, endIpAddress }, { name }) {
          server(serverName).firewall.set(name, { from: startIpAddress, to: endIpAddress });
        },
        async deleted({ outputs, inputs }) {
          servers.get(inputs.serverName)?.firewall.delete(outputs.name);
        },
      }),

      "azure-native:sql:ServerAzureADAdministrator": armResource({
        type: "Microsoft.Sql/servers/administrators",
        apiVersion: API,
        inputs: ["resourceGroupName", "serverName", "administratorName", "administratorType", "login", "sid", "tenantId"],
        named: { input: "administratorName" },
        replacedBy: ["serverName"],
        id: ({ resourceGroupName, serverName }) =>
          resourceId(resourceGroupName, "Microsoft.Sql/servers/administrators", serverName, "ActiveDirectory"),
        outputs: ({ serverName, login, sid, tenantId = TENANT }) => ({
          administratorType: "ActiveDirectory",
          azureADOnlyAuthentication: server(serverName).entraOnly,
          login,
          sid,
          tenantId,
        }),
        async live({ serverName, login, sid }) {
          server(serverName).administrator = { login, sid };
        },
        async deleted({ inputs }) {
          const own = servers.get(inputs.serverName);
          if (own) own.administrator = undefined;
        },
      }),

      "azure-native:sql:ServerAzureADOnlyAuthentication": armResource({
        type: "Microsoft.Sql/servers/azureADOnlyAuthentications",
        apiVersion: API,
        inputs: ["resourceGroupName", "serverName", "authenticationName", "azureADOnlyAuthentication"],
        named: { input: "authenticationName" },
        replacedBy: ["serverName"],
        id: ({ resourceGroupName, serverName }) =>
          resourceId(resourceGroupName, "Microsoft.Sql/servers/azureADOnlyAuthentications", serverName, "Default"),
        outputs: ({ azureADOnlyAuthentication }) => ({ azureADOnlyAuthentication }),
        async live({ serverName, azureADOnlyAuthentication }) {
          server(serverName).entraOnly = azureADOnlyAuthentication;
        },
        async deleted({ inputs }) {
          const own = servers.get(inputs.serverName);
          if (own) own.entraOnly = false;
        },
      }),
    },
  };
}

function checkServer(inputs: Properties): Properties {
  const { serverName: name, administrators, administratorLogin: login, version, minimalTlsVersion: tls } = inputs;
  if (typeof name === "string" && !/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) {
    throw new CloudError(
      "InvalidServerName",
      `The server name '${name}' is invalid: 1 to 63 lower-case letters, digits and hyphens, none of them at the beginning or end.`,
    );
  }
  if (!administrators && login === undefined) {
    throw new CloudError(
      "InvalidParameterValue",
      "A server needs an administrator: administrators (of Entra ID), or administratorLogin with administratorLoginPassword.",
    );
  }
  if (login !== undefined && inputs.administratorLoginPassword === undefined && !administrators) {
    throw new CloudError("InvalidParameterValue", "administratorLogin needs an administratorLoginPassword.");
  }
  if (administrators?.azureADOnlyAuthentication === true && inputs.administratorLoginPassword !== undefined) {
    throw new CloudError(
      "AadOnlyAuthenticationIsEnabled",
      "administratorLoginPassword cannot be given where azureADOnlyAuthentication is true.",
    );
  }
  if (typeof version === "string" && version !== "12.0")
    throw new CloudError("InvalidParameterValue", `The version '${version}' is not there: only "12.0" is.`);
  if (typeof tls === "string" && !["1.2", "1.3", "None"].includes(tls)) {
    throw new CloudError("UnsupportedTlsVersion", `minimalTlsVersion '${tls}' is not supported any more: "1.2" is the least.`);
  }
  return inputs;
}

function checkRule(inputs: Properties): Properties {
  const { startIpAddress: start, endIpAddress: end } = inputs;
  for (const address of [start, end]) {
    if (typeof address === "string" && !/^\d{1,3}(\.\d{1,3}){3}$/.test(address)) {
      throw new CloudError("InvalidFirewallRuleIpAddress", `'${address}' is no IPv4 address.`);
    }
  }
  return inputs;
}

/** A managed identity of this cloud, or who deploys, by name. */
function identityNamed(name: string, { resources }: Cloud): { objectId: string; clientId: string } | undefined {
  const found = resources.all(USER_ASSIGNED_IDENTITY).find(({ outputs }) => String(outputs.name).toLowerCase() === name.toLowerCase());
  if (found) return { objectId: found.outputs.principalId, clientId: found.outputs.clientId };
  return name === DEPLOYER.name ? DEPLOYER : undefined;
}
