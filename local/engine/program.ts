import type { Client } from "@grpc/grpc-js";
import * as pulumi from "@pulumi/pulumi";
import runtimeState from "@pulumi/pulumi/runtime/state.js";
import { EngineClient, type Log } from "./log.js";
import { withRejections } from "./rejections.js";

/** A Pulumi program: what it returns, or resolves to, are the stack's outputs. */
export type Program = () => Promise<unknown> | unknown;

export interface ProgramSettings {
  project: string;
  stack: string;
  /** `"aws:region"` → value. */
  config: Readonly<Record<string, string>>;
  /** Keys of `config` that are secret. */
  secretConfig: readonly string[];
  /** Where the engine's monitor listens: `127.0.0.1:PORT`. */
  monitor: string;
  /** Resolves when the engine has given the program up. */
  givenUp: Promise<void>;
  /** Told of errors that nobody in the program waits for. */
  onError(error: unknown): void;
  onLog: Log;
}

// Internal to the SDK, and the only way of running several programs in one process at the same time: its own automation API does it too.
const { withLocalStorage, getStore } = runtimeState as unknown as {
  withLocalStorage<T>(work: () => Promise<T>): Promise<T>;
  getStore(): { settings: { engine: EngineClient; options: { rootDirectory: string } } };
};

/** What the CLI calls a stack's owner where there is no service. */
const ORGANIZATION = "organization";

/**
 * Runs a program in this process until everything that it declared is registered, or the engine has given it up.
 *
 * @throws whatever the program throws.
 */
export async function evaluate(program: Program, settings: ProgramSettings): Promise<void> {
  const { project, stack, config, secretConfig, monitor, givenUp, onError, onLog } = settings;
  await withLocalStorage(() =>
    withRejections(onError, async () => {
      pulumi.runtime.resetOptions(project, stack, 16, "", monitor, false, ORGANIZATION);
      const { settings: ofProgram } = getStore();
      ofProgram.engine = new EngineClient(onLog);
      ofProgram.options.rootDirectory = process.cwd();
      pulumi.runtime.setAllConfig({ ...config }, [...secretConfig]);
      try {
        await Promise.race([complete(program), givenUp]);
      } finally {
        pulumi.runtime.disconnectSync();
      }
    }),
  );
}

async function complete(program: Program): Promise<void> {
  await pulumi.runtime.runInPulumiStack(async () => program());
  await pulumi.runtime.disconnect();
  // The SDK does so only for a program that has the process for itself. That of a program that was given up stays open, so that whatever it
  // may still try is answered: the monitor is gone.
  (pulumi.runtime.getMonitor() as Client | undefined)?.close();
}
