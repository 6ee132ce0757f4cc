/** One spelling for every instant, so that text sorts as time does. */
export function instant(text: string): string {
  return new Date(text).toISOString();
}

/** Instants from `from` to `to`, both included. */
export interface Range {
  from: string;
  to: string;
}

/** Sorts before and after every instant. */
export const ALWAYS: Range = { from: "0", to: "~" };

/** From `from`, included, to `before`, not included; each may be open. */
export function between(from: string | undefined, before: string | undefined): Range {
  return {
    from: from === undefined ? ALWAYS.from : instant(from),
    to: before === undefined ? ALWAYS.to : new Date(Date.parse(before) - 1).toISOString(),
  };
}
