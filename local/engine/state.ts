import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Properties } from "../kernel/service.js";

/** What the engine knows of a resource. Inputs and outputs are in Pulumi's envelopes, so that what is secret says so. */
export interface ResourceState {
  urn: string;
  type: string;
  name: string;
  /** URN, or empty for the stack itself. */
  parent: string;
  /** Managed by a provider; otherwise a component. */
  custom: boolean;
  /** Physical id; empty for components. */
  id: string;
  /** As declared, after the provider's check. */
  inputs: Properties;
  outputs: Properties;
  /** `URN::ID` of an explicit provider, or empty. */
  provider: string;
  /** URNs of what it needs, whether declared or through its inputs. */
  dependencies: string[];
  /** URNs by input. */
  propertyDependencies: Record<string, string[]>;
  protect: boolean;
  retainOnDelete: boolean;
  additionalSecretOutputs: string[];
  /** A change of it means a new resource. */
  replacementTrigger?: unknown;
  /** Read, not made: somebody else's. */
  external?: true;
  /** Replaced already, and still to be deleted. */
  doomed?: true;
}

interface StateFile {
  version: 1;
  project: string;
  stack: string;
  resources: ResourceState[];
}

/** A kept state that cannot be used. */
export class StateUnusable extends Error {
  override readonly name = "StateUnusable";
  readonly code = "STATE_UNUSABLE";
}

/**
 * The resources of a stack, in the order of their creation. With a file, every change is on the disk before it counts: written beside it and
 * put in its place, readable by the owner only.
 */
export class StackState {
  readonly #live = new Map<string, ResourceState>();
  readonly #doomed = new Set<ResourceState>();
  readonly #file: string | undefined;
  readonly #project: string;
  readonly #stack: string;

  /** @throws StateUnusable when the file is another stack's, or damaged. */
  constructor({ file, project, stack }: { file?: string | undefined; project: string; stack: string }) {
    this.#file = file;
    this.#project = project;
    this.#stack = stack;
    if (file !== undefined && existsSync(file)) this.#load(file);
  }

  get(urn: string): ResourceState | undefined {
    return this.#live.get(urn);
  }

  /** What exists, without what was replaced. */
  live(): ResourceState[] {
    return [...this.#live.values()];
  }

  /** What was replaced and is still to be deleted. */
  doomed(): ResourceState[] {
    return [...this.#doomed];
  }

  put(resource: ResourceState): void {
    this.#live.set(resource.urn, resource);
    this.#save();
  }

  /** Puts a resource in the place of one with another URN: everything that referred to that one refers to this one. */
  rename(before: string, resource: ResourceState): void {
    const all = [...this.#live].map(([urn, state]) =>
      urn === before ? resource : { ...state, ...referring(state, before, resource.urn) },
    );
    this.#live.clear();
    for (const state of all) this.#live.set(state.urn, state);
    this.#save();
  }

  /** Puts a replacement in the place of a resource, which remains to be deleted. */
  replace(before: ResourceState, after: ResourceState): void {
    this.#live.delete(before.urn);
    this.#doomed.add({ ...before, doomed: true });
    this.#live.set(after.urn, after);
    this.#save();
  }

  remove(resource: ResourceState): void {
    if (resource.doomed) this.#doomed.delete(resource);
    else this.#live.delete(resource.urn);
    this.#save();
  }

  #load(file: string): void {
    let read: StateFile;
    try {
      read = JSON.parse(readFileSync(file, "utf8"));
      if (read.version !== 1 || !Array.isArray(read.resources)) throw new Error("it is not a state of version 1");
    } catch (error) {
      throw new StateUnusable(
        `The kept state ${file} cannot be read: ${(error as Error).message}. Use another folder, or remove this one.`,
      );
    }
    if (read.project !== this.#project || read.stack !== this.#stack) {
      throw new StateUnusable(
        `The kept state ${file} is of stack ${read.project}/${read.stack}, not of ${this.#project}/${this.#stack}. Use another folder.`,
      );
    }
    for (const resource of read.resources) {
      if (resource.doomed) this.#doomed.add(resource);
      else this.#live.set(resource.urn, resource);
    }
  }

  // Synchronous on purpose: a step is not done before it is on the disk, and steps that end together must not overtake each other.
  #save(): void {
    if (this.#file === undefined) return;
    const contents: StateFile = {
      version: 1,
      project: this.#project,
      stack: this.#stack,
      resources: [...this.#live.values(), ...this.#doomed],
    };
    mkdirSync(dirname(this.#file), { recursive: true });
    const draft = `${this.#file}.new`;
    writeFileSync(draft, JSON.stringify(contents), { mode: 0o600 });
    renameSync(draft, this.#file);
  }
}

function referring(state: ResourceState, before: string, after: string): Partial<ResourceState> {
  const renamed = (urn: string) => (urn === before ? after : urn);
  return {
    parent: renamed(state.parent),
    provider: state.provider.startsWith(`${before}::`) ? after + state.provider.slice(before.length) : state.provider,
    dependencies: state.dependencies.map(renamed),
    propertyDependencies: Object.fromEntries(Object.entries(state.propertyDependencies).map(([input, urns]) => [input, urns.map(renamed)])),
  };
}
