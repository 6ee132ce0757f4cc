import type { Version } from "./history.js";
import type { StoredObject, Upload } from "./store.js";

/** One rule of a bucket's lifecycle configuration. */
export interface LifecycleRule {
  id: string;
  enabled: boolean;
  /** Everything that a condition leaves out matches. */
  filter: { prefix?: string; greaterThan?: number; lessThan?: number; tags?: Record<string, string> };
  /** One of the two: days after the object was written, or an ISO 8601 date. */
  expiration?: { days: number } | { date: string };
  /** Marks of deletions go that hide no version any more. */
  expiresMarks?: boolean;
  /** Days after a version was replaced. */
  replacedExpireAfter?: number;
  /** Days. */
  abortUploadsAfter?: number;
}

const DAY = 86_400_000;

/** When an object goes, and by which rule: S3 adds the days and waits for the next midnight (UTC). `undefined`: never. */
export function expiry(object: StoredObject, rules: readonly LifecycleRule[] | undefined): { at: number; rule: string } | undefined {
  let earliest: { at: number; rule: string } | undefined;
  for (const { id, enabled, filter, expiration } of rules ?? []) {
    if (!enabled || !expiration || !selects(filter, object)) continue;
    const at = "days" in expiration ? midnightAfter(Date.parse(object.modifiedAt) + expiration.days * DAY) : Date.parse(expiration.date);
    if (!earliest || at < earliest.at) earliest = { at, rule: id };
  }
  return earliest;
}

/** Which of a key's versions (the newest first) have had their time. */
export function outlived(versions: readonly Version[], rules: readonly LifecycleRule[] | undefined, now: Date): Version[] {
  return versions.filter((version, index) =>
    (rules ?? []).some(({ enabled, filter, expiresMarks = false, replacedExpireAfter }) => {
      if (!enabled || !(version.isDeletion ? version.key.startsWith(filter.prefix ?? "") : selects(filter, version))) return false;
      const successor = versions[index - 1];
      if (!successor) return expiresMarks && version.isDeletion === true && versions.length === 1;
      return (
        replacedExpireAfter !== undefined && midnightAfter(Date.parse(successor.modifiedAt) + replacedExpireAfter * DAY) <= now.getTime()
      );
    }),
  );
}

/** Whether an upload that was never completed is to be given up. */
export function abandoned(upload: Upload, rules: readonly LifecycleRule[] | undefined, now: Date): boolean {
  return (rules ?? []).some(
    ({ enabled, filter, abortUploadsAfter }) =>
      enabled &&
      abortUploadsAfter !== undefined &&
      upload.key.startsWith(filter.prefix ?? "") &&
      midnightAfter(Date.parse(upload.startedAt) + abortUploadsAfter * DAY) <= now.getTime(),
  );
}

const selects = (
  { prefix = "", greaterThan = -1, lessThan = Number.POSITIVE_INFINITY, tags = {} }: LifecycleRule["filter"],
  object: StoredObject,
) =>
  object.key.startsWith(prefix) &&
  object.size > greaterThan &&
  object.size < lessThan &&
  Object.entries(tags).every(([name, value]) => object.tags[name] === value);

const midnightAfter = (time: number): number => Math.ceil(time / DAY) * DAY;
