import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Cloud, Session } from "../cloud.js";
import type { HttpRequest } from "../http.js";
import { CloudError, type Permission, type PolicyDocument, type Principal, type Service } from "../service.js";
import { parseArn } from "./arn.js";
import { credentialError, deniedError } from "./dialect.js";
import { type CompiledPolicy, compilePolicy, evaluate, type PolicyKind, type PolicyRequest } from "./policy.js";
import { readSignature, verifySignature } from "./sigv4.js";

/** A long-lived key. */
export interface AccessKey {
  accessKeyId: string;
  secretAccessKey: string;
}

/** How the authority reaches what was declared. */
type Surroundings = Pick<Cloud, "account" | "region" | "partition" | "resources" | "now">;

/** Where a request comes from, as far as policies may ask. */
export interface Origin {
  /** Address of the peer. */
  address?: string;
  userAgent?: string;
}

const ROLE = "aws:iam/role:Role";
const ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy";
const ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment";
const POLICY = "aws:iam/policy:Policy";

/** Seconds that a session's credentials live. */
const SESSION_LIFETIME = 12 * 3_600;

/**
 * Who is who, and who may do what: by the roles and policies that the program declared.
 * Sessions are not kept anywhere. A session's token says whose it is, sealed with the account's key, so it can neither be forged nor pile up.
 */
export class Authority {
  readonly #cloud: Surroundings;
  readonly #compiled = new Map<string, CompiledPolicy>();
  readonly #seal: Buffer;

  constructor(
    cloud: Surroundings,
    /** The account's own key: whoever signs with it may do what no policy on a resource denies. */
    readonly account: AccessKey,
  ) {
    this.#cloud = cloud;
    this.#seal = createHmac("sha256", "session").update(account.secretAccessKey).digest();
  }

  /** The account itself. */
  get owner(): Principal & { kind: "account" } {
    const { partition, account } = this.#cloud;
    return { kind: "account", arn: `arn:${partition}:iam::${account}:root` };
  }

  static newAccessKey(): AccessKey {
    return { accessKeyId: `AKIA${keyId()}`, secretAccessKey: randomBytes(30).toString("base64") };
  }

