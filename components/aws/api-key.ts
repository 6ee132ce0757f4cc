import * as ssm from "@pulumi/aws/ssm/index.js";
import * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";
import { GeneratedKey, type GeneratedKeyArgs } from "../core/generated-key.js";
import { tagged } from "./options.js";

/** Options of {@link ApiKey}. */
export interface ApiKeyArgs {
  /** The key. Without it, one is generated once and kept. */
  value?: pulumi.Input<string> | undefined;

  /** Tags on the parameter. */
  tags?: Record<string, string> | undefined;

  /** Changes to the resources underneath. */
  transform?: { parameter?: Transform<ssm.ParameterArgs>; generated?: Transform<GeneratedKeyArgs> } | undefined;
}

/** The key of the HTTP API, given or generated, where the handler reads it: an encrypted parameter. */
export class ApiKey extends Component<"parameter" | "generated"> {
  /** The key, a secret. */
  readonly value: pulumi.Output<string>;
  /** Name of the parameter. */
  readonly parameter: pulumi.Output<string>;
  /** ARN of the parameter. */
  readonly arn: pulumi.Output<string>;

  /** The resources underneath. */
  readonly nodes: { parameter: ssm.Parameter; generated?: GeneratedKey };

  constructor(name: string, args: ApiKeyArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super("aws:ApiKey", name, { children: ["parameter", "generated"], transform: args.transform }, opts);
    const source = args.value ?? this.create("generated", GeneratedKey, {});
    const generated = source instanceof GeneratedKey ? source : undefined;
    this.value = pulumi.secret(source instanceof GeneratedKey ? source.key : source);
    const parameter = this.create("parameter", ssm.Parameter, { type: "SecureString", value: this.value, ...tagged(args) });

    this.nodes = { parameter, ...(generated && { generated }) };
    this.parameter = parameter.name;
    this.arn = parameter.arn;
    this.registerOutputs({ parameter: this.parameter });
  }
}
