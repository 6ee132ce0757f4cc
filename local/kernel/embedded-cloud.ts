import { randomUUID } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import type { Server } from "node:http";
import { join } from "node:path";
import { Activity } from "./activity.js";
import { type AccessKey, Authority, type Origin } from "./aws/authority.js";
import { credentialError, unknownOperationError } from "./aws/dialect.js";
import { signingName } from "./aws/sigv4.js";
import { serverCertificate } from "./azure/certificates.js";
import type { Call, Cloud, CloudEvent, Delivery, SecureEndpoint, Session } from "./cloud.js";
import { type Backoff, Deliveries } from "./delivery.js";
import { type Faults, NO_FAULTS } from "./faults.js";
import type { HttpRequest, HttpResponse } from "./http.js";
import { close, listen } from "./http-server.js";
import { outward } from "./outward.js";
import { seededRandom } from "./random.js";
import { ResourceRegistry } from "./registry.js";
import { type Api, CloudError, type Operation, type Principal, type Properties, type Service } from "./service.js";
import { Trace } from "./trace.js";

export interface EmbeddedCloudOptions {
  services: Service[];
  /** Where services keep what they keep; made when it is not there. */
  folder: string;
  /** Is `folder` kept from run to run? Then the endpoint's port and the account's key are too. */
  kept: boolean;
  /** The port of the product's own HTTP endpoint, which the first HTTP API takes. */
  port?: number;
  /**
   * Of jitter and of whatever services draw. Not of secrets.
   * @default from the clock
   */
  seed?: number;
  /** @default "000000000000" */
  account?: string;
  /** @default "us-east-1" */
  region?: string;
  /** @default none */
  faults?: Faults;
  /**
   * Waiting between attempts to deliver.
   * @default { base: 200, cap: 30_000 }
   */
  backoff?: Backoff;
  /** @default the system's clock */
  clock?: () => Date;
}

/** What is kept beside the services' folders. */
interface Endpoint extends AccessKey {
  port: number;
}

/**
 * A cloud in this process: one HTTP endpoint for the APIs of all services, and one path for every request and every delivery.
 */
export class EmbeddedCloud implements Cloud {
  readonly account: string;
  readonly region: string;
  readonly partition = "aws";
  readonly port: number | undefined;
  readonly folder: string;
  readonly resources = new ResourceRegistry();
  readonly trace = new Trace();
  readonly services: readonly Service[];

  readonly #authority: Authority;
  readonly #activity = new Activity();
  readonly #listeners = new Set<(event: CloudEvent) => void>();
  readonly #deliveries: Deliveries;
  readonly #faults: Faults;
  readonly #clock: () => Date;
  readonly #random: () => number;
  readonly #kept: boolean;
  readonly #secure = new Map<string, Promise<SecureEndpoint & { server: Server }>>();
  /** HTTPS endpoints that take plain HTTP too. */
  readonly #open: string[] = [];
  #server: Server | undefined;
  #url = "";

