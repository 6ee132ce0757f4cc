import { type Catalog, findColumn, findPrincipal, findTable, objectName, same, type Table } from "../engine/catalog.js";
import type { SqlValue } from "../types/convert.js";
import { BIGINT, INT, NVARCHAR_MAX, nvarchar, type SqlType, SYSNAME, TYPE_NAMES } from "../types/sql-type.js";
import type { Environment } from "./environment.js";

type Metadata = (environment: Environment, a: SqlValue, b: SqlValue, c: SqlValue) => SqlValue;

/** What the embedded SQL says of itself. */
export const VERSION = "12.0.2000.8";
export const VERSION_TEXT = `Embedded SQL (T-SQL subset) - ${VERSION} over SQLite. It is not Microsoft SQL Server: what it does is documented with the embedded cloud.`;

const SYSTEM_TYPE_IDS: Readonly<Record<string, number>> = {
  uniqueidentifier: 36,
  date: 40,
  time: 41,
  datetime2: 42,
  datetimeoffset: 43,
  tinyint: 48,
  smallint: 52,
  int: 56,
  smalldatetime: 58,
  real: 59,
  money: 60,
  datetime: 61,
  float: 62,
  bit: 104,
  decimal: 106,
  smallmoney: 122,
  bigint: 127,
  varbinary: 165,
  varchar: 167,
  binary: 173,
  char: 175,
  nvarchar: 231,
  nchar: 239,
};

export const systemTypeId = ({ name }: Pick<SqlType, "name">): number => SYSTEM_TYPE_IDS[name] ?? 0;

/** Bytes, as `sys.columns.max_length` counts; -1 is MAX. */
export function maxLength({ name, length, precision = 18, scale = 7 }: SqlType): number {
  if (length === "max") return -1;
  if (length !== undefined) return name.startsWith("n") ? length * 2 : length;
  const fixed: Readonly<Record<string, number>> = {
    bit: 1,
    tinyint: 1,
    smallint: 2,
    int: 4,
    bigint: 8,
    real: 4,
    float: 8,
    money: 8,
    smallmoney: 4,
    date: 3,
    datetime: 8,
    smalldatetime: 4,
    uniqueidentifier: 16,
  };
  if (name === "decimal") return precision <= 9 ? 5 : precision <= 19 ? 9 : precision <= 28 ? 13 : 17;
  const time = scale <= 2 ? 3 : scale <= 4 ? 4 : 5;
  if (name === "time") return time;
  if (name === "datetime2") return time + 3;
  if (name === "datetimeoffset") return time + 5;
  return fixed[name] ?? 0;
}

interface CatalogObject {
  id: number;
  name: string;
  schema: string;
  type: "U" | "V" | "PK" | "UQ" | "C" | "F" | "D";
  parent?: Table;
}

/** Everything with an object id: tables, views and constraints. */
export function objects(catalog: Catalog): CatalogObject[] {
  return [
    ...catalog.tables.flatMap((table): CatalogObject[] => {
      const { schema } = table;
      return [
        { id: table.id, name: table.name, schema, type: "U" },
        ...table.indexes
          .filter(({ kind }) => kind !== "index")
          .map(({ id, name, kind }): CatalogObject => ({ id, name, schema, type: kind === "primary" ? "PK" : "UQ", parent: table })),
        ...table.checks.map(({ id, name }): CatalogObject => ({ id, name, schema, type: "C", parent: table })),
        ...table.foreignKeys.map(({ id, name }): CatalogObject => ({ id, name, schema, type: "F", parent: table })),
        ...table.columns.flatMap((column): CatalogObject[] =>
          column.default ? [{ id: column.default.id, name: column.default.name, schema, type: "D", parent: table }] : [],
        ),
      ];
    }),
    ...catalog.views.map(({ id, name, schema }): CatalogObject => ({ id, name, schema, type: "V" })),
  ];
}

/** `[dbo].[x]` or `dbo.x`, as strings name objects. */
export function nameParts(written: string): string[] {
  const parts: string[] = [];
  for (const [, bracketed, quotedPart, bare] of written.matchAll(/\[((?:[^\]]|\]\])*)\]|"((?:[^"]|"")*)"|([^.]+)|(?:^|\.)(?=\.|$)/g)) {
    parts.push(bracketed?.replaceAll("]]", "]") ?? quotedPart?.replaceAll('""', '"') ?? bare?.trim() ?? "");
  }
  return parts;
}

function visibleObject(environment: Environment, written: SqlValue): CatalogObject | undefined {
  if (typeof written !== "string") return undefined;
  let target: { schema: string; name: string };
  try {
    target = objectName(nameParts(written), environment.database, environment.defaultSchema);
  } catch {
    return undefined;
  }
  const found = objects(environment.catalog).find(({ schema, name }) => same(schema, target.schema) && same(name, target.name));
  return found && environment.sees(found.parent ?? found) ? found : undefined;
}

const byId = ({ catalog }: Environment, id: SqlValue): CatalogObject | undefined =>
  objects(catalog).find((object) => object.id === Number(id));

