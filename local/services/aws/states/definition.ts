import validate from "asl-validator";
import { CloudError } from "../../../kernel/service.js";
import { resourceProblem } from "./tasks.js";

/** A state machine in the Amazon States Language, as far as it is looked into here. */
export interface Definition {
  StartAt: string;
  TimeoutSeconds?: number;
  States: Record<string, State>;
  [field: string]: unknown;
}

export interface State {
  Type: "Task" | "Parallel" | "Map" | "Pass" | "Wait" | "Choice" | "Succeed" | "Fail";
  Resource?: string;
  Branches?: Definition[];
  ItemProcessor?: Definition;
  Iterator?: Definition;
  Retry?: { IntervalSeconds?: number; MaxDelaySeconds?: number }[];
  Catch?: { ResultPath?: string | null }[];
  [field: string]: unknown;
}

/** A definition made ready for the interpreter, with what its rewritten paths refer to. */
export interface Prepared {
  definition: Definition;
  /** Names of all states, nested ones too, by the key under which they stand in the context. */
  states: Map<string, string>;
  tasks: { name: string; resource: string }[];
  literals: Record<string, unknown>;
}

const invalid = (message: string) => new CloudError("InvalidDefinition", `Invalid State Machine Definition: '${message}'`);

/** Fields that the interpreter would silently ignore, and Map's of them that make it distributed. */
const UNSUPPORTED = ["Assign", "Arguments", "Output", "HeartbeatSeconds", "HeartbeatSecondsPath", "Credentials"];
const UNSUPPORTED_IN_MAP = [
  "ItemReader",
  "ItemBatcher",
  "ResultWriter",
  "Label",
  "Items",
  "ToleratedFailureCount",
  "ToleratedFailureCountPath",
  "ToleratedFailurePercentage",
  "ToleratedFailurePercentagePath",
];

/** Definitions that were found right: checking one takes the validator half a second. */
const checked = new Map<string, Definition>();

/** Parses and checks a definition. @throws CloudError (InvalidDefinition) for what Step Functions, or the embedded cloud, does not take */
export function parse(text: string): Definition {
  const known = checked.get(text);
  if (known) return known;
  let definition: Definition;
  try {
    definition = JSON.parse(text);
  } catch (error) {
    throw invalid(`INVALID_JSON_DESCRIPTION: ${(error as Error).message}`);
  }
  const { isValid, errorsText } = validate(structuredClone(definition), { checkPaths: true, checkArn: false });
  if (!isValid) throw invalid(`SCHEMA_VALIDATION_FAILED: ${errorsText("; ")}`);
  if ((definition.QueryLanguage ?? "JSONPath") !== "JSONPath") throw refused("the state machine", "QueryLanguage", "JSONPath only");
  for (const { name, state, parent } of walk(definition)) refuseUnsupported(name, state, parent);
  if (checked.size >= 100) checked.clear();
  checked.set(text, definition);
  return definition;
}

/** Every state with its name, nested ones after their parents. */
export function* walk(definition: Definition, parent?: State): Generator<{ name: string; state: State; parent: State | undefined }> {
  for (const [name, state] of Object.entries(definition.States)) {
    yield { name, state, parent };
    for (const inner of [...(state.Branches ?? []), state.ItemProcessor, state.Iterator]) if (inner) yield* walk(inner, state);
  }
}

function refused(where: string, field: string, instead: string): CloudError {
  return invalid(`${where}: ${field} is not emulated: the embedded cloud has ${instead}`);
}

function refuseUnsupported(name: string, state: State, parent: State | undefined): void {
  const where = `state "${name}"`;
  if ((state.QueryLanguage ?? "JSONPath") !== "JSONPath") throw refused(where, "QueryLanguage JSONata", "JSONPath only");
  for (const field of UNSUPPORTED) if (field in state) throw refused(where, field, "no such field");
  if (state.Type === "Map") {
    for (const field of UNSUPPORTED_IN_MAP) if (field in state) throw refused(where, field, "inline maps only");
    const mode = (state.ItemProcessor?.ProcessorConfig as { Mode?: string } | undefined)?.Mode ?? "INLINE";
    if (mode !== "INLINE") throw refused(where, `ProcessorConfig.Mode ${mode}`, "inline maps only");
  }
  if (state.Type === "Task") {
    const problem = resourceProblem(state.Resource ?? "");
    if (problem) throw invalid(`${where}: Resource "${state.Resource}" ${problem}`);
  }
  if (state.Type === "Fail")
    for (const field of ["ErrorPath", "CausePath"])
      if (field in state && !String(state[field]).startsWith("$"))
        throw refused(where, `an intrinsic function in ${field}`, "paths there; a Pass state before it can put the text together");
  for (const path of contextPaths(state)) {
    if (/^\$\$\.(Execution|StateMachine|State)\b/.test(path)) continue;
    // Of a Map, the interpreter fills the context only while it puts an item together.
    if (/^\$\$\.Map\b/.test(path) && state.Type === "Map") continue;
    const inMap = parent?.Type === "Map" ? "; select the item in the Map's ItemSelector" : "";
    throw refused(where, `the context path ${path}`, `$$.Execution, $$.StateMachine and $$.State${inMap}`);
  }
}

