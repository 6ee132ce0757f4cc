import * as authorization from "@pulumi/azure-native/authorization/index.js";
import * as managedidentity from "@pulumi/azure-native/managedidentity/index.js";
import * as resources from "@pulumi/azure-native/resources/index.js";
import * as pulumi from "@pulumi/pulumi";
import type { ImagePipelineArgs as Contract, ImagePipelineOutputs } from "../contract.js";
import { Component, type Transform } from "../core/component.js";
import { kept, tagged } from "../core/options.js";
import { type ValidatedArgs, validated } from "../core/validation.js";
import { Alarms, type AlarmsArgs } from "./alarms.js";
import { ApiKey, type ApiKeyArgs } from "./api-key.js";
import { Arrivals, type ArrivalsArgs } from "./arrivals.js";
import { Email, type EmailArgs } from "./email.js";
import { ExistingContainer } from "./existing-container.js";
import { FunctionApp, type FunctionAppArgs } from "./function-app.js";
import { type Grant, Grants, type GrantsArgs } from "./grants.js";
import type { Group } from "./group.js";
import { KUBERNETES_PARTS, KubernetesHosting, type KubernetesTransform } from "./kubernetes/hosting.js";
import { Identities, type IdentitiesArgs } from "./kubernetes/identities.js";
import type { Compatible, Kubernetes } from "./kubernetes/options.js";
import { Monitoring, type MonitoringArgs } from "./monitoring.js";
import { type Azure, type AzureArgs, azureOptions, DEAD_LETTERS, type Functions, THUMBNAILS } from "./options.js";
import type { Images, Parts } from "./parts.js";
import { Records, type RecordsArgs, tokenFor } from "./records.js";
import { Storage, type StorageTransform } from "./storage.js";
import { Topic, type TopicArgs } from "./topic.js";
import { Vision, type VisionArgs } from "./vision.js";

interface Transforms {
  /** Changes to the resources underneath, by the name of the part and of the resource in it: `{ images: { account: { … } } }`. */
  transform?: {
    group?: Transform<resources.ResourceGroupArgs>;
    images?: StorageTransform<"uploads" | "thumbnails" | "deadLetters">;
    state?: StorageTransform<"packages", "jobs" | "poison" | "parked", "tags">;
    monitoring?: MonitoringArgs["transform"];
    records?: RecordsArgs["transform"];
    topic?: TopicArgs["transform"];
    email?: EmailArgs["transform"];
    vision?: VisionArgs["transform"];
    apiKey?: ApiKeyArgs["transform"];
    arrivals?: ArrivalsArgs["transform"];
    alarms?: AlarmsArgs["transform"];
    /** Of a Function App. */
    identity?: Transform<managedidentity.UserAssignedIdentityArgs>;
    grants?: GrantsArgs<GrantName>["transform"];
    app?: FunctionAppArgs["transform"];
    /** On Kubernetes. */
    identities?: IdentitiesArgs["transform"];
  } & KubernetesTransform;
}

/** What a Function App may do. */
type GrantName =
  | "hostBlobs"
  | "hostQueues"
  | "hostTables"
  | "uploads"
  | "thumbnails"
  | "sign"
  | "announce"
  | "measure"
  | "look"
  | "readKey"
  | "mail";

/** {@link Contract}, and what only Azure has. */
export type ImagePipelineArgs = Contract & AzureArgs & Compatible & Transforms;

const COMMON = ["group", "images", "state", "monitoring", "records", "topic", "email", "vision", "apiKey", "arrivals", "alarms"] as const;
const PARTS = {
  functions: [...COMMON, "identity", "grants", "app"],
  kubernetes: [...COMMON, "identities", ...KUBERNETES_PARTS],
} as const;
type Part = (typeof PARTS)[keyof typeof PARTS][number];

/** What is called the same in every account. */
const QUEUES = { jobs: "jobqueue", poison: "jobqueue-poison", parked: "parked" } as const;

/** What a Function App keeps, and the work that waits for it. */
type AppState = Storage<"packages", keyof typeof QUEUES, "tags">;

