import type { TokenCredential } from "@azure/identity";

/** Milliseconds after which a call hangs, and is better tried again. */
const TIMEOUT = 20_000;

/** A service refused a call, or failed. */
export class ServiceError extends Error {
  constructor(
    /** What the service calls it. */
    override readonly name: string,
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Calls a service that has no small SDK, as the app's own identity. */
export type Call = (
  url: string | URL,
  request: { method: "GET" | "POST"; contentType?: string; body?: string | Uint8Array },
) => Promise<unknown>;

/**
 * @param scope `https://eventgrid.azure.net/.default`
 * @returns JSON, or nothing where the service answers nothing.
 */
export function caller(credential: TokenCredential, scope: string): Call {
  return async (url, { method, contentType, body }) => {
    const token = await credential.getToken(scope);
    if (!token) throw new Error(`There is no token for ${scope}: the app has no identity.`);
    const response = await fetch(url, {
      method,
      headers: { authorization: `Bearer ${token.token}`, ...(contentType !== undefined && { "content-type": contentType }) },
      ...(body !== undefined && { body }),
      signal: AbortSignal.timeout(TIMEOUT),
    });
    const text = await response.text();
    if (!response.ok) throw errorOf(new URL(url), response.status, text);
    return text === "" ? undefined : JSON.parse(text);
  };
}

/** Azure's errors: `{error: {code, message, innererror?: {code, message}}}`, the inner one being the exact one. */
function errorOf(url: URL, status: number, text: string): ServiceError {
  try {
    const { error } = JSON.parse(text) as { error: { code: string; message: string; innererror?: { code?: string; message?: string } } };
    const { code, message } = { ...error, ...error.innererror };
    return new ServiceError(code, status, `${url.host} answered ${status}: ${message}`);
  } catch {
    return new ServiceError(`HTTP${status}`, status, `${url.host}${url.pathname} answered ${status}: ${text.slice(0, 500)}`);
  }
}
