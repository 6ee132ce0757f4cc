import { Deployment, type DeploymentArgs } from "@pulumi/kubernetes/apps/v1/index.js";
import { ServiceAccount, type ServiceAccountArgs } from "@pulumi/kubernetes/core/v1/index.js";
import type { types } from "@pulumi/kubernetes/index.js";
import { NetworkPolicy, type NetworkPolicyArgs } from "@pulumi/kubernetes/networking/v1/index.js";
import { PodDisruptionBudget, type PodDisruptionBudgetArgs } from "@pulumi/kubernetes/policy/v1/index.js";
import type * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../../core/component.js";

/** Where everything of the pipeline lies in the cluster, and what it is found by. */
export interface Place {
  namespace: pulumi.Input<string>;
  /** The pipeline's name. */
  pipeline: string;
}

/** Where programs listen; by names, so that probes and services need not know the numbers. Probes and metrics are for the cluster only. */
const PORTS = { http: 8_080, probes: 8_081 } as const;

/** Nobody that the node knows. */
const NOBODY = 65_532;

/** Options of {@link Workload}. */
export interface WorkloadArgs extends Place {
  /** What it is called in the cluster. */
  app: string;
  /** By its digest. */
  image: pulumi.Input<string>;
  /** The program in the image. */
  program: string;
  /** Client id of the identity that it has. */
  clientId: pulumi.Input<string>;
  env: Record<string, pulumi.Input<string>>;
  /** Variables from keys of a Secret: name → key. */
  secret?: { name: pulumi.Input<string>; env: Record<string, string> } | undefined;
  /** Does it take requests, from wherever they come? Otherwise nobody reaches more of it than its probes and metrics. */
  serves: boolean;
  /** Whatever, when it changes, has to start the pods anew. */
  revision?: pulumi.Input<string> | undefined;
  /** What the scheduler keeps for each pod, and what each may use at most. */
  resources: Record<"requests" | "limits", { cpu: string; memory: string }>;
  /** Seconds that a pod has to end what it has begun. */
  grace: number;
  /** Changes to the resources underneath. */
  transform?: WorkloadTransform | undefined;
}

export interface WorkloadTransform {
  account?: Transform<ServiceAccountArgs>;
  deployment?: Transform<DeploymentArgs>;
  disruptionBudget?: Transform<PodDisruptionBudgetArgs>;
  networkPolicy?: Transform<NetworkPolicyArgs>;
}

/** What a component around a {@link Workload} lets `transform` reach of it. */
export const WORKLOAD_CHILDREN = ["account", "deployment", "disruptionBudget", "networkPolicy"] as const;

/** What of a transform is the workload's. */
export function workloadTransform(transform: WorkloadTransform = {}): WorkloadTransform {
  return Object.fromEntries(WORKLOAD_CHILDREN.flatMap((child) => (transform[child] ? [[child, transform[child]]] : [])));
}

/**
 * A program that runs in the cluster: a Deployment whose pods have an identity of Entra ID, run as nobody on a file system that they cannot write to,
 * and are replaced one by one, when they answer. How many there are, an autoscaler says.
 */
export class Workload extends Component<(typeof WORKLOAD_CHILDREN)[number]> {
  /** What its pods are found by. */
  readonly selector: Record<string, string>;

  /** The resources underneath. */
  readonly nodes: {
    account: ServiceAccount;
    deployment: Deployment;
    disruptionBudget: PodDisruptionBudget;
    networkPolicy: NetworkPolicy;
  };

  /** @param opts `after`: what has to be there before the pods start: their roles, and what they work on. */
  constructor(name: string, args: WorkloadArgs, opts: pulumi.ComponentResourceOptions & { after?: pulumi.Resource[] } = {}) {
    const { after = [], ...rest } = opts;
    super("azure:Workload", name, { children: WORKLOAD_CHILDREN, transform: args.transform }, rest);
    this.selector = { "app.kubernetes.io/name": args.app, "app.kubernetes.io/instance": args.pipeline };
    const account = this.create("account", ServiceAccount, {
      metadata: { ...metadata(args, args.app), annotations: { "azure.workload.identity/client-id": args.clientId } },
      automountServiceAccountToken: false,
    });
    const networkPolicy = this.create("networkPolicy", NetworkPolicy, {
      metadata: metadata(args, args.app),
      spec: { podSelector: { matchLabels: this.selector }, policyTypes: ["Ingress"], ingress: this.admitted(args) },
    });
    const deployment = this.create(
      "deployment",
      Deployment,
      {
        metadata: metadata(args, args.app),
        spec: {
          selector: { matchLabels: this.selector },
          revisionHistoryLimit: 3,
          minReadySeconds: 5,
          progressDeadlineSeconds: 900,
          strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
          template: this.pod(args, account),
        },
      },
      // A new machine, and the image on it, take their time.
      { dependsOn: [...after, networkPolicy], customTimeouts: { create: "20m", update: "20m" } },
    );
    const disruptionBudget = this.create("disruptionBudget", PodDisruptionBudget, {
      metadata: metadata(args, args.app),
      spec: { maxUnavailable: 1, selector: { matchLabels: this.selector } },
    });
    this.nodes = { account, deployment, disruptionBudget, networkPolicy };
    this.registerOutputs();
  }

