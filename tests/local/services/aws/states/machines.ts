import type { Properties, Resource } from "../../../../../local/kernel/service.js";
import type { TraceEntry } from "../../../../../local/kernel/trace.js";
import type { TestCloud } from "../../../cloud.js";
import { declareRole } from "../lambda/functions.js";

export const MACHINE = "aws:sfn/stateMachine:StateMachine";

const DELIVERY = [
  "CreateLogDelivery",
  "GetLogDelivery",
  "UpdateLogDelivery",
  "DeleteLogDelivery",
  "ListLogDeliveries",
  "PutResourcePolicy",
  "DescribeResourcePolicies",
  "DescribeLogGroups",
];
export const LOG_DELIVERY = DELIVERY.map((name) => `logs:${name}`);

/** A state machine with these states, the first of which begins, whose role may do these things. */
export async function declareMachine(
  test: TestCloud,
  name: string,
  states: Properties,
  { may = [], ...inputs }: Properties = {},
): Promise<Resource> {
  const roleArn = inputs.roleArn ?? (await declareRole(test, `${name}-role`, "states.amazonaws.com", may)).outputs.arn;
  const definition = JSON.stringify({ StartAt: Object.keys(states)[0], ...inputs.top, States: states });
  const { top: _, ...others } = inputs;
  return test.declare(MACHINE, name, { definition, ...others, roleArn });
}

/** Starts an execution and waits for its end, as the account. Express ones answer as well, by StartSyncExecution. */
export async function run(test: TestCloud, machine: Resource, input: unknown = {}): Promise<Properties> {
  const call = (operation: string, more: Properties) => test.cloud.call({ service: "states", operation, input: more, as: test.owner });
  const given = { stateMachineArn: machine.outputs.arn, input: JSON.stringify(input) };
  if (machine.inputs.type === "EXPRESS") return parsed(await call("StartSyncExecution", given));
  const { executionArn } = await call("StartExecution", given);
  await ended(test, executionArn);
  return parsed(await call("DescribeExecution", { executionArn }));
}

/** Waits until the trace says that an execution has ended. */
export async function ended(test: TestCloud, executionArn: string): Promise<void> {
  const isEnd = ({ detail }: TraceEntry) =>
    detail?.executionArn === executionArn && /^Execution(Succeeded|Failed|TimedOut|Aborted)$/.test(String(detail?.type));
  if (test.cloud.trace.entries("execution").some(isEnd)) return;
  await new Promise<void>((resolve) => {
    const stop = test.cloud.trace.listen((entry) => {
      if (!isEnd(entry)) return;
      stop();
      resolve();
    });
  });
}

const parsed = (execution: Properties) => ({ ...execution, ...(execution.output ? { output: JSON.parse(execution.output) } : {}) });
