import { randomUUID } from "node:crypto";
import { type HistoryEvent, type Instance, isOver, type Retry, type RuntimeStatus, wireEvent } from "./events.js";
import { Limit } from "./limit.js";
import type { InstanceFilter, Message, TaskHub } from "./task-hub.js";

/** What the backend asks of the host. */
export interface DurableHost {
  isOrchestrator(name: string): boolean;
  isActivity(name: string): boolean;
  /** Runs an orchestrator over its history. Returns its state as JSON, or throws as the library does: with the state behind {@link OUT_OF_PROCESS}. */
  orchestrate(name: string, input: string): Promise<string>;
  /** Runs an activity. JSON in, JSON out. */
  act(name: string, input: string, instanceId: string): Promise<string>;
  /** Whether a failure is the host's (the worker process is gone), not the function's: then the work is done again later. */
  isInterruption(error: unknown): boolean;
  /** Something went wrong that nobody else hears of. */
  report(text: string, error: unknown): void;
  /** An instance changed its status. */
  changed(instance: Instance): void;
  /** Marks work as under way. */
  busy<T>(work: Promise<T>): Promise<T>;
}

export interface DurableOptions {
  maxConcurrentActivityFunctions: number;
  maxConcurrentOrchestratorFunctions: number;
  /**
   * How long retries take, compared with what is declared.
   * @default 1
   */
  pace?: number | undefined;
}

/** Refused: `status` is what the client API answers. */
export class DurableRefusal extends Error {
  override readonly name = "DurableRefusal";
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** What separates a failed orchestrator's message from its state. */
const OUT_OF_PROCESS = "\n\n$OutOfProcData$:";

const LONGEST_TIMER = 2 ** 31 - 1;

/** What an orchestrator returned (`OrchestratorState`). */
interface State {
  isDone: boolean;
  actions: Action[][];
  output?: unknown;
  error?: string;
  customStatus?: unknown;
}

interface Action {
  actionType: number;
  functionName?: string;
  input?: unknown;
  instanceId?: string;
  retryOptions?: Omit<Retry, "attempt" | "began">;
  fireAt?: string;
  isCanceled?: boolean;
  externalEventName?: string;
  compoundActions?: Action[];
  /** Listed before: the same task, awaited again. */
  repeated?: boolean;
}

const ActionType = { Activity: 0, ActivityWithRetry: 1, Sub: 2, SubWithRetry: 3, ContinueAsNew: 4, Timer: 5, ExternalEvent: 6 } as const;
const NOT_EMULATED: Record<number, string> = {
  7: "callEntity",
  8: "callHttp",
  9: "signalEntity",
  13: "lockEntities",
  14: "releaseEntities",
};

type Scheduled = HistoryEvent & { id: number };

/** A running instance. */
interface Live {
  instance: Instance;
  history: HistoryEvent[];
  inbox: Message[];
  /** By the id of the task. */
  timers: Map<number, NodeJS.Timeout>;
  /** Everything that changes the instance takes its turn. */
  turn: Promise<unknown>;
}

/** The activity, timer or sub-orchestration is under way or has ended: by its id in the history. */
const SCHEDULES = ["TaskScheduled", "TimerCreated", "SubOrchestrationInstanceCreated"];

/**
 * The durable task framework behind the library durable-functions: runs orchestrators over their history, one event at a time, keeps every
 * event before anything follows from it, and does what they ask for.
 */
export class DurableBackend {
  readonly #live = new Map<string, Live>();
  readonly #starting = new Set<string>();
  readonly #activities: Limit;
  readonly #orchestrators: Limit;
  readonly #delays = new Set<NodeJS.Timeout>();
  #stopped = false;

  constructor(
    private readonly hub: TaskHub,
    private readonly host: DurableHost,
    private readonly options: DurableOptions,
  ) {
    this.#activities = new Limit(options.maxConcurrentActivityFunctions);
    this.#orchestrators = new Limit(options.maxConcurrentOrchestratorFunctions);
  }