  private constructor(options: EmbeddedCloudOptions, key: AccessKey) {
    const { services, port, seed = Date.now(), account = "000000000000", region = "us-east-1" } = options;
    this.services = services;
    this.port = port;
    this.folder = options.folder;
    this.#kept = options.kept;
    this.account = account;
    this.region = region;
    this.#faults = options.faults ?? NO_FAULTS;
    this.#clock = options.clock ?? (() => new Date());
    this.#random = seededRandom(seed);
    this.#authority = new Authority(this, key);
    this.#deliveries = new Deliveries({
      call: (call) => this.call(call),
      faults: this.#faults,
      backoff: options.backoff ?? { base: 200, cap: 30_000 },
      trace: this.trace,
      now: () => this.now(),
      random: () => this.random(),
    });
  }

  /** Starts the endpoint, then every service in the order given. */
  static async start(options: EmbeddedCloudOptions): Promise<EmbeddedCloud> {
    const names = options.services.map(({ name }) => name);
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice) throw new Error(`Two services are called ${twice}: each has a name of its own.`);
    await mkdir(options.folder, { recursive: true });
    const file = join(options.folder, "endpoint.json");
    const before = options.kept ? await readEndpoint(file) : undefined;
    const { accessKeyId, secretAccessKey } = before ?? Authority.newAccessKey();
    const key: AccessKey = { accessKeyId, secretAccessKey };
    const cloud = new EmbeddedCloud(options, key);
    try {
      const { server, port } = await listen((request) => cloud.serve(request), before?.port);
      cloud.#server = server;
      cloud.#url = `http://127.0.0.1:${port}`;
      if (options.kept) {
        const endpoint: Endpoint = { port, ...key };
        await writeFile(file, JSON.stringify(endpoint), { mode: 0o600 });
      }
      for (const service of options.services) {
        const folder = join(options.folder, service.name);
        await mkdir(folder, { recursive: true });
        await service.start?.(cloud, folder);
      }
    } catch (error) {
      await cloud.stop();
      throw error;
    }
    return cloud;
  }

  /** Ends deliveries, services (the last first) and the endpoint. */
  async stop(): Promise<void> {
    this.#deliveries.stop();
    const results = await Promise.allSettled([...this.services].reverse().map((service) => service.stop?.()));
    const secure = await Promise.allSettled(this.#secure.values());
    this.#secure.clear();
    const servers = [this.#server, ...secure.map((endpoint) => (endpoint.status === "fulfilled" ? endpoint.value.server : undefined))];
    await Promise.all(servers.map((server) => server && close(server)));
    this.#server = undefined;
    const failed = results.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
  }

  get url(): string {
    return this.#url;
  }

  /** The key of the account itself, for whoever deploys and looks. */
  get accountCredentials(): AccessKey {
    return this.#authority.account;
  }

  /** The account itself, as the caller of {@link call}. */
  get owner(): Principal {
    return this.#authority.owner;
  }

  /** Who is who, for protocols with signatures of their own (S3's POST policies). */
  get authority(): Authority {
    return this.#authority;
  }

  async call({ service: name, operation, input, as }: Call): Promise<Properties> {
    const service = this.services.find((candidate) => candidate.name === name);
    if (!service?.api) throw unknownOperationError(name, operation);
    return this.#perform(service, operation, input, as, randomUUID(), {});
  }

  async serve(request: HttpRequest): Promise<HttpResponse> {
    const service = this.services.find(({ api }) => api && answersAt(api, request.endpoint) && api.protocol.claims(request));
    const protocol = service?.api?.protocol;
    if (!service || !protocol) return this.#unclaimed(request);
    const requestId = randomUUID();
    let operation = "?";
    try {
      if (request.plain && !service.api?.takesPlain?.(request))
        throw new CloudError("HttpsRequired", `${request.url.host} takes requests with credentials by HTTPS only.`, 400);
      const decoded = await protocol.decode(request, this);
      operation = decoded.operation;
      const guard = service.api?.guard;
      const own = await (guard ?? protocol).identify?.(request, this);
      const principal = own ?? this.#authority.identify(request, service.name);
      const { userAgent, peer } = { userAgent: request.headers["user-agent"], peer: request.peer };
      const origin: Origin = { ...(peer ? { address: peer } : {}), ...(userAgent ? { userAgent } : {}) };
      if (principal.kind === "anonymous" && !own && this.#needs(service, operation, decoded.input).length === 0) {
        throw credentialError(service.name, "missing");
      }
      const output = await this.#perform(service, operation, decoded.input, principal, requestId, origin);
      return identified(protocol.encode(operation, output, request, requestId), requestId, service);
    } catch (error) {
      const known = this.#known(error, service.name, operation);
      return identified(protocol.encodeError(known, request, requestId), requestId, service);
    }
  }

  async secure(name: string): Promise<SecureEndpoint> {
    const known = this.#secure.get(name) ?? this.#listenSecurely(name);
    this.#secure.set(name, known);
    const { url, authority } = await known;
    return { url, authority };
  }

  outward(response: HttpResponse): HttpResponse {
    return outward(response, this.#open);
  }

  deliver(delivery: Delivery): void {
    void this.#activity.track(this.#deliveries.deliver(delivery));
  }

  publish(event: CloudEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#known(error, event.source, event.type);
      }
    }
  }

  subscribe(listener: (event: CloudEvent) => void): void {
    this.#listeners.add(listener);
  }

  assume(role: string, session: string, service: string, source?: string): Session {
    return this.#authority.assume(role, session, service, source);
  }

  settled(): Promise<void> {
    return this.#activity.settled();
  }

  busy<T>(work: Promise<T>): Promise<T> {
    return this.#activity.track(work);
  }

  now(): Date {
    return this.#clock();
  }

  random(): number {
    return this.#random();
  }

  async #listenSecurely(endpoint: string): Promise<SecureEndpoint & { server: Server }> {
    const { key, cert, authority } = await serverCertificate(this.folder);
    const file = join(this.folder, `endpoint-${endpoint}.json`);
    const before = this.#kept ? await readPort(file) : undefined;
    const { server, port } = await listen((request) => this.serve({ ...request, endpoint }), before, { tls: { key, cert } });
    if (this.#kept) await writeFile(file, JSON.stringify({ port }));
    const url = `https://127.0.0.1:${port}`;
    if (this.services.some(({ api }) => api?.takesPlain && api.endpoints?.includes(endpoint))) this.#open.push(url);
    return { url, authority, server };
  }

  #operation(service: Service, name: string): Operation {
    const operations = service.api?.operations ?? {};
    const operation = Object.hasOwn(operations, name) ? operations[name] : undefined;
    if (!operation) throw unknownOperationError(service.name, name);
    return operation;
  }

  #needs(service: Service, operation: string, input: Properties) {
    return this.#operation(service, operation).needs(input, this);
  }

  /** The part of the path that every call goes, however it came: authorize → fault → handle → trace. */
  async #perform(
    service: Service,
    name: string,
    input: Properties,
    principal: Principal,
    requestId: string,
    origin: Origin,
  ): Promise<Properties> {
    const began = this.now().getTime();
    const who = principal.kind === "service" ? principal.service : principal.kind === "anonymous" ? "anonymous" : principal.arn;
    const note = (outcome: string, detail: Properties) => {
      const text = `${service.name}:${name} ${outcome} by ${who}`;
      const milliseconds = this.now().getTime() - began;
      this.trace.add({
        kind: "call",
        subject: service.name,
        text,
        detail: { operation: name, principal: who, requestId, milliseconds, ...detail },
      });
    };
    try {
      const operation = this.#operation(service, name);
      const needs = operation.needs(input, this);
      if (service.api?.guard) service.api.guard.authorize(principal, needs, this);
      else this.#authority.authorize(principal, needs, service, this, origin);
      const fault = this.#faults.call({ service: service.name, operation: name });
      if (fault) {
        this.trace.add({
          kind: "fault",
          subject: service.name,
          text: `${service.name}:${name} answered with ${fault.code}`,
          detail: { requestId },
        });
        throw fault;
      }
      const output = await operation.handle(input, { cloud: this, principal, requestId });
      note("done", { status: "done" });
      return output;
    } catch (error) {
      const known = this.#known(error, service.name, name);
      note(known.code, { status: "failed", code: known.code, message: known.message });
      throw known;
    }
  }

  /** Whatever is not a {@link CloudError} is a mistake in a service: the caller gets its message, the trace its stack. */
  #known(error: unknown, service: string, operation: string): CloudError {
    if (error instanceof CloudError) return error;
    const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
    this.trace.add({
      kind: "note",
      subject: service,
      text: `A mistake in the embedded cloud: ${service}:${operation}: ${message}`,
      detail: { mistake: true, stack },
    });
    return new CloudError("InternalFailure", message, 500);
  }

  #unclaimed(request: HttpRequest): HttpResponse {
    const wanted = signingName(request);
    const message = wanted
      ? `The embedded cloud has no service "${wanted}" that answers ${request.method} ${request.url.pathname}`
      : `No service of the embedded cloud answers ${request.method} ${request.url.pathname}: the request is not signed for any`;
    this.trace.add({ kind: "note", subject: wanted ?? "endpoint", text: message });
    return {
      status: wanted ? 501 : 404,
      headers: {
        "content-type": "application/x-amz-json-1.1",
        "x-amzn-errortype": "UnknownOperationException",
        "x-amzn-requestid": randomUUID(),
      },
      body: JSON.stringify({ __type: "UnknownOperationException", message }),
    };
  }
}

function identified(response: HttpResponse, requestId: string, { api }: Service): HttpResponse {
  return { ...response, headers: { [api?.guard ? "x-ms-request-id" : "x-amzn-requestid"]: requestId, ...response.headers } };
}

function answersAt({ endpoints }: Api, endpoint: string | undefined): boolean {
  return endpoint === undefined ? endpoints === undefined : endpoints?.includes(endpoint) === true;
}

async function readPort(file: string): Promise<number | undefined> {
  try {
    const { port } = JSON.parse(await readFile(file, "utf8")) as { port?: unknown };
    return typeof port === "number" ? port : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" && !(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}

async function readEndpoint(file: string): Promise<Endpoint | undefined> {
  try {
    const { port, accessKeyId, secretAccessKey } = JSON.parse(await readFile(file, "utf8")) as Partial<Endpoint>;
    if (typeof port === "number" && accessKeyId && secretAccessKey) return { port, accessKeyId, secretAccessKey };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" && !(error instanceof SyntaxError)) throw error;
  }
  return undefined;
}
