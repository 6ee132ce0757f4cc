import { type Column, same, type Table } from "../engine/catalog.js";
import type { SqlValue } from "../types/convert.js";
import {
  BIGINT,
  BIT,
  collationOf,
  DATETIME,
  INT,
  isString,
  NVARCHAR_MAX,
  nvarchar,
  precisionOf,
  type SqlType,
  SYSNAME,
  scaleOf,
  TYPE_NAMES,
  varbinary,
} from "../types/sql-type.js";
import type { Environment } from "./environment.js";
import { maxLength, objects, systemTypeId } from "./metadata.js";

interface SystemView {
  columns: readonly (readonly [name: string, type: SqlType])[];
  rows: SqlValue[][];
}

const TINYINT: SqlType = { name: "tinyint" };
const SMALLINT: SqlType = { name: "smallint" };
const TYPE: SqlType = { name: "char", length: 2 };
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  U: "USER_TABLE",
  V: "VIEW",
  PK: "PRIMARY_KEY_CONSTRAINT",
  UQ: "UNIQUE_CONSTRAINT",
  C: "CHECK_CONSTRAINT",
  F: "FOREIGN_KEY_CONSTRAINT",
  D: "DEFAULT_CONSTRAINT",
};
const PRINCIPALS: Readonly<Record<string, string>> = { E: "EXTERNAL_USER", X: "EXTERNAL_GROUP", S: "SQL_USER", R: "DATABASE_ROLE" };
const COLLATION = "SQL_Latin1_General_CP1_CI_AS";

const yes = (value: unknown): number => (value ? 1 : 0);
const visible = ({ catalog, sees }: Environment): Table[] => catalog.tables.filter((table) => sees(table));
const schemaId = ({ catalog }: Environment, name: string): number => catalog.schemas.find((schema) => same(schema.name, name))?.id ?? 1;
const columnId = (table: Table, name: string): number => table.columns.find((column) => same(column.name, name))?.id ?? 0;
const indexIds = (table: Table): { index: Table["indexes"][number]; id: number }[] => {
  let next = 1;
  return table.indexes.map((index) => ({ index, id: index.clustered ? 1 : ++next }));
};
const precision = ({ type }: Column): number =>
  isString(type) || type.name.endsWith("binary") ? 0 : (MOMENT_PRECISION[type.name] ?? precisionOf(type));
const MOMENT_PRECISION: Readonly<Record<string, number>> = {
  date: 10,
  time: 16,
  datetime: 23,
  smalldatetime: 16,
  datetime2: 27,
  datetimeoffset: 34,
  uniqueidentifier: 0,
};
const fallback = (text: string): string => (text.startsWith("(") ? text : `(${text})`);

function objectRows(environment: Environment, types: readonly string[]): SqlValue[][] {
  return objects(environment.catalog)
    .filter((object) => types.includes(object.type) && environment.sees(object.parent ?? object))
    .map(({ id, name, schema, type, parent }) => {
      const table = parent ?? environment.catalog.tables.find((candidate) => candidate.id === id);
      const view = environment.catalog.views.find((candidate) => candidate.id === id);
      const created = (view ?? table)?.created ?? environment.now;
      return [
        name,
        id,
        null,
        schemaId(environment, schema),
        parent?.id ?? 0,
        type.padEnd(2),
        DESCRIPTIONS[type] ?? "",
        created,
        table?.modified ?? created,
        0,
        0,
        0,
      ];
    });
}

const OBJECT: readonly (readonly [string, SqlType])[] = [
  ["name", SYSNAME],
  ["object_id", INT],
  ["principal_id", INT],
  ["schema_id", INT],
  ["parent_object_id", INT],
  ["type", TYPE],
  ["type_desc", nvarchar(60)],
  ["create_date", DATETIME],
  ["modify_date", DATETIME],
  ["is_ms_shipped", BIT],
  ["is_published", BIT],
  ["is_schema_published", BIT],
];

