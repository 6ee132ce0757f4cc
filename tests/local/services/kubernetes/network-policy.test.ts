import assert from "node:assert/strict";
import type { Properties } from "../../../../local/kernel/service.js";
import { admits } from "../../../../local/services/kubernetes/cluster/network-policy.js";
import { DEPLOYMENT, deployment, NAMESPACE, SERVICE, service, type TestCluster, testCluster, urlOf } from "./fixture.js";

const POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy";
const web = { "app.kubernetes.io/name": "web" };
const policy = (name: string, spec: Properties) => ({ metadata: { name, namespace: NAMESPACE }, spec: { podSelector: {}, ...spec } });
const nobody = policy("nobody", { policyTypes: ["Ingress"] });

describe("Network policies of a cluster", () => {
  let test: TestCluster;
  let at: string;
  before(async () => {
    test = await testCluster();
    const image = await test.image();
    const ports = [
      { name: "http", containerPort: 8080 },
      { name: "other", containerPort: 8081 },
    ];
    const env = [{ name: "OTHER_PORT", value: "8081" }];
    await test.apply(DEPLOYMENT, deployment("web", image, { container: { ports }, env }));
    at = urlOf(await test.apply(SERVICE, service("web")));
  });
  after(() => test?.stop());

  const answers = (url: string) =>
    fetch(url).then(
      ({ status }) => status,
      () => "nothing",
    );

  it("keep requests from pods that one selects, unless one lets them at the port; probes reach the pod all the same", async () => {
    assert.equal(await answers(at), 200, "what no policy selects is open");
    const denied = await test.apply(POLICY, nobody);
    assert.equal(await answers(at), "nothing");
    const other = policy("other", { podSelector: { matchLabels: web }, ingress: [{ ports: [{ port: 8081 }] }] });
    const admitted = await test.apply(POLICY, other);
    assert.equal(await answers(at), "nothing", "another port is let at");
    const inside = await test.change(admitted, { ...other, spec: { ...other.spec, ingress: [{ from: [{ namespaceSelector: {} }] }] } });
    assert.equal(await answers(at), "nothing", "those inside are let in");
    const open = await test.change(inside, { ...other, spec: { ...other.spec, ingress: [{ ports: [{ port: "http" }] }] } });
    assert.equal(await answers(at), 200);
    const [pod] = await test.pods();
    assert.equal(pod?.status.containerStatuses[0].restartCount, 0);
    await test.remove(open);
    await test.remove(denied);
    assert.equal(await answers(at), 200);
  });

  it("give each port of a container one of this machine, told by its variable", async () => {
    const env = (await (await fetch(`${at}/env`)).json()) as Properties;
    for (const name of ["PORT", "OTHER_PORT"]) assert.match(env[name], /^\d{4,5}$/);
    assert.notEqual(env.PORT, env.OTHER_PORT);
    assert.ok(!["8080", "8081"].includes(env.OTHER_PORT), "a free one");
  });

  it("look at ports by number, range and name, and at where one comes from", () => {
    const port = { name: "http", containerPort: 8080 };
    const may = (ingress: Properties[], origin: "inside" | "outside" = "outside") =>
      admits(
        [{ kind: "NetworkPolicy", apiVersion: "networking.k8s.io/v1", ...policy("one", { ingress }) } as never],
        {
          ...{ namespace: NAMESPACE, labels: web, port },
        },
        origin,
      );
    assert.deepEqual(
      [
        [],
        [{}],
        [{ ports: [{ port: 8080 }] }],
        [{ ports: [{ port: 8000, endPort: 8079 }] }],
        [{ ports: [{ port: 8000, endPort: 9000 }] }],
      ].map((rules) => may(rules)),
      [false, true, true, false, true],
    );
    assert.deepEqual([may([{ from: [{ ipBlock: { cidr: "0.0.0.0/0" } }] }]), may([{ from: [{ namespaceSelector: {} }] }])], [true, false]);
    assert.equal(may([{ from: [{ namespaceSelector: {} }] }], "inside"), true);
  });

  const refused: [string, Properties, RegExp][] = [
    ["what pods send", { policyTypes: ["Ingress", "Egress"] }, /holds back what comes to pods/],
    ["some of the peers", { ingress: [{ from: [{ ipBlock: { cidr: "10.0.0.0/8" } }] }] }, /tells inside from outside/],
    ["no pods", { podSelector: undefined }, /podSelector.*Required/],
    ["datagrams", { ingress: [{ ports: [{ protocol: "UDP", port: 53 }] }] }, /passes on TCP/],
  ];
  for (const [what, spec, message] of refused) {
    it(`that are about ${what} are refused, as nobody would hold to them`, () =>
      assert.rejects(test.apply(POLICY, policy("wrong", spec)), message));
  }
});
