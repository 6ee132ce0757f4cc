import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "fflate";
import { unpackTar } from "modern-tar";
import { parse } from "yaml";
import { buildContext } from "../../../components/core/build-context.js";
import type { TestAzurite } from "./azurite.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

export type Environment = Record<string, string>;

/** A line that a container has written. */
export interface Line {
  message: string;
  level: string;
  [more: string]: any;
}

/** The programs of the image in a folder of their own, with sharp beside them. */
export interface Programs {
  folder: string;
  /** Runs one, as a container would be. */
  run(program: "uploader.mjs" | "processor.mjs", environment: Environment): Container;
  remove(): Promise<void>;
}

export async function programs(): Promise<Programs> {
  const { path: archive } = await buildContext({
    name: "containers-test",
    entries: { "uploader.mjs": "functions/container/uploader.ts", "processor.mjs": "functions/container/processor.ts" },
    target: "node24",
    dockerfile: "functions/container/Dockerfile",
  });
  const folder = await mkdtemp(path.join(tmpdir(), "containers-"));
  for (const { header, data } of await unpackTar(gunzipSync(await readFile(archive)))) {
    await mkdir(path.dirname(path.join(folder, header.name)), { recursive: true });
    await writeFile(path.join(folder, header.name), data ?? new Uint8Array());
  }
  await symlink(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"), "dir");
  return {
    folder,
    run: (program, environment) => new Container(folder, program, environment),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** A container's process. */
export class Container {
  readonly lines: Line[] = [];
  readonly errors: string[] = [];
  readonly process: ChildProcess;
  readonly exited: Promise<number | NodeJS.Signals>;
  private readonly waiting = new Set<() => void>();

  constructor(folder: string, program: string, environment: Environment) {
    this.process = spawn(process.execPath, [program], {
      cwd: folder,
      env: { PATH: process.env.PATH, NODE_ENV: "production", PORT: "0", HOST: "127.0.0.1", ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.exited = once(this.process, "exit").then(([code, signal]) => code ?? signal);
    createInterface({ input: this.process.stdout ?? assert.fail() }).on("line", (line) => {
      this.lines.push(JSON.parse(line));
      for (const look of this.waiting) look();
    });
    createInterface({ input: this.process.stderr ?? assert.fail() }).on("line", (line) => this.errors.push(line));
  }

  /** The first line that is like this one, written or to come. */
  async says(message: string, fits: (line: Line) => boolean = () => true): Promise<Line> {
    const find = () => this.lines.find((line) => line.message === message && fits(line));
    const line = await Promise.race([
      new Promise<Line>((resolve) => {
        const look = () => {
          const found = find();
          if (!found) return;
          this.waiting.delete(look);
          resolve(found);
        };
        this.waiting.add(look);
        look();
      }),
      this.exited,
    ]);
    if (typeof line === "object") return line;
    return find() ?? assert.fail(`It has ended (${line}) without "${message}": ${JSON.stringify(this.lines)} ${this.errors.join("\n")}`);
  }

  /** Where it listens, once it does. */
  async url(): Promise<string> {
    return (await this.says("listening")).address;
  }

  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<number | NodeJS.Signals> {
    this.process.kill(signal);
    return this.exited;
  }
}

/** What compose.yaml tells a service, but that its storage is this Azurite. */
export async function composed(service: "uploader" | "processor", azurite: TestAzurite): Promise<Environment> {
  const { services } = parse(await readFile(path.join(ROOT, "compose.yaml"), "utf8"), { merge: true });
  const { PORT: _, ...environment } = services[service].environment;
  assert.deepEqual(
    Object.keys(azurite.environment).filter((name) => !(name in environment)),
    [],
    "compose.yaml says where the storage is",
  );
  return { ...environment, ...azurite.environment };
}
