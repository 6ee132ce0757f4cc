/** What went wrong with one resource, or with the program itself. */
export interface Failure {
  /** Of the resource, or empty where it was none. */
  urn: string;
  /** Logical name of the resource, or what else failed: `"the program"`, a function's token. */
  name: string;
  /** Pulumi type token, or empty. */
  type: string;
  /** In the service's own words. */
  message: string;
  error: Error;
}

/** A program that could not be carried out. Its message lists what failed, a line each. */
export class ProgramFailed extends Error {
  override readonly name = "ProgramFailed";
  readonly code = "PROGRAM_FAILED";
  readonly failures: readonly Failure[];

  constructor(failures: readonly Failure[], doing = "The program could not be carried out") {
    super(`${doing}:\n${failures.map((failure) => `  ${line(failure)}`).join("\n")}`, { cause: failures[0]?.error });
    this.failures = failures;
  }
}

function line({ type, name, message }: Failure): string {
  return type === "" || message.includes(`"${name}"`) ? message : `${type} "${name}": ${message}`;
}

export function failureOf(error: unknown, { urn = "", type = "", name = "the program" } = {}): Failure {
  const thrown = error instanceof Error ? error : new Error(String(error));
  return { urn, type, name, message: thrown.message, error: thrown };
}
