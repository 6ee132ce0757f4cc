import grpc from "@grpc/grpc-js";
import type callbacks from "@pulumi/pulumi/proto/callback_pb.js";
import resourceServices from "@pulumi/pulumi/proto/resource_grpc_pb.js";
import resources from "@pulumi/pulumi/proto/resource_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import structs from "google-protobuf/google/protobuf/struct_pb.js";
import type { Properties } from "../kernel/service.js";
import { decodeOptions, type Goal, optionsOf } from "./goal.js";
import { Transforms } from "./transforms.js";

/** What a program asks of the engine while it runs. Inputs and outputs are in Pulumi's envelopes. */
export interface Requests {
  register(goal: Goal): Promise<{ urn: string; id: string; outputs: Properties }>;
  registerOutputs(urn: string, outputs: Properties): Promise<void>;
  read(request: ReadRequest): Promise<{ urn: string; outputs: Properties }>;
  invoke(token: string, args: Properties, provider: string): Promise<Properties>;
  /** Told of every request that failed before it reached one of the others. */
  refused(error: Error, about: { type: string; name: string }): void;
}

export interface ReadRequest {
  type: string;
  name: string;
  parent: string;
  id: string;
  inputs: Properties;
  dependencies: string[];
  provider: string;
  additionalSecretOutputs: string[];
}

const FEATURES = new Set(["secrets", "resourceReferences", "aliasSpecs", "deletedWith", "transforms", "parameterization"]);

/** Pulumi's ResourceMonitor, as a program reaches it: gRPC on a free port of 127.0.0.1. */
export class MonitorServer {
  readonly #server = new grpc.Server({ "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 });
  readonly #transforms = new Transforms();
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
    this.#server.addService(resourceServices.ResourceMonitorService, this.#monitor());
  }

  /** @returns its address, `127.0.0.1:PORT`. */
  async start(): Promise<string> {
    const credentials = grpc.ServerCredentials.createInsecure();
    return new Promise((resolve, reject) =>
      this.#server.bindAsync("127.0.0.1:0", credentials, (error, port) => (error ? reject(error) : resolve(`127.0.0.1:${port}`))),
    );
  }

  stop(): void {
    this.#transforms.stop();
    this.#server.forceShutdown();
  }

  #monitor(): grpc.UntypedServiceImplementation {
    return {
      supportsFeature: unary((request: resources.SupportsFeatureRequest) =>
        new resources.SupportsFeatureResponse().setHassupport(FEATURES.has(request.getId())),
      ),
      registerResource: unary((request: resources.RegisterResourceRequest) => this.#register(request)),
      registerResourceOutputs: unary((request: resources.RegisterResourceOutputsRequest) => this.#registerOutputs(request)),
      readResource: unary((request: resources.ReadResourceRequest) => this.#read(request)),
      invoke: unary((request: resources.ResourceInvokeRequest) => this.#invoke(request), grpc.status.UNKNOWN),
      registerStackTransform: unary((transform: callbacks.Callback) => {
        this.#transforms.addToStack(transform);
        return new empty.Empty();
      }),
      registerPackage: unary((request: resources.RegisterPackageRequest) =>
        new resources.RegisterPackageResponse().setRef(request.getParameterization()?.getName() ?? request.getName()),
      ),
      signalAndWaitForShutdown: unary(() => new empty.Empty()),
      call: unimplemented("Methods of resources"),
      registerStackInvokeTransform: unimplemented("Transforms of invokes"),
      registerResourceHook: unimplemented("Resource hooks"),
      registerErrorHook: unimplemented("Error hooks"),
      getDeploymentInfo: unimplemented("GetDeploymentInfo"),
    };
  }

  async #register(request: resources.RegisterResourceRequest): Promise<resources.RegisterResourceResponse> {
    const [type, name, parent] = [request.getType(), request.getName(), request.getParent()];
    const goal = await this.#goal(request).catch((error: Error) => {
      this.#requests.refused(error, { type, name });
      throw error;
    });
    const { urn, id, outputs } = await this.#requests.register(goal);
    this.#transforms.addToResource(urn, parent, request.getTransformsList());
    return new resources.RegisterResourceResponse().setUrn(urn).setId(id).setObject(structs.Struct.fromJavaScript(outputs));
  }

  async #goal(request: resources.RegisterResourceRequest): Promise<Goal> {
    const goal = {
      type: request.getType(),
      name: request.getName(),
      custom: request.getCustom(),
      parent: request.getParent(),
      inputs: object(request.getObject()),
      options: optionsOf(request),
    };
    if (request.getRemote()) throw new Error("Components of other packages are not emulated.");
    const { options, ...transformed } = await this.#transforms.apply(goal, request.getTransformsList());
    const byInput = [...request.getPropertydependenciesMap().entries()].map(([input, on]) => [input, on.getUrnsList()] as const);
    return { ...transformed, propertyDependencies: Object.fromEntries(byInput), options: decodeOptions(options) };
  }

  async #registerOutputs(request: resources.RegisterResourceOutputsRequest): Promise<empty.Empty> {
    await this.#requests.registerOutputs(request.getUrn(), object(request.getOutputs()));
    return new empty.Empty();
  }

  async #read(request: resources.ReadResourceRequest): Promise<resources.ReadResourceResponse> {
    const { urn, outputs } = await this.#requests.read({
      type: request.getType(),
      name: request.getName(),
      parent: request.getParent(),
      id: request.getId(),
      inputs: object(request.getProperties()),
      dependencies: request.getDependenciesList(),
      provider: request.getProvider(),
      additionalSecretOutputs: request.getAdditionalsecretoutputsList(),
    });
    return new resources.ReadResourceResponse().setUrn(urn).setProperties(structs.Struct.fromJavaScript(outputs));
  }

  // The response's class is taken from the service: the SDK's own declarations name another copy of it.
  async #invoke(request: resources.ResourceInvokeRequest) {
    const outputs = await this.#requests.invoke(request.getTok(), object(request.getArgs()), request.getProvider());
    const { responseType: InvokeResponse } = resourceServices.ResourceMonitorService.invoke as unknown as InvokeMethod;
    return new InvokeResponse().setReturn(structs.Struct.fromJavaScript(outputs));
  }
}

interface InvokeMethod {
  responseType: new () => { setReturn(value: structs.Struct): unknown };
}

/** @param failure The default ends the program: it must not wait for what will never come. */
function unary<Request, Response>(answer: (request: Request) => Response | Promise<Response>, failure = grpc.status.UNAVAILABLE) {
  return async ({ request }: grpc.ServerUnaryCall<Request, Response>, done: grpc.sendUnaryData<Response>) => {
    try {
      done(null, await answer(request));
    } catch (error) {
      done({ code: failure, details: (error as Error).message });
    }
  };
}

function unimplemented(what: string) {
  return (_call: grpc.ServerUnaryCall<unknown, unknown>, done: grpc.sendUnaryData<unknown>) =>
    done({ code: grpc.status.UNIMPLEMENTED, details: `${what} are not supported by the embedded engine.` });
}

const object = (struct: structs.Struct | undefined): Properties => (struct?.toJavaScript() ?? {}) as Properties;
