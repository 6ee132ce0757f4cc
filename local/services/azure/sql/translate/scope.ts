import type { Table } from "../engine/catalog.js";
import { same } from "../engine/catalog.js";
import { sqlError } from "../errors.js";
import type { Name } from "../tsql/ast.js";
import type { SqlValue } from "../types/convert.js";
import type { SqlType } from "../types/sql-type.js";

/** T-SQL as a SQLite expression. */
export interface Emitted {
  sql: string;
  type: SqlType;
  /** Its value, where that is known now. `undefined`: it is not. */
  constant?: SqlValue;
  /** Whether it is certainly never NULL. */
  required?: boolean;
  identity?: boolean;
}

export interface BoundColumn extends Emitted {
  name: string;
}

/** Something of a FROM clause, with the names that it is reached by. */
export interface BoundSource {
  /** Alias, or the table's name. */
  name: string;
  schema?: string;
  table?: Table;
  /** Its alias in SQLite. */
  alias: string;
  columns: BoundColumn[];
}

/** The sources whose columns an expression can name: its query's own, then those of the queries around it. */
export class Scope {
  readonly sources: BoundSource[] = [];
  constructor(readonly parent?: Scope) {}

  add(source: BoundSource): void {
    this.sources.push(source);
  }

  /** @throws SqlError 207, 209, 4104 */
  resolve(name: Name): { column: BoundColumn; scope: Scope; source: BoundSource } {
    const column = name[name.length - 1] as string;
    if (name.length === 1) {
      for (let scope: Scope | undefined = this; scope; scope = scope.parent) {
        const found = scope.sources.flatMap((source) =>
          source.columns
            .filter((candidate) => same(candidate.name, column))
            .map((candidate) => ({ column: candidate, scope: scope as Scope, source })),
        );
        if (found.length > 1) throw sqlError(209, column);
        if (found[0]) return found[0];
      }
      throw sqlError(207, column);
    }
    const qualifier = name.slice(0, -1);
    for (let scope: Scope | undefined = this; scope; scope = scope.parent) {
      const source = scope.find(qualifier);
      if (!source) continue;
      const found = source.columns.find((candidate) => same(candidate.name, column));
      if (!found) throw sqlError(207, column);
      return { column: found, scope, source };
    }
    throw sqlError(4104, name.join("."));
  }

  /** The source of this scope that a qualifier names. */
  find(qualifier: Name): BoundSource | undefined {
    const name = qualifier[qualifier.length - 1] as string;
    const schema = qualifier.length > 1 ? qualifier[qualifier.length - 2] : undefined;
    return this.sources.find(
      (source) => same(source.name, name) && (!schema || (source.schema !== undefined && same(source.schema, schema))),
    );
  }
}
