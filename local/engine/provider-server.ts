import grpc from "@grpc/grpc-js";
import plugins from "@pulumi/pulumi/proto/plugin_pb.js";
import providerServices from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import messages from "@pulumi/pulumi/proto/provider_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import structs from "google-protobuf/google/protobuf/struct_pb.js";
import type { Properties } from "../kernel/service.js";
import { same } from "./difference.js";
import { containsUnknown, plain } from "./envelopes.js";
import { type Provider, providerConfig } from "./providers.js";

/** Makes a provider for an engine of another process: `folder` is that of its program, where it says so. */
export type AttachedProviderFactory = (config: Properties, folder?: string) => Provider;

export interface ProviderServerOptions {
  /** `"aws"` */
  pkg: string;
  /** Of the provider's SDK: engines compare them. */
  version: string;
  provider: AttachedProviderFactory;
}

/** An engine's connection to a provider: there is one for each provider resource. */
interface Instance {
  folder?: string;
  provider?: Provider;
}

/**
 * The provider of one package as Pulumi's CLI attaches it by `PULUMI_DEBUG_PROVIDERS`: gRPC on a free port of 127.0.0.1. All provider resources
 * of all stacks share the port, and have a connection each, which is how they are told apart.
 */
export class ProviderServer {
  readonly #server = new grpc.Server({ "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 });
  readonly #options: ProviderServerOptions;
  readonly #instances = new Map<string, Instance>();

  constructor(options: ProviderServerOptions) {
    this.#options = options;
    this.#server.addService(providerServices.ResourceProviderService, this.#service());
  }

  /** @returns the port. */
  async start(): Promise<number> {
    const credentials = grpc.ServerCredentials.createInsecure();
    return new Promise((resolve, reject) =>
      this.#server.bindAsync("127.0.0.1:0", credentials, (error, port) => (error ? reject(error) : resolve(port))),
    );
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  #service(): grpc.UntypedServiceImplementation {
    const { version } = this.#options;
    return {
      handshake: unary((request: messages.ProviderHandshakeRequest, peer) => {
        const folder = request.getProgramDirectory() || request.getRootDirectory();
        this.#instances.set(peer, folder ? { folder } : {});
        return new messages.ProviderHandshakeResponse().setAcceptSecrets(true);
      }),
      attach: unary(() => new empty.Empty()),
      getPluginInfo: unary(() => new plugins.PluginInfo().setVersion(version)),
      getSchema: unary(() => new messages.GetSchemaResponse().setSchema(this.#schema())),
      checkConfig: unary((request: messages.CheckRequest, peer) => this.#checkConfig(request, peer)),
      diffConfig: unary((request: messages.DiffRequest) =>
        diffOf(!same(plain(object(request.getOldInputs())), plain(object(request.getNews())))),
      ),
      configure: unary((request: messages.ConfigureRequest, peer) => {
        const instance = this.#instances.get(peer) ?? {};
        const provider = this.#make(object(request.getArgs()), instance);
        this.#instances.set(peer, { ...instance, provider });
        return new messages.ConfigureResponse().setAcceptsecrets(true).setSupportspreview(true);
      }),
      check: this.#answer(check),
      diff: this.#answer(diff),
      create: this.#answer(create),
      update: this.#answer(update),
      read: this.#answer(read),
      delete: this.#answer(remove),
      invoke: this.#answer(invoke),
      cancel: unary(() => new empty.Empty()),
      ...Object.fromEntries(
        ["call", "construct", "parameterize", "list", "getMapping", "getMappings"].map((name) => [name, unimplemented(name)]),
      ),
    };
  }

  #make(args: Properties, { folder }: Instance): Provider {
    return this.#options.provider(providerConfig(args), folder);
  }

  #schema(): string {
    const { pkg, version, provider } = this.#options;
    return JSON.stringify({ name: pkg, version, ...JSON.parse(provider({}).schema ?? "{}") });
  }

  #checkConfig(request: messages.CheckRequest, peer: string): messages.CheckResponse {
    const news = object(request.getNews());
    const response = new messages.CheckResponse().setInputs(struct(news));
    // What is not known yet is looked at when it is.
    if (containsUnknown(plain(news))) return response;
    try {
      this.#make(news, this.#instances.get(peer) ?? {});
      return response;
    } catch (error) {
      return response.setFailuresList([failure({ property: "", reason: (error as Error).message })]);
    }
  }

  /** Answers by the provider of the connection that a request came by. */
  #answer<Request, Response>(by: (provider: Provider, request: Request) => Promise<Response>) {
    return unary((request: Request, peer) => {
      const provider = this.#instances.get(peer)?.provider;
      if (!provider) throw new Error(`The provider of ${this.#options.pkg} has not been configured on this connection.`);
      return by(provider, request);
    });
  }
}

