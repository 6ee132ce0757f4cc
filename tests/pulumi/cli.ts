import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { appendFile, copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");

/** Why Pulumi's CLI cannot be used here; `undefined` where it can. */
export function withoutCli(): string | undefined {
  const { error, stdout } = spawnSync("pulumi", ["version"], {
    encoding: "utf8",
    env: { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" },
  });
  return error || !stdout.startsWith("v") ? "pulumi is not on PATH" : undefined;
}

/** A step of a preview. */
export interface PlannedStep {
  op: string;
  urn: string;
}

const IDLE: ReadonlySet<string> = new Set(["same", "read", "refresh"]);

export class CommandFailed extends Error {}

/**
 * A stack of this project as a person has it who works with the CLI, but for its files: they are in a folder of its own, as the CLI writes into
 * the stack's.
 */
export class CliStack {
  readonly #name: string;
  readonly #folder: string;
  readonly #environment: Readonly<Record<string, string>>;

  private constructor(name: string, folder: string, environment: Readonly<Record<string, string>>) {
    this.#name = name;
    this.#folder = folder;
    this.#environment = environment;
  }

  /** @param name of the stack, and of the file with its configuration. */
  static async init(name: string, environment: Readonly<Record<string, string>>): Promise<CliStack> {
    const folder = await mkdtemp(join(tmpdir(), `pulumi-${name}-`));
    const project = join(folder, "project");
    await mkdir(project);
    await copyFile(join(ROOT, "Pulumi.yaml"), join(project, "Pulumi.yaml"));
    await appendFile(join(project, "Pulumi.yaml"), `main: ${JSON.stringify(ROOT)}\n`);
    await copyFile(join(ROOT, `Pulumi.${name}.yaml`), join(project, `Pulumi.${name}.yaml`));
    const stack = new CliStack(name, folder, { ...environment, PULUMI_HOME: join(folder, "home") });
    await stack.run("stack", "init", name);
    return stack;
  }

  /** Runs a command, and returns what it says on stdout. @throws CommandFailed with all that it said. */
  async run(...args: string[]): Promise<string> {
    const child = spawn("pulumi", [...args, "--non-interactive", "--color", "never"], {
      cwd: join(this.#folder, "project"),
      env: { ...process.env, ...this.#environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [out, err] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      err += text;
    });
    const [code] = await once(child, "close");
    if (code !== 0) throw new CommandFailed(`pulumi ${args.join(" ")} ended with ${code}:\n${out}\n${err}`);
    return out;
  }

  /**
   * What `up` would do, without what stays as it is, and what is only looked at. A provider that the program declares is no resource of a cloud: it
   * changes with each token in its configuration.
   */
  async preview(...args: string[]): Promise<PlannedStep[]> {
    const { steps = [] } = JSON.parse(await this.run("preview", "--json", ...args)) as { steps?: PlannedStep[] };
    return steps.filter(({ op, urn }) => !IDLE.has(op) && !/[:$]pulumi:providers:/.test(urn));
  }

  /** @returns how many resources were created, updated, deleted and so on, by the CLI's word for it. */
  async up(...args: string[]): Promise<Record<string, number>> {
    await this.run("up", "--yes", ...args);
    const [last] = JSON.parse(await this.run("stack", "history", "--json", "--page-size", "1", "--page", "1")) as {
      resourceChanges: Record<string, number>;
    }[];
    return last?.resourceChanges ?? {};
  }

  async outputs(...args: string[]): Promise<Record<string, string>> {
    return JSON.parse(await this.run("stack", "output", "--json", ...args));
  }

  async export<Resource>(...args: string[]): Promise<Resource[]> {
    const { deployment } = JSON.parse(await this.run("stack", "export", ...args)) as { deployment: { resources?: Resource[] } };
    return deployment.resources ?? [];
  }

  /** Removes the files. What is deployed stays. */
  async forget(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  get name(): string {
    return this.#name;
  }
}
