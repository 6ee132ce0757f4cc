import type { TokenCredential } from "@azure/identity";
import type { QueueClient } from "@azure/storage-queue";
import { type Account, accountOf } from "../azure/account.js";
import { credentialOf } from "../azure/credential.js";
import { environment, isDeclared } from "../azure/environment.js";
import { apiKeyOf, mails, type Ports, type Records, type Stores, sqlRecords, storesOf, taggerOf, topicOf } from "../azure/ports.js";
import type { Tagger } from "../core/ports.js";
import { isByKey, keyedAccount, NOBODY, tableRecords } from "./without-cloud.js";

/** What the uploader works on. */
export type UploaderPorts = Stores & { apiKey(): Promise<string> };

/** What the processor works on. */
export type ProcessorPorts = Ports & { jobs: QueueClient; account: Account };

/**
 * All ports of the uploader, as the program has declared them.
 *
 * @throws Error naming the variable that is missing or wrong.
 */
export function uploaderPorts(): UploaderPorts {
  const { credential, stores } = here();
  return { ...stores, apiKey: apiKeyOf(stores.settings, credential) };
}

/**
 * All ports of the processor, as the program has declared them.
 *
 * @param own The team's own tagger, where the settings say `module`.
 * @throws Error naming the variable that is missing or wrong.
 */
export function processorPorts(own?: Tagger): ProcessorPorts {
  const { credential, account, stores } = here();
  return {
    ...stores,
    notifiers: [...(isDeclared("TOPIC_ENDPOINT") ? [topicOf(credential)] : []), ...mails(credential)],
    tagger: taggerOf(stores.settings.tagger, credential, own),
    account,
  };
}

function here(): { credential: TokenCredential; account: Account; stores: Stores & { jobs: QueueClient } } {
  const { credential, account, records } = isByKey() ? byKey() : byIdentity();
  return { credential, account, stores: storesOf(account, records, environment("PROCESSED_CONTAINER").PROCESSED_CONTAINER) };
}

function byIdentity(): { credential: TokenCredential; account: Account; records: Records } {
  const credential = credentialOf(environment("AZURE_CLIENT_ID").AZURE_CLIENT_ID);
  return { credential, account: accountOf(credential), records: sqlRecords(credential) };
}

function byKey(): { credential: TokenCredential; account: Account; records: Records } {
  const account = keyedAccount();
  const credential = isDeclared("AZURE_CLIENT_ID") ? credentialOf(environment("AZURE_CLIENT_ID").AZURE_CLIENT_ID) : NOBODY;
  return { credential, account, records: tableRecords(account) };
}
