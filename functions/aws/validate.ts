import { type Validated, validate } from "../core/stages/validate.js";
import { arrivalOf, underItsOwnKey } from "./arrival.js";
import { dynamodb, s3 } from "./clients.js";
import { environment } from "./environment.js";
import { S3ObjectStore } from "./object-store.js";
import { DynamoRecordStore } from "./record-store.js";
import { refusing } from "./refusals.js";

const { PIPELINE_SETTINGS: settings, UPLOADS_BUCKET, RECORDS_TABLE } = environment("PIPELINE_SETTINGS", "UPLOADS_BUCKET", "RECORDS_TABLE");
const uploads = new S3ObjectStore(s3(), UPLOADS_BUCKET);
const records = new DynamoRecordStore(dynamodb(), RECORDS_TABLE);

/** Validate: the whole event in, what the other stages work on out. */
export async function handler(event: unknown): Promise<Validated> {
  const arrival = arrivalOf(event);
  const validated = await refusing(() => validate(arrival, { uploads, records, settings }));
  if (!validated.stale) return validated;
  const own = await underItsOwnKey(arrival, uploads);
  return own ? refusing(() => validate(own, { uploads, records, settings }), own.key) : validated;
}
