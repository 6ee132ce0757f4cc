import { unsupported } from "../errors.js";
import type { Alteration, ColumnDefinition, ForeignAction, Grant, IndexColumn, Name, Statement, TableConstraint } from "./ast.js";
import { QueryParser } from "./query-parser.js";

type Parsed = Statement extends infer S ? (S extends Statement ? Omit<S, "line"> : never) : never;

/** CREATE, ALTER, DROP, and GRANT with its relatives. */
export abstract class DefinitionParser extends QueryParser {
  protected create(): Parsed {
    const start = this.token;
    this.expect("CREATE");
    const orAlter = this.accept("OR", "ALTER");
    if (this.is("VIEW")) return this.view(orAlter ? "either" : "create");
    if (orAlter) throw this.unsupported(`CREATE OR ALTER ${this.token.upper}`);
    if (this.accept("TABLE")) return this.createTable();
    if (this.accept("SCHEMA")) {
      const authorization = (): { owner?: string } => (this.accept("AUTHORIZATION") ? { owner: this.identifier() } : {});
      return { kind: "create schema", name: this.identifier(), ...authorization() };
    }
    if (this.accept("USER")) return this.createUser();
    if (this.accept("ROLE")) {
      const name = this.identifier();
      if (this.accept("AUTHORIZATION")) this.identifier();
      return { kind: "create role", name };
    }
    const unique = this.accept("UNIQUE");
    const clustered = this.accept("CLUSTERED");
    if (!clustered) this.accept("NONCLUSTERED");
    if (this.is("COLUMNSTORE")) throw this.unsupported("columnstore indexes");
    if (this.accept("INDEX")) return this.createIndex(unique, clustered);
    throw this.unsupported(`CREATE ${this.token.upper}`, start);
  }

  private createTable(): Parsed {
    const name = this.name();
    const columns: ColumnDefinition[] = [];
    const constraints: TableConstraint[] = [];
    this.expect("(");
    do {
      if (this.is(")")) break;
      if (this.is("INDEX")) throw this.unsupported("indexes within CREATE TABLE");
      if (this.is("PERIOD")) throw this.unsupported("temporal tables");
      const constraint = this.tableConstraint();
      if (constraint) constraints.push(constraint);
      else columns.push(this.columnDefinition());
    } while (this.accept(","));
    this.expect(")");
    this.storage();
    return { kind: "create table", name, columns, constraints };
  }

  /** Where and how a table or index is stored: filegroups and options, which nothing here depends on. */
  private storage(): void {
    if (this.accept("ON")) this.identifier();
    if (this.accept("TEXTIMAGE_ON")) this.identifier();
    if (this.is("WITH") && this.peek().text === "(") {
      this.next();
      this.next();
      if (this.is("SYSTEM_VERSIONING") || this.is("LEDGER") || this.is("MEMORY_OPTIMIZED")) throw this.unsupported(this.token.upper);
      while (!this.accept(")")) {
        if (this.token.kind === "end") throw this.unexpected();
        this.next();
      }
    }
    if (this.is("ON") && ["PRIMARY"].includes(this.peek().text.toUpperCase())) this.at += 2;
  }

  protected columnDefinition(): ColumnDefinition {
    const name = this.identifier();
    const column: ColumnDefinition = { name, constraints: [] };
    if (this.accept("AS")) {
      const start = this.token;
      this.expression();
      column.computed = { text: this.written(start) };
      if (this.accept("PERSISTED") && this.accept("NOT")) this.expect("NULL");
      return column;
    }
    column.type = this.type();
    for (;;) {
      const named = this.accept("CONSTRAINT") ? { name: this.identifier() } : {};
      if (this.accept("NOT", "NULL")) column.nullable = false;
      else if (this.accept("NULL")) column.nullable = true;
      else if (this.accept("IDENTITY")) {
        const [seed = 1, increment = 1] = this.is("(") ? this.parenthesized(() => this.list(() => this.integer())) : [];
        column.identity = { seed, increment };
        if (this.accept("NOT", "FOR")) this.expect("REPLICATION");
      } else if (this.accept("COLLATE")) {
        const token = this.next();
        column.type = { ...column.type, ...this.collated(token.text) };
      } else if (this.accept("DEFAULT")) {
        column.default = { ...named, text: this.defaultText() };
        if (this.accept("WITH")) {
          this.expect("VALUES");
          column.withValues = true;
        }
      } else if (this.is("PRIMARY") || this.is("UNIQUE")) {
        column.constraints.push(this.key(named, [{ name, descending: false }]));
      } else if (this.accept("CHECK")) column.constraints.push({ kind: "check", ...named, text: this.checkText() });
      else if (this.is("FOREIGN") || this.is("REFERENCES")) {
        this.accept("FOREIGN", "KEY");
        column.constraints.push(this.references(named, [name]));
      } else if (this.accept("ROWGUIDCOL") || this.accept("SPARSE")) continue;
      else if (this.is("MASKED") || this.is("GENERATED") || this.is("ENCRYPTED") || this.is("INDEX"))
        throw this.unsupported(`${this.token.upper} of a column`);
      else if ("name" in named) throw this.unexpected();
      else return column;
    }
  }