/** The paths into the context object that a state itself, not its nested states, mentions. */
function* contextPaths(state: State): Generator<string> {
  for (const text of texts(own(state))) for (const found of text.matchAll(/\$\$[\w.]*/g)) yield found[0];
}

function own({ Branches, ItemProcessor, Iterator, ...state }: State): object {
  return state;
}

function* texts(value: unknown): Generator<string> {
  if (typeof value === "string") yield value;
  else if (typeof value === "object" && value !== null) for (const item of Object.values(value)) yield* texts(item);
}

/**
 * Rewrites a definition so that the interpreter (aws-local-stepfunctions) gives what Step Functions gives:
 * - It makes up `$$.Execution` anew for each branch and has no `$$.State`: paths to both lead to a context of our own.
 * - A task without a timeout would have one of 60 s; `ResultPath: "$"` would name a member; a Pass loses a `Result` that is false, 0, "" or null.
 * - Times of retries and waits can be scaled.
 */
export function prepare(definition: Definition, pace: number): Prepared {
  const prepared: Prepared = { definition: structuredClone(definition), states: new Map(), tasks: [], literals: {} };
  // Timed by the execution itself.
  delete prepared.definition.TimeoutSeconds;
  for (const { name, state } of [...walk(prepared.definition)]) {
    const key = `s${prepared.states.size}`;
    prepared.states.set(key, name);
    redirect(state, key);
    for (const holder of [state, ...(state.Catch ?? [])]) {
      if (holder.ResultPath === "$") delete holder.ResultPath;
      else if (typeof holder.ResultPath === "string") holder.ResultPath = holder.ResultPath.replace(/^\$\[/, "$.[");
    }
    if (state.Type === "Task") {
      prepared.tasks.push({ name, resource: state.Resource ?? "" });
      if (!("TimeoutSecondsPath" in state))
        state.TimeoutSeconds = Math.min(LONGEST_TIMER, (state.TimeoutSeconds as number | undefined) ?? LONGEST_TIMER);
    }
    if (state.Type === "Pass" && "Result" in state && !state.Result) {
      prepared.literals[key] = state.Result;
      delete state.Result;
      delete state.Parameters;
      state.InputPath = `$$.Own.Literals.${key}`;
    }
    for (const retrier of state.Retry ?? []) {
      retrier.IntervalSeconds = (retrier.IntervalSeconds ?? 1) * pace;
      if (retrier.MaxDelaySeconds !== undefined) retrier.MaxDelaySeconds *= pace;
    }
    if (state.Type === "Wait" && typeof state.Seconds === "number") state.Seconds *= pace;
  }
  return prepared;
}

/** A text about paths, with the paths as they stand in the definition. */
export function asDeclared(text: string): string {
  return text.replace(/\$\$\.Own\.States\.s\d+/g, "$$$$.State").replaceAll("$$.Own.", "$$$$.");
}

/** Seconds that a timer of Node.js can last. */
const LONGEST_TIMER = 2_000_000;

/** Points the state's own paths into the context to where we keep it. */
function redirect(state: State, key: string): void {
  const rewritten = (value: unknown): unknown => {
    if (typeof value === "string")
      return value
        .replace(/\$\$\.Execution\b/g, "$$$$.Own.Execution")
        .replace(/\$\$\.StateMachine\b/g, "$$$$.Own.StateMachine")
        .replace(/\$\$\.State\b/g, `$$$$.Own.States.${key}`);
    if (Array.isArray(value)) return value.map(rewritten);
    if (typeof value === "object" && value !== null)
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, rewritten(item)]));
    return value;
  };
  for (const field of Object.keys(own(state)))
    if (!["Next", "Comment", "Result", "Resource"].includes(field)) state[field] = rewritten(state[field]);
}
