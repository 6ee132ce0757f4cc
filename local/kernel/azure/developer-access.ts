import { XMLParser } from "fast-xml-parser";
import type { Cloud } from "../cloud.js";
import type { EmbeddedCloud } from "../embedded-cloud.js";
import type { HttpResponse } from "../http.js";
import type { Properties, Resource } from "../service.js";
import { DEVELOPER, nameIn } from "./arm.js";
import { identity } from "./authority.js";
import { serverCertificate } from "./certificates.js";
import { issueToken } from "./tokens.js";

/** Something in a storage account, and its address. */
export interface Store {
  account: string;
  /** `"images-input"` */
  name: string;
  url: string;
}

/** With what a person looks into the data of an embedded Azure, by the clients that they would use on Azure. Tokens and signatures last seven days. */
export interface DeveloperAccess {
  /** Every declared database; the string is for `sql.connect(…)` of mssql, as the server's declared administrator of Entra ID. */
  databases: { server: string; name: string; connectionString: string }[];
  /** Every declared container. The URL carries a user delegation SAS to read, list, write and delete, by plain HTTP: `new ContainerClient(url)`. */
  containers: Store[];
  /** Every declared queue: `new QueueClient(url, credential)` with {@link storageToken} and {@link authority}. */
  queues: Store[];
  /** Every declared table: the URL is the account's, as `new TableClient(url, name, credential)` takes it. */
  tables: Store[];
  /** Every function app, with where the client API of Durable Functions lists its orchestrations: GET tells their status. */
  apps: { name: string; orchestrations: string }[];
  /** A bearer token for `https://storage.azure.com`. SDKs send it by HTTPS only. */
  storageToken: string;
  /** Path of the certificate (PEM) that callers of the HTTPS addresses have to trust: `NODE_EXTRA_CA_CERTS`. */
  authority: string;
}

/** Seconds: what a user delegation key lives at most. */
const LIFETIME = 7 * 86_400;
const DATABASE = "https://database.windows.net/";

/**
 * Credentials of the person whose subscription the embedded Azure is: who owns it, and has the data roles of storage at it. Nothing that a program
 * deploys runs as this person.
 */
export async function developerAccess(cloud: EmbeddedCloud): Promise<DeveloperAccess> {
  const { authority } = await serverCertificate(cloud.folder);
  const accounts = new Map(
    cloud.resources.all("azure-native:storage:StorageAccount").map(({ outputs }) => [String(outputs.name), outputs]),
  );
  const declared = (type: string, service: "blob" | "queue" | "table") =>
    cloud.resources.all(type).flatMap(({ id, outputs: { name } }) => {
      const account = nameIn(id, "storageAccounts") ?? "";
      const url: string | undefined = accounts.get(account)?.primaryEndpoints?.[service];
      return url === undefined ? [] : [{ account, name: String(name), url }];
    });
  const containers = declared("azure-native:storage:BlobContainer", "blob");
  const sign = await signer(cloud, [...new Set(containers.map(({ account }) => account))]);
  return {
    databases: await databases(cloud),
    containers: containers.map((each) => ({ ...each, url: `${plain(each.url)}${each.name}?${sign(each)}` })),
    queues: declared("azure-native:storage:Queue", "queue").map((each) => ({ ...each, url: `${each.url}${each.name}` })),
    tables: declared("azure-native:storage:Table", "table").map((each) => ({ ...each, url: each.url.replace(/\/$/, "") })),
    apps: await apps(cloud),
    storageToken: await issueToken(cloud, { ...DEVELOPER, audience: "https://storage.azure.com", lifetime: LIFETIME }),
    authority,
  };
}

/** The same port answers what is signed by plain HTTP too, so that nobody has to trust a certificate for it. */
const plain = (url: string) => url.replace(/^https:/, "http:");

