import { TableClient } from "@azure/data-tables";
import { ManagedIdentityCredential, type TokenCredential } from "@azure/identity";
import { BlobServiceClient } from "@azure/storage-blob";
import { QueueServiceClient } from "@azure/storage-queue";
import { codeVersion } from "../core/code-version.js";
import { kept } from "../core/kept.js";
import type { Clock, DeadLetters, ObjectStore, RecordStore, Tagger, TagIndex, Workflow } from "../core/ports.js";
import type { Settings } from "../core/settings.js";
import { none } from "../core/taggers/none.js";
import { statistics } from "../core/taggers/statistics.js";
import type { Uploads } from "./arrival.js";
import { Database } from "./database.js";
import { QueueDeadLetters } from "./dead-letters.js";
import { environment, isDeclared } from "./environment.js";
import { MailNotifier, type Notifier, TopicNotifier } from "./notifier.js";
import { BlobObjectStore, DelegationKeys } from "./object-store.js";
import { SqlRecordStore } from "./record-store.js";
import { caller } from "./rest.js";
import { TableTagIndex } from "./tag-index.js";
import { vision } from "./vision.js";
import { QueueWorkflow } from "./workflow.js";

/** What the functions work on. */
export interface Ports {
  settings: Settings;
  uploads: ObjectStore;
  variants: ObjectStore;
  records: RecordStore & Pick<SqlRecordStore, "forget">;
  tags: TagIndex;
  deadLetters: DeadLetters;
  workflow: Workflow;
  notifiers: readonly Notifier[];
  tagger: Tagger;
  clock: Clock;
  /** Where images arrive. */
  place: Uploads;
  apiKey(): Promise<string>;
}

const retryOptions = { maxTries: 4, retryDelayInMs: 200, maxRetryDelayInMs: 4_000 };

/**
 * All ports on Azure, as the program has declared them. A Function App is one process with all functions: it has them once.
 *
 * @param own The team's own tagger, where the settings say `module`.
 * @throws Error naming the app setting that is missing or wrong.
 */
export function portsOf(own?: Tagger): Ports {
  const declared = environment(
    "PIPELINE_SETTINGS",
    "STORAGE_BLOB_URL",
    "STORAGE_QUEUE_URL",
    "STORAGE_TABLE_URL",
    "UPLOADS_CONTAINER",
    "THUMBNAILS_CONTAINER",
    "JOB_QUEUE",
    "DEAD_LETTER_QUEUE",
    "TAGS_TABLE",
    "SQL_SERVER",
    "SQL_PORT",
    "SQL_DATABASE",
    "AZURE_CLIENT_ID",
    "TOPIC_ENDPOINT",
  );
  const settings = declared.PIPELINE_SETTINGS;
  const credential = new ManagedIdentityCredential({ clientId: declared.AZURE_CLIENT_ID });
  const blobs = new BlobServiceClient(declared.STORAGE_BLOB_URL, credential, { retryOptions });
  const keys = new DelegationKeys(blobs);
  const queues = new QueueServiceClient(declared.STORAGE_QUEUE_URL, credential, { retryOptions });
  const tables = new TableClient(declared.STORAGE_TABLE_URL, declared.TAGS_TABLE, credential, {
    retryOptions: { maxRetries: retryOptions.maxTries - 1, retryDelayInMs: 200, maxRetryDelayInMs: 4_000 },
  });
  const address = { server: declared.SQL_SERVER, port: declared.SQL_PORT, database: declared.SQL_DATABASE };
  const place = { account: declared.STORAGE_BLOB_URL, container: declared.UPLOADS_CONTAINER };
  const topic = new TopicNotifier(caller(credential, "https://eventgrid.azure.net/.default"), declared.TOPIC_ENDPOINT);
  return {
    settings,
    uploads: new BlobObjectStore(keys, blobs, declared.UPLOADS_CONTAINER),
    variants: new BlobObjectStore(keys, blobs, declared.THUMBNAILS_CONTAINER),
    records: new SqlRecordStore(Database.at(address, credential)),
    tags: new TableTagIndex(tables, settings.tagger === "cloud" ? "cloud" : `${settings.tagger} ${codeVersion()}`),
    deadLetters: new QueueDeadLetters(queues.getQueueClient(declared.DEAD_LETTER_QUEUE)),
    workflow: new QueueWorkflow(queues.getQueueClient(declared.JOB_QUEUE), place),
    notifiers: [topic, ...mails(credential)],
    tagger: taggerOf(settings.tagger, credential, own),
    clock: { now: () => new Date() },
    place,
    apiKey: apiKeyOf(settings, credential),
  };
}

function taggerOf(which: Settings["tagger"], credential: TokenCredential, own: Tagger | undefined): Tagger {
  if (which === "none") return none;
  if (which === "statistics") return statistics;
  if (which === "cloud") {
    return vision(caller(credential, "https://cognitiveservices.azure.com/.default"), environment("VISION_ENDPOINT").VISION_ENDPOINT);
  }
  if (!own)
    throw new Error('The settings say "module", but this package has no tagger of the team\'s own: package functions/azure/app-module.ts.');
  return own;
}

function mails(credential: TokenCredential): Notifier[] {
  if (!isDeclared("EMAIL_ENDPOINT")) return [];
  const { EMAIL_ENDPOINT, EMAIL_SENDER, EMAIL_RECIPIENT } = environment("EMAIL_ENDPOINT", "EMAIL_SENDER", "EMAIL_RECIPIENT");
  const call = caller(credential, "https://communication.azure.com/.default");
  return [new MailNotifier(call, { endpoint: EMAIL_ENDPOINT, sender: EMAIL_SENDER, recipient: EMAIL_RECIPIENT })];
}

/** The key in the app's own settings, or in Key Vault. */
function apiKeyOf({ auth }: Settings, credential: TokenCredential): () => Promise<string> {
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
