import type { Authority } from "../../../kernel/aws/authority.js";
import { credentialError } from "../../../kernel/aws/dialect.js";
import { signatureMatches, signingKey } from "../../../kernel/aws/sigv4.js";
import type { HttpRequest } from "../../../kernel/http.js";
import { CloudError, type Principal } from "../../../kernel/service.js";
import { accessDenied, invalidArgument } from "./errors.js";

/** A browser's upload by form, read but not yet believed. */
export interface PostForm {
  /** Fields before the file, by lower-case name. */
  fields: Map<string, string>;
  /** The key, with the file's name filled in. */
  key: string;
  file: Buffer;
  /** Response that the form asks for. */
  success: { status: 200 | 201 | 204 } | { redirect: string };
}

type Condition = ["eq" | "starts-with", string, string] | ["content-length-range", number, number];

/** Stands for the file's own name within the key. */
const FILENAME = `\${filename}`;
/** Fields that a policy need not mention. */
const FREE = new Set(["policy", "x-amz-signature", "file", "bucket"]);

export const isForm = ({ method, headers }: HttpRequest): boolean =>
  method === "POST" && /^multipart\/form-data\b/i.test(headers["content-type"] ?? "");

/** @throws CloudError MalformedPOSTRequest, InvalidArgument */
export async function readForm({ body, headers }: HttpRequest): Promise<PostForm> {
  const malformed = (why: string) =>
    new CloudError("MalformedPOSTRequest", `The body of your POST request is not well-formed multipart/form-data: ${why}.`);
  let entries: FormData;
  try {
    entries = await new Response(new Uint8Array(body), { headers: { "content-type": headers["content-type"] ?? "" } }).formData();
  } catch (error) {
    throw malformed((error as Error).message);
  }
  const fields = new Map<string, string>();
  let file: Buffer | undefined;
  let filename = "";
  // The file is the last field that counts: what comes after it is ignored.
  for (const [name, value] of entries) {
    const isFile = name.toLowerCase() === "file";
    if (typeof value === "string") {
      if (isFile) file = Buffer.from(value);
      else fields.set(name.toLowerCase(), value);
    } else {
      if (!isFile) throw malformed(`the field ${name} is a file; only the field named file may be one`);
      file = Buffer.from(await value.arrayBuffer());
      filename = value.name.split(/[\\/]/).at(-1) ?? "";
    }
    if (isFile) break;
  }
  const key = fields.get("key");
  if (!file) throw invalidArgument("POST requires exactly one file upload per request.", "file", 0);
  if (!key)
    throw invalidArgument(
      "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
      "key",
      "",
    );
  return { fields, key: key.replaceAll(FILENAME, filename), file, success: successOf(fields) };
}

/** Who signed the form's policy; `anonymous` when there is none. @throws CloudError when it is signed wrongly */
export function identifyForm({ fields }: PostForm, authority: Authority): Principal {
  const policy = fields.get("policy");
  if (policy === undefined) return { kind: "anonymous" };
  const need = (name: string): string => {
    const value = fields.get(name);
    if (value === undefined)
      throw invalidArgument(
        `Bucket POST must contain a field named '${name}'.  If it is specified, please check the order of the fields.`,
        name,
        "",
      );
    return value;
  };
  if (need("x-amz-algorithm") !== "AWS4-HMAC-SHA256")
    throw invalidArgument('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"', "x-amz-algorithm", need("x-amz-algorithm"));
  const [accessKeyId, date, region, service, terminator] = need("x-amz-credential").split("/");
  if (!accessKeyId || !date || !region || service !== "s3" || terminator !== "aws4_request" || !need("x-amz-date").startsWith(date))
    throw credentialError(
      "s3",
      "malformed",
      "The X-Amz-Credential field of the form must be KEY/YYYYMMDD/REGION/s3/aws4_request, of the day of X-Amz-Date.",
    );
  const { principal, secret } = authority.holderOf(accessKeyId, fields.get("x-amz-security-token"), "s3");
  if (!signatureMatches(need("x-amz-signature"), signingKey(secret, date, region, "s3"), policy))
    throw credentialError("s3", "wrong-signature");
  return principal;
}

/**
 * Holds a form against its policy.
 *
 * @throws CloudError AccessDenied for what the policy does not allow, EntityTooLarge, EntityTooSmall, InvalidPolicyDocument
 */
export function checkPostPolicy({ fields, key, file }: PostForm, bucket: string, now: Date): void {
  const encoded = fields.get("policy");
  // Without a policy only what everybody may do is done, which has been asked before.
  if (encoded === undefined) return;
  const { expiration, conditions } = parsePolicy(encoded);
  const refuse = (why: string) => accessDenied(`Invalid according to Policy: ${why}`);
  if (expiration <= now.getTime()) throw refuse("Policy expired.");
  const covered = new Set<string>();
  for (const condition of conditions) {
    if (condition[0] === "content-length-range") {
      checkSize(file.length, condition[1], condition[2]);
      continue;
    }
    const [operator, field, wanted] = condition;
    const name = field.replace(/^\$/, "").toLowerCase();
    covered.add(name);
    const actual = name === "bucket" ? bucket : name === "key" ? key : (fields.get(name) ?? "");
    if (operator === "eq" ? actual !== wanted : !actual.startsWith(wanted))
      throw refuse(`Policy Condition failed: ["${operator}", "$${name}", ${JSON.stringify(wanted)}]`);
  }
  for (const name of fields.keys())
    if (!covered.has(name) && !FREE.has(name) && !name.startsWith("x-ignore-")) throw refuse(`Extra input fields: ${name}`);
}

function checkSize(size: number, least: number, most: number): void {
  if (size > most)
    throw new CloudError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", 400, {
      ProposedSize: size,
      MaxSizeAllowed: most,
    });
  if (size < least)
    throw new CloudError("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", 400, {
      ProposedSize: size,
      MinSizeAllowed: least,
    });
}

function parsePolicy(encoded: string): { expiration: number; conditions: Condition[] } {
  const invalid = (why: string) =>
    new CloudError(
      "InvalidPolicyDocument",
      `The content of the form does not meet the conditions specified in the policy document: Invalid Policy: ${why}`,
    );
  let policy: { expiration?: unknown; conditions?: unknown };
  try {
    policy = JSON.parse(Buffer.from(encoded, "base64").toString());
  } catch {
    throw invalid("Invalid JSON.");
  }
  const expiration = Date.parse(String(policy?.expiration));
  if (Number.isNaN(expiration)) throw invalid("Invalid 'expiration' value.");
  if (!Array.isArray(policy.conditions)) throw invalid("'conditions' must be a list.");
  const conditions = policy.conditions.flatMap((condition: unknown): Condition[] => {
    if (!Array.isArray(condition)) return Object.entries(condition as object).map(([name, value]) => ["eq", name, String(value)]);
    const [operator, first, second] = condition;
    const name = String(operator).toLowerCase();
    if (name === "content-length-range" && Number.isInteger(Number(first)) && Number.isInteger(Number(second)))
      return [[name, Number(first), Number(second)]];
    if (name === "eq" || name === "starts-with") return [[name, String(first), String(second)]];
    throw invalid(`Invalid condition: ${JSON.stringify(condition)}.`);
  });
  return { expiration, conditions };
}

function successOf(fields: Map<string, string>): PostForm["success"] {
  const redirect = fields.get("success_action_redirect") ?? fields.get("redirect");
  if (redirect !== undefined && URL.canParse(redirect)) return { redirect };
  const status = Number(fields.get("success_action_status"));
  return { status: status === 200 || status === 201 ? status : 204 };
}
