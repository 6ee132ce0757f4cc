import type { Properties } from "../kernel/service.js";
import { isAssetValue, type Path } from "./envelopes.js";

/** Whether two plain values mean the same to a cloud: `null` is as good as absent, and an asset is its contents. */
export function same(before: unknown, after: unknown): boolean {
  return differences(before, after).next().done === true;
}

/** Paths at which two plain values differ, the shallowest that says it. */
export function* differences(before: unknown, after: unknown, path: Path = []): Generator<Path> {
  if (before === after || ((before ?? undefined) === undefined && (after ?? undefined) === undefined)) return;
  if (isAssetValue(before) && isAssetValue(after)) {
    if (contents(before) !== contents(after)) yield path;
  } else if (isPlainObject(before) && isPlainObject(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) yield* differences(before[key], after[key], [...path, key]);
  } else if (Array.isArray(before) && Array.isArray(after)) {
    const length = Math.max(before.length, after.length);
    for (let at = 0; at < length; at++) yield* differences(before[at], after[at], [...path, at]);
  } else {
    yield path;
  }
}

function contents(value: Properties): string {
  const [kind] = Object.keys(value);
  return `${kind}:${value[kind as string].hash}`;
}

function isPlainObject(value: unknown): value is Properties {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
