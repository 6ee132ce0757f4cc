import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { ImageBuild } from "../../../../components/azure/kubernetes/image-build.js";
import { type Answer, type Asked, providerOf, served } from "./served.js";

const CONTEXT = Buffer.from("a context");
const sha256 = createHash("sha256").update(CONTEXT).digest("hex");
const digest = `sha256:${"d".repeat(64)}`;
const registryId = "/subscriptions/s/resourceGroups/photos/providers/Microsoft.ContainerRegistry/registries/photos";
const run = { status: "Succeeded", outputImages: [{ registry: "photos.azurecr.io", repository: "pipeline", tag: "t", digest }] };

describe("An image that is built in the cloud", () => {
  let provider: any;
  let declared: any;
  let folder: string;
  let server: Server | undefined;
  const inputs = { registryId, loginServer: "photos.azurecr.io", repository: "pipeline", tag: "t", path: "", sha256, token: "a-token" };

  before(async () => {
    ({ provider, declared } = await providerOf(() => new ImageBuild("image", { ...inputs, manager: "https://management.azure.com" })));
    folder = await mkdtemp(path.join(tmpdir(), "build-"));
    inputs.path = path.join(folder, "context.tar.gz");
    await writeFile(inputs.path, CONTEXT);
  });
  afterEach(() => server?.close());
  after(() => rm(folder, { recursive: true, force: true }));

  /** A registry whose runs end so; other calls may be answered otherwise first. */
  const registry = async (ends: readonly object[], otherwise: (asked: Asked, times: number) => Answer | undefined = () => undefined) => {
    const left = [...ends];
    const times = new Map<string, number>();
    const {
      url,
      asked,
      server: started,
    } = await served((one) => {
      const what = one.call.replace(registryId, "").replace("?api-version=2019-06-01-preview", "");
      times.set(what, (times.get(what) ?? 0) + 1);
      const instead = otherwise({ ...one, call: what }, times.get(what) ?? 0);
      if (instead) return instead;
      if (what === "POST /listBuildSourceUploadUrl")
        return [200, { uploadUrl: `${url}/upload?sig=s`, relativePath: "tasks/context.tar.gz" }];
      if (what === "PUT /upload?sig=s") return [201];
      if (what === "POST /scheduleRun") return [202, { properties: { runId: "ca1" } }];
      if (what === "GET /runs/ca1") return [200, { properties: left.length > 1 ? left.shift() : left[0] }];
      if (what === "POST /runs/ca1/listLogSasUrl") return [200, { logLink: `${url}/log` }];
      if (what === "GET /log") return [200, "Step 1/8 : FROM node\nnpm error code E404\n"];
      return [404, what];
    });
    server = started;
    return { asked, inputs: { ...inputs, manager: url } };
  };

  it("comes of a context that is uploaded, by a run that is asked for until it has ended", async () => {
    const { asked, inputs: given } = await registry([{ status: "Queued" }, { status: "Running" }, run]);
    const { id, outs } = await provider.create(given);
    assert.equal(id, "photos.azurecr.io/pipeline");
    assert.equal(outs.digest, digest);
    assert.equal(outs.reference, `photos.azurecr.io/pipeline@${digest}`);
    assert.equal(JSON.stringify(outs).includes("a-token"), false);
    const version = "?api-version=2019-06-01-preview";
    assert.deepEqual(
      asked.map(({ call }) => call),
      [
        `POST ${registryId}/listBuildSourceUploadUrl${version}`,
        "PUT /upload?sig=s",
        `POST ${registryId}/scheduleRun${version}`,
        ...Array.from({ length: 3 }, () => `GET ${registryId}/runs/ca1${version}`),
      ],
    );
    const [, upload, schedule] = asked;
    assert.equal(upload?.body.toString(), "a context");
    assert.equal(upload?.headers["x-ms-blob-type"], "BlockBlob");
    // The address is good by its signature: a token for the manager is none of the store's business.
    assert.equal(upload?.headers.authorization, undefined);
    assert.equal(schedule?.headers.authorization, "Bearer a-token");
    assert.deepEqual(JSON.parse(String(schedule?.body)), {
      type: "DockerBuildRequest",
      isArchiveEnabled: false,
      sourceLocation: "tasks/context.tar.gz",
      dockerFilePath: "Dockerfile",
      imageNames: ["pipeline:t"],
      isPushEnabled: true,
      noCache: false,
      platform: { os: "Linux", architecture: "amd64" },
      agentConfiguration: { cpu: 2 },
      timeout: 1_800,
      arguments: [],
    });
  });

  it("is uploaded again where that failed for a moment, and not where it is refused", async () => {
    const { asked, inputs: given } = await registry([run], ({ call }, times) =>
      call.startsWith("PUT") && times === 1 ? [503, "busy"] : undefined,
    );
    assert.equal((await provider.create(given)).outs.digest, digest);
    assert.equal(asked.filter(({ call }) => call.startsWith("PUT")).length, 2);
    server?.close();
    const refusing = await registry([run], ({ call }) => (call.startsWith("PUT") ? [403, "no"] : undefined));
    await assert.rejects(provider.create(refusing.inputs), { message: "The context of the build could not be uploaded: 403 no" });
    assert.equal(refusing.asked.filter(({ call }) => call.startsWith("PUT")).length, 1);
  });

  it("is built again when its context is another one", async () => {
    const { inputs: given } = await registry([run]);
    const { outs } = await provider.update("id", {}, given);
    assert.equal(outs.reference, `photos.azurecr.io/pipeline@${digest}`);
  });

  it("is not there when the build fails, which says why", async () => {
    const { inputs: given } = await registry([{ status: "Failed", runErrorMessage: "exit code 1" }]);
    await assert.rejects(provider.create(given), {
      message: /run ca1 ended as Failed\. exit code 1\nStep 1\/8 : FROM node\nnpm error code E404$/,
    });
  });

  it("is not there when the digest is not told", async () => {
    const { inputs: given } = await registry([{ status: "Succeeded", outputImages: [] }]);
    await assert.rejects(provider.create(given), { message: /ca1 has built pipeline, but not told its digest/ });
  });

  it("cannot be built on free credit, and may be given instead", async () => {
    const refusal: Answer = [409, { error: { code: "TasksOperationsNotAllowed", message: "ACR Tasks requests are not permitted." } }];
    const { asked, inputs: given } = await registry([run], ({ call }) => (call === "POST /listBuildSourceUploadUrl" ? refusal : undefined));
    await assert.rejects(provider.create(given), { message: /free credit.*give it by azure\.image.*ACR Tasks requests are not permitted/ });
    assert.equal(asked.length, 1);
  });

  it("is asked for again where that can help, and not where it cannot", async () => {
    const flaky = await registry([run], ({ call }, times) => (call === "GET /runs/ca1" && times === 1 ? [503, "busy"] : undefined));
    await provider.create(flaky.inputs);
    server?.close();
    const { inputs: given } = await registry([run], ({ call }) =>
      call === "POST /scheduleRun" ? [403, "AuthorizationFailed"] : undefined,
    );
    await assert.rejects(provider.create(given), { message: "POST scheduleRun of the registry: 403 AuthorizationFailed" });
  });

  it("is not built from what was not announced", async () => {
    const { asked, inputs: given } = await registry([run]);
    await assert.rejects(provider.create({ ...given, sha256: "0".repeat(64) }), { message: /is not the context that was announced/ });
    assert.deepEqual(asked, []);
  });

  it("changes with its context, its name and its registry, and not with the token or the path", async () => {
    const olds = { ...inputs, manager: "m" };
    assert.deepEqual(await provider.diff("id", olds, { ...olds, token: "b", path: "c", manager: "n" }), { changes: false, replaces: [] });
    assert.deepEqual(await provider.diff("id", olds, { ...olds, sha256: "1".repeat(64) }), { changes: true, replaces: [] });
    assert.deepEqual(await provider.diff("id", olds, { ...olds, tag: "u" }), { changes: true, replaces: [] });
    assert.deepEqual(await provider.diff("id", olds, { ...olds, registryId: "r" }), { changes: true, replaces: ["registryId"] });
    assert.deepEqual(await provider.read("id", olds), { id: "id", props: olds });
    await provider.delete("id", olds);
  });

  it("is checked before it is built, and keeps its token secret", async () => {
    assert.deepEqual((await provider.check({}, inputs)).failures, []);
    const { failures } = await provider.check({}, { ...inputs, sha256: "short", tag: "-t" });
    assert.deepEqual(
      failures.map(({ property }: { property: string }) => property),
      ["sha256", "tag"],
    );
    assert.deepEqual(declared.secretInputs, ["token"]);
  });
});
