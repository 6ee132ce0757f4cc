import { CloudError, type Properties } from "../service.js";

/** Says whether an event matches. */
export type EventMatcher = (event: Properties) => boolean;

type ValueMatcher = (value: unknown) => boolean;
type Refuse = (reason: string) => never;

/**
 * Compiles an event pattern, as rules of EventBridge and filter policies of SNS use them: exact values, `prefix`, `suffix`,
 * `equals-ignore-case`, `wildcard`, `anything-but`, `numeric`, `exists`, and `$or` between fields. (`cidr` is not emulated, and refused.)
 *
 * @param code of the error for a pattern that is not valid.
 * @throws CloudError saying where it is wrong.
 */
export function compileEventPattern(pattern: string | Properties, code = "InvalidEventPatternException"): EventMatcher {
  const refuse: Refuse = (reason) => {
    throw new CloudError(code, `Event pattern is not valid. Reason: ${reason}`, 400);
  };
  let parsed: unknown = pattern;
  if (typeof pattern === "string") {
    try {
      parsed = JSON.parse(pattern);
    } catch (error) {
      refuse((error as Error).message);
    }
  }
  if (!isObject(parsed)) refuse("the pattern must be a JSON object");
  if (Object.keys(parsed as Properties).length === 0) refuse("the pattern is empty");
  const matches = compileObject(parsed as Properties, "", refuse);
  return (event) => matches(event);
}

function compileObject(pattern: Properties, path: string, refuse: Refuse): ValueMatcher {
  const fields = Object.entries(pattern).map(([name, inner]): ValueMatcher => {
    const at = path ? `${path}.${name}` : name;
    if (name === "$or" && Array.isArray(inner) && inner.every(isObject)) {
      if (inner.length < 2) refuse(`${at} needs at least two alternatives`);
      const alternatives = inner.map((alternative) => compileObject(alternative, path, refuse));
      return (value) => alternatives.some((matches) => matches(value));
    }
    if (isObject(inner)) {
      if (Object.keys(inner).length === 0) refuse(`${at} is empty`);
      const matches = compileObject(inner, at, refuse);
      return (value) => matches(member(value, name));
    }
    if (!Array.isArray(inner)) refuse(`"${at}" must be an object or an array`);
    if (inner.length === 0) refuse(`${at} is an empty array, which nothing matches`);
    const leaves = inner.map((rule: unknown) => compileRule(rule, at, refuse));
    return (value) => leaves.some((matches) => matches(member(value, name)));
  });
  // In an array of objects, one and the same object has to match all fields.
  const one: ValueMatcher = (value) => fields.every((matches) => matches(value));
  return (value) => (Array.isArray(value) ? value.some(one) : one(value));
}

const member = (value: unknown, name: string): unknown => (isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined);

function compileRule(rule: unknown, path: string, refuse: Refuse): ValueMatcher {
  if (!isObject(rule)) {
    if (Array.isArray(rule)) refuse(`${path} has an array within its array`);
    return each((value) => value === rule);
  }
  const [[kind, operand] = ["", undefined], ...more] = Object.entries(rule);
  if (more.length > 0) refuse(`${path} has a rule of several kinds: ${Object.keys(rule).join(", ")}`);
  if (kind === "exists") {
    if (typeof operand !== "boolean") refuse(`${path}: exists is true or false`);
    return (value) => (value !== undefined) === operand;
  }
  if (kind === "anything-but") return anythingBut(operand, path, refuse);
  if (kind === "numeric") return each(numeric(operand, path, refuse));
  const matches = textRule(kind, operand, path, refuse);
  if (!matches) {
    refuse(
      `${path}: unrecognized match type ${kind}; known are prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric and exists`,
    );
  }
  return each((value) => typeof value === "string" && matches!(value));
}

/** Of an array in the event, one item has to match. */
function each(matches: ValueMatcher): ValueMatcher {
  return (value) => (Array.isArray(value) ? value.some(matches) : value !== undefined && matches(value));
}

