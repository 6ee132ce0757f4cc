import { type Notification, storeResults } from "../core/stages/store-results.js";
import { dynamodb, s3 } from "./clients.js";
import { environment } from "./environment.js";
import { cloudLabels, type Findings, tagsOf } from "./findings.js";
import { S3ObjectStore } from "./object-store.js";
import { DynamoRecordStore } from "./record-store.js";
import { DynamoTagIndex } from "./tag-index.js";

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

/** StoreResults: all that was found in; out, what is to be announced. `stored: false` when it is not. */
export async function handler({
  input,
  execution,
}: {
  input: Findings;
  execution: string;
}): Promise<{ stored: boolean; notification?: Notification }> {
  const { metadata, thumbnails } = input.found;
  const { fingerprint } = thumbnails;
  const labels = cloudLabels(input);
  if (labels) await tags.remember(fingerprint.sha256, labels);
  const completion = { ...metadata, ...fingerprint, size: input.size, variants: thumbnails.variants, tags: tagsOf(input) };
  const result = await storeResults({ ...input.run, execution }, completion, ports);
  // The record is in the message; twice would only take room in what a state may hand on.
  return result.stored ? { stored: true, notification: result.notification } : result;
}
