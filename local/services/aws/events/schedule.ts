import { CloudError } from "../../../kernel/service.js";

/** Says when it is next time, after a given time; `undefined` when it never is. */
export type Schedule = (after: Date) => Date | undefined;

const UNITS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;
const MINUTE = 60_000;
/** Longest that a cron expression is searched for its next time, in minutes: a leap year and a day. */
const HORIZON = 367 * 24 * 60;

/**
 * `rate(5 minutes)` or `cron(0 12 * * ? *)` (UTC).
 *
 * @throws CloudError when it is neither, or a cron expression with `L`, `W` or `#`, which are not emulated.
 */
export function parseSchedule(expression: string): Schedule {
  const [, count, unit] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(expression) ?? [];
  if (unit) {
    const plural = expression.endsWith("s)");
    if (Number(count) < 1 || (Number(count) === 1) === plural) throw invalid(expression);
    const every = Number(count) * UNITS[unit as keyof typeof UNITS];
    return (after) => new Date(after.getTime() + every);
  }
  const [, fields] = /^cron\((.+)\)$/.exec(expression) ?? [];
  if (!fields) throw invalid(expression);
  return cron(fields.split(" "), expression);
}

const MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(" ");
const DAYS = "SUN MON TUE WED THU FRI SAT".split(" ");

function cron(fields: string[], expression: string): Schedule {
  const [minute, hour, day, month, weekday, year] = fields;
  if (fields.length !== 6 || !minute || !hour || !day || !month || !weekday || !year) throw invalid(expression);
  // Either the day of the month or the day of the week is left open.
  if ((day === "?") === (weekday === "?")) throw invalid(expression);
  const refuse = () => invalid(expression);
  const tests: [(at: Date) => number, Set<number>][] = [
    [(at) => at.getUTCMinutes(), values(minute, 0, 59, refuse)],
    [(at) => at.getUTCHours(), values(hour, 0, 23, refuse)],
    [(at) => at.getUTCDate(), values(day, 1, 31, refuse)],
    [(at) => at.getUTCMonth() + 1, values(month, 1, 12, refuse, MONTHS, 1)],
    [(at) => at.getUTCDay() + 1, values(weekday, 1, 7, refuse, DAYS, 1)],
    [(at) => at.getUTCFullYear(), values(year, 1970, 2199, refuse)],
  ];
  return (after) => {
    const at = new Date(Math.floor(after.getTime() / MINUTE) * MINUTE);
    for (let minutes = 0; minutes < HORIZON; minutes++) {
      at.setTime(at.getTime() + MINUTE);
      if (tests.every(([of, allowed]) => allowed.has(of(at)))) return at;
    }
    return undefined;
  };
}

/** `*`, `?`, `1,3`, `1-5`, `0/15`, names. */
function values(field: string, low: number, high: number, refuse: () => CloudError, names: string[] = [], first = 0): Set<number> {
  const number = (text: string): number => {
    const named = names.indexOf(text.toUpperCase());
    const value = named >= 0 ? named + first : /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= low && value <= high)) throw refuse();
    return value;
  };
  const found = new Set<number>();
  for (const part of field === "?" ? ["*"] : field.split(",")) {
    const [range, step, more] = part.split("/");
    if (!range || more !== undefined || (step !== undefined && !/^[1-9]\d*$/.test(step))) throw refuse();
    const [from, to, rest] = range === "*" ? [String(low), String(high)] : range.split("-");
    if (!from || rest !== undefined) throw refuse();
    const end = to === undefined ? (step === undefined ? number(from) : high) : number(to);
    for (let value = number(from); value <= end; value += Number(step ?? 1)) found.add(value);
  }
  return found;
}

function invalid(expression: string): CloudError {
  return new CloudError(
    "ValidationException",
    `Parameter ScheduleExpression is not valid: "${expression}". Write rate(5 minutes) or cron(minutes hours day-of-month month day-of-week year), without L, W and #.`,
    400,
  );
}
