import { z } from "@hono/zod-openapi";
import { contentType, FORMATS } from "../image/identify.js";
import { LONGEST_USER } from "../object-metadata.js";
import { ImageRecord, Status } from "../record.js";
import { type ApiErrorCode, ErrorBody } from "./errors.js";

/** Media types that are ever accepted. */
export const ACCEPTED = FORMATS.map(contentType);

const User = z.string().min(1).max(LONGEST_USER).describe("Whose image it is; with a token, always the token's subject");
const Key = z.string().describe("The object's full name in its store");
const StatusUrl = z.string().describe("Where its record is, relative to this API: `/images/{key}/status`");

/** The multipart body of `POST /upload`. */
export const UploadForm = z.strictObject({
  file: z.instanceof(File).openapi({ type: "string", format: "binary", description: "The image; its file name becomes part of the key" }),
  user: z.preprocess((value) => (value === "" ? undefined : value), User.optional()).openapi({ type: "string", maxLength: LONGEST_USER }),
  overwrite: z.enum(["true", "false"]).default("false").describe("Replace the image that has this name already?"),
});

/** The JSON body of `POST /uploads`. */
export const TicketRequest = z
  .strictObject({
    filename: z.string().describe("Of a path, only the last segment counts"),
    contentType: z.string().describe(`One of ${ACCEPTED.join(", ")}`),
    size: z.int().min(0).describe("Exact size, in bytes"),
    user: User.optional(),
    overwrite: z.boolean().default(false).describe("Replace the image that has this name already?"),
  })
  .openapi("TicketRequest");

/** An upload that was taken, or a redrive that was begun. */
export const Accepted = z.object({ key: Key, statusUrl: StatusUrl }).openapi("Accepted");

/** Leave to upload one file straight to the store. */
export const Ticket = z
  .object({
    key: Key,
    statusUrl: StatusUrl,
    method: z.enum(["PUT", "POST"]),
    url: z.string(),
    headers: z.record(z.string(), z.string()).optional().describe("To send with the bytes"),
    fields: z.record(z.string(), z.string()).optional().describe("To send as multipart, before the part `file`"),
    expiresAt: z.iso.datetime(),
  })
  .openapi("Ticket");

/** A record, and where its pictures can be fetched for a while. */
export const ImageDetails = ImageRecord.extend({
  urls: z.object({
    original: z.string().describe("Downloads the original under its file name"),
    variants: z.record(z.string(), z.string()).describe("By the variant's name"),
  }),
}).openapi("ImageDetails");

const Limit = z.coerce.number().int().min(1).max(100).default(20).describe("Items per page");
const Cursor = z.string().min(1).optional().describe("The `cursor` of the previous page");
const Time = z
  .union([z.iso.datetime({ offset: true }), z.iso.date()])
  .transform((text) => new Date(text).toISOString())
  .optional();

/** The query of `GET /images`. */
export const ImagesQuery = z.strictObject({
  user: User.optional(),
  tag: z.string().min(1).max(255).optional().describe("A tag's exact name"),
  status: Status.optional(),
  from: Time.openapi({ type: "string", format: "date-time", description: "Uploaded then or later, ISO 8601" }),
  to: Time.openapi({ type: "string", format: "date-time", description: "Uploaded before then, ISO 8601" }),
  limit: Limit,
  cursor: Cursor,
});

/** The query of `GET /failures`; both apply to `images`. */
export const FailuresQuery = z.strictObject({ limit: Limit, cursor: Cursor });

export const Images = z
  .object({ items: z.array(ImageRecord), cursor: z.string().optional().describe("Absent on the last page") })
  .openapi("Images");

export const Failures = z
  .object({
    deadLetters: z
      .array(
        z.object({
          key: z.string(),
          error: z.object({ code: z.string(), message: z.string() }),
          at: z.iso.datetime(),
        }),
      )
      .describe("Work that the infrastructure could not do, and that can be redriven"),
    images: z.array(ImageRecord).describe("Images that were refused, newest first"),
    cursor: z.string().optional().describe("For the next page of `images`; absent on the last"),
  })
  .openapi("Failures");

/** The one answer for an image that nobody knows. */
export const UnknownImage = z
  .object({ message: z.literal("Image details not found for the given image identifier.") })
  .openapi("UnknownImage");
export const UNKNOWN_IMAGE: z.infer<typeof UnknownImage> = { message: "Image details not found for the given image identifier." };

/** What a parameter may be, in words, for the error that names it. */
export const ALLOWED: Readonly<Record<string, string>> = {
  filename: "a string: the file's name",
  contentType: `one of ${ACCEPTED.join(", ")}`,
  size: "a whole number: the file's exact size in bytes",
  user: `a string of 1 to ${LONGEST_USER} characters`,
  overwrite: "true or false",
  tag: "a tag's name, of 1 to 255 characters",
  status: `one of ${Status.options.join(", ")}`,
  from: 'an ISO 8601 time such as "2026-05-01" or "2026-05-01T12:00:00Z"',
  to: 'an ISO 8601 time such as "2026-05-01" or "2026-05-01T12:00:00Z"',
  limit: "a whole number from 1 to 100",
  cursor: "the cursor of the previous page, with the same filters",
};

/** A JSON response of the OpenAPI document. */
export function json<Schema extends z.ZodType>(description: string, schema: Schema) {
  return { description, content: { "application/json": { schema } } };
}

/** An error response of the OpenAPI document, naming its codes. */
export function refusal(...codes: [ApiErrorCode, ...ApiErrorCode[]]) {
  return json(codes.join(", "), ErrorBody.openapi("Error"));
}

/** What any route that needs the key may answer. */
export const ALWAYS = { 401: refusal("UNAUTHORIZED"), 500: refusal("INTERNAL") };

export const ImageKey = z.object({
  key: z
    .string()
    .describe(
      "The image's key, slashes and all. Percent-encode what a URL's path cannot hold; a slash may be encoded, and has to be before a last segment `status`.",
    ),
});
