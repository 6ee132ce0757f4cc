import type { Properties } from "../../../kernel/service.js";

/** An event as `GetExecutionHistory` tells it. */
export interface HistoryEvent {
  id: number;
  previousEventId: number;
  /** Seconds since the epoch. */
  timestamp: number;
  type: string;
  /** Under its member's name, such as `stateEnteredEventDetails`. */
  details: { name: string; value: Properties } | undefined;
}

/** Events that a level leaves out are not logged (Step Functions' guide, "Log levels"). */
const FATAL = new Set(["ExecutionAborted", "ExecutionFailed", "ExecutionTimedOut"]);
const ERROR = /(Failed|TimedOut|Aborted|^FailStateEntered)$/;

export function isLogged(type: string, level: string): boolean {
  return level === "ALL" || (level === "ERROR" && ERROR.test(type)) || (level !== "OFF" && FATAL.has(type));
}

/** Members that are execution data: logged only where the machine says so. */
const DATA = ["input", "output", "parameters", "cause"];

/** An event as a line of the log group. */
export function logLine(
  { id, previousEventId, timestamp, type, details }: HistoryEvent,
  executionArn: string,
  includeData: boolean,
): string {
  const shown = Object.entries(details?.value ?? {}).filter(([name]) => includeData || !DATA.includes(name.replace(/Details$/, "")));
  return JSON.stringify({
    id: String(id),
    type,
    details: Object.fromEntries(shown),
    previous_event_id: String(previousEventId),
    event_timestamp: String(Math.round(timestamp * 1000)),
    execution_arn: executionArn,
    redrive_count: "0",
  });
}

/** The name of the member that carries an event's details. */
export function detailsName(type: string): string {
  if (type.endsWith("StateEntered")) return "stateEnteredEventDetails";
  if (type.endsWith("StateExited")) return "stateExitedEventDetails";
  if (/^MapIteration/.test(type)) return `${type.replace(/^M/, "m")}EventDetails`;
  return `${type.replace(/^./, (first) => first.toLowerCase())}EventDetails`;
}

/** As the API answers it. */
export function inWireFormat({ details, ...event }: HistoryEvent, includeData: boolean): Properties {
  if (!details) return event;
  const value = includeData
    ? details.value
    : Object.fromEntries(
        Object.entries(details.value).filter(([name]) => !["input", "output", "parameters"].includes(name.replace(/Details$/, ""))),
      );
  return { ...event, [details.name]: value };
}
