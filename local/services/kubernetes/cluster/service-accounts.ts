import { createHash, createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Properties } from "../../../kernel/service.js";

/** Signs the tokens of a cluster's service accounts, with a key that is kept in the cluster's folder. */
export class ServiceAccountTokens {
  #key: Promise<KeyObject> | undefined;

  /** @param issuer of the tokens, as it is published */
  constructor(
    private readonly folder: string,
    private readonly issuer: () => string,
    private readonly now: () => Date,
  ) {}

  /** @param lifetime seconds */
  async issue(account: { namespace: string; name: string }, audience: string, lifetime: number, claims: Properties = {}): Promise<string> {
    const { SignJWT } = await import("jose");
    const key = await this.#signingKey();
    const now = Math.floor(this.now().getTime() / 1_000);
    return new SignJWT({ "kubernetes.io": { namespace: account.namespace, serviceaccount: { name: account.name }, ...claims } })
      .setProtectedHeader({ alg: "RS256", kid: keyId(key) })
      .setIssuer(this.issuer())
      .setSubject(`system:serviceaccount:${account.namespace}:${account.name}`)
      .setAudience(audience)
      .setIssuedAt(now)
      .setNotBefore(now)
      .setExpirationTime(now + lifetime)
      .sign(key);
  }

  /** The public key, as a JSON Web Key Set. */
  async keys(): Promise<Properties> {
    const key = await this.#signingKey();
    return { keys: [{ use: "sig", alg: "RS256", kid: keyId(key), ...createPublicKey(key).export({ format: "jwk" }) }] };
  }

  #signingKey(): Promise<KeyObject> {
    this.#key ??= keptOrMade(this.folder);
    return this.#key;
  }
}

const keyId = (key: KeyObject): string =>
  createHash("sha256")
    .update(createPublicKey(key).export({ type: "spki", format: "der" }))
    .digest("base64url");

async function keptOrMade(folder: string): Promise<KeyObject> {
  const file = join(folder, "service-accounts.pem");
  try {
    return createPrivateKey(await readFile(file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const { privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: 2048 });
  await mkdir(folder, { recursive: true });
  await writeFile(file, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  return privateKey;
}
