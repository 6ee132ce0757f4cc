import { EventEmitter, once } from "node:events";
import * as pulumi from "@pulumi/pulumi";
import runtimeState from "@pulumi/pulumi/runtime/state.js";
import { withRejections } from "../local/engine/rejections.js";
import * as azure from "./declared-azure.js";

/** A resource as the program declared it. */
export interface Declared {
  urn: string;
  /** `"aws:sqs/queue:Queue"` */
  type: string;
  /** Logical name. */
  name: string;
  inputs: Record<string, any>;
  /** Names of the inputs that are, or hold, secrets. */
  secretInputs: string[];
  /** Logical name of the component that it belongs to. */
  parent: string | undefined;
  /** Logical names of what has to be there before. */
  after: string[];
  retainOnDelete: boolean;
  secretOutputs: string[];
}

export interface DeclareOptions {
  /** `"image-pipeline:cloud"` → value. */
  config?: Record<string, string>;
  /** Answers of functions, by token: `"aws:s3/getBucketNotification:getBucketNotification"`. */
  functions?: Record<string, Record<string, unknown>>;
}

/** The account and region of everything that is declared here. */
export const ACCOUNT = "123456789012";
export const REGION = "eu-west-1";

/**
 * The inputs of everything that `program` declares, exactly: type (`queuePolicy` for `aws:sqs/queuePolicy:QueuePolicy`) → logical name → inputs.
 * Components themselves are left out. Rejects with whatever the program throws, or an input rejects with.
 */
export async function declared(program: () => unknown, options?: DeclareOptions): Promise<Record<string, any>> {
  const byType: Record<string, any> = {};
  for (const { type, name, inputs } of await recorded(program, options)) {
    const token = type.split(":").at(-1) ?? type;
    const key = `${token.charAt(0).toLowerCase()}${token.slice(1)}`;
    byType[key] = { ...byType[key], [name]: inputs };
  }
  return byType;
}

/** Everything that `program` declares, sorted by name and type, with what Pulumi is told beside the inputs. */
export async function recorded(program: () => unknown, { config = {}, functions = {} }: DeclareOptions = {}): Promise<Declared[]> {
  const resources: Declared[] = [];
  // Pulumi writes down a stack for every promise; to look each up in the sources would take a third of the time. An error that leaves here has its
  // own looked up by whoever reads it.
  process.setSourceMapsEnabled(false);
  await withLocalStorage(async () => {
    const errors: unknown[] = [];
    const failed = new EventEmitter();
    await withRejections(
      (error) => {
        errors.push(error);
        failed.emit("failed");
      },
      async () => {
        await pulumi.runtime.setMocks(mocks(functions), "image-pipeline", "test");
        pulumi.runtime.setAllConfig(config);
        record(resources);
        // What has failed is never registered, and so never waited for to the end.
        await Promise.race([complete(program), once(failed, "failed")]);
      },
    );
    if (errors.length > 0) throw errors[0];
  }).finally(() => process.setSourceMapsEnabled(true));
  return resources.sort((a, b) => (`${a.name} ${a.type}` < `${b.name} ${b.type}` ? -1 : 1));
}

async function complete(program: () => unknown): Promise<void> {
  await pulumi.runtime.runInPulumiStack(async () => {
    await program();
    return {};
  });
  await pulumi.runtime.disconnect();
}

// Internal to the SDK: keeps this program's runtime apart from that of other tests in the process.
const { withLocalStorage } = runtimeState as unknown as { withLocalStorage(work: () => Promise<void>): Promise<void> };

function mocks(functions: Record<string, Record<string, unknown>>): pulumi.runtime.Mocks {
  return {
    newResource: ({ type, name, inputs }) =>
      type.startsWith("azure-native:")
        ? { id: azure.idOf(type, name, inputs) ?? name, state: { ...inputs, ...azure.outputs(type, name, inputs) } }
        : { id: physical(name, inputs), state: { ...inputs, ...outputs(type, name, inputs) } },
    call({ token, inputs }) {
      const answer = { ...FUNCTIONS, ...functions }[token];
      if (!answer) throw new Error(`The test does not say what ${token} answers.`);
      return { ...inputs, ...answer };
    },
  };
}

const FUNCTIONS: Record<string, Record<string, unknown>> = {
  ...azure.FUNCTIONS,
  "aws:index/getCallerIdentity:getCallerIdentity": { accountId: ACCOUNT, arn: `arn:aws:iam::${ACCOUNT}:user/somebody`, userId: "somebody" },
  "aws:index/getPartition:getPartition": { partition: "aws", dnsSuffix: "amazonaws.com" },
  "aws:index/getRegion:getRegion": { region: REGION, name: REGION },
};

