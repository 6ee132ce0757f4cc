import sharp from "sharp";
import { jsonProtocol } from "../../../kernel/aws/protocols/json.js";
import type { Cloud } from "../../../kernel/cloud.js";
import { CloudError, type Operation, type Principal, type Properties, type Service } from "../../../kernel/service.js";
import { type Label, label, MODEL_VERSION } from "../../vision/labeller.js";

/** Quotas of its guide, "Guidelines and quotas in Amazon Rekognition". */
const BYTES_LIMIT = 5 * 1024 * 1024;
const OBJECT_LIMIT = 15 * 1024 * 1024;
const [SMALLEST_SIDE, LARGEST_SIDE] = [80, 10_000];

const parameter = (message: string) => new CloudError("InvalidParameterException", message);

/** Amazon Rekognition's DetectLabels, in its wire format; the labels come from pixel statistics and say so in `LabelModelVersion`. */
export default function rekognition(): Service {
  return {
    name: "rekognition",
    api: {
      protocol: jsonProtocol({ signing: "rekognition", target: "RekognitionService", version: "1.1" }),
      operations: { DetectLabels: detectLabels },
    },
  };
}

const detectLabels: Operation = {
  needs: () => [{ action: "rekognition:DetectLabels", resource: "*" }],
  async handle({ Image, MaxLabels, MinConfidence = 55, Features = ["GENERAL_LABELS"], Settings }, { cloud, principal }) {
    if (MaxLabels !== undefined && !(Number.isInteger(MaxLabels) && MaxLabels >= 1))
      throw parameter(`MaxLabels is ${MaxLabels}: it must be a whole number of at least 1.`);
    if (!(typeof MinConfidence === "number" && MinConfidence >= 0 && MinConfidence <= 100))
      throw parameter(`MinConfidence is ${MinConfidence}: it must be 0 to 100.`);
    if (JSON.stringify(Features) !== '["GENERAL_LABELS"]')
      throw parameter(`Features is ${JSON.stringify(Features)}: the embedded cloud has ["GENERAL_LABELS"] only.`);
    if (Settings) throw parameter("Settings: label filters are not emulated.");
    const image = await bytesOf(Image, principal, cloud);
    await checkImage(image);
    const labels = await label(image).catch(() => {
      throw invalidFormat();
    });
    return {
      Labels: labels
        .filter(({ confidence }) => confidence >= MinConfidence)
        .slice(0, MaxLabels)
        .map(inWireFormat),
      LabelModelVersion: MODEL_VERSION,
    };
  },
};

const invalidFormat = () => new CloudError("InvalidImageFormatException", "Request has invalid image format");

function inWireFormat({ name, confidence, parent }: Label): Properties {
  return {
    Name: name,
    Confidence: confidence,
    Instances: [],
    Parents: parent ? [{ Name: parent }] : [],
    Aliases: [],
    Categories: [{ Name: "Colors and Visual Composition" }],
  };
}

/** The image's bytes; those of an object are read as the caller, so that the caller's permissions count. */
async function bytesOf(image: Properties | undefined, as: Principal, cloud: Cloud): Promise<Buffer> {
  const { Bytes, S3Object } = image ?? {};
  if ((Bytes === undefined) === (S3Object === undefined)) throw parameter("Image must have either Bytes or S3Object.");
  if (Bytes !== undefined) {
    const bytes = typeof Bytes === "string" ? Buffer.from(Bytes, "base64") : Buffer.from(Bytes);
    if (bytes.length === 0 || bytes.length > BYTES_LIMIT)
      throw parameter(`Image.Bytes has ${bytes.length} bytes: it must have 1 to ${BYTES_LIMIT}.`);
    return bytes;
  }
  const { Bucket, Name, Version } = S3Object;
  if (!Bucket || !Name) throw parameter("Image.S3Object must have Bucket and Name.");
  const input = { Bucket, Key: Name, ...(Version ? { VersionId: Version } : {}) };
  const found = await cloud.call({ service: "s3", operation: "GetObject", input, as }).catch((error) => {
    const why = `Unable to get object metadata from S3. Check object key, region and/or access permissions. (${error.message})`;
    throw new CloudError("InvalidS3ObjectException", why);
  });
  const bytes = Buffer.from(found.Body);
  if (bytes.length > OBJECT_LIMIT)
    throw new CloudError("ImageTooLargeException", `Image size is too large: ${bytes.length} bytes are more than ${OBJECT_LIMIT}.`);
  return bytes;
}

async function checkImage(image: Buffer): Promise<void> {
  const { format, width, height } = await sharp(image)
    .metadata()
    .catch(() => {
      throw invalidFormat();
    });
  if (format !== "jpeg" && format !== "png") throw invalidFormat();
  if (Math.max(width, height) > LARGEST_SIDE)
    throw new CloudError(
      "ImageTooLargeException",
      `Image dimensions are too large: ${width} × ${height} pixels, at most ${LARGEST_SIDE} a side.`,
    );
  if (Math.min(width, height) < SMALLEST_SIDE)
    throw parameter(`Request has invalid image size: ${width} × ${height} pixels, at least ${SMALLEST_SIDE} a side.`);
}
