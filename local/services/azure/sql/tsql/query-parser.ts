import { NVARCHAR_MAX } from "../types/sql-type.js";
import type { CommonTable, Expression, JsonColumn, Query, QueryBody, Select, SelectItem, Source } from "./ast.js";
import { ExpressionParser } from "./expression-parser.js";

const HINTS = new Set(
  "HOLDLOCK NOLOCK NOWAIT PAGLOCK READCOMMITTED READCOMMITTEDLOCK READPAST READUNCOMMITTED REPEATABLEREAD ROWLOCK SERIALIZABLE SNAPSHOT TABLOCK TABLOCKX UPDLOCK XLOCK FORCESEEK FORCESCAN NOEXPAND".split(
    " ",
  ),
);

export abstract class QueryParser extends ExpressionParser {
  /** Where INTO of the outermost SELECT leaves its table. */
  protected into: readonly string[] | undefined;

  query(): Query {
    const tables = this.commonTables();
    const body = this.queryBody();
    const order = this.is("ORDER", "BY") ? this.orderBy() : [];
    const query: Query = { with: tables, body, order };
    if (this.accept("OFFSET")) {
      if (order.length === 0) throw this.unexpected();
      query.offset = this.expression();
      if (!this.accept("ROWS")) this.expect("ROW");
      if (this.accept("FETCH")) {
        if (!this.accept("NEXT")) this.expect("FIRST");
        query.fetch = this.expression();
        if (!this.accept("ROWS")) this.expect("ROW");
        this.expect("ONLY");
      }
    }
    if (this.is("FOR")) throw this.unsupported(`FOR ${this.peek().upper}`);
    if (this.accept("OPTION")) this.parenthesized(() => this.skipHints());
    return query;
  }

  /** Hints on how to run a query change nothing about its result. */
  private skipHints(): void {
    let depth = 0;
    while (depth > 0 || !this.is(")")) {
      if (this.token.kind === "end") throw this.unexpected();
      if (this.is("(")) depth += 1;
      if (this.is(")")) depth -= 1;
      this.next();
    }
  }

  protected commonTables(): CommonTable[] {
    if (!this.accept("WITH")) return [];
    if (this.is("XMLNAMESPACES")) throw this.unsupported("XML");
    return this.list(() => {
      const name = this.identifier();
      const columns = this.is("(") ? { columns: this.parenthesized(() => this.list(() => this.identifier())) } : {};
      this.expect("AS");
      return { name, ...columns, query: this.parenthesized(() => this.query()) };
    });
  }

  private queryBody(): QueryBody {
    let left = this.intersection();
    for (;;) {
      if (this.accept("UNION")) {
        const operator = this.accept("ALL") ? ("union all" as const) : ("union" as const);
        left = { kind: "set", operator, left, right: this.intersection() };
      } else if (this.accept("EXCEPT")) left = { kind: "set", operator: "except", left, right: this.intersection() };
      else return left;
    }
  }

  private intersection(): QueryBody {
    let left = this.queryTerm();
    while (this.accept("INTERSECT")) left = { kind: "set", operator: "intersect", left, right: this.queryTerm() };
    return left;
  }

  private queryTerm(): QueryBody {
    if (this.is("(")) return { kind: "nested", query: this.parenthesized(() => this.query()) };
    return this.select();
  }

  private select(): Select {
    this.expect("SELECT");
    const distinct = this.accept("DISTINCT");
    if (!distinct) this.accept("ALL");
    const top = this.top();
    const items = this.list(() => this.selectItem());
    if (this.accept("INTO")) {
      if (this.into) throw this.unexpected();
      this.into = this.name();
    }
    const from = this.accept("FROM") ? this.sources() : undefined;
    const where = this.accept("WHERE") ? this.condition() : undefined;
    let groupBy: Expression[] = [];
    if (this.accept("GROUP", "BY")) {
      if (this.is("ROLLUP") || this.is("CUBE") || this.is("GROUPING")) throw this.unsupported(`GROUP BY ${this.token.upper}`);
      groupBy = this.list(() => this.expression());
      if (this.is("WITH")) throw this.unsupported(`GROUP BY … WITH ${this.peek().upper}`);
    }
    const having = this.accept("HAVING") ? this.condition() : undefined;
    return {
      kind: "select",
      distinct,
      items,
      groupBy,
      ...(top ? { top } : {}),
      ...(from ? { from } : {}),
      ...(where ? { where } : {}),
      ...(having ? { having } : {}),
    };
  }

