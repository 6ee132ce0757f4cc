import type { Environment } from "../translate/environment.js";
import { type OutputColumn, Translator } from "../translate/query.js";
import { type BoundSource, Scope } from "../translate/scope.js";
import type { SelectItem } from "../tsql/ast.js";
import type { SqlValue } from "../types/convert.js";
import { nvarchar } from "../types/sql-type.js";
import { quoted, type Table } from "./catalog.js";
import type { Database } from "./database.js";
import { storedColumns } from "./rows.js";

/** One row that a statement touched: as it was, as it is, and what MERGE did to it. */
export interface Affected {
  inserted?: SqlValue[];
  deleted?: SqlValue[];
  action?: string;
}

export interface Rowset {
  columns: OutputColumn[];
  rows: SqlValue[][];
}

/** What an OUTPUT clause gives: expressions over `inserted`, `deleted` and `$action`. */
export function outputRows(
  items: readonly SelectItem[],
  table: Table,
  affected: readonly Affected[],
  database: Database,
  environment: Environment,
): Rowset {
  const translator = new Translator(environment);
  const scope = new Scope();
  const columns = storedColumns(table);
  const before = translator.requirements.length;
  const [inserted, deleted] = ["inserted", "deleted"].map((name) => translator.bind(table, name, false)) as [BoundSource, BoundSource];
  for (const source of [inserted, deleted]) {
    source.name = source === inserted ? "inserted" : "deleted";
    scope.add(source);
  }
  scope.add({ name: "$action", alias: "a", columns: [{ name: "$action", sql: "a.c1", type: nvarchar(10) }] });
  const selected = items.flatMap((item) => translator.selectItem(item, { scope, clause: "select" }));
  translator.requirements.length = before;
  let next = translator.parameters.length;
  const parts = [inserted, deleted].map(({ alias }) => {
    const list = columns.map(({ name }) => {
      next += 1;
      return `?${next} AS ${quoted(name)}`;
    });
    return `(SELECT ${list.join(", ")}) AS ${alias}`;
  });
  const list = selected.map(({ emitted }, index) => `${emitted.sql} AS c${index + 1}`).join(", ");
  const sql = `SELECT ${list} FROM ${parts.join(", ")}, (SELECT ?${next + 1} AS c1) AS a`;
  const nothing = columns.map(() => null);
  const rows = affected.flatMap(({ inserted: after, deleted: old, action }) =>
    database.store.all(sql, [...translator.parameters, ...(after ?? nothing), ...(old ?? nothing), action ?? null], "writer", environment),
  );
  return { columns: selected.map(({ name, emitted: { type } }) => ({ name, type })), rows };
}
