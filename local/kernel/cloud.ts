import type { HttpRequest, HttpResponse } from "./http.js";
import type { Principal, Properties, Resource } from "./service.js";
import type { Trace } from "./trace.js";

/** What a service may use of the kernel and, through it, of the other services. */
export interface Cloud {
  /** Where the API endpoint of all services listens: `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly account: string;
  readonly region: string;
  readonly partition: string;
  /** Port that the person asked for the product's own HTTP endpoint, if any. The first API that is created takes it. */
  readonly port: number | undefined;
  /** The kernel's own, for keys and certificates; it survives when `--data` was given. */
  readonly folder: string;
  readonly resources: Registry;
  readonly trace: Trace;

  /** An API call within the cloud: authorize → fault → handle → trace. @throws CloudError */
  call(call: Call): Promise<Properties>;
  /** The same by HTTP: decode → identify → authorize → fault → handle → encode → trace. */
  serve(request: HttpRequest): Promise<HttpResponse>;
  /** An HTTPS endpoint of its own, which listens from the first time on that somebody asks. Requests to it say its name. */
  secure(name: string): Promise<SecureEndpoint>;
  /** An answer as somebody outside gets it, who does not trust the certificate of those endpoints: see `outward.ts`. */
  outward(response: HttpResponse): HttpResponse;
  /** Something asynchronous: returns at once; retries, duplicates, delay, reordering and dead letters happen behind it. */
  deliver(delivery: Delivery): void;
  /** What happened in a service, for whoever subscribed (S3's "Object Created", for the event bus). */
  publish(event: CloudEvent): void;
  subscribe(listener: (event: CloudEvent) => void): void;
  /**
   * A session of a role, as a service takes it to act for a resource. @throws CloudError (AccessDenied) when the role does not exist or its
   * trust policy does not let `service` (on behalf of `source`, an ARN) assume it.
   */
  assume(role: string, session: string, service: string, source?: string): Session;
  /** Resolves when nothing is under way: no delivery pending and no `busy` open. */
  settled(): Promise<void>;
  /** Marks work (an execution, an invocation) as under way until it settles. */
  busy<T>(work: Promise<T>): Promise<T>;

  now(): Date;
  /** 0 ≤ x < 1, from the run's seed. */
  random(): number;
}

export interface SecureEndpoint {
  /** `https://127.0.0.1:PORT` */
  url: string;
  /** Path of the certificate authority's certificate (PEM), for `NODE_EXTRA_CA_CERTS`. */
  authority: string;
}

export interface Session {
  principal: Principal & { kind: "role" };
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
}

export interface Call {
  /** Service name: `"sqs"`. */
  service: string;
  operation: string;
  input: Properties;
  as: Principal;
}

/** One asynchronous hand-over of an event to one target. */
export interface Delivery {
  /** Of the event, the same for every attempt and every duplicate. */
  id: string;
  /** ARN of who delivers (rule, topic). */
  from: string;
  call: Call;
  /** `attempts` retries after the first try, within `maxAge` seconds of the event. */
  retry: { attempts: number; maxAge: number };
  /** What to do with it when it could not be delivered. It is given the reason. */
  undeliverable?: (error: { code: string; message: string; attempts: number }) => Call | undefined;
}

export interface CloudEvent {
  /** `"aws.s3"` */
  source: string;
  /** `"Object Created"` */
  type: string;
  /** ARNs. */
  resources: string[];
  detail: Properties;
}

/** The resources that exist, as the engine made them. It is the one place where services look up configuration. */
export interface Registry {
  /** By Pulumi type token and physical id. */
  get(type: string, id: string): Resource | undefined;
  /** By ARN (`outputs.arn`). */
  byArn(arn: string): Resource | undefined;
  all(type: string): Resource[];
  add(resource: Resource): void;
  remove(resource: Resource): void;
}
