import type { Properties } from "../kernel/service.js";
import { hashed } from "./assets.js";
import { differences, same } from "./difference.js";
import { open, plain, seal } from "./envelopes.js";
import { type Failure, failureOf } from "./failures.js";
import type { Goal } from "./goal.js";
import type { ReadRequest, Requests } from "./monitor.js";
import { fromTheTop, needs } from "./order.js";
import { carryOver, parsePath, touches } from "./property-path.js";
import { isProvider, type Provider, type Providers } from "./providers.js";
import type { ResourceState, StackState } from "./state.js";
import type { Desired, Steps } from "./steps.js";
import { formerUrns, STACK_TYPE, urnOf } from "./urn.js";

/** Registrations that arrive within this time of the last one, after a failure, are still checked, so that all that is wrong is said at once. */
const SETTLING = 50;

/** A request that is not carried out because something else has failed. */
class Stopped extends Error {}

/** What a deployment works on. */
export interface DeploymentContext {
  project: string;
  stack: string;
  state: StackState;
  providers: Providers;
  steps: Steps;
}

/** One run of a program against what exists: every registration is compared with the resource of before and becomes a step. */
export class Deployment implements Requests {
  /** Outputs of the stack, in Pulumi's envelopes. */
  outputs: Properties = {};
  readonly failures: Failure[] = [];
  /** Resolves once something has failed and everything that was under way has ended. */
  readonly failed: Promise<void>;

  readonly #context: DeploymentContext;
  readonly #registered = new Set<string>();
  /** URN now → URN before, of resources that were found by an alias. */
  readonly #renamed = new Map<string, string>();
  #underWay = 0;
  #settling: NodeJS.Timeout | undefined;
  #giveUp: () => void = () => {};

  constructor(context: DeploymentContext) {
    this.#context = context;
    this.failed = new Promise((resolve) => {
      this.#giveUp = resolve;
    });
  }