function tableOf(environment: Environment, written: SqlValue): Table | undefined {
  const found = visibleObject(environment, written);
  return found?.type === "U" ? findTable(environment.catalog, found.schema, found.name) : undefined;
}

const DATABASE_PROPERTIES: Readonly<Record<string, SqlValue>> = {
  collation: "SQL_Latin1_General_CP1_CI_AS",
  edition: "Basic",
  status: "ONLINE",
  updateability: "READ_WRITE",
  version: 957,
  serviceobjective: "Basic",
  useraccess: "MULTI_USER",
  isautoclose: 0,
  isfulltextenabled: 0,
};

const SERVER_PROPERTIES: Readonly<Record<string, SqlValue>> = {
  edition: "SQL Azure",
  engineedition: 5,
  productversion: VERSION,
  productlevel: "RTM",
  productmajorversion: "12",
  collation: "SQL_Latin1_General_CP1_CI_AS",
  isintegratedsecurityonly: 0,
  isclustered: 0,
  issingleuser: 0,
  ishadrenabled: 0,
  isxtpsupported: 0,
  isfulltextinstalled: 0,
  ispolybaseinstalled: 0,
};

const OBJECT_TYPES: Readonly<Record<string, string>> = {
  istable: "U",
  isusertable: "U",
  isview: "V",
  isprimarykey: "PK",
  isuniquecnst: "UQ",
};

/** Functions that look things up in the catalog or the session: name → least and most arguments, type of the result, and the answer. */
export const METADATA: Readonly<Record<string, readonly [least: number, most: number, type: SqlType, answer: Metadata]>> = {
  OBJECT_ID: [
    1,
    2,
    INT,
    (environment, name, type) => {
      const found = visibleObject(environment, name);
      return found && (type === null || same(String(type).trim(), found.type)) ? found.id : null;
    },
  ],
  OBJECT_NAME: [1, 2, SYSNAME, (environment, id) => byId(environment, id)?.name ?? null],
  OBJECT_SCHEMA_NAME: [1, 2, SYSNAME, (environment, id) => byId(environment, id)?.schema ?? null],
  OBJECT_DEFINITION: [1, 1, NVARCHAR_MAX, ({ catalog }, id) => catalog.views.find((view) => view.id === Number(id))?.text ?? null],
  OBJECTPROPERTY: [2, 2, INT, (environment, id, property) => objectProperty(environment, id, property)],
  OBJECTPROPERTYEX: [2, 2, INT, (environment, id, property) => objectProperty(environment, id, property)],
  SCHEMA_ID: [
    0,
    1,
    INT,
    ({ catalog, defaultSchema }, name) => catalog.schemas.find((schema) => same(schema.name, String(name ?? defaultSchema)))?.id ?? null,
  ],
  SCHEMA_NAME: [
    0,
    1,
    SYSNAME,
    ({ catalog, defaultSchema }, id) =>
      id === null ? defaultSchema : (catalog.schemas.find((schema) => schema.id === Number(id))?.name ?? null),
  ],
  DB_ID: [
    0,
    1,
    INT,
    (environment, name) =>
      environment.databases().find((database) => same(database.name, String(name ?? environment.database)))?.id ?? null,
  ],
  DB_NAME: [
    0,
    1,
    SYSNAME,
    (environment, id) =>
      id === null ? environment.database : (environment.databases().find((database) => database.id === Number(id))?.name ?? null),
  ],
  COL_LENGTH: [
    2,
    2,
    { name: "smallint" },
    (environment, table, column) => {
      const found = tableOf(environment, table);
      const named = found && typeof column === "string" ? findColumn(found, column) : undefined;
      return named ? maxLength(named.type) : null;
    },
  ],
  COL_NAME: [
    2,
    2,
    SYSNAME,
    ({ catalog }, table, column) =>
      catalog.tables.find(({ id }) => id === Number(table))?.columns.find(({ id }) => id === Number(column))?.name ?? null,
  ],
  COLUMNPROPERTY: [3, 3, INT, ({ catalog }, table, column, property) => columnProperty(catalog, table, column, property)],
  INDEXPROPERTY: [
    3,
    3,
    INT,
    ({ catalog }, table, name, property) => {
      const index = catalog.tables.find(({ id }) => id === Number(table))?.indexes.find((candidate) => same(candidate.name, String(name)));
      if (!index) return null;
      const answers: Record<string, SqlValue> = {
        indexid: 1,
        isunique: index.unique ? 1 : 0,
        isclustered: index.clustered ? 1 : 0,
      };
      return answers[String(property).toLowerCase()] ?? null;
    },
  ],
  TYPE_ID: [1, 1, INT, (_, name) => SYSTEM_TYPE_IDS[String(name).toLowerCase()] ?? null],
  TYPE_NAME: [1, 1, SYSNAME, (_, id) => TYPE_NAMES.find((name) => systemTypeId({ name }) === Number(id)) ?? null],
  USER_NAME: [
    0,
    1,
    SYSNAME,
    (environment, id) =>
      id === null
        ? text(environment, "USER_NAME")
        : (environment.catalog.principals.find((principal) => principal.id === Number(id))?.name ?? null),
  ],
  USER_ID: [
    0,
    1,
    INT,
    (environment, name) =>
      findPrincipal(environment.catalog, name === null ? String(text(environment, "USER_NAME")) : String(name))?.id ?? null,
  ],
  DATABASE_PRINCIPAL_ID: [
    0,
    1,
    INT,
    (environment, name) =>
      findPrincipal(environment.catalog, name === null ? String(text(environment, "USER_NAME")) : String(name))?.id ?? null,
  ],
  IS_MEMBER: [1, 1, INT, (environment, role) => asBit(environment.hasRole(String(role)))],
  IS_ROLEMEMBER: [1, 2, INT, (environment, role) => asBit(environment.hasRole(String(role)))],
  IS_SRVROLEMEMBER: [1, 2, INT, (environment, role) => (/^sysadmin$/i.test(String(role)) ? 0 : asBit(environment.hasRole("db_owner")))],
  HAS_PERMS_BY_NAME: [
    3,
    3,
    INT,
    (environment, object, kind, permission) => {
      const wanted = String(permission).toUpperCase();
      if (object === null || kind === null || /^(DATABASE|SERVER)$/i.test(String(kind))) {
        return environment.permits(wanted === "ANY" ? "CONNECT" : wanted, undefined) ? 1 : 0;
      }
      const found = visibleObject(environment, object);
      if (!found) return null;
      return environment.permits(wanted === "ANY" ? "SELECT" : wanted, found) ? 1 : 0;
    },
  ],
  HAS_DBACCESS: [1, 1, INT, (environment, name) => (environment.databases().some((database) => same(database.name, String(name))) ? 1 : 0)],
  DATABASEPROPERTYEX: [2, 2, nvarchar(128), (_, __, property) => DATABASE_PROPERTIES[String(property).toLowerCase()] ?? null],
  SERVERPROPERTY: [
    1,
    1,
    nvarchar(128),
    (environment, property) =>
      /^(servername|machinename)$/i.test(String(property))
        ? text(environment, "@@SERVERNAME")
        : (SERVER_PROPERTIES[String(property).toLowerCase()] ?? null),
  ],
  CONNECTIONPROPERTY: [
    1,
    1,
    nvarchar(128),
    (_, property) => (/net_transport/i.test(String(property)) ? "TCP" : /auth_scheme/i.test(String(property)) ? "SQL" : null),
  ],
  SESSIONPROPERTY: [1, 1, INT, () => 1],
  SESSION_CONTEXT: [
    1,
    1,
    NVARCHAR_MAX,
    (environment, name) => environment.system(`SESSION_CONTEXT:${String(name).toLowerCase()}`)?.value ?? null,
  ],
  IDENT_CURRENT: [
    1,
    1,
    BIGINT,
    (environment, name) => {
      const table = tableOf(environment, name);
      return table ? environment.lastIdentity(table) : null;
    },
  ],
  IDENT_SEED: [
    1,
    1,
    BIGINT,
    (environment, name) => tableOf(environment, name)?.columns.find(({ identity }) => identity)?.identity?.seed ?? null,
  ],
  IDENT_INCR: [
    1,
    1,
    BIGINT,
    (environment, name) => tableOf(environment, name)?.columns.find(({ identity }) => identity)?.identity?.increment ?? null,
  ],
};

