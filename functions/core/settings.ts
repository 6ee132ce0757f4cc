import { z } from "zod";

/** How a variant is made from the original. */
export const VariantSettings = z.object({
  /** Pixels. */
  width: z.int().min(1).max(8192),
  /** Pixels. */
  height: z.int().min(1).max(8192),
  /** `cover` crops to the exact size, enlarging when needed; `inside` keeps the whole picture and never enlarges. */
  fit: z.enum(["cover", "inside"]),
  /** `auto` is JPEG, or PNG where there is alpha. */
  format: z.enum(["auto", "jpeg", "png", "webp"]),
  /** 1–100; used by JPEG and WebP. */
  quality: z.int().min(1).max(100),
});
export type VariantSettings = z.infer<typeof VariantSettings>;

/** Who may call the HTTP API. */
export const AuthSettings = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("key") }),
  z.object({ kind: z.literal("jwt"), issuer: z.url(), audience: z.string().min(1), jwksUri: z.url() }),
  z.object({ kind: z.literal("none") }),
]);
export type AuthSettings = z.infer<typeof AuthSettings>;

/**
 * Most bytes that decoding may hold of one frame at once. Progressive JPEG and interlaced PNG cannot be decoded row by row, nor can WebP and GIF:
 * a picture of theirs may be within the pixel limit, and still need more memory than a worker has.
 */
export const FRAME_BUDGET = 400_000_000;

/** Bytes of a form around the file in it, at most. */
export const FORM_BYTES = 64 * 1024;

/** Bytes of uploads that one uploader takes at a time: one of the largest at least. Each is held some four times, until it is stored. */
export function uploadBudget(limits: { bytes: number }): number {
  return Math.max(100_000_000, limits.bytes + FORM_BYTES);
}

/**
 * What a team chose for its pipeline, normalised by the program and handed to the handlers as JSON (`PIPELINE_SETTINGS`).
 * Every default has been applied by then: handlers never guess.
 */
export const Settings = z.object({
  variants: z.record(z.string(), VariantSettings),
  limits: z.object({ bytes: z.int().positive(), pixels: z.int().positive() }),
  /** Record GPS position from EXIF? */
  gps: z.boolean(),
  auth: AuthSettings,
  /** Who labels; `module` is a team's own. `cloud` and `module` get a JPEG of the picture. */
  tagger: z.enum(["cloud", "statistics", "none", "module"]),
  /** Seconds that an upload ticket or a download link lives. */
  linkLifetime: z.int().min(1).max(900),
});
export type Settings = z.infer<typeof Settings>;

/**
 * The settings that the program declared for this handler.
 *
 * @throws Error naming the variable and the first thing that is wrong with it.
 */
export function parseSettings(json: string | undefined): Settings {
  if (!json) throw new Error("PIPELINE_SETTINGS is not set: the program that deploys this handler has to declare it.");
  const parsed = Settings.safeParse(JSON.parse(json));
  if (!parsed.success) throw new Error(`PIPELINE_SETTINGS is not valid: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
