import * as keyvault from "@pulumi/azure-native/keyvault/index.js";
import * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";
import { GeneratedKey, type GeneratedKeyArgs } from "../core/generated-key.js";
import { kept, type StoreOptions, tagged } from "../core/options.js";
import type { Group } from "./group.js";
import { uniqueName } from "./names.js";

/** Options of {@link ApiKey}. */
export interface ApiKeyArgs extends Group, StoreOptions {
  /** The tenant whose identities the vault knows. */
  tenantId: pulumi.Input<string>;

  /** The key. Without it, one is generated once and kept. */
  value?: pulumi.Input<string> | undefined;

  /**
   * Days in which the vault and its secret can be had back, and cannot be purged by anyone, 7 to 90. A vault that is there keeps the days that it
   * was made with; protection from purging cannot be taken back.
   * @default 7, and whoever may purge them can
   */
  recovery?: number | undefined;

  /** Changes to the resources underneath. */
  transform?:
    | { vault?: Transform<keyvault.VaultArgs>; secret?: Transform<keyvault.SecretArgs>; generated?: Transform<GeneratedKeyArgs> }
    | undefined;
}

/** The key of the HTTP API, given or generated, where the app reads it: a secret in a vault that takes roles only. */
export class ApiKey extends Component<"vault" | "secret" | "generated"> {
  /** The key, a secret. */
  readonly value: pulumi.Output<string>;
  /** Resource id of the secret, to scope a role to. */
  readonly secretId: pulumi.Output<string>;
  /** Where its newest version is. */
  readonly secretUri: pulumi.Output<string>;

  /** The resources underneath. */
  readonly nodes: { vault: keyvault.Vault; secret: keyvault.Secret; generated?: GeneratedKey };

  constructor(name: string, args: ApiKeyArgs, opts?: pulumi.ComponentResourceOptions) {
    super("azure:ApiKey", name, { children: ["vault", "secret", "generated"], transform: args.transform }, opts);
    const { resourceGroupName } = args;
    const source = args.value ?? this.create("generated", GeneratedKey, {});
    const generated = source instanceof GeneratedKey ? source : undefined;
    this.value = pulumi.secret(source instanceof GeneratedKey ? source.key : source);
    const vault = this.create(
      "vault",
      keyvault.Vault,
      {
        resourceGroupName,
        location: args.location,
        vaultName: uniqueName(name, 24, args.groupId),
        properties: {
          tenantId: args.tenantId,
          sku: { family: "A", name: "standard" },
          enableRbacAuthorization: true,
          enableSoftDelete: true,
          softDeleteRetentionInDays: args.recovery ?? 7,
          // Not false: Azure refuses to be told that.
          ...(args.recovery !== undefined && { enablePurgeProtection: true }),
        },
        ...tagged(args),
      },
      { ...kept(args), ignoreChanges: ["vaultName", "properties.softDeleteRetentionInDays"] },
    );
    const secret = this.create(
      "secret",
      keyvault.Secret,
      {
        resourceGroupName,
        vaultName: vault.name,
        secretName: "api-key",
        properties: { value: this.value, contentType: "text/plain" },
        ...tagged(args),
      },
      kept(args),
    );

    this.nodes = { vault, secret, ...(generated && { generated }) };
    this.secretId = secret.id;
    // Not the secret's own output, which counts as secret as its value does.
    this.secretUri = pulumi.interpolate`${vault.properties.vaultUri.apply((uri) => uri?.replace(/\/*$/, "/"))}secrets/${secret.name}`;
    this.registerOutputs({ secretUri: this.secretUri });
  }
}
