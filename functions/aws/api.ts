import page from "virtual:page";
import project from "../../package.json" with { type: "json" };
import { createApi } from "../core/api/app.js";
import { dynamodb, s3, secretsManager, sqs, stepFunctions } from "./clients.js";
import { SqsDeadLetters } from "./dead-letters.js";
import { environment } from "./environment.js";
import { behindGateway } from "./gateway.js";
import { S3ObjectStore } from "./object-store.js";
import { DynamoRecordStore } from "./record-store.js";
import { secret } from "./secrets.js";
import { DynamoTagIndex } from "./tag-index.js";
import { StepFunctionsWorkflow } from "./workflow.js";

/** A function is given at most 6 MB, the rest of the event and base64's third more included. Bytes. */
const BODY_LIMIT = 4_500_000;

const {
  PIPELINE_SETTINGS: settings,
  UPLOADS_BUCKET,
  UPLOADS_PREFIX,
  THUMBNAILS_BUCKET,
  RECORDS_TABLE,
  TAGS_TABLE,
  DEAD_LETTERS_URL,
  WORKFLOW_ARN,
} = environment(
  "PIPELINE_SETTINGS",
  "UPLOADS_BUCKET",
  "UPLOADS_PREFIX",
  "THUMBNAILS_BUCKET",
  "RECORDS_TABLE",
  "TAGS_TABLE",
  "DEAD_LETTERS_URL",
  "WORKFLOW_ARN",
);
const [objects, tables] = [s3(), dynamodb()];

const app = createApi({
  uploads: new S3ObjectStore(objects, UPLOADS_BUCKET),
  variants: new S3ObjectStore(objects, THUMBNAILS_BUCKET),
  records: new DynamoRecordStore(tables, RECORDS_TABLE),
  tags: new DynamoTagIndex(tables, TAGS_TABLE, "cloud"),
  deadLetters: new SqsDeadLetters(sqs(), DEAD_LETTERS_URL),
  workflow: new StepFunctionsWorkflow(stepFunctions(), WORKFLOW_ARN, UPLOADS_BUCKET),
  apiKey:
    settings.auth.kind === "key"
      ? secret(secretsManager(), environment("API_KEY_SECRET").API_KEY_SECRET)
      : () => Promise.reject(new Error("There is no API key: callers are told by other means.")),
  clock: { now: () => new Date() },
  settings,
  page,
  version: project.version,
  prefix: UPLOADS_PREFIX,
  bodyLimit: BODY_LIMIT,
});

/** The HTTP API. */
export const handler = behindGateway(app);
