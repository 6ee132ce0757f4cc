import * as secretsmanager from "@pulumi/aws/secretsmanager/index.js";
import * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";
import { GeneratedKey, type GeneratedKeyArgs } from "../core/generated-key.js";
import { kept, type StoreOptions, tagged } from "../core/options.js";

/** Options of {@link ApiKey}. */
export interface ApiKeyArgs extends StoreOptions {
  /** The key. Without it, one is generated once and kept. */
  value?: pulumi.Input<string> | undefined;

  /**
   * Days in which the secret can be had back after its deletion, 7 to 30.
   * @default it is gone at once, so that the next stack may have the same name
   */
  recovery?: number | undefined;

  /** Changes to the resources underneath. */
  transform?:
    | {
        secret?: Transform<secretsmanager.SecretArgs>;
        version?: Transform<secretsmanager.SecretVersionArgs>;
        generated?: Transform<GeneratedKeyArgs>;
      }
    | undefined;
}

/** The key of the HTTP API, given or generated, where the handler reads it: a secret of Secrets Manager. */
export class ApiKey extends Component<"secret" | "version" | "generated"> {
  /** The key, a secret. */
  readonly value: pulumi.Output<string>;
  /** ARN of the secret, by which it is read. */
  readonly arn: pulumi.Output<string>;

  /** The resources underneath. */
  readonly nodes: { secret: secretsmanager.Secret; version: secretsmanager.SecretVersion; generated?: GeneratedKey };

  constructor(name: string, args: ApiKeyArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super("aws:ApiKey", name, { children: ["secret", "version", "generated"], transform: args.transform }, opts);
    const generated = args.value === undefined ? this.create("generated", GeneratedKey, {}) : undefined;
    this.value = pulumi.secret(args.value ?? generated?.key ?? "");
    const secret = this.create("secret", secretsmanager.Secret, { recoveryWindowInDays: args.recovery ?? 0, ...tagged(args) }, kept(args));
    const version = this.create("version", secretsmanager.SecretVersion, { secretId: secret.arn, secretString: this.value }, kept(args));

    this.nodes = { secret, version, ...(generated && { generated }) };
    this.arn = secret.arn;
    this.registerOutputs({ arn: this.arn });
  }
}
