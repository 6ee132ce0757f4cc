import type { Cloud } from "./cloud.js";
import type { HttpRequest, HttpResponse } from "./http.js";

/** Inputs, outputs, call inputs and call outputs: plain JSON, but for bodies of objects, which are Buffers. */
// biome-ignore lint/suspicious/noExplicitAny: the shape is the cloud's, checked where a service reads it.
export type Properties = Record<string, any>;

/**
 * A file, a text, or an archive (a zip, a folder, or named assets) that a program hands over, as services see it among the inputs.
 * Paths are absolute. `hash` is of the contents (SHA-256 in hex): two with the same hash are the same, wherever they lie.
 */
export type AssetValue =
  | { asset: { path: string; hash: string } | { text: string; hash: string } }
  | { archive: { path: string; hash: string } | { assets: Record<string, AssetValue>; hash: string } };

/**
 * One emulated cloud service: the resources it can be asked for, and the API calls it then answers.
 * A service is a file (or folder with `index.ts`) under `local/services/CLOUD/` whose default export makes one: it is found by listing, so
 * adding a service touches no other file. Services never import each other; they meet through {@link Cloud}.
 */
export interface Service {
  /** The cloud's own short name, as in ARNs: `"sqs"`, `"s3"`, `"states"`, `"events"`. */
  readonly name: string;

  /** Pulumi type token (`"aws:sqs/queue:Queue"`) → how such a resource comes, changes and goes. A type that nobody lists is refused at start-up. */
  readonly resources?: Readonly<Record<string, ResourceType>>;

  /**
   * The same resources as they come through a provider that the program configured itself (`new kubernetes.Provider(…)`), whose package it
   * names. Throws for a configuration that it does not honour. @default `resources`
   */
  readonly configured?: {
    package: string;
    resources(config: Properties, cloud: Cloud): Readonly<Record<string, ResourceType>>;
  };

  /** Pulumi function token (`"aws:index/getCallerIdentity:getCallerIdentity"`) → its answer. */
  readonly functions?: Readonly<Record<string, (args: Properties, cloud: Cloud) => Promise<Properties>>>;

  /** The data plane. The kernel decodes, identifies the caller, authorizes what the operation `needs`, and only then calls `handle`. */
  readonly api?: Api;

  /** Called once, before any resource exists. `folder` is this service's own; it survives when `--data` was given. */
  start?(cloud: Cloud, folder: string): Promise<void>;
  /** Ends whatever the service runs (servers, child processes) within a second. */
  stop?(): Promise<void>;
}

/** A resource as a provider sees it. Throws {@link CloudError} with the cloud's own code for what the cloud would refuse. */
export interface ResourceType {
  /**
   * Inputs that are honoured, as dotted paths where only part of a structure is (`"loggingConfig.logFormat"`; a bare name claims all beneath it;
   * `[]` stands for the items of a list: `"rules[].status"`). Any other is refused at start-up: nothing is silently ignored.
   */
  readonly inputs: readonly string[];
  /** Inputs whose change means a new resource. */
  readonly replacedBy?: readonly string[];
  /** Whether the old one must go before a replacement comes: two with the same name cannot be there at once. @default where `named` says so */
  readonly deleteBeforeReplace?: boolean;
  /** The input that is the physical name, filled in with `{logical name}-{7 hex}` where the program leaves it out, as the provider does. */
  readonly named?: {
    input: string;
    maxLength?: number;
    /** `"plain"`: `{logical name}{8 hex}`; `"uuid"`: a GUID, as some of Azure's resources are called. @default "dashed" */
    style?: "dashed" | "plain" | "uuid";
  };
  /** Fills in further defaults that the cloud would, and refuses what it would refuse before creating. */
  check?(inputs: Properties, cloud: Cloud): Properties;
  /** Whether it lies where it would not be made any more (its cluster is another one now), and so has to be made again. */
  elsewhere?(resource: Resource, cloud: Cloud): Promise<boolean>;
  create(inputs: Properties, cloud: Cloud): Promise<{ id: string; outputs: Properties }>;
  /** Without it, any change is a replacement. */
  update?(id: string, inputs: Properties, before: Resource, cloud: Cloud): Promise<Properties>;
  delete(resource: Resource, cloud: Cloud): Promise<void>;
  /**
   * A kept resource, found in the state when `--data` is used again: makes it live, and returns its outputs as they are now (addresses may
   * have changed). Without it the old outputs stand.
   */
  restore?(resource: Resource, cloud: Cloud): Promise<Properties>;
}

/** A resource that exists. */
export interface Resource {
  urn: string;
  /** Pulumi type token. */
  type: string;
  /** Logical name. */
  name: string;
  id: string;
  inputs: Properties;
  outputs: Properties;
}

