import assert from "node:assert/strict";
import type { Properties, Resource } from "../../../../local/kernel/service.js";
import storage from "../../../../local/services/azure/storage/index.js";
import { DEFAULT_BEHAVIOUR, HorizontalScaling } from "../../../../local/services/kubernetes/cluster/horizontal-scaling.js";
import { storageAccount } from "../azure/azure-cloud.js";
import { DEPLOYMENT, deployment, NAMESPACE, type TestCluster, testCluster, traced } from "./fixture.js";

const SCALED = "kubernetes:keda.sh/v1alpha1:ScaledObject";
const AUTHENTICATION = "kubernetes:keda.sh/v1alpha1:TriggerAuthentication";
const OPERATOR = { name: "keda-operator", namespace: "kube-system" };

describe("Scaling by KEDA", () => {
  let test: TestCluster;
  let scaler: Resource;
  let queue: string;

  beforeEach(async () => {
    test = await testCluster({ services: [storage()] });
    const { azure, cluster } = test;
    const account = await storageAccount(azure);
    queue = (await azure.declare("azure-native:storage:Queue", "jobs", { accountName: "photosaccount", queueName: "jobs" })).outputs.name;
    scaler = await azure.identity("scaler");
    await azure.grant(scaler, "queueReader", account.id);
    await azure.declare("azure-native:managedidentity:FederatedIdentityCredential", "operator", {
      resourceName: "scaler",
      federatedIdentityCredentialResourceName: "operator",
      issuer: cluster.outputs.oidcIssuerProfile.issuerURL,
      subject: "system:serviceaccount:kube-system:keda-operator",
      audiences: ["api://AzureADTokenExchange"],
    });
    await test.apply(AUTHENTICATION, {
      metadata: { name: "queue", namespace: NAMESPACE },
      spec: { podIdentity: { provider: "azure-workload", identityId: scaler.outputs.clientId } },
    });
  });
  afterEach(() => test?.stop());

  const annotateOperator = () =>
    test.apply("kubernetes:core/v1:ServiceAccountPatch", {
      metadata: {
        ...OPERATOR,
        annotations: { "azure.workload.identity/client-id": scaler.outputs.clientId, "pulumi.com/patchForce": "true" },
      },
    });
  const restartOperator = () => {
    const annotations = { "kubectl.kubernetes.io/restartedAt": new Date().toISOString() };
    return test.apply("kubernetes:apps/v1:DeploymentPatch", {
      metadata: { ...OPERATOR },
      spec: { template: { metadata: { annotations } } },
    });
  };
  const giveOperatorItsIdentity = async () => {
    await annotateOperator();
    await restartOperator();
  };
  /** Names of the variables of the operator's pods. */
  const operatorEnv = async () => {
    const { items } = await test.get("/api/v1/namespaces/kube-system/pods?labelSelector=app%3Dkeda-operator");
    return items.map(({ spec }: Properties) => spec.containers[0].env.map(({ name }: Properties) => name));
  };
  const put = async (messages: number) => {
    const { cloud } = test.azure.test;
    const as = { kind: "account", arn: "the test" } as const;
    for (let count = 0; count < messages; count++) {
      await cloud.call({ service: "storage", operation: "PutMessage", input: { account: "photosaccount", queue, message: "x" }, as });
    }
  };
  const clear = async () => {
    const { cloud } = test.azure.test;
    const request = {
      method: "DELETE",
      target: `/photosaccount/${queue}/messages`,
      headers: { host: "127.0.0.1", "x-ms-version": "2021-10-04" },
      body: Buffer.alloc(0),
      endpoint: "queue",
    };
    const call = { operation: "ClearMessages", store: "queue", account: "photosaccount", holder: queue };
    await cloud.call({
      service: "storage",
      operation: "ClearMessages",
      input: { call, request: { ...request, url: new URL(`http://127.0.0.1${request.target}`) } },
      as: { kind: "account", arn: "the test" },
    });
  };
  const scaledObject = (spec: Properties = {}) => ({
    metadata: { name: "worker", namespace: NAMESPACE },
    spec: {
      scaleTargetRef: { name: "worker" },
      ...{ minReplicaCount: 1, maxReplicaCount: 4, pollingInterval: 15, cooldownPeriod: 60 },
      advanced: { horizontalPodAutoscalerConfig: { behavior: { scaleDown: { stabilizationWindowSeconds: 30 } } } },
      triggers: [
        {
          type: "azure-queue",
          metadata: { queueName: "jobs", accountName: "photosaccount", queueLength: "5", activationQueueLength: "0" },
          authenticationRef: { name: "queue" },
        },
      ],
      ...spec,
    },
  });
  const scaledTo = (replicas: number, since = 0) =>
    traced(test, ({ subject, detail }) => subject === "photos/worker" && detail?.to === replicas, since);
  const mark = () => test.azure.test.cloud.trace.entries().length;
  const replicas = async () => (await test.get("/apis/apps/v1/namespaces/photos/deployments/worker")).spec.replicas;

  it("keeps the least while there is nothing to do, goes to the most with 100 messages, and back when they are gone", async () => {
    await giveOperatorItsIdentity();
    await test.apply(DEPLOYMENT, deployment("worker", await test.image()));
    await test.apply(SCALED, scaledObject());
    await traced(test, ({ kind, text }) => kind === "call" && text.startsWith("storage:GetQueueMetadata done"));
    assert.equal(await replicas(), 1);
    await put(100);
    const { text } = await scaledTo(4);
    assert.match(text, /^Scaled from \d to 4 replicas: \d+ messages in jobs, 5 per replica, between 1 and 4 \(ScaledObject worker\)$/);
    const emptied = mark();
    await clear();
    await scaledTo(1, emptied);
    assert.equal(await replicas(), 1);
  });

  it("goes to none after the cooldown where none is the least, and comes back with the first message", async () => {
    await giveOperatorItsIdentity();
    await test.apply(DEPLOYMENT, deployment("worker", await test.image()));
    await test.apply(SCALED, scaledObject({ minReplicaCount: 0 }));
    const { text } = await scaledTo(0);
    assert.match(text, /0 messages in jobs.*inactive for 60 s/);
    const since = mark();
    await put(1);
    assert.equal((await scaledTo(1, since)).detail?.from, 0);
  });

  it("does nothing while the operator has no identity, and says what is missing", async () => {
    await test.apply(DEPLOYMENT, deployment("worker", await test.image()));
    await put(20);
    const scaled = await test.apply(SCALED, scaledObject());
    const { text } = await traced(test, (entry) => entry.text.startsWith("KEDAScalerFailed"));
    assert.match(text, /AZURE_FEDERATED_TOKEN_FILE.*annotate the ServiceAccount kube-system\/keda-operator/);
    assert.equal(await replicas(), 1);
    const since = mark();
    // As AKS' trap has it: the annotation alone does not reach pods that run already.
    await annotateOperator();
    assert.deepEqual(await operatorEnv(), [[]]);
    await restartOperator();
    assert.deepEqual(await operatorEnv(), [["AZURE_FEDERATED_TOKEN_FILE"]]);
    await traced(test, (entry) => entry.text === "ScaledObject is ready for scaling", since);
    await scaledTo(4, since);
    await test.remove(scaled);
  });

  it("may be told over the wire, as by hand", async () => {
    const patch = (path: string, body: Properties, type = "application/merge-patch+json") =>
      test.get(path, { method: "PATCH", body: JSON.stringify(body), headers: { "content-type": type } });
    const account = "/api/v1/namespaces/kube-system/serviceaccounts/keda-operator";
    const operator = "/apis/apps/v1/namespaces/kube-system/deployments/keda-operator";
    const annotations = { "azure.workload.identity/client-id": scaler.outputs.clientId };
    assert.equal((await patch(account, { metadata: { annotations } })).httpStatus, 200);
    assert.deepEqual(await operatorEnv(), [[]]);
    const template = { metadata: { annotations: { "kubectl.kubernetes.io/restartedAt": "now" } } };
    const { spec, status, metadata } = await patch(operator, { spec: { template } }, "application/strategic-merge-patch+json");
    assert.deepEqual(
      [status.updatedReplicas, status.availableReplicas, status.observedGeneration],
      [spec.replicas, spec.replicas, metadata.generation],
    );
    assert.deepEqual(await operatorEnv(), [["AZURE_FEDERATED_TOKEN_FILE"]]);
    assert.equal((await patch(operator, {}, "application/apply-patch+yaml")).httpStatus, 415);
    assert.equal((await patch("/api/v1/namespaces/photos/secrets/x", {})).httpStatus, 405);
  });

  it("needs a role at the queue, and says which", async () => {
    await giveOperatorItsIdentity();
    const { azure } = test;
    for (const assignment of azure.test.cloud.resources.all("azure-native:authorization:RoleAssignment")) {
      if (assignment.outputs.principalId === scaler.outputs.principalId) await azure.test.remove(assignment);
    }
    await test.apply(DEPLOYMENT, deployment("worker", await test.image()));
    await test.apply(SCALED, scaledObject());
    const { text } = await traced(test, (entry) => entry.text.startsWith("KEDAScalerFailed"));
    assert.match(text, /AuthorizationPermissionMismatch.*queueServices\/queues\/read/);
  });

  it("refuses what it does not honour", async () => {
    const trigger: Properties = scaledObject().spec.triggers[0] as Properties;
    const withTrigger = (metadata: Properties) =>
      test.apply(SCALED, scaledObject({ triggers: [{ ...trigger, metadata: { ...trigger.metadata, ...metadata } }] }));
    await assert.rejects(withTrigger({ queueLength: 5 }), /must be text: put the number in quotes/);
    await assert.rejects(withTrigger({ connectionFromEnv: "X" }), /the embedded cloud honours queueName/);
    await assert.rejects(test.apply(SCALED, scaledObject({ triggers: [{ type: "cpu", metadata: {} }] })), /emulates "azure-queue"/);
    await assert.rejects(test.apply(SCALED, scaledObject({ minReplicaCount: 9 })), /must be less than maxReplicaCount=4/);
    await assert.rejects(test.apply(SCALED, scaledObject({ fallback: { replicas: 2 } })), /spec\.fallback: No service/);
  });
});

