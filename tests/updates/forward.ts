import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findServices } from "../../local/discovery.js";
import { Deployment } from "../../local/engine/deployment.js";
import { DynamicProvider } from "../../local/engine/dynamic.js";
import { plain } from "../../local/engine/envelopes.js";
import { MonitorServer } from "../../local/engine/monitor.js";
import { evaluate, type Program } from "../../local/engine/program.js";
import { isProvider, Providers } from "../../local/engine/providers.js";
import { type ResourceState, StackState } from "../../local/engine/state.js";
import type { Desired, Steps, StepType } from "../../local/engine/steps.js";
import { EmbeddedCloud } from "../../local/kernel/embedded-cloud.js";
import { providerFactory } from "../../local/kernel/provider.js";
import * as azure from "../declared-azure.js";
import { settingsOf } from "../pulumi/recordings.js";
import { asDeployed, kubeconfigOf } from "./as-deployed.js";
import type { Released } from "./release.js";

/** What would happen to a resource. */
export interface Step {
  step: StepType;
  /** Logical name. */
  name: string;
  type: string;
  /** Of a deletion: it stays in the cloud, and is only forgotten. */
  retained: boolean;
  /** Of an update: the inputs that change. */
  inputs: string[];
}

/** The steps, and the state after them. */
export interface Forward {
  steps: Step[];
  resources: ResourceState[];
}

/**
 * What the embedded engine would do to a state with a program, or, without one, what it would take away: the steps alone, decided by the services'
 * own checks and differences. Nothing is carried out.
 */
export async function forward(stack: Released, resources: readonly ResourceState[], program?: Program): Promise<Forward> {
  const { project, config, clouds } = await settingsOf(stack);
  const folder = await mkdtemp(join(tmpdir(), "forward-"));
  const services = asDeployed(await findServices(clouds), resources);
  const cloud = await EmbeddedCloud.start({ services, folder, kept: false, region: config["aws:region"] ?? "us-east-1" });
  try {
    const state = new StackState({ project, stack });
    for (const resource of resources) {
      state.put(resource);
      const { urn, type, name, id, inputs, outputs, custom } = resource;
      if (custom && !type.startsWith("pulumi"))
        cloud.resources.add({ urn, type, name, id, inputs: plain(inputs), outputs: plain(outputs) });
    }
    const providers = new Providers(providerFactory(cloud, services), new DynamicProvider({ project, config, onLog: () => {} }), config);
    for (const { urn, type, inputs } of resources) {
      if (isProvider(type)) providers.configure(urn, { ...inputs, kubeconfig: kubeconfigOf(resources) });
    }
    const planned = new Planned(state);
    const deployment = new Deployment({ project, stack, state, providers, steps: planned as unknown as Steps });
    if (program) {
      const monitor = new MonitorServer(deployment);
      try {
        const onError = (error: unknown) => deployment.refused(error);
        const settings = { project, stack, config, secretConfig: [], givenUp: deployment.failed, onError, onLog: () => {} };
        await evaluate(program, { ...settings, monitor: await monitor.start() });
      } finally {
        monitor.stop();
      }
      await deployment.deleteVanished();
    } else {
      await deployment.destroy();
    }
    const [failure] = deployment.failures;
    if (failure) throw failure.error;
    return { steps: planned.steps, resources: state.live() };
  } finally {
    await cloud.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Takes note of steps in the place of doing them. */
class Planned implements Pick<Steps, "same" | "create" | "update" | "replace" | "delete" | "own" | "failed"> {
  readonly steps: Step[] = [];
  constructor(private readonly state: StackState) {}

  same(before: ResourceState, desired: Desired): ResourceState {
    return this.#note("same", { ...desired, id: before.id, outputs: before.outputs });
  }

  async create(desired: Desired): Promise<ResourceState> {
    const { type, name, inputs } = desired;
    const values = plain(inputs);
    const added = type.startsWith("azure-native:") ? azure.outputs(type, name, values) : imageOf(desired);
    const id = type.startsWith("azure-native:") ? (azure.idOf(type, name, values) ?? name) : name;
    return this.#note("create", { ...desired, id, outputs: { ...inputs, ...added } });
  }

  async update(before: ResourceState, desired: Desired): Promise<ResourceState> {
    const [then, now] = [plain(before.inputs), plain(desired.inputs)];
    const changed = [...new Set([...Object.keys(then), ...Object.keys(now)])];
    const inputs = changed.filter((input) => JSON.stringify(then[input]) !== JSON.stringify(now[input])).sort();
    return this.#note("update", { ...desired, id: before.id, outputs: { ...before.outputs, ...made(desired, before) } }, inputs);
  }

  async replace(before: ResourceState, desired: Desired): Promise<ResourceState> {
    return this.#note("replace", { ...desired, id: before.id, outputs: before.outputs });
  }

  async delete(resource: ResourceState): Promise<void> {
    if (resource.custom && !resource.external) this.#note("delete", resource);
    this.state.remove(resource);
  }

  own(before: ResourceState | undefined, desired: Desired): ResourceState {
    const resource = { ...desired, id: before?.id ?? "", outputs: { ...before?.outputs, ...desired.inputs } };
    this.state.put(resource);
    return resource;
  }

  failed(): void {}

  #note(step: StepType, resource: ResourceState, inputs: string[] = []): ResourceState {
    const { name, type, retainOnDelete, custom } = resource;
    if (custom) this.steps.push({ step, name, type, retained: retainOnDelete, inputs });
    if (step !== "delete") this.state.put(resource);
    return resource;
  }
}

/** What a dynamic provider would say that it has made: what it was asked for, and an image by another digest when its context is another one. */
function made(desired: Desired, before: ResourceState): object {
  const { type, inputs } = desired;
  if (!type.startsWith("pulumi-nodejs:dynamic")) return {};
  const echoed = Object.entries(inputs).filter(([input]) => input in before.outputs);
  return { ...Object.fromEntries(echoed), ...imageOf(desired) };
}

/** What is said of an image that is built. */
function imageOf({ type, inputs }: Desired): object {
  if (!type.endsWith(":ImageBuild")) return {};
  const digest = `sha256:${inputs.sha256}`;
  return { digest, reference: `${inputs.loginServer}/${inputs.repository}@${digest}` };
}
