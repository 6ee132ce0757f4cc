import type { Catalog } from "../engine/catalog.js";
import type { SqlValue } from "../types/convert.js";
import type { SqlType } from "../types/sql-type.js";

export interface Typed {
  type: SqlType;
  value: SqlValue;
}

/** An object whose use asks for a permission. */
export interface Securable {
  id: number;
  schema: string;
  name: string;
}

/** What a statement sees of the session that runs it. */
export interface Environment {
  readonly database: string;
  readonly defaultSchema: string;
  readonly catalog: Catalog;
  /** The same for the whole of a statement, as kept: `2024-05-01 10:00:00.1234567`, UTC. */
  readonly now: string;
  /** A declared variable or parameter, with its `@`. */
  variable(name: string): Typed | undefined;
  /** `@@ROWCOUNT` and its like, and functions of the session without arguments: `SUSER_SNAME`. */
  system(name: string): Typed | undefined;
  /** Is the object shown to this user in the system's views? */
  sees(object: Securable): boolean;
  hasRole(role: string): boolean | undefined;
  permits(permission: string, object: Securable | undefined): boolean;
  /** Rows of a table, for `sys.partitions`. */
  rowCount(table: Securable): number;
  lastIdentity(table: Securable): SqlValue;
  databases(): { id: number; name: string; created: string }[];
}
