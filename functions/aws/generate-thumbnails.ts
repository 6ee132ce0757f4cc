import { generateThumbnails, type Thumbnails } from "../core/stages/generate-thumbnails.js";
import type { ValidImage } from "../core/stages/validate.js";
import { s3 } from "./clients.js";
import { environment } from "./environment.js";
import { S3ObjectStore } from "./object-store.js";
import { refusing } from "./refusals.js";

const {
  PIPELINE_SETTINGS: settings,
  UPLOADS_BUCKET,
  THUMBNAILS_BUCKET,
} = environment("PIPELINE_SETTINGS", "UPLOADS_BUCKET", "THUMBNAILS_BUCKET");
const client = s3();
const uploads = new S3ObjectStore(client, UPLOADS_BUCKET);
const variants = new S3ObjectStore(client, THUMBNAILS_BUCKET);

/** GenerateThumbnails: what Validate found in, what the one decode gave out. */
export function handler(image: ValidImage): Promise<Thumbnails> {
  return refusing(() => generateThumbnails(image, { uploads, variants, settings }));
}
