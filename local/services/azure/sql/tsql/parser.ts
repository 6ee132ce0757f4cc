import { type Collation, collation } from "../types/collation.js";
import type { SqlType } from "../types/sql-type.js";
import type { Assignment, CommonTable, Condition, Expression, MergeClause, Query, SelectItem, Statement } from "./ast.js";
import { DefinitionParser, type Parsed } from "./definition-parser.js";

/** A batch as statements. Nothing of a batch runs that does not parse. @throws SqlError 102, 105, 156 with the line */
export function parseBatch(sql: string): Statement[] {
  return new Parser(sql).batch();
}

/** An expression that is kept as text: a default, a computed column. */
export function parseExpression(sql: string): Expression {
  return new Parser(sql).whole((parser) => parser.expression());
}

/** A condition that is kept as text: a check, the filter of an index. */
export function parseCondition(sql: string): Condition {
  return new Parser(sql).whole((parser) => parser.condition());
}

export function parseQuery(sql: string): Query {
  return new Parser(sql).whole((parser) => parser.query());
}

/** What sp_executesql and sp_prepare are told of parameters: `@id int, @name nvarchar(50) OUTPUT`. */
export function parseParameters(sql: string): { name: string; type: SqlType; output: boolean }[] {
  return sql.trim() === "" ? [] : new Parser(sql).whole((parser) => parser.parameters());
}

class Parser extends DefinitionParser {
  whole<T>(parse: (parser: Parser) => T): T {
    const result = parse(this);
    if (this.token.kind !== "end") throw this.unexpected();
    return result;
  }

  batch(): Statement[] {
    return this.statements(() => this.token.kind === "end");
  }

  parameters(): { name: string; type: SqlType; output: boolean }[] {
    return this.list(() => {
      const name = this.variable();
      this.accept("AS");
      const type = this.type();
      if (this.accept("=")) this.expression();
      if (this.is("READONLY")) throw this.unsupported("table-valued parameters");
      return { name, type, output: this.accept("OUTPUT") || this.accept("OUT") };
    });
  }

  protected override collated(name: string): { collation: Collation } {
    return { collation: collation(name) };
  }

  private statements(ends: () => boolean): Statement[] {
    const statements: Statement[] = [];
    while (this.accept(";"));
    while (!ends()) {
      if (this.token.kind === "end") throw this.unexpected();
      statements.push(this.statement());
      while (this.accept(";"));
    }
    return statements;
  }

  private statement(): Statement {
    const { line } = this.token;
    this.into = undefined;
    try {
      const parsed = this.parsed();
      return { ...parsed, line } as Statement;
    } catch (error) {
      if (error instanceof Error && "line" in error && !error.line) error.line = this.token.line;
      throw error;
    }
  }

  private parsed(): Parsed {
    const { kind, upper, text } = this.token;
    if (kind === "symbol" && text === "(") return this.queryStatement();
    if (kind !== "word" && kind !== "quoted") throw this.unexpected();
    switch (upper) {
      case "SELECT":
        return this.queryStatement();
      case "WITH":
        return this.withStatement();
      case "INSERT":
        return this.insert([]);
      case "UPDATE":
        return this.update([]);
      case "DELETE":
        return this.delete([]);
      case "MERGE":
        return this.merge([]);
      case "TRUNCATE":
        this.expect("TRUNCATE", "TABLE");
        return { kind: "truncate", table: this.name() };
      case "CREATE":
        return this.create();
      case "ALTER":
        return this.alter();
      case "DROP":
        return this.drop();
      case "GRANT":
      case "DENY":
      case "REVOKE":
        return this.grant();
      case "DECLARE":
        return this.declare();
      case "SET":
        return this.set();
      case "IF":
        return this.ifStatement();
      case "WHILE": {
        this.next();
        const condition = this.condition();
        return { kind: "while", condition, body: this.statement() };
      }
      case "BEGIN":
        return this.begin();
      case "COMMIT":
      case "ROLLBACK":
      case "SAVE":
        return this.transaction();
      case "BREAK":
      case "CONTINUE":
        this.next();
        return { kind: upper === "BREAK" ? "break" : "continue" };
      case "RETURN": {
        this.next();
        const bare =
          this.token.kind === "end" ||
          this.is(";") ||
          this.is("END") ||
          (this.token.kind === "word" && !/^(NULL|CASE|CAST|CONVERT)$/.test(this.token.upper));
        return { kind: "return", ...(bare ? {} : { value: this.expression() }) };
      }
      case "THROW":
        return this.throw();
      case "RAISERROR":
        return this.raiserror();
      case "PRINT":
        this.next();
        return { kind: "print", expression: this.expression() };
      case "WAITFOR":
        this.next();
        this.expect("DELAY");
        return { kind: "waitfor", delay: this.expression() };
      case "EXEC":
      case "EXECUTE":
        return this.execute();
      case "USE":
        this.next();
        return { kind: "use", database: this.identifier() };
      case "DBCC":
      case "BULK":
      case "BACKUP":
      case "RESTORE":
      case "KILL":
      case "CHECKPOINT":
      case "OPEN":
      case "FETCH":
      case "CLOSE":
      case "DEALLOCATE":
      case "GOTO":
      case "REVERT":
      case "DISABLE":
      case "ENABLE":
        throw this.unsupported(upper);
      case "GO":
        throw Object.assign(this.unsupported("GO, which separates batches in tools: send the batches one by one"));
    }
    // A procedure's name alone, which a batch may begin with.
    if (this.at === 0 && this.isName) return this.execute(true);
    throw this.unexpected();
  }

