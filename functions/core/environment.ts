import { z } from "zod";
import { parseSettings } from "./settings.js";

/** `PIPELINE_SETTINGS`, on every host: JSON of {@link Settings}. */
export const SettingsVariable = z.string().refine(isJson, "It is not JSON.").transform(parseSettings);

/** The values of variables that a host knows. */
export type Declared<Variables extends Record<string, z.ZodType>> = { [Name in keyof Variables]: z.infer<Variables[Name]> };

/**
 * The declared values of these variables, out of those that a host knows.
 *
 * @throws Error naming the variable that is missing or wrong, and what is wrong with it.
 */
export function declared<Variables extends Record<string, z.ZodType>, Name extends keyof Variables>(
  variables: Variables,
  names: readonly Name[],
): Pick<Declared<Variables>, Name> {
  const values = names.map((name) => [name, read(String(name), variables[name] as z.ZodType)]);
  return Object.fromEntries(values) as Pick<Declared<Variables>, Name>;
}

function read(name: string, variable: z.ZodType): unknown {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: the program that deploys this handler has to declare it.`);
  const parsed = variable.safeParse(value);
  if (!parsed.success) throw new Error(`${name} is ${JSON.stringify(value)}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
