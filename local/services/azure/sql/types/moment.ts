import { sqlError } from "../errors.js";
import type { SqlType } from "./sql-type.js";

/** A point in time, in the 100 ns that SQL counts in. Kept as text that sorts: `2024-05-01 10:00:00.1234567`, a date without the time, a time without the date. */
export interface Moment {
  /** Days since 0001-01-01. */
  day: number;
  /** 100 ns since midnight. */
  tick: number;
  /** Minutes east of UTC of a datetimeoffset; `day` and `tick` are UTC. */
  offset?: number;
}

export const TICKS_PER_SECOND = 10_000_000;
export const TICKS_PER_DAY = 86_400 * TICKS_PER_SECOND;
/** 1970-01-01 and 1900-01-01. */
export const EPOCH_DAY = 719_162;
export const DAY_1900 = 693_595;
const LAST_DAY = 3_652_058;

export function fromDate(date: Date): Moment {
  const milliseconds = date.getTime();
  const day = Math.floor(milliseconds / 86_400_000);
  return { day: day + EPOCH_DAY, tick: (milliseconds - day * 86_400_000) * 10_000 };
}

export function civil(day: number): { year: number; month: number; day: number } {
  const date = new Date((day - EPOCH_DAY) * 86_400_000);
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() };
}

/** `undefined` when there is no such day. */
export function dayOf(year: number, month: number, day: number): number | undefined {
  if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return Math.round(date.getTime() / 86_400_000) + EPOCH_DAY;
}

