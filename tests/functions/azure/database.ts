import sql from "mssql";
import sqlite from "node-sqlite3-wasm";
import { STEPS } from "../../../components/azure/schema.js";
import type { Database } from "../../../functions/azure/database.js";
import { COLUMNS } from "../../../functions/azure/record-row.js";

type Stored = string | number | bigint | Uint8Array | null;

const DATES = Object.keys(COLUMNS).filter((name) => name.endsWith("On"));

/**
 * The statements of the record store on SQLite: what they mean, not how SQL Server takes them. Of T-SQL it knows what these statements need, and
 * fails on everything else.
 */
export class SqliteDatabase implements Pick<Database, "request" | "run"> {
  private readonly database = new sqlite.Database(":memory:");
  /** Called ahead of the next statement that begins so, to let others come first. */
  before: { statement: string; act: () => Promise<unknown> } | undefined;
  /** The next statement that begins so is done, but fails, as when the acknowledgement is lost. */
  lost: string | undefined;

  constructor() {
    for (const step of STEPS.flatMap((batch) => batch.split(";"))) this.database.exec(sqliteOf(step));
  }

  async request(): Promise<sql.Request> {
    const inputs: Record<string, Stored> = {};
    const request = {
      input: (name: string, _type: unknown, value: unknown) => {
        inputs[`@${name}`] = storedOf(value);
        return request;
      },
      query: (text: string) => this.query(text, inputs),
    };
    return request as unknown as sql.Request;
  }

  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if ((error as Error).message === "lost") return work();
      throw error;
    }
  }

  close(): void {
    this.database.close();
  }

  private async query(text: string, inputs: Record<string, Stored>) {
    if (this.before && text.startsWith(this.before.statement)) {
      const { act } = this.before;
      this.before = undefined;
      await act();
    }
    try {
      const isQuery = text.startsWith("SELECT");
      const recordset = isQuery ? this.database.all(sqliteOf(text), inputs).map(rowOf) : [];
      const { changes } = isQuery ? { changes: 0 } : this.database.run(sqliteOf(text), inputs);
      if (this.lost !== undefined && text.startsWith(this.lost)) {
        this.lost = undefined;
        throw new Error("lost");
      }
      return { recordset, rowsAffected: [changes] };
    } catch (error) {
      if (!/UNIQUE constraint failed/.test((error as Error).message)) throw error;
      throw new sql.RequestError(
        Object.assign(new Error("Violation of UNIQUE KEY constraint."), { info: { number: 2627 }, number: 2627 }),
        "EREQUEST",
      );
    }
  }
}

function sqliteOf(statement: string): string {
  const top = /^SELECT TOP \((@\w+)\) /.exec(statement);
  return (top ? `${statement.replace(top[0], "SELECT ")} LIMIT ${top[1]}` : statement)
    .replaceAll("dbo.", "")
    .replace("Id INT IDENTITY(1,1) NOT NULL PRIMARY KEY", "Id INTEGER PRIMARY KEY AUTOINCREMENT")
    .replaceAll("COLLATE Latin1_General_100_BIN2", "COLLATE BINARY")
    .replaceAll(/\((?:MAX|\d+)\)/g, "");
}

function storedOf(value: unknown): Stored {
  if (value instanceof Date) return value.toISOString();
  if (typeof value === "boolean") return value ? 1 : 0;
  return value === undefined ? null : (value as Stored);
}

/** As the driver gives it: dates as dates, BIT as boolean, BIGINT as text. */
function rowOf(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => {
      if (value === null) return [name, value];
      if (DATES.includes(name)) return [name, new Date(String(value))];
      if (name === "HasAlpha") return [name, Boolean(value)];
      return [name, name === "FileSizeBytes" ? String(value) : value];
    }),
  );
}
