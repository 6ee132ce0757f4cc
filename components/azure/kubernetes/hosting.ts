import { Namespace, type NamespaceArgs } from "@pulumi/kubernetes/core/v1/index.js";
import { NetworkPolicy, type NetworkPolicyArgs } from "@pulumi/kubernetes/networking/v1/index.js";
import * as pulumi from "@pulumi/pulumi";
import type { VariantSettings } from "../../../functions/core/settings.js";
import { Component, type Transform } from "../../core/component.js";
import type { ValidatedArgs } from "../../core/validation.js";
import { type Grant, Grants, type GrantsArgs } from "../grants.js";
import type { Group } from "../group.js";
import type { Parts } from "../parts.js";
import { tokenFor } from "../records.js";
import { Cluster, type ClusterArgs } from "./cluster.js";
import type { Identities, Worker } from "./identities.js";
import type { Kubernetes } from "./options.js";
import { Processor, type ProcessorArgs } from "./processor.js";
import { Registry, type RegistryArgs } from "./registry.js";
import { Uploader, type UploaderArgs } from "./uploader.js";

/** Options of {@link KubernetesHosting}. */
export interface KubernetesHostingArgs {
  group: Group;
  settled: ValidatedArgs;
  options: Kubernetes;
  parts: Parts;
  /** The workspace that logs go to. */
  workspaceId: pulumi.Input<string>;
  /** Who works in the cluster; they are trusted here. */
  identities: Identities;
  /** Changes to the resources underneath, by the name of the part. */
  transform?: KubernetesTransform | undefined;
}

/** The names of its parts, for `transform`. */
export const KUBERNETES_PARTS = [
  "cluster",
  "clusterMay",
  "registry",
  "namespace",
  "isolation",
  "uploader",
  "uploaderMay",
  "processor",
  "processorMay",
  "scalerMay",
] as const;

export interface KubernetesTransform {
  cluster?: ClusterArgs["transform"];
  /** What the cluster itself may do. */
  clusterMay?: GrantsArgs<"pull">["transform"];
  registry?: RegistryArgs["transform"];
  namespace?: Transform<NamespaceArgs>;
  /** What keeps others from the namespace's pods. */
  isolation?: Transform<NetworkPolicyArgs>;
  uploader?: UploaderArgs["transform"];
  uploaderMay?: GrantsArgs<UploaderGrant>["transform"];
  processor?: ProcessorArgs["transform"];
  processorMay?: GrantsArgs<ProcessorGrant>["transform"];
  scalerMay?: GrantsArgs<"count">["transform"];
}

type UploaderGrant = "uploads" | "processed" | "sign" | "redrive" | "parked" | "tags" | "readKey";
type ProcessorGrant = "uploads" | "processed" | "jobs" | "park" | "tags" | "announce" | "look" | "mail";

/** The processed image, beside the renditions that are asked for: upright, without what its camera has written into it, of a bounded size. */
const PROCESSED: VariantSettings = { width: 2_560, height: 2_560, fit: "inside", format: "auto", quality: 85 };

/** The pipeline on a cluster of its own: a registry with its image, the cluster, and in it an uploader and a processor. */
export class KubernetesHosting extends Component<"namespace" | "isolation"> {
  readonly url: pulumi.Output<string>;
  /** What callers have to trust, in PEM; empty where theirs do already. */
  readonly certificate: pulumi.Output<string>;
  /** `namespace/processor`. */
  readonly workflow: pulumi.Output<string>;

  /** The parts, each with its own `nodes`. */
  readonly nodes: {
    cluster: Cluster;
    /** Not where an image is given. */
    registry?: Registry;
    grants: Record<Worker, Grants>;
    namespace: Namespace;
    isolation: NetworkPolicy;
    uploader: Uploader;
    processor: Processor;
  };

