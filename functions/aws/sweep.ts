import type { Notification } from "../core/stages/store-results.js";
import { sweep } from "../core/stages/sweep.js";
import { dynamodb, s3, sns, sqs } from "./clients.js";
import { SqsDeadLetters } from "./dead-letters.js";
import { environment } from "./environment.js";
import { announce } from "./notifier.js";
import { S3ObjectStore } from "./object-store.js";
import { DynamoRecordStore } from "./record-store.js";
import { DynamoTagIndex } from "./tag-index.js";

const { PIPELINE_SETTINGS, UPLOADS_BUCKET, THUMBNAILS_BUCKET, RECORDS_TABLE, TAGS_TABLE, DEAD_LETTERS_URL, TOPIC_ARN } = environment(
  "PIPELINE_SETTINGS",
  "UPLOADS_BUCKET",
  "THUMBNAILS_BUCKET",
  "RECORDS_TABLE",
  "TAGS_TABLE",
  "DEAD_LETTERS_URL",
  "TOPIC_ARN",
);
const [objects, tables, topics] = [s3(), dynamodb(), sns()];
const ports = {
  uploads: new S3ObjectStore(objects, UPLOADS_BUCKET),
  variants: new S3ObjectStore(objects, THUMBNAILS_BUCKET),
  records: new DynamoRecordStore(tables, RECORDS_TABLE),
  tags: new DynamoTagIndex(tables, TAGS_TABLE, "cloud"),
  deadLetters: new SqsDeadLetters(sqs(), DEAD_LETTERS_URL),
  settings: PIPELINE_SETTINGS,
  clock: { now: () => new Date() },
  announce: (notification: Notification) => announce(topics, TOPIC_ARN, notification),
};

/**
 * Ends what has been `processing` for too long, and announces what failed by that.
 *
 * Grants: s3:GetObject on uploads/*, s3:ListBucket on the uploads, s3:DeleteObject on thumbnails/*, dynamodb:GetItem, PutItem and DeleteItem on
 * the records, Query on their index byStatus, BatchWriteItem on the tags, sqs:SendMessage on the dead letters, sns:Publish on the topic.
 */
export async function handler(): Promise<{ withdrawn: string[]; failed: string[]; removed: string[] }> {
  const { withdrawn, failed, removed } = await sweep(ports);
  return { withdrawn, failed: failed.map(({ record }) => record.key), removed };
}
