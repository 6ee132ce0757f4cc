import type { Collation } from "../types/collation.js";
import type { SqlValue } from "../types/convert.js";
import type { SqlType } from "../types/sql-type.js";

/** `schema.name`, or longer; brackets are gone. */
export type Name = readonly string[];

export type Expression =
  | { kind: "literal"; value: SqlValue; type: SqlType }
  | { kind: "variable"; name: string }
  | { kind: "column"; name: Name }
  | { kind: "negate" | "plus" | "invert"; operand: Expression }
  | { kind: "arithmetic"; operator: "+" | "-" | "*" | "/" | "%" | "&" | "|" | "^"; left: Expression; right: Expression }
  | { kind: "case"; operand?: Expression; when: { condition: Condition | Expression; result: Expression }[]; otherwise?: Expression }
  | { kind: "iif"; condition: Condition; result: Expression; otherwise: Expression }
  | { kind: "cast"; operand: Expression; type: SqlType; attempt: boolean; style?: Expression }
  | { kind: "collate"; operand: Expression; collation: Collation }
  | { kind: "call"; name: string; arguments: Expression[]; distinct?: boolean; star?: boolean; within?: OrderItem[]; over?: Window }
  | { kind: "subquery"; query: Query }
  /** The value of a SQLite expression that is already there. */
  | { kind: "ready"; sql: string; type: SqlType };

export interface Window {
  partition: Expression[];
  order: OrderItem[];
  /** The ROWS or RANGE clause, whose words SQLite shares. */
  frame?: string;
}

export type Condition =
  | { kind: "and" | "or"; left: Condition; right: Condition }
  | { kind: "not"; operand: Condition }
  | { kind: "compare"; operator: "=" | "<>" | "<" | "<=" | ">" | ">="; left: Expression; right: Expression }
  | { kind: "null"; operand: Expression; negated: boolean }
  | { kind: "between"; operand: Expression; low: Expression; high: Expression; negated: boolean }
  | { kind: "in"; operand: Expression; list: Expression[] | Query; negated: boolean }
  | { kind: "like"; operand: Expression; pattern: Expression; escape?: Expression; negated: boolean }
  | { kind: "exists"; query: Query };

export interface OrderItem {
  expression: Expression;
  descending: boolean;
}

export type SelectItem =
  | { kind: "star"; qualifier?: Name }
  | { kind: "expression"; expression: Expression; alias?: string }
  | { kind: "assign"; variable: string; operator: string; expression: Expression };

export type Source =
  | { kind: "table"; name: Name; alias?: string; hints: string[] }
  | { kind: "derived"; query: Query; alias: string; columns?: string[] }
  | { kind: "values"; rows: Expression[][]; alias: string; columns: string[] }
  | { kind: "openjson"; json: Expression; path?: Expression; with?: JsonColumn[]; alias?: string }
  | { kind: "split"; text: Expression; separator: Expression; alias?: string }
  | { kind: "join"; type: "inner" | "left" | "right" | "full" | "cross"; left: Source; right: Source; on?: Condition };

export interface JsonColumn {
  name: string;
  type: SqlType;
  path?: string;
  asJson: boolean;
}

export interface Select {
  kind: "select";
  distinct: boolean;
  top?: Expression;
  items: SelectItem[];
  from?: Source;
  where?: Condition;
  groupBy: Expression[];
  having?: Condition;
}

export interface Query {
  with: CommonTable[];
  body: QueryBody;
  order: OrderItem[];
  offset?: Expression;
  fetch?: Expression;
}

export type QueryBody =
  | Select
  | { kind: "set"; operator: "union" | "union all" | "except" | "intersect"; left: QueryBody; right: QueryBody }
  | { kind: "nested"; query: Query };

export interface CommonTable {
  name: string;
  columns?: string[];
  query: Query;
}

export interface ColumnDefinition {
  name: string;
  type?: SqlType;
  computed?: { text: string };
  nullable?: boolean;
  identity?: { seed: number; increment: number };
  default?: { name?: string; text: string };
  withValues?: boolean;
  constraints: TableConstraint[];
}

export type TableConstraint =
  | { kind: "key"; name?: string; primary: boolean; clustered?: boolean; columns: IndexColumn[] }
  | { kind: "check"; name?: string; text: string }
  | { kind: "default"; name?: string; text: string; column: string; withValues?: boolean }
  | {
      kind: "foreign";
      name?: string;
      columns: string[];
      table: Name;
      references: string[];
      onDelete: ForeignAction;
      onUpdate: ForeignAction;
    };

export type ForeignAction = "NO ACTION" | "CASCADE" | "SET NULL" | "SET DEFAULT";

export interface IndexColumn {
  name: string;
  descending: boolean;
}