  private queryStatement(): Parsed {
    const query = this.query();
    return { kind: "query", query, ...(this.into ? { into: this.into } : {}) };
  }

  private withStatement(): Parsed {
    const start = this.at;
    const tables = this.commonTables();
    switch (this.token.upper) {
      case "INSERT":
        return this.insert(tables);
      case "UPDATE":
        return this.update(tables);
      case "DELETE":
        return this.delete(tables);
      case "MERGE":
        return this.merge(tables);
    }
    this.at = start;
    return this.queryStatement();
  }

  private output(): { output?: SelectItem[] } {
    if (!this.accept("OUTPUT")) return {};
    const output = this.list(() => this.selectItem());
    if (this.is("INTO")) throw this.unsupported("OUTPUT … INTO");
    return { output };
  }

  private valueOrDefault(): Expression | undefined {
    return this.accept("DEFAULT") ? undefined : this.expression();
  }

  private insert(tables: CommonTable[]): Parsed {
    this.expect("INSERT");
    if (this.accept("BULK")) return this.insertBulk();
    const top = this.top();
    this.accept("INTO");
    if (this.token.kind === "variable") throw this.unsupported("table variables");
    const table = this.name();
    this.hints();
    const columns =
      this.is("(") && !this.queryBehindParentheses() ? { columns: this.parenthesized(() => this.list(() => this.columnName())) } : {};
    const output = this.output();
    const common = { kind: "insert" as const, table, with: tables, ...output, ...(top ? { top } : {}) };
    if (this.accept("DEFAULT", "VALUES")) return { ...common, source: { ...columns } };
    if (this.accept("VALUES")) {
      const rows = this.list(() => this.parenthesized(() => this.list(() => this.valueOrDefault())));
      return { ...common, source: { ...columns, rows } };
    }
    if (this.is("EXEC") || this.is("EXECUTE")) throw this.unsupported("INSERT … EXEC");
    return { ...common, source: { ...columns, query: this.query() } };
  }

  /** A column, perhaps with the table's name before it. */
  private columnName(): string {
    const name = this.name();
    return name[name.length - 1] as string;
  }

  private insertBulk(): Parsed {
    const table = this.name();
    const columns = this.parenthesized(() =>
      this.list(() => {
        const name = this.identifier();
        this.type();
        if (this.accept("COLLATE")) this.next();
        if (!this.accept("NOT", "NULL")) this.accept("NULL");
        return name;
      }),
    );
    if (this.accept("WITH")) this.parenthesized(() => this.list(() => this.bulkOption()));
    return { kind: "insert bulk", table, columns };
  }

  private bulkOption(): void {
    while (!this.is(",") && !this.is(")")) this.next();
  }

  private assignments(): Assignment[] {
    return this.list((): Assignment => {
      if (this.token.kind === "variable") {
        const variable = this.variable();
        const operator = this.assignmentOperator();
        if (operator === "=" && this.isName && this.peek().text === "=" && this.peek().kind === "symbol") {
          const column = this.name();
          this.next();
          return { variable, column, operator: "=", expression: this.expression() };
        }
        return { variable, operator, expression: this.expression() };
      }
      const column = this.name();
      if (this.is("(")) throw this.unsupported("methods of columns");
      const operator = this.assignmentOperator();
      const expression = this.valueOrDefault();
      return { column, operator, ...(expression ? { expression } : {}) };
    });
  }

  private assignmentOperator(): string {
    const { kind, text } = this.token;
    if (kind !== "symbol" || !/^[-+*/%&|^]?=$/.test(text)) throw this.unexpected();
    return this.next().text;
  }

