import { z } from "zod";
import { FAILURES, type Failure, type FailureCode, ImageRefused } from "../core/failures.js";

/** How Step Functions tells of an error: the name, and as `Cause` what Lambda made of the message. */
export const ExecutionError = z.object({ Error: z.string(), Cause: z.string().default("") });
export type ExecutionError = z.infer<typeof ExecutionError>;

/** What Lambda's cause is made of. */
const LambdaCause = z.object({ errorMessage: z.string() });
const Refusal = z.object({
  code: z.enum(Object.keys(FAILURES) as [FailureCode, ...FailureCode[]]),
  message: z.string(),
  key: z.string().optional(),
});

/**
 * Makes a handler's refusals cross the border of a Lambda: as an error named `ImageRefused` whose message is JSON. Everything else is thrown as
 * it is, so that what the cloud said of principal, action and resource arrives where it is read.
 *
 * @param key The object that was looked at, where it is not the one of the event.
 */
export async function refusing<Result>(work: () => Promise<Result>, key?: string): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ImageRefused)) throw error;
    throw Object.assign(new Error(JSON.stringify({ ...error.failure, key })), { name: error.name });
  }
}

/** The refusal in an error of the workflow, if it is one: anything else is the infrastructure's. */
export function refusalIn({ Error: name, Cause }: ExecutionError): (Failure & { key?: string }) | undefined {
  if (name !== "ImageRefused") return undefined;
  const { success, data } = Refusal.safeParse(json(messageOf(Cause)));
  return success ? { code: data.code, message: data.message, ...(data.key && { key: data.key }) } : undefined;
}

/** What an error says, without the envelope and the stack that Lambda adds. */
export function messageOf(cause: string): string {
  return LambdaCause.safeParse(json(cause)).data?.errorMessage ?? cause;
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