/** Of every image that is built. */
const DIGEST = `sha256:${"d".repeat(64)}`;

const physical = (name: string, inputs: Record<string, any>): string => inputs.name ?? inputs.bucket ?? name;

/** What the cloud would add. */
function outputs(type: string, logical: string, inputs: Record<string, any>): Record<string, unknown> {
  const name = physical(logical, inputs);
  const arn = (service: string, resource: string) => `arn:aws:${service}:${REGION}:${ACCOUNT}:${resource}`;
  switch (type) {
    case "aws:s3/bucket:Bucket":
      return { bucket: name, arn: `arn:aws:s3:::${name}` };
    case "aws:iam/role:Role":
      return { name, arn: `arn:aws:iam::${ACCOUNT}:role/${name}` };
    case "aws:lambda/function:Function": {
      const invoke = `arn:aws:apigateway:${REGION}:lambda:path/2015-03-31/functions/${arn("lambda", `function:${name}`)}/invocations`;
      return { name, arn: arn("lambda", `function:${name}`), invokeArn: invoke };
    }
    case "aws:sqs/queue:Queue":
      return { name, arn: arn("sqs", name), url: `https://sqs.${REGION}.amazonaws.com/${ACCOUNT}/${name}` };
    case "aws:sns/topic:Topic":
      return { name, arn: arn("sns", name) };
    case "aws:dynamodb/table:Table":
      return { name, arn: arn("dynamodb", `table/${name}`) };
    case "aws:cloudwatch/logGroup:LogGroup":
      return { name, arn: arn("logs", `log-group:${name}`) };
    case "aws:cloudwatch/eventRule:EventRule":
      return { name, arn: arn("events", `rule/${name}`) };
    case "aws:cloudwatch/metricAlarm:MetricAlarm":
      return { name, arn: arn("cloudwatch", `alarm:${name}`) };
    case "aws:sfn/stateMachine:StateMachine":
      return { name, arn: arn("states", `stateMachine:${name}`) };
    case "aws:secretsmanager/secret:Secret":
      return { name, arn: arn("secretsmanager", `secret:${name}`) };
    case "aws:apigatewayv2/api:Api":
      return { name, apiEndpoint: `https://${name}.execute-api.${REGION}.amazonaws.com`, executionArn: arn("execute-api", name) };
    case "pulumi-nodejs:dynamic:Resource":
      return { key: "a-key-that-was-generated" };
    case "pulumi-nodejs:dynamic/core:SelfSignedCertificate":
      return { certificate: "a certificate", key: "its key" };
    case "pulumi-nodejs:dynamic/azure:ImageBuild":
      return { digest: DIGEST, reference: `${inputs.loginServer}/${inputs.repository}@${DIGEST}` };
    case "kubernetes:core/v1:Service":
      return { status: { loadBalancer: { ingress: [{ ip: "203.0.113.80" }] } } };
    default:
      return {};
  }
}

interface Request {
  getType(): string;
  getName(): string;
  getParent(): string;
  getCustom(): boolean;
  getDependenciesList(): string[];
  getRetainondelete(): boolean;
  getAdditionalsecretoutputsList(): string[];
  getObject(): never;
}

/** The mocks are not told of a resource's options: the request is. */
function record(resources: Declared[]): void {
  const monitor = pulumi.runtime.getMonitor() as unknown as {
    registerResource(request: Request, callback: (error: unknown, response: { getUrn(): string }) => void): Promise<void>;
  };
  const register = monitor.registerResource.bind(monitor);
  const nameOf = (urn: string) => urn.split("::").at(-1) ?? urn;
  monitor.registerResource = (request, callback) =>
    register(request, (error, response) => {
      if (!error && request.getCustom()) {
        const inputs: Record<string, any> = pulumi.runtime.deserializeProperties(request.getObject());
        resources.push({
          urn: response.getUrn(),
          type: request.getType(),
          name: request.getName(),
          inputs: Object.fromEntries(Object.entries(inputs).map(([key, value]) => [key, pulumi.runtime.unwrapRpcSecret(value)])),
          secretInputs: Object.keys(inputs).filter((key) => pulumi.runtime.isRpcSecret(inputs[key])),
          parent: request.getParent() ? nameOf(request.getParent()) : undefined,
          after: request.getDependenciesList().map(nameOf).sort(),
          retainOnDelete: request.getRetainondelete(),
          secretOutputs: request.getAdditionalsecretoutputsList(),
        });
      }
      callback(error, response);
    });
}
