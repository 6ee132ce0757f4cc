import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { join, posix } from "node:path";
import { promisify } from "node:util";
import { BuildError, expand, type Instruction, parseDockerfile } from "./dockerfile.js";
import { changed, copied, emptyFileSystem, type FileSystem, isFolder, matching, pathFrom } from "./file-system.js";
import { type HostPackage, link, packagesOf } from "./host-packages.js";

/** What an image says about how it is run. */
export interface ImageConfig {
  entrypoint: string[];
  command: string[];
  environment: Record<string, string>;
  /** `"/"` where nothing else is said. */
  workingFolder: string;
  /** As the Dockerfile has it; empty is root. */
  user: string;
  exposed: string[];
  labels: Record<string, string>;
  stopSignal: string;
}

export interface Image {
  /** The base image, as the Dockerfile names it. */
  base: string;
  config: ImageConfig;
  system: FileSystem;
  packages: HostPackage[];
  /** `sha256:…` of all of it: the same context and Dockerfile have the same one. */
  digest: string;
}

export interface BuildRequest {
  context: FileSystem;
  /** Within the context. @default "Dockerfile" */
  dockerfile?: string | undefined;
  /** Build arguments. */
  values?: Record<string, string>;
  /** Stage to end with. @default the last */
  target?: string | undefined;
  log(line: string): void;
}

interface Stage {
  name: string | undefined;
  image: Omit<Image, "digest">;
}

/** Base images that this machine's Node.js stands in for, and how they start. */
const NODE_IMAGES: readonly [repository: RegExp, entrypoint: string[], command: string[]][] = [
  [/^(docker\.io\/)?(library\/)?node$/, ["docker-entrypoint.sh"], ["node"]],
  [/(^|\/)distroless\/nodejs\d+(-debian\d+)?$/, ["/nodejs/bin/node"], []],
  [/^mcr\.microsoft\.com\/azurelinux\/base\/nodejs$/, [], ["bash"]],
];

/**
 * Builds an image as far as its Dockerfile keeps to what is documented: FROM an official image of Node.js or a stage before, ARG, ENV,
 * WORKDIR, COPY, RUN of `npm ci` and of `node`, USER, EXPOSE, LABEL, STOPSIGNAL, HEALTHCHECK (which Kubernetes ignores too), ENTRYPOINT, CMD.
 *
 * @throws BuildError for anything else, and for what Docker would refuse
 */
export async function build({ context, dockerfile = "Dockerfile", values = {}, target, log }: BuildRequest): Promise<Image> {
  const file = context.files.get(pathFrom("/", dockerfile));
  if (!file) throw new BuildError(`unable to prepare context: there is no ${dockerfile} in the source.`);
  if (context.files.has(".dockerignore"))
    throw new BuildError("A .dockerignore is not emulated: leave out of the source what is not to be in it.");
  const instructions = parseDockerfile(file.data.toString());
  const stages: Stage[] = [];
  const globals: Record<string, string> = {};
  let args: Record<string, string> = {};
  for (const [index, instruction] of instructions.entries()) {
    log(`Step ${index + 1}/${instructions.length} : ${instruction.text}`);
    const stage = stages.at(-1);
    try {
      if (instruction.keyword === "FROM") {
        if (stage?.name !== undefined && stage.name === target?.toLowerCase()) break;
        stages.push(from(instruction, globals, stages));
        args = {};
      } else if (instruction.keyword === "ARG") {
        for (const [name, fallback] of instruction.pairs) {
          const value = values[name] ?? (fallback === undefined ? globals[name] : expand(fallback, { ...args, ...globals }));
          if (value !== undefined) (stage ? args : globals)[name] = value;
        }
      } else if (!stage) {
        throw new BuildError("no build stage in current context: a Dockerfile begins with FROM.");
      } else {
        await follow(instruction, stage.image, { args, stages, context, log });
      }
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      throw new BuildError(`${dockerfile}:${instruction.line}: ${error.message}`);
    }
  }
  const last = target === undefined ? stages.at(-1) : stages.find(({ name }) => name === target.toLowerCase());
  if (!last)
    throw new BuildError(target === undefined ? "The Dockerfile has no FROM." : `There is no stage "${target}" in the Dockerfile.`);
  const digest = digestOf(last.image);
  log(`Successfully built ${digest}`);
  return { ...last.image, digest };
}

