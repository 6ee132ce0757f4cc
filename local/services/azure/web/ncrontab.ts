const FIELDS = [
  { name: "second", from: 0, to: 59 },
  { name: "minute", from: 0, to: 59 },
  { name: "hour", from: 0, to: 23 },
  { name: "day", from: 1, to: 31 },
  { name: "month", from: 1, to: 12, names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"] },
  { name: "day of the week", from: 0, to: 6, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
] as const;

const DAY = 86_400_000;

/** When a timer fires. */
export interface Schedule {
  /** The first time after this one (UTC). @throws RangeError when there is none within eight years */
  next(after: Date): Date;
}

/**
 * A schedule in NCRONTAB's six fields, `second minute hour day month weekday`, or five without seconds; unlike in cron, a date has to match
 * both the day and the weekday.
 *
 * @throws RangeError naming the field that is wrong
 */
export function parseSchedule(expression: string): Schedule {
  const fields = expression.trim().split(/\s+/);
  if (fields.length === 5) fields.unshift("0");
  if (fields.length !== 6)
    throw new RangeError(`"${expression}" is not an NCRONTAB expression: it must have six fields, such as "0 */5 * * * *".`);
  const [seconds, minutes, hours, days, months, weekdays] = FIELDS.map((field, index) =>
    values(fields[index] as string, field, expression),
  ) as [Set<number>, Set<number>, Set<number>, Set<number>, Set<number>, Set<number>];
  return {
    next(after) {
      const at = new Date(Math.floor(after.getTime() / 1000) * 1000 + 1000);
      const limit = after.getTime() + 8 * 366 * DAY;
      while (at.getTime() <= limit) {
        if (!months.has(at.getUTCMonth() + 1) || !days.has(at.getUTCDate()) || !weekdays.has(at.getUTCDay())) at.setUTCHours(24, 0, 0, 0);
        else if (!hours.has(at.getUTCHours())) at.setUTCMinutes(60, 0, 0);
        else if (!minutes.has(at.getUTCMinutes())) at.setUTCSeconds(60, 0);
        else if (!seconds.has(at.getUTCSeconds())) at.setUTCSeconds(at.getUTCSeconds() + 1);
        else return at;
      }
      throw new RangeError(`"${expression}" never comes.`);
    },
  };
}

type Field = { name: string; from: number; to: number; names?: readonly string[] };

function values(text: string, { name, from, to, names }: Field, expression: string): Set<number> {
  const found = new Set<number>();
  for (const item of text.split(",")) {
    const [, range = "", step] = /^([^/]+)(?:\/(\d+))?$/.exec(item) ?? [];
    const [first, last] = range === "*" ? [from, to] : range.split("-").map((value) => number(value, from, names));
    const end = last ?? (step === undefined ? first : to);
    if (first === undefined || end === undefined || !(first >= from && end <= to && first <= end) || step === "0")
      throw new RangeError(`"${item}" is not a ${name} in the NCRONTAB expression "${expression}": it must be from ${from} to ${to}.`);
    for (let value = first; value <= end; value += Number(step ?? 1)) found.add(value);
  }
  return found;
}

function number(text: string, from: number, names: readonly string[] | undefined): number {
  const index = names?.indexOf(text.slice(0, 3).toLowerCase()) ?? -1;
  return index >= 0 ? index + from : /^\d+$/.test(text) ? Number(text) : Number.NaN;
}
