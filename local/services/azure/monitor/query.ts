import { CloudError, type Properties } from "../../../kernel/service.js";

/** A log query that this understands: a table or several, and conditions on their columns. */
export interface Query {
  tables: readonly string[];
  matches(record: Properties): boolean;
}

type Condition = (record: Properties) => boolean;
type Value = string | number | boolean;

const text = (value: unknown): string => String(value ?? "").toLowerCase();
const has = (value: unknown, term: Value): boolean => text(value).includes(text(term));

const COMPARISONS: Readonly<Record<string, (value: unknown, wanted: Value[]) => boolean>> = {
  "==": (value, [wanted]) => value === wanted,
  "!=": (value, [wanted]) => value !== wanted,
  ">=": (value, [wanted]) => Number(value) >= Number(wanted),
  "<=": (value, [wanted]) => Number(value) <= Number(wanted),
  ">": (value, [wanted]) => Number(value) > Number(wanted),
  "<": (value, [wanted]) => Number(value) < Number(wanted),
  has: (value, [wanted]) => has(value, wanted as Value),
  contains: (value, [wanted]) => has(value, wanted as Value),
  startswith: (value, [wanted]) => text(value).startsWith(text(wanted)),
  endswith: (value, [wanted]) => text(value).endsWith(text(wanted)),
  has_any: (value, wanted) => wanted.some((term) => has(value, term)),
  in: (value, wanted) => wanted.some((one) => one === value),
};

const CONDITION = /^(\w+)\s*(==|!=|>=|<=|>|<|has_any|has|contains|startswith|endswith|in)\s*(.+)$/s;

/** Reads `Table | where Column operator value and …`, or `union Table, Other | where …`. @throws CloudError for whatever else Kusto has */
export function readQuery(query: string): Query {
  const [source = "", ...steps] = outsideQuotes(query, "|");
  const unknown = (part: string) =>
    new CloudError(
      "FeatureNotSupported",
      `The embedded cloud reads queries such as 'Table | where Column == "value" and Other > 3', not: ${part.trim()}`,
    );
  const [, several, one = ""] = /^(?:union\s+(.+)|(\w+))$/s.exec(source.trim()) ?? [];
  const tables = (several?.split(",") ?? [one]).map((table) => table.trim());
  if (!tables.every((table) => /^\w+$/.test(table))) throw unknown(source);
  const conditions = steps.flatMap((step): Condition[] => {
    const [, clause] = /^\s*where\s+(.+)$/s.exec(step) ?? [];
    if (clause === undefined) throw unknown(step);
    return outsideQuotes(clause, " and ").map((part) => {
      const [, column, operator, operand] = CONDITION.exec(part.trim()) ?? [];
      const compare = COMPARISONS[operator ?? ""];
      const values = operand === undefined ? undefined : readValues(operand.trim());
      if (!column || !compare || !values) throw unknown(part);
      return (record) => compare(record[column], values);
    });
  });
  return { tables, matches: (record) => conditions.every((condition) => condition(record)) };
}

/** One value, or several in parentheses. */
function readValues(operand: string): Value[] | undefined {
  const inner = /^\((.*)\)$/s.exec(operand)?.[1] ?? operand;
  try {
    return JSON.parse(`[${inner}]`) as Value[];
  } catch {
    return undefined;
  }
}

function outsideQuotes(query: string, separator: string): string[] {
  const parts: string[] = [];
  let part = "";
  let quoted = false;
  for (let index = 0; index < query.length; index++) {
    if (query[index] === '"' && query[index - 1] !== "\\") quoted = !quoted;
    if (!quoted && query.startsWith(separator, index)) {
      parts.push(part);
      part = "";
      index += separator.length - 1;
    } else part += query[index];
  }
  return [...parts, part];
}
