import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import grpc from "@grpc/grpc-js";
import * as pulumi from "@pulumi/pulumi";
import services from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import messages from "@pulumi/pulumi/proto/provider_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import structs from "google-protobuf/google/protobuf/struct_pb.js";
import { ProviderServer } from "../../../local/engine/provider-server.js";
import { EmbeddedCloud } from "../../../local/kernel/embedded-cloud.js";
import { providerFactory } from "../../../local/kernel/provider.js";
import type { Properties } from "../../../local/kernel/service.js";
import { Things } from "./things.js";

const { specialSigKey: SIGNATURE, specialSecretSig: SECRET, specialArchiveSig: ARCHIVE, unknownValue: UNKNOWN } = pulumi.runtime;
const URN = "urn:pulumi:dev::project::test:things/thing:Thing::lamp";
const BOX = "urn:pulumi:dev::project::test:things/box:Box::box";

const struct = (value: Properties) => structs.Struct.fromJavaScript(value as never);
const object = (value: structs.Struct | undefined) => value?.toJavaScript() as Properties;

describe("A provider as Pulumi's CLI attaches it", () => {
  let folder: string;
  let things: Things;
  let cloud: EmbeddedCloud;
  let server: ProviderServer;
  let port: number;
  let engine: Engine;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "provider-server-"));
    things = new Things();
    cloud = await EmbeddedCloud.start({ services: [things], folder: join(folder, "cloud"), kept: false, region: "eu-west-1" });
    const factory = providerFactory(cloud, [things]);
    server = new ProviderServer({
      pkg: "test",
      version: "1.2.3",
      provider: (config, program) => factory("test", config, { folder: program, version: "1.2.3" }),
    });
    port = await server.start();
    engine = new Engine(port);
  });

  afterEach(async () => {
    engine.close();
    server.stop();
    await cloud.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it("is of the SDK's version, and says what it has", async () => {
    assert.equal((await engine.call("getPluginInfo", new empty.Empty())).getVersion(), "1.2.3");
    const schema = JSON.parse((await engine.call("getSchema", new messages.GetSchemaRequest())).getSchema());
    assert.equal(schema.name, "test");
    assert.deepEqual(Object.keys(schema.resources), ["test:things/box:Box", "test:things/thing:Thing"]);
    assert.deepEqual(Object.keys(schema.functions), ["test:things/count:count"]);
  });

  it("makes, changes, reads and deletes what the services make, change and delete", async () => {
    await engine.configure({});
    const inputs = await engine.check(URN, { size: "small" });
    assert.match(inputs.label, /^lamp-[0-9a-f]{7}$/);
    const { id, outputs } = await engine.create(URN, inputs);
    assert.equal(outputs.arn, `arn:test:${inputs.label}`);

    const changed = { ...inputs, size: "large" };
    const unchanged = await engine.diff(URN, id, outputs, inputs, inputs);
    assert.equal(unchanged.getChanges(), messages.DiffResponse.DiffChanges.DIFF_NONE);
    const diff = await engine.diff(URN, id, outputs, inputs, changed);
    assert.equal(diff.getChanges(), messages.DiffResponse.DiffChanges.DIFF_SOME);
    assert.deepEqual(diff.getReplacesList(), []);
    assert.deepEqual((await engine.diff(URN, id, outputs, inputs, { ...inputs, kind: "other" })).getReplacesList(), ["kind"]);
    const updated = await engine.update(URN, id, outputs, changed);
    assert.deepEqual([updated.size, updated.revised, updated.arn], ["large", id, outputs.arn]);

    const read = await engine.read(URN, id, updated, changed);
    assert.deepEqual([read.id, read.inputs.size, read.properties.size], [id, "large", "large"]);
    await engine.delete(URN, id, updated);
    assert.equal((await engine.read(URN, id, updated, changed)).id, "");
    assert.deepEqual(things.calls, ["create lamp", "update lamp", "delete lamp"]);
  });

  it("gives the same name again for the same seed, as a plan asks for", async () => {
    await engine.configure({});
    const [seed, other] = [new Uint8Array([1, 2, 3]), new Uint8Array([4, 5, 6])];
    const first = await engine.check(URN, {}, { seed });
    assert.deepEqual(await engine.check(URN, {}, { seed }), first);
    assert.notDeepEqual(await engine.check(URN, {}, { seed: other }), first);
    assert.equal((await engine.check(URN, {}, { olds: first, seed: other })).label, first.label);
  });

  it("previews with what is known: nothing is made, and what is not known stays so", async () => {
    await engine.configure({});
    const inputs = await engine.check(URN, { holds: UNKNOWN, nested: { known: UNKNOWN } });
    assert.deepEqual([inputs.holds, inputs.nested, inputs.size], [UNKNOWN, { known: UNKNOWN }, "medium"]);
    const { id, outputs } = await engine.create(URN, inputs, { preview: true });
    assert.equal(id, "");
    assert.deepEqual([outputs.holds, outputs.label, outputs.arn], [UNKNOWN, inputs.label, undefined]);
    assert.deepEqual(things.calls, []);
    assert.deepEqual(cloud.resources.all("test:things/thing:Thing"), []);
  });

  it("previews a change: what was computed stays, and nothing is changed", async () => {
    await engine.configure({});
    const inputs = await engine.check(URN, { size: "small" });
    const { id, outputs } = await engine.create(URN, inputs);
    const planned = await engine.update(URN, id, outputs, { ...inputs, size: UNKNOWN }, { preview: true });
    assert.deepEqual([planned.size, planned.arn, planned.revised], [UNKNOWN, outputs.arn, undefined]);
    assert.deepEqual(things.calls, ["create lamp"]);
    assert.equal(cloud.resources.get("test:things/thing:Thing", id)?.inputs.size, "small");
  });

  it("refuses in a preview what is wrong whatever the unknown turns out to be, by property", async () => {
    await engine.configure({});
    const failures = await engine.failures(URN, { holds: UNKNOWN, colour: "red", nested: { unknown: 1 } });
    assert.deepEqual(
      failures.map(({ property }) => property),
      ["colour", "nested.unknown"],
    );
  });

  it("keeps secrets secret on all ways", async () => {
    await engine.configure({});
    const secret = { [SIGNATURE]: SECRET, value: "s3cret" };
    const inputs = await engine.check(URN, { password: secret });
    assert.deepEqual(inputs.password, secret);
    const { id, outputs } = await engine.create(URN, inputs);
    assert.deepEqual(outputs.password, secret);
    assert.equal(things.seen.get("lamp")?.password, "s3cret");
    const read = await engine.read(URN, id, outputs, inputs);
    assert.deepEqual([read.properties.password, read.inputs.password], [secret, secret]);
    assert.deepEqual((await engine.update(URN, id, outputs, { ...inputs, size: "small" })).password, secret);
  });

  it("finds the program's files where the program is", async () => {
    await writeFile(join(folder, "things.zip"), "PK");
    await engine.handshake(folder);
    await engine.configure({});
    const archive = { [SIGNATURE]: ARCHIVE, path: "things.zip", hash: "abc" };
    const inputs = await engine.check(URN, { file: archive });
    const { outputs, id } = await engine.create(URN, inputs);
    assert.deepEqual(things.seen.get("lamp")?.file, { archive: { path: join(folder, "things.zip"), hash: "abc" } });
    assert.equal(outputs.file.path, "things.zip");
    assert.equal((await engine.read(URN, id, outputs, inputs)).inputs.file.path, "things.zip");
  });

  it("is configured once for each connection, so that two providers of one program are two", async () => {
    const other = new Engine(port);
    try {
      await engine.configure({ region: "eu-west-1" });
      await assert.rejects(other.create(BOX, { color: "red" }), /test has not been configured on this connection/);
      await assert.rejects(
        other.configure({ region: "us-east-1" }),
        /region "us-east-1", and the embedded cloud has one region: eu-west-1/,
      );
      await other.configure({});
      assert.equal((await other.create(BOX, { color: "red" })).id, "box-red");
    } finally {
      other.close();
    }
  });

  it("says before anything is made what of a provider's configuration it does not honour", async () => {
    assert.match((await engine.configFailures({ region: "mars" })).join(), /for the region "mars"/);
    assert.deepEqual(await engine.configFailures({ region: "eu-west-1" }), []);
    assert.deepEqual(await engine.configFailures({ region: UNKNOWN }), []);
  });

  it("answers functions, and passes on what a service says against a call", async () => {
    await engine.configure({});
    const count = await engine.call(
      "invoke",
      new messages.InvokeRequest().setTok("test:things/count:count").setArgs(struct({ of: "lamps" })),
    );
    assert.deepEqual(object(count.getReturn()), { count: 42, of: "lamps" });
    const nothing = new messages.InvokeRequest().setTok("test:things/count:count").setArgs(struct({ of: "nothing" }));
    await assert.rejects(engine.call("invoke", nothing), /NothingToCount: There is nothing to count\./);
    await assert.rejects(engine.call("construct", new messages.ConstructRequest()), /construct is not supported by the embedded cloud/);
  });
});

