import { z } from "zod";
import { type Declared, declared, SettingsVariable } from "../core/environment.js";

const name = z.string().min(1);

/** What the program can declare: for the Function App as app settings, for the container as environment. */
const VARIABLES = {
  /** JSON of {@link Settings}. */
  PIPELINE_SETTINGS: SettingsVariable,
  /** The storage account's endpoints, as Azure tells them. */
  STORAGE_BLOB_URL: z.url(),
  STORAGE_QUEUE_URL: z.url(),
  STORAGE_TABLE_URL: z.url(),
  /** Container that images arrive in. */
  UPLOADS_CONTAINER: name,
  /** Container of the variants, and of the pictures that labels are found in. */
  THUMBNAILS_CONTAINER: name,
  /** What it is called where the processed images themselves lie in it, too. */
  PROCESSED_CONTAINER: name,
  /** Queue that events and messages about images arrive in. */
  JOB_QUEUE: name,
  /** Queue for work that could not be done. */
  DEAD_LETTER_QUEUE: name,
  /** Table of the tags, and of remembered labels. */
  TAGS_TABLE: name,
  /** Host name of the database server. */
  SQL_SERVER: name,
  SQL_PORT: z.coerce.number().int().min(1).max(65_535),
  SQL_DATABASE: name,
  /** Endpoint of the Event Grid topic that results are announced on. */
  TOPIC_ENDPOINT: z.url(),
  /** Endpoint of AI Vision. */
  VISION_ENDPOINT: z.url(),
  /** Client id of the app's own identity. */
  AZURE_CLIENT_ID: name,
  /** The API's key. */
  API_KEY: name,
  /** Where the API's key is kept in Key Vault. */
  API_KEY_SECRET_URI: z.url(),
  /** Endpoint of Communication Services. */
  EMAIL_ENDPOINT: z.url(),
  /** Address that mails come from. */
  EMAIL_SENDER: z.email(),
  /** Address that mails go to. */
  EMAIL_RECIPIENT: z.email(),
};

export type Environment = Declared<typeof VARIABLES>;

/**
 * The declared values of these variables.
 *
 * @throws Error naming the variable that is missing or wrong, and what is wrong with it.
 */
export function environment<Name extends keyof Environment>(...names: Name[]): Pick<Environment, Name> {
  return declared(VARIABLES, names);
}

/** Whether the program has declared this variable: some are only there by option. */
export function isDeclared(name: keyof Environment): boolean {
  return !!process.env[name];
}
