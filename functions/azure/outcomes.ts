import { type Failure, ImageRefused } from "../core/failures.js";
import { ObjectChanged, ObjectMissing } from "../core/ports.js";

/**
 * What an activity hands to the orchestration. A refused image and a superseded version are results; only what the infrastructure could not do is
 * thrown, and tried again.
 */
export type Outcome<Found> = { kind: "found"; found: Found } | { kind: "refused"; failure: Failure } | { kind: "stale" };

/** How a stage ends. */
export async function outcome<Found>(work: () => Promise<Found>): Promise<Outcome<Found>> {
  try {
    return { kind: "found", found: await work() };
  } catch (error) {
    if (error instanceof ImageRefused) return { kind: "refused", failure: error.failure };
    if (error instanceof ObjectChanged || error instanceof ObjectMissing) return { kind: "stale" };
    throw error;
  }
}

/** What went wrong, in the words of whoever said so. */
export interface Trouble {
  code: string;
  message: string;
}

/**
 * Makes an activity's errors cross over to the orchestration with their names: hosts wrap messages in words of their own, and drop the rest.
 */
export function telling<Input, Result>(work: (input: Input) => Promise<Result>): (input: Input) => Promise<Result> {
  return async (input) => {
    try {
      return await work(input);
    } catch (error) {
      throw new Error(JSON.stringify(troubleIn(error)), { cause: error });
    }
  };
}

/** What an activity has told with its error. */
export function troubleOf(error: unknown): Trouble {
  const message = error instanceof Error ? error.message : String(error);
  const [json] = /\{"code":"(?:[^"\\]|\\.)*","message":"(?:[^"\\]|\\.)*"\}/.exec(message) ?? [];
  return json ? (JSON.parse(json) as Trouble) : { code: "Error", message: message.slice(0, LONGEST) };
}

/** Characters of a message that are kept; what Azure says of a missing permission is shorter. */
const LONGEST = 2_000;

/** What an error says of itself. */
export function troubleIn(error: unknown): Trouble {
  const {
    name = "Error",
    message = String(error),
    code,
    number,
  } = error as { name?: string; message?: string; code?: unknown; number?: number };
  // Of the SDKs', the code is the service's, and says more than "RestError".
  const kind = typeof code === "string" && code ? code : name;
  return { code: number === undefined ? kind : `${kind}-${number}`, message: message.slice(0, LONGEST) };
}
