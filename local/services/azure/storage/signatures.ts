import { createHmac, timingSafeEqual } from "node:crypto";
import { TENANT } from "../../../kernel/azure/arm.js";
import { CloudError } from "../../../kernel/service.js";
import type { StorageCall } from "./requests.js";

/** Seconds that a user delegation key may live. */
const LONGEST_KEY = 7 * 86_400;

/** Query parameters of shared access signatures, which are not passed on. */
export const SAS_PARAMETERS: ReadonlySet<string> = new Set(
  "sv ss srt sp se st spr sip sig sr si skoid sktid skt ske sks skv skdutid sduoid saoid suoid scid ses sdd srh srq".split(" "),
);

export interface DelegationKey {
  objectId: string;
  start: string;
  expiry: string;
  version: string;
}

/** The secret of a user delegation key: nobody keeps it, it follows from whose it is and how long. */
export function delegationKeyValue(accountKey: Buffer, { objectId, start, expiry, version }: DelegationKey): string {
  return createHmac("sha256", accountKey).update(["delegation", objectId, TENANT, start, expiry, "b", version].join("\n")).digest("base64");
}

/** Reads what `Get User Delegation Key` asks for. @throws CloudError */
export function readKeyInfo(body: string, now: Date): { start: string; expiry: string } {
  const field = (name: string) => new RegExp(`<${name}>([^<]+)</${name}>`).exec(body)?.[1];
  const start = field("Start") ?? now.toISOString();
  const expiry = field("Expiry");
  const from = Date.parse(start);
  const until = Date.parse(expiry ?? "");
  if (!expiry || Number.isNaN(from) || Number.isNaN(until) || until <= from || until <= now.getTime()) {
    throw new CloudError(
      "InvalidXmlNodeValue",
      `A user delegation key needs a start and a later expiry; it was asked from ${start} to ${expiry}.`,
    );
  }
  if (until - Math.max(from, now.getTime()) > LONGEST_KEY * 1_000) {
    throw new CloudError("InvalidXmlNodeValue", `A user delegation key lasts at most seven days; it was asked until ${expiry}.`);
  }
  return { start: seconds(from), expiry: seconds(until) };
}

const seconds = (time: number): string => new Date(time).toISOString().replace(/\.\d+Z$/, "Z");

/** Letters of which one suffices, by operation. An operation that is not here is not for such a signature. */
const LETTERS: Readonly<Record<string, string>> = {
  GetBlob: "r",
  GetBlobProperties: "r",
  GetBlobMetadata: "r",
  GetBlockList: "r",
  ListBlobs: "l",
  PutBlob: "cw",
  CopyBlob: "cw",
  CopyBlobFromURL: "cw",
  SnapshotBlob: "cw",
  PutBlock: "w",
  PutBlockList: "w",
  SetBlobMetadata: "w",
  SetBlobProperties: "w",
  SetBlobTier: "w",
  UndeleteBlob: "w",
  LeaseBlob: "w",
  AppendBlock: "aw",
  DeleteBlob: "d",
  GetBlobTags: "t",
  SetBlobTags: "t",
};

/** Whether a signature lets blobs be made, but none that is there be written over. */
export const createsOnly = (query: URLSearchParams): boolean =>
  query.has("sig") && /c/.test(query.get("sp") ?? "") && !/w/.test(query.get("sp") ?? "");

/**
 * Checks a user delegation SAS: that it is signed with a key that this account gave, holds now, is of this container or blob, and lets this
 * be done. What its signer may do is asked afterwards.
 *
 * @returns the object id of the signer
 * @throws CloudError (403)
 */
export function verifyDelegation(
  query: URLSearchParams,
  { account, holder, blob, operation }: StorageCall,
  { key, now, peer }: { key: Buffer; now: Date; peer: string | undefined },
): string {
  const of = (name: string) => query.get(name) ?? "";
  const refuse = (why: string, code = "AuthenticationFailed") =>
    new CloudError(code, `Server failed to authenticate the request. Make sure the signature is correct: ${why}.`, 403);
  const objectId = of("skoid");
  const version = of("sv");
  const resource = of("sr");
  if (of("sktid") !== TENANT) throw refuse(`the tenant ${of("sktid")} is not this one`);
  if (version < "2020-12-06") throw refuse(`the embedded cloud checks signatures of the version 2020-12-06 and later, not ${version}`);
  if (resource !== "b" && resource !== "c")
    throw refuse(`the embedded cloud checks signatures for blobs (b) and containers (c), not "${resource}"`);
  const value = delegationKeyValue(key, { objectId, start: of("skt"), expiry: of("ske"), version: of("skv") });
  const canonical = `/blob/${account}/${holder ?? ""}${resource === "b" ? `/${blob ?? ""}` : ""}`;
  const text = [
    ...[of("sp"), of("st"), of("se"), canonical, objectId, of("sktid"), of("skt"), of("ske"), of("sks"), of("skv")],
    ...[of("saoid"), of("suoid"), of("scid")],
    ...(version >= "2025-07-05" ? [of("skdutid"), of("sduoid")] : []),
    ...[of("sip"), of("spr"), version, resource, of("snapshot"), of("ses")],
    ...(version >= "2026-04-06" ? ["", ""] : []),
    ...[of("rscc"), of("rscd"), of("rsce"), of("rscl"), of("rsct")],
  ].join("\n");
  const wanted = createHmac("sha256", Buffer.from(value, "base64")).update(text).digest();
  const given = Buffer.from(of("sig"), "base64");
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) throw refuse("signature did not match");
  if (query.has("srh") || query.has("srq") || query.has("sduoid"))
    throw refuse("bound headers, query parameters and users are not emulated");

  const within = (from: string, until: string) =>
    (from === "" || Date.parse(from) <= now.getTime()) && now.getTime() < Date.parse(until || "0");
  if (!within(of("st"), of("se"))) throw refuse(`signature not valid in the specified time frame (${of("st")} to ${of("se")})`);
  if (!within(of("skt"), of("ske"))) throw refuse(`its key is not valid in the specified time frame (${of("skt")} to ${of("ske")})`);
  if (query.has("sip") && !inRange(peer, of("sip"))) {
    throw refuse(`it is for ${of("sip")}, and the request comes from ${peer}`, "AuthorizationSourceIPMismatch");
  }
  const letters = LETTERS[operation];
  if (letters === undefined || ![...letters].some((letter) => of("sp").includes(letter))) {
    const needs = letters === undefined ? "which no such signature allows" : `which needs one of "${letters}"`;
    throw new CloudError(
      "AuthorizationPermissionMismatch",
      `This request is not authorized to perform this operation using this permission. The signature grants "${of("sp")}", and this is ${operation}, ${needs}.`,
      403,
    );
  }
  if (operation === "ListBlobs" && resource !== "c")
    throw refuse("a signature of one blob lists nothing", "AuthorizationResourceTypeMismatch");
  return objectId;
}

/** Of IPv4 addresses: one, or `from-to`. */
function inRange(peer: string | undefined, range: string): boolean {
  const number = (address: string) => address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const [from = "", to = from] = range.split("-");
  return peer !== undefined && number(peer) >= number(from) && number(peer) <= number(to);
}
