import type { Metadata } from "../core/record.js";
import { extractMetadata } from "../core/stages/extract-metadata.js";
import type { ValidImage } from "../core/stages/validate.js";
import { s3 } from "./clients.js";
import { environment } from "./environment.js";
import { S3ObjectStore } from "./object-store.js";
import { refusing } from "./refusals.js";

const { PIPELINE_SETTINGS: settings, UPLOADS_BUCKET } = environment("PIPELINE_SETTINGS", "UPLOADS_BUCKET");
const uploads = new S3ObjectStore(s3(), UPLOADS_BUCKET);

/** ExtractMetadata: what Validate found in, what the header says out. */
export function handler(image: ValidImage): Promise<Metadata> {
  return refusing(() => extractMetadata(image, { uploads, settings }));
}