  protected abstract collated(name: string): { collation: import("../types/collation.js").Collation };

  private defaultText(): string {
    const start = this.token;
    this.expression();
    return this.written(start);
  }

  private checkText(): string {
    if (this.accept("NOT", "FOR")) this.expect("REPLICATION");
    const start = this.token;
    this.parenthesized(() => this.condition());
    return this.written(start);
  }

  private tableConstraint(): TableConstraint | undefined {
    const start = this.at;
    const named = this.accept("CONSTRAINT") ? { name: this.identifier() } : {};
    if (this.is("PRIMARY") || this.is("UNIQUE")) return this.key(named, undefined);
    if (this.accept("CHECK")) return { kind: "check", ...named, text: this.checkText() };
    if (this.accept("FOREIGN", "KEY"))
      return this.references(
        named,
        this.parenthesized(() => this.list(() => this.identifier())),
      );
    if (this.accept("DEFAULT")) {
      const text = this.defaultText();
      this.expect("FOR");
      const column = this.identifier();
      const values = this.accept("WITH", "VALUES") ? { withValues: true } : {};
      return { kind: "default", ...named, text, column, ...values };
    }
    this.at = start;
    return undefined;
  }

  private key(named: { name?: string }, columns: IndexColumn[] | undefined): TableConstraint {
    const primary = this.accept("PRIMARY", "KEY");
    if (!primary) this.expect("UNIQUE");
    const clustered = this.accept("CLUSTERED");
    const nonclustered = !clustered && this.accept("NONCLUSTERED");
    const listed = this.is("(") ? this.indexColumns() : columns;
    if (!listed) throw this.unexpected();
    this.storage();
    return { kind: "key", ...named, primary, clustered: clustered || (primary && !nonclustered), columns: listed };
  }

  private indexColumns(): IndexColumn[] {
    return this.parenthesized(() =>
      this.list(() => {
        const name = this.identifier();
        const descending = this.accept("DESC");
        if (!descending) this.accept("ASC");
        return { name, descending };
      }),
    );
  }

  private references(named: { name?: string }, columns: string[]): TableConstraint {
    this.expect("REFERENCES");
    const table = this.name();
    const references = this.is("(") ? this.parenthesized(() => this.list(() => this.identifier())) : [];
    const actions: { DELETE: ForeignAction; UPDATE: ForeignAction } = { DELETE: "NO ACTION", UPDATE: "NO ACTION" };
    while (this.accept("ON")) {
      const event = this.accept("DELETE") ? ("DELETE" as const) : ("UPDATE" as const);
      if (event === "UPDATE") this.expect("UPDATE");
      const action = (["NO ACTION", "CASCADE", "SET NULL", "SET DEFAULT"] as const).find((candidate) =>
        this.accept(...candidate.split(" ")),
      );
      if (!action) throw this.unexpected();
      actions[event] = action;
    }
    if (this.accept("NOT", "FOR")) this.expect("REPLICATION");
    return { kind: "foreign", ...named, columns, table, references, onDelete: actions.DELETE, onUpdate: actions.UPDATE };
  }