  private update(tables: CommonTable[]): Parsed {
    this.expect("UPDATE");
    if (this.is("STATISTICS")) throw this.unsupported("UPDATE STATISTICS");
    const top = this.top();
    const table = this.name();
    const hints = this.hints();
    this.expect("SET");
    const set = this.assignments();
    const output = this.output();
    const from = this.accept("FROM") ? { from: this.sources() } : {};
    return { kind: "update", table, with: tables, set, hints, ...output, ...from, ...this.where(), ...(top ? { top } : {}) };
  }

  private delete(tables: CommonTable[]): Parsed {
    this.expect("DELETE");
    const top = this.top();
    this.accept("FROM");
    const table = this.name();
    const hints = this.hints();
    const output = this.output();
    const from = this.accept("FROM") ? { from: this.sources() } : {};
    return { kind: "delete", table, with: tables, hints, ...output, ...from, ...this.where(), ...(top ? { top } : {}) };
  }

  private where(): { where?: Condition } {
    if (!this.accept("WHERE")) return {};
    if (this.is("CURRENT")) throw this.unsupported("cursors");
    const where = this.condition();
    if (this.is("OPTION")) {
      this.next();
      this.parenthesized(() => {
        while (!this.is(")")) this.next();
      });
    }
    return { where };
  }

  private merge(tables: CommonTable[]): Parsed {
    this.expect("MERGE");
    if (this.top()) throw this.unsupported("MERGE TOP");
    this.accept("INTO");
    const table = this.name();
    this.hints();
    const alias = this.accept("AS") || (this.isName && !this.is("USING")) ? { alias: this.identifier() } : {};
    this.expect("USING");
    const source = this.source();
    this.expect("ON");
    const on = this.condition();
    const clauses: MergeClause[] = [];
    while (this.accept("WHEN")) clauses.push(this.mergeClause());
    if (clauses.length === 0) throw this.unexpected();
    const output = this.output();
    if (!this.is(";")) throw Object.assign(this.unexpected(), { message: "A MERGE statement must be terminated by a semi-colon (;)." });
    return { kind: "merge", table, with: tables, source, on, clauses, ...alias, ...output };
  }

  private mergeClause(): MergeClause {
    const not = this.accept("NOT");
    this.expect("MATCHED");
    let matched: MergeClause["matched"] = "matched";
    if (not) {
      matched = "target";
      if (this.accept("BY", "SOURCE")) matched = "source";
      else this.accept("BY", "TARGET");
    }
    const condition = this.accept("AND") ? { condition: this.condition() } : {};
    this.expect("THEN");
    if (matched === "target") {
      this.expect("INSERT");
      const columns = this.is("(") ? { columns: this.parenthesized(() => this.list(() => this.columnName())) } : {};
      if (this.accept("DEFAULT", "VALUES")) return { matched, ...condition, action: { kind: "insert" } };
      this.expect("VALUES");
      const values = this.parenthesized(() => this.list(() => this.valueOrDefault()));
      return { matched, ...condition, action: { kind: "insert", values, ...columns } };
    }
    if (this.accept("DELETE")) return { matched, ...condition, action: { kind: "delete" } };
    this.expect("UPDATE", "SET");
    return { matched, ...condition, action: { kind: "update", set: this.assignments() } };
  }

  private declare(): Parsed {
    this.expect("DECLARE");
    if (this.isName) throw this.unsupported("cursors");
    const variables = this.list(() => {
      const name = this.variable();
      this.accept("AS");
      if (this.is("TABLE")) throw this.unsupported("table variables");
      if (this.is("CURSOR")) throw this.unsupported("cursors");
      const type = this.type();
      const value = this.accept("=") ? { value: this.expression() } : {};
      return { name, type, ...value };
    });
    return { kind: "declare", variables };
  }

  private set(): Parsed {
    this.expect("SET");
    if (this.token.kind === "variable") {
      const variable = this.variable();
      return { kind: "set", variable, operator: this.assignmentOperator(), expression: this.expression() };
    }
    if (this.accept("TRANSACTION", "ISOLATION", "LEVEL")) {
      const words = [this.next().upper];
      if (words[0] === "READ" || words[0] === "REPEATABLE") words.push(this.next().upper);
      const value = words.join(" ");
      if (!["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SNAPSHOT", "SERIALIZABLE"].includes(value)) throw this.unexpected();
      return { kind: "option", option: "ISOLATION", value };
    }
    if (this.accept("IDENTITY_INSERT")) {
      const table = this.name();
      return { kind: "option", option: "IDENTITY_INSERT", value: this.next().upper, table };
    }
    if (this.accept("STATISTICS")) {
      const option = `STATISTICS ${this.next().upper}`;
      return { kind: "option", option, value: this.next().upper };
    }
    const options = this.list(() => this.next().upper);
    const negative = this.accept("-");
    const value = `${negative ? "-" : ""}${this.next().text}`;
    return { kind: "option", option: options.join(","), value: value.toUpperCase() };
  }