  constructor(
    name: string,
    private readonly args: KubernetesHostingArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    const { transform, options } = args;
    super(
      "azure:KubernetesHosting",
      name,
      {
        children: ["namespace", "isolation"],
        transform: {
          ...(transform?.namespace && { namespace: transform.namespace }),
          ...(transform?.isolation && { isolation: transform.isolation }),
        },
      },
      opts,
    );
    const grants = this.createGrants();
    const registry = options.image === undefined ? this.createRegistry() : undefined;
    const image = registry?.image ?? pulumi.output(options.image as pulumi.Input<string>);
    const cluster = this.createCluster();
    const pull = registry && this.letPull(cluster, registry);
    const trusts = args.identities.trust(cluster.issuer, {
      uploader: `${options.namespace}:uploader`,
      processor: `${options.namespace}:processor`,
      scaler: "kube-system:keda-operator",
    });
    const namespace = this.createNamespace(cluster);
    const place = { namespace: namespace.metadata.name, pipeline: name, image };
    const isolation = this.createIsolation(cluster, namespace);
    const before = [args.parts.records.nodes.schema, isolation, ...(pull?.all ?? [])];
    const within = { ...this.child(), providers: { kubernetes: cluster.provider } };
    const { uploader, processor, scaler } = args.identities.nodes;
    const { replicas, tls } = options;
    this.nodes = {
      cluster,
      ...(registry && { registry }),
      grants,
      namespace,
      isolation,
      uploader: new Uploader(
        `${name}-uploader`,
        {
          ...place,
          group: args.group,
          clientId: uploader.clientId,
          env: this.uploaderEnvironment(),
          limits: args.settled.settings.limits,
          tls,
          replicas: replicas.uploader,
          transform: transform?.uploader,
        },
        { ...within, after: [...before, ...grants.uploader.all, trusts.uploader] },
      ),
      processor: new Processor(
        `${name}-processor`,
        {
          ...place,
          clientId: processor.clientId,
          env: this.processorEnvironment(),
          limits: args.settled.settings.limits,
          replicas: replicas.processor,
          queue: { name: args.parts.state.nodes.queues.jobs.name, account: args.parts.state.account },
          scaler: scaler.clientId,
          api: cluster.api,
          transform: transform?.processor,
        },
        { ...within, after: [...before, ...grants.processor.all, ...grants.scaler.all, trusts.processor, trusts.scaler] },
      ),
    };
    this.url = this.nodes.uploader.url;
    this.certificate = this.nodes.uploader.certificate;
    this.workflow = pulumi.interpolate`${namespace.metadata.name}/${this.nodes.processor.nodes.workload.nodes.deployment.metadata.name}`;
    this.registerOutputs({ url: this.url });
  }

  /** To each, what it does, and nothing else. */
  private createGrants(): Record<Worker, Grants> {
    const { images, state, topic, email, vision, apiKey } = this.args.parts;
    const { jobs, parked } = state.nodes.queues;
    const tags: Grant = { role: "Storage Table Data Contributor", scope: state.nodes.tables.tags.id };
    const may: { [W in Worker]: Record<string, Grant> } & {
      uploader: Partial<Record<UploaderGrant, Grant>>;
      processor: Partial<Record<ProcessorGrant, Grant>>;
      scaler: Record<"count", Grant>;
    } = {
      uploader: {
        uploads: { role: "Storage Blob Data Contributor", scope: images.uploads.id },
        // Whoever deletes an image deletes its renditions.
        processed: { role: "Storage Blob Data Contributor", scope: images.thumbnails.id },
        // Tickets and links are signed with a key of the account that is good for what the identity may do itself.
        sign: { role: "Storage Blob Delegator", scope: images.accountId },
        redrive: { role: "Storage Queue Data Message Sender", scope: jobs.id },
        parked: { role: "Storage Queue Data Contributor", scope: parked.id },
        tags,
        ...(apiKey && { readKey: { role: "Key Vault Secrets User", scope: apiKey.secretId } }),
      },
      processor: {
        uploads: { role: "Storage Blob Data Reader", scope: images.uploads.id },
        processed: { role: "Storage Blob Data Contributor", scope: images.thumbnails.id },
        // Contributor: to keep a message out of others' sight is to write it.
        jobs: { role: "Storage Queue Data Contributor", scope: jobs.id },
        park: { role: "Storage Queue Data Message Sender", scope: parked.id },
        tags,
        announce: { role: "EventGrid Data Sender", scope: topic.id },
        ...(vision && { look: { role: "Cognitive Services User", scope: vision.id } }),
        // Azure has no lesser role that sends mail by identity; it is of this one service, and only where there is somebody to write to.
        ...(email && { mail: { role: "Communication and Email Service Owner", scope: email.id } }),
      },
      scaler: { count: { role: "Storage Queue Data Reader", scope: jobs.id } },
    };
    const grants = (worker: Worker) => {
      const { principalId: principal } = this.args.identities.nodes[worker];
      const transform = this.args.transform?.[`${worker}May`];
      return new Grants<string>(`${this.name}-${worker}-may`, { principal, may: may[worker], transform }, this.child());
    };
    return { uploader: grants("uploader"), processor: grants("processor"), scaler: grants("scaler") };
  }

