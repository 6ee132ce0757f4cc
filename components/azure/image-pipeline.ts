import * as authorization from "@pulumi/azure-native/authorization/index.js";
import * as managedidentity from "@pulumi/azure-native/managedidentity/index.js";
import * as resources from "@pulumi/azure-native/resources/index.js";
import * as pulumi from "@pulumi/pulumi";
import type { ImagePipelineArgs as Contract, ImagePipelineOutputs } from "../contract.js";
import { Component, type Transform } from "../core/component.js";
import { InvalidArgument } from "../core/errors.js";
import { kept, tagged } from "../core/options.js";
import { type ValidatedArgs, validated } from "../core/validation.js";
import { Alarms, type AlarmsArgs } from "./alarms.js";
import { ApiKey, type ApiKeyArgs } from "./api-key.js";
import { Arrivals, type ArrivalsArgs } from "./arrivals.js";
import { Email, type EmailArgs } from "./email.js";
import { checkSource, ExistingContainer } from "./existing-container.js";
import { FunctionApp, type FunctionAppArgs } from "./function-app.js";
import { type Grant, Grants, type GrantsArgs } from "./grants.js";
import type { Group } from "./group.js";
import { Monitoring, type MonitoringArgs } from "./monitoring.js";
import { Records, type RecordsArgs, type SqlAdministrator, tokenFor } from "./records.js";
import { Storage, type StorageTransform } from "./storage.js";
import { Topic, type TopicArgs } from "./topic.js";
import { Vision, type VisionArgs } from "./vision.js";

/** What only Azure can be asked for. */
interface AzureOptions {
  /**
   * Instances of the app that always run, 0 to 20, so that orchestrations begin at once; they cost money while they wait.
   * @default 1
   */
  alwaysReady?: number;

  /**
   * Who administers the database server; whoever deploys has to be it, or a member of it.
   * @default whoever deploys first
   */
  sqlAdministrator?: SqlAdministrator;
}

/** A container of our own. */
interface CreatedOptions extends AzureOptions {
  /**
   * Its name: 3 to 63 lower-case letters, digits and single hyphens.
   * @default "images-input"
   */
  container?: string;

  source?: never;
}

/** A container that is there: `source: { existing: "account/container" }`. */
interface AdoptedOptions extends AzureOptions {
  container?: never;

  source: {
    /** The resource group of its account. */
    resourceGroup: pulumi.Input<string>;
    /** The account's system topic, in the same group, if it has one: there can be no second one. */
    systemTopic?: pulumi.Input<string>;
  };
}

type Source = { source?: never; azure?: CreatedOptions } | { source: { existing: pulumi.Input<string> }; azure: AdoptedOptions };

interface Transforms {
  /** Changes to the resources underneath, by the name of the part and of the resource in it: `{ images: { account: { … } } }`. */
  transform?: {
    group?: Transform<resources.ResourceGroupArgs>;
    identity?: Transform<managedidentity.UserAssignedIdentityArgs>;
    images?: StorageTransform<"uploads" | "thumbnails" | "deadLetters">;
    state?: StorageTransform<"packages", "jobs" | "poison" | "parked", "tags">;
    monitoring?: MonitoringArgs["transform"];
    records?: RecordsArgs["transform"];
    topic?: TopicArgs["transform"];
    email?: EmailArgs["transform"];
    vision?: VisionArgs["transform"];
    apiKey?: ApiKeyArgs["transform"];
    grants?: GrantsArgs<GrantName>["transform"];
    app?: FunctionAppArgs["transform"];
    arrivals?: ArrivalsArgs["transform"];
    alarms?: AlarmsArgs["transform"];
  };
}

/** What the app may do. */
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
export type ImagePipelineArgs = Contract & Source & Transforms;

const PARTS = [
  "group",
  "identity",
  "images",
  "state",
  "monitoring",
  "records",
  "topic",
  "email",
  "vision",
  "apiKey",
  "grants",
  "app",
  "arrivals",
  "alarms",
] as const;
type Part = (typeof PARTS)[number];

/** What is called the same in every account. */
const QUEUES = { jobs: "jobqueue", poison: "jobqueue-poison", parked: "parked" } as const;

type State = Storage<"packages", keyof typeof QUEUES, "tags">;

