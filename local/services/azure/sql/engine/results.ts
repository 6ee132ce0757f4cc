import type { SqlError } from "../errors.js";
import type { OutputColumn } from "../translate/query.js";
import type { SqlValue } from "../types/convert.js";

/** Where a batch leaves what comes of it, in order. */
export interface Results {
  columns(columns: readonly OutputColumn[]): void;
  /** Resolves when there is room for more. */
  row(values: readonly SqlValue[]): Promise<void> | void;
  /** A statement is through; `count` rows came of it, or were touched. */
  done(statement: { count?: number; select?: boolean; failed?: boolean }): void;
  info(message: string, number?: number, severity?: number, state?: number, line?: number): void;
  error(error: SqlError): void;
  /** BEGIN, COMMIT and ROLLBACK, as the client has to know them. */
  transaction(event: "begin" | "commit" | "rollback"): void;
}