  private createRegistry(): Registry {
    const { group, settled, transform } = this.args;
    const { taggerModule } = settled;
    return new Registry(
      `${this.name}-registry`,
      {
        ...group,
        processor: taggerModule ? "functions/container/processor-module.ts" : "functions/container/processor.ts",
        ...(taggerModule && { modules: { "virtual:tagger": taggerModule } }),
        token: tokenFor("https://management.azure.com", this),
        transform: transform?.registry,
      },
      this.child(),
    );
  }

  private createCluster(): Cluster {
    const { group, options, workspaceId, transform } = this.args;
    const { nodes, version, tier, authorizedRanges, login, namespace } = options;
    const logs = { workspaceId, namespaces: [namespace] };
    const args = { ...group, nodes, version, tier, authorizedRanges, login, logs, transform: transform?.cluster };
    return new Cluster(`${this.name}-cluster`, args, this.child());
  }

  private letPull(cluster: Cluster, registry: Registry): Grants {
    const pull = { role: "AcrPull", scope: registry.id } as const;
    return new Grants(
      `${this.name}-cluster-may`,
      { principal: cluster.kubelet, may: { pull }, transform: this.args.transform?.clusterMay },
      this.child(),
    );
  }

  private createNamespace(cluster: Cluster): Namespace {
    const labels = {
      "app.kubernetes.io/part-of": "image-pipeline",
      "app.kubernetes.io/managed-by": "pulumi",
      // What runs as root, or could become it, is refused.
      "pod-security.kubernetes.io/enforce": "restricted",
    };
    return this.create("namespace", Namespace, { metadata: { name: this.args.options.namespace, labels } }, { provider: cluster.provider });
  }

  /** Nobody reaches a pod here but where a policy of the pod's own lets them. What pods reach is Azure's, whose addresses change. */
  private createIsolation(cluster: Cluster, { metadata }: Namespace): NetworkPolicy {
    return this.create(
      "isolation",
      NetworkPolicy,
      { metadata: { name: "nobody", namespace: metadata.name }, spec: { podSelector: {}, policyTypes: ["Ingress"] } },
      { provider: cluster.provider },
    );
  }

  private uploaderEnvironment(): Record<string, pulumi.Input<string>> {
    const { apiKey } = this.args.parts;
    return { ...this.environment(), ...(apiKey && { API_KEY_SECRET_URI: apiKey.secretUri }) };
  }

  private processorEnvironment(): Record<string, pulumi.Input<string>> {
    const { settled, parts } = this.args;
    const { topic, vision, email } = parts;
    return {
      ...this.environment(),
      TOPIC_ENDPOINT: topic.endpoint,
      ...(vision && { VISION_ENDPOINT: vision.endpoint }),
      ...(email &&
        settled.email !== undefined && { EMAIL_ENDPOINT: email.endpoint, EMAIL_SENDER: email.sender, EMAIL_RECIPIENT: settled.email }),
    };
  }

  /** What both are told. Who they are, the cluster tells them. */
  private environment(): Record<string, pulumi.Input<string>> {
    const { settled, parts } = this.args;
    const { images, state, records } = parts;
    const { variants, ...settings } = settled.settings;
    return {
      PIPELINE_SETTINGS: JSON.stringify({ ...settings, variants: { processed: PROCESSED, ...variants } }),
      STORAGE_BLOB_URL: images.url,
      STORAGE_QUEUE_URL: state.endpoints.queue,
      STORAGE_TABLE_URL: state.endpoints.table,
      UPLOADS_CONTAINER: images.uploads.name,
      PROCESSED_CONTAINER: images.thumbnails.name,
      JOB_QUEUE: state.nodes.queues.jobs.name,
      DEAD_LETTER_QUEUE: state.nodes.queues.parked.name,
      TAGS_TABLE: state.nodes.tables.tags.name,
      SQL_SERVER: records.server,
      SQL_PORT: records.port.apply(String),
      SQL_DATABASE: records.database,
    };
  }
}
