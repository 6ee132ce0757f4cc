import type { HttpResponse } from "./http.js";

/** What may hold addresses that somebody is to open: documents and data, never pictures. */
const TEXT = /^(text\/|application\/(json|javascript|problem\+json)|[^;]*\+json)/i;

/**
 * An answer for somebody outside the embedded cloud, a browser or curl. Nobody out there trusts the certificate of its HTTPS endpoints, so the
 * addresses of those that also take plain HTTP are given as that, in headers (a content security policy, a redirection) as in the body. The same
 * port answers both.
 *
 * @param origins `https://127.0.0.1:PORT` of those endpoints
 */
export function outward(response: HttpResponse, origins: readonly string[]): HttpResponse {
  const { headers = {}, body } = response;
  const names = Object.keys(headers);
  const header = (wanted: string) => String(headers[names.find((name) => name.toLowerCase() === wanted) ?? ""] ?? "");
  const plain = (text: string) => origins.reduce((said, origin) => said.replaceAll(origin, origin.replace("https:", "http:")), text);
  const said = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.map(plain) : plain(value)]),
  );
  if (body === undefined || header("content-encoding") || !TEXT.test(header("content-type"))) return { ...response, headers: said };
  const text = plain(body.toString());
  const length = names.find((name) => name.toLowerCase() === "content-length");
  return { ...response, headers: { ...said, ...(length && { [length]: String(Buffer.byteLength(text)) }) }, body: text };
}