  private createIndex(unique: boolean, clustered: boolean): Parsed {
    const name = this.identifier();
    this.expect("ON");
    const table = this.name();
    const columns = this.indexColumns();
    const include = this.accept("INCLUDE") ? this.parenthesized(() => this.list(() => this.identifier())) : [];
    let filter: string | undefined;
    if (this.accept("WHERE")) {
      const start = this.token;
      this.condition();
      filter = this.written(start);
    }
    this.storage();
    return { kind: "create index", name, table, unique, clustered, columns, include, ...(filter ? { filter } : {}) };
  }

  private view(replace: "create" | "alter" | "either"): Parsed {
    this.expect("VIEW");
    const name = this.name();
    const columns = this.is("(") ? { columns: this.parenthesized(() => this.list(() => this.identifier())) } : {};
    if (this.is("WITH")) {
      this.next();
      if (this.is("SCHEMABINDING")) this.next();
      else throw this.unsupported(`views WITH ${this.token.upper}`);
    }
    this.expect("AS");
    const start = this.token;
    this.query();
    if (this.is("WITH", "CHECK", "OPTION")) throw this.unsupported("WITH CHECK OPTION");
    return { kind: "create view", name, ...columns, text: this.written(start), replace };
  }

  private createUser(): Parsed {
    const user: Extract<Parsed, { kind: "create user" }> = { kind: "create user", name: this.identifier(), external: false };
    if (this.accept("FROM", "EXTERNAL")) {
      this.expect("PROVIDER");
      user.external = true;
    } else if (this.is("FOR") || this.is("FROM") || this.is("WITHOUT"))
      throw this.unsupported("users of logins: a user is contained in its database");
    if (this.accept("WITH")) {
      this.list(() => {
        const option = this.next().upper;
        this.expect("=");
        if (option === "SID") {
          if (this.token.kind !== "binary") throw this.unexpected();
          const digits = this.next().text.slice(2);
          user.sid = Buffer.from(digits, "hex");
        } else if (option === "TYPE") user.type = this.next().upper;
        else if (option === "PASSWORD") user.password = this.string();
        else if (option === "OBJECT_ID") user.objectId = this.string();
        else if (option === "DEFAULT_SCHEMA") user.schema = this.identifier();
        else throw this.unsupported(`CREATE USER … WITH ${option}`);
      });
    }
    if (user.sid && user.type !== "E" && user.type !== "X") throw this.unsupported("a SID without TYPE = E or X");
    if (!user.sid && !user.external && user.password === undefined)
      throw this.unsupported("a user without WITH SID, WITH PASSWORD or FROM EXTERNAL PROVIDER");
    return user;
  }

  protected alter(): Parsed {
    const start = this.token;
    this.expect("ALTER");
    if (this.is("VIEW")) return this.view("alter");
    if (this.accept("ROLE")) {
      const role = this.identifier();
      const add = this.accept("ADD");
      if (!add) this.expect("DROP");
      this.expect("MEMBER");
      return { kind: "role member", role, member: this.identifier(), add };
    }
    if (this.accept("USER")) {
      const user: Extract<Parsed, { kind: "alter user" }> = { kind: "alter user", name: this.identifier() };
      this.expect("WITH");
      this.list(() => {
        const option = this.next().upper;
        this.expect("=");
        if (option === "NAME") user.newName = this.identifier();
        else if (option === "PASSWORD") user.password = this.string();
        else if (option === "DEFAULT_SCHEMA") user.schema = this.identifier();
        else throw this.unsupported(`ALTER USER … WITH ${option}`);
      });
      return user;
    }
    if (this.accept("TABLE")) {
      const name = this.name();
      return { kind: "alter table", name, alteration: this.alteration() };
    }
    if (this.is("DATABASE")) {
      // Isolation by snapshot is how readers are served anyway; the rest of a database's options have no meaning here.
      if (
        this.sql
          .slice(start.from)
          .match(
            /^ALTER\s+DATABASE\s+(?:CURRENT|\[?[\w-]+\]?)\s+SET\s+(READ_COMMITTED_SNAPSHOT|ALLOW_SNAPSHOT_ISOLATION|COMPATIBILITY_LEVEL)\b/i,
          )
      ) {
        while (this.token.kind !== "end" && !this.is(";") && this.token.line === start.line) this.next();
        return { kind: "nothing" };
      }
    }
    throw this.unsupported(`ALTER ${this.token.upper}`, start);
  }

