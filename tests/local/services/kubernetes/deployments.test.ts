import assert from "node:assert/strict";
import type { Properties } from "../../../../local/kernel/service.js";
import { DEPLOYMENT, deployment, NAMESPACE, SERVICE, service, type TestCluster, testCluster, traced, urlOf } from "./fixture.js";

const json = async (url: string): Promise<Properties> => (await (await fetch(url)).json()) as Properties;
const pidOf = (pod: Properties | undefined): number => Number(pod?.status.containerStatuses[0].containerID.replace("process://", ""));

describe("Deployments of a cluster", () => {
  let test: TestCluster;
  let image: string;
  const web = { "app.kubernetes.io/name": "web" };
  const version = (value: string) => [{ name: "VERSION", value }];
  const mark = () => test.azure.test.cloud.trace.entries().length;
  const runs = (name: string, more: Parameters<typeof deployment>[2] = {}) => test.apply(DEPLOYMENT, deployment(name, image, more));

  beforeEach(async () => {
    test = await testCluster();
    image = await test.image();
  });
  afterEach(() => test?.stop());

  it("run the built image, each replica as a process of its own behind a Service that goes round them", async () => {
    const { outputs } = await runs("web", { spec: { replicas: 3 }, env: version("1") });
    assert.deepEqual([outputs.status.readyReplicas, outputs.status.availableReplicas, outputs.status.unavailableReplicas], [3, 3, 0]);
    const at = urlOf(await test.apply(SERVICE, service("web")));
    const answers = [];
    for (let count = 0; count < 6; count++) answers.push((await json(at)).pod);
    assert.equal(new Set(answers.slice(0, 3)).size, 3);
    assert.deepEqual(answers.slice(3), answers.slice(0, 3));
    const pids = (await test.pods()).map(pidOf);
    assert.equal(new Set(pids).size, 3);
  });

  it("give a container what is declared: arguments, variables, Secrets, ConfigMaps, what it is itself, and what its image says", async () => {
    await test.apply("kubernetes:core/v1:Secret", {
      metadata: { name: "keys", namespace: NAMESPACE },
      stringData: { "api-key": "s3cret" },
      data: { OTHER: "eA==" },
    });
    await test.apply("kubernetes:core/v1:ConfigMap", {
      metadata: { name: "settings", namespace: NAMESPACE },
      data: { COLOUR: "blue", SIZE: "1" },
    });
    await runs("web", {
      container: {
        args: ["server.mjs", "--at=$(SIZE)", "$$(SIZE)"],
        envFrom: [{ configMapRef: { name: "settings" } }, { prefix: "S_", secretRef: { name: "keys" } }],
      },
      env: [
        { name: "API_KEY", valueFrom: { secretKeyRef: { name: "keys", key: "api-key" } } },
        { name: "SIZE", value: "2" },
        { name: "TEXT", value: "size $(SIZE), $(NONE)" },
        { name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
        { name: "MEMORY", valueFrom: { resourceFieldRef: { resource: "limits.memory", divisor: "1Mi" } } },
        { name: "MISSING", valueFrom: { configMapKeyRef: { name: "nowhere", key: "x", optional: true } } },
      ],
    });
    const at = urlOf(await test.apply(SERVICE, service("web")));
    const env = await json(`${at}/env`);
    const { API_KEY, COLOUR, SIZE, TEXT, S_OTHER, MEMORY, GREETING, NODE_ENV } = env;
    assert.deepEqual(
      { API_KEY, COLOUR, SIZE, TEXT, S_OTHER, MEMORY, GREETING, NODE_ENV },
      {
        API_KEY: "s3cret",
        COLOUR: "blue",
        SIZE: "2",
        TEXT: "size 2, $(NONE)",
        S_OTHER: "x",
        MEMORY: "256",
        GREETING: "hello from the image",
        NODE_ENV: "production",
      },
    );
    const [pod] = await test.pods();
    assert.equal(env.POD, pod?.metadata.name);
    assert.ok(!("MISSING" in env));
    assert.deepEqual(((await json(`${at}/argv`)) as unknown as string[]).slice(2), ["--at=2", "$(SIZE)"]);
    assert.deepEqual(
      Object.keys(env).filter((name) => /TEST|npm_|AZURE|MOCHA/.test(name)),
      [],
      "nothing of whoever runs the tests",
    );
    assert.deepEqual((({ format, width, height }) => ({ format, width, height }))(await json(`${at}/sharp`)), {
      format: "png",
      width: 3,
      height: 2,
    });
  });

  it("start a container again whose liveness probe fails", async () => {
    await runs("web", {
      container: { livenessProbe: { httpGet: { path: "/healthz", port: 8080 }, periodSeconds: 5, failureThreshold: 2 } },
    });
    const at = urlOf(await test.apply(SERVICE, service("web")));
    const [before] = await test.pods();
    const since = mark();
    await fetch(`${at}/become?state=${encodeURIComponent('{"live":false}')}`);
    await traced(
      test,
      ({ text }) => text.includes("failed liveness probe, will be restarted: HTTP probe failed with statuscode: 500"),
      since,
    );
    await traced(test, ({ text }) => text.startsWith("Started container web again (1)"), since);
    const [after] = await test.pods();
    assert.equal(after?.metadata.name, before?.metadata.name, "the pod is the same one");
    assert.equal(after?.status.containerStatuses[0].restartCount, 1);
    assert.notEqual(pidOf(after), pidOf(before));
  });

  it("keep requests from a pod whose readiness probe fails, and leave it alone otherwise", async () => {
    await runs("web", {
      spec: { replicas: 2 },
      container: { readinessProbe: { httpGet: { path: "/readyz", port: "http" }, periodSeconds: 2, failureThreshold: 1 } },
    });
    const at = urlOf(await test.apply(SERVICE, service("web")));
    const since = mark();
    const { pod: unready } = await json(at);
    // Round robin: the second next request is its.
    await json(at);
    await fetch(`${at}/become?state=${encodeURIComponent('{"ready":false}')}`);
    await traced(test, ({ text, subject }) => text.startsWith("Readiness probe failed") && subject.endsWith(unready), since);
    const answers = await Promise.all(Array.from({ length: 6 }, () => json(at)));
    assert.deepEqual(
      answers.filter(({ pod }) => pod === unready),
      [],
    );
    assert.deepEqual(
      (await test.pods()).map((pod) => pod.status.containerStatuses[0].restartCount),
      [0, 0],
    );
  });

  it("move from one version to the next without a request that fails, and never with fewer pods ready than declared", async () => {
    const first = await runs("web", { spec: { replicas: 2 }, env: version("1") });
    const at = urlOf(await test.apply(SERVICE, service("web")));
    const since = mark();
    let over = false;
    const versions: string[] = [];
    const ready: number[] = [];
    const asking = (async () => {
      while (!over) {
        versions.push((await json(at)).version);
        ready.push(
          (await test.pods()).filter(({ status, metadata }) => status.conditions[0].status === "True" && !metadata.deletionTimestamp)
            .length,
        );
      }
    })();
    const changed = await test.change(
      first,
      deployment("web", image, { spec: { replicas: 2 }, env: [...version("2"), { name: "DRAIN", value: "100" }] }),
    );
    over = true;
    await asking;
    assert.deepEqual([changed.outputs.status.updatedReplicas, changed.outputs.status.replicas], [2, 2]);
    assert.equal(versions[0], "1");
    assert.equal((await json(at)).version, "2");
    assert.ok(Math.min(...ready) >= 2, `ready at each look: ${ready}`);
    const logged = test.azure.test.cloud.trace
      .entries("log")
      .slice(0)
      .map(({ text }) => text);
    assert.equal(logged.filter((text) => text === "drained").length, 2, "both of the old pods were let end");
    assert.ok(
      test.azure.test.cloud.trace
        .entries()
        .slice(since)
        .some(({ text }) => text.startsWith("Rolling update to web-")),
    );
  });

  it("count pods of a new version as available only when they have been ready for minReadySeconds", async () => {
    const spec = { replicas: 1, minReadySeconds: 50 };
    const first = await runs("web", { spec, env: version("1") });
    assert.equal(first.outputs.status.availableReplicas, 1);
    const began = performance.now();
    await test.change(first, deployment("web", image, { spec, env: version("2") }));
    assert.ok(performance.now() - began >= 1_000, "50 seconds at the pace of the tests");
  });

  it("keep an old pod that has only just become ready until there is another", async () => {
    const spec = { replicas: 1, minReadySeconds: 100 };
    const first = await runs("web", { spec, env: version("1") });
    const at = urlOf(await test.apply(SERVICE, service("web")));
    const [pod] = await test.pods();
    const since = mark();
    await test.get(`/api/v1/namespaces/photos/pods/${pod?.metadata.name}`, { method: "DELETE" });
    await traced(test, ({ text, kind }) => kind === "log" && text.startsWith("listening"), since);
    const isReady = async () => (await test.pods()).some(({ status }) => status.conditions[0].status === "True");
    while (!(await isReady())) await new Promise((resolve) => setImmediate(resolve));
    let over = false;
    const versions: string[] = [];
    const asking = (async () => {
      while (!over) versions.push((await json(at)).version);
    })();
    await test.change(first, deployment("web", image, { spec, env: version("2") }));
    over = true;
    await asking;
    assert.deepEqual([versions[0], versions.at(-1)], ["1", "2"]);
  });

  it("leave the old pods at work while new ones do not become ready, and say what the new ones wrote", async () => {
    const first = await runs("web", { spec: { replicas: 2 }, env: version("1") });
    const at = urlOf(await test.apply(SERVICE, service("web")));
    await assert.rejects(
      test.change(first, deployment("web", image, { spec: { replicas: 2 }, container: { args: ["crash.mjs"] } })),
      /ProgressDeadlineExceeded: Deployment photos\/web is not available: its pod has failed 3 times.*exit code 3 \(Error\)\n {4}cannot start: no database/s,
    );
    const answers = await Promise.all(Array.from({ length: 4 }, () => json(at)));
    assert.deepEqual(
      answers.map((answer) => answer.version),
      ["1", "1", "1", "1"],
    );
  });

  it("give pods the time to end that they declare, and no more", async () => {
    const stuck = await runs("web", { pod: { grace: 0.3 }, env: [{ name: "DRAIN", value: "60000" }] });
    const [pod] = await test.pods();
    const began = performance.now();
    await test.remove(stuck);
    const took = performance.now() - began;
    assert.ok(took >= 290 && took < 3_000, `${took} ms`);
    assert.throws(() => process.kill(pidOf(pod), 0), { code: "ESRCH" });
    const logged = test.azure.test.cloud.trace.entries("log").map(({ text }) => text);
    assert.ok(logged.includes("draining") && !logged.includes("drained"));
  });

  it("start a killed container at once, and the next time after a while", async () => {
    await runs("web");
    const kill = async () => {
      const since = mark();
      process.kill(pidOf((await test.pods())[0]), "SIGKILL");
      await traced(test, ({ text }) => text.includes("ended: Error, exit code 137"), since);
      return since;
    };
    const first = await kill();
    await traced(test, ({ text }) => text.startsWith("Started container web again (1)"), first);
    const between = test.azure.test.cloud.trace
      .entries()
      .slice(first)
      .filter(({ text }) => text.startsWith("Back-off"));
    assert.deepEqual(between, []);
    const second = await kill();
    await traced(test, ({ text }) => text === "Back-off restarting failed container: 10 s", second);
    await traced(test, ({ text }) => text.startsWith("Started container web again (2)"), second);
    const third = await kill();
    await traced(test, ({ text }) => text === "Back-off restarting failed container: 20 s", third);
  });

  it("end a container that takes more memory than its limit", async function () {
    if (process.platform !== "linux") this.skip();
    await runs("web", { container: { resources: { limits: { memory: "128Mi" } } } });
    const at = urlOf(await test.apply(SERVICE, service("web")));
    const since = mark();
    await fetch(`${at}/eat`);
    const { text } = await traced(test, (entry) => entry.text.includes("OOMKilled"), since);
    assert.match(text, /Container web ended: OOMKilled, exit code 137, \d+ Mi in use, and the limit is 128 Mi/);
  });

  it("write to their own folders only where the file system is read-only, and to a copy of their own where it is not", async () => {
    const { capabilities, allowPrivilegeEscalation } = deployment("x", image).spec.template.spec.containers[0].securityContext;
    await runs("web");
    await runs("writable", { spec: { replicas: 2 }, container: { securityContext: { capabilities, allowPrivilegeEscalation } } });
    const write = async (at: string, path: string) => (await fetch(`${at}/write?path=${path}`)).text();
    const web = urlOf(await test.apply(SERVICE, service("web")));
    assert.equal(await write(web, "TMP/x.txt"), "written");
    assert.equal(await write(web, "server.mjs"), "ERR_ACCESS_DENIED");
    assert.equal(await write(web, "/tmp/x.txt"), "ERR_ACCESS_DENIED");
    const writable = urlOf(await test.apply(SERVICE, service("writable")));
    assert.equal(await write(writable, "x.txt"), "written");
    const read = async () => (await fetch(`${writable}/file?path=x.txt`)).text();
    assert.deepEqual([await read(), await read()], ["ENOENT", "written"], "the other replica has a file system of its own");
  });

  it("have another pod in place of one that is deleted", async () => {
    await runs("web", { spec: { replicas: 2 } });
    const before = (await test.pods()).map(({ metadata }) => metadata.name);
    const since = mark();
    const { httpStatus } = await test.get(`/api/v1/namespaces/photos/pods/${before[0]}`, { method: "DELETE" });
    assert.equal(httpStatus, 200);
    await traced(test, ({ text, subject }) => text.startsWith("Started container web") && !subject.endsWith(before[0]), since);
    const after = (await test.pods()).map(({ metadata }) => metadata.name);
    assert.equal(after.length, 2);
    assert.ok(!after.includes(before[0]) && after.includes(before[1]));
  });

  it("end with the Deployment, and with the cloud within a second", async () => {
    const one = await runs("web", { spec: { replicas: 2 } });
    const ended = (await test.pods()).map(pidOf);
    await test.remove(one);
    assert.deepEqual(await test.pods(), []);
    await runs("other", { env: [{ name: "DRAIN", value: "60000" }] });
    ended.push(...(await test.pods()).map(pidOf));
    const began = performance.now();
    await test.stop();
    assert.ok(performance.now() - began < 2_000);
    for (const pid of ended) assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
  });

  it("move by recreation when that is their strategy", async () => {
    const recreate = { strategy: { type: "Recreate" }, replicas: 2 };
    const first = await runs("web", { spec: recreate, env: version("1") });
    const since = mark();
    await test.change(first, deployment("web", image, { spec: recreate, env: version("2") }));
    const notes = test.azure.test.cloud.trace
      .entries("execution")
      .filter((entry) => test.azure.test.cloud.trace.entries().indexOf(entry) >= since);
    const [lastStop, firstStart] = [
      notes.findLastIndex(({ text }) => text === "Stopping"),
      notes.findIndex(({ text }) => text.startsWith("Started")),
    ];
    assert.ok(lastStop >= 0 && lastStop < firstStart);
    assert.deepEqual((await test.pods(`app.kubernetes.io/name=${web["app.kubernetes.io/name"]}`)).length, 2);
  });
});

describe("What a cluster refuses", () => {
  let test: TestCluster;
  let image: string;
  before(async () => {
    test = await testCluster();
    image = await test.image();
  });
  after(() => test?.stop());

  const refused: [what: string, manifest: () => Properties, why: RegExp][] = [
    [
      "an input that nothing honours",
      () => deployment("web", image, { spec: { paused: true } }),
      /spec\.paused: No service of the embedded cloud honours this input/,
    ],
    [
      "an init container",
      () => {
        const it = deployment("web", image);
        it.spec.template.spec.initContainers = [];
        return it;
      },
      /spec\.template\.spec\.initContainers/,
    ],
    [
      "a selector that selects nothing of it",
      () => deployment("web", image, { spec: { selector: { matchLabels: { app: "other" } } } }),
      /`selector` does not match template `labels`/,
    ],
    [
      "a port without a variable that says which",
      () => deployment("web", image, { container: { env: [] } }),
      /declare the variable PORT, or one whose name ends in _PORT, as "8080"/,
    ],
    [
      "a probe of a port that there is not",
      () => deployment("web", image, { container: { livenessProbe: { httpGet: { path: "/", port: "admin" } } } }),
      /no port of this name/,
    ],
    [
      "a volume elsewhere than at /tmp",
      () => deployment("web", image, { container: { volumeMounts: [{ name: "tmp", mountPath: "/data" }] } }),
      /mounts at \/tmp only/,
    ],
    [
      "a request above its limit",
      () => deployment("web", image, { container: { resources: { requests: { memory: "2Gi" }, limits: { memory: "1Gi" } } } }),
      /less than or equal to memory limit/,
    ],
    [
      "a pod as root in a restricted namespace",
      () => deployment("web", image, { pod: { securityContext: { runAsNonRoot: false } }, container: { securityContext: {} } }),
      /violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false.*runAsNonRoot != true/,
    ],
    [
      "a service account that there is not",
      () => deployment("web", image, { pod: { serviceAccountName: "nobody" } }),
      /serviceaccount "nobody" not found/,
    ],
    [
      "a namespace that there is not",
      () => ({ ...deployment("web", image), metadata: { name: "web", namespace: "elsewhere" } }),
      /namespaces "elsewhere" not found/,
    ],
    ["an object without a name", () => ({ ...deployment("web", image), metadata: { namespace: NAMESPACE } }), /metadata\.name is missing/],
    [
      "a program that is not Node.js",
      () => deployment("web", image, { container: { command: ["/bin/sh", "-c", "true"] } }),
      /exec: "\/bin\/sh": executable file not found/,
    ],
    [
      "an image of elsewhere",
      () => deployment("web", "docker.io/library/nginx:1"),
      /Failed to pull image "docker\.io\/library\/nginx:1".*no registry docker\.io/,
    ],
    ["an image that was never built", () => deployment("web", image.replace(/.{64}$/, "0".repeat(64))), /manifest unknown/],
    [
      "a Secret that there is not",
      () => deployment("web", image, { env: [{ name: "KEY", valueFrom: { secretKeyRef: { name: "none", key: "x" } } }] }),
      /CreateContainerConfigError: secret "none" not found/,
    ],
  ];
  for (const [what, manifest, why] of refused) {
    it(`refuses ${what}`, async () => {
      const made = manifest();
      const name = { metadata: { name: "web", ...made.metadata } };
      await assert.rejects(
        test.apply(
          DEPLOYMENT,
          what === "an object without a name" ? { ...made, metadata: { namespace: NAMESPACE } } : { ...made, ...name },
        ),
        why,
      );
      assert.deepEqual(await test.pods(), [], "nothing of it is left");
    });
  }

  it("refuses an image to nodes that may not pull", async () => {
    const other = await testCluster({ pull: false });
    try {
      const own = await other.image();
      await assert.rejects(
        other.apply(DEPLOYMENT, deployment("web", own)),
        /is not granted Microsoft\.ContainerRegistry\/registries\/pull\/read at .*photosregistry\. Such as by the role "AcrPull"/,
      );
    } finally {
      await other.stop();
    }
  });
});