/** What runs a pipeline, and what it works on that is made for it. */
interface Host {
  url: pulumi.Output<string>;
  /** Where its pages come from. */
  origin: pulumi.Output<string>;
  /** What callers have to trust, in PEM. */
  certificate?: pulumi.Output<string>;
  workflow: pulumi.Output<string>;
  state: Parts["state"];
  records: Records;
  /** Queues in which no message should ever be put. */
  parkedIn: readonly string[];
  /** The query of the failures that it logs, where that is not a Function App's. */
  failures?: string;
  nodes: FunctionsNodes | KubernetesNodes;
}

interface FunctionsNodes {
  identity: managedidentity.UserAssignedIdentity;
  grants: Grants;
  app: FunctionApp;
  identities?: never;
  kubernetes?: never;
}

interface KubernetesNodes {
  identities: Identities;
  kubernetes: KubernetesHosting;
  identity?: never;
  grants?: never;
  app?: never;
}

/**
 * A complete image pipeline: a container to put images into, a durable workflow that validates, resizes and labels them, records that are found
 * by user, tag, status and time, a topic that tells of results, and an HTTP API with a page. It runs as a Function App, or on a cluster of AKS.
 *
 * @example
 * const photos = new ImagePipeline("photos", { thumbnails: { card: { width: 320, height: 200 } }, notify: { email: "ops@example.org" } });
 * export const url = photos.url;
 * export const apiKey = photos.apiKey;
 *
 * @example
 * const media = new ImagePipeline("media", { azure: { hosting: "kubernetes", replicas: { processor: { min: 1, max: 20 } } } });
 */
export class ImagePipeline extends Component<Part> implements ImagePipelineOutputs {
  readonly url: pulumi.Output<string>;
  readonly apiKey: pulumi.Output<string>;
  readonly uploads: pulumi.Output<string>;
  readonly thumbnails: pulumi.Output<string>;
  readonly topic: pulumi.Output<string>;
  readonly workflow: pulumi.Output<string>;
  readonly records: pulumi.Output<string>;
  readonly deadLetters: pulumi.Output<string>;
  /** What callers of `url` have to trust, in PEM: where a pipeline on Kubernetes vouches for itself. Empty everywhere else. */
  readonly certificate: pulumi.Output<string>;

  /** The parts, each with its own `nodes`: `photos.nodes.state.nodes.account`. */
  readonly nodes: {
    group: resources.ResourceGroup;
    images: Storage<"uploads" | "thumbnails" | "deadLetters"> | ExistingContainer;
    state: Parts["state"];
    monitoring: Monitoring;
    records: Records;
    topic: Topic;
    /** Only for `notify.email`. */
    email?: Email;
    /** Only for `tagger: "cloud"`. */
    vision?: Vision;
    /** Only for `auth: "key"`. */
    apiKey?: ApiKey;
    arrivals: Arrivals;
    alarms: Alarms;
  } & (FunctionsNodes | KubernetesNodes);

  private readonly transform: NonNullable<Transforms["transform"]>;

  /** @param name 1 to 24 lower-case letters, digits and hyphens; all physical names begin with it. */
  constructor(name: string, args: ImagePipelineArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    const settled = validated(name, args, ["azure", "transform"]);
    const azure = azureOptions(name, args, settled);
    super("azure:ImagePipeline", name, { children: PARTS[azure.hosting], transform: args.transform }, opts);
    this.transform = args.transform ?? {};

    const resourceGroup = this.createResourceGroup(settled);
    const group: Group = {
      resourceGroupName: resourceGroup.name,
      groupId: resourceGroup.id,
      location: resourceGroup.location,
      tags: settled.tags,
    };
    const images = this.createImages(settled, azure, group);
    const monitoring = this.createMonitoring(settled, azure, group);
    const topic = this.createTopic(group);
    const email = this.createEmail(settled, group);
    const vision = this.createVision(settled, group);
    const apiKey = this.createApiKey(settled, group);
    const used = { images, topic, email, vision, apiKey };
    const host =
      azure.hosting === "kubernetes"
        ? this.onKubernetes(settled, azure, group, used, monitoring)
        : this.onFunctions(settled, azure, group, used, monitoring);
    const { state, records } = host;
    const arrivals = this.createArrivals(azure, group, images, state);
    const alarms = this.createAlarms(settled, group, monitoring, host, arrivals);
    images.part.openTo([host.origin, ...settled.origins]);

    this.nodes = {
      group: resourceGroup,
      images: images.part,
      state,
      monitoring,
      records,
      topic,
      ...(email && { email }),
      ...(vision && { vision }),
      ...(apiKey && { apiKey }),
      ...host.nodes,
      arrivals,
      alarms,
    };
    this.url = host.url;
    this.apiKey = apiKey?.value ?? pulumi.secret("");
    this.certificate = host.certificate ?? pulumi.output("");
    this.uploads = images.uploads.name;
    this.thumbnails = images.thumbnails.name;
    this.topic = topic.endpoint;
    this.workflow = host.workflow;
    this.records = records.table;
    this.deadLetters = pulumi.interpolate`${state.endpoints.queue}${state.nodes.queues.parked.name}`;
    this.registerOutputs({ url: this.url, apiKey: this.apiKey });
  }

