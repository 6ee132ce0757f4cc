import assert from "node:assert/strict";
import { DEPLOYER } from "../../../../local/kernel/azure/arm.js";
import { issueToken } from "../../../../local/kernel/azure/tokens.js";
import type { Properties } from "../../../../local/kernel/service.js";
import { DEPLOYMENT, deployment, imageFiles, SERVICE, service, type TestCluster, testCluster, urlOf } from "./fixture.js";

describe("Images of a container registry", () => {
  let test: TestCluster;
  let files: Record<string, string>;
  before(async () => {
    test = await testCluster();
    files = await imageFiles();
  });
  after(() => test?.stop());

  /** Builds what this Dockerfile says, from the sources and these files beside them. */
  const dockerfile = (text: string, more: Record<string, string> = {}, request: Properties = {}) =>
    test.build({ ...files, ...more, Dockerfile: text }, request);

  it("are built from an uploaded source, and the same source is the same image", async () => {
    const { status, digest, log } = await test.build(files);
    assert.equal(status, "Succeeded");
    assert.match(digest, /^sha256:[0-9a-f]{64}$/);
    assert.match(
      log,
      /Step 3\/12 : WORKDIR \/app\n.*\nStep 5\/12 : RUN npm ci --omit=dev && npm cache clean --force\nadded \d+ packages, from this machine's install: .*sharp@0\.35/,
    );
    assert.equal((await test.build(files)).digest, digest);
    assert.notEqual((await test.build({ ...files, "server.mjs": `${files["server.mjs"]}//` })).digest, digest);
  });

  it("hold what COPY, ARG, ENV and stages make of them", async () => {
    const { reference, error } = await dockerfile(
      [
        "ARG BASE=node:24-slim",
        "FROM ${BASE} AS first",
        "ARG NAME",
        "ARG SIZE=${NAME:-none}-1",
        "WORKDIR /made",
        "COPY a*.txt ./copied/",
        'COPY ["with space.txt", "renamed.txt"]',
        "COPY folder .",
        "COPY --chmod=600 folder/inner.txt secret.txt",
        "FROM node:24-slim",
        "WORKDIR /app",
        "COPY --from=first /made /app/made",
        "COPY server.mjs .",
        "RUN node -e \"require('fs').writeFileSync('made/by-node.txt', process.env.LATER ?? 'unset')\"",
        'ENV LATER="a b" SUM=${LATER}-$LATER',
        "ENV TWICE=$LATER,$LATER",
        "USER 1000",
        'ENTRYPOINT ["docker-entrypoint.sh"]',
        'CMD ["node", "server.mjs"]',
      ].join("\n"),
      {
        "a1.txt": "1",
        "a2.txt": "2",
        "b.txt": "no",
        "with space.txt": "space",
        "folder/inner.txt": "inner",
        "folder/deep/er.txt": "deeper",
      },
      { arguments: [{ name: "NAME", value: "given" }] },
    );
    assert.equal(error, undefined);
    const applied = await test.apply(DEPLOYMENT, deployment("copies", reference));
    const at = urlOf(await test.apply(SERVICE, service("copies")));
    const read = async (path: string) => (await fetch(`${at}/file?path=${encodeURIComponent(path)}`)).text();
    const names = ["copied/a1.txt", "copied/a2.txt", "renamed.txt", "inner.txt", "deep/er.txt", "secret.txt", "by-node.txt"];
    assert.deepEqual(await Promise.all(names.map((name) => read(`made/${name}`))), [
      "1",
      "2",
      "space",
      "inner",
      "deeper",
      "inner",
      "unset",
    ]);
    const env = (await (await fetch(`${at}/env`)).json()) as Properties;
    assert.deepEqual([env.LATER, env.SUM, env.TWICE], ["a b", "-", "a b,a b"]);
    await test.remove(applied);
  });

  it("take packages from a stage that installed them into one without anything but Node.js", async () => {
    const { reference, error } = await dockerfile(
      [
        "ARG RUNTIME=gcr.io/distroless/nodejs24-debian13:nonroot",
        "FROM mcr.microsoft.com/azurelinux/base/nodejs:24 AS packages",
        "WORKDIR /app",
        "COPY package.json package-lock.json ./",
        "RUN npm ci --omit=dev --ignore-scripts --no-audit",
        'RUN ["node", "-e", "require(\'sharp\')"]',
        "FROM ${RUNTIME}",
        "WORKDIR /app",
        "COPY --from=packages /app/node_modules ./node_modules",
        "COPY package.json server.mjs ./",
        "USER 65532:65532",
        'CMD ["server.mjs"]',
      ].join("\n"),
    );
    assert.equal(error, undefined);
    await test.apply(DEPLOYMENT, deployment("stages", reference, { container: { command: ["/nodejs/bin/node", "/app/server.mjs"] } }));
    const at = urlOf(await test.apply(SERVICE, service("stages")));
    assert.equal(((await (await fetch(`${at}/sharp`)).json()) as Properties).format, "png");
  });

  const failing: [what: string, text: string, why: RegExp, more?: Record<string, string>][] = [
    [
      "another base image than Node.js",
      "FROM alpine:3",
      /Dockerfile:1: FROM alpine:3: the embedded cloud has this machine's Node\.js in place/,
    ],
    [
      "a command that would need a shell",
      "FROM node:22\nRUN apt-get update",
      /Dockerfile:2: RUN apt-get update: the embedded cloud runs npm ci .* and node/,
    ],
    ["a pipe", "FROM node:22\nRUN node x.mjs | tee log", /there is no shell/],
    ["the shell form of CMD", "FROM node:22\nCMD node server.mjs", /the shell form is not emulated.*Write CMD \["…", "…"\]/],
    ["an instruction that it does not know", "FROM node:22\nVOLUME /data", /Dockerfile:2: VOLUME is not emulated/],
    ["a file that is not there", "FROM node:22\nCOPY nothing.txt .", /COPY failed: "nothing\.txt": not found/],
    ["files into what is no folder", "FROM node:22\nCOPY server.mjs crash.mjs to", /must be a folder and end with \//],
    ["a stage that there is not", "FROM node:22\nCOPY --from=build /x .", /COPY --from=build: there is no such stage/],
    [
      "npm ci without a lock file",
      "FROM node:22\nWORKDIR /app\nCOPY package.json .\nRUN npm ci",
      /it can only install with an existing package\.json and package-lock\.json/,
    ],
    ["a program that fails", "FROM node:22\nRUN node -e 'process.exit(7)'", /returned a non-zero code: 7/],
    [
      "a package in another version than this machine's",
      "FROM node:22\nCOPY package.json package-lock.json ./\nRUN npm ci",
      /which has sharp@0\.\d+\.\d+\. The lock file wants sharp@0\.1\.2/,
      {
        "package.json": '{"dependencies":{"sharp":"0.1.2"}}',
        "package-lock.json": '{"packages":{"":{"dependencies":{"sharp":"0.1.2"}},"node_modules/sharp":{"version":"0.1.2"}}}',
      },
    ],
    [
      "a lock file that is not in sync",
      "FROM node:22\nCOPY package.json package-lock.json ./\nRUN npm ci",
      /not in sync: sharp@1\.0\.0, and the lock file has 0\.1\.2/,
      {
        "package.json": '{"dependencies":{"sharp":"1.0.0"}}',
        "package-lock.json": '{"packages":{"":{"dependencies":{"sharp":"0.1.2"}},"node_modules/sharp":{"version":"0.1.2"}}}',
      },
    ],
  ];
  for (const [what, text, why, more] of failing) {
    it(`are not built with ${what}, and the run says so`, async () => {
      const { status, error, log, digest } = await dockerfile(text, more);
      assert.deepEqual([status, digest], ["Failed", undefined]);
      assert.match(error ?? "", why);
      assert.match(log, why);
    });
  }

  it("are built for whoever may, by the registry's address only", async () => {
    const { loginServer } = test.registry.outputs;
    const { cloud } = test.azure.test;
    const at = `http://${loginServer}${test.registry.id}`;
    const version = "api-version=2019-06-01-preview";
    const ask = (token?: string, query = version) =>
      fetch(`${at}/listBuildSourceUploadUrl?${query}`, { method: "POST", ...(token && { headers: { authorization: `Bearer ${token}` } }) });
    assert.equal((await ask()).status, 401);
    const nobody = await test.azure.identity("nobody");
    const { token } = await test.azure.credential(nobody).getToken("https://management.azure.com/.default");
    const denied = await ask(token);
    assert.equal(denied.status, 403);
    assert.match(await denied.text(), /not granted Microsoft\.ContainerRegistry\/registries\/listBuildSourceUploadUrl\/action/);
    const own = await issueToken(cloud, { ...DEPLOYER, audience: "https://management.azure.com" });
    assert.match(await (await ask(own, "api-version=2017-03-01")).text(), /InvalidApiVersionParameter/);
    const { uploadUrl } = (await (await ask(own)).json()) as Properties;
    const wrong = await fetch(uploadUrl.replace(/sig=.{4}/, "sig=xxxx"), { method: "PUT", body: "x" });
    assert.equal(wrong.status, 403);
    await assert.rejects(test.build(files, { imageNames: ["Not Valid"] }), /InvalidRunRequest: The image name "Not Valid"/);
    await assert.rejects(test.build(files, { sourceLocation: "source/other.tar.gz" }), /must be the relativePath of an uploaded source/);
    await assert.rejects(test.build(files, { type: "EncodedTaskRunRequest" }), /runs a DockerBuildRequest/);
  });

  it("come from registries with no key and no anonymous pull", async () => {
    const declare = (more: Properties) =>
      test.azure.declare("azure-native:containerregistry:Registry", "other", {
        registryName: "otherregistry",
        sku: { name: "Basic" },
        ...more,
      });
    await assert.rejects(declare({ adminUserEnabled: true }), /opened by roles only/);
    await assert.rejects(declare({ anonymousPullEnabled: true }), /Anonymous pull is not supported by the sku Basic/);
    await assert.rejects(declare({ registryName: "no-dashes" }), /5 to 50 letters and digits/);
  });
});
