import type { Declared } from "../declared.js";

/** What one program declares beyond another, and otherwise. */
export interface Difference {
  /** Logical names. */
  added: string[];
  removed: string[];
  /**
   * `photos-api-function environment.variables.LIMIT` → the value there, `undefined` where it is gone. JSON is looked into, settings and
   * containers go by their names, and a policy's statements by what they are about: `… policy.Statement.s3:GetObject on arn:…` → Allow.
   */
  changed: Record<string, unknown>;
}

/** Every difference between the resources of two programs. */
export function difference(before: readonly Declared[], after: readonly Declared[]): Difference {
  const [then, now] = [byName(before), byName(after)];
  const changed: Record<string, unknown> = {};
  for (const [name, values] of now) {
    const earlier = then.get(name);
    if (!earlier) continue;
    for (const path of new Set([...earlier.keys(), ...values.keys()])) {
      if (JSON.stringify(earlier.get(path)) !== JSON.stringify(values.get(path))) changed[`${name} ${path}`] = values.get(path);
    }
  }
  return {
    added: [...now.keys()].filter((name) => !then.has(name)),
    removed: [...then.keys()].filter((name) => !now.has(name)),
    changed,
  };
}

/** The same change of several resources: `on(["photos-group"], "tags", { team: "photos" })`. */
export function on(names: readonly string[], path: string, value: unknown): Record<string, unknown> {
  return Object.fromEntries(names.flatMap((name) => [...leaves(value, `${name} ${path}`)]));
}

function byName(resources: readonly Declared[]): Map<string, Map<string, unknown>> {
  return new Map(
    resources.map(({ name, inputs: { __provider, ...inputs }, retainOnDelete }) => [
      name,
      new Map(leaves({ ...inputs, ...(retainOnDelete && { retainOnDelete }) })),
    ]),
  );
}

function* leaves(value: unknown, path = ""): Generator<[string, unknown]> {
  const inner = structured(value);
  if (inner === undefined) yield [path, value];
  else for (const [key, item] of Object.entries(inner)) yield* leaves(item, path === "" ? key : `${path}.${key}`);
}

/** A value as an object, where one can look into it. */
function structured(value: unknown): object | undefined {
  if (typeof value === "string" && /^\{.*\}$/s.test(value)) return JSON.parse(value) as object;
  if (typeof value !== "object" || value === null) return undefined;
  if (!Array.isArray(value)) return value;
  if (value.length === 0 || value.some((item) => typeof item !== "object")) return undefined;
  if (value.every((item) => /^name,(value|valueFrom)$/.test(Object.keys(item).join())))
    return Object.fromEntries(value.map(({ name, value, valueFrom }) => [name, value ?? valueFrom]));
  if (value.every((item) => "name" in item && "image" in item)) return Object.fromEntries(value.map(({ name, ...of }) => [name, of]));
  if (!value.every((item) => "Effect" in item)) return undefined;
  const about = ({ Effect, Action, Resource }: { Effect: string; Action: string | string[]; Resource: string | string[] }) =>
    [Action].flat().flatMap((action) => [Resource].flat().map((resource) => [`${action} on ${resource}`, Effect] as const));
  return Object.fromEntries(value.flatMap(about));
}
