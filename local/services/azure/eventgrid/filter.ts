import { CloudError, type Properties } from "../../../kernel/service.js";

/** What a filter looks at, in either schema. */
export interface Filtered {
  type: string;
  subject: string;
  /** The event as it is delivered: advanced filters name its members by path. */
  event: Properties;
}

type Test = (value: unknown, filter: Properties) => boolean;

const strings =
  (compare: (value: string, wanted: string) => boolean): Test =>
  (value, { values }) =>
    typeof value === "string" && (values as string[]).some((wanted) => compare(value.toLowerCase(), wanted.toLowerCase()));
const numbers =
  (compare: (value: number, wanted: number) => boolean): Test =>
  (value, { value: wanted }) =>
    typeof value === "number" && compare(value, wanted);
const not =
  (test: Test): Test =>
  (value, filter) =>
    !test(value, filter);

const isIn = strings((value, wanted) => value === wanted);
const begins = strings((value, wanted) => value.startsWith(wanted));
const ends = strings((value, wanted) => value.endsWith(wanted));
const contains = strings((value, wanted) => value.includes(wanted));
const numberIn: Test = (value, { values }) => typeof value === "number" && values.includes(value);

/** Operators of advanced filters, as "Event filtering" describes them. */
const OPERATORS: Readonly<Record<string, Test>> = {
  StringIn: isIn,
  StringNotIn: not(isIn),
  StringBeginsWith: begins,
  StringNotBeginsWith: not(begins),
  StringEndsWith: ends,
  StringNotEndsWith: not(ends),
  StringContains: contains,
  StringNotContains: not(contains),
  NumberIn: numberIn,
  NumberNotIn: not(numberIn),
  NumberLessThan: numbers((value, wanted) => value < wanted),
  NumberGreaterThan: numbers((value, wanted) => value > wanted),
  NumberLessThanOrEquals: numbers((value, wanted) => value <= wanted),
  NumberGreaterThanOrEquals: numbers((value, wanted) => value >= wanted),
  BoolEquals: (value, filter) => value === filter.value,
  IsNullOrUndefined: (value) => value === undefined || value === null,
  IsNotNull: (value) => value !== undefined && value !== null,
};

/** @throws CloudError for what Event Grid, or this one, does not filter by */
export function checkFilter({ advancedFilters = [] }: Properties): void {
  for (const { operatorType, key, values = [] } of advancedFilters) {
    if (!OPERATORS[operatorType]) {
      throw new CloudError(
        "InvalidRequest",
        `operatorType is "${operatorType}": the embedded cloud has ${Object.keys(OPERATORS).join(", ")}.`,
      );
    }
    if (!key) throw new CloudError("InvalidRequest", `An advanced filter needs a key, such as "data.api".`);
    if (values.some((value: unknown) => typeof value === "string" && value.length > 512)) {
      throw new CloudError("InvalidRequest", `A value of the advanced filter on ${key} is longer than 512 characters.`);
    }
  }
  const values = advancedFilters.reduce((sum: number, { values: of = [1] }: Properties) => sum + of.length, 0);
  if (advancedFilters.length > 25 || values > 25) {
    throw new CloudError(
      "InvalidRequest",
      `A subscription has at most 25 advanced filters and 25 values; these are ${advancedFilters.length} and ${values}.`,
    );
  }
}

/** Whether an event passes the filter of a subscription. */
export function passes({ type, subject, event }: Filtered, filter: Properties = {}): boolean {
  const { includedEventTypes, subjectBeginsWith = "", subjectEndsWith = "", isSubjectCaseSensitive = false, advancedFilters = [] } = filter;
  const plain = (text: string) => (isSubjectCaseSensitive ? text : text.toLowerCase());
  return (
    (includedEventTypes === undefined ||
      includedEventTypes === null ||
      includedEventTypes.includes("All") ||
      includedEventTypes.includes(type)) &&
    plain(subject).startsWith(plain(subjectBeginsWith)) &&
    plain(subject).endsWith(plain(subjectEndsWith)) &&
    advancedFilters.every((each: Properties) => OPERATORS[each.operatorType]?.(at(event, each.key), each))
  );
}

const at = (event: Properties, path: string): unknown =>
  path.split(".").reduce<unknown>((holder, key) => (holder as Properties | undefined | null)?.[key], event);
