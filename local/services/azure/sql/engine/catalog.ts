import { sqlError } from "../errors.js";
import type { ForeignAction, IndexColumn, Name } from "../tsql/ast.js";
import type { SqlType } from "../types/sql-type.js";

/** What a database consists of, beside its rows. Plain JSON: it is kept as one row of the database itself, so that DDL is part of transactions. */
export interface Catalog {
  /** Counts changes. */
  version: number;
  nextId: number;
  schemas: Schema[];
  tables: Table[];
  views: View[];
  principals: DatabasePrincipal[];
  permissions: PermissionEntry[];
}

export interface Schema {
  id: number;
  name: string;
  owner: string;
}

export interface Table {
  id: number;
  schema: string;
  name: string;
  created: string;
  modified: string;
  nextColumn: number;
  columns: Column[];
  indexes: Index[];
  checks: Check[];
  foreignKeys: ForeignKey[];
}

export interface Column {
  id: number;
  name: string;
  type: SqlType;
  nullable: boolean;
  identity?: { seed: number; increment: number };
  default?: { id: number; name: string; text: string; systemNamed: boolean };
  /** The text of its expression; such a column is not stored. */
  computed?: string;
}

export interface Index {
  id: number;
  name: string;
  kind: "primary" | "unique" | "index";
  unique: boolean;
  clustered: boolean;
  columns: IndexColumn[];
  include: string[];
  filter?: string;
  systemNamed?: boolean;
}

export interface Check {
  id: number;
  name: string;
  text: string;
  /** Of a check that was written with a column. */
  column?: string;
}

export interface ForeignKey {
  id: number;
  name: string;
  columns: string[];
  /** Object id. */
  table: number;
  references: string[];
  onDelete: ForeignAction;
  onUpdate: ForeignAction;
}

export interface View {
  id: number;
  schema: string;
  name: string;
  columns?: string[];
  text: string;
  created: string;
}

export interface DatabasePrincipal {
  id: number;
  name: string;
  kind: "user" | "role";
  /** `E` and `X` are a user and a group of Entra ID, `S` a user with a password, `R` a role. */
  type: "E" | "X" | "S" | "R";
  /** Hex. */
  sid?: string;
  /** Salt and scrypt hash, hex. */
  password?: { salt: string; hash: string };
  schema: string;
  fixed?: boolean;
  /** Names of the roles that it is a member of. */
  roles: string[];
  created: string;
}

export interface PermissionEntry {
  state: "GRANT" | "DENY";
  grantOption: boolean;
  permission: string;
  principal: string;
  on: { kind: "OBJECT" | "SCHEMA" | "DATABASE"; id: number };
}

export const same = (a: string, b: string): boolean => a === b || a.toLowerCase() === b.toLowerCase();

const FIXED_ROLES = [
  ["public", 0],
  ["db_owner", 16384],
  ["db_accessadmin", 16385],
  ["db_securityadmin", 16386],
  ["db_ddladmin", 16387],
  ["db_backupoperator", 16389],
  ["db_datareader", 16390],
  ["db_datawriter", 16391],
  ["db_denydatareader", 16392],
  ["db_denydatawriter", 16393],
] as const;

export function emptyCatalog(created: string): Catalog {
  const role = (name: string, id: number): DatabasePrincipal => ({
    id,
    name,
    kind: "role",
    type: "R",
    schema: "",
    fixed: true,
    roles: [],
    created,
  });
  return {
    version: 1,
    nextId: 1_000_000_001,
    schemas: [
      { id: 1, name: "dbo", owner: "dbo" },
      { id: 3, name: "INFORMATION_SCHEMA", owner: "INFORMATION_SCHEMA" },
      { id: 4, name: "sys", owner: "sys" },
    ],
    tables: [],
    views: [],
    principals: [
      { id: 1, name: "dbo", kind: "user", type: "E", schema: "dbo", fixed: true, roles: ["db_owner"], created },
      ...FIXED_ROLES.map(([name, id]) => role(name, id)),
    ],
    permissions: [],
  };
}

/** Schema and object of a name. @throws SqlError 40515 for a name that reaches into another database */
export function objectName(name: Name, database: string, defaultSchema = "dbo"): { schema: string; name: string } {
  const parts = [...name].reverse();
  const [object = "", schema, base, server] = parts;
  if (server !== undefined || (base && !same(base, database))) throw sqlError(40515, name.join("."));
  return { schema: schema || defaultSchema, name: object };
}

export function findTable(catalog: Catalog, schema: string, name: string): Table | undefined {
  return catalog.tables.find((table) => same(table.name, name) && same(table.schema, schema));
}

export function findView(catalog: Catalog, schema: string, name: string): View | undefined {
  return catalog.views.find((view) => same(view.name, name) && same(view.schema, schema));
}

export function findColumn(table: Table, name: string): Column | undefined {
  return table.columns.find((column) => same(column.name, name));
}

export function findPrincipal(catalog: Catalog, name: string): DatabasePrincipal | undefined {
  return catalog.principals.find((principal) => same(principal.name, name));
}

/** `dbo.ImageMetadata` */
export const fullName = ({ schema, name }: { schema: string; name: string }): string => `${schema}.${name}`;

/** As SQLite quotes a name. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** What a table is called in SQLite. */
export const physical = (table: { schema: string; name: string }): string => quoted(fullName(table));

/** What an index is called in SQLite. */
export const physicalIndex = ({ id }: Index): string => quoted(`index.${id}`);
