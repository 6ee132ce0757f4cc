import { setTimeout as pause } from "node:timers/promises";
import type { TokenCredential } from "@azure/identity";

/** Milliseconds after which a call hangs, and is better tried again. */
const TIMEOUT = 20_000;

/** What a service says that has too much to do: it has done nothing of what was asked. */
const BUSY = [429, 503];
/** Milliseconds until such a service is asked again where it does not say when; twice as many each further time. */
const FIRST_PAUSE = 1_000;
/** Milliseconds of such pauses that one call waits in all, unless it is told otherwise. */
const PATIENCE = 60_000;

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
 * @param patience Milliseconds for which a service that is busy is asked again, when it says that it can be (Retry-After). What would have to
 * wait longer is told at once.
 * @returns JSON, or nothing where the service answers nothing.
 */
export function caller(credential: TokenCredential, scope: string, patience = PATIENCE): Call {
  return async (url, { method, contentType, body }) => {
    const end = Date.now() + patience;
    for (let attempt = 0; ; attempt++) {
      const token = await credential.getToken(scope);
      if (!token) throw new Error(`There is no token for ${scope}: the app has no identity.`);
      const response = await fetch(url, {
        method,
        headers: { authorization: `Bearer ${token.token}`, ...(contentType !== undefined && { "content-type": contentType }) },
        ...(body !== undefined && { body }),
        signal: AbortSignal.timeout(TIMEOUT),
      });
      const text = await response.text();
      if (response.ok) return text === "" ? undefined : JSON.parse(text);
      const wait = pauseOf(response, attempt);
      if (wait === undefined || Date.now() + wait > end) throw errorOf(new URL(url), response.status, text);
      await pause(wait);
    }
  };
}

/** Milliseconds, not the same for all who are told to wait; `undefined` where asking again is of no use. */
function pauseOf({ status, headers }: Response, attempt: number): number | undefined {
  if (!BUSY.includes(status)) return undefined;
  const told = headers.get("retry-after") ?? "";
  const wanted = /^\d+$/.test(told) ? Number(told) * 1_000 : Date.parse(told) - Date.now();
  return (wanted >= 0 ? wanted : FIRST_PAUSE * 2 ** attempt) * (1 + Math.random() / 4);
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
