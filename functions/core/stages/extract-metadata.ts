import { inspect } from "../image/inspect.js";
import { objectSource } from "../image/source.js";
import type { ObjectStore } from "../ports.js";
import type { Metadata } from "../record.js";
import type { Settings } from "../settings.js";
import type { ValidImage } from "./validate.js";

/**
 * What the picture's header says.
 *
 * @throws ImageRefused for what only the whole structure shows (a GIF that ends within a frame).
 * @throws ObjectChanged, ObjectMissing when another version, or none, is there by now.
 */
export async function extractMetadata(
  { run, size, etag }: Pick<ValidImage, "run" | "size" | "etag">,
  { uploads, settings }: { uploads: ObjectStore; settings: Pick<Settings, "limits" | "gps"> },
): Promise<Metadata> {
  return inspect(objectSource(uploads, { key: run.key, size, etag }), settings.limits, { gps: settings.gps });
}
