import assert from "node:assert/strict";
import sharp, { type Create } from "sharp";
import type { Principal, Properties } from "../../../../../local/kernel/service.js";
import iam from "../../../../../local/services/aws/iam.js";
import rekognition from "../../../../../local/services/aws/rekognition/index.js";
import s3 from "../../../../../local/services/aws/s3/index.js";
import { type TestCloud, testCloud } from "../../../cloud.js";
import { declareRole } from "../lambda/functions.js";

const picture = (width: number, height: number) => sharp({ create: { width, height, channels: 3, background: { r: 20, g: 60, b: 230 } } });

describe("Rekognition's DetectLabels", () => {
  let test: TestCloud;
  let bytes: Buffer;
  before(async () => {
    test = await testCloud([iam(), s3(), rekognition()]);
    bytes = await picture(200, 100).jpeg().toBuffer();
  });
  after(() => test.stop());

  const detect = (input: Properties, as: Principal = test.owner) =>
    test.cloud.call({ service: "rekognition", operation: "DetectLabels", input, as });

  it("answers in the wire format, and says what it is", async () => {
    const { Labels, LabelModelVersion } = await detect({ Image: { Bytes: bytes.toString("base64") } });
    assert.equal(LabelModelVersion, "embedded-statistics");
    const blue = Labels.find(({ Name }: Properties) => Name === "Blue");
    assert.deepEqual(blue, {
      Name: "Blue",
      Confidence: 100,
      Instances: [],
      Parents: [{ Name: "Color" }],
      Aliases: [],
      Categories: [{ Name: "Colors and Visual Composition" }],
    });
  });

  it("gives no more labels than asked for, nor less sure ones", async () => {
    assert.equal((await detect({ Image: { Bytes: bytes }, MaxLabels: 1 })).Labels.length, 1);
    const { Labels } = await detect({ Image: { Bytes: bytes }, MinConfidence: 99 });
    assert.ok(Labels.length > 0 && Labels.every(({ Confidence }: Properties) => Confidence >= 99));
  });

  it("reads objects as the caller", async () => {
    const bucket = await test.declare("aws:s3/bucket:Bucket", "pictures");
    const Bucket = bucket.outputs.bucket;
    await test.cloud.call({ service: "s3", operation: "PutObject", input: { Bucket, Key: "a.jpg", Body: bytes }, as: test.owner });
    const Image = { S3Object: { Bucket, Name: "a.jpg" } };
    const looking = await declareRole(test, "looking", "lambda.amazonaws.com", ["rekognition:DetectLabels"]);
    await assert.rejects(detect({ Image }, test.session(looking).principal), {
      code: "InvalidS3ObjectException",
      message: /s3:GetObject|Access Denied/,
    });
    const reading = await declareRole(test, "reading", "lambda.amazonaws.com", ["rekognition:DetectLabels", "s3:GetObject"]);
    assert.ok((await detect({ Image }, test.session(reading).principal)).Labels.length > 0);
    await assert.rejects(detect({ Image: { S3Object: { Bucket, Name: "none" } } }), { code: "InvalidS3ObjectException" });
  });

  it("needs permission", async () => {
    const role = await declareRole(test, "blind", "lambda.amazonaws.com");
    await assert.rejects(detect({ Image: { Bytes: bytes } }, test.session(role).principal), {
      code: "AccessDeniedException",
      message: /rekognition:DetectLabels/,
    });
  });

  const refused: [what: string, image: () => Promise<Buffer> | Buffer, code: string][] = [
    ["WebP", () => picture(100, 100).webp().toBuffer(), "InvalidImageFormatException"],
    ["GIF", () => picture(100, 100).gif().toBuffer(), "InvalidImageFormatException"],
    ["text", () => Buffer.from("text"), "InvalidImageFormatException"],
    [
      "a truncated PNG",
      async () =>
        (
          await sharp(
            await sharp({
              create: {
                width: 300,
                height: 300,
                channels: 3,
                noise: { type: "gaussian", mean: 128, sigma: 60 },
                background: "black",
              } as Create,
            })
              .png()
              .toBuffer(),
          )
            .png()
            .toBuffer()
        ).subarray(0, 9_000),
      "InvalidImageFormatException",
    ],
    ["a picture of less than 80 pixels", () => picture(79, 100).png().toBuffer(), "InvalidParameterException"],
    ["a picture of more than 10,000 pixels", () => picture(10_001, 80).png().toBuffer(), "ImageTooLargeException"],
    ["more than 5 MB", () => Buffer.alloc(5 * 1024 * 1024 + 1), "InvalidParameterException"],
    ["nothing", () => Buffer.alloc(0), "InvalidParameterException"],
  ];
  for (const [what, image, code] of refused)
    it(`refuses ${what}`, async () => assert.rejects(detect({ Image: { Bytes: await image() } }), { code }));

  for (const input of [
    {},
    { Image: {} },
    { Image: { Bytes: "", S3Object: {} } },
    { MinConfidence: 101 },
    { MaxLabels: 0 },
    { Features: ["IMAGE_PROPERTIES"] },
  ])
    it(`refuses the parameters ${JSON.stringify(input)}`, () =>
      assert.rejects(detect({ ...("Image" in input || Object.keys(input).length === 0 ? {} : { Image: { Bytes: bytes } }), ...input }), {
        code: "InvalidParameterException",
      }));
});
