import * as pulumi from "@pulumi/pulumi";

/** Where a cluster's API is, and by what it lets the deployer in. */
interface Api {
  /** `https://…`, without a slash at the end. */
  server: string;
  /** PEM in base64; empty where the machine's own authorities do. */
  certificateAuthority: string;
  token: string;
}

/** {@link Api} as an argument. */
export interface ClusterApi {
  server: pulumi.Input<string>;
  certificateAuthority: pulumi.Input<string>;
  token: pulumi.Input<string>;
}

/*
 * Pulumi keeps a dynamic provider as text and runs it elsewhere: these functions import within, refer only to each other, and define no named
 * functions within (tsx would have them refer to a helper of its own).
 */

/** Asks a cluster's API, whose certificate is of an authority of its own. */
async function ask(
  api: Api,
  method: string,
  path: string,
  body?: object,
  type = "application/json",
): Promise<{ status: number; text: string }> {
  const url = new URL(`${api.server.replace(/\/+$/, "")}${path}`);
  const { request } = url.protocol === "http:" ? await import("node:http") : await import("node:https");
  const text = body === undefined ? undefined : JSON.stringify(body);
  const authority = api.certificateAuthority === "" ? {} : { ca: Buffer.from(api.certificateAuthority, "base64") };
  const headers = { authorization: `Bearer ${api.token}`, accept: "application/json", ...(text !== undefined && { "content-type": type }) };
  return await new Promise((resolve, reject) => {
    const asked = request(url, { method, headers, timeout: 30_000, ...authority }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
    });
    asked.on("timeout", () => asked.destroy(new Error("It has not answered for 30 seconds.")));
    asked.on("error", reject);
    asked.end(text);
  });
}

/** Asks until the answer is a good one: a new cluster's name, and the deployer's role in it, are known only after minutes. */
async function answer(api: Api, method: string, path: string, body?: object, type?: string): Promise<unknown> {
  for (const until = Date.now() + 600_000; ; ) {
    const said = await ask(api, method, path, body, type).catch((error: Error) => ({ status: 0, text: String(error) }));
    if (said.status >= 200 && said.status < 300) return JSON.parse(said.text);
    const passing = [0, 401, 403, 404, 409, 429].includes(said.status) || said.status >= 500;
    if (!passing || Date.now() > until)
      throw new Error(`${method} ${path} of the cluster ${api.server}: ${said.status || ""} ${said.text}`);
    await new Promise((resolve) => setTimeout(resolve, 5_000));
  }
}

const REVIEW = {
  apiVersion: "authorization.k8s.io/v1",
  kind: "SelfSubjectAccessReview",
  spec: { resourceAttributes: { verb: "create", resource: "namespaces" } },
};

type Access = Api & { cluster: string; deployer: string };

