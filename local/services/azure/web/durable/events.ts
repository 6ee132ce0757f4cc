/** Kinds of events in a history, by the numbers that the library durable-functions knows. */
export const EventType = {
  ExecutionStarted: 0,
  ExecutionCompleted: 1,
  ExecutionTerminated: 3,
  TaskScheduled: 4,
  TaskCompleted: 5,
  TaskFailed: 6,
  SubOrchestrationInstanceCreated: 7,
  SubOrchestrationInstanceCompleted: 8,
  SubOrchestrationInstanceFailed: 9,
  TimerCreated: 10,
  TimerFired: 11,
  OrchestratorStarted: 12,
  OrchestratorCompleted: 13,
  EventRaised: 15,
} as const;

export type EventKind = keyof typeof EventType;

/** One event of an orchestration's history. */
export interface HistoryEvent {
  kind: EventKind;
  /** ISO 8601. */
  at: string;
  /** Of what is scheduled here: counted from 0, as the library counts. */
  id?: number;
  /** Of the task, sub-orchestration or timer that this ends. */
  of?: number;
  name?: string;
  /** JSON. */
  input?: string;
  /** JSON. */
  result?: string;
  reason?: string;
  details?: string;
  /** ISO 8601. */
  fireAt?: string;
  /** Instance of a sub-orchestration. */
  instanceId?: string;
  status?: RuntimeStatus;
  /** Index of the action that asked for it, among all that the orchestrator has asked for; none for what a retry policy schedules. */
  action?: number;
  /** The policy of a scheduled task, and which attempt it is. */
  retry?: Retry;
  /** What a timer of a retry policy waits to schedule again. */
  again?: { kind: "TaskScheduled" | "SubOrchestrationInstanceCreated"; name: string; input: string; retry: Retry };
  /** At the end of an episode: how many actions the orchestrator has asked for so far, and which timers it has cancelled. */
  actions?: number;
  cancelled?: number[];
}

export interface Retry {
  attempt: number;
  firstRetryIntervalInMilliseconds: number;
  maxNumberOfAttempts: number;
  backoffCoefficient?: number;
  maxRetryIntervalInMilliseconds?: number;
  retryTimeoutInMilliseconds?: number;
  /** When the first attempt was scheduled: milliseconds since the epoch. */
  began: number;
}

export type RuntimeStatus = "Pending" | "Running" | "Completed" | "Failed" | "Terminated" | "Suspended";

export const isOver = (status: RuntimeStatus): boolean => status === "Completed" || status === "Failed" || status === "Terminated";

/** An orchestration instance, as the table of instances keeps it. */
export interface Instance {
  id: string;
  executionId: string;
  /** Name of the orchestrator function. */
  name: string;
  /** JSON. */
  input: string;
  /** JSON. */
  output?: string;
  /** JSON. */
  customStatus?: string;
  status: RuntimeStatus;
  /** ISO 8601. */
  createdAt: string;
  updatedAt: string;
  /** Who waits for it: an instance, the task of its that this is, and the execution that scheduled it. */
  parent?: { id: string; task: number; executionId: string };
}

/** An event as the library reads it, and as `showHistory` shows it (by name instead of number). */
export function wireEvent(event: HistoryEvent, { named = false }: { named?: boolean } = {}): Record<string, unknown> {
  const { kind, at, id, of, name, input, result, reason, details, fireAt, instanceId, status } = event;
  const ends = kind === "TimerFired" ? { TimerId: of } : { TaskScheduledId: of };
  return {
    EventType: named ? kind : EventType[kind],
    EventId: id ?? -1,
    IsPlayed: false,
    Timestamp: at,
    ...(of !== undefined && ends),
    ...(name !== undefined && { Name: name }),
    ...(input !== undefined && { Input: input }),
    ...(result !== undefined && { Result: result }),
    ...(reason !== undefined && { Reason: reason, Details: details ?? "" }),
    ...(fireAt !== undefined && { FireAt: fireAt }),
    ...(instanceId !== undefined && { InstanceId: instanceId }),
    ...(status !== undefined && { OrchestrationStatus: status }),
  };
}
