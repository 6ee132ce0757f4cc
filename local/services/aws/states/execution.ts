import type { StateMachine as Interpreter } from "aws-local-stepfunctions";
import type { Cloud } from "../../../kernel/cloud.js";
import type { Principal, Properties } from "../../../kernel/service.js";
import { asDeclared, type Prepared } from "./definition.js";
import { detailsName, type HistoryEvent } from "./history.js";
import { DATA_LIMIT, dataLimitExceeded, perform, resourceNames, StatesError } from "./tasks.js";

export interface Machine {
  arn: string;
  name: string;
  type: "STANDARD" | "EXPRESS";
  roleArn: string;
  prepared: Prepared;
  interpreter: Interpreter;
  /** Seconds that an execution may last. */
  timeout: number | undefined;
}

export type Status = "RUNNING" | "SUCCEEDED" | "FAILED" | "TIMED_OUT" | "ABORTED";

/** One run of a state machine, from its start on. */
export class Execution {
  status: Status = "RUNNING";
  output: unknown;
  error: string | undefined;
  cause: string | undefined;
  readonly startDate: Date;
  stopDate: Date | undefined;
  readonly history: HistoryEvent[] = [];
  /** Settles when it has ended, however. */
  readonly ended: Promise<void>;
  readonly #run: ReturnType<Interpreter["run"]>;
  readonly #states = new Map<string, StateContext>();
  /** The error that ends it, where that is not the interpreter's. */
  #verdict: { status: Status; error: string; cause: string } | undefined;
  /** The state that failed last, and the event of its entering. */
  readonly #entered = new Map<string, number>();
  #failing: string | undefined;
  #over = false;

  constructor(
    readonly arn: string,
    readonly name: string,
    readonly machine: Machine,
    readonly input: unknown,
    private readonly role: Principal,
    private readonly cloud: Cloud,
    /** Told of each event as it happens. */
    private readonly observe: (event: HistoryEvent) => void,
  ) {
    this.startDate = cloud.now();
    const { prepared, interpreter, roleArn } = machine;
    this.#record("ExecutionStarted", { input: JSON.stringify(input), inputDetails: WHOLE, roleArn });
    for (const [key, state] of prepared.states) this.#states.set(key, new StateContext(state, cloud));
    const Own = {
      Execution: { Id: arn, Input: input, Name: name, RoleArn: roleArn, StartTime: this.startDate.toISOString(), RedriveCount: 0 },
      StateMachine: { Id: machine.arn, Name: machine.name },
      States: Object.fromEntries(this.#states),
      Literals: prepared.literals,
    };
    const tasks = prepared.tasks.map(
      (task) => [task.name, (parameters: unknown) => this.#task(task.name, task.resource, parameters)] as const,
    );
    this.#run = interpreter.run(input as never, {
      context: { Own } as never,
      overrides: { taskResourceLocalHandlers: Object.fromEntries(tasks) as never },
    });
    this.ended = this.#follow();
  }

  /** Ends it. */
  abort(error = "", cause = ""): void {
    this.#end({ status: "ABORTED", error, cause });
  }

  #end(verdict: { status: Status; error: string; cause: string }): void {
    if (this.#verdict || this.status !== "RUNNING") return;
    this.#verdict = verdict;
    this.#run.abort();
  }

  async #follow(): Promise<void> {
    const { timeout } = this.machine;
    const timer =
      timeout === undefined
        ? undefined
        : setTimeout(() => this.#end({ status: "TIMED_OUT", error: "States.Timeout", cause: "" }), Math.min(timeout * 1000, 2_147_483_647));
    const events = this.#listen();
    try {
      const output = await this.#run.result;
      await events;
      if (this.#verdict) throw this.#verdict;
      this.status = "SUCCEEDED";
      this.output = output;
      this.#stop("ExecutionSucceeded", { output: JSON.stringify(output), outputDetails: WHOLE });
    } catch (failure) {
      await events;
      const { status, error, cause } = this.#verdict ?? this.#verdictOf(failure as Error);
      this.status = status;
      this.error = error || undefined;
      this.cause = cause || undefined;
      const type = { TIMED_OUT: "ExecutionTimedOut", ABORTED: "ExecutionAborted" }[status as string] ?? "ExecutionFailed";
      this.#stop(type, { ...(error ? { error } : {}), ...(cause ? { cause } : {}) });
    } finally {
      clearTimeout(timer);
    }
  }

  #stop(type: string, details: Properties): void {
    this.stopDate = this.cloud.now();
    this.#record(type, details);
    this.#over = true;
  }

