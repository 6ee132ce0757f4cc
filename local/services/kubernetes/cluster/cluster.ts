import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { TENANT } from "../../../kernel/azure/arm.js";
import { identity } from "../../../kernel/azure/authority.js";
import type { Cluster } from "../../../kernel/azure/clusters.js";
import { SHARED_ENDPOINT } from "../../../kernel/azure/rest.js";
import { verifyToken } from "../../../kernel/azure/tokens.js";
import type { Cloud } from "../../../kernel/cloud.js";
import { CloudError, type Principal, type Properties } from "../../../kernel/service.js";
import { Deployment } from "./deployment.js";
import { LoadBalancer } from "./load-balancer.js";
import { admits, type Origin } from "./network-policy.js";
import type { Node, PulledImage } from "./node.js";
import { type KubernetesObject, Objects, selects } from "./objects.js";
import { type Pace, pause } from "./pace.js";
import type { Pod } from "./pod.js";
import { violations } from "./pod-security.js";
import { ScaledObject } from "./scaled-object.js";
import { ServiceAccountTokens } from "./service-accounts.js";

const EXCHANGE = "api://AzureADTokenExchange";
const STORAGE = "https://storage.azure.com";
/** Milliseconds that a start waits for something that is kept. */
const REVIVAL = 30_000;
/** Milliseconds that the operator keeps a token. */
const TOKEN_KEPT = 3_600_000;
const OPERATOR = { namespace: "kube-system", name: "keda-operator" };
const USE = "azure.workload.identity/use";
const CLIENT_ID = "azure.workload.identity/client-id";

/** Which port a Service is to listen at, if somebody wants it so. */
export type PortClaim = () => { port: number; insist: boolean } | undefined;

export interface ClusterArgs {
  /** As it is declared now. */
  declared(): Cluster;
  cloud: Cloud;
  /** Of its own; it is kept from run to run where the cloud's is. */
  folder: string;
  pace: Pace;
  /** Asked by a Service that is reached from outside. */
  claimPort: PortClaim;
}

/** What is in one cluster: its objects, and the controllers that make them true. */
export class LocalCluster {
  readonly objects: Objects;
  readonly tokens: ServiceAccountTokens;
  readonly #deployments = new Map<string, Deployment>();
  readonly #balancers = new Map<string, LoadBalancer[]>();
  readonly #scaled = new Map<string, ScaledObject>();
  #node: Node | undefined;
  /** Whether the operator's pods have been started since they were to have one. */
  #operatorHasIdentity = false;
  /** Whom the operator has tokens of, by client id. */
  readonly #holders = new Map<string, { as: Principal; until: number }>();

  private constructor(private readonly args: ClusterArgs) {
    const { cloud, folder, declared } = args;
    this.objects = new Objects(() => cloud.now());
    this.tokens = new ServiceAccountTokens(
      folder,
      () => declared().issuer,
      () => cloud.now(),
    );
    // What the add-on brings along. The operator has no identity until it is given one, and started again.
    if (declared().keda) {
      this.objects.add({ apiVersion: "v1", kind: "ServiceAccount", metadata: { ...OPERATOR } });
      const labels = { app: OPERATOR.name, ...(declared().workloadIdentity && { [USE]: "true" }) };
      const template = { metadata: { labels }, spec: { serviceAccountName: OPERATOR.name, containers: [{ name: OPERATOR.name }] } };
      const spec = { replicas: 1, selector: { matchLabels: { app: OPERATOR.name } }, template };
      this.objects.add({ apiVersion: "apps/v1", kind: "Deployment", metadata: { ...OPERATOR }, spec });
    }
  }

