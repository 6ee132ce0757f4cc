import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Cloud } from "../cloud.js";
import { TENANT } from "./arm.js";

/** Who a token is for, as Microsoft Entra knows it. */
export interface TokenHolder {
  /** Of the principal, which role assignments name. */
  objectId: string;
  /** Of the application, which SQL users and settings name. */
  clientId: string;
  name: string;
}

/** Seconds that a token lives. */
export const TOKEN_LIFETIME = 24 * 3_600;

const ISSUER = `https://sts.windows.net/${TENANT}/`;
const keys = new WeakMap<object, Promise<KeyObject>>();

type Issuer = Pick<Cloud, "folder" | "now">;

/**
 * A bearer token (JWT, signed by this cloud) with which its holder calls `audience`, such as `"https://storage.azure.com"`.
 *
 * @param lifetime seconds. @default {@link TOKEN_LIFETIME}
 */
export async function issueToken(
  cloud: Issuer,
  {
    objectId,
    clientId,
    audience,
    name = clientId,
    lifetime = TOKEN_LIFETIME,
  }: Omit<TokenHolder, "name"> & { name?: string; audience: string; lifetime?: number },
): Promise<string> {
  const { SignJWT } = await import("jose");
  const now = Math.floor(cloud.now().getTime() / 1_000);
  return new SignJWT({ oid: objectId, appid: clientId, app_displayname: name, idtyp: "app", tid: TENANT, ver: "1.0" })
    .setProtectedHeader({ alg: "ES256", typ: "JWT" })
    .setIssuer(ISSUER)
    .setSubject(objectId)
    .setAudience(plainAudience(audience))
    .setIssuedAt(now)
    .setNotBefore(now - 60)
    .setExpirationTime(now + lifetime)
    .sign(await keyOf(cloud));
}

/** Whose a token is; `undefined` when this cloud did not sign it, it is for another audience, or not valid now. */
export async function verifyToken(cloud: Issuer, token: string, audience: string): Promise<TokenHolder | undefined> {
  const { jwtVerify, errors } = await import("jose");
  try {
    const { payload } = await jwtVerify(token, createPublicKey(await keyOf(cloud)), {
      issuer: ISSUER,
      audience: plainAudience(audience),
      algorithms: ["ES256"],
      currentDate: cloud.now(),
    });
    return { objectId: String(payload.oid), clientId: String(payload.appid), name: String(payload.app_displayname) };
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}

/** Scopes and resources name the same audience, with or without `/.default` and a slash at the end. */
export function plainAudience(audience: string): string {
  return audience.replace(/\/\.default$/, "").replace(/\/+$/, "");
}

function keyOf(cloud: Issuer): Promise<KeyObject> {
  const known = keys.get(cloud) ?? keptOrMade(join(cloud.folder, "token-key.pem"));
  keys.set(cloud, known);
  return known;
}

async function keptOrMade(file: string): Promise<KeyObject> {
  try {
    return createPrivateKey(await readFile(file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  await writeFile(file, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  return privateKey;
}
