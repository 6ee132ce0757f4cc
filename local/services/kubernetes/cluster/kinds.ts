import { CloudError, type Properties } from "../../../kernel/service.js";
import { selects } from "./objects.js";
import { quantity } from "./quantity.js";

/** A kind of objects, as far as it is emulated. */
export interface Kind {
  kind: string;
  apiVersion: string;
  /** As in addresses. */
  plural: string;
  namespaced: boolean;
  /** Inputs that are honoured, beside `apiVersion`, `kind` and `metadata`. */
  inputs: readonly string[];
  /** Inputs besides name and namespace whose change means a new object. */
  replacedBy?: readonly string[];
  /** Refuses what the API server would, and what is not emulated. */
  check?(object: Properties): void;
}

export const invalid = (kind: string, name: string, path: string, value: unknown, why: string): CloudError =>
  new CloudError("Invalid", `${kind} "${name}" is invalid: ${path}: Invalid value: ${JSON.stringify(value)}: ${why}`, 422);

/** Allowed in emulated containers' specifications. What has no effect on this machine is recorded. */
const PROBE = ["httpGet", "tcpSocket", "initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold", "successThreshold"];
const CONTAINER = [
  ...["name", "image", "imagePullPolicy", "command", "args", "workingDir", "ports", "resources", "securityContext"],
  ...["env[].name", "env[].value", "env[].valueFrom.secretKeyRef", "env[].valueFrom.configMapKeyRef"],
  ...["env[].valueFrom.fieldRef", "env[].valueFrom.resourceFieldRef", "envFrom", "volumeMounts"],
  ...["startupProbe", "livenessProbe", "readinessProbe"].flatMap((probe) => PROBE.map((input) => `${probe}.${input}`)),
  ...["terminationMessagePath", "terminationMessagePolicy"],
];
const POD = [
  ...["serviceAccountName", "automountServiceAccountToken", "terminationGracePeriodSeconds", "securityContext", "restartPolicy"],
  ...["topologySpreadConstraints", "nodeSelector", "tolerations", "affinity", "priorityClassName", "enableServiceLinks", "dnsPolicy"],
  ...["volumes[].name", "volumes[].emptyDir", ...CONTAINER.map((input) => `containers[].${input}`)],
];

