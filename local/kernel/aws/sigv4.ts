import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { HttpRequest } from "../http.js";
import { CloudError } from "../service.js";
import { credentialError } from "./dialect.js";

/** What a request says of its own signature, before anything of it is believed. */
export interface Signature {
  accessKeyId: string;
  /** `YYYYMMDD` of the credential's scope. */
  date: string;
  region: string;
  service: string;
  signedHeaders: string[];
  /** Hex. */
  signature: string;
  /** `YYYYMMDDTHHMMSSZ` */
  at: string;
  token?: string;
  /** Seconds that a presigned URL lives; absent when the signature is in the header. */
  expires?: number;
}

const ALGORITHM = "AWS4-HMAC-SHA256";
const SKEW = 15 * 60_000;
const WEEK = 604_800;

/** The service in whose name a request is signed, without checking anything: how requests find their service. */
export function signingName(request: HttpRequest): string | undefined {
  const credential =
    /Credential=([^,\s]+)/.exec(request.headers.authorization ?? "")?.[1] ?? request.url.searchParams.get("X-Amz-Credential") ?? undefined;
  const parts = credential?.split("/");
  return parts && parts.length >= 5 ? parts.at(-2) : undefined;
}

/**
 * The signature of a request: in its Authorization header, or in its query (presigned).
 *
 * @returns `undefined` for a request without one.
 * @throws CloudError when it is there, but not whole.
 */
export function readSignature(request: HttpRequest): Signature | undefined {
  const { authorization } = request.headers;
  const query = request.url.searchParams;
  if (authorization !== undefined) return fromHeader(request, authorization);
  if (query.has("X-Amz-Signature") || query.has("X-Amz-Algorithm")) return fromQuery(request);
  return undefined;
}

function fromHeader(request: HttpRequest, authorization: string): Signature {
  const service = signingName(request) ?? "";
  const malformed = (what: string) => credentialError(service, "malformed", `The authorization header is malformed; ${what}.`);
  if (!authorization.startsWith(`${ALGORITHM} `)) throw malformed(`it must begin with ${ALGORITHM}`);
  const fields = new Map<string, string>();
  for (const field of authorization.slice(ALGORITHM.length).split(",")) {
    const at = field.indexOf("=");
    fields.set(field.slice(0, at).trim(), field.slice(at + 1).trim());
  }
  const [credential, signedHeaders, signature] = [fields.get("Credential"), fields.get("SignedHeaders"), fields.get("Signature")];
  if (!credential || !signedHeaders || !signature) throw malformed("it needs Credential, SignedHeaders and Signature");
  const at = request.headers["x-amz-date"] ?? compactDate(request.headers.date);
  if (!at) throw malformed("the request needs the header x-amz-date");
  const token = request.headers["x-amz-security-token"];
  return { ...readScope(credential, malformed), signedHeaders: signedHeaders.split(";"), signature, at, ...(token ? { token } : {}) };
}

function fromQuery(request: HttpRequest): Signature {
  const query = request.url.searchParams;
  const malformed = (what: string) => new CloudError("AuthorizationQueryParametersError", what, 400);
  const read = (name: string): string => {
    const value = query.get(name);
    if (!value) {
      throw malformed(
        "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
      );
    }
    return value;
  };
  if (read("X-Amz-Algorithm") !== ALGORITHM) throw malformed(`X-Amz-Algorithm only supports "${ALGORITHM}"`);
  const expires = read("X-Amz-Expires");
  if (!/^\d+$/.test(expires)) throw malformed("X-Amz-Expires should be a number");
  if (Number(expires) > WEEK)
    throw malformed(
      "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
    );
  const token = query.get("X-Amz-Security-Token");
  return {
    ...readScope(read("X-Amz-Credential"), malformed),
    signedHeaders: read("X-Amz-SignedHeaders").split(";"),
    signature: read("X-Amz-Signature"),
    at: read("X-Amz-Date"),
    expires: Number(expires),
    ...(token ? { token } : {}),
  };
}

/** `KEY/20260102/us-east-1/s3/aws4_request`; keys may contain slashes. */
function readScope(
  credential: string,
  malformed: (what: string) => CloudError,
): Pick<Signature, "accessKeyId" | "date" | "region" | "service"> {
  const parts = credential.split("/");
  const [date, region, service, terminator] = parts.slice(-4);
  const accessKeyId = parts.slice(0, -4).join("/");
  if (!accessKeyId || !date || !region || !service || terminator !== "aws4_request") {
    throw malformed('the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request"');
  }
  return { accessKeyId, date, region, service };
}

