import assert from "node:assert/strict";
import type { Properties } from "../../../../local/kernel/service.js";
import { DEPLOYMENT, deployment, SERVICE, service, type TestCluster, testCluster, urlOf } from "./fixture.js";

describe("Deployments of a cluster", () => {
  let test: TestCluster;
  before(async () => {
    test = await testCluster();
  });
  after(() => test?.stop());

  it("run the built image, each replica as a process of its own behind a Service that goes round them", async () => {
    const image = await test.image();
    await test.apply(DEPLOYMENT, deployment("web", image, { spec: { replicas: 3 }, env: [{ name: "VERSION", value: "1" }] }));
    const web = await test.apply(SERVICE, service("web"));
    const answers = [];
    for (let count = 0; count < 6; count++) answers.push(((await (await fetch(urlOf(web))).json()) as Properties).pod);
    assert.equal(new Set(answers.slice(0, 3)).size, 3);
    assert.deepEqual(answers.slice(3), answers.slice(0, 3));
  });
});