export interface Assignment {
  column?: Name;
  variable?: string;
  /** `"="`, or an operator before it: `"+="`. */
  operator: string;
  /** `undefined` is DEFAULT. */
  expression?: Expression;
}

export interface InsertRows {
  columns?: string[];
  /** `undefined` in a row is DEFAULT; no rows and no query is DEFAULT VALUES. */
  rows?: (Expression | undefined)[][];
  query?: Query;
}

export interface MergeClause {
  matched: "matched" | "target" | "source";
  condition?: Condition;
  action:
    | { kind: "update"; set: Assignment[] }
    | { kind: "delete" }
    | { kind: "insert"; columns?: string[]; values?: (Expression | undefined)[] };
}

export interface Grant {
  action: "GRANT" | "DENY" | "REVOKE";
  permissions: string[];
  on?: { kind: "OBJECT" | "SCHEMA" | "DATABASE"; name: Name };
  to: string[];
  grantOption: boolean;
}

export type Alteration =
  | { kind: "add"; columns: ColumnDefinition[]; constraints: TableConstraint[]; check: boolean }
  | { kind: "alter column"; name: string; type: SqlType; nullable?: boolean }
  | { kind: "drop"; items: { kind: "column" | "constraint"; name: string; ifExists: boolean }[] }
  | { kind: "check"; enabled: boolean };

export type Statement = { line: number } & (
  | { kind: "query"; query: Query; into?: Name }
  | { kind: "insert"; table: Name; with: CommonTable[]; source: InsertRows; output?: SelectItem[]; top?: Expression }
  | {
      kind: "update";
      table: Name;
      with: CommonTable[];
      set: Assignment[];
      from?: Source;
      where?: Condition;
      output?: SelectItem[];
      top?: Expression;
      hints: string[];
    }
  | {
      kind: "delete";
      table: Name;
      with: CommonTable[];
      from?: Source;
      where?: Condition;
      output?: SelectItem[];
      top?: Expression;
      hints: string[];
    }
  | {
      kind: "merge";
      table: Name;
      alias?: string;
      with: CommonTable[];
      source: Source;
      on: Condition;
      clauses: MergeClause[];
      output?: SelectItem[];
    }
  | { kind: "truncate"; table: Name }
  | { kind: "create table"; name: Name; columns: ColumnDefinition[]; constraints: TableConstraint[] }
  | { kind: "alter table"; name: Name; alteration: Alteration }
  | { kind: "drop"; what: "TABLE" | "VIEW" | "SCHEMA" | "USER" | "ROLE" | "PROCEDURE"; names: Name[]; ifExists: boolean }
  | {
      kind: "create index";
      name: string;
      table: Name;
      unique: boolean;
      clustered: boolean;
      columns: IndexColumn[];
      include: string[];
      filter?: string;
    }
  | { kind: "drop index"; name: string; table: Name; ifExists: boolean }
  | { kind: "create view"; name: Name; columns?: string[]; text: string; replace: "create" | "alter" | "either" }
  | { kind: "create schema"; name: string; owner?: string }
  | {
      kind: "create user";
      name: string;
      sid?: Uint8Array;
      type?: string;
      external: boolean;
      objectId?: string;
      password?: string;
      schema?: string;
    }
  | { kind: "alter user"; name: string; newName?: string; password?: string; schema?: string }
  | { kind: "create role"; name: string }
  | { kind: "role member"; role: string; member: string; add: boolean }
  | { kind: "grant"; grant: Grant }
  | { kind: "declare"; variables: { name: string; type: SqlType; value?: Expression }[] }
  | { kind: "set"; variable: string; operator: string; expression: Expression }
  | { kind: "option"; option: string; value: string; table?: Name }
  | { kind: "if"; condition: Condition; result: Statement; otherwise?: Statement }
  | { kind: "while"; condition: Condition; body: Statement }
  | { kind: "block"; body: Statement[] }
  | { kind: "break" | "continue" }
  | { kind: "return"; value?: Expression }
  | { kind: "try"; body: Statement[]; handler: Statement[] }
  | { kind: "throw"; arguments?: [number: Expression, message: Expression, state: Expression] }
  | { kind: "raiserror"; message: Expression; severity: Expression; state: Expression; arguments: Expression[]; options: string[] }
  | { kind: "print"; expression: Expression }
  | { kind: "waitfor"; delay: Expression }
  | { kind: "transaction"; action: "begin" | "commit" | "rollback" | "save"; name?: string }
  | { kind: "execute"; procedure: Name; arguments: { name?: string; value?: Expression; output: boolean }[]; result?: string }
  | { kind: "execute text"; text: Expression }
  | { kind: "use"; database: string }
  | { kind: "insert bulk"; table: Name; columns: string[] }
  | { kind: "nothing" }
);
