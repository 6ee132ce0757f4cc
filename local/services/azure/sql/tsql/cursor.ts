import { type SqlError, sqlError, unsupported } from "../errors.js";
import type { Name } from "./ast.js";
import { type Token, tokenize } from "./lexer.js";

/** Words that are never a bare name: what comes after an expression is an alias unless it is one of these. */
const RESERVED = new Set(
  `ADD ALL ALTER AND ANY AS ASC AUTHORIZATION BACKUP BEGIN BETWEEN BREAK BROWSE BULK BY CASCADE CASE CHECK CHECKPOINT CLOSE CLUSTERED COALESCE COLLATE
  COLUMN COMMIT COMPUTE CONSTRAINT CONTAINS CONTINUE CONVERT CREATE CROSS CURRENT CURSOR DATABASE DEALLOCATE DECLARE DEFAULT DELETE DENY DESC DISTINCT
  DROP ELSE END ESCAPE EXCEPT EXEC EXECUTE EXISTS EXTERNAL FETCH FOR FOREIGN FROM FULL FUNCTION GOTO GRANT GROUP HAVING IDENTITY_INSERT IF IN INDEX
  INNER INSERT INTERSECT INTO IS JOIN KEY LEFT LIKE MERGE NOT NULL NULLIF OF OFF ON OPEN OPTION OR ORDER OUTER OVER PERCENT PIVOT PLAN PRIMARY PRINT
  PROC PROCEDURE RAISERROR READ REFERENCES RETURN REVERT REVOKE RIGHT ROLLBACK ROWCOUNT SAVE SCHEMA SELECT SET SOME TABLE TABLESAMPLE THEN TO TOP TRAN
  TRANSACTION TRIGGER TRUNCATE TRY_CONVERT UNION UNIQUE UNPIVOT UPDATE USE USER VALUES VARYING VIEW WAITFOR WHEN WHERE WHILE WITH WITHIN`.split(
    /\s+/,
  ),
);

/** Where a parser stands among the tokens. */
export class Cursor {
  readonly tokens: Token[];
  protected at = 0;

  constructor(protected readonly sql: string) {
    this.tokens = tokenize(sql);
  }

  protected get token(): Token {
    return this.tokens[this.at] as Token;
  }

  protected peek(ahead = 1): Token {
    return this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)] as Token;
  }

  protected next(): Token {
    const token = this.token;
    if (token.kind !== "end") this.at += 1;
    return token;
  }

  /** What was written from a token on, up to where the parser stands. */
  protected written(from: Token): string {
    const last = this.tokens[this.at - 1] as Token;
    return this.sql.slice(from.from, Math.max(last.to, from.from));
  }

  /** Do these keywords and symbols come next? */
  protected is(...words: string[]): boolean {
    return words.every((word, index) => {
      const { kind, upper } = this.peek(index);
      return (kind === "word" || kind === "symbol") && upper === word;
    });
  }

  protected accept(...words: string[]): boolean {
    if (!this.is(...words)) return false;
    this.at += words.length;
    return true;
  }

  protected expect(...words: string[]): void {
    for (const word of words) if (!this.accept(word)) throw this.unexpected();
  }

  protected unexpected(token = this.token): SqlError {
    const error = token.kind === "word" && RESERVED.has(token.upper) ? sqlError(156, token.text) : sqlError(102, token.text);
    return Object.assign(error, { line: token.line });
  }

  protected unsupported(construct: string, token = this.token): SqlError {
    return Object.assign(unsupported(token.text, construct), { line: token.line });
  }

  protected get isName(): boolean {
    const { kind, upper } = this.token;
    return kind === "quoted" || (kind === "word" && !RESERVED.has(upper));
  }

  protected identifier(): string {
    if (!this.isName) throw this.unexpected();
    return this.next().text;
  }

  /** A name of up to four parts. `db..t` leaves the schema empty. */
  protected name(): Name {
    const parts = [this.identifier()];
    while (this.is(".")) {
      this.next();
      if (this.is(".")) parts.push("");
      else if (this.token.kind === "word" || this.token.kind === "quoted") parts.push(this.next().text);
      else throw this.unexpected();
    }
    return parts;
  }

  protected list<T>(item: () => T): T[] {
    const items = [item()];
    while (this.accept(",")) items.push(item());
    return items;
  }

  protected parenthesized<T>(item: () => T): T {
    this.expect("(");
    const result = item();
    this.expect(")");
    return result;
  }

  protected integer(): number {
    const negative = this.accept("-");
    const { kind, text } = this.token;
    if (kind !== "number" || !/^\d+$/.test(text)) throw this.unexpected();
    this.next();
    return negative ? -Number(text) : Number(text);
  }

  protected string(): string {
    if (this.token.kind !== "string") throw this.unexpected();
    return this.next().text;
  }

  protected variable(): string {
    if (this.token.kind !== "variable") throw this.unexpected();
    return this.next().text;
  }
}