async function check(provider: Provider, request: messages.CheckRequest): Promise<messages.CheckResponse> {
  const news = object(request.getNews());
  const seed = request.getRandomseed_asU8();
  const { inputs = news, failures = [] } =
    (await provider.check?.(request.getUrn(), object(request.getOlds()), news, seed.length > 0 ? seed : undefined)) ?? {};
  return new messages.CheckResponse().setInputs(struct(inputs)).setFailuresList(failures.map(failure));
}

async function diff(provider: Provider, request: messages.DiffRequest): Promise<messages.DiffResponse> {
  const [olds, news, before] = [object(request.getOlds()), object(request.getNews()), object(request.getOldInputs())];
  const { changes, replaces, deleteBeforeReplace } = (await provider.diff?.(request.getId(), request.getUrn(), olds, news, before)) ?? {};
  return diffOf(changes === true)
    .setReplacesList(replaces ?? [])
    .setDeletebeforereplace(deleteBeforeReplace === true);
}

async function create(provider: Provider, request: messages.CreateRequest): Promise<messages.CreateResponse> {
  const [urn, inputs] = [request.getUrn(), object(request.getProperties())];
  if (request.getPreview()) return new messages.CreateResponse().setProperties(struct((await provider.preview?.(urn, inputs)) ?? inputs));
  if (!provider.create) throw new Error("It cannot be created.");
  const { id, outs } = await provider.create(urn, inputs);
  return new messages.CreateResponse().setId(id).setProperties(struct(outs ?? {}));
}

async function update(provider: Provider, request: messages.UpdateRequest): Promise<messages.UpdateResponse> {
  const [id, urn, outputs, news] = [request.getId(), request.getUrn(), object(request.getOlds()), object(request.getNews())];
  if (request.getPreview()) {
    const planned = (await provider.preview?.(urn, news, { id, outputs })) ?? outputs;
    return new messages.UpdateResponse().setProperties(struct(planned));
  }
  if (!provider.update) throw new Error("It cannot be updated.");
  const { outs } = await provider.update(id, urn, outputs, news);
  return new messages.UpdateResponse().setProperties(struct(outs ?? {}));
}

async function read(provider: Provider, request: messages.ReadRequest): Promise<messages.ReadResponse> {
  const [props, inputs] = [object(request.getProperties()), object(request.getInputs())];
  const found = (await provider.read?.(request.getId(), request.getUrn(), props, inputs)) ?? {};
  return new messages.ReadResponse()
    .setId(found.id ?? "")
    .setProperties(struct(found.props ?? {}))
    .setInputs(struct(found.inputs ?? {}));
}

async function remove(provider: Provider, request: messages.DeleteRequest): Promise<empty.Empty> {
  await provider.delete?.(request.getId(), request.getUrn(), object(request.getProperties()));
  return new empty.Empty();
}

async function invoke(provider: Provider, request: messages.InvokeRequest): Promise<messages.InvokeResponse> {
  if (!provider.invoke) throw new Error(`There is no ${request.getTok()}.`);
  const { outputs, failures = [] } = await provider.invoke(request.getTok(), object(request.getArgs()));
  return new messages.InvokeResponse().setReturn(struct(outputs ?? {})).setFailuresList(failures.map(failure));
}

function diffOf(changes: boolean): messages.DiffResponse {
  const { DIFF_NONE, DIFF_SOME } = messages.DiffResponse.DiffChanges;
  return new messages.DiffResponse().setChanges(changes ? DIFF_SOME : DIFF_NONE);
}

function failure({ property, reason }: { property: string; reason: string }): messages.CheckFailure {
  return new messages.CheckFailure().setProperty(property).setReason(reason);
}

/** @param answer is told which connection a request came by. */
function unary<Request, Response>(answer: (request: Request, peer: string) => Response | Promise<Response>) {
  return async (call: grpc.ServerUnaryCall<Request, Response>, done: grpc.sendUnaryData<Response>) => {
    try {
      done(null, await answer(call.request, call.getPeer()));
    } catch (error) {
      done({ code: grpc.status.UNKNOWN, details: (error as Error).message });
    }
  };
}

function unimplemented(what: string) {
  return (_call: grpc.ServerUnaryCall<unknown, unknown>, done: grpc.sendUnaryData<unknown>) =>
    done({ code: grpc.status.UNIMPLEMENTED, details: `${what} is not supported by the embedded cloud.` });
}

const object = (value: structs.Struct | undefined): Properties => (value?.toJavaScript() ?? {}) as Properties;

const struct = (value: Properties): structs.Struct => structs.Struct.fromJavaScript(value);