export const KINDS: readonly Kind[] = [
  { kind: "Namespace", apiVersion: "v1", plural: "namespaces", namespaced: false, inputs: ["spec.finalizers"] },
  {
    ...{ kind: "ServiceAccount", apiVersion: "v1", plural: "serviceaccounts", namespaced: true },
    inputs: ["automountServiceAccountToken"],
  },
  {
    ...{ kind: "Secret", apiVersion: "v1", plural: "secrets", namespaced: true },
    inputs: ["type", "data", "stringData", "immutable"],
    replacedBy: ["type"],
    check({ metadata, data = {} }) {
      for (const [key, value] of Object.entries(data)) {
        const encoded =
          typeof value === "string" && Buffer.from(value, "base64").toString("base64").replace(/=+$/, "") === value.replace(/=+$/, "");
        if (!encoded) throw invalid("Secret", metadata.name, `data[${key}]`, "…", "illegal base64 data: use stringData for plain text");
      }
    },
  },
  { kind: "ConfigMap", apiVersion: "v1", plural: "configmaps", namespaced: true, inputs: ["data", "immutable"] },
  {
    ...{ kind: "Deployment", apiVersion: "apps/v1", plural: "deployments", namespaced: true },
    inputs: [
      ...["replicas", "selector.matchLabels", "minReadySeconds", "progressDeadlineSeconds", "revisionHistoryLimit"],
      ...["strategy.type", "strategy.rollingUpdate.maxUnavailable", "strategy.rollingUpdate.maxSurge"],
      ...["template.metadata.labels", "template.metadata.annotations", ...POD.map((input) => `template.spec.${input}`)],
    ].map((input) => `spec.${input}`),
    replacedBy: ["spec.selector"],
    check: checkDeployment,
  },
  {
    ...{ kind: "Service", apiVersion: "v1", plural: "services", namespaced: true },
    inputs: [
      ...["type", "selector", "externalTrafficPolicy", "internalTrafficPolicy", "sessionAffinity", "allocateLoadBalancerNodePorts"],
      ...["name", "port", "targetPort", "protocol", "appProtocol"].map((input) => `ports[].${input}`),
    ].map((input) => `spec.${input}`),
    check: checkService,
  },
  {
    ...{ kind: "PodDisruptionBudget", apiVersion: "policy/v1", plural: "poddisruptionbudgets", namespaced: true },
    inputs: ["spec.minAvailable", "spec.maxUnavailable", "spec.selector.matchLabels", "spec.unhealthyPodEvictionPolicy"],
    check({ metadata, spec }) {
      if (spec?.minAvailable !== undefined && spec.maxUnavailable !== undefined) {
        throw invalid("PodDisruptionBudget", metadata.name, "spec", spec, "minAvailable and maxUnavailable cannot be both set");
      }
    },
  },
  {
    ...{ kind: "NetworkPolicy", apiVersion: "networking.k8s.io/v1", plural: "networkpolicies", namespaced: true },
    inputs: [
      ...["podSelector.matchLabels", "policyTypes", "ingress[].ports[].protocol", "ingress[].ports[].port", "ingress[].ports[].endPort"],
      ...["namespaceSelector", "ipBlock.cidr"].map((peer) => `ingress[].from[].${peer}`),
    ].map((input) => `spec.${input}`),
    check: checkNetworkPolicy,
  },
  {
    ...{ kind: "HorizontalPodAutoscaler", apiVersion: "autoscaling/v2", plural: "horizontalpodautoscalers", namespaced: true },
    inputs: ["spec"],
    check({ metadata, spec }) {
      const { minReplicas = 1, maxReplicas } = spec ?? {};
      if (!(Number.isInteger(maxReplicas) && maxReplicas >= minReplicas)) {
        throw invalid(
          "HorizontalPodAutoscaler",
          metadata.name,
          "spec.maxReplicas",
          maxReplicas,
          "must be greater than or equal to `minReplicas`",
        );
      }
    },
  },
  {
    ...{ kind: "TriggerAuthentication", apiVersion: "keda.sh/v1alpha1", plural: "triggerauthentications", namespaced: true },
    inputs: ["spec.podIdentity.provider", "spec.podIdentity.identityId"],
    check({ metadata, spec }) {
      const provider = spec?.podIdentity?.provider;
      if (provider !== "azure-workload") {
        throw invalid(
          "TriggerAuthentication",
          metadata.name,
          "spec.podIdentity.provider",
          provider,
          'the embedded cloud emulates "azure-workload"',
        );
      }
    },
  },
  {
    ...{ kind: "ScaledObject", apiVersion: "keda.sh/v1alpha1", plural: "scaledobjects", namespaced: true },
    inputs: [
      ...[
        "scaleTargetRef.name",
        "scaleTargetRef.kind",
        "scaleTargetRef.apiVersion",
        "minReplicaCount",
        "maxReplicaCount",
        "pollingInterval",
      ],
      ...["cooldownPeriod", "triggers[].type", "triggers[].metadata", "triggers[].name", "triggers[].authenticationRef.name"],
      ...["scaleUp", "scaleDown"].map((way) => `advanced.horizontalPodAutoscalerConfig.behavior.${way}`),
    ].map((input) => `spec.${input}`),
    check: checkScaledObject,
  },
];

/** Server-side apply onto objects that are there already: `kubernetes:core/v1:ServiceAccountPatch`. */
export const PATCHES: readonly { kind: string; apiVersion: string; inputs: readonly string[] }[] = [
  { kind: "ServiceAccount", apiVersion: "v1", inputs: [] },
  { kind: "Deployment", apiVersion: "apps/v1", inputs: ["spec"] },
];

/** Pulumi's type token of a kind: `kubernetes:core/v1:Secret`. */
export const tokenOf = ({ kind, apiVersion }: { kind: string; apiVersion: string }, patch = ""): string =>
  `kubernetes:${apiVersion === "v1" ? "core/v1" : apiVersion}:${kind}${patch}`;

const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** @throws CloudError for a name that objects cannot have, or none */
export function checkName({ kind, metadata }: Properties): void {
  const name = metadata?.name;
  if (name === undefined) {
    throw new CloudError(
      "Invalid",
      `${kind}: metadata.name is missing. The embedded cloud makes up no names for Kubernetes objects: set it.`,
      422,
    );
  }
  // Unknown while a program is previewed.
  if (typeof name !== "string") return;
  const pattern = ["Namespace", "Service", "Deployment"].includes(kind) ? LABEL : NAME;
  if (!pattern.test(name)) {
    throw invalid(kind, name, "metadata.name", name, "lower-case letters, digits and - (a letter or digit first and last), 63 at most");
  }
}