async function apps(cloud: EmbeddedCloud): Promise<DeveloperAccess["apps"]> {
  const list = "azure-native:web:listWebAppHostKeys";
  const keysOf = cloud.services.find(({ functions }) => functions?.[list])?.functions?.[list];
  const found = cloud.resources.all("azure-native:web:WebApp").map(async ({ outputs: { name, defaultHostName } }) => {
    const { systemKeys } = (await keysOf?.({ name }, cloud)) ?? {};
    const code = encodeURIComponent(systemKeys?.durabletask_extension ?? "");
    return { name: String(name), orchestrations: `http://${defaultHostName}/runtime/webhooks/durabletask/instances?code=${code}` };
  });
  return Promise.all(found);
}

async function databases(cloud: Cloud): Promise<DeveloperAccess["databases"]> {
  const servers = cloud.resources.all("azure-native:sql:Server");
  const found = cloud.resources.all("azure-native:sql:Database").map(async ({ id, outputs: { name } }) => {
    const server = servers.find((each) => each.outputs.name === nameIn(id, "servers"));
    const administrator = server && administratorOf(server, cloud);
    if (!server || !administrator) return [];
    const { sid, login } = administrator;
    const token = await issueToken(cloud, { objectId: sid, clientId: sid, name: login, audience: DATABASE, lifetime: LIFETIME });
    const connectionString = [
      ...[`Server=${server.outputs.fullyQualifiedDomainName}`, `Database=${name}`, "Encrypt=true", "TrustServerCertificate=true"],
      ...["Authentication=Active Directory Integrated", `token=${token}`],
    ].join(";");
    return [{ server: String(server.outputs.name), name: String(name), connectionString }];
  });
  return (await Promise.all(found)).flat();
}

function administratorOf(server: Resource, { resources }: Cloud): Properties | undefined {
  const apart = resources
    .all("azure-native:sql:ServerAzureADAdministrator")
    .find(({ id }) => id.toLowerCase().startsWith(`${server.id}/`.toLowerCase()));
  return apart?.outputs ?? server.outputs.administrators;
}

/** Signs for containers of these accounts, each with a key that the account gives to the developer. */
async function signer(cloud: Cloud, accounts: readonly string[]): Promise<(container: Store) => string> {
  // Asked for only here: it is large.
  const { ContainerSASPermissions, generateBlobSASQueryParameters } = await import("@azure/storage-blob");
  const startsOn = new Date(cloud.now().getTime() - 60_000);
  const expiresOn = new Date(cloud.now().getTime() + LIFETIME * 1_000);
  const keys = new Map(
    await Promise.all(accounts.map(async (account) => [account, await delegationKey(cloud, account, startsOn, expiresOn)] as const)),
  );
  return ({ account, name }) => {
    const values = { containerName: name, permissions: ContainerSASPermissions.parse("rcwdl"), startsOn, expiresOn };
    return generateBlobSASQueryParameters(values, keys.get(account) as DelegationKey, account).toString();
  };
}

type DelegationKey = Awaited<ReturnType<import("@azure/storage-blob").BlobServiceClient["getUserDelegationKey"]>>;

async function delegationKey(cloud: Cloud, account: string, from: Date, until: Date): Promise<DelegationKey> {
  const body = `<KeyInfo><Start>${from.toISOString()}</Start><Expiry>${until.toISOString()}</Expiry></KeyInfo>`;
  const { response } = (await cloud.call({
    service: "storage",
    operation: "GetUserDelegationKey",
    input: {
      call: { operation: "GetUserDelegationKey", store: "blob", account },
      request: { method: "POST", headers: { "x-ms-version": "2021-10-04" }, url: new URL(cloud.url), body: Buffer.from(body) },
    },
    as: identity(DEVELOPER.objectId, DEVELOPER.name),
  })) as { response: HttpResponse };
  const { UserDelegationKey: key } = new XMLParser({ parseTagValue: false }).parse(String(response.body));
  return {
    signedObjectId: key.SignedOid,
    signedTenantId: key.SignedTid,
    signedStartsOn: new Date(key.SignedStart),
    signedExpiresOn: new Date(key.SignedExpiry),
    signedService: key.SignedService,
    signedVersion: key.SignedVersion,
    value: key.Value,
  } as DelegationKey;
}