  #verdictOf(failure: Error): { status: Status; error: string; cause: string } {
    const reason = (failure.cause ?? failure) as Error & { isCatchable?: boolean };
    // A Fail state without an Error.
    if (reason.name === "FailStateError")
      return { status: "FAILED", error: "", cause: reason.message.startsWith("Execution failed because") ? "" : reason.message };
    const known = reason.isCatchable !== undefined;
    const error = known ? reason.name : "States.Runtime";
    const at =
      this.#failing === undefined
        ? ""
        : `An error occurred while executing the state '${this.#failing}' (entered at the event id #${this.#entered.get(this.#failing)}). `;
    return { status: "FAILED", error, cause: error === "States.Runtime" ? `${at}${asDeclared(reason.message)}` : reason.message };
  }

  /** Runs one task, between the events that the interpreter reports. */
  async #task(state: string, resource: string, parameters: unknown): Promise<never> {
    // The interpreter reports the entering of the state in the same turn, but is heard a little later.
    await new Promise((resolve) => setImmediate(resolve));
    const names = resourceNames(resource);
    this.#record("TaskScheduled", { ...names, region: this.cloud.region, parameters: JSON.stringify(parameters) });
    this.#record("TaskStarted", names);
    try {
      const result = await perform(resource, parameters, this.role, this.cloud);
      const output = JSON.stringify(result ?? null);
      if (Buffer.byteLength(output) > DATA_LIMIT) throw dataLimitExceeded(`state/task '${state}' returned a result with a size that`);
      this.#record("TaskSucceeded", { ...names, output, outputDetails: WHOLE });
      return result as never;
    } catch (error) {
      const { name, message } = error as Error;
      this.#record("TaskFailed", { ...names, error: name, cause: message });
      throw error instanceof StatesError ? error : new StatesError("States.Runtime", message, false);
    }
  }

  async #listen(): Promise<void> {
    for await (const event of this.#run.eventLogs) {
      if (!("state" in event)) {
        const parallel = /^ParallelBranch/.test(event.type);
        if (!parallel && "index" in event) this.#record(event.type, { name: event.parentState.name, index: event.index });
        continue;
      }
      const { name, type, input, output } = event.state;
      const context = [...this.#states.values()].find(({ Name }) => Name === name);
      switch (event.type) {
        case "StateEntered":
          this.#record(`${type}StateEntered`, { name, input: JSON.stringify(input), inputDetails: WHOLE });
          this.#entered.set(name, this.history.length);
          if (type === "Parallel" || type === "Map")
            this.#record(`${type}StateStarted`, type === "Map" ? { length: Array.isArray(input) ? input.length : 0 } : undefined);
          break;
        case "StateExited": {
          context?.left();
          const text = JSON.stringify(output ?? null);
          if (Buffer.byteLength(text) > DATA_LIMIT) {
            const { name: error, message: cause } = dataLimitExceeded(`state/task '${name}' returned a result with a size that`);
            this.#end({ status: "FAILED", error, cause });
          }
          if (type === "Parallel" || type === "Map") this.#record(`${type}StateSucceeded`, undefined);
          if (type !== "Fail") this.#record(`${type}StateExited`, { name, output: text, outputDetails: WHOLE });
          break;
        }
        case "StateFailed": {
          const { Error: error, Cause: cause } = event as unknown as { Error: string; Cause: unknown };
          context?.failed();
          // Of states within each other, the innermost is told first.
          this.#failing ??= name;
          if (error === "States.Timeout" && type === "Task") this.#record("TaskTimedOut", { error });
          else if (type === "Parallel" || type === "Map") this.#record(`${type}StateFailed`, { error, cause: String(cause) });
          break;
        }
        case "StateRetried":
          this.#failing = undefined;
          break;
        case "StateCaught":
          this.#failing = undefined;
          context?.left();
          this.#record(`${type}StateExited`, { name });
          break;
      }
    }
  }

  #record(type: string, value: Properties | undefined): void {
    // A task of an execution that has ended meanwhile.
    if (this.#over) return;
    const id = this.history.length + 1;
    const event: HistoryEvent = {
      id,
      previousEventId: id - 1,
      timestamp: this.cloud.now().getTime() / 1000,
      type,
      details: value && { name: detailsName(type), value },
    };
    this.history.push(event);
    this.observe(event);
  }
}

const WHOLE = { truncated: false };

/** What `$$.State` tells of one state, from its being entered to its being left. */
class StateContext {
  RetryCount = 0;
  /** When it was entered, which is just before it is first asked for. */
  declare readonly EnteredTime: string;
  #entered: string | undefined;

  constructor(
    readonly Name: string,
    cloud: Cloud,
  ) {
    // Paths see own properties only.
    Object.defineProperty(this, "EnteredTime", { enumerable: true, get: () => (this.#entered ??= cloud.now().toISOString()) });
  }

  failed(): void {
    this.RetryCount++;
  }

  left(): void {
    this.RetryCount = 0;
    this.#entered = undefined;
  }
}
