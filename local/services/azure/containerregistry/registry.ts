import { randomBytes, timingSafeEqual } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import type { Server } from "node:http";
import { join } from "node:path";
import type { Cloud } from "../../../kernel/cloud.js";
import { close, listen } from "../../../kernel/http-server.js";
import { CloudError, type Properties } from "../../../kernel/service.js";
import { build } from "./build.js";
import { BuildError } from "./dockerfile.js";
import { unpackContext } from "./file-system.js";
import { ImageStore } from "./image-store.js";

/** Name under which requests to registries reach their service. */
export const ENDPOINT = "containerregistry";

export interface Run {
  id: string;
  status: "Queued" | "Running" | "Succeeded" | "Failed";
  created: Date;
  finished?: Date;
  log: string[];
  outputs: { registry: string; repository: string; tag: string; digest: string }[];
  error?: string;
}

const invalid = (message: string) => new CloudError("InvalidRunRequest", message, 400);

/** What of a DockerBuildRequest has no effect here, beside what is honoured. */
const WITHOUT_EFFECT = new Set(["type", "isArchiveEnabled", "noCache", "agentConfiguration", "timeout", "isPushEnabled", "platform"]);
const HONOURED = new Set([...WITHOUT_EFFECT, "sourceLocation", "dockerFilePath", "imageNames", "arguments", "target"]);

/** One container registry: its images, and the builds that make them. */
export class ContainerRegistry {
  readonly #runs = new Map<string, Run>();
  /** Of whoever was given an address to upload to, or to read a log from. */
  readonly #signature = randomBytes(24).toString("base64url");
  #server: Server | undefined;
  #port = 0;

  private constructor(
    readonly id: string,
    readonly name: string,
    private readonly folder: string,
    private readonly cloud: Cloud,
    readonly images: ImageStore,
  ) {}

  /** @param folder its own; what is kept in it is there again */
  static async start(id: string, name: string, folder: string, cloud: Cloud): Promise<ContainerRegistry> {
    await mkdir(join(folder, "source"), { recursive: true });
    const registry = new ContainerRegistry(id, name, folder, cloud, await ImageStore.open(join(folder, "images")));
    const file = join(folder, "endpoint.json");
    const kept: number | undefined = existsSync(file) ? JSON.parse(await readFile(file, "utf8")).port : undefined;
    const { server, port } = await listen((request) => cloud.serve({ ...request, endpoint: ENDPOINT }), kept);
    registry.#server = server;
    registry.#port = port;
    await writeFile(file, JSON.stringify({ port }));
    return registry;
  }

