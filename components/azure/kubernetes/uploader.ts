import { createHash } from "node:crypto";
import { HorizontalPodAutoscaler, type HorizontalPodAutoscalerArgs } from "@pulumi/kubernetes/autoscaling/v2/index.js";
import { Secret, type SecretArgs, Service, type ServiceArgs } from "@pulumi/kubernetes/core/v1/index.js";
import * as pulumi from "@pulumi/pulumi";
import { type Settings, uploadBudget } from "../../../functions/core/settings.js";
import { Component, type Transform } from "../../core/component.js";
import { SelfSignedCertificate, type SelfSignedCertificateArgs } from "../../core/self-signed-certificate.js";
import { isLocal, origin } from "../addresses.js";
import type { Group } from "../group.js";
import { uniqueName } from "../names.js";
import type { Range, Tls } from "./options.js";
import {
  mebibytes,
  metadata,
  type Place,
  WORKLOAD_CHILDREN,
  Workload,
  type WorkloadArgs,
  type WorkloadTransform,
  workloadTransform,
} from "./workload.js";

/** Options of {@link Uploader}. */
export interface UploaderArgs extends Place, Pick<WorkloadArgs, "image" | "clientId" | "env"> {
  group: Group;
  /** Of pictures, by which its memory is measured. */
  limits: Settings["limits"];
  tls: Tls;
  replicas: Required<Range>;
  /** Changes to the resources underneath. */
  transform?:
    | (WorkloadTransform & {
        service?: Transform<ServiceArgs>;
        autoscaler?: Transform<HorizontalPodAutoscalerArgs>;
        secret?: Transform<SecretArgs>;
        certificate?: Transform<SelfSignedCertificateArgs>;
      })
    | undefined;
}

const APP = "uploader";

/** Bytes that the program itself needs; how often it holds what is uploaded: as a body, as a form's, as a file's, and on its way to the store. */
const PROGRAM = 192 * 2 ** 20;
const HELD = 4;

const CHILDREN = ["certificate", "secret", "service", "autoscaler", ...WORKLOAD_CHILDREN] as const;

/** The HTTP API and the page, behind a load balancer with a name of its own. */
export class Uploader extends Component<(typeof CHILDREN)[number]> {
  /** Where it is reached. */
  readonly url: pulumi.Output<string>;
  /** Name of the load balancer, to point a DNS entry of one's own at; empty without one. */
  readonly host: pulumi.Output<string>;
  /** What callers have to trust, in PEM; empty where theirs do already. */
  readonly certificate: pulumi.Output<string>;

  /** The resources underneath. */
  readonly nodes: {
    workload: Workload;
    service: Service;
    autoscaler: HorizontalPodAutoscaler;
    secret?: Secret;
    certificate?: SelfSignedCertificate;
  };

  /** @param opts `after`: what has to be there before the pods start. */
  constructor(name: string, args: UploaderArgs, opts: pulumi.ComponentResourceOptions & { after?: pulumi.Resource[] } = {}) {
    const { after = [], ...rest } = opts;
    super("azure:Uploader", name, { children: CHILDREN, transform: args.transform }, rest);
    const label = uniqueName(args.pipeline, 60, args.group.groupId);
    const host = pulumi.all([label, args.group.location]).apply(([label, region]) => `${label}.${plain(region)}.cloudapp.azure.com`);
    const certificate = args.tls.kind === "self-signed" ? this.create("certificate", SelfSignedCertificate, { host }) : undefined;
    const pair = args.tls.kind === "given" ? args.tls : certificate;
    const secret = pair && this.createSecret(args, pair);
    const workload = new Workload(
      name,
      {
        ...args,
        app: APP,
        program: "uploader.mjs",
        serves: true,
        secret: secret && { name: secret.metadata.name, env: { TLS_CERTIFICATE: "tls.crt", TLS_KEY: "tls.key" } },
        // A pod reads its certificate when it starts.
        revision: pair && pulumi.output(pair.certificate).apply((text) => createHash("sha256").update(text).digest("hex").slice(0, 16)),
        resources: {
          requests: { cpu: "250m", memory: "256Mi" },
          limits: { cpu: "1", memory: mebibytes(PROGRAM + HELD * uploadBudget(args.limits)) },
        },
        grace: 45,
        transform: workloadTransform(args.transform),
      },
      { ...this.child(), after },
    );
    const service = this.createService(args, workload, label);
    const autoscaler = this.createAutoscaler(args, workload);
    this.nodes = { workload, service, autoscaler, ...(secret && { secret }), ...(certificate && { certificate }) };
    this.host = args.tls.kind === "ingress" ? pulumi.output("") : host;
    this.certificate = certificate?.certificate ?? pulumi.output("");
    this.url = address(args.tls, service, host);
    this.registerOutputs({ url: this.url });
  }

  private createSecret(args: UploaderArgs, { certificate, key }: { certificate: pulumi.Input<string>; key: pulumi.Input<string> }): Secret {
    return this.create("secret", Secret, {
      metadata: metadata(args, `${APP}-tls`),
      type: "kubernetes.io/tls",
      stringData: { "tls.crt": certificate, "tls.key": pulumi.secret(key) },
    });
  }

  private createService(args: UploaderArgs, { selector, nodes }: Workload, label: pulumi.Output<string>): Service {
    const { kind } = args.tls;
    const tls = kind === "given" || kind === "self-signed";
    const outside = kind !== "ingress";
    return this.create(
      "service",
      Service,
      {
        metadata: {
          ...metadata(args, APP),
          ...(outside && {
            annotations: {
              "service.beta.kubernetes.io/azure-dns-label-name": label,
              // By the port that requests come by, which has the API's health, and no more.
              "service.beta.kubernetes.io/azure-load-balancer-health-probe-request-path": "/health",
            },
          }),
        },
        spec: {
          type: outside ? "LoadBalancer" : "ClusterIP",
          selector,
          ports: [{ name: "web", port: tls ? 443 : 80, targetPort: "http", protocol: "TCP", appProtocol: tls ? "https" : "http" }],
        },
      },
      // Its endpoints are the pods: Pulumi waits for them.
      { dependsOn: nodes.deployment },
    );
  }

  private createAutoscaler(args: UploaderArgs, { nodes }: Workload): HorizontalPodAutoscaler {
    const { min, max } = args.replicas;
    return this.create("autoscaler", HorizontalPodAutoscaler, {
      metadata: metadata(args, APP),
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: nodes.deployment.metadata.name },
        minReplicas: min,
        maxReplicas: max,
        metrics: [{ type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 70 } } }],
      },
    });
  }
}

/** Where callers go; the embedded cloud's load balancer is on this machine, without certificates. */
function address(tls: Tls, service: Service, host: pulumi.Output<string>): pulumi.Output<string> {
  if (tls.kind === "ingress") return service.id.apply(() => tls.url);
  const name = tls.kind === "given" ? tls.host : host;
  return pulumi.all([service.status, name]).apply(([status, name]) => {
    const local = status?.loadBalancer?.ingress?.[0]?.hostname;
    if (local && isLocal(local)) return origin(local);
    return `${tls.kind === "none" ? "http" : "https"}://${name}`;
  });
}

/** `"West Europe"` as it is in host names. */
const plain = (region: string) => region.toLowerCase().replaceAll(" ", "");