function from({ words, flags }: Instruction, globals: Record<string, string>, stages: readonly Stage[]): Stage {
  if (flags.platform !== undefined && !/^(linux\/amd64|\$\{?(BUILD|TARGET)PLATFORM\}?)$/.test(flags.platform)) {
    throw new BuildError(`--platform=${flags.platform} is not what is built: linux/amd64.`);
  }
  const base = expand(words[0] ?? "", globals);
  const name = words[1]?.toUpperCase() === "AS" ? words[2]?.toLowerCase() : undefined;
  const before = stages.find((stage) => stage.name === base.toLowerCase());
  if (before) {
    const { system, packages, config } = before.image;
    return { name, image: { base: before.image.base, system: copied(system), packages: [...packages], config: structuredClone(config) } };
  }
  const repository = base.replace(/@sha256:.*$/, "").replace(/:[^/:]*$/, "");
  const known = NODE_IMAGES.find(([pattern]) => pattern.test(repository));
  if (!known) {
    throw new BuildError(
      `FROM ${base || "nothing"}: the embedded cloud has this machine's Node.js in place of an official image of it (node:…, gcr.io/distroless/nodejs…, mcr.microsoft.com/azurelinux/base/nodejs:…), and no other image.`,
    );
  }
  const [, entrypoint, command] = known;
  const config: ImageConfig = {
    ...{ entrypoint, command, environment: {}, workingFolder: "/", user: "", exposed: [], labels: {}, stopSignal: "SIGTERM" },
  };
  return { name, image: { base, config, system: emptyFileSystem(), packages: [] } };
}

interface Surroundings {
  args: Record<string, string>;
  stages: readonly Stage[];
  context: FileSystem;
  log(line: string): void;
}

async function follow(instruction: Instruction, image: Stage["image"], around: Surroundings): Promise<void> {
  const { keyword, words, exec, rest, pairs } = instruction;
  const { config } = image;
  const expanded = (text: string) => expand(text, { ...around.args, ...config.environment });
  switch (keyword) {
    case "ENV": {
      // All of one instruction see the values before it.
      const set = pairs.map(([name, value]) => [name, expanded(value ?? "")] as const);
      Object.assign(config.environment, Object.fromEntries(set));
      return;
    }
    case "LABEL":
      for (const [name, value] of pairs) config.labels[name] = expanded(value ?? "");
      return;
    case "WORKDIR":
      config.workingFolder = posix.resolve(config.workingFolder, expanded(rest));
      if (config.workingFolder !== "/") image.system.folders.add(config.workingFolder.slice(1));
      return;
    case "USER":
      config.user = expanded(rest);
      return;
    case "EXPOSE":
      config.exposed.push(...words.map(expanded));
      return;
    case "STOPSIGNAL":
      config.stopSignal = expanded(rest);
      return;
    case "HEALTHCHECK":
      around.log(" ---> [Warning] Kubernetes ignores HEALTHCHECK: declare probes.");
      return;
    case "ENTRYPOINT":
    case "CMD":
      if (!exec)
        throw new BuildError(`${keyword} ${rest}: the shell form is not emulated, there is no shell. Write ${keyword} ["…", "…"].`);
      if (keyword === "CMD") config.command = words;
      else {
        config.entrypoint = words;
        // As Docker does: a command of the base image does not fit another entrypoint.
        config.command = [];
      }
      return;
    case "COPY":
      return copy(instruction, image, around, expanded);
    case "RUN":
      return run(instruction, image, around);
    default:
      throw new BuildError(
        `${keyword} is not emulated. What is: FROM, ARG, ENV, WORKDIR, COPY, RUN (npm ci, node), USER, EXPOSE, LABEL, STOPSIGNAL, HEALTHCHECK, ENTRYPOINT, CMD.`,
      );
  }
}

