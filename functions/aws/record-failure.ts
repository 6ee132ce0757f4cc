import { z } from "zod";
import { FAILURES } from "../core/failures.js";
import { type Notification, recordFailure } from "../core/stages/store-results.js";
import { arrivalOf } from "./arrival.js";
import { dynamodb, s3 } from "./clients.js";
import { environment } from "./environment.js";
import { S3ObjectStore } from "./object-store.js";
import { DynamoRecordStore } from "./record-store.js";
import { ExecutionError, refusalIn } from "./refusals.js";
import { DynamoTagIndex } from "./tag-index.js";

const Failed = z.object({ event: z.unknown(), error: ExecutionError, execution: z.string() });

const {
  PIPELINE_SETTINGS: settings,
  RECORDS_TABLE,
  TAGS_TABLE,
  THUMBNAILS_BUCKET,
} = environment("PIPELINE_SETTINGS", "RECORDS_TABLE", "TAGS_TABLE", "THUMBNAILS_BUCKET");
const client = dynamodb();
const records = new DynamoRecordStore(client, RECORDS_TABLE);
const tags = new DynamoTagIndex(client, TAGS_TABLE, "cloud");
const variants = new S3ObjectStore(s3(), THUMBNAILS_BUCKET);
const ports = { records, tags, variants, settings, clock: { now: () => new Date() } };

/**
 * RecordFailure and MarkFailed: the event and the error in; out, what is to be announced.
 *
 * An image that was refused fails with the refusal's code. Everything else is the infrastructure's: of that, the record says only that it was so,
 * as its readers are the image's owners; the dead letter says what it was.
 */
export async function handler(input: unknown): Promise<{ stored: boolean; notification?: Notification }> {
  const { event, error, execution } = Failed.parse(input);
  const { size, at: _, ...run } = arrivalOf(event);
  const { key, ...failure } = refusalIn(error) ?? { key: undefined, code: "INTERNAL" as const, message: FAILURES.INTERNAL };
  const result = await recordFailure({ ...run, ...(key && { key }), execution }, failure, ports, size);
  return result.stored ? { stored: true, notification: result.notification } : result;
}