/** What an engine asks, with one connection. */
class Engine {
  readonly #client: grpc.Client & Record<string, (request: unknown, done: (error: Error | null, response: any) => void) => void>;

  constructor(port: number) {
    // A subchannel is shared within a process unless it is asked not to be.
    const options = { "grpc.use_local_subchannel_pool": 1 };
    this.#client = new services.ResourceProviderClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), options) as never;
  }

  call(method: string, request: unknown): Promise<any> {
    return new Promise((resolve, reject) =>
      this.#client[method]?.(request, (error, response) => (error ? reject(error) : resolve(response))),
    );
  }

  async handshake(folder: string): Promise<void> {
    const request = new messages.ProviderHandshakeRequest().setRootDirectory(folder).setProgramDirectory(folder);
    assert.ok((await this.call("handshake", request)).getAcceptSecrets());
  }

  async configure(args: Properties): Promise<void> {
    const response = await this.call("configure", new messages.ConfigureRequest().setArgs(struct(args)));
    assert.deepEqual([response.getAcceptsecrets(), response.getSupportspreview()], [true, true]);
  }

  async configFailures(args: Properties): Promise<string[]> {
    const response: messages.CheckResponse = await this.call("checkConfig", new messages.CheckRequest().setNews(struct(args)));
    return response.getFailuresList().map((failure) => failure.getReason());
  }

