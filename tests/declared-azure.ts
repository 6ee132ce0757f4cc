/** The subscription of everything that is declared on Azure here, and who deploys. */
export const SUBSCRIPTION = "11111111-2222-4333-8444-555555555555";
export const DEPLOYER = {
  clientId: "aaaaaaaa-0000-4000-8000-000000000001",
  objectId: "aaaaaaaa-0000-4000-8000-000000000002",
  subscriptionId: SUBSCRIPTION,
  tenantId: "aaaaaaaa-0000-4000-8000-000000000003",
};

/** A token as Entra ID gives it to an application, but for its signature. */
export const TOKEN = `e30.${Buffer.from(JSON.stringify({ idtyp: "app", app_displayname: "deployer" })).toString("base64url")}.sig`;

/** Identities of a pipeline on Kubernetes. */
const WORKERS: Readonly<Record<string, { principalId: string; clientId: string }>> = {
  "photos-identities-uploader": { principalId: "cccccccc-0000-4000-8000-000000000011", clientId: "cccccccc-0000-4000-8000-000000000012" },
  "photos-identities-processor": { principalId: "cccccccc-0000-4000-8000-000000000021", clientId: "cccccccc-0000-4000-8000-000000000022" },
  "photos-identities-scaler": { principalId: "cccccccc-0000-4000-8000-000000000031", clientId: "cccccccc-0000-4000-8000-000000000032" },
};

/** A cluster's kubeconfig as Azure gives it where Entra ID signs in: by a device code. */
const KUBECONFIG = `apiVersion: v1
kind: Config
clusters:
- name: photos-cluster-cluster
  cluster: {server: "https://photos-cluster.hcp.westeurope.azmk8s.io:443", certificate-authority-data: Q0E=}
contexts:
- name: photos-cluster-cluster
  context: {cluster: photos-cluster-cluster, user: clusterUser_photos}
current-context: photos-cluster-cluster
users:
- name: clusterUser_photos
  user: {exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: kubelogin, args: [get-token, --login, devicecode]}}
`;

export const FUNCTIONS: Record<string, Record<string, unknown>> = {
  "azure-native:authorization:getClientConfig": DEPLOYER,
  "azure-native:authorization:getClientToken": { token: TOKEN },
  "azure-native:containerservice:listManagedClusterUserCredentials": { kubeconfigs: [{ name: "clusterUser", value: btoa(KUBECONFIG) }] },
};

/** Input that names a resource → its type in Resource Manager, below the group or the resource that it belongs to. */
const NAMED: Readonly<Record<string, { name: string; type: string; within?: [input: string, type: string] }>> = {
  "storage:StorageAccount": { name: "accountName", type: "Microsoft.Storage/storageAccounts" },
  "storage:BlobContainer": {
    name: "containerName",
    type: "blobServices/default/containers",
    within: ["accountName", "Microsoft.Storage/storageAccounts"],
  },
  "storage:Queue": {
    name: "queueName",
    type: "queueServices/default/queues",
    within: ["accountName", "Microsoft.Storage/storageAccounts"],
  },
  "storage:Table": {
    name: "tableName",
    type: "tableServices/default/tables",
    within: ["accountName", "Microsoft.Storage/storageAccounts"],
  },
  "managedidentity:UserAssignedIdentity": { name: "resourceName", type: "Microsoft.ManagedIdentity/userAssignedIdentities" },
  "eventgrid:Topic": { name: "topicName", type: "Microsoft.EventGrid/topics" },
  "eventgrid:SystemTopic": { name: "systemTopicName", type: "Microsoft.EventGrid/systemTopics" },
  "sql:Server": { name: "serverName", type: "Microsoft.Sql/servers" },
  "sql:Database": { name: "databaseName", type: "databases", within: ["serverName", "Microsoft.Sql/servers"] },
  "web:AppServicePlan": { name: "name", type: "Microsoft.Web/serverfarms" },
  "web:WebApp": { name: "name", type: "Microsoft.Web/sites" },
  "operationalinsights:Workspace": { name: "workspaceName", type: "Microsoft.OperationalInsights/workspaces" },
  "applicationinsights:Component": { name: "resourceName", type: "Microsoft.Insights/components" },
  "monitor:ActionGroup": { name: "actionGroupName", type: "Microsoft.Insights/actionGroups" },
  "cognitiveservices:Account": { name: "accountName", type: "Microsoft.CognitiveServices/accounts" },
  "keyvault:Vault": { name: "vaultName", type: "Microsoft.KeyVault/vaults" },
  "keyvault:Secret": { name: "secretName", type: "secrets", within: ["vaultName", "Microsoft.KeyVault/vaults"] },
  "containerregistry:Registry": { name: "registryName", type: "Microsoft.ContainerRegistry/registries" },
  "containerservice:ManagedCluster": { name: "resourceName", type: "Microsoft.ContainerService/managedClusters" },
  "monitor:DataCollectionRule": { name: "dataCollectionRuleName", type: "Microsoft.Insights/dataCollectionRules" },
  "communication:EmailService": { name: "emailServiceName", type: "Microsoft.Communication/emailServices" },
  "communication:Domain": { name: "domainName", type: "domains", within: ["emailServiceName", "Microsoft.Communication/emailServices"] },
  "communication:CommunicationService": { name: "communicationServiceName", type: "Microsoft.Communication/communicationServices" },
};

