import { DockerfileParser } from "dockerfile-ast";

/** One instruction, with what it says as it is written: variables are not expanded yet. */
export interface Instruction {
  /** Upper case. */
  keyword: string;
  /** From 1. */
  line: number;
  /** All of it, on one line, for the log. */
  text: string;
  /** `--chown=65532:65532` → `{chown: "65532:65532"}`. */
  flags: Record<string, string>;
  /** What follows keyword and flags, on one line. */
  rest: string;
  /** Separate words of `rest`, or the items of its JSON form. */
  words: string[];
  /** Whether it is in JSON ("exec") form. */
  exec: boolean;
  /** Of ARG, ENV and LABEL. A name without a value has `undefined`. */
  pairs: [name: string, value: string | undefined][];
}

/** A Dockerfile says what this does not understand, or asks for what cannot be done. */
export class BuildError extends Error {
  override readonly name = "BuildError";
}

interface Flagged {
  getFlags?(): { getName(): string; getValue(): string | null }[];
  getProperties?(): { getName(): string; getValue(): string | null }[];
}

/** Reads a Dockerfile. @throws BuildError when there is nothing to build in it, or a here-document */
export function parseDockerfile(text: string): Instruction[] {
  const parsed = DockerfileParser.parse(text).getInstructions();
  if (parsed.length === 0) throw new BuildError("The Dockerfile is empty.");
  return parsed.map((instruction) => {
    const { getFlags, getProperties } = instruction as Flagged;
    const line = instruction.getRange().start.line + 1;
    const keyword = instruction.getKeyword();
    const flags = (getFlags?.call(instruction) ?? []).map((flag) => [flag.getName(), flag.getValue() ?? ""] as const);
    const rest = oneLine(instruction.getRawArgumentsContent() ?? "");
    if (/<<-?["']?\w/.test(rest))
      throw new BuildError(`Line ${line}: here-documents are not emulated. Put the text into a file of the context.`);
    const json = execForm(rest);
    return {
      keyword,
      line,
      text: [keyword, ...flags.map(([name, value]) => `--${name}=${value}`), rest].join(" ").trim(),
      flags: Object.fromEntries(flags),
      rest,
      words: json ?? rest.split(/\s+/).filter(Boolean),
      exec: json !== undefined,
      pairs: (getProperties?.call(instruction) ?? []).map((property) => [property.getName(), property.getValue() ?? undefined]),
    };
  });
}

/** Without continuations, and comments between them. */
const oneLine = (text: string): string =>
  text
    .split("\n")
    .filter((line, index) => index === 0 || !/^\s*#/.test(line))
    .map((line) => line.replace(/\\\s*$/, "").trim())
    .join(" ")
    .trim();

function execForm(text: string): string[] | undefined {
  if (!text.startsWith("[")) return undefined;
  try {
    const items: unknown = JSON.parse(text);
    return Array.isArray(items) && items.every((item) => typeof item === "string") ? items : undefined;
  } catch {
    return undefined;
  }
}

/** `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+instead}` with their values; what has none is empty. */
export function expand(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\\(\$)|\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})/g, (_, escaped, plain, braced, operator, word = "") => {
    if (escaped) return "$";
    const value = values[plain ?? braced] ?? "";
    if (operator === "-") return value === "" ? expand(word, values) : value;
    if (operator === "+") return value === "" ? "" : expand(word, values);
    return value;
  });
}
