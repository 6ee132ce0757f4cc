import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Properties } from "../kernel/service.js";
import { json } from "./envelopes.js";

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

/** What can happen to the resources of a stack: a line of the file each, after one that says whose they are. */
type Change =
  | { put: ResourceState }
  | { remove: string }
  /** A resource in the place of one with another URN. */
  | { rename: string; to: ResourceState }
  /** A replacement in the place of the resource with its URN, which remains to be deleted. */
  | { replace: ResourceState }
  /** A replaced one, still to be deleted. */
  | { doom: ResourceState }
  /** It is deleted now. */
  | { bury: { urn: string; id: string } };

interface Header {
  version: 1;
  project: string;
  stack: string;
}

/** A kept state that cannot be used. */
export class StateUnusable extends Error {
  override readonly name = "StateUnusable";
  readonly code = "STATE_UNUSABLE";
}

/**
 * The resources of a stack, in the order of their creation. With a file, every change is appended to it before it counts, so that a process
 * that is killed loses nothing; the file is written anew at each start. Only its owner can read it.
 */
export class StackState {
  readonly #live = new Map<string, ResourceState>();
  readonly #doomed = new Set<ResourceState>();
  readonly #file: string | undefined;
  readonly #header: Header;

  /** @throws StateUnusable when the file is another stack's, or damaged. */
  constructor({ file, project, stack }: { file?: string | undefined; project: string; stack: string }) {
    this.#file = file;
    this.#header = { version: 1, project, stack };
    if (file === undefined) return;
    if (existsSync(file)) this.#load(file);
    this.#write(file);
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
    if (!isDeepStrictEqual(json(resource), this.#live.get(resource.urn))) this.#do({ put: resource });
  }

  /** Puts a resource in the place of one with another URN: everything that referred to that one refers to this one. */
  rename(before: string, resource: ResourceState): void {
    this.#do({ rename: before, to: resource });
  }

  /** Puts a replacement in the place of the resource with its URN, which remains to be deleted. */
  replace(after: ResourceState): void {
    this.#do({ replace: after });
  }

  remove({ urn, id, doomed }: ResourceState): void {
    this.#do(doomed ? { bury: { urn, id } } : { remove: urn });
  }

  // Synchronous on purpose: a step is not done before it is on the disk, and steps that end together must not overtake each other.
  #do(change: Change): void {
    const text = JSON.stringify(change);
    if (this.#file !== undefined) appendFileSync(this.#file, `${text}\n`);
    this.#apply(JSON.parse(text));
  }

  #apply(change: Change): void {
    if ("put" in change) this.#live.set(change.put.urn, change.put);
    else if ("remove" in change) this.#live.delete(change.remove);
    else if ("rename" in change) this.#rename(change.rename, change.to);
    else if ("replace" in change) this.#replace(change.replace);
    else if ("doom" in change) this.#doomed.add({ ...change.doom, doomed: true });
    else this.#bury(change.bury);
  }

  #rename(before: string, to: ResourceState): void {
    const all = [...this.#live].map(([urn, state]) => (urn === before ? to : { ...state, ...referring(state, before, to.urn) }));
    this.#live.clear();
    for (const state of all) this.#live.set(state.urn, state);
  }

  #replace(after: ResourceState): void {
    const before = this.#live.get(after.urn);
    if (before) this.#apply({ doom: before });
    // The new one is younger than what it was made after.
    this.#live.delete(after.urn);
    this.#live.set(after.urn, after);
  }

  #bury({ urn, id }: { urn: string; id: string }): void {
    for (const resource of this.#doomed) if (resource.urn === urn && resource.id === id) this.#doomed.delete(resource);
  }

  #load(file: string): void {
    const [first = "", ...lines] = readFileSync(file, "utf8").split("\n");
    // What follows the last line break is a line that was never finished.
    lines.pop();
    try {
      const header: Header = JSON.parse(first);
      if (header.version !== 1) throw new Error("it is not a state of version 1");
      const [own, theirs] = [this.#header, header].map(({ project, stack }) => `${project}/${stack}`);
      if (own !== theirs) throw new Error(`it is of the stack ${theirs}, not of ${own}`);
      for (const line of lines) this.#apply(JSON.parse(line));
    } catch (error) {
      throw new StateUnusable(
        `The kept state ${file} cannot be used: ${(error as Error).message}. Use another folder, or remove this one.`,
      );
    }
  }

  /** Whole, beside the file, then in its place. */
  #write(file: string): void {
    mkdirSync(dirname(file), { recursive: true });
    const changes = [...this.live().map((put): Change => ({ put })), ...this.doomed().map((doom): Change => ({ doom }))];
    const lines = [this.#header, ...changes].map((line) => `${JSON.stringify(line)}\n`);
    const draft = `${file}.new`;
    writeFileSync(draft, lines.join(""), { mode: 0o600 });
    renameSync(draft, file);
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
