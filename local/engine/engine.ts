import type { Properties } from "../kernel/service.js";
import { Deployment } from "./deployment.js";
import { DynamicProvider } from "./dynamic.js";
import { conceal, containsSecret, masked, plain } from "./envelopes.js";
import { failureOf, ProgramFailed } from "./failures.js";
import type { Log } from "./log.js";
import { MonitorServer } from "./monitor.js";
import { inOrderOfCreation } from "./order.js";
import { evaluate, type Program } from "./program.js";
import { isProvider, type ProviderFactory, Providers } from "./providers.js";
import type { ResourceState, StackState } from "./state.js";
import { type Progress, Steps, type Summary } from "./steps.js";
import { STACK_TYPE } from "./urn.js";

export interface EngineOptions {
  project: string;
  stack: string;
  /** `"aws:region"` → value; what has structure is JSON. */
  config: Readonly<Record<string, string>>;
  /** Keys of `config` whose values are secret. */
  secretConfig?: readonly string[];
  state: StackState;
  provider: ProviderFactory;
  onProgress?(progress: Progress): void;
  onLog?: Log;
}

/** A resource as the program declared it. Secrets are in Pulumi's envelope, unreadable; assets in theirs. */
export interface GraphEntry {
  urn: string;
  type: string;
  name: string;
  /** Physical id; components have none. */
  id?: string;
  /** After the provider's check: physical names are filled in. */
  inputs: Properties;
}

/**
 * Evaluates unmodified Pulumi programs in this process, as `pulumi up` does, with providers that are objects of this process too.
 * One engine is one stack.
 */
export class Engine {
  readonly #options: EngineOptions;
  readonly #providers: Providers;
  readonly #steps: Steps;

  constructor(options: EngineOptions) {
    this.#options = options;
    const { project, config, onLog = () => {} } = options;
    this.#providers = new Providers(options.provider, new DynamicProvider({ project, config, onLog }), config);
    this.#steps = new Steps(options.state, this.#providers, (progress) => options.onProgress?.(progress));
  }

  /** Steps done so far, by kind. Components count, the stack itself does not. */
  get summary(): Readonly<Summary> {
    return this.#steps.summary;
  }

  /**
   * Makes kept resources live again, runs the program, and deletes what it no longer declares.
   *
   * @returns the stack's outputs, and the names of those that are or hold secrets.
   * @throws ProgramFailed naming every resource that failed.
   */
  async run(program: Program): Promise<{ outputs: Properties; secretOutputs: Set<string> }> {
    await this.#restore();
    const deployment = this.#deployment();
    const monitor = new MonitorServer(deployment);
    try {
      const { project, stack, config, secretConfig = [], onLog = () => {} } = this.#options;
      const onError = (error: unknown) => isEnding(error) || deployment.refused(error);
      const settings = { project, stack, config, secretConfig, givenUp: deployment.failed, onError, onLog };
      await evaluate(program, { ...settings, monitor: await monitor.start() }).catch(onError);
    } finally {
      monitor.stop();
    }
    await deployment.deleteVanished();
    if (deployment.failures.length > 0) throw new ProgramFailed(deployment.failures);
    const secretOutputs = Object.keys(deployment.outputs).filter((name) => containsSecret(deployment.outputs[name]));
    return { outputs: plain(deployment.outputs), secretOutputs: new Set(secretOutputs) };
  }

  /** Deletes every resource, dependents first. @throws ProgramFailed when one is protected, or cannot be deleted. */
  async destroy(): Promise<void> {
    const deployment = this.#deployment();
    await deployment.destroy();
    if (deployment.failures.length > 0) throw new ProgramFailed(deployment.failures, "Not everything could be deleted");
  }

  /** What is declared, in the order of its creation. */
  graph(): GraphEntry[] {
    const declared = this.#options.state.live().filter(({ type, external }) => type !== STACK_TYPE && !external);
    return declared.map(({ urn, type, name, id, inputs }) => ({ urn, type, name, ...(id === "" ? {} : { id }), inputs: masked(inputs) }));
  }

  /** All that is known of every resource, the stack itself included, as it is kept: what is secret is readable. */
  resources(): ResourceState[] {
    return this.#options.state.live();
  }

  async #restore(): Promise<void> {
    const { state } = this.#options;
    for (const resource of inOrderOfCreation([...state.live(), ...state.doomed()])) {
      const { type, urn, id, custom, external, inputs, outputs, additionalSecretOutputs } = resource;
      if (isProvider(type)) this.#providers.configure(urn, inputs);
      if (!custom || external || isProvider(type)) continue;
      try {
        const refreshed = await this.#providers.of(type, resource.provider).restore?.(id, urn, inputs, outputs);
        if (refreshed && !resource.doomed) state.put({ ...resource, outputs: conceal(refreshed, inputs, additionalSecretOutputs) });
      } catch (error) {
        throw new ProgramFailed([failureOf(error, resource)], "What was kept could not be made live again");
      }
    }
  }

  #deployment(): Deployment {
    const { project, stack, state } = this.#options;
    return new Deployment({ project, stack, state, providers: this.#providers, steps: this.#steps });
  }
}

/** What the SDK throws once the engine has refused something: the reason is known already. */
function isEnding(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return code === UNAVAILABLE || code === CANCELLED;
}

const CANCELLED = 1;
const UNAVAILABLE = 14;