  /** A Function App with one identity; queues, tags, and what its host keeps lie in one account. */
  private onFunctions(settled: ValidatedArgs, azure: Azure & Functions, group: Group, used: Used, monitoring: Monitoring): Host {
    const identity = this.createIdentity(group);
    const state = this.createState(settled, group, { packages: "packages" }, QUEUES);
    const records = this.createRecords(settled, azure, group, [identity]);
    const parts = { ...used, state, records };
    const grants = this.createGrants(identity, parts, monitoring);
    const app = this.createApp(settled, azure, group, identity, parts, monitoring, grants);
    const { url, origin, appName: workflow } = app;
    const parkedIn = [QUEUES.poison, QUEUES.parked];
    return { url, origin, workflow, state, records, parkedIn, nodes: { identity, grants, app } };
  }

  /** A cluster, in which each program has an identity of its own. */
  private onKubernetes(settled: ValidatedArgs, azure: Azure & Kubernetes, group: Group, used: Used, monitoring: Monitoring): Host {
    const { identities: transform } = this.transform;
    const identities = new Identities(`${this.name}-identities`, { ...group, transform }, this.child());
    const { uploader, processor } = identities.nodes;
    const { jobs, parked } = QUEUES;
    const state = this.createState(settled, group, undefined, { jobs, parked });
    const records = this.createRecords(settled, azure, group, [uploader, processor]);
    const parts = { ...used, state, records };
    const kubernetes = new KubernetesHosting(
      this.name,
      { group, settled, options: azure, parts, workspaceId: monitoring.workspaceId, identities, transform: this.transform },
      this.child(),
    );
    const { url, certificate, workflow } = kubernetes;
    const failures = `ContainerLogV2 | where PodNamespace == "${azure.namespace}" and LogLevel has "error"`;
    const watched = { parkedIn: [parked], failures };
    return { url, origin: url, certificate, workflow, state, records, ...watched, nodes: { identities, kubernetes } };
  }

  private createResourceGroup(settled: ValidatedArgs): resources.ResourceGroup {
    const location = new pulumi.Config("azure-native").get("location");
    return this.create("group", resources.ResourceGroup, { ...(location && { location }), ...tagged(settled) }, kept(settled));
  }

  private createIdentity(group: Group): managedidentity.UserAssignedIdentity {
    return this.create("identity", managedidentity.UserAssignedIdentity, {
      resourceGroupName: group.resourceGroupName,
      location: group.location,
      ...tagged(group),
    });
  }