/** The id that Resource Manager would give, `undefined` for what nothing here refers to. */
export function idOf(token: string, logical: string, inputs: Record<string, any>): string | undefined {
  const kind = token.replace("azure-native:", "");
  if (kind === "resources:ResourceGroup") return `/subscriptions/${SUBSCRIPTION}/resourceGroups/${inputs.resourceGroupName ?? logical}`;
  const named = NAMED[kind];
  if (!named) return undefined;
  const group = `/subscriptions/${SUBSCRIPTION}/resourceGroups/${inputs.resourceGroupName}/providers`;
  const above = named.within ? `${named.within[1]}/${inputs[named.within[0]]}/` : "";
  return `${group}/${above}${named.type}/${inputs[named.name] ?? logical}`;
}

/** What Azure would add. */
export function outputs(token: string, logical: string, inputs: Record<string, any>): Record<string, unknown> {
  const name = idOf(token, logical, inputs)?.split("/").at(-1) ?? logical;
  switch (token.replace("azure-native:", "")) {
    case "resources:ResourceGroup":
      return { name, location: "westeurope" };
    case "storage:StorageAccount": {
      const at = (service: string) => `https://${name}.${service}.core.windows.net/`;
      return { name, location: "westeurope", primaryEndpoints: { blob: at("blob"), queue: at("queue"), table: at("table") } };
    }
    case "managedidentity:UserAssignedIdentity":
      return {
        name,
        ...(WORKERS[name] ?? { principalId: "bbbbbbbb-0000-4000-8000-000000000001", clientId: "bbbbbbbb-0000-4000-8000-000000000002" }),
      };
    case "containerregistry:Registry":
      return { name, loginServer: `${name}.azurecr.io` };
    case "containerservice:ManagedCluster":
      return {
        name,
        oidcIssuerProfile: { ...inputs.oidcIssuerProfile, issuerURL: "https://westeurope.oic.prod-aks.azure.com/photos/" },
        identityProfile: { kubeletidentity: { objectId: "bbbbbbbb-0000-4000-8000-000000000005" } },
      };
    case "eventgrid:SystemTopic":
      return { name, identity: { ...inputs.identity, principalId: "bbbbbbbb-0000-4000-8000-000000000003" } };
    case "eventgrid:Topic":
      return { name, endpoint: `https://${name}.westeurope-1.eventgrid.azure.net/api/events` };
    case "sql:Server":
      return { name, fullyQualifiedDomainName: `${name}.database.windows.net` };
    case "web:WebApp":
      return {
        name,
        defaultHostName: `${name}.azurewebsites.net`,
        hostNameSslStates: [
          { name: `${name}.azurewebsites.net`, hostType: "Standard" },
          { name: `${name}.scm.azurewebsites.net`, hostType: "Repository" },
        ],
      };
    case "applicationinsights:Component":
      return { name, connectionString: "InstrumentationKey=bbbbbbbb-0000-4000-8000-000000000004" };
    case "cognitiveservices:Account":
      return {
        name,
        properties: { ...inputs.properties, endpoint: `https://${inputs.properties.customSubDomainName}.cognitiveservices.azure.com/` },
      };
    case "keyvault:Vault":
      return { name, properties: { ...inputs.properties, vaultUri: `https://${name}.vault.azure.net/` } };
    case "communication:Domain":
      return { name, fromSenderDomain: "0a1b2c3d.azurecomm.net" };
    case "communication:CommunicationService":
      return { name, hostName: `${name}.europe.communication.azure.com` };
    default:
      return { name };
  }
}
