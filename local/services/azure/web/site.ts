import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import type { Server } from "node:http";
import path from "node:path";
import { authorize, bearerToken, identity } from "../../../kernel/azure/authority.js";
import { verifyToken } from "../../../kernel/azure/tokens.js";
import type { Cloud } from "../../../kernel/cloud.js";
import type { HttpRequest, HttpResponse } from "../../../kernel/http.js";
import { close, listen } from "../../../kernel/http-server.js";
import { CloudError } from "../../../kernel/service.js";
import { FunctionApp, type FunctionAppConfig, type HostKeys, newKeys } from "./function-app.js";
import { unpack } from "./package.js";
import type { Platform } from "./platform.js";

/** What is kept of a site between runs, beside its package. */
interface Kept {
  port: number;
  scmPort: number;
  keys: HostKeys;
}

interface Deployment {
  id: string;
  /** 1 building, 3 failed, 4 success, as the deployment service counts. */
  status: 1 | 3 | 4;
  message: string;
}

const MANAGEMENT = "https://management.azure.com";
const SCM_BODY_LIMIT = 1_073_741_824;

/** A function app and the site through which its code is deployed. */
export class Site {
  readonly #deployments = new Map<string, Deployment>();
  #scm: Server | undefined;
  #scmPort = 0;
  #working: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly id: string,
    private readonly folder: string,
    private readonly cloud: Cloud,
    private platform: Platform,
    public app: FunctionApp,
    readonly keys: HostKeys,
  ) {}

  /** @param folder the site's own; what is kept in it is used again */
  static async start(id: string, folder: string, config: Omit<FunctionAppConfig, "keys">, cloud: Cloud, platform: Platform): Promise<Site> {
    await mkdir(folder, { recursive: true });
    const file = path.join(folder, "site.json");
    const kept = existsSync(file) ? (JSON.parse(await readFile(file, "utf8")) as Kept) : undefined;
    const keys = kept?.keys ?? newKeys();
    const app = await FunctionApp.start({ ...config, keys, port: config.port ?? kept?.port }, platform);
    const site = new Site(id, folder, cloud, platform, app, keys);
    const { server, port } = await listen((request) => site.#serve(request), kept?.scmPort);
    site.#scm = server;
    site.#scmPort = port;
    const now: Kept = { port: Number(new URL(app.origin).port), scmPort: port, keys };
    await writeFile(file, JSON.stringify(now), { mode: 0o600 });
    await site.#restore();
    return site;
  }

  /** `127.0.0.1:PORT` of the app, and of its deployment site. */
  get hosts(): { app: string; scm: string } {
    return { app: new URL(this.app.origin).host, scm: `127.0.0.1:${this.#scmPort}` };
  }

  /** Starts the app anew with other settings, at the same address. */
  async reconfigure(config: Omit<FunctionAppConfig, "keys">, platform: Platform): Promise<void> {
    await this.#inTurn(async () => {
      this.platform = platform;
      const port = Number(new URL(this.app.origin).port);
      await this.app.stop();
      this.app = await FunctionApp.start({ ...config, keys: this.keys, port }, this.platform);
      await this.#restore();
    });
  }

  async stop(): Promise<void> {
    await Promise.all([this.app.stop(), this.#scm && close(this.#scm)]);
  }

  /** Ends it for good. */
  async remove(): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  get #package(): string {
    return path.join(this.folder, "released-package.zip");
  }

  /** Runs the package that was deployed last. What no longer loads is said, and does not keep the rest from starting. */
  async #restore(): Promise<void> {
    if (!existsSync(this.#package)) return;
    try {
      await this.app.deploy(await unpack(await readFile(this.#package), path.join(this.folder, "packages")));
    } catch (error) {
      this.platform.log({
        level: "error",
        category: "host",
        message: `The deployed package cannot be loaded: ${(error as Error).message}`,
      });
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#working.then(work);
    this.#working = result.catch(() => {});
    return result;
  }

  async #serve(request: HttpRequest): Promise<HttpResponse> {
    try {
      await this.#authorize(request);
    } catch (error) {
      if (!(error instanceof CloudError)) throw error;
      return json(error.status, { Message: error.message, code: error.code });
    }
    const { pathname } = request.url;
    if (pathname === "/api/publish" && request.method === "POST") return this.#publish(request);
    const [, id] = /^\/api\/deployments\/([^/]+)$/.exec(pathname) ?? [];
    if (!id || request.method !== "GET") return json(404, { Message: `${request.method} ${pathname} is not emulated.` });
    const deployment = this.#deployments.get(decodeURIComponent(id));
    if (!deployment) return json(404, { Message: `There is no deployment ${id}.` });
    const { status, message } = deployment;
    const complete = status !== 1;
    return json(complete ? 200 : 202, {
      ...{ id: deployment.id, status, status_text: complete ? message : "Building", message, complete, provisioningState: STATES[status] },
    });
  }

  /** @throws CloudError 401, 403 */
  async #authorize({ headers }: HttpRequest): Promise<void> {
    const token = bearerToken(headers);
    const holder = token === undefined ? undefined : await verifyToken(this.cloud, token, MANAGEMENT);
    if (!holder) throw new CloudError("InvalidAuthenticationToken", `A bearer token of this cloud for ${MANAGEMENT} is needed.`, 401);
    authorize(identity(holder.objectId, holder.name), [{ action: "Microsoft.Web/sites/publish/Action", resource: this.id }], this.cloud);
  }

  #publish({ headers, url, body }: HttpRequest): HttpResponse {
    if (!/^application\/(zip|octet-stream)/.test(headers["content-type"] ?? ""))
      return json(400, { Message: `The content type is "${headers["content-type"] ?? ""}": it must be "application/zip".` });
    if (url.searchParams.get("RemoteBuild")?.toLowerCase() === "true")
      return json(400, { Message: "Remote builds are not emulated: publish a package that is ready to run." });
    if (body.length === 0 || body.length > SCM_BODY_LIMIT) return json(400, { Message: "The body must be a zip file of at most 1 GB." });
    const deployment: Deployment = { id: randomUUID(), status: 1, message: "" };
    this.#deployments.set(deployment.id, deployment);
    void this.platform.busy(this.#inTurn(() => this.#deploy(deployment, body)));
    return json(202, deployment.id, { location: `http://${this.hosts.scm}/api/deployments/${deployment.id}`, "retry-after": "0.05" });
  }

  async #deploy(deployment: Deployment, zip: Buffer): Promise<void> {
    try {
      const root = await unpack(zip, path.join(this.folder, "packages"));
      await this.app.deploy(root);
      await writeFile(`${this.#package}.new`, zip);
      await rename(`${this.#package}.new`, this.#package);
      Object.assign(deployment, { status: 4, message: `Deployed: ${this.app.functions.join(", ")}` });
    } catch (error) {
      const { message } = error as Error;
      this.platform.log({ level: "error", category: "host", message: `A deployment failed: ${message}` });
      // What ran before goes on.
      await this.#restore();
      Object.assign(deployment, { status: 3, message });
    }
  }
}

const STATES = { 1: "InProgress", 3: "Failed", 4: "Succeeded" };

const json = (status: number, value: unknown, headers: Record<string, string> = {}): HttpResponse => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(value),
});