export function daysIn(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

const pad = (value: number, length = 2): string => String(value).padStart(length, "0");

export function dateText(day: number): string {
  const { year, month, day: date } = civil(day);
  return `${pad(year, 4)}-${pad(month)}-${pad(date)}`;
}

/** `10:00:00.1234567`, or with fewer decimals. */
export function timeText(tick: number, scale = 7): string {
  const seconds = Math.floor(tick / TICKS_PER_SECOND);
  const fraction = scale === 0 ? "" : `.${pad(tick % TICKS_PER_SECOND, 7).slice(0, scale)}`;
  return `${pad(Math.floor(seconds / 3600))}:${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}${fraction}`;
}

const offsetText = (minutes: number): string =>
  `${minutes < 0 ? "-" : "+"}${pad(Math.floor(Math.abs(minutes) / 60))}:${pad(Math.abs(minutes) % 60)}`;

/** As it is kept. */
export function store({ day, tick, offset }: Moment, { name }: SqlType): string {
  if (name === "date") return dateText(day);
  if (name === "time") return timeText(tick);
  const text = `${dateText(day)} ${timeText(tick)}`;
  return name === "datetimeoffset" ? `${text} ${offsetText(offset ?? 0)}` : text;
}

/** Out of what is kept. */
export function load(text: string): Moment {
  if (text.length === 10) return { day: dayPart(text), tick: 0 };
  if (text[2] === ":") return { day: DAY_1900, tick: tickPart(text, 0) };
  const moment = { day: dayPart(text), tick: tickPart(text, 11) };
  if (text.length < 30) return moment;
  const minutes = Number(text.slice(29, 31)) * 60 + Number(text.slice(32, 34));
  return { ...moment, offset: text[28] === "-" ? -minutes : minutes };
}

function dayPart(text: string): number {
  return dayOf(Number(text.slice(0, 4)), Number(text.slice(5, 7)), Number(text.slice(8, 10))) ?? 0;
}

function tickPart(text: string, at: number): number {
  const seconds = Number(text.slice(at, at + 2)) * 3600 + Number(text.slice(at + 3, at + 5)) * 60 + Number(text.slice(at + 6, at + 8));
  return seconds * TICKS_PER_SECOND + Number(text.slice(at + 9, at + 16).padEnd(7, "0"));
}

/** Moves by 100 ns, over midnight and back. @throws SqlError 517 outside of the years 1–9999 */
export function addTicks(moment: Moment, ticks: number, type = "datetime2"): Moment {
  const total = moment.tick + ticks;
  const days = Math.floor(total / TICKS_PER_DAY);
  return within({ ...moment, day: moment.day + days, tick: total - days * TICKS_PER_DAY }, type);
}

export function within(moment: Moment, type: string): Moment {
  if (moment.day < 0 || moment.day > LAST_DAY) throw sqlError(517, type);
  return moment;
}

/** To the precision of a type. @throws SqlError 242 */
export function toPrecision(moment: Moment, from: string, type: SqlType): Moment {
  switch (type.name) {
    case "date":
      return { day: moment.day, tick: 0 };
    case "time":
      return { day: DAY_1900, tick: round(moment.tick, type.scale ?? 7) % TICKS_PER_DAY };
    case "datetime": {
      if (moment.day < 639_905) throw sqlError(242, from, "datetime");
      const threeHundredths = Math.round((moment.tick * 300) / TICKS_PER_SECOND);
      const tick = Math.round((threeHundredths * 1000) / 300) * 10_000;
      return carried({ day: moment.day, tick });
    }
    case "smalldatetime": {
      if (moment.day < DAY_1900 || moment.day > DAY_1900 + 65_535) throw sqlError(242, from, "smalldatetime");
      return carried({ day: moment.day, tick: Math.round(moment.tick / (60 * TICKS_PER_SECOND)) * 60 * TICKS_PER_SECOND });
    }
    default:
      return carried({ ...moment, tick: round(moment.tick, type.scale ?? 7) });
  }
}

function round(tick: number, scale: number): number {
  const unit = 10 ** (7 - scale);
  return Math.round(tick / unit) * unit;
}

function carried(moment: Moment): Moment {
  return moment.tick < TICKS_PER_DAY ? moment : { ...moment, day: moment.day + 1, tick: moment.tick - TICKS_PER_DAY };
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const TIME = /^(\d{1,2}):(\d{2})(?::(\d{2})(?:[.:](\d{1,9}))?)?\s*(am|pm)?$/i;
const ZONE = /\s*(Z|[+-]\d{2}:?\d{2})$/i;

/** What a person wrote: ISO 8601, `yyyymmdd`, `mm/dd/yyyy`, `Mon dd yyyy`, each with or without a time. @throws SqlError 241 */
export function parseMoment(written: string): Moment {
  const failed = sqlError(241);
  let text = written.trim();
  if (text === "") return { day: DAY_1900, tick: 0 };
  let offset: number | undefined;
  const zone = /\d:\d/.test(text) ? ZONE.exec(text) : null;
  if (zone?.[1]) {
    text = text.slice(0, zone.index);
    const digits = zone[1].replace(":", "");
    offset =
      digits.toUpperCase() === "Z" ? 0 : (digits[0] === "-" ? -1 : 1) * (Number(digits.slice(1, 3)) * 60 + Number(digits.slice(3, 5)));
    if (Math.abs(offset) > 840) throw failed;
  }
  const split = /^(.*?)(?:[T\s]+)?(\d{1,2}:\d{2}.*)$/i.exec(text);
  const [datePart, timePart] = split ? [split[1] ?? "", split[2] ?? ""] : [text, ""];
  let tick = 0;
  if (timePart) {
    const time = TIME.exec(timePart);
    if (!time) throw failed;
    let hour = Number(time[1]);
    const [minute, second] = [Number(time[2]), Number(time[3] ?? 0)];
    if (time[5]) {
      if (hour < 1 || hour > 12) throw failed;
      hour = (hour % 12) + (time[5].toLowerCase() === "pm" ? 12 : 0);
    }
    if (hour > 23 || minute > 59 || second > 59) throw failed;
    const fraction = Math.round(Number(`0.${time[4] ?? "0"}`) * TICKS_PER_SECOND);
    tick = (hour * 3600 + minute * 60 + second) * TICKS_PER_SECOND + fraction;
  }
  const day = datePart.trim() === "" ? DAY_1900 : parseDay(datePart.trim());
  if (day === undefined) throw failed;
  const local = carried({ day, tick });
  return offset === undefined ? local : { ...addTicks(local, -offset * 60 * TICKS_PER_SECOND), offset };
}

function parseDay(text: string): number | undefined {
  let match = /^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})$/.exec(text) ?? /^(\d{4})(\d{2})(\d{2})$/.exec(text);
  if (match) return dayOf(Number(match[1]), Number(match[2]), Number(match[3]));
  match = /^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})$/.exec(text);
  if (match) return dayOf(Number(match[3]), Number(match[1]), Number(match[2]));
  match = /^([a-z]{3})[a-z]*\.?\s+(\d{1,2}),?\s+(\d{4})$/i.exec(text);
  if (match) return dayOf(Number(match[3]), MONTHS.indexOf((match[1] ?? "").toLowerCase()) + 1, Number(match[2]));
  match = /^(\d{1,2})\s+([a-z]{3})[a-z]*\.?,?\s+(\d{4})$/i.exec(text);
  return match ? dayOf(Number(match[3]), MONTHS.indexOf((match[2] ?? "").toLowerCase()) + 1, Number(match[1])) : undefined;
}