function text(environment: Environment, name: string): SqlValue {
  return environment.system(name)?.value ?? null;
}

const asBit = (value: boolean | undefined): SqlValue => (value === undefined ? null : value ? 1 : 0);

function objectProperty(environment: Environment, id: SqlValue, property: SqlValue): SqlValue {
  const object = byId(environment, id);
  if (!object) return null;
  const name = String(property).toLowerCase();
  const table = environment.catalog.tables.find((candidate) => candidate.id === object.id);
  if (name === "ismsshipped") return 0;
  if (name === "tablehasidentity") return table?.columns.some(({ identity }) => identity) ? 1 : 0;
  if (name === "tablehasprimarykey") return table?.indexes.some(({ kind }) => kind === "primary") ? 1 : 0;
  return name in OBJECT_TYPES ? (OBJECT_TYPES[name] === object.type ? 1 : 0) : null;
}

function columnProperty(catalog: Catalog, id: SqlValue, name: SqlValue, property: SqlValue): SqlValue {
  const table = catalog.tables.find((candidate) => candidate.id === Number(id));
  const column = table && typeof name === "string" ? findColumn(table, name) : undefined;
  if (!column) return null;
  const answers: Record<string, SqlValue> = {
    allowsnull: column.nullable ? 1 : 0,
    isidentity: column.identity ? 1 : 0,
    iscomputed: column.computed ? 1 : 0,
    columnid: column.id,
    ordinal: column.id,
    ishidden: 0,
    issparse: 0,
    generatedalwaystype: 0,
    precision: typeof column.type.length === "number" ? column.type.length : (column.type.precision ?? null),
    scale: column.type.scale ?? null,
  };
  return answers[String(property).toLowerCase()] ?? null;
}
