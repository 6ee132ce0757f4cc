import * as pulumi from "@pulumi/pulumi";

interface Inputs {
  /** Azure Resource Manager, without a slash at the end. */
  manager: string;
  /** Resource id of the registry, and its host name. */
  registryId: string;
  loginServer: string;
  repository: string;
  tag: string;
  /** The context as `.tar.gz`, from the folder that the program runs in. */
  path: string;
  /** Of the context, hex. */
  sha256: string;
  /** For Azure Resource Manager. */
  token: string;
}

type Outputs = Omit<Inputs, "token" | "manager"> & {
  /** `sha256:…` */
  digest: string;
  /** What to run: `registry/repository@sha256:…`. */
  reference: string;
};

/*
 * Pulumi keeps a dynamic provider as text and runs it elsewhere: these functions import within, refer only to each other, and define no named
 * functions within (tsx would have them refer to a helper of its own).
 */

/** Asks Resource Manager about the registry; what passes by itself is tried again. */
async function ask({ manager, registryId, token }: Inputs, method: "GET" | "POST", path: string, body?: object): Promise<unknown> {
  for (let attempt = 1; ; attempt += 1) {
    const response: Response | Error = await fetch(`${manager}${registryId}/${path}?api-version=2019-06-01-preview`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body && { "content-type": "application/json" }) },
      ...(body && { body: JSON.stringify(body) }),
    }).catch((error: Error) => error);
    const said: string = response instanceof Error ? String(response.cause ?? response) : await response.text();
    // Not `instanceof Response`: servers in this process may have put a class of their own there.
    if (!(response instanceof Error) && response.ok) return JSON.parse(said || "{}");
    if (/TasksOperationsNotAllowed/.test(said)) {
      throw new Error(
        `The registry may not build images (subscriptions on free credit may not): build this project's image elsewhere, and give it by azure.image. ${said}`,
      );
    }
    const passing = response instanceof Error || response.status === 429 || response.status >= 500;
    if (!passing || attempt === 6) {
      throw new Error(`${method} ${path} of the registry: ${response instanceof Error ? "" : `${response.status} `}${said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 1_000 * 2 ** (attempt - 1)));
  }
}

/** What the build has said at last. */
async function endOfLog(inputs: Inputs, runId: string): Promise<string> {
  try {
    const { logLink } = (await ask(inputs, "POST", `runs/${runId}/listLogSasUrl`)) as { logLink?: string };
    const log = logLink ? await (await fetch(logLink)).text() : "";
    return log.trimEnd().split("\n").slice(-20).join("\n");
  } catch (error) {
    return `(There is no log: ${(error as Error).message})`;
  }
}

/** As `az acr build` does it: upload the context, schedule a run, ask until it has ended. */
async function build(inputs: Inputs): Promise<{ id: string; outs: Outputs }> {
  const { registryId, loginServer, repository, tag, path, sha256 } = inputs;
  const { readFile } = await import("node:fs/promises");
  const { createHash } = await import("node:crypto");
  const context = await readFile(path);
  const found = createHash("sha256").update(context).digest("hex");
  if (found !== sha256) throw new Error(`${path} is not the context that was announced: its SHA-256 is ${found}, not ${sha256}.`);

  const source = (await ask(inputs, "POST", "listBuildSourceUploadUrl")) as { uploadUrl?: string; relativePath?: string };
  if (!source.uploadUrl || !source.relativePath) throw new Error("The registry does not say where to upload the context to.");
  for (let attempt = 1; ; attempt += 1) {
    const uploaded: Response | Error = await fetch(source.uploadUrl, {
      method: "PUT",
      headers: { "x-ms-blob-type": "BlockBlob", "content-type": "application/gzip" },
      body: context,
    }).catch((error: Error) => error);
    if (!(uploaded instanceof Error) && uploaded.ok) break;
    const passing = uploaded instanceof Error || uploaded.status === 429 || uploaded.status >= 500;
    if (!passing || attempt === 6) {
      const said = uploaded instanceof Error ? String(uploaded.cause ?? uploaded) : `${uploaded.status} ${await uploaded.text()}`;
      throw new Error(`The context of the build could not be uploaded: ${said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 1_000 * 2 ** (attempt - 1)));
  }

  const run = (await ask(inputs, "POST", "scheduleRun", {
    type: "DockerBuildRequest",
    isArchiveEnabled: false,
    sourceLocation: source.relativePath,
    dockerFilePath: "Dockerfile",
    imageNames: [`${repository}:${tag}`],
    isPushEnabled: true,
    noCache: false,
    platform: { os: "Linux", architecture: "amd64" },
    agentConfiguration: { cpu: 2 },
    timeout: 1_800,
    arguments: [],
  })) as { name?: string; properties?: { runId?: string } };
  const runId = run.properties?.runId ?? run.name;
  if (!runId) throw new Error("The registry does not say which run builds the image.");

  for (const until = Date.now() + 2_100_000; ; ) {
    const { properties = {} } = (await ask(inputs, "GET", `runs/${runId}`)) as {
      properties?: { status?: string; outputImages?: { repository?: string; digest?: string }[]; runErrorMessage?: string };
    };
    const { status = "", outputImages = [], runErrorMessage = "" } = properties;
    if (status === "Succeeded") {
      const digest = outputImages.find((image) => image.repository === repository)?.digest ?? outputImages[0]?.digest ?? "";
      if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new Error(`The run ${runId} has built ${repository}, but not told its digest.`);
      const reference = `${loginServer}/${repository}@${digest}`;
      return { id: `${loginServer}/${repository}`, outs: { registryId, loginServer, repository, tag, path, sha256, digest, reference } };
    }
    if (!["Queued", "Started", "Running"].includes(status)) {
      throw new Error(`The image was not built: run ${runId} ended as ${status}. ${runErrorMessage}\n${await endOfLog(inputs, runId)}`);
    }
    if (Date.now() > until) throw new Error(`The run ${runId}, which builds the image, has not ended within 35 minutes.`);
    // The embedded cloud, on this machine, has nothing to wait for.
    await new Promise((resolve) => setTimeout(resolve, inputs.manager.startsWith("http:") ? 50 : 3_000));
  }
}