/** As CONVERT writes it; style 0 is what a cast gives. @throws SqlError 281 */
export function formatMoment(moment: Moment, type: SqlType, style: number): string {
  const shifted = moment.offset ? addTicks(moment, moment.offset * 60 * TICKS_PER_SECOND) : moment;
  const { year, month, day } = civil(shifted.day);
  const name = type.name;
  const scale = name === "datetime" ? 3 : name === "smalldatetime" ? 0 : (type.scale ?? 7);
  const time = (decimals: number, mark = "."): string => timeText(shifted.tick, decimals).replace(".", mark);
  const zone = name === "datetimeoffset" ? ` ${offsetText(moment.offset ?? 0)}` : "";
  const date = dateText(shifted.day);
  const short = MONTHS[month - 1] ?? "";
  const monthName = short.charAt(0).toUpperCase() + short.slice(1);
  if (name === "date" && [0, 20, 21, 23, 120, 121, 126].includes(style)) return date;
  if (name === "time" && [0, 20, 21, 24, 25, 114, 120, 121, 126].includes(style))
    return time(style === 24 || style === 20 || style === 120 ? 0 : scale);
  switch (style) {
    case 0:
    case 100: {
      if (style === 0 && (name === "datetime2" || name === "datetimeoffset")) return `${date} ${time(scale)}${zone}`;
      const hour = Math.floor(shifted.tick / TICKS_PER_SECOND / 3600);
      const clock = `${String(hour % 12 || 12).padStart(2, " ")}:${time(0).slice(3, 5)}${hour < 12 ? "AM" : "PM"}`;
      return `${monthName} ${String(day).padStart(2, " ")} ${pad(year, 4)} ${clock}`;
    }
    case 101:
      return `${pad(month)}/${pad(day)}/${pad(year, 4)}`;
    case 102:
      return date.replaceAll("-", ".");
    case 103:
      return `${pad(day)}/${pad(month)}/${pad(year, 4)}`;
    case 104:
      return `${pad(day)}.${pad(month)}.${pad(year, 4)}`;
    case 105:
      return `${pad(day)}-${pad(month)}-${pad(year, 4)}`;
    case 106:
      return `${pad(day)} ${monthName} ${pad(year, 4)}`;
    case 108:
    case 8:
    case 24:
      return time(0);
    case 110:
      return `${pad(month)}-${pad(day)}-${pad(year, 4)}`;
    case 111:
      return date.replaceAll("-", "/");
    case 112:
      return date.replaceAll("-", "");
    case 20:
    case 120:
      return `${date} ${time(0)}`;
    case 21:
    case 25:
    case 121:
      return `${date} ${time(scale)}${zone}`;
    case 23:
      return date;
    case 114:
    case 14:
      return time(3, ":");
    case 126:
    case 127:
      return `${date}T${time(shifted.tick % TICKS_PER_SECOND === 0 && name === "datetime" ? 0 : scale)}${zone.trim()}`;
    default:
      throw sqlError(281, style, name);
  }
}
