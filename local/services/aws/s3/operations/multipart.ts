import { createHash } from "node:crypto";
import { CloudError, type Operation, type Permission, type Properties } from "../../../../kernel/service.js";
import { multipartChecksum, uploadChecksum, verifyBody } from "../checksums.js";
import { invalidArgument, malformedXml, noSuchUpload } from "../errors.js";
import { describe, stored, wholeNumber, writeContext } from "../members.js";
import { checkWrite } from "../preconditions.js";
import { checkKey, type Storage } from "../storage.js";
import type { Part, Upload } from "../store.js";
import { asBuffer, causeOf, location, supported } from "./objects.js";

const MOST_PARTS = 10_000;
/** Of every part but the last, in bytes. */
const LEAST_PART = 5 * 1024 * 1024;
const PAGE = 1_000;

/** Uploads in parts. */
export function multipartOperations(storage: Storage): Record<string, Operation> {
  const onKey = (action: string, { Bucket, Key }: Properties, context?: Record<string, string>): Permission => {
    storage.bucket(Bucket);
    return { action: `s3:${action}`, resource: storage.arn(Bucket, Key), ...(context && { context }) };
  };
  const uploadOf = ({ Bucket, Key, UploadId }: Properties): Upload => {
    const upload = storage.store.upload(Bucket, String(UploadId));
    if (!upload || upload.key !== Key) throw noSuchUpload(String(UploadId));
    return upload;
  };

  const operations: Record<string, Operation> = {
    CreateMultipartUpload: {
      needs: (input) => [
        onKey("PutObject", input, writeContext(input)),
        ...(input.Tagging === undefined ? [] : [onKey("PutObjectTagging", input, writeContext(input))]),
      ],
      async handle(input, { principal }) {
        const { Bucket, Key } = input;
        storage.bucketFor(Bucket, principal);
        checkKey(Key);
        const checksum = uploadChecksum(input);
        const upload = storage.store.beginUpload(Bucket, { ...describe(input, {}), key: Key, ...(checksum && { checksum }) });
        return {
          Bucket,
          Key,
          UploadId: upload.id,
          ServerSideEncryption: "AES256",
          ...(checksum && { ChecksumAlgorithm: checksum.algorithm, ChecksumType: checksum.type }),
        };
      },
    },
    UploadPart: {
      needs: (input) => [onKey("PutObject", input)],
      async handle(input, { principal }) {
        const { Bucket } = input;
        storage.bucketFor(Bucket, principal);
        const { id } = uploadOf(input);
        const number = Number(input.PartNumber);
        if (!Number.isInteger(number) || number < 1 || number > MOST_PARTS)
          throw invalidArgument(`Part number must be an integer between 1 and ${MOST_PARTS}, inclusive`, "partNumber", input.PartNumber);
        const body = asBuffer(input.Body);
        const { ChecksumType: _, ...checksums } = await verifyBody(body, input);
        const staged = await storage.store.stage(Bucket, body);
        if (!storage.store.addPart(Bucket, id, number, staged, checksums)) throw noSuchUpload(id);
        return { ETag: `"${staged.md5}"`, ServerSideEncryption: "AES256", ...checksums };
      },
    },
    CompleteMultipartUpload: {
      needs: (input) => [
        onKey("PutObject", input, writeContext(input)),
        ...(input.IfMatch === undefined ? [] : [onKey("GetObject", input)]),
      ],
      async handle(input, context) {
        const { Bucket, Key } = input;
        const bucket = storage.bucketFor(Bucket, context.principal);
        const upload = uploadOf(input);
        const allowed = checkWrite(Key, input);
        const parts = chosenParts(storage.store.parts(Bucket, upload.id), input.MultipartUpload?.Parts);
        const staged = await storage.store.assemble(Bucket, parts);
        const content = () => storage.store.read(Bucket, staged);
        const checksums = upload.checksum ? await multipartChecksum(upload.checksum, parts, content) : {};
        for (const [member, value] of Object.entries(checksums)) {
          if (input[member] === undefined || input[member] === value) continue;
          await storage.store.unstage(Bucket, staged);
          throw new CloudError("BadDigest", `The ${member} you specified did not match the calculated checksum.`);
        }
        if (!storage.store.upload(Bucket, upload.id)) {
          await storage.store.unstage(Bucket, staged);
          throw noSuchUpload(upload.id);
        }
        const { headers, metadata, tags } = upload;
        const whole = { ...staged, etag: etagOf(parts) };
        const object = storage.put(
          Bucket,
          Key,
          whole,
          { headers, metadata, tags, checksums },
          causeOf(context, "CompleteMultipartUpload"),
          allowed,
        );
        await storage.store.endUpload(Bucket, upload.id);
        return {
          Location: location(context.cloud.url, input),
          Bucket,
          Key,
          ETag: `"${object.etag}"`,
          ...checksums,
          ...stored(object, bucket),
        };
      },
    },
    AbortMultipartUpload: {
      needs: (input) => [onKey("AbortMultipartUpload", input)],
      async handle(input, { principal }) {
        storage.bucketFor(input.Bucket, principal);
        await storage.store.endUpload(input.Bucket, uploadOf(input).id);
        return {};
      },
    },
    ListParts: {
      needs: (input) => [onKey("ListMultipartUploadParts", input)],
      async handle(input, { principal }) {
        const { Bucket, Key } = input;
        storage.bucketFor(Bucket, principal);
        const { id, checksum } = uploadOf(input);
        const after = wholeNumber(input.PartNumberMarker, "part-number-marker", { from: 0, to: MOST_PARTS, otherwise: 0 });
        const most = wholeNumber(input.MaxParts, "max-parts", { from: 0, to: PAGE, otherwise: PAGE });
        const rest = storage.store.parts(Bucket, id).filter(({ number }) => number > after);
        const page = rest.slice(0, most);
        return {
          Bucket,
          Key,
          UploadId: id,
          PartNumberMarker: String(after),
          NextPartNumberMarker: String(page.at(-1)?.number ?? after),
          MaxParts: most,
          IsTruncated: rest.length > page.length,
          StorageClass: "STANDARD",
          ...(checksum && { ChecksumAlgorithm: checksum.algorithm, ChecksumType: checksum.type }),
          Parts: page.map(({ number, modifiedAt, etag, size, checksums }) => ({
            PartNumber: number,
            LastModified: modifiedAt,
            ETag: `"${etag}"`,
            Size: size,
            ...checksums,
          })),
        };
      },
    },
  };
  return Object.fromEntries(Object.entries(operations).map(([name, operation]) => [name, supported(operation)]));
}