  private ifStatement(): Parsed {
    this.expect("IF");
    const condition = this.condition();
    const result = this.statement();
    const start = this.at;
    while (this.accept(";"));
    if (!this.accept("ELSE")) {
      this.at = start;
      return { kind: "if", condition, result };
    }
    return { kind: "if", condition, result, otherwise: this.statement() };
  }

  private begin(): Parsed {
    if (this.is("BEGIN", "TRAN") || this.is("BEGIN", "TRANSACTION") || this.is("BEGIN", "DISTRIBUTED")) return this.transaction();
    this.expect("BEGIN");
    if (this.accept("TRY")) {
      const body = this.statements(() => this.is("END", "TRY"));
      this.expect("END", "TRY");
      while (this.accept(";"));
      this.expect("BEGIN", "CATCH");
      const handler = this.statements(() => this.is("END", "CATCH"));
      this.expect("END", "CATCH");
      return { kind: "try", body, handler };
    }
    const body = this.statements(() => this.is("END"));
    if (body.length === 0) throw this.unexpected();
    this.expect("END");
    return { kind: "block", body };
  }

  private transaction(): Parsed {
    const action = this.next().upper.toLowerCase() as "begin" | "commit" | "rollback" | "save";
    if (this.is("DISTRIBUTED")) throw this.unsupported("distributed transactions");
    const worded = this.accept("TRAN") || this.accept("TRANSACTION");
    if (!worded && (action === "commit" || action === "rollback")) {
      this.accept("WORK");
      return { kind: "transaction", action };
    }
    const name =
      this.isName && !this.startsStatement()
        ? { name: this.identifier() }
        : this.token.kind === "variable"
          ? { name: this.variable() }
          : {};
    if (action === "save" && !("name" in name)) throw this.unexpected();
    if (this.is("WITH", "MARK")) throw this.unsupported("WITH MARK");
    return { kind: "transaction", action, ...name };
  }

  /** Words that begin a statement and are not reserved. */
  private startsStatement(): boolean {
    return this.token.kind === "word" && ["THROW", "SAVE"].includes(this.token.upper);
  }

  private throw(): Parsed {
    this.expect("THROW");
    if (this.token.kind === "end" || this.is(";") || this.is("END")) return { kind: "throw" };
    const [number, message, state] = this.list(() => this.expression());
    if (!number || !message || !state) throw this.unexpected();
    return { kind: "throw", arguments: [number, message, state] };
  }

  private raiserror(): Parsed {
    this.expect("RAISERROR");
    const [message, severity, state, ...rest] = this.parenthesized(() => this.list(() => this.expression()));
    if (!message || !severity || !state) throw this.unexpected();
    const options = this.accept("WITH") ? this.list(() => this.next().upper) : [];
    return { kind: "raiserror", message, severity, state, arguments: rest, options };
  }

  private execute(bare = false): Parsed {
    if (!bare) this.next();
    if (this.is("AS")) throw this.unsupported("EXECUTE AS");
    if (this.is("(")) return { kind: "execute text", text: this.parenthesized(() => this.expression()) };
    let result: string | undefined;
    if (this.token.kind === "variable" && this.peek().text === "=") {
      result = this.variable();
      this.next();
    }
    const procedure = this.name();
    const given: { name?: string; value?: Expression; output: boolean }[] = [];
    const ends = (): boolean =>
      this.token.kind === "end" ||
      this.is(";") ||
      (this.token.kind === "word" && !/^(NULL|DEFAULT)$/.test(this.token.upper) && given.length === 0 && this.startsKeyword());
    if (!ends()) {
      given.push(
        ...this.list(() => {
          const name = this.token.kind === "variable" && this.peek().text === "=" ? { name: this.variable() } : {};
          if ("name" in name) this.next();
          const value = this.accept("DEFAULT") ? {} : { value: this.argument() };
          const output = this.accept("OUTPUT") || this.accept("OUT");
          return { ...name, ...value, output };
        }),
      );
    }
    return { kind: "execute", procedure, arguments: given, ...(result ? { result } : {}) };
  }

  private startsKeyword(): boolean {
    return /^(SELECT|INSERT|UPDATE|DELETE|MERGE|IF|WHILE|BEGIN|END|ELSE|EXEC|EXECUTE|DECLARE|SET|CREATE|ALTER|DROP|COMMIT|ROLLBACK|RETURN|PRINT|THROW)$/.test(
      this.token.upper,
    );
  }

  /** An argument of EXEC is a constant, a variable, or a bare word that stands for a string. */
  private argument(): Expression {
    if (this.token.kind === "word" && this.isName)
      return { kind: "literal", value: this.next().text, type: { name: "nvarchar", length: 128 } };
    return this.expression();
  }
}
