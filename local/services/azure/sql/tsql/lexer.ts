import { sqlError } from "../errors.js";

export type TokenKind = "word" | "quoted" | "string" | "number" | "binary" | "variable" | "symbol" | "end";

export interface Token {
  kind: TokenKind;
  /** As written, without quotes or brackets. */
  text: string;
  /** `text` in capitals, for words: what keywords are compared with. */
  upper: string;
  /** N'…' */
  unicode?: boolean;
  line: number;
  /** Where it begins and ends in the batch. */
  from: number;
  to: number;
}

const SYMBOLS = ["<=", ">=", "<>", "!=", "!<", "!>", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "::"];
const WORD = /[\p{L}_#][\p{L}\p{N}_#@$]*|\$\p{L}+/uy;
const VARIABLE = /@@?[\p{L}\p{N}_#@$]*/uy;
const NUMBER = /(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?/iy;
const BINARY = /0x[0-9a-f]*/iy;

/** @throws SqlError 105, 113, 102 */
export function tokenize(sql: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let line = 1;
  const push = (kind: TokenKind, from: number, text: string, extra: Partial<Token> = {}): void => {
    tokens.push({ kind, text, upper: kind === "word" ? text.toUpperCase() : text, line, from, to: at, ...extra });
    for (let index = from; index < at; index += 1) if (sql.charCodeAt(index) === 10) line += 1;
  };
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(sql)?.[0];
  };
  /** Up to the closing mark, which is written twice where it is meant. */
  const delimited = (open: number, close: string): string => {
    let end = open;
    for (;;) {
      end = sql.indexOf(close, end);
      if (end < 0) throw Object.assign(sqlError(105, sql.slice(open)), { line });
      if (sql[end + 1] !== close) break;
      end += 2;
    }
    at = end + 1;
    return sql.slice(open, end).replaceAll(close + close, close);
  };
  while (at < sql.length) {
    const from = at;
    const character = sql[at] as string;
    if (character === "\n") {
      line += 1;
      at += 1;
    } else if (/\s|\uFEFF/.test(character)) at += 1;
    else if (sql.startsWith("--", at)) {
      const end = sql.indexOf("\n", at);
      at = end < 0 ? sql.length : end;
    } else if (sql.startsWith("/*", at)) {
      let depth = 1;
      at += 2;
      while (depth > 0) {
        if (at >= sql.length) throw Object.assign(sqlError(113), { line });
        if (sql.startsWith("/*", at)) {
          depth += 1;
          at += 2;
        } else if (sql.startsWith("*/", at)) {
          depth -= 1;
          at += 2;
        } else {
          if (sql[at] === "\n") line += 1;
          at += 1;
        }
      }
    } else if (character === "'") push("string", from, delimited(at + 1, "'"));
    else if ((character === "N" || character === "n") && sql[at + 1] === "'")
      push("string", from, delimited(at + 2, "'"), { unicode: true });
    else if (character === "[") push("quoted", from, delimited(at + 1, "]"));
    else if (character === '"') push("quoted", from, delimited(at + 1, '"'));
    else if (character === "@") {
      const text = match(VARIABLE) as string;
      at += text.length;
      push("variable", from, text);
    } else {
      const word = match(WORD);
      const binary = word === undefined ? match(BINARY) : undefined;
      const number = word === undefined && binary === undefined ? match(NUMBER) : undefined;
      const symbol = SYMBOLS.find((candidate) => sql.startsWith(candidate, at)) ?? character;
      const [kind, text]: [TokenKind, string] =
        word !== undefined
          ? ["word", word]
          : binary !== undefined
            ? ["binary", binary]
            : number !== undefined
              ? ["number", number]
              : ["symbol", symbol];
      if (kind === "symbol" && !/^[-+*/%&|^~=<>!(),.;:]/.test(text)) throw Object.assign(sqlError(102, text), { line });
      at += text.length;
      push(kind, from, text);
    }
  }
  tokens.push({ kind: "end", text: "", upper: "", line, from: at, to: at });
  return tokens;
}