  /** Takes up what was under way: episodes that were interrupted, activities without a result, timers. */
  async resume(): Promise<void> {
    for (const instance of await this.hub.unfinished()) {
      const kept = await this.hub.load(instance.id);
      // Interrupted between the two tables.
      const completed = kept.history.findLast(({ kind }) => kind === "ExecutionCompleted" || kind === "ExecutionTerminated");
      if (completed) {
        const over = {
          ...instance,
          status: completed.status as RuntimeStatus,
          output: completed.result ?? "null",
          updatedAt: completed.at,
        };
        await this.hub.put(over);
        await this.#tellParent(over);
        continue;
      }
      if (kept.executionId && kept.executionId !== instance.executionId) {
        instance.executionId = kept.executionId;
        instance.input = kept.inbox.find(({ event }) => event.kind === "ExecutionStarted")?.event.input ?? instance.input;
      }
      const live = this.#enliven(instance, kept.history, kept.inbox);
      for (const event of this.#open(live)) this.#dispatch(live, event);
      this.#pump(live);
    }
  }

  /** Ends timers; what runs may end, but nothing follows from it before the next start. */
  stop(): void {
    this.#stopped = true;
    for (const timer of this.#delays) clearTimeout(timer);
    for (const { timers } of this.#live.values()) for (const timer of timers.values()) clearTimeout(timer);
    this.#live.clear();
  }

  /** Starts an instance. @param input JSON @throws DurableRefusal 400 for an unknown function, 409 where an instance with this id runs */
  async start(name: string, id: string = randomUUID().replaceAll("-", ""), input = "null", parent?: Instance["parent"]): Promise<string> {
    if (!this.host.isOrchestrator(name))
      throw new DurableRefusal(400, `The function '${name}' doesn't exist, is disabled, or is not an orchestrator function.`);
    if (id.startsWith("@") || id.length > 100)
      throw new DurableRefusal(400, `The instance id '${id}' is not usable: it must not begin with "@", and have at most 100 characters.`);
    const refuse = (status: string): never => {
      throw new DurableRefusal(409, `An Orchestration instance with the status ${status} already exists.`);
    };
    const running = this.#live.get(id);
    if (running) refuse(running.instance.status);
    if (this.#starting.has(id)) refuse("Pending");
    this.#starting.add(id);
    try {
      const before = await this.hub.find(id);
      if (before && !isOver(before.status)) refuse(before.status);
      const now = new Date().toISOString();
      const instance: Instance = {
        id,
        executionId: randomUUID(),
        name,
        input,
        status: "Pending",
        createdAt: now,
        updatedAt: now,
        ...(parent && { parent }),
      };
      const message = await this.hub.begin(id, instance.executionId, { kind: "ExecutionStarted", at: now, name, input });
      await this.hub.put(instance);
      this.host.changed(instance);
      this.#pump(this.#enliven(instance, [], [message]));
    } finally {
      this.#starting.delete(id);
    }
    return id;
  }

  /** @param input JSON @throws DurableRefusal 404, 410 when it is over */
  async raiseEvent(id: string, name: string, input: string): Promise<void> {
    await this.#deliver(await this.#running(id), { kind: "EventRaised", at: new Date().toISOString(), name, input });
  }

  /** @throws DurableRefusal 404, 410 */
  async terminate(id: string, reason: string): Promise<void> {
    const live = await this.#running(id);
    await this.#inTurn(live, async () => {
      if (isOver(live.instance.status)) return;
      const at = new Date().toISOString();
      const result = JSON.stringify(reason);
      const events: HistoryEvent[] = [
        { kind: "OrchestratorStarted", at },
        { kind: "ExecutionTerminated", at, status: "Terminated", result },
        { kind: "OrchestratorCompleted", at },
      ];
      await this.hub.commit(id, live.instance.executionId, live.history.length, events);
      live.history.push(...events);
      await this.#finish(live, "Terminated", result);
    });
  }

  /** Until `resume`, it sees no event. @throws DurableRefusal 404, 410 */
  async suspend(id: string): Promise<void> {
    const live = await this.#running(id);
    await this.#inTurn(live, () => this.#become(live, { status: "Suspended" }));
  }

  /** @throws DurableRefusal 404, 410 */
  async unsuspend(id: string): Promise<void> {
    const live = await this.#running(id);
    await this.#inTurn(live, async () => {
      if (live.instance.status === "Suspended") await this.#become(live, { status: "Running" });
    });
    this.#pump(live);
  }

  async find(id: string): Promise<Instance | undefined> {
    return this.#live.get(id)?.instance ?? this.hub.find(id);
  }

  list(filter: InstanceFilter): Promise<Instance[]> {
    return this.hub.list(filter);
  }

  async history(id: string): Promise<HistoryEvent[]> {
    return this.#live.get(id)?.history ?? (await this.hub.load(id)).history;
  }

