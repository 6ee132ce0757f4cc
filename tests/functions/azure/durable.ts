import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { DummyOrchestrationContext, type OrchestrationHandler } from "durable-functions";

/** What the extension for Durable Functions and the SDK say to each other, as far as activities with retries need it. */
const EVENT = { executionStarted: 0, scheduled: 4, completed: 5, failed: 6, timerCreated: 10, timerFired: 11, started: 12, ended: 13 };
const CALL = [0, 1];

/** What an orchestrator asks for of retries. */
export interface Retries {
  maxNumberOfAttempts: number;
  firstRetryIntervalInMilliseconds: number;
  backoffCoefficient: number;
  maxRetryIntervalInMilliseconds: number;
}

interface Action {
  actionType: number;
  functionName?: string;
  input?: unknown;
  retryOptions?: Retries;
  compoundActions?: Action[];
}

interface State {
  isDone: boolean;
  actions: Action[][];
  output?: unknown;
  customStatus?: unknown;
  error?: string;
}

interface Scheduled {
  id: number;
  name: string;
  input: unknown;
  attempts: number;
  attempt: number;
}

export interface Run {
  status: "Completed" | "Failed";
  output: unknown;
  /** Activities in the order in which they were scheduled, retries included. */
  calls: { name: string; input: unknown }[];
  history: Record<string, unknown>[];
  /** By activity. */
  retries: Record<string, Retries>;
}

type Listener = (trigger: unknown, context: DummyOrchestrationContext) => Promise<State>;

const { createOrchestrator } = createRequire(import.meta.url)("durable-functions/lib/src/util/testingUtils.js") as {
  createOrchestrator(handler: OrchestrationHandler): Listener;
};

/**
 * Runs an orchestrator by the SDK's own executor: every completion is one more episode, which replays all that was before, as on Azure. What an
 * episode asks for has to begin with what the episodes before have asked for.
 *
 * @param activities What each does, by name; whatever they throw is told the orchestrator as the host tells it.
 */
export async function orchestrate(
  handler: OrchestrationHandler,
  input: unknown,
  activities: Record<string, (input: never) => unknown>,
  instanceId = "instance",
): Promise<Run> {
  const listener = createOrchestrator(handler);
  const history: Run["history"] = [];
  const calls: Run["calls"] = [];
  const retries: Run["retries"] = {};
  const waiting: (() => Promise<Record<string, unknown>>)[] = [];
  let time = Date.parse("2026-11-21T12:00:00.000Z");
  let sequence = 0;
  let known: Action[] = [];
  const tell = (EventType: number, more: Record<string, unknown> = {}) => {
    const event = { EventType, EventId: -1, IsPlayed: false, Timestamp: new Date(time).toISOString(), ...more };
    history.push(event);
    return event;
  };

  const schedule = (task: Omit<Scheduled, "id">): Scheduled => {
    const scheduled = { ...task, id: sequence++ };
    calls.push({ name: task.name, input: task.input });
    waiting.push(async () => {
      try {
        const activity = activities[task.name] as ((input: unknown) => unknown) | undefined;
        assert.ok(activity, `There is no activity ${task.name}.`);
        const result = await activity(structuredClone(task.input));
        return { type: EVENT.completed, TaskScheduledId: scheduled.id, Result: JSON.stringify(result ?? null), task: scheduled };
      } catch (error) {
        const Reason = `Activity function '${task.name}' failed: ${(error as Error).message}`;
        return { type: EVENT.failed, TaskScheduledId: scheduled.id, Reason, Details: (error as Error).stack ?? "", task: scheduled };
      }
    });
    return scheduled;
  };

  waiting.push(async () => ({ type: EVENT.executionStarted, Name: "ProcessImage", Input: JSON.stringify(input), Version: "" }));
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const { type, task: finished, ...event } = await next();
    const task = finished as Scheduled | undefined;
    time += 1_000;
    tell(EVENT.started);
    tell(Number(type), event);
    const after: (() => void)[] = [];
    // The host keeps in step with the SDK's own retries: a timer after each failure, also after the last.
    if (type === EVENT.failed && task && task.attempts > 1) {
      const TimerId = sequence++;
      const FireAt = new Date(time + 1_000).toISOString();
      after.push(() => {
        tell(EVENT.timerCreated, { EventId: TimerId, FireAt });
        waiting.push(async () => ({ type: EVENT.timerFired, TimerId, FireAt, task }));
      });
    } else if (type === EVENT.timerFired && task && task.attempt < task.attempts) {
      const again = schedule({ ...task, attempt: task.attempt + 1 });
      after.push(() => tell(EVENT.scheduled, { EventId: again.id, Name: again.name, Input: JSON.stringify(again.input) }));
    }

    const state = await replay(listener, history, input, instanceId);
    const actions = state.actions.flat();
    assert.deepEqual(actions.slice(0, known.length), known, "a replay asks for what was asked for before");
    for (const action of flat(actions.slice(known.length))) {
      assert.ok(CALL.includes(action.actionType), `action ${action.actionType}`);
      const given = typeof action.input === "string" ? JSON.parse(action.input) : action.input;
      const attempts = action.retryOptions?.maxNumberOfAttempts ?? 1;
      if (action.retryOptions) retries[String(action.functionName)] = action.retryOptions;
      const scheduled = schedule({ name: String(action.functionName), input: given, attempts, attempt: 1 });
      after.push(() => tell(EVENT.scheduled, { EventId: scheduled.id, Name: scheduled.name, Input: JSON.stringify(given) }));
    }
    for (const act of after) act();
    known = actions;
    tell(EVENT.ended);
    if (state.error !== undefined) return { status: "Failed", output: state.error, calls, history, retries };
    if (state.isDone) return { status: "Completed", output: state.output, calls, history, retries };
  }
  throw new Error("The orchestration waits for nothing, and has not ended.");
}

async function replay(listener: Listener, history: Run["history"], input: unknown, instanceId: string): Promise<State> {
  const trigger = {
    // From its text, as across the border between host and worker.
    history: JSON.parse(JSON.stringify(history)),
    input,
    instanceId,
    isReplaying: history.length > 2,
    parentInstanceId: null,
    upperSchemaVersion: 1,
    upperSchemaVersionNew: 2,
    longRunningTimerIntervalDuration: "3.00:00:00",
    maximumShortTimerDuration: "6.00:00:00",
    defaultHttpAsyncRequestSleepTimeMillseconds: 30_000,
  };
  try {
    return JSON.parse(JSON.stringify(await listener(trigger, new DummyOrchestrationContext("ProcessImage", "invocation", () => {}))));
  } catch (error) {
    const [, state] = (error as Error).message.split("\n\n$OutOfProcData$:");
    if (!state) throw error;
    return JSON.parse(state);
  }
}

function flat(actions: readonly Action[]): Action[] {
  return actions.flatMap((action) => (action.compoundActions ? flat(action.compoundActions) : [action]));
}