  async register(goal: Goal): Promise<{ urn: string; id: string; outputs: Properties }> {
    const urn = this.#urnOf(goal);
    return this.#attempt({ urn, ...goal }, async () => {
      this.#claim(urn);
      const before = this.#before(goal, urn);
      const resource = await (goal.custom && !isProvider(goal.type) ? this.#provided(goal, urn, before) : this.#own(goal, urn, before));
      return { urn, id: resource.id, outputs: resource.outputs };
    });
  }

  async registerOutputs(urn: string, outputs: Properties): Promise<void> {
    const resource = this.#context.state.get(urn);
    if (!resource) throw new Error(`There is no resource ${urn} to give outputs to.`);
    if (resource.type === STACK_TYPE) this.outputs = outputs;
    this.#context.state.put({ ...resource, outputs });
  }

  async read(request: ReadRequest): Promise<{ urn: string; outputs: Properties }> {
    const { type, name, parent, id, provider, dependencies, additionalSecretOutputs } = request;
    const urn = this.#urnOf(request);
    return this.#attempt({ urn, type, name, parent }, async () => {
      this.#claim(urn);
      const found = await this.#context.providers.of(type, provider).read?.(id, urn, request.inputs);
      if (!found?.id) throw new Error(`There is no ${type} with the id "${id}".`);
      const common = { urn, type, name, parent, id, custom: true, provider, dependencies, additionalSecretOutputs };
      const resource = { ...common, inputs: found.inputs ?? {}, outputs: found.props ?? {}, propertyDependencies: {}, ...UNGUARDED };
      this.#context.state.put({ ...resource, external: true });
      return { urn, outputs: resource.outputs };
    });
  }

  async invoke(token: string, args: Properties, provider: string): Promise<Properties> {
    if (token === "pulumi:pulumi:getResource") return this.#rehydrated(plain(args).urn);
    try {
      const { outputs = {}, failures = [] } = (await this.#context.providers.of(token, provider).invoke?.(token, args)) ?? {};
      if (failures.length > 0) throw new Error(failures.map(({ property, reason }) => `${property}: ${reason}`).join("; "));
      return outputs;
    } catch (error) {
      const { message } = error as Error;
      throw new Error(message.includes(token) ? message : `${token}: ${message}`, { cause: error });
    }
  }

  refused(error: unknown, about?: { type: string; name: string; urn?: string; parent?: string }): void {
    if (error instanceof Stopped || this.failures.some((failure) => failure.error === error)) return;
    const failure = failureOf(error, about);
    this.failures.push(failure);
    this.#context.steps.failed({ parent: about?.parent ?? "", ...failure }, failure.message);
    this.#settle();
  }

  /** Deletes what the program no longer declares, and what was replaced: dependents first. Nothing, where something has failed. */
  async deleteVanished(): Promise<void> {
    const { state } = this.#context;
    await this.#delete(state.live().filter(({ urn }) => !this.#registered.has(urn)));
  }

  /** Deletes everything, dependents first. */
  async destroy(): Promise<void> {
    await this.#delete(this.#context.state.live());
  }

  async #delete(resources: ResourceState[]): Promise<void> {
    const { state, steps } = this.#context;
    for (const { protect, ...about } of resources) if (protect) this.refused(isProtected("deleted"), about);
    if (this.failures.length > 0) return;
    await fromTheTop(
      [...resources, ...state.doomed()],
      (resource) => steps.delete(resource),
      (resource, error) => this.refused(error, resource),
    );
  }

  #urnOf({ type, name, parent }: { type: string; name: string; parent: string }): string {
    const { stack, project } = this.#context;
    return urnOf({ stack, project, type, name, parent });
  }

  #claim(urn: string): void {
    if (this.#registered.has(urn)) throw new Error(`Two resources have the URN ${urn}: give one of them another name.`);
    this.#registered.add(urn);
  }

  /** The resource of before, under its URN or a former one; then it has its URN of today already. */
  #before({ type, name, parent, options }: Goal, urn: string): ResourceState | undefined {
    const { project, stack, state } = this.#context;
    const existing = state.get(urn);
    if (existing) return existing.external ? undefined : existing;
    const former = formerUrns({ stack, project, type, name, parent }, options.aliases, this.#renamed.get(parent));
    const found = former.filter((other) => !this.#registered.has(other)).map((other) => state.get(other));
    const before = found.find((resource) => resource && !resource.external);
    if (!before) return undefined;
    this.#renamed.set(urn, before.urn);
    const renamed = { ...before, urn, type, name, parent };
    state.rename(before.urn, renamed);
    return renamed;
  }

  #desired({ type, name, parent, custom, options, propertyDependencies }: Goal, urn: string, inputs: Properties): Desired {
    const above = this.#context.state.get(parent);
    return {
      urn,
      type,
      name,
      parent,
      custom,
      inputs,
      provider: options.provider,
      dependencies: options.dependencies,
      propertyDependencies,
      protect: options.protect ?? above?.protect ?? false,
      retainOnDelete: options.retainOnDelete ?? above?.retainOnDelete ?? false,
      additionalSecretOutputs: options.additionalSecretOutputs,
      ...(options.replacementTrigger === undefined ? {} : { replacementTrigger: options.replacementTrigger }),
    };
  }

  /** Components and providers. */
  async #own(goal: Goal, urn: string, before: ResourceState | undefined): Promise<ResourceState> {
    if (this.failures.length > 0) throw new Stopped();
    const { steps, providers } = this.#context;
    const desired = this.#desired(goal, urn, await hashed(goal.inputs));
    const changed = before !== undefined && !same(plain(before.inputs), plain(desired.inputs));
    if (isProvider(goal.type)) providers.configure(urn, desired.inputs);
    return steps.own(before, desired, changed);
  }

  /** Resources that a provider makes. */
  async #provided(goal: Goal, urn: string, before: ResourceState | undefined): Promise<ResourceState> {
    const { steps, providers } = this.#context;
    if (goal.options.importId !== "") throw new Error("The option `import` is not supported by the embedded engine.");
    const provider = providers.of(goal.type, goal.options.provider);
    const inputs = withoutIgnored(await hashed(goal.inputs), before, goal.options.ignoreChanges);
    const desired = this.#desired(goal, urn, await checked(provider, urn, before?.inputs ?? {}, inputs));
    if (this.failures.length > 0) throw new Stopped();
    if (!before) return steps.create(desired, provider);

    const { changes, replaces, deleteBeforeReplace } = await this.#diff(before, desired, goal, provider);
    if (!replaces) return changes ? steps.update(before, desired, provider) : steps.same(before, desired);
    if (before.protect) throw isProtected("replaced");
    // The new one gets what the provider fills in afresh: its name must not be the old one's.
    const afresh = { ...desired, inputs: await checked(provider, urn, {}, inputs) };
    if (deleteBeforeReplace) await this.#deleteDependents(before);
    return steps.replace(before, afresh, provider, deleteBeforeReplace);
  }

  async #diff(before: ResourceState, desired: Desired, { options }: Goal, provider: Provider) {
    const diff = (await provider.diff?.(before.id, desired.urn, before.outputs, desired.inputs, before.inputs)) ?? {};
    const paths = [...differences(plain(before.inputs), plain(desired.inputs))];
    const patterns = options.replaceOnChanges.map(parsePath);
    const demanded =
      paths.some((path) => patterns.some((pattern) => touches(pattern, path))) ||
      (before.replacementTrigger !== undefined && !same(before.replacementTrigger, desired.replacementTrigger));
    const changes = diff.changes ?? paths.length > 0;
    return {
      changes,
      replaces: demanded || (changes && (diff.replaces ?? []).length > 0),
      deleteBeforeReplace: options.deleteBeforeReplace ?? diff.deleteBeforeReplace ?? false,
    };
  }

  /** Deletes those that would have to be replaced if this resource were another; they are made again when the program declares them. */
  async #deleteDependents(resource: ResourceState): Promise<void> {
    const { state, steps, providers } = this.#context;
    for (const dependent of state.live()) {
      if (!needs(dependent).includes(resource.urn) || this.#registered.has(dependent.urn)) continue;
      if (!(await mustFollow(dependent, resource.urn, providers))) continue;
      if (dependent.protect)
        throw new Error(`${dependent.type} "${dependent.name}" must be replaced with it. ${isProtected("replaced").message}`);
      await this.#deleteDependents(dependent);
      await steps.delete(dependent);
    }
  }

  #rehydrated(urn: string): Properties {
    const resource = this.#context.state.get(urn);
    if (!resource) throw new Error(`There is no resource ${urn}.`);
    return { urn, id: resource.id, state: resource.outputs };
  }

  async #attempt<T>(about: { urn: string; type: string; name: string; parent: string }, work: () => Promise<T>): Promise<T> {
    this.#underWay++;
    try {
      return await work();
    } catch (error) {
      this.refused(error, about);
      throw error;
    } finally {
      this.#underWay--;
      this.#settle();
    }
  }

  #settle(): void {
    clearTimeout(this.#settling);
    if (this.failures.length > 0 && this.#underWay === 0) this.#settling = setTimeout(this.#giveUp, SETTLING);
  }
}

