import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { endsBatch, isBinding, rollsBack, SqlError, sqlError, unsupported } from "../errors.js";
import { alterUser, changeMember, changePermissions, dropPrincipal, newRole, newUser } from "../security/principals.js";
import { sidOf } from "../security/sid.js";
import type { DirectoryLookup } from "../security/tokens.js";
import { coerce } from "../translate/coerce.js";
import type { Environment, Typed } from "../translate/environment.js";
import { nameParts } from "../translate/metadata.js";
import { Translator } from "../translate/query.js";
import { Scope } from "../translate/scope.js";
import type { Condition, Expression, Statement } from "../tsql/ast.js";
import { parseBatch, parseParameters } from "../tsql/parser.js";
import { convert, type SqlValue } from "../types/convert.js";
import { INT, isString, NVARCHAR_MAX, nvarchar, type SqlType } from "../types/sql-type.js";
import { same } from "./catalog.js";
import { Definitions } from "./definition.js";
import { type Changing, insert, type Modified, merge, remove, target, truncate, update } from "./modification.js";
import type { Rowset } from "./output.js";
import type { Results } from "./results.js";
import { storedColumns } from "./rows.js";
import type { Session } from "./session.js";

type Of<K extends Statement["kind"]> = Extract<Statement, { kind: K }>;
type Completion = "normal" | "break" | "continue" | "return";

/** The error was reported, and nothing more of the batch runs. */
class BatchEnded extends Error {}

const parsed = new Map<string, Statement[]>();

/** Parsed batches are kept: clients send the same few again and again. */
function statementsOf(sql: string): Statement[] {
  let statements = parsed.get(sql);
  if (!statements) {
    statements = parseBatch(sql);
    if (parsed.size > 300) parsed.clear();
    if (sql.length < 20_000) parsed.set(sql, statements);
  }
  return statements;
}

/** Runs batches for a session: control flow, variables, transactions, and what becomes of errors. */
export class Batch {
  /** Of RETURN. */
  returned = 0;
  #tries = 0;

  constructor(
    private readonly session: Session,
    private readonly results: Results,
    private readonly directory: DirectoryLookup,
    readonly variables = new Map<string, Typed>(),
  ) {}

  /** Runs it, reporting errors to the results. @returns whether all went well @throws only what cancels the request */
  async run(sql: string): Promise<boolean> {
    const { session } = this;
    try {
      await this.#block(statementsOf(sql));
      if (session.doomed && session.depth > 0) {
        this.#abandon();
        this.results.error(sqlError(3998));
        return false;
      }
      return true;
    } catch (error) {
      if (error instanceof BatchEnded) return false;
      const known = this.#known(error);
      if (session.signal.aborted && error === session.signal.reason) throw error;
      session.errorNumber = known.number;
      this.results.error(known);
      return false;
    }
  }