  /** Who reaches what: its node does anyway, for probes. */
  private admitted({ serves }: WorkloadArgs): types.input.networking.v1.NetworkPolicyIngressRule[] {
    const port = (name: keyof typeof PORTS) => ({ protocol: "TCP", port: PORTS[name] });
    return [
      // From outside, requests come by way of any node.
      ...(serves ? [{ ports: [port("http")] }] : []),
      // Whoever collects metrics is a pod somewhere in the cluster.
      { from: [{ namespaceSelector: {} }], ports: [port("probes")] },
    ];
  }

  private pod(args: WorkloadArgs, account: ServiceAccount): types.input.core.v1.PodTemplateSpec {
    const { revision } = args;
    return {
      metadata: {
        labels: { ...metadata(args, args.app).labels, "azure.workload.identity/use": "true" },
        annotations: {
          "prometheus.io/scrape": "true",
          "prometheus.io/port": String(PORTS.probes),
          "prometheus.io/path": "/metrics",
          "prometheus.io/scheme": "http",
          ...(revision !== undefined && { "image-pipeline/revision": revision }),
        },
      },
      spec: {
        serviceAccountName: account.metadata.name,
        // Not Kubernetes' own token: the one for Entra ID is projected all the same.
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        terminationGracePeriodSeconds: args.grace,
        nodeSelector: { "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64" },
        securityContext: {
          runAsNonRoot: true,
          runAsUser: NOBODY,
          runAsGroup: NOBODY,
          fsGroup: NOBODY,
          seccompProfile: { type: "RuntimeDefault" },
        },
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: "kubernetes.io/hostname",
            whenUnsatisfiable: "ScheduleAnyway",
            labelSelector: { matchLabels: this.selector },
          },
        ],
        containers: [this.container(args)],
        volumes: [{ name: "tmp", emptyDir: { sizeLimit: "256Mi" } }],
      },
    };
  }

  private container({ app, image, program, env, secret, serves, resources }: WorkloadArgs): types.input.core.v1.Container {
    const get = (path: string) => ({ httpGet: { path, port: "probes", scheme: "HTTP" } });
    const ports = (serves ? ["http", "probes"] : ["probes"]) as (keyof typeof PORTS)[];
    const told = serves ? { PORT: PORTS.http, PROBES_PORT: PORTS.probes } : { PORT: PORTS.probes };
    return {
      name: app,
      image,
      args: [program],
      env: [
        ...Object.entries(env).map(([name, value]) => ({ name, value })),
        ...Object.entries(told).map(([name, number]) => ({ name, value: String(number) })),
        ...Object.entries(secret?.env ?? {}).map(([name, key]) => ({
          name,
          valueFrom: { secretKeyRef: { name: secret?.name as pulumi.Input<string>, key } },
        })),
      ],
      ports: ports.map((name) => ({ name, containerPort: PORTS[name], protocol: "TCP" })),
      resources,
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        runAsNonRoot: true,
        capabilities: { drop: ["ALL"] },
      },
      startupProbe: { ...get("/healthz"), periodSeconds: 2, failureThreshold: 30, timeoutSeconds: 3 },
      livenessProbe: { ...get("/healthz"), periodSeconds: 10, failureThreshold: 3, timeoutSeconds: 3 },
      readinessProbe: { ...get("/readyz"), periodSeconds: 5, failureThreshold: 2, timeoutSeconds: 3 },
      volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
    };
  }
}

/** Bytes as Kubernetes writes them, rounded up. */
export const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)}Mi`;

/** Name, place, and the labels that Kubernetes recommends. */
export function metadata({ namespace, pipeline }: Place, app: string) {
  const labels = {
    "app.kubernetes.io/name": app,
    "app.kubernetes.io/instance": pipeline,
    "app.kubernetes.io/part-of": "image-pipeline",
    "app.kubernetes.io/managed-by": "pulumi",
  };
  return { name: app, namespace, labels };
}