/** The API calls of one service. */
export interface Api {
  /** How its HTTP requests become calls, and answers HTTP responses. */
  readonly protocol: Protocol;
  /** By the name in the API reference: `"SendMessage"`. A call that is not here is answered with the service's own "unknown operation". */
  readonly operations: Readonly<Record<string, Operation>>;
  /** The policy that lies on one of its resources (bucket policy, queue policy, function policy), found by ARN. */
  policyOf?(resource: string, cloud: Cloud): PolicyDocument | undefined;
  /** Names of the HTTPS endpoints where it answers, instead of on the one that all services share. */
  readonly endpoints?: readonly string[];
  /** Whether a request may come to those by plain HTTP: links that a browser is to open, which would not trust their certificate. @default none may */
  takesPlain?(request: HttpRequest): boolean;
  /** Who calls and who may, where that is not by signatures and policies as AWS knows them. */
  readonly guard?: Guard;
}

/** How a cloud tells callers apart and what they are granted. Throws {@link CloudError}. */
export interface Guard {
  identify(request: HttpRequest, cloud: Cloud): Promise<Principal>;
  authorize(principal: Principal, needs: readonly Permission[], cloud: Cloud): void;
}

/** One API call, as its reference documents it. */
export interface Operation {
  /** What the caller must be allowed to do, read from the decoded input. An empty list means that anyone who is identified may. */
  needs(input: Properties, cloud: Cloud): readonly Permission[];
  /** Does it. Throws {@link CloudError}. */
  handle(input: Properties, call: CallContext): Promise<Properties>;
}

export interface CallContext {
  readonly cloud: Cloud;
  readonly principal: Principal;
  readonly requestId: string;
}

/** A wire format. In-process calls between services skip it; everything else of the path is the same. */
export interface Protocol {
  /** Whether a request to the shared endpoint is for this service. */
  claims(request: HttpRequest): boolean;
  /**
   * Who calls, when that does not stand in the Authorization header or the query (a POST policy form). `undefined`: look there.
   * A caller without credentials is refused operations that need nothing, unless it is named `anonymous` here (a CORS preflight).
   */
  identify?(request: HttpRequest, cloud: Cloud): Promise<Principal | undefined>;
  decode(request: HttpRequest, cloud: Cloud): Promise<{ operation: string; input: Properties }>;
  encode(operation: string, output: Properties, request: HttpRequest, requestId: string): HttpResponse;
  encodeError(error: CloudError, request: HttpRequest, requestId: string): HttpResponse;
}

export interface Permission {
  /** `"s3:GetObject"` */
  action: string;
  /** ARN, or `"*"` for actions without a resource type. */
  resource: string;
  /** Condition keys of this request beyond those that the kernel knows. */
  context?: Record<string, string | readonly string[]>;
}

/** Who makes a call. */
export type Principal =
  /** The account itself: the person who deploys and looks. */
  | { readonly kind: "account"; readonly arn: string }
  /** Code that runs under a role. `arn` is the session's. */
  | { readonly kind: "role"; readonly arn: string; readonly role: string }
  /** An identity of Microsoft Entra. `arn` is what messages call it. */
  | { readonly kind: "identity"; readonly arn: string; readonly objectId: string }
  /** The cloud's own service, on behalf of one of its resources. */
  | { readonly kind: "service"; readonly service: string; readonly source?: string }
  | { readonly kind: "anonymous" };

export interface PolicyDocument {
  Version?: string;
  Id?: string;
  Statement: Statement | Statement[];
}

export interface Statement {
  Sid?: string;
  Effect: "Allow" | "Deny";
  Principal?: "*" | Record<string, string | string[]>;
  NotPrincipal?: "*" | Record<string, string | string[]>;
  Action?: string | string[];
  NotAction?: string | string[];
  Resource?: string | string[];
  NotResource?: string | string[];
  Condition?: Record<string, Record<string, string | boolean | number | (string | boolean | number)[]>>;
}

/** An error as the cloud's API reports it: a code that SDKs turn into an exception's name, and an HTTP status. */
export class CloudError extends Error {
  override readonly name = "CloudError";
  constructor(
    readonly code: string,
    message: string,
    readonly status = 400,
    /** Further members of the error's body (`Item`, `CancellationReasons`), or headers by the protocol's choice. */
    readonly details: Properties = {},
  ) {
    super(message);
  }
  /** Whether the same call can succeed later: throttling and the service's own faults. */
  get retryable(): boolean {
    return this.status >= 500 || /Throttl|TooManyRequests|LimitExceeded|SlowDown|RequestTimeout/.test(this.code);
  }
}