/** The catalog views that scripts and graphical clients ask first: by schema and name, in any case. */
const VIEWS: Readonly<Record<string, (environment: Environment) => SystemView>> = {
  "sys.objects": (environment) => ({ columns: OBJECT, rows: objectRows(environment, ["U", "V", "PK", "UQ", "C", "F", "D"]) }),
  "sys.tables": (environment) => ({
    columns: [
      ...OBJECT,
      ["lob_data_space_id", INT],
      ["max_column_id_used", INT],
      ["temporal_type", TINYINT],
      ["is_memory_optimized", BIT],
      ["is_external", BIT],
      ["is_node", BIT],
      ["is_edge", BIT],
      ["is_filetable", BIT],
      ["ledger_type", TINYINT],
    ],
    rows: objectRows(environment, ["U"]).map((row) => [
      ...row,
      0,
      environment.catalog.tables.find(({ id }) => id === row[1])?.nextColumn ?? 0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
    ]),
  }),
  "sys.views": (environment) => ({
    columns: [...OBJECT, ["with_check_option", BIT]],
    rows: objectRows(environment, ["V"]).map((row) => [...row, 0]),
  }),
  "sys.procedures": () => ({ columns: OBJECT, rows: [] }),
  "sys.triggers": () => ({ columns: [...OBJECT, ["parent_id", INT], ["is_disabled", BIT]], rows: [] }),
  "sys.synonyms": () => ({ columns: [...OBJECT, ["base_object_name", nvarchar(1035)]], rows: [] }),
  "sys.key_constraints": (environment) => ({
    columns: [...OBJECT, ["unique_index_id", INT], ["is_system_named", BIT]],
    rows: objectRows(environment, ["PK", "UQ"]).map((row) => {
      const table = environment.catalog.tables.find(({ id }) => id === row[4]);
      const entry = table ? indexIds(table).find(({ index }) => index.id === row[1]) : undefined;
      return [...row, entry?.id ?? 1, yes(entry?.index.systemNamed)];
    }),
  }),
  "sys.check_constraints": (environment) => ({
    columns: [...OBJECT, ["is_disabled", BIT], ["is_not_trusted", BIT], ["parent_column_id", INT], ["definition", NVARCHAR_MAX]],
    rows: objectRows(environment, ["C"]).map((row) => {
      const table = environment.catalog.tables.find(({ id }) => id === row[4]);
      const check = table?.checks.find(({ id }) => id === row[1]);
      return [...row, 0, 0, table && check?.column ? columnId(table, check.column) : 0, check?.text ?? null];
    }),
  }),
  "sys.default_constraints": (environment) => ({
    columns: [...OBJECT, ["parent_column_id", INT], ["definition", NVARCHAR_MAX], ["is_system_named", BIT]],
    rows: objectRows(environment, ["D"]).map((row) => {
      const column = environment.catalog.tables
        .find(({ id }) => id === row[4])
        ?.columns.find((candidate) => candidate.default?.id === row[1]);
      return [...row, column?.id ?? 0, column?.default ? fallback(column.default.text) : null, yes(column?.default?.systemNamed)];
    }),
  }),
  "sys.foreign_keys": (environment) => ({
    columns: [
      ...OBJECT,
      ["referenced_object_id", INT],
      ["is_disabled", BIT],
      ["is_not_trusted", BIT],
      ["delete_referential_action", TINYINT],
      ["delete_referential_action_desc", nvarchar(60)],
      ["update_referential_action", TINYINT],
      ["update_referential_action_desc", nvarchar(60)],
    ],
    rows: objectRows(environment, ["F"]).map((row) => {
      const key = environment.catalog.tables.find(({ id }) => id === row[4])?.foreignKeys.find(({ id }) => id === row[1]);
      const actions = ["NO ACTION", "CASCADE", "SET NULL", "SET DEFAULT"];
      const [deleting, updating] = [key?.onDelete ?? "NO ACTION", key?.onUpdate ?? "NO ACTION"];
      return [
        ...row,
        key?.table ?? 0,
        0,
        0,
        actions.indexOf(deleting),
        deleting.replace(" ", "_"),
        actions.indexOf(updating),
        updating.replace(" ", "_"),
      ];
    }),
  }),
  "sys.foreign_key_columns": (environment) => ({
    columns: [
      ["constraint_object_id", INT],
      ["constraint_column_id", INT],
      ["parent_object_id", INT],
      ["parent_column_id", INT],
      ["referenced_object_id", INT],
      ["referenced_column_id", INT],
    ],
    rows: visible(environment).flatMap((table) =>
      table.foreignKeys.flatMap((key) => {
        const target = environment.catalog.tables.find(({ id }) => id === key.table);
        return key.columns.map((name, index) => [
          key.id,
          index + 1,
          table.id,
          columnId(table, name),
          key.table,
          target ? columnId(target, key.references[index] ?? "") : 0,
        ]);
      }),
    ),
  }),
  "sys.columns": (environment) => ({
    columns: [
      ["object_id", INT],
      ["name", SYSNAME],
      ["column_id", INT],
      ["system_type_id", TINYINT],
      ["user_type_id", INT],
      ["max_length", SMALLINT],
      ["precision", TINYINT],
      ["scale", TINYINT],
      ["collation_name", SYSNAME],
      ["is_nullable", BIT],
      ["is_ansi_padded", BIT],
      ["is_rowguidcol", BIT],
      ["is_identity", BIT],
      ["is_computed", BIT],
      ["is_filestream", BIT],
      ["is_sparse", BIT],
      ["is_hidden", BIT],
      ["is_masked", BIT],
      ["default_object_id", INT],
      ["generated_always_type", TINYINT],
      ["generated_always_type_desc", nvarchar(60)],
      ["graph_type", INT],
    ],
    rows: visible(environment).flatMap((table) =>
      table.columns.map((column) => {
        const { type } = column;
        const id = systemTypeId(type);
        return [
          table.id,
          column.name,
          column.id,
          id,
          id,
          maxLength(type),
          precision(column),
          scaleOf(type),
          isString(type) ? collationOf(type).name : null,
          yes(column.nullable),
          1,
          0,
          yes(column.identity),
          yes(column.computed),
          0,
          0,
          0,
          0,
          column.default?.id ?? 0,
          0,
          "NOT_APPLICABLE",
          null,
        ];
      }),
    ),
  }),
  "sys.identity_columns": (environment) => ({
    columns: [
      ["object_id", INT],
      ["name", SYSNAME],
      ["column_id", INT],
      ["seed_value", BIGINT],
      ["increment_value", BIGINT],
      ["last_value", BIGINT],
      ["is_identity", BIT],
    ],
    rows: visible(environment).flatMap((table) =>
      table.columns
        .filter(({ identity }) => identity)
        .map(({ name, id, identity }) => [
          table.id,
          name,
          id,
          identity?.seed ?? 1,
          identity?.increment ?? 1,
          environment.lastIdentity(table),
          1,
        ]),
    ),
  }),
  "sys.computed_columns": (environment) => ({
    columns: [
      ["object_id", INT],
      ["name", SYSNAME],
      ["column_id", INT],
      ["definition", NVARCHAR_MAX],
      ["is_persisted", BIT],
      ["is_computed", BIT],
    ],
    rows: visible(environment).flatMap((table) =>
      table.columns.filter(({ computed }) => computed).map(({ name, id, computed }) => [table.id, name, id, computed ?? null, 0, 1]),
    ),
  }),
  "sys.types": () => ({
    columns: [
      ["name", SYSNAME],
      ["system_type_id", TINYINT],
      ["user_type_id", INT],
      ["schema_id", INT],
      ["max_length", SMALLINT],
      ["precision", TINYINT],
      ["scale", TINYINT],
      ["collation_name", SYSNAME],
      ["is_nullable", BIT],
      ["is_user_defined", BIT],
      ["is_assembly_type", BIT],
      ["is_table_type", BIT],
    ],
    rows: [
      ...TYPE_NAMES.map((name): SqlValue[] => {
        const id = systemTypeId({ name });
        return [
          name,
          id,
          id,
          4,
          maxLength({ name, ...(/char|binary/.test(name) ? { length: 8000 } : {}) }),
          MOMENT_PRECISION[name] ?? (/char|binary/.test(name) ? 0 : precisionOf({ name })),
          0,
          /char/.test(name) ? COLLATION : null,
          1,
          0,
          0,
          0,
        ];
      }),
      ["sysname", 231, 256, 4, 256, 0, 0, COLLATION, 0, 0, 0, 0],
    ],
  }),
  "sys.schemas": ({ catalog }) => ({
    columns: [
      ["name", SYSNAME],
      ["schema_id", INT],
      ["principal_id", INT],
    ],
    rows: catalog.schemas.map(({ name, id, owner }) => [
      name,
      id,
      catalog.principals.find((principal) => same(principal.name, owner))?.id ?? id,
    ]),
  }),
  "sys.indexes": (environment) => ({
    columns: [
      ["object_id", INT],
      ["name", SYSNAME],
      ["index_id", INT],
      ["type", TINYINT],
      ["type_desc", nvarchar(60)],
      ["is_unique", BIT],
      ["data_space_id", INT],
      ["ignore_dup_key", BIT],
      ["is_primary_key", BIT],
      ["is_unique_constraint", BIT],
      ["fill_factor", TINYINT],
      ["is_padded", BIT],
      ["is_disabled", BIT],
      ["is_hypothetical", BIT],
      ["allow_row_locks", BIT],
      ["allow_page_locks", BIT],
      ["has_filter", BIT],
      ["filter_definition", NVARCHAR_MAX],
    ],
    rows: visible(environment).flatMap((table) => [
      ...(table.indexes.some(({ clustered }) => clustered)
        ? []
        : [[table.id, null, 0, 0, "HEAP", 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, null]]),
      ...indexIds(table).map(({ index, id }): SqlValue[] => [
        table.id,
        index.name,
        id,
        index.clustered ? 1 : 2,
        index.clustered ? "CLUSTERED" : "NONCLUSTERED",
        yes(index.unique),
        1,
        0,
        yes(index.kind === "primary"),
        yes(index.kind === "unique"),
        0,
        0,
        0,
        0,
        1,
        1,
        yes(index.filter),
        index.filter ?? null,
      ]),
    ]),
  }),
  "sys.index_columns": (environment) => ({
    columns: [
      ["object_id", INT],
      ["index_id", INT],
      ["index_column_id", INT],
      ["column_id", INT],
      ["key_ordinal", TINYINT],
      ["partition_ordinal", TINYINT],
      ["is_descending_key", BIT],
      ["is_included_column", BIT],
    ],
    rows: visible(environment).flatMap((table) =>
      indexIds(table).flatMap(({ index, id }) => [
        ...index.columns.map((column, at) => [table.id, id, at + 1, columnId(table, column.name), at + 1, 0, yes(column.descending), 0]),
        ...index.include.map((name, at) => [table.id, id, index.columns.length + at + 1, columnId(table, name), 0, 0, 0, 1]),
      ]),
    ),
  }),
  "sys.partitions": (environment) => ({
    columns: [
      ["partition_id", BIGINT],
      ["object_id", INT],
      ["index_id", INT],
      ["partition_number", INT],
      ["hobt_id", BIGINT],
      ["rows", BIGINT],
    ],
    rows: visible(environment).flatMap((table) => {
      const heap = table.indexes.some(({ clustered }) => clustered) ? [] : [0];
      return [...heap, ...indexIds(table).map(({ id }) => id)].map((id) => [
        table.id * 100 + id,
        table.id,
        id,
        1,
        table.id * 100 + id,
        environment.rowCount(table),
      ]);
    }),
  }),
  "sys.sql_modules": (environment) => ({
    columns: [
      ["object_id", INT],
      ["definition", NVARCHAR_MAX],
    ],
    rows: environment.catalog.views
      .filter((view) => environment.sees(view))
      .map(({ id, text, schema, name }) => [id, `CREATE VIEW [${schema}].[${name}] AS ${text}`]),
  }),
  "sys.extended_properties": () => ({
    columns: [
      ["class", TINYINT],
      ["class_desc", nvarchar(60)],
      ["major_id", INT],
      ["minor_id", INT],
      ["name", SYSNAME],
      ["value", nvarchar(4000)],
    ],
    rows: [],
  }),
  "sys.databases": (environment) => ({
    columns: [
      ["name", SYSNAME],
      ["database_id", INT],
      ["source_database_id", INT],
      ["owner_sid", varbinary(85)],
      ["create_date", DATETIME],
      ["compatibility_level", TINYINT],
      ["collation_name", SYSNAME],
      ["user_access", TINYINT],
      ["user_access_desc", nvarchar(60)],
      ["is_read_only", BIT],
      ["state", TINYINT],
      ["state_desc", nvarchar(60)],
      ["snapshot_isolation_state", TINYINT],
      ["is_read_committed_snapshot_on", BIT],
      ["recovery_model", TINYINT],
      ["is_in_standby", BIT],
      ["containment", TINYINT],
    ],
    rows: environment
      .databases()
      .map(({ id, name, created }) => [
        name,
        id,
        null,
        Buffer.from([1]),
        created,
        160,
        COLLATION,
        0,
        "MULTI_USER",
        0,
        0,
        "ONLINE",
        1,
        1,
        1,
        0,
        0,
      ]),
  }),
  "sys.database_principals": ({ catalog }) => ({
    columns: [
      ["name", SYSNAME],
      ["principal_id", INT],
      ["type", { name: "char", length: 1 }],
      ["type_desc", nvarchar(60)],
      ["default_schema_name", SYSNAME],
      ["create_date", DATETIME],
      ["modify_date", DATETIME],
      ["owning_principal_id", INT],
      ["sid", varbinary(85)],
      ["is_fixed_role", BIT],
      ["authentication_type", INT],
      ["authentication_type_desc", nvarchar(60)],
    ],
    rows: catalog.principals.map(({ name, id, kind, type, schema, created, sid, fixed }) => {
      const external = type === "E" || type === "X";
      const [method, words] = kind === "role" ? [0, "NONE"] : external ? [4, "EXTERNAL"] : [2, "DATABASE"];
      return [
        name,
        id,
        type,
        PRINCIPALS[type] ?? "",
        kind === "role" ? null : schema,
        created,
        created,
        kind === "role" ? 1 : null,
        sid ? Buffer.from(sid, "hex") : null,
        yes(fixed && kind === "role" && name !== "public"),
        method,
        words,
      ];
    }),
  }),
  "sys.database_role_members": ({ catalog }) => ({
    columns: [
      ["role_principal_id", INT],
      ["member_principal_id", INT],
    ],
    rows: catalog.principals.flatMap((member) =>
      member.roles.map((role) => [catalog.principals.find((principal) => same(principal.name, role))?.id ?? 0, member.id]),
    ),
  }),
  "sys.database_permissions": ({ catalog }) => ({
    columns: [
      ["class", TINYINT],
      ["class_desc", nvarchar(60)],
      ["major_id", INT],
      ["minor_id", INT],
      ["grantee_principal_id", INT],
      ["grantor_principal_id", INT],
      ["type", { name: "char", length: 4 }],
      ["permission_name", nvarchar(128)],
      ["state", { name: "char", length: 1 }],
      ["state_desc", nvarchar(60)],
    ],
    rows: catalog.permissions.map(({ on, principal, permission, state, grantOption }) => {
      const [kind, words] = on.kind === "OBJECT" ? [1, "OBJECT_OR_COLUMN"] : on.kind === "SCHEMA" ? [3, "SCHEMA"] : [0, "DATABASE"];
      const type = permission
        .split(" ")
        .map((word) => word.slice(0, 2))
        .join("")
        .slice(0, 4)
        .padEnd(4);
      return [
        kind,
        words,
        on.id,
        0,
        catalog.principals.find((candidate) => same(candidate.name, principal))?.id ?? 0,
        1,
        type,
        permission,
        grantOption ? "W" : state === "GRANT" ? "G" : "D",
        grantOption ? "GRANT_WITH_GRANT_OPTION" : state,
      ];
    }),
  }),
  "information_schema.tables": (environment) => ({
    columns: [
      ["TABLE_CATALOG", SYSNAME],
      ["TABLE_SCHEMA", SYSNAME],
      ["TABLE_NAME", SYSNAME],
      ["TABLE_TYPE", nvarchar(10)],
    ],
    rows: [
      ...visible(environment).map(({ schema, name }) => [environment.database, schema, name, "BASE TABLE"]),
      ...environment.catalog.views
        .filter((view) => environment.sees(view))
        .map(({ schema, name }) => [environment.database, schema, name, "VIEW"]),
    ],
  }),
  "information_schema.columns": (environment) => ({
    columns: [
      ["TABLE_CATALOG", SYSNAME],
      ["TABLE_SCHEMA", SYSNAME],
      ["TABLE_NAME", SYSNAME],
      ["COLUMN_NAME", SYSNAME],
      ["ORDINAL_POSITION", INT],
      ["COLUMN_DEFAULT", nvarchar(4000)],
      ["IS_NULLABLE", nvarchar(3)],
      ["DATA_TYPE", nvarchar(128)],
      ["CHARACTER_MAXIMUM_LENGTH", INT],
      ["CHARACTER_OCTET_LENGTH", INT],
      ["NUMERIC_PRECISION", TINYINT],
      ["NUMERIC_PRECISION_RADIX", SMALLINT],
      ["NUMERIC_SCALE", INT],
      ["DATETIME_PRECISION", SMALLINT],
      ["CHARACTER_SET_NAME", SYSNAME],
      ["COLLATION_NAME", SYSNAME],
    ],
    rows: visible(environment).flatMap((table) =>
      table.columns.map((column, index) => {
        const { type } = column;
        const sized = type.length !== undefined;
        const moment = type.name in MOMENT_PRECISION && type.name !== "uniqueidentifier";
        const number = !sized && !moment && type.name !== "uniqueidentifier" && type.name !== "bit";
        const characters = type.length === "max" ? -1 : (type.length ?? null);
        return [
          environment.database,
          table.schema,
          table.name,
          column.name,
          index + 1,
          column.default ? fallback(column.default.text) : null,
          column.nullable ? "YES" : "NO",
          type.name,
          characters,
          sized ? maxLength(type) : null,
          number ? precisionOf(type) : null,
          number ? (type.name === "float" || type.name === "real" ? 2 : 10) : null,
          number && type.name !== "float" && type.name !== "real" ? scaleOf(type) : null,
          moment ? scaleOf(type) : null,
          isString(type) ? (type.name.startsWith("n") ? "UNICODE" : "iso_1") : null,
          isString(type) ? collationOf(type).name : null,
        ];
      }),
    ),
  }),
  "information_schema.views": (environment) => ({
    columns: [
      ["TABLE_CATALOG", SYSNAME],
      ["TABLE_SCHEMA", SYSNAME],
      ["TABLE_NAME", SYSNAME],
      ["VIEW_DEFINITION", nvarchar(4000)],
    ],
    rows: environment.catalog.views
      .filter((view) => environment.sees(view))
      .map(({ schema, name, text }) => [environment.database, schema, name, text.slice(0, 4000)]),
  }),
  "information_schema.schemata": ({ catalog, database }) => ({
    columns: [
      ["CATALOG_NAME", SYSNAME],
      ["SCHEMA_NAME", SYSNAME],
      ["SCHEMA_OWNER", SYSNAME],
    ],
    rows: catalog.schemas.map(({ name, owner }) => [database, name, owner]),
  }),
  "information_schema.routines": () => ({
    columns: [
      ["ROUTINE_CATALOG", SYSNAME],
      ["ROUTINE_SCHEMA", SYSNAME],
      ["ROUTINE_NAME", SYSNAME],
      ["ROUTINE_TYPE", nvarchar(20)],
    ],
    rows: [],
  }),
  "information_schema.table_constraints": (environment) => ({
    columns: [
      ["CONSTRAINT_CATALOG", SYSNAME],
      ["CONSTRAINT_SCHEMA", SYSNAME],
      ["CONSTRAINT_NAME", SYSNAME],
      ["TABLE_CATALOG", SYSNAME],
      ["TABLE_SCHEMA", SYSNAME],
      ["TABLE_NAME", SYSNAME],
      ["CONSTRAINT_TYPE", nvarchar(11)],
    ],
    rows: visible(environment).flatMap((table) => {
      const row = (name: string, type: string): SqlValue[] => [
        environment.database,
        table.schema,
        name,
        environment.database,
        table.schema,
        table.name,
        type,
      ];
      return [
        ...table.indexes
          .filter(({ kind }) => kind !== "index")
          .map(({ name, kind }) => row(name, kind === "primary" ? "PRIMARY KEY" : "UNIQUE")),
        ...table.checks.map(({ name }) => row(name, "CHECK")),
        ...table.foreignKeys.map(({ name }) => row(name, "FOREIGN KEY")),
      ];
    }),
  }),
  "information_schema.key_column_usage": (environment) => ({
    columns: [
      ["CONSTRAINT_CATALOG", SYSNAME],
      ["CONSTRAINT_SCHEMA", SYSNAME],
      ["CONSTRAINT_NAME", SYSNAME],
      ["TABLE_CATALOG", SYSNAME],
      ["TABLE_SCHEMA", SYSNAME],
      ["TABLE_NAME", SYSNAME],
      ["COLUMN_NAME", SYSNAME],
      ["ORDINAL_POSITION", INT],
    ],
    rows: visible(environment).flatMap((table) => {
      const keys = [
        ...table.indexes
          .filter(({ kind }) => kind !== "index")
          .map(({ name, columns }) => ({ name, columns: columns.map((column) => column.name) })),
        ...table.foreignKeys,
      ];
      return keys.flatMap(({ name, columns }) =>
        columns.map((column, index) => [
          environment.database,
          table.schema,
          name,
          environment.database,
          table.schema,
          table.name,
          column,
          index + 1,
        ]),
      );
    }),
  }),
};

const ALIASES: Readonly<Record<string, string>> = {
  "sys.all_objects": "sys.objects",
  "sys.all_columns": "sys.columns",
  "sys.all_views": "sys.views",
  "sys.sysobjects": "sys.objects",
  "sys.sysusers": "sys.database_principals",
  "sys.all_sql_modules": "sys.sql_modules",
};

/** @returns `undefined` when there is no such view */
export function systemView(environment: Environment, schema: string, name: string): (SystemView & { name: string }) | undefined {
  const wanted = `${schema.toLowerCase()}.${name.toLowerCase()}`;
  const view = VIEWS[ALIASES[wanted] ?? wanted];
  return view ? { ...view(environment), name } : undefined;
}
