import { z } from "zod";
import { FAILURES, type FailureCode } from "./failures.js";

/** A label: what is seen in the picture, and how surely (0–100). */
export const Tag = z.object({ name: z.string(), confidence: z.number().min(0).max(100) });
export type Tag = z.infer<typeof Tag>;

/** A stored rendition of the original. */
export const Variant = z.object({
  name: z.string().describe("The name under `thumbnails` in the program"),
  key: z.string().describe("Its full name in the thumbnails store"),
  width: z.int().describe("Pixels"),
  height: z.int().describe("Pixels"),
  format: z.string(),
  size: z.int().describe("Bytes"),
});
export type Variant = z.infer<typeof Variant>;

export const Status = z.enum(["processing", "completed", "failed"]);
export type Status = z.infer<typeof Status>;

/** What the picture itself says, read from its header. */
export const Metadata = z.object({
  format: z.string().describe("By content: jpeg, png, webp, gif"),
  width: z.int().describe("Pixels, after orientation"),
  height: z.int().describe("Pixels, after orientation"),
  colorSpace: z.string().describe("srgb, b-w, cmyk, …"),
  hasAlpha: z.boolean(),
  frames: z.int().min(1).describe("More than 1 when animated; variants show the first"),
  orientation: z.int().min(1).max(8).describe("EXIF orientation of the original"),
  exif: z.record(z.string(), z.union([z.string(), z.number()])).describe("Chosen fields; GPS only by opt-in"),
});
export type Metadata = z.infer<typeof Metadata>;

/** What only the pixels say: found by the one full decode. */
export const Fingerprint = z.object({
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .describe("Of the original's bytes, hex"),
  dominantColor: z.string().regex(/^#[0-9a-f]{6}$/),
  thumbhash: z.string().describe("Base64, see evanw/thumbhash"),
});
export type Fingerprint = z.infer<typeof Fingerprint>;

/** What is known of one image: the same JSON on every cloud. */
export const ImageRecord = z
  .object({
    key: z.string().describe("The object's full name in its store"),
    user: z.string().optional(),
    status: Status,
    size: z.int().optional().describe("Bytes"),
    ...Metadata.partial().shape,
    ...Fingerprint.partial().shape,
    variants: z.array(Variant).optional(),
    tags: z.array(Tag).optional(),
    uploadedAt: z.iso.datetime(),
    processedAt: z.iso.datetime().optional(),
    failure: z.object({ code: z.enum(Object.keys(FAILURES) as [FailureCode, ...FailureCode[]]), message: z.string() }).optional(),
  })
  // What the OpenAPI document calls it.
  .meta({ id: "ImageRecord" });
export type ImageRecord = z.infer<typeof ImageRecord>;