  /** Forgets an instance that is over. @returns whether there was one */
  async purge(id: string): Promise<boolean> {
    const instance = await this.find(id);
    if (!instance || !isOver(instance.status)) return false;
    await this.hub.purge(id);
    return true;
  }

  async #running(id: string): Promise<Live> {
    const live = this.#live.get(id);
    if (live) return live;
    const instance = await this.hub.find(id);
    if (!instance) throw new DurableRefusal(404, `No instance with ID '${id}' found.`);
    throw new DurableRefusal(410, `The instance '${id}' is over: ${instance.status}.`);
  }

  #enliven(instance: Instance, history: HistoryEvent[], inbox: Message[]): Live {
    const live: Live = { instance, history, inbox, timers: new Map(), turn: Promise.resolve() };
    this.#live.set(instance.id, live);
    return live;
  }

  #inTurn<T>(live: Live, work: () => Promise<T>): Promise<T> {
    const result = live.turn.then(work);
    live.turn = result.catch(() => {});
    return this.host.busy(result);
  }

  /** Whether it still is what it was when work for it began. */
  #isCurrent(live: Live, executionId: string): boolean {
    return !this.#stopped && this.#live.get(live.instance.id) === live && live.instance.executionId === executionId;
  }

  async #deliver(live: Live, event: HistoryEvent): Promise<void> {
    const { id, executionId } = live.instance;
    const message = await this.hub.receive(id, executionId, event);
    if (!this.#isCurrent(live, executionId)) {
      // It began anew meanwhile: what is addressed by name follows.
      const now = this.#live.get(id);
      if (event.kind === "EventRaised" && now && !this.#stopped) await this.#deliver(now, event);
      return;
    }
    live.inbox.push(message);
    this.#pump(live);
  }

  /** Deals with what is in the inbox, one event after the other. */
  #pump(live: Live): void {
    void this.#inTurn(live, async () => {
      const waits = () => live.inbox.length > 0 && this.#live.get(live.instance.id) === live && !this.#stopped;
      for (let failures = 0; waits() && live.instance.status !== "Suspended"; ) {
        try {
          await this.#orchestrators.run(() => this.#episode(live, live.inbox[0] as Message));
          failures = 0;
        } catch (error) {
          if (this.#stopped) return;
          failures++;
          if (!this.host.isInterruption(error))
            this.host.report(`The orchestration '${live.instance.id}' could not go on, and is tried again`, error);
          await this.#pause(backoff(failures));
        }
      }
    });
  }

  /** Runs the orchestrator with one more event, and keeps what follows from it before doing it. */
  async #episode(live: Live, message: Message): Promise<void> {
    const { instance } = live;
    const at = new Date().toISOString();
    const before = live.history.length;
    const episode: HistoryEvent[] = [{ kind: "OrchestratorStarted", at }, message.event];
    const known = live.history.filter(({ kind }) => SCHEDULES.includes(kind)) as Scheduled[];
    const scheduled: Scheduled[] = [];
    const schedule = (event: HistoryEvent) => scheduled.push({ ...event, id: known.length + scheduled.length });
    const retried = this.#retry(live, message.event, at);
    if (retried) schedule(retried);

    const state = await this.#orchestrate(live, [...live.history, ...episode], before > 0);
    if (this.#stopped) return;
    const actions = flattened(state.actions[0] ?? []);
    const asked = live.history.findLast(({ kind }) => kind === "OrchestratorCompleted")?.actions ?? 0;
    let problem = contradiction(actions, known, asked);
    if (!problem)
      try {
        for (const [index, action] of actions.entries()) {
          const event = index < asked ? undefined : this.#ask(instance, action, index, at, known.length + scheduled.length);
          if (event) schedule(event);
        }
      } catch (error) {
        problem = (error as Error).message;
      }
    const everything = [...known, ...scheduled];
    const cancelled = actions.flatMap((action, index) =>
      action.actionType === ActionType.Timer && action.isCanceled
        ? everything.filter((event) => event.action === index).map(({ id }) => id)
        : [],
    );
    const last = actions.at(-1);
    const again = !problem && !state.error && state.isDone && last?.actionType === ActionType.ContinueAsNew ? last : undefined;
    if (again) return this.#continueAsNew(live, message, again);

    const failure = problem ?? state.error;
    const over: { status: RuntimeStatus; result: string } | undefined =
      failure !== undefined
        ? { status: "Failed", result: JSON.stringify(`Orchestrator function '${instance.name}' failed: ${failure}`) }
        : state.isDone
          ? { status: "Completed", result: JSON.stringify(state.output ?? null) }
          : undefined;
    if (over) episode.push({ kind: "ExecutionCompleted", at, ...over });
    else episode.push(...scheduled);
    const count = Math.max(asked, actions.length);
    episode.push({
      kind: "OrchestratorCompleted",
      at: new Date().toISOString(),
      actions: count,
      ...(cancelled.length > 0 && { cancelled }),
    });
    await this.hub.commit(instance.id, instance.executionId, before, episode, message);
    live.history.push(...episode);
    live.inbox.shift();
    const customStatus = state.customStatus === undefined ? undefined : JSON.stringify(state.customStatus);
    if (over) return this.#finish(live, over.status, over.result, customStatus);
    const status = { status: "Running" as const, ...(customStatus !== undefined && { customStatus }) };
    if (instance.status !== "Running" || (customStatus !== undefined && customStatus !== instance.customStatus))
      await this.#become(live, status);
    for (const id of cancelled) clearTimeout(live.timers.get(id));
    for (const event of scheduled) if (!cancelled.includes(event.id)) this.#dispatch(live, event);
  }

  async #orchestrate({ instance }: Live, history: HistoryEvent[], isReplaying: boolean): Promise<State> {
    const input = JSON.stringify({
      history: history.map((event) => wireEvent(event)),
      input: JSON.parse(instance.input),
      instanceId: instance.id,
      isReplaying,
      parentInstanceId: instance.parent?.id ?? null,
      upperSchemaVersion: 1,
      upperSchemaVersionNew: 2,
      longRunningTimerIntervalDuration: "3.00:00:00",
      maximumShortTimerDuration: "6.00:00:00",
      defaultHttpAsyncRequestSleepTimeMillseconds: 30_000,
    });
    try {
      return JSON.parse(await this.host.orchestrate(instance.name, input));
    } catch (error) {
      if (this.host.isInterruption(error)) throw error;
      const [message, state] = String((error as Error).message).split(OUT_OF_PROCESS);
      if (state === undefined) return { isDone: false, actions: [[]], error: message || "unknown" };
      const parsed = JSON.parse(state) as State;
      return { ...parsed, error: parsed.error ?? message ?? "unknown" };
    }
  }

  /** What an orchestrator newly asks for. @throws Error for what this backend does not do */
  #ask(instance: Instance, action: Action, index: number, at: string, id: number): HistoryEvent | undefined {
    const retry: Retry | undefined = action.retryOptions && { ...action.retryOptions, attempt: 1, began: Date.parse(at) };
    const common = { at, action: index, ...(action.functionName !== undefined && { name: action.functionName }), ...(retry && { retry }) };
    switch (action.actionType) {
      case ActionType.Activity:
      case ActionType.ActivityWithRetry:
        // The library has already made JSON of a text, and of nothing else.
        return {
          kind: "TaskScheduled",
          ...common,
          input: typeof action.input === "string" ? action.input : JSON.stringify(action.input ?? null),
        };
      case ActionType.Sub:
      case ActionType.SubWithRetry:
        return {
          kind: "SubOrchestrationInstanceCreated",
          ...common,
          input: JSON.stringify(action.input ?? null),
          instanceId: action.instanceId || `${instance.executionId.replaceAll("-", "")}:${id}`,
        };
      case ActionType.Timer:
        return { kind: "TimerCreated", ...common, fireAt: new Date(action.fireAt as string).toISOString() };
      case ActionType.ExternalEvent:
      case ActionType.ContinueAsNew:
        return undefined;
      default:
        throw new Error(
          `${NOT_EMULATED[action.actionType] ?? `the action ${action.actionType}`} is not emulated: the embedded cloud has no durable entities, and no durable HTTP calls.`,
        );
    }
  }

  /** As the library does it: after a failure a timer, also after the last one; after the timer the task again, or nothing more. */
  #retry(live: Live, event: HistoryEvent, at: string): HistoryEvent | undefined {
    const task = event.of === undefined ? undefined : live.history.find(({ id, kind }) => id === event.of && SCHEDULES.includes(kind));
    if (!task) return undefined;
    if (event.kind === "TaskFailed" || event.kind === "SubOrchestrationInstanceFailed") {
      const { retry, kind, name = "", input = "null" } = task;
      if (!retry) return undefined;
      const { attempt, maxNumberOfAttempts, firstRetryIntervalInMilliseconds: first, backoffCoefficient: coefficient = 1 } = retry;
      const wait =
        attempt >= maxNumberOfAttempts
          ? 0
          : Math.min(first * coefficient ** (attempt - 1), retry.maxRetryIntervalInMilliseconds ?? Number.POSITIVE_INFINITY) *
            (this.options.pace ?? 1);
      const again = { kind: kind as "TaskScheduled", name, input, retry: { ...retry, attempt: attempt + 1 } };
      return { kind: "TimerCreated", at, fireAt: new Date(Date.parse(at) + wait).toISOString(), again };
    }
    if (event.kind !== "TimerFired" || !task.again) return undefined;
    const { again } = task;
    if (again.retry.attempt > again.retry.maxNumberOfAttempts) return undefined;
    return { ...again, at, ...(again.kind === "SubOrchestrationInstanceCreated" && { instanceId: randomUUID().replaceAll("-", "") }) };
  }

  async #continueAsNew(live: Live, message: Message, action: Action): Promise<void> {
    const { instance } = live;
    const at = new Date().toISOString();
    const input = typeof action.input === "string" ? action.input : JSON.stringify(action.input ?? null);
    const executionId = randomUUID();
    const carried = live.inbox.filter((each) => each !== message && each.event.kind === "EventRaised");
    const started = await this.hub.restart(
      instance.id,
      executionId,
      { kind: "ExecutionStarted", at, name: instance.name, input },
      message,
      carried,
    );
    for (const timer of live.timers.values()) clearTimeout(timer);
    Object.assign(live, { history: [], inbox: [started, ...carried], timers: new Map() });
    Object.assign(instance, { executionId, input });
    await this.#become(live, { status: "Running" });
  }

  async #become(live: Live, change: Partial<Instance>): Promise<void> {
    Object.assign(live.instance, change, { updatedAt: new Date().toISOString() });
    await this.hub.put(live.instance);
    this.host.changed(live.instance);
  }

  async #finish(live: Live, status: RuntimeStatus, output: string, customStatus?: string): Promise<void> {
    for (const timer of live.timers.values()) clearTimeout(timer);
    await this.#become(live, { status, output, ...(customStatus !== undefined && { customStatus }) });
    this.#live.delete(live.instance.id);
    await this.#tellParent(live.instance);
  }

  async #tellParent({ parent, status, output = "null", name }: Instance): Promise<void> {
    const waiting = parent && this.#live.get(parent.id);
    if (!parent || !waiting || waiting.instance.executionId !== parent.executionId) return;
    const ended = { at: new Date().toISOString(), of: parent.task };
    await this.#deliver(
      waiting,
      status === "Completed"
        ? { kind: "SubOrchestrationInstanceCompleted", ...ended, result: output }
        : {
            kind: "SubOrchestrationInstanceFailed",
            ...ended,
            reason: `Sub-orchestrator function '${name}' failed: ${JSON.parse(output)}`,
            details: "",
          },
    );
  }

  /** What was scheduled and has no end yet, neither in the history nor in the inbox. */
  #open({ history, inbox }: Live): Scheduled[] {
    const ended = new Set([...history, ...inbox.map(({ event }) => event)].map(({ of }) => of));
    const cancelled = new Set(history.flatMap((event) => event.cancelled ?? []));
    return (history.filter(({ kind }) => SCHEDULES.includes(kind)) as Scheduled[]).filter(({ id }) => !ended.has(id) && !cancelled.has(id));
  }

  /** Does what was asked for: its end becomes an event. */
  #dispatch(live: Live, event: Scheduled): void {
    if (event.kind === "TimerCreated") {
      this.#arm(live, event);
      return;
    }
    const work = event.kind === "TaskScheduled" ? this.#act(live, event) : this.#startSub(live, event);
    void this.host
      .busy(work)
      .catch((error) => this.#stopped || this.host.report(`'${event.name}' of '${live.instance.id}' could not be dealt with`, error));
  }

  #arm(live: Live, event: Scheduled): void {
    const { executionId } = live.instance;
    const left = Date.parse(event.fireAt as string) - Date.now();
    const fire = () => {
      if (!this.#isCurrent(live, executionId)) return;
      if (left > LONGEST_TIMER) {
        this.#arm(live, event);
        return;
      }
      live.timers.delete(event.id);
      const fired: HistoryEvent = { kind: "TimerFired", at: new Date().toISOString(), of: event.id, fireAt: event.fireAt as string };
      this.#deliver(live, fired).catch(
        (error) => this.#stopped || this.host.report(`A timer of '${live.instance.id}' could not be kept`, error),
      );
    };
    live.timers.set(event.id, setTimeout(fire, Math.min(LONGEST_TIMER, Math.max(0, left))));
  }

  async #act(live: Live, event: Scheduled): Promise<void> {
    const { executionId, id } = live.instance;
    const name = event.name as string;
    for (let attempt = 1; this.#isCurrent(live, executionId); attempt++) {
      const ended = { at: "", of: event.id };
      let outcome: HistoryEvent;
      try {
        if (!this.host.isActivity(name))
          throw new Error(`The function '${name}' doesn't exist, is disabled, or is not an activity function.`);
        const run = () => (this.#isCurrent(live, executionId) ? this.host.act(name, event.input ?? "null", id) : Promise.resolve("null"));
        outcome = { kind: "TaskCompleted", ...ended, result: await this.#activities.run(run) };
      } catch (error) {
        if (this.host.isInterruption(error)) {
          await this.#pause(backoff(attempt));
          continue;
        }
        const { message, stack = "" } = error as Error;
        outcome = { kind: "TaskFailed", ...ended, reason: `Activity function '${name}' failed: ${message}`, details: stack };
      }
      if (!this.#isCurrent(live, executionId)) return;
      return this.#deliver(live, { ...outcome, at: new Date().toISOString() });
    }
  }

  async #startSub(live: Live, event: Scheduled): Promise<void> {
    const { id, executionId } = live.instance;
    const child = event.instanceId as string;
    const parent = { id, task: event.id, executionId };
    const existing = await this.find(child);
    // Found again after an interruption.
    if (existing?.parent?.task === event.id && existing.parent.executionId === executionId)
      return isOver(existing.status) ? this.#tellParent(existing) : undefined;
    try {
      await this.start(event.name as string, child, event.input, parent);
    } catch (error) {
      if (!(error instanceof DurableRefusal)) throw error;
      const reason = `Sub-orchestrator function '${event.name}' failed: ${error.message}`;
      await this.#deliver(live, {
        kind: "SubOrchestrationInstanceFailed",
        at: new Date().toISOString(),
        of: event.id,
        reason,
        details: "",
      });
    }
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resume) => {
      const timer = setTimeout(() => {
        this.#delays.delete(timer);
        resume();
      }, milliseconds);
      this.#delays.add(timer);
    });
  }
}

