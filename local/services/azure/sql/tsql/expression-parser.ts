import { collation } from "../types/collation.js";
import { small } from "../types/convert.js";
import { BIGINT, decimal, declaredType, FLOAT, INT, NULL_TYPE, nvarchar, type SqlType, varbinary, varchar } from "../types/sql-type.js";
import type { Condition, Expression, OrderItem, Query, Window } from "./ast.js";
import { Cursor } from "./cursor.js";

/** Functions whose name is written without parentheses. */
const NILADIC = new Set(["CURRENT_TIMESTAMP", "CURRENT_USER", "SESSION_USER", "SYSTEM_USER", "USER", "CURRENT_DATE"]);
/** Functions whose first argument is the name of a part of a date. */
const DATE_PARTS = new Set(["DATEADD", "DATEDIFF", "DATEDIFF_BIG", "DATEPART", "DATENAME", "DATETRUNC"]);
const COMPARISONS: Readonly<Record<string, "=" | "<>" | "<" | "<=" | ">" | ">=">> = {
  "=": "=",
  "<>": "<>",
  "!=": "<>",
  "<": "<",
  "<=": "<=",
  ">": ">",
  ">=": ">=",
  "!<": ">=",
  "!>": "<=",
};

/** Scalar expressions and conditions, which T-SQL keeps apart. */
export abstract class ExpressionParser extends Cursor {
  protected abstract query(): Query;

  expression(): Expression {
    return this.additive();
  }

  private additive(): Expression {
    let left = this.multiplicative();
    for (;;) {
      const { kind, text } = this.token;
      if (kind !== "symbol" || !["+", "-", "&", "|", "^"].includes(text)) return left;
      this.next();
      left = { kind: "arithmetic", operator: text as "+", left, right: this.multiplicative() };
    }
  }

  private multiplicative(): Expression {
    let left = this.unary();
    for (;;) {
      const { kind, text } = this.token;
      if (kind !== "symbol" || !["*", "/", "%"].includes(text)) return left;
      this.next();
      left = { kind: "arithmetic", operator: text as "*", left, right: this.unary() };
    }
  }

  private unary(): Expression {
    if (this.accept("-")) {
      const operand = this.unary();
      if (operand.kind === "literal" && typeof operand.value === "number") return { ...operand, value: -operand.value };
      return operand.kind === "literal" && typeof operand.value === "bigint"
        ? { ...operand, value: small(-operand.value) }
        : { kind: "negate", operand };
    }
    if (this.accept("+")) return { kind: "plus", operand: this.unary() };
    if (this.accept("~")) return { kind: "invert", operand: this.unary() };
    return this.postfix();
  }

  private postfix(): Expression {
    let operand = this.primary();
    while (this.is("COLLATE")) {
      this.next();
      operand = { kind: "collate", operand, collation: collation(this.next().text) };
    }
    if (this.is("AT", "TIME", "ZONE")) throw this.unsupported("AT TIME ZONE");
    return operand;
  }

  private primary(): Expression {
    const token = this.token;
    switch (token.kind) {
      case "number":
        this.next();
        return numberLiteral(token.text);
      case "string": {
        this.next();
        const length = Math.max(1, token.text.length);
        const type = token.unicode ? nvarchar(length > 4000 ? "max" : length) : varchar(length > 8000 ? "max" : length);
        return { kind: "literal", value: token.text, type };
      }
      case "binary": {
        this.next();
        const digits = token.text.slice(2);
        const bytes = Buffer.from(digits.length % 2 ? `0${digits}` : digits, "hex");
        return { kind: "literal", value: bytes, type: varbinary(Math.max(1, bytes.length)) };
      }
      case "variable":
        this.next();
        return { kind: "variable", name: token.text };
      case "symbol":
        if (token.text === "(") return this.parenthesis();
        throw this.unexpected();
      case "quoted":
        return this.columnOrCall();
      case "word":
        return this.word();
      default:
        throw this.unexpected();
    }
  }

  private parenthesis(): Expression {
    return this.parenthesized((): Expression => {
      if (this.is("SELECT") || this.is("WITH") || (this.is("(") && this.queryBehindParentheses()))
        return { kind: "subquery", query: this.query() };
      return this.expression();
    });
  }

  /** After opening parentheses, is it a query that follows? */
  protected queryBehindParentheses(): boolean {
    let ahead = 0;
    while (this.peek(ahead).text === "(" && this.peek(ahead).kind === "symbol") ahead += 1;
    return ["SELECT", "WITH"].includes(this.peek(ahead).upper) && this.peek(ahead).kind === "word";
  }

