import * as authorization from "@pulumi/azure-native/authorization/index.js";
import * as sql from "@pulumi/azure-native/sql/index.js";
import * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";
import { kept, type StoreOptions, tagged } from "../core/options.js";
import type { Group } from "./group.js";
import { STEPS, TABLE } from "./schema.js";
import { SqlSchema, type SqlSchemaArgs } from "./sql-schema.js";

/** Who administers a database server, by Entra ID. */
export interface SqlAdministrator {
  /** How it is shown. */
  login: pulumi.Input<string>;
  /** The object id of a user or group; the application (client) id of a service principal. */
  sid: pulumi.Input<string>;
  principalType: "User" | "Group" | "Application";
}

/** Options of {@link Records}. */
export interface RecordsArgs extends Group, StoreOptions {
  tags?: Record<string, string> | undefined;
  /** The identities that read and write records. */
  users: readonly { name: pulumi.Input<string>; clientId: pulumi.Input<string> }[];
  /**
   * Who administers the server, from when it is created; whoever deploys has to be it, or a member of it. Later changes are not applied.
   * @default whoever deploys first
   */
  administrator?: SqlAdministrator | undefined;
  /** Changes to the resources underneath. */
  transform?:
    | {
        server?: Transform<sql.ServerArgs>;
        firewall?: Transform<sql.FirewallRuleArgs>;
        database?: Transform<sql.DatabaseArgs>;
        schema?: Transform<SqlSchemaArgs>;
      }
    | undefined;
}

/** The records of all images: the table ImageMetadata in Azure SQL, which knows identities only, no passwords. */
export class Records extends Component<"server" | "firewall" | "database" | "schema"> {
  /** The table's name. */
  readonly table: pulumi.Output<string>;
  /** Host name of the server. */
  readonly server: pulumi.Output<string>;
  readonly port: pulumi.Output<number>;
  readonly database: pulumi.Output<string>;

  /** The resources underneath. */
  readonly nodes: { server: sql.Server; firewall: sql.FirewallRule; database: sql.Database; schema: SqlSchema };

  constructor(name: string, args: RecordsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("azure:Records", name, { children: ["server", "firewall", "database", "schema"], transform: args.transform }, opts);
    const { resourceGroupName } = args;
    const token = tokenFor("https://database.windows.net", this);
    const server = this.createServer(args, token);
    const address = server.fullyQualifiedDomainName.apply(addressOf);
    this.server = address.apply(({ host }) => host);
    this.port = address.apply(({ port }) => port);
    const firewall = this.create(
      "firewall",
      sql.FirewallRule,
      {
        resourceGroupName,
        serverName: server.name,
        firewallRuleName: "AllowAzureServices",
        // Not an address, but Azure's word for its own; whoever comes still needs a token.
        startIpAddress: "0.0.0.0",
        endIpAddress: "0.0.0.0",
      },
      kept(args),
    );
    const database = this.create(
      "database",
      sql.Database,
      {
        resourceGroupName,
        location: args.location,
        serverName: server.name,
        databaseName: "imagemetadata",
        sku: { name: "Basic", tier: "Basic", capacity: 5 },
        ...tagged(args),
      },
      kept(args),
    );
    const schema = this.create(
      "schema",
      SqlSchema,
      {
        server: this.server,
        port: this.port,
        database: database.name,
        token,
        steps: STEPS,
        users: args.users,
        table: TABLE,
        manager: { endpoint: MANAGER, serverId: server.id, token: tokenFor(MANAGER, this) },
      },
      { dependsOn: firewall },
    );
    this.nodes = { server, firewall, database, schema };
    this.database = database.name;
    this.table = schema.id.apply(() => TABLE);
    this.registerOutputs({ table: this.table });
  }

  private createServer(args: RecordsArgs, token: pulumi.Output<string>): sql.Server {
    const { administrator = deployer(token, this) } = args;
    return this.create(
      "server",
      sql.Server,
      {
        resourceGroupName: args.resourceGroupName,
        location: args.location,
        version: "12.0",
        minimalTlsVersion: "1.2",
        publicNetworkAccess: "Enabled",
        administrators: pulumi.output(administrator).apply(({ login, sid, principalType }) => ({
          administratorType: "ActiveDirectory",
          azureADOnlyAuthentication: true,
          principalType,
          login,
          sid,
          tenantId: authorization.getClientConfigOutput({ parent: this }).tenantId,
        })),
        ...tagged(args),
      },
      // Azure takes later changes by another resource only (ServerAzureADAdministrator), which its provider refuses to create where the server has an
      // administrator from the beginning. And another deployer is no reason for one.
      { ...kept(args), ignoreChanges: ["administrators"] },
    );
  }
}

const MANAGER = "https://management.azure.com";

/** A token of whoever deploys, for an endpoint without a slash at its end. */
export function tokenFor(endpoint: string, parent: pulumi.Resource): pulumi.Output<string> {
  return pulumi.secret(authorization.getClientTokenOutput({ endpoint }, { parent }).token);
}

/** A person's token is about what an application may do for them (`scp`); an application's own is not. */
export function deployer(token: pulumi.Output<string>, parent: pulumi.Resource): pulumi.Output<SqlAdministrator> {
  const config = authorization.getClientConfigOutput({ parent });
  const administrator = pulumi.all([token, config]).apply(([token, { clientId, objectId }]) => {
    const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString() || "{}") as Record<string, string>;
    const isApplication = claims.idtyp === "app" || (claims.idtyp === undefined && claims.scp === undefined);
    return isApplication
      ? { login: claims.app_displayname ?? clientId, sid: clientId, principalType: "Application" as const }
      : { login: claims.upn ?? claims.unique_name ?? objectId, sid: objectId, principalType: "User" as const };
  });
  // Of the token, only its holder is told.
  return pulumi.unsecret(administrator) as pulumi.Output<SqlAdministrator>;
}

/** `server.database.windows.net`, or `127.0.0.1,50123`, as SQL Server writes a port that is not its own. */
export function addressOf(name: string): { host: string; port: number } {
  const [host = name, port] = name.split(",");
  return { host, port: port === undefined ? 1433 : Number(port) };
}
