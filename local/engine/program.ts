import type { Client } from "@grpc/grpc-js";
import * as pulumi from "@pulumi/pulumi";
import runtimeState from "@pulumi/pulumi/runtime/state.js";
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
  /** Where the engine listens: `127.0.0.1:PORT`. */
  engine: string;
  /** Resolves when the engine has given the program up. */
  givenUp: Promise<void>;
  /** Told of errors that nobody in the program waits for. */
  onError(error: unknown): void;
}

// Internal to the SDK, and the only way of running several programs in one process at the same time: its own automation API does it too.
const { withLocalStorage, getStore } = runtimeState as unknown as {
  withLocalStorage<T>(work: () => Promise<T>): Promise<T>;
  getStore(): { settings: { options: { rootDirectory: string } } };
};

/** What the CLI calls a stack's owner where there is no service. */
const ORGANIZATION = "organization";

/**
 * Runs a program in this process until everything that it declared is registered, or the engine has given it up.
 *
 * @throws whatever the program throws.
 */
export async function evaluate(
  program: Program,
  { project, stack, config, secretConfig, engine, givenUp, onError }: ProgramSettings,
): Promise<void> {
  await withLocalStorage(() =>
    withRejections(onError, async () => {
      pulumi.runtime.resetOptions(project, stack, 16, engine, engine, false, ORGANIZATION);
      getStore().settings.options.rootDirectory = process.cwd();
      pulumi.runtime.setAllConfig({ ...config }, [...secretConfig]);
      try {
        await Promise.race([complete(program), givenUp]);
      } finally {
        // The SDK closes only the clients of programs that have the process for themselves.
        for (const client of [pulumi.runtime.getMonitor(), pulumi.runtime.getEngine()]) (client as Client | undefined)?.close();
        pulumi.runtime.disconnectSync();
      }
    }),
  );
}

async function complete(program: Program): Promise<void> {
  await pulumi.runtime.runInPulumiStack(async () => program());
  await pulumi.runtime.disconnect();
}