/**
 * Checks that whoever holds `secret` signed this very request, now.
 *
 * @throws CloudError worded as the service does: wrong signature, wrong scope, too old, too early, expired, body changed.
 */
export function verifySignature(request: HttpRequest, signature: Signature, secret: string, expected: { region: string; now: Date }): void {
  checkScope(signature, expected.region);
  checkTime(signature, expected.now);
  const payload = payloadHash(request, signature);
  const canonical = canonicalRequest(request, signature, payload);
  const key = signingKey(secret, signature.date, signature.region, signature.service);
  const stringToSign = [
    ALGORITHM,
    signature.at,
    `${signature.date}/${signature.region}/${signature.service}/aws4_request`,
    sha256(canonical),
  ].join("\n");
  if (!signatureMatches(signature.signature, key, stringToSign)) throw credentialError(signature.service, "wrong-signature");
  checkUnsigned(request, signature);
}

/** The key that signatures of one day, region and service are made with; S3's POST policies are signed with it directly. */
export function signingKey(secret: string, date: string, region: string, service: string): Buffer {
  return [date, region, service, "aws4_request"].reduce<Buffer>((key, part) => hmac(key, part), Buffer.from(`AWS4${secret}`));
}

/** Whether `signature` (hex) is that of `text`, in constant time. */
export function signatureMatches(signature: string, key: Buffer, text: string): boolean {
  const wanted = Buffer.from(hmac(key, text).toString("hex"));
  const given = Buffer.from(signature);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

/** `20260102T030405Z` as milliseconds since the epoch; NaN when it is none. */
export function signingTime(at: string): number {
  return Date.parse(at.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
}

function checkScope({ service, region, date, at, expires }: Signature, expectedRegion: string): void {
  if (!at.startsWith(date)) {
    throw credentialError(
      service,
      expires === undefined ? "wrong-signature" : "malformed",
      `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${date}' != '${at.slice(0, 8)}'.`,
    );
  }
  if (region === expectedRegion) return;
  if (service === "s3") {
    const [code, what] =
      expires === undefined
        ? ["AuthorizationHeaderMalformed", "The authorization header is malformed"]
        : ["AuthorizationQueryParametersError", "Error parsing the X-Amz-Credential parameter"];
    throw new CloudError(code, `${what}; the region '${region}' is wrong; expecting '${expectedRegion}'`, 400, { Region: expectedRegion });
  }
  throw credentialError(
    service,
    "wrong-signature",
    `Credential should be scoped to a valid region, not '${region}'; this cloud is in '${expectedRegion}'.`,
  );
}

function checkTime({ service, at, expires }: Signature, now: Date): void {
  const signed = signingTime(at);
  if (Number.isNaN(signed)) throw credentialError(service, "malformed", `The date ${at} is not of the form YYYYMMDDTHHMMSSZ.`);
  const age = now.getTime() - signed;
  const tooEarly = age < -SKEW;
  if (expires === undefined) {
    if (tooEarly || age > SKEW) throw credentialError(service, "skewed");
    return;
  }
  if (tooEarly) throw new CloudError("AccessDenied", "Request is not yet valid", 403);
  if (age > expires * 1_000) {
    throw new CloudError("AccessDenied", "Request has expired", 403, {
      "X-Amz-Expires": String(expires),
      Expires: new Date(signed + expires * 1_000).toISOString(),
      ServerTime: now.toISOString(),
    });
  }
}

/** What the signature says of the body, after checking it where that can be done by looking at the whole. */
function payloadHash(request: HttpRequest, { service, expires }: Signature): string {
  const declared = request.headers["x-amz-content-sha256"] ?? request.url.searchParams.get("X-Amz-Content-Sha256") ?? undefined;
  if (expires !== undefined) return service === "s3" ? (declared ?? "UNSIGNED-PAYLOAD") : sha256(request.body);
  if (service !== "s3") return sha256(request.body);
  if (declared === undefined) throw new CloudError("InvalidRequest", "Missing required header for this request: x-amz-content-sha256", 400);
  // Chunks that carry signatures or trailers of their own are taken apart, and checked, by S3.
  if (declared === "UNSIGNED-PAYLOAD" || declared.startsWith("STREAMING-")) return declared;
  const actual = sha256(request.body);
  if (declared !== actual) {
    throw new CloudError("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.", 400, {
      ClientComputedContentSHA256: declared,
      S3ComputedContentSHA256: actual,
    });
  }
  return declared;
}

function canonicalRequest(request: HttpRequest, { service, signedHeaders, expires }: Signature, payload: string): string {
  const [path, query] = splitTarget(request.target);
  if (!signedHeaders.includes("host"))
    throw credentialError(service, "wrong-signature", "'Host' must be a 'SignedHeader' in the AWS Authorization.");
  const headers = signedHeaders.map((name) => {
    const value = request.headers[name];
    if (value === undefined) throw credentialError(service, "wrong-signature");
    return `${name}:${value.trim().replace(/ +/g, " ")}\n`;
  });
  return [
    request.method,
    canonicalPath(path, service),
    canonicalQuery(query, expires !== undefined),
    headers.join(""),
    signedHeaders.join(";"),
    payload,
  ].join("\n");
}

/** S3 encodes the path once; every other service resolves its dots and encodes it twice. */
function canonicalPath(path: string, service: string): string {
  if (service === "s3") return reencode(path, true);
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "..") segments.pop();
    else if (segment !== "" && segment !== ".") segments.push(segment);
  }
  const trailing = segments.length > 0 && path.endsWith("/") ? "/" : "";
  return `/${segments.map((segment) => encode(Buffer.from(segment))).join("/")}${trailing}`;
}

