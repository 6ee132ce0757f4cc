import { z } from "zod";
import { type Declared, declared, SettingsVariable } from "../core/environment.js";

const name = z.string().min(1);

/** What the program can declare for a handler. Each handler asks only for what it uses. */
const VARIABLES = {
  /** JSON of {@link Settings}. */
  PIPELINE_SETTINGS: SettingsVariable,
  /** Bucket that images arrive in. */
  UPLOADS_BUCKET: name,
  /** What the keys of images begin with: `uploads/`. */
  UPLOADS_PREFIX: name,
  /** Bucket of the variants, and of the pictures that labels are found in. */
  THUMBNAILS_BUCKET: name,
  /** Table of the records. */
  RECORDS_TABLE: name,
  /** Table of the tags, and of remembered labels. */
  TAGS_TABLE: name,
  /** URL of the queue for work that could not be done. */
  DEAD_LETTERS_URL: z.url(),
  /** ARN of the topic that results are announced on. */
  TOPIC_ARN: name,
  /** ARN of the state machine. */
  WORKFLOW_ARN: name,
  /** ARN of the secret that is the API's key. */
  API_KEY_SECRET: name,
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