function textRule(kind: string, operand: unknown, path: string, refuse: Refuse): ((text: string) => boolean) | undefined {
  const ignoring = isObject(operand) && (kind === "prefix" || kind === "suffix") ? operand["equals-ignore-case"] : undefined;
  const text = ignoring ?? operand;
  if (!["prefix", "suffix", "equals-ignore-case", "wildcard"].includes(kind)) return undefined;
  if (typeof text !== "string") return refuse(`${path}: ${kind} takes a string`);
  const wanted = ignoring === undefined ? text : text.toLowerCase();
  const given = (value: string) => (ignoring === undefined ? value : value.toLowerCase());
  if (kind === "prefix") return (value) => given(value).startsWith(wanted);
  if (kind === "suffix") return (value) => given(value).endsWith(wanted);
  if (kind === "equals-ignore-case") return (value) => value.toLowerCase() === text.toLowerCase();
  if (text.includes("**")) refuse(`${path}: wildcard has consecutive wildcard characters`);
  const expression = new RegExp(`^${wildcardSource(text)}$`, "s");
  return (value) => expression.test(value);
}

/** `*` stands for anything; `\*` and `\\` for themselves. */
function wildcardSource(text: string): string {
  return (text.match(/\\[*\\]|[\s\S]/g) ?? [])
    .map((piece) => (piece === "*" ? ".*" : (piece.length === 2 ? piece[1]! : piece).replace(/[.*+?^${}()|[\]\\]/g, "\\$&")))
    .join("");
}

function anythingBut(operand: unknown, path: string, refuse: Refuse): ValueMatcher {
  if (isObject(operand)) {
    const [[kind, inner] = ["", undefined], ...more] = Object.entries(operand);
    if (more.length > 0) refuse(`${path}: anything-but takes one rule`);
    const rules = (Array.isArray(inner) ? inner : [inner]).map((one) => textRule(kind, one, path, refuse));
    if (rules.some((rule) => !rule))
      refuse(`${path}: anything-but takes values, prefix, suffix, equals-ignore-case or wildcard, not ${kind}`);
    return each((value) => typeof value === "string" && !rules.some((rule) => rule!(value)));
  }
  const excluded: unknown[] = Array.isArray(operand) ? operand : [operand];
  if (excluded.length === 0 || excluded.some((one) => !["string", "number"].includes(typeof one))) {
    refuse(`${path}: anything-but takes strings or numbers`);
  }
  // Every item of an array in the event has to be something else.
  return (value) => value !== undefined && (Array.isArray(value) ? value : [value]).every((one) => !excluded.includes(one));
}

const COMPARISONS: Record<string, (value: number, limit: number) => boolean> = {
  "=": (value, limit) => value === limit,
  "<": (value, limit) => value < limit,
  "<=": (value, limit) => value <= limit,
  ">": (value, limit) => value > limit,
  ">=": (value, limit) => value >= limit,
};

function numeric(operand: unknown, path: string, refuse: Refuse): ValueMatcher {
  const parts: unknown[] = Array.isArray(operand) ? operand : [];
  if (parts.length !== 2 && parts.length !== 4) refuse(`${path}: numeric takes [operator, number] once or twice`);
  const tests: ((value: number) => boolean)[] = [];
  for (let index = 0; index < parts.length; index += 2) {
    const compare = Object.hasOwn(COMPARISONS, String(parts[index])) ? COMPARISONS[String(parts[index])] : undefined;
    const limit = parts[index + 1];
    if (!compare || typeof limit !== "number") return refuse(`${path}: numeric takes ${Object.keys(COMPARISONS).join(" ")} and a number`);
    tests.push((value) => compare(value, limit));
  }
  return (value) => typeof value === "number" && tests.every((test) => test(value));
}

function isObject(value: unknown): value is Properties {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