async function admitted(inputs: Access): Promise<{ id: string; outs: Omit<Access, "token"> }> {
  const { cluster, deployer, server, certificateAuthority } = inputs;
  for (const until = Date.now() + 900_000; ; ) {
    const review = await answer(inputs, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", REVIEW);
    const { status } = review as { status?: { allowed?: boolean; reason?: string } };
    if (status?.allowed) return { id: cluster, outs: { cluster, deployer, server, certificateAuthority } };
    if (Date.now() > until) {
      throw new Error(
        `The cluster ${server} does not let the deployer in: its role there (Azure Kubernetes Service RBAC Cluster Admin) has not come to ` +
          `effect within 15 minutes. ${status?.reason ?? ""}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 5_000));
  }
}

const access: pulumi.dynamic.ResourceProvider<Access, Omit<Access, "token">> = {
  async check(_olds, news) {
    // In a preview of a cluster that is not there yet, this text of Pulumi's stands for what is not known.
    const known = typeof news.server === "string" && news.server !== "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
    const valid = !known || URL.canParse(news.server);
    return { inputs: news, failures: valid ? [] : [{ property: "server", reason: `server is ${news.server}: it must be a URL.` }] };
  },
  async create(inputs) {
    return await admitted(inputs);
  },
  async read(id, props) {
    return { id, props: props as Access };
  },
  async diff(_id, olds, news) {
    const another = olds.cluster !== news.cluster;
    // Another deployer has another role, which has to come to effect, too.
    const moved = olds.deployer !== news.deployer || olds.server !== news.server || olds.certificateAuthority !== news.certificateAuthority;
    return { changes: another || moved, replaces: another ? ["cluster"] : [] };
  },
  async update(_id, _olds, news) {
    return { outs: (await admitted(news)).outs };
  },
  /** There was nothing made. */
  async delete() {},
};

/** Options of {@link ClusterAccess}. */
export interface ClusterAccessArgs extends ClusterApi {
  /** The cluster's resource id. */
  cluster: pulumi.Input<string>;
  /** Object id of whoever deploys. */
  deployer: pulumi.Input<string>;
}

/** Waits until a cluster lets its deployer in: roles in Entra ID take minutes to come to effect, and what is declared before is refused. */
export class ClusterAccess extends pulumi.dynamic.Resource {
  constructor(name: string, args: ClusterAccessArgs, opts?: pulumi.CustomResourceOptions) {
    super(access, name, { ...args, token: pulumi.secret(args.token) }, opts, "azure", "ClusterAccess");
  }
}

const OPERATOR = "/apis/apps/v1/namespaces/kube-system/deployments/keda-operator";
const ACCOUNT = "/api/v1/namespaces/kube-system/serviceaccounts/keda-operator";

interface Deployed {
  metadata?: { generation?: number };
  spec?: { replicas?: number; selector?: { matchLabels?: Record<string, string> } };
  status?: { observedGeneration?: number; replicas?: number; updatedReplicas?: number; availableReplicas?: number };
}

type Operator = Api & { clientId: string };

/** As AKS's documentation does it by hand: annotate the operator's account, and restart the operator where its pods have no token yet. */
async function identified(inputs: Operator): Promise<{ id: string; outs: Omit<Operator, "token"> }> {
  const { server, certificateAuthority, clientId } = inputs;
  const account = { metadata: { annotations: { "azure.workload.identity/client-id": clientId } } };
  await answer(inputs, "PATCH", ACCOUNT, account, "application/merge-patch+json");
  const deployment = (await answer(inputs, "GET", OPERATOR)) as Deployed;
  const labels = Object.entries(deployment.spec?.selector?.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  const pods = (await answer(
    inputs,
    "GET",
    `/api/v1/namespaces/kube-system/pods?labelSelector=${encodeURIComponent(labels.join(","))}`,
  )) as {
    items?: { spec?: { containers?: { env?: { name?: string }[] }[] } }[];
  };
  const items = pods.items ?? [];
  const carried = items.map((pod) =>
    (pod.spec?.containers ?? []).some(({ env }) => (env ?? []).some(({ name }) => name === "AZURE_FEDERATED_TOKEN_FILE")),
  );
  if (carried.length === 0 || carried.includes(false)) {
    const metadata = {
      labels: { "azure.workload.identity/use": "true" },
      annotations: { "kubectl.kubernetes.io/restartedAt": new Date().toISOString() },
    };
    const restart = { spec: { template: { metadata } } };
    await answer(inputs, "PATCH", OPERATOR, restart, "application/strategic-merge-patch+json");
    for (const until = Date.now() + 600_000; ; ) {
      const { metadata, spec, status } = (await answer(inputs, "GET", OPERATOR)) as Deployed;
      const wanted = spec?.replicas ?? 1;
      const seen = (status?.observedGeneration ?? 0) >= (metadata?.generation ?? 0);
      if (seen && status?.updatedReplicas === wanted && status.availableReplicas === wanted && status.replicas === wanted) break;
      if (Date.now() > until) throw new Error("KEDA's operator has not started again within ten minutes: look at it in kube-system.");
      await new Promise((resolve) => setTimeout(resolve, inputs.server.startsWith("http://127.0.0.1") ? 100 : 3_000));
    }
  }
  return { id: "kube-system/keda-operator", outs: { server, certificateAuthority, clientId } };
}

const operator: pulumi.dynamic.ResourceProvider<Operator, Omit<Operator, "token">> = {
  async check(_olds, news) {
    const valid = typeof news.clientId !== "string" || /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(news.clientId);
    return { inputs: news, failures: valid ? [] : [{ property: "clientId", reason: `clientId is ${news.clientId}: it must be a UUID.` }] };
  },
  async create(inputs) {
    return await identified(inputs);
  },
  async read(id, props) {
    return { id, props: props as Operator };
  },
  async diff(_id, olds, news) {
    return { changes: olds.clientId !== news.clientId || olds.server !== news.server, replaces: [] };
  },
  async update(_id, _olds, news) {
    return { outs: (await identified(news)).outs };
  },
  /** It goes with the cluster. */
  async delete() {},
};

/** Options of {@link KedaOperator}. */
export interface KedaOperatorArgs extends ClusterApi {
  /** Client id of the identity. */
  clientId: pulumi.Input<string>;
}

/**
 * The identity that KEDA's operator, which AKS runs, looks at queues by. Pods that were started before the cluster gave tokens to them have none, so
 * that the operator is restarted once. It is not declared, as AKS owns its Deployment.
 */
export class KedaOperator extends pulumi.dynamic.Resource {
  constructor(name: string, args: KedaOperatorArgs, opts?: pulumi.CustomResourceOptions) {
    super(operator, name, { ...args, token: pulumi.secret(args.token) }, opts, "azure", "KedaOperator");
  }
}