  /** Who signed a request; `anonymous` when it is not signed. @throws CloudError when it is signed wrongly. */
  identify(request: HttpRequest, service: string): Principal {
    const signature = readSignature(request);
    if (!signature) return { kind: "anonymous" };
    if (signature.service !== service) {
      throw credentialError(service, "wrong-signature", `Credential should be scoped to correct service: '${service}'.`);
    }
    const { principal, secret } = this.holderOf(signature.accessKeyId, signature.token, service);
    verifySignature(request, signature, secret, { region: this.#cloud.region, now: this.#cloud.now() });
    return principal;
  }

  /**
   * Whose an access key is, and the secret that its signatures are made with.
   *
   * @param service that words the error.
   * @throws CloudError when there is no such key, or its token is not its own or has expired.
   */
  holderOf(accessKeyId: string, token: string | undefined, service: string): { principal: Principal; secret: string } {
    if (accessKeyId === this.account.accessKeyId) {
      if (token !== undefined) throw credentialError(service, "bad-token");
      return { principal: this.owner, secret: this.account.secretAccessKey };
    }
    if (!accessKeyId.startsWith("ASIA") || token === undefined) throw credentialError(service, "unknown-key");
    const sealed = this.#open(token);
    if (!sealed || sealed.accessKeyId !== accessKeyId) throw credentialError(service, "bad-token");
    if (this.#cloud.now().getTime() >= sealed.expires) throw credentialError(service, "expired-token");
    if (!this.#role(sealed.role)) throw credentialError(service, "bad-token");
    return { principal: this.#session(sealed.role, sealed.session), secret: this.#secret(accessKeyId) };
  }

  /** A session of a role for a service. @throws CloudError (AccessDenied) when there is no such role, or it does not trust the service. */
  assume(role: string, session: string, service: string, source?: string): Session {
    const declared = this.#role(role);
    const arn: string = declared?.outputs.arn ?? role;
    const principal: Principal = { kind: "service", service, ...(source ? { source } : {}) };
    const trusted =
      declared && this.#ask([[declared.outputs.assumeRolePolicy, "trust"]], principal, { action: "sts:AssumeRole", resource: arn }, {});
    if (trusted !== "allow") {
      const why = declared ? "its trust policy does not allow it" : "there is no such role";
      throw new CloudError(
        "AccessDenied",
        `User: ${service} is not authorized to perform: sts:AssumeRole on resource: ${arn}${source ? ` for ${source}` : ""}: ${why}`,
        403,
      );
    }
    const accessKeyId = `ASIA${keyId()}`;
    const sealed: SealedSession = {
      accessKeyId,
      role: arn,
      session: sessionName(session),
      expires: this.#cloud.now().getTime() + SESSION_LIFETIME * 1_000,
    };
    return {
      principal: this.#session(arn, sealed.session),
      accessKeyId,
      secretAccessKey: this.#secret(accessKeyId),
      sessionToken: this.#close(sealed),
    };
  }

  /**
   * Lets a call pass, or not.
   *
   * @throws CloudError in the service's words when any of `needs` is not granted.
   */
  authorize(principal: Principal, needs: readonly Permission[], service: Service, cloud: Cloud, origin: Origin = {}): void {
    for (const permission of needs) {
      const { action, resource } = permission;
      const lying = service.api?.policyOf?.(resource, cloud);
      const onResource: [PolicyDocument, PolicyKind][] = lying ? [[lying, "resource"]] : [];
      const byResource = this.#ask(onResource, principal, permission, origin);
      const byIdentity = principal.kind === "role" ? this.#ask(this.#policiesOf(principal.role), principal, permission, origin) : "none";
      const verdicts = [byResource, byIdentity];
      if (verdicts.includes("deny")) {
        throw deniedError(
          service.name,
          refusal(
            service.name,
            principal,
            permission,
            `with an explicit deny in ${byIdentity === "deny" ? "an identity-based" : "a resource-based"} policy`,
          ),
        );
      }
      if (principal.kind === "account" || verdicts.includes("allow")) continue;
      if (principal.kind === "anonymous")
        throw service.name === "s3" ? deniedError("s3", "Access Denied") : credentialError(service.name, "missing");
      const missing = principal.kind === "role" ? "identity-based" : "resource-based";
      throw deniedError(
        service.name,
        refusal(service.name, principal, { action, resource }, `because no ${missing} policy allows the ${action} action`),
      );
    }
  }

  #ask(policies: readonly [string | PolicyDocument, PolicyKind][], principal: Principal, permission: Permission, origin: Origin) {
    const { account } = this.#cloud;
    const { action, resource } = permission;
    const request: PolicyRequest = { principal, account, action, resource, keys: this.#keys(principal, permission, origin) };
    return evaluate(
      policies.map(([policy, kind]) => this.#compile(policy, kind)),
      request,
    );
  }

  /** Condition keys that hold for every request. Loopback counts as a secure transport: nothing of it leaves the machine. */
  #keys(
    principal: Principal,
    { context = {}, resource }: Permission,
    { address, userAgent }: Origin,
  ): Map<string, string | readonly string[]> {
    const { account, region } = this.#cloud;
    const now = this.#cloud.now();
    const keys = new Map<string, string | readonly string[]>([
      ["aws:securetransport", "true"],
      ["aws:currenttime", now.toISOString()],
      ["aws:epochtime", String(Math.floor(now.getTime() / 1_000))],
      ["aws:requestedregion", region],
      ["aws:viaawsservice", "false"],
      ["aws:principalisawsservice", String(principal.kind === "service")],
      ["aws:resourceaccount", parseArn(resource)?.account || account],
    ]);
    if (address) keys.set("aws:sourceip", address);
    if (userAgent) keys.set("aws:useragent", userAgent);
    if (principal.kind === "account") {
      for (const [key, value] of [
        ["arn", principal.arn],
        ["account", account],
        ["type", "Account"],
      ] as const)
        keys.set(`aws:principal${key}`, value);
      keys.set("aws:userid", account);
    }
    if (principal.kind === "role") {
      for (const [key, value] of [
        ["arn", principal.role],
        ["account", account],
        ["type", "AssumedRole"],
      ] as const)
        keys.set(`aws:principal${key}`, value);
      const session = principal.arn.split("/").at(-1)!;
      keys.set("aws:userid", `${this.#role(principal.role)?.outputs.uniqueId ?? "AROA"}:${session}`);
    }
    if (principal.kind === "service") {
      keys.set("aws:principalservicename", principal.service);
      // A key of the past, which only the services of then still set; the default policy of SNS topics rests on it.
      if (principal.service === "cloudwatch.amazonaws.com") keys.set("aws:sourceowner", account);
      if (principal.source) {
        keys.set("aws:sourcearn", principal.source);
        keys.set("aws:sourceaccount", parseArn(principal.source)?.account || account);
      }
    }
    if (principal.kind === "anonymous") keys.set("aws:principaltype", "Anonymous");
    for (const [key, value] of Object.entries(context)) keys.set(key.toLowerCase(), value);
    return keys;
  }

  #policiesOf(roleArn: string): [string, PolicyKind][] {
    const { resources } = this.#cloud;
    const name: string | undefined = this.#role(roleArn)?.outputs.name;
    if (name === undefined) return [];
    const inline = resources.all(ROLE_POLICY).filter(({ outputs }) => outputs.role === name);
    const attached = resources.all(ATTACHMENT).filter(({ outputs }) => outputs.role === name);
    const managed = attached.map(({ outputs }) => resources.byArn(outputs.policyArn)).filter((policy) => policy?.type === POLICY);
    return [...inline, ...managed].map((policy) => [policy!.outputs.policy, "identity"]);
  }

  #role(arnOrName: string) {
    const { resources } = this.#cloud;
    const role = resources.byArn(arnOrName) ?? resources.get(ROLE, arnOrName);
    return role?.type === ROLE ? role : undefined;
  }

  #session(role: string, session: string): Principal & { kind: "role" } {
    const { partition, account } = this.#cloud;
    const name = role.split("/").at(-1)!;
    return { kind: "role", arn: `arn:${partition}:sts::${account}:assumed-role/${name}/${session}`, role };
  }

  /** Policies change seldom and are asked often. */
  #compile(policy: string | PolicyDocument, kind: PolicyKind): CompiledPolicy {
    const text = `${kind} ${typeof policy === "string" ? policy : JSON.stringify(policy)}`;
    let compiled = this.#compiled.get(text);
    if (!compiled) {
      if (this.#compiled.size > 1_000) this.#compiled.clear();
      compiled = compilePolicy(policy, kind);
      this.#compiled.set(text, compiled);
    }
    return compiled;
  }

  #secret(accessKeyId: string): string {
    return createHmac("sha256", this.#seal).update(`secret ${accessKeyId}`).digest("base64").slice(0, 40);
  }

  #close(session: SealedSession): string {
    const content = Buffer.from(JSON.stringify(session)).toString("base64url");
    return `${content}.${createHmac("sha256", this.#seal).update(content).digest("base64url")}`;
  }

  #open(token: string): SealedSession | undefined {
    const [content, mac] = token.split(".");
    if (!content || !mac) return undefined;
    const wanted = createHmac("sha256", this.#seal).update(content).digest();
    const given = Buffer.from(mac, "base64url");
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return undefined;
    return JSON.parse(Buffer.from(content, "base64url").toString()) as SealedSession;
  }
}

interface SealedSession {
  accessKeyId: string;
  /** ARN. */
  role: string;
  session: string;
  /** Milliseconds since the epoch. */
  expires: number;
}

function refusal(service: string, principal: Principal, { action, resource }: Permission, why: string): string {
  const who = principal.kind === "service" ? principal.service : principal.kind === "anonymous" ? "anonymous" : principal.arn;
  const where = service === "s3" ? `"${resource}"` : resource;
  return `User: ${who} is not authorized to perform: ${action} on resource: ${where} ${why}`;
}

/** 16 characters of the alphabet that AWS makes key ids of. */
function keyId(): string {
  return Array.from(randomBytes(16), (byte) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[byte & 31]).join("");
}

/** What a session may be called: 2 to 64 of these characters. */
function sessionName(name: string): string {
  return name
    .replace(/[^\w+=,.@-]/g, "-")
    .slice(0, 64)
    .padEnd(2, "-");
}