  #known(error: unknown): SqlError {
    if (error instanceof SqlError) return error;
    const message = error instanceof Error ? error.message : String(error);
    if (/malformed JSON/.test(message)) return sqlError(13609, "", 0);
    if (/integer overflow/.test(message)) return sqlError(8115, "expression", "int");
    return new SqlError(8624, `Internal Query Processor Error: the embedded SQL could not run this statement (${message}).`, 16);
  }

  #abandon(): void {
    if (this.session.depth > 0) {
      this.session.rollback();
      this.results.transaction("rollback");
    }
  }

  async #block(statements: readonly Statement[]): Promise<Completion> {
    for (const statement of statements) {
      this.session.signal.throwIfAborted();
      let completion: Completion = "normal";
      try {
        completion = await this.#statement(statement);
      } catch (error) {
        this.#failed(error, statement);
      }
      if (completion !== "normal") return completion;
    }
    return "normal";
  }

  /** Decides what an error ends: the statement, the batch, the transaction. */
  #failed(error: unknown, statement: Statement): void {
    const { session } = this;
    if (error instanceof BatchEnded || (session.signal.aborted && error === session.signal.reason)) throw error;
    const known = this.#known(error);
    known.line ||= statement.line;
    session.errorNumber = known.number;
    const catchable = this.#tries > 0 && !isBinding(known) && known.severity < 20;
    const raised = statement.kind === "raiserror";
    if (catchable) {
      if (session.depth > 0 && ((session.options.abortTransactions && !raised) || rollsBack(known))) session.doomed = true;
      throw known;
    }
    this.results.error(known);
    const thrown = statement.kind === "throw";
    if (rollsBack(known) || (session.options.abortTransactions && !raised)) this.#abandon();
    if (endsBatch(known) || rollsBack(known) || thrown || (session.options.abortTransactions && !raised)) throw new BatchEnded();
    this.results.done({ failed: true });
  }

  get #environment(): Environment {
    return this.session.environment(this.variables);
  }

  async #statement(statement: Statement): Promise<Completion> {
    switch (statement.kind) {
      case "block":
        return this.#block(statement.body);
      case "if": {
        const branch = (await this.#holds(statement.condition)) ? statement.result : statement.otherwise;
        return branch ? this.#block([branch]) : "normal";
      }
      case "while":
        while (await this.#holds(statement.condition)) {
          // A cancellation is heard between turns of the loop.
          await turn();
          const completion = await this.#block([statement.body]);
          if (completion === "break") break;
          if (completion === "return") return completion;
        }
        return "normal";
      case "break":
      case "continue":
        return statement.kind;
      case "return":
        if (statement.value) this.returned = Number((await this.#scalar(statement.value, INT)).value ?? 0);
        return "return";
      case "try":
        return this.#try(statement);
      default:
        await this.#simple(statement);
        return "normal";
    }
  }

  async #try({ body, handler }: Of<"try">): Promise<Completion> {
    const { session } = this;
    this.#tries += 1;
    let error: SqlError;
    try {
      return await this.#block(body);
    } catch (thrown) {
      if (!(thrown instanceof SqlError)) throw thrown;
      error = thrown;
    } finally {
      this.#tries -= 1;
    }
    session.caught.push(error);
    try {
      return await this.#block(handler);
    } finally {
      session.caught.pop();
    }
  }

  /** Whether a condition is true. */
  async #holds(condition: Condition): Promise<boolean> {
    const [row] = await this.#read((translator) => ({
      sql: `SELECT ${translator.condition(condition, { scope: new Scope(), clause: "value" })} AS c1`,
      columns: [],
    }));
    return row?.[0] === 1;
  }

  async #scalar(expression: Expression, type?: SqlType): Promise<Typed> {
    let found: SqlType = type ?? INT;
    const [row] = await this.#read((translator) => {
      const emitted = translator.value(expression);
      found = type ?? emitted.type;
      if (emitted.constant !== undefined && (!type || emitted.constant === null)) return { sql: "", columns: [], ready: emitted.constant };
      return { sql: `SELECT ${type ? coerce(emitted, type).sql : emitted.sql} AS c1`, columns: [] };
    });
    return { type: found, value: row?.[0] ?? null };
  }

  /** Translates and runs something that only reads. */
  async #read(translate: (translator: Translator) => { sql: string; ready?: SqlValue; columns: unknown[] }): Promise<SqlValue[][]> {
    const { session } = this;
    if (session.readsLock) await session.hold();
    const environment = this.#environment;
    const translator = new Translator(environment);
    const { sql, ready } = translate(translator);
    session.demand(translator);
    if (ready !== undefined) return [[ready]];
    if (translator.locks && session.depth > 0 && !session.holding) {
      await session.hold();
      return session.database.store.all(sql, translator.parameters, session.source, this.#environment);
    }
    return session.database.store.all(sql, translator.parameters, session.source, environment);
  }

  async #simple(statement: Statement): Promise<void> {
    const { session, results } = this;
    switch (statement.kind) {
      case "query":
        return this.#query(statement);
      case "insert":
      case "update":
      case "delete":
      case "merge":
        return this.#modify(statement);
      case "truncate":
        await this.#change((changing) => truncate(statement.table, changing));
        return this.#finish();
      case "declare":
        for (const { name, type, value } of statement.variables) {
          if (this.variables.has(name.toLowerCase()) && !this.#redeclared.has(statement)) throw sqlError(134, name);
          this.variables.set(name.toLowerCase(), { type, value: null });
          if (value) await this.#assign(name, "=", value);
        }
        this.#redeclared.add(statement);
        return;
      case "set":
        await this.#assign(statement.variable, statement.operator, statement.expression);
        session.rowCount = 1;
        return;
      case "option":
        return this.#option(statement);
      case "throw":
        return this.#throw(statement);
      case "raiserror":
        return this.#raise(statement);
      case "print": {
        const { value } = await this.#scalar(statement.expression, NVARCHAR_MAX);
        results.info(String(value ?? " "), 0, 0, 1, statement.line);
        return;
      }
      case "waitfor": {
        const { value } = await this.#scalar(statement.delay, nvarchar(50));
        await this.#wait(String(value ?? ""));
        return;
      }
      case "transaction":
        return this.#transaction(statement);
      case "execute":
        return this.#execute(statement);
      case "execute text": {
        const { value } = await this.#scalar(statement.text, NVARCHAR_MAX);
        await this.#nested(String(value ?? ""), new Map());
        return;
      }
      case "use":
        if (same(statement.database, session.database.name)) return;
        throw sqlError(session.settings.databases().some(({ name }) => same(name, statement.database)) ? 40508 : 911, statement.database);
      case "insert bulk":
        throw unsupported("BULK", "a bulk load outside of its own request");
      case "nothing":
        return;
      default:
        await this.#define(statement);
        session.errorNumber = 0;
        session.rowCount = 0;
        results.done({});
    }
  }

  /** Declarations run once for each turn of a loop. */
  readonly #redeclared = new WeakSet<Statement>();

  #finish(count?: number, select = false): void {
    const { session } = this;
    session.rowCount = count ?? 0;
    session.errorNumber = 0;
    this.results.done({ select, ...(count !== undefined && !session.options.countless ? { count } : {}) });
  }

  async #send({ columns, rows }: Rowset): Promise<void> {
    this.results.columns(columns);
    for (const row of rows) {
      await this.results.row(row);
      if (this.session.signal.aborted) throw this.session.signal.reason;
    }
  }

  async #query(statement: Of<"query">): Promise<void> {
    const { session } = this;
    if (statement.into) return this.#selectInto(statement);
    let columns: Rowset["columns"] = [];
    let assigns: { variable: string; operator: string }[] | undefined;
    const rows = await this.#read((translator) => {
      const query = translator.query(statement.query, undefined, true);
      ({ columns, assigns } = query);
      return query;
    });
    if (!assigns) {
      await this.#send({ columns, rows });
      return this.#finish(rows.length, true);
    }
    for (const row of rows) {
      for (const [index, { variable, operator }] of assigns.entries()) {
        await this.#assignValue(variable, operator, { type: columns[index]?.type ?? INT, value: row[index] ?? null });
      }
    }
    session.rowCount = rows.length;
    session.errorNumber = 0;
    this.results.done({ count: rows.length, select: true });
  }

  /** SELECT … INTO makes a table of what a query gives. */
  async #selectInto({ query, into, line }: Of<"query">): Promise<void> {
    const { session } = this;
    const count = await session.write(() => {
      const environment = this.#environment;
      const translator = new Translator(environment);
      const { sql, columns } = translator.query(query, undefined, true);
      session.demand(translator);
      const rows = session.database.store.all(sql, translator.parameters, "writer", environment);
      columns.forEach(({ name }, index) => {
        if (name === "") throw sqlError(1038, index + 1);
      });
      const definitions = columns.map(({ name, type, required }) => ({ name, type, nullable: !required, constraints: [] }));
      new Definitions(session.database, environment, environment.now).createTable({
        kind: "create table",
        line,
        name: into ?? [],
        columns: definitions,
        constraints: [],
      });
      const changing = this.#changing(this.#environment);
      for (const row of rows) {
        const values = row.map((value, index) => ({ kind: "literal" as const, value, type: columns[index]?.type ?? INT }));
        insert({ kind: "insert", line, table: into ?? [], with: [], source: { rows: [values] } }, changing);
      }
      return rows.length;
    });
    this.#finish(count);
  }

  #changing(environment: Environment): Changing {
    const { session } = this;
    return {
      database: session.database,
      environment,
      identityInsert: session.identityInsert,
      noteIdentity: (value) => {
        session.identity = value;
      },
      demand: (translator) => session.demand(translator),
    };
  }

  #change<T>(work: (changing: Changing) => T): Promise<T> {
    const { session } = this;
    if (session.options.implicitTransactions && session.depth === 0) {
      session.begin();
      this.results.transaction("begin");
    }
    return session.write(() => work(this.#changing(this.#environment)));
  }

  async #modify(statement: Of<"insert"> | Of<"update"> | Of<"delete"> | Of<"merge">): Promise<void> {
    const { count, output, assigned } = await this.#change((changing): Modified => {
      switch (statement.kind) {
        case "insert":
          return insert(statement, changing);
        case "update":
          return update(statement, changing);
        case "delete":
          return remove(statement, changing);
        case "merge":
          return merge(statement, changing);
      }
    });
    for (const { variable, operator, value, type } of assigned) await this.#assignValue(variable, operator, { value, type });
    if (output) await this.#send(output);
    this.#finish(count);
  }

  /** Rows that came by a bulk load. */
  async load(table: readonly string[], columns: readonly string[], rows: readonly Typed[][]): Promise<void> {
    try {
      await this.#change((changing) => {
        const found = target(table, changing.environment);
        const identity = storedColumns(found).find((column) => column.identity);
        const explicit = identity !== undefined && columns.some((name) => same(name, identity.name));
        const loading = explicit ? { ...changing, identityInsert: found.id } : changing;
        for (const row of rows) {
          const values = row.map(({ type, value }) => ({ kind: "literal" as const, type, value }));
          insert({ kind: "insert", line: 1, table, with: [], source: { columns: [...columns], rows: [values] } }, loading);
        }
      });
      this.#finish(rows.length);
    } catch (error) {
      const known = this.#known(error);
      this.session.errorNumber = known.number;
      this.results.error(known);
    }
  }

  async #assign(variable: string, operator: string, expression: Expression): Promise<void> {
    const declared = this.variables.get(variable.toLowerCase());
    if (!declared) throw sqlError(137, variable);
    if (operator !== "=") {
      const left: Expression = { kind: "variable", name: variable };
      return this.#assign(variable, "=", { kind: "arithmetic", operator: operator[0] as "+", left, right: expression });
    }
    this.variables.set(variable.toLowerCase(), await this.#scalar(expression, declared.type));
  }

  async #assignValue(variable: string, operator: string, { type, value }: Typed): Promise<void> {
    await this.#assign(variable, operator, { kind: "literal", value, type });
  }

  #option({ option, value, table }: Of<"option">): void {
    const { session } = this;
    const on = value === "ON";
    for (const name of option.split(",")) {
      switch (name) {
        case "NOCOUNT":
          session.options.countless = on;
          break;
        case "XACT_ABORT":
          session.options.abortTransactions = on;
          break;
        case "IMPLICIT_TRANSACTIONS":
          session.options.implicitTransactions = on;
          break;
        case "LOCK_TIMEOUT":
          session.options.lockTimeout = Number(value);
          break;
        case "ISOLATION":
          session.options.isolation = value;
          break;
        case "IDENTITY_INSERT": {
          const found = target(table ?? [], this.#environment);
          if (!found.columns.some(({ identity }) => identity)) throw sqlError(8106, found.name);
          if (!on) session.identityInsert = undefined;
          else if (session.identityInsert !== undefined && session.identityInsert !== found.id) {
            const other = session.catalog.tables.find(({ id }) => id === session.identityInsert);
            throw sqlError(8107, other?.name, found.name);
          } else session.identityInsert = found.id;
          break;
        }
        case "ANSI_NULLS":
        case "ANSI_WARNINGS":
        case "ARITHABORT":
        case "QUOTED_IDENTIFIER":
        case "CONCAT_NULL_YIELDS_NULL":
        case "ANSI_PADDING":
        case "ANSI_DEFAULTS":
        case "ANSI_NULL_DFLT_ON":
          // What they are set to by every client of today is the one way in which they work here.
          if (value === "OFF" && !["ARITHABORT", "ANSI_DEFAULTS"].includes(name)) throw unsupported(name, `SET ${name} OFF`);
          break;
        case "NUMERIC_ROUNDABORT":
        case "CURSOR_CLOSE_ON_COMMIT":
        case "FMTONLY":
        case "NOEXEC":
        case "PARSEONLY":
        case "ARITHIGNORE":
          if (on) throw unsupported(name, `SET ${name} ON`);
          break;
        case "LANGUAGE":
          if (!/^(us_english|english)$/i.test(value)) throw unsupported(value, "languages but us_english");
          break;
        case "DATEFORMAT":
          if (value !== "MDY") throw unsupported(value, "date formats but mdy");
          break;
        case "DATEFIRST":
          if (value !== "7") throw unsupported(value, "SET DATEFIRST");
          break;
        case "TEXTSIZE":
        case "DEADLOCK_PRIORITY":
        case "STATISTICS IO":
        case "STATISTICS TIME":
          break;
        case "ROWCOUNT":
          if (value !== "0") throw unsupported(name, "SET ROWCOUNT");
          break;
        default:
          throw unsupported(name, `SET ${name}`);
      }
    }
  }

  async #throw({ arguments: given }: Of<"throw">): Promise<void> {
    const { session } = this;
    const caught = session.caught[session.caught.length - 1];
    if (!given) {
      if (!caught) throw sqlError(10704);
      throw caught;
    }
    const [number, message, state] = given;
    const code = Number((await this.#scalar(number, INT)).value);
    if (!(code >= 50_000)) throw sqlError(35100, code);
    throw new SqlError(
      code,
      String((await this.#scalar(message, nvarchar(2048))).value ?? ""),
      16,
      Number((await this.#scalar(state, INT)).value ?? 1),
    );
  }

  async #raise(statement: Of<"raiserror">): Promise<void> {
    const message = await this.#scalar(statement.message);
    const severity = Number((await this.#scalar(statement.severity, INT)).value ?? 0);
    const state = Number((await this.#scalar(statement.state, INT)).value ?? 1);
    const values: SqlValue[] = [];
    for (const argument of statement.arguments) values.push((await this.#scalar(argument)).value);
    if (!isString(message.type)) throw sqlError(18054, message.value, severity, state);
    let next = 0;
    const text = String(message.value ?? "").replace(/%(-?\d*)(?:l|I64)?([sdiux%])/g, (_, width: string, kind: string) => {
      if (kind === "%") return "%";
      const written = String(values[next++] ?? "(null)");
      return width.startsWith("-") ? written.padEnd(-Number(width)) : written.padStart(Number(width || 0));
    });
    if (severity <= 10) {
      this.results.info(text, 50_000, severity, state, statement.line);
      return;
    }
    throw new SqlError(50_000, text, Math.min(severity, 18), state);
  }

  async #wait(delay: string): Promise<void> {
    const match = /^(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,3}))?)?$/.exec(delay.trim());
    if (!match) throw sqlError(148, delay);
    const [, hours = "0", minutes = "0", seconds = "0", fraction = "0"] = match;
    const milliseconds = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000 + Number(fraction.padEnd(3, "0"));
    const { signal } = this.session;
    try {
      await sleep(milliseconds, undefined, { signal });
    } catch {
      signal.throwIfAborted();
    }
  }

  async #transaction({ action, name: written }: Of<"transaction">): Promise<void> {
    const { session, results } = this;
    const name = written?.startsWith("@") ? String(this.variables.get(written.toLowerCase())?.value ?? "") : written;
    switch (action) {
      case "begin":
        session.begin();
        if (session.depth === 1) {
          session.transactionName = name;
          results.transaction("begin");
        }
        return;
      case "commit":
        if (session.commit()) results.transaction("commit");
        return;
      case "rollback":
        if (session.rollback(name)) results.transaction("rollback");
        return;
      case "save":
        session.save(name ?? "");
    }
  }

  async #nested(sql: string, variables: Map<string, Typed>): Promise<Map<string, Typed>> {
    const { session } = this;
    const inner = new Batch(session, this.results, this.directory, variables);
    inner.#tries = this.#tries;
    try {
      await inner.#block(statementsOf(sql));
    } catch (error) {
      if (error instanceof BatchEnded) return inner.variables;
      throw error;
    }
    this.returned = inner.returned;
    return inner.variables;
  }

  /** The few procedures of the system that scripts call. */
  async #execute(statement: Of<"execute">): Promise<void> {
    const procedure = (statement.procedure[statement.procedure.length - 1] as string).toLowerCase();
    const given: { name?: string; typed: Typed; output?: string }[] = [];
    for (const { name, value, output } of statement.arguments) {
      const typed = value ? await this.#scalar(value) : { type: NVARCHAR_MAX, value: null };
      given.push({ typed, ...(name ? { name } : {}), ...(output && value?.kind === "variable" ? { output: value.name } : {}) });
    }
    const text = (index: number, name: string): string | undefined => {
      const found = given.find((argument) => argument.name && same(argument.name, name)) ?? (given[index]?.name ? undefined : given[index]);
      return found && found.typed.value !== null ? String(found.typed.value) : undefined;
    };
    switch (procedure) {
      case "sp_executesql": {
        const declared = given[1]?.typed.value ? parseParameters(String(given[1].typed.value)) : [];
        const variables = new Map<string, Typed>();
        const outputs = new Map<string, string>();
        declared.forEach(({ name, type }, index) => {
          const argument =
            given.slice(2).find((candidate) => candidate.name && same(candidate.name, name)) ??
            (given[index + 2]?.name ? undefined : given[index + 2]);
          if (!argument) throw sqlError(8178, declared.map((each) => each.name).join(", "), name);
          variables.set(name.toLowerCase(), { type, value: convert(argument.typed.value, argument.typed.type, type) });
          if (argument.output) outputs.set(name.toLowerCase(), argument.output);
        });
        const after = await this.#nested(String(given[0]?.typed.value ?? ""), variables);
        for (const [name, variable] of outputs) {
          const value = after.get(name);
          if (value) await this.#assignValue(variable, "=", value);
        }
        break;
      }
      case "sp_rename": {
        const [from, to, kind] = [text(0, "@objname"), text(1, "@newname"), text(2, "@objtype") ?? "OBJECT"];
        if (!from || !to) throw sqlError(201, "sp_rename", from ? "@newname" : "@objname");
        await this.session.write(() => {
          const environment = this.#environment;
          new Definitions(this.session.database, environment, environment.now).rename(nameParts(from), to, kind);
        });
        this.results.info("Caution: Changing any part of an object name could break scripts and stored procedures.", 15477, 10, 1);
        break;
      }
      case "sp_addrolemember":
      case "sp_droprolemember": {
        const [role, member] = [text(0, "@rolename"), text(1, "@membername")];
        if (!role || !member) throw sqlError(201, procedure, role ? "@membername" : "@rolename");
        await this.#define({ kind: "role member", role, member, add: procedure === "sp_addrolemember", line: statement.line });
        break;
      }
      case "sp_set_session_context": {
        const name = text(0, "@key");
        if (name) this.session.context.set(name.toLowerCase(), text(1, "@value") ?? "");
        break;
      }
      case "sp_reset_connection":
        this.session.reset();
        break;
      default:
        throw sqlError(2812, statement.procedure.join("."));
    }
    if (statement.result) await this.#assignValue(statement.result, "=", { type: INT, value: this.returned });
  }

  async #define(statement: Statement): Promise<void> {
    const { session } = this;
    const sidFromDirectory = statement.kind === "create user" && statement.external ? await this.#sid(statement) : undefined;
    await session.write(() => {
      const { database } = session;
      const environment = this.#environment;
      const { now } = environment;
      const definitions = new Definitions(database, environment, now);
      switch (statement.kind) {
        case "create table":
          return definitions.createTable(statement);
        case "alter table":
          return definitions.alterTable(statement);
        case "create index":
          return definitions.createIndex(statement);
        case "drop index":
          return definitions.dropIndex(statement);
        case "create view":
          return definitions.createView(statement);
        case "drop":
          for (const name of statement.names) this.#drop(statement, name, definitions, environment);
          return;
        case "create schema":
          if (!environment.permits("CREATE SCHEMA", undefined)) throw sqlError(262, "CREATE SCHEMA", database.name);
          if (environment.catalog.schemas.some(({ name }) => same(name, statement.name))) throw sqlError(2714, statement.name);
          database.define((catalog) => {
            const id = Math.max(4, ...catalog.schemas.map((schema) => schema.id)) + 1;
            catalog.schemas.push({ id, name: statement.name, owner: statement.owner ?? "dbo" });
          });
          return;
        case "create user": {
          const user = newUser(statement, environment, now, sidFromDirectory);
          database.define((catalog) => catalog.principals.push({ id: nextPrincipal(catalog.principals), ...user }));
          return;
        }
        case "alter user":
          return database.define((catalog) => alterUser(statement, catalog, environment));
        case "create role": {
          const role = newRole(statement.name, environment, now);
          database.define((catalog) => catalog.principals.push({ id: nextPrincipal(catalog.principals), ...role }));
          return;
        }
        case "role member":
          return database.define((catalog) => changeMember(statement, catalog, environment));
        case "grant":
          return database.define((catalog) => changePermissions(statement.grant, catalog, environment));
        default:
          throw unsupported(statement.kind, "this statement");
      }
    });
  }

  #drop({ what, ifExists }: Of<"drop">, name: readonly string[], definitions: Definitions, environment: Environment): void {
    const { database } = this.session;
    const own = name[name.length - 1] as string;
    if (what === "TABLE") definitions.dropTable(name, ifExists);
    else if (what === "VIEW") definitions.dropView(name, ifExists);
    else if (what === "SCHEMA") this.#dropSchema(own, ifExists, environment);
    else if (what === "PROCEDURE") throw unsupported(what, "DROP PROCEDURE");
    else database.define((catalog) => dropPrincipal(own, what === "USER" ? "user" : "role", ifExists, catalog, environment));
  }

  #dropSchema(name: string, ifExists: boolean, { catalog: { schemas, tables, views }, permits }: Environment): void {
    const schema = schemas.find((candidate) => same(candidate.name, name));
    if (!schema && ifExists) return;
    if (!schema || schema.id < 5 || !permits("ALTER ANY SCHEMA", undefined)) throw sqlError(15151, "drop", "schema", name);
    const content = [...tables, ...views].find((object) => same(object.schema, name));
    if (content) throw sqlError(3729, name, content.name);
    this.session.database.define((catalog) => {
      catalog.schemas = catalog.schemas.filter(({ id }) => id !== schema.id);
    });
  }

  /** The SID of what FROM EXTERNAL PROVIDER names: of an application its client id, else the object id. */
  async #sid({ name, objectId }: Of<"create user">): Promise<string | undefined> {
    if (objectId) {
      if (!/^[0-9a-f-]{36}$/i.test(objectId)) throw sqlError(33130, name);
      return sidOf(objectId);
    }
    const found = await this.directory(name);
    return found ? sidOf(found.clientId ?? found.objectId) : undefined;
  }
}

const nextPrincipal = (principals: readonly { id: number }[]): number =>
  Math.max(4, ...principals.map(({ id }) => id).filter((id) => id < 16_384)) + 1;