function checkDeployment({ metadata, spec }: Properties): void {
  const fail = (path: string, value: unknown, why: string) => invalid("Deployment", metadata.name, path, value, why);
  const { selector, template, replicas, strategy, progressDeadlineSeconds: deadline = 600, minReadySeconds = 0 } = spec;
  if (!selects(selector?.matchLabels, template?.metadata?.labels)) {
    throw fail("spec.template.metadata.labels", template?.metadata?.labels, "`selector` does not match template `labels`");
  }
  if (replicas !== undefined && !(Number.isInteger(replicas) && replicas >= 0))
    throw fail("spec.replicas", replicas, "must be a whole number of at least 0");
  if (deadline <= minReadySeconds) throw fail("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
  if (!["RollingUpdate", "Recreate", undefined].includes(strategy?.type))
    throw fail("spec.strategy.type", strategy.type, "must be RollingUpdate or Recreate");
  const { containers = [], volumes = [], restartPolicy = "Always" } = template.spec ?? {};
  const at = "spec.template.spec";
  if (restartPolicy !== "Always") throw fail(`${at}.restartPolicy`, restartPolicy, "a Deployment's must be Always");
  if (containers.length === 0) throw fail(`${at}.containers`, containers, "at least one is needed");
  for (const [index, container] of (containers as Properties[]).entries())
    checkContainer(container, `${at}.containers[${index}]`, volumes, fail);
}

/** Variables by which a program is told where to listen. */
export const PORT_VARIABLE = /^([A-Z0-9]+_)*PORT$/;

type Fail = (path: string, value: unknown, why: string) => CloudError;

function checkContainer(container: Properties, at: string, volumes: Properties[], fail: Fail): void {
  const { name, image, ports = [], env = [], volumeMounts = [], resources } = container;
  if (!name) throw fail(`${at}.name`, name, "a name is needed");
  if (!image) throw fail(`${at}.image`, image, "an image is needed");
  for (const { containerPort } of ports as Properties[]) {
    if ((env as Properties[]).some((one) => PORT_VARIABLE.test(one.name) && String(one.value) === String(containerPort))) continue;
    throw fail(
      `${at}.env`,
      (env as Properties[]).find((one) => one.name === "PORT")?.value,
      `replicas share this machine, so each is given ports of its own: declare the variable PORT, or one whose name ends in _PORT, as "${containerPort}", the containerPort, and have the program listen where it says`,
    );
  }
  for (const { name: volume, mountPath } of volumeMounts as Properties[]) {
    if (!volumes.some((one) => one.name === volume)) throw fail(`${at}.volumeMounts`, volume, "Not found: there is no such volume");
    if (mountPath !== "/tmp")
      throw fail(`${at}.volumeMounts.mountPath`, mountPath, "the embedded cloud mounts at /tmp only (TMPDIR says where that is)");
  }
  for (const [kind, values] of Object.entries<Properties>({ requests: resources?.requests, limits: resources?.limits })) {
    for (const [resource, value] of Object.entries(values ?? {})) {
      if (quantity(value) === undefined)
        throw fail(`${at}.resources.${kind}.${resource}`, value, "must be a quantity, such as 250m or 512Mi");
    }
  }
  const [asked, limit] = [quantity(resources?.requests?.memory), quantity(resources?.limits?.memory)];
  if (asked !== undefined && limit !== undefined && asked > limit) {
    throw fail(`${at}.resources.requests`, resources.requests.memory, "must be less than or equal to memory limit");
  }
  for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"]) {
    const { httpGet, tcpSocket, successThreshold = 1 } = container[probe] ?? { httpGet: {} };
    if (!httpGet && !tcpSocket)
      throw fail(`${at}.${probe}`, container[probe], "must specify a handler type: the embedded cloud asks by httpGet or tcpSocket");
    if (probe !== "readinessProbe" && successThreshold !== 1) throw fail(`${at}.${probe}.successThreshold`, successThreshold, "must be 1");
    const port = (httpGet ?? tcpSocket).port;
    if (typeof port === "string" && !(ports as Properties[]).some((one) => one.name === port)) {
      throw fail(`${at}.${probe}.port`, port, "the container has no port of this name");
    }
  }
}

function checkService({ metadata, spec }: Properties): void {
  const fail = (path: string, value: unknown, why: string) => invalid("Service", metadata.name, path, value, why);
  const { type = "ClusterIP", ports = [], sessionAffinity = "None", selector } = spec ?? {};
  if (!["ClusterIP", "LoadBalancer"].includes(type))
    throw fail("spec.type", type, "the embedded cloud emulates ClusterIP and LoadBalancer");
  if (sessionAffinity !== "None") throw fail("spec.sessionAffinity", sessionAffinity, "the embedded cloud goes round the pods: None");
  if (ports.length === 0) throw fail("spec.ports", ports, "Required value");
  if (!selector || Object.keys(selector).length === 0) throw fail("spec.selector", selector, "the embedded cloud's services select pods");
  for (const { protocol = "TCP", port } of ports as Properties[]) {
    if (protocol !== "TCP") throw fail("spec.ports.protocol", protocol, "the embedded cloud passes on TCP");
    if (!(Number.isInteger(port) && port >= 1 && port <= 65_535)) throw fail("spec.ports.port", port, "must be between 1 and 65535");
  }
}

