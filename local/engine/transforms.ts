import grpc from "@grpc/grpc-js";
import callbackServices from "@pulumi/pulumi/proto/callback_grpc_pb.js";
import callbacks from "@pulumi/pulumi/proto/callback_pb.js";
import resources from "@pulumi/pulumi/proto/resource_pb.js";
import structs from "google-protobuf/google/protobuf/struct_pb.js";
import type { Properties } from "../kernel/service.js";

interface Transformable {
  type: string;
  name: string;
  custom: boolean;
  parent: string;
  inputs: Properties;
  options: resources.TransformResourceOptions;
}

/** Functions of the program that change resources before they are registered: each resource's own, its parents', the stack's, in this order. */
export class Transforms {
  readonly #clients = new Map<string, callbackServices.CallbacksClient>();
  readonly #ofStack: callbacks.Callback[] = [];
  readonly #ofResources = new Map<string, { transforms: callbacks.Callback[]; parent: string }>();

  addToStack(transform: callbacks.Callback): void {
    this.#ofStack.push(transform);
  }

  /** Remembers a resource's transforms: they reach its children too. */
  addToResource(urn: string, parent: string, transforms: callbacks.Callback[]): void {
    this.#ofResources.set(urn, { transforms, parent });
  }

  async apply<T extends Transformable>(resource: T, own: callbacks.Callback[]): Promise<T> {
    let transformed = resource;
    for (const transform of [...own, ...this.#ofParents(resource.parent), ...this.#ofStack]) {
      transformed = await this.#invoke(transform, transformed);
    }
    return transformed;
  }

  stop(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }

  #ofParents(urn: string): callbacks.Callback[] {
    const parent = this.#ofResources.get(urn);
    return parent ? [...parent.transforms, ...this.#ofParents(parent.parent)] : [];
  }

  async #invoke<T extends Transformable>(transform: callbacks.Callback, resource: T): Promise<T> {
    const request = new resources.TransformRequest()
      .setType(resource.type)
      .setName(resource.name)
      .setCustom(resource.custom)
      .setParent(resource.parent)
      .setProperties(structs.Struct.fromJavaScript(resource.inputs))
      .setOptions(resource.options);
    const invocation = new callbacks.CallbackInvokeRequest().setToken(transform.getToken()).setRequest(request.serializeBinary());
    const answer = await new Promise<callbacks.CallbackInvokeResponse>((resolve, reject) =>
      this.#client(transform.getTarget()).invoke(invocation, (error, response) =>
        error ? reject(new Error(error.details)) : resolve(response),
      ),
    );
    const response = resources.TransformResponse.deserializeBinary(answer.getResponse_asU8());
    return {
      ...resource,
      inputs: (response.getProperties()?.toJavaScript() as Properties | undefined) ?? resource.inputs,
      options: response.getOptions() ?? resource.options,
    };
  }

  #client(target: string): callbackServices.CallbacksClient {
    const client = this.#clients.get(target) ?? new callbackServices.CallbacksClient(target, grpc.credentials.createInsecure());
    this.#clients.set(target, client);
    return client;
  }
}
