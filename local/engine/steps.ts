import { randomUUID } from "node:crypto";
import type { Properties } from "../kernel/service.js";
import { conceal } from "./envelopes.js";
import { isProvider, type Provider, type Providers } from "./providers.js";
import type { ResourceState, StackState } from "./state.js";
import { STACK_TYPE } from "./urn.js";

export type StepType = "create" | "update" | "same" | "replace" | "delete";

/** A step that was done, or what has failed. */
export interface Progress {
  type: StepType | "failed";
  urn: string;
  /** Logical name. */
  name: string;
  /** Pulumi type token. */
  resourceType: string;
  /** URN, or empty. */
  parent: string;
  /** What went wrong. */
  message?: string;
  /** Of a deletion: it stays in the cloud, and is only forgotten (`retainOnDelete`). */
  retained?: true;
}

export type Summary = Record<StepType, number>;

/** What a resource is to be, before it has an id and outputs. */
export type Desired = Omit<ResourceState, "id" | "outputs">;

/** What can be done to one resource: carried out by its provider, then recorded, then reported. */
export class Steps {
  readonly summary: Summary = { create: 0, update: 0, same: 0, replace: 0, delete: 0 };
  readonly #state: StackState;
  readonly #providers: Providers;
  readonly #onProgress: (progress: Progress) => void;

  constructor(state: StackState, providers: Providers, onProgress: (progress: Progress) => void) {
    this.#state = state;
    this.#providers = providers;
    this.#onProgress = onProgress;
  }

  same(before: ResourceState, desired: Desired): ResourceState {
    return this.#done("same", { ...desired, id: before.id, outputs: marked(before.outputs, desired) });
  }

  async create(desired: Desired, provider: Provider): Promise<ResourceState> {
    return this.#done("create", await this.#created(desired, provider));
  }

  async update(before: ResourceState, desired: Desired, provider: Provider): Promise<ResourceState> {
    if (!provider.update) throw new Error("Its provider cannot update it.");
    const { outs = {} } = (await provider.update(before.id, desired.urn, before.outputs, desired.inputs)) ?? {};
    return this.#done("update", { ...desired, id: before.id, outputs: marked(outs, desired) });
  }

  /** Makes a new one; the old one is deleted before, or stays until everything that needs it has moved to the new one. */
  async replace(before: ResourceState, desired: Desired, provider: Provider, deleteBefore: boolean): Promise<ResourceState> {
    if (deleteBefore) {
      await this.#gone(before);
      return this.#done("replace", await this.#created(desired, provider));
    }
    const after = await this.#created(desired, provider);
    // What has the same physical id is the same thing: deleting the old one would delete the new one.
    if (after.id !== before.id) this.#state.replace(after);
    return this.#done("replace", after);
  }

  /** Removes a resource; without a step of its own where that is part of a replacement. */
  async delete(resource: ResourceState): Promise<void> {
    await this.#gone(resource);
    if (!resource.doomed && !resource.external) this.#report("delete", resource);
  }

  /** Components and providers are the engine's own. */
  own(before: ResourceState | undefined, desired: Desired, changed: boolean): ResourceState {
    const id = isProvider(desired.type) ? before?.id || randomUUID() : "";
    const type = before === undefined ? "create" : changed ? "update" : "same";
    return this.#done(type, { ...desired, id, outputs: { ...before?.outputs, ...desired.inputs } });
  }

  failed({ urn, name, type, parent = "" }: { urn: string; name: string; type: string; parent?: string }, message: string): void {
    this.#onProgress({ type: "failed", urn, name, resourceType: type, parent, message });
  }

  async #created(desired: Desired, provider: Provider): Promise<ResourceState> {
    if (!provider.create) throw new Error("Its provider cannot create it.");
    const { id, outs = {} } = await provider.create(desired.urn, desired.inputs);
    return { ...desired, id, outputs: marked(outs, desired) };
  }

  async #gone(resource: ResourceState): Promise<void> {
    const { custom, external, retainOnDelete, type, id, urn, outputs } = resource;
    if (custom && !external && !retainOnDelete && !isProvider(type)) {
      await this.#providers.of(type, resource.provider).delete?.(id, urn, outputs);
    }
    this.#state.remove(resource);
  }

  #done(type: StepType, resource: ResourceState): ResourceState {
    this.#state.put(resource);
    this.#report(type, resource);
    return resource;
  }

  #report(step: StepType, { urn, name, type, parent, retainOnDelete, custom }: ResourceState): void {
    if (type === STACK_TYPE) return;
    this.summary[step]++;
    const retained = step === "delete" && custom && retainOnDelete;
    this.#onProgress({ type: step, urn, name, resourceType: type, parent, ...(retained && { retained }) });
  }
}

function marked(outputs: Properties, { inputs, additionalSecretOutputs }: Desired): Properties {
  return conceal(outputs, inputs, additionalSecretOutputs);
}