  private alteration(): Alteration {
    const unchecked = this.accept("WITH", "NOCHECK");
    if (!unchecked) this.accept("WITH", "CHECK");
    if (this.accept("ADD")) {
      const columns: ColumnDefinition[] = [];
      const constraints: TableConstraint[] = [];
      do {
        const constraint = this.tableConstraint();
        if (constraint) constraints.push(constraint);
        else columns.push(this.columnDefinition());
      } while (this.accept(","));
      return { kind: "add", columns, constraints, check: !unchecked };
    }
    if (this.accept("CHECK", "CONSTRAINT")) {
      if (!this.accept("ALL")) this.list(() => this.identifier());
      return { kind: "check", enabled: true };
    }
    if (this.is("NOCHECK")) throw this.unsupported("disabled constraints");
    if (this.accept("ALTER", "COLUMN")) {
      const name = this.identifier();
      let type = this.type();
      if (this.accept("COLLATE")) type = { ...type, ...this.collated(this.next().text) };
      const nullable = this.accept("NOT", "NULL") ? { nullable: false } : this.accept("NULL") ? { nullable: true } : {};
      return { kind: "alter column", name, type, ...nullable };
    }
    if (this.accept("DROP")) {
      let kind: "column" | "constraint" = "constraint";
      const items = this.list(() => {
        if (this.accept("COLUMN")) kind = "column";
        else if (this.accept("CONSTRAINT")) kind = "constraint";
        const ifExists = this.accept("IF", "EXISTS");
        return { kind, name: this.identifier(), ifExists };
      });
      return { kind: "drop", items };
    }
    throw this.unsupported(`ALTER TABLE … ${this.token.upper}`);
  }

  protected drop(): Parsed {
    const start = this.token;
    this.expect("DROP");
    if (this.accept("INDEX")) {
      const ifExists = this.accept("IF", "EXISTS");
      const name = this.name();
      if (this.accept("ON")) return { kind: "drop index", name: name[0] as string, table: this.name(), ifExists };
      if (name.length < 2) throw this.unexpected();
      return { kind: "drop index", name: name[name.length - 1] as string, table: name.slice(0, -1), ifExists };
    }
    const what = (["TABLE", "VIEW", "SCHEMA", "USER", "ROLE"] as const).find((candidate) => this.accept(candidate));
    if (!what) throw this.unsupported(`DROP ${this.token.upper}`, start);
    const ifExists = this.accept("IF", "EXISTS");
    return { kind: "drop", what, names: this.list(() => this.name()), ifExists };
  }

  protected grant(): Parsed {
    const start = this.token;
    const action = this.next().upper as Grant["action"];
    if (action === "REVOKE" && this.is("GRANT", "OPTION")) throw this.unsupported("REVOKE GRANT OPTION FOR");
    const permissions = this.list(() => {
      const words: string[] = [];
      while (this.token.kind === "word" && !["ON", "TO", "FROM"].includes(this.token.upper)) words.push(this.next().upper);
      if (words.length === 0) throw this.unexpected();
      if (this.is("(")) throw unsupported("(", "permissions on columns");
      return words[0] === "ALL" ? "ALL" : words.join(" ");
    });
    let on: Grant["on"];
    if (this.accept("ON")) {
      let kind: "OBJECT" | "SCHEMA" | "DATABASE" = "OBJECT";
      if (this.peek().text === "::") {
        const written = this.next();
        if (written.upper !== "OBJECT" && written.upper !== "SCHEMA" && written.upper !== "DATABASE")
          throw this.unsupported(`permissions on ${written.upper}`, written);
        kind = written.upper;
        this.next();
      }
      const name: Name = this.name();
      if (this.is("(")) throw this.unsupported("permissions on columns");
      on = { kind, name };
    }
    if (!this.accept("TO")) {
      if (action === "GRANT" || !this.accept("FROM")) throw this.unexpected();
    }
    const to = this.list(() => this.identifier());
    const grantOption = this.accept("WITH", "GRANT", "OPTION");
    this.accept("CASCADE");
    if (this.accept("AS")) throw this.unsupported("GRANT … AS", start);
    return { kind: "grant", grant: { action, permissions, to, grantOption, ...(on ? { on } : {}) } };
  }
}

export type { Parsed };