  async check(urn: string, news: Properties, { olds = {}, seed }: { olds?: Properties; seed?: Uint8Array } = {}): Promise<Properties> {
    const request = new messages.CheckRequest().setUrn(urn).setOlds(struct(olds)).setNews(struct(news));
    const response: messages.CheckResponse = await this.call("check", seed ? request.setRandomseed(seed) : request);
    assert.deepEqual(
      response.getFailuresList().map((failure) => failure.getReason()),
      [],
    );
    return object(response.getInputs());
  }

  async failures(urn: string, news: Properties): Promise<messages.CheckFailure.AsObject[]> {
    const response: messages.CheckResponse = await this.call("check", new messages.CheckRequest().setUrn(urn).setNews(struct(news)));
    return response.getFailuresList().map((failure) => failure.toObject());
  }

  diff(urn: string, id: string, olds: Properties, oldInputs: Properties, news: Properties): Promise<messages.DiffResponse> {
    const request = new messages.DiffRequest().setUrn(urn).setId(id).setOlds(struct(olds));
    return this.call("diff", request.setOldInputs(struct(oldInputs)).setNews(struct(news)));
  }

  async create(urn: string, inputs: Properties, { preview = false } = {}): Promise<{ id: string; outputs: Properties }> {
    const request = new messages.CreateRequest().setUrn(urn).setProperties(struct(inputs)).setPreview(preview);
    const response: messages.CreateResponse = await this.call("create", request);
    return { id: response.getId(), outputs: object(response.getProperties()) };
  }

  async update(urn: string, id: string, olds: Properties, news: Properties, { preview = false } = {}): Promise<Properties> {
    const request = new messages.UpdateRequest().setUrn(urn).setId(id).setOlds(struct(olds)).setNews(struct(news)).setPreview(preview);
    return object((await this.call("update", request)).getProperties());
  }

  async read(urn: string, id: string, properties: Properties, inputs: Properties) {
    const request = new messages.ReadRequest().setUrn(urn).setId(id).setProperties(struct(properties)).setInputs(struct(inputs));
    const response: messages.ReadResponse = await this.call("read", request);
    return { id: response.getId(), properties: object(response.getProperties()), inputs: object(response.getInputs()) };
  }

  async delete(urn: string, id: string, properties: Properties): Promise<void> {
    await this.call("delete", new messages.DeleteRequest().setUrn(urn).setId(id).setProperties(struct(properties)));
  }

  close(): void {
    this.#client.close();
  }
}
