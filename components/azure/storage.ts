import * as storage from "@pulumi/azure-native/storage/index.js";
import type * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";
import { kept, type StoreOptions, tagged } from "../core/options.js";
import type { Group } from "./group.js";
import { uniqueName } from "./names.js";

/** Options of {@link Storage}. */
export interface StorageArgs<Container extends string, Queue extends string, Table extends string> extends Group, StoreOptions {
  /** Private containers: what they are to us → their names. */
  containers?: Record<Container, string>;
  queues?: Record<Queue, string>;
  tables?: Record<Table, string>;

  /** Blobs to remove by themselves: container and prefix of their names (`"thumbnails/labels/"`) → days. */
  expire?: Record<string, number>;

  /**
   * Days in which blobs and containers that were overwritten or deleted can be had back.
   * @default gone is gone
   */
  recovery?: number | undefined;

  /** Changes to the resources underneath. */
  transform?: StorageTransform<Container, Queue, Table> | undefined;
}

export type StorageTransform<Container extends string, Queue extends string = never, Table extends string = never> = {
  account?: Transform<storage.StorageAccountArgs>;
  blobs?: Transform<storage.BlobServicePropertiesArgs>;
  lifecycle?: Transform<storage.ManagementPolicyArgs>;
} & { [C in Container]?: Transform<storage.BlobContainerArgs> } & { [Q in Queue]?: Transform<storage.QueueArgs> } & {
  [T in Table]?: Transform<storage.TableArgs>;
};

/** A storage account: private, reached by TLS and by identity only, as its keys open nothing. */
export class Storage<Container extends string = never, Queue extends string = never, Table extends string = never> extends Component<
  "account" | "blobs" | "lifecycle" | Container | Queue | Table
> {
  /** Physical name of the account. */
  readonly account: pulumi.Output<string>;
  /** Resource id of the account. */
  readonly accountId: pulumi.Output<string>;
  readonly location: pulumi.Output<string>;
  /** `https://…/` of each service, as Azure tells them. */
  readonly endpoints: pulumi.Output<{ blob: string; queue: string; table: string }>;

  /** The resources underneath. */
  readonly nodes: {
    account: storage.StorageAccount;
    containers: Record<Container, storage.BlobContainer>;
    queues: Record<Queue, storage.Queue>;
    tables: Record<Table, storage.Table>;
    lifecycle?: storage.ManagementPolicy;
    blobs?: storage.BlobServiceProperties;
  };

  constructor(
    name: string,
    private readonly args: StorageArgs<Container, Queue, Table>,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    const { containers, queues, tables, resourceGroupName } = args;
    const named = [containers, queues, tables].flatMap((each) => Object.keys(each ?? {})) as (Container | Queue | Table)[];
    super("azure:Storage", name, { children: ["account", "blobs", "lifecycle", ...named], transform: args.transform }, opts);
    const account = this.createAccount();
    const of = { accountName: account.name, resourceGroupName };
    this.nodes = {
      account,
      containers: each(containers, (child, containerName) =>
        this.create(child, storage.BlobContainer, { ...of, containerName, publicAccess: "None" }, kept(args)),
      ),
      queues: each(queues, (child, queueName) => this.create(child, storage.Queue, { ...of, queueName }, kept(args))),
      tables: each(tables, (child, tableName) => this.create(child, storage.Table, { ...of, tableName }, kept(args))),
    };
    if (args.expire) this.nodes.lifecycle = this.createLifecycle(account, args.expire);
    this.account = account.name;
    this.accountId = account.id;
    this.location = account.location;
    this.endpoints = account.primaryEndpoints;
    this.registerOutputs({ account: this.account });
  }

  /** Lets pages of these origins upload with the tickets that they were given. Once, with all of them. */
  openTo(origins: pulumi.Input<string>[]): void {
    const { recovery: days } = this.args;
    // Said also where there is none: what Azure is not told stays as it was.
    const retention = days === undefined ? { enabled: false } : { enabled: true, days };
    this.nodes.blobs = this.create(
      "blobs",
      storage.BlobServiceProperties,
      {
        accountName: this.account,
        resourceGroupName: this.args.resourceGroupName,
        blobServicesName: "default",
        deleteRetentionPolicy: retention,
        containerDeleteRetentionPolicy: retention,
        cors: {
          corsRules: [
            {
              allowedMethods: ["PUT"],
              allowedOrigins: origins,
              // What a ticket asks for.
              allowedHeaders: ["content-type", "if-none-match", "x-ms-blob-type", "x-ms-meta-*"],
              exposedHeaders: ["ETag"],
              maxAgeInSeconds: 3_600,
            },
          ],
        },
      },
      kept(this.args),
    );
  }

  private createAccount(): storage.StorageAccount {
    const { resourceGroupName, groupId, location } = this.args;
    return this.create(
      "account",
      storage.StorageAccount,
      {
        resourceGroupName,
        location,
        accountName: uniqueName(this.name, 24, groupId, ""),
        kind: "StorageV2",
        sku: { name: "Standard_LRS" },
        allowBlobPublicAccess: false,
        allowSharedKeyAccess: false,
        allowCrossTenantReplication: false,
        defaultToOAuthAuthentication: true,
        enableHttpsTrafficOnly: true,
        minimumTlsVersion: "TLS1_2",
        ...tagged(this.args),
      },
      { ...kept(this.args), ignoreChanges: ["accountName"] },
    );
  }

  private createLifecycle(account: storage.StorageAccount, expire: Record<string, number>): storage.ManagementPolicy {
    return this.create(
      "lifecycle",
      storage.ManagementPolicy,
      {
        accountName: account.name,
        resourceGroupName: this.args.resourceGroupName,
        managementPolicyName: "default",
        policy: {
          rules: Object.entries(expire).map(([prefix, days]) => ({
            name: prefix.replaceAll(/[^a-z0-9]+/g, "-").replace(/-$/, ""),
            type: "Lifecycle",
            definition: {
              filters: { blobTypes: ["blockBlob"], prefixMatch: [prefix] },
              actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: days } } },
            },
          })),
        },
      },
      kept(this.args),
    );
  }
}

function each<Name extends string, R>(names: Record<Name, string> | undefined, create: (child: Name, name: string) => R): Record<Name, R> {
  const entries = Object.entries(names ?? {}) as [Name, string][];
  return Object.fromEntries(entries.map(([child, name]) => [child, create(child, name)])) as Record<Name, R>;
}
