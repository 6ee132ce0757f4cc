import type { HttpResponse } from "../../../kernel/http.js";
import type { TraceEntry } from "../../../kernel/trace.js";
import type { LogLine } from "./worker.js";

/** What the Functions host asks of the cloud around it. */
export interface Platform {
  /** A bearer token of one of the app's identities: of the one with this client id, or of its only one. @throws Error when it has none such */
  token(clientId: string | undefined, audience: string): Promise<{ token: string; expiresAt: Date }>;
  /** Endpoints of a storage account that is named only, without a slash at the end. @throws Error when there is none */
  endpointsOf(account: string): { queue: string; table: string };
  /** The certificate authority of the storage endpoints, PEM. */
  authority: string | undefined;
  /** Calls the listener whenever a message was put into a queue: its address, `…/account/queue`. Returns how to stop it. */
  onQueueMessage(listener: (queue: string) => void): () => void;
  /** An answer as callers from outside get it. */
  outward(response: HttpResponse): HttpResponse;
  trace(entry: Omit<TraceEntry, "at">): void;
  /** A line that a function, or the host itself, logs. */
  log(line: LogLine): void;
  /** Marks work as under way. */
  busy<T>(work: Promise<T>): Promise<T>;
}