  protected top(): Expression | undefined {
    if (!this.accept("TOP")) return undefined;
    const top = this.is("(") ? this.parenthesized(() => this.expression()) : this.topLiteral();
    if (this.is("PERCENT")) throw this.unsupported("TOP … PERCENT");
    if (this.is("WITH", "TIES")) throw this.unsupported("TOP … WITH TIES");
    return top;
  }

  private topLiteral(): Expression {
    return { kind: "literal", value: this.integer(), type: { name: "bigint" } };
  }

  protected selectItem(): SelectItem {
    if (this.accept("*")) return { kind: "star" };
    if (this.token.kind === "variable" && this.peek().kind === "symbol" && /^([-+*/%&|^]?=)$/.test(this.peek().text)) {
      const variable = this.variable();
      return { kind: "assign", variable, operator: this.next().text, expression: this.expression() };
    }
    if (this.isName) {
      let ahead = 1;
      while (this.peek(ahead).text === "." && this.peek(ahead + 1).text !== "*") ahead += 2;
      if (this.peek(ahead).text === "." && this.peek(ahead + 1).text === "*" && this.peek(ahead + 1).kind === "symbol") {
        const qualifier: string[] = [];
        for (let index = 0; index < ahead; index += 2) qualifier.push(this.peek(index).text);
        this.at += ahead + 2;
        return { kind: "star", qualifier };
      }
      if (this.peek().text === "=" && this.peek().kind === "symbol") {
        const alias = this.identifier();
        this.next();
        return { kind: "expression", expression: this.expression(), alias };
      }
    }
    const expression = this.expression();
    const alias = this.alias(true);
    return { kind: "expression", expression, ...(alias !== undefined ? { alias } : {}) };
  }

  private alias(stringsToo = false): string | undefined {
    if (this.accept("AS")) return stringsToo && this.token.kind === "string" ? this.string() : this.identifier();
    if (stringsToo && this.token.kind === "string") return this.string();
    return this.isName && !this.is("OFFSET") ? this.identifier() : undefined;
  }

  protected sources(): Source {
    let left = this.joined();
    while (this.accept(",")) left = { kind: "join", type: "cross", left, right: this.joined() };
    return left;
  }

  private joined(): Source {
    let left = this.source();
    for (;;) {
      if (this.accept("CROSS")) {
        if (this.is("APPLY")) {
          const apply = this.next();
          const right = this.source();
          if (right.kind !== "openjson" && right.kind !== "split")
            throw this.unsupported("CROSS APPLY of anything but OPENJSON and STRING_SPLIT", apply);
          left = { kind: "join", type: "cross", left, right };
          continue;
        }
        this.expect("JOIN");
        left = { kind: "join", type: "cross", left, right: this.source() };
        continue;
      }
      if (this.is("OUTER", "APPLY")) {
        this.next();
        throw this.unsupported("OUTER APPLY");
      }
      if (this.is("PIVOT") || this.is("UNPIVOT")) throw this.unsupported(this.token.upper);
      const type = this.joinType();
      if (!type) return left;
      const right = this.nestedJoin();
      this.expect("ON");
      left = { kind: "join", type, left, right, on: this.condition() };
    }
  }

  /** What is joined may itself be joins, when their ON comes first. */
  private nestedJoin(): Source {
    let right = this.source();
    for (;;) {
      const type = this.is("ON") ? undefined : this.joinType();
      if (!type) return right;
      const inner = this.nestedJoin();
      this.expect("ON");
      right = { kind: "join", type, left: right, right: inner, on: this.condition() };
    }
  }