const UNGUARDED = { protect: false, retainOnDelete: false };

function isProtected(what: "deleted" | "replaced"): Error {
  return new Error(`It is protected and must not be ${what}. Declare it with \`protect: false\` and run once more before that.`);
}

async function checked(provider: Provider, urn: string, olds: Properties, news: Properties): Promise<Properties> {
  const { inputs = news, failures = [] } = (await provider.check?.(urn, olds, news)) ?? {};
  if (failures.length === 0) return inputs;
  const lines = [...new Set(failures.map(({ reason }) => reason))].map((reason) => {
    const properties = failures.filter((failure) => failure.reason === reason && failure.property !== "").map(({ property }) => property);
    return properties.length > 0 ? `${properties.join(", ")}: ${reason}` : reason;
  });
  throw new Error(lines.join("; "));
}

/** The inputs with what they had before wherever changes are to be ignored. */
function withoutIgnored(inputs: Properties, before: ResourceState | undefined, ignored: readonly string[]): Properties {
  if (!before || ignored.length === 0) return inputs;
  const [now, then] = [open(inputs), open(before.inputs)];
  const value = ignored.map(parsePath).reduce<unknown>((carried, path) => carryOver(then.value, carried, path), now.value);
  return seal(value ?? {}, { secrets: [...now.secrets, ...then.secrets], assets: [...now.assets, ...then.assets] });
}

/** Whether a dependent would be replaced if the inputs that come from a resource changed. */
async function mustFollow(dependent: ResourceState, urn: string, providers: Providers): Promise<boolean> {
  if (!dependent.custom || dependent.external || isProvider(dependent.type)) return false;
  const affected = Object.entries(dependent.propertyDependencies).filter(([, urns]) => urns.includes(urn));
  if (affected.length === 0) return false;
  const changed = { ...dependent.inputs, ...Object.fromEntries(affected.map(([input]) => [input, "(changed)"])) };
  const { type, provider, id, outputs, inputs } = dependent;
  const diff = await providers.of(type, provider).diff?.(id, dependent.urn, outputs, changed, inputs);
  return (diff?.replaces ?? []).length > 0;
}