const provider: pulumi.dynamic.ResourceProvider<Inputs, Outputs> = {
  async check(_olds, news) {
    const failures: pulumi.dynamic.CheckFailure[] = [];
    if (typeof news.sha256 === "string" && !/^[0-9a-f]{64}$/.test(news.sha256))
      failures.push({ property: "sha256", reason: `sha256 is ${news.sha256}: it must be 64 hex digits.` });
    if (typeof news.tag === "string" && !/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(news.tag))
      failures.push({ property: "tag", reason: `tag is ${news.tag}: it must be 1 to 128 letters, digits and _ . -` });
    return { inputs: news, failures };
  },
  async create(inputs) {
    return await build(inputs);
  },
  async read(id, props) {
    return { id, props: props as Outputs };
  },
  async diff(_id, olds, news) {
    // Not the token, which is another one each time, nor where the context lies.
    const moved = olds.registryId !== news.registryId || olds.loginServer !== news.loginServer;
    const changes = moved || olds.sha256 !== news.sha256 || olds.repository !== news.repository || olds.tag !== news.tag;
    return { changes, replaces: moved ? ["registryId"] : [] };
  },
  async update(_id, _olds, news) {
    return { outs: (await build(news)).outs };
  },
  /** Images go with the registry; those of before are kept, to go back to. */
  async delete() {},
};

/** Options of {@link ImageBuild}. */
export interface ImageBuildArgs {
  /** Azure Resource Manager: `"https://management.azure.com"`. */
  manager: pulumi.Input<string>;
  /** Resource id of the registry. */
  registryId: pulumi.Input<string>;
  /** Its host name. */
  loginServer: pulumi.Input<string>;
  /** Name of the image in it. */
  repository: pulumi.Input<string>;
  /** What people find it by; what runs is found by its digest. */
  tag: pulumi.Input<string>;
  /** The context as `.tar.gz`, from the folder that the program runs in. */
  path: pulumi.Input<string>;
  /** Of the context, hex: another one is built. */
  sha256: pulumi.Input<string>;
  /** A token for Azure Resource Manager. */
  token: pulumi.Input<string>;
}

/**
 * A container image that a registry builds from a context, so that nobody needs Docker. Resource Manager's own resource for it (TaskRun) fails on the
 * service's polling URL while the image is being built, and takes no upload.
 */
export class ImageBuild extends pulumi.dynamic.Resource {
  /** `sha256:…` */
  declare readonly digest: pulumi.Output<string>;
  /** What to run: `registry/repository@sha256:…`. */
  declare readonly reference: pulumi.Output<string>;

  constructor(name: string, { token, ...args }: ImageBuildArgs, opts?: pulumi.CustomResourceOptions) {
    const inputs = { ...args, token: pulumi.secret(token), digest: undefined, reference: undefined };
    super(provider, name, inputs, opts, "azure", "ImageBuild");
  }
}