function checkNetworkPolicy({ metadata, spec }: Properties): void {
  const fail = (path: string, value: unknown, why: string) => invalid("NetworkPolicy", metadata.name, path, value, why);
  const { podSelector, policyTypes = ["Ingress"], ingress = [] } = spec ?? {};
  if (!podSelector) throw fail("spec.podSelector", podSelector, "Required value: {} is all pods of the namespace");
  if (policyTypes.some((type: string) => type !== "Ingress"))
    throw fail("spec.policyTypes", policyTypes, "the embedded cloud holds back what comes to pods, and nothing that they send: Ingress");
  for (const { from = [], ports = [] } of ingress as Properties[]) {
    for (const { protocol = "TCP", port, endPort } of ports as Properties[]) {
      if (protocol !== "TCP") throw fail("spec.ingress.ports.protocol", protocol, "the embedded cloud passes on TCP");
      if (endPort !== undefined && !(Number.isInteger(port) && endPort >= port))
        throw fail("spec.ingress.ports.endPort", endPort, "must be at least `port`, which has to be a number");
    }
    for (const { namespaceSelector, ipBlock } of from as Properties[]) {
      const everybody = namespaceSelector ? Object.keys(namespaceSelector).length === 0 : ipBlock?.cidr === "0.0.0.0/0";
      if (!everybody)
        throw fail("spec.ingress.from", from, "the embedded cloud tells inside from outside: namespaceSelector {}, or ipBlock 0.0.0.0/0");
    }
  }
}

/** What a storage queue's trigger may say. All of it is text. */
const TRIGGER = ["queueName", "accountName", "queueLength", "activationQueueLength", "queueLengthStrategy", "cloud"];

function checkScaledObject({ metadata, spec }: Properties): void {
  const fail = (path: string, value: unknown, why: string) => invalid("ScaledObject", metadata.name, path, value, why);
  const { scaleTargetRef, triggers = [], minReplicaCount = 0, maxReplicaCount = 100 } = spec ?? {};
  if (!["Deployment", undefined].includes(scaleTargetRef?.kind))
    throw fail("spec.scaleTargetRef.kind", scaleTargetRef.kind, "the embedded cloud scales a Deployment");
  if (!scaleTargetRef?.name) throw fail("spec.scaleTargetRef.name", scaleTargetRef?.name, "Required value");
  if (minReplicaCount > maxReplicaCount)
    throw fail("spec.minReplicaCount", minReplicaCount, `must be less than maxReplicaCount=${maxReplicaCount}`);
  if (triggers.length !== 1) throw fail("spec.triggers", triggers.length, "the embedded cloud scales by one trigger");
  const [{ type, metadata: about = {} }] = triggers;
  if (type !== "azure-queue") throw fail("spec.triggers[0].type", type, 'the embedded cloud emulates "azure-queue"');
  for (const [name, value] of Object.entries(about)) {
    if (!TRIGGER.includes(name)) throw fail(`spec.triggers[0].metadata.${name}`, value, `the embedded cloud honours ${TRIGGER.join(", ")}`);
    if (typeof value !== "string") throw fail(`spec.triggers[0].metadata.${name}`, value, "must be text: put the number in quotes");
  }
  if (!about.queueName) throw fail("spec.triggers[0].metadata.queueName", about.queueName, "no queueName given");
  if (!about.accountName) throw fail("spec.triggers[0].metadata.accountName", about.accountName, "no accountName given");
  if (!["all", undefined].includes(about.queueLengthStrategy)) {
    throw fail("spec.triggers[0].metadata.queueLengthStrategy", about.queueLengthStrategy, 'the embedded cloud counts "all"');
  }
  for (const name of ["queueLength", "activationQueueLength"]) {
    if (about[name] !== undefined && !/^\d+$/.test(about[name]))
      throw fail(`spec.triggers[0].metadata.${name}`, about[name], "must be a whole number");
  }
  if (about.queueLength === "0") throw fail("spec.triggers[0].metadata.queueLength", "0", "must be at least 1");
}