  private word(): Expression {
    const token = this.token;
    switch (token.upper) {
      case "NULL":
        this.next();
        return { kind: "literal", value: null, type: NULL_TYPE };
      case "CASE":
        return this.caseExpression();
      case "CAST":
      case "TRY_CAST":
        this.next();
        return this.parenthesized((): Expression => {
          const operand = this.expression();
          this.expect("AS");
          return { kind: "cast", operand, type: this.type("cast"), attempt: token.upper === "TRY_CAST" };
        });
      case "CONVERT":
      case "TRY_CONVERT":
        this.next();
        return this.parenthesized((): Expression => {
          const type = this.type("cast");
          this.expect(",");
          const operand = this.expression();
          const style = this.accept(",") ? { style: this.expression() } : {};
          return { kind: "cast", operand, type, attempt: token.upper === "TRY_CONVERT", ...style };
        });
      case "IIF":
        this.next();
        return this.parenthesized((): Expression => {
          const condition = this.condition();
          this.expect(",");
          const result = this.expression();
          this.expect(",");
          return { kind: "iif", condition, result, otherwise: this.expression() };
        });
      case "LEFT":
      case "RIGHT":
      case "COALESCE":
      case "NULLIF":
        this.next();
        if (!this.is("(")) throw this.unexpected(token);
        return this.call(token.text);
      case "PARSE":
      case "TRY_PARSE":
        if (this.peek().text === "(") throw this.unsupported(token.upper);
    }
    if (NILADIC.has(token.upper)) {
      this.next();
      return { kind: "call", name: token.upper, arguments: [] };
    }
    return this.columnOrCall();
  }

  private columnOrCall(): Expression {
    const first = this.token;
    const name = this.name();
    if (!this.is("(")) return { kind: "column", name };
    if (name.length === 1) {
      if (first.kind === "quoted") throw this.unexpected(first);
      return this.call(name[0] as string);
    }
    throw this.unsupported("user-defined functions and methods", first);
  }

  private call(written: string): Expression {
    const name = written.toUpperCase();
    this.expect("(");
    if (name === "NEXT") throw this.unsupported("sequences");
    const call: Extract<Expression, { kind: "call" }> = { kind: "call", name, arguments: [] };
    if (this.accept("*")) call.star = true;
    else if (!this.is(")")) {
      if (this.accept("DISTINCT")) call.distinct = true;
      else this.accept("ALL");
      if (DATE_PARTS.has(name)) {
        const part = this.next();
        if (part.kind !== "word" && part.kind !== "quoted") throw this.unexpected(part);
        call.arguments.push({ kind: "literal", value: part.text.toLowerCase(), type: varchar(30) });
        while (this.accept(",")) call.arguments.push(this.expression());
      } else if (name === "TRIM") {
        const first = this.expression();
        if (this.accept("FROM")) call.arguments.push(this.expression(), first);
        else call.arguments.push(first);
      } else call.arguments = this.list(() => this.expression());
    }
    this.expect(")");
    if (this.accept("WITHIN", "GROUP")) {
      call.within = this.parenthesized(() => this.orderBy());
    }
    if (this.is("IGNORE", "NULLS") || this.is("RESPECT", "NULLS")) throw this.unsupported("IGNORE NULLS");
    if (this.accept("OVER")) call.over = this.parenthesized(() => this.window());
    return call;
  }

  private window(): Window {
    const partition = this.accept("PARTITION", "BY") ? this.list(() => this.expression()) : [];
    const order = this.is("ORDER") ? this.orderBy() : [];
    if (!this.is("ROWS") && !this.is("RANGE")) return { partition, order };
    const words: string[] = [];
    while (!this.is(")")) {
      const token = this.next();
      if (!/^(ROWS|RANGE|BETWEEN|UNBOUNDED|PRECEDING|FOLLOWING|CURRENT|ROW|AND|\d+)$/.test(token.upper)) throw this.unexpected(token);
      words.push(token.upper);
    }
    return { partition, order, frame: words.join(" ") };
  }

  protected orderBy(): OrderItem[] {
    this.expect("ORDER", "BY");
    return this.list(() => {
      const expression = this.expression();
      const descending = this.accept("DESC");
      if (!descending) this.accept("ASC");
      return { expression, descending };
    });
  }

  private caseExpression(): Expression {
    this.expect("CASE");
    const operand = this.is("WHEN") ? undefined : this.expression();
    const when: Extract<Expression, { kind: "case" }>["when"] = [];
    while (this.accept("WHEN")) {
      const condition = operand ? this.expression() : this.condition();
      this.expect("THEN");
      when.push({ condition, result: this.expression() });
    }
    if (when.length === 0) throw this.unexpected();
    const otherwise = this.accept("ELSE") ? this.expression() : undefined;
    this.expect("END");
    return { kind: "case", when, ...(operand ? { operand } : {}), ...(otherwise ? { otherwise } : {}) };
  }

