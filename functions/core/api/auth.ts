import { createHash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";
import type { AuthSettings } from "../settings.js";
import type { ApiEnv, ApiOptions, Caller } from "./env.js";
import { ApiError } from "./errors.js";

/** Signatures that only the issuer can make: nothing symmetric, and never `none`. */
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];

/** Seconds that the issuer's clock and ours may differ. */
const CLOCK_TOLERANCE = 30;

/** Lets through who may call the API, and says who it is; the others get 401. */
export function authenticate({ settings, apiKey, clock }: Pick<ApiOptions, "settings" | "apiKey" | "clock">): MiddlewareHandler<ApiEnv> {
  const { auth } = settings;
  if (auth.kind === "none") {
    return async (c, next) => {
      c.set("caller", {});
      await next();
    };
  }
  const identify = auth.kind === "key" ? byKey(apiKey) : byToken(auth, clock);
  const what = auth.kind === "key" ? "the API key" : "a token of the issuer";
  return async (c, next) => {
    const credentials = /^Bearer +(\S+) *$/i.exec(c.req.header("Authorization") ?? "")?.[1];
    if (!credentials) throw new ApiError("UNAUTHORIZED", `Send the header Authorization: Bearer with ${what}.`);
    const caller = await identify(credentials);
    if (!caller) throw new ApiError("UNAUTHORIZED", `What follows Bearer is not ${what}, or no longer.`);
    c.set("caller", caller);
    await next();
  };
}

/** Compares digests, so that neither the key's bytes nor its length show in the time it takes. */
function byKey(apiKey: () => Promise<string>): (credentials: string) => Promise<Caller | undefined> {
  return async (credentials) => {
    const key = await apiKey();
    if (!key) throw new Error("The API key is empty: nobody could be told from anybody.");
    return timingSafeEqual(sha256(credentials), sha256(key)) ? {} : undefined;
  };
}

function byToken(
  { issuer, audience, jwksUri }: AuthSettings & { kind: "jwt" },
  clock: ApiOptions["clock"],
): (credentials: string) => Promise<Caller | undefined> {
  const keys = createRemoteJWKSet(new URL(jwksUri));
  return async (credentials) => {
    try {
      const { payload } = await jwtVerify(credentials, keys, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_TOLERANCE,
        requiredClaims: ["sub", "exp"],
        currentDate: clock.now(),
      });
      return payload.sub ? { user: payload.sub } : undefined;
    } catch (error) {
      if (isTheTokens(error)) return undefined;
      throw error;
    }
  };
}

/** Is the token to blame? An issuer that cannot be reached is our trouble, not the caller's. */
function isTheTokens(error: unknown): boolean {
  return (
    error instanceof errors.JOSEError &&
    !(error instanceof errors.JWKSTimeout) &&
    !(error instanceof errors.JWKSInvalid) &&
    error.code !== "ERR_JOSE_GENERIC"
  );
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