describe("The algorithm of a HorizontalPodAutoscaler", () => {
  const scaling = (behaviour = DEFAULT_BEHAVIOUR, most = 10) => new HorizontalScaling(1, most, behaviour);

  it("at most doubles, or adds four, every 15 seconds", () => {
    const hpa = scaling(DEFAULT_BEHAVIOUR, 50);
    assert.equal(hpa.next(1, 500, 5, 0), 5);
    assert.equal(hpa.next(5, 500, 5, 15), 10);
    assert.equal(hpa.next(10, 500, 5, 30), 20);
    assert.equal(hpa.next(20, 500, 5, 45), 40);
    assert.equal(hpa.next(40, 500, 5, 60), 50);
  });

  it("counts what came within the period against its limit", () => {
    const hpa = scaling(DEFAULT_BEHAVIOUR, 50);
    assert.equal(hpa.next(1, 500, 5, 0), 5);
    assert.equal(hpa.next(5, 500, 5, 5), 5);
    assert.equal(hpa.next(5, 500, 5, 16), 10);
  });

  it("leaves things alone within a tenth of the target", () => {
    assert.equal(scaling().next(2, 215, 100, 0), 2);
    assert.equal(scaling().next(2, 225, 100, 0), 3);
  });

  it("takes away nothing before fewer were enough for five minutes", () => {
    const hpa = scaling();
    let current = 10;
    for (let at = 0; at < 300; at += 15) current = hpa.next(current, 0, 5, at);
    assert.equal(current, 10);
    assert.equal(hpa.next(10, 0, 5, 300), 1);
  });

  it("keeps what a peak within the window needed", () => {
    const hpa = scaling();
    assert.equal(hpa.next(2, 40, 5, 0), 6);
    assert.equal(hpa.next(6, 40, 5, 15), 8);
    assert.equal(hpa.next(8, 5, 5, 30), 8);
    assert.equal(hpa.next(8, 5, 5, 314), 8);
    assert.equal(hpa.next(8, 5, 5, 315), 1);
  });

  it("follows declared rules", () => {
    const down = {
      stabilizationWindow: 0,
      selectPolicy: "Min" as const,
      policies: [
        { type: "Pods" as const, value: 2, periodSeconds: 60 },
        { type: "Percent" as const, value: 50, periodSeconds: 60 },
      ],
    };
    const hpa = scaling({ up: { ...DEFAULT_BEHAVIOUR.up, selectPolicy: "Disabled" }, down });
    assert.equal(hpa.next(3, 100, 5, 0), 3);
    assert.equal(hpa.next(10, 0, 5, 100), 8);
    assert.equal(hpa.next(8, 0, 5, 115), 8);
    assert.equal(hpa.next(8, 0, 5, 161), 6);
  });
});