  get loginServer(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async stop(): Promise<void> {
    if (this.#server) await close(this.#server);
  }

  async remove(): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Where a source may be put, once. */
  newSource(): { uploadUrl: string; relativePath: string } {
    const relativePath = `source/${this.cloud.now().toISOString().slice(0, 10).replaceAll("-", "")}-${randomBytes(16).toString("hex")}.tar.gz`;
    return { uploadUrl: this.#signed(`/${this.name}/${relativePath}`), relativePath };
  }

  async upload(file: string, signature: string | undefined, body: Buffer): Promise<void> {
    this.#verify(signature);
    if (body.length === 0) throw new CloudError("InvalidInput", "The uploaded source is empty.", 400);
    await writeFile(this.#source(`source/${file}`), body);
  }

  run(id: string): Run {
    const run = this.#runs.get(id);
    if (!run) throw new CloudError("ResourceNotFound", `There is no run ${id} of the registry ${this.name}.`, 404);
    return run;
  }

  logLink(id: string): string {
    return this.#signed(`/${this.name}/logs/${this.run(id).id}`);
  }

  logOf(id: string, signature: string | undefined): string {
    this.#verify(signature);
    return this.run(id)
      .log.map((line) => `${line}\n`)
      .join("");
  }

  /** Begins a build. @throws CloudError for a request that cannot be one */
  schedule(request: Properties): Run {
    const { type, sourceLocation, imageNames, isPushEnabled = true, platform } = request;
    if (type !== "DockerBuildRequest") throw invalid(`type is "${type}": the embedded cloud runs a DockerBuildRequest.`);
    const unknown = Object.keys(request).find((name) => !HONOURED.has(name) && request[name] !== null);
    if (unknown) throw invalid(`${unknown} is not emulated in a DockerBuildRequest.`);
    if (typeof sourceLocation !== "string" || !/^source\/[\w.-]+$/.test(sourceLocation) || !existsSync(this.#source(sourceLocation))) {
      throw invalid(`sourceLocation is "${sourceLocation}": it must be the relativePath of an uploaded source (listBuildSourceUploadUrl).`);
    }
    if (platform?.os !== "Linux") throw invalid(`platform.os is "${platform?.os}": it must be "Linux".`);
    if (!["amd64", undefined].includes(platform.architecture))
      throw invalid(`platform.architecture is "${platform.architecture}": it must be "amd64".`);
    if (isPushEnabled !== true) throw invalid("isPushEnabled is false: an image that is not pushed is of no use here.");
    if (!Array.isArray(imageNames) || imageNames.length === 0) throw invalid("imageNames is empty: name the image, such as pipeline:1.");
    const names = imageNames.map((name) => {
      const [, repository, tag = "latest"] = /^([a-z0-9]+(?:[._/-][a-z0-9]+)*)(?::([\w][\w.-]{0,127}))?$/.exec(name) ?? [];
      if (!repository) throw invalid(`The image name "${name}" must be repository:tag, in lower case.`);
      return { repository, tag };
    });
    const run: Run = { id: `ca${this.#runs.size + 1}`, status: "Queued", created: this.cloud.now(), log: [], outputs: [] };
    this.#runs.set(run.id, run);
    void this.cloud.busy(this.#build(run, request, names));
    return run;
  }

  async #build(run: Run, request: Properties, names: { repository: string; tag: string }[]): Promise<void> {
    const began = performance.now();
    const log = (line: string) => void run.log.push(line);
    run.status = "Running";
    try {
      const context = await unpackContext(await readFile(this.#source(request.sourceLocation)));
      const given: { name: string; value: string }[] = request.arguments ?? [];
      const image = await build({
        context,
        dockerfile: request.dockerFilePath,
        target: request.target ?? undefined,
        values: Object.fromEntries(given.map(({ name, value }) => [name, value])),
        log,
      });
      await this.images.push(image, names);
      for (const name of names) log(`Successfully pushed ${this.loginServer}/${name.repository}:${name.tag}`);
      run.outputs = names.map((name) => ({ registry: this.loginServer, ...name, digest: image.digest }));
      run.status = "Succeeded";
      const instead = image.packages
        .map(({ name, version }) => `${name} ${version}`)
        .slice(0, 3)
        .join(", ");
      this.#note(run, began, `; Node ${process.versions.node}${instead && `, ${instead} …`} of this machine in place of ${image.base}`);
    } catch (error) {
      const { message, stack } = error as Error;
      log(error instanceof BuildError ? message : (stack ?? message));
      run.status = "Failed";
      run.error = message;
      this.#note(run, began, `: ${message}`);
    }
    run.finished = this.cloud.now();
    await rm(this.#source(request.sourceLocation), { force: true });
  }

  #note({ id, status, outputs, log }: Run, began: number, more: string): void {
    const what = outputs.map(({ repository, tag, digest }) => `${repository}:${tag} (${digest.slice(0, 19)}…)`).join(", ");
    this.cloud.trace.add({
      kind: "execution",
      subject: this.name,
      text: `build ${id}: ${status} in ${Math.round(performance.now() - began)} ms${what && `, ${what}`}${more}`,
      detail: { id, status, outputs, log },
    });
  }

  #source(relativePath: string): string {
    return join(this.folder, relativePath);
  }

  #signed(path: string): string {
    return `http://${this.loginServer}${path}?sig=${this.#signature}`;
  }

  #verify(signature = ""): void {
    const [given, own] = [Buffer.from(signature), Buffer.from(this.#signature)];
    if (given.length === own.length && timingSafeEqual(given, own)) return;
    throw new CloudError(
      "AuthenticationFailed",
      "Server failed to authenticate the request: the signature of the address is not right.",
      403,
    );
  }
}