/**
 * A complete image pipeline: a container to put images into, a durable workflow that validates, resizes and labels them, records that are found
 * by user, tag, status and time, a topic that tells of results, and an HTTP API with a page.
 *
 * @example
 * const photos = new ImagePipeline("photos", { thumbnails: { card: { width: 320, height: 200 } }, notify: { email: "ops@example.org" } });
 * export const url = photos.url;
 * export const apiKey = photos.apiKey;
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

  /** The parts, each with its own `nodes`: `photos.nodes.state.nodes.account`. */
  readonly nodes: {
    group: resources.ResourceGroup;
    identity: managedidentity.UserAssignedIdentity;
    images: Storage<"uploads" | "thumbnails" | "deadLetters"> | ExistingContainer;
    state: State;
    monitoring: Monitoring;
    records: Records;
    topic: Topic;
    /** Only for `notify.email`. */
    email?: Email;
    /** Only for `tagger: "cloud"`. */
    vision?: Vision;
    /** Only for `auth: "key"`. */
    apiKey?: ApiKey;
    grants: Grants;
    app: FunctionApp;
    arrivals: Arrivals;
    alarms: Alarms;
  };

  private readonly transform: NonNullable<Transforms["transform"]>;

  /** @param name 1 to 24 lower-case letters, digits and hyphens; all physical names begin with it. */
  constructor(name: string, args: ImagePipelineArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    const settled = validated(name, args, ["azure", "transform"]);
    const azure = azureOptions(name, args);
    super("azure:ImagePipeline", name, { children: PARTS, transform: args.transform }, opts);
    this.transform = args.transform ?? {};

    const resourceGroup = this.createResourceGroup(settled);
    const group: Group = {
      resourceGroupName: resourceGroup.name,
      groupId: resourceGroup.id,
      location: resourceGroup.location,
      tags: settled.tags,
    };
    const identity = this.createIdentity(group);
    const images = this.createImages(settled, azure, group);
    const state = this.createState(settled, group);
    const monitoring = this.createMonitoring(settled, group);
    const records = this.createRecords(settled, azure, group, identity);
    const topic = this.createTopic(group);
    const email = this.createEmail(settled, group);
    const vision = this.createVision(settled, group);
    const apiKey = this.createApiKey(settled, group);
    const used = { images, state, monitoring, records, topic, email, vision, apiKey };
    const grants = this.createGrants(identity, used);
    const app = this.createApp(settled, azure, group, identity, used, grants);
    const arrivals = this.createArrivals(azure, group, images, state);
    const alarms = this.createAlarms(settled, group, monitoring, state, arrivals);
    images.part.openTo([app.origin, ...settled.origins]);

    this.nodes = {
      group: resourceGroup,
      identity,
      images: images.part,
      state,
      monitoring,
      records,
      topic,
      ...(email && { email }),
      ...(vision && { vision }),
      ...(apiKey && { apiKey }),
      grants,
      app,
      arrivals,
      alarms,
    };
    this.url = app.url;
    this.apiKey = apiKey?.value ?? pulumi.secret("");
    this.uploads = images.uploads.name;
    this.thumbnails = images.thumbnails.name;
    this.topic = topic.endpoint;
    this.workflow = app.appName;
    this.records = records.table;
    this.deadLetters = pulumi.interpolate`${state.endpoints.queue}${state.nodes.queues.parked.name}`;
    this.registerOutputs({ url: this.url, apiKey: this.apiKey });
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
  private createImages({ existing, removal }: ValidatedArgs, { container, source }: Azure, group: Group): Images {
    const name = `${this.name}-images`;
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
        containers: { uploads: container, thumbnails: "thumbnails", deadLetters: "deadletter" },
        // What labels were found in is looked at once.
        expire: { "thumbnails/labels/": 1 },
        removal,
        transform: this.transform.images,
      },
      this.child(),
    );
    return { part, ...part.nodes.containers, accountId: part.accountId, location: part.location, url: part.endpoints.blob };
  }

  /** What the host keeps, and the work that waits: queues, tags, packages, and the history of orchestrations. */
  private createState({ removal }: ValidatedArgs, group: Group): State {
    return new Storage(
      `${this.name}-state`,
      {
        ...group,
        containers: { packages: "packages" },
        queues: QUEUES,
        tables: { tags: "ImageTags" },
        removal,
        transform: this.transform.state,
      },
      this.child(),
    );
  }

  private createMonitoring({ logRetention }: ValidatedArgs, group: Group): Monitoring {
    return new Monitoring(`${this.name}-monitoring`, { ...group, logRetention, transform: this.transform.monitoring }, this.child());
  }

  private createRecords(
    { removal }: ValidatedArgs,
    { sqlAdministrator: administrator }: Azure,
    group: Group,
    { name, clientId }: managedidentity.UserAssignedIdentity,
  ): Records {
    return new Records(
      `${this.name}-records`,
      { ...group, users: [{ name, clientId }], administrator, removal, transform: this.transform.records },
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

  private createApiKey({ settings, apiKey: value }: ValidatedArgs, group: Group): ApiKey | undefined {
    if (settings.auth.kind !== "key") return undefined;
    const { tenantId } = authorization.getClientConfigOutput({ parent: this });
    return new ApiKey(`${this.name}-api-key`, { ...group, tenantId, value, transform: this.transform.apiKey }, this.child());
  }

  private createGrants({ principalId }: managedidentity.UserAssignedIdentity, used: Used): Grants {
    const { images, state, monitoring, topic, vision, apiKey, email } = used;
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
      ...(email && { mail: { role: "Communication and Email Service Owner", scope: email.id } }),
    };
    return new Grants<string>(`${this.name}-may`, { principal: principalId, may, transform: this.transform.grants }, this.child());
  }

  private createApp(
    { settings, taggerModule, email: recipient }: ValidatedArgs,
    { alwaysReady }: Azure,
    group: Group,
    { id, clientId }: managedidentity.UserAssignedIdentity,
    { images, state, monitoring, records, topic, email, vision, apiKey }: Used,
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
        token: tokenFor("https://management.azure.com", this),
        transform: this.transform.app,
      },
      { ...this.child(), after: [...grants.all, records.nodes.schema] },
    );
  }

  private createArrivals({ source }: Azure, group: Group, images: Images, state: State): Arrivals {
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

  private createAlarms({ email }: ValidatedArgs, group: Group, monitoring: Monitoring, state: State, arrivals: Arrivals): Alarms {
    return new Alarms(
      `${this.name}-alarm`,
      {
        ...group,
        email,
        workspaceId: monitoring.workspaceId,
        topicId: arrivals.topicId,
        queuesOf: state.accountId,
        parkedIn: [QUEUES.poison, QUEUES.parked],
        transform: this.transform.alarms,
      },
      this.child(),
    );
  }
}

