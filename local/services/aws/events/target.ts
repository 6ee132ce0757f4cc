import { parseArn } from "../../../kernel/aws/arn.js";
import type { Call, Cloud } from "../../../kernel/cloud.js";
import type { Principal, Properties, Resource } from "../../../kernel/service.js";

/** What EventBridge sends: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html */
export interface EventEnvelope {
  version: "0";
  id: string;
  "detail-type": string;
  source: string;
  account: string;
  time: string;
  region: string;
  resources: string[];
  detail: Properties;
}

/** Services that a rule can have as its target. */
export const TARGETS = ["states", "lambda", "sqs", "sns"];

/**
 * The call that hands an event to a target: under the target's role where it has one, else in the name of the rule.
 *
 * @throws CloudError when the role cannot be assumed.
 */
export function callFor(target: Resource, rule: Resource, event: EventEnvelope, cloud: Cloud): Call {
  const { arn, roleArn } = target.inputs;
  const service = parseArn(arn)!.service;
  const as: Principal = roleArn
    ? cloud.assume(roleArn, event.id.replaceAll("-", ""), "events.amazonaws.com", rule.outputs.arn).principal
    : asRule(rule);
  const text = inputText(target, event);
  switch (service) {
    case "states":
      return { service, operation: "StartExecution", input: { stateMachineArn: arn, input: text }, as };
    case "lambda":
      return { service, operation: "Invoke", input: { FunctionName: arn, InvocationType: "Event", Payload: text }, as };
    case "sqs":
      return { service, operation: "SendMessage", input: { QueueUrl: queueUrl(arn, cloud), MessageBody: text }, as };
    default:
      return { service: "sns", operation: "Publish", input: { TopicArn: arn, Message: text }, as };
  }
}

/** What the target gets of the event. */
export function inputText({ inputs }: Resource, event: EventEnvelope): string {
  if (inputs.input !== undefined) return inputs.input;
  if (inputs.inputPath === undefined || inputs.inputPath === "$") return JSON.stringify(event);
  const steps: string[] = inputs.inputPath.slice(2).split(".");
  const part = steps.reduce<unknown>((value, step) => (value as Properties | undefined)?.[step], event);
  return JSON.stringify(part ?? {});
}

/** EventBridge itself, on behalf of a rule. */
export function asRule(rule: Resource): Principal {
  return { kind: "service", service: "events.amazonaws.com", source: rule.outputs.arn };
}

export function queueUrl(arn: string, { url, account }: Cloud): string {
  return `${url}/${account}/${parseArn(arn)?.resource}`;
}

/** EventBridge's word for why a target could not be reached: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html */
export function errorCode(code: string): string {
  if (/AccessDenied|AuthorizationError|NotAuthorized/.test(code)) return "NO_PERMISSIONS";
  if (/NotFound|DoesNotExist|NonExistent|NoSuch/.test(code)) return "NO_RESOURCE";
  if (/Throttl|TooManyRequests|LimitExceeded/.test(code)) return "THROTTLING";
  if (/Validation|Invalid/.test(code)) return "INVALID_PARAMETER";
  if (/AlreadyExists/.test(code)) return "RESOURCE_ALREADY_EXISTS";
  if (/Internal|Service/.test(code)) return "INTERNAL_ERROR";
  return "SDK_CLIENT_ERROR";
}