  /** Pictures, and nothing else: what may read them may not thereby read the host's state. */
  private createImages({ existing, removal, recovery }: ValidatedArgs, azure: Azure, group: Group): Images {
    const { container, source } = azure;
    const name = `${this.name}-images`;
    const thumbnails = azure.hosting === "kubernetes" ? azure.processed : THUMBNAILS;
    if (existing !== undefined && source) {
      const { resourceGroup: resourceGroupName } = source;
      const { images: transform } = this.transform;
      const args = { source: existing, resourceGroupName, groupId: group.groupId, removal, transform };
      const part = new ExistingContainer(name, args, this.child());
      return { part, ...part.containers, accountId: part.accountId, location: part.location, url: part.endpoints.blob };
    }
    const part = new Storage(
      name,
      {
        ...group,
        containers: { uploads: container, thumbnails, deadLetters: DEAD_LETTERS },
        // What labels were found in is looked at once.
        expire: { [`${thumbnails}/labels/`]: 1 },
        removal,
        recovery,
        transform: this.transform.images,
      },
      this.child(),
    );
    return { part, ...part.nodes.containers, accountId: part.accountId, location: part.location, url: part.endpoints.blob };
  }

  /** The work that waits, tags, and in containers what the host keeps. */
  private createState<Containers extends string, Queues extends string>(
    { removal }: ValidatedArgs,
    group: Group,
    containers: Record<Containers, string> | undefined,
    queues: Record<Queues, string>,
  ): Storage<Containers, Queues, "tags"> {
    const { state: transform } = this.transform;
    return new Storage<Containers, Queues, "tags">(
      `${this.name}-state`,
      { ...group, ...(containers && { containers }), queues, tables: { tags: "ImageTags" }, removal, transform },
      this.child(),
    );
  }

  private createMonitoring({ logRetention }: ValidatedArgs, { hosting }: Azure, group: Group): Monitoring {
    const { monitoring: transform } = this.transform;
    return new Monitoring(`${this.name}-monitoring`, { ...group, logRetention, of: hosting, transform }, this.child());
  }

  private createRecords(
    { removal }: ValidatedArgs,
    { sqlAdministrator: administrator }: Azure,
    group: Group,
    identities: readonly managedidentity.UserAssignedIdentity[],
  ): Records {
    const users = identities.map(({ name, clientId }) => ({ name, clientId }));
    return new Records(
      `${this.name}-records`,
      { ...group, users, administrator, removal, transform: this.transform.records },
      this.child(),
    );
  }

  private createTopic(group: Group): Topic {
    return new Topic(`${this.name}-results`, { ...group, transform: this.transform.topic }, this.child());
  }

  private createEmail({ email }: ValidatedArgs, group: Group): Email | undefined {
    return email === undefined ? undefined : new Email(`${this.name}-email`, { ...group, transform: this.transform.email }, this.child());
  }

  private createVision({ settings }: ValidatedArgs, group: Group): Vision | undefined {
    if (settings.tagger !== "cloud") return undefined;
    return new Vision(`${this.name}-vision`, { ...group, transform: this.transform.vision }, this.child());
  }

  private createApiKey({ settings, apiKey: value, removal, recovery }: ValidatedArgs, group: Group): ApiKey | undefined {
    if (settings.auth.kind !== "key") return undefined;
    const { tenantId } = authorization.getClientConfigOutput({ parent: this });
    const { apiKey: transform } = this.transform;
    return new ApiKey(`${this.name}-api-key`, { ...group, tenantId, value, removal, recovery, transform }, this.child());
  }

  private createGrants({ principalId }: managedidentity.UserAssignedIdentity, parts: Parts, monitoring: Monitoring): Grants {
    const { images, state, topic, vision, apiKey, email } = parts;
    const may: Record<string, Grant> & Partial<Record<GrantName, Grant>> = {
      // The host makes containers, queues and tables of its own: it needs all of the account.
      hostBlobs: { role: "Storage Blob Data Owner", scope: state.accountId },
      hostQueues: { role: "Storage Queue Data Contributor", scope: state.accountId },
      hostTables: { role: "Storage Table Data Contributor", scope: state.accountId },
      uploads: { role: "Storage Blob Data Contributor", scope: images.uploads.id },
      thumbnails: { role: "Storage Blob Data Contributor", scope: images.thumbnails.id },
      // Tickets and links are signed with a key of the account that is good for what the identity may do itself.
      sign: { role: "Storage Blob Delegator", scope: images.accountId },
      announce: { role: "EventGrid Data Sender", scope: topic.id },
      measure: { role: "Monitoring Metrics Publisher", scope: monitoring.insightsId },
      ...(vision && { look: { role: "Cognitive Services User", scope: vision.id } }),
      ...(apiKey && { readKey: { role: "Key Vault Secrets User", scope: apiKey.secretId } }),
      // Azure has no lesser role that sends mail by identity; it is of this one service, and only where there is somebody to write to.
      ...(email && { mail: { role: "Communication and Email Service Owner", scope: email.id } }),
    };
    return new Grants<string>(`${this.name}-may`, { principal: principalId, may, transform: this.transform.grants }, this.child());
  }