function canonicalQuery(query: string, presigned: boolean): string {
  return query
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => {
      const at = pair.indexOf("=");
      return at < 0 ? [reencode(pair), ""] : [reencode(pair.slice(0, at)), reencode(pair.slice(at + 1))];
    })
    .filter(([name]) => !(presigned && name === "X-Amz-Signature"))
    .sort(([a, x], [b, y]) => compare(a!, b!) || compare(x!, y!))
    .map((pair) => pair.join("="))
    .join("&");
}

/** Headers that S3 would act on must be signed: a presigned URL fixes what may be sent with it. */
function checkUnsigned(request: HttpRequest, { service, signedHeaders }: Signature): void {
  if (service !== "s3") return;
  const signed = new Set([...signedHeaders, "x-amz-content-sha256"]);
  const unsigned = Object.keys(request.headers).filter((name) => name.startsWith("x-amz-") && !signed.has(name));
  if (unsigned.length === 0) return;
  throw new CloudError("AccessDenied", "There were headers present in the request which were not signed", 403, {
    HeadersNotSigned: unsigned.join(", "),
  });
}

function splitTarget(target: string): [path: string, query: string] {
  const at = target.indexOf("?");
  return at < 0 ? [target, ""] : [target.slice(0, at), target.slice(at + 1)];
}

/** The bytes that percent-encoded text stands for, encoded as signatures want it. */
function reencode(text: string, keepSlashes = false): string {
  const bytes: number[] = [];
  const source = Buffer.from(text);
  for (let index = 0; index < source.length; index++) {
    const hex = source[index] === 0x25 ? source.toString("latin1", index + 1, index + 3) : "";
    if (/^[0-9A-Fa-f]{2}$/.test(hex)) {
      bytes.push(Number.parseInt(hex, 16));
      index += 2;
    } else {
      bytes.push(source[index]!);
    }
  }
  return encode(Uint8Array.from(bytes), keepSlashes);
}

function encode(bytes: Uint8Array, keepSlashes = false): string {
  let text = "";
  for (const byte of bytes) {
    const character = String.fromCharCode(byte);
    const plain = /[A-Za-z0-9\-._~]/.test(character) || (keepSlashes && character === "/");
    text += plain ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const hmac = (key: Buffer, text: string) => createHmac("sha256", key).update(text).digest();
const sha256 = (data: string | Buffer) => createHash("sha256").update(data).digest("hex");
const compactDate = (date: string | undefined) =>
  date && !Number.isNaN(Date.parse(date)) ? new Date(date).toISOString().replace(/[-:]|\.\d+/g, "") : undefined;
