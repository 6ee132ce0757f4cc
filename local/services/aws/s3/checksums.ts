import { createHash } from "node:crypto";
import { Crc32, Crc32c, Crc64Nvme } from "@aws-sdk/checksums/crc";
import { CloudError, type Properties } from "../../../kernel/service.js";
import { invalidRequest } from "./errors.js";

interface Algorithm {
  /** SDK member name, of inputs and outputs. */
  member: string;
  /** Of the digest. */
  bytes: number;
  digest(body: Buffer): Promise<Uint8Array>;
  /** Whether a multipart object can only be checked by its parts' checksums, or also (and by default) over its bytes. */
  whole: "never" | "possible" | "always";
}

const crc = (Implementation: new () => { update(data: Uint8Array): void; digest(): Promise<Uint8Array> }) => async (body: Buffer) => {
  const checksum = new Implementation();
  checksum.update(body);
  return checksum.digest();
};
const hash = (name: string) => async (body: Buffer) => createHash(name).update(body).digest();

/** The algorithms of S3's additional checksums, by their names in the API. */
const ALGORITHMS: Record<string, Algorithm> = {
  CRC32: { member: "ChecksumCRC32", bytes: 4, digest: crc(Crc32), whole: "possible" },
  CRC32C: { member: "ChecksumCRC32C", bytes: 4, digest: crc(Crc32c), whole: "possible" },
  CRC64NVME: { member: "ChecksumCRC64NVME", bytes: 8, digest: crc(Crc64Nvme), whole: "always" },
  SHA1: { member: "ChecksumSHA1", bytes: 20, digest: hash("sha1"), whole: "never" },
  SHA256: { member: "ChecksumSHA256", bytes: 32, digest: hash("sha256"), whole: "never" },
};

export const CHECKSUM_MEMBERS: readonly string[] = Object.values(ALGORITHMS).map(({ member }) => member);

/**
 * Holds a body against whatever the sender said of it, and returns the checksum to keep.
 *
 * @throws CloudError BadDigest, InvalidDigest or InvalidRequest
 */
export async function verifyBody(body: Buffer, input: Properties): Promise<Record<string, string>> {
  if (input.ContentMD5 !== undefined) verifyMd5(body, String(input.ContentMD5));
  const given = Object.entries(ALGORITHMS).filter(([, { member }]) => input[member] !== undefined);
  if (given.length > 1) throw invalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.");
  const [found] = given;
  if (!found) {
    if (input.ChecksumAlgorithm === undefined) return {};
    algorithmNamed(input.ChecksumAlgorithm);
    throw invalidRequest(
      "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.",
    );
  }
  const [name, { member, bytes, digest }] = found;
  const claimed = String(input[member]);
  if (Buffer.from(claimed, "base64").length !== bytes)
    throw invalidRequest(`Value for x-amz-checksum-${name.toLowerCase()} header is invalid.`);
  const actual = Buffer.from(await digest(body)).toString("base64");
  if (actual !== claimed) throw new CloudError("BadDigest", `The ${name} you specified did not match the calculated checksum.`);
  return { [member]: actual, ChecksumType: "FULL_OBJECT" };
}

/** How a multipart upload that names an algorithm is going to be checked. */
export function uploadChecksum(input: Properties): { algorithm: string; type: "COMPOSITE" | "FULL_OBJECT" } | undefined {
  if (input.ChecksumAlgorithm === undefined) return undefined;
  const algorithm = String(input.ChecksumAlgorithm).toUpperCase();
  const { whole } = algorithmNamed(algorithm);
  const type = input.ChecksumType ?? (whole === "always" ? "FULL_OBJECT" : "COMPOSITE");
  if ((type === "FULL_OBJECT" && whole === "never") || (type === "COMPOSITE" && whole === "always"))
    throw invalidRequest(`The ${type} checksum type cannot be used with the ${algorithm} checksum algorithm.`);
  return { algorithm, type };
}

/** The checksum of a multipart object, from its bytes or from its parts' checksums. `undefined` when a part came without one. */
export async function multipartChecksum(
  { algorithm, type }: { algorithm: string; type: "COMPOSITE" | "FULL_OBJECT" },
  parts: readonly { checksums: Record<string, string> }[],
  bytes: () => Promise<Buffer>,
): Promise<Record<string, string>> {
  const { member, digest } = algorithmNamed(algorithm);
  if (type === "FULL_OBJECT") return { [member]: Buffer.from(await digest(await bytes())).toString("base64"), ChecksumType: type };
  const ofParts = parts.map(({ checksums }) => checksums[member]);
  if (ofParts.some((checksum) => checksum === undefined))
    throw invalidRequest(
      `The upload was created using the ${algorithm} checksum mode. The complete request must include the checksum for each part.`,
    );
  const composite = await digest(Buffer.concat(ofParts.map((checksum) => Buffer.from(checksum as string, "base64"))));
  return { [member]: `${Buffer.from(composite).toString("base64")}-${parts.length}`, ChecksumType: type };
}

function algorithmNamed(name: unknown): Algorithm {
  const algorithm = ALGORITHMS[String(name).toUpperCase()];
  if (!algorithm)
    throw invalidRequest(`Checksum algorithm ${String(name)} is not emulated: use one of ${Object.keys(ALGORITHMS).join(", ")}.`);
  return algorithm;
}

function verifyMd5(body: Buffer, claimed: string): void {
  if (Buffer.from(claimed, "base64").length !== 16) throw new CloudError("InvalidDigest", "The Content-MD5 you specified was invalid.");
  const actual = createHash("md5").update(body).digest("base64");
  if (actual !== claimed)
    throw new CloudError("BadDigest", "The Content-MD5 you specified did not match what we received.", 400, {
      ExpectedDigest: claimed,
      CalculatedDigest: actual,
    });
}
