import type { TokenCredential } from "@azure/identity";
import type { QueueClient } from "@azure/storage-queue";
import { codeVersion } from "../core/code-version.js";
import { kept } from "../core/kept.js";
import type { Clock, DeadLetters, ObjectStore, ResumableRecords, Tagger, TagIndex, Workflow } from "../core/ports.js";
import type { Settings } from "../core/settings.js";
import { none } from "../core/taggers/none.js";
import { statistics } from "../core/taggers/statistics.js";
import { type Account, accountOf } from "./account.js";
import type { Uploads } from "./arrival.js";
import { credentialOf } from "./credential.js";
import { Database } from "./database.js";
import { QueueDeadLetters } from "./dead-letters.js";
import { environment, isDeclared } from "./environment.js";
import { MailNotifier, type Notifier, TopicNotifier } from "./notifier.js";
import { BlobObjectStore } from "./object-store.js";
import { SqlRecordStore } from "./record-store.js";
import { caller } from "./rest.js";
import { TableTagIndex } from "./tag-index.js";
import { vision } from "./vision.js";
import { QueueWorkflow } from "./workflow.js";

/** Records in a database that does not forget by itself. */
export type Records = ResumableRecords & Pick<SqlRecordStore, "forget">;

/** Tags in a table that does not forget by itself. */
export type Tags = TagIndex & Pick<TableTagIndex, "forget">;

/** Where images and all that is known of them are kept. */
export interface Stores {
  settings: Settings;
  uploads: ObjectStore;
  variants: ObjectStore;
  records: Records;
  tags: Tags;
  deadLetters: DeadLetters;
  workflow: Workflow;
  clock: Clock;
  /** Where images arrive. */
  place: Uploads;
}

/** What the workflow works on. */
export interface Ports extends Stores {
  notifiers: readonly Notifier[];
  tagger: Tagger;
}

/**
 * All ports on Azure, as the program has declared them. A Function App is one process with all functions: it has them once.
 *
 * @param own The team's own tagger, where the settings say `module`.
 * @throws Error naming the app setting that is missing or wrong.
 */
export function portsOf(own?: Tagger): Ports & { jobs: QueueClient; apiKey(): Promise<string> } {
  const { PIPELINE_SETTINGS, AZURE_CLIENT_ID, THUMBNAILS_CONTAINER } = environment(
    "PIPELINE_SETTINGS",
    "AZURE_CLIENT_ID",
    "THUMBNAILS_CONTAINER",
  );
  const credential = credentialOf(AZURE_CLIENT_ID);
  return {
    ...storesOf(accountOf(credential), sqlRecords(credential), THUMBNAILS_CONTAINER),
    notifiers: [topicOf(credential), ...mails(credential)],
    tagger: taggerOf(PIPELINE_SETTINGS.tagger, credential, own),
    apiKey: apiKeyOf(PIPELINE_SETTINGS, credential),
  };
}

/** @param variants Container of the variants, and of the pictures that labels are found in. */
export function storesOf({ blobs, signing, queue, table }: Account, records: Records, variants: string): Stores & { jobs: QueueClient } {
  const declared = environment(
    "PIPELINE_SETTINGS",
    "STORAGE_BLOB_URL",
    "UPLOADS_CONTAINER",
    "JOB_QUEUE",
    "DEAD_LETTER_QUEUE",
    "TAGS_TABLE",
  );
  const settings = declared.PIPELINE_SETTINGS;
  const place = { account: declared.STORAGE_BLOB_URL, container: declared.UPLOADS_CONTAINER };
  const jobs = queue(declared.JOB_QUEUE);
  return {
    settings,
    uploads: new BlobObjectStore(signing, blobs, declared.UPLOADS_CONTAINER),
    variants: new BlobObjectStore(signing, blobs, variants),
    records,
    tags: new TableTagIndex(table(declared.TAGS_TABLE), settings.tagger === "cloud" ? "cloud" : `${settings.tagger} ${codeVersion()}`),
    deadLetters: new QueueDeadLetters(queue(declared.DEAD_LETTER_QUEUE)),
    workflow: new QueueWorkflow(jobs, place),
    clock: { now: () => new Date() },
    place,
    jobs,
  };
}

/** Records in the declared database. */
export function sqlRecords(credential: TokenCredential): Records {
  const { SQL_SERVER, SQL_PORT, SQL_DATABASE } = environment("SQL_SERVER", "SQL_PORT", "SQL_DATABASE");
  return new SqlRecordStore(Database.at({ server: SQL_SERVER, port: SQL_PORT, database: SQL_DATABASE }, credential));
}

/** The declared topic. */
export function topicOf(credential: TokenCredential): Notifier {
  return new TopicNotifier(caller(credential, "https://eventgrid.azure.net/.default"), environment("TOPIC_ENDPOINT").TOPIC_ENDPOINT);
}

/**
 * Who finds labels.
 *
 * @param own The team's own tagger, where the settings say `module`.
 */
export function taggerOf(which: Settings["tagger"], credential: TokenCredential, own: Tagger | undefined): Tagger {
  if (which === "none") return none;
  if (which === "statistics") return statistics;
  if (which === "cloud") {
    return vision(caller(credential, "https://cognitiveservices.azure.com/.default"), environment("VISION_ENDPOINT").VISION_ENDPOINT);
  }
  if (!own)
    throw new Error(
      'The settings say "module", but this package has no tagger of the team\'s own: package the entry for modules (app-module, processor-module).',
    );
  return own;
}

/** The declared recipient of mails, if there is one. */
export function mails(credential: TokenCredential): Notifier[] {
  if (!isDeclared("EMAIL_ENDPOINT")) return [];
  const { EMAIL_ENDPOINT, EMAIL_SENDER, EMAIL_RECIPIENT } = environment("EMAIL_ENDPOINT", "EMAIL_SENDER", "EMAIL_RECIPIENT");
  // Mails are few in an hour: who waits for their turn would keep images waiting.
  const call = caller(credential, "https://communication.azure.com/.default", 0);
  return [new MailNotifier(call, { endpoint: EMAIL_ENDPOINT, sender: EMAIL_SENDER, recipient: EMAIL_RECIPIENT })];
}

/** The key in the app's own settings, or in Key Vault. */
export function apiKeyOf({ auth }: Settings, credential: TokenCredential): () => Promise<string> {
  if (auth.kind !== "key") return () => Promise.reject(new Error("There is no API key: callers are told by other means."));
  if (!isDeclared("API_KEY_SECRET_URI")) {
    const { API_KEY } = environment("API_KEY");
    return async () => API_KEY;
  }
  const { API_KEY_SECRET_URI } = environment("API_KEY_SECRET_URI");
  const call = caller(credential, "https://vault.azure.net/.default");
  return kept(async () => {
    const url = new URL(API_KEY_SECRET_URI);
    url.searchParams.set("api-version", "7.4");
    const { value } = (await call(url, { method: "GET" })) as { value?: string };
    if (!value) throw new Error(`The secret ${API_KEY_SECRET_URI} is empty.`);
    return value;
  });
}
