import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CloudName, findServices } from "./discovery.js";
import { Engine, type GraphEntry } from "./engine/engine.js";
import type { Log } from "./engine/log.js";
import type { Program } from "./engine/program.js";
import { type ResourceState, StackState } from "./engine/state.js";
import type { Progress, Summary } from "./engine/steps.js";
import { EmbeddedCloud, type EmbeddedCloudOptions } from "./kernel/embedded-cloud.js";
import { providerFactory } from "./kernel/provider.js";
import type { Properties, Service } from "./kernel/service.js";

export { type AttachableCloud, type AttachableOptions, startAttachable } from "./attachable.js";
export { type CloudName, findServices } from "./discovery.js";
export type { GraphEntry } from "./engine/engine.js";
export { type Failure, ProgramFailed } from "./engine/failures.js";
export type { Log, Severity } from "./engine/log.js";
export type { Program } from "./engine/program.js";
export { readStackConfig, type StackConfig, StackConfigUnusable } from "./engine/stack-config.js";
export { type ResourceState, StateUnusable } from "./engine/state.js";
export type { Progress, Summary } from "./engine/steps.js";
export { type DeveloperAccess, developerAccess } from "./kernel/azure/developer-access.js";

export interface StackOptions {
  /** The Pulumi program. What it returns are the stack's outputs. */
  program: Program;
  project: string;
  stack: string;
  /** `"aws:region"` → value; what has structure is JSON. */
  config: Readonly<Record<string, string>>;
  /** Keys of `config` whose values are secret. */
  secretConfig?: readonly string[];
  /** Where state and stores are kept for the next start. Without it they go when the stack stops. */
  dataFolder?: string;
  /** The port of the product's own HTTP endpoint. */
  port?: number;
  /** Of the run's random decisions. @default from the clock */
  seed?: number;
  /** Whose services run. @default all that there are */
  clouds?: readonly CloudName[];
  /** Further services, or others instead with `clouds: []`. */
  services?: readonly Service[];
  /** What else the cloud is to be: faults, backoff, clock. */
  cloud?: Pick<EmbeddedCloudOptions, "faults" | "backoff" | "clock" | "account">;
  onProgress?(progress: Progress): void;
  /** Told what the program logs. */
  onLog?: Log;
}

/** A stack that runs on an embedded cloud. */
export interface EmbeddedStack {
  /** Of the stack, in the clear. */
  readonly outputs: Properties;
  /** Names of the outputs that are, or hold, secrets. */
  readonly secretOutputs: ReadonlySet<string>;
  readonly cloud: EmbeddedCloud;
  /** Steps of this start, by kind. */
  readonly summary: Readonly<Summary>;
  /** What the program declared. */
  graph(): GraphEntry[];
  /** All that the engine knows of every resource, the stack itself included, as `pulumi stack export` says it; what is secret is readable. */
  resources(): ResourceState[];
  /** Ends everything within two seconds. What `dataFolder` keeps is there for the next start. */
  stop(): Promise<void>;
  /** Deletes every resource, dependents first; the cloud goes on. @throws ProgramFailed */
  destroy(): Promise<void>;
}

/**
 * Runs a Pulumi program on an embedded cloud of its own.
 *
 * @throws ProgramFailed naming every resource that failed, after everything was stopped.
 */
export async function startStack(options: StackOptions): Promise<EmbeddedStack> {
  const { program, project, stack, config, secretConfig = [], dataFolder, onProgress, onLog } = options;
  const folder = dataFolder ?? (await mkdtemp(join(tmpdir(), `${project}-${stack}-`)));
  const removeFolder = async () => {
    if (dataFolder === undefined) await rm(folder, { recursive: true, force: true });
  };
  let cloud: EmbeddedCloud | undefined;
  const stop = async () => {
    await cloud?.stop();
    await removeFolder();
  };
  try {
    const state = new StackState({ file: dataFolder && join(dataFolder, "stack.jsonl"), project, stack });
    const services = [...(await findServices(options.clouds)), ...(options.services ?? [])];
    cloud = await startCloud(services, join(folder, "cloud"), options);
    const provider = providerFactory(cloud, services);
    const engine = new Engine({
      project,
      stack,
      config,
      secretConfig,
      state,
      provider,
      ...(onProgress && { onProgress }),
      ...(onLog && { onLog }),
    });
    const { outputs, secretOutputs } = await engine.run(program);
    let stopped: Promise<void> | undefined;
    return {
      outputs,
      secretOutputs,
      cloud,
      summary: { ...engine.summary },
      graph: () => engine.graph(),
      resources: () => engine.resources(),
      stop: () => {
        stopped ??= stop();
        return stopped;
      },
      destroy: () => engine.destroy(),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function startCloud(services: Service[], folder: string, { config, port, seed, dataFolder, cloud }: StackOptions): Promise<EmbeddedCloud> {
  return EmbeddedCloud.start({
    services,
    folder,
    kept: dataFolder !== undefined,
    region: config["aws:region"] ?? "us-east-1",
    ...(port !== undefined && { port }),
    ...(seed !== undefined && { seed }),
    ...cloud,
  });
}
