import { TableClient } from "@azure/data-tables";
import { type QueueClient, QueueServiceClient } from "@azure/storage-queue";
import type { Platform } from "./platform.js";

/** A storage account, as the app's settings say it is reached. */
export interface StorageConnection {
  queue(name: string): QueueClient;
  table(name: string): TableClient;
}

const AUDIENCE = "https://storage.azure.com";

/**
 * The storage account that settings such as `AzureWebJobsStorage__accountName` and `AzureWebJobsStorage__clientId` describe, reached as the
 * app's identity.
 *
 * @throws Error naming the setting that is missing, or not supported
 */
export function storageConnection(name: string, settings: Readonly<Record<string, string>>, platform: Platform): StorageConnection {
  const setting = (suffix: string) => settings[`${name}__${suffix}`];
  if (settings[name])
    throw new Error(
      `The setting ${name} is a connection string: the embedded host connects by identity only. Set ${name}__accountName instead.`,
    );
  const credentialKind = setting("credential");
  if (credentialKind !== undefined && credentialKind !== "managedidentity")
    throw new Error(`The setting ${name}__credential is "${credentialKind}": it must be "managedidentity".`);
  const account = setting("accountName");
  const uri = (service: "queue" | "table"): string => {
    const given = setting(`${service}ServiceUri`);
    if (given) return given.replace(/\/+$/, "");
    if (account) return platform.endpointsOf(account)[service];
    throw new Error(
      `Nothing says where the ${service} service of "${name}" is: set ${name}__${service}ServiceUri or ${name}__accountName.`,
    );
  };
  const credential = {
    async getToken() {
      const { token, expiresAt } = await platform.token(setting("clientId"), AUDIENCE);
      return { token, expiresOnTimestamp: expiresAt.getTime() };
    },
  };
  const options = {
    ...(platform.authority && { tlsOptions: { ca: platform.authority } }),
    retryOptions: { maxRetries: 2, retryDelayInMs: 100 },
  };
  const queues = new Map<string, QueueClient>();
  return {
    queue(queueName) {
      const known = queues.get(queueName) ?? new QueueServiceClient(uri("queue"), credential, options).getQueueClient(queueName);
      queues.set(queueName, known);
      return known;
    },
    table: (tableName) => new TableClient(uri("table"), tableName, credential, options),
  };
}

/** What a refusal of the storage service says, for a person: which role is missing. */
export function explained(error: unknown): string {
  const {
    message = String(error),
    details,
    statusCode,
  } = error as { message?: string; statusCode?: number; details?: { errorCode?: string } };
  return [statusCode, details?.errorCode, message].filter((part) => part !== undefined).join(" ");
}