/** Where pictures lie. */
interface Images {
  part: Storage<"uploads" | "thumbnails" | "deadLetters"> | ExistingContainer;
  uploads: Container;
  thumbnails: Container;
  deadLetters: Container;
  accountId: pulumi.Output<string>;
  location: pulumi.Output<string>;
  /** The blob service's endpoint. */
  url: pulumi.Output<string>;
}

interface Container {
  name: pulumi.Output<string>;
  id: pulumi.Output<string>;
}

/** What the app works on. */
interface Used {
  images: Images;
  state: State;
  monitoring: Monitoring;
  records: Records;
  topic: Topic;
  email: Email | undefined;
  vision: Vision | undefined;
  apiKey: ApiKey | undefined;
}

interface Azure {
  container: string;
  source?: AdoptedOptions["source"];
  alwaysReady: number;
  sqlAdministrator?: SqlAdministrator;
}

function azureOptions(name: string, { source: given, azure = {} }: ImagePipelineArgs): Azure {
  only(name, "azure", azure, ["container", "source", "alwaysReady", "sqlAdministrator"]);
  const { container = "images-input", source, alwaysReady = 1, sqlAdministrator } = azure;
  if (!/^(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(container) || ["thumbnails", "deadletter"].includes(container)) {
    throw new InvalidArgument(
      `${name}: azure.container`,
      container,
      '3 to 63 lower-case letters, digits and single hyphens, and not "thumbnails" or "deadletter", which are the pipeline\'s',
    );
  }
  if (!Number.isInteger(alwaysReady) || alwaysReady < 0 || alwaysReady > 20)
    throw new InvalidArgument(`${name}: azure.alwaysReady`, alwaysReady, "between 0 and 20");
  if (sqlAdministrator) {
    only(name, "azure.sqlAdministrator", sqlAdministrator, ["login", "sid", "principalType"]);
    const { principalType } = sqlAdministrator;
    if (!["User", "Group", "Application"].includes(principalType))
      throw new InvalidArgument(`${name}: azure.sqlAdministrator.principalType`, principalType, '"User", "Group" or "Application"');
  }
  if ((given === undefined) !== (source === undefined)) {
    throw new InvalidArgument(
      `${name}: azure.source`,
      source,
      given ? "an object with the resourceGroup of the adopted account" : "left out where no container is adopted by source.existing",
    );
  }
  if (given && source) {
    only(name, "azure.source", source, ["resourceGroup", "systemTopic"]);
    if (source.resourceGroup === undefined || source.resourceGroup === "")
      throw new InvalidArgument(`${name}: azure.source.resourceGroup`, source.resourceGroup, "the resource group of the adopted account");
    if (azure.container !== undefined)
      throw new InvalidArgument(`${name}: azure.container`, container, "left out where a container is adopted");
    if (typeof given.existing === "string") checkSource(name, given.existing);
  }
  return { container, ...(source && { source }), alwaysReady, ...(sqlAdministrator && { sqlAdministrator }) };
}

function only(name: string, group: string, given: object, options: readonly string[]): void {
  const unknown = Object.keys(given).find((option) => !options.includes(option));
  if (unknown) throw new InvalidArgument(`${name}: an option`, `${group}.${unknown}`, `one of ${options.join(", ")}`);
}