/** The parts that a completion names. @throws CloudError MalformedXML, InvalidPartOrder, InvalidPart, EntityTooSmall */
function chosenParts(uploaded: readonly Part[], named: readonly Properties[] | undefined): Part[] {
  if (!named || named.length === 0) throw malformedXml();
  const numbers = named.map(({ PartNumber }) => Number(PartNumber));
  if (numbers.some((number, index) => index > 0 && number <= (numbers[index - 1] as number)))
    throw new CloudError("InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number.");
  const byNumber = new Map(uploaded.map((part) => [part.number, part]));
  const chosen = named.map(({ PartNumber, ETag, ...rest }) => {
    const part = byNumber.get(Number(PartNumber));
    const checksumsAgree = Object.entries(part?.checksums ?? {}).every(
      ([member, value]) => rest[member] === undefined || rest[member] === value,
    );
    if (!part || part.etag !== String(ETag).replace(/^"(.*)"$/, "$1") || !checksumsAgree)
      throw new CloudError(
        "InvalidPart",
        "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
        400,
        { PartNumber, ETag },
      );
    return part;
  });
  for (const part of chosen.slice(0, -1))
    if (part.size < LEAST_PART)
      throw new CloudError("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", 400, {
        PartNumber: part.number,
        ProposedSize: part.size,
        MinSizeAllowed: LEAST_PART,
      });
  return chosen;
}

const etagOf = (parts: readonly Part[]): string =>
  `${createHash("md5")
    .update(Buffer.concat(parts.map(({ etag }) => Buffer.from(etag, "hex"))))
    .digest("hex")}-${parts.length}`;