  private createApp(
    { settings, taggerModule, email: recipient }: ValidatedArgs,
    { alwaysReady, maximumInstances }: Functions,
    group: Group,
    { id, clientId }: managedidentity.UserAssignedIdentity,
    { images, state, records, topic, email, vision, apiKey }: Parts & { state: AppState },
    monitoring: Monitoring,
    grants: Grants,
  ): FunctionApp {
    const { queues, tables, containers } = state.nodes;
    return new FunctionApp(
      `${this.name}-app`,
      {
        ...group,
        entry: taggerModule ? "functions/azure/app-module.ts" : "functions/azure/app.ts",
        ...(taggerModule && { modules: { "virtual:tagger": taggerModule } }),
        identity: { id, clientId },
        host: { account: state.account, endpoints: state.endpoints, container: containers.packages.name },
        insights: { connectionString: monitoring.connectionString },
        settings: {
          PIPELINE_SETTINGS: JSON.stringify(settings),
          STORAGE_BLOB_URL: images.url,
          STORAGE_QUEUE_URL: state.endpoints.queue,
          STORAGE_TABLE_URL: state.endpoints.table,
          UPLOADS_CONTAINER: images.uploads.name,
          THUMBNAILS_CONTAINER: images.thumbnails.name,
          JOB_QUEUE: queues.jobs.name,
          DEAD_LETTER_QUEUE: queues.parked.name,
          TAGS_TABLE: tables.tags.name,
          SQL_SERVER: records.server,
          SQL_PORT: records.port.apply(String),
          SQL_DATABASE: records.database,
          TOPIC_ENDPOINT: topic.endpoint,
          ...(vision && { VISION_ENDPOINT: vision.endpoint }),
          ...(apiKey && { API_KEY_SECRET_URI: apiKey.secretUri }),
          ...(email &&
            recipient !== undefined && { EMAIL_ENDPOINT: email.endpoint, EMAIL_SENDER: email.sender, EMAIL_RECIPIENT: recipient }),
        },
        alwaysReady,
        maximumInstances,
        token: tokenFor("https://management.azure.com", this),
        transform: this.transform.app,
      },
      { ...this.child(), after: [...grants.all, records.nodes.schema] },
    );
  }

  private createArrivals({ source }: Azure, group: Group, images: Images, state: Parts["state"]): Arrivals {
    const { jobs } = state.nodes.queues;
    return new Arrivals(
      `${this.name}-arrivals`,
      {
        ...group,
        source: { accountId: images.accountId, location: images.location },
        container: images.uploads.name,
        ...(source?.systemTopic !== undefined && {
          systemTopic: { name: source.systemTopic, resourceGroupName: source.resourceGroup },
        }),
        queue: { accountId: state.accountId, name: jobs.name, id: jobs.id },
        deadLetters: { accountId: images.accountId, name: images.deadLetters.name, id: images.deadLetters.id },
        transform: this.transform.arrivals,
      },
      this.child(),
    );
  }

  private createAlarms({ email }: ValidatedArgs, group: Group, monitoring: Monitoring, host: Host, arrivals: Arrivals): Alarms {
    return new Alarms(
      `${this.name}-alarm`,
      {
        ...group,
        email,
        workspaceId: monitoring.workspaceId,
        topicId: arrivals.topicId,
        queuesOf: host.state.accountId,
        parkedIn: host.parkedIn,
        failures: host.failures,
        transform: this.transform.alarms,
      },
      this.child(),
    );
  }
}

/** What a pipeline works on, but for what is made for its host. */
type Used = Omit<Parts, "state" | "records">;