  static async start(args: ClusterArgs): Promise<LocalCluster> {
    const cluster = new LocalCluster(args);
    const { cloud, folder, pace } = args;
    await mkdir(join(folder, "pods"), { recursive: true });
    await cluster.#recallOperator();
    const { url, authority } = await cloud.secure(SHARED_ENDPOINT);
    cluster.#node = {
      ...{ pace, authority, folder: join(folder, "pods") },
      environment: { KUBERNETES_SERVICE_HOST: "127.0.0.1", KUBERNETES_SERVICE_PORT: "443" },
      pull: (image) => cluster.#pull(image),
      lookup: (namespace) => (kind, name) => cluster.objects.get(kind, namespace, name),
      workloadIdentity: (pod) => cluster.#workloadIdentity(pod, url),
      log: (pod, container, line, stream) => cluster.#log(pod, container, line, stream),
      note: (subject, text, detail) => cluster.#note(subject, text, detail),
    };
    return cluster;
  }

  // --- objects that do something

  /** The object as it is now, with its status. */
  describe(object: KubernetesObject): KubernetesObject {
    const { kind, metadata } = object;
    const key = keyOf(metadata);
    if (kind === "Deployment") {
      const deployment = this.#deployments.get(key);
      if (!deployment) return { ...object, status: statusOfOperator(object) };
      return { ...object, spec: { ...object.spec, replicas: deployment.replicas }, status: deployment.status };
    }
    if (kind === "Service") {
      const [first, ...others] = this.#balancers.get(key) ?? [];
      if (object.spec.type !== "LoadBalancer" || !first) return { ...object, status: { loadBalancer: {} } };
      const ports = [first, ...others].map(({ port }) => ({ port, protocol: "TCP" }));
      return { ...object, status: { loadBalancer: { ingress: [{ hostname: `127.0.0.1:${first.port}`, ports }] } } };
    }
    if (kind === "ScaledObject") return { ...object, status: this.#scaled.get(key)?.status ?? {} };
    return kind === "Namespace" ? { ...object, status: { phase: "Active" } } : object;
  }

  /** Makes an object that is new, or has changed, true; waits until it is. @throws CloudError when it does not become so */
  async apply(object: KubernetesObject): Promise<void> {
    switch (object.kind) {
      case "Deployment":
        return this.#applyDeployment(object);
      case "Service":
        return this.#applyService(object);
      case "ScaledObject":
        return this.#applyScaledObject(object);
      case "HorizontalPodAutoscaler":
        return this.#applyAutoscaler(object);
      default:
    }
  }

  /** The same for one that is kept since an earlier run: what does not become true of it any more is said, and keeps nothing else from it. */
  async revive(object: KubernetesObject): Promise<void> {
    const patience = new AbortController();
    const failed = this.apply(object).then(
      () => undefined,
      (error: Error) => error,
    );
    const outcome = await Promise.race([failed, pause(REVIVAL, patience.signal).then(() => new Error(`not after ${REVIVAL / 1_000} s`))]);
    patience.abort();
    if (outcome) this.#note(`${object.metadata.namespace}/${object.metadata.name}`, `Is not as it was: ${outcome.message}`);
  }

  /** @param grace seconds that its pods have to end @default what they declare */
  async withdraw(object: KubernetesObject, grace?: number): Promise<void> {
    const { kind, metadata } = object;
    const key = keyOf(metadata);
    if (kind === "Deployment") {
      const deployment = this.#deployments.get(key);
      this.#deployments.delete(key);
      await deployment?.remove(grace);
    } else if (kind === "Service") {
      const balancers = this.#balancers.get(key) ?? [];
      this.#balancers.delete(key);
      await Promise.all(balancers.map((balancer) => balancer.stop()));
    } else if (kind === "ScaledObject") {
      this.#scaled.get(key)?.stop();
      this.#scaled.delete(key);
    } else if (kind === "Namespace") {
      const within = [...this.#deployments].filter(([name]) => name.startsWith(`${metadata.name}/`));
      for (const [name, deployment] of within) {
        this.#deployments.delete(name);
        await deployment.remove();
      }
    }
  }

  /** Pods as the API shows them: of Deployments, and the operator's, which is no process of its own here. */
  describePods(namespace?: string): KubernetesObject[] {
    const own = this.pods(namespace).map((pod) => pod.describe());
    const [operator] = this.#operator;
    if (!operator || ![undefined, OPERATOR.namespace].includes(namespace)) return own;
    const { metadata, spec } = operator.spec.template;
    const env = this.#operatorHasIdentity
      ? [{ name: "AZURE_FEDERATED_TOKEN_FILE", value: "/var/run/secrets/azure/tokens/azure-identity-token" }]
      : [];
    const name = `${OPERATOR.name}-${operator.metadata.generation}`;
    const labelled = {
      name,
      namespace: OPERATOR.namespace,
      uid: `${operator.metadata.uid}-${operator.metadata.generation}`,
      labels: metadata.labels,
    };
    const containers = (spec.containers as Properties[]).map((container) => ({ ...container, env }));
    const status = { phase: "Running", conditions: [{ type: "Ready", status: "True" }] };
    return [...own, { apiVersion: "v1", kind: "Pod", metadata: labelled, spec: { ...spec, containers }, status }];
  }

  pods(namespace?: string): Pod[] {
    const all = [...this.#deployments.values()].flatMap(({ pods }) => pods);
    return all.filter((pod) => namespace === undefined || pod.namespace === namespace);
  }

  /** @throws CloudError when there is no such pod */
  async deletePod(namespace: string, name: string): Promise<void> {
    for (const deployment of this.#deployments.values()) {
      if (deployment.object.metadata.namespace === namespace && (await deployment.evict(name))) return;
    }
    throw new CloudError("NotFound", `pods "${name}" not found`, 404);
  }

  /** Ends all of it within a second. */
  async stop(): Promise<void> {
    for (const scaled of this.#scaled.values()) scaled.stop();
    await Promise.all([
      ...[...this.#deployments.values()].map((deployment) => deployment.remove(0.7)),
      ...[...this.#balancers.values()].flat().map((balancer) => balancer.stop()),
    ]);
  }

  // --- workloads

  async #applyDeployment(object: KubernetesObject): Promise<void> {
    this.#admit(object);
    const key = keyOf(object.metadata);
    let deployment = this.#deployments.get(key);
    if (deployment) deployment.apply(object);
    else {
      deployment = new Deployment(object, this.#node as Node, () => {});
      this.#deployments.set(key, deployment);
    }
    if (object.metadata.annotations?.["pulumi.com/skipAwait"] !== "true") await this.args.cloud.busy(deployment.rolledOut());
  }

  /** What keeps pods from being made at all. @throws CloudError */
  #admit({ metadata, spec }: KubernetesObject): void {
    const { namespace } = metadata;
    const { serviceAccountName: account = "default" } = spec.template.spec;
    if (!this.objects.get("ServiceAccount", namespace, account)) {
      throw new CloudError(
        "Forbidden",
        `pods "${metadata.name}-" is forbidden: error looking up service account ${namespace}/${account}: serviceaccount "${account}" not found`,
        403,
      );
    }
    const level = this.objects.get("Namespace", undefined, namespace as string)?.metadata.labels?.["pod-security.kubernetes.io/enforce"];
    const found = level === "restricted" ? violations(spec.template.spec) : [];
    if (found.length > 0) {
      throw new CloudError(
        "Forbidden",
        `pods "${metadata.name}-" is forbidden: violates PodSecurity "restricted:latest": ${found.join(", ")}`,
        403,
      );
    }
  }

  async #pull(image: string): Promise<PulledImage> {
    const { cloud, declared } = this.args;
    const { kubelet, name } = declared();
    const as = identity(kubelet.objectId, `${name}-agentpool`);
    try {
      return (await cloud.call({ service: "containerregistry", operation: "PullImage", input: { image }, as })) as PulledImage;
    } catch (error) {
      throw new Error(`Failed to pull image "${image}": ${(error as Error).message}`);
    }
  }

  // --- services

  async #applyService(object: KubernetesObject): Promise<void> {
    const { metadata, spec } = object;
    const key = keyOf(metadata);
    const before = this.#balancers.get(key) ?? [];
    const wanted = before[0]?.port;
    await Promise.all(before.map((balancer) => balancer.stop()));
    const claimed =
      wanted !== undefined ? { port: wanted, insist: false } : spec.type === "LoadBalancer" ? this.args.claimPort() : undefined;
    const balancers: LoadBalancer[] = [];
    this.#balancers.set(key, balancers);
    // What a service within the cluster is reached by here stands for its pods.
    const origin = spec.type === "LoadBalancer" ? "outside" : "inside";
    for (const [index, { port, targetPort = port, appProtocol }] of (spec.ports as Properties[]).entries()) {
      const endpoints = () =>
        this.pods(metadata.namespace)
          .filter((pod) => pod.ready && selects(spec.selector, pod.labels) && this.#admits(pod, targetPort, origin))
          .flatMap((pod) => pod.portOf(targetPort) ?? []);
      balancers.push(
        await LoadBalancer.listen(endpoints, {
          ...(index === 0 && claimed),
          tls: appProtocol === "https",
          ...(/^https?$/.test(appProtocol ?? "") && { outward: (response) => this.args.cloud.outward(response) }),
        }),
      );
    }
    const where = balancers.map(({ port }, index) => `port ${spec.ports[index].port} at 127.0.0.1:${port}`).join(", ");
    this.#note(`${metadata.namespace}/${metadata.name}`, `Service ${where}`, { ports: balancers.map(({ port }) => port) });
  }

  #admits(pod: Pod, targetPort: string | number, origin: Origin): boolean {
    const port = pod.declaredPort(targetPort);
    const policies = this.objects.list("NetworkPolicy", pod.namespace);
    return port === undefined || admits(policies, { namespace: pod.namespace, labels: pod.labels, port }, origin);
  }

  // --- autoscaling

  #applyScaledObject(object: KubernetesObject): void {
    const { metadata, spec } = object;
    const key = keyOf(metadata);
    const { declared, pace } = this.args;
    if (!declared().keda) {
      throw new CloudError(
        "NotFound",
        'no matches for kind "ScaledObject" in version "keda.sh/v1alpha1": the cluster has no KEDA (workloadAutoScalerProfile.keda.enabled)',
        404,
      );
    }
    const { name: target } = spec.scaleTargetRef;
    if (this.#autoscalerOf(metadata.namespace, target)) {
      throw new CloudError(
        "Forbidden",
        `admission webhook "vscaledobject.kb.io" denied the request: the workload '${target}' of type 'apps/v1.Deployment' is already managed by a HorizontalPodAutoscaler`,
        403,
      );
    }
    this.#scaled.get(key)?.stop();
    const scaled = new ScaledObject(object, {
      pace,
      target: () => this.#deployments.get(`${metadata.namespace}/${target}`),
      queueLength: (trigger) => this.#queueLength(trigger, metadata.namespace as string),
      note: (subject, text, detail) => this.#note(subject, text, detail),
    });
    this.#scaled.set(key, scaled);
  }

  #autoscalerOf(namespace: string | undefined, target: string): KubernetesObject | undefined {
    return this.objects.list("HorizontalPodAutoscaler", namespace).find(({ spec }) => spec.scaleTargetRef?.name === target);
  }

  /** No use of processors is measured here: there are as many replicas as there are to be at least. */
  #applyAutoscaler({ metadata, spec }: KubernetesObject): void {
    const { name: target } = spec.scaleTargetRef ?? {};
    const rival = this.objects.list("ScaledObject", metadata.namespace).find((one) => one.spec.scaleTargetRef?.name === target);
    if (rival)
      throw new CloudError(
        "Forbidden",
        `The Deployment ${target} is scaled by the ScaledObject ${rival.metadata.name} already: it makes an autoscaler of its own.`,
        403,
      );
    const deployment = this.#deployments.get(`${metadata.namespace}/${target}`);
    const { minReplicas = 1, maxReplicas } = spec;
    if (!deployment) {
      this.#note(`${metadata.namespace}/${metadata.name}`, `FailedGetScale: there is no Deployment ${target}`);
      return;
    }
    const replicas = Math.min(maxReplicas, Math.max(minReplicas, deployment.replicas));
    deployment.scale(
      replicas,
      `between ${minReplicas} and ${maxReplicas} (HorizontalPodAutoscaler ${metadata.name}; the embedded cloud measures no metrics)`,
    );
  }

  /** Asks as KEDA's operator does: with the identity that the TriggerAuthentication names. */
  async #queueLength(trigger: Properties, namespace: string): Promise<number> {
    const { cloud } = this.args;
    const { accountName: account, queueName: queue } = trigger.metadata;
    const reference: string | undefined = trigger.authenticationRef?.name;
    const authentication = reference === undefined ? undefined : this.objects.get("TriggerAuthentication", namespace, reference);
    if (!authentication) {
      throw new CloudError(
        "NotFound",
        reference === undefined
          ? "the trigger has no authenticationRef: the embedded cloud's queues are opened by identities only"
          : `triggerauthentications.keda.sh "${reference}" not found`,
        404,
      );
    }
    const identityId: string | undefined = authentication.spec.podIdentity.identityId;
    let holder = this.#holders.get(identityId ?? "");
    if (!holder || holder.until < performance.now()) {
      const found = await verifyToken(cloud, await this.#operatorToken(identityId), STORAGE);
      if (!found) throw new CloudError("InvalidAuthenticationInfo", "The operator's token is not valid.", 401);
      holder = { as: identity(found.objectId, found.name), until: performance.now() + TOKEN_KEPT };
      this.#holders.set(identityId ?? "", holder);
    }
    const { as } = holder;
    const { response } = await cloud.call({ service: "storage", operation: "GetQueueMetadata", input: { account, queue }, as });
    return Number(response.headers?.["x-ms-approximate-messages-count"]);
  }

  /** Exchanges the token of the operator's service account. @throws CloudError while it has none, or is no federated subject */
  async #operatorToken(identityId: string | undefined): Promise<string> {
    const { cloud, declared } = this.args;
    const [, account] = this.#operator;
    const annotated = account?.metadata.annotations?.[CLIENT_ID];
    const injected = declared().workloadIdentity && this.#operatorHasIdentity;
    if (!injected) {
      throw new CloudError(
        "CredentialUnavailable",
        `the operator's pods have no token file (AZURE_FEDERATED_TOKEN_FILE): annotate the ServiceAccount ${OPERATOR.namespace}/${OPERATOR.name} with ${CLIENT_ID}, label the pods of its Deployment ${USE}="true", and start them again after that (ServiceAccountPatch, then DeploymentPatch)`,
        401,
      );
    }
    const { access_token: token } = await cloud.call({
      service: "entra",
      operation: "GetToken",
      input: {
        grant_type: "client_credentials",
        client_id: identityId ?? annotated,
        client_assertion: await this.tokens.issue(OPERATOR, EXCHANGE, 3_600),
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        scope: `${STORAGE}/.default`,
      },
      as: { kind: "service", service: "keda-operator" },
    });
    return token;
  }

  /** What was declared of the operator: its pods start again where their template has changed, and have the identity that its account names. */
  async operatorChanged(restart: boolean): Promise<void> {
    const [operator, account] = this.#operator;
    if (restart && operator) {
      this.#holders.clear();
      const labelled = operator.spec.template.metadata?.labels?.[USE] === "true";
      this.#operatorHasIdentity = labelled && account?.metadata.annotations?.[CLIENT_ID] !== undefined;
      this.#note(`${OPERATOR.namespace}/${OPERATOR.name}`, `Started again ${this.#operatorHasIdentity ? "with" : "without"} an identity`);
    }
    await writeFile(this.#operatorFile, JSON.stringify({ operator, account, identity: this.#operatorHasIdentity }));
  }

  get #operator(): [operator: KubernetesObject | undefined, account: KubernetesObject | undefined] {
    const of = (kind: string) => this.objects.get(kind, OPERATOR.namespace, OPERATOR.name);
    return [of("Deployment"), of("ServiceAccount")];
  }

  get #operatorFile(): string {
    return join(this.args.folder, "keda-operator.json");
  }

  /** It belongs to the cluster, not to the program: nobody declares again what it was told. */
  async #recallOperator(): Promise<void> {
    if (!this.args.declared().keda || !existsSync(this.#operatorFile)) return;
    const { operator, account, identity: had } = JSON.parse(await readFile(this.#operatorFile, "utf8"));
    for (const object of [operator, account]) this.objects.replace(object);
    this.#operatorHasIdentity = had;
  }

  #workloadIdentity(
    { namespace, serviceAccount, ...pod }: { namespace: string; serviceAccount: string; name: string; uid: string },
    authority: string,
  ) {
    if (!this.args.declared().workloadIdentity) return undefined;
    const account = this.objects.get("ServiceAccount", namespace, serviceAccount);
    const clientId = account?.metadata.annotations?.[CLIENT_ID];
    return {
      environment: { AZURE_TENANT_ID: TENANT, AZURE_AUTHORITY_HOST: `${authority}/`, ...(clientId && { AZURE_CLIENT_ID: clientId }) },
      token: (lifetime: number) => this.tokens.issue({ namespace, name: serviceAccount }, EXCHANGE, lifetime, { pod }),
    };
  }

  /** A line that a container wrote: for whoever looks here, and for the agent that collects it. */
  #log(pod: string, container: string, line: string, stream: "stdout" | "stderr"): void {
    const { cloud, declared } = this.args;
    cloud.trace.add({ kind: "log", subject: pod, text: line, detail: { container, stream } });
    const { id, collectsLogs } = declared();
    if (!collectsLogs) return;
    const [namespace, name] = pod.split("/");
    const detail = { PodNamespace: namespace, PodName: name, ContainerName: container, LogSource: stream, LogMessage: structured(line) };
    cloud.publish({ source: "Microsoft.ContainerService", type: "ContainerLog", resources: [id], detail });
  }

  #note(subject: string, text: string, detail: Properties = {}): void {
    this.args.cloud.trace.add({ kind: "execution", subject, text, detail: { cluster: this.args.declared().name, ...detail } });
  }
}

/** A line that is JSON as what it says, any other as it is. */
function structured(line: string): unknown {
  if (!line.startsWith("{")) return line;
  try {
    return JSON.parse(line);
  } catch {
    return line;
  }
}

/** What runs by itself, as AKS' own does. */
const statusOfOperator = ({ metadata, spec }: KubernetesObject): Properties => {
  const replicas: number = spec.replicas ?? 1;
  const counts = { replicas, updatedReplicas: replicas, readyReplicas: replicas, availableReplicas: replicas };
  return { observedGeneration: metadata.generation, ...counts, conditions: [{ type: "Available", status: "True" }] };
};

const keyOf = ({ namespace, name }: { namespace?: string; name: string }): string => `${namespace ?? ""}/${name}`;