/** As Azure's provider abandons work: 2ⁿ seconds, at most ten minutes. */
const backoff = (attempt: number): number => Math.min(2 ** Math.min(attempt, 20), 600) * 1000;

/** All actions in the order in which the library numbers them, each once. */
function flattened(actions: readonly Action[]): Action[] {
  return actions.flatMap((action) => (action.repeated ? [] : action.compoundActions ? flattened(action.compoundActions) : [action]));
}

/** Whether the orchestrator asked for something else than it did before, over the same history. */
function contradiction(actions: readonly Action[], known: readonly Scheduled[], asked: number): string | undefined {
  const before = new Map(known.flatMap((event) => (event.action === undefined ? [] : [[event.action, event] as const])));
  for (let index = 0; index < asked; index++) {
    const event = before.get(index);
    const action = actions[index];
    const is = action === undefined ? "nothing" : described(action);
    const was =
      event === undefined
        ? "an external event"
        : described({ actionType: KIND_OF[event.kind] as number, ...(event.name !== undefined && { functionName: event.name }) });
    if (is === was || (event === undefined && action?.actionType === ActionType.ContinueAsNew)) continue;
    return `Non-Deterministic workflow detected: A previous execution of this orchestration scheduled ${was} with sequence ID ${event?.id ?? index}, but the current execution asks for ${is} instead. Was a change made to the orchestrator code after this instance had already started running, or does it use time, random values or I/O?`;
  }
  return undefined;
}

const KIND_OF: Partial<Record<HistoryEvent["kind"], number>> = {
  TaskScheduled: ActionType.Activity,
  SubOrchestrationInstanceCreated: ActionType.Sub,
  TimerCreated: ActionType.Timer,
};

function described({ actionType, functionName }: Action): string {
  if (actionType === ActionType.Activity || actionType === ActionType.ActivityWithRetry) return `an activity task named '${functionName}'`;
  if (actionType === ActionType.Sub || actionType === ActionType.SubWithRetry) return `a sub-orchestration named '${functionName}'`;
  if (actionType === ActionType.Timer) return "a timer";
  return actionType === ActionType.ExternalEvent ? "an external event" : `the action ${actionType}`;
}