function copy(
  { words, flags }: Instruction,
  image: Stage["image"],
  { stages, context }: Surroundings,
  expanded: (text: string) => string,
): void {
  const { from: origin, chmod, chown: _owner, link: _link, ...other } = flags;
  const [unknown] = Object.keys(other);
  if (unknown) throw new BuildError(`COPY --${unknown} is not emulated.`);
  if (chmod !== undefined && !/^[0-7]{3,4}$/.test(chmod)) throw new BuildError(`COPY --chmod=${chmod}: it must be octal, such as 644.`);
  if (words.length < 2) throw new BuildError("COPY requires at least two arguments: what, and where to.");
  const stage =
    origin === undefined ? undefined : stages.find(({ name }, index) => name === origin.toLowerCase() || String(index) === origin);
  if (origin !== undefined && !stage)
    throw new BuildError(`COPY --from=${origin}: there is no such stage, and images of others are not pulled.`);
  const source = stage?.image.system ?? context;
  const sources = words.slice(0, -1).map(expanded);
  const to = expanded(words.at(-1) as string);
  const target = pathFrom(image.config.workingFolder, to);
  const found = sources.flatMap((pattern) => {
    const paths = matching(source, pattern);
    if (paths.length === 0) throw new BuildError(`COPY failed: "${pattern}": not found.`);
    return paths;
  });
  const packages = stage?.image.packages ?? [];
  const intoFolder = /(^|\/)\.{0,2}$/.test(to) || found.length > 1 || isFolder(image.system, target);
  if (found.length > 1 && !/\/$|^\.{1,2}$/.test(to)) {
    throw new BuildError(`COPY with more than one source: the destination ${to} must be a folder and end with /.`);
  }
  const put = (path: string, at: string) => {
    const file = source.files.get(path);
    if (file) image.system.files.set(at, { ...file, mode: chmod === undefined ? file.mode : Number.parseInt(chmod, 8) });
  };
  for (const path of found) {
    if (source.files.has(path)) {
      put(path, intoFolder ? pathFrom(target, posix.basename(path)) : target);
      continue;
    }
    // A folder's contents, not the folder itself.
    const within = path === "" ? "" : `${path}/`;
    image.system.folders.add(target);
    for (const folder of source.folders)
      if (folder.startsWith(within)) image.system.folders.add(pathFrom(target, folder.slice(within.length)));
    for (const one of source.files.keys()) if (one.startsWith(within)) put(one, pathFrom(target, one.slice(within.length)));
    for (const one of packages) {
      if (one.path.startsWith(within)) image.packages.push({ ...one, path: pathFrom(target, one.path.slice(within.length)) });
    }
  }
}

async function run({ words, rest, exec, flags }: Instruction, image: Stage["image"], { args, log }: Surroundings): Promise<void> {
  const { mount: _mount, network: _network, ...other } = flags;
  const [unknown] = Object.keys(other);
  if (unknown) throw new BuildError(`RUN --${unknown} is not emulated.`);
  if (!exec && /[|;<>`]|\$\(|\|\|/.test(rest)) throw new BuildError(`RUN ${rest}: there is no shell. Commands may be joined by && only.`);
  const environment = { ...args, ...image.config.environment };
  const commands = exec ? [words] : rest.split("&&").map((command) => wordsOf(expand(command, environment)));
  for (const [program = "", ...given] of commands) {
    const command = [program, ...given].join(" ");
    if (program === "npm" && ["ci", "clean-install"].includes(given[0] ?? "")) {
      const omitted = new Set(given.filter((one) => one.startsWith("--omit=")).map((one) => one.slice("--omit=".length)));
      if (environment.NODE_ENV === "production" || given.includes("--production")) omitted.add("dev");
      const packages = packagesOf(image.system, image.config.workingFolder, omitted);
      image.packages.push(...packages);
      image.system.folders.add(pathFrom(image.config.workingFolder, "node_modules"));
      log(
        `added ${packages.length} packages, from this machine's install: ${packages.map(({ name, version }) => `${name}@${version}`).join(", ")}`,
      );
    } else if (/^(\S*\/)?node$/.test(program)) {
      image.system = await changed(image.system, async (root) => {
        await link(image.packages, root);
        await runNode(given, join(root, image.config.workingFolder), environment, command, log);
      });
      // Links are not files: packages stay as they were.
    } else if (!(program === "npm" && given[0] === "cache")) {
      throw new BuildError(`RUN ${command}: the embedded cloud runs npm ci (from its own install) and node in a build, and nothing else.`);
    }
  }
}

async function runNode(
  args: string[],
  cwd: string,
  env: Record<string, string>,
  command: string,
  log: (line: string) => void,
): Promise<void> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, {
      cwd,
      env: { PATH: "/usr/local/bin:/usr/bin:/bin", ...env },
    });
    for (const line of `${stdout}${stderr}`.split("\n").filter(Boolean)) log(line);
  } catch (error) {
    const { stderr, code } = error as { stderr?: string; code?: unknown };
    throw new BuildError(`The command '${command}' returned a non-zero code: ${code}\n${stderr ?? (error as Error).message}`);
  }
}

/** Words as a shell would have them, quotes taken off. */
const wordsOf = (text: string): string[] =>
  [...text.matchAll(/(?:[^\s"']+|"(?:\\.|[^"])*"|'[^']*')+/g)].map(([word]) =>
    word.replace(/"((?:\\.|[^"])*)"|'([^']*)'/g, (_, double, single) => single ?? double.replace(/\\(.)/g, "$1")),
  );

function digestOf({ base, config, system, packages }: Omit<Image, "digest">): string {
  const sha256 = (data: Buffer | string) => createHash("sha256").update(data).digest("hex");
  const files = [...system.files]
    .map(([path, { data, mode }]) => [path, mode & 0o777, sha256(data)])
    .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
  return `sha256:${sha256(JSON.stringify([base, config, files, [...system.folders].sort(), packages]))}`;
}
