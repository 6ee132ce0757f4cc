import { cleanUp } from "../core/stages/clean-up.js";
import { departureOf } from "./arrival.js";
import { dynamodb, s3, stepFunctions } from "./clients.js";
import { environment } from "./environment.js";
import { S3ObjectStore } from "./object-store.js";
import { DynamoRecordStore } from "./record-store.js";
import { DynamoTagIndex } from "./tag-index.js";
import { StepFunctionsWorkflow } from "./workflow.js";

const { PIPELINE_SETTINGS, UPLOADS_BUCKET, THUMBNAILS_BUCKET, RECORDS_TABLE, TAGS_TABLE, WORKFLOW_ARN } = environment(
  "PIPELINE_SETTINGS",
  "UPLOADS_BUCKET",
  "THUMBNAILS_BUCKET",
  "RECORDS_TABLE",
  "TAGS_TABLE",
  "WORKFLOW_ARN",
);
const [objects, tables] = [s3(), dynamodb()];
const ports = {
  uploads: new S3ObjectStore(objects, UPLOADS_BUCKET),
  variants: new S3ObjectStore(objects, THUMBNAILS_BUCKET),
  records: new DynamoRecordStore(tables, RECORDS_TABLE),
  tags: new DynamoTagIndex(tables, TAGS_TABLE, "cloud"),
  settings: PIPELINE_SETTINGS,
  workflow: new StepFunctionsWorkflow(stepFunctions(), WORKFLOW_ARN, UPLOADS_BUCKET),
};

/**
 * Follows the deletion of an original: variants, record and tags go too.
 *
 * Grants: s3:GetObject on uploads/*, s3:ListBucket on the uploads, s3:DeleteObject on thumbnails/*, dynamodb:GetItem and PutItem on the records,
 * BatchWriteItem on the tags, states:StartExecution on the workflow.
 */
export async function handler(event: unknown): Promise<void> {
  await cleanUp(departureOf(event), ports);
}