  private joinType(): "inner" | "left" | "right" | "full" | undefined {
    if (this.accept("JOIN") || this.accept("INNER", "JOIN")) return "inner";
    for (const type of ["left", "right", "full"] as const) {
      const word = type.toUpperCase();
      if (this.accept(word, "JOIN") || this.accept(word, "OUTER", "JOIN")) return type;
    }
    return undefined;
  }

  protected source(): Source {
    if (this.is("(")) {
      if (this.peek().upper === "VALUES") {
        const rows = this.parenthesized(() => {
          this.expect("VALUES");
          return this.list(() => this.parenthesized(() => this.list(() => this.expression())));
        });
        const alias = this.alias();
        if (!alias) throw this.unexpected();
        return { kind: "values", rows, alias, columns: this.parenthesized(() => this.list(() => this.identifier())) };
      }
      if (this.queryBehindParentheses()) {
        const start = this.at;
        try {
          const query = this.parenthesized(() => this.query());
          const alias = this.alias();
          if (!alias) throw this.unexpected();
          const columns = this.is("(") ? { columns: this.parenthesized(() => this.list(() => this.identifier())) } : {};
          return { kind: "derived", query, alias, ...columns };
        } catch (error) {
          if (this.tokens[start + 1]?.text !== "(") throw error;
          this.at = start;
        }
      }
      return this.parenthesized(() => this.sources());
    }
    if (this.is("OPENJSON") && this.peek().text === "(") return this.openJson();
    if (this.is("STRING_SPLIT") && this.peek().text === "(") {
      this.next();
      const [text, separator, ordinal] = this.parenthesized(() => this.list(() => this.expression()));
      if (!text || !separator || ordinal) throw this.unsupported("STRING_SPLIT with anything but two arguments");
      const alias = this.alias();
      return { kind: "split", text, separator, ...(alias ? { alias } : {}) };
    }
    if (this.token.kind === "variable") throw this.unsupported("table variables");
    const first = this.token;
    if (first.kind === "word" && ["OPENROWSET", "OPENQUERY", "OPENXML", "OPENDATASOURCE"].includes(first.upper))
      throw this.unsupported(first.upper);
    const name = this.name();
    if (this.is("(") && this.peek().upper !== "NOLOCK") throw this.unsupported("table-valued functions", first);
    if (this.is("FOR", "SYSTEM_TIME")) throw this.unsupported("temporal tables");
    const hintsBefore = this.hints();
    const alias = this.alias();
    if (this.is("TABLESAMPLE")) throw this.unsupported("TABLESAMPLE");
    const hints = [...hintsBefore, ...this.hints()];
    return { kind: "table", name, hints, ...(alias ? { alias } : {}) };
  }

  protected hints(): string[] {
    if (this.is("WITH") && this.peek().text === "(") this.next();
    else if (!(this.is("(") && HINTS.has(this.peek().upper))) return [];
    return this.parenthesized(() => {
      const hints: string[] = [];
      do {
        const token = this.next();
        if (token.upper === "INDEX") {
          if (this.accept("=")) this.next();
          else this.parenthesized(() => this.list(() => this.next()));
        } else if (!HINTS.has(token.upper)) throw this.unexpected(token);
        else hints.push(token.upper);
        this.accept(",");
      } while (!this.is(")"));
      return hints;
    });
  }

  private openJson(): Source {
    this.next();
    const [json, path] = this.parenthesized(() => this.list(() => this.expression()));
    if (!json) throw this.unexpected();
    let columns: JsonColumn[] | undefined;
    if (this.is("WITH") && this.peek().text === "(") {
      this.next();
      columns = this.parenthesized(() =>
        this.list(() => {
          const name = this.identifier();
          const type = this.type();
          const path = this.token.kind === "string" ? { path: this.string() } : {};
          const asJson = this.accept("AS", "JSON");
          return { name, type: asJson ? NVARCHAR_MAX : type, asJson, ...path };
        }),
      );
    }
    const alias = this.alias();
    return { kind: "openjson", json, ...(path ? { path } : {}), ...(columns ? { with: columns } : {}), ...(alias ? { alias } : {}) };
  }
}
