import assert from "node:assert/strict";
import type { Server } from "node:http";
import { ClusterAccess, KedaOperator } from "../../../../components/azure/kubernetes/cluster-api.js";
import { type Answer, type Asked, providerOf, served } from "./served.js";

const api = { server: "https://cluster.example", certificateAuthority: "Q0E=", token: "a-token" };
const clientId = "00112233-4455-6677-8899-aabbccddeeff";

describe("A cluster's API", () => {
  let server: Server | undefined;
  const setTimeout = globalThis.setTimeout;
  // What is waited for between two questions takes no time here; requests' own time-outs stay.
  beforeEach(() => {
    globalThis.setTimeout = ((work: () => void, delay: number, ...rest: []) =>
      setTimeout(work, delay === 5_000 || delay === 3_000 || delay === 100 ? 0 : delay, ...rest)) as typeof setTimeout;
  });
  afterEach(() => {
    globalThis.setTimeout = setTimeout;
    server?.close();
  });
  const cluster = async (answer: (asked: Asked, times: number) => Answer) => {
    let times = 0;
    const started = await served((one) => {
      times += 1;
      return answer(one, times);
    });
    server = started.server;
    return { asked: started.asked, inputs: { ...api, server: started.url, certificateAuthority: "", cluster: "the-id", clientId } };
  };

  describe("lets the deployer in", () => {
    let provider: any;
    let declared: any;
    before(async () => {
      ({ provider, declared } = await providerOf(() => new ClusterAccess("access", { ...api, cluster: "the-id", deployer: "me" })));
    });
    const path = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

    it("when its role has come to effect, and not before", async () => {
      const { asked, inputs } = await cluster((_, times) =>
        times === 1 ? [403, "no"] : times === 2 ? [201, { status: { allowed: false } }] : [201, { status: { allowed: true } }],
      );
      const { id, outs } = await provider.create(inputs);
      assert.equal(id, "the-id");
      assert.equal("token" in outs, false);
      assert.deepEqual(
        asked.map(({ call, headers }) => `${call} ${headers.authorization}`),
        Array.from({ length: 3 }, () => `${path} Bearer a-token`),
      );
      assert.deepEqual(JSON.parse(String(asked[0]?.body)).spec, { resourceAttributes: { verb: "create", resource: "namespaces" } });
    });

    it("but not by a request that it does not understand", async () => {
      const { asked, inputs } = await cluster(() => [400, "what?"]);
      await assert.rejects(provider.create(inputs), { message: /selfsubjectaccessreviews of the cluster http:.*400 what\?/ });
      assert.equal(asked.length, 1);
    });

    it("once, however many tokens there are", async () => {
      const olds = { ...api, cluster: "the-id", deployer: "me" };
      assert.deepEqual(await provider.diff("id", olds, { ...olds, token: "b" }), { changes: false, replaces: [] });
      assert.deepEqual(await provider.diff("id", olds, { ...olds, server: "s" }), { changes: true, replaces: [] });
      assert.deepEqual(await provider.diff("id", olds, { ...olds, deployer: "somebody else" }), { changes: true, replaces: [] });
      assert.deepEqual(await provider.diff("id", olds, { ...olds, cluster: "c" }), { changes: true, replaces: ["cluster"] });
      assert.deepEqual(await provider.read("id", olds), { id: "id", props: olds });
      await provider.delete("id", olds);
      assert.deepEqual(declared.secretInputs, ["token"]);
      assert.equal((await provider.check({}, { ...olds, server: "nowhere" })).failures[0].property, "server");
      // What a preview does not know yet.
      assert.deepEqual((await provider.check({}, { ...olds, server: "04da6b54-80e4-46f7-96ec-b56ff0331ba9" })).failures, []);
    });
  });

  describe("gives KEDA's operator its identity", () => {
    let provider: any;
    before(async () => {
      ({ provider } = await providerOf(() => new KedaOperator("operator", { ...api, clientId })));
    });
    const deployment = { metadata: { generation: 2 }, spec: { replicas: 2, selector: { matchLabels: { app: "keda-operator" } } } };
    const rolled = { observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 2 };
    const pod = (...names: string[]) => ({ spec: { containers: [{ env: names.map((name) => ({ name })) }] } });
    const OPERATOR = "/apis/apps/v1/namespaces/kube-system/deployments/keda-operator";

    it("and leaves it alone where its pods have their token", async () => {
      const { asked, inputs } = await cluster(({ call }) => {
        if (call.startsWith("GET /api/v1/namespaces/kube-system/pods")) return [200, { items: [pod("A", "AZURE_FEDERATED_TOKEN_FILE")] }];
        return [200, deployment];
      });
      const { id, outs } = await provider.create(inputs);
      assert.equal(id, "kube-system/keda-operator");
      assert.equal("token" in outs, false);
      assert.deepEqual(
        asked.map(({ call }) => call),
        [
          "PATCH /api/v1/namespaces/kube-system/serviceaccounts/keda-operator",
          `GET ${OPERATOR}`,
          "GET /api/v1/namespaces/kube-system/pods?labelSelector=app%3Dkeda-operator",
        ],
      );
      assert.equal(asked[0]?.headers["content-type"], "application/merge-patch+json");
      assert.deepEqual(JSON.parse(String(asked[0]?.body)), {
        metadata: { annotations: { "azure.workload.identity/client-id": clientId } },
      });
    });

    it("and restarts it where one has none, until all are new", async () => {
      let restarted = 0;
      const { asked, inputs } = await cluster(({ call }) => {
        if (call.startsWith("GET /api/v1/namespaces/kube-system/pods")) return [200, { items: [pod("AZURE_FEDERATED_TOKEN_FILE"), pod()] }];
        if (call === `PATCH ${OPERATOR}`) restarted = 1;
        else if (restarted > 0) restarted += 1;
        return [200, { ...deployment, status: restarted > 2 ? rolled : { ...rolled, updatedReplicas: 1 } }];
      });
      await provider.update("id", {}, inputs);
      const restart = asked.find(({ call }) => call === `PATCH ${OPERATOR}`);
      assert.equal(restart?.headers["content-type"], "application/strategic-merge-patch+json");
      const { labels, annotations } = JSON.parse(String(restart?.body)).spec.template.metadata;
      assert.deepEqual(labels, { "azure.workload.identity/use": "true" });
      assert.match(annotations["kubectl.kubernetes.io/restartedAt"], /^\d{4}-\d\d-\d\dT/);
      assert.equal(asked.slice(4).length, 2);
    });

    it("and another one when there is another", async () => {
      const olds = { ...api, clientId };
      assert.deepEqual(await provider.diff("id", olds, { ...olds, token: "b" }), { changes: false, replaces: [] });
      assert.equal((await provider.diff("id", olds, { ...olds, clientId: "other" })).changes, true);
      assert.equal((await provider.check({}, { ...olds, clientId: "other" })).failures[0].property, "clientId");
    });
  });
});
