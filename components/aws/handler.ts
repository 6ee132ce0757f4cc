import path from "node:path";
import * as cloudwatch from "@pulumi/aws/cloudwatch/index.js";
import * as iam from "@pulumi/aws/iam/index.js";
import * as lambda from "@pulumi/aws/lambda/index.js";
import * as pulumi from "@pulumi/pulumi";
import { bundle } from "../core/bundle.js";
import { Component, type Transform } from "../core/component.js";
import { fitting } from "../core/naming.js";
import { tagged } from "../core/options.js";
import { type Duration, type MemorySize, megabytes, seconds } from "../core/units.js";
import { retentionInDays } from "./logs.js";
import { grant, type Statement, trust } from "./policy.js";

/** Options of {@link Handler}. */
export interface HandlerArgs {
  /** The module that exports `handler`, from this project's root: `"functions/aws/validate.ts"`. */
  entry: string;

  /** The handler's configuration, complete: there is no other. */
  environment?: Record<string, pulumi.Input<string>>;

  /** What the handler may do, beside writing its own log and traces. */
  grants?: Statement[];

  /** ARN of the queue for events that the handler failed on, each time it was tried; for handlers that are invoked with events. */
  deadLetters?: pulumi.Input<string>;

  /**
   * "128 MB" to "10240 MB"; processing power grows with it, one full CPU at 1769 MB.
   * @default "512 MB"
   */
  memory?: MemorySize;

  /**
   * At most "15 minutes".
   * @default "30 seconds"
   */
  timeout?: Duration;

  /**
   * Whether the handler imports sharp; its binaries for Lambda are packaged then.
   * @default false
   */
  sharp?: boolean;

  /** Modules that the handler imports as `virtual:…`: name → path from the root of the program's project. */
  modules?: Record<string, string>;

  /** @default "30 days" */
  logRetention?: Duration;

  tags?: Record<string, string> | undefined;

  /** Changes to the resources underneath. */
  transform?:
    | {
        function?: Transform<lambda.FunctionArgs>;
        role?: Transform<iam.RoleArgs>;
        policy?: Transform<iam.RolePolicyArgs>;
        logs?: Transform<cloudwatch.LogGroupArgs>;
      }
    | undefined;
}

/**
 * A TypeScript handler on Lambda: packaged by the program, with a log group of its own, and a role that grants exactly what is listed.
 *
 * @example
 * new Handler("photos-validate", {
 *   entry: "functions/aws/validate.ts",
 *   environment: { UPLOADS_BUCKET: uploads.name },
 *   grants: [{ Action: "s3:GetObject", Resource: pulumi.interpolate`${uploads.arn}/uploads/*` }],
 * });
 */
export class Handler extends Component<"function" | "role" | "policy" | "logs"> {
  /** ARN of the function. */
  readonly arn: pulumi.Output<string>;
  /** What API Gateway calls it by. */
  readonly invokeArn: pulumi.Output<string>;
  /** Physical name of the function. */
  readonly functionName: pulumi.Output<string>;

  /** The resources underneath. */
  readonly nodes: { function: lambda.Function; role: iam.Role; policy: iam.RolePolicy; logs: cloudwatch.LogGroup };

  constructor(name: string, args: HandlerArgs, opts?: pulumi.ComponentResourceOptions) {
    const sizes = validated(name, args);
    super("aws:Handler", name, { children: ["function", "role", "policy", "logs"], transform: args.transform }, opts);

    const logs = this.create("logs", cloudwatch.LogGroup, { retentionInDays: sizes.retentionInDays, ...tagged(args) });
    const role = this.createRole(args);
    const policy = this.createPolicy(args, role, logs);
    const fn = this.createFunction(args, sizes, { role, policy, logs });

    this.nodes = { function: fn, role, policy, logs };
    this.arn = fn.arn;
    this.invokeArn = fn.invokeArn;
    this.functionName = fn.name;
    this.registerOutputs({ arn: this.arn });
  }

  private createRole(args: HandlerArgs): iam.Role {
    const name = fitting(`${this.name}-role`, 64);
    return this.create("role", iam.Role, { ...(name && { name }), assumeRolePolicy: trust("lambda.amazonaws.com"), ...tagged(args) });
  }

  private createPolicy({ grants = [], deadLetters }: HandlerArgs, role: iam.Role, logs: cloudwatch.LogGroup): iam.RolePolicy {
    const policy = grant([
      ...grants,
      ...(deadLetters ? [{ Action: "sqs:SendMessage", Resource: deadLetters }] : []),
      { Action: ["logs:CreateLogStream", "logs:PutLogEvents"], Resource: pulumi.interpolate`${logs.arn}:*` },
      // X-Ray has no resources to name here.
      { Action: ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], Resource: "*" },
    ]);
    return this.create("policy", iam.RolePolicy, { name: "grants", role: role.name, policy });
  }

  private createFunction(
    args: HandlerArgs,
    { memorySize, timeout }: Sizes,
    { role, policy, logs }: { role: iam.Role; policy: iam.RolePolicy; logs: cloudwatch.LogGroup },
  ): lambda.Function {
    const name = fitting(`${this.name}-function`, 64);
    return this.create(
      "function",
      lambda.Function,
      {
        ...(name && { name }),
        runtime: "nodejs24.x",
        architectures: ["arm64"],
        handler: "index.handler",
        // The provider sees from the zip's hash whether there is anything to do.
        code: this.package(args),
        role: role.arn,
        memorySize,
        timeout,
        environment: { variables: args.environment ?? {} },
        loggingConfig: { logFormat: "JSON", logGroup: logs.name, applicationLogLevel: "INFO", systemLogLevel: "INFO" },
        tracingConfig: { mode: "Active" },
        ...(args.deadLetters && { deadLetterConfig: { targetArn: args.deadLetters } }),
        ...tagged(args),
      },
      // A function that is called before its policy is there fails for want of it.
      { dependsOn: [policy, logs] },
    );
  }

  private async package({ entry, modules, sharp }: HandlerArgs): Promise<pulumi.asset.FileArchive> {
    const zip = await bundle({
      name: this.name,
      entry,
      ...(modules && { modules }),
      ...(sharp && { sharp: { platform: "linux", arch: "arm64" } }),
      target: "node24",
    });
    // Relative, so that nobody's folders are written into the state.
    return new pulumi.asset.FileArchive(path.relative(process.cwd(), zip.path).split(path.sep).join("/"));
  }
}

interface Sizes {
  memorySize: number;
  timeout: number;
  retentionInDays: number;
}

function validated(name: string, { memory = "512 MB", timeout = "30 seconds", logRetention = "30 days" }: HandlerArgs): Sizes {
  return {
    memorySize: megabytes(memory, { of: `${name}: memory`, min: "128 MB", max: "10240 MB" }),
    timeout: seconds(timeout, { of: `${name}: timeout`, max: "15 minutes" }),
    retentionInDays: retentionInDays(logRetention, `${name}: logRetention`),
  };
}