  /** `nvarchar(50)`, `decimal(10, 2)`, `varbinary(max)`. */
  type(context: "column" | "cast" = "column"): SqlType {
    const token = this.token;
    let written = this.identifierOrKeyword();
    if (written.toLowerCase() === "sys" && this.accept(".")) written = this.identifier();
    else if (/^(national|double|char|character)$/i.test(written)) {
      while (/^(char|character|varying|precision)$/i.test(this.token.text)) written += ` ${this.next().text}`;
    }
    const given: (number | "max")[] = [];
    if (this.accept("(")) {
      given.push(...this.list(() => (this.accept("MAX") ? ("max" as const) : this.integer())));
      this.expect(")");
    }
    try {
      return declaredType(written, given, context);
    } catch (error) {
      throw Object.assign(error as Error, { line: token.line });
    }
  }

  private identifierOrKeyword(): string {
    const { kind } = this.token;
    if (kind !== "word" && kind !== "quoted") throw this.unexpected();
    return this.next().text;
  }

  condition(): Condition {
    let left = this.conjunction();
    while (this.accept("OR")) left = { kind: "or", left, right: this.conjunction() };
    return left;
  }

  private conjunction(): Condition {
    let left = this.negation();
    while (this.accept("AND")) left = { kind: "and", left, right: this.negation() };
    return left;
  }

  private negation(): Condition {
    return this.accept("NOT") ? { kind: "not", operand: this.negation() } : this.predicate();
  }

  private predicate(): Condition {
    if (this.accept("EXISTS")) return { kind: "exists", query: this.parenthesized(() => this.query()) };
    if (this.is("CONTAINS") || this.is("FREETEXT")) throw this.unsupported("full-text search");
    if (this.is("(")) {
      // Only trying tells a parenthesized condition from a parenthesized operand.
      const start = this.at;
      try {
        const condition = this.parenthesized(() => this.condition());
        if (!this.continuesOperand()) return condition;
      } catch (error) {
        const furthest = this.at;
        this.at = start;
        try {
          return this.comparison();
        } catch (second) {
          throw this.at >= furthest ? second : error;
        }
      }
      this.at = start;
    }
    return this.comparison();
  }

  private continuesOperand(): boolean {
    const { kind, upper } = this.token;
    if (kind === "symbol") return upper in COMPARISONS || ["+", "-", "*", "/", "%", "&", "|", "^"].includes(upper);
    return kind === "word" && ["IS", "IN", "LIKE", "BETWEEN", "COLLATE"].includes(upper);
  }

  private comparison(): Condition {
    const operand = this.expression();
    const operator = this.token.kind === "symbol" ? COMPARISONS[this.token.text] : undefined;
    if (operator) {
      this.next();
      if (this.is("ALL") || this.is("ANY") || this.is("SOME")) throw this.unsupported(`comparison with ${this.token.upper}`);
      return { kind: "compare", operator, left: operand, right: this.expression() };
    }
    if (this.accept("IS")) {
      const negated = this.accept("NOT");
      if (this.is("DISTINCT")) throw this.unsupported("IS DISTINCT FROM");
      this.expect("NULL");
      return { kind: "null", operand, negated };
    }
    const negated = this.accept("NOT");
    if (this.accept("BETWEEN")) {
      const low = this.expression();
      this.expect("AND");
      return { kind: "between", operand, low, high: this.expression(), negated };
    }
    if (this.accept("LIKE")) {
      const pattern = this.expression();
      const escaped = this.accept("ESCAPE") ? { escape: this.expression() } : {};
      return { kind: "like", operand, pattern, negated, ...escaped };
    }
    if (this.accept("IN")) {
      const list = this.parenthesized(() => (this.queryBehindParentheses() ? this.query() : this.list(() => this.expression())));
      return { kind: "in", operand, list, negated };
    }
    throw this.unexpected();
  }
}

function numberLiteral(text: string): Expression {
  if (/e/i.test(text)) return { kind: "literal", value: Number(text), type: FLOAT };
  if (!text.includes(".")) {
    const whole = BigInt(text);
    if (whole <= 2_147_483_647n) return { kind: "literal", value: Number(whole), type: INT };
    return { kind: "literal", value: small(whole), type: whole < 2n ** 63n && text.length < 19 ? decimal(text.length, 0) : BIGINT };
  }
  const [whole = "", fraction = ""] = text.split(".");
  const digits = `${whole.replace(/^0+/, "")}${fraction}`;
  return {
    kind: "literal",
    value: small(BigInt(`${whole}${fraction}`)),
    type: decimal(Math.max(1, digits.length, fraction.length), fraction.length),
  };
}
